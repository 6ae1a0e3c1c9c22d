"""A worker beside the API: how long a steady stream waits, and how much of a flood is carried out meanwhile."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Mapping

from bench.figures import Figure, Sample, figure, interleaved
from bench.load import CONNECTIONS, Figures, Wrk
from bench.programs import CannotMeasureError, Meter
from bench.requests import WARM_UP_S, Extent, Say, sample, start_control, submissions
from bench.stage import Stage, World
from bench.turns import pass_the_turn

_STEADY_PER_S = 300
_LEFT_OUT_S = 5
"""The first seconds of each round do not count: connections are opened and statements are planned then."""
_CONNECTIONS = 16
_FINISH_LIMIT_S = 300.0


async def measure(stage: Stage, extent: Extent, say: Say) -> dict[str, Figure]:
    """The steady stream in a world of its own; then floods in turns with the bare proxy."""
    async with stage.world() as world:
        await world.emulate()
        world.work()
        await world.serve()
        steady = await _steady(world, extent, say)
        await world.require_reconciled()
    async with stage.world() as world:
        flood = await _flood(world, extent, say)
        await world.require_reconciled()
    return steady | flood


async def _steady(world: World, extent: Extent, say: Say) -> dict[str, Figure]:
    """The 99th percentile of the time from accept to success, at a pace that the worker can keep up with."""
    hot = Wrk(world.origin, submissions(world.teams[:1]), world.folder / "hot.requests")
    pause_ms = CONNECTIONS / _STEADY_PER_S * 1000

    async def run() -> Sample:
        await hot.run(_LEFT_OUT_S, pause_ms=pause_ms)
        begun = await _now(world)
        seen = await hot.run(3 * extent.seconds, pause_ms=pause_ms)
        await _until_finished(world)
        return await _waited(world, begun, seen)

    return await interleaved({"steady_p99": run}, extent.rounds, "ms", say)


async def _waited(world: World, begun: datetime.datetime, seen: Figures) -> Sample:
    """From accept to success of the tasks accepted since then, by the database's clock."""
    row = await world.pool.fetchrow(
        """select percentile_cont(array[0.5, 0.99]) within group (order by extract(epoch from finished_at - created_at))
               as took, count(*) filter (where state <> 'succeeded') as failed
           from tasks.task where created_at >= $1""",
        begun,
    )
    assert row is not None
    if row["failed"]:
        raise CannotMeasureError(f"{row['failed']} tasks of the steady stream did not succeed")
    p50_ms, p99_ms = (seconds * 1000 for seconds in row["took"])
    details = {"p50_ms": p50_ms, "tasks_per_s": seen.rate, "submit_p99_ms": seen.p99_ms, "left_out_s": _LEFT_OUT_S}
    return Sample(p99_ms, details)


async def _flood(world: World, extent: Extent, say: Say) -> dict[str, Figure]:
    """Accepted and executed a second at 16 connections, in turns with the proxy at as many."""
    emulator, worker, serve = await world.emulate(), world.work(), await world.serve()
    pids = {"serve": serve.pid, "postgres": world.postgres_pid, "worker": worker.pid, "emulator": emulator.pid}
    hot = Wrk(world.origin, submissions(world.teams[:1]), world.folder / "hot.requests")
    proxy = await start_control(world, extent.seconds, say, connections=_CONNECTIONS)
    say("warming up the platform")
    await hot.run(WARM_UP_S, connections=_CONNECTIONS)
    await _until_finished(world)
    samples: dict[str, list[Sample]] = {"proxy_16": [], "accepted_16": [], "executed_16": []}
    for number in range(1, extent.rounds + 1):
        samples["proxy_16"].append(await proxy())
        await pass_the_turn()
        say(f"submissions with a worker, round {number} of {extent.rounds}")
        for name, taken in (await _accepted_and_executed(world, hot, extent.seconds, pids)).items():
            samples[name].append(taken)
        await _until_finished(world)
        await pass_the_turn()
    return {name: figure(taken, "/s") for name, taken in samples.items()}


async def _accepted_and_executed(world: World, hot: Wrk, seconds: int, pids: Mapping[str, int]) -> dict[str, Sample]:
    """One load on an empty queue: what was answered with 200, and what had succeeded before the last answer."""
    meter, begun = Meter(**pids), await _now(world)
    seen = await hot.run(seconds, connections=_CONNECTIONS)
    accepted = sample(seen, meter)
    executed = await world.pool.fetchval(
        """select count(*) from tasks.task
           where state = 'succeeded' and created_at >= $1 and finished_at
               < (select min(created_at) from tasks.task where created_at >= $1) + $2 * interval '1 second'""",
        begun,
        seen.seconds,
    )
    return {"accepted_16": accepted, "executed_16": Sample(executed / seen.seconds)}


async def _now(world: World) -> datetime.datetime:
    now: datetime.datetime = await world.pool.fetchval("select clock_timestamp()")
    return now


async def _until_finished(world: World) -> None:
    give_up = time.monotonic() + _FINISH_LIMIT_S
    while left := await world.pool.fetchval("select count(*) from tasks.task where finished_at is null"):
        if time.monotonic() > give_up:
            raise CannotMeasureError(f"{left} tasks were not finished in {_FINISH_LIMIT_S:.0f} s")
        await asyncio.sleep(0.2)
