"""The audit log of the whole platform."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from modellix_server.audit import AuditEntry
from modellix_server.console import i18n, words
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.filters import PageFilters
from modellix_server.console.i18n import gettext as _
from modellix_server.console.pages.operator import fields
from modellix_server.console.render import money
from modellix_server.operations import audit

_ENTRIES = 50
_ACTIONS = (
    *("announcement", "code", "identity", "key", "ledger", "member", "operator", "price", "recharge", "review"),
    *("session", "sign_in", "team", "upstream", "user", "vault", "webhook"),
)


async def show(request: PageRequest) -> Response:
    """Entries by team, who, what and time."""
    return await _page(request)


async def verify(request: PageRequest) -> Response:
    """Check the chain from its beginning."""
    findings = await audit.verify(request.ctx, request.who, [])
    return await _page(request, findings=findings, head=await audit.head(request.ctx, request.who))


async def _page(request: PageRequest, **more: Any) -> Response:
    filters, before = PageFilters(request), fields.before(request)
    found, names = await audit.search(
        request.ctx,
        request.who,
        limit=_ENTRIES + 1,
        before=before,
        team_id=filters.number("team"),
        actor=filters.text("who"),
        action=filters.text("what"),
        span=filters.span(),
    )
    shown = {
        "filters": filters,
        "actions": _ACTIONS,
        "entries": [_entry(one, names) for one in found[:_ENTRIES]],
        "newest": filters.url(before=None) if before else None,
        "older": filters.url(before=str(found[_ENTRIES - 1].seq)) if len(found) > _ENTRIES else None,
        "findings": None,
        "head": None,
        **more,
    }
    return request.render("operator/audit.html", **shown)


def _entry(entry: AuditEntry, names: dict[str, str]) -> dict[str, Any]:
    details = {name: value for name, value in json.loads(entry.details).items() if value not in (None, "", [])}
    return {
        "entry": entry,
        "who": names.get(entry.actor, entry.actor),
        "subject": names.get(entry.subject, entry.subject),
        "what": words.action(entry),
        "details": ", ".join(map(_detail, details, details.values())),
    }


def _detail(name: str, value: Any) -> str:
    """`available_micros`, 5000000 as `available: $5.0000`; `margin_bp`, 2000 as `margin: +20 %`."""
    shown = i18n.said(words.detail_name(name))
    if name.endswith("micros") and isinstance(value, int):
        return f"{shown}: {money(value)}"
    if name.endswith("_bp") and isinstance(value, int):
        return f"{shown}: {value / 100:+g} %"
    if isinstance(value, bool):
        return f"{shown}: {_('yes') if value else _('no')}"
    return f"{shown}: {words.role(value) if name == 'role' else i18n.said(str(value))}"
