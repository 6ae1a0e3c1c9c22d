"""OpenID Connect (Core 1.0, Discovery 1.0): the authorization code flow with PKCE, state and nonce."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from modellix_server.base.external_link import Origins
from modellix_server.base.outbound import Outbound
from modellix_server.identity.providers import Departure, OutsidePerson, ProviderRefused, ask

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
"""Signatures by keys that only the provider has."""
_LEEWAY_S = 60
_KEPT_S = 600.0
_NEEDED = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class OidcProvider:
    """A provider that is known by its issuer."""

    def __init__(self, slug: str, title: str, issuer: str, client_id: str, client_secret: str) -> None:
        self.slug = slug
        self.title = title
        self._issuer = issuer
        self._client = (client_id, client_secret)
        self._origins = Origins.of(issuer)
        self._metadata: dict[str, Any] = {}
        self._read_at = 0.0

    async def address(self, http: Outbound, departure: Departure) -> str:
        """Where to send the browser. Raises Unavailable, ProviderRefused."""
        endpoint = (await self._discover(http))["authorization_endpoint"]
        asked = {
            "response_type": "code",
            "client_id": self._client[0],
            "redirect_uri": departure.redirect_uri,
            "scope": "openid email profile",
            "state": departure.state,
            "nonce": departure.nonce,
            "code_challenge": departure.challenge,
            "code_challenge_method": "S256",
        }
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(asked)}"

    async def person(self, http: Outbound, departure: Departure, brought: Mapping[str, str]) -> OutsidePerson:
        """Who has come back. Raises ProviderRefused, Unavailable."""
        metadata = await self._discover(http)
        # RFC 9207: an answer of another issuer must not be taken for one of this.
        if brought.get("iss", metadata["issuer"]) != metadata["issuer"] or (
            metadata.get("authorization_response_iss_parameter_supported") is True and "iss" not in brought
        ):
            raise ProviderRefused("this answer came from another issuer")
        tokens = await self._redeem(http, metadata, departure, brought.get("code", ""))
        claims = await self._verified(http, metadata, tokens.get("id_token"), departure.nonce)
        if "email" not in claims and isinstance(metadata.get("userinfo_endpoint"), str):
            headers = {"Authorization": f"Bearer {tokens.get('access_token', '')}"}
            more = await ask(http, self, "GET", metadata["userinfo_endpoint"], self._origins, headers=headers)
            if not isinstance(more, dict) or more.get("sub") != claims["sub"]:
                raise ProviderRefused(f"{self.title} spoke of somebody else")
            claims = {**more, **claims}
        email = claims.get("email") if isinstance(claims.get("email"), str) else None
        name = claims.get("name") if isinstance(claims.get("name"), str) else None
        verified = email if claims.get("email_verified") is True else None
        return OutsidePerson(metadata["issuer"], claims["sub"], verified, name or "", email or name or claims["sub"])

    async def _discover(self, http: Outbound) -> dict[str, Any]:
        """What the provider says about itself, at most ten minutes old."""
        if not self._metadata or time.monotonic() - self._read_at > _KEPT_S:
            url = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
            found = await ask(http, self, "GET", url, self._origins)
            if not isinstance(found, dict) or not all(
                isinstance(found.get(name), str) for name in ("issuer", *_NEEDED)
            ):
                raise ProviderRefused(f"{self.title} does not say where its endpoints are")
            if found["issuer"].rstrip("/") != self._issuer.rstrip("/"):
                raise ProviderRefused(f"{self.title} calls itself another issuer than the one in MODELLIX_OIDC_ISSUER")
            if not all(self._is_safe(found[name]) for name in _NEEDED):
                raise ProviderRefused(f"{self.title} has endpoints without TLS")
            self._metadata, self._read_at = found, time.monotonic()
        return self._metadata

    def _is_safe(self, endpoint: str) -> bool:
        plain = urlsplit(self._issuer).scheme == "http"  # for development
        fit = endpoint.isascii() and endpoint.isprintable() and " " not in endpoint
        return fit and endpoint.startswith(("https://", "http://") if plain else ("https://",))

    async def _redeem(
        self, http: Outbound, metadata: Mapping[str, Any], departure: Departure, code: str
    ) -> dict[str, Any]:
        """The tokens for a code."""
        fields = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": departure.redirect_uri,
            "code_verifier": departure.verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        if "client_secret_basic" in methods:
            pair = ":".join(quote(one, safe="") for one in self._client)  # RFC 6749, 2.3.1
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            fields |= {"client_id": self._client[0], "client_secret": self._client[1]}
        body = urlencode(fields).encode()
        found = await ask(http, self, "POST", metadata["token_endpoint"], self._origins, headers=headers, body=body)
        if not isinstance(found, dict):
            raise ProviderRefused(f"{self.title} gave no token")
        return found

    async def _verified(self, http: Outbound, metadata: Mapping[str, Any], token: object, nonce: str) -> dict[str, Any]:
        """The claims of an ID token, once signature, issuer, audience, time and nonce are right (Core, 3.1.3.7)."""
        if not isinstance(token, str):
            raise ProviderRefused(f"{self.title} gave no token that says who you are")
        keys = await ask(http, self, "GET", metadata["jwks_uri"], self._origins)
        client_id = self._client[0]
        rules = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": metadata["issuer"]},
            aud={"essential": True, "value": client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            claims = jwt.decode(token, KeySet.import_key_set(keys), algorithms=_ALGORITHMS).claims
            rules.validate(claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise ProviderRefused(f"the token of {self.title} is not to be believed ({type(error).__name__})") from None
        audience = claims["aud"]
        several = isinstance(audience, list) and len(audience) > 1
        if claims.get("azp", None if several else client_id) != client_id or not 1 <= len(claims["sub"]) <= 255:
            raise ProviderRefused(f"the token of {self.title} was made for somebody else")
        return dict(claims)
