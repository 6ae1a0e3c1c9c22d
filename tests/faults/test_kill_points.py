"""A worker killed with SIGKILL at every named point: one POST at most, one ending, exact books."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from modellix_server import main

SOURCE = Path(main.__file__).parents[2]

# Where the worker dies -> how the task ends, and how many POSTs the vendor got in all.
AFTER_TICKET = ("succeeded", None, 1)
UNKNOWN = ("failed", "submission_outcome_unknown", 1)
EXPECTED = {
    "claimed": ("succeeded", None, 1),
    "prepared": ("succeeded", None, 1),
    "before_intent": ("succeeded", None, 1),
    "intent_committed": ("failed", "submission_outcome_unknown", 0),
    "answer_received": UNKNOWN,
    "answer_understood": UNKNOWN,
    "before_ticket": UNKNOWN,
    "ticket_committed": AFTER_TICKET,
    "poll_understood": AFTER_TICKET,
    "before_verdict": AFTER_TICKET,
    "verdict_committed": AFTER_TICKET,
    "result_spooled": AFTER_TICKET,
    "result_fetched": AFTER_TICKET,
    "result_stored": AFTER_TICKET,
    "before_settle": AFTER_TICKET,
    "settled": AFTER_TICKET,
}


def test_every_point_in_the_source_is_tried() -> None:
    named = {
        point
        for file in (SOURCE / "modellix_server").rglob("*.py")
        for point in re.findall(r'faults\.point\("(\w+)"\)', file.read_text())
    }
    assert named == set(EXPECTED) | {"webhook_sent"}  # which test_webhook_faults.py kills at
    assert len(named) >= 12


@pytest.mark.parametrize("point", EXPECTED)
async def test_killed_at(stage, picture: str, point: str) -> None:
    state, error, posts = EXPECTED[point]
    if point == "prepared":  # only a task with media of ours passes it
        task = await stage.submit("alibaba/qwen-image-edit-plus", prompt=f"die at {point}", images=[picture])
    else:
        task = await stage.submit(prompt=f"die at {point}")
    await stage.died(stage.worker(kill_at=point))
    stage.worker()
    row = await stage.reach(task, "succeeded", "failed")
    assert (row["state"], row["error_code"]) == (state, error)
    bill = await stage.emulator.bill(task)
    assert len(bill) == posts
    assert sum(line["images"] for line in bill) <= 1
    endings = await stage.pool.fetchval(
        "select count(*) from tasks.move where task_id = $1 and state in ('succeeded', 'failed')", task
    )
    assert endings == 1
    await stage.books_are_clean()


@pytest.mark.parametrize("point", ["answer_received", "before_verdict"])
async def test_a_synchronous_model_killed_at(stage, picture: str, point: str) -> None:
    """The answer carries the finished result; lost with the worker, it is not asked for again."""
    task = await stage.submit("alibaba/qwen-image-edit-plus", prompt="die", images=[picture])
    await stage.died(stage.worker(kill_at=point))
    stage.worker()
    row = await stage.reach(task, "succeeded", "failed")
    assert row["error_code"] == "submission_outcome_unknown"
    assert len(await stage.emulator.bill(task)) == 1
    await stage.books_are_clean()


async def test_killed_while_the_post_is_on_its_way(stage, picture: str) -> None:
    task = await stage.submit("alibaba/qwen-image-edit-plus", prompt="[sandbox:slow=20]", images=[picture])
    worker = stage.worker()
    await stage.reach(task, "submitting")
    await stage.posted(task)
    worker.kill()
    stage.worker()
    row = await stage.reach(task, "failed")
    assert row["error_code"] == "submission_outcome_unknown"
    assert len(await stage.emulator.bill(task)) == 1
    await stage.books_are_clean()


async def test_without_the_guard_the_vendor_is_paid_twice(stage, tmp_path: Path) -> None:
    """Negative control: the suite must notice when a found submission is simply sent again."""
    changed = tmp_path / "source"
    shutil.copytree(SOURCE, changed)
    rules = changed / "modellix_server/tasks/rules.py"
    guard = 'return state in ("queued", "preparing")'
    assert guard in rules.read_text()
    rules.write_text(rules.read_text().replace(guard, "return True"))
    task = await stage.submit(prompt="sent again")
    await stage.died(stage.worker(kill_at="before_ticket"))
    stage.worker(source=changed)
    await stage.reach(task, "succeeded", "failed")
    assert len(await stage.emulator.bill(task)) == 2, "the control no longer shows what the guard prevents"
