"""The OpenAPI document as it is served."""

from __future__ import annotations

import gzip

import msgspec
from tests.support.openapi_conformance import table

from modellix_server.catalogue import Catalogue
from modellix_server.openapi import describe

PATH = "/api/v1/openapi.json"


async def test_it_is_served_to_everybody_and_tells_whether_it_has_changed(platform) -> None:
    anyone = platform.anyone()
    answer = await anyone.get(PATH)
    assert answer.status == 200
    catalogue = Catalogue.load(origin=platform.origin)
    assert answer.body == msgspec.json.encode(describe(table(catalogue), catalogue, platform.origin))
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["vary"] == "accept-encoding"
    tag = answer.headers["etag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await anyone.get(PATH, headers={"If-None-Match": known})
        assert (again.status, again.body) == (304, b""), known
        assert again.headers["etag"] == tag
        assert not {"content-length", "content-type"} & set(again.headers)
    for unknown in ('"other"', tag.strip('"'), ""):
        assert (await anyone.get(PATH, headers={"If-None-Match": unknown})).status == 200, unknown


async def test_head_and_other_methods(platform) -> None:
    anyone = platform.anyone()
    whole, head = await anyone.get(PATH), await anyone.call("HEAD", PATH)
    assert (head.status, head.body) == (200, b"")
    for name in ("content-length", "content-type", "etag", "cache-control"):
        assert head.headers[name] == whole.headers[name]
    for method in ("POST", "PUT", "DELETE"):
        other = await anyone.call(method, PATH)
        other.refused(405, f"Invalid parameters: method {method} is not allowed here")
        assert other.headers["allow"] == "GET, HEAD"


async def test_it_is_packed_for_who_can_unpack_it(platform) -> None:
    anyone = platform.anyone()
    plain = await anyone.get(PATH)
    for accepted in ("gzip", "br;q=1.0, GZIP;q=0.5", "deflate, gzip"):
        async with anyone.http.get(platform.origin + PATH, headers={"Accept-Encoding": accepted}) as answer:
            assert await answer.read() == plain.body  # which the client has unpacked
            assert answer.headers["Content-Encoding"] == "gzip"
            assert int(answer.headers["Content-Length"]) == len(gzip.compress(plain.body, mtime=0))
            tag = answer.headers["ETag"]
        assert tag != plain.headers["etag"]
        again = await anyone.get(PATH, headers={"Accept-Encoding": accepted, "If-None-Match": tag})
        assert (again.status, again.headers["etag"]) == (304, tag)
    for accepted in ("", "identity", "br", "gzip;q=0", "gzip; q=0.000", "x-gzip-not"):
        answer = await anyone.get(PATH, headers={"Accept-Encoding": accepted})
        assert "content-encoding" not in answer.headers, accepted
        assert answer.body == plain.body
