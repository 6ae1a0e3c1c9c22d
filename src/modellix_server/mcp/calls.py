"""One call of an MCP server: who sends it, and what the request log needs."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from modellix_server.base.errors import PlatformError, Unauthorized
from modellix_server.identity import Caller, Callers
from modellix_server.limits import AddressLimit, RateDecision, Windows
from modellix_server.operations.principal import Principal, anybody, api_key
from modellix_server.requestlog import LogEntry, SubmissionEntry, Writer, redact_body, redact_path

Scope = MutableMapping[str, Any]

_CALL = "modellix.mcp_call"


@dataclass(slots=True)
class McpCall:
    """One POST to an MCP server."""

    method: str
    path: str
    address: str
    """Of the peer; behind trusted proxies, of whom they name."""
    request_id: str | None
    who: Principal
    caller: Caller | None = None
    rate: RateDecision | None = None
    tool: str | None = None
    model: str | None = None
    task_id: UUID | None = None
    made_task: bool = False
    """Whether the call is an accepted submission: its record is the task's row, and what that row does not say."""
    refused: PlatformError | None = None
    """Why the call, or the tool that it calls, was refused."""
    arguments: bytes = b""
    """Of the tool, as JSON; kept for refused calls of generation."""
    status: int = 0
    """Of the HTTP answer."""
    complete: bool = False
    """Whether the client got the whole answer."""
    bytes_in: int = 0
    bytes_out: int = 0
    started: float = field(default_factory=time.perf_counter)

    @property
    def spent_ms(self) -> int:
        """Milliseconds since its head came."""
        return int((time.perf_counter() - self.started) * 1000)


def new_call(scope: Scope) -> McpCall:
    """The call of a request, which handlers find in its scope."""
    client = scope.get("client")
    address = client[0] if client else "unknown"
    call = McpCall(scope["method"], scope["path"], address, scope.get("request_id"), anybody(address))
    scope[_CALL] = call
    return call


def call_of(scope: Scope) -> McpCall:
    """The call that this request is."""
    found = scope[_CALL]
    assert isinstance(found, McpCall)
    return found


class Admission(Protocol):
    """Who may call a server, and how often."""

    async def admit(self, call: McpCall, authorization: str | None) -> None:
        """Let a call in. Raises Unauthorized, RateLimited, Unavailable."""

    def record(self, call: McpCall) -> None:
        """Write an answered call down."""


class KeyAdmission:
    """Callers with an API key, limited and logged as in every call of the API."""

    def __init__(self, callers: Callers, windows: Windows, request_log: Writer, strangers: AddressLimit) -> None:
        self._callers = callers
        self._strangers = strangers
        self._windows = windows
        self._log = request_log

    async def admit(self, call: McpCall, authorization: str | None) -> None:
        """Authenticate, and count the request against the limits of key and team."""
        try:
            call.caller = caller = await self._callers.authenticate(authorization)
        except Unauthorized:
            self._strangers.take(call.address)
            raise
        call.rate = rate = self._windows.take(caller)
        if not rate.allowed:
            raise rate.error()
        call.who = api_key(caller, call.address)

    def record(self, call: McpCall) -> None:
        """One row of the request log; its path names the tool after a `#`."""
        path = redact_path(f"{call.path}#{call.tool}" if call.tool else call.path)
        caller, refused = call.caller, call.refused
        latency_us = int((time.perf_counter() - call.started) * 1_000_000)
        if call.made_task:
            assert call.task_id is not None
            assert caller is not None
            sizes = (latency_us, call.bytes_in, call.bytes_out)
            row = SubmissionEntry(call.task_id, caller.team_id, caller.live, path, *sizes, call.request_id)
            self._log.record(row)
            return
        kept = refused is not None and (caller is None or caller.input_days != 0)
        self._log.record(
            LogEntry(
                at=datetime.now(UTC),
                team_id=caller.team_id if caller else None,
                live=caller.live if caller else None,
                key_id=caller.key_id if caller else None,
                method=call.method,
                path=path,
                status=refused.status if refused else call.status,
                code=refused.code if refused else None,
                latency_us=latency_us,
                bytes_in=call.bytes_in,
                bytes_out=call.bytes_out,
                model=call.model,
                task_id=call.task_id,
                input=redact_body(call.arguments) if kept and call.arguments else None,
                answer=redact_body(refused.message.encode()) if kept and refused else None,
                request_id=call.request_id,
            )
        )


class AddressAdmission:
    """Everybody, so many calls per minute and address."""

    def __init__(self, limit: AddressLimit) -> None:
        self._limit = limit

    async def admit(self, call: McpCall, authorization: str | None) -> None:  # noqa: ARG002 - none is needed
        """Count the call."""
        self._limit.take(call.address)

    def record(self, call: McpCall) -> None:
        """Nobody's calls are written down."""
