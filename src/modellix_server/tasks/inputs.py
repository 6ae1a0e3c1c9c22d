"""A task's media made fit for its vendor: as they are, inline, uploaded to the vendor, or under a link of ours."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from modellix_server.base import json_paths
from modellix_server.base.addresses import is_public_https
from modellix_server.base.errors import InvalidFormat
from modellix_server.base.settings import Settings
from modellix_server.catalogue import Facts, MediaInput, Model, refusal
from modellix_server.inspection import FORMATS, STORED, Refused, sniff
from modellix_server.results import (
    MOST_READ_BYTES,
    Fetcher,
    FetchError,
    FetchNever,
    Helper,
    Storage,
    file_link,
    is_ours,
    own_link,
    own_sample,
    stored_input_path,
)
from modellix_server.tasks import rules
from modellix_server.tasks.rules import MOST_INLINE_BYTES
from modellix_server.upstreams.contract import MediaFile, TakesFiles, Upstream

_HEAD = "bytes=0-63"
_LINK_S = 24 * 3600
_FETCHES = 2


class BadMedia(Exception):
    """An input cannot be used, or a result cannot be had; the message is for the client."""


@dataclass(slots=True)
class Resolved:
    """Parameters for the vendor, and the files in them that it must be given first."""

    params: dict[str, Any]
    files: dict[str, MediaFile] = field(default_factory=dict)
    inline_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Stored:
    path: str | Path
    """In the storage; a sample's is one of the package."""
    size: int
    format: str


