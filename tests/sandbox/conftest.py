"""A sandbox in a process of its own, as in production, and a place that input files are fetched from."""

from __future__ import annotations

import asyncio
import io
import math
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import wave
from array import array
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest
from PIL import Image

_PROGRAM = """
import sys
from ipaddress import ip_network
from pathlib import Path
from modellix_server.processes.sandbox import run
if __name__ == "__main__":
    run(host="127.0.0.1", port=int(sys.argv[1]), upstreams=sys.argv[4].split(",") if sys.argv[4] else None,
        instant=sys.argv[2] == "instant", spool=Path(sys.argv[3]), allow_networks=[ip_network("127.0.0.0/8")])
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@dataclass
class Running:
    """A sandbox process."""

    process: subprocess.Popen[bytes]
    origin: str
    spool: Path

    @property
    def base(self) -> str:
        return f"{self.origin}/dashscope/api/v1"

    def stop(self, signum: int = signal.SIGTERM) -> int:
        self.process.send_signal(signum)
        return self.process.wait(10)


@contextmanager
def start(spool: Path, *, instant: bool = False, only: str = "") -> Iterator[Running]:
    port = free_port()
    arguments = [str(port), "instant" if instant else "", str(spool), only]
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, *arguments])
    running = Running(process, f"http://127.0.0.1:{port}", spool)
    try:
        _wait_until_up(running)
        yield running
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_up(running: Running) -> None:
    for _ in range(400):
        try:
            with urllib.request.urlopen(f"{running.origin}/healthz", timeout=1):
                return
        except OSError:
            assert running.process.poll() is None, "the sandbox ended"
            time.sleep(0.05)
    raise TimeoutError("the sandbox did not come up")


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory) -> Iterator[Running]:
    with start(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@dataclass
class Client:
    """Speaks the vendor's protocol by hand, so that tests can break its rules."""

    http: aiohttp.ClientSession
    running: Running

    async def submit(self, path: str, body: Any, *, task: bool = True, **headers: str) -> tuple[int, Any]:
        sent = {"Authorization": "Bearer sk-test", **({"X-DashScope-Async": "enable"} if task else {})}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.running.base}/services/{path}"
        async with self.http.post(url, json=body, headers={k: v for k, v in sent.items() if v}) as answer:
            return answer.status, await answer.json()

    async def paint(self, prompt: str, **headers: str) -> tuple[int, Any]:
        """The cheapest picture task there is."""
        return await self.submit("aigc/text2image/image-synthesis", picture(prompt), **headers)

    async def poll(self, task_id: str) -> Any:
        url = f"{self.running.base}/tasks/{task_id}"
        async with self.http.get(url, headers={"Authorization": "Bearer sk-test"}) as answer:
            assert answer.status == 200
            return await answer.json()

    async def finish(self, task_id: str) -> Any:
        for _ in range(600):
            answer = await self.poll(task_id)
            if answer["output"]["task_status"] in ("SUCCEEDED", "FAILED", "CANCELED", "UNKNOWN"):
                return answer
            await asyncio.sleep(0.03)
        raise TimeoutError(task_id)

    async def bill(self, **query: str) -> Any:
        async with self.http.get(f"{self.running.origin}/dashscope/_bill", params=query) as answer:
            return await answer.json()

    async def load(self, url: str) -> bytes:
        async with self.http.get(url) as answer:
            assert answer.status == 200
            return await answer.read()


def picture(prompt: str, **parameters: Any) -> dict[str, Any]:
    return {"model": "qwen-image-plus", "input": {"prompt": prompt}, "parameters": parameters}


@pytest.fixture
async def client(sandbox) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as http:
        yield Client(http, sandbox)


class _Files(BaseHTTPRequestHandler):
    files: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        body = self.files.get(self.path)
        if body is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="session")
def files() -> Iterator[str]:
    """Origin of a few input files: /red.png, /blue.png, /photo.png, /tone.wav (3 s), /text.txt …"""
    _Files.files = {
        "/photo.png": png(photo(900, 600)),
        "/small.png": png(photo(200, 200)),
        "/red.png": png(Image.new("RGB", (640, 480), (220, 30, 30))),
        "/blue.png": png(Image.new("RGB", (640, 480), (20, 40, 220))),
        "/glass.png": png(Image.new("RGBA", (640, 480), (20, 40, 220, 100))),
        "/tone.wav": tone(3.0),
        "/short.wav": tone(1.0),
        "/text.txt": b"not a picture",
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Files)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def photo(width: int, height: int) -> Image.Image:
    """Something with structure and colours."""
    grey = Image.effect_mandelbrot((width, height), (-2.2, -1.2, 0.8, 1.2), 60)
    return Image.merge("RGB", (grey, grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT), Image.new("L", grey.size, 120)))


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def tone(seconds: float) -> bytes:
    samples = array("h", (int(12_000 * math.sin(i * math.tau * 440 / 16_000)) for i in range(int(seconds * 16_000))))
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(samples.tobytes())
    return file.getvalue()


class Material:
    """Things to feed the emulators with."""

    png = staticmethod(png)
    photo = staticmethod(photo)
    tone = staticmethod(tone)

    @staticmethod
    def serve(path: str, body: bytes) -> None:
        """Put one more file where `files` are."""
        _Files.files[path] = body


@pytest.fixture(scope="session")
def material() -> Material:
    return Material()


@pytest.fixture
def start_sandbox():
    """`with start_sandbox(spool, instant=…, only=…) as running`: one of the test's own."""
    return start
