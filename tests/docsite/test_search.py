"""The search answers what people ask, in both languages, and stands what they type."""

from __future__ import annotations

import fnmatch
import runpy
import statistics
import time
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from tests.docsite.conftest import index_of, search

from modellix_server.base.errors import InvalidParameters
from modellix_server.docsite import index, ranking
from modellix_server.docsite.index import SearchIndex
from modellix_server.docsite.page import Kind
from modellix_server.docsite.search import MOST_PASSAGE_CHARACTERS, VERSION, Filter
from modellix_server.docsite.site import Library
from modellix_server.docsite.words import asked, bigrams, distance, stem, words

HIT_RATE, HELD_OUT_RATE = 0.95, 0.8
"""In the first three, of all questions in each language, and of those held out; a little below what is measured.

November 2026: English 0.96 of 254 (held out: 1.0 of 43), Chinese 0.97 of 218 (held out: 0.96 of 24). Of those held out
nobody looked at one before the rules were as they are. The last 40 of each language were written when the others had
these rates: 0.85 and 0.90 of them were found, then synonyms and two headings were added for what had no answer.
"""
HERE = Path(__file__).parent


def questions(name: str) -> list[tuple[str, str, list[str]]]:
    """Language, question, and the pages that answer it: slugs, with `*` for any part of one."""
    lines = (HERE / name).read_text(encoding="utf-8").splitlines()
    return [(language, question, wanted.split()) for language, question, wanted in (line.split("\t") for line in lines)]


HELD_OUT = questions("questions_held_out.tsv")
"""Who changes the ranking looks at their rate, and never at which are missed."""
QUESTIONS = [*questions("questions.tsv"), *HELD_OUT]


def hit_rate(
    library: Library, language: str, asked_for: list[tuple[str, str, list[str]]] = QUESTIONS
) -> tuple[float, list[str]]:
    """The share of questions that one of the first three pages answers, and the others."""
    own = [(question, wanted) for said, question, wanted in asked_for if said == language]
    missed = [
        question
        for question, wanted in own
        if not any(
            fnmatchcase(hit.slug, slug) for hit in search(library, question, Filter(language), 3) for slug in wanted
        )
    ]
    return 1 - len(missed) / len(own), missed


def test_questions_are_answered_by_the_first_three(library: Library) -> None:
    slugs = {slug for _language, slug in library.pages}
    for _language, question, wanted in QUESTIONS:
        assert all(fnmatch.filter(slugs, slug) for slug in wanted), (question, wanted)
    for language in ("en", "zh"):
        assert sum(said == language for said, _question, _wanted in QUESTIONS) >= 75
        rate, missed = hit_rate(library, language)
        assert rate >= HIT_RATE, [question for question in missed if question not in {held[1] for held in HELD_OUT}]
        held_out, _ = hit_rate(library, language, HELD_OUT)
        assert held_out >= HELD_OUT_RATE, (language, held_out)


