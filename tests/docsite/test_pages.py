"""Everything has a page, every link leads somewhere, and nobody's text becomes markup."""

from __future__ import annotations

import re
import runpy
from dataclasses import replace
from pathlib import Path

import pytest
from tests.docsite.conftest import ADDRESS, details, site_of

import modellix_server.api  # noqa: F401 - whose import loads every room's errors
from modellix_server.base import settings
from modellix_server.base.errors import docs_path
from modellix_server.catalogue import Adjustment, Catalogue, Prices
from modellix_server.docsite import navigation, written
from modellix_server.docsite.generated.commands import command_slug
from modellix_server.docsite.generated.endpoints import endpoint_slug
from modellix_server.docsite.generated.errors import CATEGORIES, FAILURES
from modellix_server.docsite.generated.metrics import metric_slug
from modellix_server.docsite.generated.settings import setting_slug
from modellix_server.docsite.markdown import MarkdownText, code, inline
from modellix_server.docsite.page import DocPage, Kind
from modellix_server.docsite.render import SiteRenderer
from modellix_server.docsite.site import Library, make_library
from modellix_server.openapi import schemas
from modellix_server.openapi.answers import families
from modellix_server.openapi.operations import OPERATIONS
from modellix_server.processes.documentation import SiteDocumentation
from modellix_server.web.assets import Assets
from modellix_server.web.texts import LANGUAGES

TOP = Path(__file__).parents[2]
HOSTILE = "<script>alert(1)</script> [x](javascript:alert(1)) ![y](https://evil.example/p.png) | *b* `<i>` # h"


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_has_a_page(library: Library, language: str) -> None:
    wanted = [f"{model.provider}/{model.docs_slug}" for model in Catalogue.load()]
    wanted += map(endpoint_slug, OPERATIONS.values())
    wanted += map(docs_path, (*{error.category for error in families()}, *schemas.FAILURES))
    wanted += [setting_slug(one.name) for one in settings.variables()]
    wanted += [command_slug(one["name"]) for one in written.reference()["commands"]]
    wanted += [metric_slug(one["name"]) for one in written.reference()["metrics"]]
    assert len(set(wanted)) == len(wanted), "two things share an address"
    missing = [slug for slug in wanted if (language, slug) not in library.pages]
    assert missing == []
    assert set(FAILURES) == set(schemas.FAILURES)
    assert set(CATEGORIES) == {error.category for error in families()}


def test_commands_and_metrics_are_those_of_the_code() -> None:
    """Their pages are made from a file, which `python scripts/reference.py` makes of the code."""
    made = runpy.run_path(str(TOP / "scripts/reference.py"))["text"]()
    assert made == (TOP / "docs/site/reference.json").read_text(encoding="utf-8")
    assert len(written.reference()["commands"]) > 40
    assert {one["kind"] for one in written.reference()["metrics"]} == {"counter", "gauge", "histogram"}


def test_the_addresses_of_the_original_work(library: Library) -> None:
    known = re.findall(
        r"^([a-z0-9-]+/[a-z0-9-]+)$", (TOP / "tests/docsite/known_addresses.txt").read_text(), re.MULTILINE
    )
    assert len(known) > 70
    assert [slug for slug in known if library.find(slug, "en") is None and library.known_as(slug) is None] == []
    for slug in navigation.MOVED.values():
        assert library.find(slug, "en"), slug


def broken(library: Library) -> list[tuple[str, str, str]]:
    return [
        (page.language, page.slug, target)
        for page in library.pages.values()
        for target in page.document.links()
        if library.resolve(page, target, page.language) is None
    ]


def test_every_link_leads_to_a_page_and_a_heading(library: Library) -> None:
    assert broken(library) == []
    assert sum(len(list(page.document.links())) for page in library.pages.values()) > 1_000
    for place in written.REPOSITORY_ONLY:
        assert (TOP / place).is_file()


def test_a_dead_link_is_found() -> None:
    text = "# A\n\n[a](/docs/none) [b](/docs/a#none) [c](#a) [d](gone.md) [e](https://example.com)\n"
    pages = Library([DocPage("a", "en", Kind.GUIDE, text, "docs/site/en/a.md")], ADDRESS)
    assert [target for *_page, target in broken(pages)] == ["/docs/none", "/docs/a#none", "gone.md"]


def test_every_page_is_in_the_navigation_once(library: Library) -> None:
    for language in LANGUAGES:
        shown = [page.slug for group in navigation.groups(library, language, "", str) for page in group.pages]
        assert sorted(shown) == sorted({slug for _language, slug in library.pages})


