"""The pages that people wrote: from the repository, or from what was packaged of it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec

from modellix_server.docsite.page import DocPage, Kind
from modellix_server.web.texts import LANGUAGES

_PACKAGED = Path(__file__).parent / "written"
TOP = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[3]

SKILL = "docs/site/skill.md"
"""What an agent needs to know of the API, in the form of agentskills.io; not a page."""
_ELSEWHERE = {
    "CHANGELOG.md": "changelog/product-updates",
    "docs/add-a-model.md": "self-hosting/add-a-model",
    "docs/add-an-upstream.md": "self-hosting/add-an-upstream",
    "docs/glossary.md": "self-hosting/glossary",
    "docs/migrations.md": "self-hosting/migrations",
    "docs/promises.md": "self-hosting/promises",
}
"""Pages that are in other folders of the repository, as everybody expects them there; their translations are not."""
_ELSEWHERE_KINDS = {slug: Kind.GUIDE if slug.startswith("changelog/") else Kind.DESIGN for slug in _ELSEWHERE.values()}
REPOSITORY_ONLY = frozenset(
    {"docs/README.md", "README.md", "CONTRIBUTING.md", "bench/README.md", "tests/contract/README.md"}
)
"""Files that pages name and the site does not show: they are for who has the source."""
_FILES = ("docs/images/submission.svg", "ops")
_REFERENCE = "docs/site/reference.json"


@cache
def written_pages() -> tuple[DocPage, ...]:
    """All of them, read once."""
    return tuple(_read())


def _read() -> Iterator[DocPage]:
    for language in LANGUAGES:
        folder = TOP / "docs/site" / language
        for file in sorted(folder.rglob("*.md")):
            slug = file.relative_to(folder).with_suffix("").as_posix()
            yield _page(file, slug, language, _ELSEWHERE_KINDS.get(slug, Kind.GUIDE))
    for place, slug in _ELSEWHERE.items():
        yield _page(TOP / place, slug, "en", _ELSEWHERE_KINDS[slug])
    for file in sorted((TOP / "docs/adr").glob("*.md")):
        yield _page(file, f"decisions/{file.stem}", "en", Kind.DESIGN)


def _page(file: Path, slug: str, language: str, kind: Kind) -> DocPage:
    return DocPage(slug, language, kind, file.read_text(encoding="utf-8"), file.relative_to(TOP).as_posix())


@cache
def shown_files() -> dict[str, bytes]:
    """Files that pages show or offer, by their place in the repository; pictures are `models/<provider>/<id>.webp`."""
    found = [
        file for place in _FILES for file in ((TOP / place).rglob("*") if (TOP / place).is_dir() else [TOP / place])
    ]
    pictures = Path(str(files("modellix_server.web").joinpath("static")))
    return {
        **{file.relative_to(TOP).as_posix(): file.read_bytes() for file in sorted(found) if file.is_file()},
        **{file.relative_to(pictures).as_posix(): file.read_bytes() for file in pictures.glob("models/*/*.webp")},
    }


@cache
def reference() -> dict[str, list[dict[str, Any]]]:
    """The `commands` and `metrics` of this version, as `scripts/reference.py` read them from the code."""
    found: dict[str, list[dict[str, Any]]] = msgspec.json.decode((TOP / _REFERENCE).read_bytes())
    return found


def skill(origin: str, docs: str) -> str:
    """The skill, with the addresses of this installation."""
    text = (TOP / SKILL).read_text(encoding="utf-8")
    return text.replace("{origin}", origin).replace("{docs}", docs)
