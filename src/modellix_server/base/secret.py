"""A secret of the server, from which every use derives a key of its own."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

_LEAST_BYTES = 32
_LEAST_DISTINCT = 16  # of 32 random bytes about 30 differ; fewer than 16 happens once in 10^16
_LEAST_STEPS = 8  # differences between neighbours: counting up, down or by threes has one or two
# What people type when a program asks for 32 bytes, and hashes of it. SHA-256, as bytes.
_WORDS = (
    *(
        "",
        "a",
        "test",
        "secret",
        "password",
        "changeme",
        "change-me",
        "changeit",
        "example",
        "default",
        "admin",
        "root",
    ),
    *("master", "masterkey", "master-key", "key", "modellix", "modellix-secret", "modellix-master-key", "hello", "foo"),
    *("123456", "12345678", "password123", "hello world", "sk-1234", "supersecret", "dev", "development", "insecure"),
)


@dataclass(frozen=True)
class Secret:
    """At least 32 random bytes; never printed."""

    value: bytes = field(repr=False)

    @classmethod
    def of(cls, text: str) -> Secret:
        """Read one from base64; ValueError says what is wrong, in words that follow its name."""
        try:
            return cls(base64.b64decode(text, validate=True))
        except (binascii.Error, ValueError):
            raise ValueError("is not base64 (openssl rand -base64 32)") from None

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key of its own for each purpose, so that no two uses share one (HMAC-SHA-256 as KDF)."""
        return _derived(self.value, purpose)


@lru_cache(maxsize=64)
def _derived(value: bytes, purpose: str) -> bytes:
    return hmac.digest(value, purpose.encode(), hashlib.sha256)


def weakness(secret: Secret) -> str | None:
    """Why this secret could be guessed, in words that follow its name; None when it may be random."""
    value = secret.value
    if len(value) < _LEAST_BYTES:
        return f"has {len(value)} bytes, not the 32 random bytes it must have at least"
    if len(set(value)) < _LEAST_DISTINCT:
        return "is made of few different bytes"
    if any(_repeats(value, period) for period in range(1, len(value) // 2 + 1)):
        return "repeats itself"
    if len({(after - before) % 256 for before, after in pairwise(value)}) < _LEAST_STEPS:
        return "is a sequence"
    if all(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in value):
        return "is text, not random bytes"
    if value in _well_known():
        return "is a well-known example"
    return None


def _repeats(value: bytes, period: int) -> bool:
    return value[period:] == value[:-period]


@lru_cache(maxsize=1)
def _well_known() -> frozenset[bytes]:
    words = [word.encode() + end for word in _WORDS for end in (b"", b"\n")]
    return frozenset(hashlib.new(name, word).digest() for name in ("sha256", "sha512", "sha3_256") for word in words)
