"""What commands print: results on standard output, everything about them on standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec

from modellix import errors

if TYPE_CHECKING:
    from rich.console import Console

_GAP, _NARROW, _PIPED = 2, 10, 400
"""Widths: between columns; too little to cut the last one; of what is no terminal."""
_STYLES = {"success": "green", "failed": "red", "pending": "yellow"}


@cache
def console(*, error: bool = False) -> Console:
    """Where to print tables and progress. Loaded when it is needed, as it takes its time."""
    from rich.console import Console

    made = Console(stderr=error, highlight=False)
    return made if made.is_terminal else Console(stderr=error, highlight=False, width=_PIPED)


def note(text: str) -> None:
    """A line about what happens."""
    click.echo(text, err=True)


def bold(text: str) -> str:
    """The text, to be noticed."""
    return click.style(text, bold=True)


def dim(text: str) -> str:
    """The text, for who wants to know more."""
    return click.style(text, dim=True)


def as_json(value: Any) -> None:
    """The result for a program: one JSON document."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def as_json_line(value: Any) -> None:
    """One of many results for a program, at once: JSON Lines."""
    click.echo(msgspec.json.encode(value).decode())
    sys.stdout.flush()


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = (), cut: bool = False
) -> None:
    """A table for people; columns named in `right` hold numbers.

    The last column takes the width of the terminal that is left, and is wrapped there, or with `cut` cut off.
    """
    from rich.table import Table
    from rich.text import Text

    cells = [[Text(cell, style=_STYLES.get(cell, "")) for cell in row] for row in rows]
    made = Table(box=None, header_style="bold dim", padding=(0, _GAP, 0, 0), pad_edge=False, show_header=any(columns))
    widths = [max(len(name), *(row[number].cell_len for row in cells), 0) for number, name in enumerate(columns)]
    out = console()
    left = out.width - sum(widths[:-1]) - _GAP * (len(columns) - 1)
    cut = cut and left >= _NARROW
    for number, name in enumerate(columns):
        justify: Literal["left", "right"] = "right" if name in right else "left"
        last = number == len(columns) - 1
        made.add_column(name, justify=justify, no_wrap=cut or not number, max_width=left if cut and last else None)
    for row in cells:
        made.add_row(*row)
    out.print(made)


def usd(amount: float | None) -> str:
    """An amount of money, without zeros at the end."""
    return "-" if amount is None else f"{amount:.6f}".rstrip("0").rstrip(".") + " USD"


def moment(at: datetime | None) -> str:
    """A time, in the zone of the reader."""
    return "-" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M")


def about(error: errors.ModellixError) -> dict[str, Any]:
    """An error for a program: what there is of its parts."""
    names = ("code", "category", "task_id", "request_id", "docs_url", "retry_after_s")
    parts = {name: getattr(error, name, None) for name in names}
    told = {"error": type(error).__name__, "message": error.message}
    return told | {name: part for name, part in parts.items() if part}


def show_error(error: errors.ModellixError, *, json: bool) -> None:
    """An error, and what to do about it."""
    if json:
        as_json(about(error))
        return
    note(f"{click.style('Error:', fg='red', bold=True)} {error.message}")
    told = about(error)
    if isinstance(error, errors.TimedOut):
        note(f"  it goes on: {bold(f'modellix wait {error.task_id}')}")
    elif error.task_id and error.task_id not in error.message:
        note(f"  task        {error.task_id}")
    if "request_id" in told:
        note(f"  request     {told['request_id']}")
    if "docs_url" in told:
        note(f"  see         {told['docs_url']}")
