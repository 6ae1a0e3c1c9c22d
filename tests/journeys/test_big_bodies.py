"""Twenty edits of 10 MB at once must not be felt by everybody else's submissions."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from urllib.parse import urlsplit

import psutil
import pytest

EDITS = 20
PICTURE_BYTES = 10_000_000
SMALL_CLIENTS = 4
QUIET_S = 2.0
# Runs in a process of its own, so that what is measured is the platform and not the sender.
SENDER = """
import http.client, io, json, os, sys, threading, time, base64
from PIL import Image
host, key, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
side = int((10_000_000 / 3) ** 0.5)
pixels = bytearray(os.urandom(side * side * 3))
bodies = []
for number in range(count):
    pixels[number] ^= 255
    buffer = io.BytesIO()
    Image.frombytes("RGB", (side, side), bytes(pixels)).save(buffer, "PNG", compress_level=0)
    picture = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    bodies.append(json.dumps({"prompt": f"[sandbox:refuse] {number}", "images": [picture]}).encode())
print("ready", flush=True)
sys.stdin.readline()
statuses = []
def send(body):
    connection = http.client.HTTPConnection(host, timeout=300)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", "/api/v1/alibaba/qwen-image-edit-plus", body, headers)
    statuses.append(connection.getresponse().status)
threads = [threading.Thread(target=send, args=(body,)) for body in bodies]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(json.dumps(statuses), flush=True)
"""


async def submit_steadily(team, stop: asyncio.Event) -> list[float]:
    """Seconds that each of a stream of small submissions took."""
    took: list[float] = []

    async def one() -> None:
        while not stop.is_set():
            begun = time.perf_counter()
            answer = await team.submit("alibaba/qwen-image-plus", prompt="[sandbox:refuse]")
            took.append(time.perf_counter() - begun)
            assert answer.status == 200
            await asyncio.sleep(0.01)

    await asyncio.gather(*(one() for _ in range(SMALL_CLIENTS)))
    return took


def p99(took: list[float]) -> float:
    return sorted(took)[int(len(took) * 0.99)] * 1000


async def measure(team, sender) -> tuple[list[float], list[float], float]:
    """Small submissions alone, then beside the edits; and how long the edits took."""
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(QUIET_S, stop.set)
    quiet = await submit_steadily(team, stop)
    stop = asyncio.Event()
    beside = asyncio.create_task(submit_steadily(team, stop))
    begun = time.perf_counter()
    sender.stdin.write(b"go\n")
    sender.stdin.flush()
    statuses = await asyncio.to_thread(sender.stdout.readline)
    lasted = time.perf_counter() - begun
    stop.set()
    assert statuses.strip() == str([200] * EDITS).encode()
    return quiet, await beside, lasted


def disk_bytes(serve: subprocess.Popen[bytes]) -> tuple[int, int]:
    """Bytes that the API itself, and its helpers, had written to files on a disk."""
    process = psutil.Process(serve.pid)
    return (
        process.io_counters().write_bytes,
        sum(child.io_counters().write_bytes for child in process.children(recursive=True)),
    )


@pytest.mark.full
async def test_20_edits_of_10_mb(platform) -> None:
    """Twice the quiet p99 at most, or 60 ms, in one of three tries; the figures are printed (`pytest -s`).

    On the disk, which the database's log has to share, no body is written, and each picture once.
    """
    team, editor = await platform.team(10**12), await platform.team(10**12)
    command = [sys.executable, "-c", SENDER, urlsplit(platform.origin).netloc, editor.text, str(EDITS)]
    for _ in range(3):  # as this machine may have other work
        with start_sender(command) as sender:
            await asyncio.to_thread(sender.stdout.readline)
            api_before, helpers_before = disk_bytes(platform.serving)
            quiet, beside, lasted = await measure(team, sender)
            api_after, helpers_after = disk_bytes(platform.serving)
        assert api_after - api_before < PICTURE_BYTES
        assert helpers_after - helpers_before < 1.1 * EDITS * PICTURE_BYTES
        print(
            f"\nsmall submissions alone: {told(quiet)}; beside {EDITS} edits of 10 MB ({lasted:.1f} s): {told(beside)}"
        )
        if p99(beside) < max(2 * p99(quiet), 60):
            return
    pytest.fail(f"p99 alone {p99(quiet):.1f} ms, beside the edits {p99(beside):.1f} ms")


def start_sender(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def told(took: list[float]) -> str:
    return f"{len(took)}, p50 {statistics.median(took) * 1000:.1f} ms, p99 {p99(took):.1f} ms"
