"""Addresses that vendors may call when a task has changed: no more than a hint to look at it now.

Vendors do not sign their calls, so nothing a call says is believed. Its address is a secret of one attempt; a call
there makes the worker that has the task ask the vendor with our key, at most once a second.
"""

from __future__ import annotations

import base64
import hmac
import ipaddress
import re
import time
from urllib.parse import urlsplit
from uuid import UUID

from modellix_server.base.addresses import is_reachable
from modellix_server.base.database import Pool
from modellix_server.base.ids import task_name
from modellix_server.base.settings import Settings
from modellix_server.tasks.routing import VendorAccount
from modellix_server.tasks.signals import CHANNEL, Signal

_TOKEN = re.compile(r"(task-([0-9a-f]{32})-([0-9]{1,9}))\.([A-Za-z0-9_-]{22})", re.ASCII)
_GAP_S = 1.0
_MOST_REMEMBERED = 10_000


class Callbacks:
    """Makes the addresses, and knows them again."""

    def __init__(self, settings: Settings) -> None:
        self._origin = settings.public_origin
        self._key = settings.secret.derive("vendor callbacks")
        self._public = _is_public(self._origin)

    def url(self, account: VendorAccount, task_id: UUID, attempt: int) -> str | None:
        """The address for one attempt; None when whoever runs the account could not reach us."""
        if not (account.sandbox or self._public):
            return None
        name = f"{task_name(task_id)}-{attempt}"
        return f"{self._origin}/callbacks/{account.upstream}/{name}.{self._mark(account.upstream, name)}"

    def read(self, upstream: str, token: str) -> Signal | None:
        """The attempt that the last part of an address stands for; None when it is not one of ours."""
        found = _TOKEN.fullmatch(token)
        if found is None or not hmac.compare_digest(found[4], self._mark(upstream, found[1])):
            return None
        return Signal(UUID(hex=found[2]), int(found[3]))

    def _mark(self, upstream: str, attempt: str) -> str:
        digest = hmac.digest(self._key, f"{upstream}\0{attempt}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")


class CallbackNotifier:
    """Passes vendors' calls on to the workers, of each attempt at most one a second."""

    def __init__(self, db: Pool) -> None:
        self._db = db
        self._notified: dict[Signal, float] = {}

    async def notify(self, signal: Signal) -> None:
        """Tell the worker that has the task, wherever it runs. Raises database.UNREACHABLE."""
        now = time.monotonic()
        if now - self._notified.get(signal, -_GAP_S) < _GAP_S:
            return
        if len(self._notified) >= _MOST_REMEMBERED:
            self._notified = {known: at for known, at in self._notified.items() if now - at < _GAP_S}
        self._notified[signal] = now
        await self._db.execute("select pg_notify($1, $2)", CHANNEL, signal.payload)


def _is_public(origin: str) -> bool:
    parts = urlsplit(origin)
    host = parts.hostname or ""
    if parts.scheme != "https" or not ("." in host or ":" in host):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return not host.endswith((".local", ".internal", ".localhost", ".test"))
    return is_reachable(host, parts.port or 443)
