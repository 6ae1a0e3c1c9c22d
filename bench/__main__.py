"""`python -m bench`: run the benchmark on this machine."""

from __future__ import annotations

import argparse
import asyncio
import datetime
import os
import platform
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.status import Status

from bench import catalogue, following, large, lists, programs, report, requests, tasks
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
    "workers": requests.measure_with_workers,
    "large": large.measure,
    "requests": requests.measure,
    "streams": following.measure_streams,
    "places": following.measure_places,
    "webhooks": following.measure_webhooks,
    "lists": lists.measure,
}
FULL = Extent(rounds=3, seconds=4, tasks=10_000, in_flight=10_000)
QUICK = Extent(rounds=1, seconds=2, tasks=3_000, in_flight=3_000)
_LAST = programs.HERE / "out" / "last.json"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("bench", description="Measure the running platform on this machine.")
    parser.add_argument("--quick", action="store_true", help="about a minute: one short round, fewer tasks")
    parser.add_argument("--only", action="append", choices=PARTS, help="measure this part only; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help=f"also write the figures here (always: {_LAST})")
    return parser.parse_args()


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


def main() -> None:
    """Measure, show, and keep the figures; ends with 1 when the run could not be made."""
    arguments = _arguments()
    console = Console()
    try:
        require_wrk()
        extent = QUICK if arguments.quick else FULL
        about, figures = asyncio.run(_run(arguments.only or list(PARTS), extent, console))
    except CannotMeasureError as error:
        console.print(f"[red]Error:[/red] {error}", highlight=False)
        sys.exit(1)
    report.show(console, about, figures)
    _LAST.parent.mkdir(exist_ok=True)
    for file in {_LAST, arguments.json} - {None}:
        file.write_bytes(report.as_json(about, figures))


if __name__ == "__main__":
    main()
