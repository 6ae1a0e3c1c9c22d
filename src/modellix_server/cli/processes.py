"""The commands that run the platform's processes: `up`, `serve`, `work`, `sandbox`, `emulate`, `migrate`."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from modellix_server.base import log
from modellix_server.base.process import die_with_parent
from modellix_server.base.scheduling import give_way, leave_a_core
from modellix_server.base.settings import BadSettings, Settings, variables
from modellix_server.cli.command import HERE, Data
from modellix_server.cli.context import told_plainly
from modellix_server.embedded.data_directory import DataDirectory

Parent = Annotated[
    int | None, typer.Option("--parent", hidden=True, help="Process id of the supervisor to end together with.")
]

# Steps of niceness: who waits for an answer to HTTP comes first, then the tasks, then what imitates the vendors.
_WORK_YIELDS, _SANDBOX_YIELDS = 10, 15


def register(app: typer.Typer) -> None:
    """Add them to the command line."""
    for run in (up, serve, work, sandbox, emulate, migrate):
        app.command()(run)


def up(
    data: Data = HERE,
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


def serve(data: Data = HERE, parent: Parent = None) -> None:
    """Answer HTTP requests: the API."""
    settings = _begin(data, parent)
    from modellix_server.processes.serve import run

    with told_plainly():
        run(settings)


def work(data: Data = HERE, parent: Parent = None) -> None:
    """Carry out accepted tasks: call the vendors, store results, settle."""
    settings = _begin(data, parent, yields=_WORK_YIELDS)
    from modellix_server.processes.work import run

    with told_plainly():
        run(settings)


def sandbox(
    data: Data = HERE,
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port on 127.0.0.1.")] = 8100,
    parent: Parent = None,
) -> None:
    """Imitate the vendors for the test keys of one data directory."""
    settings = _begin(data, parent, yields=_SANDBOX_YIELDS)
    if parent is not None:
        leave_a_core()
    from modellix_server.processes.sandbox import run

    data_directory = DataDirectory(data)
    data_directory.create()
    log.set_up("sandbox", settings.log_level)
    run(
        host="127.0.0.1",
        port=port,
        upstreams=None,
        instant=False,
        spool=data_directory.sandbox,
        allow_networks=settings.allow_networks,
        origin=settings.public_origin,
    )


def emulate(
    upstreams: Annotated[list[str] | None, typer.Argument(help="Vendors to imitate; all when none is named.")] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8100,
    instant: Annotated[bool, typer.Option("--instant", help="Finish every task at once.")] = False,
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


def migrate(data: Data = HERE) -> None:
    """Bring the database's tables up to date."""
    from modellix_server.processes.migrate import run

    with told_plainly():
        run(_begin(data, None))


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
