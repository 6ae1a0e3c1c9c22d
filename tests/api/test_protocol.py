"""HTTP/1.1 at the socket: what clients may send and how slowly, whose turn it is, and what is kept afterwards."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref

import msgspec
import pytest
from tests.support.raw_http import CHUNKED, HOST, Served, get, post
from tests.support.waiting import eventually

from modellix_server.api.hot import connection_clock

MANY = b"a: b\r\n" * 120
REFUSED = (CHUNKED + b"1\r\na\r\n" * 1_100, CHUNKED + b"0\r\n" + MANY, b"GET /a HTTP/1.1\r\n" + HOST + MANY + b"\r\n")


async def test_a_connection_takes_one_request_after_another_and_each_answer_has_its_id(connect) -> None:
    client = await connect()
    status, headers, body = await client.ask(get("/a?b=c", b"X-Request-Id: mine"))
    assert (status, body, headers["x-request-id"]) == (200, b"GET /a b=c", "mine")
    _, headers, _ = await client.ask(get("/a", b"X-Request-Id: mine", b"X-Request-Id: yours"))
    assert headers["x-request-id"] not in ("mine", "yours")
    assert {"date"} <= set(headers)
    _, headers, _ = await client.ask(b"HEAD /a HTTP/1.1\r\n", HOST, b"\r\n", head_only=True)
    assert headers["content-length"] == "8"
    assert (await client.ask(get("/a")))[2] == b"GET /a "


@pytest.mark.parametrize("size", [0, 1, 8_192, 300_000])
async def test_bodies_by_length_and_in_chunks(connect, size: int) -> None:
    client, body = await connect(), (bytes(range(256)) * (size // 256 + 1))[:size]
    assert (await client.ask(post("/body", body)))[2] == body
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (body[:1], body[1:]) if one)
    assert (await client.ask(CHUNKED, chunks, b"0\r\nX-Trailer: dropped\r\n\r\n"))[2] == body
    letters = (b"1\r\n%c\r\n" % one for one in body[:1_000])
    assert (await client.ask(CHUNKED, *letters, b"0\r\n\r\n"))[2] == body[:1_000]


async def test_bodies_of_all_manners_sent_at_once_are_answered_in_turn(connect) -> None:
    client, large = await connect(), bytes(range(256)) * 2_000
    chunked = CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(large), large)
    sent = [(post("/body", b"a"), b"a"), (post("/body", large), large), (chunked, large), (get("/a"), b"GET /a ")]
    client.writer.write(b"".join(one for one, _ in sent * 3))
    for _, body in sent * 3:
        assert (await client.answer())[2] == body


async def test_a_small_body_is_given_whole_and_a_client_that_waits_is_told_to_go_on(connect) -> None:
    client = await connect()
    client.writer.write(post("/whole", b"{}"))
    assert b"b'{}'" in await client.reader.readuntil(b"'{}'")
    client = await connect()
    head = post("/body", b"", b"Expect: 100-continue").replace(b"length: 0", b"length: 2")
    client.writer.write(head)
    assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (await client.ask(b"{}"))[2] == b"{}"


async def test_a_slash_that_is_encoded_is_no_separator(served: Served, connect) -> None:
    client = await connect()
    for sent, seen in (("/a%2fb%2F%20c", "/a%2Fb%2F c"), ("/%c3%a9/%252f", "/é/%2f"), ("/a", "/a")):
        await client.ask(get(sent))
        assert served.seen[-1]["path"] == seen
        assert served.seen[-1]["raw_path"] == sent.encode()


async def test_requests_sent_at_once_are_answered_in_turn_and_parsed_in_turn(served: Served, connect) -> None:
    client = await connect()
    many = 5_000
    client.writer.write(get("/slow") + get("/a") * many)
    await asyncio.sleep(0.3)
    assert len(served.seen) == 1
    (connection,) = served.connections
    assert len(connection._waiting) < 8_192 / len(get("/a")) + 1
    served.let_go.set()
    assert (await client.answer())[2] == b"slow"
    for _ in range(many):
        assert (await client.answer())[2] == b"GET /a "


async def test_answers_are_not_produced_faster_than_they_are_read(served: Served, connect) -> None:
    """Pipelined ones and a stream: what is written waits for the reader."""
    client = await connect(limit=1_000)
    client.writer.write(get("/stream") * 3)
    await asyncio.sleep(0.5)
    taken = served.written
    assert taken < 15_000_000  # of 60: the kernel's buffers and ours
    await asyncio.sleep(0.3)
    assert served.written == taken
    assert len(served.seen) == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\n" + HOST * 2 + b"\r\n", 400),
        (b"GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET /a HTTP/2.0\r\n" + HOST + b"\r\n", 505),
        (b"POST /a HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n", 400),
        (b"GET /a HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST /a HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"CONNECT a:1 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /a HTTP/1.1\r\n" + HOST + b"a: b\r\n" * 100 + b"\r\n", 431),
        (b"GET /a HTTP/1.1\r\n" + HOST + b"a: " + b"b" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 3_000_000, 431),
        (CHUNKED + b"1;" + b"a" * 100_000, 431),
        (CHUNKED + b"1\r\na\r\n0\r\n" + b"a: b\r\n" * 120, 431),
        (CHUNKED + b"1\r\na\r\n" * 1_100, 400),
        (CHUNKED + b"no chunk\r\n", 400),
    ],
    ids=lambda value: str(value[-60:]) if isinstance(value, bytes) else None,
)  # fmt: skip
async def test_what_cannot_be_answered_is_refused_in_json_and_ends_the_connection(connect, sent, status) -> None:
    client = await connect()
    found, headers, body = await client.ask(sent)
    assert (found, headers["connection"], headers["content-type"]) == (status, "close", "application/json")
    assert headers["x-request-id"]
    assert msgspec.json.decode(body)["code"] == status
    assert await client.closed() == b""


async def test_a_request_that_comes_broken_is_not_begun(served: Served, connect) -> None:
    client = await connect()
    client.writer.write(CHUNKED + b"1\r\na\r\n0\r\n" + b"x: y\r\n" * 200)
    status, _, _ = await client.answer()
    assert status == 431
    await asyncio.sleep(0.1)
    assert not served.seen


async def test_a_refusal_waits_for_the_answers_before_it(served: Served, connect) -> None:
    client = await connect()
    client.writer.write(get("/slow") + get("/a") + b"NONSENSE\r\n\r\n")
    await asyncio.sleep(0.1)
    served.let_go.set()
    assert [(await client.answer())[0] for _ in range(3)] == [200, 200, 400]


async def test_http_1_0_needs_no_host_and_is_closed(connect) -> None:
    client = await connect()
    status, headers, _ = await client.ask(b"GET /a HTTP/1.0\r\n\r\n")
    assert (status, headers["connection"]) == (200, "close")
    assert await client.closed() == b""


async def test_http_1_0_gets_a_stream_without_chunks_until_the_connection_ends(connect) -> None:
    client = await connect()
    _, headers, _ = await client.ask(b"GET /stream HTTP/1.0\r\n\r\n")
    assert (headers.get("transfer-encoding"), headers["connection"]) == (None, "close")
    assert await client.closed() == bytes(400 * 50_000)


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 100_000])
async def test_a_wish_to_upgrade_is_ignored_and_the_body_read(served: Served, connect, body: bytes) -> None:
    """As `curl --http2` and Java's client send it."""
    client = await connect()
    wish = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")
    assert (await client.ask(post("/body", body, *wish)))[2] == body
    assert (await client.ask(get("/a", *wish)))[2] == b"GET /a "
    assert (await client.ask(get("/a")))[2] == b"GET /a "
    assert [name for name, _ in served.seen[0]["headers"]].count(b"upgrade") == 0


