"""What a budget refuses."""

from modellix_server.base.errors import PlatformError


class BudgetExceeded(PlatformError):
    """The budget of the key or of its team does not cover the amount in this period."""

    status, category, code = 402, "Budget exceeded", "budget_exceeded"
