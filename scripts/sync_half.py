"""The synchronous half of the Python client, made from the asynchronous one by replacing words.

python scripts/sync_half.py            # write clients/python/src/modellix/_sync
python scripts/sync_half.py --check    # say which files are not what they should be, and change nothing
"""

from __future__ import annotations

import io
import re
import sys
import tokenize
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "clients/python/src/modellix"
SOURCE, MADE = PACKAGE / "_async", PACKAGE / "_sync"
NOTE = "# Made from _async by scripts/sync_half.py: change it there.\n"

WORDS = {
    "AsyncIterator": "Iterator",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "_async": "_sync",
    "aclose": "close",
    "aiter_bytes": "iter_bytes",
    "aiter_lines": "iter_lines",
    "aread": "read",
    "asynccontextmanager": "contextmanager",
    "asyncio": "time",
}
DROPPED = {"async", "await"}
OUR_CLASS = re.compile(r"\bAsync(?=[A-Z])")


def main() -> int:
    """Write or check all files; the exit status."""
    check = "--check" in sys.argv[1:]
    wrong = []
    for source in sorted(SOURCE.glob("*.py")):
        text, place = converted(source.read_text(encoding="utf-8")), MADE / source.name
        if not place.exists() or place.read_text(encoding="utf-8") != text:
            wrong.append(place)
            if not check:
                MADE.mkdir(exist_ok=True)
                place.write_text(text, encoding="utf-8")
    wrong += [place for place in MADE.glob("*.py") if not (SOURCE / place.name).exists()]
    for place in wrong:
        print(f"{place}: {'is not what its source makes' if check else 'written'}")  # noqa: T201 - its purpose
    return 1 if check and wrong else 0


def converted(source: str) -> str:
    """The synchronous form of a module."""
    lines = source.splitlines(keepends=True)
    changes: list[tuple[int, int, int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        (line, start), (last_line, end) = token.start, token.end
        if token.type == tokenize.NAME and token.string in DROPPED:
            after = len(lines[line - 1][end:]) - len(lines[line - 1][end:].lstrip(" "))
            changes.append((line, start, end + after, ""))
        elif token.type == tokenize.NAME:
            changes.append((line, start, end, WORDS.get(token.string) or OUR_CLASS.sub("", token.string)))
        elif token.type == tokenize.STRING and line == last_line and "Async" in token.string:
            changes.append((line, start, end, OUR_CLASS.sub("", token.string)))
    for line, start, end, text in reversed(changes):
        lines[line - 1] = lines[line - 1][:start] + text + lines[line - 1][end:]
    made = "".join(lines).replace("The asynchronous half: the source, from which", "The synchronous half, which")
    return NOTE + made.replace("makes the other", "makes from the other")


if __name__ == "__main__":
    sys.exit(main())
