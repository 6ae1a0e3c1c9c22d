"""Waiting for a task in a terminal: a line that tells what happens to it."""

from __future__ import annotations

import sys

from modellix import Task
from modellix._sync.task import LONGEST_S
from modellix.cli.output import console
from modellix.types import TaskEvent


def follow(task: Task, *, timeout_s: float = LONGEST_S) -> Task:
    """Wait for the end of a task, with a progress line where somebody looks. Raises as `Task.wait`."""
    if not sys.stderr.isatty():
        return task.wait(timeout_s=timeout_s)
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(24), TimeElapsedColumn())
    with Progress(*columns, console=console(error=True), transient=True) as progress:
        line = progress.add_task(_told(task, None), total=None)
        for event in task.events(timeout_s=timeout_s):
            progress.update(line, description=_told(task, event))
            if event.progress is not None:
                progress.update(line, total=1.0, completed=event.progress)
    return task.checked()


def _told(task: Task, event: TaskEvent | None) -> str:
    place = event.queue_position if event else task.state.queue_position
    if place is not None:
        return f"in the queue, position {place}"
    words = {"queued": "waiting for a worker", "running": "running", "storing": "storing the result"}
    return words.get((event.stage if event else None) or "", "submitted")
