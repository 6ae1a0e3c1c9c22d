"""What ranks a page before another: every number of the search, with its reason; the synonyms are in `synonyms.txt`.

A change here must not lower the hit rate that `tests/docsite/test_search.py` records.
"""

from __future__ import annotations

from importlib.resources import files

from modellix_server.docsite.page import Kind

FIELDS = {"title": 4.0, "heading": 3.0, "names": 4.0, "ids": 2.5, "text": 1.0, "code": 0.5, "pairs": 0.3, "about": 1.0}
"""A word in a title or heading says what a piece is about; in a name (`alibaba/wan2.6-t2v`) it is the subject. As
code within a line it is exact, in a sample incidental. Pairs of Chinese characters also match across words: they count
little, and only help where jieba cut a word in another way. `about` is the page's summary, in each of its pieces: a
table of parameters does not say what it is a table of."""

GENERIC = 0.15
GENERIC_WORDS = (
    *("video", "image", "picture", "model", "api", "task", "file", "text", "request", "use", "make", "generate"),
    *("service", "服务"),
    *("run", "add", "set", "change", "create", "list", "send", "check", "添加", "设置", "创建", "修改", "获取"),
    *("modellix", "ai", "图片", "视频", "模型", "任务", "生成"),
)
"""Words of most questions and most titles: they count less than what stands beside them."""

SYNONYM = 0.9
"""A synonym says nearly the same; the asker's own word should win."""
PHRASE = 1.1
"""A synonym of several words, of which a field has all: that is less often a coincidence."""
FURTHER = 0.3
"""The share that counts of the other fields and synonyms that a piece has beside the best one."""
TYPO = 0.5
"""A word one or two letters away, where the index does not know the word itself."""
PREFIX = 0.7
"""A longer word that begins with the last one, as long as somebody types."""
MOST_ALIKE = 6
"""Words in place of one mistyped or unfinished: more make a query slow and vague."""
MOST_UNKNOWN = 5
"""Words of a query that no page has, and that are looked for as mistyped ones: each takes a millisecond or two."""
FUZZY_FROM = 5
"""Shorter words are one letter away from too many others."""

KINDS = {
    Kind.GUIDE: 1.0,
    Kind.MODEL: 0.85,
    Kind.ENDPOINT: 0.75,
    Kind.ERROR: 0.8,
    Kind.SETTING: 0.6,
    Kind.COMMAND: 0.4,
    Kind.METRIC: 0.4,
    Kind.DESIGN: 0.3,
}
"""Most questions are about use: a guide answers more of them than one model of a hundred alike, and pages about the
design of the platform are for those who change it. Titles of routes are sentences, with words of many questions."""
SLUGS = {
    "changelog/product-updates": 0.3,
    "architecture": 0.7,
    "self-hosting/add-a-model": 3.0,
    "self-hosting/add-an-upstream": 2.0,
}
"""Pages that mention everything and explain little of it; and pages among those about the design that are guides."""
NAMED = 2.5
"""A page whose own name (id, route, code, variable) is in the query, whole."""
COVERED = 2.0
"""Added for the share of the query's words that the piece contains: all of them once beats a rare one often."""
MORE = 0.05
"""Added to a page's best piece for the score of each further one: several fitting pieces are a sign, not a proof."""
MOST_OF_A_WISH = 100
"""Pieces that a word or phrase finds; those after them, which barely have it, are found by what else is asked."""
MOST_OF_A_PAIR = 60
"""The same of a pair of Chinese characters, which says less."""
MOST_PIECES = 40
"""Pieces that are looked at; what is further down never came up among the first pages."""

SYNONYMS = tuple(
    tuple(word.strip() for word in line.split("|"))
    for line in files(__package__).joinpath("synonyms.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("#")
)
"""Ways to say the same, also across the two languages: a Chinese question finds an English page. The first of a row is
the word that the pages use."""
