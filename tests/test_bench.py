"""The benchmark's own arithmetic: ratios of rounds, targets, and two checkouts compared."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bench import against, report
from bench.figures import Figure
from bench.programs import CannotMeasureError

# Stands for the benchmark of a checkout: says who it is, and measures a figure that grows by one with each run.
_BENCH = """
import json, pathlib, sys
log = pathlib.Path(__file__).parents[2] / "log"
runs = log.read_text() if log.exists() else ""
log.write_text(runs + {name!r})
if "--fail" in sys.argv:
    sys.exit("no wrk")
figure = {{"value": {value} + runs.count({name!r}), "unit": "/s", "rounds": [], "details": {{"cpu_us": 5.0}}}}
run = {{"about": {{}}, "figures": {{"submit_hot": figure, {own!r}: figure}}, "targets": []}}
pathlib.Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps(run))
"""


@pytest.fixture
def checkouts(tmp_path: Path) -> tuple[Path, Path]:
    for name, value in (("A", 20), ("B", 10)):
        package, programs = tmp_path / name / "bench", tmp_path / name / ".venv/bin"
        package.mkdir(parents=True)
        programs.mkdir(parents=True)
        (package / "__main__.py").write_text(_BENCH.format(name=name, value=value, own=f"only_{name}"))
        (programs / "python").symlink_to(sys.executable)
    return tmp_path / "A", tmp_path / "B"


def test_checkouts_take_turns_and_their_common_figures_are_compared(checkouts: tuple[Path, Path]) -> None:
    said: list[str] = []
    compared = against.compare(checkouts, ["--quick"], 3, said.append)
    assert (checkouts[0].parent / "log").read_text() == "ABBAAB"
    assert len(said) == 6
    assert [one.name for one in compared] == ["submissions, one hot team, /s", "  submit_hot cpu_us"]
    assert (compared[0].here, compared[0].there) == (21, 11)
    assert compared[0].ratios == [20 / 10, 21 / 11, 22 / 12]
    assert compared[0].ratio == 21 / 11
    assert compared[1].ratio == 1


def test_a_comparison_tells_why_a_run_failed(checkouts: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(CannotMeasureError, match="no wrk"):
        against.compare(checkouts, ["--fail"], 1, print)
    with pytest.raises(CannotMeasureError, match=r"no \.venv"):
        against.interpreter(tmp_path)


def test_a_target_is_the_median_of_the_rounds_ratios() -> None:
    figures = {"whole_tasks": Figure(20, "/s", [10, 20, 90], {}), "proxy_whole": Figure(100, "/s", [50, 100, 300], {})}
    verdict = next(one for one in report.verdicts(figures) if one.what.startswith("whole tasks /"))
    assert (verdict.value, verdict.target, verdict.met) == (0.2, "≥ 0.18 x", True)


def test_a_ratio_without_a_bound_is_shown_and_not_judged() -> None:
    figures = {
        "executed_16": Figure(5, "/s", [5], {}),
        "accepted_16": Figure(8, "/s", [8], {}),
        "proxy_16": Figure(10, "/s", [10], {}),
    }
    verdicts = report.verdicts(figures)
    assert [(one.value, one.target, one.met) for one in verdicts] == [(0.8, "", None), (0.5, "", None)]
