"""A vendor's emulator in this process, without a network."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import msgspec

from modellix_server.base.multipart import encode_form
from modellix_server.sandbox import load_all as load_emulators
from modellix_server.sandbox.rendering.paint import UnusableMedia
from modellix_server.upstreams import load_all
from modellix_server.upstreams.contract import Answer, Part


class NoStudio:
    """In place of the render processes: takes every order and makes nothing."""

    waiting = 0
    spool = None

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        raise UnusableMedia("parameter", "nothing is made here")
        yield


async def no_web(url: str, *_: object) -> bytes:
    raise UnusableMedia("parameter", f"{url}: nothing is reached from here")


@dataclass
class Emulator:
    """A vendor's emulator without a network: what an adapter sends it, and whether it was accepted."""

    name: str
    app: Any
    base: str
    fetch: Any
    sent: Any = None
    answer: Answer | None = None

    async def call(self, method, path, *, json=None, form=None, headers=None) -> Answer:
        """For the adapter. A form is kept as an object whose values are lists."""
        self.sent = json if form is None else shown_form(form)
        kind, body = "application/json", b"" if json is None else msgspec.json.encode(json)
        if form is not None:
            kind, body = await encode_form(form)
        self.answer = await self._ask(method, self.base + path, body, {"Content-Type": kind, **(headers or {})})
        return self.answer

    async def line(self, attempt: str) -> dict[str, Any]:
        """The bill's line of an attempt."""
        answer = await self._ask("GET", f"/_bill?attempt={attempt}", b"", {})
        (line,) = msgspec.json.decode(answer.body)["lines"]
        return line

    async def _ask(self, method, target, body, headers) -> Answer:
        path, _, query = target.partition("?")
        sent: list[dict[str, Any]] = []
        scope = {
            "type": "http", "method": method, "scheme": "http", "server": ("sandbox", 80), "extensions": {},
            "path": f"/{self.name}{path}", "root_path": f"/{self.name}", "query_string": query.encode(),
            "headers": [(b"host", b"sandbox")]
            + [(key.lower().encode(), value.encode()) for key, value in headers.items()],
        }  # fmt: skip

        unread = [body]

        async def receive() -> dict[str, Any]:
            if not unread:
                await asyncio.Event().wait()  # the client stays
            return {"type": "http.request", "body": unread.pop()}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        found = {key.decode().lower(): value.decode() for key, value in sent[0]["headers"]}
        return Answer(sent[0]["status"], b"".join(part.get("body", b"") for part in sent[1:]), found)


def shown_form(parts: list[Part]) -> dict[str, list[Any]]:
    """Fields as the values they stand for, files as data URIs."""
    shown: dict[str, list[Any]] = {}
    for part in parts:
        value: Any = part.data
        if isinstance(value, bytes):
            value = f"data:{part.content_type};base64,{base64.b64encode(value).decode()}"
        else:
            with contextlib.suppress(ValueError):
                value = json.loads(value)
        shown.setdefault(part.name, []).append(value)
    return shown


def emulator(name: str, studio: Any, fetch: Any) -> Emulator:
    base = urlsplit(next(iter(load_all()[name].capabilities.origins.values()))).path
    return Emulator(name, load_emulators()[name](studio, fetch, no_web), base, fetch)
