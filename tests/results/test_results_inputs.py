import asyncio
import base64
import contextvars
import hashlib
import signal
import time
from urllib.parse import quote_from_bytes

import msgspec
import pytest

from modellix_server.base import time_budget
from modellix_server.base.errors import InvalidFormat, Unavailable
from modellix_server.inspection import as_sent, take_inputs
from modellix_server.results import Storage, drop_inputs, save_inputs, stored_input_path


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_bytes_are_taken_out_and_links_stay(picture, clip):
    png, jpeg, wav = picture("png"), picture("jpeg"), clip("wav")
    params = {
        "prompt": b64(png),
        "image": f"data:image/gif;base64,{b64(png)}",  # what it claims to be does not count
        "images": ["https://example.com/a.png", b64(jpeg), "HTTP://example.com/b", b64(png)],
        "audio": b64(wav),
        "mask": None,
        "video": 7,
    }
    slim, files = take_inputs(params, ("image", "images", "audio", "mask", "video", "absent"))
    assert slim == {
        **params,
        "image": f"sha256:{digest(png)}",
        "images": [params["images"][0], f"sha256:{digest(jpeg)}", params["images"][2], f"sha256:{digest(png)}"],
        "audio": f"sha256:{digest(wav)}",
    }
    assert [(f.sha256, f.mime, f.kind, f.size, f.content) for f in files] == [
        (digest(png), "image/png", "image", len(png), png),
        (digest(jpeg), "image/jpeg", "image", len(jpeg), jpeg),
        (digest(wav), "audio/wav", "audio", len(wav), wav),
    ]
    assert params["image"].startswith("data:")  # the caller's own value is not changed


ADDRESS = "must be an http(s) URL, a data URI, base64 or the id of an uploaded file"
ADDRESSES = (
    *("file:///etc/passwd", "ftp://a.example/b.png", "//a.example/b.png", "s3://bucket/key", "cat.png"),
    *("/photos/cat.png", "./cat.png", "C:\\cat.png", "blob:https://a.example/1", "attachment:1"),
    *("task-" + "0a" * 16, "FILE-" + "0A" * 16),
)
PNG_BYTES = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) + b"\xff\xfe\xfb?"
LINES = base64.encodebytes(PNG_BYTES).decode()


@pytest.mark.parametrize(
    "text",
    [
        b64(PNG_BYTES) + "\n",
        "  " + b64(PNG_BYTES) + "\r\n",
        LINES,
        LINES.replace("\n", "\r\n"),
        LINES.replace("\n", " "),
        b64(PNG_BYTES).rstrip("="),
        base64.urlsafe_b64encode(PNG_BYTES).decode(),
        f"data:image/png;base64,{LINES}",
        f"data:image/png;base64,\n{b64(PNG_BYTES)}",
        f"DATA:image/png;base64,{b64(PNG_BYTES)}",
        f"data:image/png;charset=binary;base64,{b64(PNG_BYTES)}",
        f"data:;base64,{b64(PNG_BYTES)}",
        "data:image/png;base64," + b64(PNG_BYTES).replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
        "data:image/png;base64," + LINES.replace("\n", "%0a").replace("+", "%2b"),
        b64(PNG_BYTES).replace("+", "%2B").replace("=", "%3D"),
        f"\ufeff{b64(PNG_BYTES)}\u200b\u00a0",
        f"\ufeff data:image/png;base64,{b64(PNG_BYTES)}\n",
        f'data:image/png;name="a,b.png";base64,{b64(PNG_BYTES)}',
        f"data:image/png;name=a%2Cb.png;charset=utf-8 ; BASE64 ,{b64(PNG_BYTES)}",
        f"data:base64,{b64(PNG_BYTES)}",
        "data:image/png," + quote_from_bytes(PNG_BYTES),
        "DATA:," + "".join(f"%{byte:02x}" for byte in PNG_BYTES),
    ],
    ids=range(22),
)
def test_base64_as_programs_write_it(text):
    params, (file,) = take_inputs({"image": text}, ["image"])
    assert (file.content, file.mime) == (PNG_BYTES, "image/png")
    assert params == {"image": f"sha256:{file.sha256}"}
    assert as_sent(f"got '{params['image']}'", [file]) == f"got '{text[:60]}…'"


