"""Commands about tasks: run a model, follow, save, cancel."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import click

from modellix import Client, Task
from modellix._sync.task import LONGEST_S
from modellix.cli import flags, output, pictures
from modellix.cli.catalogue import ANY_FLAGS, AS_JSON, model_names, named, show_flags
from modellix.cli.exits import ExitCode, NotEnded, TooExpensive
from modellix.cli.following import follow
from modellix.types import Quote

_OUT = click.option(
    "--out", "-o", type=click.Path(path_type=Path), default=".",
    help="Folder for the files, made if need be; or the name of one file.",
)  # fmt: skip
_TIMEOUT = click.option(
    "--timeout", type=float, default=LONGEST_S, help="Seconds to wait; the task goes on afterwards.", show_default=True
)
_SHOW = click.option("--show/--no-show", default=True, help="Show pictures in the terminal.")
_OF_TASK = click.argument("task_id")
_WORDS = 40


@click.command(context_settings={**ANY_FLAGS, "help_option_names": []})
@click.argument("model", required=False, shell_complete=model_names)
@_OUT
@click.option("--max-cost", type=float, help="USD; refuse if it could cost more.")
@click.option("--wait/--no-wait", default=True, help="Wait for the end and save the files.")
@click.option("--queue/--no-queue", default=True, help="Wait for a free slot of the team.")
@_TIMEOUT
@click.option("--idempotency-key", help="The same key and flags are the same task.")
@_SHOW
@AS_JSON
@click.option("--help", "-h", "help_", is_flag=True, help="With a model: its flags.")
@click.pass_context
def run(
    ctx: click.Context,
    model: str | None,
    out: Path,
    max_cost: float | None,
    *,
    wait: bool,
    queue: bool,
    timeout: float,
    idempotency_key: str | None,
    show: bool,
    json: bool,
    help_: bool,
) -> None:
    """Run a model and save what it makes. Its parameters are flags, such as --prompt.

    A flag that takes a file takes a path, a link, or the id of an uploaded file; `-` is standard input. --input takes
    all parameters as JSON: a file, `-`, or the JSON itself.
    """
    if not model:
        click.echo(ctx.get_help())
        ctx.exit(ExitCode.DONE if help_ else ExitCode.WRONG)
    with Client() as client:
        details = named(client, model)
        if help_:
            show_flags(details)
            return
        given = _uploaded(client, flags.parse(details, ctx.args))
        quote = client.quote(details.slug, given)
        _accept(quote, max_cost, json=json)
        task = client.submit(details.slug, given, max_cost=max_cost, queue=queue, idempotency_key=idempotency_key)
        if wait:
            _finish(task, out, given.get("prompt", ""), timeout_s=timeout, json=json, show=show, quote=quote)
        elif json:
            output.as_json(task.state)
        else:
            click.echo(task.id)


@click.command()
@_OF_TASK
@_OUT
@_TIMEOUT
@_SHOW
@AS_JSON
def wait(task_id: str, out: Path, timeout: float, *, show: bool, json: bool) -> None:
    """Wait for the end of a task and save what it makes."""
    with Client() as client:
        _finish(client.task(task_id), out, "", timeout_s=timeout, json=json, show=show)


@click.command()
@_OF_TASK
@_OUT
@AS_JSON
def download(task_id: str, out: Path, *, json: bool) -> None:
    """Save the files of a task that has ended."""
    with Client() as client:
        task = client.task(task_id).checked()
        if not task.done:
            raise NotEnded(f"{task_id} is not done yet: `modellix wait {task_id}` saves its files when it is")
        _report(task, _saved(task, out, ""), json=json, show=False)


@click.command()
@_OF_TASK
@AS_JSON
def cancel(task_id: str, *, json: bool) -> None:
    """End a task that costs nothing yet."""
    with Client() as client:
        done = client.task(task_id).cancel()
    if json:
        output.as_json({"task_id": task_id, "canceled": done})
    else:
        click.echo("canceled" if done else "asked for; the status of the task will tell")


@click.command()
@click.option("--status", type=click.Choice(["pending", "success", "failed"]), help="How they are.")
@click.option("--model", help="Of one model.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, help="At most so many, newest first.", show_default=True
)
@AS_JSON
def tasks(status: str | None, model: str | None, limit: int, *, json: bool) -> None:
    """List the team's tasks."""
    with Client() as client:
        found = list(islice(client.tasks(status=status, model=model), limit))
    if json:
        output.as_json(found)
        return
    rows = (
        (
            one.task_id, one.submit_time.astimezone().strftime("%m-%d %H:%M"), one.status, output.usd(one.cost),
            one.model, one.error_code or str(one.input.get("prompt", "")),
        )
        for one in found
    )  # fmt: skip
    output.table(("task", "submitted", "status", "cost", "model", "prompt or error"), rows, right=("cost",), cut=True)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@AS_JSON
