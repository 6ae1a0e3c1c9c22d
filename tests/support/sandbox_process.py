"""The sandbox in a process of its own, as in production, and a client who speaks a vendor's protocol by hand."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from tests.support.ports import free_port

_PROGRAM = """
import sys
from ipaddress import ip_network
from pathlib import Path
from modellix_server.processes.sandbox import run
if __name__ == "__main__":
    run(host="127.0.0.1", port=int(sys.argv[1]), upstreams=sys.argv[4].split(",") if sys.argv[4] else None,
        instant=sys.argv[2] == "instant", spool=Path(sys.argv[3]),
        allow_networks=[ip_network(one) for one in sys.argv[5].split()])
"""


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
        return self.process.wait(60)


@contextmanager
def start(spool: Path, *, instant: bool = False, only: str = "", networks: str = "127.0.0.0/8") -> Iterator[Running]:
    port = free_port()
    arguments = [str(port), "instant" if instant else "", str(spool), only, networks]
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, *arguments])
    running = Running(process, f"http://127.0.0.1:{port}", spool)
    try:
        _wait_until_up(running)
        yield running
    finally:
        process.terminate()
        process.wait(60)


def _wait_until_up(running: Running) -> None:
    for _ in range(1200):
        try:
            with urllib.request.urlopen(f"{running.origin}/healthz", timeout=1):
                return
        except OSError:
            assert running.process.poll() is None, "the sandbox ended"
            time.sleep(0.05)
    raise TimeoutError("the sandbox did not come up")


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
