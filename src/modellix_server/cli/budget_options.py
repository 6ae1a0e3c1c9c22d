"""Budgets on the command line: of teams and of keys."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from modellix_server.base.money import micros_from_usd, usd
from modellix_server.cli.context import RefusedError

if TYPE_CHECKING:
    from modellix_server.budgets import Budget, BudgetLimit

BudgetAmount = Annotated[str | None, typer.Option("--budget", help="What it may spend in a period, in USD.")]
Reset = Annotated[str, typer.Option(help="When a budget starts again (UTC): none, daily, weekly or monthly.")]


def budget_limit(amount: str | None, reset: str) -> BudgetLimit | None:
    """The budget that the options ask for; None without an amount. Raises RefusedError."""
    from modellix_server.budgets import BudgetLimit

    if amount is None:
        return None
    try:
        return BudgetLimit(micros_from_usd(amount), reset)
    except ValueError as error:
        raise RefusedError(str(error)) from None


def shown_budget(budget: Budget | None) -> dict[str, Any]:
    """A budget as columns."""
    return {
        "budget_usd": usd(budget.amount) if budget else None,
        "reset": budget.period if budget else None,
        "used_usd": usd(budget.used) if budget else None,
        "held_usd": usd(budget.held) if budget else None,
        "resets_at": budget.resets_at if budget else None,
    }
