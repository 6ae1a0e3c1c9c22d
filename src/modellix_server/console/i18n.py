"""Texts in the reader's language: those of `web.texts`, chosen once a request."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import date
from functools import cache, lru_cache
from gettext import NullTranslations

from babel.dates import format_skeleton

from modellix_server.console.said import CONTEXT, Sayings
from modellix_server.web.texts import entries_of, texts_of

_reader: ContextVar[NullTranslations] = ContextVar("reader", default=NullTranslations())  # noqa: B039 - never changed
_language: ContextVar[str] = ContextVar("language", default="en")


def read_in(language: str) -> None:
    """Give the texts of this request in a language."""
    _reader.set(texts_of(__package__, language))
    _language.set(language)


@cache
def _sayings_of(language: str) -> Sayings:
    return Sayings(entries_of(__package__, language, CONTEXT))


def said(text: str) -> str:
    """What the platform says in English below the pages (a refusal, a finding, a note), in the reader's language."""
    return _sayings_of(_language.get()).say(text)


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
