"""What the catalogue takes, the emulator takes as the adapter writes it: both were written from the vendor's pages.

No request is made: the body goes straight to the emulator's rules.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from modellix_server.base.errors import PlatformError
from modellix_server.catalogue import Catalogue, Model
from modellix_server.sandbox.protocols.dashscope import rules, table
from modellix_server.upstreams.adapters.dashscope import body
from modellix_server.upstreams.contract import Order

MODELS = [model for model in Catalogue.load() if model.routes[0].upstream == "dashscope"]
VENDOR = table.load()


def variants(model: Model) -> Iterator[dict[str, Any]]:
    """The example, and each parameter at each end of its range, as far as the rules between them allow."""
    yield model.check(model.example)
    media = {medium.name for medium in model.media}
    for name, said in model.schema["properties"].items():
        if name in media:
            continue
        ends = said.get("enum") or [said[key] for key in ("minimum", "maximum") if key in said]
        if said["type"] == "boolean":
            ends = [False, True]
        if said["type"] == "string" and "maxLength" in said and not {"pattern", "format"} & said.keys():
            ends = ends or ["x" * min(said["maxLength"], 5_000)]
        for value in ends:
            try:
                yield model.check({**model.example, name: value})
            except PlatformError:
                continue


@pytest.mark.parametrize("model", MODELS, ids=[model.id for model in MODELS])
def test_the_emulator_takes_what_the_catalogue_takes(model: Model) -> None:
    route = model.routes[0]
    for region, name in route.models.items():
        if name.endswith("-us"):  # these know fewer durations, which the vendor refuses itself
            continue
        for params in variants(model):
            sent = body(name, Order("task-00-1", route, params, "sk-test", region))
            found, vendors, way = rules.read(sent, VENDOR, route.wire["path"].removeprefix("services/").rstrip("/"))
            assert found == name
            assert way.mode == {"task": "async", "sync": "sync"}[route.wire["mode"]]
            rules.check(sent, found, vendors, way)
