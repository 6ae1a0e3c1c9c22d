"""One file that starts from another."""

from pathlib import Path

import pytest

from modellix_server.catalogue import BadModel, Catalogue, Model

CHILD = """
like = "alibaba/wan2.6-t2v"
without = ["audio_url", "shot_type"]
rule = []
name = "Child"
summary = "A clip."
docs_slug = "child"

[confidence]
id = "inferred"
inputs = "ours"
price = "ours"

[input.duration]
max = 10

[input.prompt_extend]
type = "boolean"
description = "Ours."

[input.style]
type = "string"
enum = ["plain"]
description = "New."

[[route]]
models = { cn = "child" }

[route.to]
style = "parameters.style"
"""


def load(folder: Path, name: str, text: str) -> Model:
    (folder / "acme").mkdir(exist_ok=True)
    (folder / "acme" / f"{name}.toml").write_text(text, encoding="utf-8")
    return Catalogue.load(folder).models[f"acme/{name}"]


def test_what_is_inherited_and_what_is_not(tmp_path: Path) -> None:
    base, child = Catalogue.load().models["alibaba/wan2.6-t2v"], load(tmp_path, "child", CHILD)
    assert list(child.schema["properties"]) == [
        name for name in [*base.schema["properties"], "style"] if name not in ("audio_url", "shot_type")
    ]
    duration, extend = child.schema["properties"]["duration"], child.schema["properties"]["prompt_extend"]
    assert (duration["minimum"], duration["maximum"], duration["default"]) == (2, 10, 5)
    assert "default" not in extend  # a table with a type of its own keeps nothing
    assert (child.type, child.deadline_s, child.price.tiers) == (base.type, base.deadline_s, base.price.tiers)
    assert child.retires is None
    (route,) = child.routes
    assert route.models == {"cn": "child"}
    assert route.wire == base.routes[0].wire
    assert route.to == {k: v for k, v in base.routes[0].to.items() if k not in ("audio_url", "shot_type")} | {
        "style": "parameters.style"
    }


def test_a_price_is_changed_by_the_key_or_replaced_by_its_unit(tmp_path: Path) -> None:
    other = load(tmp_path, "other", CHILD + '[price]\nunits = "duration"\n[[price.tier]]\nusd = "1"\n')
    assert (other.price.unit, [tier.micros for tier in other.price.tiers]) == ("second", [1_000_000])
    whole = load(tmp_path, "other", CHILD + '[price]\nunit = "image"\n[[price.tier]]\nusd = "2"\n')
    assert (whole.price.unit, whole.price.tiers[0].units) == ("image", None)


def test_a_model_of_the_operator_may_start_from_the_one_it_replaces(tmp_path: Path) -> None:
    (tmp_path / "alibaba").mkdir()
    text = CHILD.replace('docs_slug = "child"', 'docs_slug = "wan-2-6-t2v"')
    (tmp_path / "alibaba" / "wan2.6-t2v.toml").write_text(text, encoding="utf-8")
    assert Catalogue.load(tmp_path).models["alibaba/wan2.6-t2v"].name == "Child"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('like = "alibaba/wan2.6-t2v"', 'like = "alibaba/none"', "there is no model alibaba/none"),
        ('like = "alibaba/wan2.6-t2v"', 'like = "../alibaba/wan2.6-t2v"', "there is no model"),
        ('like = "alibaba/wan2.6-t2v"', 'like = "acme/wrong"', "there is no model acme/wrong"),
        ('like = "alibaba/wan2.6-t2v"', "like = 3", "there is no model 3"),
        ('like = "alibaba/wan2.6-t2v"', 'like = "acme/child"', "one level is the limit"),
        ('"audio_url", ', '"sound", ', "without: sound is not an input"),
        ("rule = []\n", "", "rule: shot_type is not an input"),
        ('style = "parameters.style"', "", "route.to: style is missing"),
        ("[input.duration]\nmax = 10", "[input]\nduration = 10", "do not fit together"),
    ],
)
def test_what_cannot_be_inherited(tmp_path: Path, old: str, new: str, says: str) -> None:
    load(tmp_path, "child", CHILD)
    assert old in CHILD
    with pytest.raises(BadModel, match=says):
        load(tmp_path, "wrong", CHILD.replace(old, new, 1).replace('docs_slug = "child"', 'docs_slug = "wrong"'))
