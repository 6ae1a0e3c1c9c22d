import asyncio
import gzip
import ipaddress
from contextlib import asynccontextmanager

import brotli
import pytest

from modellix_server.base.answer_coding import zstd
from modellix_server.base.external_link import Origins
from modellix_server.base.outbound import AnswerLost, Blocked, NotSent, Outbound, TooLarge, Turn

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Counts whole requests; `reply(n, writer)` answers the n-th and may close the connection."""

    def __init__(self, reply):
        self.reply = reply
        self.requests = []
        self.connections = 0

    async def __call__(self, reader, writer):
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next((int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")), 0)
                self.requests.append(head + await reader.readexactly(length))
                await self.reply(len(self.requests), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(reply, host="127.0.0.1", port=0):
    server = Server(reply)
    listening = await asyncio.start_server(server, host, port)
    server.port = listening.sockets[0].getsockname()[1]
    server.url = f"http://{host}:{server.port}/x"
    try:
        yield server
    finally:
        listening.close()


def always(data, *, close=False):
    async def reply(_, writer):
        writer.write(data)
        await writer.drain()
        if close:
            writer.close()

    return reply


@pytest.fixture
async def http():
    outbound = Outbound()
    yield outbound
    await outbound.close()


async def call(http, url, method="POST", *, origins=None, timeout_s=5.0, max_bytes=1000, headers=None, turn=None):
    return await http.call(
        method,
        url,
        headers=headers or {},
        body=b"{}" if method == "POST" else None,
        origins=Origins.of(url) if origins is None else origins,
        timeout_s=timeout_s,
        max_bytes=max_bytes,
        turn=turn,
    )


async def download(http, url, *, origins=None, timeout_s=5.0, max_bytes=1000):
    origins = Origins.of(url) if origins is None else origins
    async with http.stream(url, origins=origins, timeout_s=timeout_s, max_bytes=max_bytes) as file:
        return file.status, b"".join([chunk async for chunk in file.chunks()])


# -- where we may go


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "2130706433", "0x7f000001", "0x7f.1", "127.1", "0177.0.0.1", "017700000001", "127.0.0.1.",
        "①②⑦.⓪.⓪.①", "127。0。0。1", "１２７.0.0.1", "localhost", "localhost.",  # noqa: RUF001
        "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]", "[fe80::1%251]",
        "0", "0.0.0.0", "169.254.169.254", "10.0.0.1", "100.64.0.1", "192.168.1.1",
    ],
)  # fmt: skip
async def test_no_spelling_of_an_inner_address_is_dialled(http, host):
    with pytest.raises(NotSent):
        await call(http, f"http://{host}/", origins=Origins(), timeout_s=3)
    with pytest.raises(NotSent):
        await download(http, f"http://{host}/", origins=Origins(), timeout_s=3)


@pytest.mark.parametrize("host", ["0x7f.1", "0177.0.0.1", "localhost"])
async def test_what_the_system_resolves_to_loopback_is_blocked_not_merely_unreachable(http, host):
    async with serving(always(OK)) as server:
        with pytest.raises(Blocked):
            await call(http, f"http://{host}:{server.port}/", origins=Origins())
        assert server.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "//example.com/", "example.com", "", "http://",
        "http:///x", "http://user:secret@example.com/", "http://user@example.com/", "http://example.com:99999/",
        "http://8.8.8.8:22/", "http://[8.8.8.8/", "http://127.0.0.1\\@example.com/",
    ],
)  # fmt: skip
async def test_strange_urls_are_refused(http, url):
    with pytest.raises(Blocked) as caught:
        await call(http, url, origins=Origins())
    assert "secret" not in str(caught.value)


async def test_one_inner_address_among_public_ones_refuses_the_host():
    async def lookup(host, port):
        return ["8.8.8.8", "127.0.0.1"]

    http = Outbound(lookup=lookup)
    with pytest.raises(Blocked):
        await call(http, "https://mixed.example/", origins=Origins())
    await http.close()


async def test_a_name_that_changes_its_address_is_dialled_where_it_was_checked():
    answers = [["127.0.0.2"], ["127.0.0.1"]]

    async def lookup(host, port):
        return answers.pop(0)

    async with serving(always(OK, close=True), "127.0.0.2") as good, serving(always(OK), port=good.port) as inner:
        http = Outbound((ipaddress.ip_network("127.0.0.2/32"),), lookup=lookup)
        url = f"http://rebinding.example:{good.port}/"
        assert (await call(http, url, origins=Origins())).status == 200
        assert f"Host: rebinding.example:{good.port}".encode() in good.requests[0]
        await http.close()  # forgets the first look-up
        with pytest.raises(Blocked):
            await call(http, url, origins=Origins())
        assert not answers
        assert inner.connections == 0
        await http.close()


async def test_a_named_origin_is_exact_and_its_connections_serve_nobody_else(http):
    async with serving(always(OK)) as server:
        named = Origins.of(server.url)
        assert (await call(http, server.url, "GET", origins=named)).body == b"ok"
        for url in (server.url, server.url.replace("127.0.0.1", "localhost"), server.url.replace("http", "https")):
            with pytest.raises(NotSent):
                await call(http, url, "GET", origins=named if url != server.url else Origins())
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:{port}/",
        "//127.1/",
        "file:///etc/passwd",
        "http://[",
    ],
)
async def test_each_redirect_is_checked(http, target):
    async with serving(always(OK)) as inner:
        location = target.format(port=inner.port)
        answer = f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        async with serving(always(answer)) as server:
            with pytest.raises(Blocked):
                await download(http, server.url)
        assert inner.connections == 0


async def test_redirects_are_followed_for_files_up_to_three_and_never_for_apis(http):
    async def reply(n, writer):
        hops = {1: b"/a", 2: b"/b", 3: b"/c"}
        found = b"HTTP/1.1 302 Found\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n"
        writer.write(found % hops[n] if n in hops else OK)

    async with serving(reply) as server:
        assert await download(http, server.url) == (200, b"ok")
        assert len(server.requests) == 4
    loop = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"
    async with serving(always(loop)) as server:
        with pytest.raises(Blocked):
            await download(http, server.url)
        assert (await call(http, server.url)).status == 302
        assert len(server.requests) == 5


# -- not sent, or answer lost


async def test_proof_that_nothing_was_sent(http):
    async with serving(always(OK)) as server:
        url = server.url
        with pytest.raises(NotSent):  # TLS towards a plain server
            await call(http, url.replace("http", "https"), timeout_s=0.3)
        with pytest.raises(NotSent):
            await call(http, url, headers={"Authorization": "Bearer a\r\nX-Evil: 1"})
        assert server.requests == []
    with pytest.raises(NotSent):  # nobody listens any more
        await call(http, url)

    async def unknown(host, port):
        raise OSError("no such name")

    async def slow(host, port):
        await asyncio.sleep(60)

    for lookup in (unknown, slow):
        other = Outbound(lookup=lookup)
        with pytest.raises(NotSent):
            await call(other, "https://nowhere.example/", origins=Origins(), timeout_s=0.2)
        await other.close()


async def silent(_, writer):
    await asyncio.sleep(10)


async def trickle(_, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
    for _i in range(200):
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.05)


LOST = {
    "reset after the request": always(b"", close=True),
    "silence": silent,
    "trickle": trickle,
    "cut in the body": always(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", close=True),
    "cut in a chunk": always(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf", close=True),
    "cut in the head": always(b"HTTP/1.1 200 OK\r\nConte", close=True),
    "not HTTP": always(b"220 smtp.example ESMTP\r\n\r\n", close=True),
    "cut gzip": always(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 15\r\n\r\n" + gzip.compress(b"x" * 500)[:15]
    ),
    "broken gzip": always(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope"),
    "unknown coding": always(b"HTTP/1.1 200 OK\r\nContent-Encoding: dcb\r\nContent-Length: 4\r\n\r\nnope"),
    "broken brotli": always(b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\nnope"),
    "broken zstd": always(b"HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nContent-Length: 4\r\n\r\nnope"),
}


@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_answer_is_told_apart_and_the_post_went_once(http, fault):
    async with serving(LOST[fault]) as server:
        with pytest.raises(AnswerLost) as caught:
            await call(http, server.url + "?signature=secret", timeout_s=1)
        assert "secret" not in str(caught.value)
        assert len(server.requests) == 1
        with pytest.raises(AnswerLost):
            await download(http, server.url, timeout_s=1)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"." * 1001,
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"1f4\r\n" + b"." * 500 + b"\r\n") * 3,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n" + gzip.compress(bytes(50_000_000)),
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nConnection: close\r\n\r\n" + brotli.compress(bytes(9_000_000)),
        b"HTTP/1.1 200 OK\r\nContent-Encoding: zstd\r\nConnection: close\r\n\r\n" + zstd.compress(bytes(9_000_000)),
    ],
)
async def test_caps_hold_before_and_after_decoding(http, answer):
    async with serving(always(answer)) as server:
        with pytest.raises(TooLarge):
            await call(http, server.url)
        with pytest.raises(TooLarge):
            await download(http, server.url)


async def test_a_compressed_answer_within_the_cap_is_decoded(http):
    packed = gzip.compress(b"x" * 900)
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed
    async with serving(always(answer)) as server:
        assert (await call(http, server.url)).body == b"x" * 900
        assert await download(http, server.url) == (200, b"x" * 900)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_a_paid_request_on_a_pooled_connection_that_dies_is_never_sent_twice(http, method):
    async def reply(n, writer):
        writer.write(OK) if n == 1 else writer.close()

    async with serving(reply) as server:
        assert (await call(http, server.url, method)).status == 200
        with pytest.raises(AnswerLost):
            await call(http, server.url, method)
        assert server.connections == 1  # the connection was reused: the case this test is about
        assert len(server.requests) == 2


async def test_a_poll_on_a_pooled_connection_that_dies_is_repeated(http):
    async def reply(n, writer):
        writer.close() if n == 2 else writer.write(OK)

    async with serving(reply) as server:
        assert (await call(http, server.url, "GET")).status == 200
        assert (await call(http, server.url, "GET")).status == 200
        assert server.connections == 2


async def test_connections_are_pooled_and_cookies_are_not_kept(http):
    answer = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nX-Request-Id: 7\r\nContent-Length: 2\r\n\r\nok"
    async with serving(always(answer)) as server:
        for _ in range(5):
            assert (await call(http, server.url, "GET")).headers["x-request-id"] == "7"
        assert server.connections == 1
        assert not any(b"ookie" in request for request in server.requests)


async def test_proxy_variables_are_ignored(http, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with serving(always(OK)) as server:
        assert (await call(http, server.url)).status == 200


# -- long answers wait for their turn


async def test_a_long_answer_is_read_on_only_when_its_turn_has_come(http):
    body = b"x" * 8_000_000
    waited = asyncio.Event()
    go = asyncio.Event()

    async def wait():
        waited.set()
        await go.wait()

    async with serving(always(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)) as server:
        turn = Turn(1000, wait)
        answer = asyncio.create_task(call(http, server.url, max_bytes=len(body), turn=turn))
        await asyncio.wait_for(waited.wait(), 60)
        await asyncio.sleep(0.1)
        assert not answer.done()
        go.set()
        assert (await answer).body == body
        go.clear()
        with pytest.raises(AnswerLost):  # the deadline holds while it waits
            await call(http, server.url, max_bytes=len(body), turn=turn, timeout_s=0.3)


async def test_a_short_answer_waits_for_nothing(http):
    async def wait():
        raise AssertionError

    async with serving(always(OK)) as server:
        assert (await call(http, server.url, turn=Turn(2, wait))).body == b"ok"
