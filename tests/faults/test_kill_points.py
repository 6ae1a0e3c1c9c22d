"""A worker killed with SIGKILL at every named point: one POST at most, one ending, exact books."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import msgspec
import pytest

import modellix_server
from modellix_server.results import Storage

SOURCE = Path(modellix_server.__file__).parents[1]

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
    "answer_kept": AFTER_TICKET,
    "verdict_committed": AFTER_TICKET,
    "result_spooled": AFTER_TICKET,
    "result_fetched": AFTER_TICKET,
    "result_stored": AFTER_TICKET,
    "before_settle": AFTER_TICKET,
    "settled": AFTER_TICKET,
}
# tests/vault/test_rotation.py: the rotation of the master key. tests/journeys/test_faults_processes.py: the API.
# tests/faults/test_webhook_faults.py: what is sent to customers.
TRIED_ELSEWHERE = {"master_key_added", "sealed_value_moved", "before_accept", "accepted", "webhook_sent"}


def test_every_point_in_the_source_is_tried() -> None:
    named = {
        point
        for file in (SOURCE / "modellix_server").rglob("*.py")
        for point in re.findall(r'faults\.point\("(\w+)"\)', file.read_text())
    }
    asleep = [file for file in (SOURCE / "modellix_server").rglob("*.py")
              if re.search(r'(?<!await )faults\.point\(', file.read_text())]  # fmt: skip
    assert asleep == [], "a point that is not awaited is none"
    assert named == set(EXPECTED) | TRIED_ELSEWHERE
    assert len(named) >= 12


# One for each outcome, and one before the money moves; `.ci/run` tries all.
SHORT = ("intent_committed", "before_ticket", "before_settle")


@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=() if point in SHORT else pytest.mark.full) for point in EXPECTED]
)
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


@pytest.mark.parametrize("point", [pytest.param("answer_received", marks=pytest.mark.full), "before_verdict"])
async def test_a_synchronous_model_killed_at(stage, picture: str, point: str) -> None:
    """The answer carries the finished result; lost with the worker, it is not asked for again."""
    task = await stage.submit("alibaba/qwen-image-edit-plus", prompt="die", images=[picture])
    await stage.died(stage.worker(kill_at=point))
    stage.worker()
    row = await stage.reach(task, "succeeded", "failed")
    assert row["error_code"] == "submission_outcome_unknown"
    assert len(await stage.emulator.bill(task)) == 1
    await stage.books_are_clean()


# The same for a vendor that answers with the files themselves: until the verdict is on record they are lost.
INLINE = {
    "answer_received": UNKNOWN,
    "answer_understood": UNKNOWN,
    "before_verdict": UNKNOWN,
    "result_spooled": UNKNOWN,
    "answer_kept": UNKNOWN,
    "verdict_committed": AFTER_TICKET,
    "result_stored": AFTER_TICKET,
    "before_settle": AFTER_TICKET,
    "settled": AFTER_TICKET,
}


# Every point in every manner of a vendor is in tests/faults/test_matrix.py.
@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=() if point == "answer_kept" else pytest.mark.full) for point in INLINE]
)
async def test_with_the_files_in_the_answer_killed_at(stage, point: str) -> None:
    state, error, posts = INLINE[point]
    task = await stage.submit("acme/inline", prompt=f"die at {point}", n=2)
    await stage.died(stage.worker(kill_at=point))
    stage.worker()
    row = await stage.reach(task, "succeeded", "failed")
    assert (row["state"], row["error_code"]) == (state, error)
    (line,) = await stage.emulator.bill(task)
    assert (posts, line["images"]) == (1, 2)
    stored = await stage.pool.fetchval("select resources from results.result where task_id = $1", task)
    storage = Storage(stage.settings.storage_url)
    files = sorted([path async for page in storage.names(f"results/{task.hex}") for path in page])
    if state == "succeeded":
        assert row["captured"] == 2 * 4_000
        told = [file["sha256"] for file in msgspec.json.decode(stored)["resources"]]
        assert told == [hashlib.sha256(await storage.read(path)).hexdigest() for path in files]
        assert len(told) == 2
    else:
        assert stored is None
        assert len(files) == (2 if point == "answer_kept" else 0)  # the daily walk deletes them
    await stage.books_are_clean()


@pytest.mark.full
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


@pytest.mark.full
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