@pytest.mark.parametrize("link", ["HTTPS://example.com/a.png", "Http://example.com/a", "hTTP://EXAMPLE.COM"])
def test_a_scheme_has_no_case(link):
    assert take_inputs({"image": link}, ["image"]) == ({"image": link}, [])


@pytest.mark.parametrize(
    ("before", "after"), [("", "\n"), (" ", ""), ("\t", "\r\n"), ("\ufeff", "\u00a0"), ("\n", "\u200b")]
)
def test_blanks_around_a_link_or_an_id_are_not_of_it(before, after):
    for text in ("https://example.com/a%20b.png?sig=a%2Bb%3D", "HTTP://example.com", "file-" + "0a" * 16):
        assert take_inputs({"image": [before + text + after]}, ["image"]) == ({"image": [text]}, [])


FOREIGN = {
    "PDF": b"%PDF-1.7\n",
    "ICO": b"\0\0\1\0\1\0",
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "JPEG XL": b"\xff\x0a\xfa\x1f",
    "BigTIFF": b"II+\0\x08\0",
    "PSD (Photoshop)": b"8BPS\0\1",
    "MKV (Matroska)": b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\1\x42\x82\x88matroska",
    "FLV": b"FLV\1\5",
    "WMV or WMA": b"0&\xb2u\x8ef\xcf\x11\xa6\xd9",
    "MPEG": b"\0\0\1\xba",
    "MPEG-TS": (b"G" + bytes(187)) * 3,
    "AIFF": b"FORM\0\0\1\0AIFFCOMM",
    "CAF": b"caff\0\1",
    "AMR": b"#!AMR-WB\n",
    "RF64": b"RF64\xff\xff\xff\xffWAVEds64",
    "ZIP": b"PK\3\4",
    "gzip": b"\x1f\x8b\x08",
    "SVG": b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- drawn --><svg xmlns="x">',
    "HTML": b"\n<!DOCTYPE html><html>",
    "XML": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    "JSON": b'{"error": "expired"}',
    "data URI": b"data:image/png;base64,iVBORw0KGgo=",
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\n",
    "OGV": b"OggS\0\2" + bytes(22) + b"\x80theora\3\2",
    "CgBI": b"\x89PNG\r\n\x1a\n\0\0\0\4CgBI\x50\0\x20\2",
    "text": b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_format_that_no_model_takes_is_named(name):
    with pytest.raises(InvalidFormat) as caught:
        take_inputs({"image": b64(FOREIGN[name])}, ["image"])
    wanted = f"parameter 'image' is not a supported image, video or audio file: its format is {name}"
    assert caught.value.detail == wanted


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("not base64 at all!", "parameter 'image' is not valid base64"),
        ("ÄÖÜ", "parameter 'image' is not valid base64"),
        ("iVBORw0KG", "parameter 'image' is not valid base64"),
        ("iVBORw0KGgo/\\/8=", "parameter 'image' is not valid base64"),
        ('iVBORw0KGgo=", "', "parameter 'image' is not valid base64"),
        ("iVBORw0KGgo=\udc80", "parameter 'image' is not valid base64"),
        ("data:image/png,pla%00in", "parameter 'image' is not a supported image, video or audio file"),
        ("data:image/png;base64", "parameter 'image' must be a base64 data URI"),
        ("", "parameter 'image' is empty"),
        ("data:image/png;base64,", "parameter 'image' is empty"),
        (b64(b"what\0"), "parameter 'image' is not a supported image, video or audio file"),
        ("sha256:" + "0" * 64, "parameter 'image' must be a URL, a data URI, base64 or the id of an uploaded file"),
        *((text, f"parameter 'image' {ADDRESS}, got '{text}'") for text in ADDRESSES),
    ],
)
def test_refusals_name_the_parameter(value, words):
    deep = {"cast": [{"image": "https://example.com/a"}, {"image": ["https://example.com/a", value]}]}
    for params, place, where in (
        ({"image": value}, "image", "image"),
        ({"image": ["https://example.com/a", value]}, "image", "image[1]"),
        (deep, "cast.image", "cast[1].image[1]"),
    ):
        with pytest.raises(InvalidFormat) as caught:
            take_inputs(params, (place,))
        assert caught.value.detail == words.replace("'image'", f"'{where}'")


