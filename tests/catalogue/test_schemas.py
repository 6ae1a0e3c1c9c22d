"""Every model, from its own file: each end of each range is taken, and one step outside is refused as it should be.

What is accepted is priced, translated, and put before the emulator, which knows the vendor's rules by itself.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modellix_server.base.errors import PlatformError
from modellix_server.catalogue import Catalogue, Model
from modellix_server.catalogue.inputs import Integer, Number, TextInput
from modellix_server.catalogue.wording import is_visible
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import Order, UnmappedAnswer

CATALOGUE = Catalogue.load()
ADAPTERS = load_all()
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgZGJmAQAAGQAL51pGpAAAAABJRU5ErkJggg=="
DATA = f"data:image/png;base64,{PIXEL}"
V2V = [f"bytedance/seedance-2.0{kind}-v2v" for kind in ("", "-fast", "-mini")]
THE_VENDOR_REFUSES = {(slug, f"{end}_frame_image") for slug in V2V for end in ("first", "last")}
"""What the public contract has and the vendor documents as impossible: the parameter's description says so."""
every_model = pytest.mark.parametrize("model", list(CATALOGUE), ids=lambda model: model.slug)


def verdict(model: Model, body: Any) -> str:
    """The category of the refusal, or "accepted"."""
    try:
        model.check(body)
    except PlatformError as error:
        return error.category
    return "accepted"


def shown(value: Any) -> str:
    return json.dumps(value)[:200]


@every_model
def test_each_value_of_each_parameter(model: Model, allowed) -> None:
    bodies = allowed(model)
    for name, values in bodies.values.items():
        assert values, f"{name}: nothing is allowed"
        for value in values:
            body = bodies.settle(dict(model.example) | {name: value}, {name})
            assert body is not None, f"{name} = {shown(value)} is never accepted"
            assert model.check(body)[name] == value


@every_model
def test_one_step_outside(model: Model, allowed) -> None:
    bodies = allowed(model)
    for name in bodies.inputs:
        for value, category in bodies.bad(name):
            found = verdict(model, dict(model.example) | {name: value})
            assert found == category, f"{name} = {shown(value)}: {found}"


@every_model
def test_unknown_and_missing(model: Model, allowed) -> None:
    example = dict(model.example)
    for name in ("surprise", "Prompt", "prompt ", "n\0", ""):
        assert verdict(model, example | {name: 1}) == "Invalid parameters"
    required = [name for name, spec in allowed(model).inputs.items() if spec.required]
    assert required == model.schema["required"]
    for name in required:
        left = {key: value for key, value in example.items() if key != name}
        assert verdict(model, left) == "Missing required parameter"
    for body in ([], "{}", None, 7, [example]):
        assert verdict(model, body) == "Invalid format"


@every_model
def test_each_rule_between_parameters_can_be_broken_and_says_so(model: Model, allowed) -> None:
    bodies = allowed(model)
    assert len(bodies.messages) == sum(bool(rule.message) for rule in bodies.file.rule), "two rules with one message"
    for message, rule in bodies.messages.items():
        found = next(
            filter(None, (bodies.settle(body, keep, broken=rule) for body, keep in breaking(bodies, rule))), None
        )
        assert found is not None, f"nothing breaks the rule: {message}"
        with pytest.raises(PlatformError) as refused:
            model.check(found)
        assert refused.value.message == message


def breaking(bodies: Any, rule: Any) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """Bodies that go against the rule, as far as it alone is concerned, and the parameters that make them so."""
    start = dict(bodies.model.example) | {name: bodies.telling(name) for name in rule.given}
    for conditions in product(*(wanted if isinstance(wanted, list) else [wanted] for wanted in rule.when.values())):
        body = start | dict(zip(rule.when, conditions, strict=True))
        keep = {*rule.when, *rule.given}
        for name, wanted in rule.needs.items():
            right = wanted if isinstance(wanted, list) else [wanted]
            yield from ((body | {name: one}, keep | {name}) for one in bodies.ends[name] if one not in right)
        for name in rule.requires:
            yield {key: value for key, value in body.items() if key != name}, keep | {name}
        for name in rule.excludes:
            yield body | {name: bodies.telling(name)}, keep | {name}
        if rule.one_of:
            yield {key: value for key, value in body.items() if key not in rule.one_of}, keep | {*rule.one_of}
        lists = {
            name: bodies.telling(name) for names in (*rule.same_length, *rule.together) for name in names.split("+")
        }
        if lists:
            first = next(iter(lists))
            yield body | lists | {first: lists[first][:1]}, keep | {*lists}
            yield body | lists, keep | {*lists}


@every_model
async def test_what_is_accepted_reaches_the_vendor_whole_and_suits_it(model: Model, allowed, emulators) -> None:
    bodies = allowed(model)
    await sell(model, dict(model.example), emulators)
    for name, values in bodies.values.items():
        for value in values:
            body = bodies.settle(dict(model.example) | {name: value}, {name})
            sent, order = await sell(model, body, emulators)
            carried(order, name, sent)


