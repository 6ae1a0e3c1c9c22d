# ruff: noqa: PLC0415 - see below
"""The command line. Each command imports what it runs when it runs, so that help is instant."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from modellix_server.base import log
from modellix_server.base.process import die_with_parent
from modellix_server.base.scheduling import give_way, leave_a_core
from modellix_server.base.settings import BadSettings, Settings, variables
from modellix_server.cli import admin, audit, ledger, maintenance
from modellix_server.embedded.data_directory import DEFAULT, CannotStartError, DataDirectory

app = typer.Typer(
    help="Modellix: one HTTP API, one async contract and one bill for image and video generation models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # most of these programs write to log files, and locals hold secrets
)
app.add_typer(admin.app, name="admin")
app.add_typer(ledger.app, name="ledger")
app.command()(maintenance.backup)
app.command()(maintenance.restore)
app.command()(maintenance.doctor)
app.add_typer(audit.app, name="audit")

Data = Annotated[
    Path, typer.Option("--data", envvar="MODELLIX_DATA", help="Data directory.", file_okay=False, show_default=True)
]
Parent = Annotated[
    int | None, typer.Option("--parent", hidden=True, help="Process id of the supervisor to end together with.")
]


# Steps of niceness: who waits for an answer to HTTP comes first, then the tasks, then what imitates the vendors.
_WORK_YIELDS, _SANDBOX_YIELDS = 10, 15


@contextmanager
def told_plainly() -> Iterator[None]:
    """End with one readable line, not a traceback, for what the operator can put right."""
    try:
        yield
    except (BadSettings, CannotStartError) as error:
        typer.secho(f"Error: {error}", fg="red", err=True)
        sys.exit(2)


@app.command()
def up(
    data: Data = Path(DEFAULT),
    host: Annotated[str, typer.Option("--host", envvar="MODELLIX_HOST", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", envvar="MODELLIX_PORT", min=1, max=65535, help="Port to listen on.")
    ] = 8000,
) -> None:
    """Run everything on this machine: PostgreSQL, the API, a worker and the sandbox."""
    from modellix_server.processes.up import run

    with told_plainly():
        if os.environ.get("MODELLIX_DATABASE_URL"):
            raise BadSettings(
                "`up` runs a PostgreSQL of its own. To use the one in MODELLIX_DATABASE_URL, run `migrate`, "
                "then `serve` and `work`; or unset the variable"
            )
        run(DataDirectory(data), host, port)


@app.command()
def serve(data: Data = Path(DEFAULT), parent: Parent = None) -> None:
    """Answer HTTP requests: the API."""
    settings = _begin(data, parent)
    from modellix_server.processes.serve import run

    with told_plainly():
        run(settings)


@app.command()
def work(data: Data = Path(DEFAULT), parent: Parent = None) -> None:
    """Carry out accepted tasks: call the vendors, store results, settle."""
    settings = _begin(data, parent, yields=_WORK_YIELDS)
    from modellix_server.processes.work import run

    with told_plainly():
        run(settings)


@app.command()
def sandbox(
    data: Data = Path(DEFAULT),
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port on 127.0.0.1.")] = 8100,
    parent: Parent = None,
) -> None:
    """Imitate the vendors for the test keys of one data directory."""
    settings = _begin(data, parent, yields=_SANDBOX_YIELDS)
    if parent is not None:
        leave_a_core()
    from modellix_server.processes.sandbox import run

    home = DataDirectory(data)
    home.create()
    log.set_up("sandbox", settings.log_level)
    run(
        host="127.0.0.1",
        port=port,
        upstreams=None,
        instant=False,
        spool=home.sandbox,
        allow_networks=settings.allow_networks,
        origin=settings.public_origin,
    )


@app.command()
def emulate(
    upstreams: Annotated[list[str] | None, typer.Argument(help="Vendors to imitate; all when none is named.")] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8100,
    instant: Annotated[bool, typer.Option("--instant", help="Finish every task at once.")] = False,  # noqa: FBT002
    public_url: Annotated[
        str | None,
        typer.Option(envvar="MODELLIX_PUBLIC_URL", help="Platform whose own links are loaded wherever it is."),
    ] = None,
) -> None:
    """Imitate vendors by themselves, for trying their own SDKs or for a sandbox on another machine."""
    give_way(_SANDBOX_YIELDS)
    leave_a_core()
    from modellix_server.processes.sandbox import run

    with told_plainly():
        log.set_up("emulate")
        try:
            run(
                host=host,
                port=port,
                upstreams=upstreams,
                instant=instant,
                spool=Path(tempfile.gettempdir()),
                origin=public_url.rstrip("/") if public_url else None,
            )
        except ValueError as error:
            raise BadSettings(str(error)) from error


@app.command()
def migrate(data: Data = Path(DEFAULT)) -> None:
    """Bring the database's tables up to date."""
    from modellix_server.processes.migrate import run

    with told_plainly():
        run(_begin(data, None))


@app.command("contact-sheet")
def contact_sheet(
    out: Annotated[list[Path], typer.Option(help="Where to: an .html page or a .png picture; may be repeated.")] = [  # noqa: B006
        Path("contact-sheet.html")
    ],
    team: Annotated[str, typer.Option(help="Whose test money pays.")] = "default",
    model_type: Annotated[
        list[str] | None, typer.Option("--type", help="Only models of this type; may be repeated.")
    ] = None,
    provider: Annotated[list[str] | None, typer.Option(help="Only models of this provider; may be repeated.")] = None,
    concurrency: Annotated[int, typer.Option(help="Tasks at a time.", min=1, max=100)] = 3,
    data: Data = Path(DEFAULT),
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,  # noqa: FBT002
) -> None:
    """Run every model's examples in test mode on the running platform, and show the results on one sheet."""
    from modellix_server.cli import context
    from modellix_server.cli.model_gallery import gallery as sheet

    job = partial(
        sheet.make,
        team=team,
        out=out,
        types=model_type or [],
        providers=provider or [],
        concurrency=concurrency,
    )
    raise typer.Exit(context.run(data, job, as_json=as_json))


def _begin(data: Path, parent: int | None, *, yields: int = 0) -> Settings:
    """Tie this process to its supervisor first, then read the settings.

    On the one machine they share, a process gives way to the others by so many steps of niceness.
    """
    if parent is not None:
        die_with_parent(parent)
        if yields:
            give_way(yields)
    with told_plainly():
        settings = DataDirectory(data).settings(os.environ)
    for variable in variables():  # they were read once; no program that is started from here inherits a secret
        if variable.secret:
            os.environ.pop(variable.name, None)
    return settings


if __name__ == "__main__":
    app()
