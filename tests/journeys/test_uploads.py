"""Files uploaded beforehand: kept, listed, linked, used, deleted; and bodies that are no upload."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time

import aiohttp
import pytest
from tests.support.waiting import eventually

EDIT = "alibaba/qwen-image-edit-plus"
FILES = "/api/v1/media/files"
MULTIPART = {"Content-Type": "multipart/form-data; boundary=xx"}
GONE = "Invalid format: parameter 'images[0]': there is no such uploaded file, or it has expired"


async def upload(client, content: bytes, name: str = "a.png", **about):
    sent = aiohttp.FormData(quote_fields=False)
    sent.add_field("file", content, filename=name)
    return await client.call("POST", FILES, data=sent, **about)


def form(content: bytes, disposition: bytes = b'form-data; name="file"; filename="a.png"', end: bytes = b"--") -> bytes:
    return b"--xx\r\nContent-Disposition: " + disposition + b"\r\n\r\n" + content + b"\r\n--xx" + end + b"\r\n"


async def send(client, body: bytes, content_type: str = "multipart/form-data; boundary=xx"):
    return await client.call("POST", FILES, data=io.BytesIO(body), headers={"Content-Type": content_type})


async def test_a_file_in_the_contracts_shape(platform, team, draw) -> None:
    content = draw.picture(640, 480)
    before = time.time() * 1000
    kept = (await upload(team, content, "Urlaub am Meer.png")).data
    assert kept.keys() == {"file_id", "type", "url", "filename", "size", "created_at", "expires_at"}
    assert (kept["type"], kept["filename"], kept["size"]) == ("image", "Urlaub am Meer.png", len(content))
    assert before - 1000 < kept["created_at"] < time.time() * 1000 + 1000
    assert kept["expires_at"] - kept["created_at"] == pytest.approx(7 * 86_400_000, abs=10)
    got = await platform.anyone().get(kept["url"])
    assert (got.status, got.body, got.headers["content-type"]) == (200, content, "image/png")
    assert got.headers["content-security-policy"] == "default-src 'none'; sandbox"
    part = await platform.anyone().get(kept["url"], headers={"Range": "bytes=1-3"})
    assert (part.status, part.body) == (206, b"PNG")
    assert (await platform.anyone().get(kept["url"][:-1] + "x")).status == 404
    await platform.spool_is_empty()


async def test_the_list_and_its_pages(team, draw) -> None:
    ids = [(await upload(team, draw.picture(), f"{number}.png")).data["file_id"] for number in range(5)]
    everything = (await team.get(FILES)).data
    assert [file["file_id"] for file in everything["files"]] == ids[::-1]
    assert everything["next_cursor"] is None
    first = (await team.get(f"{FILES}?limit=2")).data
    second = (await team.get(f"{FILES}?limit=2&cursor={first['next_cursor']}")).data
    third = (await team.get(f"{FILES}?limit=2&cursor={second['next_cursor']}")).data
    assert [file["file_id"] for page in (first, second, third) for file in page["files"]] == ids[::-1]
    assert third["next_cursor"] is None
    for limit in ("0", "101"):
        told = f"Value out of range: parameter 'limit' must be between 1 and 100, got {limit}"
        (await team.get(f"{FILES}?limit={limit}")).refused(400, told)
    (await team.get(f"{FILES}?limit=x")).refused(
        400, "Invalid format: parameter 'limit' must be a whole number, got 'x'"
    )
    told = "Invalid format: parameter 'cursor' must be the next_cursor of an earlier answer"
    (await team.get(f"{FILES}?cursor=1")).refused(400, told)


async def test_files_belong_to_one_team_and_mode(platform, team, draw) -> None:
    kept = (await upload(team, draw.picture())).data
    other, live = await platform.team(), await platform.key(team, live=True)
    for stranger in (other, live):
        assert (await stranger.get(FILES)).data["files"] == []
        gone = await stranger.call("DELETE", f"{FILES}/{kept['file_id']}")
        gone.refused(404, f"Resource not found: file '{kept['file_id']}' not found")
    (await other.submit(EDIT, prompt="a", images=[kept["file_id"]])).refused(400, GONE)
    assert (await other.run(EDIT, prompt="a", images=[kept["url"]]))["status"] == "success"  # a link is for all
    (await platform.anyone().get(FILES)).refused(401, "Authentication failed: invalid or missing API key")
    (await upload(platform.anyone(), b"x")).refused(401, "Authentication failed: invalid or missing API key")


async def test_a_deleted_file_is_gone_for_all_but_its_tasks(platform, team, draw) -> None:
    kept = (await upload(team, draw.noise(600_000))).data
    queued = (await team.submit(EDIT, prompt="a [sandbox:throttle=1]", images=[kept["file_id"]])).data["task_id"]
    assert (await team.call("DELETE", f"{FILES}/{kept['file_id']}")).data == {
        "file_id": kept["file_id"],
        "deleted": True,
    }
    told = f"Resource not found: file '{kept['file_id']}' not found"
    (await team.call("DELETE", f"{FILES}/{kept['file_id']}")).refused(404, told)
    (await team.call("DELETE", f"{FILES}/nonsense")).refused(404, "Resource not found: no such file")
    assert (await platform.anyone().get(kept["url"])).status == 404
    for way in (kept["file_id"], kept["url"]):
        (await team.submit(EDIT, prompt="a", images=[way])).refused(400, GONE)
    assert (await team.finish(queued))["status"] == "success"
    params = (await platform.row(queued))["params"]
    assert '"sha256:' in params
    left = "select expires_at - now() < interval '73 hours' from results.input where sha256 = decode($1, 'hex')"
    assert await platform.pool.fetchval(left, params.partition("sha256:")[2][:64])


async def test_expired_files_are_deleted(platform, team, draw, superuser) -> None:
    kept = (await upload(team, draw.noise(1_000))).data
    digest = await platform.pool.fetchval("select sha256 from results.upload where team_id = $1", team.id)
    await superuser.execute("update results.upload set expires_at = now() where team_id = $1", team.id)
    assert (await team.get(FILES)).data["files"] == []
    assert (await platform.anyone().get(kept["url"])).status == 404
    await superuser.execute("update results.input set expires_at = now() where sha256 = $1", digest)
    stored = platform.folder / "storage" / "inputs" / digest.hex()[:2] / digest.hex()
    assert stored.exists()
    for _ in range(450):
        if not await platform.pool.fetchval("select count(*) from results.upload where team_id = $1", team.id):
            break
        await asyncio.sleep(0.1)
    assert not stored.exists()


async def test_a_request_is_repeated_after_its_file_has_gone(team, draw) -> None:
    kept = (await upload(team, draw.picture())).data
    key = {"Idempotency-Key": "twice"}
    body = {"prompt": "a", "images": [kept["file_id"]]}
    first = (await team.post(f"/api/v1/{EDIT}", body, headers=key)).data["task_id"]
    await team.call("DELETE", f"{FILES}/{kept['file_id']}")
    again = await team.post(f"/api/v1/{EDIT}", body, headers=key)
    assert (again.data["task_id"], again.headers["idempotency-replayed"]) == (first, "true")
    told = "Invalid parameters: this Idempotency-Key was used with a different request"
    (await team.post(f"/api/v1/{EDIT}", {**body, "prompt": "b"}, headers=key)).refused(422, told)


@pytest.mark.full
async def test_a_team_has_room_for_so_many_bytes(stage, postgres_server, tmp_path, draw) -> None:
    async with stage(postgres_server, tmp_path, upload_quota_bytes="450000", upload_ttl_s="100") as platform:
        team = await platform.team()
        big = draw.noise(300_000)
        kept = (await upload(team, big)).data
        assert kept["expires_at"] - kept["created_at"] == pytest.approx(100_000, abs=10)
        told = f"450,000 bytes together, got {len(big):,} beside {len(big):,}"
        refused = await upload(team, big)
        refused.refused(400, f"Value out of range: uploaded files of the team must have at most {told}")
        both = await asyncio.gather(*(upload(team, draw.noise(100_000)) for _ in range(2)))
        assert sorted(answer.status for answer in both) == [200, 400]
        await team.call("DELETE", f"{FILES}/{kept['file_id']}")
        assert (await upload(team, big)).status == 200
        assert (await upload(await platform.key(team, live=True), big)).status == 200  # the modes never meet
        await platform.spool_is_empty()


BAD_TYPE = "Invalid format: header 'Content-Type' must be multipart/form-data with a boundary"
BAD_BODY = "Invalid format: the body is not valid multipart/form-data"
BAD_BOUNDARY = "Invalid format: header 'Content-Type' has a boundary that is too long"
UNKNOWN = "Invalid format: parameter 'file' is not a supported image, video or audio file: its format is"
CUT_OFF = "Invalid format: the multipart body is cut off"


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"{}", "application/json", BAD_TYPE),
        (form(b"x"), "multipart/form-data", BAD_TYPE),
        (form(b"x"), "multipart/mixed; boundary=xx", BAD_TYPE),
        (form(b"x"), "multipart/form-data; boundary=" + "x" * 300, BAD_BOUNDARY),
        (form(b"x"), "multipart/form-data; boundary=yy", BAD_BODY),
        (b"", "", CUT_OFF),
        (form(b"x", end=b""), "", CUT_OFF),
        (form(b"x")[:-6], "", CUT_OFF),
        (form(b""), "", "Invalid format: parameter 'file' is empty"),
        (form(b"what\0" * 20), "", "Invalid format: parameter 'file' is not a supported image, video or audio file"),
        (form(b"<html>" * 20), "", f"{UNKNOWN} HTML"),
        (form(b"<?xml version='1.0'?>" + b" " * 300 + b"<svg >"), "", f"{UNKNOWN} SVG"),
        (form((b"G" + bytes(187)) * 300), "", f"{UNKNOWN} MPEG-TS"),
        (form(b"\x89PNG\r\n\x1a\n" + bytes(99)), "", "Invalid format: parameter 'file': the png file is broken"),
        (form(b"x", b"form-data"), "", "Invalid format: a part of the multipart body has no name"),
        (form(b"x", b"attachment"), "", "Invalid format: a part of the multipart body has no name"),
        (
            form(b"x", b'form-data; name="fi\0le"; filename="b"'),
            "",
            "Invalid parameters: unknown parameter 'fi\ufffdle'; allowed: file",
        ),
        (
            form(b"x", b'form-data; name="a"; filename="b"'),
            "",
            "Invalid parameters: unknown parameter 'a'; allowed: file",
        ),
        (b"--xx\r\n" + b"X-A: b\r\n" * 50_000, "", BAD_BODY),
        (b"--xx\r\nX-A: " + b"b" * 900_000, "", BAD_BODY),
        (b"--xx--\r\n", "", None),
    ],
)
async def test_bodies_that_are_no_upload(platform, team, body, content_type, message) -> None:
    answer = await send(team, body, content_type or MULTIPART["Content-Type"])
    assert answer.status == 400, answer.body
    if message:
        answer.refused(400, message)
    assert (await team.get(FILES)).data["files"] == []
    await platform.spool_is_empty()


async def test_two_files_at_once_and_odd_names(platform, team, draw) -> None:
    picture = draw.picture()
    once = form(picture)
    told = "Invalid parameters: parameter 'file' is there more than once"
    (await send(team, once[: -len(b"--\r\n")] + once[len(b"--xx") :])).refused(400, told)
    for name, shown in (
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.png", "a.png"),
        ("a\0b\t\x1b[1m.png", "ab[1m.png"),
        ("", "file.png"),
        ("..", "file.png"),
        ("\u202egnp.exe", "gnp.exe"),
        ("n" * 900 + ".png", "n" * 255),
        ("Grüße.png", "Grüße.png"),
    ):
        kept = await send(team, form(picture, b'form-data; name="file"; filename="' + name.encode() + b'"'))
        assert kept.data["filename"] == shown, name
    assert not list(platform.folder.rglob("passwd"))


async def test_what_never_ends_or_is_too_large(platform, team, draw) -> None:
    """A picture that goes on for 100 MB; a promise of more than may come; one that breaks off half-way."""
    start = draw.picture()

    async def endless():
        yield form(start)[: -len(b"\r\n--xx--\r\n")]
        for _ in range(100):
            yield bytes(1 << 20)

    answer = None
    with contextlib.suppress(aiohttp.ClientError):  # the server may hang up on what is still coming
        answer = await team.call("POST", FILES, data=endless(), headers=MULTIPART)
    if answer is not None:
        answer.refused(413, "Invalid format: the image is larger than 32 MB")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(platform.origin.rpartition(":")[2]))
    head = f"POST {FILES} HTTP/1.1\r\nHost: x\r\nAuthorization: {team.authorization}\r\n"
    head += f"Content-Type: {MULTIPART['Content-Type']}\r\n"
    writer.write(f"{head}Content-Length: 300000000\r\n\r\n".encode())
    assert b" 413 " in await reader.readline()
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", int(platform.origin.rpartition(":")[2]))
    writer.write(f"{head}Content-Length: 600000\r\n\r\n".encode() + form(draw.noise(500_000))[:300_000])
    await eventually(platform.spooled)
    writer.close()
    assert (await team.get(FILES)).data["files"] == []
    await platform.spool_is_empty()


async def test_bytes_that_look_like_boundaries_hold_up_nobody(team, draw) -> None:
    """The parser's slowest food, ten megabytes of it, while another request is answered in good time."""
    picture = draw.picture()
    sending = asyncio.create_task(send(team, form(picture + b"\r\n--x" * 2_000_000)))
    worst, begun = 0.0, time.monotonic()
    while not sending.done():
        before = time.monotonic()
        await team.get("/healthz")
        worst = max(worst, time.monotonic() - before)
        await asyncio.sleep(0.02)
    assert (await sending).status in (200, 400)
    assert worst < max(2, (time.monotonic() - begun) / 4)  # on a busy machine all of it takes longer


async def test_a_team_sends_eight_files_at_a_time(platform, team, draw) -> None:
    await platform.spool_is_empty()
    gate = asyncio.Event()

    async def slow():
        body = form(draw.noise(400_000))
        yield body[:300_000]
        await gate.wait()
        yield body[300_000:]

    first = [asyncio.create_task(team.call("POST", FILES, data=slow(), headers=MULTIPART)) for _ in range(8)]
    await eventually(lambda: len(platform.spooled()) == 8)  # all have come
    ninth = await upload(team, draw.picture())
    ninth.refused(429, "Concurrent limit exceeded: team limit of 8 uploads at once")
    gate.set()
    assert [answer.status for answer in await asyncio.gather(*first)] == [200] * 8
    assert (await upload(team, draw.picture())).status == 200
