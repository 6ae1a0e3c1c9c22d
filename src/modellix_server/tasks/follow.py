"""Following tasks: subscribers are woken when their task moves, by one database notification per batch of moves.

A notification is a hint: whoever was woken reads the task, and reads that come together share a query (`Reader`).
Moves that no notification named, because the connection was down or the batch too large, are found by comparing all
followed tasks with what their subscribers know; so are keys that were revoked meanwhile. A waiting subscriber holds no
connection of the database.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

from modellix_server.base import log
from modellix_server.base.database import DATABASE_ERRORS, Pool
from modellix_server.base.errors import Unavailable
from modellix_server.base.notify import Follower
from modellix_server.base.team_mode import TeamMode
from modellix_server.tasks.errors import TooManyFollowers
from modellix_server.tasks.queue_positions import QueuePositions
from modellix_server.tasks.read import TaskQuery
from modellix_server.tasks.signals import PROGRESS_CHANNEL

LONGEST_WAIT_S = 30
"""Of a request that waits for a task to end."""

_MOST_OF_KEY = 1_000
_MOST_OF_TEAM = 2_000
MOST_FOLLOWERS = 20_000
"""Of a process; they take about 300 MB."""
_LOOK_EVERY_S = 15.0
_BETWEEN_LOOKS_S = 0.2
_TASKS_A_LOOK = 1_000
_NAME_CHARS = 32
_LOG = log.get("tasks")

T = TypeVar("T")
Name = TypeVar("Name", bound=Hashable)


class Subscription:
    """One client that follows a task. To be closed in any case."""

    __slots__ = ("_hub", "_woken", "key_id", "left", "of", "position", "progress", "query", "seen", "unread")

    def __init__(self, hub: SubscriptionHub, of: TeamMode, key_id: int | None) -> None:
        self._hub = hub
        self._woken = asyncio.Event()
        self.of = of
        self.key_id = key_id
        self.query: TaskQuery | None = None
        self.seen = -1
        """Moves of the task that its subscriber knows."""
        self.left = False
        """The client has gone, or this process is ending."""
        self.progress: float | None = None
        """As the vendor reported it last, 0 to 1."""
        self.position: int | None = None
        """In its team's queue: 1 is the next to start; None for a task that does not wait for a slot."""
        self.unread = True
        """Whether the task is to be read again; reset by the subscriber before it reads."""

    def follow(self, query: TaskQuery) -> None:
        """From now on moves of this task wake the subscriber, which reads the task afterwards."""
        self.query = query
        self._hub.followed(self, query)

    async def news(self, within_s: float) -> bool:
        """Wait for news (`unread`, another `position`, `left`); False if there is none within this time."""
        try:
            async with asyncio.timeout(within_s):
                await self._woken.wait()
        except TimeoutError:
            return False
        self._woken.clear()
        return True

    def wake(self) -> None:
        """There may be news."""
        self.unread = True
        self._woken.set()

    def waits(self, position: int | None) -> None:
        """The position as it was read with the task; None if it does not wait for a slot."""
        if position is None:
            self.position = None
            self._hub.positions.leave(self)
        else:
            # What was read may be older than what was counted meanwhile, and positions never increase.
            self.position = position if self.position is None else min(position, self.position)
            self._hub.positions.join(self)

    def tell_position(self, position: int) -> None:
        """The position as it was counted."""
        if self.position is not None and position < self.position:
            self.position = position
            self._woken.set()

    def leave(self) -> None:
        """The client has gone."""
        self.left = True
        self._woken.set()

    def close(self) -> None:
        """Remove it. Idempotent."""
        self._hub.forget(self)


