"""The library of a running process is made by another one, and is the same."""

from __future__ import annotations

import asyncio
import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from tests.docsite.conftest import ADDRESS, details, search, site_of

from modellix_server.catalogue import Catalogue
from modellix_server.docsite import index, making
from modellix_server.docsite.index import Question, SearchIndex
from modellix_server.docsite.making import MadeLibrary, NotMadeError, made_elsewhere
from modellix_server.docsite.search import Filter, hits_of, question_of
from modellix_server.docsite.site import Library

ASKED = ["verify webhook signature", "halio video", "cost of wan2.6-t2v", "rate limit", "怎么取消任务", "首尾帧"]


async def test_it_is_the_same_as_one_made_here(library: Library, tmp_path: Path) -> None:
    for name, age_s in (("modellix-docs-new-left", 1_000), ("modellix-docs-new-another", 10)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age_s,) * 2)
    made = await made_elsewhere([details(model) for model in Catalogue.load()], ADDRESS, str(tmp_path))
    found, finder = made.library, made.finder
    [kept] = set(tmp_path.iterdir()) - {tmp_path / "modellix-docs-new-another"}
    shutil.rmtree(kept)  # it is for the next start
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


@pytest.fixture(scope="module")
def made_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the process makes of one model."""
    folder = tmp_path_factory.mktemp("made")
    parts = making._sent([details(model) for model in Catalogue.load()][:1], ADDRESS).parts
    asyncio.run(making._run(parts, folder))
    return folder


@pytest.fixture
def made_quickly(monkeypatch: pytest.MonkeyPatch, made_folder: Path) -> None:
    """What was made once is copied."""

    async def copied(_: bytes, folder: Path) -> None:
        await asyncio.to_thread(shutil.copytree, made_folder, folder, dirs_exist_ok=True)
        folder.chmod(0o700)

    monkeypatch.setattr(making, "_run", copied)


async def found_by(made: MadeLibrary, query: str = "verify webhook signature") -> list[str]:
    question = question_of(query, Filter())
    assert question is not None
    hits = hits_of(made.library, question, await made.finder.find(None, question))
    made.finder.close()
    return [hit.slug for hit in hits]


async def test_it_is_kept_for_the_next_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    some = [details(model) for model in Catalogue.load()][:2]
    before = await made_elsewhere(some, ADDRESS, str(tmp_path))
    [kept] = tmp_path.iterdir()
    os.utime(kept, (1, 1))
    with monkeypatch.context() as patched:
        patched.setattr(making, "_run", lambda *_: pytest.fail("it is there"))
        again = await made_elsewhere(some, ADDRESS, str(tmp_path))
    assert kept.stat().st_mtime > 1
    assert again.library.pages.keys() == before.library.pages.keys()
    assert (found := await found_by(again)) == await found_by(before)
    assert found[0] == "ways-to-use/webhooks"
    another = await made_elsewhere(some[:1], ADDRESS, str(tmp_path))
    another.finder.close()
    assert another.library.pages.keys() < again.library.pages.keys()
    assert len(list(tmp_path.iterdir())) == 2


def test_its_name_says_what_it_was_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    some = [details(model) for model in Catalogue.load()][:3]
    program = """
        from tests.docsite.conftest import ADDRESS, details
        from modellix_server.catalogue import Catalogue
        from modellix_server.docsite import making
        print(making._sent([details(model) for model in Catalogue.load()][:3], ADDRESS).mark)
    """
    same = {
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert same == {making._sent(some, ADDRESS).mark}
    dearer = replace(some[0], prices=[replace(one, micros=1) for one in some[0].prices])
    others = {
        making._sent([dearer, *some[1:]], ADDRESS).mark,
        making._sent(some, ADDRESS._replace(base="/other")).mark,
        making._sent(some[:2], ADDRESS).mark,
    }
    monkeypatch.setattr(making, "_release", lambda: b"another one")
    others.add(making._sent(some, ADDRESS).mark)
    assert len(others - same) == 4


def test_a_release_is_known_by_its_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / "docs" / "page.md"
    monkeypatch.setattr(making, "TOP", tmp_path)
    found = set()
    for text in ("a", "b", "a"):
        page.write_text(text)
        (tmp_path / "CHANGELOG.md").write_text("nothing")
        found.add(making._release.__wrapped__())
    assert len(found) == 2


def emptied(kept: Path) -> None:
    (kept / making.PAGES).write_bytes(b"")


def without_index(kept: Path) -> None:
    shutil.rmtree(kept / making.INDEX)


@pytest.mark.usefixtures("made_quickly")
@pytest.mark.parametrize("break_", [emptied, without_index])
async def test_one_that_cannot_be_read_is_made_again(tmp_path: Path, break_: Callable[[Path], None]) -> None:
    some = [details(model) for model in Catalogue.load()][:1]
    (await made_elsewhere(some, ADDRESS, str(tmp_path))).finder.close()
    [kept] = tmp_path.iterdir()
    break_(kept)
    for warnings in (1, 0):
        with structlog.testing.capture_logs() as told:
            made = await made_elsewhere(some, ADDRESS, str(tmp_path))
        assert (await found_by(made))[0] == "ways-to-use/webhooks"
        assert len([one for one in told if "made again" in one["event"]]) == warnings
    assert list(tmp_path.iterdir()) == [kept]


class Harm:
    """What a pickle can do."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path]]:
        return Path.touch, (self.mark,)


@pytest.mark.usefixtures("made_quickly")
@pytest.mark.parametrize("how", ["writable for others", "a link", "of another user"])
async def test_what_others_may_have_written_is_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str
) -> None:
    some = [details(model) for model in Catalogue.load()][:1]
    spool, harmed = tmp_path / "spool", tmp_path / "harmed"
    spool.mkdir()
    planted = spool / f"modellix-docs-{making._sent(some, ADDRESS).mark}"
    folder = tmp_path / "elsewhere" if how == "a link" else planted
    folder.mkdir(mode=0o700)
    (folder / making.PAGES).write_bytes(pickle.dumps(1) + pickle.dumps(Harm(harmed)))
    if how == "a link":
        planted.symlink_to(folder)
    elif how == "of another user":
        monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    else:
        folder.chmod(0o770)
    made = await made_elsewhere(some, ADDRESS, str(spool))
    assert (await found_by(made))[0] == "ways-to-use/webhooks"
    assert not harmed.exists()
    assert list(spool.iterdir()) == [planted]


@pytest.mark.usefixtures("made_quickly")
async def test_few_are_kept(tmp_path: Path) -> None:
    some = [details(model) for model in Catalogue.load()][:1]
    for age_s in range(100, 600, 100):
        (tmp_path / f"modellix-docs-{age_s}").mkdir()
        os.utime(tmp_path / f"modellix-docs-{age_s}", (time.time() - age_s,) * 2)
    (await made_elsewhere(some, ADDRESS, str(tmp_path))).finder.close()
    left = {one.name.removeprefix("modellix-docs-") for one in tmp_path.iterdir()}
    assert left == {"100", "200", making._sent(some, ADDRESS).mark}


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
