"""Runs every model's examples in test mode, and writes one page or picture that shows them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from modellix_server.cli.context import CommandContext, RefusedError
from modellix_server.cli.model_gallery import draw, page, runs
from modellix_server.cli.model_gallery.draw import Cell
from modellix_server.cli.model_gallery.runs import Client, NoSuccessError
from modellix_server.operations import keys

KINDS = (".html", ".png")
_TYPES = ("text-to-image", "image-to-image", "text-to-video", "image-to-video", "video-to-video")
_CALL_TIMEOUT = aiohttp.ClientTimeout(total=120)


async def make(
    context: CommandContext,
    team: str,
    out: Sequence[Path],
    types: Sequence[str],
    providers: Sequence[str],
    concurrency: int,
) -> int:
    """Run the examples with a key made for it, and write the gallery; the number of failures, at most 1."""
    if wrong := [path for path in out if path.suffix not in KINDS]:
        raise RefusedError(f"{wrong[0]}: a gallery is an .html page or a .png picture")
    operations, who = context.operations, context.who
    text, key = await keys.create(operations, who, await context.team_mode(team, test=True), "model gallery")
    try:
        async with aiohttp.ClientSession(timeout=_CALL_TIMEOUT) as http:
            client = Client(http, operations.settings.public_origin, text)
            models = await _chosen(client, types, providers)
            cells = await _run(client, models, concurrency, quiet=context.as_json)
    except NoSuccessError as error:
        raise RefusedError(str(error)) from error
    finally:
        await keys.revoke(operations, who, key.id)
    failed = [one.run for one in cells if one.run.error]
    title = f"Modellix: {len(models)} models, {len(cells)} examples, {len(failed)} failed"
    for path in out:
        if path.suffix == ".png":
            draw.picture(cells, title).save(path, optimize=True)
        else:
            path.write_text(page.page(cells, title), encoding="utf-8")
    context.show(
        {
            "models": len(models),
            "examples": len(cells),
            "failed": [f"{run.slug}: {run.error}" for run in failed],
            "cost_usd": round(sum(one.run.amount_usd or 0 for one in cells), 6),
            "gallery": [str(path) for path in out],
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
            for run in await runs.runs_of(client, slug):
                await runs.carry_out(client, run)
                cells.append(await draw.cell(run))
                run.inputs.clear()
                run.results.clear()
        bar.advance(work)
        return cells

    with bar:
        work = bar.add_task("", total=len(models))
        found = await asyncio.gather(*(one(slug) for slug, _ in models))
    return [cell for cells in found for cell in cells]
