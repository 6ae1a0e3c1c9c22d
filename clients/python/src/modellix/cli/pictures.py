"""Pictures in a terminal: as Kitty and iTerm2 show them, else as blocks of colour where Pillow is installed."""

from __future__ import annotations

import base64
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_COLUMNS = 48
_CHUNK = 4096


def show(path: Path) -> bool:
    """Print a picture on standard output if this terminal can show it; whether it did."""
    if not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return False
    try:
        drawn = "".join(_drawn(path.read_bytes()))
    except (OSError, ImportError):
        return False
    print(drawn)  # noqa: T201 - its purpose
    return bool(drawn)


def _drawn(content: bytes) -> Iterator[str]:
    program, term = os.environ.get("TERM_PROGRAM", ""), os.environ.get("TERM", "")
    direct = "TMUX" not in os.environ  # which swallows what it does not know
    if direct and ("KITTY_WINDOW_ID" in os.environ or "kitty" in term or "ghostty" in (program + term).lower()):
        yield from _kitty(content)
    elif direct and program in ("iTerm.app", "WezTerm"):
        data = base64.b64encode(content).decode()
        yield f"\x1b]1337;File=inline=1;size={len(content)};width={_COLUMNS}:{data}\a"
    elif os.environ.get("COLORTERM") in ("truecolor", "24bit"):
        yield from _blocks(content)


def _kitty(content: bytes) -> Iterator[str]:
    """Kitty's graphics protocol: a PNG in chunks, scaled to so many columns."""
    if not content.startswith(b"\x89PNG"):
        content = _as_png(content)
    data = base64.b64encode(content).decode()
    for start in range(0, len(data), _CHUNK):
        control = f"f=100,a=T,c={_COLUMNS}," if not start else ""
        yield f"\x1b_G{control}m={int(start + _CHUNK < len(data))};{data[start : start + _CHUNK]}\x1b\\"


def _as_png(content: bytes) -> bytes:
    from PIL import Image

    with Image.open(io.BytesIO(content)) as picture:
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return buffer.getvalue()


def _blocks(content: bytes) -> Iterator[str]:
    """Two pixels a character: the upper half block in the colour of one, on the colour of the other."""
    from PIL import Image

    with Image.open(io.BytesIO(content)) as picture:
        small = picture.convert("RGB")
        small.thumbnail((_COLUMNS, _COLUMNS))
        width, height = small.size
        rgb = small.tobytes()
        pixels = [tuple(rgb[place : place + 3]) for place in range(0, len(rgb), 3)]
    for y in range(0, height - 1, 2):
        for x in range(width):
            upper, lower = (";".join(map(str, pixels[row * width + x])) for row in (y, y + 1))
            yield f"\x1b[38;2;{upper}m\x1b[48;2;{lower}m▀"
        yield "\x1b[0m\n" if y + 3 < height else "\x1b[0m"
