"""Markdown as tokens: parsed once, and read as a page, as chunks for the search, and as links to check."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup, escape
from pygments import format as format_tokens
from pygments import token as kinds
from pygments.formatters.html import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

Resolve = Callable[[str], str]
"""The address of a link's target, as a browser is to be given it."""

_FENCE = re.compile(r"(^```.*?^```)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\]\()([^)\s]+)(\))")
_CODE = re.compile(r"(`+)(.+?)\1(?!`)")
_MARKS = re.compile(r"([\\`*\[\]<>|~])")
_BEGINS = re.compile(r"^(\d*)([#+\-=>.)])")
_COLOURED = (
    *(kinds.Comment, kinds.Keyword, kinds.String, kinds.Number, kinds.Operator.Word),
    *(kinds.Name.Builtin, kinds.Name.Variable, kinds.Name.Tag),
)
"""What the style sheet colours; the marks of the others would be most of a page."""
_FORMATTER = HtmlFormatter(nowrap=True)
_LEXERS = {"sh": "bash", "js": "javascript", "text": "text", "": "text"}


@dataclass(frozen=True, slots=True)
class Block:
    """One part of a page between two blank lines: its tokens, and its lines in the source."""

    tokens: Sequence[Token]
    source: str

    @property
    def is_code(self) -> bool:
        """Whether it is a block of code."""
        return self.tokens[0].type == "fence"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what is below it, up to the next heading."""

    level: int
    heading: str
    anchor: str
    blocks: list[Block] = field(default_factory=list)


class MarkdownText:
    """A text in Markdown, parsed. Raw HTML in it stays text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _PARSER.parse(text)
        anchors: dict[str, int] = {}
        for opening, inside in zip(self.tokens, self.tokens[1:], strict=False):
            if opening.type == "heading_open":
                name = anchor_of(plain(inside))
                opening.attrSet("id", f"{name}-{anchors[name]}" if name in anchors else name)
                anchors[name] = anchors.get(name, 0) + 1

    @cached_property
    def sections(self) -> list[Section]:
        """All of them, in order; what stands above the first heading has no name."""
        lines = self.text.splitlines()
        found = [Section(1, "", "")]
        block: list[Token] = []
        for place, token in enumerate(self.tokens):
            if token.type == "heading_open":
                title = plain(self.tokens[place + 1])
                found.append(Section(int(token.tag[1]), title, str(token.attrGet("id"))))
                continue
            if self.tokens[place - 1].type == "heading_open" or token.type == "heading_close":
                continue
            block.append(token)
            if token.level == 0 and token.nesting <= 0:
                start, end = next(one.map for one in block if one.map)
                found[-1].blocks.append(Block(block, "\n".join(lines[start:end]).rstrip()))
                block = []
        return found if found[0].blocks else found[1:]

    @property
    def title(self) -> str:
        """The first heading."""
        return next((section.heading for section in self.sections if section.heading), "")

    @property
    def lead(self) -> str:
        """The first paragraph, as plain text."""
        for section in self.sections:
            for block in section.blocks:
                if block.tokens[0].type == "paragraph_open":
                    return plain(block.tokens[1])
        return ""

    @property
    def anchors(self) -> set[str]:
        """The names of its headings in addresses."""
        return {section.anchor for section in self.sections}

    def links(self) -> Iterator[str]:
        """The targets of its links and images."""
        for token in self.tokens:
            for inside in token.children or ():
                if inside.type in ("link_open", "image"):
                    yield str(inside.attrGet("href") or inside.attrGet("src"))

    def html(self, resolve: Resolve, copy: str) -> Markup:
        """The page; `copy` is the name of the buttons that copy code."""
        return Markup(_PARSER.renderer.render(self.tokens, _PARSER.options, {"resolve": resolve, "copy": copy}))  # noqa: S704 - a renderer that escapes


