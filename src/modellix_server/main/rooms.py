"""The rooms that keep tables of their own."""

from __future__ import annotations

ROOMS = tuple(
    f"modellix_server.{room}"
    for room in (
        "identity",
        "limits",
        "ledger",
        "pricing",
        "results",
        "requestlog",
        "vault",
        "webhooks",
        "tasks",
        "audit",
    )
)
