"""The catalogue and the OpenAI emulator check each other: whatever a model file allows, the vendor's rules take."""

from __future__ import annotations

import base64
import io
import json
from itertools import product
from typing import Any

import pytest
from PIL import Image

from modellix_server.base.multipart import encode_form
from modellix_server.catalogue import Catalogue, Model
from modellix_server.sandbox.protocols import openai as emulator
from modellix_server.upstreams.adapters.openai import upstream
from modellix_server.upstreams.contract import Answer, AnswerLost, Order

MODELS = [model for model in Catalogue.load() if model.routes[0].upstream == "openai"]


def png(mode: str = "RGB") -> str:
    buffer = io.BytesIO()
    Image.new(mode, (64, 64)).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


class Wire:
    """Hands what the adapter sends to the emulator's rules."""

    job: emulator.OpenAIJob

    async def call(self, _method: str, path: str, *, json: Any = None, form: Any = None, **_: Any) -> Answer:
        edit = emulator.PATHS[f"/v1{path}"]
        kind, body = await encode_form(form) if edit else ("application/json", dumped(json))
        scope = {"headers": [(b"content-type", kind.encode())]}
        self.job = emulator.read(emulator._parse(scope, body, edit=edit), edit)
        raise AnswerLost


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def every(model: Model) -> list[dict[str, Any]]:
    """The example with every combination of the listed words, and with all that is optional."""
    properties = model.schema["properties"]
    words = {name: spec["enum"] for name, spec in properties.items() if "enum" in spec}
    given = dict(model.example)
    if "images" in properties:
        given |= {"images": [png()] * 16, "mask": png("RGBA")}
    return [{**given, **dict(zip(words, values, strict=True))} for values in product(*words.values())]


async def job(model: Model, given: dict[str, Any]) -> emulator.OpenAIJob:
    wire = Wire()
    order = Order("task-00-1", model.routes[0], model.check(given), key="sk-test")
    with pytest.raises(AnswerLost):
        await upstream.submit(order, wire)
    return wire.job


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
async def test_all_that_a_model_file_allows(model: Model) -> None:
    cases = every(model)
    assert len(cases) >= 18
    for given in cases:
        made = await job(model, given)
        assert "x".join(map(str, made.canvas.size)) == given["size"]
        assert (made.quality, made.count) == (given["quality"], 1)
        assert made.canvas.transparent == (given.get("background") == "transparent")
        assert (len(made.canvas.images), made.canvas.mask is not None) == (
            (16, True) if "mask" in given else (0, False)
        )


async def test_the_models_are_those_of_the_emulator() -> None:
    assert {model.routes[0].models["intl"] for model in MODELS} == set(emulator.MODELS)
    assert [model.id for model in MODELS] == [
        "gpt-image-1.5",
        "gpt-image-1.5-edit",
        "gpt-image-2",
        "gpt-image-2-edit",
    ]
