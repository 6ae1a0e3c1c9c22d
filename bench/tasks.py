"""What the worker carries: whole tasks a second, 10,000 in flight, and coming back after kill -9."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

from bench import programs
from bench.figures import Figure, Sample, interleaved
from bench.programs import CannotMeasureError, Meter, Program
from bench.requests import Extent, Say, start_control
from bench.stage import PROMPT, Stage, World

_LOOK_EVERY_S = 0.1
_SETTLE_S = 5.0
_IDLE_S = 10.0
_GIVE_UP_S = 300.0
_POLLS_PER_S = 1000.0
_FOREVER = f"{PROMPT} [sandbox:never]"


async def _until(world: World, worker: Program, where: str, count: int) -> list[tuple[float, int]]:
    """Read the number of tasks in some state until it reaches `count`: times and numbers."""
    started = time.monotonic()
    seen: list[tuple[float, int]] = []
    while not seen or seen[-1][1] < count:
        worker.require_alive()
        if time.monotonic() - started > _GIVE_UP_S:
            raise CannotMeasureError(f"only {seen[-1][1]} of {count} tasks were {where} in {_GIVE_UP_S:.0f} s")
        number = await world.pool.fetchval(f"select count(*) from tasks.task where {where}")
        seen.append((time.monotonic(), number))
        await asyncio.sleep(_LOOK_EVERY_S)
    return seen


async def measure_whole(stage: Stage, extent: Extent, say: Say) -> dict[str, Figure]:
    """Whole tasks a second, and in turns with them the bare proxy, alone on the machine."""
    async with stage.world() as beside:

        async def whole() -> Sample:
            async with stage.world() as world:
                return await _whole(world, extent.tasks)

        subjects = {"proxy_whole": await start_control(beside, extent.seconds, say), "whole_tasks": whole}
        return await interleaved(subjects, extent.rounds, "/s", say)


async def _whole(world: World, tasks: int) -> Sample:
    """A full queue, one worker, and an emulator in its own process that answers at once."""
    emulator = await world.emulate()
    await world.preload(tasks)
    worker = world.work()
    await _until_registered(world, worker, 1)
    meter = Meter(worker=worker.pid, postgres=world.postgres_pid, emulator=emulator.pid)
    own = programs.own_cpu_s(worker.pid)
    await _until(world, worker, "finished_at is not null", tasks)
    cpu = {f"{name}_cpu_us": spent for name, spent in meter.us_per(tasks).items()}
    own_us = (programs.own_cpu_s(worker.pid) - own) * 1e6 / tasks
    details = {
        **cpu,
        "worker_cpu_us": round(own_us, 1),
        "probe_helper_cpu_us": round(cpu["worker_cpu_us"] - own_us, 1),
        "worker_rss_mb": round(programs.rss_bytes(worker.pid) / 1e6, 1),
    }
    if failed := await world.pool.fetch(
        "select error_code, count(*) from tasks.task where state = 'failed' group by 1"
    ):
        raise CannotMeasureError(f"tasks failed: {[tuple(row) for row in failed]}")
    if (posts := (await world.bill())["totals"]["posts"]) != tasks:
        raise CannotMeasureError(f"{posts} POSTs for {tasks} tasks")
    rate = tasks / await _seconds_at_work(world)
    await world.require_reconciled()
    return Sample(rate, details)


async def _seconds_at_work(world: World) -> float:
    """From the first submission's intent to the last task's end, by the database's clock."""
    seconds: float = await world.pool.fetchval(
        """select extract(epoch from max(finished_at) - (select min(intent_at) from tasks.attempt))::float8
           from tasks.task"""
    )
    return seconds


async def measure_in_flight(stage: Stage, extent: Extent, say: Say) -> dict[str, Figure]:
    """A worker with 10,000 tasks that never end: memory, CPU, and who has them after it is killed, twice."""
    async with stage.world() as world:
        await world.emulate()
        await world.open_account(_POLLS_PER_S)
        first = world.work()
        await _until_registered(world, first, 1)
        await asyncio.sleep(_SETTLE_S)
        before = programs.rss_bytes(first.pid)
        say(f"bringing {extent.in_flight:,} tasks in flight")
        await world.preload(extent.in_flight, _FOREVER, live=True)
        begun = time.monotonic()
        await _until(world, first, "state = 'running'", extent.in_flight)
        took = time.monotonic() - begun
        await asyncio.sleep(_SETTLE_S)
        after = programs.rss_bytes(first.pid)
        say("measuring while they wait")
        spent = programs.own_cpu_s(first.pid)
        await asyncio.sleep(_IDLE_S)
        share = (programs.own_cpu_s(first.pid) - spent) / _IDLE_S
        say("kill -9, and a new worker at once")
        cold, second = await _recover(world, first, already=None)
        say("kill -9, with another worker already running")
        third = world.work()
        await _until_registered(world, third, 3)
        await asyncio.sleep(_SETTLE_S)
        warm, _ = await _recover(world, second, already=third)
        await _require_one_post_each(world, extent.in_flight)
    details = {
        "tasks": float(extent.in_flight),
        "seconds_until_all_run": round(took, 2),
        "worker_rss_mb_before": round(before / 1e6, 1),
        "worker_rss_mb": round(after / 1e6, 1),
        "cpu_percent_while_waiting": round(share * 100, 1),
        "polls_per_s": _POLLS_PER_S,
    }
    return {
        "memory_in_flight": Figure(round((after - before) / extent.in_flight / 1000, 2), "KB", [], details),
        "recovery_cold": Figure(round(cold, 3), "s", [], {}),
        "recovery_warm": Figure(round(warm, 3), "s", [], {}),
    }


async def _until_registered(world: World, worker: Program, count: int) -> None:
    give_up = time.monotonic() + programs.READY_LIMIT_S
    while await world.pool.fetchval("select max(id) from tasks.worker") != count:
        worker.require_alive()
        if time.monotonic() > give_up:
            raise CannotMeasureError("a worker did not start")
        await asyncio.sleep(0.05)


async def _recover(world: World, victim: Program, already: Program | None) -> tuple[float, Program]:
    """Kill the worker that has all tasks; seconds until another has every one of them, and that other."""
    owner = await world.pool.fetchval("select max(owner) from tasks.task where finished_at is null")
    count = await world.pool.fetchval("select count(*) from tasks.task where finished_at is null")
    killed = time.monotonic()
    victim.kill()
    successor = already or world.work()
    await _until(world, successor, f"finished_at is null and owner is not null and owner <> {owner}", count)
    return time.monotonic() - killed, successor


async def _require_one_post_each(world: World, count: int) -> None:
    attempts = Counter(line["attempt"] for line in (await world.bill())["lines"])
    tasks = Counter(attempt.rpartition("-")[0] for attempt in attempts.elements())
    if len(tasks) != count or tasks.most_common(1)[0][1] != 1:
        raise CannotMeasureError(
            f"{attempts.total()} POSTs for {count} tasks, the most for one task: {tasks.most_common(1)}"
        )
