"""HTTP/1.1 as the platform serves it: an asyncio protocol around httptools' parser, run by uvicorn's server.

What a client may send, and how slowly, is limited here. Requests on one connection are answered in turn, and the next
ones are not even parsed before the client has taken the answers to those before them. docs/adr/0015 has the reasons.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

import httptools
from uvicorn import Config

from modellix_server.api.dispatch import Reply, failure, refusal
from modellix_server.api.hot.client_connection import CONNECTION, ClientConnection, Headers
from modellix_server.api.hot.connection_clock import HEAD_LIMIT_S, ConnectionClock, Overdue
from modellix_server.api.hot.connection_limit import ConnectionLimit, Entrance, bound_unsent
from modellix_server.api.hot.request_head import (
    MOST_HEAD_BYTES,
    MOST_HEADERS,
    SPECIAL,
    UnfitRequestError,
    no_http,
    read_special,
    scope_of,
    sender_of,
    too_large,
)
from modellix_server.base import log
from modellix_server.base.addresses import Network
from modellix_server.base.errors import PlatformError, Unavailable
from modellix_server.base.ids import request_name
from modellix_server.base.turn_queue import TurnQueue

_LOG = log.get("api")
_AT_ONCE_BYTES = 8 * 1024  # are parsed at once: the requests in them may wait for their turn, the rest stays bytes
_MANY_PARTS, _MANY_BYTES = 256, 64 * 1024  # of bodies: parsing them takes a tenth of a millisecond, then others go on
_LARGE_BYTES = 16 * 1024  # so many at once wait for their turn: who sends little goes first


class HttpProtocol(asyncio.Protocol):
    """One client's connection: for `uvicorn.Config(http=…)`, once it knows when this process drains."""

    # The headers of every answer, and how they read. The server makes them anew each second, with the date.
    _standing: ClassVar[tuple[Headers, bytes]] = ((), b"")

    def __init__(
        self,
        config: Config,
        server_state: Any,
        app_state: dict[str, Any],  # noqa: ARG002 - of ASGI's lifespan, which we do not use
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        draining: asyncio.Event,
        limit: ConnectionLimit,
        turns: TurnQueue,
        trusted_proxies: tuple[Network, ...] = (),
        names_requests: bool = True,  # in each answer, by `X-Request-Id`
    ) -> None:
        self._app: Any = config.loaded_app
        self._server = server_state
        self._draining = draining
        self._limit = limit
        self._turns = turns
        self._trusted_proxies = trusted_proxies
        self.names_requests = names_requests
        self._loop = _loop or asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._answering: ClientConnection | None = None
        self._receiving: ClientConnection | None = None
        self._waiting: deque[tuple[ClientConnection, dict[str, Any]]] = deque()
        self._rest: bytes | memoryview = b""  # not parsed yet
        self._refusal: UnfitRequestError | None = None
        self._begin_head()
        self._in_head = self._upgrading = self._lingering = self._awaits_turn = False
        self._reading_paused = self.write_paused = False
        self._parts = self._unheeded_bytes = 0  # see `_parse` and `_feed`
        self._writable: asyncio.Event | None = None
        self.clock = ConnectionClock()
        self._tell_loss: Callable[[], None] | None = None

    # -- the transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # it is one, of a stream
        """Begin to listen."""
        self.transport = transport
        bound_unsent(connected := transport.get_extra_info("socket"))
        admission = self._limit.admit(connected.fileno(), self, self._server.connections)
        self._server.connections.add(self)
        ends = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        self._client_address, self._server_address = (one[:2] if isinstance(one, tuple) else None for one in ends)
        if admission is Entrance.BRIEF:
            self.clock.shorten()
        elif admission is Entrance.REFUSED:
            self._send_refusal(failure(Unavailable("too many connections, please retry later", retry_after_s=1)))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's interface
        """Tell everybody who waits, and keep nothing."""
        self._server.connections.discard(self)
        del self._parser  # which leads back to this object
        for exchange in (self._answering, self._receiving, *(exchange for exchange, _ in self._waiting)):
            if exchange is not None:
                exchange.lose()
        if self._tell_loss is not None:
            self.in_turn(self._tell_loss, of="lost")
        self._answering = self._receiving = self._tell_loss = None
        self._waiting, self._rest = deque(), b""
        self.resume_writing()

    def data_received(self, data: bytes) -> None:
        """Parse it, unless something waits to be parsed already."""
        self.clock.heard_bytes += len(data)
        if self._rest:
            self._rest = b"".join((self._rest, data))
        elif not self._lingering:
            if len(data) > _LARGE_BYTES and not self._awaits_turn:
                self._await_turn()
            self._parse(data)

    def pause_writing(self) -> None:
        """Note that the client does not take what was written."""
        self.write_paused = True

    def resume_writing(self) -> None:
        """Go on, now that the client has taken most of it."""
        self.write_paused = False
        if self._writable is not None:
            self._writable.set()
        self._go_on()

    def shutdown(self) -> None:
        """Close the connection after the answer that is being made; uvicorn calls this when it ends."""
        if self._answering is not None:
            self._answering.keep_alive = False
        else:
            self.transport.close()

    def close_if_overdue(self, now: float) -> None:
        """End a connection whose client keeps us waiting for too long."""
        unread, serving = self.transport.get_write_buffer_size(), self._answering is not None
        due = self._receiving is not None and not self._reading_paused
        overdue = self.clock.look(now, unread, serving=serving, lingering=self._lingering, body_due=due)
        if overdue is Overdue.CUT:
            self.transport.abort()
        elif overdue is Overdue.CLOSED:
            self.transport.close()
        elif overdue is Overdue.REFUSED and not self.transport.is_closing():
            self._refuse(UnfitRequestError(408, f"the head did not arrive within {HEAD_LIMIT_S} seconds"))

    def idle_s(self, now: float) -> float:
        """For how long the client has asked for nothing, or has taken nothing; 0 while it is served."""
        return 0.0 if self.closing else self.clock.idle_s(now, serving=self._answering is not None)

    @property
    def closing(self) -> bool:
        """Whether the connection is being closed, and has not to wait for what its client does not take."""
        return self.transport.is_closing() and not self.transport.get_write_buffer_size()

    def reclaim(self) -> None:
        """Close the connection, as another one needs its place."""
        self.transport.abort() if self._answering or self.transport.get_write_buffer_size() else self.transport.close()

    # -- the parser

    def _parse(self, received: bytes | memoryview) -> None:
        """Parse on as long as no request waits for its turn, nor the connection itself; then the rest waits too."""
        data = memoryview(received)  # pieces that are copies would leave the heap full of holes
        for at in range(0, len(data), _AT_ONCE_BYTES):
            if self._refusal is not None:
                return
            if self._waiting or self._awaits_turn:
                self._rest = data[at:]
                self.pause_reading()
                return
            self._parts = 0
            self._feed(data[at : at + _AT_ONCE_BYTES])
            if self._parts > _MANY_PARTS or at == _MANY_BYTES:
                self._await_turn()
        if self._in_head:
            self.clock.head_begun()

    def _feed(self, data: bytes | memoryview) -> None:
        self._unheeded_bytes += len(data)  # since there was anything to heed: a head, a part of a body, an end
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            cause = error.__context__  # without its frames, which lead back to this object and to what was received
            self._refuse(cause.with_traceback(None) if isinstance(cause, UnfitRequestError) else no_http())
        else:
            if self._unheeded_bytes > MOST_HEAD_BYTES:
                self._refuse(too_large())

    def in_turn(self, do: Callable[[], object], of: str = "") -> None:
        """Call `do` when it is the client's turn: many may ask at once, or go, and what is done then computes."""
        self._turns.call((of, self._client_address and self._client_address[0]), do)

    def _await_turn(self) -> None:
        self._awaits_turn = True
        self.in_turn(self._take_turn)

    def _take_turn(self) -> None:
        self._awaits_turn = False
        if not self.transport.is_closing():
            self.resume_reading()

    def _ignore_upgrade(self, rest: bytes | memoryview) -> None:
        """Have the request's head parsed again, without its wish for another protocol (RFC 9110, 7.8)."""
        head = [b"%b %b HTTP/%b" % (self._parser.get_method(), self._url, self._parser.get_http_version().encode())]
        head += [b"%b: %b" % header for header in self._headers if header[0] != b"upgrade"]
        self._upgrading = False
        self._parser = httptools.HttpRequestParser(self)
        for part in (b"\r\n".join([*head, b"", b""]), rest):
            if self._refusal is None:
                self._feed(part)

    def _begin_head(self) -> None:
        self._url, self._trailers, self._in_head = b"", 0, True
        self._headers: list[tuple[bytes, bytes]] = []
        self._special: list[tuple[bytes, bytes]] = []

    def on_message_begin(self) -> None:
        """Start a request."""
        self._begin_head()

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Those after a body are dropped: what they say was decided without them."""
        if self._in_head:
            name, value = name.lower(), value.strip(b" \t")  # RFC 9110, 5.5: blanks around are not of the value
            self._headers.append((name, value))
            if name in SPECIAL:
                self._special.append((name, value))
        else:
            self._trailers += 1
        if len(self._headers) > MOST_HEADERS or self._trailers > MOST_HEADERS:
            raise UnfitRequestError(431, f"the request has more than {MOST_HEADERS} headers")

    def on_headers_complete(self) -> None:
        """Begin with a request, or let it wait for its turn. Raises UnfitRequestError."""
        if self._unheeded_bytes > MOST_HEAD_BYTES:
            raise too_large()
        self._in_head, self._unheeded_bytes = False, 0
        self.clock.head_ended()
        parser = self._parser
        version, method = parser.get_http_version(), parser.get_method()
        if method == b"CONNECT":
            raise no_http()
        if version not in ("1.1", "1.0"):
            raise UnfitRequestError(505, "only HTTP/1.1 and HTTP/1.0 are spoken here")
        self._upgrading = parser.should_upgrade()
        if self._upgrading:
            return
        request_id, expects = read_special(self._special, version, named=self.names_requests)
        modern, ends = version == "1.1", self._draining.is_set() or self.clock.brief
        stays = modern and parser.should_keep_alive() and not ends
        exchange = ClientConnection(
            self, request_id, head_only=method == b"HEAD", keep_alive=stays, expects_continue=expects, may_chunk=modern
        )
        peers = sender_of(self._client_address, self._headers, self._trusted_proxies), self._server_address
        scope = scope_of(version, method, self._url, self._headers, peers, {CONNECTION: exchange})
        self._receiving = exchange
        if self._answering is None and not (self._waiting or self.write_paused):
            self._start(exchange, scope)
        else:
            self._waiting.append((exchange, scope))

    def on_body(self, body: bytes) -> None:
        """Hand a part of the body on."""
        self._unheeded_bytes = 0
        self._parts += 1
        if self._receiving is not None:
            self._receiving.add(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._unheeded_bytes = 0
        if self._receiving is not None and not self._upgrading:
            self._receiving.end_body()
            self._receiving = None

    # -- answering

    def _start(self, exchange: ClientConnection, scope: dict[str, Any]) -> None:
        self._answering = exchange
        self.clock.started()
        self._server.tasks.add(self._loop.create_task(self._run(exchange, scope)))

    async def _run(self, exchange: ClientConnection, scope: dict[str, Any]) -> None:
        try:
            if not exchange.gone:  # as it has when what came with the head broke the request
                await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            self.transport.close()
            raise
        except Exception:  # noqa: BLE001 - whatever it is, the client gets an answer, or sees that it broke off
            if not exchange.gone:
                _LOG.exception("an endpoint failed", request=exchange.request_id)
        finally:
            self._server.tasks.discard(asyncio.current_task())
        if exchange.started and not exchange.complete:
            self.transport.close()
        elif not exchange.started:
            reply = failure(PlatformError("please retry later"))
            exchange.answer(reply.status, [*reply.headers, (b"content-length", b"%d" % len(reply.body))], reply.body)

    def answered(self, exchange: ClientConnection) -> None:
        """Go on, as the whole answer has been written."""
        self._answering = None
        self.clock.answered(exchange.status)
        if exchange.keep_alive:
            if self._waiting or self._rest or self._reading_paused or self._refusal is not None:
                self._go_on()
        elif self._refusal is None and self._receiving is None:
            self.transport.close()
        else:
            self._linger()

    def _linger(self) -> None:
        """Say no more, and drop what comes: closed at once, the last answer might never arrive (RFC 9112, 9.6)."""
        self._lingering, self._rest = True, b""
        self.transport.write_eof()
        self.resume_reading()

    def _go_on(self) -> None:
        """Begin with the request whose turn it is, if the client takes its answers; parse and read on."""
        if self._lingering or self.transport.is_closing():
            return
        if self._answering is None and not self.write_paused:
            if self._waiting:
                self._start(*self._waiting.popleft())
            elif (refused := self._refusal) is not None:
                self._send_refusal(refusal(refused.status, f"Invalid format: {refused.message}", [], None))
        self.resume_reading()

    def _refuse(self, refused: UnfitRequestError) -> None:
        """Hear nothing more, and say why when the requests before this one are answered."""
        self._refusal = refused
        self.clock.head_ended()
        if (broken := self._receiving) is not None:  # its body will never be complete
            broken.lose()
            if broken.complete:
                self._linger()
            elif broken is not self._answering:
                self._waiting.pop()
            elif broken.started:
                self.transport.close()
            else:
                self._answering = None
        self._go_on()

    def _send_refusal(self, reply: Reply) -> None:
        head = ClientConnection(self, request_name(), head_only=False, keep_alive=False, expects_continue=False)
        head.answer(reply.status, [*reply.headers, (b"content-length", b"%d" % len(reply.body))], reply.body)

    def standing_lines(self) -> bytes:
        """The headers of every answer, as they are sent."""
        headers, lines = HttpProtocol._standing
        if headers is not (now := self._server.default_headers):
            lines = b"".join(b"%b: %b\r\n" % header for header in now)
            HttpProtocol._standing = now, lines
        return lines

    def pause_reading(self) -> None:
        """Let the client wait with what it sends."""
        if not self._reading_paused:
            self._reading_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Parse and read on, unless a request or the connection waits for its turn, or a body for who reads it."""
        if self._receiving is not None and self._receiving.is_full:
            return
        if self._rest and not (self._waiting or self._awaits_turn):
            rest, self._rest = self._rest, b""
            self._parse(rest)
        if self._reading_paused and not self._rest:
            self._reading_paused = False
            self.transport.resume_reading()

    async def writable(self) -> None:
        """Wait until the client has taken most of what was written, or has gone."""
        self._writable = self._writable or asyncio.Event()
        while self.write_paused:
            self._writable.clear()
            await self._writable.wait()

    def when_lost(self, tell: Callable[[], None]) -> None:
        """As `ClientConnection.when_lost`."""
        if self.transport.is_closing():
            tell()
        else:
            self._tell_loss = tell
