"""A page for each environment variable, and the table of all is a written page."""

from __future__ import annotations

from collections.abc import Iterator

from modellix_server.base import settings
from modellix_server.docsite.generated import Say
from modellix_server.docsite.markdown import block, code, table
from modellix_server.docsite.page import DocPage, Kind


def setting_slug(name: str) -> str:
    """`MODELLIX_PUBLIC_URL` as `self-hosting/settings/public-url`."""
    return f"self-hosting/settings/{name.removeprefix('MODELLIX_').lower().replace('_', '-')}"


def setting_pages(language: str, _: Say) -> Iterator[DocPage]:
    """All of them."""
    for one in settings.variables():
        facts = [[_("type"), one.type], [_("default"), one.default or _("none: required outside the embedded mode")]]
        if one.secret:
            facts.append([_("secret"), _("yes: it is shown nowhere, and child processes do not inherit it")])
        parts = [
            f"# {one.name}",
            f"{one.help[:1].upper()}{one.help[1:]}.",
            table(["", ""], facts),
            _("An environment variable, read once, when a process starts. An empty one counts as not set."),
            block("sh", f"export {one.name}=…"),
            _("All settings: [Settings](/docs/settings)."),
        ]
        yield DocPage(
            setting_slug(one.name), language, Kind.SETTING, "\n\n".join(parts) + "\n", "", (one.name, code(one.name))
        )
