"""`python -m bench.soak`: the whole platform under load while its parts are killed, frozen and restarted at random.

Clients keep the rules: each submission has an `Idempotency-Key` and is sent again until it is accepted. Afterwards the
faults end, and within a bound every task must have ended, tasks and money must agree, and the vendor's bill with
both. The seed decides what is asked for and what is broken when; the machine decides the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import logging
import os
import random
import secrets
import shutil
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import psutil
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from bench import programs
from bench.clocks import faked
from bench.programs import Program
from bench.stage import MODEL, Stage, World, open_stage
from modellix_server.base.database import DATABASE_ERRORS, connect
from modellix_server.base.ids import task_name
from modellix_server.embedded.data_directory import SUPERUSER
from modellix_server.tasks import verify

LEASE_S = 6
LIVE_WITHIN_S = 180.0
WORKERS, APIS = 2, 2
MOST_WAITING_CLIENTS = 2_000
COLLECT_EVERY = 40_000  # the emulator keeps 100,000 lines
# What is asked of the vendor, and how often in a thousand. Plain ones are answered at once by a ready picture.
MANNERS = {"": 970, "[sandbox:slow=3] ": 8, "[sandbox:throttle] ": 6, "[sandbox:refuse] ": 6, "[sandbox:lost] ": 3,
           "[sandbox:garbage] ": 3, "[sandbox:fail] ": 4}  # fmt: skip


@dataclass
class Soak:
    """One run: what was asked, what was broken, what was seen."""

    stage: Stage
    world: World
    dice: random.Random
    workers: list[Program] = field(default_factory=list)
    apis: list[Program] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    asked: int = 0
    accepted: dict[str, str] = field(default_factory=dict)
    """Idempotency key -> task id."""
    refused: list[str] = field(default_factory=list)
    broken: collections.Counter[str] = field(default_factory=collections.Counter)
    odd: list[str] = field(default_factory=list)
    reconciliations: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)
    bill: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    """The vendor's lines by attempt and time, collected before it forgets the oldest."""

    def _clock(self) -> dict[str, str]:
        return faked(self.world.folder / "clock")

    def start_worker(self, place: int) -> Program:
        """Start a worker."""
        env = {"MODELLIX_LEASE_S": str(LEASE_S), **self._clock()}
        return self.world.start(f"work-{place}", *programs.MODELLIX, "work", "--parent", str(os.getpid()), **env)

    def serve(self, place: int) -> Program:
        """Start an API process."""
        env = {"MODELLIX_PORT": str(self.ports[place]), **self._clock()}
        return self.world.start(f"serve-{place}", *programs.MODELLIX, "serve", "--parent", str(os.getpid()), **env)

    async def open(self) -> None:
        """Start everything."""
        (self.world.folder / "clock").write_text("+0")
        await self.world.emulate()
        self.ports = [programs.free_port() for _ in range(APIS)]
        self.apis = [self.serve(place) for place in range(APIS)]
        self.workers = [self.start_worker(place) for place in range(WORKERS)]
        for program, port in zip(self.apis, self.ports, strict=True):
            await programs.ready(program, f"http://127.0.0.1:{port}", "/readyz")

    async def load(self, rate: float, seconds: float) -> None:
        """Ask for tasks at an even pace, whatever becomes of them."""
        clients: set[asyncio.Task[None]] = set()
        until, due = time.monotonic() + seconds, time.monotonic()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=200)) as http:
            while time.monotonic() < until:
                due += 1 / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if len(clients) < MOST_WAITING_CLIENTS:
                    self.asked += 1
                    client = asyncio.create_task(self._ask(http, f"soak-{self.asked}"))
                    clients.add(client)
                    client.add_done_callback(clients.discard)
            self.over.set()
            await asyncio.wait_for(asyncio.gather(*clients), LIVE_WITHIN_S)

    async def _ask(self, http: aiohttp.ClientSession, key: str) -> None:
        team = self.dice.choice(self.world.teams)
        mark = self.dice.choices(list(MANNERS), list(MANNERS.values()))[0]
        headers = {"Authorization": f"Bearer {team.key}", "Idempotency-Key": key}
        while True:
            url = f"http://127.0.0.1:{random.choice(self.ports)}/api/v1/{MODEL}"
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                limit = aiohttp.ClientTimeout(total=20)
                async with http.post(url, json={"prompt": mark + key}, headers=headers, timeout=limit) as answer:
                    said = await answer.json()
                    if answer.status == 200:
                        self.accepted[key] = said["data"]["task_id"]
                        return
                    if answer.status not in (500, 503):
                        self.refused.append(f"{answer.status} {said}")
                        return
            await asyncio.sleep(random.uniform(0.2, 1))

    async def break_things(self) -> None:
        """One fault after another, until the load is over."""
        faults = {
            "worker killed": 6, "API killed": 4, "worker frozen": 4, "API frozen": 3, "worker asked to leave": 2,
            "database restarted": 2, "database killed": 1, "clocks jumped": 2 if self._clock() else 0,
        }  # fmt: skip
        while not self.over.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), self.dice.uniform(1.5, 6))
                return
            what = self.dice.choices(list(faults), list(faults.values()))[0]
            self.broken[what] += 1
            await self._break(what, self.dice.randrange(2), self.dice.uniform(1, LEASE_S + 4))

    async def _break(self, what: str, place: int, pause_s: float) -> None:
        match what:
            case "worker killed":
                self.workers[place].kill()
            case "API killed":
                self.apis[place].kill()
            case "worker asked to leave":
                await self.workers[place].stop()
            case "worker frozen" | "API frozen":
                process = (self.workers if what == "worker frozen" else self.apis)[place].process
                process.send_signal(signal.SIGSTOP)
                await asyncio.sleep(pause_s)
                process.send_signal(signal.SIGCONT)
            case "database restarted":
                await self.stage.postgres.stop()
                await self.stage.postgres.start()
            case "database killed":
                psutil.Process(self.stage.postgres.pid).kill()
                await self.stage.postgres.wait()
                await self.stage.postgres.start()
            case "clocks jumped":
                (self.world.folder / "clock").write_text(f"{self.dice.choice([-7200, -60, 0, 60, 7200]):+d}")
        self.mend()

    def mend(self) -> None:
        """As a supervisor does: start again what has ended."""
        for place in range(WORKERS):
            if self.workers[place].process.poll() is not None:
                self.workers[place] = self.start_worker(place)
        for place in range(APIS):
            if self.apis[place].process.poll() is not None:
                self.apis[place] = self.serve(place)

    async def reconcile(self) -> None:
        """Compare tasks and money in one snapshot after another, whenever the database answers."""
        while True:
            started = time.monotonic()
            with contextlib.suppress(*DATABASE_ERRORS):
                db = await connect(self.world.settings.database_url, name="soak")
                try:
                    self.odd += await verify(db)
                    self.reconciliations += 1
                finally:
                    db.terminate()
            await asyncio.sleep(0.5 + 2 * (time.monotonic() - started))

    async def collect(self) -> None:
        """Read the vendor's bill; a line read again is newer."""
        for line in (await self.world.bill())["lines"]:
            self.bill[line["attempt"], line["received_at"]] = line

    async def heal(self) -> float:
        """Wait for every task to end; how many seconds that took, or infinity."""
        started = time.monotonic()
        while time.monotonic() - started < LIVE_WITHIN_S:
            self.mend()
            with contextlib.suppress(*DATABASE_ERRORS):
                if not await self.world.pool.fetchval("select count(*) from tasks.task where finished_at is null"):
                    return time.monotonic() - started
            await asyncio.sleep(0.5)
        return float("inf")

    async def judge(self) -> list[str]:
        """Everything that is not as promised, once all is over."""
        db = await connect(self.world.settings.database_url, name="soak", statement_timeout_ms=300_000)
        try:
            wrong = list(dict.fromkeys(self.odd + await verify(db)))
            tasks = await db.fetch(
                """select t.id, t.state, t.captured, t.attempt, t.deaths, t.owner,
                       extract(epoch from t.due_at - now())::int as due_in_s,
                       exists (select 1 from tasks.worker w where w.id = t.owner) as owner_lives,
                       exists (select 1 from tasks.review r where r.task_id = t.id) as told,
                       (select count(*) from tasks.move m where m.task_id = t.id and m.state in ('succeeded', 'failed'))
                           as endings
                   from tasks.task t"""
            )
        finally:
            await db.close()
        await self.collect()
        bill: dict[str, list[dict[str, Any]]] = collections.defaultdict(list)
        for line in self.bill.values():
            bill[line["attempt"].rpartition("-")[0]].append(line)
        known = {task_name(task["id"]) for task in tasks}
        wrong += [f"accepted and lost: {task}" for task in set(self.accepted.values()) - known]
        wrong += [f"made without an answer: {task}" for task in known - set(self.accepted.values())]
        wrong += [f"billed without a task: {task}" for task in bill.keys() - known]
        if len(set(self.accepted.values())) != len(self.accepted):
            wrong.append("two keys have one task")
        wrong += [f"refused: {words}" for words in self.refused]
        for task in tasks:
            wrong += [f"{task_name(task['id'])} {what}" for what in _amiss(task, bill[task_name(task["id"])])]
        return wrong


