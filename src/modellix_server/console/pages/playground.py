"""The playground of a model: a form made from its schema, what it would cost, running it, and the latest runs."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.responses import RedirectResponse, Response

from modellix_server.base.errors import InvalidFormat, MissingParameter, NotFound, PlatformError
from modellix_server.base.ids import parse_task_name, task_name
from modellix_server.catalogue import Model, Quote
from modellix_server.console import schema_form
from modellix_server.console.cards import make_card
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.i18n import gettext as _
from modellix_server.console.schema_form import Field, Form
from modellix_server.inspection import InputFile, take_inputs
from modellix_server.operations import models, submissions, task_inputs, tasks
from modellix_server.operations.principal import Permission
from modellix_server.operations.submissions import SubmitOptions
from modellix_server.tasks import TaskFilter
from modellix_server.web import code_samples

_LATEST = 12
_SHOWN = 4
_RESULT = {
    "status": "success",
    "task_id": "task-…",
    "result": {
        "resources": [
            {
                "url": "https://…",
                "type": "image | video | audio",
                "format": "png",
                "width": 1024,
                "height": 1024,
                "size": 1048576,
                "role": "main",
                "duration": None,
            }
        ],
        "metadata": {},
    },
    "billing": {"amount": 0.0172},
}
"""The shape of `GET /api/v1/tasks/{task_id}`'s data for a finished task."""
_TABS = ("form", "json", "code", "schema")


@dataclass(frozen=True, slots=True)
class Draft:
    """A request as it stands in the form: what it would cost, or why it would be refused."""

    body: Any
    json: str
    """The body as it is shown; what was typed, where that is no JSON."""
    quote: Quote | None = None
    problem: PlatformError | None = None

    @property
    def at(self) -> str | None:
        """The parameter that the problem is about."""
        return schema_form.fault_path(self.problem) if self.problem else None

    @property
    def incomplete(self) -> bool:
        """Whether something is only missing yet."""
        return isinstance(self.problem, MissingParameter)


async def show(request: PageRequest) -> Response:
    """The form, filled in with the example, the inputs of an earlier task (`?task=`), or a file (`?input=`)."""
    model = _model(request)
    body: dict[str, Any] = dict(model.example)
    lost: list[str] = []
    if name := request.query_params.get("task"):
        body, lost = await _inputs_of(request, model, name)
    elif link := request.query_params.get("input"):
        body = _with_input(model, body, link)
    return await _page(request, model, _drafted(request, model, body), lost=lost)


async def show_typed(request: PageRequest) -> Response:
    """The same page with what was typed, under another tab: for browsers without script."""
    model = _model(request)
    return await _page(request, model, _read(request, model))


async def draft(request: PageRequest) -> Response:
    """What the form stands for, while somebody types: price or problem, JSON, code."""
    model = _model(request)
    return request.render("playground/draft.html", **_draft_values(request, model, _read(request, model)))


async def run(request: PageRequest) -> Response:
    """Submit what the form stands for. A form that is sent twice runs once."""
    model = _model(request)
    drafted = _read(request, model)
    token = request.fields.get("run", "")[:64]
    digest = hashlib.sha256(drafted.json.encode()).hexdigest()[:32]
    options = SubmitOptions(
        idempotency_key=f"console-{token}-{digest}" if token.isascii() and token.isprintable() and token else None,
        wait=True,
        request_id=request.scope.get("request_id"),
    )
    try:
        if drafted.problem is not None:
            raise drafted.problem
        given, files = _taken(model, drafted.body)
        accepted = await submissions.submit(request.ctx, request.who, model, given, files, options)
        if not accepted.replayed:
            request.made_tasks.append(accepted.task_id)
    except PlatformError as error:
        return await _refused(request, model, Draft(drafted.body, drafted.json, drafted.quote, error))
    if not request.is_piece:
        return RedirectResponse(f"/console/tasks/{task_name(accepted.task_id)}", 303)
    task = await tasks.find(request.ctx, request.who, request.who.team, accepted.task_id)
    values = _draft_values(request, model, drafted)
    return request.render("playground/ran.html", card=make_card(request.ctx, task), again=accepted.replayed, **values)


def _model(request: PageRequest) -> Model:
    parts = request.path_params
    return models.describe(request.ctx, request.who, f"{parts['provider']}/{parts['model_id']}").model


