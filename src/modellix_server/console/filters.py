"""Filters of lists: in the query string and nowhere else, so that a link shows to everybody what it showed to one."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from modellix_server.base.errors import InvalidFormat
from modellix_server.base.pages import Span
from modellix_server.console.dispatch import PageRequest
from modellix_server.console.i18n import gettext as _

WINDOWS = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}
_MOST_CHARACTERS = 200
_MOST_NUMBER = 2**63 - 1


class PageFilters:
    """The query string of a list: what it filters by, and links to the same list with something changed."""

    def __init__(self, request: PageRequest, *, window: str = "") -> None:
        """`window` is the span of a list for which none is chosen; empty: everything."""
        self._path = request.url.path
        self._query = {name: value for name, value in request.query_params.items() if value}
        self._usual = window
        self._zone = viewer_zone(request)

    def text(self, name: str) -> str | None:
        """A text, None without one. Raises InvalidFormat."""
        value = self._query.get(name)
        if value is not None and (len(value) > _MOST_CHARACTERS or "\0" in value):
            raise InvalidFormat(_("a filter is too long or cannot be read"))
        return value

    def choice(self, name: str, allowed: Collection[str]) -> str | None:
        """One of some words. Raises InvalidFormat."""
        value = self.text(name)
        if value is not None and value not in allowed:
            raise InvalidFormat(_("a filter has a value that does not exist"))
        return value

    def number(self, name: str) -> int | None:
        """An id. Raises InvalidFormat."""
        value = self.text(name)
        if value is None:
            return None
        if not (value.isascii() and value.isdecimal()) or int(value) > _MOST_NUMBER:
            raise InvalidFormat(_("a filter has a value that does not exist"))
        return int(value)

    @property
    def window(self) -> str:
        """One of WINDOWS, `all`, or empty where a start or an end is chosen. Raises InvalidFormat."""
        if self._query.keys() & {"from", "to"}:
            return ""
        return self.choice("window", (*WINDOWS, "all")) or self._usual or "all"

    def span(self) -> Span:
        """The chosen time, in the viewer's zone. Raises InvalidFormat."""
        if window := WINDOWS.get(self.window):
            return Span(datetime.now(UTC) - window)
        return Span(self._moment("from"), self._moment("to"))

    def _moment(self, name: str) -> datetime | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            at = datetime.fromisoformat(value)
            return (at if at.tzinfo else at.replace(tzinfo=self._zone)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise InvalidFormat(_("a time is not one")) from None

    def value(self, name: str) -> str:
        """As it was given, for the form."""
        return self._query.get(name, "")

    @property
    def chosen(self) -> bool:
        """Whether anything is filtered."""
        return bool(self._query.keys() - {"view", "after", "scope", "window", "tail"}) or self.window != (
            self._usual or "all"
        )

    def url(self, **changes: str | None) -> str:
        """The same list from its start, with some of its query changed; None and empty remove."""
        return self._path + self.query(**changes)

    def query(self, **changes: str | None) -> str:
        """The query string alone, with its question mark."""
        query = {**self._query, "after": None, **changes}
        text = urlencode({name: value for name, value in query.items() if value})
        return f"?{text}" if text else ""


def viewer_zone(request: PageRequest) -> ZoneInfo:
    """The time zone that a viewer has chosen, else UTC."""
    name = request.visitor.user.time_zone if request.visitor else None
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")
