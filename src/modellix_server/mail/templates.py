"""The texts of messages: one plain text for each kind and language, from which the HTML part is made.

The first line of a template is the subject. In the HTML part, a line that is a link becomes one, and a line of
digits alone is shown large.
"""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

LANGUAGES = ("en", "zh")
_LINK = re.compile(r"https?://[^\s<>\"']+")
_CODE = re.compile(r"\d{4,10}")
_WORD_JOINER = "\u2060"


class Rendered(NamedTuple):
    """A message's subject, which is one line, and its plain text."""

    subject: str
    body: str


def harmless(text: str) -> str:
    """A name that somebody chose, as it may stand in a message: one line, no control characters, no link.

    Mail programs make links of what looks like one; a word joiner after each dot, colon and slash prevents that.
    """
    plain = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in text)
    return re.sub(r"([.:/@])(?=\S)", rf"\1{_WORD_JOINER}", " ".join(plain.split()))


def render(kind: str, language: str | None, values: Mapping[str, str]) -> Rendered:
    """The message of this kind; English where there is no other language or none is known."""
    chosen = language if language in LANGUAGES else "en"
    text = _environment().get_template(f"{chosen}/{kind}.txt").render(values)
    subject, _, body = text.partition("\n")
    return Rendered(" ".join(subject.split()), body.strip() + "\n")


def html_part(body: str) -> str:
    """The HTML form of a plain text."""
    blocks = [_block(part) for part in re.split(r"\n{2,}", body.strip())]
    return _environment().get_template("message.html").render(blocks=blocks)


def _block(text: str) -> tuple[str, str]:
    for kind, form in (("link", _LINK), ("code", _CODE)):
        if form.fullmatch(text):
            return kind, text
    return "text", text


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("modellix_server.mail"),
        autoescape=select_autoescape(["html"]),  # plain texts must not be
        undefined=StrictUndefined,
        auto_reload=False,
        keep_trailing_newline=True,
    )
