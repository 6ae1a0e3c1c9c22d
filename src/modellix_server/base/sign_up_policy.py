"""Who may become a user without being invited."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class SignUpPolicy:
    """Whose addresses may sign up; an invited one always may."""

    everybody: bool = False
    domains: frozenset[str] = frozenset()

    @classmethod
    def of(cls, text: str) -> SignUpPolicy:
        """Read `invited`, `open` or `domain:example.com,example.org`; ValueError for anything else."""
        kind, _, names = text.lower().partition(":")
        domains = frozenset(name.strip() for name in names.split(",") if name.strip())
        if kind in ("invited", "open") and ":" not in text:
            return cls(everybody=kind == "open")
        if kind == "domain" and domains and all(map(_DOMAIN.fullmatch, domains)):
            return cls(domains=domains)
        raise ValueError(f"must be invited, open or domain:example.com, not {text!r}")

    def __str__(self) -> str:
        if self.everybody:
            return "open"
        return f"domain:{','.join(sorted(self.domains))}" if self.domains else "invited"

    def admits(self, email: str) -> bool:
        """Whether this address may sign up uninvited; of a domain, not of those below it."""
        return self.everybody or email.rpartition("@")[2] in self.domains
