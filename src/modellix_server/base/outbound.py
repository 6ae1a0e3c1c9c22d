"""Outbound HTTP: the only way out of the platform.

A host is resolved once, every address it has must be public, and exactly a checked address is dialled,
with the host's own name for TLS. Every redirect is checked again. A request ends at its deadline even if bytes still
arrive, and no answer exceeds its cap, before or after decoding.

Paid requests depend on one distinction: `NotSent` is proof that nothing left this machine, `AnswerLost`
is everything else. The client repeats only GET, on a pooled connection that was found closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from modellix_server.base.addresses import Network
from modellix_server.base.answer_coding import answer_decoder
from modellix_server.base.content_coding import BrokenCoding, UnknownCoding
from modellix_server.base.external_link import PUBLIC_ONLY, ExternalLink, Origins
from modellix_server.base.http_connection import Body, HttpConnection
from modellix_server.base.http_pool import Blocked as Blocked  # noqa: PLC0414 - re-exported
from modellix_server.base.http_pool import HttpPool, Lookup, Place
from modellix_server.base.http_pool import NotSent as NotSent  # noqa: PLC0414 - re-exported

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 3
_USUAL = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "Modellix"}
_FAILURES = (OSError, EOFError)  # a time-out is one of the former


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


class _Body:
    """Decodes a content coding without exceeding the cap."""

    def __init__(self, headers: Mapping[str, str], max_bytes: int) -> None:
        try:
            self._decoder = answer_decoder(headers.get("content-encoding", ""))
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

    def __init__(self, exchange: _Exchange, max_bytes: int) -> None:
        connection = exchange.connection
        self.status = connection.status
        self.headers: Mapping[str, str] = connection.headers
        """Names in lower case."""
        coded = "content-encoding" in self.headers
        if not coded and int(self.headers.get("content-length", 0)) > max_bytes:
            raise TooLarge("the answer is larger than allowed")
        self._exchange = exchange
        self._body = _Body(self.headers, max_bytes)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body; raises AnswerLost when it is cut off, too slow or too large."""
        try:
            while raw := await self._exchange.connection.read():
                if chunk := self._body.take(raw):
                    yield chunk
        except _FAILURES as error:
            raise self._exchange.lost(error) from error
        self._body.end()

    async def whole(self, turn: Turn | None) -> bytes:
        """All of the body; a long one waits for its turn."""
        parts, size = [], 0
        while raw := await self._exchange.connection.read():
            parts.append(self._body.take(raw))
            size += len(parts[-1])
            if turn is not None and size > turn.after_bytes:
                async with asyncio.timeout_at(self._exchange.deadline):
                    await turn.wait()  # nothing is read during the wait, so the sender waits too
                turn = None
        self._body.end()
        return b"".join(parts)


class _Exchange:
    """One request and its answer, as a context: at its end the connection goes back to the pool, or is closed."""

    def __init__(self, pool: HttpPool, link: ExternalLink, origins: Origins, deadline: float, *, paid: bool) -> None:
        if link.has_credentials:
            raise Blocked("the URL carries credentials")
        self._pool = pool
        self._link = link
        self._place = Place(link.scheme, link.host, link.port, link in origins, paid)
        self._taken: HttpConnection | None = None
        self.deadline = deadline
        """By the event loop's clock."""

    @property
    def connection(self) -> HttpConnection:
        """Where the answer comes from, once the request is sent."""
        assert self._taken is not None
        return self._taken

    async def ask(self, method: str, headers: Mapping[str, str], body: Body) -> None:
        """Send the request; returns with the head of the answer. Nothing but GET is ever repeated."""
        head = _head(method, self._link, headers, body)
        self._taken, pooled = await self._pool.take(self._place, self.deadline, fresh=False)
        try:
            await self._taken.ask(head, body, self.deadline)
        except ConnectionError:
            if self._place.paid or not pooled or self._taken.heard:
                raise
            self._end()  # it had been closed meanwhile
            self._taken, _ = await self._pool.take(self._place, self.deadline, fresh=True)
            await self._taken.ask(head, body, self.deadline)

    def lost(self, error: BaseException) -> NotSent | AnswerLost:
        """What a failure means. It tells the host, never the URL, whose query may be a signature."""
        return (AnswerLost if self._taken else NotSent)(f"{type(error).__name__} at {self._link.host}")

    def _end(self) -> None:
        if self._taken is not None:
            self._pool.give_back(self._place, self._taken)
            self._taken = None

    def __enter__(self) -> _Exchange:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()


class Outbound:
    """Checked HTTP for a whole process; `close` it at the end.

    `allow_networks` opens private ranges (development); `lookup` replaces its look-ups of names.
    """

    def __init__(
        self, allow_networks: Iterable[Network] = (), *, most_connections: int = 4096, lookup: Lookup | None = None
    ) -> None:
        self._pool = HttpPool(tuple(allow_networks), most_connections, lookup)

    async def close(self) -> None:
        """Drop all connections."""
        await self._pool.close()

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: Body,
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
        deadline = asyncio.get_running_loop().time() + timeout_s
        with _Exchange(self._pool, _parsed(url), origins, deadline, paid=method != "GET") as exchange:
            try:
                await exchange.ask(method, headers, body)
                answer = exchange.connection
                content = await Download(exchange, max_bytes).whole(turn) if max_bytes else b""
                return Answer(answer.status, content, answer.headers)
            except _FAILURES as error:
                raise exchange.lost(error) from error

    @asynccontextmanager
    async def stream(
        self, url: str, *, origins: Origins = PUBLIC_ONLY, timeout_s: float, max_bytes: int
    ) -> AsyncIterator[Download]:
        """GET a file; up to three redirects are followed, each checked like the first address.

        Raises NotSent (Blocked for an address that is not allowed) or AnswerLost (TooLarge when it is too large).
        """
        deadline, target = asyncio.get_running_loop().time() + timeout_s, _parsed(url)
        for _ in range(_MOST_REDIRECTS + 1):
            with _Exchange(self._pool, target, origins, deadline, paid=False) as exchange:
                try:
                    await exchange.ask("GET", {}, None)
                except _FAILURES as error:
                    raise exchange.lost(error) from error
                location = exchange.connection.headers.get("location")
                if exchange.connection.status not in _REDIRECTS or location is None:
                    yield Download(exchange, max_bytes)
                    return
                target = _joined(target, location)
        raise Blocked(f"more than {_MOST_REDIRECTS} redirects")


def _head(method: str, link: ExternalLink, headers: Mapping[str, str], body: Body) -> bytes:
    """The head of a request. Raises Blocked for a value that would break out of its line."""
    host = f"[{link.host}]" if ":" in link.host else link.host
    if link.port != {"http": 80, "https": 443}[link.scheme]:
        host = f"{host}:{link.port}"
    lines = [f"{method} {link.target} HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in {**_USUAL, **headers}.items()]
    if isinstance(body, bytes) or (body is None and method != "GET"):
        lines.append(f"Content-Length: {len(body or b'')}")
    head = "\r\n".join(lines)
    if head.count("\n") != len(lines) - 1 or head.count("\r") != len(lines) - 1 or "\0" in head:
        raise Blocked("a header value spans lines")
    return f"{head}\r\n\r\n".encode("utf-8", "surrogateescape")


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
