"""Content codings: what is decoded, in which steps, and what is refused."""

import gzip
import zlib

import brotli
import pytest

from modellix_server.base.answer_coding import answer_decoder, zstd
from modellix_server.base.content_coding import BrokenCoding, DecodedBody, UnknownCoding, decoder

TEXT = b"a cat " * 50_000
RAW = zlib.compressobj(wbits=-15)
FORMS = {
    "gzip": gzip.compress(TEXT, mtime=0),
    "x-gzip": gzip.compress(TEXT, mtime=0),
    "GZIP ": gzip.compress(TEXT[:9], mtime=0) + gzip.compress(TEXT[9:]),
    "deflate": zlib.compress(TEXT),
    " Deflate": RAW.compress(TEXT) + RAW.flush(),
    "gzip, identity": gzip.compress(TEXT, mtime=0) + b"\0" * 512,
    "identity": TEXT,
    "": TEXT,
    "none": TEXT,
    "aws-chunked": TEXT,
}


def decoded(header: str, data: bytes, step: int, most: int) -> bytes:
    inflate = decoder(header)
    if inflate is None:
        return data
    out = b""
    for at in range(0, len(data), step):
        piece = inflate.feed(data[at : at + step], most)
        while True:
            assert len(piece) <= most
            out += piece
            if not inflate.pending:
                break
            piece = inflate.feed(b"", most)
    inflate.end()
    return out


ANSWERS = {
    "br": brotli.compress(TEXT),
    " BR ": brotli.compress(TEXT, quality=0),
    "zstd": zstd.compress(TEXT),
    "Zstd": zstd.compress(TEXT[:70_000]) + zstd.compress(TEXT[70_000:]),
}


@pytest.mark.parametrize("header", FORMS)
@pytest.mark.parametrize(("step", "most"), [(1 << 20, 1 << 20), (7, 1 << 20), (1 << 20, 4096), (64, 100), (1, 1 << 16)])
def test_every_form_is_decoded_in_any_steps(header: str, step: int, most: int) -> None:
    assert decoded(header, FORMS[header], step, most) == TEXT


@pytest.mark.parametrize("header", ["br", "zstd", "compress", "gzip, gzip", "gzip, br", "identity, br", "dcb"])
def test_what_is_not_decoded_is_refused(header: str) -> None:
    with pytest.raises(UnknownCoding):
        decoder(header)


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ("gzip", gzip.compress(TEXT, mtime=0)[:-9]),
        ("gzip", b"{}"),
        ("gzip", b"\x1f"),
        ("deflate", zlib.compress(TEXT)[:-1]),
        ("gzip", gzip.compress(TEXT, mtime=0)[:20] + b"x" * 9),
    ],
)
def test_broken_bytes_are_said_to_be(header: str, data: bytes) -> None:
    with pytest.raises(BrokenCoding):
        decoded(header, data, 64, 4096)


@pytest.mark.parametrize("header", ANSWERS)
@pytest.mark.parametrize(
    ("step", "most"), [(1 << 20, 1 << 20), (7, 1 << 20), (1, 1 << 20), (1 << 20, 1 << 16), (5, 70)]
)
def test_answers_have_two_codings_more(header: str, step: int, most: int) -> None:
    decoded, data = answer_decoder(header), ANSWERS[header]
    assert decoded is not None
    out = b"".join(decoded.feed(data[at : at + step], most) for at in range(0, len(data), step))
    while piece := decoded.feed(b"", most):
        assert len(piece) <= most
        out += piece
    decoded.end()
    assert out == TEXT
    assert (answer_decoder("gzip") is None, answer_decoder("identity") is None) == (False, True)


@pytest.mark.parametrize(
    ("header", "data"),
    [
        ("br", ANSWERS["br"][:-1]),
        ("br", b"<html>no brotli at all"),
        ("zstd", ANSWERS["zstd"][:-1]),
        ("zstd", b"\x28\xb5"),
        ("zstd", b"<html>"),
        ("zstd", b"\x28\xb5\x2f\xfd\0\xff" + bytes(9)),  # it asks for a window of gigabytes
    ],
    ids=range(6),
)
def test_broken_answers_are_said_to_be(header: str, data: bytes) -> None:
    def whole() -> None:
        decoded = answer_decoder(header)
        assert decoded is not None
        decoded.feed(data, 1 << 20)
        decoded.end()

    with pytest.raises(BrokenCoding):
        whole()


def test_an_answer_may_not_ask_for_much_memory() -> None:
    """RFC 9659: a window of eight megabytes at most."""
    for log, fits in ((23, True), (27, False)):
        options = {zstd.CompressionParameter.window_log: log}
        sender = zstd.ZstdCompressor(options=options)
        data = sender.compress(bytes(1000), zstd.ZstdCompressor.FLUSH_BLOCK)
        decoded = answer_decoder("zstd")
        assert decoded is not None
        if fits:
            assert decoded.feed(data, 9999) == bytes(1000)
        else:
            with pytest.raises(BrokenCoding):
                decoded.feed(data, 9999)


@pytest.mark.parametrize("header", ["dcb", "compress", "br, gzip", "zstd, br", "br;q=1"])
def test_other_codings_of_answers_are_unknown(header: str) -> None:
    with pytest.raises(UnknownCoding):
        answer_decoder(header)


async def test_a_body_that_grows_is_given_in_small_pieces() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000, mtime=0)
    messages = [
        {"type": "http.request", "body": bomb[:1000], "more_body": True},
        {"type": "http.request", "body": bomb[1000:], "more_body": False},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict:
        return messages.pop(0)

    body, size = DecodedBody(receive, "gzip"), 0
    while (message := await body()).get("more_body"):
        assert 0 < len(message["body"]) <= 64 * 1024
        size += len(message["body"])
    assert (size, message) == (50_000_000, {"type": "http.request", "body": b"", "more_body": False})
    assert (await body())["type"] == "http.disconnect"
