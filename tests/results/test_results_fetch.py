import asyncio
import hashlib
import resource
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from modellix_server.base.external_link import Origins
from modellix_server.base.ids import uuid7
from modellix_server.results import (
    FetchGone,
    FetchLater,
    FetchNever,
    InlineResult,
    RemoteResult,
    Resource,
    Spool,
    fetch,
)
from modellix_server.results.helper_lane import Crashed


async def stored(storage):
    return [path async for page in storage.names("results") for path in page]


def take_the_folder(storage):
    """Let small files, which are not put but written by the helper, fail too."""
    if folder := storage.local("results"):
        folder.rmdir()
        folder.write_bytes(b"not a folder")


async def test_a_small_picture(fetcher, vendor, storage, picture):
    data, task = picture("webp"), uuid7()
    # A wrong extension or Content-Type of the vendor counts for nothing.
    got = await fetcher.fetch(RemoteResult(task, 3, vendor.put("a.txt", data), "image"), vendor.origins)
    path = f"results/{task.hex}/3.webp"
    digest = hashlib.sha256(data).hexdigest()
    assert got == Resource("image", "webp", 40, 30, len(data), None, "primary", path, digest)
    assert await storage.read(path) == data


async def test_a_big_picture_goes_through_the_spool(fetcher, vendor, storage, picture):
    data, task = picture("png", (1300, 1300), noise=90), uuid7()
    assert len(data) > fetch._IN_MEMORY_BYTES
    got = await fetcher.fetch(RemoteResult(task, 0, vendor.put("a", data), "image", "cover"), vendor.origins)
    assert (got.size, got.sha256, got.role) == (len(data), hashlib.sha256(data).hexdigest(), "cover")
    assert await storage.read(got.path) == data


async def test_a_clip_and_a_sound(fetcher, vendor, storage, clip):
    video = await fetcher.fetch(RemoteResult(uuid7(), 0, vendor.put("v", clip("mp4")), "video"), vendor.origins)
    assert (video.format, video.width, video.height, video.duration_ms) == ("mp4", 64, 48, 2000)
    audio = await fetcher.fetch(RemoteResult(uuid7(), 0, vendor.put("a", clip("wav")), "audio"), vendor.origins)
    assert (audio.format, audio.width, audio.duration_ms) == ("wav", None, 2000)


async def test_fetching_again_overwrites(fetcher, vendor, storage, picture):
    task = uuid7()
    for size in ((10, 10), (20, 20)):
        url = vendor.put("a", picture(size=size))
        await fetcher.fetch(RemoteResult(task, 0, url, "image"), vendor.origins)
    assert await stored(storage) == [f"results/{task.hex}/0.png"]
    assert await storage.read(f"results/{task.hex}/0.png") == picture(size=(20, 20))


@pytest.mark.parametrize(
    ("status", "error"),
    [(404, FetchGone), (403, FetchGone), (410, FetchGone), (400, FetchNever), (206, FetchNever), (204, FetchNever),
     (500, FetchLater), (503, FetchLater), (429, FetchLater)],
)  # fmt: skip
async def test_what_the_vendors_status_means(fetcher, vendor, storage, picture, status, error):
    url = vendor.put("a", picture() if status != 204 else b"", status)
    with pytest.raises(error) as caught:
        await fetcher.fetch(RemoteResult(uuid7(), 0, url, "image"), vendor.origins)
    assert caught.type is error
    assert await stored(storage) == []


async def test_what_is_never_stored(fetcher, vendor, storage, picture, clip, monkeypatch):
    monkeypatch.setitem(fetch._MOST_BYTES, "image", 1_500_000)
    for name, kind, data in [
        ("html", "image", b"<html>"),
        ("clip as picture", "image", clip("mp4")),
        ("picture as clip", "video", picture()),
        ("cut", "image", picture(noise=40)[:-30]),
        ("too big", "image", picture() + bytes(1_500_001)),
        ("empty", "image", b""),
    ]:
        with pytest.raises(FetchNever):
            await fetcher.fetch(RemoteResult(uuid7(), 0, vendor.put("x", data), kind), vendor.origins)
        assert await stored(storage) == [], name


async def test_inner_addresses_are_never_fetched(fetcher, vendor, storage, picture):
    url = vendor.put("a", picture())
    with pytest.raises(FetchNever):
        await fetcher.fetch(RemoteResult(uuid7(), 0, url, "image"), Origins())
    with pytest.raises(FetchNever):
        await fetcher.fetch(RemoteResult(uuid7(), 0, "file:///etc/passwd", "image"), vendor.origins)
    with pytest.raises(FetchLater):  # nobody listens there
        await fetcher.fetch(RemoteResult(uuid7(), 0, "http://127.0.0.1:9/a", "image"), Origins.of("http://127.0.0.1:9"))


