"""What a key or a whole team may spend in a period."""

from modellix_server.budgets.errors import BudgetExceeded
from modellix_server.budgets.store import PERIODS, Budget, BudgetLimit, differences, forget_old, of_keys, of_teams, put
