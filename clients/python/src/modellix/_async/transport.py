"""Requests over HTTP: with the key, retried where that is safe, answered or refused with a reason."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any

from modellix._requests import ApiRequest, data_of, pause_s, refusal
from modellix._settings import Access
from modellix.errors import ApiError, ConnectionFailed

if TYPE_CHECKING:
    import httpx2

_CONNECT_S = 10.0
_CONNECTIONS = 100


class AsyncTransport:
    """One pool of connections. `timeout_s` is the longest silence, `max_retries` the most repetitions of a request."""

    def __init__(self, access: Access, *, timeout_s: float, max_retries: int) -> None:
        import httpx2  # takes longer to load than all the rest: not before there is a client

        self.origin = access.origin
        self._key = access.key
        self._timeout_s = timeout_s
        self._max_retries = max_retries
        self._unsent = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
        self._lost = httpx2.TransportError
        self._http = httpx2.AsyncClient(
            timeout=httpx2.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s)),
            limits=httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncTransport:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def call(self, request: ApiRequest) -> Any:
        """The `data` of the answer. Raises ApiError, ConnectionFailed, BadAnswer."""
        return data_of(await self._answer(request, read=True))

    @contextlib.asynccontextmanager
    async def stream(self, request: ApiRequest) -> AsyncIterator[httpx2.Response]:
        """An answer whose body comes bit by bit. Raises as `call` does, also when the connection is lost later."""
        response = await self._answer(request, read=False)
        try:
            yield response
        except self._lost as error:
            raise self._failed(request, error, sent=True) from error
        finally:
            await response.aclose()

    @contextlib.asynccontextmanager
    async def download(self, url: str) -> AsyncIterator[httpx2.Response]:
        """The answer at a public link, which gets no key. Raises ApiError, ConnectionFailed."""
        try:
            async with self._http.stream("GET", url, follow_redirects=True) as response:
                if response.status_code >= 400:
                    raise refusal(self.origin, response.status_code, response.headers, await response.aread())
                yield response
        except self._lost as error:
            raise ConnectionFailed(f"the download was cut: {_told(error)}", sent=True) from error

    async def _answer(self, request: ApiRequest, *, read: bool) -> httpx2.Response:
        for attempt in count():
            try:
                return await self._attempt(request, read=read)
            except (ApiError, ConnectionFailed) as error:
                pause = pause_s(error, attempt, most=self._max_retries, repeatable=request.repeatable)
                if pause is None:
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("attempts end with an answer or an error")

    async def _attempt(self, request: ApiRequest, *, read: bool) -> httpx2.Response:
        arguments = request.arguments(self.origin, self._key)
        if request.timeout_s is not None:
            arguments["timeout"] = request.timeout_s
        try:
            response = await self._http.send(self._http.build_request(**arguments), stream=True)
            if read or response.status_code >= 400:
                await response.aread()
        except self._unsent as error:
            raise self._failed(request, error, sent=False) from error
        except self._lost as error:
            raise self._failed(request, error, sent=True, id_=arguments["headers"]["X-Request-Id"]) from error
        if response.status_code >= 400:
            refused = refusal(self.origin, response.status_code, response.headers, response.content)
            refused.idempotency_key = request.idempotency_key
            raise refused
        return response

    def _failed(self, request: ApiRequest, error: Exception, *, sent: bool, id_: str | None = None) -> ConnectionFailed:
        what = "the connection was lost" if sent else "no connection"
        return ConnectionFailed(
            f"{self.origin}: {what} ({_told(error)})",
            sent=sent,
            request_id=id_,
            idempotency_key=request.idempotency_key,
        )


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
