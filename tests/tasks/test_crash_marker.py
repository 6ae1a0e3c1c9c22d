"""The mark that a dying worker leaves: of the one task it was handling, told once."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from modellix_server.tasks import CrashMarker, take_marks

TASK, OTHER = uuid4(), uuid4()
_PROGRAM = """
import asyncio, os, signal, sys
from uuid import UUID
from modellix_server.tasks.crash_marker import CrashMarker

async def die(how):
    await asyncio.sleep(0.05)
    if how == "handling":
        os.kill(os.getpid(), signal.SIGKILL)
    await asyncio.sleep(60)

async def main():
    marker = CrashMarker(sys.argv[1])
    runs = [marker.watch(UUID(one), die(how)) for one, how in zip(sys.argv[3:], (sys.argv[2], ""))]
    tasks = [asyncio.create_task(run) for run in runs]
    await asyncio.sleep(0.3)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.mark.parametrize(("how", "blamed"), [("handling", [TASK]), ("waiting", [])])
def test_only_the_task_at_hand_is_blamed(tmp_path: Path, how: str, blamed: list[UUID]) -> None:
    program = [sys.executable, "-c", _PROGRAM, str(tmp_path), how, str(TASK), str(OTHER)]
    assert subprocess.run(program).returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 1
    assert take_marks(str(tmp_path)) == blamed
    assert take_marks(str(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


async def test_the_living_are_not_asked_and_leave_nothing(tmp_path: Path) -> None:
    marker = CrashMarker(str(tmp_path))
    seen = []

    async def run() -> None:
        await asyncio.sleep(0)
        seen.append(next(tmp_path.iterdir()).read_bytes())
        seen.append(take_marks(str(tmp_path)))

    await asyncio.create_task(marker.watch(TASK, run()))
    assert seen == [TASK.bytes, []]
    assert next(tmp_path.iterdir()).read_bytes() == bytes(16)
    marker.close()
    assert list(tmp_path.iterdir()) == []


async def test_a_marked_run_is_canceled_and_fails_like_any_other(tmp_path: Path) -> None:
    marker = CrashMarker(str(tmp_path))
    ends = []

    async def run(error: Exception | None = None) -> None:
        try:
            if error:
                raise error
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ends.append("canceled")
            raise

    running = asyncio.create_task(marker.watch(TASK, run()))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(KeyError):
        await asyncio.create_task(marker.watch(TASK, run(KeyError("x"))))
    assert ends == ["canceled"]
    assert next(tmp_path.iterdir()).read_bytes() == bytes(16)
    marker.close()


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(TASK.bytes)
    (tmp_path / "modellix-crash-marker-link").symlink_to(tmp_path / "other")
    (tmp_path / "modellix-crash-marker-short").write_bytes(b"x")
    assert take_marks(str(tmp_path)) == []
    assert (tmp_path / "other").read_bytes() == TASK.bytes