async def sell(model: Model, body: dict[str, Any], emulators: dict[str, Any]) -> tuple[dict[str, Any], Order]:
    """Accept, quote and translate a body; the emulator must accept what comes of it."""
    params = model.check(body)
    quote = model.quote(params, None, live=False)
    assert quote.amount_micros >= 0
    assert quote.units > 0
    for route in model.routes:
        vendor = emulators[route.upstream]
        attempt = f"task-{secrets.token_hex(8)}-1"
        links = ADAPTERS[route.upstream].capabilities.fetches_links
        params = {name: ready(value, links=links) for name, value in params.items()}
        order = Order(attempt, route, params, "sk-test", next(iter(route.models)))
        with contextlib.suppress(UnmappedAnswer):  # an answer at once: that nothing was made
            await ADAPTERS[route.upstream].submit(order, vendor)
        line = await vendor.line(attempt)
        if refused := {name for name in body if (model.slug, name) in THE_VENDOR_REFUSES}:
            assert not line["accepted"], f"{refused}: accepted after all"
            continue
        assert line["accepted"], f"{shown(body)} became {shown(vendor.sent)}: {vendor.answer.body.decode()}"
    return vendor.sent, order


def ready(value: Any, *, links: bool) -> Any:
    """What the engine makes of media: raw base64 becomes a data URI, and so do links the vendor does not load."""
    if isinstance(value, list):
        return [ready(one, links=links) for one in value]
    if isinstance(value, dict):
        return {key: ready(one, links=links) for key, one in value.items()}
    linked = isinstance(value, str) and value.startswith(("https://", "http://"))
    return DATA if value == PIXEL or (linked and not links) else value


def carried(order: Order, name: str, sent: dict[str, Any]) -> None:
    """The value is in the vendor's body where the model file says, as the vendor calls it."""
    route, value = order.route, order.params[name]
    path = route.to[name]
    if path == "-" or (path.startswith("sequential_image_generation_options") and "auto" not in sent.values()):
        return  # the vendor does not have it, or has it for sets alone
    if name in route.omit and route.omit[name] == value:
        assert flat(reach(sent, path)) == []
        return
    wanted = route.values.get(name, {}).get(value, value) if isinstance(value, str) else value
    assert flat(reach(sent, path)) == flat([wanted]), f"{name} = {shown(value)} at {path} of {shown(sent)}"


def reach(sent: Any, path: str) -> list[Any]:
    """Every value at a path such as `input.media[type=video].url`, or `content.<role>` in Ark's list of parts."""
    if path in sent:
        return [sent[path]]
    if path.startswith("content."):
        parts = [item for item in sent["content"] if item.get("role", item["type"]) == path.partition(".")[2]]
        return [item[item["type"]] for item in parts if item["type"] == "text"] + [
            inner for item in parts if item["type"] != "text" for inner in item[item["type"]].values()
        ]
    found = [sent]
    for step in path.split("."):
        key, _, index = step.rstrip("]").partition("[")
        found = [one[key] for one in found if isinstance(one, dict) and key in one]
        if index or step.endswith("[]"):
            found = [one for listed in found for one in (listed[:1] if index == "0" else listed)]
        if "=" in index:
            found = [one for one in found if one["type"] == index.partition("=")[2]]
    return found


def flat(values: list[Any]) -> list[Any]:
    return [one for value in values for one in (flat(value) if isinstance(value, list) else [value])]


@every_model
@given(data=st.data())
@settings(deadline=None, suppress_health_check=list(HealthCheck))
async def test_any_combination_is_sold_or_refused_by_a_rule(
    model: Model, data: st.DataObject, allowed, emulators
) -> None:
    bodies = allowed(model)
    body = dict(model.example)
    for name, spec in bodies.inputs.items():
        if data.draw(st.booleans(), label=name):
            body[name] = data.draw(st.sampled_from(bodies.values[name]) | inside(spec), label=name)
        elif not spec.required and data.draw(st.booleans(), label=f"without {name}"):
            body.pop(name, None)
    if bodies.broken_rule(body) is None:
        await sell(model, body, emulators)


def inside(spec: Any) -> st.SearchStrategy[Any]:
    """Anything between the ends."""
    match spec:
        case TextInput(enum=(), format=None):
            letters = st.characters(exclude_characters="\0[]", exclude_categories=["Cs"])
            texts = st.text(letters, min_size=spec.min_length, max_size=min(spec.max_length, 50))
            return texts.filter(lambda text: not text or any(map(is_visible, text)))  # a prompt must be seen
        case Integer(enum=()):
            low, high = -(-spec.min // spec.multiple_of), spec.max // spec.multiple_of
            return st.integers(low, high).map(lambda count: count * spec.multiple_of)
        case Number():
            return st.floats(spec.min, spec.max)
        case _:
            return st.nothing()
