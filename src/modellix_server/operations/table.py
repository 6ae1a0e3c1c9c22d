"""Every operation and the permission that it asks for.

`tests/operations/test_table.py` compares this table with the modules of the room: a public function that takes a
context and a principal has its row here, and asks for that permission first.
"""

from collections.abc import Mapping
from types import MappingProxyType

from modellix_server.operations.principal import Permission

_TABLE: dict[Permission, tuple[str, ...]] = {
    Permission.USE_MODELS: (
        "submissions.quote",
        "submissions.submit",
        "tasks.cancel",
        "tasks.delete_result",
        "task_inputs.repeat",
        "tasks.first_steps",
    ),
    Permission.READ_MODELS: (
        "models.list_all",
        "models.list_details",
        "models.describe",
        "models.health",
        "models.obstacle",
    ),
    Permission.READ_TASKS: (
        "tasks.read",
        "tasks.wait",
        "tasks.subscribe",
        "tasks.list_all",
        "tasks.find",
        "task_records.read",
        "task_inputs.to_edit",
    ),
    Permission.READ_LOGS: ("logs.list_calls", "logs.find_call"),
    Permission.READ_MONEY: (
        "money.balance",
        "money.list_transfers",
        "money.list_entries",
        "recharges.possible",
        "recharges.find",
        "recharges.list_all",
        "usage.summed",
        "usage.spent",
    ),
    Permission.RECHARGE: ("billing.redeem", "recharges.start", "recharges.look"),
    Permission.PAY: ("recharges.receive_event", "recharges.emulated_page"),
    Permission.READ_TEAM: (
        "budgets.of_team",
        "keys.read_own",
        "usage.key_names",
        "inputs.days_kept",
        "own_teams.read_limits",
    ),
    Permission.MANAGE_TEAM: ("budgets.change_of_team", "inputs.change_days", "own_teams.rename"),
    Permission.END_TEAM: ("own_teams.end",),
    Permission.READ_MEMBERS: ("audit.list_of_team", "members.list_all", "invitations.list_of_team"),
    Permission.MANAGE_MEMBERS: (
        "invitations.invite",
        "invitations.withdraw",
        "members.change_role",
        "members.remove",
    ),
    Permission.READ_FILES: ("files.list_all",),
    Permission.MANAGE_FILES: ("files.receive", "files.delete"),
    Permission.REPORT_LEAKS: ("leaks.report",),
    Permission.READ_WEBHOOKS: ("webhooks.list_all", "webhooks.find", "webhooks.deliveries"),
    Permission.MANAGE_WEBHOOKS: (
        "webhooks.create",
        "webhooks.change",
        "webhooks.delete",
        "webhooks.rotate",
        "webhooks.team_secret",
        "webhooks.replay",
        "webhooks.replay_failed",
    ),
    Permission.READ_KEYS: ("keys.list_of_team",),
    Permission.MANAGE_OWN_KEYS: (
        "keys.create",
        "keys.change",
        "keys.rotate",
        "keys.revoke",
        "keys.delete",
        "keys.find",
    ),
    Permission.SIGN_IN: (
        "invitations.read",
        "sign_in.read_link",
        "sign_in.use_link",
        "sign_in_codes.send_code",
        "sign_in_codes.use_code",
    ),
    Permission.USE_ACCOUNT: (
        "account.show",
        "account.change",
        "account.sessions",
        "account.end_session",
        "account.end_other_sessions",
        "account.delete",
        "invitations.list_own",
        "invitations.accept",
        "invitations.accept_own",
        "members.leave",
        "own_teams.may_create",
        "own_teams.create",
        "sign_in_codes.confirm",
    ),
    Permission.OPERATE: (
        "audit.list_entries",
        "audit.head",
        "audit.verify",
        "codes.create",
        "codes.list_all",
        "codes.revoke",
        "first_start.first_start",
        "freezes.list_all",
        "freezes.unfreeze",
        "inputs.redact_once",
        "keys.list_all",
        "maintenance.backup.back_up",
        "master_key.rotate",
        "money.credit",
        "prices.set_price",
        "prices.clear",
        "prices.list_all",
        "reconciliation.monitor_once",
        "reconciliation.verify",
        "reviews.history",
        "reviews.list_all",
        "sign_in.create_link",
        "teams.create",
        "teams.list_all",
        "teams.find",
        "teams.change_limits",
        "vendor_accounts.store",
        "vendor_accounts.change",
        "vendor_accounts.list_all",
        "vendor_accounts.check_key",
    ),
}

OPERATIONS: Mapping[str, Permission] = MappingProxyType(
    {name: permission for permission, names in _TABLE.items() for name in names}
)
"""`module.function` -> the permission."""
