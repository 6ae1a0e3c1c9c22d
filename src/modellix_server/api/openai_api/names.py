"""Which model a client of OpenAI's API means, and which of its family does what is asked for."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from modellix_server.api.openai_api.words import Words, WordsEntry, all_words
from modellix_server.base.errors import InvalidParameters, MissingParameter, NotFound
from modellix_server.base.settings import BadSettings
from modellix_server.catalogue import Catalogue, Model, show

_TABLE = Path(__file__).with_name("models.toml")
_USUAL = {"video": "sora-2"}
"""What clients mean that name no model: its API's own default."""
_EDITING = {
    "image": (("t2i", "i2i"), ("", "-edit")),
    "video": (("t2v", "i2v"),),
}
_REMIXING = (("t2v", "v2v"), ("i2v", "v2v"), ("t2v", "video-edit"), ("t2v", "videoedit"), ("i2v", "videoedit"))


class ModelNames:
    """Every model by the names that clients may use, with its words."""

    def __init__(self, catalogue: Catalogue, mapped: Sequence[str]) -> None:
        """`mapped` are the operator's own names, each `name=provider/model`. Raises BadSettings."""
        entries = msgspec.convert(tomllib.loads(_TABLE.read_text(encoding="utf-8")), dict[str, WordsEntry])
        try:
            self._words = all_words(catalogue, entries)
        except ValueError as error:
            raise BadSettings(f"{_TABLE.name}: {error}") from None
        self._catalogue = catalogue
        self.mapped: dict[str, Model] = {}
        """The operator's own names."""
        for one in mapped:
            name, _, slug = (part.strip() for part in one.partition("="))
            try:
                self.mapped[name] = catalogue.named(slug)
            except NotFound:
                raise BadSettings(f"MODELLIX_OPENAI_MODELS: there is no model '{slug}'") from None
        self.media = tuple(sorted({medium.name for model in catalogue for medium in model.media}))
        """Parameters of all models that carry files."""

    def model(self, name: str) -> Model:
        """The model of a whole name, of an operator's, or of an id that only one provider has. Raises NotFound."""
        if found := self.mapped.get(name):
            return found
        try:
            return self._catalogue.named(name)
        except NotFound:
            raise NotFound(
                f"model {show(name)} not found: GET /v1/models lists all of them, "
                "and the operator can give a name to any (MODELLIX_OPENAI_MODELS)"
            ) from None

    def to_make(self, name: object, kind: str, *, pictures: bool) -> Words:
        """The model to make images or videos (`kind`) with: of the one that is named, or of its family for pictures.

        Raises MissingParameter, InvalidParameters or NotFound.
        """
        if name is None and _USUAL.get(kind) in self.mapped:
            name = _USUAL[kind]
        if not isinstance(name, str) or not name:
            raise MissingParameter("parameter 'model' is required")
        model = self.model(name)
        if not model.type.endswith(kind):
            raise InvalidParameters(f"model '{model.slug}' makes no {kind}s")
        if pictures and model.type.startswith("text-"):
            model = self._sibling(model, _EDITING[kind])
        return self._words[model.slug]

    def to_remix(self, name: object, source: str | None) -> Words:
        """The model that changes videos: the one that is named, else of the family of the one that made the source.

        Raises MissingParameter, InvalidParameters or NotFound.
        """
        if name is None and source is not None:
            name = source
        if not isinstance(name, str) or not name:
            raise MissingParameter("parameter 'model' is required: name a model that changes videos")
        model = self.model(name)
        if model.type != "video-to-video":
            model = self._sibling(model, _REMIXING, "video-to-video")
        return self._words[model.slug]

    def _sibling(self, model: Model, changes: Sequence[tuple[str, str]], type_: str = "") -> Model:
        if not type_ and (edit := self._words[model.slug].edit) and (found := self._catalogue.models.get(edit)):
            return found
        for former, new in changes:
            name = model.id.replace(former, new) if former else model.id + new
            found = self._catalogue.find(model.provider, name)
            if found is not None and found is not model and (not type_ or found.type == type_):
                return found
        wanted = "changes videos" if type_ else "takes pictures"
        raise InvalidParameters(f"model {show(model.slug)} has no sibling that {wanted}: name one as parameter 'model'")
