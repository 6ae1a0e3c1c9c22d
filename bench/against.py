"""Two checkouts compared: the benchmark of each, run by its own interpreter, in turns, and the ratio of each figure."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.table import Table

from bench.programs import HERE, CannotMeasureError
from bench.report import HEADINGS, Run

Values = dict[str, float]


class Compared(msgspec.Struct, frozen=True):
    """One figure that both checkouts have: the medians of the turns, and of their ratios."""

    name: str
    here: float
    there: float
    ratio: float
    ratios: list[float]
    """Of each turn."""


def compare(
    checkouts: tuple[Path, Path], options: Sequence[str], turns: int, say: Callable[[str], None]
) -> list[Compared]:
    """Run both by turns, and who begins changes: A B, B A, A B, ... Raises CannotMeasureError when one run fails."""
    taken: tuple[list[Values], list[Values]] = ([], [])
    for turn in range(turns):
        for side in (0, 1) if turn % 2 == 0 else (1, 0):
            say(f"turn {turn + 1} of {turns}: {'this checkout' if side == 0 else 'the other checkout'}")
            taken[side].append(_values(_measure(checkouts[side], options)))
    return join(*taken)


def interpreter(checkout: Path) -> Path:
    """The checkout's own Python. Raises CannotMeasureError when there is none."""
    python = checkout / ".venv/bin/python"
    if not python.exists():
        raise CannotMeasureError(f"{checkout} has no .venv; make it there with: make .venv/.test")
    return python


def _measure(checkout: Path, options: Sequence[str]) -> Run:
    python = sys.executable if checkout == HERE.parent else str(interpreter(checkout))
    with tempfile.TemporaryDirectory(prefix="modellix-bench-") as folder:
        file = Path(folder) / "run.json"
        done = subprocess.run(
            [python, "-m", "bench", *options, "--json", str(file)],
            cwd=checkout,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if done.returncode:
            raise CannotMeasureError(
                f"the benchmark of {checkout} failed: {done.stdout.decode(errors='replace')[-2000:]}"
            )
        return msgspec.json.decode(file.read_bytes(), type=Run)


def _values(run: Run) -> Values:
    """Every number of a run by its name: figures, what explains them, and targets."""
    values: Values = {}
    for name, figure in run.figures.items():
        values[f"{HEADINGS.get(name, name)}, {figure.unit}"] = figure.value
        values |= {f"  {name} {detail}": value for detail, value in figure.details.items()}
    return values | {f"{target.what}, {target.unit}": target.value for target in run.targets if target.unit == "x"}


def join(here: Sequence[Values], there: Sequence[Values]) -> list[Compared]:
    """The figures that every run of both sides has, in order; a zero of the other side has no ratio."""
    names = [name for name in here[0] if all(name in run for run in (*here, *there))]
    compared = []
    for name in names:
        ours, theirs = [run[name] for run in here], [run[name] for run in there]
        if all(theirs):
            ratios = [one / other for one, other in zip(ours, theirs, strict=True)]
            compared.append(Compared(name, median(ours), median(theirs), median(ratios), ratios))
    return compared


def show(console: Console, compared: Sequence[Compared]) -> None:
    """Print one line a figure."""
    table = Table("figure", "this checkout", "the other", "ratio", "of each turn")
    for one in compared:
        ratios = " ".join(f"{ratio:.2f}" for ratio in one.ratios)
        style = "dim" if one.name.startswith(" ") else None
        table.add_row(one.name, f"{one.here:,.5g}", f"{one.there:,.5g}", f"{one.ratio:.3f}", ratios, style=style)
    console.print(table)
