"""All SQL of the prices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from modellix_server.base.database import Connection, Pool
from modellix_server.base.errors import InvalidParameters
from modellix_server.catalogue import Adjustment, Prices

_ALL = "*"


@dataclass(frozen=True, slots=True)
class Price:
    """The operator's latest price of a cell; both numbers None: cleared."""

    version: int
    model: str | None
    """None: every model."""
    tier: str | None
    """None: every tier."""
    unit_micros: int | None
    """Price of one image or second, in place of the list price."""
    margin_bp: int | None
    """On top of the list price, in hundredths of a percent; negative is a discount."""
    created_at: datetime
    created_by: str


async def set_price(
    db: Pool | Connection,
    model: str | None,
    tier: str | None,
    *,
    actor: str,
    unit_micros: int | None = None,
    margin_bp: int | None = None,
) -> int:
    """Price a cell by amount or by margin, or clear its price when neither is given; returns the new version.

    None as model or tier means all of them. Raises InvalidParameters for what cannot be a price.
    """
    try:
        version: int = await db.fetchval(
            "select pricing.set_price($1, $2, $3, $4, $5)",
            _ALL if model is None else model,
            _ALL if tier is None else tier,
            unit_micros,
            margin_bp,
            actor,
        )
    except asyncpg.CheckViolationError:
        raise InvalidParameters(
            "a price is an amount of at least 0, or a margin from -100 % to +10000 %; for all models, a margin"
        ) from None
    return version


async def list_prices(db: Pool | Connection) -> list[Price]:
    """The latest price of every cell that has one, by model and tier."""
    rows = await db.fetch(
        """select distinct on (model, tier) version, nullif(model, '*'), nullif(tier, '*'),
                  unit_micros, margin_bp, created_at, created_by
           from pricing.price order by model, tier, version desc"""
    )
    return [Price(*row) for row in rows]


async def history(
    db: Pool | Connection, *, limit: int, before: int | None = None, model: str | None = None
) -> list[Price]:
    """What was said about prices, the newest first, or before a version; of one model (`*`: of all) if it is named."""
    rows = await db.fetch(
        """select version, nullif(model, '*'), nullif(tier, '*'), unit_micros, margin_bp, created_at, created_by
           from pricing.price where ($2::bigint is null or version < $2) and ($3::text is null or model = $3)
           order by version desc limit $1""",
        limit,
        before,
        model,
    )
    return [Price(*row) for row in rows]


async def lock(tx: Connection) -> None:
    """Let nobody else change prices until this transaction ends."""
    await tx.execute("select pg_advisory_xact_lock(hashtext('pricing.price'))")


async def book(db: Pool | Connection) -> Prices:
    """The operator's prices as the catalogue takes them; version 0 when there are none."""
    return prices_of(await list_prices(db))


def prices_of(rows: list[Price]) -> Prices:
    """The latest price of every cell as the catalogue takes them."""
    return Prices(
        version=max((row.version for row in rows), default=0),
        adjustments={
            (row.model, row.tier): Adjustment(price_micros=row.unit_micros, margin_bp=row.margin_bp or 0)
            for row in rows
            if row.unit_micros is not None or row.margin_bp is not None
        },
    )
