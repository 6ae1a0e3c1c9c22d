"""Encryption of vendor keys: AES-256-GCM under a key derived from MODELLIX_MASTER_KEY."""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from modellix_server.base.settings import Secret
from modellix_server.vault.errors import UnusableAccount

_NONCE_BYTES = 12  # NIST SP 800-38D: random 96-bit nonces are safe for 2^32 encryptions under one key


class Sealed(NamedTuple):
    """A key as it is stored."""

    ciphertext: bytes
    nonce: bytes
    key_id: str


def seal(key: str, master: Secret, *, upstream: str, base_url: str) -> Sealed:
    """Encrypt a vendor key for one upstream at one address."""
    nonce = os.urandom(_NONCE_BYTES)
    return Sealed(
        AESGCM(master.derive("vault")).encrypt(nonce, key.encode(), _bound_to(upstream, base_url)),
        nonce,
        _id(master),
    )


def unseal(sealed: Sealed, master: Secret, *, upstream: str, base_url: str) -> str:
    """The vendor key; raises UnusableAccount under another master key, or for another upstream or address."""
    if sealed.key_id != _id(master):
        raise UnusableAccount(
            f"the key of upstream '{upstream}' was stored under another master key: set MODELLIX_MASTER_KEY to the "
            f"one used then, or store the key again with `admin upstream set {upstream}`"
        )
    try:
        opened = AESGCM(master.derive("vault")).decrypt(sealed.nonce, sealed.ciphertext, _bound_to(upstream, base_url))
    except InvalidTag:
        raise UnusableAccount(
            f"the account of upstream '{upstream}' was changed in the database; "
            f"store its key again with `admin upstream set {upstream}`"
        ) from None
    return opened.decode()


def _bound_to(upstream: str, base_url: str) -> bytes:
    return json.dumps([upstream, base_url]).encode()


def _id(master: Secret) -> str:
    """Names a master key without giving it away."""
    return master.derive("vault key id").hex()[:16]
