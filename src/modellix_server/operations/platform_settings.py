"""The settings of this process, as operators may read them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from modellix_server.base.settings import variables
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """One setting in words."""

    name: str
    value: str
    """Empty where there is none. Of a secret nothing."""
    secret: bool
    given: bool
    """Whether it has a value at all: all that is shown of a secret."""
    meaning: str


def list_all(ctx: Context, who: Principal) -> list[ShownSetting]:
    """All settings in the order of the documentation; of secrets only whether they are set."""
    who.require(Permission.OPERATE)
    found = []
    for one in variables():
        field = one.name.removeprefix("MODELLIX_").lower()
        if hasattr(ctx.settings, field):  # others choose where settings come from
            value = getattr(ctx.settings, field)
            words = "" if one.secret else _words(value)
            found.append(ShownSetting(one.name, words, one.secret, given=bool(value), meaning=one.help))
    return found


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, float):
        return f"{value:g}"
    text = str(value)
    parts = urlsplit(text)
    if parts.scheme and (parts.query or "@" in parts.netloc):  # either may hold a password
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "…" if parts.query else "", ""))
    return text
