"""Media in the arguments of tools."""

from __future__ import annotations

import asyncio
from typing import Any

from modellix_server.catalogue import Model
from modellix_server.inspection import InputFile, take_inputs

_LARGE_BYTES = 256 * 1024


async def media_taken_out(model: Model, params: dict[str, Any], size: int) -> tuple[dict[str, Any], list[InputFile]]:
    """The parameters with media bytes taken out, off the event loop when there are many. Raises InvalidFormat."""
    media = tuple(medium.name for medium in model.media)
    if not media:
        return params, []
    if size <= _LARGE_BYTES:
        return take_inputs(params, media)
    return await asyncio.to_thread(take_inputs, params, media)
