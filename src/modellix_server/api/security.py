"""Headers against what a browser might do with an answer (OWASP REST Security and HTTP Headers cheat sheets)."""

from __future__ import annotations

from modellix_server.base.settings import Settings

CLOSED = "default-src 'none'; frame-ancestors 'none'"
"""Content-Security-Policy of an answer that is no page: it loads nothing and is embedded nowhere."""

_EVERYWHERE = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
]


def on_every_answer(settings: Settings) -> list[tuple[str, str]]:
    """What the server itself adds, so that no answer of any route is without: for `uvicorn.Config(headers=…)`.

    The Content-Security-Policy is not among them: a page has one of its own.
    """
    if settings.public_origin.startswith("https://"):
        return [*_EVERYWHERE, ("strict-transport-security", "max-age=31536000")]
    return list(_EVERYWHERE)
