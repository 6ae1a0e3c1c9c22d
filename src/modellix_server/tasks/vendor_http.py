"""The HTTP that adapters get: bound to one account, remembering the vendor's last words for the record."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from modellix_server.base import faults
from modellix_server.base.metrics import LONG_SECONDS, Counter, Histogram
from modellix_server.base.multipart import Part, encode_form
from modellix_server.base.outbound import Answer, AnswerLost, Blocked, NotSent, Outbound, Turn
from modellix_server.base.redaction import redact_text
from modellix_server.tasks.routing import VendorAccount
from modellix_server.upstreams.contract import QUICK_ANSWER_BYTES, MediaFile

_KEPT_CHARS = 2_000
_LEAST_KEY_BYTES = 6  # what is shorter is no key, and taking it out would break the answer
_UPLOAD_TIMEOUT_S = 300.0
_LABELS = ("upstream", "mode", "method")
_CALLS = Counter("modellix_vendor_calls_total", "Calls of vendors' APIs, by outcome.", (*_LABELS, "outcome"))
_LATENCY = Histogram("modellix_vendor_call_seconds", "How long calls of vendors' APIs took.", LONG_SECONDS, _LABELS)


class VendorHttp:
    """Implements `upstreams.contract.Http` for one account; `close` it when its answer has been dealt with.

    An answer longer than `QUICK_ANSWER_BYTES` is read only within `room`, which it then keeps until `close`:
    the number of such answers in memory is bounded, however many submissions there are.
    """

    def __init__(
        self,
        account: VendorAccount,
        outbound: Outbound,
        timeout_s: float,
        *,
        most_bytes: int = QUICK_ANSWER_BYTES,
        room: asyncio.Semaphore | None = None,
    ) -> None:
        self._account = account
        self._outbound = outbound
        self._timeout_s = timeout_s
        self._most_bytes = most_bytes
        self._room = room
        self._in_room = False
        self.status: int | None = None
        """HTTP status of the last answer."""
        self._start = b""

    @property
    def words(self) -> str | None:
        """The last answer as a person may read it later: no key, no signed link, no bytes of media."""
        if self.status is None:
            return None
        text = self._start.decode("utf-8", "replace")
        return redact_text(text.replace(self._account.key, "***"))[:_KEPT_CHARS]

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        form: Sequence[Part] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request to the account's base URL, never retried. Raises NotSent or AnswerLost."""
        sent, body = dict(headers or {}), None
        if form is not None:
            sent["Content-Type"], body = await encode_form(form)
        elif json is not None:
            sent, body = {"Content-Type": "application/json", **sent}, msgspec.json.encode(json)
        started, outcome = time.perf_counter(), "broken off"
        try:
            answer = await self._outbound.call(
                method,
                self._account.base_url.rstrip("/") + path,
                headers=sent,
                body=body,
                origins=self._account.origins,
                timeout_s=self._timeout_s,
                max_bytes=self._most_bytes,
                turn=Turn(QUICK_ANSWER_BYTES, self._enter),
            )
            outcome = f"{answer.status // 100}xx"
        except (NotSent, AnswerLost) as error:
            outcome = "not sent" if isinstance(error, NotSent) else "answer lost"
            raise
        finally:
            named = (self._account.upstream, "test" if self._account.sandbox else "live", method)
            _CALLS[*named, outcome] += 1
            _LATENCY.observe(time.perf_counter() - started, named)
        self.status = answer.status
        # A vendor that quotes our key in its refusal must not carry it into messages, notes or logs.
        if len(answer.body) <= QUICK_ANSWER_BYTES and len(key := self._account.key.encode()) >= _LEAST_KEY_BYTES:
            answer = replace(answer, body=answer.body.replace(key, b"***")) if key in answer.body else answer
        self._note(answer)
        if method == "POST":
            await faults.point("answer_received")
        return answer

    def close(self) -> None:
        """Make room for the next long answer."""
        if self._in_room and self._room is not None:
            self._in_room = False
            self._room.release()

    def _note(self, answer: Answer) -> None:
        """Remember an answer's beginning only: all of it may be many megabytes."""
        self.status, self._start = answer.status, answer.body[: 4 * _KEPT_CHARS]

    async def _enter(self) -> None:
        if self._room is not None and not self._in_room:
            await self._room.acquire()
            self._in_room = True

    async def upload(self, url: str, fields: Mapping[str, str], file: MediaFile) -> Answer:
        """POST a form with a file to where the vendor said, without its key, streamed.

        Raises NotSent (Blocked for an address that is neither https nor the account's own) or AnswerLost.
        """
        if url[:8].lower() != "https://" and not self._account.origins.names(url):
            raise Blocked("the vendor's upload address is not https")
        boundary = secrets.token_hex(16)
        start, end = _around(boundary, fields, file)
        answer = await self._outbound.call(
            "POST",
            url,
            headers={
                "Content-Type": f"multipart/form-data; boundary={boundary}",
                "Content-Length": str(len(start) + file.size + len(end)),
            },
            body=_chained(start, file, end),
            origins=self._account.origins,
            timeout_s=_UPLOAD_TIMEOUT_S,
            max_bytes=QUICK_ANSWER_BYTES,
        )
        self._note(answer)
        return answer


def _around(boundary: str, fields: Mapping[str, str], file: MediaFile) -> tuple[bytes, bytes]:
    """What stands before the bytes of the file, and after them (RFC 7578)."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{file.name}"\r\n'
        f"Content-Type: {file.mime}\r\n\r\n"
    )
    return "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()


async def _chained(start: bytes, file: MediaFile, end: bytes) -> AsyncIterator[bytes]:
    yield start
    left = file.size
    async for chunk in file.chunks():
        left -= len(chunk)
        yield chunk
    if left:  # the vendor would wait for the rest
        raise OSError(f"the file has {-left:+} bytes more than it had")
    yield end
