"""Where people who use an installation find help: the operator's address or page."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_MAIL = re.compile(r"[A-Za-z0-9.!#$&'*+/=^_{|}~-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*", re.ASCII)
_MOST_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class SupportContact:
    """An address of mail or of a page."""

    text: str
    href: str

    @classmethod
    def of(cls, text: str) -> SupportContact:
        """Read `help@example.com` or `https://example.com/help`; ValueError for anything else."""
        if len(text) <= _MOST_CHARACTERS:
            if _MAIL.fullmatch(text):
                return cls(text, f"mailto:{text}")
            if _is_page(text):
                return cls(text.partition("//")[2].rstrip("/"), text)
        raise ValueError(f"must be an address of mail, or of a page at https://…, not {text!r}")

    def __str__(self) -> str:
        return self.text


def _is_page(text: str) -> bool:
    try:
        parts = urlsplit(text)
        host = parts.hostname
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(host) and "@" not in parts.netloc and text.isprintable()