def upload(files: tuple[Path, ...], *, json: bool) -> None:
    """Upload files for use as inputs; prints their ids."""
    with Client() as client:
        found = [client.upload(file) for file in files]
    if json:
        output.as_json(found)
    else:
        for one in found:
            click.echo(one.file_id)


def _uploaded(client: Client, given: Mapping[str, Any]) -> dict[str, Any]:
    """Files uploaded once, for the quote and for the task."""

    def sent(value: Any) -> Any:
        if isinstance(value, list):
            return [sent(one) for one in value]
        return client.upload(value).file_id if isinstance(value, Path | bytes) else value

    return {name: sent(value) for name, value in given.items()}


def _accept(quote: Quote, max_cost: float | None, *, json: bool) -> None:
    if max_cost is not None and quote.cost > max_cost:
        raise TooExpensive(f"it could cost {output.usd(quote.cost)}, more than --max-cost {output.usd(max_cost)}")
    if not json:
        units = f"{quote.units:g} x {output.usd(quote.unit_cost)}, {quote.tier}"
        output.note(f"{output.bold(quote.model)}  at most {output.usd(quote.cost)}  {output.dim(f'({units})')}")


def _finish(
    task: Task, out: Path, prompt: str, *, timeout_s: float, json: bool, show: bool, quote: Quote | None = None
) -> None:
    began = time.monotonic()
    try:
        follow(task, timeout_s=timeout_s)
    except KeyboardInterrupt:
        output.note(f"{task.id} goes on.")
        output.note(f"  save its files  {output.bold(f'modellix wait {task.id}')}")
        output.note(f"  stop it         {output.bold(f'modellix cancel {task.id}')}")
        raise
    saved = _saved(task, out, prompt)
    if not json:
        took = f"in {time.monotonic() - began:.1f} s  cost {output.usd(task.cost)}  {task.id}"
        output.note(f"{click.style('done', fg='green')} {took}")
    _report(task, saved, json=json, show=show, quote=quote)


def _report(task: Task, saved: list[Path], *, json: bool, show: bool, quote: Quote | None = None) -> None:
    if json:
        state = {"task_id": task.id, "status": task.status, "cost": task.cost, "quote": quote and quote.cost}
        files = [
            {"path": str(path), "url": file.url, "type": file.resource.type, "format": file.resource.format}
            for path, file in zip(saved, task.files, strict=True)
        ]
        output.as_json({**state, "files": files, "metadata": task.metadata})
        return
    for path, file in zip(saved, task.files, strict=True):
        click.echo(path)
        if show and file.resource.type == "image":
            pictures.show(path)


def _saved(task: Task, out: Path, prompt: str) -> list[Path]:
    files = task.files
    if not (out.suffix and not out.is_dir()):
        start = _short(prompt)
        return [file.save(out / f"{start}{file.name}") for file in files]
    if len(files) == 1:
        return [files[0].save(out)]
    return [file.save(out.with_stem(f"{out.stem}-{number}")) for number, file in enumerate(files, 1)]


def _short(prompt: str) -> str:
    """The first words of a prompt, as the beginning of a file's name."""
    words = re.findall(r"[^\W_]+", str(prompt).lower())
    kept: list[str] = []
    for word in words:
        if sum(map(len, kept)) + len(kept) + len(word) > _WORDS:
            break
        kept.append(word)
    return "-".join(kept) + "-" if kept else ""


COMMANDS = (run, wait, tasks, download, cancel, upload)
