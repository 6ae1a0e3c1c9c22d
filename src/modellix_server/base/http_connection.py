"""One HTTP/1.1 connection of a client: httptools parses, one exchange at a time (docs/adr/0039).

It knows no address and no cap on bodies: those are `outbound`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable
from typing import cast

import httptools

Body = bytes | AsyncIterable[bytes] | None

_MOST_HELD_BYTES = 256 * 1024  # of a body that nobody reads yet; reading from the socket stops there
_MOST_BETWEEN_BYTES = 512 * 1024  # of a head, or of trailers and chunk extensions without a byte of a body
_MOST_HEADERS = 1000  # result hosts and receivers set cookies and policies at length
_WITHOUT_BODY = (204, 304)


class NotHttp(ConnectionError):
    """What the server sends is no answer."""


class HttpConnection(asyncio.Protocol):
    """An open connection. Errors are OSError, but for what a body in pieces raises itself."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        # As common clients and browsers read: nothing that one server may smuggle past another is at stake here.
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._waiter: asyncio.Future[None] | None = None
        self._pouring: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._error: BaseException | None = None
        self._expected = False
        self._begin()

    def _begin(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        """Names in lower case; of a repeated one the first."""
        self.heard = False
        """Whether anything of an answer has come."""
        self._headed = self._whole = self._until_close = False
        self._pieces: list[bytes] = []
        self._held = self._between = 0
        self._paused = False

    @property
    def reusable(self) -> bool:
        """Whether the exchange is over and another may follow."""
        transport = self._transport
        unfinished = self._expected or self._pouring or self._error or transport.get_write_buffer_size()
        return not (unfinished or transport.is_closing())

    async def ask(self, head: bytes, body: Body, deadline: float) -> None:
        """Send a request; returns with the head of its answer.

        Whatever is waited for then ends with TimeoutError at the deadline, by the event loop's clock.
        """
        self._begin()
        self._expected = True
        self._timer = self._loop.call_at(deadline, self._fail, TimeoutError("the answer takes too long"))
        if body is None or isinstance(body, bytes):
            self._transport.write(head + body if body else head)
        else:
            self._transport.write(head)
            self._pouring = self._loop.create_task(self._pour(body))
        while not self._headed:
            await self._news()

    async def read(self) -> bytes:
        """The next bytes of the body; none at its end."""
        while not self._pieces:
            if self._whole:
                return b""
            await self._news()
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return data

    def abort(self) -> None:
        """Close it at once."""
        if self._pouring is not None:
            self._pouring.cancel()
        self._fail(ConnectionAbortedError("closed here"))

    async def _pour(self, body: AsyncIterable[bytes]) -> None:
        try:
            async for piece in body:
                await self._may_write.wait()
                self._transport.write(piece)
            self._pouring = None
        except Exception as error:  # noqa: BLE001 - raised in whoever waits for the answer
            self._fail(error)

    async def _news(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error
            self._transport.abort()
            self._wake()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Bytes have come."""
        if not self._expected or self._parser is None:
            self._fail(NotHttp("an answer to no request"))
            return
        self.heard = True
        self._between += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(NotHttp("not an HTTP answer"))
            return
        if self._between > _MOST_BETWEEN_BYTES:
            self._fail(NotHttp("too much around the body"))
        elif self._held > _MOST_HELD_BYTES and not self._paused and not self._whole:
            self._paused = True
            self._transport.pause_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """It is closed."""
        if self._headed and self._until_close and error is None and self._error is None:
            self._whole = True
        self._error = self._error or error or ConnectionResetError("the connection was closed")
        self._parser = None  # they refer to each other
        self._stop_timer()
        self._may_write.set()
        self._wake()

    def pause_writing(self) -> None:
        """The other side takes its time."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """It takes more."""
        self._may_write.set()

    # -- what the parser calls

    def on_message_begin(self) -> None:
        """An answer begins; there may be several with a status of 1xx before the one that counts."""
        if self._whole:
            raise NotHttp("more than one answer")
        self.headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, of which none is wanted."""
        if len(self.headers) >= _MOST_HEADERS:
            raise NotHttp("too many headers")
        if not self._headed:
            self.headers.setdefault(name.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape"))

    def on_headers_complete(self) -> None:
        """The head is here."""
        assert self._parser is not None
        self.status = self._parser.get_status_code()
        if self.status < 200:
            return
        self._headed = True
        framed = "content-length" in self.headers or "chunked" in self.headers.get("transfer-encoding", "").lower()
        self._until_close = not framed and self.status not in _WITHOUT_BODY
        self._wake()

    def on_body(self, piece: bytes) -> None:
        """Bytes of the body."""
        self._between = 0
        self._held += len(piece)
        self._pieces.append(piece)
        self._wake()

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if not self._headed:  # one of 1xx
            return
        assert self._parser is not None
        self._whole = True
        self._expected = False
        self._stop_timer()
        self._wake()
        if not self._parser.should_keep_alive():
            self._error = ConnectionAbortedError("the other side takes no further request")
            self._transport.close()
