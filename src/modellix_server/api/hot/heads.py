"""Heads of requests: what may be in them, and what is read from them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import httptools

from modellix_server.base.ids import request_name
from modellix_server.base.redaction import redact_text

MOST_HEADERS = 100
MOST_HEAD_BYTES = 64 * 1024
SPECIAL = frozenset({b"expect", b"host", b"transfer-encoding", b"x-request-id"})
"""Headers that are looked at here, and for the rest left to the endpoints."""

_FIT_ID = re.compile(rb"[!-~]{1,128}")


class UnfitRequestError(Exception):
    """What a client sent is answered with this status and the connection's end."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def no_http() -> UnfitRequestError:
    """The refusal of what the parser cannot read."""
    return UnfitRequestError(400, "this is not a valid HTTP request")


def too_large() -> UnfitRequestError:
    """The refusal of a head, or of something else that is no body, without end."""
    return UnfitRequestError(431, f"the head of the request is larger than {MOST_HEAD_BYTES // 1024} KB")


def read_special(special: Iterable[tuple[bytes, bytes]], version: str) -> tuple[bytes, bool]:
    """The request's id, and whether its client wants to hear that it may send the body.

    The id is the client's own, if it sent one that may stand in a header and a log; else a new one.
    """
    hosts, ids, expects_continue = 0, [], False
    for name, value in special:
        if name == b"host":
            hosts += 1
        elif name == b"x-request-id":
            ids.append(value)
        elif name == b"expect":
            expects_continue = value.lower() == b"100-continue"
        elif value.lower() != b"chunked":
            raise UnfitRequestError(501, "only the transfer coding 'chunked' is known here")
    if hosts > 1 or (not hosts and version == "1.1"):
        raise UnfitRequestError(400, "the request must have one header 'Host'")  # RFC 9112, 3.2
    if len(ids) == 1 and _FIT_ID.fullmatch(ids[0]) and redact_text(text := ids[0].decode()) == text:
        return ids[0], expects_continue
    return request_name(), expects_continue


def split_target(url: bytes) -> tuple[str, bytes]:
    """Path and query of a request's target. Raises UnfitRequestError."""
    try:
        if url.startswith(b"/") and b"#" not in url:
            path, _, query = url.partition(b"?")
        else:
            parsed = httptools.parse_url(url)
            path, query = parsed.path or b"/", parsed.query or b""
        return path.decode("ascii"), query
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):
        raise no_http() from None
