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
                yield fact


def differences(model: Model, fact: Facts) -> Iterator[str]:
    """What is not the same in one model."""
    yield from differ("docs slug", fact["doc_slug"], model.docs_slug)
    yield from differ("type", fact["task_type"], model.type)
    yield from differ("id", fact["model_id_status"], model.confidence.id)
    retires = model.retires
    date = re.match(r"[0-9-]{10}", str(fact.get("upstream_retirement") or ""))
    yield from differ("retirement", date and date[0], retires and retires.date.isoformat())
    upstream = fact["upstream"]
    if names := upstream.get("model_names"):
        yield from differ("names", {k: v for k, v in names.items() if v}, model.routes[0].models)
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