def _read(request: PageRequest, model: Model) -> Draft:
    """What was posted: JSON as it was typed, or the fields of the form."""
    typed = request.fields.get("json") if request.fields.get("as") == "json" else None
    if typed is None:
        return _drafted(request, model, schema_form.body_of(model, Form(request.form_fields)))
    try:
        body = msgspec.json.decode(typed)
    except msgspec.DecodeError as error:
        return Draft({}, typed, problem=InvalidFormat(_("this is no JSON: %s") % error))
    return _drafted(request, model, body, typed)


def _drafted(request: PageRequest, model: Model, body: Any, typed: str | None = None) -> Draft:
    text = code_samples.pretty(body) if typed is None else typed
    quote = problem = None
    if Permission.USE_MODELS in request.who.permissions:
        try:
            quote = submissions.quote(request.ctx, request.who, model, body)
        except PlatformError as error:
            problem = error
    return Draft(body if isinstance(body, dict) else {}, text, quote, problem)


def _taken(model: Model, body: dict[str, Any]) -> tuple[Any, list[InputFile]]:
    media = tuple(medium.name for medium in model.media)
    return take_inputs(body, media) if media else (body, [])


async def _refused(request: PageRequest, model: Model, drafted: Draft) -> Response:
    assert drafted.problem is not None
    if not request.is_piece:
        return await _page(request, model, drafted, status=drafted.problem.status)
    values = _draft_values(request, model, drafted)
    answer = request.render("playground/draft.html", drafted.problem.status, **values)
    answer.headers.update({"HX-Retarget": f"#{values['quote_id']}", "HX-Reswap": "outerHTML"})
    return answer


async def _page(
    request: PageRequest, model: Model, drafted: Draft, *, lost: list[str] | None = None, status: int = 200
) -> Response:
    ctx, who = request.ctx, request.who
    details = models.describe(ctx, who, model.slug)
    runs = []
    if Permission.READ_TASKS in who.permissions:
        latest = await tasks.list_all(ctx, who, who.team, TaskFilter(model=model.slug), after=None, most=_LATEST)
        runs = [make_card(ctx, task) for task in latest.rows]
    tab = request.query_params.get("tab", "form")
    fields = schema_form.fields_of(model, drafted.body)
    return request.render(
        "playground/playground.html",
        status,
        shown=[one for place, one in enumerate(fields) if _stands_out(one, place)],
        folded=[one for place, one in enumerate(fields) if not _stands_out(one, place)],
        tab=tab if tab in _TABS else "form",
        tiers=details.prices,
        health=(await models.health(ctx, who)).get((model.slug, who.team.live)),
        obstacle=await models.obstacle(ctx, who, model),
        schema=code_samples.pretty({name: said for name, said in model.schema.items() if name != "examples"}),
        result_schema=code_samples.pretty(_RESULT),
        runs=runs,
        lost=lost or [],
        files_origin=ctx.settings.results_origin,
        **_draft_values(request, model, drafted),
    )


def _stands_out(one: Field, place: int) -> bool:
    """Whether a control is shown at once: what is required or most used, and what was filled in with files."""
    return one.required or place < _SHOWN or one.widget == "media"


def _draft_values(request: PageRequest, model: Model, drafted: Draft) -> dict[str, Any]:
    return {
        "model": model,
        "draft": drafted,
        "samples": code_samples.samples(request.ctx.settings.public_origin, model, drafted.body),
        "run": secrets.token_urlsafe(12),
        "quote_id": "quote-json" if request.fields.get("as") == "json" else "quote",
    }


async def _inputs_of(request: PageRequest, model: Model, name: str) -> tuple[dict[str, Any], list[str]]:
    """The inputs of an earlier task, and the parameters whose files are not kept any more. Raises NotFound."""
    task_id = parse_task_name(name)
    if task_id is None:
        raise NotFound(_("there is no such task"))
    return await task_inputs.to_edit(request.ctx, request.who, request.who.team, model, task_id)


def _with_input(model: Model, body: dict[str, Any], link: str) -> dict[str, Any]:
    """The body with a file in place of the first that the model takes."""
    for medium in model.media:
        said = model.schema["properties"].get(medium.name)
        if said is not None:
            return {**body, medium.name: [link] if said["type"] == "array" else link}
    return body
