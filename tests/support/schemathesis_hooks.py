"""Loaded by schemathesis in its own process: what it must not do, and a check of its refusals."""

from __future__ import annotations

import re

import schemathesis
from hypothesis import strategies as st

from modellix_server.catalogue import Catalogue

HERE = "https://127.0.0.1:9/hook"
PLAIN_LINK = re.compile(r"https://[!-~]{1,2000}", re.ASCII)

# The first and the last year too, and the farthest zones.
schemathesis.openapi.format(
    "date-time",
    st.builds(
        "{}{}".format,
        st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds"))
        | st.sampled_from(["0001-01-01T00:00:00", "9999-12-31T23:59:59"]),
        st.sampled_from(["Z", "+00:00", "+14:00", "-12:00"]),
    ),
)

LINK = (
    r"(parameter 'url'|header 'X-Webhook-URL') (must lead to a public address|must use port 443|is not a link"
    r"|must be an? (https )?link|must not carry a user)"
)
PAGES = (
    r"parameter 'cursor' (must be the next_cursor|does not go with)|parameter 'from' must not be later"
    r"|must be ISO 8601 .* got '(0001|9999)-"  # there is no such moment in UTC
)
NOBODYS = r"parameter 'model' must be|parameter 'key_id' must be the id of a key of this team"
MODEL = "|".join(
    [
        r"must be an http\(s\) URL|must be a base64 data URI|is not valid base64",
        r"parameter '[^']+' is empty|is not a supported image, video or audio file",
        r"must have (sides|an area|a ratio)",
        r"must not contain NUL",
        r"must contain something that can be seen|must be a link|must have transparency|must have the size of",
        r"there is no such uploaded file",
        *sorted({re.escape(rule.message) for model in Catalogue.load() for rule, *_ in model.checker._rules}),
    ]
)
ANY_BODY = "."  # the body is a model's: what its own operation says of it is tried there

REASONS = {
    "GET /api/v1/models": r"parameter '(type|provider|category)' must be one of",
    "GET /api/v1/tasks": f"{PAGES}|{NOBODYS}",
    "GET /api/v1/logs": f"{PAGES}|{NOBODYS}",
    "GET /api/v1/team/ledger": PAGES,
    "GET /api/v1/team/usage": PAGES,
    "POST /api/v1/quote": ANY_BODY,
    "POST /api/v1/{provider}/{model}": ANY_BODY,
    "POST /api/v1/{provider}/{model}/async": ANY_BODY,
    "POST /api/v1/{provider}/{model}/stream": ANY_BODY,
    "POST /api/v1/{type}/{provider}/{model}/stream": ANY_BODY,
    "POST /api/v1/media/files": r"parameter 'file'",
    "POST /api/v1/webhooks": LINK + r"|a team has at most 20 endpoints",
    "PATCH /api/v1/webhooks/{endpoint_id}": LINK,
    "POST /api/v1/webhooks/{endpoint_id}/replay": r"'since' must be a time in ISO 8601",
}
"""Operation -> for what it may refuse a request that fits its schema."""
OF_A_MODEL = f"{MODEL}|{LINK}|more than the .* USD of header 'X-Max-Cost'"
OTHERWISE = {402, 404, 409, 422, 429}
"""Statuses that have to do with what there is, not with what was sent."""


@schemathesis.hook
def before_call(ctx, case, kwargs) -> None:
    """Links that are good lead to this machine: what is delivered there must leave for nowhere else."""
    if isinstance(case.body, dict) and PLAIN_LINK.fullmatch(str(case.body.get("url"))):
        case.body["url"] = HERE
    if case.headers and PLAIN_LINK.fullmatch(str(case.headers.get("X-Webhook-URL"))):
        case.headers["X-Webhook-URL"] = HERE


@schemathesis.hook
def filter_case(ctx, case) -> bool:
    """Null for an optional parameter breaks the schema and is taken as absent: nothing to refuse."""
    return not holds_null(case.body)


def holds_null(body) -> bool:
    if isinstance(body, dict):
        return any(value is None or holds_null(value) for value in body.values())
    return isinstance(body, list) and any(map(holds_null, body))


@schemathesis.check
def refused_for_a_reason(ctx, response, case) -> None:
    """A request that fits its schema is accepted, or refused for what no schema can say."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code < 400:
        return
    if response.status_code in OTHERWISE:
        return
    reasons = REASONS.get(case.operation.label, OF_A_MODEL if case.operation.label.endswith("/async") else None)
    message = response.json()["message"]
    if response.status_code != 400 or reasons is None or not re.search(reasons, message):
        raise AssertionError(f"what fits the schema was refused: {message}")
