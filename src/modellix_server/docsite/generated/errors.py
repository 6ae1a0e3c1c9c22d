"""A page for each category of refusals and for each code of a failed task: cause, what to do, whether to retry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from modellix_server.base.errors import docs_path
from modellix_server.docsite.generated import Say
from modellix_server.docsite.markdown import block, code, heading, inline, table
from modellix_server.docsite.page import DocPage, Kind
from modellix_server.openapi.answers import families


def N_(text: str) -> str:  # noqa: N802 - as gettext calls what only marks a text
    """Mark a text that is translated where it is shown."""
    return text


class _Advice(NamedTuple):
    why: str
    do: str
    retry: str


_SAME = N_("No: the same request gets the same answer.")
_WAIT = N_("Yes, after the seconds that `Retry-After` says.")
_AGAIN = N_("Yes: submit it again, as a new task. Nothing was charged.")
CATEGORIES = {
    "Authentication failed": _Advice(
        N_(
            "There is no key, or a malformed, unknown, revoked or expired one; or the header is not "
            "`Authorization: Bearer <key>`."
        ),
        N_("Check the header and the key with `GET /api/v1/apikey/validate`. Make a new key in the console."),
        _SAME,
    ),
    "Budget exceeded": _Advice(
        N_("The quote is more than what is left of the budget of the key or of the team."),
        N_("Wait until the budget resets, which the message says, or let an admin of the team raise it."),
        N_("Only after the budget has reset or was raised."),
    ),
    "Concurrent limit exceeded": _Advice(
        N_("The team has as many unfinished tasks, or open streams, as it may have: 3 unfinished tasks by default."),
        N_("Wait until a task has ended, or send `X-Queue: wait`: then the task is accepted and waits in a queue."),
        _WAIT,
    ),
    "Conflict": _Advice(
        N_("The task is not in the state that the request needs: a cancel came too late, or a deletion too early."),
        N_("Read the task, and go on from what its `status` says."),
        N_("A deletion: yes, when the task has ended. A cancel: no."),
    ),
    "Insufficient balance": _Advice(
        N_("The quote is more than the available balance of the team in the key's mode. Unfinished tasks hold money."),
        N_(
            "Recharge, or wait until tasks have ended and release what they hold. `GET /api/v1/team/balance` "
            "tells the balance."
        ),
        N_("Only after the balance has changed."),
    ),
    "Internal server error": _Advice(
        N_("A fault of the platform. It is in the log of the operator, under the request id."),
        N_(
            "Send the same request again with the same `Idempotency-Key`. If it stays, tell the operator the "
            "`X-Request-Id`."
        ),
        N_("Yes: after 1, 2 and 4 seconds, with the same `Idempotency-Key`."),
    ),
    "Invalid format": _Advice(
        N_(
            "The shape is wrong: broken JSON or UTF-8, a size that is not `width*height`, a file of another "
            "format, a body that is too large or too slow."
        ),
        N_("Correct what the message names."),
        _SAME,
    ),
    "Invalid parameters": _Advice(
        N_(
            "A value of the wrong type, an unknown field, fields that do not go together, a wrong method; with "
            "422, an `Idempotency-Key` that was used with another request."
        ),
        N_(
            "Correct what the message names: the page of the model has all parameters and rules. With 422, use a "
            "new `Idempotency-Key`."
        ),
        _SAME,
    ),
    "Missing required parameter": _Advice(
        N_("A required field is absent from the body."),
        N_("Add the parameter that the message names."),
        _SAME,
    ),
    "Permission denied": _Advice(
        N_("The key, or the role of the member, does not have the permission, or the key may not use this model."),
        N_("Use another key. `GET /api/v1/key` tells what a key may do."),
        _SAME,
    ),
    "Rate limit exceeded": _Advice(
        N_("Too many requests in a minute: 100 for a key, 1,000 for a team by default."),
        N_(
            "Wait until `X-RateLimit-Reset` (Unix seconds). Send fewer requests: `?wait=10` or a webhook in place "
            "of polling."
        ),
        _WAIT,
    ),
    "Resource not found": _Advice(
        N_("An unknown route, model or task; a task of another team or mode; a task whose result has expired."),
        N_("Check id and mode: a test key does not see live tasks. Names of models are case-sensitive."),
        _SAME,
    ),
    "Service unavailable": _Advice(
        N_(
            "The platform cannot do it now: a vendor or the database does not answer, there is no vendor account "
            "or no price, or the account is frozen. Nothing was charged."
        ),
        N_("Send the same request again with the same `Idempotency-Key`, or use a model of another provider."),
        _WAIT,
    ),
    "Value out of range": _Advice(
        N_("A number, a length, a size of a file or a choice is outside of what the model allows."),
        N_("Use a value within the limits that the message names."),
        _SAME,
    ),
}
FAILURES = {
    "canceled": _Advice(
        N_("Somebody canceled the task before it cost anything."),
        N_("Nothing. The money that was held is available again."),
        _AGAIN,
    ),
    "content_rejected": _Advice(
        N_("The vendor's moderation refused the prompt, an input or the result."),
        N_("Change the prompt or the input. Another model may judge it differently."),
        N_("Not with the same input."),
    ),
    "deadline": _Advice(
        N_("The vendor did not finish within the deadline of the model, which its page tells."),
        N_("Submit it again, or use a faster model. A result that comes later is not charged."),
        _AGAIN,
    ),
    "invalid_input": _Advice(
        N_("The vendor refused the parameters, or an input could not be fetched or read."),
        N_("Read the message; check that links to inputs are public and within the limits of the model."),
        N_("Not with the same input."),
    ),
    "quarantined": _Advice(
        N_("The task ended several workers, one after the other, and is not tried again."),
        N_("Tell the operator the id of the task."),
        N_("No, until the operator has found the cause."),
    ),
    "result_unavailable": _Advice(
        N_("The vendor finished, but its files could not be fetched, or are not what they should be."),
        N_("Submit it again."),
        _AGAIN,
    ),
    "submission_outcome_unknown": _Advice(
        N_(
            "The vendor may have accepted the submission, but there is no proof of it. It is not sent again, as "
            "that could generate twice."
        ),
        N_("Submit it again if you need the result: you are not charged for the first."),
        _AGAIN,
    ),
    "upstream_refused": _Advice(
        N_("The vendor failed to make the result, or refused for its own sake."),
        N_("Submit it again; if it stays, use another model."),
        _AGAIN,
    ),
}


def error_pages(language: str, _: Say) -> Iterator[DocPage]:
    """All of them, and the page that lists them."""
    statuses = {name: sorted({one.status for one in families() if one.category == name}) for name in CATEGORIES}
    for name, advice in CATEGORIES.items():
        example = {"code": statuses[name][0], "message": f"{name}: …"} if statuses[name] else {}
        about = _("Status %s. The message of the answer begins with this category.") % ", ".join(
            map(str, statuses[name])
        )
        parts = [f"# {name}", about, block("json", str(example).replace("'", '"')), *_advice(advice, _)]
        codes = sorted({one.code for one in families() if one.category == name})
        yield _page(name, parts, language, (name, *codes, *(str(one) for one in statuses[name])), _)
    for name, advice in FAILURES.items():
        about = _("The task has `status` `failed` and this `error.code`; the HTTP status is 200. It costs nothing.")
        example_text = f'{{"status": "failed", "error": {{"code": "{name}", "message": "…"}}}}'
        parts = [f"# {code(name)}", about, block("json", example_text), *_advice(advice, _)]
        yield _page(name, parts, language, (name,), _)
    yield _index(statuses, language, _)


def _advice(advice: _Advice, _: Say) -> Iterator[str]:
    for title, text in ((_("Cause"), advice.why), (_("What to do"), advice.do), (_("Retry?"), advice.retry)):
        yield heading(title)
        yield _(text)


def _page(name: str, parts: list[str], language: str, names: tuple[str, ...], _: Say) -> DocPage:
    end = _(
        "All errors: [Errors](/docs/errors/index). Retries as code: [Errors and "
        "retries](/docs/ways-to-use/error-handling)."
    )
    return DocPage(docs_path(name), language, Kind.ERROR, "\n\n".join([*parts, end]) + "\n", "", names)


def _index(statuses: dict[str, list[int]], language: str, _: Say) -> DocPage:
    refusals = [
        [
            ", ".join(map(str, statuses[name])),
            f"[{name}](/docs/{docs_path(name)})",
            inline(_(advice.why)),
            inline(_(advice.retry)),
        ]
        for name, advice in CATEGORIES.items()
    ]
    failures = [
        [f"[{code(name)}](/docs/{docs_path(name)})", inline(_(advice.why)), inline(_(advice.retry))]
        for name, advice in FAILURES.items()
    ]
    parts = [
        heading(_("Errors"), 1),
        _("Every error that the API answers with, and every way in which a task fails, each with its page."),
        heading(_("Refused requests")),
        _('The body is `{"code": <HTTP status>, "message": "<category>: <detail>"}`.'),
        table([_("status"), _("category"), _("why"), _("retry?")], sorted(refusals, key=lambda row: row[0])),
        heading(_("Failed tasks")),
        _("HTTP status 200, `status` is `failed`, and `error.code` is one of these. A failed task costs nothing."),
        table([_("code"), _("why"), _("retry?")], failures),
    ]
    return DocPage("errors/index", language, Kind.ERROR, "\n\n".join(parts) + "\n")
