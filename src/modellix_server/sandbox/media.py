"""Input files of a request: data URIs are decoded, links fetched with the given function."""

import re
from collections.abc import Awaitable, Callable

from modellix_server.base import base64_text

Fetch = Callable[[str], Awaitable[bytes]]
"""Loads a link, or raises Unreachable: it decides which addresses may be reached and how much is read."""

_DATA_URI = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,", re.ASCII | re.IGNORECASE)


class Unreachable(Exception):
    """A link could not be loaded."""

    def __init__(self, url: str, *, timed_out: bool = False, refused: bool = False) -> None:
        super().__init__(url)
        self.timed_out = timed_out
        self.refused = refused


class BrokenDataUri(ValueError):
    """Not `data:<type>;base64,<data>`."""


def is_data_uri(text: str) -> bool:
    """Whether the text claims to be a data URI."""
    return text[:5].lower() == "data:"


def is_link(text: str) -> bool:
    """Whether the text begins as an http or https link does; a scheme has no case."""
    return text[:8].lower().startswith(("http://", "https://"))


def decode(data_uri: str) -> bytes:
    """The bytes of a data URI. Raises BrokenDataUri."""
    head = _DATA_URI.match(data_uri)
    if head is None:
        raise BrokenDataUri
    try:
        return base64_text.decode(data_uri[head.end() :])
    except ValueError as error:
        raise BrokenDataUri from error


async def load(source: str, fetch: Fetch) -> bytes:
    """The bytes behind a link or data URI. Raises Unreachable or BrokenDataUri."""
    return decode(source) if is_data_uri(source) else await fetch(source)
