"""Commands and metrics as data for the documentation, read from the code: docs/site/reference.json.

    python scripts/reference.py     # after a change to a command or a metric; a test says when it was forgotten

The site cannot ask for them itself: commands are in a room above it, and metrics are counted in several processes.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import typer.main

from modellix_server.cli.app import app

TOP = Path(__file__).parents[1]
FILE = TOP / "docs" / "site" / "reference.json"
_SOURCE = TOP / "src" / "modellix_server"
_TYPES = {
    "str": "TEXT",
    "int": "NUMBER",
    "range": "NUMBER",
    "float": "NUMBER",
    "path": "PATH",
    "dir": "PATH",
    "Path": "PATH",
}
_KINDS = {"Counter": "counter", "Histogram": "histogram", "gauge": "gauge"}


def main() -> int:
    """Write the file."""
    FILE.write_text(text(), encoding="utf-8")
    return 0


def text() -> str:
    """What the file has to contain."""
    found = {"commands": list(commands(typer.main.get_command(app))), "metrics": list(metrics())}
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def commands(command: Any, name: str = "") -> Iterator[dict[str, Any]]:
    """Every command that does something, with its arguments and options."""
    if below := getattr(command, "commands", None):
        for word, one in below.items():
            yield from commands(one, f"{name} {word}".strip())
        return
    context = command.make_context(name, [], resilient_parsing=True)
    own = [one for one in command.params if one.name != "help" and not getattr(one, "hidden", False)]
    yield {"name": name, "help": _line(command.help), "parameters": [_parameter(one, context) for one in own]}


def _parameter(said: Any, context: Any) -> dict[str, Any]:
    is_option = said.param_type_name == "option"
    flag = is_option and said.is_flag
    names = [*said.opts, *said.secondary_opts] if is_option else [said.metavar or said.name.upper()]
    found = {"names": names, "help": _line(said.help), "required": bool(said.required)}
    if is_option and not flag:
        found["value"] = said.metavar or _TYPES[re.sub(r"\W+", " ", said.display_type(context)).split()[-1]]
    default = said.default() if callable(said.default) else said.default
    if default not in (None, False, "", (), []):
        found["default"] = ", ".join(map(str, default)) if isinstance(default, list) else str(default)
    if said.nargs == -1 or getattr(said, "multiple", False):
        found["repeats"] = True
    return found


def metrics() -> Iterator[dict[str, Any]]:
    """Every number that the source declares, by name."""
    found = {}
    for path in sorted(_SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            kind = _KINDS.get(getattr(node.func, "id", "")) if isinstance(node, ast.Call) and node.args else None
            if kind and ast.unparse(node.args[0]).startswith("'modellix_"):
                name, about, *rest = map(partial(_value, constants), node.args)
                labels = rest[-1] if len(rest) > (kind != "counter") else ()
                found[name] = {"name": name, "kind": kind, "labels": list(labels), "help": about}
    yield from (found[name] for name in sorted(found))


def _value(constants: dict[str, ast.expr], node: ast.expr) -> Any:
    """What an argument says, as far as it is written down; of anything that is computed, nothing."""
    if isinstance(node, ast.Name) and node.id in constants:
        return _value(constants, constants[node.id])
    if isinstance(node, ast.Tuple):
        parts = [(one, _value(constants, one.value if isinstance(one, ast.Starred) else one)) for one in node.elts]
        return tuple(value for one, said in parts for value in (said if isinstance(one, ast.Starred) else (said,)))
    return node.value if isinstance(node, ast.Constant) else ()


def _line(text: str | None) -> str:
    return " ".join((text or "").split())


if __name__ == "__main__":
    sys.exit(main())
