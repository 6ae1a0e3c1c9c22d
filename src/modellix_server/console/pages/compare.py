"""One prompt, two to four models side by side."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidParameters, NotFound, PlatformError
from modellix_server.base.ids import parse_task_name, task_name
from modellix_server.catalogue import Model, Quote
from modellix_server.console.cards import TaskCard, make_card
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.i18n import gettext as _
from modellix_server.operations import submissions, tasks
from modellix_server.operations.submissions import SubmitOptions

_FEWEST, _MOST = 2, 4
_AT_FIRST = ("alibaba/qwen-image-plus", "bytedance/seedream-4.0-t2i", "minimax/minimax-image-01-t2i")


@dataclass(frozen=True, slots=True)
class Column:
    """One of the models, with what it would cost, or what became of its run."""

    model: Model
    quote: Quote | None = None
    problem: PlatformError | None = None
    card: TaskCard | None = None


async def show(request: PageRequest) -> Response:
    """The prompt and the models of the query string, and the runs that it names."""
    query = request.query_params
    prompt = query.get("prompt", "")[: _longest(request)]
    chosen = _chosen(request, query.getlist("model") or list(_AT_FIRST))
    cards = [await _card(request, name) for name in query.getlist("task")[:_MOST]]
    columns = [_priced(request, model, prompt) for model in chosen]
    for place, card in enumerate(cards[: len(columns)]):
        columns[place] = Column(columns[place].model, columns[place].quote, columns[place].problem, card)
    return _page(request, prompt, columns)


async def run(request: PageRequest) -> Response:
    """Submit the prompt to each of the models; what one of them refuses stops no other."""
    prompt = request.fields.get("prompt", "").replace("\r\n", "\n")
    chosen = _chosen(request, [value for name, value in request.form_fields if name == "model"])
    columns = [_priced(request, model, prompt) for model in chosen]
    if len(chosen) < _FEWEST:
        return _page(request, prompt, columns, InvalidParameters(_("choose two models at least")))
    token = request.fields.get("run", "")[:64]
    ran = [await _submitted(request, one, prompt, token) for one in columns]
    if any(one.problem for one in ran):
        return _page(request, prompt, ran)
    names = [one.card.name for one in ran if one.card]
    pairs = [("prompt", prompt), *(("model", one.model.slug) for one in ran), *(("task", name) for name in names)]
    return RedirectResponse(f"/console/compare?{urlencode(pairs)}", 303)


async def total(request: PageRequest) -> Response:
    """What one run would cost, while somebody types."""
    prompt = request.query_params.get("prompt", "")
    chosen = _chosen(request, request.query_params.getlist("model"))
    columns = [_priced(request, model, prompt) for model in chosen]
    return request.render("compare/total.html", **_total(columns))


def comparable(request: PageRequest) -> list[Model]:
    """The models that need a prompt only."""
    return [model for model in request.ctx.catalogue if list(model.schema["required"]) == ["prompt"]]


def _chosen(request: PageRequest, names: list[str]) -> list[Model]:
    known = {model.slug: model for model in comparable(request)}
    return [known[name] for name in dict.fromkeys(names) if name in known][:_MOST]


def _longest(request: PageRequest) -> int:
    longest: int = max(model.schema["properties"]["prompt"]["maxLength"] for model in comparable(request))
    return longest


def _priced(request: PageRequest, model: Model, prompt: str) -> Column:
    try:
        # A price does not depend on the words: without a prompt yet, the page shows it for any.
        return Column(model, submissions.quote(request.ctx, request.who, model, {"prompt": prompt or "-"}))
    except PlatformError as error:
        return Column(model, problem=error)


async def _submitted(request: PageRequest, column: Column, prompt: str, token: str) -> Column:
    digest = hashlib.sha256(f"{column.model.slug}\n{prompt}".encode()).hexdigest()[:32]
    fit = token and token.isascii() and token.isprintable()
    options = SubmitOptions(
        idempotency_key=f"console-{token}-{digest}" if fit else None,
        wait=True,
        request_id=request.scope.get("request_id"),
    )
    try:
        made = await submissions.submit(request.ctx, request.who, column.model, {"prompt": prompt}, [], options)
        if not made.replayed:
            request.made_tasks.append(made.task_id)
    except PlatformError as error:
        return Column(column.model, column.quote, error)
    return Column(column.model, column.quote, card=await _card(request, task_name(made.task_id)))


async def _card(request: PageRequest, name: str) -> TaskCard:
    task_id = parse_task_name(name)
    if task_id is None:
        raise NotFound(_("there is no such task"))
    return make_card(request.ctx, await tasks.find(request.ctx, request.who, request.who.team, task_id))


def _total(columns: list[Column]) -> dict[str, Any]:
    quotes = [one.quote for one in columns if one.quote]
    return {
        "total": submissions.total(quotes),
        "count": len(quotes),
        "problems": [one for one in columns if one.problem],
    }


def _page(request: PageRequest, prompt: str, columns: list[Column], problem: PlatformError | None = None) -> Response:
    return request.render(
        "compare/compare.html",
        problem.status if problem else 200,
        prompt=prompt,
        columns=columns,
        problem=problem,
        choices=comparable(request),
        places=range(_MOST),
        run=secrets.token_urlsafe(12),
        **_total(columns),
    )
