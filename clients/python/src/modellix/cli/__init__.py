"""The command `modellix`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; say what to install where only the client is."""
    try:
        from modellix.cli.app import app
    except ModuleNotFoundError as error:
        if error.name not in ("click", "rich"):
            raise
        sys.exit("The command needs more than the client: pip install 'modellix[cli]'")
    app(prog_name="modellix")