def relinked(text: str, resolve: Resolve) -> str:
    """The source with other targets of links, outside of blocks of code."""
    if "](" not in text:
        return text
    parts = _FENCE.split(text)
    parts[::2] = [_LINK.sub(lambda found: f"{found[1]}{resolve(found[2])}{found[3]}", part) for part in parts[::2]]
    return "".join(parts)


def inline(text: str) -> str:
    """Somebody's text as Markdown that shows it and does nothing: one line; only code in backticks stays code."""
    line = " ".join(text.split())
    shown, end = [], 0
    for code in _CODE.finditer(line):
        shown += [_MARKS.sub(r"\\\1", line[end : code.start()]), code[0].replace("|", "\\|")]
        end = code.end()
    shown.append(_MARKS.sub(r"\\\1", line[end:]))
    return _BEGINS.sub(r"\1\\\2", "".join(shown))


def code(value: object) -> str:
    """A value as code within a line, also in a table."""
    text = " ".join(str(value).split()).replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{fence}{text}{fence}" if fence == "`" else f"{fence} {text} {fence}"


def heading(text: str, level: int = 2) -> str:
    """A heading of a text that is Markdown already."""
    return f"{'#' * level} {text}"


def block(language: str, text: str) -> str:
    """A block of code."""
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(token: Token) -> str:
    """The text of a line, without marks."""
    return "".join(" " if child.type in ("softbreak", "hardbreak") else child.content for child in token.children or ())


def anchor_of(heading: str) -> str:
    """The name of a heading in addresses, as code forges make it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _heading(_self: RendererHTML, tokens: Sequence[Token], idx: int, _options: Any, _env: Any) -> str:
    opening = tokens[idx] if tokens[idx].nesting > 0 else tokens[idx - 2]
    name = escape(str(opening.attrGet("id")))
    if tokens[idx].nesting > 0:
        return f'<{opening.tag} id="{name}">'
    link = f' <a class="anchor" href="#{name}" aria-hidden="true" tabindex="-1">#</a>' if opening.tag != "h1" else ""
    return f"{link}</{opening.tag}>\n"


def _code_block(_self: RendererHTML, tokens: Sequence[Token], idx: int, _options: Any, env: Any) -> str:
    language = tokens[idx].info.strip().split(" ")[0]
    number = env["codes"] = env.get("codes", 0) + 1
    button = f'<button type="button" class="small scripted" data-copy="#code-{number}">{escape(env["copy"])}</button>'
    shown = _highlighted(tokens[idx].content.rstrip("\n"), language)
    return f'<div class="sample">{button}<pre id="code-{number}" tabindex="0"><code>{shown}</code></pre></div>\n'


def _highlighted(text: str, language: str) -> str:
    try:
        lexer = get_lexer_by_name(_LEXERS.get(language, language))
    except ClassNotFound:
        return str(escape(text))
    found = lexer.get_tokens(text)
    shown = ((kind if any(kind in one for one in _COLOURED) else kinds.Text, value) for kind, value in found)
    return str(format_tokens(shown, _FORMATTER)).rstrip("\n")


def _link(_self: RendererHTML, tokens: Sequence[Token], idx: int, _options: Any, env: Any) -> str:
    address = env["resolve"](str(tokens[idx].attrGet("href")))
    return f'<a href="{escape(address)}">' if address else "<a>"


def _image(_self: RendererHTML, tokens: Sequence[Token], idx: int, _options: Any, env: Any) -> str:
    address = escape(env["resolve"](str(tokens[idx].attrGet("src"))))
    return f'<img src="{address}" alt="{escape(tokens[idx].content)}" loading="lazy">'


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.add_render_rule("heading_open", _heading)
    parser.add_render_rule("heading_close", _heading)
    parser.add_render_rule("fence", _code_block)
    parser.add_render_rule("link_open", _link)
    parser.add_render_rule("image", _image)
    parser.add_render_rule("table_open", lambda *_: '<div class="scroll" tabindex="0"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return parser


_PARSER = _parser()
