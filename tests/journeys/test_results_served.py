"""Result files: links that carry their own proof, ranges, and an end after which nothing is left."""

from __future__ import annotations

import asyncio
import time
from urllib.parse import urlsplit

import pytest

MODEL = "alibaba/qwen-image-plus"


@pytest.fixture(scope="module")
async def made(platform):
    """A result's link and bytes."""
    team = await platform.team()
    data = await team.run(MODEL, prompt="a bridge")
    url = data["result"]["resources"][0]["url"]
    return url, (await platform.anyone().get(url)).body


async def test_a_link_needs_no_key_and_shows_only_a_picture(platform, made) -> None:
    url, content = made
    answer = await platform.anyone().get(url)
    assert answer.status == 200
    assert content.startswith(b"\x89PNG")
    expected = {
        "content-type": "image/png",
        "content-length": str(len(content)),
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
        "access-control-allow-origin": "*",
    }
    assert expected.items() <= answer.headers.items()
    assert "set-cookie" not in answer.headers
    head = await platform.anyone().call("HEAD", url)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(content)))


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-99", 0, 99),
        ("Bytes=0-9", 0, 9),
        ("bytes=100-", 100, -1),
        ("bytes=-50", -50, -1),
        ("bytes=10-999999999", 10, -1),
    ],
)
async def test_a_range(platform, made, asked: str, first: int, last: int) -> None:
    url, content = made
    first, last = first % len(content), last % len(content)
    answer = await platform.anyone().get(url, headers={"Range": asked})
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(content)}"
    assert answer.body == content[first : last + 1]


async def test_a_range_of_the_file_that_the_client_knows(platform, made) -> None:
    """RFC 9110, 13.1.5: of another version the client gets all of it."""
    url, content = made
    known = (await platform.anyone().get(url)).headers
    for validator in (known["etag"], known["last-modified"]):
        answer = await platform.anyone().get(url, headers={"Range": "bytes=5-9", "If-Range": validator})
        assert (answer.status, answer.body) == (206, content[5:10])
    for other in ('"another"', "W/" + known["etag"], "Mon, 01 Jan 2001 00:00:00 GMT", "nonsense"):
        answer = await platform.anyone().get(url, headers={"Range": "bytes=5-9", "If-Range": other})
        assert (answer.status, answer.body) == (200, content)
    head = await platform.anyone().call("HEAD", url, headers={"Range": "bytes=5-9"})
    assert (head.status, head.headers["content-length"]) == (200, str(len(content)))


async def test_what_a_client_has_is_not_sent_again(platform, made) -> None:
    """RFC 9110, 13.2.2."""
    url, content = made
    anyone = platform.anyone()
    known = (await anyone.get(url)).headers
    tag, modified, later = known["etag"], known["last-modified"], "Wed, 01 Jan 2100 00:00:00 GMT"
    for name, values in {
        "If-None-Match": (tag, f"W/{tag}", f'"x", {tag}', "*"),
        "If-Modified-Since": (modified, later),
    }.items():
        for value in values:
            for more in ({}, {"Range": "bytes=0-1"}):
                answer = await anyone.get(url, headers={name: value} | more)
                assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag), value
    for wanted in (
        {"If-None-Match": '"x"', "If-Modified-Since": later},
        {"If-Modified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"},
        {"If-Modified-Since": "nonsense"},
        {"If-Match": tag},
        {"If-Match": "*"},
    ):
        answer = await anyone.get(url, headers=wanted)
        assert (answer.status, answer.body) == (200, content), wanted
    for other in ('"x"', f"W/{tag}"):
        assert (await anyone.get(url, headers={"If-Match": other})).status == 412
    assert (await anyone.call("HEAD", url, headers={"If-None-Match": tag})).status == 304


async def test_ranges_that_are_none(platform, made) -> None:
    url, content = made
    for asked in ("bytes=5-2", "bytes=0-1,5-6", "lines=1-2", "bytes=a-b", "bytes=-"):
        answer = await platform.anyone().get(url, headers={"Range": asked})
        assert (answer.status, answer.body) == (200, content)
    beyond = await platform.anyone().get(url, headers={"Range": f"bytes={len(content)}-"})
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{len(content)}")


async def test_links_that_are_altered(platform, made) -> None:
    url, _ = made
    parts = urlsplit(url)
    expires, _, signature = parts.query.partition("&")
    for path, query in (
        (parts.path, ""),
        (parts.path, expires),
        (parts.path, signature),
        (parts.path, f"{signature}&{expires}"),
        (parts.path, f"{parts.query}&x=1"),
        (parts.path, f"expires={int(expires[8:]) + 1}&{signature}"),
        (parts.path, parts.query.upper()),
        (parts.path.replace("/0.png", "/1.png"), parts.query),
        (parts.path.replace("/0.png", "/0.jpeg"), parts.query),
        (parts.path.replace("/0.png", "/..%2f0.png"), parts.query),
        (parts.path + "/", parts.query),
    ):
        answer = await platform.anyone().get(f"{path}?{query}")
        assert answer.status == 404
        assert answer.headers["content-type"].startswith("text/plain")
        assert signature not in answer.body.decode()
    assert (await platform.anyone().call("POST", parts.path)).status == 405


@pytest.mark.full
async def test_after_its_time_nothing_is_left(postgres_server, stage, tmp_path) -> None:
    async with stage(postgres_server, tmp_path, result_ttl_s="6") as platform:
        team = await platform.team()
        data = await team.run(MODEL, prompt="gone soon")
        task, url = data["task_id"], data["result"]["resources"][0]["url"]
        assert (await team.get(url)).status == 200
        stored = [path for path in (tmp_path / "storage").rglob("*") if path.is_file()]
        assert len(stored) == 1
        await asyncio.sleep(6.2)
        (await team.get(f"/api/v1/tasks/{task}")).refused(404, f"Resource not found: task '{task}' not found")
        assert (await team.get(url)).status == 404
        platform.start("work")  # a worker begins with the chores
        give_up = time.monotonic() + 60
        while await platform.pool.fetchval("select count(*) from results.result"):
            assert time.monotonic() < give_up, "the result is still there"
            await asyncio.sleep(0.1)
        assert not stored[0].exists()
        assert (await platform.row(task))["captured"] == 17_200  # the record stays
        await platform.books_are_clean()
