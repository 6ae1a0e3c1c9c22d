"""Edits of 10 MB, sent in parallel: `python -m bench.edits HOST PORT KEY COUNT`, a process of its own.

What is measured is the platform and not the sender: the bodies are made beforehand, sending them costs next to nothing,
and this process gives way to every other. It says `ready` and waits for a line, sends one body a connection, tells what
came of it, and prepares the next.
"""

from __future__ import annotations

import base64
import http.client
import io
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
from PIL import Image

from modellix_server.base.scheduling import give_way

MODEL = "alibaba/qwen-image-edit-plus"
PICTURE_BYTES = 10_000_000
_TIMEOUT_S = 120
_NICENESS = 15


class Sent(msgspec.Struct, frozen=True):
    """What came of one volley: the answers' statuses, and seconds until the last one."""

    statuses: list[int]
    seconds: float


def _picture() -> bytes:
    """A PNG of noise, another one each time: nothing about it can be compressed or has been seen before."""
    side = int((PICTURE_BYTES / 3) ** 0.5)
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(side * side * 3)).save(file, "PNG", compress_level=0)
    return file.getvalue()


def _body() -> bytes:
    uri = "data:image/png;base64," + base64.b64encode(_picture()).decode()
    return msgspec.json.encode({"prompt": "Make it night", "images": [uri]})


def _send(host: str, port: int, key: str, body: bytes) -> int:
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    try:
        connection.request("POST", f"/api/v1/{MODEL}/async", body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def main(host: str, port: int, key: str, count: int) -> None:
    """Serve volleys until standard input ends."""
    give_way(_NICENESS)
    with ThreadPoolExecutor(count) as threads:
        while True:
            bodies = [_body() for _ in range(count)]
            print("ready", flush=True)
            if not sys.stdin.readline():
                return
            begun = time.perf_counter()
            statuses = list(threads.map(lambda body: _send(host, port, key, body), bodies))
            print(msgspec.json.encode(Sent(statuses, time.perf_counter() - begun)).decode(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
