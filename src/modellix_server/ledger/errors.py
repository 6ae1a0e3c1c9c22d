"""What the ledger refuses."""

from modellix_server.base.errors import PlatformError


class InsufficientBalance(PlatformError):
    """The team's available money does not cover the amount."""

    status, category, code = 402, "Insufficient balance", "insufficient_balance"
