"""Adapters are found by scanning, and every route of the catalogue leads to one that understands it."""

import pytest

from modellix_server.catalogue import Catalogue, Route
from modellix_server.upstreams import load_all
from modellix_server.upstreams.adapters.dashscope import upstream


def test_every_adapter_is_found() -> None:
    found = load_all()
    assert found["dashscope"] is upstream


def test_every_route_of_the_catalogue_is_understood() -> None:
    found = load_all()
    for model in Catalogue.load():
        for route in model.routes:
            found[route.upstream].check(route)


GOOD = {"path": "services/x", "mode": "task", "results": "output.video_url", "kind": "video"}


@pytest.mark.parametrize(
    ("wire", "to"),
    [
        (GOOD | {"mode": "stream"}, "input.prompt"),
        (GOOD | {"extra": 1}, "input.prompt"),
        (GOOD | {"path": "/services/../x"}, "input.prompt"),
        (GOOD | {"results": "usage.url"}, "input.prompt"),
        (GOOD | {"results": "output[].url"}, "input.prompt"),
        (GOOD | {"results": "output"}, "input.prompt"),
        (GOOD | {"otherwise": "usage.url"}, "input.prompt"),
        (GOOD | {"extras": {"url": "image"}}, "input.prompt"),
        (GOOD | {"data": ["request_id"]}, "input.prompt"),
        (GOOD, "parameters.size[]"),
        (GOOD, "input.media[type=A B].url"),
        (GOOD, "model"),
        (GOOD, "input..prompt"),
        (GOOD, "input.messages[1].text"),
    ],
)
def test_a_route_that_makes_no_sense_is_refused_at_start(wire: dict, to: str) -> None:
    upstream.check(Route("dashscope", {"cn": "m"}, GOOD, {"prompt": "input.prompt"}))
    with pytest.raises(ValueError, match=r"route|path|body"):
        upstream.check(Route("dashscope", {"cn": "m"}, wire, {"prompt": to}))
