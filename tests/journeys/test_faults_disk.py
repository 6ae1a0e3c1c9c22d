"""The disk under the database is full: the one of its tables, or the one of its write-ahead log."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.own_postgres_server import MODEL, PRICE, START, ended_well, insist, served_from
from tests.support.small_disk import SmallDisk

from modellix_server.base.database import DATABASE_ERRORS
from modellix_server.embedded.data_directory import CannotStartError


@pytest.fixture
def own_folder() -> Iterator[Path]:
    """Open to the user that a server started by root runs as, unlike pytest's own."""
    with tempfile.TemporaryDirectory(prefix="modellix-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.mark.full
@pytest.mark.timeout(300)
async def test_a_full_disk(postgres_server, small_disk, stage, tmp_path) -> None:
    """What cannot be written is not accepted; what was accepted ends; with room again all is well."""
    folder = small_disk.folder
    async with served_from(type(postgres_server), folder) as server, stage(server, tmp_path) as platform:
        team = await platform.team()
        accepted: list[str] = []
        small_disk.fill()
        for number in range(2000):
            body = {"prompt": f"{number} " + "x" * 700}
            answer = await team.post(f"/api/v1/{MODEL}", body, headers={"Idempotency-Key": f"k{number}"})
            if answer.status != 200:
                break
            accepted.append(answer.data["task_id"])
        assert answer.status == 503, answer.body
        assert int(answer.headers["retry-after"]) > 0
        small_disk.clear()
        give_up = time.monotonic() + 60
        while (
            again := await team.post(f"/api/v1/{MODEL}", body, headers={"Idempotency-Key": f"k{number}"})
        ).status != 200:
            assert time.monotonic() < give_up
            await asyncio.sleep(0.3)
        tasks = [*accepted, again.data["task_id"]]
        await ended_well(platform, team, tasks)
        assert await platform.tasks_of(team) == len(tasks)
        assert await platform.balance_of(team) == (START - len(tasks) * PRICE, 0)
        await platform.books_are_clean()


class FullDisk:
    """Really out of room: where a file system may be mounted."""

    says = "pg_wal is full"

    def __init__(self, disk: SmallDisk) -> None:
        self._disk = disk
        self.wal = disk.folder / "wal"

    def take_room(self, _cluster: Path) -> None:
        self._disk.fill()

    def make_room(self, _cluster: Path) -> None:
        self._disk.clear()


class ClosedFolder:
    """No new file can be made, which stops PostgreSQL in the same way; for every user."""

    wal = None
    says = "Permission denied"

    def take_room(self, cluster: Path) -> None:
        (cluster / "pg_wal").chmod(0o500)

    def make_room(self, cluster: Path) -> None:
        (cluster / "pg_wal").chmod(0o700)


@pytest.fixture(params=["a small disk", "a closed folder"])
def log_disk(request) -> FullDisk | ClosedFolder:
    return FullDisk(request.getfixturevalue("small_disk")) if request.param == "a small disk" else ClosedFolder()


@pytest.mark.full
@pytest.mark.timeout(300)
async def test_no_room_for_the_write_ahead_log(own_folder, postgres_server, log_disk, stage, tmp_path) -> None:
    """PostgreSQL ends itself, and does not start before there is room. Nothing is half made, nothing is lost."""
    kind = type(postgres_server)
    async with served_from(kind, own_folder, log_disk.wal) as server, stage(server, tmp_path) as platform:
        team = await platform.team()
        accepted = [(await team.submit(MODEL, prompt="[sandbox:slow=3]")).data["task_id"]]
        cluster = server.data_directory.cluster
        log_disk.take_room(cluster)

        async def offer(number: int):
            body, key = {"prompt": f"number {number}"}, {"Idempotency-Key": f"k{number}"}
            return await team.post(f"/api/v1/{MODEL}", body, headers=key)

        for number in range(20):
            with contextlib.suppress(*DATABASE_ERRORS):
                await server.setup.execute("select pg_switch_wal()")  # the next write needs another file
            answer = await offer(number)
            if answer.status != 200:
                break
            accepted.append(answer.data["task_id"])
        assert answer.status == 503, answer.body
        assert int(answer.headers["retry-after"]) > 0
        await asyncio.wait_for(server.postgres.wait(), 60)
        with pytest.raises(CannotStartError, match=log_disk.says):
            await server.postgres.start()
        for more in range(number, number + 3):
            answer = await offer(more)
            assert answer.status == 503, answer.body
            assert int(answer.headers["retry-after"]) > 0
        assert (await team.get("/readyz")).status == 503

        log_disk.make_room(cluster)
        await server.postgres.start()
        accepted += [await insist(team, f"k{more}", f"number {more}") for more in range(number, number + 3)]
        await ended_well(platform, team, accepted)
        assert await platform.tasks_of(team) == len(accepted)
        assert await platform.balance_of(team) == (START - len(accepted) * PRICE, 0)
        await platform.books_are_clean()