async def test_an_endpoint_that_fails_is_answered_for_and_a_stream_that_breaks_is_seen_to(connect) -> None:
    client = await connect()
    status, headers, body = await client.ask(get("/fails"))
    assert (status, headers["content-type"]) == (500, "application/json")
    assert msgspec.json.decode(body)["code"] == 500
    assert (await client.ask(get("/inject")))[0] == 500
    client.writer.write(get("/breaks"))
    assert (await client.closed()).endswith(b"5\r\nbegun\r\n")  # without the last chunk


async def test_an_answer_before_the_body_has_come_reaches_its_client(connect) -> None:
    """The connection lingers, so that what was unread does not reset it."""
    client = await connect()
    status, headers, _ = await client.ask(
        post("/early", b"", b"Connection: close").replace(b"length: 0", b"length: 9000000"), bytes(100_000)
    )
    assert (status, headers["connection"]) == (413, "close")
    client.writer.write(bytes(4_000_000))
    assert await client.closed() == b""


@pytest.mark.parametrize("unfit", [b"1\r\na\r\n" * 1_100, b"no chunk\r\n"], ids=["tiny chunks", "no chunk"])
async def test_what_is_no_body_after_the_answer_ends_the_connection(served: Served, connect, unfit: bytes) -> None:
    client = await connect()
    status, headers, _ = await client.ask(CHUNKED.replace(b"/body", b"/early"))
    assert (status, headers.get("connection")) == (413, None)
    client.writer.write(unfit)
    assert await client.closed() == b""
    assert len(served.seen) == 1