def test_every_page_has_a_title_a_summary_and_is_small(library: Library) -> None:
    for page in library.pages.values():
        assert page.title, page.slug
        assert page.summary, page.slug
        assert page.kind is Kind.DESIGN or len(page.text.encode()) < 60_000, page.slug


def test_no_page_is_large(library: Library) -> None:
    renderer = SiteRenderer(ADDRESS, Assets("modellix_server.docsite", "/docs/static/"))
    longest = sorted(library.pages.values(), key=lambda page: -len(page.text))[:12]
    most = max(library.pages.values(), key=lambda page: page.text.count("```"))
    for page in {one.slug: one for one in (*longest, most)}.values():
        assert len(renderer.page(library, page, page.language).encode()) < 100_000, page.slug


def test_translations_are_of_pages_that_exist_in_english(library: Library) -> None:
    assert [slug for language, slug in library.pages if ("en", slug) not in library.pages] == []


def test_every_guide_is_in_chinese_with_the_same_code(library: Library) -> None:
    """Only prompts in shell samples may differ. The changelog and pages for who changes the code are in English."""
    for (language, slug), page in library.pages.items():
        of_the_site = not page.place or page.place.startswith("docs/site/")
        if language == "en" and page.kind is Kind.GUIDE and of_the_site:
            other = library.pages.get(("zh", slug))
            assert other, f"{slug} is not translated"
            code_of = [
                [one.tokens[0].content for section in found.document.sections for one in section.blocks if one.is_code]
                for found in (page, other)
            ]
            if page.place.startswith("docs/site/"):
                alike = [re.sub(r'"prompt\\?": \\?"[^"]*"', "", "\n".join(code)) for code in code_of]
                assert alike[0] == alike[1], slug


def test_the_texts_of_a_model_stay_text() -> None:
    model = next(iter(Catalogue.load()))
    schema = {**model.schema, "properties": {"a|b": {"type": "string", "description": HOSTILE, "enum": [HOSTILE]}}}
    bad = replace(model, name=HOSTILE, summary=HOSTILE, schema=schema)
    made = make_library([details(bad)], ADDRESS)
    for language in LANGUAGES:
        for slug in (f"{bad.provider}/{bad.docs_slug}", "get-started/pricing", "get-started/models"):
            page = made.pages[language, slug]
            html = page.document.html(lambda target: target, "Copy")
            assert "<script" not in html
            assert "<i>" not in html
            assert html.count("<img") == html.count(f'<img src="/docs/files/models/{bad.slug}.webp"')
            assert "javascript:" not in re.sub(r">[^<]*<", "><", html), "as a target"
            assert "evil.example" not in " ".join(page.document.links())
            assert HOSTILE.partition(" [")[0] in MarkdownText(page.text).title or slug.startswith("get-started")


@pytest.mark.parametrize(
    "text", ["# no heading", "- no list", "1. no list", "> no quote", "= x", "a\n\n# b", "`open", "a `|` b", "\\`x`"]
)
def test_a_line_stays_a_line(text: str) -> None:
    for written_text in (inline(text), code(text)):
        document = MarkdownText(written_text + "\n")
        assert [token.type for token in document.tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert "".join(MarkdownText(inline(text)).lead.split()) == "".join(text.replace("`", "").split()) or "`" in text


@pytest.mark.full
def test_prices_are_those_of_the_operator(library: Library) -> None:
    model = Catalogue.load().models["alibaba/qwen-image-plus"]
    mine = Prices(7, {(model.slug, None): Adjustment(price_micros=123_456)})
    others = [details(one, mine) for one in Catalogue.load()]
    changed = make_library(others, ADDRESS)
    slug = f"{model.provider}/{model.docs_slug}"
    for page in (slug, "get-started/pricing", "get-started/models"):
        assert "0.123456" in changed.pages["en", page].text
        assert "0.123456" not in library.pages["en", page].text


async def test_a_page_by_what_a_reader_calls_it(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    site = site_of([], "", monkeypatch)

    async def now() -> Library:
        return library

    monkeypatch.setattr(site, "library", now)
    pages = SiteDocumentation(site)
    whole = await pages.page("quickstart", "en")
    assert whole is not None
    assert await pages.page("zh/quickstart", "en") == await pages.page("quickstart", "zh") != whole
    assert "# Wan 2.6 T2V" in str(await pages.page("alibaba/wan2.6-t2v", "en"))
    assert await pages.page("none", "en") is None


def test_a_page_as_markdown_links_to_markdown(library: Library) -> None:
    text = library.markdown(library.pages["en", "quickstart"], "en")
    assert "](https://example.com/docs/following-a-task.md)" in text
    text = library.markdown(library.pages["en", "following-a-task"], "en")
    assert "](#poll)" in text
    assert "https://example.com/hook" in text, "code is not changed"
