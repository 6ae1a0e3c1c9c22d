"""Signing in with GitHub, which speaks OAuth 2 and has an API of its own in the place of ID tokens.

https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from modellix_server.base.external_link import Origins
from modellix_server.base.outbound import Outbound
from modellix_server.identity.providers import Departure, OutsidePerson, ProviderRefused, ask

_PUBLIC = "https://github.com"


class GitHubProvider:
    """github.com, or a GitHub Enterprise Server at another origin."""

    slug, title = "github", "GitHub"

    def __init__(self, url: str, client_id: str, client_secret: str) -> None:
        self._url = url.rstrip("/")
        self._api = "https://api.github.com" if self._url == _PUBLIC else f"{self._url}/api/v3"
        self._client = (client_id, client_secret)
        self._origins = Origins.of(self._url, self._api)

    async def address(self, http: Outbound, departure: Departure) -> str:  # noqa: ARG002 - nothing is asked
        """Where to send the browser."""
        asked = {
            "client_id": self._client[0],
            "redirect_uri": departure.redirect_uri,
            "scope": "read:user user:email",
            "state": departure.state,
            "code_challenge": departure.challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._url}/login/oauth/authorize?{urlencode(asked)}"

    async def person(self, http: Outbound, departure: Departure, brought: Mapping[str, str]) -> OutsidePerson:
        """Who has come back; of its addresses the primary one, if GitHub has verified it."""
        fields = {
            "client_id": self._client[0],
            "client_secret": self._client[1],
            "code": brought.get("code", ""),
            "redirect_uri": departure.redirect_uri,
            "code_verifier": departure.verifier,
        }
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        token_url = f"{self._url}/login/oauth/access_token"
        body = urlencode(fields).encode()
        found = await ask(http, self, "POST", token_url, self._origins, headers=form, body=body)
        token = found.get("access_token") if isinstance(found, dict) else None
        if not isinstance(token, str):  # errors come with status 200
            raise ProviderRefused("GitHub refused: try again")
        headers = {"Authorization": f"Bearer {token}", "X-GitHub-Api-Version": "2022-11-28"}
        user = await ask(http, self, "GET", f"{self._api}/user", self._origins, headers=headers)
        emails = await ask(http, self, "GET", f"{self._api}/user/emails", self._origins, headers=headers)
        if not isinstance(user, dict) or type(user.get("id")) is not int or not isinstance(emails, list):
            raise ProviderRefused("GitHub answered with something else than a user")
        addresses = [
            one["email"]
            for one in emails
            if isinstance(one, dict)
            and one.get("primary") is True
            and one.get("verified") is True
            and isinstance(one.get("email"), str)
        ]
        login = str(user.get("login") or user["id"])
        name = user["name"] if isinstance(user.get("name"), str) else login
        return OutsidePerson(self._url, str(user["id"]), addresses[0] if addresses else None, name, login)