class Inputs:
    """What a worker does with a task's media before it submits."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        helper: Helper,
        fetcher: Fetcher,
        upstreams: Mapping[str, Upstream],
    ) -> None:
        self._settings = settings
        self._storage = storage
        self._helper = helper
        self._fetcher = fetcher
        self._upstreams = upstreams

    def needed(self, model: Model, params: Mapping[str, Any]) -> bool:
        """Whether anything is ours to do: a file that we hold, or a link that the vendor would not fetch itself."""
        media = {medium.name: medium for medium in model.media}
        return any(
            is_ours(self._settings, one.text) or not self._link_passes(model, media[one.place])
            for one in json_paths.find(params, media)
        )

    def _link_passes(self, model: Model, medium: MediaInput) -> bool:
        return "url" in medium.accepts and self._upstreams[model.routes[0].upstream].traits.fetches_links

    async def resolve(self, model: Model, params: Mapping[str, Any], *, sandbox: bool) -> Resolved:
        """The parameters as the vendor takes them; a link that it fetches itself stays as it is.

        The sandbox reaches us wherever we are. Raises BadMedia.
        """
        media = {medium.name: medium for medium in model.media}
        resolved = Resolved(dict(params))
        texts: dict[tuple[str, str], str] = {}
        for one in json_paths.find(params, media):
            medium = media[one.place]
            try:
                if is_ours(self._settings, one.text):
                    text = await self._held(model, medium, one.text, resolved, sandbox=sandbox)
                elif self._link_passes(model, medium):
                    text = one.text
                else:
                    text = await self._fetched(medium, one.where, one.text, resolved)
            except BadMedia as bad:
                raise BadMedia(f"parameter '{one.where}' {bad}") from None
            texts[one.place, one.text] = text
        resolved.params = json_paths.replace(params, media, lambda one: texts[one.place, one.text])
        return resolved

    async def _held(self, model: Model, medium: MediaInput, text: str, resolved: Resolved, *, sandbox: bool) -> str:
        """A file of ours by the first way that is open; `Intake` refuses what there is none for."""
        try:
            stored = await self._find(text)
            if "data" in medium.accepts and resolved.inline_bytes + stored.size <= MOST_INLINE_BYTES:
                data = await self._read(stored)
                return _inline(data, stored.format, resolved)
        except (FileNotFoundError, InvalidFormat):
            raise BadMedia("names a file that has expired") from None
        if isinstance(self._upstreams[model.routes[0].upstream], TakesFiles):
            name = f"{PurePosixPath(stored.path).stem}.{stored.format}"
            chunks = partial(_chunks, self._storage, stored.path)
            resolved.files[text] = MediaFile(name, FORMATS[stored.format].mime, stored.size, chunks)
            return text
        reachable = sandbox or is_public_https(self._settings.results_origin)
        if reachable and self._link_passes(model, medium):
            if not text.startswith(STORED):
                return text
            expires_at = int(time.time()) + _LINK_S
            return file_link(self._settings, text.removeprefix(STORED), stored.format, expires_at)
        if "data" in medium.accepts:
            raise BadMedia(f"names a file too many: together they have more than {MOST_INLINE_BYTES:,} bytes")
        raise BadMedia("must be a public link for this model and this server")

    async def _find(self, text: str) -> _Stored:
        """Where a file of ours lies and what it is. Raises FileNotFoundError or InvalidFormat."""
        if sample := own_sample(self._settings, text):
            known = sniff(sample.read_bytes())
            assert known is not None
            return _Stored(sample, sample.stat().st_size, known.name)
        if text.startswith(STORED):
            path = stored_input_path(text.removeprefix(STORED))
        else:
            found = own_link(self._settings, text)
            if found is None:  # uploads were named by their digests when the task was accepted
                raise InvalidFormat("not a link to a result")
            path = found
        opened = await self._storage.open(path, _HEAD)
        head = b"".join([chunk async for chunk in opened.chunks])
        format_ = sniff(head)
        if format_ is None:
            raise InvalidFormat("no media file")
        return _Stored(path, opened.size, format_.name)

    async def _read(self, stored: _Stored) -> bytes:
        if isinstance(stored.path, Path):
            return stored.path.read_bytes()
        return await self._storage.read(stored.path, MOST_READ_BYTES)

    async def _fetched(self, medium: MediaInput, where: str, url: str, resolved: Resolved) -> str:
        """A link that the vendor would not fetch: loaded and checked by us, and handed over inline."""
        limits = [limit.max_bytes or MOST_READ_BYTES for limit in medium.limits.values()]
        data = await self._loaded(url, min(max(limits), MOST_READ_BYTES))
        format_ = sniff(data)
        if format_ is None:
            raise BadMedia("is not a supported image, video or audio file")
        found = await self._helper.probe(format_.kind, data)
        if isinstance(found, Refused):
            raise BadMedia(f"could not be used: {found.why}")
        facts = Facts(format_.kind, found.format, len(data), found.width, found.height, found.duration_ms)
        if broken := refusal(medium, where, facts):
            raise BadMedia(broken.detail.removeprefix(f"parameter '{where}' "))
        if resolved.inline_bytes + len(data) > MOST_INLINE_BYTES:
            raise BadMedia(f"names a file too many: together they have more than {MOST_INLINE_BYTES:,} bytes")
        return _inline(data, found.format, resolved)

    async def _loaded(self, url: str, most_bytes: int) -> bytes:
        """What a link leads to; a passing trouble there is waited out for a moment."""
        for tried in range(1, _FETCHES + 1):
            try:
                return await self._fetcher.read(url, most_bytes)
            except FetchError as error:
                if isinstance(error, FetchNever) or tried == _FETCHES:
                    raise BadMedia(f"could not be loaded: {error}") from None
            await asyncio.sleep(rules.retry_in_s(tried))
        raise AssertionError


def _inline(data: bytes, format_name: str, resolved: Resolved) -> str:
    resolved.inline_bytes += len(data)
    return f"data:{FORMATS[format_name].mime};base64,{base64.b64encode(data).decode()}"


async def _chunks(storage: Storage, path: str | Path) -> AsyncIterator[bytes]:
    if isinstance(path, Path):
        yield path.read_bytes()
        return
    opened = await storage.open(path)
    async for chunk in opened.chunks:
        yield chunk
