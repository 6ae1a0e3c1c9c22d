"""The pages of an installation with the built-in models at list prices, without a server."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import pytest

from modellix_server.catalogue import Catalogue, Model, Prices
from modellix_server.docsite.index import SearchIndex
from modellix_server.docsite.live import DocSite
from modellix_server.docsite.search import MOST_HITS, Filter, Hit, hits_of, question_of
from modellix_server.docsite.site import Library, SiteAddress, make_library
from modellix_server.operations.models import ModelDetails, TierPrice

ADDRESS = SiteAddress("https://example.com", "/docs", "https://example.com/docs")


def details(model: Model, prices: Prices | None = None) -> ModelDetails:
    """A model with its prices, as the operation gives them."""
    known = prices or Prices(0)
    tiers = [TierPrice(one.label, known.of(model.slug, one.label).apply(one.micros)) for one in model.price.tiers]
    return ModelDetails(model, model.listing(known), tiers)


_INDEXES: WeakKeyDictionary[Library, SearchIndex] = WeakKeyDictionary()


def index_of(library: Library) -> SearchIndex:
    """The index of a library, made once."""
    if library not in _INDEXES:
        _INDEXES[library] = SearchIndex.made(library.chunks)
    return _INDEXES[library]


def search(
    library: Library, query: str, wanted: Filter | None = None, limit: int = MOST_HITS, *, typing: bool = False
) -> list[Hit]:
    """The hits, as `DocSite.search` has them of its finder."""
    question = question_of(query, wanted or Filter(), limit, typing=typing)
    return hits_of(library, question, index_of(library).find(question)) if question else []


def site_of(models: list[ModelDetails], spool_dir: str, monkeypatch: pytest.MonkeyPatch) -> DocSite:
    """The documentation of an installation with these models."""
    settings = SimpleNamespace(docs_url="", public_origin=ADDRESS.origin, docs_origin=ADDRESS.site, spool_dir=spool_dir)
    monkeypatch.setattr("modellix_server.docsite.live.list_details", lambda *_: models)
    ctx: Any = SimpleNamespace(settings=settings, prices=lambda: SimpleNamespace(version=1))
    return DocSite(ctx)


@pytest.fixture(scope="session")
def library() -> Library:
    return make_library([details(model) for model in Catalogue.load()], ADDRESS)
