"""`modellix-server contact-sheet`: every model's examples run in test mode, and one page that shows them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from modellix_server import identity
from modellix_server.cli.context import CommandContext, RefusedError
from modellix_server.cli.model_gallery import draw, page, run
from modellix_server.cli.model_gallery.draw import Cell
from modellix_server.cli.model_gallery.run import Client, NoSuccessError

KINDS = (".html", ".png")
_TYPES = ("text-to-image", "image-to-image", "text-to-video", "image-to-video", "video-to-video")
_CALL_TIMEOUT = aiohttp.ClientTimeout(total=120)


async def make(
    desk: CommandContext,
    team: str,
    out: Sequence[Path],
    types: Sequence[str],
    providers: Sequence[str],
    concurrency: int,
) -> int:
    """Run the examples with a key made for it, and write the sheet; the number of failures, at most 1, as exit code."""
    if wrong := [path for path in out if path.suffix not in KINDS]:
        raise RefusedError(f"{wrong[0]}: a sheet is an .html page or a .png picture")
    owner = await identity.find_team(desk.db, team)
    text, key = await identity.create_key(
        desk.db, desk.settings.secret, owner.id, live=False, name="contact sheet", created_by=desk.actor
    )
    try:
        async with aiohttp.ClientSession(timeout=_CALL_TIMEOUT) as http:
            client = Client(http, desk.settings.public_origin, text)
            models = await _chosen(client, types, providers)
            cells = await _run(client, models, concurrency, quiet=desk.as_json)
    except NoSuccessError as error:
        raise RefusedError(str(error)) from error
    finally:
        await identity.revoke_key(desk.db, key.id)
    failed = [one.shot for one in cells if one.shot.error]
    title = f"Modellix: {len(models)} models, {len(cells)} examples, {len(failed)} failed"
    for path in out:
        if path.suffix == ".png":
            draw.sheet(cells, title).save(path, optimize=True)
        else:
            path.write_text(page.page(cells, title), encoding="utf-8")
    desk.show(
        {
            "models": len(models),
            "examples": len(cells),
            "failed": [f"{shot.slug}: {shot.error}" for shot in failed],
            "cost_usd": round(sum(one.shot.amount_usd or 0 for one in cells), 6),
            "sheet": [str(path) for path in out],
        }
    )
    return 1 if failed else 0


async def _chosen(client: Client, types: Sequence[str], providers: Sequence[str]) -> list[tuple[str, str]]:
    """Slug and type of the models to run, by type. Raises RefusedError when there are none."""
    chosen = [
        (entry["slug"], entry["type"])
        for entry in (await client.call("GET", "/api/v1/models"))["models"]
        if (not types or entry["type"] in types) and (not providers or entry["provider"] in providers)
    ]
    if not chosen:
        raise RefusedError("no model is of that type and provider")
    return sorted(chosen, key=lambda model: _TYPES.index(model[1]))


async def _run(client: Client, models: Sequence[tuple[str, str]], concurrency: int, *, quiet: bool) -> list[Cell]:
    turns = asyncio.Semaphore(concurrency)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True, quiet=quiet),
    )

    async def one(slug: str) -> list[Cell]:
        async with turns:
            bar.update(work, description=slug)
            cells = []
            for shot in await run.shots(client, slug):
                await run.take(client, shot)
                cells.append(await draw.cell(shot))
                shot.inputs.clear()
                shot.results.clear()
        bar.advance(work)
        return cells

    with bar:
        work = bar.add_task("", total=len(models))
        found = await asyncio.gather(*(one(slug) for slug, _ in models))
    return [cell for cells in found for cell in cells]
