"""What a list is asked for in a query string: filters, a page, a form."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from modellix_server.api.timestamps import from_iso, from_unix
from modellix_server.base.errors import InvalidFormat, InvalidParameters, OutOfRange
from modellix_server.base.ids import parse_task_name
from modellix_server.base.pages import MOST_A_PAGE, Span
from modellix_server.catalogue import show

_USUAL_PAGE = 20
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)

Place = TypeVar("Place")


class Filters:
    """Takes parameters out of a query; `done` refuses what nobody took, so that no typing error widens a list."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self._left = dict(query)
        self._known: list[str] = []

    def text(self, name: str) -> str | None:
        """A parameter as it is."""
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
        return None if value is None else int(value)

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
        """Where the last page ended, from that page's `next_cursor`. Raises InvalidFormat."""
        value = self.text("cursor")
        place = None if value is None else read(value)
        if value is not None and place is None:
            raise InvalidFormat("parameter 'cursor' must be the next_cursor of an earlier page")
        return place

    def done(self) -> None:
        """Raises InvalidParameters when something is left."""
        if self._left:
            known = ", ".join(self._known)
            raise InvalidParameters(f"unknown parameter {show(min(self._left))}; allowed: {known}")
