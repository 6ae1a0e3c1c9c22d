"""Following tasks: who waits for one is woken when it moves, by one notice of the database a batch of moves.

A notice is a hint to look, never the news itself: what the task is like is read by whoever was woken, and those
woken together share a query (`Reader`). What a notice missed, because the connection was down or a batch was too
large to be named, is found by comparing all tasks waited for with what their followers know; so are keys that
were revoked meanwhile. Nobody who waits holds a connection of the database.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeVar

from modellix_server.base import log
from modellix_server.base.database import DATABASE_ERRORS, Pool
from modellix_server.base.errors import Unavailable
from modellix_server.tasks.errors import TooManyFollowers
from modellix_server.tasks.queue_positions import QueuePositions
from modellix_server.tasks.read import TaskQuery
from modellix_server.tasks.signals import PROGRESS_CHANNEL

LONGEST_WAIT_S = 30
"""Of a request that waits for a task to end."""

_MOST_OF_KEY = 1_000
_MOST_OF_TEAM = 2_000
_MOST = 20_000  # of a process; about 300 MB
_LOOK_EVERY_S = 15.0
_BETWEEN_LOOKS_S = 0.2
_TASKS_A_LOOK = 1_000
_NAME_CHARS = 32
_LOG = log.get("tasks")

T = TypeVar("T")
Name = TypeVar("Name", bound=Hashable)


class Subscription:
    """One client that follows a task. `close` it at the end, whatever happens."""

    __slots__ = ("_hub", "_woken", "key_id", "left", "place", "progress", "purse", "question", "seen", "unread")

    def __init__(self, hub: SubscriptionHub, team_id: int, live: bool, key_id: int | None) -> None:  # noqa: FBT001 - as a Caller has it
        self._hub = hub
        self._woken = asyncio.Event()
        self.purse = (team_id, live)
        self.key_id = key_id
        self.question: TaskQuery | None = None
        self.seen = -1
        """Moves of the task as its follower knows it."""
        self.left = False
        """The client has gone, or this process is about to."""
        self.progress: float | None = None
        """How far the vendor said it is, last."""
        self.place: int | None = None
        """Of a task that waits for a slot: 1 is the next to start."""
        self.unread = True
        """Whether there is reason to read the task again. Its follower sets this back before it reads."""

    def follow(self, question: TaskQuery) -> None:
        """From now on the moves of this task are news. Read it after this, not before."""
        self.question = question
        self._hub.followed(self, question)

    async def news(self, within_s: float) -> bool:
        """Whether there is anything new, be it `unread`, another `place` or `left`; waits for it at most so long."""
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

    def waits(self, place: int | None) -> None:
        """As it was read: the task waits for a slot at this place, or (None) it does not."""
        if place is None:
            self.place = None
            self._hub.places.leave(self)
        else:
            # What was read may be older than what was told meanwhile. Nobody is ever moved back in the queue.
            self.place = place if self.place is None else min(place, self.place)
            self._hub.places.join(self)

    def tell_place(self, place: int) -> None:
        """The task's place in the queue, as it was counted."""
        if self.place is not None and place < self.place:
            self.place = place
            self._woken.set()

    def leave(self) -> None:
        """There is nobody to tell any more."""
        self.left = True
        self._woken.set()

    def close(self) -> None:
        """Forget this client; again is as good as once."""
        self._hub.forget(self)


