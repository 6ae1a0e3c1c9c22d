"""What the platform says in English below the pages, in the reader's language.

Refusals, findings, notes and stored reasons are English sentences: the API, the commands and the records keep them so.
The catalogue holds the templates they were made from, as `said` (`scripts/said.py`); here a sentence is read back by
its template, and said anew with the same values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CONTEXT = "said"
_VALUE = re.compile(r"%\((\w+)\)s")
_DEPTH = 4
_LONGEST = 1_000
_MOST_READ = 100


@dataclass(frozen=True, slots=True)
class _Template:
    words: tuple[str, ...]
    """Its own words: before, between and after the values."""
    names: tuple[str, ...]
    translation: str

    @property
    def length(self) -> int:
        return sum(map(len, self.words))

    def values_in(self, text: str) -> tuple[str, ...] | None:
        """The values of a sentence that this template made; each ends where the next words first stand."""
        first, *between, last = self.words
        if not (text.startswith(first) and text.endswith(last)):
            return None
        at, values = len(first), []
        for words in between:
            found = text.find(words, at)
            if found < 0:
                return None
            values.append(text[at:found])
            at = found + len(words)
        end = len(text) - len(last)
        return (*values, text[at:end]) if at <= end else None

    def filled(self, values: Sequence[str]) -> str:
        """The sentence in the other language."""
        said = dict(zip(self.names, values, strict=True))
        return _VALUE.sub(lambda one: said[one[1]], self.translation)

    def quotes(self, place: int) -> bool:
        """Whether a value is somebody's own word, and not one of ours."""
        return self.words[place].endswith("'") and self.words[place + 1].startswith("'")


class Sayings:
    """The templates of one language."""

    def __init__(self, texts: Iterable[tuple[str, str]]) -> None:
        self._whole: dict[str, str] = {}
        self._templates: list[_Template] = []
        for text, translation in texts:
            words, names = tuple(_VALUE.split(text)[::2]), tuple(_VALUE.findall(text))
            if names:
                self._templates.append(_Template(words, names, translation))
            else:
                self._whole[text] = translation

    def say(self, text: str) -> str:
        """A sentence in this language, with the sentences among its values; the text itself if no template made it."""
        return self._read(text, _DEPTH, {})[1].strip() if len(text) <= _LONGEST else text

    def _read(self, text: str, depth: int, known: dict[str, tuple[int, str]]) -> tuple[int, str]:
        """How many of its characters are words of templates, and what they say: the reading that knows most.

        A hostile text has many readings; after `_MOST_READ` parts the rest stays as it is.
        """
        if (whole := self._whole.get(text)) is not None:
            return len(text), whole
        if text in known or not depth or len(known) >= _MOST_READ:
            return known.get(text, (0, text))
        best = known[text] = (0, text)
        for template in self._templates:
            if (values := template.values_in(text)) is not None:
                read = [
                    (0, value) if template.quotes(place) else self._read(value, depth - 1, known)
                    for place, value in enumerate(values)
                ]
                length = template.length + sum(length for length, _ in read)
                if length > best[0]:
                    best = known[text] = length, template.filled([one for _, one in read])
        return best
