"""What the documentation server needs of a documentation."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol


class Passage(Hashable, Protocol):
    """A part of a page that answers a query."""

    @property
    def title(self) -> str:
        """Of the page."""

    @property
    def heading(self) -> str:
        """Of the part; empty above the first one."""

    @property
    def url(self) -> str:
        """Absolute, with the heading's anchor."""

    @property
    def language(self) -> str:
        """Of the page."""

    @property
    def text(self) -> str:
        """Markdown."""


class Documentation(Protocol):
    """The pages of this installation."""

    async def search(
        self, who: str, query: str, *, language: str, version: str, api_only: bool, code_only: bool
    ) -> Sequence[Passage]:
        """The best passages first, one of each page; in English where the language is none of its own.

        `who` asks, by address: who asks much takes turns with others. An empty version is this one. Raises
        InvalidParameters for another one, Unavailable.
        """

    async def page(self, name: str, language: str) -> str | None:
        """A page as Markdown, by its address below the site or by what it is about; None where there is none.

        `get-started/pricing`, `alibaba/wan2.6-t2v`; in English where it is not translated.
        """

    async def skill(self) -> str:
        """What an agent needs to know of the API, as Markdown (agentskills.io)."""

    async def contents(self) -> str:
        """The list of all pages (llms.txt)."""
