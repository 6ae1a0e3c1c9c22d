"""Two checkouts compared: the benchmark of each, run by its own interpreter, in turns, and the ratio of each figure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median

import msgspec
from rich.console import Console
from rich.table import Table

from bench.figures import Figure
from bench.programs import HERE, STOP_LIMIT_S, CannotMeasureError
from bench.report import HEADINGS, Run
from bench.turns import VARIABLE


class Compared(msgspec.Struct, frozen=True):
    """One number that both checkouts have: the medians of the runs, and of the ratios."""

    name: str
    here: float
    there: float
    ratio: float
    ratios: list[float]
    """Of each round where both took rounds in turns, else of each run."""


class Side:
    """The benchmark of one checkout as a process that goes on while it has the turn."""

    def __init__(self, checkout: Path, options: Sequence[str], folder: Path) -> None:
        self._checkout = checkout
        self._json, self._log = folder / "run.json", folder / "log"
        python = sys.executable if checkout == HERE.parent else str(interpreter(checkout))
        self._command = [python, "-m", "bench", *options, "--json", str(self._json)]
        tried = subprocess.run([*self._command, "--help"], cwd=checkout, capture_output=True, text=True, check=False)
        if tried.returncode:  # said now, not when its turn comes minutes later
            raise CannotMeasureError(f"{checkout} cannot run this benchmark: {tried.stderr[-2000:]}")
        self._process: subprocess.Popen[bytes] | None = None
        self._passed = self._go = -1

    def go_on(self) -> bool:
        """Start or continue it until it passes the turn; False when it has ended. Raises CannotMeasureError."""
        if self._process is None:
            self._start()
        else:
            os.write(self._go, b".")
        if os.read(self._passed, 1):
            return True
        assert self._process is not None
        if self._process.wait():
            said = self._log.read_text(errors="replace")
            raise CannotMeasureError(f"the benchmark of {self._checkout} failed: {said[-2000:]}")
        return False

    def _start(self) -> None:
        waits, self._go = os.pipe()
        self._passed, passes = os.pipe()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._checkout,
                env={**os.environ, VARIABLE: f"{waits},{passes}"},
                pass_fds=(waits, passes),
                stdout=log,
                stderr=log,
            )
        os.close(waits)
        os.close(passes)

    def result(self) -> Run:
        """What it measured, once it has ended."""
        return msgspec.json.decode(self._json.read_bytes(), type=Run)

    def close(self) -> None:
        """End it if it still runs, in good order, so that it removes its database."""
        if self._process is None:
            return
        os.close(self._go)
        os.close(self._passed)
        self._process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(2 * STOP_LIMIT_S)
        self._process.kill()
        self._process.wait()


def compare(
    checkouts: tuple[Path, Path], options: Sequence[str], runs: int, say: Callable[[str], None]
) -> list[Compared]:
    """Run both benchmarks in turns; who begins changes with each run. Raises CannotMeasureError when one fails."""
    taken: tuple[list[Run], list[Run]] = ([], [])
    for number in range(runs):
        with ExitStack() as stack:
            sides = []
            for checkout in checkouts:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="modellix-bench-"))
                sides.append(Side(checkout, options, Path(folder)))
                stack.callback(sides[-1].close)
            unfinished = sides if number % 2 == 0 else sides[::-1]
            turn = 0
            while unfinished:
                turn += 1
                say(f"run {number + 1} of {runs}, turn {turn}")
                unfinished = [side for side in unfinished if side.go_on()]
            for runs_of_side, side in zip(taken, sides, strict=True):
                runs_of_side.append(side.result())
    return join(*taken)


def interpreter(checkout: Path) -> Path:
    """The checkout's own Python. Raises CannotMeasureError when there is none."""
    python = checkout / ".venv/bin/python"
    if not python.exists():
        raise CannotMeasureError(f"{checkout} has no .venv; make it there with: make .venv/.test")
    return python


def join(here: Sequence[Run], there: Sequence[Run]) -> list[Compared]:
    """Compare the figures, their details and the ratios to controls that every run has under the same name."""
    everything = (*here, *there)
    found = []
    for name in here[0].figures:
        if all(name in run.figures for run in everything):
            ours, theirs = [run.figures[name] for run in here], [run.figures[name] for run in there]
            found += _figure(name, ours, theirs)
    for target in here[0].targets:
        values = [{one.what: one.value for one in run.targets} for run in everything]
        if target.unit == "x" and all(target.what in run for run in values):
            numbers = [run[target.what] for run in values]
            found += _compare(f"{target.what}, x", numbers[: len(here)], numbers[len(here) :])
    return found


def _figure(name: str, here: Sequence[Figure], there: Sequence[Figure]) -> list[Compared]:
    pairs = list(zip(here, there, strict=True))
    rounds = [pair for one, other in pairs for pair in zip(one.rounds, other.rounds, strict=False)]
    if not all(len(one.rounds) == len(other.rounds) > 0 for one, other in pairs):
        rounds = [(one.value, other.value) for one, other in pairs]
    found = _compare(
        f"{HEADINGS.get(name, name)}, {here[0].unit}", *([*values] for values in zip(*rounds, strict=True))
    )
    for detail in here[0].details:
        if all(detail in one.details for one in (*here, *there)):
            ours, theirs = [one.details[detail] for one in here], [one.details[detail] for one in there]
            found += _compare(f"  {name} {detail}", ours, theirs)
    return found


def _compare(name: str, here: list[float], there: list[float]) -> list[Compared]:
    """One comparison, or none where the other side is zero."""
    if not all(there):
        return []
    ratios = [one / other for one, other in zip(here, there, strict=True)]
    return [Compared(name, median(here), median(there), median(ratios), ratios)]


def show(console: Console, compared: Sequence[Compared]) -> None:
    """Print one line a figure."""
    table = Table("figure", "this checkout", "the other", "ratio", "of each round or run")
    for one in compared:
        ratios = " ".join(f"{ratio:.2f}" for ratio in one.ratios)
        style = "dim" if one.name.startswith(" ") else None
        table.add_row(one.name, f"{one.here:,.5g}", f"{one.there:,.5g}", f"{one.ratio:.3f}", ratios, style=style)
    console.print(table)