class SubscriptionHub:
    """All followers in one API process. A `base.notify.Follower` of moves; `keys`, `progress` and `places` are more."""

    channel = "modellix_moves"

    def __init__(self, db: Pool) -> None:
        self._db = db
        self._watches: set[Subscription] = set()
        self._by_task: dict[str, list[Subscription]] = {}
        self._of_key: Counter[int] = Counter()  # of those with one
        self._of_purse: Counter[tuple[int, bool]] = Counter()
        self._doubt = asyncio.Event()
        self.closed = False
        """This process is about to end."""
        self.keys = _Doubter("modellix_identity", self._doubt)
        self.progress = _Progress(self._by_task)
        self.places = QueuePositions(db)

    def __len__(self) -> int:
        """Followers at the moment."""
        return len(self._watches)

    def open(self, *, team_id: int, live: bool, key_id: int | None) -> Subscription:
        """A place for one more follower; raises TooManyFollowers, or Unavailable when the process is full."""
        watch = Subscription(self, team_id, live, key_id)
        if len(self._watches) >= _MOST or self.closed:
            raise Unavailable("too many clients follow tasks here; poll instead", retry_after_s=5)
        for count, most, whose in (
            (self._of_key[key_id] if key_id is not None else 0, _MOST_OF_KEY, "this API key"),
            (self._of_purse[watch.purse], _MOST_OF_TEAM, "this team"),
        ):
            if count >= most:
                raise TooManyFollowers(f"{most} open streams and waiting requests for {whose}", retry_after_s=5)
        self._watches.add(watch)
        if key_id is not None:
            self._of_key[key_id] += 1
        self._of_purse[watch.purse] += 1
        return watch

    def followed(self, watch: Subscription, question: TaskQuery) -> None:
        """Called by a watch that has learned its task."""
        self._by_task.setdefault(question.task_id.hex, []).append(watch)

    def forget(self, watch: Subscription) -> None:
        """Called by a watch that is closed."""
        if watch not in self._watches:
            return
        self._watches.remove(watch)
        self.places.leave(watch)
        if watch.key_id is not None:
            _one_less(self._of_key, watch.key_id)
        _one_less(self._of_purse, watch.purse)
        if watch.question is not None:
            name = watch.question.task_id.hex
            self._by_task[name].remove(watch)
            if not self._by_task[name]:
                del self._by_task[name]

    def close(self) -> None:
        """Send everybody away: the process is about to end, and another will know where they were."""
        self.closed = True
        for watch in self._watches:
            watch.leave()

    def following(self) -> None:
        """Look at everything: what moved before is not announced again."""
        self._doubt.set()

    def heard(self, payload: str) -> None:
        """Wake the followers of the tasks named; an empty payload names none, and any may have moved."""
        if not payload:
            self._doubt.set()
            return
        if self._by_task:
            for start in range(0, len(payload), _NAME_CHARS):
                for watch in self._by_task.get(payload[start : start + _NAME_CHARS], ()):
                    watch.wake()

    def lost(self) -> None:
        """Nothing to do: `following` comes before anything is heard again, and the regular look before long."""

    async def keep_looking(self) -> None:
        """Look at all tasks waited for whenever notices may have been missed, and now and then; until cancelled."""
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
                _LOG.warning("cannot look after followed tasks", error=type(error).__name__)
                self._doubt.set()
            await asyncio.sleep(_BETWEEN_LOOKS_S)

    async def _look(self) -> None:
        keys = list(self._of_key)
        rows = await self._db.fetch("select identity.active_keys($1)", keys) if keys else []
        active = {row[0] for row in rows}
        for watch in self._watches:
            if watch.key_id is not None and watch.key_id not in active:
                watch.wake()
        for some in _in_parts(list(self._by_task.values()), _TASKS_A_LOOK):
            ids = [watches[0].question.task_id for watches in some if watches and watches[0].question]
            rows = await self._db.fetch("select id, moves from tasks.task where id = any ($1)", ids)
            moves: dict[str, int] = defaultdict(lambda: -1, {row["id"].hex: row["moves"] for row in rows})
            for task_id in ids:
                for watch in self._by_task.get(task_id.hex, ()):
                    if watch.seen != moves[task_id.hex]:
                        watch.wake()


class _Doubter:
    """A follower of one more channel at whose notices everything is looked at."""

    def __init__(self, channel: str, doubt: asyncio.Event) -> None:
        self.channel = channel
        self._doubt = doubt

    def following(self) -> None:
        self._doubt.set()

    def heard(self, payload: str) -> None:  # noqa: ARG002 - which row changed makes no difference
        self._doubt.set()

    def lost(self) -> None:
        return


class _Progress:
    """A follower of what the vendors say of tasks they are at."""

    channel = PROGRESS_CHANNEL

    def __init__(self, by_task: Mapping[str, list[Subscription]]) -> None:
        self._by_task = by_task

    def following(self) -> None:
        return

    def heard(self, payload: str) -> None:
        for told in payload.split(" ") if self._by_task else ():
            name, _, percent = told.partition(":")
            for watch in self._by_task.get(name, ()):
                watch.progress = int(percent) / 100
                watch.wake()

    def lost(self) -> None:
        return


def _one_less(counter: Counter[Name], name: Name) -> None:
    counter[name] -= 1
    if not counter[name]:
        del counter[name]


def _in_parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
