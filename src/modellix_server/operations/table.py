"""Every operation and the permission that it asks for.

`tests/operations/test_table.py` compares this table with the modules of the room: a public function that takes a
context and a principal has its row here, and asks for that permission first.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from modellix_server.operations.principal import Permission

_TABLE: dict[Permission, tuple[str, ...]] = {
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
}

OPERATIONS: Mapping[str, Permission] = MappingProxyType(
    {name: permission for permission, names in _TABLE.items() for name in names}
)
"""`module.function` -> the permission."""
