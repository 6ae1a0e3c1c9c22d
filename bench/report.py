"""What is asked of the figures, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from rich.console import Console
from rich.table import Table

from bench.figures import Figure

Figures = Mapping[str, Figure]

_HEADINGS = {
    "catalogue_load": "all models read at a start",
    "catalogue_check": "the slowest check of a model's example",
    "proxy": "bare ASGI + aiohttp proxy (control)",
    "submit_hot": "submissions, one hot team",
    "submit_many": "submissions, 200 teams",
    "pgbench_hot": "pgbench, same function, one each, one hot team",
    "pgbench_many": "pgbench, same function, one each, 200 teams",
    "read_pending": "status reads, pending tasks",
    "read_finished": "status reads, finished tasks",
    "half_load_p99": "p99 of a submission at half load",
    "serve_rss": "memory of the API process after the load",
    "submit_with_workers": "submissions, one hot team, a worker running",
    "steady_p99": "p99 from accept to success, steady stream",
    "whole_tasks": "whole tasks, full queue, one worker",
    "small_alone": "p99 of small submissions, alone",
    "small_beside": "p99 of small submissions, beside 20 edits of 10 MB",
    "memory_in_flight": "worker memory, a task in flight",
    "recovery_cold": "kill -9 of the worker, new one started",
    "list_page": "the slowest page of a list of a million rows",
    "recovery_warm": "kill -9 of the worker, another one running",
    "idle_stream": "memory of the API, an idle event stream",
    "place_event": "CPU of the API, telling a follower its place in the queue",
    "news_p99": "p99 from the vendor's answer to the event at the client",
    "webhooks": "webhooks delivered, beside a dead endpoint",
}


@dataclass(frozen=True)
class Target:
    """One promise about speed."""

    what: str
    needs: tuple[str, ...]
    reckon: Callable[[Figures], float]
    bound: float
    unit: str
    at_least: bool = True

    def met(self, value: float) -> bool:
        """Whether the value keeps the promise."""
        return value >= self.bound if self.at_least else value <= self.bound


def _ratio(over: str, under: str) -> Callable[[Figures], float]:
    return lambda figures: figures[over].value / figures[under].value


def _value(name: str) -> Callable[[Figures], float]:
    return lambda figures: figures[name].value


def _reads(figures: Figures) -> float:
    slower = min(figures["read_pending"].value, figures["read_finished"].value)
    return slower / figures["submit_hot"].value


_READS = ("read_pending", "read_finished", "submit_hot")


def _times(what: str, over: str, under: str, bound: float) -> Target:
    return Target(f"{what} / {_HEADINGS[under]}", (over, under), _ratio(over, under), bound, "x")


def _under(what: str, name: str, bound: float, unit: str) -> Target:
    return Target(what, (name,), _value(name), bound, unit, at_least=False)


TARGETS = (
    _times("hot-team submissions", "submit_hot", "proxy", 1),
    _times("hot-team submissions", "submit_hot", "pgbench_hot", 4),
    _times("many-team submissions", "submit_many", "pgbench_many", 0.8),
    Target("the slower status reads / hot-team submissions", _READS, _reads, 2, "x"),
    _under("p99 of a submission at half load", "half_load_p99", 10, "ms"),
    Target("whole tasks a second", ("whole_tasks",), _value("whole_tasks"), 500, "/s"),
    Target("whole tasks a second, stretch", ("whole_tasks",), _value("whole_tasks"), 1500, "/s"),
    Target(
        "p99 of small submissions beside 20 edits of 10 MB / alone",
        ("small_beside", "small_alone"),
        _ratio("small_beside", "small_alone"),
        2,
        "x",
        at_least=False,
    ),
    _under("memory of a task in flight", "memory_in_flight", 10, "KB"),
    _under("all models read at a start", "catalogue_load", 0.5, "s"),
    _under("the slowest check of a model's example", "catalogue_check", 5, "us"),
    _under("the slowest page of tasks, calls or transfers", "list_page", 50, "ms"),
    _under("recovery, a new worker started", "recovery_cold", 2, "s"),
    _under("recovery, another worker running", "recovery_warm", 2, "s"),
    _under("memory of an idle event stream", "idle_stream", 20, "KB"),
    _under("p99 from the vendor's answer to the event at the client", "news_p99", 100, "ms"),
    Target("webhooks a minute, beside a dead endpoint", ("webhooks",), _value("webhooks"), 10_000, "/min"),
)


def verdicts(figures: Figures) -> list[dict[str, object]]:
    """Every target that the figures of this run can answer."""
    found = []
    for target in TARGETS:
        if all(name in figures for name in target.needs):
            value = target.reckon(figures)
            found.append(
                {
                    "what": target.what,
                    "target": f"{'≥' if target.at_least else '≤'} {target.bound:g} {target.unit}",
                    "value": round(value, 2),
                    "unit": target.unit,
                    "met": target.met(value),
                }
            )
    return found


def show(console: Console, about: Mapping[str, str], figures: Figures) -> None:
    """Print the figures, what explains them, and the verdicts."""
    console.print("  ".join(f"[dim]{name}[/dim] {value}" for name, value in about.items()), highlight=False)
    table = Table("figure", "median", "rounds", "explained by")
    for name, taken in figures.items():
        details = "  ".join(f"{key} {value:g}" for key, value in taken.details.items())
        rounds = " ".join(f"{value:,.0f}" for value in taken.rounds) if len(taken.rounds) > 1 else ""
        table.add_row(
            _HEADINGS[name],
            f"{taken.value:,.4g} {taken.unit}" if taken.value < 1000 else f"{taken.value:,.0f} {taken.unit}",
            rounds,
            details,
        )
    console.print(table)
    table = Table("target", "wanted", "measured", "")
    for verdict in verdicts(figures):
        mark = "[green]met[/green]" if verdict["met"] else "[red]short[/red]"
        table.add_row(str(verdict["what"]), str(verdict["target"]), f"{verdict['value']} {verdict['unit']}", mark)
    console.print(table)


def as_json(about: Mapping[str, str], figures: Figures) -> bytes:
    """The same for programs."""
    value = {"about": about, "figures": figures, "targets": verdicts(figures)}
    return msgspec.json.format(msgspec.json.encode(value), indent=2)
