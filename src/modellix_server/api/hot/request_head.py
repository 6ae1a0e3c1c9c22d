"""The head of a request: what of it is refused, who sent it, and how ASGI has it."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import httptools

from modellix_server.base.addresses import Network, sender_behind
from modellix_server.base.ids import request_name
from modellix_server.base.redaction import redact_text

MOST_HEADERS = 100
MOST_HEAD_BYTES = 64 * 1024
SPECIAL = frozenset({b"expect", b"host", b"transfer-encoding", b"x-request-id"})
"""Headers that are looked at here, and for the rest left to the endpoints."""

_FIT_HOST = re.compile(rb"[^\x00-\x20\x7f-\xff\"#/<>?@\\^`{|},]*")  # RFC 3986, 3.2.2, and a port
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


@functools.lru_cache(64)  # most clients ask for the same one
def _is_fit_host(value: bytes) -> bool:
    return _FIT_HOST.fullmatch(value) is not None


def read_special(special: Iterable[tuple[bytes, bytes]], version: str, *, named: bool) -> tuple[bytes, bool]:
    """The request's id, if it is `named`, and whether its client wants to hear that it may send the body.

    The id is the client's own, if it sent one that may stand in a header and a log; else a new one.
    """
    hosts, ids, expects_continue = 0, [], False
    for name, value in special:
        if name == b"host":
            hosts += 1 if _is_fit_host(value) else 2
        elif name == b"x-request-id":
            ids.append(value)
        elif name == b"expect":
            expects_continue = value.lower() == b"100-continue"
        elif value.lower() != b"chunked":
            raise UnfitRequestError(501, "only the transfer coding 'chunked' is known here")
    if hosts > 1 or (not hosts and version == "1.1"):
        raise UnfitRequestError(
            400, "the request must have one header 'Host', with a name and perhaps a port"
        )  # RFC 9112, 3.2
    if not named:
        return b"", expects_continue
    if len(ids) == 1 and _FIT_ID.fullmatch(ids[0]) and redact_text(text := ids[0].decode()) == text:
        return ids[0], expects_continue
    return request_name(), expects_continue


def sender_of(
    peer: tuple[str, int] | None, headers: Iterable[tuple[bytes, bytes]], trusted: tuple[Network, ...]
) -> tuple[str, int] | None:
    """Who sent a request: the peer, or, through trusted proxies, whom they name."""
    if peer is None or not trusted:
        return peer
    forwarded = b",".join(value for name, value in headers if name == b"x-forwarded-for")
    return sender_behind(peer[0], forwarded.decode("latin-1"), trusted), peer[1]


def decode_path(path: str) -> str:
    """A path without percent-encoding, except that of a slash: what is within a segment does not end it."""
    return unquote(path.replace("%2f", "%252F").replace("%2F", "%252F"))


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


def scope_of(
    version: str,
    method: bytes,
    url: bytes,
    headers: list[tuple[bytes, bytes]],
    ends: tuple[tuple[str, int] | None, tuple[str, int] | None],
    extensions: dict[str, object],
) -> dict[str, Any]:
    """A request as ASGI describes it (HTTP connection scope, 2.4); `ends` are client and server.

    Raises UnfitRequestError.
    """
    path, query = split_target(url)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": version,
        "scheme": "http",
        "method": method.decode("ascii"),
        "root_path": "",
        "path": decode_path(path) if "%" in path else path,
        "raw_path": path.encode("ascii"),
        "query_string": query,
        "headers": headers,
        "client": ends[0],
        "server": ends[1],
        "extensions": extensions,
    }
