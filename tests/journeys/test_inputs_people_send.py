"""Requests as real clients and proxies send them: padded, compressed, with a mark in front, in other spellings."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import json
import zlib
from urllib.parse import quote_from_bytes

import pytest
from tests.journeys.test_uploads import FILES, form, send
from tests.support.waiting import eventually

MODEL, EDIT = "alibaba/qwen-image-plus", "alibaba/qwen-image-edit-plus"
SUBMIT = f"/api/v1/{MODEL}/async"
CAT = b'{"prompt":"a cat"}'
QUOTED = json.dumps({"model": MODEL, "input": {"prompt": "a"}}).encode()
CLIP = "/api/v1/bytedance/seedance-1.0-pro-t2v/async"
MARK = b"\xef\xbb\xbf"


async def raw(platform, head: list[bytes], body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
    """One request with exactly these bytes, and its answer."""
    host, port = platform.origin.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    lines = [*head, b"Host: x", b"Connection: close", b"Content-Length: %d" % len(body), b"", body]
    writer.write(b"\r\n".join(lines))
    answer = await reader.read()
    writer.close()
    top, _, rest = answer.partition(b"\r\n\r\n")
    status, *fields = top.decode().split("\r\n")
    found = dict(line.lower().split(": ", 1) for line in fields)
    return int(status.split()[1]), found, rest


@pytest.mark.parametrize(("before", "after"), [("", " "), ("", "\t"), ("  ", " \t "), ("\t", "")])
async def test_blanks_around_a_header_are_not_of_its_value(platform, team, before, after) -> None:
    def line(name: str, value: str) -> bytes:
        return f"{name}:{before}{value}{after}".encode()

    tasks = []
    for padded in (True, False):
        fields = [("Authorization", f"Bearer {team.text}"), ("Idempotency-Key", "k-1"), ("X-Max-Cost", "0.25"),
                  ("X-Queue", "wait"), ("Content-Type", "application/json")]  # fmt: skip
        lines = [line(*one) if padded else f"{one[0]}: {one[1]}".encode() for one in fields]
        status, _, body = await raw(platform, [f"POST {SUBMIT} HTTP/1.1".encode(), *lines], CAT)
        assert status == 200, body
        tasks.append(json.loads(body)["data"]["task_id"])
    assert tasks[0] == tasks[1]
    status, _, body = await raw(
        platform, [b"GET /api/v1/team/balance HTTP/1.1", line("Authorization", f"Bearer {team.text}")]
    )
    assert status == 200, body


async def test_a_header_that_is_there_twice_with_one_value_is_that_header(platform, team) -> None:
    """Proxies and clients add what is there already."""
    key, tasks = f"Authorization: Bearer {team.text}".encode(), []
    about = [b"X-Max-Cost: 0.25", b"X-Queue: wait", b"Idempotency-Key: k-2", b"Content-Type: application/json"]
    for lines in ([key, key, *about, *about], [key, *about]):
        status, _, body = await raw(platform, [f"POST {SUBMIT} HTTP/1.1".encode(), *lines], CAT)
        assert status == 200, body
        tasks.append(json.loads(body)["data"]["task_id"])
    assert tasks[0] == tasks[1]
    for other, wanted in ((key, 200), (b"Authorization: Bearer mdlx-test-another", 401), (b"Authorization: x", 401)):
        status, *_ = await raw(platform, [b"GET /api/v1/team/balance HTTP/1.1", key, other])
        assert status == wanted
    status, _, body = await raw(platform, [f"POST {SUBMIT} HTTP/1.1".encode(), key, *about, b"X-Queue: no"], CAT)
    assert (status, json.loads(body)["message"]) == (400, "Invalid format: header 'X-Queue' can only be 'wait'")


CODED = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "identity": bytes,
    "GZIP": lambda body: gzip.compress(body[:4]) + gzip.compress(body[4:]),
}


@pytest.mark.parametrize("coding", CODED)
async def test_a_coded_body_is_decoded_wherever_it_goes(team, draw, coding) -> None:
    def coded(body: bytes) -> dict:
        return {"data": io.BytesIO(CODED[coding](body)), "headers": {"Content-Encoding": coding}}

    assert (await team.call("POST", SUBMIT, **coded(CAT))).status == 200
    quoted = await team.call("POST", "/api/v1/quote", **coded(QUOTED))
    assert quoted.status == 200, quoted.body
    picture = draw.picture(640, 480)
    big = json.dumps({"prompt": "x", "images": [draw.data_uri(picture)], "negative_prompt": ""}).encode()
    assert (await team.call("POST", f"/api/v1/{EDIT}/async", **coded(big))).status == 200
    padded = json.dumps({"prompt": "x", "images": [draw.data_uri(picture)]}).encode() + b" " * 400_000
    assert (await team.call("POST", f"/api/v1/{EDIT}/async", **coded(padded))).status == 200
    about = coded(form(picture))
    about["headers"]["Content-Type"] = "multipart/form-data; boundary=xx"
    assert (await team.call("POST", FILES, **about)).status == 200


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "compress"])
async def test_another_coding_is_refused_with_those_that_are_taken(platform, team, coding) -> None:
    headers = {"Content-Encoding": coding, "Content-Type": "multipart/form-data; boundary=xx"}
    for path in (SUBMIT, "/api/v1/quote", "/api/v1/webhooks", FILES):
        refused = await team.call("POST", path, data=b"abc", headers=headers)
        refused.refused(415, "Invalid format: the request body has a content coding other than gzip or deflate")
        assert refused.headers["accept-encoding"] == "gzip, deflate"
    stranger = await platform.anyone().call("POST", SUBMIT, data=b"abc", headers=headers)
    assert stranger.status == 401


async def test_a_coded_body_that_is_broken_or_grows_too_large_is_refused(team) -> None:
    coded = {"Content-Encoding": "gzip"}
    broken = await team.call("POST", SUBMIT, data=b"{}", headers=coded)
    broken.refused(400, "Invalid format: the request body has a content coding, and its compression is broken")
    half = await team.call("POST", SUBMIT, data=gzip.compress(CAT)[:-4], headers=coded)
    half.refused(400, "Invalid format: the request body has a content coding, and it ended half-way")
    bomb = gzip.compress(b" " * 70_000_000)
    (await team.call("POST", SUBMIT, data=io.BytesIO(bomb), headers=coded)).refused(
        413, "Invalid format: the request body is larger than 64 MB"
    )
    assert (await team.call("POST", "/api/v1/quote", data=io.BytesIO(bomb), headers=coded)).status == 413


async def test_a_byte_order_mark_is_no_part_of_the_json(team) -> None:
    assert (await team.post(SUBMIT, MARK + CAT)).status == 200
    assert (await team.post(SUBMIT, MARK + b" " * 300_000 + CAT)).status == 200
    assert (await team.post("/api/v1/quote", MARK + QUOTED)).status == 200
    hook = await team.post("/api/v1/webhooks", MARK + b'{"url":"http://127.0.0.1:9/a"}')
    assert hook.status == 200
    (await team.post(SUBMIT, MARK)).refused(400, "Invalid format: invalid JSON format")
    (await team.post(SUBMIT, MARK * 2 + CAT)).refused(400, "Invalid format: invalid JSON format")
    for other in ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"):
        (await team.post(SUBMIT, CAT.decode().encode(other))).refused(
            400, "Invalid format: the body is not valid UTF-8"
        )
    for half in (rb"\ud83d", rb"\uDE00", rb"a\ud83dx", rb"\ud83d\ud83d"):
        told = "Invalid format: a text in the JSON has half of a character (an unpaired surrogate)"
        (await team.post(SUBMIT, CAT.replace(b"cat", half))).refused(400, told)
    assert (await team.post(SUBMIT, CAT.replace(b"cat", rb"\ud83d\ude00 \uD83D\uDE00"))).status == 200


@pytest.mark.parametrize("encoding", ["binary", "8bit", "7bit", "Binary ", None])
async def test_a_part_says_how_it_is_encoded(team, draw, encoding) -> None:
    extra = f"\r\nContent-Transfer-Encoding: {encoding}".encode() if encoding else b""
    body = form(draw.picture(), b'form-data; name="file"; filename="a.png"' + extra)
    assert (await send(team, body)).status == 200
    for other in (b"base64", b"quoted-printable"):
        sent = form(draw.picture(), b'form-data; name="file"; filename="a"\r\nContent-Transfer-Encoding: ' + other)
        refused = await send(team, sent)
        told = "Invalid format: parameter 'file' must be sent as it is, not in a Content-Transfer-Encoding"
        refused.refused(400, told)
        about = {"Content-Type": "multipart/form-data; boundary=xx"}
        refused = await team.call("POST", "/v1/images/edits", data=io.BytesIO(sent), headers=about)
        assert refused.json["error"]["message"] == told


@pytest.mark.parametrize(
    "disposition",
    [
        b"form-data; name=file; filename=cat.png",
        b'FORM-DATA; FILENAME="cat.png"; NAME="file"',
        b"form-data; name=\"file\"; filename*=UTF-8''%E7%8C%AB.png",
        b'form-data; name="file"\r\nContent-Length: 5\r\nContent-ID: <a>',
    ],
)
async def test_parts_are_headed_as_many_programs_head_them(team, draw, disposition) -> None:
    whole = form(draw.picture(), disposition)
    assert (await send(team, whole)).status == 200
    for before in (b"\r\n", b"This is a multi-part message in MIME format.\r\n"):
        assert (await send(team, before + whole + b"and after")).status == 200
    for kind in ('Multipart/Form-Data; charset=UTF-8; Boundary="xx"', "multipart/form-data;boundary=xx;x=y"):
        assert (await send(team, whole, kind)).status == 200
    for junk in (b"no form at all", b"x" * 9_000):
        (await send(team, junk)).refused(400, "Invalid format: the body is not valid multipart/form-data")


def parts(*given: tuple[str, bytes]) -> bytes:
    body = b"".join(
        b"--xx\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"
        for head, content in given
    )
    return body + b"--xx--\r\n"


async def test_short_texts_beside_a_file_are_passed_over(team, draw) -> None:
    file = ('name="file"; filename="a.png"', draw.picture())
    for texts in ([('name="purpose"', b"vision")], [('name="a"', b""), ('name="b"', b"x" * 1000)]):
        assert (await send(team, parts(*texts, file))).status == 200
        assert (await send(team, parts(file, *texts))).status == 200
    other = ('name="mask"; filename="m.png"', draw.picture())
    for order in ([file, other], [other, file]):
        told = "Invalid parameters: unknown parameter 'mask'; allowed: file"
        (await send(team, parts(*order))).refused(400, told)
    (await send(team, parts(file, file))).refused(400, "Invalid parameters: parameter 'file' is there more than once")
    long = await send(team, parts(('name="note"', b"x" * 20_000), file))
    long.refused(400, "Invalid parameters: parameter 'note' is longer than a text beside a file may be")
    many = await send(team, parts(*[('name="note"', b"x")] * 128, file))
    many.refused(413, "Invalid format: a form may have at most 128 parts")
    (await send(team, parts(('name="purpose"', b"x")))).refused(
        400, "Missing required parameter: parameter 'file' is required"
    )


async def test_base64_with_blanks_and_whole_numbers_with_a_point(team, draw) -> None:
    texts = (
        base64.b64encode(draw.picture()).decode() + "\n",
        base64.encodebytes(draw.picture()).decode(),
        "data:image/png," + quote_from_bytes(draw.picture()),
    )
    for text in (*texts, " https://example.com/a.png\n"):
        assert (await team.submit(EDIT, prompt="x", images=[text])).status == 200
    key = {"Idempotency-Key": "point"}
    first = await team.post(CLIP, b'{"prompt":"[sandbox:fail] x","duration":5.0}', headers=key)
    again = await team.post(CLIP, b'{"prompt":"[sandbox:fail] x","duration":5e0,"seed":null}', headers=key)
    assert first.data["task_id"] == again.data["task_id"]
    assert (await team.post(CLIP, b'{"prompt":"x","duration":5.5}')).status == 400
    made = await team.post("/v1/videos", {"model": CLIP[8:-6], "prompt": "[sandbox:fail] x", "seconds": 5.0})
    assert made.status == 200, made.body
    pictured = {"model": MODEL, "prompt": "x", "n": 1.0, "response_format": "url"}
    assert (await team.post("/v1/images/generations", pictured)).status == 200


@pytest.mark.parametrize("number", ["9" * 5_000, "1e400", "-1e999"])
async def test_a_number_that_nothing_holds_is_named(team, number) -> None:
    body = f'{{"prompt":"a","seed":{number}}}'.encode()
    told = "Invalid format: a number in the JSON is out of range"
    (await team.post(SUBMIT, body)).refused(400, told)
    (await team.post(SUBMIT, body + b" " * 300_000)).refused(400, told)
    (await team.post("/api/v1/quote", b'{"model":"%b","input":%b}' % (MODEL.encode(), body))).refused(400, told)
    limit = f"/api/v1/tasks?limit={number[:99]}"
    assert (
        (await team.get(limit))
        .json["message"]
        .startswith(
            "Value out of range" if number.isdigit() else "Invalid format: parameter 'limit' must be a whole number"
        )
    )


async def test_of_members_of_one_name_the_last_counts(team) -> None:
    key = {"Idempotency-Key": "twice"}
    first = await team.post(SUBMIT, b'{"prompt":"a dog","prompt":"a cat"}', headers=key)
    again = await team.post(SUBMIT, CAT, headers=key)
    assert first.data["task_id"] == again.data["task_id"]


async def test_webhook_links_are_called_and_shown_as_given(team, receiver_at) -> None:
    target = "/a%2Fb?sp=%2Ftriggers%2Frun&sv=1.0&sig=a%2Bb%3D&e="
    origin, asked = receiver_at
    endpoint = (await team.post("/api/v1/webhooks", {"url": origin + target})).data
    assert endpoint["url"] == origin + target
    other = origin.replace("http:", "HTTP:") + "/once?x=%2f#".removesuffix("#")
    submitted = await team.post(SUBMIT, {"prompt": "told"}, headers={"X-Webhook-URL": other})
    await team.finish(submitted.data["task_id"])
    await eventually(lambda: len(asked) == 2)
    assert sorted(asked) == [target, "/once?x=%2f"]
    shown = {one["url"] for one in (await team.get("/api/v1/webhooks/deliveries")).data["deliveries"]}
    assert shown == {origin + target, other}
    (await team.post("/api/v1/webhooks", {"url": None})).refused(
        400, "Missing required parameter: parameter 'url' is required"
    )
    told = (await team.post("/api/v1/webhooks", {"url": origin + target, "alerts": None})).data
    assert told["alerts"] == {"balance_below": None, "budgets": False}
    for padded in (f" {origin}{target}\n", f"{origin}{target}\u00a0"):
        assert (await team.post("/api/v1/webhooks", {"url": padded})).data["url"] == origin + target
    secret = await team.post("/api/v1/webhooks", {"url": "https://me:hush@example.com/"})
    secret.refused(400, "Invalid parameters: parameter 'url' must not carry a user, a password or a fragment")


@pytest.fixture
async def receiver_at():
    """A receiver's origin, and the targets it was asked for, as they were sent."""
    asked: list[str] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(length)
        asked.append(head.split(b" ")[1].decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
