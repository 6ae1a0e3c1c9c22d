"""Draws docs/images/submission.svg from the table of docs/site/en/architecture.md. Usage: submission_diagram.py."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from itertools import groupby
from pathlib import Path

TOP = Path(__file__).parents[1]
PAGE = TOP / "docs/site/en/architecture.md"
IMAGE = TOP / "docs/images/submission.svg"
ROW = re.compile(r"^\| (\d+) \| ([^|]+) \| `([^`]+)` \| ([^|]+) \|$", re.MULTILINE)
COLUMNS = {
    "API process: serve": ("Receive", "Admit", "Read", "Check and price", "Accept"),
    "Worker: work": ("Claim", "Prepare", "Submit", "Poll", "Store", "Settle"),
}
OUTSIDE = {
    "Admit": "PostgreSQL: keys, limits",
    "Accept": "PostgreSQL: hold, slot and task in one transaction",
    "Claim": "PostgreSQL: lease of the task row, the queue entry",
    "Submit": "PostgreSQL: intent; then the vendor: POST",
    "Poll": "vendor: GET, until the verdict",
    "Store": "vendor: files; PostgreSQL: verdict",
    "Settle": "PostgreSQL: state, money, result in one transaction",
}
LAYERS = {
    **dict.fromkeys(["api"], "a"),
    **dict.fromkeys(["operations"], "b"),
    **dict.fromkeys(["tasks"], "c"),
    **dict.fromkeys(["ledger", "identity", "limits", "pricing", "results"], "d"),
    **dict.fromkeys(["upstreams"], "e"),
    **dict.fromkeys(["catalogue"], "f"),
}
LEGEND = (
    ("a", "api"),
    ("b", "operations"),
    ("c", "tasks"),
    ("d", "ledger, identity, limits, pricing, results"),
    ("e", "upstreams"),
    ("f", "catalogue"),
)
WIDTH, LEFT, RIGHT, BOX, LINE, TOP_Y = 980, 10, 500, 470, 21, 52
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .path { font-family: ui-monospace, SFMono-Regular, Menlo, monospace }
  .title { font-size: 15px; font-weight: 600 }
  .phase { font-weight: 600 }
  .quiet { fill: #59636e }
  .box { fill: #f6f8fa; stroke: #d1d9e0 }
  .arrow { stroke: #59636e; fill: none; marker-end: url(#head) }
  .head { fill: #59636e }
  .a { fill: #0969da } .b { fill: #8250df } .c { fill: #cf222e } .d { fill: #1a7f37 } .e { fill: #bc4c00 }
  .f { fill: #9a6700 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .quiet, .head { fill: #9198a1 }
    .box { fill: #151b23; stroke: #3d444d }
    .arrow { stroke: #9198a1 }
    .a { fill: #4493f8 } .b { fill: #ab7df8 } .c { fill: #f85149 } .d { fill: #3fb950 } .e { fill: #db6d28 }
    .f { fill: #d29922 }
  }
"""

Step = tuple[str, str, str, str]
"""Number, phase, file, what it does."""


def steps() -> list[Step]:
    """The rows of the page's table."""
    return ROW.findall(PAGE.read_text(encoding="utf-8"))


def draw(rows: Iterable[Step]) -> str:
    """The image. Raises KeyError for a phase or a room that it does not know."""
    phases = {phase: list(group) for phase, group in groupby(rows, key=lambda row: row[1])}
    parts, bottom = [], 0
    for x, (title, names) in zip((LEFT, RIGHT), COLUMNS.items(), strict=True):
        parts.append(f'<text class="title" x="{x}" y="32">{title}</text>')
        y = TOP_Y
        for name in names:
            below = y + 34 + LINE * len(phases[name])
            parts += box(x, y, below - y, name, phases[name])
            if name != names[-1]:
                parts.append(f'<path class="arrow" d="M{x + 24} {below} v12"/>')
            y = below + 18
        bottom = max(bottom, y)
    parts += legend(bottom + 8)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 22}" role="img">\n'
        f"<title>One submission, from HTTP to settled</title>\n<style>{STYLE}</style>\n"
        '<defs><marker id="head" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path class="head" d="M0 0 L8 4 L0 8 z"/></marker></defs>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def box(x: int, y: int, height: int, phase: str, rows: list[Step]) -> Iterator[str]:
    """One phase with its files."""
    yield f'<rect class="box" x="{x}" y="{y}" width="{BOX}" height="{height}" rx="6"/>'
    yield f'<text class="phase" x="{x + 12}" y="{y + 19}">{escape(phase)}</text>'
    if phase in OUTSIDE:
        yield f'<text class="quiet" x="{x + BOX - 12}" y="{y + 19}" text-anchor="end">{escape(OUTSIDE[phase])}</text>'
    for place, (number, _, file, _) in enumerate(rows):
        middle = y + 38 + LINE * place
        yield f'<rect class="{LAYERS[file.partition("/")[0]]}" x="{x + 12}" y="{middle - 8}" width="4" height="14"/>'
        yield f'<text class="quiet" x="{x + 42}" y="{middle + 4}" text-anchor="end">{number}</text>'
        yield f'<text class="path" x="{x + 52}" y="{middle + 4}">{file}</text>'


def legend(y: int) -> Iterator[str]:
    """The rooms by colour, from the highest layer to the lowest."""
    x = LEFT
    for kind, rooms in LEGEND:
        yield f'<rect class="{kind}" x="{x}" y="{y - 10}" width="10" height="10"/>'
        yield f'<text x="{x + 16}" y="{y}">{rooms}</text>'
        x += 46 + 7 * len(rooms)


if __name__ == "__main__":
    IMAGE.write_text(draw(steps()), encoding="utf-8")
