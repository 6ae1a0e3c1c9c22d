"""Pages in pieces for the search: by heading, and not longer than a reader, or a model, takes in at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from modellix_server.docsite.markdown import Block, Section, plain
from modellix_server.docsite.page import DocPage

_MOST_CHARACTERS = 1_500


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a page."""

    page: DocPage
    heading: str
    anchor: str
    source: str
    """In Markdown, without the heading."""
    text: str
    """Its words, without marks and without code."""
    code: str
    """Its blocks of code."""
    ids: str
    """What stands as code within its lines."""


def chunks_of(page: DocPage) -> Iterator[Chunk]:
    """All pieces of a page, in their order."""
    for section in page.document.sections:
        for blocks in _together(section):
            yield _chunk(page, section, blocks)


def _together(section: Section) -> Iterator[list[tuple[Block, str]]]:
    """Blocks with their source, cut where they are too long, as many as fit together."""
    found: list[tuple[Block, str]] = []
    length = 0
    for block in section.blocks:
        for source in _cut(block):
            if found and length + len(source) > _MOST_CHARACTERS:
                yield found
                found, length = [], 0
            found.append((block, source))
            length += len(source)
    if found or section.heading:
        yield found


def _cut(block: Block) -> Iterator[str]:
    """A block's source; a long one in parts, each of a table with its head."""
    if len(block.source) <= _MOST_CHARACTERS:
        yield block.source
        return
    lines = block.source.split("\n")
    head = lines[:2] if block.tokens[0].type == "table_open" else []
    part: list[str] = []
    for line in lines[len(head) :]:
        if part and sum(map(len, head)) + sum(map(len, part)) + len(line) > _MOST_CHARACTERS:
            yield "\n".join([*head, *part])
            part = []
        part.append(line)
    yield "\n".join([*head, *part])


def _chunk(page: DocPage, section: Section, blocks: list[tuple[Block, str]]) -> Chunk:
    sources = [source for _block, source in blocks]
    words, codes, ids = [], [], []
    for block, source in blocks:
        if block.is_code:
            codes.append(block.tokens[0].content)
            continue
        ids += re.findall(r"`+ ?([^`]+?) ?`+", source)
        whole = source == block.source
        words.append(_words(block) if whole else re.sub(r"[|`*\\]+|\]\([^)]*\)|---", " ", source))
    return Chunk(
        page, section.heading, section.anchor, "\n\n".join(sources), " ".join(words), "\n".join(codes), " ".join(ids)
    )


def _words(block: Block) -> str:
    return " ".join(plain(token) for token in block.tokens if token.type == "inline")
