import asyncio
import os
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator

import psutil
import pytest
import uvloop

from modellix_server.inspection import Probe, Probed, Refused, sniff
from modellix_server.results import Helper, Spool
from modellix_server.results.helper_lane import HelperLane, HelperProcess


def png_header(width, height):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "bmp", "gif", "tiff"])
async def test_pictures(helper, picture, name):
    assert await helper.probe("image", picture(name)) == Probed(name, 40, 30, has_alpha=False)


@pytest.mark.parametrize("ext", ["mp4", "mov", "webm"])
async def test_clips_as_bytes_and_as_files(helper, clip, tmp_path, ext):
    data = clip(ext)
    path = tmp_path / "clip"
    path.write_bytes(data)
    expected = Probed(ext, 64, 48, 2000, ext == "mp4")
    assert await helper.probe("video", data) == expected
    assert await helper.probe("video", path) == expected


@pytest.mark.parametrize("ext", ["wav", "mp3", "m4a", "ogg", "flac", "aac"])
async def test_sounds(helper, clip, ext):
    found = await helper.probe("audio", clip(ext))
    assert isinstance(found, Probed)
    assert found.format == ext
    assert found.duration_ms is None if ext == "aac" else 1950 <= found.duration_ms <= 2100


async def test_what_is_not_the_expected_kind_is_refused(helper, picture, clip):
    for kind, data in [
        ("image", clip("mp4")),
        ("video", picture()),
        ("audio", picture("jpeg")),
        ("video", clip("wav")),
        ("image", b"<html><script>alert(1)</script></html>"),
        ("image", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ("image", b"%PDF-1.7"),
        ("video", b"#EXTM3U\nhttp://169.254.169.254/"),
        ("image", b""),
        ("image", bytes(1000)),
    ]:
        assert isinstance(await helper.probe(kind, data), Refused), (kind, data[:20])


@pytest.mark.parametrize("name", ["png", "jpeg", "webp"])
async def test_pictures_cut_short_are_refused(helper, picture, name):
    data = picture(name, (200, 200), noise=50)
    for size in (9, 60, len(data) // 2, len(data) - 40):
        assert isinstance(await helper.probe("image", data[:size]), Refused), size


@pytest.mark.parametrize(("kind", "ext"), [("video", "mp4"), ("video", "mov"), ("video", "webm")])
async def test_clips_cut_short_are_refused(helper, clip, kind, ext):
    data = clip(ext)
    assert isinstance(await helper.probe(kind, data[: len(data) // 2]), Refused)
    assert isinstance(await helper.probe(kind, data[:64]), Refused)


async def test_pixel_bombs_are_refused_without_decoding(helper):
    assert isinstance(await helper.probe("image", png_header(65_000, 65_000)), Refused)
    assert isinstance(await helper.probe("image", png_header(0, 10)), Refused)


async def test_a_batch_keeps_its_order(helper, picture):
    sizes = [(n, n + 1) for n in range(1, 60)]
    found = await asyncio.gather(*(helper.probe("image", picture(size=size)) for size in sizes))
    assert [(one.width, one.height) for one in found] == sizes


async def test_a_killed_helper_fails_nobody(helper, picture):
    good = picture()
    assert isinstance(await helper.probe("image", good), Probed)
    one = next_of(helper._quick)
    process = one.process
    os.kill(process.pid, signal.SIGSTOP)
    asked = [asyncio.create_task(helper.probe("image", good)) for _ in range(5)]
    await asyncio.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    found = await asyncio.gather(*asked)
    assert [isinstance(one, Probed) for one in found] == [True] * 5
    assert one.process.pid != process.pid


def test_one_that_dies_while_it_is_idle_fails_nobody_on_the_event_loop_of_production(tmp_path, picture):
    """uvloop raises RuntimeError where asyncio raises a ConnectionError."""

    async def use() -> None:
        helper = Helper(Spool(str(tmp_path)))
        for pause_s in (0, 0.5):  # before its end is noticed, and after
            assert isinstance(await helper.probe("image", picture()), Probed)
            one = next_of(helper._quick)
            os.kill(one.process.pid, signal.SIGKILL)
            await asyncio.sleep(pause_s)
            assert isinstance(await helper.probe("image", picture()), Probed)
        await helper.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(use())


def next_of(lane: HelperLane) -> HelperProcess:
    """The process that is taken first when none has work."""
    return lane._idle[-1]


async def test_a_batch_that_kills_the_helper_fails_only_the_guilty(helper, picture, monkeypatch):
    good, bad = picture(), b"poison"
    await helper.probe("image", good)
    one = next_of(helper._quick)
    honest = one.exchange
    deaths = []

    async def exchange(batch):
        if any(request.data == bad for request in batch):
            process = one.process or await one.start()
            process.kill()
            deaths.append(len(batch))
        return await honest(batch)

    monkeypatch.setattr(one, "exchange", exchange)
    first = asyncio.create_task(helper.probe("image", good))
    found = await asyncio.gather(first, *(helper.probe("image", data) for data in (good, bad, good)))
    assert [isinstance(one, Probed) for one in found] == [True, True, False, True]
    assert deaths[-1] == 1


async def test_a_helper_that_hangs_is_killed_and_replaced(helper, picture, monkeypatch):
    await helper.probe("image", picture())
    one = next_of(helper._quick)
    process, start = one.process, one.start
    os.kill(process.pid, signal.SIGSTOP)
    limit = "modellix_server.results.helper_lane._BATCH_TIMEOUT_S"
    monkeypatch.setattr(limit, 1)

    async def replaced():
        monkeypatch.setattr(limit, 60)  # it must load its modules first
        return await start()

    monkeypatch.setattr(one, "start", replaced)
    assert isinstance(await helper.probe("image", picture()), Probed)
    assert process.returncode == -signal.SIGKILL


async def test_a_team_whose_files_take_for_ever_holds_up_no_other(helper, picture):
    """Its own files wait for one another; those of others have the second process."""
    good = picture()
    await asyncio.gather(*(helper.probe("image", good, team_id) for team_id in (1, 2)))
    second = next_of(helper._quick)
    os.kill(second.process.pid, signal.SIGSTOP)
    stuck = [asyncio.create_task(helper.probe("image", good, 1)) for _ in range(100)]
    await asyncio.sleep(0)
    for team_id in (2, 3, 4):
        assert isinstance(await helper.probe("image", good, team_id), Probed)
    assert not any(task.done() for task in stuck)
    os.kill(second.process.pid, signal.SIGCONT)
    assert all(isinstance(found, Probed) for found in await asyncio.gather(*stuck))


@pytest.fixture
async def lane() -> AsyncIterator[HelperLane]:
    """One of which no process has started."""
    made = HelperLane(processes=2, most=32, give_way_by=0)
    yield made
    await made.stop()


async def test_nobody_waits_for_a_process_to_start_when_another_is_done_sooner(lane, picture, monkeypatch):
    asked = Probe("image", picture(), None)
    await lane.ask(asked, 1)
    begun, start = asyncio.Event(), HelperProcess.start

    async def never_starts(process: HelperProcess) -> asyncio.subprocess.Process:
        begun.set()
        await asyncio.Event().wait()
        return await start(process)

    monkeypatch.setattr(HelperProcess, "start", never_starts)
    found = await asyncio.gather(*(lane.ask(asked, team_id) for team_id in (1, 2, 3)))
    assert begun.is_set()
    assert all(isinstance(one, Probed) for one in found)


async def test_where_no_process_starts_everybody_is_told(lane, picture, monkeypatch):
    async def fails(_process: HelperProcess) -> asyncio.subprocess.Process:
        raise OSError("no more processes")

    monkeypatch.setattr(HelperProcess, "start", fails)
    asked = Probe("image", picture(), None)
    found = await asyncio.gather(*(lane.ask(asked, team_id) for team_id in (1, 1, 2)), return_exceptions=True)
    assert all(isinstance(one, OSError) for one in found)
    monkeypatch.undo()
    assert isinstance(await lane.ask(asked, 1), Probed)


async def test_work_given_up_by_its_callers_is_given_up(helper, picture):
    await helper.probe("image", picture())
    one = next_of(helper._quick)
    process = one.process
    os.kill(process.pid, signal.SIGSTOP)
    asked = [asyncio.create_task(helper.probe("image", picture())) for _ in range(40)]  # more than a batch
    await asyncio.sleep(0.05)
    for task in asked:
        task.cancel()
    await asyncio.gather(*asked, return_exceptions=True)
    assert process.returncode == -signal.SIGKILL
    assert isinstance(await helper.probe("image", picture()), Probed)


CONFINED = """
import os, signal, socket
from modellix_server.inspection.confine import confine, renew_time
confine()
renew_time()
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
    try:
        socket.socket(family)
    except PermissionError:
        continue
    raise SystemExit(f"{family} is open")
try:
    bytearray(3 << 30)
except MemoryError:
    pass
else:
    raise SystemExit("memory is not limited")
try:
    with open("big", "wb") as file:
        file.truncate(65 << 20)
except OSError:
    print("confined")
"""


def test_the_helper_has_no_network_and_little_room(tmp_path):
    ran = subprocess.run([sys.executable, "-c", CONFINED], capture_output=True, text=True, cwd=tmp_path)
    assert (ran.stdout, ran.returncode) == ("confined\n", 0), ran.stderr


def test_a_file_that_spins_is_stopped_by_the_kernel(tmp_path):
    spin = "import modellix_server.inspection.confine as c; c._CPU_S = 1; c.confine(); c.renew_time()\nwhile True: pass"
    assert subprocess.run([sys.executable, "-c", spin], timeout=100).returncode == -signal.SIGXCPU


def test_the_helper_ends_with_its_parent(tmp_path):
    script = """
import asyncio, sys
from modellix_server.results import Helper, Spool
async def main():
    helper = Helper(Spool(sys.argv[1]))
    process = await helper._quick.helpers[-1].start()
    await helper.probe("image", b"")
    print(process.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.communicate()
    for _ in range(1000):
        if not child.is_running() or child.status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.02)
    pytest.fail("the helper outlived its parent")


def test_formats_are_told_by_their_first_bytes():
    cases = {
        b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff\xe0": "jpeg", b"RIFF\0\0\0\0WEBPVP8 ": "webp", b"GIF89a": "gif",
        b"II*\0": "tiff", b"MM\0*": "tiff", b"\0\0\0\x18ftypheic": "heic", b"\0\0\0\x18ftypmif1": "heic",
        b"\0\0\0\x18ftypavif": "avif", b"\0\0\0\x18ftypXAVC\0\0\0\0mp42": "mp4", b"\0\0\0\x08free\0\0": "mp4",
        b"\0\0\0\x18ftypisom": "mp4", b"\0\0\0\x18ftypmp42": "mp4", b"\0\0\0\x14ftypqt  ": "mov",
        b"\0\0\0\x08wide\0\0": "mov", b"RIFF\0\0\0\0AVI LIST": "avi",
        b"\0\0\0\x1cftypM4A ": "m4a", b"RIFF\0\0\0\0WAVEfmt ": "wav", b"ID3\4": "mp3",
        b"\xff\xfb\x90\0": "mp3", b"\xff\xf1P@": "aac", b"OggS\0": "ogg", b"fLaC\0": "flac",
        b"BM\x8a\x10\0\0\0\0\0\0\x8a\0\0\0\x7c\0\0\0": "bmp",
    }  # fmt: skip
    assert {head: sniff(head).name for head in cases} == cases
    for head in (b"", b"BM", b"BM is a fine start", b"RIFF\0\0\0\0ACON", b"PK\3\4",
                 b"\xff\xff\xff\xff", b"\x1a\x45\xdf\xa3\x42\x82matroska", b"<svg", b"\xff\xd9"):  # fmt: skip
        assert sniff(head) is None, head


async def test_a_helper_that_does_not_start_condemns_no_file(spool, monkeypatch):
    """Else every result would be thrown away, paid for, on a machine that is out of memory."""
    start = asyncio.create_subprocess_exec

    async def broken(*_: object, **about: object) -> asyncio.subprocess.Process:
        return await start("/bin/false", **about)

    helper = Helper(spool)
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "create_subprocess_exec", broken)
        for _ in range(2):
            with pytest.raises(OSError, match="does not start"):
                await helper.probe("image", b"x")
    assert isinstance(await helper.probe("image", b"x"), Refused)
    await helper.close()


async def test_a_sound_that_says_that_it_lasts_for_weeks_is_refused(helper):
    """Its milliseconds would fit into no column."""
    rate, size = 1, 0xFFFFFF00
    form = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", size, b"WAVE", b"fmt ", 16, 1, 1, rate, rate, 1, 8, b"data", size)
    found = await helper.probe("audio", form + bytes(1000))
    assert isinstance(found, Refused)
