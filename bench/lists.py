"""How long a page of a long list takes, whatever it is filtered by and however far down it is."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator

import aiohttp

from bench.figures import Figure
from bench.programs import CannotMeasureError
from bench.requests import Extent
from bench.stage import MODEL, Stage, World
from modellix_server.base.database import connect

_TRIES = 15
_FILL_TIMEOUT_MS = 900_000

# One team's past: every 5,000th task of a rare model, every 4,000th failed, every 3,000th by a key of its own.
_FILL = (
    """insert into tasks.task (id, team_id, live, key_id, model, params, price, quote, state, created_at, deadline_at,
           finished_at, captured, error_code)
       select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(n), 19, '0'))::uuid,
           1, false, case when n % 3000 = 0 then 200 else 1 end,
           case when n % 5000 = 0 then 'alibaba/wan2.6-t2i' else $2 end, {prompt}, '{{}}', 17200,
           case when n % 4000 = 0 then 'failed' else 'succeeded' end, at, at + interval '1 hour',
           at + interval '9 seconds',
           case when n % 4000 = 0 then null else 17200 end, case when n % 4000 = 0 then 'deadline' end
       from (select n, now() - (($1 - n) * 2 + 60) * interval '1 second' as at
           from generate_series(1, $1::bigint) n) past""",
    """insert into requestlog.entry
           (at, team_id, live, key_id, method, path, status, latency_us, bytes_in, bytes_out, model)
       select now() - ($1 - n) * interval '80 milliseconds', 1, false,
           case when n % 3000 = 0 then 200 else 1 end, 'GET',
           '/api/v1/tasks/task-00000000000000000000000000000000', case when n % 4000 = 0 then 404 else 200 end,
           900, 0, 300, case when n % 5000 = 0 then 'alibaba/wan2.6-t2i' else $2 end
       from generate_series(1, $1::bigint) n""",
    """insert into ledger.transfer (at, team_id, live, kind, debit, credit, amount, task_id, key_id, closes)
       select now() - ($1 - n) * interval '1 second', 1, false, kind, debit, credit, 17200,
           lpad(to_hex(n), 32, '0')::uuid, case when n % 3000 = 0 then 200 else 1 end, kind = 'capture'
       from generate_series(1, $1::bigint / 2) n,
           (values ('hold', 'team', 'held'), ('capture', 'held', 'revenue')) as kinds (kind, debit, credit)""",
)
PROMPT_OF_ALL = """'{"prompt":"a lighthouse"}'"""
_LONG_AGO = "to={middle}"
_PAGES = (
    *("tasks", "tasks?status=failed", "tasks?status=pending", "tasks?status=success", "tasks?model=alibaba/wan2.6-t2i"),
    *("tasks?key_id=200", "tasks?status=failed&key_id=200", f"tasks?{_LONG_AGO}", f"tasks?status=failed&{_LONG_AGO}"),
    *("logs", "logs?status=404", "logs?status=refused", "logs?model=alibaba/wan2.6-t2i", "logs?key_id=200"),
    *(f"logs?{_LONG_AGO}", f"logs?status=refused&{_LONG_AGO}"),
    *("team/ledger", "team/ledger?kind=topup", "team/ledger?kind=capture", "team/ledger?key_id=200"),
    *(f"team/ledger?{_LONG_AGO}", f"team/ledger?kind=capture&{_LONG_AGO}"),
)


async def measure(stage: Stage, extent: Extent, say: Callable[[str], None]) -> dict[str, Figure]:
    """The slowest page of all lists and filters, by its median, over tables of a million rows each."""
    rows = extent.tasks * 100
    async with stage.world() as world:
        say(f"filling the lists with {rows:,} rows each")
        await fill(world, rows)
        await world.serve()
        say("turning pages")
        taken = {page: await _median_ms(world, page) for page in _queries(rows)}
    slowest = max(taken, key=lambda page: taken[page])
    details = {page.replace("alibaba/", ""): round(ms, 1) for page, ms in taken.items()}
    return {"list_page": Figure(round(taken[slowest], 1), "ms", [], {"rows": float(rows), **details})}


def _queries(rows: int) -> Iterator[str]:
    middle = int(time.time()) - rows // 4  # about the middle of the transfers; of the tasks' last half
    for page in _PAGES:
        yield page.format(middle=int(time.time()) - rows * 8 // 200 if page.startswith("logs") else middle)


async def fill(world: World, rows: int, prompt: str = PROMPT_OF_ALL) -> None:
    """Give the first team its past; `prompt` is the SQL of a task's inputs, of its number `n`."""
    db = await connect(world.settings.owner_database_url, name="bench-fill", statement_timeout_ms=_FILL_TIMEOUT_MS)
    try:
        await db.execute(
            """do $$ declare day date; begin
                for day in select current_date - n from generate_series(0, 20) n loop
                    execute format('create table if not exists requestlog.%I partition of requestlog.entry
                        for values from (%L) to (%L)', to_char(day, '"entry_"YYYYMMDD'), day, day + 1);
                end loop; end $$"""
        )
        for statement in _FILL:
            arguments = (rows, MODEL) if "$2" in statement else (rows,)
            await db.execute(statement.format(prompt=prompt) if "{prompt}" in statement else statement, *arguments)
        await db.execute("analyze")
    finally:
        await db.close()


async def _median_ms(world: World, page: str) -> float:
    headers = {"Authorization": f"Bearer {world.teams[0].key}"}
    mark = "&" if "?" in page else "?"
    taken = []
    async with aiohttp.ClientSession(headers=headers) as http:
        for _ in range(_TRIES):
            started = time.perf_counter()
            async with http.get(f"{world.origin}/api/v1/{page}{mark}limit=50") as answer:
                body = await answer.read()
            taken.append((time.perf_counter() - started) * 1000)
            if answer.status != 200:
                raise CannotMeasureError(f"{page}: {body[:300]!r}")
    return statistics.median(taken)
