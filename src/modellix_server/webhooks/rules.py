"""Pure decisions about deliveries: when to retry, when to disable an endpoint, how much to send at once.

The schedule is the example of the Standard Webhooks specification (1.0.0): ten tries in a little over three days.
"""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

SCHEDULE_S = (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before each try, from the one before it."""
DISABLED_AFTER_S = 5 * 86_400
"""An endpoint that has failed for this long, without one success, is disabled."""

_JITTER = 0.1
_MOST_OF_LANE = 64
_FIRST_OF_LANE = 4
_MOST_OF_TEAM = 128
_MOST = 256
_MOST_AILING = 64
_LONGEST_PAUSE_S = 600.0
_MOST_LANES = 10_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt: an HTTP status, or an error text. `took_ms` is measured."""

    status: int | None
    error: str | None
    took_ms: int
    retry_after_s: float | None = None

    @property
    def delivered(self) -> bool:
        """Any 2xx, and nothing else: a redirect is not followed, as its target was never checked."""
        return self.status is not None and 200 <= self.status < 300

    @property
    def overloaded(self) -> bool:
        """Whether the receiver is failing, rather than refusing the message."""
        return self.status is None or self.status == 429 or self.status >= 500


def again_in_s(tries: int, spread: Callable[[], float] = random.random) -> float | None:
    """Seconds until the next try after `tries` failures, with up to 10 % jitter; None when that was the last."""
    if tries >= len(SCHEDULE_S):
        return None
    return SCHEDULE_S[tries] * (1 + _JITTER * spread())


def why_disable(outcome: Outcome, failing_for_s: float | None) -> str | None:
    """Why an endpoint is to be disabled, or None; `failing_for_s` is since its first failure in a row."""
    if outcome.delivered:
        return None
    if outcome.status == 410:
        return "it answered 410 Gone"
    if failing_for_s is not None and failing_for_s >= DISABLED_AFTER_S:
        return f"it has failed for {DISABLED_AFTER_S // 86_400} days"
    return None


@dataclass(slots=True)
class _Lane:
    flying: int = 0
    room: int = _FIRST_OF_LANE
    ailing: bool = False
    resumes_at: float = 0.0


class Lanes:
    """Concurrency limits of deliveries: in total, per team, and per lane (adaptive).

    A lane starts with a low limit, which grows with successful deliveries. While its receiver fails it is tried with
    one message at a time. All failing lanes together are limited too, which leaves most of the total to the others.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}
        self._of_team: Counter[int] = Counter()
        self._ailing = 0
        self.flying = 0

    @property
    def usual_room(self) -> int:
        """The limit of a new lane."""
        return _FIRST_OF_LANE

    @property
    def left(self) -> int:
        """How many more may start in total."""
        return _MOST - self.flying

    def rooms(self) -> dict[str, int]:
        """How many more may start, by lane; a missing lane has the limit of a new one."""
        now = self._clock()
        crowded = self._ailing >= _MOST_AILING
        return {
            name: 0 if now < lane.resumes_at or (lane.ailing and crowded) else max(lane.room - lane.flying, 0)
            for name, lane in self._lanes.items()
        }

    def full_teams(self) -> list[int]:
        """Teams of which nothing more may start."""
        return [team for team, flying in self._of_team.items() if flying >= _MOST_OF_TEAM]

    def started(self, name: str, team_id: int) -> None:
        """A message of this lane and team is sent."""
        lane = self._lanes.setdefault(name, _Lane())
        lane.flying += 1
        self._ailing += lane.ailing
        self._of_team[team_id] += 1
        self.flying += 1

    def ended(self, name: str, team_id: int, outcome: Outcome) -> None:
        """Its outcome is known."""
        lane = self._lanes[name]
        self._ailing -= lane.ailing * lane.flying
        lane.flying -= 1
        self.flying -= 1
        self._of_team[team_id] -= 1
        if not self._of_team[team_id]:
            del self._of_team[team_id]
        if outcome.overloaded:
            lane.room, lane.ailing = 1, True
            if outcome.retry_after_s is not None:
                lane.resumes_at = self._clock() + min(outcome.retry_after_s, _LONGEST_PAUSE_S)
        else:
            lane.room, lane.ailing = min(lane.room * 2, _MOST_OF_LANE), False
        self._ailing += lane.ailing * lane.flying
        if len(self._lanes) > _MOST_LANES:
            self._lanes = {name: lane for name, lane in self._lanes.items() if lane.flying}
