"""`modellix batch`: killed, repeated, refused; never more tasks than lines."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.waiting import eventually

from modellix import errors
from modellix.cli import batch_state
from modellix.cli.batch_state import BatchLine, BatchState, read_lines
from modellix.cli.exits import ExitCode

MODEL = "alibaba/qwen-image-plus"


def start(environment, folder: Path, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "modellix.cli", "batch", "jobs.jsonl", "-o", "out", *words]
    with (folder / "said.txt").open("ab") as said:
        return subprocess.Popen(command, env=os.environ | environment, cwd=folder, stdout=said, stderr=said)


async def ended(process: subprocess.Popen[bytes]) -> int:
    return await asyncio.to_thread(process.wait, 120)


def write(folder: Path, *lines: object) -> None:
    (folder / "jobs.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")


def entries(folder: Path) -> list[dict]:
    file = folder / "jobs.jsonl.state"
    return [json.loads(line) for line in file.read_text().splitlines()[:-1]] if file.exists() else []


@pytest.mark.full
async def test_killed_three_times_fifty_lines_are_fifty_tasks_and_fifty_charges(
    platform, environment, tmp_path
) -> None:
    team = await platform.team(concurrency=8)
    env = environment | {"MODELLIX_API_KEY": team.text}
    write(tmp_path, *({"model": MODEL, "prompt": f"picture {number}"} for number in range(50)))
    for kills in (3, 16, 33):
        process = start(env, tmp_path)
        await eventually(lambda at=kills: sum("task" in one for one in entries(tmp_path)) >= at, every_s=0.002)
        process.send_signal(signal.SIGKILL)
        await ended(process)
    assert await platform.tasks_of(team) < 50
    assert await ended(start(env, tmp_path)) == 0, (tmp_path / "said.txt").read_text()
    assert await platform.tasks_of(team) == 50
    assert await platform.balance_of(team) == (100_000_000 - 50 * 17_200, 0)
    files = sorted(path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith("."))
    assert [name[:2] for name in files] == [f"{number:02}" for number in range(1, 51)]
    assert b"50 of 50 done, 0 failed, cost 0.86 USD" in (tmp_path / "said.txt").read_bytes()
    assert await ended(start(env, tmp_path)) == 0
    assert await platform.tasks_of(team) == 50


async def test_a_lost_answer_and_a_kill_are_one_task(platform, team, proxy, environment, tmp_path) -> None:
    """Killed between the platform's acceptance and the answer: the same key and body go out again."""
    write(tmp_path, {"prompt": "x"})
    proxy.spoil(f"/api/v1/{MODEL}", "cut", times=100)
    env = environment | {"MODELLIX_BASE_URL": proxy.origin}
    process = start(env, tmp_path, "--model", MODEL)
    await eventually(lambda: any(path == f"/api/v1/{MODEL}" for _, path, _ in proxy.seen))
    process.send_signal(signal.SIGKILL)
    await ended(process)
    proxy.faults.clear()
    assert await ended(start(env, tmp_path, "--model", MODEL)) == 0
    assert await platform.tasks_of(team) == 1
    keys = {headers["idempotency-key"] for _, path, headers in proxy.seen if path == f"/api/v1/{MODEL}"}
    assert len(keys) == 1


async def test_lines_that_fail_do_not_stop_others(platform, team, environment, tmp_path) -> None:
    write(
        tmp_path,
        {"prompt": "[sandbox:moderate]"},
        {"prompt": "x", "size": "1*1"},
        {"model": "alibaba/none", "prompt": "x"},
        {"model": "alibaba/qwen-image-edit-plus", "prompt": "a hat", "images": ["cat.jpg"]},
    )
    async with platform.http.get(f"{platform.origin}/samples/cat.jpg") as answer:
        (tmp_path / "cat.jpg").write_bytes(await answer.read())
    assert await ended(start(environment, tmp_path, "--model", MODEL, "--json")) == ExitCode.FAILED
    said = [json.loads(line) for line in (tmp_path / "said.txt").read_text().splitlines() if line.startswith("{")]
    by_line = {one["line"]: one for one in said}
    assert [by_line[number].get("code") for number in range(1, 5)] == [
        "content_rejected", "Value out of range", "Resource not found", None,
    ]  # fmt: skip
    assert Path(tmp_path / by_line[4]["files"][0]).exists()
    assert await platform.tasks_of(team) == 2
    assert await ended(start(environment, tmp_path, "--model", MODEL)) == ExitCode.FAILED
    assert await platform.tasks_of(team) == 2
    assert await ended(start(environment, tmp_path, "--model", MODEL, "--retry-failed")) == ExitCode.FAILED
    assert await platform.tasks_of(team) == 3


