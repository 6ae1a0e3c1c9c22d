"""Messages about ended tasks: whether one is genuine, and what it says (Standard Webhooks)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping

import msgspec

from modellix.errors import WebhookForged
from modellix.types import TaskState


class _Message(msgspec.Struct, frozen=True):
    data: TaskState


def verify(body: bytes, headers: Mapping[str, str], secret: str, *, tolerance_s: float = 300) -> TaskState:
    """What a message says, once its signature is checked. `body` is the raw body, `secret` begins with `whsec_`.

    Raises WebhookForged where the signature is missing or wrong, or the message older than `tolerance_s` seconds.
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        id_, sent_at = given["webhook-id"], given["webhook-timestamp"]
        signatures = [part.removeprefix("v1,") for part in given["webhook-signature"].split() if part[:3] == "v1,"]
        age_s = abs(time.time() - int(sent_at))
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except KeyError as missing:
        raise WebhookForged(f"the header {missing.args[0]} is missing") from None
    except binascii.Error:
        raise WebhookForged("the secret is none: it begins with whsec_, and base64 follows") from None
    except ValueError:
        raise WebhookForged("the header webhook-timestamp is no time") from None
    if age_s > tolerance_s:
        raise WebhookForged(f"the message was signed {age_s:.0f} seconds ago, or will be")
    expected = hmac.digest(key, b"%s.%s." % (id_.encode(), sent_at.encode()) + body, hashlib.sha256)
    wanted = base64.b64encode(expected)
    if not any(hmac.compare_digest(wanted, signature.encode()) for signature in signatures):
        raise WebhookForged("the signature does not fit the message")
    return msgspec.json.decode(body, type=_Message).data
