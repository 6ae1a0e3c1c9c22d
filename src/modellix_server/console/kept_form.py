"""What somebody typed, kept over a sign-in: a form, in a hidden field of the pages on the way.

Nothing is stored, except while the browser is at an identity provider. Secrets are left out and asked for again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from yarl import URL, query_to_pairs

_LONGEST = 64 * 1024
_SECRETS = ("code", "key")
"""Fields that are never kept: codes that are worth money or sign in, keys of vendors and our own."""


@dataclass(frozen=True, slots=True)
class KeptForm:
    """A form that could not be taken yet."""

    fields: tuple[tuple[str, str], ...] = ()
    secrets: tuple[str, ...] = ()
    """Names of fields that are typed anew."""
    user_id: int | None = None
    """Whose it is; None where nobody can tell."""

    @classmethod
    def of(cls, fields: Iterable[tuple[str, str]], user_id: int | None = None) -> KeptForm:
        """What a browser sent."""
        given = tuple(fields)
        secrets = tuple(name for name, _ in given if name in _SECRETS)
        return cls(tuple(one for one in given if one[0] not in _SECRETS), secrets, user_id)

    @classmethod
    def read(cls, text: str) -> KeptForm:
        """The form of a hidden field, which the browser may have changed."""
        if len(text) > _LONGEST:
            return cls()
        given = query_to_pairs(text)
        user_id = next((value for name, value in given if name == "" and value.isdecimal() and len(value) < 19), None)
        secrets = tuple(name for name, value in given if name in _SECRETS)
        fields = tuple(one for one in given if one[0] and one[0] not in _SECRETS)
        return cls(fields, secrets, int(user_id) if user_id else None)

    @property
    def text(self) -> str:
        """As a hidden field holds it; empty for a form that is too long."""
        given = [("", str(self.user_id or "")), *self.fields, *((name, "") for name in self.secrets)]
        text = URL.build(query=given).raw_query_string if self else ""
        return text if len(text) <= _LONGEST else ""

    def __bool__(self) -> bool:
        return bool(self.fields or self.secrets)
