"""The catalogue by itself: how long a start reads it, and how long a request is checked. No stage is needed."""

from __future__ import annotations

import asyncio
import itertools
import timeit
from collections.abc import Callable
from functools import partial

from bench.figures import Figure, Sample, interleaved
from bench.requests import Extent, Say
from bench.stage import Stage
from modellix_server.catalogue import Catalogue

_ports = itertools.count(1)
CHECKS = 20
"""So few that some of the tries fall between two turns of other processes."""


async def measure(_: Stage, extent: Extent, say: Say) -> dict[str, Figure]:
    """Start-up with all models, and the slowest check of any model's example: each the best of many tries."""
    return {
        **await interleaved({"catalogue_load": _load}, extent.rounds, "s", say),
        **await interleaved({"catalogue_check": _check}, extent.rounds, "us", say),
    }


async def _load() -> Sample:
    return Sample(await asyncio.to_thread(_best, _load_anew, 1, 5), {"models": len(Catalogue.load())})


def _load_anew() -> Catalogue:
    """What was read for one origin is kept."""
    return Catalogue.load(origin=f"http://127.0.0.1:{next(_ports)}")


async def _check() -> Sample:
    models = list(Catalogue.load())
    checks = [partial(model.check, model.example) for model in models]
    took = sorted([await asyncio.to_thread(_best, check, CHECKS, 300) for check in checks])
    return Sample(took[-1] * 1e6, {"median us": round(took[len(took) // 2] * 1e6, 2)})


def _best(call: Callable[[], object], number: int, repeat: int) -> float:
    return min(timeit.repeat(call, number=number, repeat=repeat)) / number
