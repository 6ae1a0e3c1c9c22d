"""Charts as SVG: bars and lines over days, with axes. Geometry only; their colours are in the style sheet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

from modellix_server.console.i18n import date_words

WIDTH, HEIGHT = 560, 180
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 10, 10, 24
_MOST_BAR = 26.0


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle, and what it says to who points at it."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class Line:
    """Connected points; a gap where nothing is known."""

    path: str
    kind: str
    words: str
    dots: list[tuple[float, float]]


@dataclass(slots=True)
class Chart:
    """What a template draws: bars and lines in a frame of WIDTH by HEIGHT."""

    name: str
    kinds: list[tuple[str, str]]
    """Style and name of each series, for the legend."""
    rows: list[tuple[float, str]] = field(default_factory=list)
    """Height and label of each line across."""
    columns: list[tuple[float, str]] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    left: float = _LEFT
    right: float = WIDTH - _RIGHT
    bottom: float = HEIGHT - _BOTTOM


Series = tuple[str, str, Sequence[float | None]]
"""Style, name, and a value for each day; None where there is none."""


def stacked(
    name: str, days: Sequence[date], series: Sequence[Series], label: Callable[[float], str], *, whole: bool = False
) -> Chart:
    """A bar for each day, put together of the series; with `whole` they count things."""
    totals = [sum(values[at] or 0 for _, _, values in series) for at in range(len(days))]
    chart, scale = _framed(name, days, series, max(totals, default=0), label, least=1.0 if whole else 0.0)
    step = (chart.right - chart.left) / max(len(days), 1)
    width = min(step * 0.72, _MOST_BAR)
    for at, day in enumerate(days):
        base = chart.bottom
        for kind, words, values in series:
            if value := values[at] or 0:
                height = value * scale
                base -= height
                x = chart.left + step * (at + 0.5) - width / 2
                said = f"{date_words(day, year=True)}: {label(value)} {words}"
                chart.bars.append(Bar(round(x, 1), round(base, 1), round(width, 1), round(height, 1), kind, said))
    return chart


def lines(name: str, days: Sequence[date], series: Sequence[Series], label: Callable[[float], str]) -> Chart:
    """A line for each series."""
    most = max((value for _, _, values in series for value in values if value is not None), default=0)
    chart, scale = _framed(name, days, series, most, label)
    step = (chart.right - chart.left) / max(len(days), 1)
    for kind, words, values in series:
        path, dots, pen_down = [], [], False
        for at, value in enumerate(values):
            if value is None:
                pen_down = False
                continue
            x, y = chart.left + step * (at + 0.5), chart.bottom - value * scale
            path.append(f"{'L' if pen_down else 'M'}{x:.1f} {y:.1f}")
            dots.append((round(x, 1), round(y, 1)))
            pen_down = True
        chart.lines.append(Line(" ".join(path), kind, words, dots))
    return chart


def _framed(
    name: str,
    days: Sequence[date],
    series: Sequence[Series],
    most: float,
    label: Callable[[float], str],
    least: float = 0.0,
) -> tuple[Chart, float]:
    chart = Chart(name, [(kind, words) for kind, words, _ in series])
    ticks = ticks_for(most, least)
    scale = (chart.bottom - _TOP) / ticks[-1]
    chart.rows = [(round(chart.bottom - tick * scale, 1), label(tick)) for tick in ticks]
    step = (chart.right - chart.left) / max(len(days), 1)
    every, years = max(1, -(-len(days) // 6)), bool(days) and days[0].year != days[-1].year
    chart.columns = [
        (round(chart.left + step * (at + 0.5), 1), date_words(day, year=years))
        for at, day in enumerate(days)
        if at % every == 0
    ]
    return chart, scale


def ticks_for(most: float, least: float = 0.0) -> list[float]:
    """From zero to the first round number that is not below, in steps of 1, 2 or 5 times a power of ten.

    A step is at least `least`.
    """
    if most <= 0:
        return [0.0, 1.0]
    power = 10.0 ** _exponent(most)
    step = next(one * power for one in (1, 2, 5, 10, 20, 50) if one * power >= least and one * power * 4 >= most)
    count = -int(-most // step)
    return [step * at for at in range(count + 1)]


def _exponent(value: float) -> int:
    """Of the power of ten that is a tenth or less of a value."""
    return int(f"{value:e}".partition("e")[2]) - 1
