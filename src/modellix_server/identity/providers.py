"""Identity providers that an installation names: what they must do, and which there are."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from modellix_server.base.errors import PlatformError, Unavailable
from modellix_server.base.external_link import Origins
from modellix_server.base.outbound import Answer, AnswerLost, NotSent, Outbound

_TIMEOUT_S = 15.0
_MOST_BYTES = 1_000_000


class ProviderRefused(PlatformError):
    """What came back from a provider is not to be believed, or says no."""

    status, category, code = 401, "Authentication failed", "provider_refused"


@dataclass(frozen=True, slots=True)
class OutsidePerson:
    """Whom a provider says that a browser belongs to."""

    issuer: str
    subject: str
    email: str | None
    """Only one that the provider has verified."""
    name: str
    account: str
    """What the owner recognises the account by."""


@dataclass(frozen=True, slots=True)
class Departure:
    """What a browser takes along to a provider, and must bring back."""

    state: str
    nonce: str
    verifier: str
    """Of PKCE (RFC 7636); its SHA-256 goes along."""
    redirect_uri: str

    @property
    def challenge(self) -> str:
        """The SHA-256 of the verifier."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Provider(Protocol):
    """Somebody who knows people. `slug` is its name in paths, `title` on buttons."""

    slug: str
    title: str

    async def address(self, http: Outbound, departure: Departure) -> str:
        """Where to send the browser. Raises Unavailable."""

    async def person(self, http: Outbound, departure: Departure, brought: Mapping[str, str]) -> OutsidePerson:
        """Who has come back, with these query parameters. Raises ProviderRefused, Unavailable."""


def departure(redirect_uri: str) -> Departure:
    """Random values for one browser."""
    return Departure(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), redirect_uri)


async def ask(
    http: Outbound,
    provider: Provider,
    method: str,
    url: str,
    origins: Origins,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
) -> Any:
    """The JSON that a provider answers with. Raises ProviderRefused for another status than 200, Unavailable."""
    sent = {"Accept": "application/json", **(headers or {})}
    try:
        answer: Answer = await http.call(
            method, url, headers=sent, body=body, origins=origins, timeout_s=_TIMEOUT_S, max_bytes=_MOST_BYTES
        )
    except (NotSent, AnswerLost):
        raise Unavailable(f"{provider.title} cannot be reached") from None
    if answer.status >= 500:
        raise Unavailable(f"{provider.title} cannot answer for now")
    if answer.status != 200:
        raise ProviderRefused(f"{provider.title} refused: try again")
    try:
        return msgspec.json.decode(answer.body)
    except msgspec.DecodeError:
        raise ProviderRefused(f"{provider.title} answered with something that is no JSON") from None
