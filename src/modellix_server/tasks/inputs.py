"""A task's media made fit for its vendor: as they are, inline, uploaded to the vendor, or under a link of ours."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from modellix_server.base import json_paths
from modellix_server.base.addresses import is_public_https
from modellix_server.base.errors import InvalidFormat
from modellix_server.base.settings import Settings
from modellix_server.catalogue import Facts, MediaInput, Model, refusal
from modellix_server.inspection import FORMATS, STORED, Format, Refused, identify, sniff, unsupported
from modellix_server.results import (
    MOST_READ_BYTES,
    FetchError,
    FetchNever,
    Storage,
    file_link,
    find_inputs,
    is_ours,
    own_link,
    own_sample,
    stored_input_path,
)
from modellix_server.tasks import rules
from modellix_server.tasks.rules import MOST_INLINE_BYTES
from modellix_server.tasks.steps import Tools
from modellix_server.upstreams.contract import MediaFile, TakesFiles, Upstream

_HEAD = "bytes=0-63"
_LINK_S = 24 * 3600
_FETCHES = 2


class BadMedia(Exception):
    """An input cannot be used, or a result cannot be had; the message is for the client."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """Parameters for the vendor, and the files in them that it must be given first."""

    params: dict[str, Any]
    files: Mapping[str, MediaFile] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Stored:
    path: str | Path
    """In the storage; a sample's is one of the package."""
    size: int
    format: str


def needed(settings: Settings, model: Model, upstream: Upstream, params: Mapping[str, Any]) -> bool:
    """Whether anything is ours to do: a file that we hold, or a link that the vendor would not fetch itself."""
    media = {medium.name: medium for medium in model.media}
    return any(
        is_ours(settings, one.text) or not _link_passes(upstream, media[one.place])
        for one in json_paths.find(params, media)
    )


async def resolve(
    tools: Tools, model: Model, upstream: Upstream, params: Mapping[str, Any], *, team_id: int, sandbox: bool
) -> Resolved:
    """A team's parameters as the vendor takes them; a link that it fetches itself stays as it is.

    The sandbox reaches us wherever we are. Raises BadMedia.
    """
    if not model.media:
        return Resolved(dict(params))
    media = {medium.name: medium for medium in model.media}
    resolver = _Resolver(tools, upstream, team_id, sandbox=sandbox)
    texts: dict[tuple[str, str], str] = {}
    for one in json_paths.find(params, media):
        try:
            texts[one.place, one.text] = await resolver.text(media[one.place], one.where, one.text)
        except BadMedia as bad:
            raise BadMedia(f"parameter '{one.where}' {bad}") from None
    changed = json_paths.replace(params, media, lambda one: texts[one.place, one.text])
    return Resolved(changed, resolver.files)


def _link_passes(upstream: Upstream, medium: MediaInput) -> bool:
    return "url" in medium.accepts and upstream.capabilities.fetches_links


