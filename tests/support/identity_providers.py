"""Identity providers: a real one in a process of its own, one that lies as it is told, and GitHub's API."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import aiohttp
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import RSAKey
from tests.support.ports import free_port

ANN = {"sub": "s1", "email": "ann@example.com", "email_verified": True}
CLIENT, CLIENT_SECRET = "modellix", "the client's: secret"


@dataclass
class OidcServer:
    """`oidc-provider-mock`, which knows whom it is told about."""

    origin: str

    async def knows(self, subject: str, **claims: Any) -> None:
        async with aiohttp.ClientSession() as http, http.put(f"{self.origin}/users/{subject}", json=claims) as answer:
            assert answer.status == 204

    async def signs_in(self, url: str, subject: str) -> str:
        """What its user does: the address that the browser is sent back to."""
        assert url.startswith(self.origin)
        async with (
            aiohttp.ClientSession() as http,
            http.post(url, data={"sub": subject}, allow_redirects=False) as answer,
        ):
            assert answer.status == 302, await answer.text()
            return answer.headers["Location"]


@contextlib.asynccontextmanager
async def open_oidc_server() -> AsyncIterator[OidcServer]:
    port = free_port()
    process = subprocess.Popen(  # noqa: ASYNC220 - starting it blocks for a moment only
        [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = OidcServer(f"http://127.0.0.1:{port}")
    try:
        async with aiohttp.ClientSession() as http:
            give_up = time.monotonic() + 60
            while True:
                with contextlib.suppress(aiohttp.ClientConnectionError):
                    async with http.get(server.origin) as answer:
                        if answer.status == 200:
                            break
                assert time.monotonic() < give_up, "the OpenID provider does not start"
                await asyncio.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait(30)


@dataclass
class StrictProvider:
    """An OpenID provider, and GitHub, that check what a client sends; what they say can be changed."""

    origin: str = ""
    claims: dict[str, Any] = field(default_factory=lambda: dict(ANN))
    change: Callable[[dict[str, Any]], None] = lambda _claims: None
    """Applied to the claims of an ID token."""
    sign: Callable[[dict[str, Any], RSAKey], str] = lambda claims, key: jwt.encode({"alg": "RS256"}, claims, key)
    metadata: dict[str, Any] = field(default_factory=dict)
    """In place of what it would say about itself."""
    userinfo: dict[str, Any] = field(default_factory=dict)
    github_user: dict[str, Any] = field(default_factory=lambda: {"id": 7, "login": "ann", "name": "Ann"})
    github_emails: list[dict[str, Any]] = field(default_factory=list)
    down: bool = False
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048))
    codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def signs_in(self, url: str) -> dict[str, str]:
        """What its user does: the parameters that the browser brings back."""
        asked = dict(parse_qsl(urlsplit(url).query))
        assert asked["client_id"] == CLIENT
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._metadata)
        app.router.add_get("/jwks", self._jwks)
        app.router.add_post("/token", self._token)
        app.router.add_get("/userinfo", self._userinfo)
        app.router.add_post("/login/oauth/access_token", self._github_token)
        app.router.add_get("/api/v3/user", self._github(lambda: self.github_user))
        app.router.add_get("/api/v3/user/emails", self._github(lambda: self.github_emails))
        return app

    async def _metadata(self, _request: web.Request) -> web.Response:
        about = {
            "issuer": self.origin,
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token",
            "jwks_uri": f"{self.origin}/jwks",
            "userinfo_endpoint": f"{self.origin}/userinfo",
        }
        return web.json_response(about | self.metadata)

    async def _jwks(self, _request: web.Request) -> web.Response:
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    async def _redeemed(self, request: web.Request) -> dict[str, str] | None:
        fields = {name: str(value) for name, value in (await request.post()).items()}
        asked = self.codes.pop(fields["code"], None)  # a code is good once
        if asked is None:
            return None
        digest = hashlib.sha256(fields["code_verifier"].encode()).digest()
        fits = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
        return {**fields, **asked} if fits and fields["redirect_uri"] == asked["redirect_uri"] else None

    async def _token(self, request: web.Request) -> web.Response:
        if self.down:
            return web.Response(status=503)
        kind, _, pair = request.headers.get("Authorization", "").partition(" ")
        named = [unquote(one) for one in base64.b64decode(pair).decode().split(":")]
        asked = await self._redeemed(request)
        if kind != "Basic" or named != [CLIENT, CLIENT_SECRET] or asked is None:
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(time.time())
        claims = {
            "iss": self.origin,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 60,
            "nonce": asked["nonce"],
            **self.claims,
        }
        self.change(claims)
        return web.json_response({"access_token": "t", "token_type": "Bearer", "id_token": self.sign(claims, self.key)})

    async def _userinfo(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer t"
        return web.json_response(self.userinfo)

    async def _github_token(self, request: web.Request) -> web.Response:
        asked = await self._redeemed(request)
        if asked is None or asked["client_secret"] != CLIENT_SECRET:
            return web.json_response({"error": "bad_verification_code"})  # with status 200, as GitHub does
        return web.json_response({"access_token": "t", "token_type": "bearer", "scope": "read:user,user:email"})

    def _github(self, what: Callable[[], Any]) -> Callable[[web.Request], Any]:
        async def answer(request: web.Request) -> web.Response:
            assert request.headers["Authorization"] == "Bearer t"
            return web.json_response(what())

        return answer


@contextlib.asynccontextmanager
async def open_strict_provider(port: int = 0) -> AsyncIterator[StrictProvider]:
    provider = StrictProvider()
    runner = web.AppRunner(provider.app())
    await runner.setup()
    port = port or free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    provider.origin = f"http://127.0.0.1:{port}"
    try:
        yield provider
    finally:
        await runner.cleanup()


def query(url: str) -> str:
    """Path and query of an address."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def as_query(brought: dict[str, str]) -> str:
    return urlencode(brought)
