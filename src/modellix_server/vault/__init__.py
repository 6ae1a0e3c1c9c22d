"""The operator's accounts at the vendors, with their keys encrypted."""

from modellix_server.vault.accounts import Accounts
from modellix_server.vault.selftest import check_master_keys, renew_canary
from modellix_server.vault.store import (
    ACCOUNT_KEYS,
    CANARY,
    MAIN,
    ListedAccount,
    StoredAccount,
    UnusableAccount,
    change_account,
    has_account,
    list_accounts,
    move_old_keys,
    open_account,
    open_accounts,
    set_account,
)

SEALED = (ACCOUNT_KEYS, CANARY)
"""The columns of this room that rotate."""
