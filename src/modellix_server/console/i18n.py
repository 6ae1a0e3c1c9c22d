"""Texts in the reader's language. English texts are the message ids; `locale/<language>.po` holds the others.

`locale/models/<language>.po` holds what model files say; a model's text that is not in it is shown in English.
"""

from __future__ import annotations

import io
from contextvars import ContextVar
from datetime import date
from functools import cache, lru_cache
from gettext import NullTranslations
from importlib.resources import files

from babel.core import negotiate_locale
from babel.dates import format_skeleton
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

LANGUAGES = ("en", "zh")

_reader: ContextVar[NullTranslations] = ContextVar("reader", default=NullTranslations())  # noqa: B039 - never changed
_language: ContextVar[str] = ContextVar("language", default="en")


@cache
def _texts(language: str) -> NullTranslations:
    found = NullTranslations()
    for name in (f"{language}.po", f"models/{language}.po"):
        file = files(__package__).joinpath("locale", name)
        if file.is_file():
            compiled = io.BytesIO()
            with file.open("rb") as opened:
                write_mo(compiled, read_po(opened, locale=language))
            compiled.seek(0)
            more = Translations(compiled)
            more.add_fallback(found)
            found = more
    return found


def language_of(chosen: str | None, accepted: str) -> str:
    """The language of a page: the user's choice, or the best of an `Accept-Language` header (RFC 9110, 12.5.4)."""
    if chosen is not None:
        return chosen
    wanted = []
    for part in accepted[:200].split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            wanted.append((float(weight or 1), tag.partition("-")[0]))
        except ValueError:
            continue
    wanted.sort(key=lambda one: -one[0])
    return negotiate_locale([tag for weight, tag in wanted if weight > 0], LANGUAGES) or "en"


def read_in(language: str) -> None:
    """Give the texts of this request in a language."""
    _reader.set(_texts(language))
    _language.set(language)


def gettext(text: str) -> str:
    """A text in the reader's language."""
    return _reader.get().gettext(text)


def ngettext(one: str, many: str, number: int) -> str:
    """A text about a number of things in the reader's language."""
    return _reader.get().ngettext(one, many, number)


def pgettext(context: str, text: str) -> str:
    """A text in the reader's language that means something else in other places: a role `Billing`, a page `Billing`."""
    return _reader.get().pgettext(context, text)


def date_words(day: date, *, year: bool) -> str:
    """A date as the reader's language has it: `Oct 31`, `10月31日`; with `year` `Oct 31, 2026`, `2026年10月31日`."""
    return _date_words(day, _language.get(), "yMMMd" if year else "MMMd")


@lru_cache(2_000)
def _date_words(day: date, language: str, skeleton: str) -> str:
    return format_skeleton(skeleton, day, locale=language)


def model_text(text: str) -> str:
    """What a model file says, in the reader's language as far as it is known."""
    return _reader.get().pgettext("model", text)
