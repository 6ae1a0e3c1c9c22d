"""A task that kills or hangs the worker that handles it: set aside after the third, and nobody else's trouble."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from pathlib import Path

import pytest

import modellix_server

SOURCE = Path(modellix_server.__file__).parents[1]
POLL = "    last = clock.left_s() <= 0\n"
BEGIN = "    if stopped := _stopped(clock, inbox):\n        return stopped\n"
DIE = '    if "POISON" in job.params:\n        __import__("os").abort()\n'
HANG = '    if "POISON" in job.params:\n        while True:\n            pass\n'


def poisoned(tmp_path: Path, module: str, where: str, what: str) -> Path:
    """The program with a place that no input may reach."""
    changed = tmp_path / "source"
    shutil.copytree(SOURCE, changed)
    file = changed / "modellix_server/tasks/steps" / module
    assert file.read_text().count(where) == 1
    file.write_text(file.read_text().replace(where, what + where))
    return changed


async def keep_alive(stage, source: Path, task, most: int, within_s: float) -> int:
    """As a supervisor: start the worker again whenever it ends, until the task has ended; how often it ended."""
    ended, give_up = 0, time.monotonic() + within_s
    worker: subprocess.Popen[bytes] = stage.worker(source=source)
    while (await stage.row(task))["finished_at"] is None:
        assert time.monotonic() < give_up, stage.log.read_text()[-3000:]
        if worker.poll() is not None:
            ended += 1
            assert ended <= most
            worker = stage.worker(source=source)
        await asyncio.sleep(0.05)
    return ended


@pytest.mark.full
@pytest.mark.parametrize(
    ("module", "where", "posts"),
    [
        pytest.param("poll.py", POLL, 1, id="running"),
        pytest.param("prepare.py", BEGIN, 0, id="queued"),
    ],
)
async def test_what_kills_its_worker_is_set_aside(stage, tmp_path: Path, module: str, where: str, posts: int) -> None:
    source = poisoned(tmp_path, module, where, DIE)
    others = [await stage.submit(prompt=f"[sandbox:slow={n % 3 + 1}] bystander {n}") for n in range(12)]
    poison = await stage.submit(prompt="POISON")
    assert await keep_alive(stage, source, poison, 3, 110) == 3
    row = await stage.row(poison)
    assert (row["state"], row["error_code"], row["deaths"]) == ("failed", "quarantined", 3)
    for task in others:
        ended = await stage.reach(task, "succeeded", "failed")
        assert (ended["state"], ended["error_code"]) in (("succeeded", None), ("failed", "submission_outcome_unknown"))
        assert ended["deaths"] < 3
        assert len(await stage.emulator.bill(task)) <= 1
    assert len(await stage.emulator.bill(poison)) == posts
    reasons = await stage.pool.fetch("select reason, detail from tasks.review where task_id = $1", poison)
    state = "running" if posts else "queued"
    assert [tuple(row) for row in reasons] == [
        ("quarantined", f"quarantined: 3 workers died of this task while {state}")
    ]
    await stage.books_are_clean()


@pytest.mark.full
async def test_a_worker_that_hangs_ends_and_the_task_is_blamed(stage, tmp_path: Path) -> None:
    source = poisoned(tmp_path, "poll.py", POLL, HANG)
    poison = await stage.submit(prompt="POISON")
    worker = stage.worker(source=source)
    assert await asyncio.to_thread(worker.wait, 60) == 1
    assert "poll.py" in stage.log.read_text()  # where it hung
    stage.worker(source=source)
    async with asyncio.timeout(60):
        while (await stage.row(poison))["deaths"] != 1:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_a_worker_killed_from_outside_blames_nobody(stage) -> None:
    tasks = [await stage.submit(prompt=f"[sandbox:slow=30] {n}") for n in range(10)]
    for _ in range(4):
        worker = stage.worker()
        for task in tasks:
            await stage.reach(task, "running")
        await asyncio.sleep(0.5)
        worker.kill()
        worker.wait()
    stage.worker()
    rows = [await stage.row(task) for task in tasks]
    assert all(row["state"] == "running" for row in rows)
    assert max(row["deaths"] for row in rows) < 3