class SubscriptionHub(Follower):
    """All subscriptions of one API process, a follower of moves; `more` follow other channels."""

    channel = "modellix_moves"

    def __init__(self, db: Pool, most: int | None = None) -> None:
        self._db = db
        self._most = MOST_FOLLOWERS if most is None else min(most, MOST_FOLLOWERS)
        self._subscriptions: set[Subscription] = set()
        self._by_task: dict[str, list[Subscription]] = {}
        self._of_key: Counter[int] = Counter()  # of subscribers that have one
        self._of_team: Counter[TeamMode] = Counter()
        self._doubt = asyncio.Event()
        self.closed = False
        """This process is ending."""
        self.keys = _Doubter("modellix_identity", self._doubt)
        self.progress = _Progress(self._by_task)
        self.positions = QueuePositions(db)
        self.more = (self.keys, self.progress, self.positions)
        """Further followers of notifications."""

    def __len__(self) -> int:
        """Open subscriptions."""
        return len(self._subscriptions)

    def open(self, of: TeamMode, key_id: int | None) -> Subscription:
        """A new subscription. Raises TooManyFollowers, or Unavailable when the process is full."""
        subscription = Subscription(self, of, key_id)
        if len(self._subscriptions) >= self._most or self.closed:
            raise Unavailable("too many clients follow tasks here; poll instead", retry_after_s=5)
        for count, most, whose in (
            (self._of_key[key_id] if key_id is not None else 0, _MOST_OF_KEY, "this API key"),
            (self._of_team[of], _MOST_OF_TEAM, "this team"),
        ):
            if count >= most:
                raise TooManyFollowers(f"{most} open streams and waiting requests for {whose}", retry_after_s=5)
        self._subscriptions.add(subscription)
        if key_id is not None:
            self._of_key[key_id] += 1
        self._of_team[of] += 1
        return subscription

    def followed(self, subscription: Subscription, query: TaskQuery) -> None:
        """Called by a subscription that has been given its task."""
        self._by_task.setdefault(query.task_id.hex, []).append(subscription)

    def forget(self, subscription: Subscription) -> None:
        """Called by a subscription that is closed."""
        if subscription not in self._subscriptions:
            return
        self._subscriptions.remove(subscription)
        self.positions.leave(subscription)
        if subscription.key_id is not None:
            _one_less(self._of_key, subscription.key_id)
        _one_less(self._of_team, subscription.of)
        if subscription.query is not None:
            name = subscription.query.task_id.hex
            self._by_task[name].remove(subscription)
            if not self._by_task[name]:
                del self._by_task[name]

    def close(self) -> None:
        """End all subscriptions: the process is ending, and clients reconnect to another."""
        self.closed = True
        for subscription in self._subscriptions:
            subscription.leave()

    def following(self) -> None:
        """Compare everything: earlier moves are not announced again."""
        self._doubt.set()

    def heard(self, payload: str) -> None:
        """Wake the subscribers of the tasks named; an empty payload means that any may have moved."""
        if not payload:
            self._doubt.set()
            return
        if self._by_task:
            for start in range(0, len(payload), _NAME_CHARS):
                for subscription in self._by_task.get(payload[start : start + _NAME_CHARS], ()):
                    subscription.wake()

    async def keep_looking(self) -> None:
        """Compare all followed tasks when notifications may have been missed, and at intervals; until cancelled."""
        while True:
            try:
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await self._doubt.wait()
            except TimeoutError:
                pass
            self._doubt.clear()
            try:
                await self._look()
            except DATABASE_ERRORS as error:
                _LOG.warning("followed tasks could not be compared", error=type(error).__name__)
                self._doubt.set()
            await asyncio.sleep(_BETWEEN_LOOKS_S)

    async def _look(self) -> None:
        keys = list(self._of_key)
        rows = await self._db.fetch("select identity.active_keys($1)", keys) if keys else []
        active = {row[0] for row in rows}
        for subscription in self._subscriptions:
            if subscription.key_id is not None and subscription.key_id not in active:
                subscription.wake()
        for some in _in_parts(list(self._by_task.values()), _TASKS_A_LOOK):
            ids = [found[0].query.task_id for found in some if found and found[0].query]
            rows = await self._db.fetch("select id, moves from tasks.task where id = any ($1)", ids)
            moves: dict[str, int] = defaultdict(lambda: -1, {row["id"].hex: row["moves"] for row in rows})
            for task_id in ids:
                for subscription in self._by_task.get(task_id.hex, ()):
                    if subscription.seen != moves[task_id.hex]:
                        subscription.wake()


class _Doubter(Follower):
    """A follower of another channel, at whose notifications everything is compared."""

    def __init__(self, channel: str, doubt: asyncio.Event) -> None:
        self.channel = channel
        self._doubt = doubt

    def following(self) -> None:
        self._doubt.set()

    def heard(self, payload: str) -> None:  # noqa: ARG002 - which row changed makes no difference
        self._doubt.set()


class _Progress(Follower):
    """A follower of the progress that vendors report."""

    channel = PROGRESS_CHANNEL

    def __init__(self, by_task: Mapping[str, list[Subscription]]) -> None:
        self._by_task = by_task

    def heard(self, payload: str) -> None:
        for told in payload.split(" ") if self._by_task else ():
            name, _, percent = told.partition(":")
            for subscription in self._by_task.get(name, ()):
                subscription.progress = int(percent) / 100
                subscription.wake()


def _one_less(counter: Counter[Name], name: Name) -> None:
    counter[name] -= 1
    if not counter[name]:
        del counter[name]


def _in_parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
