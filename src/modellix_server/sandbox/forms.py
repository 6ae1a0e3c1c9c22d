"""Bodies of `multipart/form-data` (RFC 7578) as a client sends them."""

import re
from dataclasses import dataclass

_BOUNDARY = re.compile(
    r'multipart/form-data;.*\bboundary="?([A-Za-z0-9\'()+_,./:=? -]{1,70})"?', re.ASCII | re.IGNORECASE
)
_PARAMETER = re.compile(r';\s*(name|filename)="((?:[^"\\]|\\.)*)"')
MOST_PARTS = 200


class BrokenForm(ValueError):
    """Not a form, or one that cannot be taken apart."""


@dataclass(frozen=True, slots=True)
class Given:
    """One part: a field, or a file when it has a name."""

    name: str
    data: bytes
    filename: str | None = None

    @property
    def text(self) -> str:
        """The value of a field. Raises BrokenForm when it is not UTF-8."""
        try:
            return self.data.decode()
        except UnicodeDecodeError:
            raise BrokenForm(f"{self.name} is not UTF-8") from None


def read(content_type: str | None, body: bytes) -> list[Given]:
    """The parts in their order. Raises BrokenForm."""
    found = _BOUNDARY.fullmatch(content_type or "")
    if found is None:
        raise BrokenForm("the Content-Type must be multipart/form-data with a boundary")
    border = b"\r\n--" + found[1].encode()
    pieces = (b"\r\n" + body).split(border, MOST_PARTS + 1)
    if len(pieces) < 2 or len(pieces) > MOST_PARTS + 1 or not pieces[-1].startswith(b"--"):
        raise BrokenForm("the form has no end, or too many parts")
    return [_part(piece) for piece in pieces[1:-1]]


def _part(piece: bytes) -> Given:
    head, gap, data = piece.partition(b"\r\n\r\n")
    lines = [line for line in head.decode("utf-8", "replace").split("\r\n") if line]
    about = next((line for line in lines if line.lower().startswith("content-disposition: form-data")), "")
    told = {name: re.sub(r"\\(.)", r"\1", value) for name, value in _PARAMETER.findall(about)}
    if not gap or "name" not in told:
        raise BrokenForm("a part has no name")
    return Given(told["name"], data, told.get("filename"))
