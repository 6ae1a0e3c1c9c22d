"""Links go out as they are."""

import pytest
from tests.base.test_outbound import OK, always, call, download, serving

from modellix_server.base.outbound import Blocked, Outbound


@pytest.fixture
async def http():
    outbound = Outbound()
    yield outbound
    await outbound.close()


TARGETS = (
    "/x.png?ct=image%2Fpng&sig=a%2Bb%3D",
    "/x.png?ct=image/png&sig=a+b=",
    "/a%20b%2fc/%E5%9B%BE.png?X-Amz-Credential=AK%2F20261128%2Fus-east-1&x=%7E%2d%41",
    "/a/../b/./c//d?&&=&a",
    "/?",
    "/a?",
    "/a;b=c,d!$'()*@:?e=f/g?h",
    "/a?redirect=https://b.example/?c=%2526",
    "/%",
    '/a|b^c`{d}"<e>\\?[f]',
)


def asked_for(server):
    return [request.split(b" ")[1].decode() for request in server.requests]


@pytest.mark.parametrize("target", TARGETS)
async def test_a_link_is_asked_for_byte_for_byte(http, target):
    """Storage services sign, and receivers route by, exactly these bytes."""
    async with serving(always(OK)) as server:
        url = server.url.removesuffix("/x") + target
        await call(http, url)
        await call(http, url, "GET")
        await download(http, url)
        await download(http, url.replace("http:", "HTTP:") + "#fragment")
        assert asked_for(server) == [target] * 4


@pytest.mark.parametrize(
    "location", [*TARGETS, "?only=a%2Fquery", "b%2Fc.png?d=%2B", "//HOST/x%2Fy?z=%3D", "ABSOLUTE/x%2Fy?z=%3D"]
)
async def test_a_redirect_is_followed_byte_for_byte(http, location):
    async def reply(n, writer):
        head = f"HTTP/1.1 302 Found\r\nLocation: {sent}\r\nContent-Length: 0\r\n\r\n".encode()
        writer.write(head if n == 1 else OK)
        await writer.drain()

    async with serving(reply) as server:
        host = f"127.0.0.1:{server.port}"
        sent = location.replace("HOST", host).replace("ABSOLUTE", f"HTTP://{host}")
        assert (await download(http, f"http://{host}/dir/a?b=%2F"))[0] == 200
        wanted = {"?": f"/dir/a{location}", "b": f"/dir/{location}"}.get(location[0], location)
        for start in ("//HOST", "ABSOLUTE"):
            wanted = wanted.removeprefix(start)
        assert asked_for(server) == ["/dir/a?b=%2F", wanted]


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("b?", "/dir/b?"),
        ("b;", "/dir/b;"),
        ("c//d;?x=%2f&&", "/dir/c//d;?x=%2f&&"),
        ("../e?f=../g", "/e?f=../g"),
        ("./h?i=%2F#j", "/dir/h?i=%2F"),
        ("..", "/"),
        ("k l?m n", "/dir/k%20l?m%20n"),
        ("图.png?%e5", "/dir/%E5%9B%BE.png?%e5"),
        ("o?p=http://q/r?s", "/dir/o?p=http://q/r?s"),
    ],
)
async def test_a_relative_redirect_is_resolved_without_spelling_it_anew(http, location, target):
    async def reply(n, writer):
        head = f"HTTP/1.1 307 Temporary\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()
        writer.write(head if n == 1 else OK)
        await writer.drain()

    async with serving(reply) as server:
        assert (await download(http, f"http://127.0.0.1:{server.port}/dir/a?b=%2F"))[0] == 200
        assert asked_for(server) == ["/dir/a?b=%2F", target]


@pytest.mark.parametrize(
    "location", ["http:p", "ftp://a/b", "javascript:x", "http://me:x@127.0.0.1/", "http://", "http://127.0.0.1:0/", ""]
)
async def test_a_redirect_that_leads_nowhere_is_blocked(http, location):
    async with serving(
        always(b"HTTP/1.1 302 F\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location.encode())
    ) as server:
        with pytest.raises(Blocked):
            await download(http, server.url)


@pytest.mark.parametrize(
    ("path", "target"), [("/图.png?a=%2F", "/%E5%9B%BE.png?a=%2F"), ("/a b?c d", "/a%20b?c%20d"), ("?a=%2F", "/?a=%2F")]
)
async def test_only_what_no_request_line_can_hold_is_encoded(http, path, target):
    async with serving(always(OK)) as server:
        await call(http, server.url.removesuffix("/x") + path, "GET")
        assert asked_for(server) == [target]


async def test_a_host_may_send_long_and_many_headers(http):
    long = b"X-Policy: " + b"p" * 60_000 + b"\r\n" + b"".join(b"Set-Cookie: c%d=1\r\n" % n for n in range(300))
    async with serving(always(OK.replace(b"\r\n\r\n", b"\r\n" + long + b"\r\n"))) as server:
        assert (await call(http, server.url)).status == 200
        assert (await download(http, server.url)) == (200, b"ok")
