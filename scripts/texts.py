"""The texts of pages in other languages: collected from a room's templates and code into its `locale/<language>.po`.

    python scripts/texts.py            # add new texts to the catalogues, drop those that are gone
    python scripts/texts.py --check    # say what is missing, uncertain, obsolete or wrong, and change nothing

The console's catalogue also holds, as `said`, what the platform says in English below the pages (`scripts/said.py`).
In docsite also what settings, routes, commands and metrics say of themselves (docs/site/reference.json).
`web/locale/models/<language>.po` does the same for what model files say; a text that it lacks is shown in English.
Catalogues are sorted by text and hold no places and no dates, so that branches merge.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po
from said import collect_said

from modellix_server.base.settings import variables
from modellix_server.budgets import PERIODS
from modellix_server.catalogue import Catalogue as Models
from modellix_server.catalogue import MediaKind
from modellix_server.docsite.generated.endpoints import texts_of_routes
from modellix_server.docsite.written import reference
from modellix_server.operations.principal import Permission

SOURCE = Path(__file__).parents[1] / "src" / "modellix_server"
ROOMS = ("console", "docsite")
_METHODS = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
_TEMPLATES = {"newstyle_gettext": "true", "trim_blocks": "true", "lstrip_blocks": "true", "silent": "false"}
_PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[a-z%]|%")
_HEADER = r"""msgid ""
msgstr ""
"Language: {language}\n"
"Content-Type: text/plain; charset=utf-8\n"
"Plural-Forms: nplurals={count}; plural={rule};\n"

"""


def main() -> int:
    """Merge, or check. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only say what is wrong")
    parser.add_argument("--source", type=Path, default=SOURCE, help="the folder with the rooms")
    options = parser.parse_args()
    texts, of_models = {room: collect(options.source / room) for room in ROOMS}, collect_models()
    files = [(file, texts[room]) for room in ROOMS for file in sorted((options.source / room / "locale").glob("*.po"))]
    files += [(file, of_models) for file in sorted((options.source / "web" / "locale" / "models").glob("*.po"))]
    wrong, missing = [], 0
    for file, wanted in files:
        kept = read(file)
        if not options.check:
            merge(kept, wanted, file)
        for fault in faults(kept, wanted):
            if wanted is of_models and fault.startswith("missing"):
                missing += 1
            else:
                wrong.append(f"{file.relative_to(options.source)}: {fault}")
    sys.stdout.write(("\n".join(wrong) or f"{sum(map(len, texts.values()))} texts are in every catalogue") + "\n")
    sys.stdout.write(f"{missing} of {len(of_models)} texts of models are not\n")
    return 1 if wrong else 0


def collect(room: Path) -> Catalog:
    """Every text that a room's templates and code mark."""
    texts = Catalog()
    for _file, _line, text, _comments, context in extract_from_dir(room, _METHODS, {"templates/**.html": _TEMPLATES}):
        texts.add(text, context=context)
    if room.name == "console":
        for text in sorted(collect_said(room.parent) | (_named() if room.parent == SOURCE else set())):
            texts.add(text, context="said")
    if room.name == "docsite":
        for text in _of_reference():
            texts.add(text, context="reference")
    return texts


def _named() -> set[str]:
    """What sentences are given by name: permissions, kinds of media, modes, periods; and what settings mean."""
    return {*map(str, Permission), *get_args(MediaKind), *PERIODS, "live", "test", *(one.help for one in variables())}


def _of_reference() -> Iterator[str]:
    for one in variables():
        yield one.help
        if re.search(r"[a-z]{3}", re.sub("`[^`]*`", "", one.default)):
            yield one.default
    yield from texts_of_routes()
    for one in (*reference()["commands"], *reference()["metrics"]):
        yield one["help"]
        yield from (parameter["help"] for parameter in one.get("parameters", ()))


def collect_models() -> Catalog:
    """Every text of the built-in model files that pages show, and the labels that forms make of their inputs' names."""
    texts = Catalog()
    for model in Models.load():
        for text in (model.summary, *_said(model.schema)):
            texts.add(text, context="model")
    return texts


def _said(schema: Mapping[str, Any]) -> Iterator[str]:
    for name, inner in schema.get("properties", {}).items():
        words = name.replace("_", " ")
        yield words[:1].upper() + words[1:]
        if "description" in inner:
            yield inner["description"]
        yield from _said(inner)
        yield from _said(inner.get("items", {}))


def read(file: Path) -> Catalog:
    """A language's catalogue, which is named after it."""
    with file.open("rb") as opened:
        return read_po(opened, locale=file.stem)


def merge(kept: Catalog, texts: Catalog, file: Path) -> None:
    """Bring a catalogue up to date and write it."""
    kept.update(texts, no_fuzzy_matching=True)
    kept.obsolete.clear()
    written = BytesIO()
    write_po(written, kept, width=0, no_location=True, omit_header=True, sort_output=True)
    header = _HEADER.format(language=file.stem, count=kept.num_plurals, rule=kept.plural_expr)
    file.write_text(header + written.getvalue().decode().strip() + "\n", encoding="utf-8")


def faults(kept: Catalog, texts: Catalog) -> Iterator[str]:
    """What keeps a catalogue from being complete and right."""
    for text in texts:
        if text.id:
            translated = kept.get(_key(text), text.context)
            if fault := _fault(text, translated):
                yield f"{fault}: {_key(text)!r}"
    for text in kept:
        if text.id and texts.get(_key(text), text.context) is None:
            yield f"obsolete: {_key(text)!r}"


def _fault(text: Message, translated: Message | None) -> str | None:
    ids, strings = _forms(text.id), _forms(translated.string or "") if translated else ()
    if any(one != one.strip() or "\n" in one for one in ids):
        return "begins or ends with space, or has several lines"
    if translated is None or not all(strings):
        return "missing"
    if translated.fuzzy:
        return "fuzzy"
    expected = set(_PLACEHOLDER.findall(ids[-1]))
    if any(set(_PLACEHOLDER.findall(one)) != expected for one in strings):
        return f"placeholders differ from {sorted(expected)}"
    return None


def _key(text: Message) -> str:
    return _forms(text.id)[0]


def _forms(text: str | tuple[str, ...] | list[str]) -> tuple[str, ...]:
    return (text,) if isinstance(text, str) else tuple(text)


if __name__ == "__main__":
    sys.exit(main())
