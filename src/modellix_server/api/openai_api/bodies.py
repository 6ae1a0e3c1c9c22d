"""Bodies of OpenAI's API: JSON, or a form with files, as one mapping of texts whose files stand beside it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from modellix_server.api.hot.exchange import HotRequest, read_body
from modellix_server.api.openai_api.form_reader import FormReader, ReceivedForm
from modellix_server.base import json_body
from modellix_server.base.errors import InvalidFormat
from modellix_server.inspection import STORED, InputFile, take_inputs
from modellix_server.results import Scratch

PICTURES = ("image", "images", "input_reference")
_MEDIA = tuple(
    f"{name}{inner}"
    for name in (*PICTURES, "mask")
    for inner in ("", ".image_url", ".url")  # xAI's word is `url`
)
_CHUNK = 1 << 20
_PART = re.compile(r"([^\[\]]+)(?:\[([^\[\]]*)\])?")


@dataclass(frozen=True, slots=True)
class GivenFields:
    """What a request says: its fields, with `sha256:` texts in the places of files, and the files."""

    fields: dict[str, Any]
    files: list[InputFile]

    def pictures(self) -> list[str]:
        """Links and files of all pictures, in their order, taken out of the fields. Raises InvalidFormat."""
        return [text for name in PICTURES for text in links(name, self.fields.pop(name, None))]

    def mask(self) -> str | None:
        """The mask, taken out of the fields. Raises InvalidFormat."""
        return next(links("mask", self.fields.pop("mask", None)), None)


def links(name: str, value: Any) -> Iterator[str]:
    """Texts, and objects with `image_url`, `url` or `file_id`, one or a list of them. Raises InvalidFormat."""
    for one in value if isinstance(value, list) else () if value is None else (value,):
        found = one.get("image_url") or one.get("url") or one.get("file_id") if isinstance(one, dict) else one
        if isinstance(found, dict):  # as in chats: {"image_url": {"url": …}}
            found = found.get("url")
        if not isinstance(found, str):
            raise InvalidFormat(f"parameter '{name}' must be a file, a URL, or an object with 'image_url' or 'file_id'")
        yield found


async def read_given(request: HotRequest, media: Collection[str]) -> GivenFields:
    """The body; `media` are the parameters of models that carry files. The caller drops the files.

    Raises InvalidFormat, BodyTooLarge, BodyTooSlow or ClientGone.
    """
    kind = request.header(b"content-type") or ""
    places = tuple(dict.fromkeys((*_MEDIA, *media)))  # each once: what stands in a file's place is none itself
    body = await read_body(request)
    try:
        if kind.lower().startswith("multipart/form-data"):
            given = await _read_form(request, body, kind, places)
        elif isinstance(body, Scratch):
            given = _checked(*await request.ctx.helper.extract(body.path, places, request.who.team.team_id))
        else:
            if kind.lower().startswith("application/x-www-form-urlencoded"):
                raise InvalidFormat("the body must be JSON or multipart/form-data")
            request.input = body
            parsed = json_body.read(body)
            given = _taken(parsed, places)
    finally:
        if isinstance(body, Scratch):
            body.close()
    for name in [name for name, value in given.fields.items() if value is None]:
        del given.fields[name]
    return given


def _taken(parsed: Any, places: Collection[str]) -> GivenFields:
    return GivenFields(*take_inputs(parsed, places)) if isinstance(parsed, dict) else _checked(parsed, [])


def _checked(parsed: Any, files: list[InputFile]) -> GivenFields:
    if not isinstance(parsed, dict):  # and so no files either
        raise InvalidFormat("the request body must be a JSON object")
    return GivenFields(parsed, files)


async def _read_form(request: HotRequest, body: bytes | Scratch, kind: str, places: Collection[str]) -> GivenFields:
    """A form, parsed in pieces: its team takes turns with others."""
    aside, team_id = request.ctx.aside, request.who.team.team_id
    reader = FormReader(kind, request.ctx.spool.path)
    try:
        if isinstance(body, Scratch):
            with body.path.open("rb") as file:
                while chunk := await aside.run(team_id, file.read, _CHUNK):
                    await aside.feed(team_id, reader.feed, chunk)
        else:
            await aside.feed(team_id, reader.feed, body)
        return await aside.run(team_id, _given_in, reader.result(), places)
    except BaseException:
        # Behind what the thread may still be at, although its caller has gone: that may begin another file.
        await asyncio.shield(aside.run(team_id, reader.drop))
        raise


def _given_in(form: ReceivedForm, places: Collection[str]) -> GivenFields:
    fields, files = take_inputs(_nested(form.texts), places)
    for name, sent in form.files:
        _put(fields, name, STORED + sent.sha256)
    return GivenFields(fields, [*files, *(sent for _, sent in form.files)])


def _nested(texts: Collection[tuple[str, str]]) -> dict[str, Any]:
    """`a`, `a[]`, `a[0]` and `a[b]`, as clients write lists and objects in forms."""
    fields: dict[str, Any] = {}
    for name, text in texts:
        _put(fields, name, text)
    return fields


def _put(fields: dict[str, Any], name: str, text: str) -> None:
    found = _PART.fullmatch(name)
    if found is None:
        raise InvalidFormat("a part of the multipart body has a name that is not understood")
    outer, inner = found[1], found[2]
    if inner is None and outer not in fields:
        fields[outer] = text
    elif inner is None or not inner or inner.isdigit():
        former = fields.setdefault(outer, [])
        fields[outer] = [*(former if isinstance(former, list) else [former]), text]
    else:
        former = fields.setdefault(outer, {})
        if not isinstance(former, dict):
            raise InvalidFormat(f"parameter '{outer}' is there more than once")
        former[inner] = text
