"""Turns with the benchmark of another checkout, so that only one of the two is at work at any time (see against.py).

Who starts us names two pipes in BENCH_TURNS: the one we read while we wait, and the one we write to to pass the turn.
"""

from __future__ import annotations

import asyncio
import os

VARIABLE = "BENCH_TURNS"


async def pass_the_turn() -> None:
    """Let the other checkout come as far as we are; returns at once when there is none."""
    if pipes := os.environ.get(VARIABLE):
        ours, theirs = map(int, pipes.split(","))
        os.write(theirs, b".")
        await asyncio.to_thread(os.read, ours, 1)
