"""What means the same is the same: null, numbers with a point, schemes in capitals. What can be seen is a prompt."""

import pytest
from tests.catalogue.test_check import EDIT, I2V, MODELS, QWEN, SLUGS, edges, said

from modellix_server.catalogue import Model, form
from modellix_server.catalogue.check import as_meant


@pytest.mark.parametrize("model", MODELS, ids=SLUGS)
def test_null_is_absent_and_a_whole_number_may_have_a_point(model: Model) -> None:
    base = dict(model.example)
    for name, rules in model.schema["properties"].items():
        if name not in model.schema["required"]:
            absent = {key: value for key, value in base.items() if key != name}
            assert said(model, base | {name: None}) == said(model, absent)
        if rules["type"] == "integer":
            for whole in inside_of(rules):
                pointed = said(model, base | {name: float(whole)})
                assert pointed == said(model, base | {name: whole})
                assert pointed[1] or type(pointed[0][name]) is int


def inside_of(rules: dict) -> list[int]:
    return [one for one in edges(rules)[0] if abs(one) < 2**53]


def test_null_and_points_inside_objects_and_lists() -> None:
    inner = {"type": "object", "required": [], "properties": {"n": {"type": "integer"}, "s": {"type": "string"}}}
    said_of = {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "integer"},
            "of": {"type": "array", "items": inner},
            "box": {"type": "array", "items": {"type": "integer"}},
        },
    }  # fmt: skip
    given_ = {"id": 1.0, "of": [{"n": 2e0, "s": None}, None], "box": [1.0, 2.5, "3.0"], "else": None}
    meant = as_meant(said_of, given_)
    assert repr(meant) == "{'id': 1, 'of': [{'n': 2}, None], 'box': [1, 2.5, '3.0'], 'else': None}"


@pytest.mark.parametrize(
    "link",
    [
        "HTTPS://example.com/a.png",
        "Http://example.com/a.png",
        "hTTps://EXAMPLE.com/a.png?X=%2F",
        "https://example.com/a.png?response-content-type=image%2Fpng&Signature=ab%2Fc%2Bd%3D%7E",
    ],
)
def test_a_scheme_has_no_case_and_a_link_stays_as_it_is(link: str) -> None:
    assert form(link) == "url"
    assert EDIT.check({"prompt": "x", "images": [link]})["images"] == [link]
    assert I2V.check({"img_url": link})["img_url"] == link


@pytest.mark.parametrize("prompt", ["a", "一", "é", "🐈", "?", "\u0627", "\u0e01", "\u200b1", "\U0001d518", "\u3000ア"])
def test_whatever_can_be_seen_is_a_prompt(prompt: str) -> None:
    assert QWEN.check({"prompt": prompt})["prompt"] == prompt
