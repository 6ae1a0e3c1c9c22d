"""What a key or a whole team may spend in a period."""

from modellix_server.budgets.errors import BudgetExceeded
from modellix_server.budgets.store import (
    PERIODS,
    Budget,
    BudgetLimit,
    ReachedBudget,
    differences,
    forget_old,
    note_refusal,
    of_keys,
    of_teams,
    put,
    take_reached,
)
