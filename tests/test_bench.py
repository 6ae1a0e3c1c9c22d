"""The benchmark's own arithmetic: ratios of rounds, targets, and two checkouts compared."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bench import against, report, turns
from bench.figures import Figure
from bench.programs import CannotMeasureError

# Stands for the benchmark of a checkout: says when it begins, passes the turn as often as told, and tells two figures.
_BENCH = """
import asyncio, json, pathlib, sys
from bench.turns import pass_the_turn
if "--help" in sys.argv:
    sys.exit("no such part" if "--only" in sys.argv else 0)
log = pathlib.Path(__file__).parents[2] / "log"
for _ in range({passes}):
    with log.open("a") as file:
        file.write({name!r})
    asyncio.run(pass_the_turn())
if "--fail" in sys.argv:
    sys.exit("no wrk")
hot = {{"value": {value}, "unit": "/s", "rounds": [{value}, {value} + 10], "details": {{"cpu_us": {value} / 10}}}}
own = {{"value": 1, "unit": "MB", "rounds": [], "details": {{}}}}
run = {{"about": {{}}, "figures": {{"submit_hot": hot, "only_{name}": own, "serve_rss": own}}, "targets": []}}
pathlib.Path(sys.argv[sys.argv.index("--json") + 1]).write_text(json.dumps(run))
"""


def _checkout(top: Path, name: str, value: int, passes: int) -> Path:
    package, programs = top / name / "bench", top / name / ".venv/bin"
    package.mkdir(parents=True)
    programs.mkdir(parents=True)
    (package / "__main__.py").write_text(_BENCH.format(name=name, value=value, passes=passes))
    (package / "turns.py").write_bytes(Path(turns.__file__).read_bytes())
    (programs / "python").symlink_to(sys.executable)
    return top / name


def test_checkouts_take_turns_and_their_common_figures_are_compared(tmp_path: Path) -> None:
    checkouts = _checkout(tmp_path, "A", 20, passes=3), _checkout(tmp_path, "B", 10, passes=3)
    compared = against.compare(checkouts, ["--quick"], 2, lambda _: None)
    assert (tmp_path / "log").read_text() == "ABABAB" + "BABABA"
    assert [(one.name, one.here, one.there, one.ratios) for one in compared] == [
        ("submissions, one hot team, /s", 25, 15, [2, 1.5, 2, 1.5]),
        ("  submit_hot cpu_us", 2, 1, [2, 2]),
        ("memory of the API process after the load, MB", 1, 1, [1, 1]),
    ]
    assert compared[0].ratio == 1.75


def test_a_checkout_that_knows_no_turns_runs_by_itself(tmp_path: Path) -> None:
    checkouts = _checkout(tmp_path, "A", 20, passes=2), _checkout(tmp_path, "B", 10, passes=2)
    (checkouts[1] / "bench/turns.py").write_text("async def pass_the_turn(): pass")
    against.compare(checkouts, [], 1, lambda _: None)
    assert (tmp_path / "log").read_text() == "ABBA"


def test_a_comparison_tells_why_a_run_failed_and_ends_the_other(tmp_path: Path) -> None:
    checkouts = _checkout(tmp_path, "A", 20, passes=9), _checkout(tmp_path, "B", 10, passes=1)
    with pytest.raises(CannotMeasureError, match="no wrk"):
        against.compare(checkouts, ["--fail"], 1, lambda _: None)
    assert (tmp_path / "log").read_text().count("A") < 9
    with pytest.raises(CannotMeasureError, match="no such part"):
        against.compare(checkouts, ["--only", "all"], 1, lambda _: None)
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
