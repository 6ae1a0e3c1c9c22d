"""Compare the model files with a folder of collected facts: `scripts/facts.py FACTS_DIR [PROVIDER]`.

The facts are `catalog-*.yaml`, which are not part of the source: for each model its parameters with ranges, words
and defaults, its prices, and its name and endpoint at the vendor. Every difference is printed, and the exit status
is 1 if there is one. What differs on purpose is below, with the reason. Needs PyYAML.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from modellix_server.base.errors import PlatformError
from modellix_server.catalogue import Catalogue, Model

Facts = dict[str, Any]

SEEDANCE = [f"{version}-{kind}" for version in ("1.0-pro", "1.0-pro-fast", "1.5-pro") for kind in ("t2v", "i2v")]
SUBJECTS = ("minimax-s2v-01", "minimax-image-01-i2i", "minimax-image-01-live-i2i")

ON_PURPOSE = {
    # (model, beginning of the difference): why we say something else
    ("wan2.6-t2v", "default of duration"): "Modellix names none; the vendor's is sent",
    ("wan2.2-t2v-plus", "default of prompt_extend"): "Modellix's was not seen; the vendor's is sent",
    ("wan2.2-i2v-flash", "default of resolution"): "Modellix names none; the vendor's is sent",
    ("wan2.2-i2v-plus", "default of resolution"): "Modellix names none; the vendor's is sent",
    ("wan2.6-i2v-flash", "default of duration"): "Modellix names none; the vendor's is sent",
    ("wan2.6-i2v-flash", "default of resolution"): "Modellix names none; the vendor's is sent",
    ("wanx-sketch-to-image-lite", "default of sketch_color"): "an empty list says the same as none",
    ("wan2.6-i2v-flash", "tiers"): "480P is offered, and its price is unknown: an unpriced tier of its own",
    ("aitryon-parsing-v1", "max_items of clothes_type"): "there is no list of three among those that are taken",
    ("wan2.7-r2v", "tiers"): "with clips the seconds that are charged have no stated limit: unpriced",
    **dict.fromkeys(
        [(model, "tiers") for model in ("seedream-3.0-t2i", "seededit-3.0-i2i")],
        "no price of Modellix was seen; the vendor's list price stands",
    ),
    **dict.fromkeys(
        [(f"seedream-5.0-{kind}", what) for kind in ("lite", "lite-edit") for what in ("retirement", "names")],
        "the facts tell the date and the second name in words",
    ),
    **dict.fromkeys(
        [(f"seedance-{kind}", "tiers") for kind in SEEDANCE],
        "the vendor's cheaper service tier has a cell of its own, whose price was not seen",
    ),
    **dict.fromkeys(
        [(f"seedance-2.0{kind}-v2v", what) for kind in ("", "-fast", "-mini") for what in ("tiers", "price of")],
        "the facts only assume the prices of the other models; the vendor has a rate of its own for clips as input",
    ),
    **dict.fromkeys(
        [(f"hailuo-02-{kind}", what) for kind in ("t2v", "i2v", "fl2v") for what in ("tiers", "price of 1080P")],
        "the published price of 10 s at 1080P is of a pair that the vendor refuses",
    ),
    **dict.fromkeys(
        [(f"hailuo-2.3-{kind}", what) for kind in ("t2v", "i2v", "fast-i2v") for what in ("tiers", "price of 1080P")],
        "the facts give an end of a range to a cell that may have another price",
    ),
    **dict.fromkeys(
        [(model, "required subject_reference") for model in SUBJECTS],
        "the pictures may come as subject_reference_images instead; a rule asks for one of the two",
    ),
    ("minimax-s2v-01", "max_items of subject_reference_images"): "the vendor takes one",
    **dict.fromkeys(
        [(model, "default of aspect_ratio") for model in ("minimax-image-01-t2i", *SUBJECTS[1:])],
        "sending one would overrule width and height; without all three the vendor makes 1:1",
    ),
    ("minimax-image-01-live-i2i", "parameters"): "the vendor takes width and height for image-01 alone",
    ("minimax-image-01-live-i2i", "words of aspect_ratio"): "the vendor's live model lacks 21:9",
    **dict.fromkeys(
        [(f"gpt-image-{kind}", "tiers") for kind in ("1.5", "1.5-edit", "2-edit")],
        "only a range is published: its ends price the cheapest and the dearest cell",
    ),
}


def main(folder: Path, provider: str) -> int:
    """Print the differences; how many there are."""
    catalogue, found = Catalogue.load(), []
    for fact in facts(folder, provider):
        model_id = fact["model_id"]
        model = catalogue.models.get(f"{provider}/{model_id}")
        said = ["no model file"] if model is None else list(differences(model, fact))
        chosen = [place for who, place in ON_PURPOSE if who == model_id]
        found += [f"{model_id}: {line}" for line in said if not line.startswith(tuple(chosen))]
        stale = [place for place in chosen if not any(line.startswith(place) for line in said)]
        found += [f"{model_id}: {place}: not different after all" for place in stale]
    print(*found, f"{len(found)} differences", sep="\n")  # noqa: T201 - its purpose
    return len(found)


def facts(folder: Path, provider: str) -> Iterator[Facts]:
    """Every model of the provider that the facts know."""
    for path in sorted(folder.glob("catalog-*.yaml")):
        for fact in yaml.load(path.read_text("utf-8"), Loader=yaml.CSafeLoader)["models"]:
            if fact["provider"] == provider:
                yield fact if "doc_slug" in fact else in_one_form(fact)


PARAM = dict.fromkeys(("default", "enum", "note", "min", "max", "min_length", "max_length", "min_items", "max_items"))


def in_one_form(fact: Facts) -> Facts:
    """The facts of the other file, which leaves out what is not known, in the form of the first."""
    names = fact["upstream"] or {}
    tiers = fact["price"]["tiers"] or []
    if not tiers and fact["price"].get("fixed") is not None:
        tiers = [{"price": fact["price"]["fixed"], "when": {}}]
    return {
        **fact,
        "doc_slug": fact["doc_page"].rpartition("/")[2] if fact.get("doc_page") else None,
        "model_id_status": None,
        "params": [{**PARAM, **param} for param in fact["params"] or []],
        "price": {
            "unit": fact["price"]["unit"],
            "tiers": [{"amount": tier["price"], "when": tier.get("when") or {}} for tier in tiers] or None,
        },
        "upstream": {"model_names": {"cn": names.get("model_volcengine"), "intl": names.get("model_byteplus")}},
    }


def differences(model: Model, fact: Facts) -> Iterator[str]:
    """What is not the same in one model."""
    yield from differ("docs slug", fact["doc_slug"] or model.docs_slug, model.docs_slug)
    yield from differ("type", fact["task_type"], model.type)
    yield from differ("id", fact["model_id_status"] or model.confidence.id, model.confidence.id)
    retires = model.retires
    date = re.match(r"[0-9-]{10}", str(fact.get("upstream_retirement") or ""))
    yield from differ("retirement", date and date[0], retires and retires.date.isoformat())
    upstream = fact["upstream"]
    if names := {region: name for region, name in (upstream.get("model_names") or {}).items() if name}:
        yield from differ("names", names, model.routes[0].models)
    if (path := upstream.get("endpoint_path")) and "path" in model.routes[0].wire:
        yield from differ("endpoint", path.split("/v1/", 1)[1], model.routes[0].wire["path"])
    properties = model.schema["properties"]
    known = {param["name"]: param for param in fact["params"] or []}
    yield from differ("parameters", sorted(known), sorted(properties))
    yield from media_differences(model, known)
    for name in known.keys() & properties.keys():
        yield from param_differences(model, name, known[name], properties[name])
    yield from price_differences(model, fact["price"])


def param_differences(model: Model, name: str, param: Facts, said: Facts) -> Iterator[str]:
    """What is not the same in one parameter."""
    kinds = {"integer": ("integer",), "number": ("number",), "boolean": ("boolean",)}
    if said["type"] not in kinds.get(param["type"], (param["type"], said["type"])):
        yield f"type of {name}: {param['type']} in the facts, {said['type']} here"
    yield from differ(f"required {name}", bool(param["required"]), name in model.schema["required"])
    if param["default"] is not None or "default" in said:
        yield from differ(f"default of {name}", param["default"], said.get("default"))
    enum = param["enum"]
    if enum and said["type"] == "array":
        yield from differ(f"words of {name}", sorted(enum), sorted(said["items"].get("enum", [])))
    elif enum and not (said.get("minimum") == enum[0] and said.get("maximum") == enum[-1]):
        yield from differ(f"words of {name}", sorted(enum), sorted(said.get("enum", [])))
    for fact, key in (
        ("min", "minimum"),
        ("max", "maximum"),
        ("min_length", "minLength"),
        ("max_length", "maxLength"),
        ("min_items", "minItems"),
        ("max_items", "maxItems"),
    ):
        if "enum" in said and key in ("minimum", "maximum"):
            ours = {"minimum": min, "maximum": max}[key](said["enum"])
            yield from differ(f"{fact} of {name}", ours if param[fact] is None else param[fact], ours)
        elif param.get(fact) is not None:
            yield from differ(f"{fact} of {name}", param[fact], said.get(key, 1 if key == "maxItems" else 0))
    bounds = re.search(r"[Aa]rea (?:between )?(\d+\*\d+)(?:-| to | up to | and )(\d+\*\d+)", param["note"] or "")
    if bounds and name == "size":
        for size in bounds.groups():
            yield from differ(f"size {size}", "taken", "taken" if takes(model, size) else "refused")


def ratio(text: str) -> float:
    """Longer side over shorter side, of `8:1`, `2.5` or `5:2`."""
    long, _, short = text.rstrip(".").partition(":")
    return float(long) / float(short or 1)


STATED = (
    # words of the facts -> (limit, what the words come to)
    (r"sides? (?:at least|from) (\d+) px|short side at least (\d+) px", "min_side_px", int),
    (r"sides (\d+)(?:-|\.\.)(?:\d+) px", "min_side_px", int),
    (r"sides \d+-(\d+) px", "max_side_px", int),
    (r"(?:max|<=) (\d+) MB", "max_bytes", lambda text: int(text) * 1024 * 1024),
    (r"ratio (?:1:[\d.]+-|2:5\.\.|0\.4\.\.|1/\d+\.\.|at most )([\d.:]+)", "max_ratio", ratio),
    (r"<= ([\d,]+) pixels", "max_pixels", lambda text: int(text.replace(",", ""))),
    (r"(\d+)(?:-|\.\.)\d+ s\b", "min_ms", lambda text: int(text) * 1000),
    (r"\d+(?:-|\.\.)(\d+) s\b", "max_ms", lambda text: int(text) * 1000),
)
"""Where sides are told as exclusive (`300..6000 px`), a model file has the numbers inside: one more, one less."""


def media_differences(model: Model, known: dict[str, Facts]) -> Iterator[str]:
    """What the notes say about pictures, clips and sounds, against the limits of a model with one kind there."""
    for medium in model.media:
        if medium.name not in known or len(medium.limits) != 1:
            continue
        (limits,) = medium.limits.values()
        note = known[medium.name]["note"] or ""
        for words, name, read in STATED:
            if found := re.search(words, note):
                stated, ours = read(next(filter(None, found.groups()))), getattr(limits, name)
                if ours not in (stated, stated + 1, stated - 1):
                    yield f"{name} of {medium.name}: {stated} in the facts, {ours} here"


def takes(model: Model, size: str) -> bool:
    """Whether a size passes."""
    try:
        model.check({**model.example, "size": size})
    except PlatformError as error:
        return "'size'" not in error.message
    return True


def price_differences(model: Model, price: Facts) -> Iterator[str]:
    """The amounts of the facts against those of the tiers."""
    yield from differ("unit", price["unit"], model.price.unit)
    if price["tiers"] is None:
        yield from differ("tiers", {None}, {tier.micros for tier in model.price.tiers})
        return
    listed = sorted(
        {None if t["amount"] is None else int(Decimal(str(t["amount"])) * 10**6) for t in price["tiers"]}, key=str
    )
    yield from differ("tiers", listed, sorted({tier.micros for tier in model.price.tiers}, key=str))
    for tier in price["tiers"]:
        for cell in model.price.cells.values():
            if cell.label in tier["when"].values():
                amount = None if tier["amount"] is None else int(Decimal(str(tier["amount"])) * 10**6)
                yield from differ(f"price of {cell.label}", amount, cell.micros)


def differ(what: str, fact: object, ours: object) -> Iterator[str]:
    """One line, if two things are not the same."""
    if fact != ours:
        yield f"{what}: {fact!r} in the facts, {ours!r} here"


if __name__ == "__main__":
    sys.exit(bool(main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "alibaba")))
