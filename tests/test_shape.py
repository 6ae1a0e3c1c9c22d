"""A vendor is one adapter, one emulator, model files and tests: no other source names it."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import modellix_server
from modellix_server.upstreams import load_all

SOURCE = Path(modellix_server.__file__).parent
ROUTE = re.compile(r"^upstream = \"(\w+)\"$", re.MULTILINE)


@cache
def words(path: Path) -> set[str]:
    """What a file names: in Python whole texts and the parts of names and imports, elsewhere quoted words."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return set(re.findall(r"['\"](\w+)['\"]", text))
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Constant(value=str(value)):
                found.add(value)
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                found.add(name)
            case ast.ImportFrom(module=module):
                found.update((module or "").split("."), *(alias.name.split(".") for alias in node.names))
            case ast.Import():
                found.update(*(alias.name.split(".") for alias in node.names))
    return found


def own(vendor: str, path: Path) -> bool:
    """Whether the file is the vendor's adapter, emulator or one of its model files."""
    place = path.relative_to(SOURCE).parts
    if place[:2] in (("upstreams", "adapters"), ("sandbox", "protocols")):
        return place[2:3] in ((f"{vendor}.py",), (vendor,))
    return place[:2] == ("catalogue", "models") and vendor in (path.parent.name, *ROUTE.findall(path.read_text()))


def naming(vendor: str, top: Path) -> Iterator[str]:
    for path in sorted(top.rglob("*")):
        if path.suffix in {".py", ".toml", ".sql"} and not own(vendor, path) and vendor in words(path):
            yield str(path.relative_to(top))


@pytest.mark.parametrize("vendor", load_all())
def test_nothing_else_names_the_vendor(vendor: str) -> None:
    assert list(naming(vendor, SOURCE)) == []


@pytest.mark.parametrize(
    "source",
    [
        'EMULATORS = {"acme": 1}',
        "from modellix_server.upstreams.adapters.acme import upstream",
        "from modellix_server.sandbox import acme",
        "import acme",
        "settings.acme",
        "f(acme=1)",
    ],
)
def test_a_file_that_names_it_is_found(tmp_path: Path, monkeypatch, source: str) -> None:
    (tmp_path / "other.py").write_text(source)
    monkeypatch.setitem(globals(), "SOURCE", tmp_path)
    assert list(naming("acme", tmp_path)) == ["other.py"]


def test_a_vendor_has_models_and_its_models_have_a_place() -> None:
    routes: dict[str, int] = dict.fromkeys(load_all(), 0)
    for path in (SOURCE / "catalogue" / "models").rglob("*.toml"):
        for route in tomllib.loads(path.read_text(encoding="utf-8")).get("route", []):
            if "upstream" in route:
                routes[route["upstream"]] += 1
    assert all(routes.values()), routes
