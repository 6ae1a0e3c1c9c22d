"""A form with several files (multipart/form-data, RFC 7578), each part of it capped; files go to scratch files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BufferedWriter
from pathlib import Path

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from modellix_server.base.errors import BodyTooLarge, InvalidFormat
from modellix_server.catalogue import show
from modellix_server.inspection import InputFile, identify

_MOST_PARTS = 128
_MOST_TEXT_BYTES = 256 * 1024


@dataclass(slots=True)
class ReceivedForm:
    """The parts of a form by name, in their order."""

    texts: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, InputFile]] = field(default_factory=list)


class FormReader:
    """Follows the parser's events. To be fed off the event loop: it is slow where bytes look like boundaries."""

    def __init__(self, content_type: str, new_path: Callable[[], Path]) -> None:
        """Raises InvalidFormat."""
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not boundary:
            raise InvalidFormat("header 'Content-Type' must be multipart/form-data with a boundary")
        events = {
            "on_part_begin": self._begin,
            "on_header_field": self._header_field,
            "on_header_value": self._header_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._begin_data,
            "on_part_data": self._data,
            "on_part_end": self._end_part,
            "on_end": self._end_all,
        }
        try:
            self._parser = MultipartParser(boundary, events)  # type: ignore[arg-type]
        except FormParserError:
            raise InvalidFormat("header 'Content-Type' has a boundary that is too long") from None
        self._new_path = new_path
        self._paths: list[Path] = []
        self._form = ReceivedForm()
        self._headers: dict[bytes, bytes] = {}
        self._field = self._value = b""
        self._name = ""
        self._text = bytearray()
        self._file: BufferedWriter | None = None
        self._digest = hashlib.sha256()
        self._size = self._parts = 0
        self._ended = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body. Raises InvalidFormat, BodyTooLarge."""
        try:
            self._parser.write(data)
        except FormParserError:
            raise InvalidFormat("the body is not valid multipart/form-data") from None

    def end(self) -> ReceivedForm:
        """All parts. Raises InvalidFormat."""
        if not self._ended:
            raise InvalidFormat("the multipart body is cut off")
        return self._form

    def drop(self) -> None:
        """Delete the files."""
        if self._file is not None:
            self._file.close()
        for path in self._paths:
            path.unlink(missing_ok=True)

    def _begin(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
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

    def _begin_data(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if kind != b"form-data" or not self._name:
            raise InvalidFormat("a part of the multipart body has no name")
        self._text = bytearray()
        if b"filename" in options:
            path = self._new_path()
            self._paths.append(path)
            self._file, self._digest, self._size = path.open("xb"), hashlib.sha256(), 0

    def _data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._file is None:
            self._text += piece
            if len(self._text) > _MOST_TEXT_BYTES:
                raise BodyTooLarge(f"parameter {show(self._name)} may have at most {_MOST_TEXT_BYTES // 1024} KB")
            return
        self._digest.update(piece)
        self._size += len(piece)
        self._file.write(piece)

    def _end_part(self) -> None:
        if self._file is None:
            try:
                self._form.texts.append((self._name, self._text.decode()))
            except UnicodeDecodeError:
                raise InvalidFormat("the body is not valid UTF-8") from None
            return
        self._file.close()
        self._file = None
        with self._paths[-1].open("rb") as whole:
            known = identify(whole)
        if known is None:
            raise InvalidFormat(f"parameter {show(self._name)} is not a supported image, video or audio file")
        file = InputFile(self._digest.hexdigest(), known.mime, known.kind, self._size, self._paths[-1])
        self._form.files.append((self._name, file))

    def _end_all(self) -> None:
        self._ended = True
