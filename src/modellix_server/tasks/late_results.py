"""Looking once more at what a vendor made of tasks that ended here without its verdict.

A task that met its deadline, or whose submission was judged without the vendor's answer, cost its team nothing; the
vendor may have delivered and charged for it all the same. What is found goes to the operator's reviews. It changes
neither the task nor money.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from modellix_server.base.database import Pool
from modellix_server.base.ids import task_name
from modellix_server.base.redaction import redact_text
from modellix_server.tasks import store
from modellix_server.tasks.routing import Destination
from modellix_server.tasks.steps import Tools
from modellix_server.tasks.vendor_http import VendorHttp
from modellix_server.upstreams.contract import (
    AnswerLost,
    Done,
    Failed,
    NotSent,
    Order,
    Pending,
    Polled,
    UnmappedAnswer,
)

_FIRST_AFTER_S = 600.0
_LAST_AFTER_S = 3600.0
_MOST_AT_ONCE = 20
_POLL_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class _Look:
    task_id: UUID
    attempt: int
    ticket: str
    last: bool
    live: bool
    model: str
    params: str
    ended: bool
    destination: Destination | None


async def look_later(db: Pool, task_id: UUID, attempt: int, ticket: str) -> None:
    """Note a task for two more looks; before it is ended here, so that a crash in between forgets nothing."""
    await db.execute(
        """insert into tasks.late_result (task_id, attempt, ticket, due_at, last_at)
           values ($1, $2, $3, now() + make_interval(secs => $4), now() + make_interval(secs => $5))
           on conflict (task_id) do nothing""",
        task_id,
        attempt,
        ticket,
        _FIRST_AFTER_S,
        _LAST_AFTER_S,
    )


async def look_again(tools: Tools) -> int:
    """Look at some tasks whose time has come; returns how many."""
    rows = await tools.db.fetch(
        """with due as (
               select task_id from tasks.late_result where due_at <= now() order by due_at limit $1
               for update skip locked),
           taken as (
               update tasks.late_result a set due_at = greatest(a.last_at, now() + interval '1 minute')
               from due where a.task_id = due.task_id
               returning a.task_id, a.attempt, a.ticket, a.last_at <= now() as last)
           select a.*, t.live, t.model, t.params, t.error_code is not null as ended, o.account, o.region, r.route
           from taken a join tasks.task t on t.id = a.task_id
           left join tasks.attempt o on o.task_id = a.task_id and o.n = a.attempt
           left join tasks.route r on r.digest = o.route""",
        _MOST_AT_ONCE,
    )
    looks = []
    for *about, account, region, route in rows:
        fields: list[Any] = [*about, store.destination(account, region, route)]
        looks.append(_Look(*fields))
    await asyncio.gather(*(_look(tools, look) for look in looks))
    return len(rows)


async def _look(tools: Tools, look: _Look) -> None:
    finding = await _ask(tools, look) if look.ended else None
    if finding is None and look.ended and not look.last:
        return
    if look.ended:
        finding = finding or "gives no verdict an hour later"
        await store.review(tools.db, look.task_id, "found later", f"found later: the vendor {finding} ({look.ticket})")
    await tools.db.execute("delete from tasks.late_result where task_id = $1", look.task_id)


async def _ask(tools: Tools, look: _Look) -> str | None:
    """What the vendor says of the task by now, if that is final."""
    to, model = look.destination, tools.catalogue.models.get(look.model)
    if to is None:
        if model is None:
            return "cannot be asked: the model is no longer in the catalogue"
        to = await tools.routing.former(model, live=look.live)
    account = await tools.routing.account(to, live=look.live) if to is not None else None
    if to is None or account is None:
        return None
    upstream = tools.upstreams[to.route.upstream]
    name = f"{task_name(look.task_id)}-{look.attempt}"
    order = Order(name, to.route, msgspec.json.decode(look.params), key=account.key, region=to.region)
    try:
        answer: Polled = await upstream.poll(look.ticket, order, VendorHttp(account, tools.outbound, _POLL_TIMEOUT_S))
    except (NotSent, AnswerLost):
        return None
    except UnmappedAnswer as error:
        return f"says what is not understood: {redact_text(str(error))}" if look.last else None
    match answer:
        case Done():
            return f"delivered {answer.measured}, request {answer.request_id}"
        case Failed(code=code, message=message):
            return f"failed it as {code}: {message}"
        case Pending():
            return None
