"""The ledger: append-only double-entry transfers in integer micro-dollars. Knows teams and amounts, not tasks."""

from modellix_server.ledger import full_check, monitor, seal
from modellix_server.ledger.full_check import FullCheck
from modellix_server.ledger.monitor import Finding, FrozenAccounts
from modellix_server.ledger.statement import KINDS, TransferFilter, balances_after, funded, funding, list_transfers
from modellix_server.ledger.store import (
    CHECKS,
    Balance,
    InsufficientBalance,
    Transfer,
    adjust,
    audit,
    balance,
    balances,
    checks,
    credit,
    last_funding,
    lock_balance,
    open_team,
    transfers_of_task,
)
