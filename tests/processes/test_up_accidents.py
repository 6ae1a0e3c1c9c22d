"""What accidents do to a data directory and to the supervisor's children: put right, or named in one sentence."""

from __future__ import annotations

import asyncio
import os
import shutil
import time

import psutil
import pytest
from tests.support.supervisor import START_LIMIT_S

from modellix_server.embedded.data_directory import DataDirectory
from modellix_server.operations.maintenance.doctor import examine


@pytest.mark.full
def test_a_missing_log_and_a_stopped_child_are_put_right(folder, start):
    run = start(folder / "data")
    run.ready()
    (run.data / "logs" / "work.log").unlink()
    run.child("work").kill()
    run.started = time.monotonic()
    run.read_until("work ended (killed by SIGKILL)")
    shutil.rmtree(run.data / "logs")
    old = run.child("serve")
    old.kill()
    run.started = time.monotonic()
    run.read_until("serve ended (killed by SIGKILL)")
    while not (run.data / "logs" / "serve.log").exists():
        assert time.monotonic() - run.started < START_LIMIT_S
        time.sleep(0.02)
    sandbox = run.child("sandbox")
    sandbox.suspend()
    found = {one.what: (one.grade, one.says) for one in asyncio.run(examine(DataDirectory(run.data), os.environ))}
    run.started = time.monotonic()
    run.read_until(f"sandbox was stopped by a signal (process {sandbox.pid}); it goes on now")
    assert sandbox.status() != psutil.STATUS_STOPPED
    assert found["processes"][0] == "good" or f"kill -CONT {sandbox.pid}" in found["processes"][1]
    run.end()


def test_a_data_directory_that_cannot_be_used_is_named_in_one_sentence(folder, start, small_disk):
    (folder / "file").touch()
    said = start(folder / "file" / "data").end_by_itself()
    assert "Not a directory: choose another data directory" in said
    assert "Traceback" not in said
    small_disk.fill()
    said = start(small_disk.folder / "data").end_by_itself()
    assert "No space left on device: make room" in said
    assert "Traceback" not in said


@pytest.mark.full
def test_few_open_files_are_told_at_the_start(folder, start):
    run = start(folder / "data", files=250)
    run.read_until("only 250 open files are allowed")
    run.ready()
    found = {one.what: (one.grade, one.says) for one in asyncio.run(examine(DataDirectory(run.data), os.environ))}
    assert found["processes"][0] == "warning"
    assert found["processes"][1].startswith("250 open files are allowed")
    run.end()
