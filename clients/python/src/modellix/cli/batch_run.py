"""The tasks of a batch: submitted, followed and saved, a few at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from modellix import AsyncClient, AsyncTask, errors
from modellix.cli import flags, output
from modellix.cli.batch_state import KEYS_LAST_S, BatchLine, BatchState
from modellix.cli.exits import TooExpensive

_PASSING = (errors.ConnectionFailed, errors.RateLimited, errors.ServerError)
_REFUSED = (errors.InvalidRequest, errors.NotFound, errors.PermissionDenied)
_GIVE_UP_S = 600.0
_PAUSE_S = 5.0
_NO_PRICE = frozenset({"prompt", "negative_prompt", "seed"})
"""Parameters on which no price depends: lines that differ in nothing else share a quote."""


class Batch:
    """One run of the command."""

    def __init__(
        self,
        lines: list[BatchLine],
        state: BatchState,
        folder: Path,
        out: Path,
        *,
        max_cost: float | None,
        retry_failed: bool,
        json: bool,
    ) -> None:
        self._lines = lines
        self._state = state
        self._folder = folder
        self._out = out
        self._max_cost = max_cost
        self._retry_failed = retry_failed
        self._json = json
        self._stopped_by: Exception | None = None
        self._quotes: dict[str, float] = {}
        self._files: dict[str, frozenset[str]] = {}
        self._digits = len(str(max((line.number for line in lines), default=0)))

    def run(self, concurrency: int | None) -> None:
        """Do all lines that have not ended yet, then say what there is. Raises what stops the whole batch."""
        try:
            asyncio.run(self._run(concurrency))
        finally:
            self._sum_up()

    async def _run(self, concurrency: int | None) -> None:
        left = [line for line in self._lines if self._is_left(line)]
        if self._json:
            for line in self._lines:
                if line not in left:
                    self._tell(line)
        if not left:
            return
        async with AsyncClient() as client:
            allowed = (await client.key()).limits.team_running_tasks
            workers = min(concurrency or allowed, allowed, len(left))
            output.note(f"{len(left)} of {len(self._lines)} lines to do, {workers} at a time")
            shared = iter(left)
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._work(client, shared))
        if self._stopped_by:
            raise self._stopped_by

    async def _work(self, client: AsyncClient, lines: Iterator[BatchLine]) -> None:
        """One line after the other. What stops the batch lets those that are under way come to their ends."""
        for line in lines:
            if self._stopped_by:
                return
            try:
                await self._do(client, line)
                self._tell(line)
            except (errors.ModellixError, OSError) as error:
                self._stopped_by = self._stopped_by or error

    @property
    def failed(self) -> int:
        """Lines that have ended badly."""
        return sum(1 for line in self._lines if (result := self._result(line)) and result["status"] != "success")

    def _sum_up(self) -> None:
        """Say what there is."""
        done = [result for line in self._lines if (result := self._result(line))]
        good = sum(result["status"] == "success" for result in done)
        cost = sum(result.get("cost") or 0 for result in done)
        told = [f"{good} of {len(self._lines)} done", f"{len(done) - good} failed", f"cost {output.usd(cost)}"]
        if left := len(self._lines) - len(done):
            told.append(f"{left} left: run the same command again")
        output.note(", ".join(told))

    def _is_left(self, line: BatchLine) -> bool:
        result = self._result(line)
        return result is None or (self._retry_failed and result["status"] != "success")

    def _result(self, line: BatchLine) -> dict[str, Any] | None:
        known = self._state.lines.get(line.number)
        return known.result if known else None

    def _tell(self, line: BatchLine) -> None:
        result, number = self._result(line) or {}, f"{line.number:>{self._digits}}"
        if self._json:
            output.as_json_line({"line": line.number, **result})
        elif result.get("status") == "success":
            output.note(f"{click.style(number, fg='green')}  {', '.join(result['files'])}")
        else:
            output.note(f"{click.style(number, fg='red')}  {result.get('code')}: {result.get('message')}")

    async def _do(self, client: AsyncClient, line: BatchLine) -> None:
        """One line, from wherever it is to its end."""
        try:
            task = await _persistent(lambda: self._task(client, line))
            if task is not None:
                await task.wait(timeout_s=None)
                paths = await asyncio.gather(
                    *(one.save(self._out / f"{line.number:0{self._digits}}-{one.name}") for one in task.files)
                )
                told = {
                    "status": "success",
                    "task_id": task.id,
                    "cost": task.cost,
                    "files": [str(one) for one in paths],
                }
                self._state.ended(line, told)
        except errors.TaskFailed as error:
            self._fail(line, error.code, error)
        except _REFUSED as error:
            self._fail(line, error.category, error)

    def _fail(self, line: BatchLine, code: str, error: errors.ModellixError) -> None:
        if line.number not in self._state.lines:  # refused before anything was submitted
            self._state.intend(line, {}, None)
        told = {"status": "failed", "task_id": error.task_id, "code": code, "message": error.message, "cost": 0}
        self._state.ended(line, told)

    async def _task(self, client: AsyncClient, line: BatchLine) -> AsyncTask | None:
        """The task of a line: the one that there is, or a new one. None if nobody can tell whether there is one."""
        known = self._state.lines.get(line.number)
        if known and known.task_id and known.result is None:
            return await client.task(known.task_id)
        if known is None or known.result is not None:
            body = await self._body(client, line)
            quote = None if self._max_cost is None else await self._quote(client, line, body)
            if quote is not None and self._state.spent + quote > (self._max_cost or 0):
                raise TooExpensive(f"line {line.number} could cost more than --max-cost leaves")
            self._state.intend(line, body, quote)
            known = self._state.lines[line.number]
        elif time.time() - known.at > KEYS_LAST_S:
            lost = errors.ModellixError("whether it was submitted is not known any more: see `modellix tasks`")
            self._fail(line, "unknown", lost)
            return None
        task = await client.submit(
            line.model, known.body, queue=True, max_cost=known.quote, idempotency_key=self._state.key(line)
        )
        self._state.accepted(line, task.id)
        return task

    async def _body(self, client: AsyncClient, line: BatchLine) -> dict[str, Any]:
        """The parameters with local files uploaded; their paths start where the input file is."""
        if line.model not in self._files:
            found = flags.of_model(await client.model(line.model))
            self._files[line.model] = frozenset(flag.name for flag in found if flag.takes_file)

        async def sent(value: Any) -> Any:
            if isinstance(value, list):
                return [await sent(one) for one in value]
            local = isinstance(value, str) and len(value) < 4096 and (self._folder / value).is_file()
            return (await client.upload(self._folder / value)).file_id if local else value

        takes = self._files[line.model]
        return {name: await sent(value) if name in takes else value for name, value in line.input.items()}

    async def _quote(self, client: AsyncClient, line: BatchLine, body: dict[str, Any]) -> float:
        same = str((line.model, sorted((k, str(v)) for k, v in body.items() if k not in _NO_PRICE)))
        if same not in self._quotes:
            self._quotes[same] = (await client.quote(line.model, body)).cost
        return self._quotes[same]


async def _persistent(attempt: Callable[[], Any]) -> Any:
    """What an attempt gives; repeated while the platform is busy or away, for ten minutes."""
    give_up = time.monotonic() + _GIVE_UP_S
    while True:
        try:
            return await attempt()
        except _PASSING as error:
            if time.monotonic() > give_up:
                raise
            await asyncio.sleep(getattr(error, "retry_after_s", None) or _PAUSE_S)
