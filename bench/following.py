"""What following tasks costs: news by server-sent events, thousands of idle streams, webhooks."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from contextlib import AsyncExitStack, closing, suppress
from datetime import datetime
from statistics import quantiles
from uuid import UUID

from bench import programs
from bench.figures import Figure
from bench.pages import sign_in
from bench.programs import CannotMeasureError
from bench.requests import Extent, Say, finish_some
from bench.stage import PROMPT, Stage, Team, World
from modellix_server import limits, webhooks
from modellix_server.base.ids import parse_task_name, task_name
from modellix_server.base.team_mode import TeamMode
from modellix_server.tasks import store
from modellix_server.tasks.journal import Finish, Journal

_STREAMS_OF_KEY = 1_000
_IDLE_TEAMS = 5
_FOLLOWED = 1_000
_WAITING = 1_000
_MOVES_PER_S = 10
_STUCK_SHARE = 10  # one in so many never ends
_FIRST_END_S, _LAST_END_S = 60, 150
_POLLS_PER_S = 200.0
_SETTLE_S = 5.0
_WATCH_S = 30.0
_GIVE_UP_S = 300.0
_OPEN_AT_ONCE = 100
_TABS = 1_500
_OF_A_BROWSER = (
    "Host: 127.0.0.1\r\nAccept: text/event-stream\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n"
    "Accept-Language: en-US,en;q=0.9\r\nCache-Control: no-cache\r\nReferer: http://127.0.0.1/console/tasks\r\n"
    "Sec-Fetch-Dest: empty\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0\r\n"
)


class Follower:
    """One client of a stream, as cheap as can be, so that what is measured is the server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, world: World, team: Team, task_id: UUID) -> Follower:
        """Follow a task and hear how it is now. Raises CannotMeasureError."""
        path = f"/api/v1/tasks/{task_name(task_id)}/stream"
        return await cls._ask(world, f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {team.key}\r\n\r\n")

    @classmethod
    async def open_tab(cls, world: World, cookie: str, team: Team, task_id: UUID) -> Follower:
        """Follow a task as a page of the console does. Raises CannotMeasureError."""
        path = f"/console/tasks/events?task={task_name(task_id)}~-1&scope={team.id}-test"
        return await cls._ask(world, f"GET {path} HTTP/1.1\r\n{_OF_A_BROWSER}Cookie: __Host-modellix={cookie}\r\n\r\n")

    @classmethod
    async def _ask(cls, world: World, head: str) -> Follower:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.settings.port, limit=4096)
        writer.write(head.encode())
        follower = cls(reader, writer)
        await follower.until(b"data: ")
        return follower

    @property
    def ended(self) -> bool:
        """Whether the server has ended the stream."""
        return self._reader.at_eof()

    async def until(self, words: bytes) -> None:
        """Read until a line has these words."""
        await self.line(words)

    async def line(self, words: bytes) -> str:
        """The next line that has these words."""
        said = b""
        while words not in (line := await self._reader.readline()):
            if not line:
                raise CannotMeasureError(f"a stream ended early, after {said[-300:]!r}")
            said += line
        return line.decode()


