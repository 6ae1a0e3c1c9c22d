"""The order of pages: groups of written ones, then models by provider, and what is generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from modellix_server.docsite.generated import Say
from modellix_server.docsite.page import DocPage, Kind

if TYPE_CHECKING:
    from modellix_server.docsite.site import Library


def N_(text: str) -> str:  # noqa: N802 - as gettext calls what only marks a text
    """Mark a text that is translated where it is shown."""
    return text


FIRST = "get-started/index"
MOVED = {
    "index": FIRST,
    "get-started": FIRST,
    "pricing": "get-started/pricing",
    "models": "get-started/models",
    "how-to-use/steps": "ways-to-use/steps",
    "how-to-use/error-handling": "ways-to-use/error-handling",
    "ways-to-use/api": "api",
    "api/get-task-result": "api-reference/query-task-result",
    "api/list-models": "api-reference/list-models",
    "api/get-team-balance": "api-reference/get-balance",
    "api/validate-api-key": "api-reference/validate-key",
    "api-reference": "api-reference/index",
    "api-reference/introduction": "api-reference/index",
    "errors": "errors/index",
    "authentication": "get-started/authentication",
    "archieved/authentication": "get-started/authentication",
    "webhooks": "ways-to-use/webhooks",
    "self-hosting": "self-hosting/install",
    "changelog": "changelog/product-updates",
}
"""Addresses that agents and people know from elsewhere."""
WRITTEN = (
    (
        N_("Get started"),
        (FIRST, "quickstart", "get-started/authentication", "get-started/models", "get-started/pricing", "test-mode"),
    ),
    (
        N_("Use the API"),
        (
            *(
                "ways-to-use/steps",
                "ways-to-use/sdk",
                "ways-to-use/javascript",
                "ways-to-use/cli",
                "following-a-task",
                "ways-to-use/webhooks",
                "ways-to-use/results",
            ),
            *(
                "ways-to-use/media-inputs",
                "ways-to-use/idempotency",
                "ways-to-use/error-handling",
                "ways-to-use/limits",
            ),
            *("api", "money", "ways-to-use/openai", "ways-to-use/mcp"),
        ),
    ),
    (N_("Workflows"), ("workflows/image-editing", "workflows/video-with-audio", "workflows/batch")),
    (N_("Console and teams"), ("console", "people", "ways-to-use/keys-and-teams")),
    (
        N_("Self-hosting"),
        (
            *(
                "self-hosting/install",
                "self-hosting/vendor-accounts",
                "operate",
                "settings",
                "self-hosting/security",
                "self-hosting/backup",
                "upgrading",
            ),
            *("self-hosting/scale", "architecture", "self-hosting/add-a-model", "self-hosting/add-an-upstream"),
        ),
    ),
    (N_("Changes"), ("changelog/new-models", "changelog/product-updates")),
)
_GENERATED = (
    (N_("API reference"), Kind.ENDPOINT),
    (N_("Errors"), Kind.ERROR),
    (N_("Every setting"), Kind.SETTING),
    (N_("Every command"), Kind.COMMAND),
    (N_("Every metric"), Kind.METRIC),
    (N_("Design"), Kind.DESIGN),
)
_MODELS = N_("Models: %s")
_UNFOLDED = ("Get started", "Use the API")


@dataclass(frozen=True, slots=True)
class Group:
    """One part of the navigation, as it is shown."""

    title: str
    pages: list[DocPage]
    listing: str | None
    """The page that lists them, shown in place of the pages of a long group that is not unfolded."""
    open: bool
    """Whether it is shown unfolded: the page that is read is in it, or it is one of the first."""


class NavigationSection(NamedTuple):
    """One section of the navigation: the same for every page of a language."""

    title: str
    """Not translated; the name of a provider may be missing in it."""
    provider: str
    pages: list[DocPage]
    listing: str | None
    slugs: frozenset[str]


def groups(library: Library, language: str, here: str, _: Say) -> list[Group]:
    """The whole navigation, for the page that is read."""
    return [
        Group(
            _(section.title) % section.provider if section.provider else _(section.title),
            section.pages,
            section.listing,
            open=here in section.slugs or section.title in _UNFOLDED,
        )
        for section in library.sections(language)
    ]


def sections_of(library: Library, language: str) -> list[NavigationSection]:
    """All sections that have pages."""
    found = []
    for title, slugs in WRITTEN:
        found.append(_section(title, [page for slug in slugs if (page := library.find(slug, language))]))
    placed = {slug for _title, slugs in WRITTEN for slug in slugs}
    rest = [page for page in library.in_language(language) if page.slug not in placed]
    for provider in dict.fromkeys(page.slug.partition("/")[0] for page in rest if page.kind is Kind.MODEL):
        pages = [page for page in rest if page.kind is Kind.MODEL and page.slug.startswith(f"{provider}/")]
        found.append(_section(_MODELS, pages, provider=provider))
    for title, kind in _GENERATED:
        pages = [page for page in rest if page.kind is kind]
        indexes = (page.slug for page in pages if page.slug.endswith("/index"))
        found.append(_section(title, pages, listing="settings" if kind is Kind.SETTING else next(indexes, None)))
    return [section for section in found if section.pages]


def _section(title: str, pages: list[DocPage], *, provider: str = "", listing: str | None = None) -> NavigationSection:
    return NavigationSection(title, provider, pages, listing, frozenset(page.slug for page in pages))
