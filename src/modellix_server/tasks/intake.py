"""Media in a request, before any money is held: the files we hold are found and checked against the model's limits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec

from modellix_server.base import json_paths
from modellix_server.base.addresses import is_public_https
from modellix_server.base.database import Pool
from modellix_server.base.errors import InvalidFormat, InvalidParameters, OutOfRange, PlatformError
from modellix_server.base.ids import parse_file_name
from modellix_server.base.json_paths import Found
from modellix_server.base.settings import Settings
from modellix_server.catalogue import Facts, MediaInput, Model, refusal, refusal_beside, refusal_together
from modellix_server.inspection import FORMATS, STORED, InputFile, Kind, Probed, Refused, sniff
from modellix_server.results import (
    Helper,
    KeptInputs,
    Upload,
    Uploads,
    is_ours,
    own_file_link,
    own_link,
    own_sample,
    resources,
)
from modellix_server.tasks.rules import MOST_INLINE_BYTES, StoredResult
from modellix_server.upstreams.contract import TakesFiles, Upstream


@dataclass(frozen=True, slots=True)
class _Held:
    """A file of ours that a body names."""

    facts: Facts
    text: str
    """What stands for it in the task's parameters."""
    file: InputFile | None = None
    """To be kept for the task."""


class Intake:
    """Looks at the media of submissions, in the API process."""

    def __init__(
        self,
        settings: Settings,
        db: Pool,
        helper: Helper,
        uploads: Uploads,
        kept_inputs: KeptInputs,
        upstreams: Mapping[str, Upstream],
    ) -> None:
        self._settings = settings
        self._db = db
        self._helper = helper
        self._uploads = uploads
        self._kept_inputs = kept_inputs
        self._upstreams = upstreams
        self._samples: dict[Path, Facts] = {}

    async def check(
        self, model: Model, params: dict[str, Any], files: Sequence[InputFile], team_id: int, *, live: bool
    ) -> tuple[dict[str, Any], list[InputFile]]:
        """The parameters with uploaded files named by their digests, and the files to be kept for the task.

        `files` are those that were taken out of the body. Links to other servers are not looked at.

        Raises InvalidFormat, OutOfRange, or InvalidParameters when the vendor cannot be given files of ours.
        """
        media = {medium.name: medium for medium in model.media}
        found = [one for one in json_paths.find(params, media) if is_ours(self._settings, one.text)]
        if not found:
            return params, []
        taken = {STORED + file.sha256: file for file in files}
        held = await asyncio.gather(*(self._look(one, media[one.place], taken, team_id, live=live) for one in found))
        for one, each in zip(found, held, strict=True):
            if error := refusal(media[one.place], one.where, each.facts):
                raise error
        for medium in model.media:
            together = [each.facts for one, each in zip(found, held, strict=True) if one.place == medium.name]
            if error := refusal_together(medium, together) or _beside(medium, found, held):
                raise error
        self._require_way(model, [(media[one.place], each) for one, each in zip(found, held, strict=True)], live=live)
        texts = {one.text: each.text for one, each in zip(found, held, strict=True)}
        kept = {each.file.sha256: each.file for each in held if each.file is not None}
        changed = json_paths.replace(params, media, lambda one: texts.get(one.text, one.text))
        return changed, list(kept.values())

    async def _look(
        self, one: Found, medium: MediaInput, taken: Mapping[str, InputFile], team_id: int, *, live: bool
    ) -> _Held:
        try:
            if file := taken.get(one.text):
                return await self._from_body(file, team_id)
            if path := own_link(self._settings, one.text):
                return await self._from_result(one.text, path, medium, team_id)
            if sample := own_sample(self._settings, one.text):
                return await self._from_sample(one.text, sample)
            return await self._from_upload(one.text, medium, team_id, live=live)
        except InvalidFormat as error:
            raise InvalidFormat(f"parameter '{one.where}': {error.detail}") from None

    async def _from_body(self, file: InputFile, team_id: int) -> _Held:
        found = file.found
        if found is None:
            assert file.content is not None
            found = await self._helper.probe(file.kind, file.content, team_id)
        if isinstance(found, Refused):
            raise InvalidFormat(found.why)
        return _Held(_found(file.kind, file.size, found), STORED + file.sha256, file)

    async def _from_result(self, url: str, path: str, medium: MediaInput, team_id: int) -> _Held:
        _, task, name = path.split("/")
        stored = await resources(self._db, UUID(hex=task))
        index = int(name.partition(".")[0])
        files = () if stored is None else msgspec.json.decode(stored, type=StoredResult).resources
        if index >= len(files):
            raise InvalidFormat("the result link is not valid or has expired")
        file = files[index]
        if medium.alpha and file.type == "image":  # which is not noted of results
            return _Held(_found("image", file.size, await self._kept_inputs.look(path, "image", team_id)), url)
        return _Held(Facts(file.type, file.format, file.size, file.width, file.height, file.duration_ms), url)

    async def _from_sample(self, url: str, path: Path) -> _Held:
        if (known := self._samples.get(path)) is None:
            data = path.read_bytes()
            format_ = sniff(data)
            assert format_ is not None
            found = await self._helper.probe(format_.kind, data)
            if isinstance(found, Refused):
                raise InvalidFormat(found.why)
            known = _found(format_.kind, len(data), found)
            self._samples[path] = known
        return _Held(known, url)

    async def _from_upload(self, text: str, medium: MediaInput, team_id: int, *, live: bool) -> _Held:
        """By its id for the team that uploaded it, by its link for whoever has the link."""
        name = own_file_link(self._settings, text) or text
        file_id = parse_file_name(name)
        if file_id is None and name != text:  # a link to an input of an earlier task
            return await self._from_body(await self._kept_inputs.examine(name, team_id), team_id)
        upload = None if file_id is None else await self._uploads.find(file_id)
        if upload is None or (name == text and (upload.team_id, upload.live) != (team_id, live)):
            raise InvalidFormat("there is no such uploaded file, or it has expired")
        if medium.alpha:  # which is not noted of uploads
            return await self._from_body(await self._kept_inputs.examine(upload.sha256, team_id), team_id)
        return _Held(_facts(upload), STORED + upload.sha256, _input(upload))

    def _require_way(self, model: Model, held: Sequence[tuple[MediaInput, _Held]], *, live: bool) -> None:
        """Refuse what no way leads to the vendor for; the worker takes the first of the ways that are open."""
        upstreams = [self._upstreams[route.upstream] for route in model.routes]
        if any(isinstance(one, TakesFiles) for one in upstreams):
            return
        links = any(one.capabilities.fetches_links for one in upstreams)
        if links and (not live or is_public_https(self._settings.results_origin)):
            return
        for medium, _ in held:
            if "data" not in medium.accepts:
                raise InvalidParameters(
                    f"parameter '{medium.name}' must be a public link for this model: its vendor takes no bytes and"
                    " can fetch none here until the operator sets MODELLIX_PUBLIC_URL to a public https address"
                )
        total = sum(each.facts.size for _, each in held)
        if total > MOST_INLINE_BYTES:
            raise OutOfRange(f"the files must have at most {MOST_INLINE_BYTES:,} bytes together, got {total:,}")


def _beside(medium: MediaInput, found: Sequence[Found], held: Sequence[_Held]) -> PlatformError | None:
    """Why a file does not go with the first one of another parameter, where both are ours."""
    if medium.same_size_as is None:
        return None
    firsts = (medium.same_size_as, f"{medium.same_size_as}[0]")
    first = next((each.facts for one, each in zip(found, held, strict=True) if one.where in firsts), None)
    own = next((each.facts for one, each in zip(found, held, strict=True) if one.place == medium.name), None)
    return refusal_beside(medium, own, first) if own is not None and first is not None else None


def _found(kind: Kind, size: int, found: Probed) -> Facts:
    return Facts(kind, found.format, size, found.width, found.height, found.duration_ms, found.has_alpha)


def _facts(upload: Upload) -> Facts:
    return Facts(upload.kind, upload.format, upload.size, upload.width, upload.height, upload.duration_ms)


def _input(upload: Upload) -> InputFile:
    return InputFile(upload.sha256, FORMATS[upload.format].mime, upload.kind, upload.size, None)