async def measure_queue_positions(stage: Stage, extent: Extent, say: Say) -> dict[str, Figure]:
    """A thousand followers of a thousand tasks that wait for one slot, while it passes on ten times a second."""
    async with stage.world() as world:
        team = world.teams[0]
        await limits.set_for_team(world.pool, team.id, concurrency=1, most_waiting=_WAITING)
        await world.preload(1 + _WAITING, team=team, slots=1)
        rows = await world.pool.fetch("select id, queue_no from tasks.task where queue_no is not null order by 2")
        serve = await world.serve()
        say(f"opening {_WAITING:,} streams")
        followers = [
            follower
            for start in range(0, _WAITING, _OPEN_AT_ONCE)
            for follower in await asyncio.gather(
                *(Follower.open(world, team, row["id"]) for row in rows[start : start + _OPEN_AT_ONCE])
            )
        ]
        await asyncio.sleep(_SETTLE_S)
        moves = int(_WATCH_S * _MOVES_PER_S) if extent.rounds > 1 else 10 * _MOVES_PER_S
        say(f"moving the queue up {moves} times")
        spent, database = programs.own_cpu_s(serve.pid), programs.cpu_s(world.postgres_pid)
        begun = time.monotonic()
        told = [
            asyncio.create_task(_told(one, position - moves))
            for position, one in enumerate(followers, 1)
            if position > moves
        ]
        await _pass_the_slot_on(world, moves)
        ended = time.monotonic()
        events = sum(await asyncio.wait_for(asyncio.gather(*told), _GIVE_UP_S))
        last_s = time.monotonic() - ended
        took_s = time.monotonic() - begun
        serve_s, database_s = programs.own_cpu_s(serve.pid) - spent, programs.cpu_s(world.postgres_pid) - database
        await world.require_reconciled()
    details = {
        "followers": float(len(told)),
        "moves_per_s": round(moves / (ended - begun), 1),
        "events_per_s": round(events / took_s, 1),
        "events_of_a_follower_per_s": round(events / took_s / len(told), 2),
        "serve_cpu_percent": round(serve_s / took_s * 100, 1),
        "postgres_cpu_percent_with_the_moves": round(database_s / took_s * 100, 1),
        "seconds_until_all_knew_the_last": round(last_s, 2),
    }
    return {"position_event": Figure(round(serve_s * 1e6 / events, 1), "us", [], details)}


async def _told(follower: Follower, position: int) -> int:
    """How many events it took until a follower knew this queue position, its last."""
    events = 1
    while f'"queue_position":{position}}}' not in await follower.line(b'data: {"task_id"'):
        events += 1
    return events


async def _pass_the_slot_on(world: World, times: int) -> None:
    """End what has the one slot, so many times a second, as a worker does."""
    number = await store.register(world.pool, "bench", 600)
    journal = Journal(world.pool, number, 3600)
    due = time.monotonic()
    for _ in range(times):
        (job,) = await store.claim(world.pool, number, 1)
        assert await journal.settle((job, Finish(error_code="deadline", error_message="of the benchmark")))
        due += 1 / _MOVES_PER_S
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def measure_streams(stage: Stage, extent: Extent, say: Say) -> dict[str, Figure]:
    """Idle streams: memory and CPU of the API. Then news of tasks that end while thousands are in flight."""
    async with stage.world() as world:
        idle = await _idle(world, say)
    async with stage.world() as world:
        tab = await _idle_tab(world, say)
    async with stage.world() as world:
        news = await _news(world, extent.in_flight, say)
    return idle | tab | news


async def _idle(world: World, say: Say) -> dict[str, Figure]:
    teams = world.teams[:_IDLE_TEAMS]
    for team in teams:
        await world.preload(1, team=team)
    serve = await world.serve()
    rows = {row["team_id"]: row["id"] for row in await world.pool.fetch("select team_id, id from tasks.task")}
    await Follower.open(world, teams[0], rows[teams[0].id])
    before = programs.rss_bytes(serve.pid)
    say(f"opening {_IDLE_TEAMS * _STREAMS_OF_KEY:,} streams")
    wanted = [(team, rows[team.id]) for team in teams for _ in range(_STREAMS_OF_KEY - 1)]
    followers = [
        follower
        for start in range(0, len(wanted), _OPEN_AT_ONCE)
        for follower in await asyncio.gather(
            *(Follower.open(world, team, task) for team, task in wanted[start : start + _OPEN_AT_ONCE])
        )
    ]
    await asyncio.sleep(_SETTLE_S)
    after = programs.rss_bytes(serve.pid)
    say("measuring while they wait")
    spent, database = programs.own_cpu_s(serve.pid), programs.cpu_s(world.postgres_pid)
    await asyncio.sleep(_WATCH_S)
    details = {
        "streams": float(len(followers)),
        "serve_rss_mb_before": round(before / 1e6, 1),
        "serve_rss_mb": round(after / 1e6, 1),
        "cpu_percent": round((programs.own_cpu_s(serve.pid) - spent) / _WATCH_S * 100, 2),
        "postgres_cpu_percent": round((programs.cpu_s(world.postgres_pid) - database) / _WATCH_S * 100, 2),
    }
    for follower in followers:
        follower.writer.close()
    return {"idle_stream": Figure(round((after - before) / len(followers) / 1000, 2), "KB", [], details)}