async def test_a_big_body_gives_the_same_as_a_small_one(helper, tmp_path, picture):
    png, jpeg = picture("png"), picture("jpeg")
    params = {"prompt": "ünï", "images": [b64(png), b64(jpeg), b64(png)], "seed": 2**53, "x": None}
    body = tmp_path / "body"
    body.write_bytes(msgspec.json.encode(params))
    slim, files = await helper.extract(body, ("images",))
    expected, taken = take_inputs(params, ("images",))
    assert slim == expected
    assert [(f.sha256, f.mime, f.kind, f.size, f.content.read_bytes()) for f in files] == [
        (f.sha256, f.mime, f.kind, f.size, f.content) for f in taken
    ]
    await drop_inputs(files)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"image": "@@@@"}', "parameter 'image' is not valid base64"),
        (b'{"image": ', "invalid JSON format"),
        (b'{"image": "\xff"}', "the body is not valid UTF-8"),
        (b"[" * 1_000_000, "the JSON is nested too deeply"),
        (b'{"prompt": "' + b"a" * 300_000 + b'"}', "the body is too large without its media"),
    ],
)
async def test_a_big_body_is_refused_in_the_same_words(helper, tmp_path, body, words):
    path = tmp_path / "body"
    path.write_bytes(body)
    with pytest.raises(InvalidFormat) as caught:
        await helper.extract(path, ("image",))
    assert caught.value.detail == words


async def test_a_body_that_is_gone_is_no_refusal(helper, tmp_path):
    with pytest.raises(Unavailable):
        await helper.extract(tmp_path / "nothing", ("image",))


async def test_a_queued_body_does_not_use_up_the_time_budget(helper, tmp_path, picture):
    """Many big bodies wait for each other longer than a request waits for the database: that refuses none."""
    path = tmp_path / "body"
    path.write_bytes(msgspec.json.encode({"image": b64(picture())}))
    await drop_inputs((await helper.extract(path, ("image",)))[1])  # the helper is up
    process = helper._slow._idle[-1].process  # the one that is taken first
    process.send_signal(signal.SIGSTOP)
    context = contextvars.copy_context()
    context.run(time_budget.begin, 0.1)
    asked = asyncio.create_task(helper.extract(path, ("image",)), context=context)
    await asyncio.sleep(0.5)
    process.send_signal(signal.SIGCONT)
    await drop_inputs((await asked)[1])
    assert context.run(time_budget.current).left_s == 0.1


async def test_a_13_mb_body_leaves_the_event_loop_alone(helper, tmp_path, picture, monkeypatch):
    monkeypatch.setattr("modellix_server.results.helper_lane._BATCH_TIMEOUT_S", 100)  # however busy the machine is
    big = picture("png", (1800, 1800), noise=90)
    assert len(b64(big)) > 3_000_000
    path = tmp_path / "body"
    path.write_bytes(msgspec.json.encode({"images": [b64(big), b64(big + b"1"), b64(big + b"2"), b64(big + b"3")]}))
    assert path.stat().st_size > 13_000_000
    await drop_inputs((await helper.extract(path, ("images",)))[1])  # the helper is up

    async def longest_stops() -> tuple[float, float]:
        """In processor time, and by the clock, which on a busy machine goes on for others' sake."""
        worked, stood, extracting = 0.0, 0.0, asyncio.create_task(helper.extract(path, ("images",)))
        while not extracting.done():
            before = time.thread_time(), time.perf_counter()
            await asyncio.sleep(0.001)
            worked, stood = max(worked, time.thread_time() - before[0]), max(stood, time.perf_counter() - before[1])
        files = (await extracting)[1]
        assert len(files) == 4
        await drop_inputs(files)
        return worked, stood

    for _ in range(20):  # one time of them is enough: what the loop itself would do, it would do each time
        worked, stood = await longest_stops()
        if worked < 0.02 and stood < 0.1:
            return
    pytest.fail(f"the loop worked {worked:.3f} s, and stood still {stood:.3f} s")


