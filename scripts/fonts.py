"""The fonts of the sandbox's pictures: made of npm packages that are locked by version and SHA-256.

    python scripts/fonts.py            # fetch every package with npm, check it, and write the fonts and the lock
    python scripts/fonts.py --check    # compare the fonts that are there with the lock, without a network

Making them needs `fonttools` and `brotli` in the environment. Left out: hints, other weights, what no text of the
common character sets needs.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fontTools.ttLib import TTFont

_ROOT = Path(__file__).parent.parent
_FOLDER = _ROOT / "src" / "modellix_server" / "sandbox" / "rendering" / "fonts"
_LOCK = Path(__file__).with_suffix(".toml")
_WEIGHT = 500
_MADE_AT = 3_786_912_000
"""The time noted in the fonts, so that the same packages give the same bytes."""
_DROPPED = ("prep", "fpgm", "cvt ", "gasp", "STAT", "DSIG", "FFTM")
_ALPHABETS = ("latin", "latin-ext", "vietnamese", "cyrillic", "cyrillic-ext", "greek", "greek-ext")
_SHAPED = {"arabic": "arabic", "hebrew": "hebrew", "thai": "thai", "devanagari": "devanagari"}


def main() -> int:
    """Make, or check. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="only compare the fonts with the lock")
    if not parser.parse_args().check:
        make(tomllib.loads(_LOCK.read_text())["packages"])
    lock = tomllib.loads(_LOCK.read_text())["files"]
    wrong = [name for name, digest in lock.items() if _digest(_FOLDER / name) != digest]
    sys.stdout.write(f"{', '.join(wrong)} not as the lock says\n" if wrong else f"{len(lock)} fonts are as locked\n")
    return 1 if wrong else 0


def make(packages: dict[str, tuple[str, str]]) -> None:
    """Write the fonts, their licence and their digests. Raises ValueError when a package is not the locked one."""
    from fontTools.merge import Merger

    with tempfile.TemporaryDirectory() as folder:
        archives = {name: _fetch(name, *locked, Path(folder)) for name, locked in packages.items()}
        places = []
        for alphabet in _ALPHABETS:
            places.append(Path(folder, f"{alphabet}.ttf"))
            _only(archives["@fontsource/noto-sans"], alphabet).save(places[-1])
        alphabets = Merger().merge([str(place) for place in places])
        made = {"alphabets": alphabets}
        made |= {name: _only(archives[f"@fontsource/noto-sans-{name}"], part) for name, part in _SHAPED.items()}
        chinese, japanese, korean = (archives[f"@fontsource/noto-sans-{name}"] for name in ("sc", "jp", "kr"))
        made["han"] = _plain([chinese, japanese], _han(chinese))
        made["hangul"] = _plain([korean], _pairs("euc_kr", (0xB0, 0xC8), (0xA1, 0xFE)))
        _FOLDER.mkdir(parents=True, exist_ok=True)
        for name, font in made.items():
            for table in _DROPPED:
                font.tables.pop(table, None)
                if table in font:
                    del font[table]
            font.recalcTimestamp = False
            font["head"].modified = font["head"].created = _MADE_AT
            font["post"].formatType = 3.0
            font.save(_FOLDER / f"{name}.ttf")
        _note_licence(chinese, made)
    kept = _LOCK.read_text().partition("[files]")[0]
    digests = "".join(f'"{path.name}" = "{_digest(path)}"\n' for path in sorted(_FOLDER.glob("*.ttf")))
    _LOCK.write_text(f"{kept}[files]  # SHA-256\n{digests}")


