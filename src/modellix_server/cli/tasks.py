"""`admin task`: one task's history, and what a person should look at."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from modellix_server.base.ids import task_name
from modellix_server.base.money import usd
from modellix_server.base.team_mode import mode_word
from modellix_server.cli.command import Limit, command
from modellix_server.cli.context import CommandContext

if TYPE_CHECKING:
    from modellix_server.ledger import Transfer
    from modellix_server.tasks import TaskHistory

app = typer.Typer(help="What became of tasks.", no_args_is_help=True)


@command(app, "show")
async def show(
    context: CommandContext,
    task_id: Annotated[str, typer.Argument(metavar="ID", help="task-…, as its submitter got it.")],
) -> None:
    """Show a task's history: moves, attempts, the vendor's words (without secrets), money."""
    from modellix_server.operations import reviews

    history = await reviews.history(context.operations, context.who, task_id)
    if context.as_json:
        context.show(_as_json(history))
        return
    console = Console()
    console.print(_summary(history))
    _print(console, "Moves", history.moves, skip=())
    _print(console, "Attempts", history.attempts, skip=("answer", "region", "vendor_model"))
    for attempt in history.attempts:
        if attempt["answer"]:
            console.print(f"\n[bold]The vendor's answer to attempt {attempt['n']}[/bold]")
            console.print(Text(attempt["answer"], "dim"))
    _print(console, "Money", [_transfer(transfer) for transfer in history.transfers], skip=())
    _print(console, "To look at", history.reviews, skip=())


@command(app, "review")
async def review(context: CommandContext, limit: Limit = 50) -> None:
    """Show what a person should look at: unknown outcomes, odd measurements, unknown words of vendors."""
    from modellix_server.operations import reviews

    context.show_all(
        [
            {"at": one.at, "task": task_name(one.task_id) if one.task_id else None, "detail": one.detail}
            for one in await reviews.list_all(context.operations, context.who, limit)
        ],
        none="Nothing to look at.",
    )


def _summary(history: TaskHistory) -> Table:
    task = history.task
    table = Table.grid(padding=(0, 2))
    rows: dict[str, object] = {
        "task": task_name(task["id"]),
        "model": task["model"],
        "mode": mode_word(live=task["live"]),
        "team, key": f"{task['team_id']}, {task['key_id']}",
        "request": task["request_id"] or "-",
        "state": task["state"],
        "created": f"{task['created_at']:%Y-%m-%d %H:%M:%S.%f}",
        "finished": f"{task['finished_at']:%Y-%m-%d %H:%M:%S.%f}" if task["finished_at"] else "-",
        "quoted, captured": f"{usd(task['quote'])}, {'-' if task['captured'] is None else usd(task['captured'])} USD",
        "error": f"{task['error_code']}: {task['error_message']}" if task["error_code"] else "-",
        "input": task["params"],
    }
    for name, value in rows.items():
        table.add_row(Text(name, "dim"), Text(str(value)))
    return table


def _print(console: Console, title: str, rows: list[dict[str, Any]], skip: tuple[str, ...]) -> None:
    if not rows:
        return
    names = [name for name in rows[0] if name not in skip]
    table = Table(*names, title=title, title_justify="left", title_style="bold")
    for row in rows:
        table.add_row(*(Text(_cell(row[name])) for name in names))
    console.print()
    console.print(table)


def _cell(value: object) -> str:
    if isinstance(value, datetime):
        return f"{value:%H:%M:%S.%f}"[:-3]
    return "-" if value is None else str(value)


def _transfer(transfer: Transfer) -> dict[str, Any]:
    return {
        "at": transfer.at,
        "kind": transfer.kind,
        "from": transfer.debit,
        "to": transfer.credit,
        "usd": usd(transfer.amount),
        "key": transfer.key_id,
    }


def _as_json(history: TaskHistory) -> dict[str, Any]:
    import msgspec

    task = {
        **history.task,
        "id": task_name(history.task["id"]),
        "params": msgspec.json.decode(history.task["params"]),
        "price": msgspec.json.decode(history.task["price"]),
    }
    return {
        "task": task,
        "moves": history.moves,
        "attempts": history.attempts,
        "transfers": [{**_transfer(transfer), "micros": transfer.amount} for transfer in history.transfers],
        "reviews": history.reviews,
    }
