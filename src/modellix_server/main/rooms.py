"""The rooms that keep tables of their own, in the order of their migrations."""

from __future__ import annotations

from importlib.util import find_spec

_NAMES = ("identity", "limits", "ledger", "pricing", "results", "requestlog", "vault", "tasks")

ROOMS = tuple(package for package in (f"modellix_server.{name}" for name in _NAMES) if find_spec(package) is not None)
