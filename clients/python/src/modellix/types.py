"""What the API answers, as typed objects. Money is in USD; times are with their zone.

Fields that a later version adds are left out. A test compares these types with the API's own description (OpenAPI).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct


class Resource(Struct, frozen=True, kw_only=True):
    """One file of a result."""

    url: str
    """Signed public link, until the result expires."""
    type: str
    """`image`, `video` or `audio`."""
    width: int | None
    height: int | None
    format: str
    """Extension of the file name."""
    role: str
    size: int
    """Bytes."""
    duration: float | None
    """Seconds; None for images."""


class Extensions(Struct, frozen=True, kw_only=True):
    """When a task began and ended."""

    submit_time: datetime
    end_time: datetime


class Result(Struct, frozen=True, kw_only=True):
    """What a task delivered."""

    resources: list[Resource]
    metadata: dict[str, Any]
    extensions: Extensions


class Billing(Struct, frozen=True, kw_only=True):
    """What a task cost."""

    amount: float


class Failure(Struct, frozen=True, kw_only=True):
    """Why a task failed."""

    code: str
    message: str


class TaskState(Struct, frozen=True, kw_only=True):
    """A task as the API tells it; what is not there yet is None."""

    status: str
    """`pending`, `success` or `failed`."""
    task_id: str
    model_id: str
    """Without its provider."""
    duration: int | None = None
    """Milliseconds until the end, or those that the acceptance took."""
    stage: str | None = None
    """In events, while pending: `queued`, `running` or `storing`."""
    queue_position: int | None = None
    """With `queue=True`: 1 is the next to start."""
    result: Result | None = None
    billing: Billing | None = None
    error: Failure | None = None
    result_expires_at: datetime | None = None


class TaskEvent(Struct, frozen=True, kw_only=True):
    """Something that happened to a task."""

    name: str
    """`status`, `queue` or `progress`."""
    status: str = "pending"
    stage: str | None = None
    queue_position: int | None = None
    progress: float | None = None
    """From 0 to 1; few vendors report it."""


class ListedTask(Struct, frozen=True, kw_only=True):
    """A row of the list of tasks."""

    task_id: str
    model: str
    status: str
    key_id: int | None
    key_name: str | None
    submit_time: datetime
    end_time: datetime | None
    duration: int | None
    """Milliseconds."""
    quote: float
    """The most that it can cost."""
    cost: float
    error_code: str | None
    error_message: str | None
    input: dict[str, Any]


class Price(Struct, frozen=True, kw_only=True):
    """Price of one image or one second: `fixed`, or from `min` to `max`."""

    unit: str
    """`$/img` or `$/sec`."""
    fixed: float | None = None
    min: float | None = None
    max: float | None = None


class Model(Struct, frozen=True, kw_only=True):
    """A model of the catalogue."""

    slug: str
    """`provider/id`."""
    type: str
    """Such as `text-to-image`."""
    provider: str
    description: str
    docs_url: str
    name: str
    """For people."""
    price_usd: float | None
    """The lowest price of an image or a second; None if unpriced."""
    retires: str | None
    """A day, when the vendor is said to retire the model."""
    featured: bool
    """One of the few to begin with."""
    price: Price | None = None
    """None if unpriced."""


class TierPrice(Struct, frozen=True, kw_only=True):
    """Price of a unit under some parameters."""

    tier: str
    unit: str
    usd: float | None
    """None: unpriced, and refused in live mode."""


class Submit(Struct, frozen=True, kw_only=True):
    """How a task is submitted by hand."""

    method: str
    url: str


class ModelDetails(Model, frozen=True, kw_only=True):
    """One model with what it takes."""

    schema: dict[str, Any]
    """JSON Schema (2020-12) of the parameters."""
    prices: list[TierPrice]
    deadline_s: int
    """A task that has not ended by then fails and costs nothing."""
    example: dict[str, Any]
    """Parameters that work unchanged in test mode."""
    submit: Submit


class Quote(Struct, frozen=True, kw_only=True):
    """What a task would hold: the most that it can cost."""

    model: str
    cost: float
    cost_micros: int
    """The same in micro-dollars."""
    unit: str
    unit_cost: float
    units: float
    """Images, or seconds."""
    tier: str


class UploadedFile(Struct, frozen=True, kw_only=True):
    """A file for use as an input; its `file_id` stands where a link would."""

    file_id: str
    type: str
    url: str
    filename: str
    size: int
    created_at: int
    """Unix milliseconds."""
    expires_at: int
    """Unix milliseconds."""


class KeyLimits(Struct, frozen=True, kw_only=True):
    """Requests a minute, and unfinished tasks."""

    requests_per_minute: int
    team_requests_per_minute: int
    team_running_tasks: int


class Budget(Struct, frozen=True, kw_only=True):
    """What may be spent in a period, and what was."""

    amount: float
    period: str
    used: float
    held: float
    left: float
    resets_at: datetime | None


class Key(Struct, frozen=True, kw_only=True):
    """What the API key itself may do, and what it has spent."""

    id: int
    name: str
    tag: str | None
    """What keys that belong together share."""
    mode: str
    """`live` or `test`."""
    looks_like: str
    """Its first and last characters."""
    created_at: datetime
    expires_at: datetime | None
    models: list[str] | None
    types: list[str] | None
    limits: KeyLimits
    budget: Budget | None
    team_budget: Budget | None


class Transfer(Struct, frozen=True, kw_only=True):
    """A transfer of money in the ledger."""

    id: int
    at: datetime
    kind: str
    debit: str
    credit: str
    amount: float
    amount_micros: int
    task_id: str | None
    key_id: int | None
    note: str | None


class Usage(Struct, frozen=True, kw_only=True):
    """Number and cost of the tasks of a day, a model, a key, a member or a tag."""

    succeeded: int
    failed: int
    cost: float
    day: str | None = None
    model: str | None = None
    key_id: int | None = None
    key_name: str | None = None
    member_id: str | None = None
    member_name: str | None = None
    tag: str | None = None


class Call(Struct, frozen=True, kw_only=True):
    """One request to the API, as the request log has it."""

    at: datetime
    method: str
    path: str
    status: int
    code: str | None
    latency_ms: float | None
    bytes_in: int | None
    bytes_out: int | None
    model: str | None
    key_id: int | None
    key_name: str | None
    task_id: str | None
    task_status: str | None
    task_duration: int | None
    cost: float | None
    input: Any
    output: Any
    request_id: str | None
