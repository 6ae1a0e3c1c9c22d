"""`python -m bench`: run the benchmark on this machine."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import platform
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
from rich.console import Console
from rich.status import Status

from bench import (
    against,
    catalogue,
    execution,
    following,
    large,
    lists,
    pages,
    programs,
    report,
    requests,
    searches,
    tasks,
)
from bench.figures import Figure
from bench.load import CONNECTIONS, require_wrk
from bench.programs import CannotMeasureError
from bench.requests import Extent, Say
from bench.stage import Stage, open_stage

Part = Callable[[Stage, Extent, Say], Awaitable[dict[str, Figure]]]

PARTS: dict[str, Part] = {
    "catalogue": catalogue.measure,
    "whole": tasks.measure_whole,  # first: PostgreSQL still cleans up for a while after the big tables of `requests`
    "in-flight": tasks.measure_in_flight,
    "workers": execution.measure,
    "large": large.measure,
    "requests": requests.measure,
    "streams": following.measure_streams,
    "queue-positions": following.measure_queue_positions,
    "webhooks": following.measure_webhooks,
    "lists": lists.measure,
    "pages": pages.measure,
    "searches": searches.measure,
}
FULL = Extent(rounds=3, seconds=4, tasks=10_000, in_flight=10_000)
QUICK = Extent(rounds=1, seconds=2, tasks=3_000, in_flight=3_000)
_LAST = programs.HERE / "out" / "last.json"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("bench", description="Measure the running platform on this machine.")
    parser.add_argument("--quick", action="store_true", help="one short round, fewer tasks")
    parser.add_argument(
        "--only", action="extend", type=_parts, metavar="PART,...", help=f"only these parts of {', '.join(PARTS)}"
    )
    parser.add_argument("--rounds", type=int, help="so many rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"also write the figures here (always: {_LAST})")
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="compare with another checkout, in turns")
    parser.add_argument("--runs", type=int, default=1, help="of --against: runs of both (1)")
    return parser.parse_args()


def _parts(text: str) -> list[str]:
    parts = text.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        raise argparse.ArgumentTypeError(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return parts


async def _run(parts: list[str], extent: Extent, console: Console) -> tuple[dict[str, str], dict[str, Figure]]:
    figures: dict[str, Figure] = {}
    with console.status("starting PostgreSQL") as status:
        async with open_stage() as stage:
            about = {
                "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
                "postgresql": (settings := await stage.about()).pop("server_version"),
                **settings,
                "cores": str(os.cpu_count()),
                "load before": f"{os.getloadavg()[0]:.1f}",
                "python": platform.python_version(),
                "connections": str(CONNECTIONS),
            }
            for name in parts:
                figures |= await PARTS[name](stage, extent, partial(_say, status, name))
    return about, figures


def _say(status: Status, part: str, text: str) -> None:
    status.update(f"{part}: {text}")


def _compare(arguments: argparse.Namespace, console: Console) -> None:
    options = ["--quick"] if arguments.quick else []
    options += [f"--rounds={arguments.rounds}"] if arguments.rounds else []
    options += [option for part in arguments.only or () for option in ("--only", part)]
    checkouts = programs.HERE.parent, arguments.against.resolve()
    with console.status("starting") as status:
        compared = against.compare(checkouts, options, arguments.runs, status.update)
    against.show(console, compared)
    if arguments.json:
        arguments.json.write_bytes(msgspec.json.format(msgspec.json.encode(compared), indent=2))


def _measure(arguments: argparse.Namespace, console: Console) -> None:
    extent = QUICK if arguments.quick else FULL
    extent = replace(extent, rounds=arguments.rounds or extent.rounds)
    about, figures = asyncio.run(_run(arguments.only or list(PARTS), extent, console))
    report.show(console, about, figures)
    _LAST.parent.mkdir(exist_ok=True)
    for file in {_LAST, arguments.json} - {None}:
        file.write_bytes(report.as_json(about, figures))


def main() -> None:
    """Measure, show, and keep the figures; ends with 1 when the run could not be made."""
    arguments = _arguments()
    console = Console()
    try:
        require_wrk()
        (_compare if arguments.against else _measure)(arguments, console)
    except CannotMeasureError as error:
        console.print(f"[red]Error:[/red] {error}", highlight=False)
        sys.exit(1)


if __name__ == "__main__":
    main()
