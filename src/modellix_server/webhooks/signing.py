"""Signatures after Standard Webhooks 1.0.0: HMAC-SHA-256 over `id.timestamp.body`, one for each active secret."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from uuid import UUID

_PREFIX = "whsec_"
_SECRET_BYTES = 32  # the specification asks for 24 to 64


def mint() -> str:
    """A new signing secret."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def message_name(message_id: UUID) -> str:
    """The public form of a message's id."""
    return f"msg_{message_id.hex}"


def headers(message_id: UUID, timestamp: int, body: bytes, signing: Sequence[str]) -> dict[str, str]:
    """The three headers of one attempt. `signing` are the secrets in force, the newest first."""
    name = message_name(message_id)
    signed = f"{name}.{timestamp}.".encode() + body
    return {
        "webhook-id": name,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(f"v1,{_sign(secret, signed)}" for secret in signing),
    }


def _sign(secret: str, signed: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