async def test_money_ends_it(platform, environment, tmp_path) -> None:
    write(tmp_path, *({"model": MODEL, "prompt": f"{number}"} for number in range(5)))
    team = await platform.team(micros=2 * 17_200 + 100)
    env = environment | {"MODELLIX_API_KEY": team.text}
    assert await ended(start(env, tmp_path, "--max-cost", "0.02")) == ExitCode.NO_MONEY
    assert await platform.tasks_of(team) == 1
    assert await ended(start(env, tmp_path, "--concurrency", "2")) == ExitCode.NO_MONEY
    assert await platform.tasks_of(team) == 2
    said = (tmp_path / "said.txt").read_text()
    assert "Insufficient balance" in said
    assert "2 of 5 done, 0 failed, cost 0.0344 USD, 3 left" in " ".join(said.split())


def test_a_file_that_is_wrong_submits_nothing(tmp_path) -> None:
    for text, told in (('{"prompt": 1}', 'no "model"'), ("[]", "line 2: not a JSON object"), ("{", "line 2")):
        (tmp_path / "jobs.jsonl").write_text(f'{{"model": "a/b"}}\n{text}\n')
        with pytest.raises(errors.ModellixError, match=told):
            read_lines(tmp_path / "jobs.jsonl", None)
    (tmp_path / "jobs.jsonl").write_text('\n{"prompt": "x"}\n\n{"model": "c/d"}')
    lines = read_lines(tmp_path / "jobs.jsonl", "a/b")
    assert [(line.number, line.model, line.input) for line in lines] == [(2, "a/b", {"prompt": "x"}), (4, "c/d", {})]


def test_the_state_survives_what_happens_to_it(tmp_path, monkeypatch) -> None:
    path, line = tmp_path / "state", BatchLine(7, "a/b", {"prompt": "x"}, "digest")
    with BatchState(path) as state:
        state.intend(line, {"prompt": "x"}, 0.5)
        key = state.key(line)
        with pytest.raises(errors.ModellixError, match="in use"), BatchState(path):
            pass
    with path.open("ab") as opened:
        opened.write(b'{"line": 7, "ta')  # a crash in the middle of a line
    with BatchState(path) as state:
        assert (state.key(line), state.lines[7].task_id, state.spent) == (key, None, 0.5)
        state.accepted(line, "task-1")
    with BatchState(path) as state:
        assert state.lines[7].task_id == "task-1"
        state.ended(line, {"status": "success", "cost": 0.25})
        assert state.spent == 0.25
        state.check([line])
        with pytest.raises(errors.ModellixError, match="line 7 has changed"):
            state.check([BatchLine(7, "a/b", {}, "other")])
        state.intend(line, {}, None)
        assert state.key(line) == key[:-1] + "1"
    path.write_text("something else\n")
    with pytest.raises(errors.ModellixError, match="damaged"), BatchState(path):
        pass


async def test_a_key_that_may_be_forgotten_is_not_used_again(platform, team, environment, tmp_path) -> None:
    write(tmp_path, {"model": MODEL, "prompt": "x"})
    (line,) = read_lines(tmp_path / "jobs.jsonl", None)
    with BatchState(tmp_path / "jobs.jsonl.state") as state:
        state.intend(line, {"prompt": "x"}, None)
    text = (tmp_path / "jobs.jsonl.state").read_text()
    at = json.loads(text.splitlines()[1])["intent"]["at"]
    (tmp_path / "jobs.jsonl.state").write_text(text.replace(str(at), str(at - batch_state.KEYS_LAST_S)))
    assert await ended(start(environment, tmp_path)) == ExitCode.FAILED
    assert await platform.tasks_of(team) == 0
    assert await ended(start(environment, tmp_path, "--retry-failed")) == 0
    assert await platform.tasks_of(team) == 1