@pytest.mark.parametrize("sent", [5_000, 3_000_000])
async def test_a_body_that_breaks_off_leaves_nothing(fetcher, storage, spool, picture, sent):
    data = picture("png", (1300, 1300), noise=90)

    async def half(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data * 2) + (data * 2)[:sent])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a"
    with pytest.raises(FetchLater) as caught:
        await fetcher.fetch(RemoteResult(uuid7(), 0, url + "?Signature=secret", "image"), Origins.of(url))
    assert "secret" not in str(caught.value)
    server.close()
    assert await stored(storage) == []
    assert list(spool.folder.iterdir()) == []


async def test_a_storage_that_fails_is_tried_later(fetcher, vendor, storage, picture, monkeypatch):
    async def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "put", full)
    take_the_folder(storage)
    for data in (picture(), picture("png", (1300, 1300), noise=90)):
        with pytest.raises(FetchLater):
            await fetcher.fetch(RemoteResult(uuid7(), 0, vendor.put("a", data), "image"), vendor.origins)


@pytest.mark.parametrize("storage", ["file"], indirect=True)
async def test_what_a_crash_left_of_a_small_file_is_replaced(fetcher, vendor, storage, picture):
    data, task = picture(), uuid7()
    left = storage.local(f"results/{task.hex}/0.png")
    left.parent.mkdir(parents=True)
    left.write_bytes(data[:20])
    await fetcher.fetch(RemoteResult(task, 0, vendor.put("a", data), "image"), vendor.origins)
    assert [path.name for path in left.parent.iterdir()] == ["0.png"]
    assert left.read_bytes() == data


@pytest.mark.parametrize("storage", ["file"], indirect=True)
async def test_a_helper_that_dies_while_it_writes_proves_nothing_against_the_file(
    fetcher, helper, vendor, storage, picture, monkeypatch
):
    ask = helper._quick.ask

    async def dies(request, team_id):
        if request.keep_at is not None:
            raise Crashed
        return await ask(request, team_id)

    monkeypatch.setattr(helper._quick, "ask", dies)
    for data, expected in ((picture(), FetchLater), (b"<html>", FetchNever)):
        with pytest.raises(expected) as caught:
            await fetcher.fetch(RemoteResult(uuid7(), 0, vendor.put("a", data), "image"), vendor.origins)
        assert caught.type is expected


def test_scratch_files_of_the_dead_are_removed_and_those_of_the_living_are_not(tmp_path):
    living = Spool(str(tmp_path))
    living.path().write_bytes(b"mine")
    script = (
        "import os, sys; from modellix_server.results import Spool; "
        "s = Spool(sys.argv[1]); s.path().write_bytes(b'x'); print(s.folder, flush=True); os.kill(os.getpid(), 9)"
    )
    ran = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True)
    left = Path(ran.stdout.strip())
    assert left.is_dir()
    other = Spool(str(tmp_path))
    assert not left.exists()
    assert len(list(living.folder.iterdir())) == 1
    other.close()
    living.close()
    assert list(tmp_path.iterdir()) == []


def test_task_ids_in_paths_are_ids():
    assert fetch.stored_place(UUID(int=1), 0) == f"results/{'0' * 31}1/0"


async def test_a_disk_that_fills_up_cuts_no_file(tmp_path):
    """A raw write takes what fits and says so; the rest must not be forgotten. The limit acts like a full disk."""

    async def body():
        yield bytes(800_000)

    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, former[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            await fetch._write(tmp_path / "spooled", bytearray(1_000_000), body())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)


# -- files that came inside an answer


@pytest.mark.parametrize("noise", [0, 90])
async def test_a_file_in_memory_is_stored_like_a_fetched_one(fetcher, vendor, storage, picture, noise):
    data, task = picture("png", (1300, 1300), noise=noise), uuid7()
    assert (len(data) > fetch._IN_MEMORY_BYTES) == bool(noise)
    kept = await fetcher.keep(InlineResult(task, 2, data, "image", "cover"))
    assert kept == await fetcher.fetch(RemoteResult(task, 2, vendor.put("a", data), "image", "cover"), vendor.origins)
    assert await storage.read(kept.path) == data


async def test_what_in_memory_is_never_stored(fetcher, storage, picture, clip, monkeypatch):
    monkeypatch.setitem(fetch._MOST_BYTES, "image", 1_500_000)
    for data in (b"<html>", clip("mp4"), picture(noise=40)[:-30], picture() + bytes(1_500_001), b""):
        with pytest.raises(FetchNever):
            await fetcher.keep(InlineResult(uuid7(), 0, data, "image"))
    assert await stored(storage) == []


async def test_a_storage_that_fails_is_tried_later_in_memory_too(fetcher, storage, picture, monkeypatch):
    async def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "put", full)
    take_the_folder(storage)
    for noise in (0, 90):
        with pytest.raises(FetchLater):
            await fetcher.keep(InlineResult(uuid7(), 0, picture("png", (1300, 1300), noise=noise), "image"))
