"""What a page's address says: its filters and its place in a list, and addresses that differ in some of it."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from modellix_server.base.errors import InvalidParameters
from modellix_server.base.pages import Span
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.i18n import gettext as _

_LONGEST = 200


class PageQuery:
    """The query string of a page. An empty value is none, as forms send every field."""

    def __init__(self, request: PageRequest) -> None:
        self._path = request.url.path
        self._given = {name: value for name, value in request.query_params.items() if value}

    def text(self, name: str) -> str | None:
        """A value as it was given. Raises InvalidParameters for what no filter holds."""
        value = self._given.get(name)
        if value is not None and ("\0" in value or len(value) > _LONGEST):
            raise InvalidParameters(_("this address is not complete, or not one of ours"))
        return value

    def choice(self, name: str, choices: Collection[str]) -> str | None:
        """One of some words. Raises InvalidParameters."""
        value = self.text(name)
        if value is not None and value not in choices:
            raise InvalidParameters(_("this address is not complete, or not one of ours"))
        return value

    def number(self, name: str) -> int | None:
        """A whole number. Raises InvalidParameters."""
        value = self.text(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= 18):
            raise InvalidParameters(_("this address is not complete, or not one of ours"))
        return int(value)

    def day(self, name: str) -> date | None:
        """A day, as forms send it. Raises InvalidParameters."""
        value = self.text(name)
        try:
            return None if value is None else date.fromisoformat(value)
        except ValueError:
            raise InvalidParameters(_("a day is written as 2026-01-31")) from None

    def days(self) -> Span:
        """From the start of day `from` to the end of day `to`, in UTC. Raises InvalidParameters."""
        first, last = self.day("from"), self.day("to")
        until = None if last is None or last == date.max else _midnight(last + timedelta(days=1))
        return Span(None if first is None else _midnight(first), until)

    def link(self, **changes: object) -> str:
        """This page's address with other values; None takes one out."""
        query = {name: str(value) for name, value in {**self._given, **changes}.items() if value is not None}
        return f"{self._path}?{urlencode(query)}" if query else self._path


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
