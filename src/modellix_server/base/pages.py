"""Lists in pages, newest first, each page starting where the one before ended.

No offsets: the cost of a page does not depend on its position, and new rows do not shift the pages.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

MOST_A_PAGE = 100
"""Rows that a client may ask for at once."""

Row = TypeVar("Row")
Place = TypeVar("Place")


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` on, up to but without `until`; None has no bound on that side."""

    since: datetime | None = None
    until: datetime | None = None


ALWAYS = Span()


@dataclass(frozen=True, slots=True)
class Page(Generic[Row, Place]):
    """Some rows, and the position of the next page; None at the end of the list.

    With a selective filter a page may be short or even empty and yet not be the last.
    """

    rows: list[Row]
    next: Place | None


async def all_pages(read: Callable[[Place | None], Awaitable[Page[Row, Place]]]) -> AsyncIterator[list[Row]]:
    """The rows of a whole list, one page in memory at a time."""
    place: Place | None = None
    while True:
        page = await read(place)
        yield page.rows
        if page.next is None:
            return
        place = page.next


class Where:
    """The conditions of a query, from constant texts, and their arguments, from untrusted values."""

    def __init__(self, arguments: list[object]) -> None:
        """`arguments` are those of the whole query, and grow with each condition."""
        self.arguments = arguments
        self.conditions: list[str] = []

    def add(self, condition: str, *values: object) -> None:
        """One more condition; each `{}` in it stands for a value."""
        places = []
        for value in values:
            self.arguments.append(value)
            places.append(f"${len(self.arguments)}")
        self.conditions.append(condition.format(*places))

    def add_given(self, condition: str, value: object) -> None:
        """One more condition on a value, if there is one: None lets all pass."""
        if value is not None:
            self.add(condition, value)

    def place(self, value: object) -> str:
        """The placeholder of a value that belongs to no condition, such as a limit."""
        self.arguments.append(value)
        return f"${len(self.arguments)}"

    def __str__(self) -> str:
        return " and ".join(self.conditions) or "true"
