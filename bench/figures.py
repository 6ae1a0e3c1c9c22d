"""What is measured: named figures, taken in interleaved rounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from statistics import median

import msgspec

from bench.turns import pass_the_turn


class Sample(msgspec.Struct, frozen=True):
    """One measurement of one subject: the figure itself, and what explains it."""

    value: float
    details: dict[str, float] = {}


class Figure(msgspec.Struct, frozen=True):
    """The median of a subject's rounds."""

    value: float
    unit: str
    rounds: list[float]
    details: dict[str, float]
    """Latencies in ms, CPU in microseconds an operation by process, memory, counts."""


Subject = Callable[[], Awaitable[Sample]]


def figure(samples: list[Sample], unit: str) -> Figure:
    """The median of every number by itself."""
    values = [sample.value for sample in samples]
    names = dict.fromkeys(name for sample in samples for name in sample.details)
    details = {
        name: round(median(sample.details[name] for sample in samples if name in sample.details), 3) for name in names
    }
    return Figure(round(median(values), 3), unit, [round(value, 3) for value in values], details)


async def interleaved(
    subjects: Mapping[str, Subject], rounds: int, unit: str, say: Callable[[str], None]
) -> dict[str, Figure]:
    """Measure the subjects one after the other, and all of them again: what disturbs the machine hits all alike."""
    samples: dict[str, list[Sample]] = {name: [] for name in subjects}
    for number in range(1, rounds + 1):
        for name, subject in subjects.items():
            say(f"round {number} of {rounds}: {name.replace('_', ' ')}")
            samples[name].append(await subject())
            await pass_the_turn()
    return {name: figure(taken, unit) for name, taken in samples.items()}
