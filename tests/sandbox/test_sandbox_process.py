"""The sandbox as a process: files, life and death, and a loop that nothing stalls."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import aiohttp
import psutil
import pytest

from modellix_server.processes import sandbox as program
from modellix_server.sandbox.spool import SandboxSpool


async def test_files_are_served_in_ranges_without_a_key(client):
    body = {"model": "wan2.6-t2v", "input": {"prompt": "x"}, "parameters": {"size": "1280*720", "duration": 2}}
    _, answer = await client.submit("aigc/video-generation/video-synthesis", body)
    url = (await client.finish(answer["output"]["task_id"]))["output"]["video_url"]
    whole = await client.load(url)
    async with client.http.get(url, headers={"Range": "bytes=100-199"}) as part:
        assert part.status == 206
        assert part.content_type == "video/mp4"
        assert await part.read() == whole[100:200]
    async with client.http.head(url) as head:
        assert int(head.headers["Content-Length"]) == len(whole)
    async with client.http.post(url) as refused:
        assert refused.status == 405
    name = url.rpartition("/")[2]
    for guess in (f"{client.running.origin}/dashscope/files/{'A' * 24}/{name}", url + "x", url.replace(name, "")):
        async with client.http.get(guess) as missing:
            assert missing.status == 404


@pytest.mark.full
async def test_rendering_never_stalls_the_loop(client):
    """Four clips on two render processes, and a ping every 10 ms meanwhile."""
    body = {"model": "wan2.6-t2v", "input": {"prompt": "x"}, "parameters": {"size": "1280*720", "duration": 3}}
    tasks = [
        (await client.submit("aigc/video-generation/video-synthesis", body))[1]["output"]["task_id"] for _ in range(4)
    ]
    unfinished = set(tasks)
    late_s: list[float] = []
    started = time.monotonic()
    for turn in range(3_000):
        begun = time.monotonic()
        state = (await client.poll(tasks[turn % 4]))["output"]["task_status"]
        late_s.append(time.monotonic() - begun)
        unfinished -= {tasks[turn % 4]} if state == "SUCCEEDED" else set()
        if not unfinished:
            break
        await asyncio.sleep(0.01)
    assert len(late_s) > 50
    # Each clip made on the loop would hold up a ping for a quarter of the time. A busy machine holds up one or two.
    assert sorted(late_s)[-3] < max(0.1, (time.monotonic() - started) / 8)


def children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def running(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def all_end(processes: list[psutil.Process]) -> bool:
    for _ in range(1000):
        if not any(running(process) for process in processes):
            return True
        await asyncio.sleep(0.02)
    return False


@pytest.mark.full
async def test_killed_it_leaves_no_process_behind_and_the_next_one_cleans_up(start_sandbox, tmp_path):
    with start_sandbox(tmp_path) as running:
        async with aiohttp.ClientSession() as http:
            body = {"model": "wan2.6-t2v", "input": {"prompt": "x"}, "parameters": {"duration": 15}}
            headers = {"Authorization": "Bearer sk-test", "X-DashScope-Async": "enable"}
            url = f"{running.base}/services/aigc/video-generation/video-synthesis"
            async with http.post(url, json=body, headers=headers) as answer:
                assert answer.status == 200
        for _ in range(2000):
            born = children(running.process.pid)
            if any("ffmpeg" in process.name() for process in born):
                break
            await asyncio.sleep(0.02)
        else:
            raise TimeoutError("no clip is being made")
        running.stop(signal.SIGKILL)
        assert await all_end(born)
        assert list(tmp_path.glob("spool-*"))
    with start_sandbox(tmp_path) as running:
        assert len(list(tmp_path.glob("spool-*"))) == 1
        born = children(running.process.pid)
        assert running.stop(signal.SIGTERM) == 0
        assert await all_end(born)
        assert not list(tmp_path.glob("spool-*"))


async def test_a_render_process_that_dies_is_replaced(start_sandbox, tmp_path):
    with start_sandbox(tmp_path) as running:
        for process in children(running.process.pid):
            if "spawn_main" in " ".join(process.cmdline()):
                os.kill(process.pid, signal.SIGKILL)
        body = {"model": "qwen-image-plus", "input": {"prompt": "x"}}
        headers = {"Authorization": "Bearer sk-test", "X-DashScope-Async": "enable"}
        async with aiohttp.ClientSession() as http:
            for _ in range(2):
                url = f"{running.base}/services/aigc/text2image/image-synthesis"
                async with http.post(url, json=body, headers=headers) as answer:
                    task_id = (await answer.json())["output"]["task_id"]
                for _ in range(1000):
                    async with http.get(f"{running.base}/tasks/{task_id}", headers=headers) as answer:
                        state = (await answer.json())["output"]["task_status"]
                    if state == "SUCCEEDED":
                        break
                    await asyncio.sleep(0.05)
                assert state == "SUCCEEDED"


async def test_instant_mode_and_an_emulator_at_the_root(start_sandbox, tmp_path):
    with start_sandbox(tmp_path, instant=True, only="dashscope") as running:
        body = {"model": "qwen-image-plus", "input": {"prompt": "x"}}
        headers = {"Authorization": "Bearer sk-test", "X-DashScope-Async": "enable"}
        async with aiohttp.ClientSession() as http:
            url = f"{running.origin}/api/v1/services/aigc/text2image/image-synthesis"
            async with http.post(url, json=body, headers=headers) as answer:
                task_id = (await answer.json())["output"]["task_id"]
            async with http.get(f"{running.base}/tasks/{task_id}", headers=headers) as answer:
                output = (await answer.json())["output"]
            assert output["task_status"] == "SUCCEEDED"
            async with http.get(output["results"][0]["url"]) as answer:
                assert (await answer.read())[:4] == b"\x89PNG"
            async with http.get(f"{running.origin}/_bill") as answer:
                assert (await answer.json())["totals"] == {"posts": 1, "accepted": 1, "images": 1, "seconds": 0}
            body["input"]["prompt"] = "[sandbox:never]"
            async with http.post(url, json=body, headers=headers) as answer:
                task_id = (await answer.json())["output"]["task_id"]
            await asyncio.sleep(0.05)
            async with http.get(f"{running.base}/tasks/{task_id}", headers=headers) as answer:
                assert (await answer.json())["output"]["task_status"] == "RUNNING"


def test_an_unknown_vendor_is_named():
    with pytest.raises(ValueError, match="acme"):
        program.run(host="127.0.0.1", port=1, upstreams=["acme"], instant=False, spool=Path("/nowhere"))


def test_a_spool_stays_within_its_size_and_two_may_share_a_place(tmp_path):
    spool, other = SandboxSpool(tmp_path, most_bytes=250), SandboxSpool(tmp_path)
    links = []
    for _ in range(4):
        path = spool.new_path(".png")
        path.write_bytes(b"x" * 100)
        links.append(spool.add(path))
    assert len(list(spool.directory.glob("*.png"))) == 2
    assert len(set(links)) == 4
    assert other.directory.exists()
    spool.close()
    assert not spool.directory.exists()
    assert other.directory.exists()
    other.close()
