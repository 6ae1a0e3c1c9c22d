"""Numbers, lists, objects, sizes with names, and rules between parameters: on a model made for the purpose."""

from pathlib import Path

import pytest

from modellix_server.base.errors import InvalidFormat, InvalidParameters, MissingParameter, OutOfRange, PlatformError
from modellix_server.catalogue import BadModel, Catalogue, Measurement, Model, capture
from modellix_server.catalogue.check import Checker
from modellix_server.catalogue.inputs import Integer, TextInput
from modellix_server.catalogue.rule import Rule

FILE = """
name = "X"
type = "video-to-video"
summary = "X."
docs_slug = "x"
deadline_s = 1
submit_deadline_s = 1

[confidence]
id = "inferred"
inputs = "ours"
price = "ours"

[input.weight]
type = "number"
min = 0
max = 1.5
default = 0.5
description = "A number."

[input.size]
type = "size"
separator = "x"
presets = ["1K", "2K"]
default = "2K"
min_side = 100
max_side = 200
description = "A size."

[input.boxes]
type = "array"
max_items = 2
description = "Boxes."
[input.boxes.items]
type = "array"
min_items = 4
max_items = 4
description = "A box."
items = { type = "integer", min = 0, max = 9, description = "A corner." }

[input.hints]
type = "object"
description = "Hints."
[input.hints.properties]
domain = { type = "string", max_length = 5, required = true, description = "A word." }
font = { type = "string", format = "url", max_length = 100, description = "A font." }
on = { type = "boolean", description = "A switch." }

[input.images]
type = "image"
many = true
min_items = 0
max_items = 3
accepts = ["url"]
description = "Pictures."

[input.clips]
type = "video"
many = true
max_items = 3
accepts = ["url"]
description = "Clips."

[input.mode]
type = "string"
enum = ["set", "one", "other"]
default = "one"
description = "A mode."

[input.n]
type = "integer"
min = 1
max = 9
default = 4
description = "How many."

[input.duration]
type = "integer"
min = 0
max = 10
default = 0
description = "Seconds."

[[rule]]
when = { mode = "set" }
defaults = { n = 9 }

[[rule]]
when = { mode = ["one", "other"] }
needs = { n = [1, 2, 3, 4] }
message = "n needs set"

[[rule]]
given = ["hints"]
requires = ["boxes"]
excludes = ["images"]
message = "hints need boxes"

[[rule]]
when = { mode = "other" }
one_of = ["images", "clips"]
message = "other needs media"

[[rule]]
same_length = ["images", "boxes"]
together = { "images+clips" = 4 }
message = "too many"

[[route]]
upstream = "dashscope"
models = { cn = "x" }
wire = {}

[route.to]
weight = "w"
size = "s"
boxes = "b"
hints = "h"
images = "i"
clips = "c"
mode = "m"
n = "n"
duration = "d"

[price]
unit = "second"
units = "duration"
most = 8

[[price.tier]]
label = "plain"
usd = "0.1"
given = { clips = false }

[[price.tier]]
label = "clips"
usd = "0.1"
given = { clips = true }
also = 5

[example]
"""

LINK = "https://example.com/a"


