"""Results that come inside the vendor's answer: stored before the verdict, never twice and never in a row."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator

import msgspec
import pytest
from PIL import Image

from modellix_server.catalogue import Measurement
from modellix_server.results import Fetcher, Helper, Spool, Storage
from modellix_server.tasks.journal import Job, Move
from modellix_server.tasks.rules import Verdict
from modellix_server.tasks.steps import Store
from modellix_server.tasks.steps.store import put_down
from modellix_server.upstreams.contract import Done, InlineFile, RemoteFile

DONE = Done((RemoteFile("https://vendor.test/1.png", "image"),), Measurement(images=1))


@pytest.fixture
async def storing(stage, settings) -> AsyncIterator[Storage]:
    """A real storage and helper; no network."""
    storage, spool = Storage(settings.storage_url), Spool(settings.spool_dir)
    helper = Helper(spool)
    for kind in ("image", "vector"):  # both processes start now, and not while a task is timed
        await helper.probe(kind, png(8))
    fetcher = Fetcher(None, None, storage, helper, spool)
    stage.tools.storage, stage.tools.helper, stage.tools.fetcher = storage, helper, fetcher
    yield storage
    await helper.close()
    spool.close()


def inline(*files: bytes) -> Done:
    return Done(tuple(InlineFile(file, "image") for file in files), Measurement(images=len(files)), "r-1")


def png(side: int) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((side, side), 90).save(buffer, "PNG")
    return buffer.getvalue()


async def files_of(storage: Storage, job: Job) -> dict[str, bytes]:
    return {
        path.rpartition("/")[2]: await storage.read(path)
        async for page in storage.names(f"results/{job.id.hex}")
        for path in page
    }


async def test_files_inside_an_answer_are_stored_and_the_row_keeps_no_byte_of_them(stage, storing) -> None:
    small, large = png(40), png(1300)
    assert len(large) > 1_000_000
    stage.vendor.submitted = lambda: inline(small, large)
    advance, found = stage.tools.journal.advance, []

    async def noted(change: tuple[Job, Move]) -> bool:
        if change[1].becomes == "storing":
            found.append((await files_of(storing, stage.job), change[1].verdict))
        return await advance(change)

    stage.tools.journal.advance = noted
    assert (await stage.run())["state"] == "succeeded"
    ((files, verdict),) = found  # what a crash right after this move would find
    assert files == {"0.png": small, "1.png": large}
    assert len(verdict) < 1000
    assert [file["stored"]["size"] for file in msgspec.json.decode(verdict)["files"]] == [len(small), len(large)]
    await stage.clean()


async def test_a_task_goes_on_from_its_verdict_without_the_answer(stage, storing) -> None:
    move = await put_down(stage.job, Store(inline(png(40))), stage.tools)
    await stage.bring_to("submitting", "storing", verdict=move.verdict)
    row = await stage.run()
    assert (row["state"], stage.vendor.posts) == ("succeeded", 0)
    resources = await stage.pool.fetchval("select resources from results.result")
    assert msgspec.json.decode(resources)["request_id"] == "r-1"
    await stage.clean()


async def test_verdicts_look_as_they_did_before(stage) -> None:
    """Workers of the last version and of this one read each other's rows."""
    before = msgspec.json.encode(DONE)
    verdict = msgspec.json.decode(before, type=Verdict)
    after = (await put_down(stage.job, Store(DONE), stage.tools)).verdict
    assert msgspec.json.decode(after, type=Verdict) == verdict
    assert msgspec.json.decode(after, type=BeforeDone) == msgspec.json.decode(before, type=BeforeDone)


class BeforeDone(msgspec.Struct):
    """`Done` as version 0.1.0 reads it from a row."""

    files: tuple[RemoteFile, ...]
    measured: Measurement
    request_id: str | None = None
    data: dict = {}


@pytest.mark.parametrize("body", [b"<html>", b""])
async def test_a_file_inside_an_answer_that_is_none_costs_nothing(stage, storing, body: bytes) -> None:
    stage.vendor.submitted = lambda: inline(png(40), body)
    row = await stage.run()
    assert (row["state"], row["error_code"], row["captured"]) == ("failed", "result_unavailable", None)
    assert await files_of(storing, stage.job) == {}
    assert "result unavailable" in await stage.pool.fetchval("select reason || detail from tasks.review")
    assert await stage.pool.fetchval("select outcome from tasks.attempt") == "done"
    await stage.clean()


async def test_a_storage_that_is_away_for_a_moment_loses_no_answer(stage, storing, monkeypatch) -> None:
    put, left = storing.put, [True]

    async def away_once(*about) -> None:
        if left:
            left.clear()
            raise OSError(28, "No space left on device")
        await put(*about)

    monkeypatch.setattr(storing, "put", away_once)
    stage.vendor.submitted = lambda: inline(png(600))
    assert (await stage.run())["state"] == "succeeded"
    assert left == []
    await stage.clean()


async def test_a_long_answer_keeps_its_room_until_its_files_are_stored(stage, storing, monkeypatch) -> None:
    held = []

    async def put(*_: object) -> None:
        held.append(stage.tools.long_answers._value)

    monkeypatch.setattr(storing, "put", put)
    free = stage.tools.long_answers._value

    async def submit(_order: object, http) -> Done:
        await http._enter()
        return inline(png(600))

    monkeypatch.setattr(stage.vendor, "submit", submit)
    await stage.run()
    assert (held, stage.tools.long_answers._value) == ([free - 1], free)
