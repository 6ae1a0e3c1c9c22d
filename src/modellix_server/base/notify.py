"""LISTEN: one direct connection that notifies in-process caches of changes, and of times without notifications.

A cache is valid only between `following` and `lost`: a notification that is sent while the connection is down is
lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import asyncpg

from modellix_server.base import log
from modellix_server.base.database import UNREACHABLE, connect

_log = log.get("base")
_PING_S = 2.0  # bounds how long a silently dead connection goes unnoticed


class Follower:
    """Something kept fresh by notices on one channel. Its methods are called on the event loop."""

    channel: str

    def following(self) -> None:
        """From now on every change is heard."""

    def heard(self, payload: str) -> None:
        """Something changed."""
        raise NotImplementedError

    def lost(self) -> None:
        """From now on changes may go unheard."""


async def follow(dsn: str, followers: Sequence[Follower], *, retry_s: float = 0.2) -> None:
    """Listen for all followers until cancelled; connects again whenever the connection is lost."""
    while True:
        try:
            db = await connect(dsn, name="listen")
        except UNREACHABLE as error:
            _log.warning("cannot listen for changes", error=type(error).__name__)
            await asyncio.sleep(retry_s)
            continue
        try:
            await _follow_one(db, followers)
        except UNREACHABLE as error:
            _log.warning("stopped hearing changes", error=type(error).__name__)
        finally:
            for follower in followers:
                follower.lost()
            db.terminate()
        await asyncio.sleep(retry_s)


async def _follow_one(db: asyncpg.Connection[asyncpg.Record], followers: Sequence[Follower]) -> None:
    """Forward notifications until the connection is closed (returns) or does not answer (raises)."""
    closed = asyncio.Event()
    db.add_termination_listener(lambda _: closed.set())
    for follower in followers:
        await db.add_listener(follower.channel, _forward(follower))
    for follower in followers:
        follower.following()
    while not closed.is_set():
        try:
            await asyncio.wait_for(closed.wait(), _PING_S)
        except TimeoutError:
            await db.execute("select 1", timeout=_PING_S)


def _forward(follower: Follower) -> Any:
    def on_notice(_db: object, _pid: int, _channel: str, payload: object) -> None:
        follower.heard(str(payload))

    return on_notice
