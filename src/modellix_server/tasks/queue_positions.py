"""Places in the queue, for who follows a task that waits for a slot.

Each time a team's queue moves up the database says so, in one notice. Then one query counts the places in all queues
that have moved and have followers here, and each follower whose place is another one is told. However often queues
move, they are counted once a second at most, and so seldom that counting takes a tenth of the time.
"""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from modellix_server.base import log
from modellix_server.base.database import DATABASE_ERRORS, Pool
from modellix_server.tasks.read import TaskQuery

Purse = tuple[int, bool]
"""Team, and whether its live tasks are meant."""

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
    """A follower of one task."""

    purse: Purse
    question: TaskQuery | None

    def tell_place(self, place: int) -> None:
        """Its task is the so many-th of its team to start."""
        ...


class QueuePositions:
    """All followers of waiting tasks in one API process. A `base.notify.Follower`."""

    channel = "modellix_places"

    def __init__(self, db: Pool) -> None:
        self._db = db
        self._queues: dict[str, set[Waiting]] = {}
        """By the name that notices call it."""
        self._moved: set[str] = set()
        self._hint = asyncio.Event()

    def join(self, follower: Waiting) -> None:
        """Its task waits; again is as good as once."""
        self._queues.setdefault(_name(follower.purse), set()).add(follower)

    def leave(self, follower: Waiting) -> None:
        """Its task waits no more, or nobody follows it; again is as good as once."""
        name = _name(follower.purse)
        if (queue := self._queues.get(name)) is not None:
            queue.discard(follower)
            if not queue:
                del self._queues[name]

    def following(self) -> None:
        """Count everything: what moved before is not announced again."""
        self._moved.update(self._queues)
        self._hint.set()

    def heard(self, payload: str) -> None:
        """A queue has moved up."""
        if payload in self._queues:
            self._moved.add(payload)
            self._hint.set()

    def lost(self) -> None:
        """Nothing to do: `following` comes before anything is heard again, and the regular count before long."""

    async def keep_counting(self) -> None:
        """Count the queues that have moved, and all of them now and then; until cancelled."""
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
                _LOG.warning("cannot count places in queues", error=type(error).__name__)
                self.following()
            took_s = time.monotonic() - started
            await asyncio.sleep(max(_BETWEEN_COUNTS_S, (_SHARE - 1) * took_s))

    async def _count(self) -> None:
        moved, self._moved = [self._queues[name] for name in self._moved if name in self._queues], set()
        for start in range(0, len(moved), _QUEUES_A_COUNT):
            followers = [follower for queue in moved[start : start + _QUEUES_A_COUNT] for follower in queue]
            purses = list({follower.purse for follower in followers})
            ids = list({follower.question.task_id for follower in followers if follower.question})
            rows = await self._db.fetch(_COUNT, [team for team, _ in purses], [live for _, live in purses], ids)
            places = {row["id"]: row["place"] for row in rows}
            for follower in followers:
                # One that is not there has started, which is announced as any move is.
                if follower.question and (place := places.get(follower.question.task_id)) is not None:
                    follower.tell_place(place)


def _name(purse: Purse) -> str:
    team, live = purse
    return f"{team}:{'live' if live else 'test'}"
