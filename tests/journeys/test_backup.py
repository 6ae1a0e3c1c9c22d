"""A backup of a running platform, put into a new data directory: whole, checked, and nothing paid for twice."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from modellix_server import audit
from modellix_server.base.database import connect
from modellix_server.base.ids import parse_task_name
from modellix_server.embedded.data_directory import APP, OWNER, SUPERUSER, DataDirectory
from modellix_server.embedded.postgres import EmbeddedPostgres


def command(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modellix_server.cli.app", *arguments], env=env, capture_output=True, text=True
    )


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that a database server which gave up root may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="modellix-restore-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def write_secrets(platform, path: Path) -> None:
    named = dict.fromkeys((f"password_{r}" for r in (SUPERUSER, OWNER, APP)), platform.env["MODELLIX_SECRET"][:20])
    kept = {"secret": platform.env["MODELLIX_SECRET"], "master_key": platform.env["MODELLIX_MASTER_KEY"], **named}
    path.write_text(json.dumps(kept))
    path.chmod(0o600)


@pytest.mark.full
async def test_a_backup_restores_money_results_and_no_second_post(postgres_server, stage, tmp_path, place) -> None:
    async with stage(postgres_server, tmp_path) as platform:
        team = await platform.team()
        done = await team.run("alibaba/qwen-image-plus", prompt="a lighthouse")
        running = (await team.submit("alibaba/qwen-image-plus", prompt="[sandbox:slow=90]")).data["task_id"]
        await platform.reach(running, lambda row: row["state"] == "running")
        worker = next(process for process in platform.processes if "work" in process.args)
        worker.terminate()
        worker.wait(30)
        queued = (await team.submit("alibaba/qwen-image-plus", prompt="after the worker")).data["task_id"]

        backup = place / "backup"
        made = await asyncio.to_thread(command, platform.env, "backup", str(backup), "--json")
        assert made.returncode == 0, made.stderr
        told = json.loads(made.stdout)
        assert told["rows"]["tasks.task"] == 3
        assert told["files"] == 1
        entry = (await audit.list_entries(platform.pool, limit=1))[0]
        assert (entry.action, entry.subject, "1}" in entry.details) == ("backup.create", "backup:backup", True)
        everything = b"".join(path.read_bytes() for path in backup.rglob("*") if path.is_file())
        for secret in (platform.env["MODELLIX_SECRET"], platform.env["MODELLIX_MASTER_KEY"], team.text):
            assert secret.encode() not in everything
            assert base64.b64decode(secret + "=" * (-len(secret) % 4), validate=False) not in everything

        write_secrets(platform, place / "secrets.json")
        new = place / "data"
        env = {name: value for name, value in os.environ.items() if not name.startswith("MODELLIX_")}
        options = ("--data", str(new), "--secrets", str(place / "secrets.json"), "--json")
        restored = await asyncio.to_thread(command, env, "restore", str(backup), *options)
        assert restored.returncode == 0, restored.stdout + restored.stderr
        told = json.loads(restored.stdout)
        assert (told["ended_as_unknown"], told["findings"], told["files"]) == (1, [], 1)

        data_directory = DataDirectory(new)
        postgres = EmbeddedPostgres(data_directory)
        await postgres.start()
        try:
            db = await connect(data_directory.dsn(APP), name="test")
            states = {row["id"]: row for row in await db.fetch("select id, state, error_code, ticket from tasks.task")}
            assert states[parse_task_name(done["task_id"])]["state"] == "succeeded"
            still = states[parse_task_name(running)]
            assert (still["state"], still["ticket"] is not None) == ("running", True)
            assert states[parse_task_name(queued)]["error_code"] == "submission_outcome_unknown"
            held = await db.fetchval("select held from ledger.balance where team_id = $1 and not live", team.id)
            assert held == 17_200  # that of the running one
            await db.close()
        finally:
            await postgres.stop()
        name = f"results/{parse_task_name(done['task_id']).hex}/0.png"
        assert (new / "storage" / name).read_bytes() == (tmp_path / "storage" / name).read_bytes()

        again = await asyncio.to_thread(command, env, "restore", str(backup), *options)
        assert again.returncode == 2
        assert "has a database or files already" in again.stderr


@pytest.fixture(scope="module")
async def backup(platform, tmp_path_factory) -> Path:
    team = await platform.team()
    await team.run("alibaba/qwen-image-plus", prompt="kept")
    place = tmp_path_factory.mktemp("backup") / "made"
    made = await asyncio.to_thread(command, platform.env, "backup", str(place))
    assert made.returncode == 0, made.stderr
    return place


async def refused(platform, source: Path, place: Path, words: str) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("MODELLIX_")}
    options = ("--data", str(place / "data"), "--secrets", str(place / "secrets.json"))
    done = await asyncio.to_thread(command, env, "restore", str(source), *options)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (place / "data" / "postgres").exists()


@pytest.mark.full
async def test_a_changed_backup_is_refused(platform, backup: Path, place: Path) -> None:
    write_secrets(platform, place / "secrets.json")
    copy = place / "copy"
    shutil.copytree(backup, copy)
    dump = copy / "database.dump"
    dump.write_bytes(dump.read_bytes()[:-1] + b"x")
    await refused(platform, copy, place, "database.dump is missing or was changed")
    shutil.copy(backup / "database.dump", dump)
    next(path for path in (copy / "files").rglob("*.png")).unlink()
    await refused(platform, copy, place, ".png is missing or was changed")
    (copy / "manifest.json").unlink()
    await refused(platform, copy, place, "is no backup of Modellix")


@pytest.mark.full
async def test_other_secrets_are_refused(platform, backup: Path, place: Path) -> None:
    write_secrets(platform, place / "secrets.json")
    kept = json.loads((place / "secrets.json").read_text())
    kept["master_key"] = base64.b64encode(os.urandom(32)).decode()
    (place / "secrets.json").write_text(json.dumps(kept))
    await refused(platform, backup, place, "these are not the secrets of this backup")


async def test_a_backup_never_overwrites_one(platform, backup: Path) -> None:
    again = await asyncio.to_thread(command, platform.env, "backup", str(backup))
    assert again.returncode == 2
    assert "a backup needs a new folder" in again.stderr
