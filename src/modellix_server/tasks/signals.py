"""Hints to the worker that has a task, sent to all of them; they may get lost without harm.

Vendors give such hints by calling an address of ours. They do not sign their calls, so nothing a call says is believed.
The address is a secret of one attempt; a call there makes the worker that has the task ask the vendor with our key, at
most once a second.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import ipaddress
import re
import time
from dataclasses import dataclass
from urllib.parse import urlsplit
from uuid import UUID

from modellix_server.base.addresses import is_reachable
from modellix_server.base.database import Pool
from modellix_server.base.ids import task_name
from modellix_server.base.settings import Settings
from modellix_server.tasks.routing import VendorAccount

CHANNEL = "modellix_signals"
PROGRESS_CHANNEL = "modellix_progress"
"""What vendors tell of unfinished tasks, for those who follow them: `<task in hex>:<percent>`, several apart by spaces.

It is written nowhere: a row for each poll would say next to nothing (docs/adr/0002)."""

_PAYLOAD = re.compile(r"([0-9a-f]{32}) ([0-9]{1,9}|cancel)", re.ASCII)
_CALLED_GAP_S = 1.0


@dataclass(frozen=True, slots=True)
class Signal:
    """Look at this task now: the vendor has called about one attempt, or (None) its team wants it canceled."""

    task_id: UUID
    attempt: int | None

    @property
    def payload(self) -> str:
        """As it travels in a NOTIFY."""
        return f"{self.task_id.hex} {'cancel' if self.attempt is None else self.attempt}"

    @classmethod
    def read(cls, payload: str) -> Signal | None:
        """None for words of another version of the program."""
        found = _PAYLOAD.fullmatch(payload)
        if found is None:
            return None
        return cls(UUID(hex=found[1]), None if found[2] == "cancel" else int(found[2]))


class SignalInbox:
    """What was heard of one claimed task and not yet acted on; waits for the task are cut short by it."""

    __slots__ = ("_looked_at", "_waiting", "attempt", "called", "cancel_wanted")

    def __init__(self, attempt: int, *, cancel_wanted: bool) -> None:
        self.attempt = attempt
        """Calls of the vendor about any other are no news."""
        self.called = False
        self.cancel_wanted = cancel_wanted
        self._looked_at = 0.0
        self._waiting: asyncio.Future[None] | None = None

    def receive(self, signal: Signal) -> None:
        """Take note, and end the present wait."""
        if signal.attempt is None:
            self.cancel_wanted = True
        elif signal.attempt == self.attempt:
            self.called = True
        else:
            return
        self._wake()

    async def wait(self, seconds: float) -> None:
        """Sleep, unless there is news; because of the vendor's calls alone a wait ends at most once a second."""
        due = time.monotonic() + seconds
        if not (self.called or self.cancel_wanted):
            loop = asyncio.get_running_loop()
            self._waiting = loop.create_future()
            timer = loop.call_later(seconds, self._wake)
            try:
                await self._waiting
            finally:
                timer.cancel()
                self._waiting = None
        if self.called:
            await asyncio.sleep(min(due, self._looked_at + _CALLED_GAP_S) - time.monotonic())
            self.called = False
        self._looked_at = time.monotonic()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


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