def test_without_its_rules_it_answers_less(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the test above: the set tells a better ranking from a worse one."""
    monkeypatch.setattr(ranking, "KINDS", dict.fromkeys(Kind, 1.0))
    monkeypatch.setattr(ranking, "COVERED", 0.0)
    monkeypatch.setattr(ranking, "NAMED", 0.0)
    monkeypatch.setattr(index_of(library), "_answers", {})
    assert hit_rate(library, "en")[0] < HIT_RATE


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("wan2.6-t2v", ["wan2.6-t2v", "wan2.6", "t2v", "wan", "2.6"]),
        ("MODELLIX_PUBLIC_URL", ["modellix_public_url", "modellix", "public", "url"]),
        ("X-RateLimit-Reset", ["x-ratelimit-reset", "x", "ratelimit", "reset"]),
        ("retries retrying notified", ["retry", "retry", "notify"]),
        ("首尾帧生成视频", ["首尾", "帧", "生成", "视频"]),
    ],
)
def test_words(text: str, found: list[str]) -> None:
    assert words(text) == found


def test_words_of_a_question_and_pairs() -> None:
    assert asked("how do I cancel the task") == (stem("cancel"), "task")
    assert asked("what is it") == ("what", "is", "it"), "a question of nothing else is asked as it is"
    assert bigrams("首尾帧 a 图") == ["首尾", "尾帧", "图"]


def test_distance_of_words() -> None:
    pairs = (("hailou", "hailuo"), ("webhok", "webhook"), ("same", "same"), ("abc", "xyz"), ("", "ab"))
    assert [distance(*pair) for pair in pairs] == [1, 1, 0, 3, 2]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("hailou video", "minimax/hailuo"), ("idempotancy", "api"), ("webhok signature", "following-a-task")],
)
def test_a_mistyped_word_is_found(library: Library, typed: str, meant: str) -> None:
    assert any(hit.slug.startswith(meant) for hit in search(library, typed, Filter(), 3))


def test_an_unfinished_word_is_found_while_somebody_types(library: Library) -> None:
    assert "errors/rate-limit-exceeded" in [hit.slug for hit in search(library, "rate lim", Filter(), 3, typing=True)]


def test_filters(library: Library) -> None:
    assert {hit.kind for hit in search(library, "task", Filter(kinds=frozenset({Kind.ENDPOINT})))} == {Kind.ENDPOINT}
    for kind in (Kind.COMMAND, Kind.METRIC, Kind.SETTING):
        kinds = frozenset({kind})
        assert {hit.kind for hit in search(library, "price of a task", Filter(kinds=kinds))} == {kind}, (
            "all others fit better"
        )
    with_code = search(library, "price", Filter(code_only=True))
    assert len(with_code) == 10, "pieces without code fit better"
    for hit in with_code:
        assert hit.text.startswith("```\n")
    assert search(library, "price", Filter(version=f"v{VERSION}"))
    assert search(library, "price", Filter(version="latest"))
    with pytest.raises(InvalidParameters, match="there is no documentation of version '9'"):
        search(library, "price", Filter(version="9"))
    chinese = search(library, "rules for migrations", Filter("zh-CN"), 1)[0]
    assert chinese.language == "en", "it is not translated, and is found all the same"
    assert chinese.url.startswith("https://example.com/docs/zh/self-hosting/migrations")
    assert search(library, "price", Filter("xx"), 1)[0].language == "en"


@pytest.mark.parametrize(
    "query",
    [
        "",
        "   ",
        "\x00",
        "a" * 10_000,
        "的" * 10_000,
        "title:x AND (",
        '"unclosed',
        "*",
        "+-^~",
        "'; drop table",
        "😀",
        "\ud800",
    ],
)
def test_anything_can_be_asked(library: Library, query: str) -> None:
    for typing in (False, True):
        assert isinstance(search(library, query, Filter("zh"), typing=typing), list)


def test_a_query_of_unknown_words_costs_no_more_than_a_few(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: set[str] = set()
    monkeypatch.setattr(index._LanguageIndex, "_alike", lambda _, word: compared.add(word) or [])
    unknown = [f"s{letter}{letter}zzqx" for letter in "abcdefghijklmnopqrstuvwxyz"]
    assert search(library, " ".join([*unknown, "webhook"]), Filter())[0].slug == "ways-to-use/webhooks"
    assert compared == set(unknown[: ranking.MOST_UNKNOWN])


def test_numbers_that_no_page_has_change_nothing(library: Library) -> None:
    found = search(library, "verify webhook signature")
    assert [search(library, f"verify webhook signature {number}") for number in (98_761, 98_762)] == [found, found]
    assert search(library, "error 429")[0].slug != search(library, "error 98761")[0].slug
    assert search(library, "98761") == []


def test_a_hit_says_where_the_answer_is(library: Library) -> None:
    hit = search(library, "verify webhook signature", Filter(), 1)[0]
    assert hit.url == "https://example.com/docs/ways-to-use/webhooks#a-message"
    assert hit.title == "Webhooks"
    assert "webhook-signature" in hit.text
    for language, question, _wanted in QUESTIONS[::7]:
        for hit in search(library, question, Filter(language)):
            assert len(hit.text) <= MOST_PASSAGE_CHARACTERS


def test_it_is_quick(library: Library) -> None:
    took = []
    for language, question, _wanted in QUESTIONS:
        begun = time.perf_counter()
        search(library, question, Filter(language))
        took.append(time.perf_counter() - begun)
    assert statistics.median(took) < 0.05, "20 ms are promised; other tests run beside this one"
    begun = time.process_time()
    SearchIndex.made(library.chunks)
    assert time.process_time() - begun < 4, "2 s are promised"


def test_the_chinese_words_of_the_pages_are_known() -> None:
    """Nearly all: a page with new ones is found by pairs of characters. `python scripts/chinese_words.py` adds them."""
    made = runpy.run_path(str(HERE.parents[1] / "scripts/chinese_words.py"))
    wanted = set(made["wanted"]())
    known = set(made["FILE"].read_text(encoding="utf-8").split())
    assert len(wanted) > 1_000
    assert len(wanted - known) <= len(wanted) / 50, sorted(wanted - known)
    assert words("供应商账号") == ["供应", "供应商", "账号"]
    assert words("龘靐") == ["龘", "靐"], "what no page says stands by itself"
