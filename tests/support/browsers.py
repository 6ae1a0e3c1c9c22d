"""Signed-in clients of the console: by plain HTTP, and in Debian's Chromium."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Browser, async_playwright
from tests.support.platform_processes import Platform
from tests.support.waiting import eventually
from yarl import URL

from modellix_server import identity
from modellix_server.identity import Role, Team, User

CHROMIUM = shutil.which("chromium")
COOKIE = "__Host-modellix"
_numbers = count(1)


@dataclass
class Shown:
    """An answer to a browser."""

    status: int
    text: str
    headers: dict[str, str]


@dataclass
class Visitor:
    """A browser without script, signed in or not."""

    origin: str
    cookie: str | None = None
    user: User | None = None
    away: str | None = None
    """The cookie that it keeps while it is at an identity provider."""

    async def get(self, path: str, **headers: str) -> Shown:
        return await self._send("GET", path, None, headers)

    async def post(self, path: str, fields: Any, **headers: str) -> Shown:
        """Send a form as a browser does, and read the cookie that the answer sets."""
        return await self._send("POST", path, fields, {"Sec-Fetch-Site": "same-origin", **headers})

    async def _send(self, method: str, path: str, fields: Any, headers: dict[str, str]) -> Shown:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {COOKIE: self.cookie, f"{COOKIE}-away": self.away}
        sent["Cookie"] = "; ".join(f"{name}={text}" for name, text in kept.items() if text is not None)
        url = URL(self.origin + path, encoded=True)
        async with (
            aiohttp.ClientSession() as http,
            http.request(method, url, data=fields, headers=sent, allow_redirects=False) as answer,
        ):
            for line in answer.headers.getall("Set-Cookie", []):
                if found := re.match(rf'{COOKIE}(-away)?="?([^;"]*)', line):
                    setattr(self, "away" if found[1] else "cookie", found[2] or None)
            return Shown(answer.status, await answer.text(), dict(answer.headers))


async def member(platform: Platform, team_id: int, role: Role, *, operator: bool = False) -> Visitor:
    """A new user with a role in a team, signed in."""
    number = next(_numbers)
    async with platform.pool.acquire() as db, db.transaction():
        user = await identity.create_user(db, f"user{number}@example.com", f"User {number}", operator=operator)
        await identity.add_member(db, team_id, user.id, role)
        cookie, _ = await identity.open_session(db, user.id, method="link", address="tests", agent="tests")
    return Visitor(platform.origin, cookie, user)


async def mail_to(platform: Platform, address: str, *, having: str = "Subject") -> Message:
    """The newest message to an address that has a header, once there is one."""
    folder = Path(platform.env["MODELLIX_MAIL_DIR"])

    def found() -> list[Message]:
        messages = [message_from_bytes(file.read_bytes()) for file in sorted(folder.glob("*.eml"))]
        return [message for message in messages if message["To"] == address and message[having]]

    return (await eventually(found))[-1]


async def new_team(platform: Platform) -> Team:
    made = await platform.team()
    teams = await identity.list_teams(platform.pool)
    return next(team for team in teams if team.id == made.id)


@contextlib.asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Chromium, which asks nobody outside of this machine."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        try:
            yield browser
        finally:
            await asyncio.wait_for(browser.close(), 30)


def require_chinese_font() -> None:
    """End the program where pictures would show boxes in place of Chinese characters."""
    if not subprocess.run(["fc-list", ":lang=zh"], capture_output=True).stdout:
        sys.exit("there is no font with Chinese characters: install one, such as Debian's fonts-noto-cjk")
