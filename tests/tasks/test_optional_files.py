"""Files beside those that are paid for: their loss is told to the operator and costs the client nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import SimpleNamespace

import msgspec
import pytest

from modellix_server.catalogue import Measurement
from modellix_server.results import FetchLater, FetchNever, Resource
from modellix_server.tasks.journal import Finish
from modellix_server.tasks.rules import StoredResult
from modellix_server.tasks.steps import Store, TaskClock
from modellix_server.tasks.steps import store as storing
from modellix_server.upstreams.contract import Done, InlineFile, RemoteFile

URL = "https://vendor.test"


def done(*files: RemoteFile | InlineFile) -> Done:
    return Done(files, Measurement(images=1))


def stored(index: int, kind: str = "image") -> Resource:
    format_name = "svg" if kind == "vector" else "png"
    return Resource("image", format_name, 1, 1, 1, None, "primary", f"{index}.{format_name}", "0" * 64)


@pytest.fixture
def kept(stage, monkeypatch) -> Callable[[Done], Awaitable[Finish]]:
    """How a task ends that delivered this."""
    monkeypatch.setattr(storing, "_OPTIONAL_WAIT_S", 0.05)
    monkeypatch.setattr(storing, "STORE_AT_LEAST_S", 0.3)
    monkeypatch.setattr(storing.rules, "retry_in_s", lambda _: 0.1)

    async def fetch(remote, _origins) -> Resource:
        if remote.url.endswith("bad"):
            raise FetchNever("has a script")
        if remote.url.endswith("later"):
            raise FetchLater("503")
        return stored(remote.index, remote.kind)

    async def keep(inline) -> Resource:
        return stored(inline.index)

    async def end(result: Done) -> Finish:
        stage.tools.fetcher = SimpleNamespace(fetch=fetch, keep=keep)
        verdict = await storing.put_down(stage.job, Store(result), stage.tools)
        return await storing.store(
            msgspec.structs.replace(stage.job, verdict=verdict.verdict), None, stage.tools, TaskClock(0, 0)
        )

    return end


@pytest.mark.parametrize("way", ["bad", "later"])
async def test_a_lost_alternative_is_left_out_and_told(kept, way: str) -> None:
    files = [
        RemoteFile(f"{URL}/1", "image"),
        RemoteFile(f"{URL}/{way}", "vector", "alternative"),
        RemoteFile(f"{URL}/2", "vector", "alternative"),
    ]
    ending = await kept(done(*files))
    result = msgspec.json.decode(ending.resources, type=StoredResult)
    assert [file.format for file in result.resources] == ["png", "svg"]
    assert ending.left_out == ["vector: " + {"bad": "has a script", "later": "503"}[way]]


async def test_a_lost_file_that_is_paid_for_is_a_lost_result(kept) -> None:
    ending = await kept(done(RemoteFile(f"{URL}/bad", "image"), RemoteFile(f"{URL}/1", "vector", "alternative")))
    assert ending.error_code == "result_unavailable"


async def test_numbers_of_files_that_are_stored_already_stay(kept) -> None:
    """A gap before such a file would give it another link."""
    ending = await kept(done(RemoteFile(f"{URL}/bad", "vector", "alternative"), InlineFile(b"x", "image")))
    assert ending.error_code == "result_unavailable"
