"""A task: followed, waited for, canceled, and what it delivered."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from modellix._async.files import AsyncFile
from modellix._async.transport import AsyncTransport
from modellix._requests import ApiRequest, Deadline, StreamedMessage, read
from modellix.errors import (
    BadAnswer,
    ConnectionFailed,
    ModellixError,
    RateLimited,
    ServerError,
    TaskFailed,
    TimedOut,
    class_of,
    docs_url,
)
from modellix.types import TaskEvent, TaskState

LONGEST_S = 1800.0
"""How long to wait for the end of a task, unless told otherwise."""
_LONG_POLL_S = 20
_RECONNECT_S = 2.0
_SILENCE_S = 30.0
"""Twice the time between the comments of an idle stream."""
_PASSING = (ConnectionFailed, RateLimited, ServerError, BadAnswer)
"""Errors that say nothing about the task: whoever waits for it goes on."""


class AsyncTask:
    """A task as it was when it was last read."""

    def __init__(self, transport: AsyncTransport, state: TaskState) -> None:
        self._transport = transport
        self.state = state
        """All that the API says about it."""

    @property
    def id(self) -> str:
        """Its id, which outlives the program: `client.task(id)` finds it again."""
        return self.state.task_id

    @property
    def status(self) -> str:
        """`pending`, `success` or `failed`."""
        return self.state.status

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.status != "pending"

    @property
    def cost(self) -> float | None:
        """What was charged, in USD; None while it runs."""
        return self.state.billing.amount if self.state.billing else None

    @property
    def metadata(self) -> dict[str, Any]:
        """What the model delivered beside its files."""
        return self.state.result.metadata if self.state.result else {}

    @property
    def files(self) -> list[AsyncFile]:
        """What it delivered; nothing while it runs."""
        resources = self.state.result.resources if self.state.result else []
        start = f"{self.state.model_id}-{self.id[-8:]}"
        return [
            AsyncFile(self._transport, one, f"{start}{f'-{number}' if len(resources) > 1 else ''}.{one.format}")
            for number, one in enumerate(resources, 1)
        ]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.status}>"

    async def refresh(self) -> AsyncTask:
        """Read it again. Raises NotFound once its result has expired."""
        return await self._read(None)

    async def wait(self, *, timeout_s: float | None = LONGEST_S) -> AsyncTask:
        """Wait for its end. Raises TaskFailed, TimedOut (it goes on), ApiError; each has the task's id.

        A lost connection or a restart of the platform is waited out, as long as `timeout_s` allows.
        """
        deadline = Deadline(timeout_s)
        while not self.done:
            left = deadline.left_s(_LONG_POLL_S)
            if not left:
                raise TimedOut(f"{self.id} has not ended within {timeout_s:g} s", task_id=self.id, task=self)
            try:
                await self._read(math.ceil(left))
            except _PASSING:
                await asyncio.sleep(deadline.left_s(_RECONNECT_S))
        return self.checked()

    async def events(self, *, timeout_s: float | None = LONGEST_S) -> AsyncIterator[TaskEvent]:
        """Follow it: every change of status, position in the queue, progress, as they come (server-sent events).

        Ends with the task, whose result is there then. Raises TimedOut, ApiError; a lost connection is made again.
        """
        deadline = Deadline(timeout_s)
        last_id = ""
        while not self.done:
            silence_s = deadline.left_s(_SILENCE_S)
            if not silence_s:
                raise TimedOut(f"{self.id} has not ended within {timeout_s:g} s", task_id=self.id, task=self)
            headers = {"Last-Event-ID": last_id} if last_id else {}
            request = self._request("GET", "/stream", headers=headers, timeout_s=silence_s)
            try:
                async with self._transport.stream(request) as response:
                    if response.status_code == 204:
                        await self.refresh()
                        return
                    message = StreamedMessage()
                    async for line in response.aiter_lines():
                        if complete := message.add(line):
                            last_id = complete.id or last_id
                            yield self._told(complete.event, complete.data)
                        if self.done or deadline.left_s(silence_s) < silence_s / 2:
                            break  # and goes on below, with silences as short as the time that is left
            except _PASSING:
                await asyncio.sleep(deadline.left_s(_RECONNECT_S))
            except ModellixError as error:
                error.task_id = self.id
                raise

    async def cancel(self) -> bool:
        """End it if it costs nothing yet. False: not decided yet, its status will tell. Raises Conflict: too late."""
        data = await self._call(self._request("POST", "/cancel"))
        if data["status"] == "failed":
            await self.refresh()
            return True
        return False

    async def delete_result(self) -> None:
        """Delete what it delivered, now. Raises Conflict while it runs."""
        await self._call(self._request("DELETE", "/result"))

    def checked(self) -> AsyncTask:
        """Itself. Raises TaskFailed if it has failed."""
        if error := self.state.error:
            page = docs_url(self._transport.origin, error.code)
            raise TaskFailed(error.message, code=error.code, task_id=self.id, docs_url=page, task=self)
        return self

    async def _read(self, wait_s: int | None) -> AsyncTask:
        longest = None if wait_s is None else wait_s + 30.0
        request = self._request("GET", query={"wait": wait_s}, timeout_s=longest)
        self.state = read(await self._call(request), TaskState)
        return self

    async def _call(self, request: ApiRequest) -> Any:
        try:
            return await self._transport.call(request)
        except ModellixError as error:
            error.task_id = self.id
            raise

    def _request(self, method: str, below: str = "", **about: Any) -> ApiRequest:
        return ApiRequest(method, f"/api/v1/tasks/{self.id}{below}", **about)

    def _told(self, name: str, data: str) -> TaskEvent:
        said = msgspec.json.decode(data)
        if name == "refusal":
            status, message = int(said["code"]), str(said["message"])
            page = docs_url(self._transport.origin, message.partition(":")[0])
            raise class_of(status, message)(message, status=status, request_id=None, docs_url=page)
        if name == "status":
            self.state = read(said, TaskState)
        return read({**said, "name": name, "status": said.get("status", self.status)}, TaskEvent)
