"""Media inside a request body: extracted and identified."""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from modellix_server.base import base64_text
from modellix_server.base.errors import InvalidFormat
from modellix_server.base.json_paths import Found, replace
from modellix_server.inspection.formats import Kind, identify, unsupported
from modellix_server.inspection.messages import Probed, Refused

STORED = "sha256:"
"""How a media value that was taken out of a body begins; 64 hex digits follow."""

UPLOADED = "file-"
"""How the id of an uploaded file begins; 32 hex digits follow. No base64 begins so."""

_ADDRESS = re.compile(r"[.:~]|^//|^(?:task|file)[-_]", re.IGNORECASE)
"""What base64 has not, and addresses, paths and ids have."""
_MOST_ADDRESS_CHARACTERS = 256
_SHOWN = 79
_MOST_FILES = 200  # twice as many as any model takes
_GIVEN = 60


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file taken out of a body."""

    sha256: str
    mime: str
    kind: Kind
    size: int
    content: bytes | Path | None
    """A scratch file is moved when it is saved; `drop_inputs` deletes the others. None for a file that is stored."""
    found: Probed | Refused | None = None
    """What the helper found, where it has examined the file."""
    given: str = ""
    """How the text began that it was taken from, for refusals."""


def take_inputs(params: Mapping[str, Any], media: Collection[str]) -> tuple[dict[str, Any], list[InputFile]]:
    """The parameters with media bytes replaced by `sha256:<hex>`, and those bytes, each file once.

    `media` are the paths that carry media, as `base.json_paths` takes them. http(s) URLs and ids of uploaded files
    are kept, without blanks around them, and so are values that are no strings: the model's schema refuses them.

    Raises InvalidFormat for broken base64, an unknown file type, a `sha256:` value from outside, or more files than
    any model takes.
    """
    files: dict[str, InputFile] = {}
    taken = 0

    def take(found: Found) -> str:
        nonlocal taken
        text = found.text
        if looks_like_link(bare := base64_text.without_blanks(text)) or bare.startswith(UPLOADED):
            return bare
        taken += 1
        if taken > _MOST_FILES:
            raise InvalidFormat(f"the request body has more than {_MOST_FILES} files, which no model takes")
        file = _decode(found.where, text)
        files[file.sha256] = file
        return STORED + file.sha256

    return replace(params, media, take), list(files.values())


def looks_like_link(text: str) -> bool:
    """Whether a text begins as an http or https link does (RFC 3986, 3.1: a scheme has no case)."""
    return text[:8].lower().startswith(("http://", "https://"))


def as_sent(message: str, files: Iterable[InputFile]) -> str:
    """A refusal that shows what its caller sent, and not the digests that stand for it."""
    for file in files:
        message = message.replace(STORED + file.sha256, file.given)
    return message


def _decode(name: str, text: str) -> InputFile:
    if text.startswith(STORED):
        raise InvalidFormat(f"parameter '{name}' must be a URL, a data URI, base64 or the id of an uploaded file")
    try:
        data = base64_text.bytes_of(text)
    except ValueError:
        if base64_text.is_data_uri(text) and "," not in text[:_MOST_ADDRESS_CHARACTERS]:
            raise InvalidFormat(f"parameter '{name}' must be a base64 data URI") from None
        if not base64_text.is_data_uri(text) and _ADDRESS.search(text[:_MOST_ADDRESS_CHARACTERS]):
            shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:_SHOWN])
            wanted = "must be an http(s) URL, a data URI, base64 or the id of an uploaded file"
            raise InvalidFormat(f"parameter '{name}' {wanted}, got '{shown}'") from None
        raise InvalidFormat(f"parameter '{name}' is not valid base64") from None
    if not data:
        raise InvalidFormat(f"parameter '{name}' is empty")
    found = identify(BytesIO(data))
    if found is None:
        raise InvalidFormat(f"parameter '{name}' {unsupported(BytesIO(data))}")
    digest, given = hashlib.sha256(data).hexdigest(), f"{text[:_GIVEN]}…"
    return InputFile(digest, found.mime, found.kind, len(data), data, given=given)
