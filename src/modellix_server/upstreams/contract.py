"""What the engine and an upstream say to each other: values in, values out.

An adapter has `check`, `submit` and `poll`, `cancel` where the vendor can stop a task, and `prepare` where it
takes files before a submission. It never touches the database, money, time or secrets storage, and downloads
nothing. The engine owns retries, deadlines, storage and settlement.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from modellix_server.base import base64_text
from modellix_server.base.multipart import Part as Part  # noqa: PLC0414 - re-exported
from modellix_server.base.outbound import Answer as Answer  # noqa: PLC0414 - re-exported
from modellix_server.base.outbound import AnswerLost as AnswerLost  # noqa: PLC0414 - re-exported
from modellix_server.base.outbound import NotSent as NotSent  # noqa: PLC0414 - re-exported
from modellix_server.catalogue import Measurement, Route

FileKind = Literal["image", "video", "audio", "vector"]
"""`vector` is an SVG."""

NO_SUCH_THING = "00000000-0000-0000-0000-000000000000"
"""The id of a task that no vendor has."""

QUICK_ANSWER_BYTES = 4_000_000
"""Up to here any number of answers may be in memory; a longer one waits for its turn."""


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file of ours that a vendor gets before the submission that names it."""

    name: str
    """ASCII, with the extension of its format."""
    mime: str
    size: int
    """Bytes."""
    chunks: Callable[[], AsyncIterator[bytes]] = field(repr=False)
    """Reads it, from the beginning each time."""


@dataclass(frozen=True, slots=True)
class Order:
    """One attempt at one task, ready to be translated."""

    attempt: str
    """`task-<hex>-<n>`: ours, unique per POST; sent along where the vendor has room for it."""
    route: Route
    params: Mapping[str, Any]
    """Validated, defaults filled in; media as an https URL, a data URI, or a key of `files`."""
    key: str = field(repr=False)
    """The vendor account's API key."""
    region: str = "intl"
    """Which of the route's model names applies."""
    callback_url: str | None = None
    """Where a vendor that calls back may do so; None where it could not reach us."""
    files: Mapping[str, MediaFile] = field(default_factory=dict)
    """Text in `params` -> the file that `prepare` uploads and puts the vendor's name for in its place."""

    def placed(self) -> Iterator[tuple[str, Any]]:
        """Where each parameter goes in the vendor's body, in the file's order, and its value in the vendor's words."""
        route = self.route
        for name, path in route.to.items():
            if name not in self.params or (name in route.omit and route.omit[name] == self.params[name]):
                continue
            value = self.params[name]
            if name in route.values and isinstance(value, str):
                value = route.values[name].get(value, value)
            yield path, value


