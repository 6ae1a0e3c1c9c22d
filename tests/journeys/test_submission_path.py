"""The page about the architecture shows the way of a submission as it is: a real one is traced."""

from __future__ import annotations

import asyncio
import re
import tomllib
from pathlib import Path

import pytest

import modellix_server

TOP = Path(__file__).parents[2]
SOURCE = Path(modellix_server.__file__).parent
PAGE = (TOP / "docs/site/en/architecture.md").read_text(encoding="utf-8")
LISTED = re.findall(r"^\| \d+ \| [^|]+ \| `([^`]+)` \|", PAGE, re.MULTILINE)
HELPERS = re.findall(r"`(\w[\w/]+\.py)`", PAGE[PAGE.index("Beside these") : PAGE.index("No call goes up")])
IN_THE_BACKGROUND = (
    *(
        "docsite/",
        "processes/",
        "requestlog/",
        "webhooks/",
        "vault/",
        "results/expiry.py",
        "results/store.py",
        "pricing/store.py",
    ),
    *(
        "operations/context.py",
        "operations/reconciliation.py",
        "operations/balance_alerts.py",
        "operations/budget_alerts.py",
        "billing/alerts.py",
        "budgets/store.py",
        "ledger/full_check.py",
        "ledger/seal.py",
        "tasks/store.py",
        "tasks/verify.py",
        "tasks/late_results.py",
        "tasks/search.py",
        "tasks/usage_sums.py",
    ),
    *("tasks/follow.py", "tasks/queue_positions.py"),
)
"""What goes on by itself at any time, or follows from the moves of any task."""
GIVEN_FROM_ABOVE = {"base/batcher.py", "base/notify.py"}
"""They call what was given to them."""


def layers() -> dict[str, int]:
    """Room -> its layer, the highest first."""
    contracts = tomllib.loads((TOP / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    rows = next(one["layers"] for one in contracts if one["type"] == "layers")
    return {room.removeprefix("modellix_server."): place for place, row in enumerate(rows) for room in row.split(" | ")}


@pytest.mark.full
async def test_a_submission_goes_the_way_of_the_page(stage, postgres_server, tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "trace"
    folder.mkdir()
    monkeypatch.setenv("PYTHONPATH", str(TOP / "tests/support/call_trace"))
    monkeypatch.setenv("CALL_TRACE_FOLDER", str(folder))
    monkeypatch.setenv("CALL_TRACE_SOURCE", f"{SOURCE}/")
    async with stage(postgres_server, tmp_path, docs_after_s="0") as platform:
        team = await platform.team()
        task = (await team.submit("alibaba/qwen-image-plus", prompt="to load what is loaded once")).data["task_id"]
        await team.finish(task)
        async with platform.http.get(f"{platform.origin}/docs/quickstart") as answer:  # made some seconds after a start
            assert answer.status == 200
        team = await platform.team()  # another key, which no cache knows
        (folder / "on").touch()
        await asyncio.sleep(0.5)
        task = (await team.submit("alibaba/qwen-image-plus", prompt="A cat")).data["task_id"]
        await asyncio.sleep(5)  # a status read would take a way of its own
        (folder / "on").unlink()
        await asyncio.sleep(0.5)
        assert (await team.finish(task))["status"] == "success"

    of_processes = [[line.split() for line in file.read_text().splitlines()] for file in folder.glob("calls-*.txt")]
    # The sandbox is the vendor here, also where it uses what `serve` does: the front of HTTP.
    lines = [
        line
        for of_one in of_processes
        if not any(callee.startswith("sandbox/") for _, callee in of_one)
        for line in of_one
    ]
    calls = {(caller, callee) for caller, callee in lines if not callee.startswith("cli/")}
    crossed = {callee for _, callee in calls}
    told = {*LISTED, *HELPERS}
    assert told <= crossed, sorted(told - crossed)
    untold = {name for name in crossed - told if not name.startswith(("base/", "inspection/", *IN_THE_BACKGROUND))}
    assert not untold, "\n".join(sorted(untold))

    layer = layers()
    up = {
        (caller, callee)
        for caller, callee in calls
        if {caller, callee} <= told | {name for name in crossed if name.startswith("base/")}
        and layer[caller.partition("/")[0]] > layer[callee.partition("/")[0]]
        and caller not in GIVEN_FROM_ABOVE
    }
    assert up == {("upstreams/adapters/dashscope.py", "tasks/vendor_http.py")}