def _fetch(name: str, version: str, digest: str, folder: Path) -> Path:
    done = subprocess.run(
        ["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True, capture_output=True, text=True
    )
    archive = folder / done.stdout.strip()
    if _digest(archive) != digest:
        raise ValueError(f"{name} is not the package that the lock names")
    return archive


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _fonts(archive: Path, part: str) -> Iterator[TTFont]:
    """The fonts of a package whose name has this part (a regular expression), in our weight."""
    from fontTools.ttLib import TTFont

    wanted = re.compile(
        rf"package/files/noto-sans(-(sc|jp|kr|arabic|hebrew|thai|devanagari))?-{part}-{_WEIGHT}-normal\.woff2"
    )
    with tarfile.open(archive) as opened:
        for member in opened:
            content = opened.extractfile(member) if wanted.fullmatch(member.name) else None
            if content is not None:
                font = TTFont(io.BytesIO(content.read()))
                font.flavor = None
                yield font


def _only(archive: Path, part: str) -> TTFont:
    (font,) = _fonts(archive, re.escape(part))
    return font


def _plain(archives: list[Path], wanted: set[int]) -> TTFont:
    """One font of what the packages have of these characters in many files: outlines and widths, nothing else."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.ttLib.tables._g_l_y_f import Glyph

    glyphs, metrics, names = {".notdef": Glyph()}, {".notdef": (500, 0)}, {}
    for archive in archives:
        for font in _fonts(archive, r"(\d+|[a-z-]+)"):
            for point, old in font.getBestCmap().items():
                if point in wanted and point not in names:
                    names[point] = f"u{point:04X}"
                    glyph = font["glyf"][old]
                    if glyph.isComposite():
                        raise ValueError(f"U+{point:04X} is made of other glyphs")
                    glyph.removeHinting()
                    glyphs[names[point]], metrics[names[point]] = glyph, font["hmtx"][old]
    order = [".notdef", *(names[point] for point in sorted(names))]
    builder = FontBuilder(1000, isTTF=True)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(names)
    builder.setupGlyf({name: glyphs[name] for name in order})
    builder.setupHorizontalMetrics({name: metrics[name] for name in order})
    builder.setupHorizontalHeader(ascent=1160, descent=-288)
    builder.setupNameTable({"familyName": "Modellix Sandbox", "styleName": "Medium"})
    builder.setupOS2()
    builder.setupPost(keepGlyphNames=False)
    return builder.font


def _han(chinese: Path) -> set[int]:
    """Characters of Chinese and Japanese: all of the Chinese package, and the national sets of the others."""
    own = {point for font in _fonts(chinese, r"(\d+|[a-z-]+)") for point in font.getBestCmap() if point >= 0x2E80}
    japanese = _pairs("euc_jp", (0xB0, 0xF4), (0xA1, 0xFE))
    traditional = {point for point in _pairs("big5", (0xA4, 0xC6), (0x40, 0xFE)) if point >= 0x4E00}
    kana, punctuation, wide = range(0x3040, 0x3100), range(0x3000, 0x3040), range(0xFF00, 0xFFF0)
    return own | japanese | traditional | {*kana, *punctuation, *wide}


def _pairs(codec: str, first: tuple[int, int], second: tuple[int, int]) -> set[int]:
    """The characters that two bytes in these ranges stand for."""
    found = set()
    for high in range(first[0], first[1] + 1):
        for low in range(second[0], second[1] + 1):
            try:
                text = bytes((high, low)).decode(codec)
            except UnicodeDecodeError:
                continue
            found |= {ord(text)} if len(text) == 1 else set()
    return found


def _note_licence(archive: Path, made: dict[str, TTFont]) -> None:
    with tarfile.open(archive) as opened:
        text = opened.extractfile("package/LICENSE")
        assert text is not None
        body = text.read().decode()
    owners = {"Copyright 2014-2021 Adobe (http://www.adobe.com/), with Reserved Font Name 'Source'"}
    owners |= {str(font["name"].getDebugName(0)) for font in made.values() if font["name"].getDebugName(0)}
    (_FOLDER / "OFL.txt").write_text("\n".join([*sorted(owners), "", body[body.index("This Font Software") :]]))


if __name__ == "__main__":
    sys.exit(main())