class Http(Protocol):
    """HTTP bound to one account's base URL: the vendor's key cannot be sent anywhere else."""

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        form: Sequence[Part] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request, never retried: with a JSON body, a multipart form, or neither.

        Raises NotSent or AnswerLost.
        """
        ...

    async def upload(self, url: str, fields: Mapping[str, str], file: MediaFile) -> Answer:
        """POST a form with a file, as its last part `file`, to where the vendor said: without its key.

        Raises NotSent (Blocked for an address that is neither https nor the account's own) or AnswerLost.
        """
        ...


class UnmappedAnswer(Exception):
    """The vendor said something this adapter does not know; never guessed at.

    On submit it means the outcome is unknown, on poll it is no verdict; either way an alert.
    """

    def __init__(self, upstream: str, what: str, value: object) -> None:
        super().__init__(f"{upstream}: unmapped {what}: {str(value)[:200]}")


class NothingDelivered(UnmappedAnswer):
    """The vendor says that it has finished, and names neither a file nor a failure."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Accepted: the vendor's own task id, to poll with."""

    id: str


@dataclass(frozen=True, slots=True)
class Pending:
    """Not finished. `progress` is 0..1 where the vendor tells it."""

    progress: float | None = None


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of the result, still at the vendor."""

    url: str
    kind: FileKind
    role: str = "primary"


@dataclass(frozen=True, slots=True)
class InlineFile:
    """A file of the result that came inside the answer: nowhere else, and not a second time."""

    data: bytes = field(repr=False)
    kind: FileKind
    role: str = "primary"

    @classmethod
    def of_base64(cls, text: object, kind: FileKind, role: str = "primary") -> InlineFile:
        """The file of base64, in a data URI or alone. Raises ValueError for anything else, and for nothing."""
        data = base64_text.bytes_of(text) if isinstance(text, str) else b""
        if not data:
            raise ValueError("not a file in base64")
        return cls(data, kind, role)


@dataclass(frozen=True, slots=True)
class Done:
    """A definite success: the files, or where they are, and what the vendor says it delivered."""

    files: tuple[RemoteFile | InlineFile, ...]
    measured: Measurement
    request_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    """Small JSON that belongs to the result beside its files, such as the boxes of what was cut out."""


FailureCode = Literal["upstream_refused", "content_rejected", "invalid_input"]


@dataclass(frozen=True, slots=True)
class Failed:
    """A definite refusal or failure; nothing is running at the vendor any more."""

    code: FailureCode
    message: str
    """For the client: the vendor's words, without our account's particulars."""
    unmapped: str | None = None
    """For the operator: the code that this adapter does not know."""


@dataclass(frozen=True, slots=True)
class Busy:
    """The vendor took nothing on, and says so; the engine tries again later with a new attempt.

    `operator` marks a fault of our account (bad key, no credit) that only the operator can mend.
    """

    reason: str
    retry_in_s: float | None = None
    operator: bool = False


Submitted = Ticket | Done | Failed | Busy
Polled = Pending | Done | Failed


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the engine must know about a vendor."""

    idempotency: Literal["key", "client_id", "list_only", "none"]
    """How a lost submission could be found again; with `none` and `list_only` it never is."""
    polls_per_s: float
    """The vendor's limit on status queries, shared by all tasks of an account."""
    first_poll_s: float
    """When to ask first; later polls spread out with the task's age, up to `slowest_poll_s`."""
    slowest_poll_s: float
    origins: Mapping[str, str]
    """Region -> default base URL of the vendor."""
    most_answer_bytes: int = QUICK_ANSWER_BYTES
    """The longest answer to a submission; more than the default only where answers carry files."""
    fetches_links: bool = True
    """Whether the vendor loads media by link itself. If not, all media of an order are data URIs."""


class Upstream(Protocol):
    """One vendor."""

    name: str
    capabilities: Capabilities

    def check(self, route: Route) -> None:
        """Raise ValueError when a model file's route makes no sense here: asked for every route at start."""
        ...

    async def submit(self, order: Order, http: Http) -> Submitted:
        """Ask for the generation, with exactly one POST."""
        ...

    async def poll(self, ticket: str, order: Order, http: Http) -> Polled:
        """Ask once how the task is doing."""
        ...

    async def takes_key(self, order: Order, http: Http) -> bool | None:
        """Ask for something that does not exist, which costs nothing: whether the vendor takes the order's key.

        None for an answer that is none of those that the vendor documents for a good or a bad key.
        """
        ...


@runtime_checkable
class Cancels(Protocol):
    """A vendor that can be asked to stop a task."""

    async def cancel(self, ticket: str, order: Order, http: Http) -> bool:
        """Ask once. True only if the vendor says that the task has stopped and will not be charged."""
        ...


@runtime_checkable
class TakesFiles(Upstream, Protocol):
    """A vendor with storage for inputs: also for those whose models take links and nothing else."""

    async def prepare(self, order: Order, http: Http) -> Order | Busy | Failed:
        """The order with every file of it uploaded and named as the vendor does.

        Nothing is ordered by it and it may be done again. Raises what calls raise, and UnmappedAnswer.
        """
        ...
