"""The embedded PostgreSQL, with real processes."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import psutil
import pytest

from modellix_server.base.database import connect
from modellix_server.embedded import orphan_cleanup, postgres
from modellix_server.embedded.data_directory import APP, OWNER, CannotStartError, DataDirectory
from modellix_server.embedded.postgres import EmbeddedPostgres


@pytest.fixture
async def data_directory() -> AsyncIterator[DataDirectory]:
    with tempfile.TemporaryDirectory(prefix="modellix-test-") as name:
        Path(name).chmod(0o755)
        made = DataDirectory(Path(name) / "data")
        made.create()
        yield made
        if made.cluster.exists():
            await orphan_cleanup.stop_server(made.cluster)


async def ask(data_directory: DataDirectory, statement: str, role: str = OWNER) -> object:
    db = await connect(data_directory.dsn(role), name="test")
    try:
        return await db.fetchval(statement)
    finally:
        await db.close()


def has_ended(process: psutil.Process) -> bool:
    """One that only waits for init to collect it has ended."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


async def test_a_test_database_is_migrated_by_the_owner_and_used_by_the_application_role(pool, database):
    assert await pool.fetchval("select current_user") == "modellix_app"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await pool.execute("create table public.forbidden ()")
    owner = await asyncpg.connect(database.owner_dsn)
    try:
        assert await owner.fetchval("select to_regclass('base.migration') is not null")
        assert not await owner.fetchval("select rolsuper from pg_roles where rolname = current_user")
    finally:
        await owner.close()


async def test_the_server_is_private_and_keeps_what_it_commits(postgres_server):
    setting = "select setting from pg_settings where name = $1"
    expected = {"listen_addresses": "", "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
    assert {name: await postgres_server.setup.fetchval(setting, name) for name in expected} == expected
    assert postgres_server.data_directory.socket_dir.stat().st_mode & 0o777 == 0o700
    assert not psutil.Process(postgres_server.postgres.pid).net_connections("inet")
    right = postgres_server.data_directory.dsn(APP)
    wrong = right.replace(postgres_server.data_directory.secrets["password_modellix_app"], "guess")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)


async def test_a_crash_ends_the_server_so_that_its_supervisor_starts_it_again(data_directory):
    """It does not start over by itself, which can hang for ever: see `restart_after_crash` in its settings."""
    server = EmbeddedPostgres(data_directory)
    await server.start()
    await ask(data_directory, "create table public.kept as select 42 as answer")
    psutil.Process(server.pid).children()[0].kill()
    assert await asyncio.wait_for(server.wait(), 60) == 1
    await server.start()
    assert await ask(data_directory, "select answer from public.kept") == 42
    await server.stop()


async def test_a_server_too_busy_to_answer_at_once_is_asked_again(data_directory, monkeypatch):
    refusals = [TimeoutError()]
    monkeypatch.setattr(postgres, "connect", refusing(refusals))
    server = EmbeddedPostgres(data_directory)
    await server.start()
    assert refusals == []
    assert await ask(data_directory, "select current_user", APP) == APP
    await server.stop()


async def test_a_server_that_refuses_its_first_question_is_not_left_running(data_directory, monkeypatch):
    monkeypatch.setattr(postgres, "connect", refusing([asyncpg.DiskFullError("no room for your question")]))
    server = EmbeddedPostgres(data_directory)
    with pytest.raises(CannotStartError, match="DiskFullError: no room for your question"):
        await server.start()
    assert server.pid is None
    await server.start()
    assert await ask(data_directory, "select current_user", APP) == APP
    await server.stop()


def refusing(refusals: list[Exception]) -> Callable[..., Awaitable[object]]:
    """A `connect` that raises these first, one each time."""

    async def asked(dsn: str, *, name: str) -> object:
        if refusals:
            raise refusals.pop()
        return await connect(dsn, name=name)

    return asked


async def test_a_server_left_behind_is_stopped_and_its_data_is_there(data_directory):
    first = EmbeddedPostgres(data_directory)
    await first.start()
    await ask(data_directory, "create table public.kept as select 42 as answer")
    left = psutil.Process(first.pid)
    second = EmbeddedPostgres(data_directory)
    await second.start()
    assert has_ended(left)
    assert await ask(data_directory, "select answer from public.kept") == 42
    await second.stop()
    assert await first.wait() == 0


async def test_stuck_backends_of_a_killed_server_do_not_stop_the_next(data_directory, monkeypatch):
    monkeypatch.setattr(orphan_cleanup, "_WAYS", ((signal.SIGINT, 1), (signal.SIGQUIT, 0.2), (signal.SIGKILL, 5)))
    server = EmbeddedPostgres(data_directory)
    await server.start()
    await ask(data_directory, "create table public.kept as select 42 as answer")
    postmaster = psutil.Process(server.pid)
    backends = postmaster.children()
    backends[0].suspend()
    postmaster.kill()
    await server.wait()
    await server.start()
    assert all(has_ended(backend) for backend in backends)
    assert await ask(data_directory, "select answer from public.kept") == 42
    await server.stop()


@pytest.mark.parametrize("ended", [True, False], ids=["zombie", "stranger"])
async def test_a_lock_file_with_the_number_of_another_process_is_not_believed(data_directory, ended):
    server = EmbeddedPostgres(data_directory)
    await server.start()
    pid, note = server.pid, (data_directory.cluster / "postmaster.pid").read_text()
    await server.stop()
    owner = data_directory.cluster.stat()
    command = ["sleep", "0" if ended else "60"]
    with subprocess.Popen(command, user=owner.st_uid, group=owner.st_gid) as other:  # noqa: ASYNC220 - not awaited
        try:
            while ended and not has_ended(psutil.Process(other.pid)):
                pass
            (data_directory.cluster / "postmaster.pid").write_text(note.replace(str(pid), str(other.pid), 1))
            await server.start()
            assert await ask(data_directory, "select 1") == 1
            await server.stop()
            assert ended or other.poll() is None
        finally:
            other.kill()


async def test_a_first_start_cut_off_halfway_is_begun_again(data_directory):
    half_made = data_directory.cluster.with_name("postgres.new")
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18")
    server = EmbeddedPostgres(data_directory)
    await server.start()
    assert await ask(data_directory, "select current_user", APP) == APP
    await server.stop()
    assert not half_made.exists()
