"""Envelope encryption of what is stored: a data key for each secret, wrapped by a master key.

A sealed secret is one value of bytes, to be kept in a `bytea` column:

    version 1 byte | id of the master key 8 | nonce 12 | wrapped data key 48 | nonce 12 | ciphertext, tag 16

Both layers are AES-256-GCM and bound to a context (table, row and whatever else must not change): a value
copied into another row, or a row that points elsewhere, cannot be opened. A rotation replaces only the wrapping.
This module knows no tables; `base.sealed` re-wraps them.
"""

import json
import os
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from modellix_server.base.secret import Secret

KEY_ID = slice(1, 9)
"""Where in a sealed value the id of its master key stands."""

_VERSION = 1
_NONCE = 12  # NIST SP 800-38D: random 96-bit nonces are safe for 2^32 encryptions under one key
_DATA_KEY = 32
_WRAPPED = slice(KEY_ID.stop, KEY_ID.stop + _NONCE + _DATA_KEY + 16)

MasterKeys = tuple[Secret, tuple[Secret, ...]]
"""The current key, and the former ones."""


class CannotOpen(RuntimeError):
    """A sealed value cannot be opened; the message contains no secret."""


class UnknownMasterKey(CannotOpen):
    """It was sealed under a master key that is not in the ring."""


class SealBroken(CannotOpen):
    """Its master key is in the ring, but the value or what it is bound to was changed."""


class Keyring:
    """The master keys of a process: seals under the current one, opens what any of them sealed.

    With `reread` the keys are read again before sealing, and when the id of a key is unknown: in the embedded mode a
    rotation changes them under running processes.
    """

    def __init__(
        self, current: Secret, old: Sequence[Secret] = (), *, reread: Callable[[], MasterKeys] | None = None
    ) -> None:
        self._reread = reread
        self._set(current, old)

    def _set(self, current: Secret, old: Sequence[Secret]) -> None:
        self.keys: tuple[Secret, ...] = (current, *old)
        self._by_id = {_key_id(key): key for key in self.keys}

    @property
    def current_id(self) -> bytes:
        """Id of the key that new values are sealed under; reveals nothing about the key."""
        return _key_id(self.keys[0])

    def refresh(self) -> None:
        """Read the keys again, where they can change."""
        if self._reread is not None:
            self._set(*self._reread())

    def knows(self, key_id: bytes) -> bool:
        """Whether the master key of this id is in the ring."""
        if key_id not in self._by_id:
            self.refresh()
        return key_id in self._by_id

    def seal(self, secret: str, *context: str) -> bytes:
        """Encrypt a secret, bound to the context."""
        self.refresh()
        data_key = os.urandom(_DATA_KEY)
        return self._wrap(data_key, context) + _encrypt(data_key, secret.encode(), _bound(context))

    def open(self, sealed: bytes, *context: str) -> str:
        """The secret; raises UnknownMasterKey, or SealBroken for an altered value or another context."""
        return _decrypt(self._unwrap(sealed, context), sealed[_WRAPPED.stop :], _bound(context)).decode()

    def rewrap(self, sealed: bytes, *context: str) -> bytes:
        """The same secret under the current master key; its ciphertext stays. Raises what `open` raises."""
        self.open(sealed, *context)  # a value that cannot be opened is not re-wrapped
        return self._wrap(self._unwrap(sealed, context), context) + sealed[_WRAPPED.stop :]

    def _wrap(self, data_key: bytes, context: Sequence[str]) -> bytes:
        head = bytes([_VERSION]) + self.current_id
        return head + _encrypt(_wrapping_key(self.keys[0]), data_key, head + _bound(context))

    def _unwrap(self, sealed: bytes, context: Sequence[str]) -> bytes:
        if len(sealed) <= _WRAPPED.stop or sealed[0] != _VERSION:
            raise SealBroken("this is not a sealed value")
        if not self.knows(sealed[KEY_ID]):
            raise UnknownMasterKey(f"sealed under the master key {sealed[KEY_ID].hex()}, which is not given here")
        key = _wrapping_key(self._by_id[sealed[KEY_ID]])
        return _decrypt(key, sealed[_WRAPPED], sealed[: KEY_ID.stop] + _bound(context))


def _key_id(key: Secret) -> bytes:
    """Id of a master key; reveals nothing about the key."""
    return key.derive("envelope key id")[: KEY_ID.stop - KEY_ID.start]


def _wrapping_key(key: Secret) -> bytes:
    return key.derive("envelope")


def _bound(context: Sequence[str]) -> bytes:
    return json.dumps(context).encode()


def _encrypt(key: bytes, plain: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound)


def _decrypt(key: bytes, nonce_and_ciphertext: bytes, bound: bytes) -> bytes:
    nonce, ciphertext = nonce_and_ciphertext[:_NONCE], nonce_and_ciphertext[_NONCE:]
    try:
        return AESGCM(key).decrypt(nonce, ciphertext, bound)
    except (InvalidTag, ValueError):  # the latter for a truncated nonce
        raise SealBroken("the sealed value was changed, or is not where it was sealed for") from None