async def test_inputs_are_stored_under_their_digest_and_live_longest(pool, storage, picture):
    png = picture()
    _, files = take_inputs({"image": b64(png)}, ("image",))
    await save_inputs(pool, storage, files)
    await save_inputs(pool, storage, files, ttl_s=10)  # a shorter need shortens nothing
    assert await storage.read(stored_input_path(digest(png))) == png
    row = await pool.fetchrow("select *, expires_at - now() as left from results.input")
    assert (row["sha256"].hex(), row["mime"], row["kind"], row["size"]) == (digest(png), "image/png", "image", len(png))
    assert 71 < row["left"].total_seconds() / 3600 <= 72


async def test_files_of_a_big_body_are_stored(pool, storage, helper, tmp_path, picture):
    png = picture(noise=40)
    path = tmp_path / "body"
    path.write_bytes(msgspec.json.encode({"image": b64(png)}))
    _, files = await helper.extract(path, ("image",))
    await save_inputs(pool, storage, files)
    assert await storage.read(stored_input_path(digest(png))) == png
    await drop_inputs(files)  # a folder took the file, whatever else copied it
    assert await storage.read(stored_input_path(digest(png))) == png


async def test_a_folder_takes_the_file_of_a_big_body_itself(pool, helper, tmp_path, picture):
    png = picture(noise=40)
    body = tmp_path / "body"
    body.write_bytes(msgspec.json.encode({"image": b64(png)}))
    _, (file,) = await helper.extract(body, ("image",))
    written = file.content.stat().st_ino
    await save_inputs(pool, Storage((tmp_path / "with space").as_uri()), [file])
    assert (tmp_path / "with space" / stored_input_path(digest(png))).stat().st_ino == written


async def test_what_is_stored_already_is_not_written_again(pool, tmp_path, picture):
    png = picture()
    _, files = take_inputs({"image": b64(png)}, ("image",))
    storage = Storage((tmp_path / "stored").as_uri())
    await save_inputs(pool, storage, files)
    path = tmp_path / "stored" / stored_input_path(digest(png))
    first = path.stat().st_ino
    await save_inputs(pool, storage, files)
    assert path.stat().st_ino == first
    path.write_bytes(b"a part of it")
    await save_inputs(pool, storage, files)
    assert path.read_bytes() == png


async def test_many_at_once_store_the_same_files(pool, storage, picture):
    first, second = (picture(size=(n, n)) for n in (5, 6))
    orders = [[b64(first), b64(second)], [b64(second), b64(first)]] * 10
    await asyncio.gather(*(save_inputs(pool, storage, take_inputs({"i": one}, ("i",))[1]) for one in orders))
    assert await pool.fetchval("select count(*) from results.input") == 2


def test_more_files_than_any_model_takes_are_refused_before_they_are_decoded(picture):
    tiny = b64(picture(size=(1, 1)))
    assert len(take_inputs({"images": [tiny] * 200}, ("images",))[1]) == 1
    started = time.process_time()
    with pytest.raises(InvalidFormat, match="more than 200 files"):
        take_inputs({"images": [tiny] * 100_000}, ("images",))
    assert time.process_time() - started < 1
