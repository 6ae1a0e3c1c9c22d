"""The library of a running process is made by another one, and is the same."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import pytest
from tests.docsite.conftest import ADDRESS, details, search, site_of

from modellix_server.catalogue import Catalogue
from modellix_server.docsite import index, making
from modellix_server.docsite.index import Question, SearchIndex
from modellix_server.docsite.making import NotMadeError, made_elsewhere
from modellix_server.docsite.search import Filter, hits_of, question_of
from modellix_server.docsite.site import Library

ASKED = ["verify webhook signature", "halio video", "cost of wan2.6-t2v", "rate limit", "怎么取消任务", "首尾帧"]


async def test_it_is_the_same_as_one_made_here(library: Library, tmp_path: Path) -> None:
    for name, age_s in (("modellix-docs-left", 1_000), ("modellix-docs-another", 10)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    found, finder = await made_elsewhere([details(model) for model in Catalogue.load()], ADDRESS, str(tmp_path))
    left = [one.name for one in tmp_path.iterdir()]
    assert left == ["modellix-docs-another"], "nothing of it is needed afterwards, what a killed process left is gone"
    assert {key: page.text for key, page in found.pages.items()} == {
        key: page.text for key, page in library.pages.items()
    }
    assert not any("document" in vars(page) for page in found.pages.values()), "tokens are made for who renders"
    assert found.pages["en", "quickstart"].document.title == "Quickstart"
    for language in ("en", "zh"):
        for query in ASKED:
            for wanted in (Filter(language), Filter(language, code_only=True)):
                question = question_of(query, wanted)
                assert question is not None
                hits = hits_of(found, question, await finder.find(None, question))
                assert [(one.url, one.text) for one in hits] == [
                    (one.url, one.text) for one in search(library, query, wanted)
                ]
                assert hits
    finder.close()


def test_what_common_words_find_is_in_the_folder(
    library: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    SearchIndex.made(library.chunks, tmp_path)
    opened = SearchIndex.opened(tmp_path)
    shutil.rmtree(tmp_path)
    monkeypatch.setattr(index._LanguageIndex, "_best", lambda *_: pytest.fail("it is there"))
    assert opened.find(Question("team balance", "en"))
    assert opened.find(Question("余额", "zh"))


async def test_one_that_is_not_made_elsewhere_is_made_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    some = [details(model) for model in Catalogue.load()][:2]
    gone = str(tmp_path / "gone")
    with pytest.raises(NotMadeError, match="No such file"):
        await made_elsewhere(some, ADDRESS, gone)
    site = site_of(some, gone, monkeypatch)
    assert (await site.library()).pages["en", "quickstart"].title == "Quickstart"
    assert [hit.slug for hit in await site.search(None, "webhook signature", Filter(), 1)] == ["ways-to-use/webhooks"]


@pytest.mark.parametrize(
    ("program", "why"), [("import sys; sys.exit('broken')", "broken"), ("import time; time.sleep(99)", "not done")]
)
async def test_a_process_that_fails_or_hangs_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, program: str, why: str
) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{program}"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.setattr(making, "_LIMIT_S", 3.0)
    with pytest.raises(NotMadeError, match=why):
        await made_elsewhere([], ADDRESS, str(tmp_path))
    assert list(tmp_path.iterdir()) == [python]
