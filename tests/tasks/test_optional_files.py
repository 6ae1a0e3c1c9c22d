"""Files beside those that are paid for: their loss is told to the operator and costs the client nothing."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from modellix_server.base.ids import uuid7
from modellix_server.catalogue import Measurement
from modellix_server.results import FetchLater, FetchNever, Resource
from modellix_server.tasks import MediaTools, media
from modellix_server.tasks.media import BadMedia
from modellix_server.upstreams.contract import Done, InlineFile, RemoteFile

URL = "https://vendor.test"


def done(*files: RemoteFile | InlineFile) -> Done:
    return Done(files, Measurement(images=1))


def stored(index: int, kind: str = "image") -> Resource:
    format_name = "svg" if kind == "vector" else "png"
    return Resource("image", format_name, 1, 1, 1, None, "primary", f"{index}.{format_name}", "0" * 64)


@pytest.fixture
def handling(settings, monkeypatch) -> MediaTools:
    monkeypatch.setattr(media, "_OPTIONAL_WAIT_S", 0.05)
    monkeypatch.setattr(media.rules, "retry_in_s", lambda _: 0.1)

    async def fetch(remote, _origins) -> Resource:
        if remote.url.endswith("bad"):
            raise FetchNever("has a script")
        if remote.url.endswith("later"):
            raise FetchLater("503")
        return stored(remote.index, remote.kind)

    async def keep(inline) -> Resource:
        return stored(inline.index)

    return MediaTools.of(settings, None, None, SimpleNamespace(fetch=fetch, keep=keep), {})


async def kept(handling: MediaTools, result: Done):
    until = time.monotonic() + 0.3
    verdict = await handling.put_down(uuid7(), result, until)
    return await handling.keep(uuid7(), verdict, None, until)


@pytest.mark.parametrize("way", ["bad", "later"])
async def test_a_lost_alternative_is_left_out_and_told(handling: MediaTools, way: str) -> None:
    files = [
        RemoteFile(f"{URL}/1", "image"),
        RemoteFile(f"{URL}/{way}", "vector", "alternative"),
        RemoteFile(f"{URL}/2", "vector", "alternative"),
    ]
    result, lost = await kept(handling, done(*files))
    assert [file.format for file in result.resources] == ["png", "svg"]
    assert lost == ["vector: " + {"bad": "has a script", "later": "503"}[way]]


async def test_a_lost_file_that_is_paid_for_is_a_lost_result(handling: MediaTools) -> None:
    with pytest.raises(BadMedia):
        await kept(handling, done(RemoteFile(f"{URL}/bad", "image"), RemoteFile(f"{URL}/1", "vector", "alternative")))


async def test_numbers_of_files_that_are_stored_already_stay(handling: MediaTools) -> None:
    """A gap before such a file would give it another link."""
    with pytest.raises(BadMedia):
        await kept(handling, done(RemoteFile(f"{URL}/bad", "vector", "alternative"), InlineFile(b"x", "image")))
