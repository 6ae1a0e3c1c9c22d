"""What a task costs: list prices, the quote frozen at accept, and the charge for what was delivered.

Money is integer micro-dollars, video time integer milliseconds. Every rounding goes up, once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from modellix_server.base.errors import Unavailable
from modellix_server.base.money import ceil_div
from modellix_server.catalogue.inputs import given

Unit = Literal["image", "second"]

NOMINAL_MICROS = 10_000
"""Test money charged per unit where a cell has no price; such a cell is refused in live mode."""

_RETRY_S = 60
"""`Retry-After` of a refusal that only an operator can resolve."""

ABSURD = 10
"""A measurement more than this many times the quoted units is rejected as impossible."""


class Unpriced(Unavailable):
    """The operator has not priced this cell: the caller cannot resolve it, and nothing was charged."""

    code = "unpriced"


class ImpossibleMeasurement(ValueError):
    """What the upstream claims to have delivered is impossible; it needs a review."""


class Measurement(msgspec.Struct, frozen=True):
    """What an upstream says it delivered; None where it does not apply."""

    images: int | None = None
    milliseconds: int | None = None
    """Billable time of the delivered video."""
    input_milliseconds: int | None = None
    """Billable time of the input video, which the result cannot confirm."""


class Quote(msgspec.Struct, frozen=True):
    """The price promised at accept; frozen into the task and never recomputed."""

    amount_micros: int
    """The hold, and the most that can be charged."""
    unit: Unit
    unit_micros: int
    """Price of one image or of one second."""
    units: int
    """The most that can be delivered: images, or milliseconds of video."""
    tier: str
    price_version: int
    """Version of the operator's price table; 0 is the catalogue's list alone."""


@dataclass(frozen=True, slots=True)
class Adjustment:
    """The operator's price or margin for one or more cells."""

    price_micros: int | None = None
    """Replaces the list price; None keeps it."""
    margin_bp: int = 0
    """Added on top, in hundredths of a percent; negative is a discount, -10000 is free."""

    def __post_init__(self) -> None:
        if self.price_micros is not None and self.price_micros < 0:
            raise ValueError("a price cannot be negative")
        if self.margin_bp < -10_000:
            raise ValueError("a discount cannot exceed 100 %")

    def apply(self, list_micros: int | None) -> int | None:
        """The price of one unit after override and margin; None when there is still no price."""
        base = list_micros if self.price_micros is None else self.price_micros
        return None if base is None else ceil_div(base * (10_000 + self.margin_bp), 10_000)


_AS_LISTED = Adjustment()


@dataclass(frozen=True, slots=True)
class Prices:
    """One version of the operator's price table.

    Keys are (model slug, tier); None stands for every model or every tier. The most specific key
    wins as a whole: (slug, tier), then (slug, None), then (None, None).
    """

    version: int
    adjustments: Mapping[tuple[str | None, str | None], Adjustment] = field(default_factory=dict)

    def of(self, slug: str, tier: str) -> Adjustment:
        """What applies to one tier of one model."""
        found = self.adjustments
        return found.get((slug, tier)) or found.get((slug, None)) or found.get((None, None)) or _AS_LISTED


@dataclass(frozen=True, slots=True)
class Tier:
    """One cell of a price table."""

    label: str
    micros: int | None
    """List price of one unit; None is explicitly unpriced."""
    units: str | None = None
    """The parameter that sizes the hold: images, or seconds."""
    most: int = 1
    """The hold's images or seconds where there is no such parameter, or where it is 0 or less."""
    also: int = 0
    """Seconds of input held on top."""


@dataclass(frozen=True, slots=True)
class PriceTable:
    """The list prices of a model, complete for every allowed combination of `by`."""

    slug: str
    unit: Unit
    by: tuple[str, ...]
    """The parameters that choose the tier by their value."""
    given: tuple[str, ...]
    """Those that choose it by their presence."""
    tiers: tuple[Tier, ...]
    cells: Mapping[tuple[Any, ...], Tier]
    """Values of `by`, then whether each of `given` is present -> tier."""

    def quote(self, params: Mapping[str, Any], prices: Prices | None, *, live: bool) -> Quote:
        """The price of checked parameters; raises Unpriced in live mode where there is no price."""
        key = [params[name] for name in self.by]
        if self.given:
            key += [given(params, name) for name in self.given]
        tier = self.cells[tuple(key)]
        micros = self._unit_micros(tier, prices)
        if micros is None:
            if live:
                raise Unpriced(f"model '{self.slug}' has no price for '{tier.label}' yet", retry_after_s=_RETRY_S)
            micros = NOMINAL_MICROS
        units = tier.most if tier.units is None or params[tier.units] < 1 else params[tier.units]
        units += tier.also
        if self.unit == "second":
            units *= 1000
        return Quote(
            amount_micros=_amount(self.unit, micros, units),
            unit=self.unit,
            unit_micros=micros,
            units=units,
            tier=tier.label,
            price_version=prices.version if prices else 0,
        )

    def range(self, prices: Prices | None = None) -> tuple[int, int] | None:
        """Lowest and highest price of one unit in micro-dollars; None when no tier has one."""
        known = [m for m in (self._unit_micros(tier, prices) for tier in self.tiers) if m is not None]
        return (min(known), max(known)) if known else None

    def _unit_micros(self, tier: Tier, prices: Prices | None) -> int | None:
        return tier.micros if prices is None else prices.of(self.slug, tier.label).apply(tier.micros)


def capture(quote: Quote, measured: Measurement) -> int:
    """The charge in micro-dollars for what was delivered, at the frozen price, never above the quote.

    A measurement above the order is charged as ordered, and nothing costs nothing. Raises ImpossibleMeasurement for a
    missing or negative one, for the wrong unit, and for more than ten times the order: those need a review.
    """
    units = measured.images if quote.unit == "image" else measured.milliseconds
    if units is None:
        raise ImpossibleMeasurement(f"no {quote.unit}s were measured")
    if quote.unit == "second" and measured.input_milliseconds:
        units += measured.input_milliseconds
    if not 0 <= units <= quote.units * ABSURD:
        raise ImpossibleMeasurement(f"{units} measured where at most {quote.units} were ordered")
    return min(_amount(quote.unit, quote.unit_micros, units), quote.amount_micros)


def _amount(unit: Unit, unit_micros: int, units: int) -> int:
    return unit_micros * units if unit == "image" else ceil_div(unit_micros * units, 1000)
