"""Bodies of `multipart/form-data` (RFC 7578): forms for vendors that take files beside fields, and clients' forms."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from modellix_server.base.errors import BodyTooLarge, InvalidFormat


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a form: a field as text, or a file as bytes with a name and a type."""

    name: str
    data: str | bytes = field(repr=False)
    filename: str | None = None
    content_type: str | None = None


async def encode_form(parts: Sequence[Part]) -> tuple[str, bytes]:
    """Content type and body of a form. Raises ValueError for a name or type that would break out of its header."""
    form = aiohttp.FormData(default_to_multipart=True, quote_fields=False)
    for part in parts:
        data = io.BytesIO(part.data) if isinstance(part.data, bytes) else part.data  # long bytes it warns about
        form.add_field(part.name, data, filename=part.filename, content_type=part.content_type)
    writer = form()
    return writer.headers["Content-Type"], await writer.as_bytes()


class Parts(Protocol):
    """Who takes the parts of a form, one after the other."""

    def begin(self, name: str, options: Mapping[bytes, bytes], headers: Mapping[bytes, bytes]) -> None:
        """A part with this name; `options` are those of its Content-Disposition, names of headers in lower case."""

    def data(self, piece: bytes) -> None:
        """The next bytes of the part."""

    def end(self) -> None:
        """The part is whole."""


_MOST_PARTS = 128
_MOST_PREAMBLE_BYTES = 4096
_AS_THEY_ARE = (b"binary", b"8bit", b"7bit")
"""Encodings that change nothing (RFC 2045, 6.2); no browser writes another, and none is decoded (RFC 7578, 4.7)."""


class FormParser:
    """Reads a form piece by piece. To be fed off the event loop, unless it is small and has few lines."""

    def __init__(self, content_type: str, parts: Parts) -> None:
        """Raises InvalidFormat for a content type that is no form's."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise InvalidFormat("header 'Content-Type' must be multipart/form-data with a boundary")
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._end_headers,
                    "on_part_data": lambda data, start, end: parts.data(data[start:end]),
                    "on_part_end": parts.end,
                    "on_end": self._end,
                },
            )
        except FormParserError:
            raise InvalidFormat("header 'Content-Type' has a boundary that is too long") from None
        self._boundary = b"--" + boundary
        self._preamble: bytes | None = b""
        self._parts = parts
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._begun = 0
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body. Raises InvalidFormat, BodyTooLarge for a part too many, what parts raise."""
        if self._preamble is not None:
            data = self._behind_preamble(self._preamble + data)
        try:
            self._parser.write(data)
        except FormParserError:
            raise InvalidFormat("the body is not valid multipart/form-data") from None

    def _behind_preamble(self, data: bytes) -> bytes:
        """What follows a text before the first part, which mail libraries write and nobody reads (RFC 2046, 5.1.1)."""
        if not data.startswith(self._boundary):
            found = data.find(b"\r\n" + self._boundary)
            if found < 0 and len(data) < _MOST_PREAMBLE_BYTES:
                self._preamble = data
                return b""
            data = data[found + 2 :] if found >= 0 else data
        self._preamble = None
        return data

    def require_end(self) -> None:
        """Raise InvalidFormat unless the form is whole."""
        if self._preamble:
            raise InvalidFormat("the body is not valid multipart/form-data")
        if not self._ended:
            raise InvalidFormat("the multipart body is cut off")

    def _begin(self) -> None:
        self._begun += 1
        if self._begun > _MOST_PARTS:
            raise BodyTooLarge(f"a form may have at most {_MOST_PARTS} parts")
        self._headers = {}
        self._field = self._value = b""

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._field.lower()] = self._value
        self._field = self._value = b""

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if kind != b"form-data" or not name:
            raise InvalidFormat("a part of the multipart body has no name")
        if self._headers.get(b"content-transfer-encoding", b"binary").strip().lower() not in _AS_THEY_ARE:
            raise InvalidFormat(f"parameter '{name}' must be sent as it is, not in a Content-Transfer-Encoding")
        self._parts.begin(name, options, self._headers)

    def _end(self) -> None:
        self._ended = True
