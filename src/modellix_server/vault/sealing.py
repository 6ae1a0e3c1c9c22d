"""The form in which version 0.1.0 stored vendor keys: AES-256-GCM directly under the master key.

Rows keep it until a rotation; new ones are sealed by `base.envelope`.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from modellix_server.base.envelope import SealBroken, UnknownMasterKey
from modellix_server.base.secret import Secret


class OldForm(NamedTuple):
    """A key as version 0.1.0 stored it."""

    ciphertext: bytes
    nonce: bytes
    key_id: str

    def open(self, keys: Sequence[Secret], *, upstream: str, base_url: str) -> str:
        """The vendor key; raises UnknownMasterKey, or SealBroken for a changed row."""
        bound = json.dumps([upstream, base_url]).encode()
        for key in keys:
            if self.key_id == old_key_id(key):
                try:
                    return AESGCM(key.derive("vault")).decrypt(self.nonce, self.ciphertext, bound).decode()
                except InvalidTag:
                    raise SealBroken("the stored key was changed, or is not where it was stored for") from None
        raise UnknownMasterKey(f"stored under the master key {self.key_id}, which is not given here")


def old_key_id(master: Secret) -> str:
    """The id by which version 0.1.0 refers to a master key; it reveals nothing about the key."""
    return master.derive("vault key id").hex()[:16]
