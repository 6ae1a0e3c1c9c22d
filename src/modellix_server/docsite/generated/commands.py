"""A page for each command of `modellix-server`, and the page that lists them: from docs/site/reference.json."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from modellix_server.docsite.generated import Say
from modellix_server.docsite.markdown import block, code, heading, inline, table
from modellix_server.docsite.page import DocPage, Kind
from modellix_server.docsite.written import reference

_PROGRAM = "modellix-server"


def command_slug(name: str) -> str:
    """`admin key create` as `self-hosting/commands/admin-key-create`."""
    return f"self-hosting/commands/{name.replace(' ', '-')}"


def command_pages(language: str, _: Say, said: Say) -> Iterator[DocPage]:
    """All of them; `said` translates what the command line says of itself."""
    known = reference()["commands"]
    for one in known:
        yield _page(one, language, _, said)
    groups: dict[str, list[list[str]]] = {}
    for one in known:
        row = [f"[{code(one['name'])}](/docs/{command_slug(one['name'])})", inline(said(one["help"]))]
        groups.setdefault(one["name"].rpartition(" ")[0], []).append(row)
    parts = [
        heading(_("Commands"), 1),
        _("Every command of `modellix-server`, the program that runs and administers this platform."),
        _("`%s` shows the same on the machine. Daily use: [Operate](/docs/operate).") % f"{_PROGRAM} --help",
    ]
    for group, rows in groups.items():
        parts += [
            f"## {code(f'{_PROGRAM} {group}'.strip())}",
            table([_("command"), _("what it does")], rows),
        ]
    yield DocPage("self-hosting/commands/index", language, Kind.COMMAND, "\n\n".join(parts) + "\n")


def _page(command: Mapping[str, Any], language: str, _: Say, said: Say) -> DocPage:
    name, parameters = command["name"], command["parameters"]
    parts = [
        f"# {_PROGRAM} {name}",
        inline(said(command["help"])),
        block("sh", f"{_PROGRAM} {name}{_usage(parameters)}"),
    ]
    if parameters:
        parts.append(
            table([_("argument or option"), _("value"), _("meaning")], [_row(one, _, said) for one in parameters])
        )
    if name.startswith("admin"):
        parts.append(_("Exit codes: 1 refused, 2 wrong settings, 3 database or vendor not reached."))
    parts.append(_("All commands: [Commands](/docs/self-hosting/commands/index)."))
    names = (f"{_PROGRAM} {name}", name)
    return DocPage(command_slug(name), language, Kind.COMMAND, "\n\n".join(parts) + "\n", "", names)


def _usage(parameters: list[Mapping[str, Any]]) -> str:
    """What has to be given, in its order."""
    shown = [one["names"][0] for one in parameters if not one["names"][0].startswith("-")]
    shown += [f"{one['names'][0]} {one['value']}" for one in parameters if one["required"] and "value" in one]
    return "".join(f" {one}" for one in shown)


def _row(one: Mapping[str, Any], _: Say, said: Say) -> list[str]:
    value = code(one["value"]) if "value" in one else "-"
    if "default" in one:
        value += ", " + _("default") + " " + code(one["default"])
    if one["required"]:
        value += ", " + _("required")
    return [", ".join(map(code, one["names"])), value.removeprefix("-, "), inline(said(one["help"]))]
