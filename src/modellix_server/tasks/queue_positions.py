"""Queue positions, for subscribers of tasks that wait for a slot.

The database notifies when a team's queue has moved. Then one query counts the positions in all queues that have moved
and have subscribers here, and subscribers whose position has changed are told. Counting happens at most once a second,
and takes at most a tenth of the time.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from modellix_server.base import log
from modellix_server.base.database import DATABASE_ERRORS, Pool
from modellix_server.base.notify import Follower
from modellix_server.base.team_mode import TeamMode
from modellix_server.tasks.read import TaskQuery

_LOOK_EVERY_S = 15.0
_BETWEEN_COUNTS_S = 1.0
_SHARE = 10  # of the time that may go into counting
_QUEUES_A_COUNT = 200
_COUNT = """
    select id, place from (
        select t.id, row_number() over (partition by t.team_id, t.live order by t.queue_no)::int as place
        from unnest($1::bigint[], $2::boolean[]) as q (team_id, live) join tasks.task t using (team_id, live)
        where t.queue_no is not null) as queue
    where id = any ($3)
"""
_LOG = log.get("tasks")


class Waiting(Protocol):
    """A subscription to one task."""

    of: TeamMode
    query: TaskQuery | None

    def tell_position(self, position: int) -> None:
        """The position of its task."""
        ...


class QueuePositions(Follower):
    """All subscriptions to waiting tasks in one API process; counting goes on at intervals too."""

    channel = "modellix_queue_positions"

    def __init__(self, db: Pool) -> None:
        self._db = db
        self._queues: dict[str, set[Waiting]] = {}
        """By the name that notifications give it."""
        self._moved: set[str] = set()
        self._hint = asyncio.Event()

    def join(self, follower: Waiting) -> None:
        """Its task waits. Idempotent."""
        self._queues.setdefault(_name(follower.of), set()).add(follower)

    def leave(self, follower: Waiting) -> None:
        """Its task waits no longer, or the subscription has ended. Idempotent."""
        name = _name(follower.of)
        if (queue := self._queues.get(name)) is not None:
            queue.discard(follower)
            if not queue:
                del self._queues[name]

    def following(self) -> None:
        """Count everything: earlier moves are not announced again."""
        self._moved.update(self._queues)
        self._hint.set()

    def heard(self, payload: str) -> None:
        """A queue has moved up."""
        if payload in self._queues:
            self._moved.add(payload)
            self._hint.set()

    async def keep_counting(self) -> None:
        """Count the queues that have moved, and all of them at intervals; until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._hint.wait()
            except TimeoutError:
                self._moved.update(self._queues)
            self._hint.clear()
            started = time.monotonic()
            try:
                await self._count()
            except DATABASE_ERRORS as error:
                _LOG.warning("queue positions could not be counted", error=type(error).__name__)
                self.following()
            took_s = time.monotonic() - started
            await asyncio.sleep(max(_BETWEEN_COUNTS_S, (_SHARE - 1) * took_s))

    async def _count(self) -> None:
        moved, self._moved = [self._queues[name] for name in self._moved if name in self._queues], set()
        for start in range(0, len(moved), _QUEUES_A_COUNT):
            followers = [follower for queue in moved[start : start + _QUEUES_A_COUNT] for follower in queue]
            teams = list({follower.of for follower in followers})
            ids = list({follower.query.task_id for follower in followers if follower.query})
            rows = await self._db.fetch(_COUNT, [one.team_id for one in teams], [one.live for one in teams], ids)
            positions = {row["id"]: row["place"] for row in rows}
            for follower in followers:
                # A task that is missing has started, which is announced as a move.
                if follower.query and (position := positions.get(follower.query.task_id)) is not None:
                    follower.tell_position(position)


def _name(of: TeamMode) -> str:
    return f"{of.team_id}:{of.mode}"
