"""The catalogue: every model file, read and checked once at start."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache, partial
from pathlib import Path
from types import MappingProxyType

from modellix_server.base.errors import NotFound
from modellix_server.catalogue.model import Model
from modellix_server.catalogue.modelfile import BadModel, parse, read
from modellix_server.catalogue.wording import show

BUILT_IN = Path(__file__).parent / "models"
_SOME_ORIGIN = "http://127.0.0.1:8000"

_PROVIDER = re.compile(r"[a-z0-9][a-z0-9-]*", re.ASCII)
_MODEL = re.compile(r"[a-z0-9][a-z0-9.-]*", re.ASCII)


class Catalogue:
    """All models by slug; iterates in the order of slugs."""

    def __init__(self, models: Mapping[str, Model]) -> None:
        """Raises BadModel when two models have the same name."""
        self.models: Mapping[str, Model] = MappingProxyType({slug: models[slug] for slug in sorted(models)})
        self._by_name: dict[tuple[str, str], Model] = {}
        for model in self:
            for name in {model.id, model.docs_slug}:
                other = self._by_name.setdefault((model.provider, name), model)
                if other is not model:
                    raise BadModel(f"{other.slug} and {model.slug} both answer to {model.provider}/{name}")
        providers = Counter(model.id for model in self)
        self._alone = {model.id: model for model in self if providers[model.id] == 1}

    @classmethod
    def load(cls, extra_dir: Path | None = None, origin: str = _SOME_ORIGIN) -> Catalogue:
        """The built-in models, and over them the operator's `<provider>/<id>.toml` files.

        A file of the operator with the name of a built-in one replaces it whole. `origin` is the public
        origin of the platform, for links to samples in examples. The built-in models are shared: do not change them.
        Raises BadModel.
        """
        models = dict(_built_in(origin))
        if extra_dir is not None:
            models |= {model.slug: model for model in _read_folder(extra_dir, origin)}
        return cls(models)

    def find(self, provider: str, model_id: str) -> Model | None:
        """The model by its id or its docs slug, case-sensitive; None when there is none."""
        return self._by_name.get((provider, model_id))

    def named(self, name: str, type_: str | None = None) -> Model:
        """The model `provider/id`, or its alias, of this type if one is asked for. Raises NotFound.

        An id that only one provider has is enough: answers tell it as `model_id`.
        """
        provider, _, model_id = name.partition("/")
        model = self._by_name.get((provider, model_id)) or self._alone.get(name)
        if model is None or (type_ is not None and type_ != model.type):
            raise NotFound(f"model {show(name if type_ is None else f'{type_}/{name}')} not found")
        return model

    def __iter__(self) -> Iterator[Model]:
        return iter(self.models.values())

    def __len__(self) -> int:
        return len(self.models)


@lru_cache(maxsize=4)
def _built_in(origin: str) -> Mapping[str, Model]:
    """Read once: the built-in files do not change while the program runs."""
    return {model.slug: model for model in _read_folder(BUILT_IN, origin)}


def _read_folder(folder: Path, origin: str) -> Iterator[Model]:
    parsed = cache(parse)
    if not folder.is_dir():
        raise BadModel(f"{folder}: not a folder")
    for path in sorted(folder.rglob("*.toml")):
        place = path.relative_to(folder)
        if len(place.parts) != 2:
            raise BadModel(f"{path}: model files lie in <provider>/<id>.toml")
        provider, model_id = place.parts[0], path.name.removesuffix(".toml")
        if not _PROVIDER.fullmatch(provider) or not _MODEL.fullmatch(model_id):
            raise BadModel(f"{path}: provider and id are lower case letters, digits, hyphens and (id only) dots")
        yield read(path, provider, model_id, partial(_find, folder, path), origin, parsed)


def _find(folder: Path, path: Path, slug: object) -> Path:
    """The file that `like` names: one of the same folder, or a built-in one. ValueError when there is none."""
    provider, _, model_id = str(slug).partition("/")
    if _PROVIDER.fullmatch(provider) and _MODEL.fullmatch(model_id):
        for place in (folder, BUILT_IN):
            found = place / provider / f"{model_id}.toml"
            if found != path and found.is_file():
                return found
    raise ValueError(f"like: there is no model {slug}")
