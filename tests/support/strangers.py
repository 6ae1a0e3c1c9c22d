"""What strangers do to a server that they reach: a program of its own, `python -m tests.support.strangers`.

It prints a line when everything has been done, and then holds what is open until its standard input ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

HOST = b"Host: stranger\r\n"
_HELD: list[socket.socket] = []


async def _connect(port: int) -> socket.socket | None:
    """A connection whose buffers are small, so that what it does not read stays with the server."""
    made = socket.socket()
    made.setblocking(False)
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


async def small_headers(port: int, count: int) -> None:
    """Headers without end, 45 MB of them."""

    async def one() -> None:
        if made := await _connect(port):
            await _send(made, b"GET /healthz HTTP/1.1\r\n" + HOST)
            await _send(made, b"x-a: b\r\n" * 5_600_000)
            _HELD.append(made)

    await _many(count, one)


async def large_header(port: int, count: int) -> None:
    """One header of 60 MB."""

    async def one() -> None:
        if made := await _connect(port):
            await _send(made, b"GET /healthz HTTP/1.1\r\n" + HOST + b"x-a: ")
            await _send(made, b"b" * 60_000_000)
            _HELD.append(made)

    await _many(count, one)


async def pipelined(port: int, count: int) -> None:
    """2,000 requests for the largest answer that needs no key, on each connection, and nothing is read."""

    async def one() -> None:
        if made := await _connect(port):
            _HELD.append(made)
            await _send(made, (b"GET /api/v1/openapi.json HTTP/1.1\r\n" + HOST + b"\r\n") * 2000)

    await _many(count, one)


async def trailers(port: int, count: int) -> None:
    """Trailers of 300 KB at many routes, then the end of the connection."""
    paths = iter(
        ("/api/v1/models", "/api/v1/tasks/x", "/healthz", "/nothing", "/sign-in", "/results/x/y", "/mcp") * count
    )

    async def one() -> None:
        if made := await _connect(port):
            head = b"POST %b HTTP/1.1\r\n" % next(paths).encode() + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
            await _send(made, head + b"1\r\na\r\n0\r\n" + b"x-trailer: abcdefgh\r\n" * 15_000)
            _reset(made)

    await _many(count, one)


async def silent(port: int, count: int) -> None:
    """Connections that say nothing."""

    async def one() -> None:
        if made := await _connect(port):
            _HELD.append(made)

    await _many(count, one)


async def half_heads(port: int, count: int) -> None:
    """Connections that begin a request, and go on by a byte now and then."""

    async def one() -> None:
        if made := await _connect(port):
            await _send(made, b"GET /healthz HTTP/1.1\r\n" + HOST + b"x-")
            _HELD.append(made)

    await _many(count, one)


async def broken_downloads(port: int, count: int, url: str) -> None:
    """Downloads whose reader takes a little and then breaks off."""
    parts = urlsplit(url)

    async def one() -> None:
        if made := await _connect(port):
            await _send(made, b"GET %b?%b HTTP/1.1\r\n" % (parts.path.encode(), parts.query.encode()) + HOST + b"\r\n")
            with contextlib.suppress(OSError, TimeoutError):
                await asyncio.wait_for(asyncio.get_running_loop().sock_recv(made, 1000), 5)
            _reset(made)

    await _many(count, one, at_once=count)


async def unread_downloads(port: int, count: int, url: str) -> None:
    """Downloads that nobody reads."""
    parts = urlsplit(url)

    async def one() -> None:
        if made := await _connect(port):
            await _send(made, b"GET %b?%b HTTP/1.1\r\n" % (parts.path.encode(), parts.query.encode()) + HOST + b"\r\n")
            _HELD.append(made)

    await _many(count, one)


async def followers(port: int, count: int, url: str, key: str) -> None:
    """Streams of events about one task, which nobody reads."""

    async def one() -> None:
        if made := await _connect(port):
            head = b"GET %b HTTP/1.1\r\nAuthorization: Bearer %b\r\n" % (urlsplit(url).path.encode(), key.encode())
            await _send(made, head + HOST + b"\r\n")
            _HELD.append(made)

    await _many(count, one)


async def _main(port: int, *wanted: str) -> None:
    """`name:count[:argument…]` each, together."""
    todo = []
    for text in wanted:
        name, count, *more = text.split("|")
        todo.append(globals()[name](port, int(count), *more))
    await asyncio.gather(*todo)
    print("done", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for one in _HELD:
        one.close()


@contextlib.asynccontextmanager
async def strangers(port: int, *attacks: tuple[object, ...], within_s: float = 120) -> AsyncIterator[None]:
    """Run attacks, each a name, a count and arguments; what they hold is held while the block runs."""
    wanted = ["|".join(map(str, one)) for one in attacks]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.strangers", str(port), *wanted),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert await asyncio.wait_for(process.stdout.readline(), within_s) == b"done\n"
        yield
        process.stdin.close()
        await asyncio.wait_for(process.wait(), 30)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_main(int(sys.argv[1]), *sys.argv[2:]))
