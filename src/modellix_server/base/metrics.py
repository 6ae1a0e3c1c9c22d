"""Numbers of one process: counted here, shown to Prometheus by `processes.metrics` (docs/adr/0016).

Counting is an addition to an integer in a dictionary; everything else happens at a scrape. There is one
registry per process, as there is one logger.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import NamedTuple

Labels = tuple[str, ...]
Values = tuple[str | int, ...]

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LONG_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0)
SIZES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)


class Counter(defaultdict[Values, int]):
    """Only increases: `requests["read_task", 200] += 1`. The labels' values come in the order of their names."""

    def __init__(self, name: str, help_text: str, labels: Labels = ()) -> None:
        super().__init__(int)
        self.name, self.help, self.labels = name, help_text, labels
        counters.append(self)


class Histogram:
    """How many values were in each range."""

    def __init__(self, name: str, help_text: str, bounds: tuple[float, ...], labels: Labels = ()) -> None:
        self.name, self.help, self.labels, self.bounds = name, help_text, labels, bounds
        # Counts by range, then the sum: one look-up for each value.
        self._rows: defaultdict[Labels, list[float]] = defaultdict(lambda: [0] * (len(bounds) + 2))
        histograms.append(self)

    def observe(self, value: float, labels: Labels) -> None:
        """Count one value."""
        row = self._rows[labels]
        row[bisect_left(self.bounds, value)] += 1
        row[-1] += value

    def rows(self) -> Iterator[tuple[Labels, list[float], float]]:
        """Of each set of labels: how many values were at most each bound, the last one infinity, and their sum."""
        for labels, (*counts, total) in list(self._rows.items()):
            yield labels, list(accumulate(counts)), total


class Gauge(NamedTuple):
    """A current value: what is waiting, what is in use."""

    name: str
    help: str
    labels: Labels
    values: Mapping[Labels, float]


class Gauges:
    """Values that are read at a scrape."""

    def __init__(self) -> None:
        self._readers: list[Callable[[], Awaitable[Iterable[Gauge]]]] = []

    def add(self, read: Callable[[], Awaitable[Iterable[Gauge]]]) -> None:
        """Have `read` called at each scrape; it returns what `gauge` makes."""
        self._readers.append(read)

    async def read(self) -> list[Gauge]:
        """The current values of all of them."""
        return [found for read in self._readers for found in await read()]


counters: list[Counter] = []
histograms: list[Histogram] = []


def gauge(name: str, help_text: str, values: Mapping[Labels, float] | float, labels: Labels = ()) -> list[Gauge]:
    """One gauge, with a value for each set of labels."""
    return [Gauge(name, help_text, labels, values if isinstance(values, Mapping) else {(): values})]
