"""Query strings and small JSON bodies."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from modellix_server.api.dispatch import Request
from modellix_server.api.hot.exchange import BODY_TIMEOUT_S, SMALL_BODY_BYTES, TURN_BYTES
from modellix_server.base import json_body
from modellix_server.base.errors import BodyTooLarge, InvalidFormat, InvalidParameters, OutOfRange, too_slow
from modellix_server.base.ids import parse_task_name
from modellix_server.base.pages import MOST_A_PAGE, Span
from modellix_server.catalogue import Catalogue, show

_USUAL_PAGE = 20
# In a query a plus that was not encoded is a blank.
_SIGN_LOST = re.compile(r"(\d[T ]\d\d(?::?\d\d(?::?\d\d(?:[.,]\d+)?)?)?) (\d\d(?::?\d\d)?)$", re.ASCII)
_MOST_DIGITS = 18
_NUMBER = re.compile(r"[0-9]+", re.ASCII)
# Clamped to these two, times can be computed with safely.
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)

Place = TypeVar("Place")


async def read_json(request: Request, advice: str, *, empty: Any = None) -> Any:
    """The JSON of a body that is expected to be small; `empty`, if given, stands for an empty one.

    Raises InvalidFormat, BodyTooLarge with `advice`, BodyTooSlow, Unavailable, or ClientDisconnect.
    """
    text, caller = request.headers.get("content-length", ""), request.context.caller
    length, team_id = int(text) if text.isdigit() else SMALL_BODY_BYTES, caller.team_id if caller else 0
    if length > SMALL_BODY_BYTES:
        raise BodyTooLarge(advice)
    body = bytearray()
    try:
        with request.ctx.body_reads.join(team_id, length):
            async with asyncio.timeout(BODY_TIMEOUT_S):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > SMALL_BODY_BYTES:
                        raise BodyTooLarge(advice)
    except TimeoutError:
        raise too_slow(BODY_TIMEOUT_S) from None
    if len(body) > TURN_BYTES:
        await request.ctx.turns.wait(team_id)
    return json_body.read(bytes(body)) if body or empty is None else empty


def members(body: Any, known: Mapping[str, type]) -> dict[str, Any]:
    """A JSON object with no other members than these, each of the given type; null is the same as absent.

    Raises InvalidFormat or InvalidParameters, as a submission does for the same faults.
    """
    if not isinstance(body, dict):
        raise InvalidFormat("the request body must be a JSON object")
    for name, value in body.items():
        if name not in known:
            raise InvalidParameters(f"unknown parameter {show(name)}; allowed: {', '.join(known)}")
        if value is not None and not isinstance(value, known[name]):
            words = {bool: "true or false", dict: "an object"}.get(known[name], "a string")
            raise InvalidParameters(f"parameter '{name}' must be {words}, got {show(value)}")
    return {name: value for name, value in body.items() if value is not None}


def within(query: Mapping[str, str], name: str, usual: int, most: int) -> int:
    """A whole number from 1 to `most`, or the usual one. Raises InvalidFormat, OutOfRange."""
    text = query.get(name, str(usual))
    if not (text.isascii() and text.isdigit()):
        raise InvalidFormat(f"parameter '{name}' must be a whole number, got {show(text)}")
    if len(text) > _MOST_DIGITS or not 1 <= int(text) <= most:
        raise OutOfRange(f"parameter '{name}' must be between 1 and {most}, got {text[:_MOST_DIGITS]}")
    return int(text)


class Filters:
    """Takes parameters out of a query; `done` refuses the rest, so that no misspelt filter widens a list."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self._left = dict(query)
        self._known: list[str] = []

    def text(self, name: str) -> str | None:
        """A parameter's text. Raises InvalidFormat."""
        self._known.append(name)
        value = self._left.pop(name, None)
        if value is not None and ("\0" in value or len(value) > 200):
            raise InvalidFormat(f"parameter '{name}' is not a value of a list's filter")
        return value

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        """One of some words. Raises OutOfRange."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise OutOfRange(f"parameter '{name}' must be one of {', '.join(choices)}, got {show(value)}")
        return value

    def number(self, name: str) -> int | None:
        """A whole number. Raises InvalidFormat."""
        value = self.text(name)
        if value is not None and not _NUMBER.fullmatch(value):
            raise InvalidFormat(f"parameter '{name}' must be a whole number, got {show(value)}")
        if value is not None and len(value) > _MOST_DIGITS:
            raise OutOfRange(f"parameter '{name}' is too large a number, got {show(value)}")
        return None if value is None else int(value)

    def model(self, name: str, catalogue: Catalogue) -> str | None:
        """A model by `provider/id`, or by its id alone. Raises OutOfRange for one that nothing can be of."""
        value = self.text(name)
        if value is None:
            return None
        known = catalogue.find(*value.split("/", 1)) if "/" in value else None
        found = [known] if known else [one for one in catalogue if value in (one.id, one.docs_slug)]
        if len(found) == 1:
            return found[0].slug
        if found:
            slugs = ", ".join(one.slug for one in found)
            raise OutOfRange(f"parameter '{name}' must be one of {slugs}, got {show(value)}")
        raise OutOfRange(f"parameter '{name}' must be a model that there is, got {show(value)}")

    def key(self, name: str, own: Collection[int]) -> int | None:
        """The id of one of a team's keys. Raises InvalidFormat, OutOfRange for another one."""
        value = self.number(name)
        if value is not None and value not in own:
            raise OutOfRange(f"parameter '{name}' must be the id of a key of this team, got {value}")
        return value

    def task(self, name: str) -> UUID | None:
        """A task's id. Raises InvalidFormat."""
        value = self.text(name)
        found = None if value is None else parse_task_name(value)
        if value is not None and found is None:
            raise InvalidFormat(f"parameter '{name}' must be a task id, got {show(value)}")
        return found

    def span(self) -> Span:
        """`from` and `to`. Raises InvalidFormat, OutOfRange."""
        since, until = self._moment("from"), self._moment("to")
        if since is not None and until is not None and since > until:
            raise OutOfRange("parameter 'from' must not be later than parameter 'to'")
        return Span(since, until)

    def _moment(self, name: str) -> datetime | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            return from_unix(int(value)) if _NUMBER.fullmatch(value) else from_iso(value)
        except ValueError:
            raise InvalidFormat(
                f"parameter '{name}' must be ISO 8601 or Unix seconds, such as 2026-01-31T08:00:00Z, got {show(value)}"
            ) from None

    def page_size(self) -> int:
        """`limit`: rows a page. Raises InvalidFormat, OutOfRange."""
        size = self.number("limit")
        if size is not None and not 1 <= size <= MOST_A_PAGE:
            raise OutOfRange(f"parameter 'limit' must be between 1 and {MOST_A_PAGE}, got {size}")
        return size or _USUAL_PAGE

    def cursor(self, read: Callable[[str], Place | None]) -> Place | None:
        """Where the previous page ended, from its `next_cursor`. Raises InvalidFormat."""
        value = self.text("cursor")
        place = None if value is None else read(value)
        if value is not None and place is None:
            raise InvalidFormat("parameter 'cursor' must be the next_cursor of an earlier page")
        return place

    def done(self) -> None:
        """Raise InvalidParameters if a parameter was not taken."""
        if self._left:
            known = ", ".join(self._known)
            raise InvalidParameters(f"unknown parameter {show(min(self._left))}; allowed: {known}")


def from_iso(text: str) -> datetime:
    """A time in ISO 8601, UTC if it names no zone. Raises ValueError."""
    moment = datetime.fromisoformat(_SIGN_LOST.sub(r"\1+\2", text.upper()))
    try:
        return _kept(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    except OverflowError:
        raise ValueError("out of range in UTC") from None


def from_unix(seconds: int) -> datetime:
    """A time in Unix seconds. Raises ValueError."""
    try:
        return _kept(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, OSError):
        raise ValueError("not a year that has four digits") from None


def _kept(moment: datetime) -> datetime:
    """Clamped: no stored time lies outside, so the result of a filter is the same."""
    return min(max(moment.astimezone(UTC), _EARLIEST), _LATEST)
