"""MiniMax pictures that come inside the answer, as a model file may ask for."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from modellix_server.catalogue import Catalogue, Measurement
from modellix_server.upstreams.adapters.minimax import upstream
from modellix_server.upstreams.contract import Answer, Done, Failed, InlineFile, Order, UnmappedAnswer

ANSWERS = Path(__file__).parents[1] / "contract" / "minimax"
MODEL = Catalogue.load().models["minimax/minimax-image-01-t2i"]


class Wire:
    """Plays one recorded answer."""

    def __init__(self, name: str) -> None:
        said = json.loads((ANSWERS / f"{name}.json").read_text(encoding="utf-8"))
        self.answer = Answer(said["status"], json.dumps(said["body"]).encode(), said["headers"])

    async def call(self, *_: object, **__: object) -> Answer:
        return self.answer


def inline() -> Order:
    """An order whose pictures come inside the answer."""
    constants = {**MODEL.routes[0].constants, "response_format": "base64"}
    route = msgspec.structs.replace(MODEL.routes[0], constants=constants)
    return Order("task-00-1", route, MODEL.check({"prompt": "x"}), key="sk-test")


async def test_pictures_inside_the_answer() -> None:
    upstream.check(inline().route)
    done = await upstream.submit(inline(), Wire("pictures_base64"))
    assert done == Done(
        (InlineFile(b"\xff\xd8\xff\xe0\x00\x10JFIF", "image"),), Measurement(images=1), request_id="03ff"
    )


@pytest.mark.parametrize("name", ["pictures", "pictures_none_and_no_reason", "pictures_base64_broken"])
async def test_no_pictures_inside_the_answer_leave_the_outcome_unknown(name: str) -> None:
    with pytest.raises(UnmappedAnswer):
        await upstream.submit(inline(), Wire(name))


async def test_every_picture_refused_where_they_come_inside_the_answer() -> None:
    assert await upstream.submit(inline(), Wire("pictures_all_blocked")) == Failed(
        "content_rejected", "the vendor's content check refused every picture"
    )


def test_another_form_of_answer_is_refused_at_start() -> None:
    route = msgspec.structs.replace(inline().route, constants={"response_format": "hex"})
    with pytest.raises(ValueError, match="response_format"):
        upstream.check(route)
