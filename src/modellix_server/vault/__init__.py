"""The operator's accounts at the vendors, with their keys encrypted."""

from modellix_server.vault.accounts import Accounts
from modellix_server.vault.errors import UnusableAccount
from modellix_server.vault.store import Account, Listed, list_accounts, open_account, set_account

__all__ = ["Account", "Accounts", "Listed", "UnusableAccount", "list_accounts", "open_account", "set_account"]
