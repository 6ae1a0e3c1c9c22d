"""What the API answers a second: submissions and status reads, beside the bare proxy and pgbench."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from bench import programs
from bench.figures import Figure, Sample, Subject, interleaved
from bench.load import CONNECTIONS, Figures, Request, Wrk, pgbench
from bench.programs import CannotMeasureError, Meter, Program
from bench.stage import MODEL, PROMPT, SUBMIT_PATH, TEAMS, Stage, Team, World
from modellix_server.base.ids import task_name

_BODY = json.dumps({"prompt": PROMPT, "size": "1328*1328", "n": 1})
_FINISHED = 2_000
WARM_UP_S = 2
_SCRIPT = "accept.pgbench.sql"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Extent:
    """How much of everything; `--quick` takes less."""

    rounds: int
    seconds: int
    tasks: int
    in_flight: int


def submissions(teams: Sequence[Team]) -> list[Request]:
    """One submission of each team."""
    return [Request("POST", SUBMIT_PATH, team.key, _BODY) for team in teams]


def _over_http(wrk: Wrk, seconds: int, *, connections: int = CONNECTIONS, **pids: int) -> Subject:
    async def run() -> Sample:
        meter = Meter(**pids)
        return sample(await wrk.run(seconds, connections=connections), meter)

    return run


def sample(seen: Figures, meter: Meter) -> Sample:
    """What one load of wrk showed, with the CPU of the metered processes for one request."""
    cpu = {f"{name}_cpu_us": spent for name, spent in meter.us_per(seen.requests).items()}
    latencies = {"p50_ms": seen.p50_ms, "p99_ms": seen.p99_ms, "most_ms": seen.most_ms}
    return Sample(seen.rate, {**latencies, **cpu, "wrk_cpu_us": round(seen.cpu_us, 1)})


def _in_the_database(world: World, name: str, teams: int, uuid: str, seconds: int) -> Subject:
    """One transaction a submission: what can be had without sharing transactions."""
    model = world.catalogue.models[MODEL]
    params = model.check(json.loads(_BODY))
    quote = model.quote(params, None, live=False)
    script = world.folder / f"{name}.sql"
    template = (programs.HERE / _SCRIPT).read_text()
    given = {
        "teams": teams,
        "uuid": uuid,
        "model": MODEL,
        "params": _apart(params),
        "price": _apart(quote),
        "quote": quote.amount_micros,
        "deadline_s": model.deadline_s,
    }
    for key, value in given.items():
        template = template.replace("{" + key + "}", str(value))
    script.write_text(template)

    async def run() -> Sample:
        spent = programs.cpu_s(world.postgres_pid)
        rate, latency_ms = await pgbench(world.settings.database_url, script, seconds)
        cpu_us = (programs.cpu_s(world.postgres_pid) - spent) * 1e6 / (rate * seconds)
        return Sample(rate, {"mean_ms": latency_ms, "postgres_cpu_us": round(cpu_us, 1)})

    return run


def _apart(value: object) -> str:
    """JSON with a space after each colon: `:1` would be a variable to pgbench."""
    return json.dumps(msgspec.to_builtins(value))


async def start_control(world: World, seconds: int, say: Say, *, connections: int = CONNECTIONS) -> Subject:
    """Start the bare proxy and its upstream, and warm them up: submissions to it for so many seconds."""
    upstream_port, port = programs.free_port(), programs.free_port()
    upstream = world.start("upstream", "-m", "bench.control", "upstream", str(upstream_port))
    await programs.ready(upstream, f"http://127.0.0.1:{upstream_port}", "/")
    proxy = world.start("proxy", "-m", "bench.control", "proxy", str(port), str(upstream_port))
    await programs.ready(proxy, f"http://127.0.0.1:{port}", "/")
    wrk = Wrk(f"http://127.0.0.1:{port}", submissions(world.teams[:1]), world.folder / "control.requests")
    say("warming up the control")
    await wrk.run(WARM_UP_S, connections=connections)
    return _over_http(wrk, seconds, connections=connections, proxy=proxy.pid, upstream=upstream.pid)


async def finish_some(world: World, count: int) -> None:
    """Have tasks carried out by a worker, so that there are results to read."""
    await world.preload(count)
    emulator, worker = await world.emulate(), world.work()
    give_up = time.monotonic() + 120
    while (done := await world.pool.fetchval("select count(*) from tasks.task where state = 'succeeded'")) < count:
        worker.require_alive()
        if time.monotonic() > give_up:
            raise CannotMeasureError(f"only {done} of {count} tasks finished in two minutes")
        await asyncio.sleep(0.2)
    await worker.stop()
    await emulator.stop()


async def _reads(world: World, state: str, serve: Program, seconds: int) -> tuple[Wrk, Subject]:
    rows = await world.pool.fetch(
        "select id from tasks.task where state = $1 and team_id = $2 limit $3", state, world.teams[0].id, _FINISHED
    )
    requests = [Request("GET", f"/api/v1/tasks/{task_name(row['id'])}", world.teams[0].key) for row in rows]
    wrk = Wrk(world.origin, requests, world.folder / f"read-{state}.requests")
    return wrk, _over_http(wrk, seconds, serve=serve.pid, postgres=world.postgres_pid)


async def measure(stage: Stage, extent: Extent, say: Say) -> dict[str, Figure]:
    """Submissions, status reads, the proxy and pgbench in the same rounds; then latency at half load."""
    async with stage.world() as world:
        say("finishing tasks to be read")
        await finish_some(world, _FINISHED)
        await world.preload(_FINISHED)
        serve = await world.serve()
        seconds, database = extent.seconds, world.postgres_pid
        hot = Wrk(world.origin, submissions(world.teams[:1]), world.folder / "hot.requests")
        many = Wrk(world.origin, submissions(world.teams), world.folder / "many.requests")
        pending, read_pending = await _reads(world, "queued", serve, seconds)
        finished, read_finished = await _reads(world, "succeeded", serve, seconds)
        major = int((await stage.about())["server_version"].split(".")[0])
        uuid = "uuidv7()" if major >= 18 else "gen_random_uuid()"
        subjects = {
            "proxy": await start_control(world, seconds, say),
            "submit_hot": _over_http(hot, seconds, serve=serve.pid, postgres=database),
            "pgbench_hot": _in_the_database(world, "pgbench-hot", 1, uuid, seconds),
            "submit_many": _over_http(many, seconds, serve=serve.pid, postgres=database),
            "pgbench_many": _in_the_database(world, "pgbench-many", TEAMS, uuid, seconds),
            "read_pending": read_pending,
            "read_finished": read_finished,
        }
        for wrk in (hot, many, pending, finished):
            say("warming up")
            await wrk.run(WARM_UP_S)
        figures = await interleaved(subjects, extent.rounds, "/s", say)
        figures |= await _half_load(hot, figures["submit_hot"], extent, say)
        figures["serve_rss"] = Figure(programs.rss_bytes(serve.pid) / 1e6, "MB", [], {})
        say("reconciling tasks and money")
        await world.require_reconciled()
        return figures


async def _half_load(hot: Wrk, full: Figure, extent: Extent, say: Say) -> dict[str, Figure]:
    """The 99th percentile of a submission's time at half the full rate: the same connections, pausing between."""
    pause_ms = CONNECTIONS / (full.value / 2) * 1000 - 2

    async def run() -> Sample:
        seen = await hot.run(extent.seconds, pause_ms=pause_ms)
        return Sample(seen.p99_ms, {"p50_ms": seen.p50_ms, "rate": round(seen.rate, 1)})

    return await interleaved({"half_load_p99": run}, extent.rounds, "ms", say)
