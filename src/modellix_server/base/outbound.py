"""Outbound HTTP: the only way out of the platform.

A host is resolved once, every address it has must be public, and exactly a checked address is dialled,
with the host's own name for TLS. Every redirect is checked again. A request ends at its deadline even if bytes still
arrive, and no answer exceeds its cap, before or after decoding.

Paid requests depend on one distinction: `NotSent` is proof that nothing left this machine, `AnswerLost`
is everything else. The client repeats only GET, on a pooled connection that was found closed.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from modellix_server.base.addresses import Network, is_reachable
from modellix_server.base.answer_coding import answer_decoder
from modellix_server.base.content_coding import BrokenCoding, UnknownCoding
from modellix_server.base.external_link import PUBLIC_ONLY, ExternalLink, Origins
from modellix_server.base.name_lookup import NameLookup

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 3
_CONNECT_TIMEOUT_S = 10.0
_IDLE_S = 15.0  # a GET on a connection that the server closed meanwhile is repeated, so reuse is safe
_MOST_HEADER_BYTES = 64 * 1024  # of one; result hosts and receivers set cookies and policies at length
_MOST_HEADERS = 1000
_IDLE_PAID_S = 1.0  # any other method is not: well under the 5 s after which common servers close
_REPEATED_BY_LIBRARY = ("PUT", "DELETE")  # and GET, which may be
_BREAKS = re.compile(r"[\r\n\0]")
_FAILURES = (aiohttp.ClientError, OSError, TimeoutError, EOFError)

Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port to addresses; OSError when there are none."""


class NotSent(Exception):
    """Proof that nothing was sent: name lookup failed, connection refused, TLS failed."""


class Blocked(NotSent):
    """The address is not allowed: private, an unusual port or scheme, credentials in the URL."""


class AnswerLost(Exception):
    """The request may have been sent, and no complete answer came back: it may or may not have had an effect."""


class TooLarge(AnswerLost):
    """The answer is larger than the caller's limit."""


class Unasked(AnswerLost):
    """The answer has a coding that was not asked for and is not decoded here: asking again would not help."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP answer; the body is untrusted and size-capped. Header names are lower-case."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Turn:
    """A long answer's wait for room in memory: `wait` is called once, before more than `after_bytes` are read."""

    after_bytes: int
    wait: Callable[[], Awaitable[None]]


class _Progress:
    """How far one exchange got."""

    __slots__ = ("connected",)

    def __init__(self) -> None:
        self.connected = False


_progress: ContextVar[_Progress] = ContextVar("outbound_progress")


class _Connector(aiohttp.TCPConnector):
    """Records the moment from which bytes may be sent."""

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[aiohttp.tracing.Trace], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.connector.Connection:
        connection = await super().connect(req, traces, timeout)
        _progress.get().connected = True
        return connection


class _Resolver(AbstractResolver):
    """Answers only with addresses that were checked; one bad address refuses the whole host."""

    def __init__(self, lookup: Lookup, may_dial: Callable[[str, int], bool]) -> None:
        self._lookup = lookup
        self._may_dial = may_dial

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the library's interface
    ) -> list[ResolveResult]:
        addresses = await self._lookup(host, port)
        if not all(self._may_dial(address, port) for address in addresses):
            raise Blocked(f"{host} has an address that is not public, or {port} is no web port")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        return None


class _Body:
    """Decodes a content coding without exceeding the cap."""

    def __init__(self, headers: Mapping[str, str], max_bytes: int) -> None:
        try:
            self._decoder = answer_decoder(headers.get("Content-Encoding", ""))
        except UnknownCoding as unknown:
            raise Unasked(f"the answer has {unknown}, which was not asked for") from None
        self._left = max_bytes

    def take(self, chunk: bytes) -> bytes:
        """The decoded bytes of one chunk; TooLarge beyond the cap."""
        if self._decoder is not None:
            try:
                chunk = self._decoder.feed(chunk, self._left + 1)
            except BrokenCoding as broken:
                raise AnswerLost(f"an answer was lost, as {broken}") from None
        self._left -= len(chunk)
        if self._left < 0:
            raise TooLarge("the answer is larger than allowed")
        return chunk

    def end(self) -> None:
        """AnswerLost if a compressed answer stopped half-way."""
        try:
            if self._decoder is not None:
                self._decoder.end()
        except BrokenCoding as broken:
            raise AnswerLost(f"an answer was lost, as {broken}") from None