async def test_a_body_of_small_parts_comes_whole_and_others_go_on_meanwhile(served: Served, connect) -> None:
    """Thousands of parts a millisecond: after some hundred of them the connection waits for its turn."""
    client, other, parts = await connect(), await connect(), 20_000
    passes = 0

    async def count() -> None:
        nonlocal passes
        while True:
            await asyncio.sleep(0)
            passes += 1

    counting = asyncio.create_task(count())
    asked = asyncio.create_task(client.ask(CHUNKED + b"9\r\nnine byte\r\n" * parts + b"0\r\n\r\n" + get("/a")))
    assert (await other.ask(get("/a")))[2] == b"GET /a "
    assert (await asked)[2] == b"nine byte" * parts
    counting.cancel()
    assert (await client.answer())[2] == b"GET /a "
    assert passes > parts // 600 * 4  # a part is 14 bytes as sent, of 8 KB at a time
    assert len(served.seen) == 3


async def test_no_more_of_a_body_is_read_than_its_endpoint_takes(served: Served, connect) -> None:
    client, body = await connect(), bytes(30_000_000)
    client.writer.write(post("/late", body))
    await eventually(lambda: served.seen)
    (connection,) = served.connections
    reader = connection._receiving
    await asyncio.sleep(0.5)  # in which all of it would come, in turns of 64 KB
    kept = len(reader._body) + len(connection._rest)
    served.let_go.set()
    assert (await client.answer())[2] == body
    assert kept < 1_000_000


async def test_who_sends_little_goes_before_who_sends_much(served: Served, connect) -> None:
    much, little = await connect(), await connect()
    much.writer.write(post("/body", bytes(200_000)))
    little.writer.write(get("/a"))
    assert (await little.answer())[2] == b"GET /a "
    assert (await much.answer())[2] == bytes(200_000)
    assert [scope["path"] for scope in served.seen] == ["/a", "/body"]


async def test_draining_says_so_in_the_next_answer(served: Served, connect) -> None:
    client = await connect()
    assert "connection" not in (await client.ask(get("/a")))[1]
    served.draining.set()
    assert (await client.ask(get("/a")))[1]["connection"] == "close"
    assert await client.closed() == b""


async def test_the_loss_of_a_client_is_told(served: Served, connect) -> None:
    client = await connect()
    client.writer.write(get("/lose"))
    await asyncio.sleep(0.1)
    client.writer.close()
    await asyncio.wait_for(served.let_go.wait(), 5)
    client = await connect()
    client.writer.write(post("/body", b"").replace(b"length: 0", b"length: 9"))
    await asyncio.sleep(0.1)
    client.writer.close()
    for _ in range(1500):
        await asyncio.sleep(0.02)
        if served.lost == 2:
            break
    assert served.lost == 2


