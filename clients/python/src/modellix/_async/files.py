"""A file of a result: its link, its bytes, a copy on disk."""

from __future__ import annotations

import asyncio
import builtins
import os
from itertools import count
from pathlib import Path

from modellix._async.transport import AsyncTransport
from modellix._requests import pause_s
from modellix.errors import ApiError, ConnectionFailed
from modellix.types import Resource

_RETRIES = 3


class AsyncFile:
    """One file that a task delivered. `resource` has its kind, size and measures."""

    def __init__(self, transport: AsyncTransport, resource: Resource, name: str) -> None:
        self._transport = transport
        self.resource = resource
        self.name = name
        """A good name for a copy: model, task, number and extension."""

    @property
    def url(self) -> str:
        """Public link, until the result expires. It can be the input of another task."""
        return self.resource.url

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {self.resource.type} {self.resource.size} bytes>"

    async def bytes(self) -> builtins.bytes:
        """The whole file. Raises ApiError (NotFound once it has expired), ConnectionFailed."""
        for attempt in count():
            try:
                async with self._transport.download(self.url) as response:
                    return await response.aread()
            except (ApiError, ConnectionFailed) as error:
                await self._pause(error, attempt)
        raise AssertionError("attempts end with the file or an error")

    async def save(self, path: str | os.PathLike[str] = ".") -> Path:
        """Save a copy and return where it is: in a folder under `name`, or at the path of a file.

        Other than by a whole file the path is never changed. Raises ApiError, ConnectionFailed, OSError.
        """
        place = Path(path)
        if place.is_dir() or str(path).endswith(("/", os.sep)):
            place /= self.name
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(f".{place.name}.{os.getpid()}.part")
        try:
            for attempt in count():
                try:
                    await self._fetch(draft)
                    break
                except (ApiError, ConnectionFailed) as error:
                    await self._pause(error, attempt)
            draft.replace(place)
        finally:
            draft.unlink(missing_ok=True)
        return place

    async def _fetch(self, draft: Path) -> None:
        async with self._transport.download(self.url) as response:
            with draft.open("wb") as opened:
                async for chunk in response.aiter_bytes():
                    opened.write(chunk)
        if draft.stat().st_size != self.resource.size:
            raise ConnectionFailed("the download ended too early", sent=True)

    async def _pause(self, error: ApiError | ConnectionFailed, attempt: int) -> None:
        pause = pause_s(error, attempt, most=_RETRIES, repeatable=True)
        if pause is None:
            raise error
        await asyncio.sleep(pause)