async def _idle_tab(world: World, say: Say) -> dict[str, Figure]:
    """What a page of the console costs that shows a running task and is left alone."""
    team = world.teams[0]
    await world.preload(1, team=team)
    task_id = await world.pool.fetchval("select id from tasks.task")
    serve = await world.serve()
    cookie = await sign_in(world)
    say(f"opening {2 * _TABS:,} tabs")
    tabs: list[Follower] = []
    sizes = []
    for number in range(2 * _TABS):  # the first half takes what the process has free
        if number % _TABS == 0:
            await asyncio.sleep(_SETTLE_S)
            sizes.append(programs.rss_bytes(serve.pid))
        tabs.append(await Follower.open_tab(world, cookie, team, task_id))
    growth = programs.rss_bytes(serve.pid) - sizes[-1]
    if tabs[0].ended:
        raise CannotMeasureError("opening the tabs took longer than a stream of the console lasts")
    for tab in tabs:
        tab.writer.close()
    return {"idle_tab": Figure(round(growth / _TABS / 1000, 2), "KB", [], {"tabs": float(_TABS)})}


async def _news(world: World, in_flight: int, say: Say) -> dict[str, Figure]:
    """From the vendor's answer that a task has ended to the event at the client, over the emulator's clock and ours."""
    await world.emulate()
    await world.open_account(_POLLS_PER_S)
    team = world.teams[0]
    text, _ = await world.live_key(team)
    team = Team(team.id, team.key_id, text)
    worker, serve = world.work(), await world.serve()
    stuck = in_flight // _STUCK_SHARE
    say(f"bringing {in_flight:,} tasks in flight, {stuck:,} of them stuck")
    await world.preload(stuck, f"{PROMPT} [sandbox:never]", live=True)
    span = range(_FIRST_END_S, _LAST_END_S)
    for index, slow_s in enumerate(span):
        left = in_flight - stuck
        count = left // len(span) + (index < left % len(span))
        await world.preload(count, f"{PROMPT} [sandbox:slow={slow_s}]", live=True)
    rows = await world.pool.fetch(
        "select id from tasks.task where params not like '%never%' order by random() limit $1", _FOLLOWED - 1
    )
    say("waiting until all are in flight")
    while await world.pool.fetchval("select count(*) from tasks.task where state in ('queued', 'submitting')"):
        worker.require_alive()
        await asyncio.sleep(0.5)
    begun, all_in_flight = time.monotonic(), time.time()
    cpu = {"worker": programs.own_cpu_s(worker.pid), "serve": programs.own_cpu_s(serve.pid)}
    say("waiting for their ends")
    hearing = asyncio.gather(*(_hear(world, team, row["id"]) for row in rows))
    heard = dict(await asyncio.wait_for(hearing, _GIVE_UP_S))
    took_s = time.monotonic() - begun
    told = {}
    for line in (await world.bill())["lines"]:
        if line["told_at"] is not None:
            task_id = parse_task_name(line["attempt"].rpartition("-")[0])
            told[task_id] = (_seconds(line["finished_at"]), _seconds(line["told_at"]))
    # What ended while others were still being submitted shows how busy that is, and nothing else.
    heard = {task: at for task, at in heard.items() if told[task][0] >= all_in_flight}
    if len(heard) < _FOLLOWED // 2:
        raise CannotMeasureError(f"only {len(heard)} tasks ended after all were in flight")
    moved = {
        (row["task_id"], row["state"]): row["at"].timestamp()
        for row in await world.pool.fetch(
            "select task_id, state, at from tasks.move where state in ('storing', 'succeeded') and task_id = any ($1)",
            list(heard),
        )
    }
    parts = {
        "to_verdict": [moved[task, "storing"] - told[task][1] for task in heard],
        "to_settled": [moved[task, "succeeded"] - moved[task, "storing"] for task in heard],
        "to_client": [heard[task] - moved[task, "succeeded"] for task in heard],
    }
    beyond = [(heard[task] - told[task][1]) * 1000 for task in heard]
    whole = [(heard[task] - told[task][0]) * 1000 for task in heard]
    details = {
        "p50_ms": round(quantiles(beyond, n=100)[49], 1),
        "most_ms": round(max(beyond), 1),
        "p50_ms_with_poll_interval": round(quantiles(whole, n=100)[49], 1),
        "p99_ms_with_poll_interval": round(quantiles(whole, n=100)[98], 1),
        **{f"p99_ms_{name}": round(quantiles(part, n=100)[98] * 1000, 1) for name, part in parts.items()},
        "streams": float(len(heard)),
        "in_flight": float(in_flight),
        "stuck": float(stuck),
        "polls_per_s": _POLLS_PER_S,
        "worker_cpu_percent": round((programs.own_cpu_s(worker.pid) - cpu["worker"]) / took_s * 100, 1),
        "serve_cpu_percent": round((programs.own_cpu_s(serve.pid) - cpu["serve"]) / took_s * 100, 1),
    }
    await world.require_reconciled()
    return {"news_p99": Figure(round(quantiles(beyond, n=100)[98], 1), "ms", [], details)}


