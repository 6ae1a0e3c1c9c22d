"""What a vendor delivered, as rows keep it, and pure decisions about a task's life.

They say when to look again, when to give up, what a state means outside, what a delivery costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from modellix_server.catalogue import ImpossibleMeasurement, Measurement, MediaKind, Quote, capture
from modellix_server.upstreams.contract import Capabilities, FileKind


class StoredFile(msgspec.Struct, frozen=True):
    """One file of a stored result, as the client sees it. Pixels, bytes, milliseconds."""

    type: MediaKind
    format: str
    role: str
    size: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration_ms: int | None = None

    def public(self) -> dict[str, Any]:
        """The fields of the contract's `resources[]`, without the link."""
        seconds = None if self.duration_ms is None else self.duration_ms / 1000
        return {
            "type": self.type,
            "width": self.width,
            "height": self.height,
            "format": self.format,
            "role": self.role,
            "size": self.size,
            "duration": seconds,
        }


class StoredResult(msgspec.Struct, frozen=True):
    """What a task delivered: the JSON in `results.result.resources`."""

    resources: tuple[StoredFile, ...]
    request_id: str | None = None
    data: dict[str, Any] = {}

    @property
    def bytes(self) -> int:
        """All files together."""
        return sum(file.size for file in self.resources)

    @property
    def counted(self) -> Measurement:
        """What we ourselves found in the files that are charged: another form of the same is not."""
        charged = [file for file in self.resources if file.role == "primary"]
        clips = [file.duration_ms for file in charged if file.type == "video"]
        return Measurement(
            images=sum(file.type == "image" for file in charged) or None,
            milliseconds=sum(clip or 0 for clip in clips) if clips else None,
        )

    def metadata(self) -> dict[str, Any]:
        """The contract's `result.metadata`."""
        counted = self.counted
        about: dict[str, Any] = {**self.data, "request_id": self.request_id}
        if counted.images is not None:
            about["image_count"] = counted.images
        if counted.milliseconds is not None:
            about["video_duration"] = counted.milliseconds / 1000
        return about


class VerdictFile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One file of a verdict: a link to it or, where the answer carried it, what we have stored already."""

    kind: FileKind
    url: str = ""
    role: str = "primary"
    stored: StoredFile | None = None


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """The vendor's success: the JSON in `tasks.task.verdict`, from which the task goes on after a crash."""

    files: tuple[VerdictFile, ...]
    measured: Measurement
    request_id: str | None = None
    data: dict[str, Any] = {}


# State -> the public word. The seed knows three; docs/adr/0004 says why `processing` stays inside.
PUBLIC_WORDS = {
    "queued": "pending",
    "preparing": "pending",
    "submitting": "pending",
    "running": "pending",
    "storing": "pending",
    "succeeded": "success",
    "failed": "failed",
}

# State of an unfinished task -> its stage, in words of their own, so that states can change (docs/adr/0004).
STAGES = {
    "queued": "queued",
    "preparing": "queued",
    "submitting": "running",
    "running": "running",
    "storing": "storing",
}

MOST_INLINE_BYTES = 40 << 20
"""Of all files in one request to a vendor together: a third more in base64, and vendors take 64 MB."""

_POLL_SHARE_OF_AGE = 0.2
_FIRST_RETRY_S = 1.0
_SLOWEST_RETRY_S = 60.0
_GONE_RETRIES_S = (0.5, 2.0, 8.0)
_SANDBOX_FIRST_POLL_S = 0.1
_SANDBOX_SLOWEST_POLL_S = 5.0
_MOST_DEATHS = 3
_SAME_LENGTH_MS = 250  # containers round a clip's length to whole frames


@dataclass(frozen=True, slots=True)
class Charge:
    """What a delivered task costs, in micro-dollars, and what a person should look at, if anything."""

    micros: int
    review: str | None = None


def poll_in_s(age_s: float, capabilities: Capabilities, *, live: bool) -> float:
    """Seconds until the next status query of a task that was submitted `age_s` ago.

    Young tasks are asked often and old ones seldom, so that a stuck task costs little and a quick one
    is seen at once: about a fifth of the age, within the vendor's advice. In test mode sooner: our own sandbox minds
    no queries, and people are waiting.
    """
    first_s, slowest_s = capabilities.first_poll_s, capabilities.slowest_poll_s
    if not live:
        first_s, slowest_s = _SANDBOX_FIRST_POLL_S, min(slowest_s, _SANDBOX_SLOWEST_POLL_S)
    return min(max(age_s * _POLL_SHARE_OF_AGE, first_s), slowest_s)


def retry_in_s(attempt: int) -> float:
    """Seconds to wait before attempt number `attempt` + 1 after a definite "nothing was accepted"."""
    return min(_FIRST_RETRY_S * 2.0 ** min(attempt, 10), _SLOWEST_RETRY_S)


def gone_retry_in_s(tries: int) -> float | None:
    """Seconds to wait after `tries` looks for a result file that is not there; None when it is time to give up."""
    return _GONE_RETRIES_S[tries - 1] if tries <= len(_GONE_RETRIES_S) else None


def deadly(deaths: int) -> bool:
    """Whether so many workers died of a task in one of its states that it is not handled again."""
    return deaths >= _MOST_DEATHS


def may_be_sent_again(state: str) -> bool:
    """Whether a task found without its worker may be submitted.

    Before the intent is committed nothing can have left. From `submitting` on a POST may be on its way
    or paid for already, and is never sent a second time.
    """
    return state in ("queued", "preparing")


def charge(price: str, claimed: Measurement, counted: Measurement) -> Charge:
    """The frozen price for what was delivered: by the vendor's count or by ours, whichever is less.

    A difference between the two, or a count that cannot be true, is charged in the client's favour and
    reviewed. Never above the quote.
    """
    quote = msgspec.json.decode(price, type=Quote)
    counted = msgspec.structs.replace(counted, input_milliseconds=claimed.input_milliseconds)
    ours = _amount(quote, counted)
    theirs = _amount(quote, claimed)
    if theirs is None:
        return Charge(ours or 0, f"impossible measurement: the vendor claims {claimed}, we counted {counted}")
    if ours is None:
        return Charge(0, f"impossible measurement: we counted {counted}, the vendor claims {claimed}")
    if _agree(claimed, counted):
        return Charge(min(theirs, quote.amount_micros))
    return Charge(min(ours, theirs), f"measurements differ: the vendor claims {claimed}, we counted {counted}")


def _amount(quote: Quote, measured: Measurement) -> int | None:
    try:
        return capture(quote, measured)
    except ImpossibleMeasurement:
        return None


def _agree(claimed: Measurement, counted: Measurement) -> bool:
    if claimed.milliseconds is not None and counted.milliseconds is not None:
        return abs(claimed.milliseconds - counted.milliseconds) <= _SAME_LENGTH_MS
    return claimed.images == counted.images
