"""The command line, put together. Each command imports what it runs when it runs, so that help is instant."""

import typer

from modellix_server.cli import (
    audit,
    codes,
    keys,
    ledger,
    maintenance,
    prices,
    processes,
    sign_in,
    tasks,
    teams,
    vault,
    vendor_accounts,
    webhooks,
)
from modellix_server.cli.model_gallery import command as model_gallery

app = typer.Typer(
    help="Modellix: one HTTP API, one async contract and one bill for image and video generation models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # most of these programs write to log files, and locals hold secrets
)
admin = typer.Typer(help="Teams, keys, vendor accounts, prices, and a way into the console.", no_args_is_help=True)
app.add_typer(admin, name="admin")
app.add_typer(ledger.app, name="ledger")
app.add_typer(audit.app, name="audit")
processes.register(app)
maintenance.register(app)
model_gallery.register(app)
sign_in.register(admin)
for name, group in (
    ("team", teams),
    ("key", keys),
    ("code", codes),
    ("upstream", vendor_accounts),
    ("vault", vault),
    ("price", prices),
    ("task", tasks),
    ("webhook", webhooks),
):
    admin.add_typer(group.app, name=name)


if __name__ == "__main__":
    app()
