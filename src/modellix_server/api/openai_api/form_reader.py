"""A form with several files (multipart/form-data, RFC 7578), each part of it capped; files go to scratch files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BufferedWriter
from pathlib import Path

from modellix_server.base.errors import BodyTooLarge, InvalidFormat
from modellix_server.base.multipart import FormParser
from modellix_server.catalogue import show
from modellix_server.inspection import InputFile, identify, unsupported

_MOST_TEXT_BYTES = 256 * 1024
_OF_FILES = (b"image/", b"video/", b"audio/", b"application/octet-stream")


@dataclass(slots=True)
class ReceivedForm:
    """The parts of a form by name, in their order."""

    texts: list[tuple[str, str]] = field(default_factory=list)
    files: list[tuple[str, InputFile]] = field(default_factory=list)


class FormReader:
    """Takes the parts. To be fed off the event loop."""

    def __init__(self, content_type: str, new_path: Callable[[], Path]) -> None:
        """Raises InvalidFormat."""
        self._parser = FormParser(content_type, self)
        self._new_path = new_path
        self._paths: list[Path] = []
        self._form = ReceivedForm()
        self._name = ""
        self._text = bytearray()
        self._file: BufferedWriter | None = None
        self._digest = hashlib.sha256()
        self._size = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body. Raises InvalidFormat, BodyTooLarge."""
        self._parser.feed(data)

    def result(self) -> ReceivedForm:
        """All parts. Raises InvalidFormat."""
        self._parser.require_end()
        return self._form

    def drop(self) -> None:
        """Delete the files."""
        if self._file is not None:
            self._file.close()
        for path in self._paths:
            path.unlink(missing_ok=True)

    def begin(self, name: str, options: Mapping[bytes, bytes], headers: Mapping[bytes, bytes]) -> None:
        """A text, or a file: by its name, or by its type."""
        self._name = name
        self._text = bytearray()
        if b"filename" in options or headers.get(b"content-type", b"").lower().startswith(_OF_FILES):
            path = self._new_path()
            self._paths.append(path)
            self._file, self._digest, self._size = path.open("xb"), hashlib.sha256(), 0

    def data(self, piece: bytes) -> None:
        """More of it. Raises BodyTooLarge for a text that is too long."""
        if self._file is None:
            self._text += piece
            if len(self._text) > _MOST_TEXT_BYTES:
                raise BodyTooLarge(f"parameter {show(self._name)} may have at most {_MOST_TEXT_BYTES // 1024} KB")
            return
        self._digest.update(piece)
        self._size += len(piece)
        self._file.write(piece)

    def end(self) -> None:
        """All of it. Raises InvalidFormat for bytes that are no text or no media file."""
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
                raise InvalidFormat(f"parameter {show(self._name)} {unsupported(whole)}")
        file = InputFile(self._digest.hexdigest(), known.mime, known.kind, self._size, self._paths[-1])
        self._form.files.append((self._name, file))
