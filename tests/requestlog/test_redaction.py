"""What of a body is kept."""

import base64
import hashlib
import json
import os
import time

import pytest

from modellix_server.identity import keys
from modellix_server.requestlog import redact_body, redact_path
from modellix_server.requestlog.redaction import KEPT

PICTURE = base64.b64encode(bytes(range(256)) * 40).decode()


def body(value):
    return json.dumps(value).encode()


def test_ordinary_inputs_stay():
    value = {"prompt": "a cat; 猫, at 5:30?", "size": "1024*1024", "n": 2, "seed": None, "watermark": False}
    assert json.loads(redact_body(body(value))) == value


def test_sent_bytes_become_their_digest():
    kept = redact_body(body({"image": f"data:image/png;base64,{PICTURE}", "images": [PICTURE]}))
    assert PICTURE[:40] not in kept
    assert hashlib.sha256(PICTURE.encode()).hexdigest() in kept
    assert "data:image/png;base64,<sha256:" in kept


def test_a_broken_or_huge_body_hides_bytes_too():
    cut = b'{"image": "data:image/png;base64,' + PICTURE.encode() + b'", "prompt": '
    assert PICTURE[:40] not in redact_body(cut)
    huge = body({"image": "data:image/png;base64," + base64.b64encode(os.urandom(200_000)).decode()})
    assert len(redact_body(huge)) < 300
    url_safe = base64.urlsafe_b64encode(os.urandom(3000)).decode()
    assert url_safe[:40] not in redact_body(body([url_safe]))


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://files.test/a/b.png?Signature=abc&Expires=1", "https://files.test/a/b.png"),
        ("https://user:hunter2@files.test/a#token=abc", "https://files.test/a"),
        ("https://files.test?Signature=abc", "https://files.test"),
        ("see https://a.test/x?y=abc and https://b.test/z?y=abc", "see https://a.test/x and https://b.test/z"),
        ("s3://key:secret@bucket/x?versionId=abc", "s3://bucket/x"),
    ],
)
def test_urls_lose_what_signs_them(url, kept):
    assert json.loads(redact_body(body({"image": url})))["image"] == kept
    assert kept in redact_body(body({"image": url})[:-1])  # broken JSON
    escaped = body({"image": url}).replace(b"/", b"\\/").replace(b"?", b"\\u003f")
    for text in (redact_body(escaped), redact_body(escaped[:-1])):
        assert "abc" not in text
        assert "hunter2" not in text


def test_keys_are_hidden_wherever_they_stand():
    key = keys.mint(live=True)
    for text in (redact_body(body({key: [key]})), redact_body(key.encode()), redact_path(f"/api/v1/{key}?key={key}")):
        assert key[9:] not in text


def test_paths_have_no_query():
    assert redact_path("/api/v1/tasks/task-1?x=1") == "/api/v1/tasks/task-1"
    assert len(redact_path("/" + "x" * 5000)) == 512


def test_what_is_kept_is_short_and_can_be_stored():
    assert len(redact_body(body({"prompt": "x y " * 5000}))) == KEPT
    assert "\x00" not in redact_body(b"\x00\xff\xfe{")
    assert "\x00" not in redact_body(body({"a": "\x00"}))
    redact_body(b'{"a": "\\ud800"}').encode()
    redact_body(b"[" * 60_000)


@pytest.mark.parametrize(
    "hostile",
    [
        b"a",
        b"a" * 199 + b" ",
        b"data:",
        b"data:;a",
        b";base64,",
        b"https://",
        b"a:/",
        b"\\/",
        b"mdlx-",
        b"://?",
        b"\xff",
    ],
)
def test_no_body_takes_long(hostile):
    """Expressions that look again inside a run take seconds here."""
    before = time.thread_time()
    redact_body(hostile * (200_000 // len(hostile)))
    redact_body(body((hostile * (60_000 // len(hostile))).decode("latin-1")))
    assert time.thread_time() - before < 0.3
