"""`modellix batch`: many tasks from a file, a few at a time, resumed where it stopped."""

from __future__ import annotations

from pathlib import Path

import click

from modellix.cli.catalogue import AS_JSON
from modellix.cli.exits import ExitCode


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", "-o", type=click.Path(path_type=Path), default=".", help="Folder for the files.")
@click.option("--model", help="Of lines that name none.")
@click.option("--concurrency", type=click.IntRange(min=1), help="Tasks at a time; else as many as the team may have.")
@click.option("--max-cost", type=float, help="USD; stop before all lines together could cost more.")
@click.option("--retry-failed", is_flag=True, help="Submit failed lines again.")
@click.option("--state", type=click.Path(path_type=Path), help="What was done so far; FILE.state unless given.")
@AS_JSON
def batch(
    file: Path,
    out: Path,
    model: str | None,
    concurrency: int | None,
    max_cost: float | None,
    state: Path | None,
    *,
    retry_failed: bool,
    json: bool,
) -> None:
    """Run a task for each line of a file. Run it again after a crash or Ctrl-C: it goes on, and pays nothing twice."""
    from modellix.cli.batch_run import Batch
    from modellix.cli.batch_state import BatchState, read_lines

    lines = read_lines(file, model)
    with BatchState(state or file.with_name(file.name + ".state")) as opened:
        opened.check(lines)
        work = Batch(lines, opened, file.parent, out, max_cost=max_cost, retry_failed=retry_failed, json=json)
        work.run(concurrency)
    if work.failed:
        raise click.exceptions.Exit(ExitCode.FAILED)
