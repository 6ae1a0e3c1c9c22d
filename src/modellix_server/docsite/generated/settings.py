"""A page for each environment variable, and in other languages than English the page of all (that one is written)."""

from __future__ import annotations

from collections.abc import Iterator

from modellix_server.base import settings
from modellix_server.docsite.generated import Say
from modellix_server.docsite.markdown import block, code, heading, table
from modellix_server.docsite.page import DocPage, Kind


def setting_slug(name: str) -> str:
    """`MODELLIX_PUBLIC_URL` as `self-hosting/settings/public-url`."""
    return f"self-hosting/settings/{name.removeprefix('MODELLIX_').lower().replace('_', '-')}"


def setting_pages(language: str, _: Say, said: Say) -> Iterator[DocPage]:
    """All of them; `said` translates what a setting says of itself."""
    for one in settings.variables():
        yield _page(one, language, _, said)
    if language != "en":
        yield _all(language, _, said)


def _page(one: settings.Variable, language: str, _: Say, said: Say) -> DocPage:
    facts = [[_("type"), one.type], [_("default"), said(one.default) if one.default else _needed(_)]]
    if one.secret:
        facts.append([_("secret"), _("yes: it is shown nowhere, and child processes do not inherit it")])
    about = said(one.help)
    parts = [
        f"# {one.name}",
        f"{about[:1].upper()}{about[1:]}{'.' if language == 'en' else '。'}",
        table(["", ""], facts),
        _("An environment variable, read once, when a process starts. An empty one counts as not set."),
        block("sh", f"export {one.name}=…"),
        _("All settings: [Settings](/docs/settings)."),
    ]
    names = (one.name, code(one.name))
    return DocPage(setting_slug(one.name), language, Kind.SETTING, "\n\n".join(parts) + "\n", "", names)


def _all(language: str, _: Say, said: Say) -> DocPage:
    rows = [
        [
            f"[{code(one.name)}](/docs/{setting_slug(one.name)})",
            one.type,
            said(one.default) if one.default else _needed(_),
            said(one.help),
        ]
        for one in settings.variables()
    ]
    parts = [
        heading(_("Settings"), 1),
        _("All settings are environment variables, read once, when a process starts."),
        _("With `make up` all of them are optional; those that are set win over the data directory. With "
          "`MODELLIX_DATABASE_URL` set, nothing is taken from a data directory. How to change the master key: "
          "[Operate](/docs/operate)."),
        table([_("variable"), _("type"), _("default"), _("meaning")], rows),
    ]  # fmt: skip
    return DocPage("settings", language, Kind.GUIDE, "\n\n".join(parts) + "\n")


def _needed(_: Say) -> str:
    return _("none: required outside the embedded mode")