class Download:
    """An answer whose body is read piece by piece, within the deadline and the cap of its `stream`."""

    def __init__(self, response: aiohttp.ClientResponse, max_bytes: int) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.length = response.content_length if "Content-Encoding" not in response.headers else None
        if self.length is not None and self.length > max_bytes:
            raise TooLarge("the answer is larger than allowed")
        self._response = response
        self._body = _Body(response.headers, max_bytes)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body; raises AnswerLost when it is cut off, too slow or too large."""
        try:
            async for raw in self._response.content.iter_any():
                if chunk := self._body.take(raw):
                    yield chunk
        except _FAILURES as error:
            raise AnswerLost(_describe(error, self._response.url.raw_host)) from error
        self._body.end()

    async def whole(self, turn: Turn | None, deadline: float) -> bytes:
        """All of the body; a long one waits for its turn until `deadline` (the event loop's clock)."""
        parts, size = [], 0
        while raw := await self._response.content.readany():
            parts.append(self._body.take(raw))
            size += len(parts[-1])
            if turn is not None and size > turn.after_bytes:
                async with asyncio.timeout_at(deadline):  # the library's own deadline does not cover the wait
                    await turn.wait()  # nothing is read during the wait, so the sender waits too
                turn = None
        self._body.end()
        return b"".join(parts)


def _describe(error: BaseException, host: str | None) -> str:
    """The error and its host: never the URL, whose query may be a signature."""
    return f"{type(error).__name__} at {host}"


async def _never_again(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Keep the library from repeating PUT or DELETE by hiding the errors on which it does."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:  # nothing was sent, and the library does not repeat on this one
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise AnswerLost(_describe(error, request.url.raw_host)) from error


class Outbound:
    """Checked HTTP for a whole process; `close` it at the end.

    `allow_networks` opens private ranges (development); `lookup` replaces its look-ups of names.
    """

    def __init__(
        self, allow_networks: Iterable[Network] = (), *, most_connections: int = 4096, lookup: Lookup | None = None
    ) -> None:
        self._opened = tuple(allow_networks)
        self._names = NameLookup()
        self._lookup = lookup or self._names
        self._most_connections = most_connections
        self._sessions: dict[tuple[bool, bool], aiohttp.ClientSession] = {}

    async def close(self) -> None:
        """Drop all connections."""
        sessions, self._sessions = list(self._sessions.values()), {}
        for session in sessions:
            await session.close()
        await self._names.close()

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | AsyncIterable[bytes] | None,
        origins: Origins = PUBLIC_ONLY,
        timeout_s: float,
        max_bytes: int,
        turn: Turn | None = None,
    ) -> Answer:
        """One exchange with an API; redirects are not followed and nothing but GET is ever repeated.

        With `max_bytes` 0 the answer's body is not read.

        A body in pieces needs its `Content-Length` among the headers.

        Raises NotSent (Blocked for an address that is not allowed) or AnswerLost (TooLarge when it is too large).
        """
        if any(map(_BREAKS.search, headers.values())):
            raise Blocked("a header value spans lines")
        target, session = self._check(_parsed(url), origins, paid=method != "GET")
        deadline = asyncio.get_running_loop().time() + timeout_s
        progress = _Progress()
        _progress.set(progress)
        try:
            async with session.request(
                method,
                target.to_request(),
                headers=headers,
                data=body,
                allow_redirects=False,
                timeout=_timeout(timeout_s),
                middlewares=(_never_again,) if method in _REPEATED_BY_LIBRARY else (),
            ) as response:
                if not max_bytes:
                    return Answer(response.status, b"", _lower(response.headers))
                download = Download(response, max_bytes)
                return Answer(download.status, await download.whole(turn, deadline), _lower(download.headers))
        except _FAILURES as error:
            raise (AnswerLost if progress.connected else NotSent)(_describe(error, target.host)) from error

    @asynccontextmanager
    async def stream(
        self, url: str, *, origins: Origins = PUBLIC_ONLY, timeout_s: float, max_bytes: int
    ) -> AsyncIterator[Download]:
        """GET a file; up to three redirects are followed, each checked like the first address.

        Raises NotSent (Blocked for an address that is not allowed) or AnswerLost (TooLarge when it is too large).
        """
        loop = asyncio.get_running_loop()
        deadline, target = loop.time() + timeout_s, _parsed(url)
        for _ in range(_MOST_REDIRECTS + 1):
            target, session = self._check(target, origins, paid=False)
            progress = _Progress()
            _progress.set(progress)
            try:
                response = await session.get(
                    target.to_request(), allow_redirects=False, timeout=_timeout(max(deadline - loop.time(), 0.001))
                )
            except _FAILURES as error:
                raise (AnswerLost if progress.connected else NotSent)(_describe(error, target.host)) from error
            async with response:
                location = response.headers.get("Location")
                if response.status not in _REDIRECTS or location is None:
                    yield Download(response, max_bytes)
                    return
                target = _joined(target, location)
        raise Blocked(f"more than {_MOST_REDIRECTS} redirects")

    def _check(self, link: ExternalLink, origins: Origins, *, paid: bool) -> tuple[ExternalLink, aiohttp.ClientSession]:
        if link.has_credentials:
            raise Blocked("the URL carries credentials")
        named, host = link in origins, link.host
        # The library asks no resolver about what looks like an address.
        if not named and (":" in host or host.replace(".", "").isdigit()) and not self._may_dial(host, link.port):
            raise Blocked(f"{host} is not a public address, or {link.port} is no web port")
        return link, self._session(named=named, paid=paid)

    def _may_dial(self, address: str, port: int) -> bool:
        return is_reachable(address, port, self._opened)

    def _session(self, *, named: bool, paid: bool) -> aiohttp.ClientSession:
        """Connections to named origins have pools of their own: no other request may use them."""
        session = self._sessions.get((named, paid))
        if session is None:
            session = self._sessions[named, paid] = self._open_session(named=named, paid=paid)
        return session

    def _open_session(self, *, named: bool, paid: bool) -> aiohttp.ClientSession:
        connector = _Connector(
            limit=self._most_connections,
            keepalive_timeout=_IDLE_PAID_S if paid else _IDLE_S,
            resolver=_Resolver(self._lookup, _anywhere if named else self._may_dial),
            socket_factory=None if named else self._open_socket,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            max_line_size=_MOST_HEADER_BYTES,
            max_field_size=_MOST_HEADER_BYTES,
            max_headers=_MOST_HEADERS,
            headers={"Accept-Encoding": "identity", "User-Agent": "Modellix"},
        )

    def _open_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """The last check: only a checked address is dialled."""
        family, kind, protocol, _, address = info
        if not self._may_dial(str(address[0]), int(address[1])):
            raise Blocked("an unchecked address reached the dialler")
        return socket.socket(family, kind, protocol)


def _anywhere(_address: str, _port: int) -> bool:
    return True


def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, connect=min(_CONNECT_TIMEOUT_S, seconds))


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _parsed(text: str) -> ExternalLink:
    try:
        return ExternalLink.parse(text)
    except ValueError as error:
        raise Blocked(str(error)) from None


def _joined(base: ExternalLink, location: str) -> ExternalLink:
    try:
        return base.joined(location)
    except ValueError:
        raise Blocked("a redirect to something that is not a URL") from None
