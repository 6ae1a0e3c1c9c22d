"""A page of the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from modellix_server.docsite.markdown import MarkdownText
from modellix_server.docsite.words import asked


class Kind(StrEnum):
    """What a page is about; its value is what filters call it."""

    GUIDE = "guide"
    MODEL = "model"
    ENDPOINT = "api"
    ERROR = "error"
    SETTING = "setting"
    COMMAND = "command"
    METRIC = "metric"
    DESIGN = "design"


Names = tuple[tuple[str, frozenset[str]], ...]
"""What a page is called, each as typed in lower case and as words."""


@dataclass(frozen=True)
class DocPage:
    """One text in one language, written or generated."""

    slug: str
    """Its address below the site's: `get-started/pricing`."""
    language: str
    kind: Kind
    text: str
    """Markdown. Links to other pages are `/docs/<slug>`, in written ones also relative to their file."""
    place: str = ""
    """The file of a written page, from the top of the repository."""
    names: tuple[str, ...] = ()
    """What readers may call its subject beside the title: `alibaba/wan2.6-t2v`."""

    @cached_property
    def document(self) -> MarkdownText:
        """The text, parsed."""
        return MarkdownText(self.text)

    @cached_property
    def title(self) -> str:
        """Its first heading."""
        return self.document.title

    @cached_property
    def summary(self) -> str:
        """Its first paragraph, at most 300 characters."""
        lead = self.document.lead
        return lead if len(lead) <= 300 else lead[:299].rsplit(" ", 1)[0] + "…"

    @cached_property
    def anchors(self) -> frozenset[str]:
        """The names of its headings in addresses."""
        return frozenset(self.document.anchors)

    @cached_property
    def called(self) -> Names:
        """Each of its names, and its title."""
        return tuple((name.lower().strip("`"), frozenset(asked(name))) for name in (*self.names, self.title))

    def rest(self) -> None:
        """Let go of the tokens, which are the most of a page and needed again only by who renders it."""
        _ = self.title, self.summary, self.anchors, self.called
        self.__dict__.pop("document", None)
