"""Numbers of one process, in Prometheus' text form.

Counting is an addition to a plain integer in a dictionary; everything else happens when somebody asks. There is one
registry a process, as there is one logger.
"""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from pathlib import Path

Labels = tuple[str, ...]
Values = tuple[str | int, ...]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)

_STARTED = time.time()


class Counter(defaultdict[Values, int]):
    """Only ever rises: `requests["read_task", 200] += 1`. The labels' values come in the order of their names."""

    def __init__(self, name: str, help_text: str, labels: Labels = ()) -> None:
        super().__init__(int)
        self.name, self.help, self.labels = name, help_text, labels
        _counters.append(self)

    def lines(self) -> Iterator[str]:
        """Its samples."""
        yield from _head(self.name, self.help, "counter")
        if not self.labels and not self:
            yield f"{self.name} 0"
        for values, count in list(self.items()):
            yield f"{self.name}{_braced(zip(self.labels, values, strict=True))} {count}"


class Histogram:
    """How often a value fell into each range."""

    def __init__(self, name: str, help_text: str, bounds: tuple[float, ...], labels: Labels = ()) -> None:
        self.name, self.help, self.labels = name, help_text, labels
        self._bounds = bounds
        # Counts by range, then the sum: one look-up for each value.
        self._rows: defaultdict[Labels, list[float]] = defaultdict(lambda: [0] * (len(bounds) + 2))
        _histograms.append(self)

    def observe(self, value: float, labels: Labels) -> None:
        """Count one value."""
        row = self._rows[labels]
        row[bisect_left(self._bounds, value)] += 1
        row[-1] += value

    def lines(self) -> Iterator[str]:
        """Its samples; a bucket counts what is at most its bound."""
        yield from _head(self.name, self.help, "histogram")
        for values, (*counts, total) in list(self._rows.items()):
            named, below = list(zip(self.labels, values, strict=True)), 0.0
            for bound, count in zip((*map(_number, self._bounds), "+Inf"), counts, strict=True):
                below += count
                yield f"{self.name}_bucket{_braced([*named, ('le', bound)])} {below:.0f}"
            yield f"{self.name}_sum{_braced(named)} {total:.6f}"
            yield f"{self.name}_count{_braced(named)} {below:.0f}"


class Gauges:
    """Numbers that are read when somebody asks: what is waiting, what is in use."""

    def __init__(self) -> None:
        self._read: list[Callable[[], Awaitable[Iterable[str]]]] = []

    def add(self, read: Callable[[], Awaitable[Iterable[str]]]) -> None:
        """Have `read` called at each scrape; it returns lines, made by `gauge`."""
        self._read.append(read)

    async def lines(self) -> list[str]:
        """What all of them say now."""
        return [line for read in self._read for line in await read()]


_counters: list[Counter] = []
_histograms: list[Histogram] = []


def gauge(name: str, help_text: str, values: Mapping[Labels, float] | float, labels: Labels = ()) -> list[str]:
    """The lines of one gauge."""
    samples = values if isinstance(values, Mapping) else {(): values}
    return [
        *_head(name, help_text, "gauge"),
        *(f"{name}{_braced(zip(labels, found, strict=True))} {_number(value)}" for found, value in samples.items()),
    ]


async def render(gauges: Gauges) -> str:
    """Everything, as Prometheus reads it."""
    counted = [line for counter in _counters for line in counter.lines()]
    measured = [line for histogram in _histograms for line in histogram.lines()]
    return "\n".join([*counted, *measured, *_of_the_process(), *await gauges.lines(), ""])


def _of_the_process() -> Iterator[str]:
    """Under the names that dashboards for any program know."""
    times = os.times()
    resident = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    yield from _head("process_cpu_seconds_total", "Processor time.", "counter")
    yield f"process_cpu_seconds_total {times.user + times.system:.2f}"
    yield from gauge("process_resident_memory_bytes", "Memory in use.", resident)
    yield from gauge("process_start_time_seconds", "Start, as Unix time.", _STARTED)


def _head(name: str, help_text: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"


def _braced(named: Iterable[tuple[str, str | int]]) -> str:
    inside = ",".join(f'{name}="{_escaped(value)}"' for name, value in named)
    return f"{{{inside}}}" if inside else ""


def _escaped(value: str | int) -> str:
    return str(value).replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return f"{value:g}" if abs(value) < 1_000_000 else f"{value:.3f}".rstrip("0").rstrip(".")