class _Resolver:
    """Takes one order's media in turn: the bytes that go inline are limited together."""

    def __init__(self, tools: Tools, upstream: Upstream, team_id: int, *, sandbox: bool) -> None:
        self._tools = tools
        self._upstream = upstream
        self._team_id = team_id
        self._sandbox = sandbox
        self._inline_bytes = 0
        self.files: dict[str, MediaFile] = {}

    async def text(self, medium: MediaInput, where: str, text: str) -> str:
        """What stands in the order for one medium. Raises BadMedia."""
        if is_ours(self._tools.settings, text):
            return await self._held(medium, text)
        if _link_passes(self._upstream, medium):
            return text
        return await self._fetched(medium, where, text)

    async def _held(self, medium: MediaInput, text: str) -> str:
        """A file of ours by the first way that is open; `Intake` refuses what there is none for."""
        try:
            stored = await self._find(text)
            if "data" in medium.accepts and self._inline_bytes + stored.size <= MOST_INLINE_BYTES:
                return self._inline(await self._read(stored), stored.format)
        except (FileNotFoundError, InvalidFormat):
            raise BadMedia("names a file that has expired") from None
        if isinstance(self._upstream, TakesFiles):
            name = f"{PurePosixPath(stored.path).stem}.{stored.format}"
            chunks = partial(_chunks, self._tools.storage, stored.path)
            self.files[text] = MediaFile(name, FORMATS[stored.format].mime, stored.size, chunks)
            return text
        reachable = self._sandbox or is_public_https(self._tools.settings.results_origin)
        if reachable and _link_passes(self._upstream, medium):
            if not text.startswith(STORED):
                return text
            expires_at = int(time.time()) + _LINK_S
            return file_link(self._tools.settings, text.removeprefix(STORED), stored.format, expires_at)
        if "data" in medium.accepts:
            raise BadMedia(f"names a file too many: together they have more than {MOST_INLINE_BYTES:,} bytes")
        raise BadMedia("must be a public link for this model and this server")

    async def _find(self, text: str) -> _Stored:
        """Where a file of ours lies and what it is. Raises FileNotFoundError or InvalidFormat."""
        if sample := own_sample(self._tools.settings, text):
            known = sniff(sample.read_bytes())
            assert known is not None
            return _Stored(sample, sample.stat().st_size, known.name)
        if text.startswith(STORED):
            path = stored_input_path(text.removeprefix(STORED))
        else:
            found = own_link(self._tools.settings, text)
            if found is None:  # uploads were named by their digests when the task was accepted
                raise InvalidFormat("not a link to a result")
            path = found
        opened = await self._tools.storage.open(path, _HEAD)
        head = b"".join([chunk async for chunk in opened.chunks])
        format_ = await self._noted(text) or sniff(head)
        if format_ is None:
            raise InvalidFormat("no media file")
        return _Stored(path, opened.size, format_.name)

    async def _noted(self, text: str) -> Format | None:
        """What was noted about an input when it was examined: its first bytes do not always say it."""
        if not text.startswith(STORED):
            return None
        digest = text.removeprefix(STORED)
        kept = (await find_inputs(self._tools.db, [digest])).get(digest)
        return None if kept is None else next((one for one in FORMATS.values() if one.mime == kept.mime), None)

    async def _read(self, stored: _Stored) -> bytes:
        if isinstance(stored.path, Path):
            return stored.path.read_bytes()
        return await self._tools.storage.read(stored.path, MOST_READ_BYTES)

    async def _fetched(self, medium: MediaInput, where: str, url: str) -> str:
        """A link that the vendor would not fetch: loaded and checked by us, and handed over inline."""
        limits = [limit.max_bytes or MOST_READ_BYTES for limit in medium.limits.values()]
        data = await self._loaded(url, min(max(limits), MOST_READ_BYTES))
        format_ = identify(BytesIO(data))
        if format_ is None:
            raise BadMedia(unsupported(BytesIO(data)))
        found = await self._tools.helper.probe(format_.kind, data, self._team_id)
        if isinstance(found, Refused):
            raise BadMedia(f"could not be used: {found.why}")
        facts = Facts(format_.kind, found.format, len(data), found.width, found.height, found.duration_ms)
        if broken := refusal(medium, where, facts):
            raise BadMedia(broken.detail.removeprefix(f"parameter '{where}' "))
        if self._inline_bytes + len(data) > MOST_INLINE_BYTES:
            raise BadMedia(f"names a file too many: together they have more than {MOST_INLINE_BYTES:,} bytes")
        return self._inline(data, found.format)

    async def _loaded(self, url: str, most_bytes: int) -> bytes:
        """What a link leads to; a passing trouble there is waited out for a moment."""
        for tried in range(1, _FETCHES + 1):
            try:
                return await self._tools.fetcher.read(url, most_bytes)
            except FetchError as error:
                if isinstance(error, FetchNever) or tried == _FETCHES:
                    raise BadMedia(f"could not be loaded: {error}") from None
            await asyncio.sleep(rules.retry_in_s(tried))
        raise AssertionError

    def _inline(self, data: bytes, format_name: str) -> str:
        self._inline_bytes += len(data)
        return f"data:{FORMATS[format_name].mime};base64,{base64.b64encode(data).decode()}"


async def _chunks(storage: Storage, path: str | Path) -> AsyncIterator[bytes]:
    if isinstance(path, Path):
        yield path.read_bytes()
        return
    opened = await storage.open(path)
    async for chunk in opened.chunks:
        yield chunk
