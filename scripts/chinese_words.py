"""The Chinese words that the documentation's search knows: those of its pages, as jieba cuts them.

    python scripts/chinese_words.py            # write them down
    python scripts/chinese_words.py --check    # say how many of the words of the pages are not among them

A page with words that are not among them is found all the same, by pairs of characters: see docsite/words.py.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import rjieba

from modellix_server.docsite import ranking
from modellix_server.docsite.words import chinese_stop_words

TOP = Path(__file__).parents[1]
SOURCE = TOP / "src" / "modellix_server"
FILE = SOURCE / "docsite" / "chinese_words.txt"
_CHINESE = re.compile(r"[\u3400-\u9fff]+")
_LONGEST = 6


def wanted() -> list[str]:
    """All of them, in order."""
    places = [*(TOP / "docs" / "site" / "zh").rglob("*.md"), SOURCE / "docsite" / "synonyms.txt"]
    places += [SOURCE / "docsite" / "locale" / "zh.po", SOURCE / "web" / "locale" / "models" / "zh.po"]
    runs = {run for place in places for run in _CHINESE.findall(place.read_text(encoding="utf-8"))}
    found = {word for run in runs for word in rjieba.cut_for_search(run, hmm=False)}
    found |= chinese_stop_words() | {word for word in ranking.GENERIC_WORDS if _CHINESE.fullmatch(word)}
    return sorted(word for word in found if 1 < len(word) <= _LONGEST)


def main() -> int:
    """Write the file, or check it. Returns the exit code."""
    words = wanted()
    if "--check" not in sys.argv:
        FILE.write_text("\n".join(words) + "\n", encoding="utf-8")
        return 0
    missing = set(words) - set(FILE.read_text(encoding="utf-8").split())
    sys.stdout.write(f"{len(missing)} of {len(words)} words are missing: {' '.join(sorted(missing)[:20])}\n")
    return 1 if len(missing) > len(words) // 50 else 0


if __name__ == "__main__":
    sys.exit(main())
