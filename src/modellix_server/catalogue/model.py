"""A model: what it takes, where it runs, what it costs."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from modellix_server.base.money import usd_number
from modellix_server.catalogue.check import Checker
from modellix_server.catalogue.media import MediaInput
from modellix_server.catalogue.price import Prices, PriceTable, Quote


class Route(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One upstream that runs the model, and how our parameters map to its body. A `[[route]]` of a model file."""

    upstream: str
    """Name of the adapter, such as `dashscope`."""
    models: dict[str, str]
    """Region of the vendor account -> name of the model there; an absent region does not offer it."""
    wire: dict[str, Any]
    """Settings of the adapter (endpoint, mode, result path …); only the adapter knows the keys."""
    to: dict[str, str]
    """Our parameter -> its path in the vendor's body, such as `parameters.size`."""
    values: dict[str, dict[str, Any]] = {}
    """Our parameter -> our value -> the value the vendor wants instead."""
    omit: dict[str, Any] = {}
    """Our parameter -> the value that is equivalent to leaving it out, and is left out."""
    constants: dict[str, Any] = {}
    """Path in the vendor's body -> value that is always sent."""


ModelType = Literal["text-to-image", "image-to-image", "text-to-video", "image-to-video", "video-to-video"]


class Retirement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When the vendor retires the model, and how certain that is."""

    date: datetime.date
    verified: bool
    """The vendor itself says so."""
    source: str


class Confidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How well the facts of a model file are known."""

    id: Literal["confirmed", "inferred"]
    inputs: str
    price: str


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """One entry of the catalogue, compiled and ready."""

    slug: str
    """`provider/id`, the name in URLs; case-sensitive."""
    provider: str
    id: str
    docs_slug: str
    """The page name in the docs, and an alias of `id`."""
    featured: bool
    """One of the few to begin with, of its kind."""
    type: ModelType
    name: str
    summary: str
    schema: Mapping[str, Any]
    """JSON Schema (2020-12) of the request body, fit to publish."""
    media: tuple[MediaInput, ...]
    routes: tuple[Route, ...]
    price: PriceTable
    deadline_s: int
    """Published: a task unfinished this long after accept fails and costs nothing."""
    submit_deadline_s: int
    """How long one submission to the vendor may take before its outcome counts as unknown."""
    retires: Retirement | None
    example: Mapping[str, Any]
    """A body that the model takes, with links to our samples."""
    more: tuple[Mapping[str, Any], ...]
    """Further example bodies."""
    confidence: Confidence
    checker: Checker = field(repr=False)

    def check(self, body: object) -> dict[str, Any]:
        """The parameters with every default filled in.

        Raises InvalidFormat, MissingParameter, InvalidParameters or OutOfRange.
        """
        return self.checker.check(body)

    def quote(self, params: Mapping[str, Any], prices: Prices | None, *, live: bool) -> Quote:
        """The price of parameters that `check` returned. Raises Unpriced in live mode."""
        return self.price.quote(params, prices, live=live)

    def listing(self, prices: Prices | None = None) -> dict[str, Any]:
        """The public entry of `GET /models`; `docs_path` is to be completed with the docs origin."""
        entry: dict[str, Any] = {
            "slug": self.slug,
            "type": self.type,
            "provider": self.provider,
            "name": self.name,
            "description": self.summary,
            "docs_path": f"{self.provider}/{self.docs_slug}",
            "price_usd": None,
            "retires": self.retires.date.isoformat() if self.retires else None,
            "featured": self.featured,
        }
        if limits := self.price.range(prices):
            low, high = map(usd_number, limits)
            unit = {"unit": "$/img" if self.price.unit == "image" else "$/sec"}
            entry["price_usd"] = low
            entry["price"] = {"fixed": low, **unit} if low == high else {"min": low, "max": high, **unit}
        return entry