async def _hear(world: World, team: Team, task_id: UUID) -> tuple[UUID, float]:
    """Follow a task to its good end: when its client heard of it."""
    follower = await Follower.open(world, team, task_id)
    with closing(follower.writer):
        await follower.until(b'"status":"success"')
    return task_id, time.time()


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()


async def measure_webhooks(stage: Stage, extent: Extent, say: Say) -> dict[str, Figure]:
    """Deliveries a minute to two receivers that answer at once, while a third that hangs has as much to get."""
    async with stage.world() as world, AsyncExitStack() as stack:
        tasks = extent.tasks // 2
        say(f"finishing {tasks:,} tasks")
        await finish_some(world, tasks)
        hanging = await asyncio.start_server(_hang, "127.0.0.1", 0)
        stack.push_async_callback(_close, hanging)
        port = programs.free_port()
        receiver = world.start("receiver", "-m", "bench.control", "upstream", str(port))
        await programs.ready(receiver, f"http://127.0.0.1:{port}", "/")
        team_mode = TeamMode(world.teams[0].id, live=False)
        urls = [f"http://127.0.0.1:{port}/{n}" for n in (1, 2)]
        urls.append(f"http://127.0.0.1:{hanging.sockets[0].getsockname()[1]}/")
        for url in urls:
            loopback = [ipaddress.ip_network("127.0.0.0/8")]
            await webhooks.create(world.pool, world.settings.keyring, team_mode, url, loopback)
        say(f"delivering {2 * tasks:,} messages")
        async with world.pool.acquire() as db:
            await db.execute(
                """select webhooks.enqueue(array_agg(id), array_agg(team_id), array_agg(live),
                       array_agg('prediction.task.succeeded'::text)) from tasks.task""",
                timeout=60,
            )
        worker = world.work()
        begun: float | None = None
        spent = 0.0
        give_up = time.monotonic() + _GIVE_UP_S
        first = done = 0
        while done < 2 * tasks:
            done = await world.pool.fetchval("select count(*) from webhooks.message where state = 'delivered'")
            if begun is None and done:
                begun, spent, first = time.monotonic(), programs.own_cpu_s(worker.pid), done
            worker.require_alive()
            if time.monotonic() > give_up:
                raise CannotMeasureError(f"only {done} of {2 * tasks} messages were delivered")
            await asyncio.sleep(0.1)
        assert begun is not None
        took_s = time.monotonic() - begun
        rate = (done - first) / took_s * 60
        details = {
            "messages": float(done),
            "to_the_dead": float(
                await world.pool.fetchval("select count(*) from webhooks.message where state = 'waiting'")
            ),
            "worker_cpu_us": round((programs.own_cpu_s(worker.pid) - spent) * 1e6 / max(done - first, 1), 1),
        }
        return {"webhooks": Figure(round(rate), "/min", [], details)}


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError), closing(writer):
        while await reader.read(4096):
            pass


async def _close(server: asyncio.Server) -> None:
    server.close()