def load(folder: Path, text: str = FILE) -> Model:
    (folder / "acme").mkdir(exist_ok=True)
    (folder / "acme" / "x.toml").write_text(text, encoding="utf-8")
    return Catalogue.load(folder).models["acme/x"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(tmp_path_factory.mktemp("kinds"))


@pytest.mark.parametrize(
    "body",
    [
        {"weight": 0},
        {"weight": 1.5},
        {"size": "1K"},
        {"size": "100x200"},
        {"boxes": []},
        {"boxes": [[0, 1, 2, 9]], "hints": {"domain": "a", "font": LINK, "on": True}},
        {"mode": "set", "n": 9},
        {"mode": "other", "clips": [LINK]},
        {"images": [LINK], "boxes": [[1, 2, 3, 4]]},
    ],
)
def test_taken(model: Model, body: dict) -> None:
    assert model.check(body).items() >= body.items()


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ({"weight": 1.6}, OutOfRange, "parameter 'weight' must be between 0.0 and 1.5, got 1.6"),
        ({"weight": True}, InvalidParameters, "parameter 'weight' must be a number, got true"),
        ({"weight": float("inf")}, InvalidParameters, "parameter 'weight' must be a number, got inf"),
        ({"size": "3K"}, InvalidFormat, "parameter 'size' must be 1K, 2K or in format 'widthxheight', got '3K'"),
        ({"size": "100*200"}, InvalidFormat, "'widthxheight'"),
        ({"size": "99x200"}, OutOfRange, "sides between 100 and 200"),
        ({"boxes": {}}, InvalidParameters, "parameter 'boxes' must be an array, got an object"),
        ({"boxes": [[1, 2, 3, 4]] * 3}, OutOfRange, "parameter 'boxes' must have between 0 and 2 items, got 3"),
        ({"boxes": [[1, 2, 3, 4], [1, 2]]}, OutOfRange, "parameter 'boxes[1]' must have exactly 4 items, got 2"),
        ({"boxes": [[1, 2, 3, 10]]}, OutOfRange, "parameter 'boxes[0][3]' must be between 0 and 9, got 10"),
        ({"boxes": [[1, 2, 3, 4.5]]}, InvalidParameters, "parameter 'boxes[0][3]' must be an integer, got 4.5"),
        ({"boxes": [[1, 2, 3, [[]]]]}, InvalidParameters, "'boxes[0][3]' must be an integer, got an array"),
        ({"hints": []}, InvalidParameters, "parameter 'hints' must be an object, got an array"),
        ({"hints": {}}, MissingParameter, "parameter 'hints.domain' is required"),
        ({"hints": {"domain": "abcdef"}}, OutOfRange, "'hints.domain' must have between 0 and 5 characters, got 6"),
        ({"hints": {"domain": "a\0"}}, InvalidFormat, "'hints.domain' must not contain NUL"),
        ({"hints": {"domain": "a", "b": 1}}, InvalidParameters, "unknown parameter 'b' in 'hints'; allowed: domain,"),
        ({"hints": {"domain": "a", "font": "ftp://a"}}, InvalidFormat, "'hints.font' must be an http(s) URL"),
        (
            {"hints": {"domain": "a", "font": LINK + "a" * 100}},
            OutOfRange,
            "'hints.font' must have between 0 and 100 char",
        ),
        ({"n": 5}, InvalidParameters, "n needs set"),
        ({"hints": {"domain": "a"}}, InvalidParameters, "hints need boxes"),
        ({"hints": {"domain": "a"}, "boxes": []}, InvalidParameters, "hints need boxes"),
        ({"hints": {"domain": "a"}, "boxes": [[1, 2, 3, 4]], "images": [LINK]}, InvalidParameters, "hints need boxes"),
        ({"mode": "other", "images": []}, InvalidParameters, "other needs media"),
        ({"images": [LINK] * 2, "boxes": [[1, 2, 3, 4]]}, InvalidParameters, "too many"),
        ({"images": [LINK] * 2, "clips": [LINK] * 3}, InvalidParameters, "too many"),
    ],
)
def test_refused(model: Model, body: dict, kind: type[PlatformError], says: str) -> None:
    with pytest.raises(kind) as caught:
        model.check(body)
    assert says in caught.value.message


def test_a_default_that_depends(model: Model) -> None:
    assert model.check({})["n"] == 4
    assert model.check({"mode": "set"})["n"] == 9
    assert model.check({"mode": "set", "n": 2})["n"] == 2


def test_the_hold_covers_what_only_the_input_decides(model: Model) -> None:
    held = {
        label: model.quote(model.check(body), None, live=True)
        for label, body in {
            "unknown": {},
            "told": {"duration": 3},
            "with clips": {"duration": 3, "clips": [LINK]},
            "empty": {"images": [], "duration": 3},
        }.items()
    }
    assert {label: quote.units for label, quote in held.items()} == {
        "unknown": 8_000,
        "told": 3_000,
        "with clips": 8_000,
        "empty": 3_000,
    }
    quote = held["with clips"]
    assert capture(quote, Measurement(milliseconds=3_000)) == 300_000
    assert capture(quote, Measurement(milliseconds=3_000, input_milliseconds=2_500)) == 550_000
    assert capture(quote, Measurement(milliseconds=3_000, input_milliseconds=9_000)) == quote.amount_micros


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('message = "n needs set"', "", "a message that says so"),
        ("defaults = { n = 9 }", 'message = "x"', "something to ask for"),
        ("defaults = { n = 9 }", "defaults = { n = 10 }", "n can never be 10"),
        ('given = ["hints"]', 'given = ["hint"]', "rule: hint is not an input"),
        ('requires = ["boxes"]', 'requires = ["box"]', "rule: box is not an input"),
        ('"images+clips" = 4', '"images+n" = 4', "n is not a list"),
        ("given = { clips = true }", "given = { clip = true }", "given: clip is not an input"),
        ("given = { clips = true }", "", "has 2 prices"),
        ("most = 8", "", "or most must say how many"),
        ("also = 5", "also = -1", "also at least 0"),
    ],
)
def test_wrong_files(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in FILE
    with pytest.raises(BadModel, match=says):
        load(tmp_path, FILE.replace(old, new, 1))


def test_a_default_that_a_rule_sets_counts_for_the_rules_after_it() -> None:
    inputs = {
        "mode": TextInput(description="M.", enum=("a", "b"), required=True),
        "n": Integer(description="N.", min=1, max=2, default=1),
        "x": TextInput(description="X.", max_length=9),
        "y": TextInput(description="Y.", max_length=9),
    }
    rules = (
        Rule(when={"mode": "a"}, defaults={"n": 2}),
        Rule(when={"n": 2}, excludes=("x",), message="no x"),
        Rule(when={"n": 2}, excludes=("y",), message="no y"),
    )
    schema = {
        "type": "object",
        "properties": {name: spec.schema() for name, spec in inputs.items()},
        "required": ["mode"],
    }
    checker = Checker(schema, inputs, rules)
    assert checker.check({"mode": "b", "y": "1"})["n"] == 1
    with pytest.raises(InvalidParameters, match="no y"):
        checker.check({"mode": "a", "y": "1"})
