"""Media inside a request body: extracted and identified."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from modellix_server.base.errors import InvalidFormat
from modellix_server.base.json_paths import Found, replace
from modellix_server.inspection.formats import Kind, sniff
from modellix_server.inspection.messages import Probed, Refused

STORED = "sha256:"
"""How a media value that was taken out of a body begins; 64 hex digits follow."""

UPLOADED = "file-"
"""How the id of an uploaded file begins; 32 hex digits follow. No base64 begins so."""


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


def take_inputs(params: Mapping[str, Any], media: Collection[str]) -> tuple[dict[str, Any], list[InputFile]]:
    """The parameters with media bytes replaced by `sha256:<hex>`, and those bytes, each file once.

    `media` are the paths that carry media, as `base.json_paths` takes them. http(s) URLs and ids of uploaded files
    are kept, and so are values that are no strings: the model's schema refuses them.

    Raises InvalidFormat for broken base64, an unknown file type, or a `sha256:` value from outside.
    """
    files: dict[str, InputFile] = {}

    def take(found: Found) -> str:
        text = found.text
        if text[:8].lower().startswith(("http://", "https://")) or text.startswith(UPLOADED):
            return text
        file = _decode(found.where, text)
        files[file.sha256] = file
        return STORED + file.sha256

    return replace(params, media, take), list(files.values())


def _decode(name: str, text: str) -> InputFile:
    if text.startswith(STORED):
        raise InvalidFormat(f"parameter '{name}' must be a URL, a data URI, base64 or the id of an uploaded file")
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise InvalidFormat(f"parameter '{name}' must be a base64 data URI")
    try:
        data = msgspec.convert(text, bytes)  # in half the time of binascii's strict mode
    except (msgspec.MsgspecError, ValueError):  # ValueError: half of a surrogate pair
        raise InvalidFormat(f"parameter '{name}' is not valid base64") from None
    if not data:
        raise InvalidFormat(f"parameter '{name}' is empty")
    found = sniff(data)
    if found is None:
        raise InvalidFormat(f"parameter '{name}' is not a supported image, video or audio file")
    return InputFile(hashlib.sha256(data).hexdigest(), found.mime, found.kind, len(data), data)
