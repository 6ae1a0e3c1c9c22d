"""What strangers do to an installation that they reach: `python -m bench.attacks PORT NAME|COUNT[|ARGUMENT…] …`.

It gives way to all other programs, as an attacker would have a machine of its own. It prints a line when everything has
been done, and then holds what is open until its standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import json
import resource
import socket
import struct
import sys
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from modellix_server.base.scheduling import give_way

_HOST = b"Host: stranger\r\n"
_JSON = b"Content-Type: application/json\r\n"
_SUBMIT = "/api/v1/alibaba/qwen-image-plus/async"
_EDIT = "/api/v1/alibaba/qwen-image-edit-plus/async"
_FILES = "/api/v1/media/files"
_FOR_MCP = _JSON + b"Accept: application/json, text/event-stream\r\n"
_TINY_GIF = "R0lGODlhAQABAAAAACw="
_HELD: list[socket.socket] = []


async def _connect(port: int) -> socket.socket | None:
    """A connection whose buffers are small, so that what it does not read stays with the server."""
    made = socket.socket()
    made.settimeout(0)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    try:
        await asyncio.get_running_loop().sock_connect(made, ("127.0.0.1", port))
    except OSError:
        made.close()
        return None
    return made


async def _send(to: socket.socket | None, data: bytes) -> None:
    if to is not None:
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(asyncio.get_running_loop().sock_sendall(to, data), 30)


def _reset(one: socket.socket) -> None:
    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()


async def _many(count: int, do: Callable[[], Awaitable[None]], at_once: int = 50) -> None:
    turns = asyncio.Semaphore(at_once)

    async def one() -> None:
        async with turns:
            await do()

    await asyncio.gather(*(one() for _ in range(count)))


async def _held(port: int, count: int, data: bytes) -> None:
    """So many connections that send this and are held."""

    async def one() -> None:
        if made := await _connect(port):
            _HELD.append(made)
            await _send(made, data)

    await _many(count, one)


def _request(method: str, path: str, more: bytes = b"", key: str = "", body: bytes = b"") -> bytes:
    who = f"Authorization: Bearer {key}\r\n".encode() if key else b""
    length = b"" if b"Content-Length" in more or b"chunked" in more else b"Content-Length: %d\r\n" % len(body)
    return f"{method} {path} HTTP/1.1\r\n".encode() + _HOST + who + more + length + b"\r\n" + body


async def _flood(port: int, count: int, seconds: float, make: Callable[[int], bytes]) -> None:
    """So many clients, each of which sends one request after the other by new connections and reads the answers."""
    until, numbers = time.monotonic() + seconds, itertools.count()

    async def one() -> None:
        while time.monotonic() < until:
            with contextlib.suppress(OSError, TimeoutError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(make(next(numbers)).replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                await asyncio.wait_for(reader.read(), 60)
                writer.close()

    await _many(count, one, at_once=count)


# -- heads and bodies


async def small_headers(port: int, count: int) -> None:
    """Headers without end, 45 MB of them."""

    async def one() -> None:
        if made := await _connect(port):
            await _send(made, b"GET /healthz HTTP/1.1\r\n" + _HOST)
            await _send(made, b"x-a: b\r\n" * 5_600_000)
            _HELD.append(made)

    await _many(count, one)


async def large_header(port: int, count: int) -> None:
    """One header of 60 MB."""

    async def one() -> None:
        if made := await _connect(port):
            await _send(made, b"GET /healthz HTTP/1.1\r\n" + _HOST + b"x-a: ")
            await _send(made, b"b" * 60_000_000)
            _HELD.append(made)

    await _many(count, one)


async def pipelined(port: int, count: int) -> None:
    """2,000 requests for the largest answer that needs no key, on each connection, and nothing is read."""
    await _held(port, count, _request("GET", "/api/v1/openapi.json") * 2000)


async def trailers(port: int, count: int) -> None:
    """Trailers of 300 KB at many routes, then the end of the connection."""
    paths = itertools.cycle(
        ("/api/v1/models", "/api/v1/tasks/x", "/healthz", "/nothing", "/sign-in", "/results/x/y", "/mcp", "/docs")
    )

    async def one() -> None:
        if made := await _connect(port):
            head = _request("POST", next(paths), b"Transfer-Encoding: chunked\r\n")
            await _send(made, head + b"1\r\na\r\n0\r\n" + b"x-trailer: abcdefgh\r\n" * 15_000)
            _reset(made)

    await _many(count, one)


async def silent(port: int, count: int) -> None:
    """Connections that say nothing."""
    await _held(port, count, b"")


async def half_heads(port: int, count: int) -> None:
    """Connections that begin a request and do not end its head."""
    await _held(port, count, b"GET /healthz HTTP/1.1\r\n" + _HOST + b"x-")


async def later_heads(port: int, count: int) -> None:
    """Connections that were answered once, and then do not end the next head."""
    await _held(port, count, _request("GET", "/healthz") + b"GET /docs HTTP/1.1\r\n" + _HOST + b"x-")


async def tiny_chunks(port: int, count: int) -> None:
    """Bodies of a megabyte in chunks of one byte each, at routes that need no key."""
    paths = itertools.cycle(("/mcp", "/sign-in", "/api/v1/keys/leaked"))

    async def one() -> None:
        if made := await _connect(port):
            await _send(made, _request("POST", next(paths), _FOR_MCP + b"Transfer-Encoding: chunked\r\n"))
            await _send(made, b"1\r\na\r\n" * 1_000_000)
            _reset(made)

    await _many(count, one)


async def unfinished_bodies(port: int, count: int, key: str) -> None:
    """Bodies of 60 MB of which half is sent."""
    await _held(
        port, count, _request("POST", _SUBMIT, _JSON + b"Content-Length: 60000000\r\n", key) + b" " * 30_000_000
    )


async def unfinished_small_bodies(port: int, count: int, key: str) -> None:
    """Bodies of 250 KB whose last byte is not sent, at routes with and without a key."""
    share, body = count // 3, b"a" * 249_999
    head = _JSON + b"Content-Length: 250000\r\n"
    await _held(port, share, _request("POST", _SUBMIT, head, key) + body)
    await _held(port, share, _request("POST", "/api/v1/quote", head, key) + body)
    await _held(port, share, _request("POST", "/sign-in", head) + body)


async def unfinished_messages(port: int, count: int) -> None:
    """Messages of 64 KB to the documentation's MCP server, whose last byte is not sent; a few of 4 MB."""
    await _held(port, count, _request("POST", "/mcp", _FOR_MCP + b"Content-Length: 65000\r\n") + b" " * 64_999)
    await _held(port, 20, _request("POST", "/mcp", _FOR_MCP + b"Content-Length: 4000000\r\n") + b" " * 3_999_999)


