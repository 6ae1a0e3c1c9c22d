"""Examines an untrusted SVG. Runs in the helper process only.

An SVG can be a program for a browser, so only drawing without external references is allowed: known elements,
no scripts, no styles that load, links only to parts of the file. Entities cannot be declared, so none expand.
"""

import re
from typing import IO
from xml.parsers import expat

from modellix_server.inspection.messages import Probed
from modellix_server.inspection.probing import Unfit, checked

MOST_ELEMENTS = 200_000
MOST_DEPTH = 64
_SVG, _XLINK, _XML = (
    "http://www.w3.org/2000/svg",
    "http://www.w3.org/1999/xlink",
    "http://www.w3.org/XML/1998/namespace",
)
_ELEMENTS = frozenset(
    (
        *("svg", "g", "defs", "title", "desc", "metadata", "style", "path", "rect", "circle", "ellipse", "line"),
        *("polyline", "polygon", "text", "tspan", "linearGradient", "radialGradient", "stop", "clipPath", "mask"),
    )
)
"""Without `use` and `pattern`: deeply nested ones can hang a viewer."""
_LENGTH = re.compile(r"\s*([0-9]{1,7}(?:\.[0-9]{1,20})?)(px|in|cm|mm|pt|pc)?\s*", re.ASCII)
_PIXELS = {"": 1.0, "px": 1.0, "in": 96.0, "cm": 96 / 2.54, "mm": 9.6 / 2.54, "pt": 4 / 3, "pc": 16.0}
_BOX = re.compile(r"[\s,]+")
_OUTSIDE = re.compile(r"url\((?>\s*['\"]?\s*)(?!#)|[@\\]|javascript:|data:|expression\(|/\*", re.IGNORECASE)


def probe_vector(file: IO[bytes]) -> Probed:
    """The file's format and size. Raises Unfit."""
    drawing = _Drawing()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.XmlDeclHandler = drawing.declared
    parser.StartDoctypeDeclHandler = drawing.doctype
    parser.EntityDeclHandler = parser.SkippedEntityHandler = parser.ProcessingInstructionHandler = _refuse
    parser.StartElementHandler, parser.EndElementHandler = drawing.start, drawing.end
    parser.CharacterDataHandler = drawing.text
    try:
        parser.ParseFile(file)
    except (expat.ExpatError, ValueError, LookupError):
        raise Unfit("the svg file is broken") from None
    return checked(Probed("svg", *drawing.size))


def _refuse(*_: object) -> None:
    raise Unfit("the svg file has entities or instructions")


class _Drawing:
    """Parser events of the file; refuses everything but drawing."""

    def __init__(self) -> None:
        self.size = (0, 0)
        self._open: list[str] = []
        self._elements = 0

    def declared(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "us-ascii"):
            raise Unfit("the svg file is not UTF-8")

    def doctype(self, _name: str, system: str | None, _public: str | None, subset: int) -> None:
        # Some programs write that of the W3C; no viewer loads it.
        if subset or (system is not None and not system.startswith("http://www.w3.org/")):
            raise Unfit("the svg file has a document type of its own")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        space, _, name = tag.rpartition(" ")
        self._elements += 1
        if space != _SVG or name not in _ELEMENTS or (not self._open and name != "svg"):
            raise Unfit(f"the svg file has an element that is not let through: {name[:40]}")
        if self._elements > MOST_ELEMENTS or len(self._open) >= MOST_DEPTH:
            raise Unfit("the svg file has too many elements, or they are nested too deeply")
        for full, value in attributes.items():
            self._attribute(full, value)
        if not self._open:
            self.size = _size(attributes)
        self._open.append(name)

    def end(self, _tag: str) -> None:
        self._open.pop()

    def text(self, text: str) -> None:
        # The text may arrive in parts, so the beginning of anything that could load is refused.
        if self._open and self._open[-1] == "style" and re.search(r"[@\\(<]|/\*", text):
            raise Unfit("the svg file has a style that is not let through")

    def _attribute(self, full: str, value: str) -> None:
        space, _, name = full.rpartition(" ")
        plain = name.lower()
        loads = plain == "href" and not value.strip().startswith("#")
        if space not in ("", _XLINK, _XML) or plain.startswith("on") or plain in ("src", "base") or loads:
            raise Unfit(f"the svg file has an attribute that is not let through: {name[:40]}")
        if plain != "href" and _OUTSIDE.search(value):
            raise Unfit(f"the svg file refers to something outside: {name[:40]}")


def _size(attributes: dict[str, str]) -> tuple[int, int]:
    """Width and height in pixels: as stated, else those of the view box."""
    told = [_LENGTH.fullmatch(attributes.get(side, "")) for side in ("width", "height")]
    if all(told):
        sides = [float(one[1]) * _PIXELS[one[2] or ""] for one in told if one]
    else:
        sides = [float(part) for part in _BOX.split(attributes.get("viewBox", "").strip())[2:4] if part]
    if len(sides) != 2 or not all(0.5 <= side < 1e6 for side in sides):
        raise Unfit("the svg file tells no width and height")
    return round(sides[0]), round(sides[1])
