"""How long a page of the console takes for a team with a million tasks, calls and transfers, and what it weighs."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Callable
from urllib.parse import quote

import aiohttp

from bench.figures import Figure
from bench.lists import fill
from bench.programs import CannotMeasureError
from bench.requests import Extent
from bench.stage import Stage, World
from modellix_server import identity
from modellix_server.console.app import PAGES
from modellix_server.identity import Role

_TRIES = 9
_INDEXED_WITHIN_S = 900.0
# Some common words, one that every task has of its own, and a rare one.
_PROMPT = """json_build_object('prompt', 'A ' || (array['red','calm','old','bright','quiet','wide','cold'])[1 + n % 7]
    || ' ' || (array['lighthouse','kite','market','telescope','harbour','orchard','灯塔黄昏'])[1 + n / 7 % 7]
    || ' over ' || (array['wheat','snow','the sea','a city','black sand'])[1 + n / 49 % 5] || ' ' || md5(n::text)
    || case when n % 400000 = 77 then ' needle' else '' end)::text"""
_QUERIES = {
    "/console/tasks": (
        *("view=table", "status=failed", "status=pending", "status=success", "type=image-to-video", "key=200"),
        *("model=alibaba/wan2.6-t2i", "code=deadline", "code=quarantined", "window=24h", "type=text-to-image&key=200"),
        *("q=lighthouse", "q=needle", "q=lighthouse kite", "q=red 灯塔", "q=nowhere", "q=calm&status=failed"),
    ),
    "/console/logs": (
        *("window=all", "status=refused", "status=5xx", "calls=submissions", "calls=others", "key=200&window=all"),
        *("model=alibaba/wan2.6-t2i&window=all", "q=needle&window=all", "q=telescope&window=all", "request=none"),
    ),
    "/console/webhooks": ("status=failed",),
}
_NOT_MEASURED = ("events", "/download", "/export", "/total", "/change")
"""Streams, files and pieces of pages."""


async def measure(stage: Stage, extent: Extent, say: Callable[[str], None]) -> dict[str, Figure]:
    """The slowest page by its median, and the heaviest as it is sent."""
    rows = extent.tasks * 100
    async with stage.world() as world:
        say(f"filling the lists with {rows:,} rows each")
        await fill(world, rows, _PROMPT)
        await world.serve()
        world.work()
        say("indexing what is searched for")
        await _indexed(world, rows)
        cookie = await sign_in(world)
        paths = ["/console/models/alibaba/qwen-image-plus"]
        paths += [
            path
            for method, path, *_ in PAGES
            if method == "GET" and "{" not in path and path.startswith("/") and not path.endswith(_NOT_MEASURED)
        ]
        queries = [f"{path}?{query}" for path, more in _QUERIES.items() for query in more]
        taken, weight = {}, {}
        for page in (*paths, *queries):
            say(f"turning pages: {page}")
            taken[page], weight[page] = await _turn(world, page, cookie)
    slowest, heaviest = max(taken, key=lambda page: taken[page]), max(weight, key=lambda page: weight[page])
    return {
        "console_page": Figure(
            round(taken[slowest], 1), "ms", [], {"rows": float(rows), **{p: round(ms, 1) for p, ms in taken.items()}}
        ),
        "console_weight": Figure(round(weight[heaviest], 1), "KB", [], {p: round(kb, 1) for p, kb in weight.items()}),
    }


async def _indexed(world: World, rows: int) -> None:
    """Wait until the worker has done what it does in the background."""
    give_up = time.monotonic() + _INDEXED_WITHIN_S
    done = """select (select count(*) from tasks.search_block) >= $1
        and (select up_to from tasks.usage_mark) >= (select max(id) from ledger.transfer)"""
    while not await world.pool.fetchval(done, rows // 256 - 1):
        if time.monotonic() > give_up:
            raise CannotMeasureError("the worker has not indexed and added up the tasks in time")
        await asyncio.sleep(1)


async def sign_in(world: World) -> str:
    """Sign an owner of the first team in, who is an operator too; returns the cookie of the session."""
    async with world.pool.acquire() as db, db.transaction():
        user = await identity.create_user(db, "bench@example.com", "Bench", operator=True)
        await identity.add_member(db, world.teams[0].id, user.id, Role.OWNER)
        cookie, _ = await identity.open_session(db, user.id, method="link", address="bench", agent="bench")
    return cookie


async def _turn(world: World, page: str, cookie: str) -> tuple[float, float]:
    """Median milliseconds of a page, and kilobytes of it with its scripts and styles, compressed."""
    headers = {"Cookie": f"__Host-modellix={cookie}", "Accept-Encoding": "gzip"}
    path, _, query = page.partition("?")
    url = (
        f"{world.origin}{path}" + (f"?{quote(query, safe='=&')}&" if query else "?") + f"scope={world.teams[0].id}-test"
    )
    taken, size, text = [], 0, ""
    async with aiohttp.ClientSession(headers=headers, auto_decompress=False) as http:
        for _ in range(_TRIES):
            started = time.perf_counter()
            async with http.get(url, allow_redirects=False) as answer:
                body = await answer.read()
            taken.append((time.perf_counter() - started) * 1000)
            if answer.status >= 400:
                raise CannotMeasureError(f"{page} was answered with {answer.status}: {body[:300]!r}")
            size = len(body)
        async with aiohttp.ClientSession(headers={"Cookie": headers["Cookie"]}) as plain, plain.get(url) as answer:
            text = await answer.text()
        for asset in set(re.findall(r'(?:href|src)="(/static/[^"]+)"', text)):
            async with http.get(world.origin + asset) as answer:
                size += len(await answer.read())
    return statistics.median(taken), size / 1024
