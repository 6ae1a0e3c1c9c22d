"""Callbacks to a client's URL: each in the background, with the vendor's time-out and number of tries."""

import asyncio
from collections.abc import Awaitable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Post(Protocol):
    """Sends JSON to a URL within a time-out; the body of a 2xx answer, or None. Checks whether the URL is allowed."""

    async def __call__(
        self, url: str, body: bytes, limit_s: float, headers: Mapping[str, str] = NO_HEADERS
    ) -> bytes | None:
        """`headers` are the vendor's own, such as a signature."""
        ...


_BETWEEN_TRIES_S = 1.0
_MOST_AT_ONCE = 1000
_encode = msgspec.json.Encoder().encode


class CallbackSender:
    """The calls of one emulator."""

    def __init__(self, post: Post, limit_s: float) -> None:
        self._post = post
        self._limit_s = limit_s
        self._calls: set[asyncio.Task[Any]] = set()

    def tell(self, url: str, what: object, *, tries: int = 1, once: Awaitable[bool] | None = None) -> None:
        """Send `what`, up to `tries` times until it is acknowledged; with `once` only if that yields true."""
        self._start(self._tell(url, _encode(what), NO_HEADERS, tries, once))

    def send(self, url: str, body: bytes, headers: Mapping[str, str], *, tries: int) -> None:
        """Send these bytes with headers that go with them, up to `tries` times until they are acknowledged."""
        self._start(self._tell(url, body, headers, tries, None))

    def challenge(self, url: str, what: dict[str, str]) -> asyncio.Task[bool]:
        """Whether the URL returns the same JSON (the vendor's challenge)."""
        return self._start(self._challenge(url, what))

    def _start(self, call: Coroutine[Any, Any, bool]) -> asyncio.Task[bool]:
        if len(self._calls) >= _MOST_AT_ONCE:
            call.close()
            call = _unheard()
        task = asyncio.create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return task

    async def _tell(
        self, url: str, body: bytes, headers: Mapping[str, str], tries: int, once: Awaitable[bool] | None
    ) -> bool:
        if once is not None and not await once:
            return False
        for again in range(tries):
            await asyncio.sleep(_BETWEEN_TRIES_S * again)
            if await self._post(url, body, self._limit_s, headers) is not None:
                return True
        return False

    async def _challenge(self, url: str, what: dict[str, str]) -> bool:
        answer = await self._post(url, _encode(what), self._limit_s)
        try:
            return answer is not None and msgspec.json.decode(answer) == what
        except msgspec.DecodeError:
            return False


async def _unheard() -> bool:
    return False