async def packed_bodies(port: int, count: int, key: str) -> None:
    """Compressed bodies of 64 MB of blanks, 60 KB as sent."""
    body = gzip.compress(b" " * 64_000_000)
    made = _request("POST", _SUBMIT, _JSON + b"Content-Encoding: gzip\r\n", key, body)
    await _flood(port, count, 5, lambda _: made)


# -- answers


async def broken_downloads(port: int, count: int, url: str) -> None:
    """Downloads whose reader takes a little and then breaks off."""
    parts = urlsplit(url)

    async def one() -> None:
        if made := await _connect(port):
            await _send(made, _request("GET", f"{parts.path}?{parts.query}"))
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(asyncio.get_running_loop().sock_recv(made, 1000), 5)
            _reset(made)

    await _many(count, one, at_once=count)


async def unread_downloads(port: int, count: int, url: str) -> None:
    """Downloads that nobody reads."""
    parts = urlsplit(url)
    await _held(port, count, _request("GET", f"{parts.path}?{parts.query}"))


async def unread_pages(port: int, count: int) -> None:
    """The largest file of the documentation, which nobody reads."""
    await _held(port, count, _request("GET", "/docs/llms-full.txt") * 3)


async def followers(port: int, count: int, url: str, key: str) -> None:
    """Streams of events about one task, which nobody reads."""
    await _held(port, count, _request("GET", urlsplit(url).path, key=key))


async def ranges(port: int, count: int) -> None:
    """Two thousand ranges of one file in each request."""
    asked = ",".join(f"{at}-{at}" for at in range(0, 20_000, 10))
    await _flood(port, count, 5, lambda _: _request("GET", "/samples/walk.mp4", f"Range: bytes={asked}\r\n".encode()))


# -- floods


async def reads(port: int, count: int) -> None:
    """Pages of the documentation, new questions, addresses that do not exist, sign-in pages, other methods."""
    paths = ("/docs", "/docs/settings", "/docs/llms-full.txt", "/docs/search?q=price+of+video+{0}", "/docs/no-{0}-page",
             "/sign-in", "/api/v1/openapi.json", "/console", "/static/{0}", "/openapi/alibaba.json")  # fmt: skip
    methods = ("GET", "GET", "GET", "HEAD", "OPTIONS")

    def make(number: int) -> bytes:
        path = paths[number % len(paths)].format(number)
        return _request(methods[number % len(methods)], path, b"Accept-Encoding: gzip\r\n")

    await _flood(port, count, 8, make)


