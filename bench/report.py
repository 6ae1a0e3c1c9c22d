"""What is asked of the figures, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

import msgspec
from rich.console import Console
from rich.table import Table

from bench.figures import Figure

Figures = Mapping[str, Figure]

HEADINGS = {
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
    "steady_p99": "p99 from accept to success, 300 submissions a second",
    "proxy_16": "bare proxy (control), 16 connections",
    "accepted_16": "submissions accepted, 16 connections, a worker running",
    "executed_16": "of these, executed in the same time",
    "proxy_whole": "bare proxy (control), in turns with whole tasks",
    "whole_tasks": "whole tasks, full queue, one worker",
    "small_alone": "p99 of small submissions, alone",
    "small_beside": "p99 of small submissions, beside 20 edits of 10 MB",
    "memory_in_flight": "worker memory, a task in flight",
    "recovery_cold": "kill -9 of the worker, new one started",
    "list_page": "the slowest page of a list of a million rows",
    "console_page": "the slowest page of the console, over a million rows",
    "console_weight": "the heaviest page of the console, with scripts and styles",
    "recovery_warm": "kill -9 of the worker, another one running",
    "idle_stream": "memory of the API, an idle event stream",
    "idle_tab": "memory of the API, an idle tab of the console",
    "position_event": "CPU of the API, telling a follower its queue position",
    "news_p99": "p99 from the vendor's answer to the event at the client",
    "webhooks": "webhooks delivered, beside a dead endpoint",
    "searches_p99": "p99 of 500 different searches at once, through MCP",
    "serve_searching_rss": "memory of the API process after searches",
}


class Verdict(msgspec.Struct, frozen=True):
    """One target beside what was measured."""

    what: str
    target: str
    value: float
    unit: str
    met: bool | None


class Run(msgspec.Struct, frozen=True):
    """All that is told about one run of the benchmark."""

    about: dict[str, str]
    figures: dict[str, Figure]
    targets: list[Verdict]


@dataclass(frozen=True)
class Target:
    """One promise about speed."""

    what: str
    needs: tuple[str, ...]
    reckon: Callable[[Figures], float]
    bound: float | None
    """None: shown as a ratio, nothing is promised."""
    unit: str
    at_least: bool = True

    @property
    def wanted(self) -> str:
        """The bound, for people."""
        return "" if self.bound is None else f"{'≥' if self.at_least else '≤'} {self.bound:g} {self.unit}"

    def met(self, value: float) -> bool | None:
        """Whether the value keeps the promise; None without one."""
        if self.bound is None:
            return None
        return value >= self.bound if self.at_least else value <= self.bound


def _ratio(over: str, under: str) -> Callable[[Figures], float]:
    return lambda figures: _quotient(figures[over], figures[under])


def _quotient(over: Figure, under: Figure) -> float:
    """The median of the rounds' ratios, as what disturbs a round disturbs both; without pairs, of the two medians."""
    if len(over.rounds) == len(under.rounds) > 0:
        return median(one / other for one, other in zip(over.rounds, under.rounds, strict=True))
    return over.value / under.value


def _value(name: str) -> Callable[[Figures], float]:
    return lambda figures: figures[name].value


def _steady_p50(figures: Figures) -> float:
    return figures["steady_p99"].details["p50_ms"]


def _slower_reads(what: str, under: str, bound: float | None) -> Target:
    reads = ("read_pending", "read_finished")
    return Target(what, (*reads, under), lambda figures: min(_ratio(one, under)(figures) for one in reads), bound, "x")


def _times(what: str, over: str, under: str, bound: float | None) -> Target:
    return Target(f"{what} / {HEADINGS[under]}", (over, under), _ratio(over, under), bound, "x")


def _under(what: str, name: str, bound: float, unit: str) -> Target:
    return Target(what, (name,), _value(name), bound, unit, at_least=False)


TARGETS = (
    _times("hot-team submissions", "submit_hot", "proxy", 1),
    _times("hot-team submissions", "submit_hot", "pgbench_hot", 4),
    _times("many-team submissions", "submit_many", "pgbench_many", 0.8),
    _slower_reads("the slower status reads / hot-team submissions", "submit_hot", 2),
    _slower_reads("the slower status reads / control", "proxy", None),
    _under("p99 of a submission at half load", "half_load_p99", 10, "ms"),
    Target("whole tasks a second", ("whole_tasks",), _value("whole_tasks"), 500, "/s"),
    Target("whole tasks a second, stretch", ("whole_tasks",), _value("whole_tasks"), 1500, "/s"),
    _times("whole tasks", "whole_tasks", "proxy_whole", 0.18),
    Target(
        "p50 from accept to success, 300 submissions a second", ("steady_p99",), _steady_p50, 200, "ms", at_least=False
    ),
    _under("p99 from accept to success, 300 submissions a second", "steady_p99", 500, "ms"),
    _times("accepted, 16 connections, a worker running", "accepted_16", "proxy_16", None),
    _times("executed, 16 connections, a worker running", "executed_16", "proxy_16", None),
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
    _under("the slowest page of the console", "console_page", 300, "ms"),
    _under("the heaviest page of the console", "console_weight", 150, "KB"),
    _under("p99 of 500 different searches at once", "searches_p99", 200, "ms"),
    _under("recovery, a new worker started", "recovery_cold", 2, "s"),
    _under("recovery, another worker running", "recovery_warm", 2, "s"),
    _under("memory of an idle event stream", "idle_stream", 20, "KB"),
    _under("memory of an idle tab of the console", "idle_tab", 25, "KB"),
    _under("p99 from the vendor's answer to the event at the client", "news_p99", 100, "ms"),
    Target("webhooks a minute, beside a dead endpoint", ("webhooks",), _value("webhooks"), 10_000, "/min"),
)


def verdicts(figures: Figures) -> list[Verdict]:
    """Every target that the figures of this run can answer."""
    found = []
    for target in TARGETS:
        if all(name in figures for name in target.needs):
            value = target.reckon(figures)
            found.append(Verdict(target.what, target.wanted, round(value, 3), target.unit, target.met(value)))
    return found


def show(console: Console, about: Mapping[str, str], figures: Figures) -> None:
    """Print the figures, what explains them, and the verdicts."""
    console.print("  ".join(f"[dim]{name}[/dim] {value}" for name, value in about.items()), highlight=False)
    table = Table("figure", "median", "rounds", "explained by")
    for name, taken in figures.items():
        details = "  ".join(f"{key} {value:g}" for key, value in taken.details.items())
        rounds = " ".join(f"{value:,.0f}" for value in taken.rounds) if len(taken.rounds) > 1 else ""
        table.add_row(
            HEADINGS[name],
            f"{taken.value:,.4g} {taken.unit}" if taken.value < 1000 else f"{taken.value:,.0f} {taken.unit}",
            rounds,
            details,
        )
    console.print(table)
    table = Table("target", "wanted", "measured", "")
    for verdict in verdicts(figures):
        mark = {True: "[green]met[/green]", False: "[red]short[/red]", None: ""}[verdict.met]
        table.add_row(verdict.what, verdict.target, f"{verdict.value:g} {verdict.unit}", mark)
    console.print(table)


def as_json(about: Mapping[str, str], figures: Figures) -> bytes:
    """The same for programs: a `Run`."""
    return msgspec.json.format(msgspec.json.encode(Run(dict(about), dict(figures), verdicts(figures))), indent=2)
