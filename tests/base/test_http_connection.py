"""The client's own HTTP/1.1: what servers really send, and what hostile ones do."""

import asyncio
import contextlib
import datetime
import ipaddress
import ssl
from functools import partial

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.base.test_outbound import OK, always, call, download, serving

from modellix_server.base import http_pool
from modellix_server.base.external_link import Origins
from modellix_server.base.outbound import AnswerLost, NotSent, Outbound, TooLarge


@pytest.fixture
async def http():
    outbound = Outbound()
    yield outbound
    await outbound.close()


ANSWERS = {
    "without a length": (b"HTTP/1.1 200 OK\r\n\r\nok", True),
    "of version 1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", True),
    "after early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK, False),
    "in chunks, with trailers": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\no\r\n1\r\nk\r\n0\r\nX-Sum: 7\r\n\r\n",
        False,
    ),
    "with bare line feeds": (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", False),
    "that says goodbye": (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", True),
    "with a control character": (b"HTTP/1.1 200 OK\r\nX-Odd: a\x01b\xff\r\nContent-Length: 2\r\n\r\nok", False),
}


@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_of_any_form_is_read_and_followed_by_another(http, kind):
    data, close = ANSWERS[kind]
    async with serving(always(data, close=close)) as server:
        for _ in range(2):
            answer = await call(http, server.url)
            assert (answer.status, answer.body) == (200, b"ok")
            assert await download(http, server.url) == (200, b"ok")
        assert server.connections == (4 if close else 2)  # those of paid requests are their own
        assert "link" not in answer.headers
        assert "x-sum" not in answer.headers


async def test_an_answer_without_a_body_ends_with_its_head(http):
    async with serving(always(b"HTTP/1.1 204 No Content\r\n\r\n")) as server:
        assert (await call(http, server.url)).status == 204
        assert (await call(http, server.url)).body == b""
        assert server.connections == 1


ENDLESS = {
    "head": b"HTTP/1.1 200 OK\r\n" + b"X-Policy: " + b"p" * 600_000,
    "headers": b"HTTP/1.1 200 OK\r\n"
    + b"".join(b"X-%d: y\r\n" % n for n in range(2000))
    + b"Content-Length: 0\r\n\r\n",
    "hints": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 40_000,
    "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + b"X: " + b"y" * 900_000,
}


@pytest.mark.parametrize("what", ENDLESS)
async def test_what_surrounds_a_body_is_bounded(http, what):
    async def reply(_, writer):
        with contextlib.suppress(ConnectionError):
            writer.write(ENDLESS[what])
            await writer.drain()

    async with serving(reply) as server:
        with pytest.raises(AnswerLost, match="NotHttp"):
            await call(http, server.url)
        with pytest.raises(AnswerLost, match="NotHttp"):
            await download(http, server.url)


async def test_a_body_that_nobody_reads_is_not_taken_into_memory(http):
    size, sent = 50_000_000, 0

    async def reply(_, writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _i in range(size // 100_000):
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 100_000

    async with serving(reply) as server:
        origins = Origins.of(server.url)
        async with http.stream(server.url, origins=origins, timeout_s=60, max_bytes=size) as file:
            before = -1
            while before != sent:  # until the server is stopped
                before = sent
                await asyncio.sleep(0.2)
            assert sent < 20_000_000  # what the kernel holds, and a little
            assert sum([len(chunk) async for chunk in file.chunks()]) == size


async def test_two_answers_to_one_request_are_not_mixed_up(http):
    """The second would otherwise be taken for the answer to what is asked next."""
    async with serving(always(OK + OK.replace(b"ok", b"no"))) as server:
        for _ in range(3):
            assert (await call(http, server.url)).body == b"ok"
        assert server.connections == 3


async def test_a_connection_is_closed_when_it_was_idle_for_too_long(http, monkeypatch):
    monkeypatch.setattr(http_pool, "_IDLE_PAID_S", 0.05)
    ended = asyncio.Event()

    async def listen(reader, writer):
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(OK)
        await reader.read()
        ended.set()
        writer.close()

    listening = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with listening:
        await call(http, f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/")
        await asyncio.wait_for(ended.wait(), 30)


async def test_a_paid_request_takes_no_connection_that_the_server_has_closed(http):
    async with serving(always(OK, close=True)) as server:
        for number in range(1, 4):
            assert (await call(http, server.url)).status == 200
            assert server.connections == number
            while any(one.reusable for kept in http._pool._idle.values() for one, _ in kept):  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # our side hears of it a moment later


async def test_the_answer_to_half_a_body_counts_and_its_connection_is_not_used_again(http):
    async def body():
        yield b"first"
        await asyncio.sleep(60)
        yield b"never"

    async def listen(reader, writer):
        await reader.readuntil(b"first")
        writer.write(OK.replace(b"200 OK", b"413 Too Large"))
        assert await reader.read() == b""
        writer.close()

    listening = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/"
        for _ in range(2):
            answer = await http.call(
                "POST",
                url,
                headers={"Content-Length": "10"},
                body=body(),
                origins=Origins.of(url),
                timeout_s=30,
                max_bytes=100,
            )
            assert answer.status == 413


async def test_a_body_that_breaks_off_is_told_as_a_lost_answer(http):
    async def body():
        yield b"first"
        raise OSError("the file has 5 bytes more than it had")

    async with serving(always(OK)) as server:
        with pytest.raises(AnswerLost):
            await http.call(
                "POST",
                server.url,
                headers={"Content-Length": "10"},
                body=body(),
                origins=Origins.of(server.url),
                timeout_s=30,
                max_bytes=100,
            )
        assert server.requests == []


async def test_no_more_exchanges_at_once_than_allowed():
    http, at_once, most = Outbound(most_connections=3), 0, 0

    async def reply(_, writer):
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        writer.write(OK)

    async with serving(reply) as server:
        answers = await asyncio.gather(*(call(http, server.url, timeout_s=60) for _ in range(20)))
        assert [answer.status for answer in answers] == [200] * 20
        assert most == 3
        with pytest.raises(TooLarge):  # a place is free again after trouble too
            await call(http, server.url, max_bytes=1)
        assert (await call(http, server.url)).status == 200
    await http.close()


def _certificate(folder, name):
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(names)
        .issuer_name(names)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


async def test_the_certificate_must_be_trusted_and_have_the_hosts_name(tmp_path, monkeypatch):
    asked = []

    async def lookup(host, port):
        asked.append(host)
        return ["127.0.0.1"]

    async def listen(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n{}")
            writer.write(OK)
            await writer.drain()
        writer.close()

    path = _certificate(tmp_path, "vendor.example")
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(path)
    listening = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=served)
    port = listening.sockets[0].getsockname()[1]
    http = Outbound((ipaddress.ip_network("127.0.0.1/32"),), lookup=lookup)
    try:
        http_pool._tls.cache_clear()
        with pytest.raises(NotSent, match="SSLCertVerificationError"):
            await call(http, f"https://vendor.example:{port}/", origins=Origins())
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        http_pool._tls.cache_clear()
        answer = await call(http, f"https://vendor.example:{port}/", origins=Origins())
        assert (answer.status, answer.body) == (200, b"ok")
        with pytest.raises(NotSent, match="SSLCertVerificationError"):
            await call(http, f"https://other.example:{port}/", origins=Origins())
        assert asked == ["vendor.example", "other.example"]  # a name's addresses are remembered for a moment
    finally:
        http_pool._tls.cache_clear()
        await http.close()
        listening.close()


def test_the_platforms_own_loop_whose_transports_differ_does_all_of_it_too(tmp_path, monkeypatch):
    async def run():
        for test in (
            *(partial(test_an_answer_of_any_form_is_read_and_followed_by_another, kind=kind) for kind in ANSWERS),
            *(partial(test_what_surrounds_a_body_is_bounded, what=what) for what in ENDLESS),
            test_a_body_that_nobody_reads_is_not_taken_into_memory,
            test_two_answers_to_one_request_are_not_mixed_up,
            test_a_paid_request_takes_no_connection_that_the_server_has_closed,
            test_the_answer_to_half_a_body_counts_and_its_connection_is_not_used_again,
            test_a_body_that_breaks_off_is_told_as_a_lost_answer,
        ):
            http = Outbound()
            await test(http)
            await http.close()
        await test_no_more_exchanges_at_once_than_allowed()
        await test_the_certificate_must_be_trusted_and_have_the_hosts_name(tmp_path, monkeypatch)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
