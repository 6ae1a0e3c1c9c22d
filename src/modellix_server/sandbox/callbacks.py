"""Callbacks to a client's URL: each in the background, with the vendor's time-out and number of tries."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec

Post = Callable[[str, bytes, float], Awaitable[bytes | None]]
"""Sends JSON to a URL within a time-out; the body of a 2xx answer, or None. Checks whether the URL is allowed."""

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
        self._start(self._tell(url, _encode(what), tries, once))

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

    async def _tell(self, url: str, body: bytes, tries: int, once: Awaitable[bool] | None) -> bool:
        if once is not None and not await once:
            return False
        for again in range(tries):
            await asyncio.sleep(_BETWEEN_TRIES_S * again)
            if await self._post(url, body, self._limit_s) is not None:
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
