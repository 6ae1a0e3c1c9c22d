"""Texts in other languages. English texts are the message ids; each room's `locale/<language>.po` holds the others.

`web/locale/models/<language>.po` holds what model files say; a model's text that is not in it is shown in English.
"""

from __future__ import annotations

import io
from functools import cache
from gettext import NullTranslations
from importlib.resources import files

from babel.core import negotiate_locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

LANGUAGES = ("en", "zh")


@cache
def texts_of(package: str, language: str) -> NullTranslations:
    """The texts of a room's pages, and of models, in a language."""
    found = NullTranslations()
    for room, name in ((package, f"{language}.po"), (__package__, f"models/{language}.po")):
        file = files(room).joinpath("locale", name)
        if file.is_file():
            compiled = io.BytesIO()
            with file.open("rb") as opened:
                write_mo(compiled, read_po(opened, locale=language))
            compiled.seek(0)
            more = Translations(compiled)
            more.add_fallback(found)
            found = more
    return found


def entries_of(package: str, language: str, context: str) -> list[tuple[str, str]]:
    """Each text of a room that has a context, with its translation."""
    file = files(package).joinpath("locale", f"{language}.po")
    if not file.is_file():
        return []
    with file.open("rb") as opened:
        found = read_po(opened, locale=language)
    return [(str(one.id), str(one.string)) for one in found if one.context == context and one.string]


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
