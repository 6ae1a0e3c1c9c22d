"""The enumerated cases: where a worker dies x what its vendor does x who takes over, and what must come of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

# What a task that was left at a point becomes: it may start again (nothing can have left), its outcome is unknown
# (the POST may have left, or has), or it goes on as if nothing had happened (what the vendor said is on record).
FREE, UNSENT, UNKNOWN, KEPT = "free", "unsent", "unknown", "kept"

SUBMITTED = {"claimed": FREE, "before_intent": FREE, "intent_committed": UNSENT}
ANSWERED = {**SUBMITTED, "answer_received": UNKNOWN}
UNDERSTOOD = {**ANSWERED, "answer_understood": UNKNOWN}
RUNNING = {**UNDERSTOOD, "before_ticket": UNKNOWN, "ticket_committed": KEPT, "poll_understood": KEPT}
STORING = {**RUNNING, "before_verdict": KEPT, "answer_kept": KEPT, "verdict_committed": KEPT}
FETCHED = {"result_spooled": KEPT, "result_fetched": KEPT, "result_stored": KEPT}
AT_ONCE = {**UNDERSTOOD, "before_verdict": UNKNOWN, "answer_kept": UNKNOWN, "verdict_committed": KEPT}
INLINE = {**UNDERSTOOD, "before_verdict": UNKNOWN, "result_spooled": UNKNOWN, "answer_kept": UNKNOWN,
          "verdict_committed": KEPT, "result_stored": KEPT}  # fmt: skip
ENDED = {"before_settle": KEPT, "settled": KEPT}
REFUSED = {"before_settle": UNKNOWN, "settled": KEPT}  # an ending straight from `submitting`


@dataclass(frozen=True)
class Kind:
    """A way to work with a vendor, by one model that is worked with so."""

    model: str
    price: int
    units: int
    way: dict[str, str]
    given: dict[str, Any] = field(default_factory=dict)
    pictures: bool = False
    """Whether it needs one to work on."""


KINDS = {
    "task": Kind("alibaba/qwen-image-plus", 17_200, 1, STORING | FETCHED | ENDED),
    "tasks": Kind("alibaba/wan2.6-t2i", 30_000, 2, STORING | FETCHED | ENDED, {"size": "768*768", "n": 2}),
    "at once": Kind("alibaba/qwen-image-edit-plus", 30_000, 1, AT_ONCE | FETCHED | ENDED | {"prepared": FREE},
                    {"size": "512*512"}, pictures=True),
    "inline": Kind("acme/inline", 4_000, 2, INLINE | ENDED, {"n": 2, "width": 512, "height": 512}),
    "hurried": Kind("acme/hurried", 17_200, 1, RUNNING | ENDED),
}  # fmt: skip


@dataclass(frozen=True)
class Manner:
    """What a vendor does, and what becomes of a task when nobody dies."""

    mark: str
    kinds: tuple[str, ...]
    error: str | None = None
    way: dict[str, str] | None = None
    """The points that such a task comes to; None for all of its kind."""
    less: int = 0
    """How many units fewer than asked for are delivered."""
    vendor: int | None = None
    """The units that the vendor charges; None for those that are delivered."""
    posts: int = 1
    cancel: bool = False
    """Whether its team cancels it once the worker is dead."""


BOTH, ALL, SYNC = ("task", "tasks"), ("task", "tasks", "at once", "inline"), ("at once", "inline")
OUTCOME, REFUSAL = "submission_outcome_unknown", "upstream_refused"
MANNERS = (
    Manner("", ALL),
    Manner("slow=1", ALL),
    Manner("queue=1", BOTH),
    Manner("badword=1", BOTH),
    Manner("overbill", BOTH, vendor=2),
    Manner("partial", ("tasks",), less=1),
    Manner("partial", ("task",), REFUSAL, RUNNING | ENDED),
    Manner("throttle", ALL, posts=2),
    Manner("refuse", ALL, "invalid_input", UNDERSTOOD | REFUSED),
    Manner("moderate", ALL, "content_rejected", UNDERSTOOD | REFUSED),
    Manner("error", ALL, OUTCOME, ANSWERED | REFUSED, vendor=0),
    Manner("error-accepted", ALL, OUTCOME, ANSWERED | REFUSED),
    Manner("garbage", ALL, OUTCOME, ANSWERED | REFUSED),
    Manner("lost", ALL, OUTCOME, SUBMITTED | REFUSED),
    Manner("fail", BOTH, REFUSAL, RUNNING | ENDED),
    Manner("fail=DataInspectionFailed", BOTH, "content_rejected", RUNNING | ENDED),
    Manner("fail=InvalidParameter.X", BOTH, "invalid_input", RUNNING | ENDED),
    Manner("vanish", ("task",), "result_unavailable", STORING | ENDED, vendor=1),
    Manner("mistyped", BOTH, "result_unavailable", STORING | ENDED),
    Manner("never", ("hurried",), "deadline", RUNNING),
    Manner("queue=90", BOTH, "canceled", RUNNING, cancel=True),
    Manner("arrears", BOTH, "canceled", UNDERSTOOD, cancel=True),
)


@dataclass(frozen=True)
class Case:
    """One task at one point, of one kind, with one vendor's manner."""

    point: str
    kind: str
    manner: Manner

    def __str__(self) -> str:
        return f"{self.kind} [{self.manner.mark or 'fine'}] at {self.point}"

    @cached_property
    def left(self) -> str:
        """What the worker's death makes of it."""
        way = KINDS[self.kind].way
        return (self.manner.way or way).get(self.point) or way[self.point]

    @property
    def error(self) -> str | None:
        """The code it ends with; None for success."""
        return OUTCOME if self.left in (UNSENT, UNKNOWN) else self.manner.error

    @property
    def charged(self) -> int:
        """What its team pays, in micro-dollars."""
        kind = KINDS[self.kind]
        return 0 if self.error else (kind.units - self.manner.less) * kind.price

    def posts_fit(self, count: int) -> bool:
        """Whether the vendor may have got so many POSTs."""
        if self.left == UNSENT:
            return count == 0
        if self.manner.mark == "arrears":  # never accepted: it may be tried as often as there is time
            return count >= (self.left == UNKNOWN)
        if self.manner.cancel and self.left == FREE:
            return count <= 1
        if self.manner.mark == "throttle" and self.left == UNKNOWN and self.point in ANSWERED | UNDERSTOOD:
            return count == 1  # the first attempt was the one that was refused
        return count == self.manner.posts

    def may_come_to_a_vendor_s_charge(self) -> bool:
        """Whether the vendor may charge what nobody here pays for: then a person must be told."""
        return self.error in (OUTCOME, "result_unavailable", "deadline")


def cases() -> list[Case]:
    """All of them, point by point."""
    found = []
    for manner in MANNERS:
        for kind in manner.kinds:
            way = KINDS[kind].way
            points = {point for point in manner.way or way if point in way} | ({"prepared"} & way.keys())
            found += [Case(point, kind, manner) for point in way if point in points]
    return found


POINTS = tuple(dict.fromkeys(case.point for case in cases()))
RECOVERIES = ("another", "new")
"""Who takes over: a worker that runs already, or one that starts afterwards."""
