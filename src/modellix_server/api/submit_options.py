"""Terms of a submission that travel in headers, as the body is the model's parameters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from modellix_server.api.request import Request, check_idempotency_key
from modellix_server.base.addresses import Network
from modellix_server.base.errors import InvalidFormat, OutOfRange
from modellix_server.base.money import micros_from_usd, usd
from modellix_server.webhooks import check_url

_USD = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """What the client asks for besides the model's parameters."""

    idempotency_key: str | None
    max_cost: int | None
    """Micro-dollars."""
    wait: bool
    """Whether to wait for a free slot."""
    webhook_url: str | None
    """A link that is to hear of the task's end."""


def read_terms(request: Request, opened: Sequence[Network]) -> SubmitOptions:
    """The terms of a submission; raises InvalidFormat or InvalidParameters."""
    check_idempotency_key(request.idempotency_key)
    url = request.webhook_url
    if url is not None:
        url = check_url(url, opened, "header 'X-Webhook-URL'")
    return SubmitOptions(request.idempotency_key, _max_cost(request.max_cost), _queue(request.queue), url)


def _max_cost(header: str | None) -> int | None:
    """The most that the client will pay, in micro-dollars; raises InvalidFormat for what is no amount in USD."""
    if header is None:
        return None
    if not _USD.fullmatch(header):
        raise InvalidFormat("header 'X-Max-Cost' must be an amount in USD such as 0.25, with six decimals at most")
    return micros_from_usd(header)


def too_dear(quote_micros: int, most_micros: int) -> OutOfRange:
    """The refusal of a task that may cost more than its client will pay."""
    cost, most = usd(quote_micros), usd(most_micros)
    return OutOfRange(f"this task costs up to {cost} USD, which is more than the {most} USD of header 'X-Max-Cost'")


def _queue(header: str | None) -> bool:
    """Whether the client wants to wait for a free slot; raises InvalidFormat for words that mean nothing."""
    if header not in (None, "wait"):
        raise InvalidFormat("header 'X-Queue' can only be 'wait'")
    return header is not None