@pytest.fixture
def looked_at_often(monkeypatch) -> None:
    """To be asked for before the server."""
    monkeypatch.setattr(connection_clock, "_LOOK_EVERY_S", 0.05)


@pytest.mark.parametrize(
    ("limit", "sent", "seen"),
    [
        ("HEAD_LIMIT_S", b"GET /a HT", b"HTTP/1.1 408 "),
        ("HEAD_LIMIT_S", b"", b""),
        ("_IDLE_LIMIT_S", get("/a"), b"HTTP/1.1 200 "),
        ("_UNREAD_LIMIT_S", get("/stream"), b"HTTP/1.1 200 "),
        ("_UNREAD_LIMIT_S", get("/large").replace(HOST, HOST + b"Connection: close\r\n"), b"HTTP/1.1 200 "),
        ("_BODY_WINDOW_S", post("/body", b"a").replace(b"length: 1", b"length: 9"), b""),
    ],
    ids=[
        "a slow head",
        "no request",
        "between requests",
        "nothing read",
        "nothing read of the last answer",
        "a slow body",
    ],
)
async def test_who_keeps_us_waiting_is_cut_off(
    looked_at_often, served: Served, connect, monkeypatch, limit, sent, seen
) -> None:
    # Seldom does a busy machine take so long from connecting to sending.
    monkeypatch.setattr(connection_clock, limit, 2)
    client, begun = await connect(limit=1_000), time.monotonic()
    client.writer.write(sent)
    while served.connections or time.monotonic() - begun < 0.2:
        assert time.monotonic() - begun < 60
        await asyncio.sleep(0.05)
    assert (await client.closed()).startswith(seen)


@pytest.mark.parametrize("sent", [*map(get, ("/a", "/fails", "/breaks", "/stream", "/slow")), *REFUSED], ids=range(8))
async def test_nothing_is_kept_of_a_connection_that_has_gone(served: Served, connect, sent: bytes) -> None:
    client = await connect()
    gc.disable()
    try:
        client.writer.write(sent)
        await asyncio.sleep(0.2)
        kept = [weakref.ref(connection) for connection in served.connections]
        client.writer.transport.abort()
        served.let_go.set()
        served.seen.clear()
        for _ in range(1500):
            await asyncio.sleep(0.02 if any(one() for one in kept) else 0)
        assert not any(one() for one in kept)
    finally:
        gc.enable()


@pytest.fixture
def given_back(monkeypatch, served: Served) -> list[int]:
    """How many connections there were, each time when memory was given back."""
    found: list[int] = []
    monkeypatch.setattr(connection_clock, "give_holes_back", lambda: found.append(len(served.connections)))
    return found


async def test_the_memory_of_many_connections_goes_back_when_they_have_gone(
    looked_at_often, served: Served, connect, monkeypatch, given_back: list[int]
) -> None:
    monkeypatch.setattr(connection_clock, "_MANY", 3)
    clients = [await connect() for _ in range(5)]
    await eventually(lambda: len(served.connections) == 5)
    await asyncio.sleep(0.5)
    assert not given_back
    for client in clients[:4]:
        client.writer.close()
    await eventually(lambda: given_back)
    await asyncio.sleep(0.5)
    assert given_back == [1]


async def test_the_memory_of_a_large_body_goes_back_when_its_connection_has_gone(
    looked_at_often, served: Served, connect, monkeypatch, given_back: list[int]
) -> None:
    monkeypatch.setattr(connection_clock, "_AS_ONE_MORE_BYTES", 1_000)
    one, _other = await connect(), await connect()
    one.writer.write(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 120000\r\n\r\n" + bytes(110_000))
    await asyncio.sleep(0.5)
    assert not given_back
    one.writer.close()
    await eventually(lambda: given_back)
    assert given_back == [1]
