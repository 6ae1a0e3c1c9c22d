"""The client: one key of one installation."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

from modellix import _settings, _uploads
from modellix._async.files import AsyncFile
from modellix._async.task import LONGEST_S, AsyncTask
from modellix._async.transport import AsyncTransport
from modellix._requests import ApiRequest, read
from modellix._uploads import Uploadable
from modellix.types import Call, Key, ListedTask, Model, ModelDetails, Quote, TaskState, Transfer, UploadedFile, Usage

Row = TypeVar("Row")


class AsyncClient:
    """Talks to the API with one key.

    Without arguments it takes `MODELLIX_API_KEY` and `MODELLIX_BASE_URL`, or what `modellix login` saved.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        timeout_s: float = 60.0,
        max_retries: int = 3,
    ) -> None:
        """`timeout_s`: the longest silence of the API. Raises NotConfigured without a key."""
        access = _settings.find(api_key, base_url)
        self.base_url = access.origin
        self._transport = AsyncTransport(access, timeout_s=timeout_s, max_retries=max_retries)

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.base_url}>"

    async def run(
        self,
        model: str,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - as the API calls it, as below
        /,
        *,
        timeout_s: float | None = LONGEST_S,
        max_cost: float | None = None,
        queue: bool = True,
        idempotency_key: str | None = None,
        **parameters: Any,
    ) -> AsyncTask:
        """Submit a task and wait for its end: its `files` are what it made.

        Arguments are those of `submit`, with which a task that is full of others waits for its turn here. Raises
        TaskFailed, TimedOut (the task goes on, the error has its id), ApiError, ConnectionFailed.
        """
        task = await self.submit(
            model, input, max_cost=max_cost, queue=queue, idempotency_key=idempotency_key, **parameters
        )
        return await task.wait(timeout_s=timeout_s)

    async def submit(
        self,
        model: str,
        input: Mapping[str, Any] | None = None,  # noqa: A002
        /,
        *,
        max_cost: float | None = None,
        queue: bool = False,
        webhook_url: str | None = None,
        idempotency_key: str | None = None,
        **parameters: Any,
    ) -> AsyncTask:
        """Submit a task and return at once.

        The model's parameters are keyword arguments, or a mapping, or both. A parameter that takes a file takes a
        link, a `Path`, bytes, an open file, a picture of Pillow, a file of a result or an uploaded file.

        - `max_cost`: USD; a task that could cost more is refused.
        - `queue`: wait for a free slot in place of a refusal (ConcurrencyLimited).
        - `webhook_url`: gets a message when the task has ended.
        - `idempotency_key`: the same key with the same parameters is the same task. A new one unless given; also the
          errors have it, so that a submission without an answer can be repeated without being paid twice.
        """
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
        if max_cost is not None:
            headers["X-Max-Cost"] = f"{max_cost:.6f}"
        if queue:
            headers["X-Queue"] = "wait"
        if webhook_url is not None:
            headers["X-Webhook-URL"] = webhook_url
        body = await self._sent({**(input or {}), **parameters})
        data = await self._transport.call(ApiRequest("POST", f"/api/v1/{model}", body=body, headers=headers))
        return AsyncTask(self._transport, read(data, TaskState))

    async def task(self, task_id: str) -> AsyncTask:
        """A task by its id. Raises NotFound once its result has expired."""
        return await AsyncTask(self._transport, TaskState(status="pending", task_id=task_id, model_id="")).refresh()

    async def quote(
        self,
        model: str,
        input: Mapping[str, Any] | None = None,  # noqa: A002
        /,
        **parameters: Any,
    ) -> Quote:
        """The most that a task can cost, before it is submitted."""
        body = {"model": model, "input": await self._sent({**(input or {}), **parameters})}
        return read(await self._transport.call(ApiRequest("POST", "/api/v1/quote", body=body)), Quote)

    async def models(
        self,
        *,
        type: str | None = None,  # noqa: A002
        provider: str | None = None,
        category: str | None = None,
        featured: bool = False,
    ) -> list[Model]:
        """The catalogue; `category` is `image` or `video`, `featured` leaves the few to begin with."""
        query = {"type": type, "provider": provider, "category": category, "featured": "true" if featured else None}
        return read((await self.request("GET", "/api/v1/models", query=query))["models"], list[Model])

    async def model(self, model: str) -> ModelDetails:
        """One model: what it takes and what it costs. Raises NotFound."""
        return read(await self.request("GET", f"/api/v1/models/{model}"), ModelDetails)

    async def schema(self, model: str) -> dict[str, Any]:
        """JSON Schema (2020-12) of a model's parameters."""
        return (await self.model(model)).schema

    async def upload(self, file: Uploadable, *, filename: str | None = None) -> UploadedFile:
        """Upload a path, bytes, an open file or a picture of Pillow, to be an input. It is free and kept for days."""
        upload = _uploads.opened(file, filename)
        try:
            request = ApiRequest("POST", "/api/v1/media/files", upload=upload, repeatable=False)
            return read(await self._transport.call(request), UploadedFile)
        finally:
            upload.close()

    def files(self) -> AsyncIterator[UploadedFile]:
        """All uploaded files, newest first."""
        return self._rows("/api/v1/media/files", "files", UploadedFile, {})

    async def delete_file(self, file_id: str) -> None:
        """Delete an uploaded file."""
        await self.request("DELETE", f"/api/v1/media/files/{file_id}")

    async def balance(self) -> float:
        """What the team has left, in USD, in the key's mode."""
        return float((await self.request("GET", "/api/v1/team/balance"))["balance"])

    async def key(self) -> Key:
        """What the key may do, and what it has spent."""
        return read(await self.request("GET", "/api/v1/key"), Key)

    def tasks(
        self,
        *,
        status: str | None = None,
        model: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> AsyncIterator[ListedTask]:
        """The team's tasks, newest first, read page by page. Times are ISO 8601 or Unix seconds."""
        query = {"status": status, "model": model, "from": since, "to": until}
        return self._rows("/api/v1/tasks", "tasks", ListedTask, query)

    def logs(
        self,
        *,
        status: str | None = None,
        model: str | None = None,
        task_id: str | None = None,
        request_id: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> AsyncIterator[Call]:
        """All requests to the API, newest first. `status` is one (`404`), a class (`4xx`) or `refused`."""
        query = {"status": status, "model": model, "task_id": task_id, "request_id": request_id}
        return self._rows("/api/v1/logs", "logs", Call, {**query, "from": since, "to": until})

    def transfers(self, *, kind: str | None = None, task_id: str | None = None) -> AsyncIterator[Transfer]:
        """Every transfer of the team's money, newest first."""
        return self._rows("/api/v1/team/ledger", "ledger", Transfer, {"kind": kind, "task_id": task_id})

    async def usage(self, *, by: str = "day", since: str | None = None, until: str | None = None) -> list[Usage]:
        """Tasks and their cost in groups: by `day`, `model`, `key`, `member` or `tag`."""
        query = {"by": by, "from": since, "to": until}
        return read((await self.request("GET", "/api/v1/team/usage", query=query))["usage"], list[Usage])

    async def request(self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None) -> Any:
        """Any other route: the `data` of its answer. Only reads are repeated after a lost answer."""
        repeatable = method in ("GET", "DELETE")
        return await self._transport.call(ApiRequest(method, path, query or {}, body, repeatable=repeatable))

    async def _rows(self, path: str, name: str, row: type[Row], query: Mapping[str, Any]) -> AsyncIterator[Row]:
        cursor = None
        while True:
            page = await self.request("GET", path, query={**query, "limit": 100, "cursor": cursor})
            for one in read(page[name], list[row]):  # type: ignore[valid-type]
                yield one
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def _sent(self, value: Any) -> Any:
        """A parameter as it is sent: files are uploaded, and their ids stand in their places."""
        if isinstance(value, AsyncFile):
            return value.url
        if isinstance(value, UploadedFile):
            return value.file_id
        if isinstance(value, Mapping):
            return {name: await self._sent(one) for name, one in value.items()}
        if isinstance(value, list | tuple):
            return [await self._sent(one) for one in value]
        return (await self.upload(value)).file_id if _uploads.is_file(value) else value
