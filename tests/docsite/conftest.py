"""The pages of an installation with the built-in models at list prices, without a server."""

from __future__ import annotations

import pytest

from modellix_server.catalogue import Catalogue, Model, Prices
from modellix_server.docsite.site import Library, SiteAddress, make_library
from modellix_server.operations.models import ModelDetails, TierPrice

ADDRESS = SiteAddress("https://example.com", "/docs", "https://example.com/docs")


def details(model: Model, prices: Prices | None = None) -> ModelDetails:
    """A model with its prices, as the operation gives them."""
    known = prices or Prices(0)
    tiers = [TierPrice(one.label, known.of(model.slug, one.label).apply(one.micros)) for one in model.price.tiers]
    return ModelDetails(model, model.listing(known), tiers)


@pytest.fixture(scope="session")
def library() -> Library:
    return make_library([details(model) for model in Catalogue.load()], ADDRESS)
