"""`admin price`: the operator's prices over the catalogue's list prices."""

from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer

from modellix_server.base.money import exact_product, micros_from_usd, usd
from modellix_server.cli.command import command
from modellix_server.cli.context import CommandContext, RefusedError

app = typer.Typer(help="Your prices over the catalogue's list prices.", no_args_is_help=True)

ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="provider/id, or '*' for every model.")]
TierName = Annotated[str | None, typer.Option("--tier", help="Only this tier of the model.")]
_EVERY_MODEL = "*"


@command(app, "set")
async def set_price(
    context: CommandContext,
    model: ModelName,
    tier: TierName = None,
    amount: Annotated[str | None, typer.Option("--usd", help="Price of one image or second in USD.")] = None,
    factor: Annotated[str | None, typer.Option(help="Times the list price, such as 1.2.")] = None,
) -> None:
    """Price a model. New requests pay it within 2 s; accepted tasks keep their quote."""
    from modellix_server.operations import prices

    if (amount is None) == (factor is None):
        raise RefusedError("say the price with either --usd or --factor")
    unit_micros = None if amount is None else _micros(amount)
    margin_bp = None if factor is None else _margin_bp(factor)
    version = await prices.set_price(
        context.operations, context.who, _slug(model), tier, unit_micros=unit_micros, margin_bp=margin_bp
    )
    context.show({"version": version, "model": model, "tier": tier, "price": _price(unit_micros, margin_bp)})


@command(app, "clear")
async def clear(context: CommandContext, model: ModelName, tier: TierName = None) -> None:
    """Take back what `price set` said about a model or a tier."""
    from modellix_server.operations import prices

    version = await prices.clear(context.operations, context.who, _slug(model), tier)
    context.show({"version": version, "model": model, "tier": tier, "price": _price(None, None)})


@command(app, "list")
async def list_all(context: CommandContext) -> None:
    """Show your prices and margins."""
    from modellix_server.operations import prices

    context.show_all(
        [
            {
                "version": row.version,
                "model": row.model or _EVERY_MODEL,
                "tier": row.tier,
                "price": _price(row.unit_micros, row.margin_bp),
                "unit_micros": row.unit_micros,
                "margin_bp": row.margin_bp,
                "created_at": row.created_at,
                "created_by": row.created_by,
            }
            for row in await prices.list_all(context.operations, context.who)
        ],
        none="List prices everywhere.",
    )


def _slug(model: str) -> str | None:
    return None if model == _EVERY_MODEL else model


def _micros(text: str) -> int:
    try:
        return micros_from_usd(text)
    except ValueError as error:
        raise RefusedError(str(error)) from None


def _margin_bp(text: str) -> int:
    try:
        factor_bp = exact_product(text, 10_000)
    except InvalidOperation:
        raise RefusedError(f"not a factor: {text!r}") from None
    if factor_bp is None:
        raise RefusedError(f"a factor is a number with at most four decimals: {text!r}")
    return factor_bp - 10_000


def _price(unit_micros: int | None, margin_bp: int | None) -> str:
    if unit_micros is not None:
        return f"{usd(unit_micros)} USD"
    if margin_bp is not None:
        return f"list price x {1 + Decimal(margin_bp) / 10_000}"
    return "as without this line"
