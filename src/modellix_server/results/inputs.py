"""Media that came inside a request body: taken out, recognised, and stored under its digest."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from modellix_server.base.database import Pool
from modellix_server.base.errors import InvalidFormat
from modellix_server.results import store
from modellix_server.results.formats import Kind, sniff
from modellix_server.results.storage import Storage

STORED = "sha256:"
"""How a media value that was taken out of a body begins; 64 hex digits follow."""

_WAIT_FOR_DELETION_S = 10.0
_decode_base64 = msgspec.json.Decoder(bytes).decode

INPUT_TTL_S = 72 * 3600
"""Longer than any task may wait and run."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file taken out of a body."""

    sha256: str
    mime: str
    kind: Kind
    size: int
    content: bytes | Path
    """A scratch file is gone once it is saved; `drop_inputs` deletes those that are not."""


def take_inputs(params: Mapping[str, Any], media: Collection[str]) -> tuple[dict[str, Any], list[InputFile]]:
    """The parameters with media bytes replaced by `sha256:<hex>`, and those bytes, each file once.

    `media` names the parameters that carry media, as a string or a list of strings. http(s) URLs stay, and
    so does what is no string: that is for the model's schema to refuse.

    Raises InvalidFormat for broken base64, an unknown file type, or a `sha256:` value from outside.
    """
    slim = dict(params)
    files: dict[str, InputFile] = {}

    def take(name: str, value: Any) -> Any:
        if not isinstance(value, str) or value[:8].lower().startswith(("http://", "https://")):
            return value
        file = _decode(name, value)
        files[file.sha256] = file
        return STORED + file.sha256

    for name in media:
        if isinstance(value := slim.get(name), list):
            slim[name] = [take(name, item) for item in value]
        elif value is not None:
            slim[name] = take(name, value)
    return slim, list(files.values())


def _decode(name: str, text: str) -> InputFile:
    if text.startswith(STORED):
        raise InvalidFormat(f"parameter '{name}' must be a URL, a data URI or base64")
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.lower().endswith(";base64"):
            raise InvalidFormat(f"parameter '{name}' must be a base64 data URI")
    try:
        # In half the time of binascii's strict mode; what would end or escape the string is no base64 either.
        data = _decode_base64(f'"{text}"' if "\\" not in text else "")
    except (msgspec.MsgspecError, ValueError):  # ValueError: half of a surrogate pair
        raise InvalidFormat(f"parameter '{name}' is not valid base64") from None
    if not data:
        raise InvalidFormat(f"parameter '{name}' is empty")
    found = sniff(data)
    if found is None:
        raise InvalidFormat(f"parameter '{name}' is not a supported image, video or audio file")
    return InputFile(hashlib.sha256(data).hexdigest(), found.mime, found.kind, len(data), data)


async def save_inputs(db: Pool, storage: Storage, files: Sequence[InputFile], ttl_s: int = INPUT_TTL_S) -> None:
    """Store the files, so that a task accepted after this can count on them until then.

    The row comes first: from then on nobody deletes the file, and a deletion under way is waited for.
    Raises storage.TROUBLE, or TimeoutError when such a deletion does not end.
    """
    async with asyncio.timeout(_WAIT_FOR_DELETION_S):
        while not await store.extend_inputs(db, files, ttl_s):  # noqa: ASYNC110 - perhaps another process
            await asyncio.sleep(0.1)
    for file in files:
        path = stored_input_path(file.sha256)
        if await storage.size(path) == file.size:
            continue  # that very file, since its name says what is in it
        if isinstance(file.content, Path):
            await storage.move_in(path, file.content)
        else:
            await storage.put(path, file.content)


async def drop_inputs(files: Sequence[InputFile]) -> None:
    """Delete the scratch files that were not moved into the storage."""
    if left := [file.content for file in files if isinstance(file.content, Path)]:
        await asyncio.to_thread(_unlink, left)


def _unlink(paths: Sequence[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()


async def read_input(storage: Storage, sha256: str) -> tuple[str, bytes]:
    """MIME type and bytes of a stored input.

    Raises FileNotFoundError when it has expired, storage.TROUBLE, ValueError for what is no digest or no media.
    """
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise ValueError("not a SHA-256 in hex")
    data = await storage.read(stored_input_path(sha256))
    found = sniff(data)
    if found is None:
        raise ValueError(f"the stored input {sha256} is no media file")
    return found.mime, data


def stored_input_path(sha256: str) -> str:
    """Where an input lies in the storage."""
    return f"inputs/{sha256[:2]}/{sha256}"
