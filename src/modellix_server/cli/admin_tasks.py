"""Admin commands about tasks: one task's whole story, and what a person should look at."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from modellix_server import tasks
from modellix_server.base.ids import parse_task_name, task_name
from modellix_server.base.money import usd
from modellix_server.cli.context import CommandContext, RefusedError
from modellix_server.ledger import Transfer
from modellix_server.tasks import TaskHistory


async def show(desk: CommandContext, name: str) -> None:
    """Tell one task's story: moves, attempts, the vendor's words, money."""
    task_id = parse_task_name(name)
    story = await tasks.story(desk.db, task_id) if task_id else None
    if story is None:
        raise RefusedError(f"there is no task '{name}'")
    if desk.as_json:
        desk.show(_as_json(story))
        return
    console = Console()
    console.print(_summary(story))
    _print(console, "Moves", story.moves, skip=())
    _print(console, "Attempts", story.attempts, skip=("answer",))
    for attempt in story.attempts:
        if attempt["answer"]:
            console.print(f"\n[bold]The vendor's answer to attempt {attempt['n']}[/bold]")
            console.print(Text(attempt["answer"], "dim"))
    _print(console, "Money", [_transfer(transfer) for transfer in story.transfers], skip=())
    _print(console, "To look at", story.reviews, skip=())


async def list_reviews(desk: CommandContext, limit: int) -> None:
    """Show the latest things a person should look at."""
    found = await tasks.reviews(desk.db, limit)
    desk.show_all(
        [
            {"at": one.at, "task": task_name(one.task_id) if one.task_id else None, "detail": one.detail}
            for one in found
        ],
        none="Nothing to look at.",
    )


def _summary(story: TaskHistory) -> Table:
    task = story.task
    table = Table.grid(padding=(0, 2))
    rows: dict[str, object] = {
        "task": task_name(task["id"]),
        "model": task["model"],
        "mode": "live" if task["live"] else "test",
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


def _as_json(story: TaskHistory) -> dict[str, Any]:
    task = {
        **story.task,
        "id": task_name(story.task["id"]),
        "params": msgspec.json.decode(story.task["params"]),
        "price": msgspec.json.decode(story.task["price"]),
    }
    return {
        "task": task,
        "moves": story.moves,
        "attempts": story.attempts,
        "transfers": [{**_transfer(transfer), "micros": transfer.amount} for transfer in story.transfers],
        "reviews": story.reviews,
    }
