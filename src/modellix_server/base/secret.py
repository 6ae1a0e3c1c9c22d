"""A secret of the server, from which every use derives a key of its own."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from functools import lru_cache


@dataclass(frozen=True)
class Secret:
    """At least 32 random bytes; never printed."""

    value: bytes = field(repr=False)

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key of its own for each purpose, so that no two uses share one (HMAC-SHA-256 as KDF)."""
        return _derived(self.value, purpose)


@lru_cache(maxsize=64)
def _derived(value: bytes, purpose: str) -> bytes:
    return hmac.digest(value, purpose.encode(), hashlib.sha256)