async def questions(port: int, count: int) -> None:
    """New questions to the documentation's MCP server, and messages that are none."""

    def make(number: int) -> bytes:
        call = {"name": "SearchModellix", "arguments": {"query": f"price of model {number} webhook retry size"}}
        body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": call}).encode()
        return _request("POST", "/mcp", _FOR_MCP, body=b"[" * 50_000 if number % 5 == 0 else body)

    await _flood(port, count, 8, make)


async def forms(port: int, count: int) -> None:
    """Forms of 60 KB of escaped characters at the sign-in page, and keys that do not exist."""
    form = b"email=" + b"%C3%A9" * 10_000

    def make(number: int) -> bytes:
        if number % 2:
            return _request("GET", "/api/v1/team/balance", key=f"mdlx-test-{number}")
        return _request("POST", "/sign-in", b"Content-Type: application/x-www-form-urlencoded\r\n", body=form)

    await _flood(port, count, 8, make)


async def nested(port: int, count: int, key: str) -> None:
    """Bodies of 250 KB that are deep, or made of many small parts, at every route that takes JSON."""
    paths = (_SUBMIT, "/api/v1/quote", "/v1/images/generations", "/v1/videos", "/mcp/generate", "/api/v1/webhooks")
    bodies = (b"[" * 250_000, b'{"prompt":[' + b'{"a":1},' * 31_000 + b"1]}", b'{"seed":' + b"9" * 200_000 + b"}")

    def make(number: int) -> bytes:
        return _request("POST", paths[number % len(paths)], _FOR_MCP, key, bodies[number % len(bodies)])

    await _flood(port, count, 8, make)


# -- files


def _form(name: str, file: bytes) -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n'.encode()
    return head + file + b"\r\n--b--\r\n"


_MULTIPART = b"Content-Type: multipart/form-data; boundary=b\r\n"


async def slow_clips(port: int, count: int, key: str) -> None:
    """30 MB of empty elements in a WebM, two uploads at a time."""
    webm = bytes.fromhex(
        "1a45dfa39f4286810142f7810142f2810442f381084282847765626d42878104428581021853806701ffffffffffffff"
    )
    made = _request("POST", _FILES, _MULTIPART, key, _form("file", webm + b"\xec\x80" * 15_000_000))
    await _flood(port, min(count, 2), 10, lambda _: made)


async def strange_pictures(port: int, count: int, key: str) -> None:
    """TIFFs of 10,000 entries, and pictures of ten thousand million pixels."""
    tiff = b"II*\0\x08\0\0\0" + struct.pack("<H", 10_000) + struct.pack("<HHII", 60_000, 4, 1, 7) * 10_000 + bytes(4)
    png = (
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBBI", 13, b"IHDR", 100_000, 100_000, 8, 6, 0, 0, 0, 0) + bytes(99)
    )
    made = [_request("POST", _FILES, _MULTIPART, key, _form("file", file)) for file in (tiff, png)]
    await _flood(port, count, 8, lambda number: made[number % 2])


async def many_pictures(port: int, count: int, key: str) -> None:
    """100,000 tiny pictures in one body, where three are allowed."""
    body = json.dumps({"prompt": "x", "images": [_TINY_GIF] * 90_000}).encode()
    made = _request("POST", _EDIT, _JSON, key, body)
    await _flood(port, count, 5, lambda _: made)


async def many_parts(port: int, count: int, key: str) -> None:
    """Forms of 100,000 parts, and of what looks like the end of a part, at every route that takes a form."""
    part = b'--b\r\nContent-Disposition: form-data; name="prompt"\r\n\r\nx\r\n'
    made = [
        _request("POST", path, _MULTIPART, key, body)
        for path in (_FILES, "/v1/images/edits", "/v1/videos")
        for body in (part * 100_000 + b"--b--\r\n", _form("file", b"GIF89a" + b"\r\n--" * 2_000_000))
    ]
    await _flood(port, count, 8, lambda number: made[number % len(made)])


# ----


async def _main(port: int, *wanted: str) -> None:
    """All attacks together."""
    todo = []
    for text in wanted:
        name, count, *more = text.split("|")
        todo.append(globals()[name](port, int(count), *more))
    await asyncio.gather(*todo)
    print("done", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for one in _HELD:
        one.close()


if __name__ == "__main__":
    give_way(19)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_main(int(sys.argv[1]), *sys.argv[2:]))