def _amiss(task: Any, lines: list[dict[str, Any]]) -> list[str]:
    found = []
    accepted = sum(line["accepted"] for line in lines)
    if accepted > 1 or len({line["attempt"] for line in lines}) < len(lines):
        found.append(f"was sent twice: {lines}")
    if task["endings"] != (task["state"] in ("succeeded", "failed")):
        found.append(f"is {task['state']} after {task['endings']} endings")
    if task["state"] not in ("succeeded", "failed"):
        about = ("state", "attempt", "deaths", "owner", "owner_lives", "due_in_s")
        found.append(f"has not ended: {', '.join(f'{name} {task[name]}' for name in about)}")
        return found
    made = sum(line["images"] for line in lines)
    if task["captured"] and not made:
        found.append("was charged and not made")
    if made and not task["captured"] and not task["told"]:
        found.append("was made, not charged, and nobody was told")
    return found


def _keep_logs(world: World, seed: int) -> Path:
    kept = programs.HERE / "out" / f"soak-{seed}"
    kept.mkdir(parents=True, exist_ok=True)
    for log in world.folder.glob("*.log"):
        shutil.copy(log, kept)
    return kept


async def run(minutes: float, seed: int, rate: float, console: Console) -> bool:
    """One soak; whether all was well."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[now]}"))
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("soak", total=minutes * 60, now="starting")
        async with open_stage() as stage, stage.world() as world:
            soak = Soak(stage, world, random.Random(seed))
            await soak.open()
            observer = asyncio.create_task(soak.reconcile())
            work = asyncio.gather(soak.load(rate, minutes * 60), soak.break_things())
            started = time.monotonic()
            while not work.done():
                now = f"{len(soak.accepted)} of {soak.asked} accepted, {soak.broken.total()} faults"
                progress.update(bar, completed=time.monotonic() - started, now=now)
                await asyncio.wait([work], timeout=1)
                if soak.asked - len(soak.bill) > COLLECT_EVERY:
                    await soak.collect()
            await work
            progress.update(bar, now="healing")
            healed_s = await soak.heal()
            observer.cancel()
            await asyncio.gather(observer, return_exceptions=True)
            wrong = await soak.judge()
            if healed_s == float("inf"):
                wrong.insert(0, f"some tasks have not ended {LIVE_WITHIN_S:.0f} s after the last fault")
            ends = await world.pool.fetch(
                """select coalesce(t.error_code || coalesce(' (' || left(r.detail, 80) || ')', ''), t.state) as end,
                       count(*) as n
                   from tasks.task t left join tasks.review r
                       on r.task_id = t.id and t.error_code = 'submission_outcome_unknown'
                           and r.reason = 'submission outcome unknown'
                   group by 1 order by 2 desc limit 15"""
            )
            kept = _keep_logs(world, seed) if wrong else None
            stage.setup = await connect(stage.data_directory.dsn(SUPERUSER, "postgres"), name="bench-setup")
    table = Table("what", "how many", title=f"{minutes:g} minutes at {rate:g} tasks a second, seed {seed}")
    for name, count in [*soak.broken.most_common(), ("reconciliations", soak.reconciliations),
                        ("tasks accepted", len(soak.accepted)), *((row["end"], row["n"]) for row in ends),
                        ("seconds until all had ended", f"{healed_s:.1f}"), ("findings", len(wrong))]:  # fmt: skip
        table.add_row(name, str(count))
    console.print(table)
    for line in wrong[:50]:
        console.print(line, style="red", highlight=False)
    if kept is not None:
        console.print(f"What the programs said is in {kept}")
    return not wrong


def main() -> None:
    """Run and tell; ends with 1 when a promise was broken."""
    parser = argparse.ArgumentParser("soak", description="Load the platform and break its parts at random.")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=None, help="of an earlier run; printed by each")
    parser.add_argument("--rate", type=float, default=100, help="tasks a second")
    arguments = parser.parse_args()
    seed = secrets.randbelow(2**32) if arguments.seed is None else arguments.seed
    console = Console()
    console.print(f"seed {seed}")
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # that the database is away is no news here
    sys.exit(0 if asyncio.run(run(arguments.minutes, seed, arguments.rate, console)) else 1)


if __name__ == "__main__":
    main()
