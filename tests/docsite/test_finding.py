"""Searches run in a process of their own, in fair turns, and its end is not seen by who searches."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import psutil
import pytest
from tests.docsite.conftest import details, index_of, site_of
from tests.support.waiting import eventually

from modellix_server.base.aside import Aside
from modellix_server.catalogue import Catalogue
from modellix_server.docsite import finding
from modellix_server.docsite.finding import FinderGoneError, ProcessFinder, SearchFailedError, ThreadFinder
from modellix_server.docsite.index import Question, SearchIndex
from modellix_server.docsite.search import Filter
from modellix_server.docsite.site import Library


@pytest.fixture
async def finder(library: Library, tmp_path: Path) -> AsyncIterator[ProcessFinder]:
    SearchIndex.made(library.chunks, tmp_path)
    made = await ProcessFinder.start(tmp_path)
    yield made
    made.close()
    await eventually(lambda: not processes())


def processes() -> list[psutil.Process]:
    """Those that search."""
    children = [one for one in psutil.Process().children() if one.status() != psutil.STATUS_ZOMBIE]
    return [one for one in children if "modellix_server.docsite.finder" in one.cmdline()]


async def test_who_asks_much_takes_turns_with_who_asks_once(finder: ProcessFinder) -> None:
    answered: list[str] = []

    async def ask(who: str, number: int) -> None:
        assert await finder.find(who, Question(f"webhook retry of model {number} price", "en"))
        answered.append(who)

    many = [asyncio.create_task(ask("many", number)) for number in range(300)]
    await asyncio.sleep(0)
    await ask("once", 300)
    assert answered.count("many") < 150, "300 were asked before it"
    await asyncio.gather(*many)
    many = [asyncio.create_task(ask("gone", number)) for number in range(300)]
    await asyncio.sleep(0)
    for one in many:
        one.cancel()
    await ask("once", 301)
    assert "gone" not in answered


async def test_a_search_that_fails_is_nobody_elses(finder: ProcessFinder) -> None:
    async def ask(language: str) -> object:
        return await finder.find(None, Question("webhook", language))

    found = await asyncio.gather(*(ask(one) for one in ("en", "xx", "zh")), return_exceptions=True)
    assert found[0]
    assert found[2]
    assert isinstance(found[1], SearchFailedError)
    assert "KeyError" in str(found[1])


async def test_what_was_asked_is_answered_before_the_end(finder: ProcessFinder) -> None:
    asked = [asyncio.create_task(finder.find(None, Question(f"price {one}", "en"))) for one in ("video", "image")]
    await asyncio.sleep(0)
    finder.close()
    assert all(await asyncio.gather(*asked))
    await eventually(lambda: not processes())
    with pytest.raises(FinderGoneError):
        await finder.find(None, Question("price", "en"))


async def test_a_process_that_hangs_is_given_up(finder: ProcessFinder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "_LIMIT_S", 0.5)
    (process,) = processes()
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(FinderGoneError):
        async with asyncio.timeout(30):
            await finder.find(None, Question("price", "en"))
    await eventually(lambda: not processes())


async def test_the_end_of_the_process_is_not_seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    site = site_of([details(model) for model in Catalogue.load()][:2], str(tmp_path), monkeypatch)
    numbers = count()

    async def search() -> str:
        (hit,) = await site.search(None, f"verify webhook signature {next(numbers)}", Filter(), 1)
        return hit.slug

    assert await search() == "ways-to-use/webhooks"
    for stops_first in (False, True):  # idle, and with searches that it will never answer
        (process,) = processes()
        if stops_first:
            process.send_signal(signal.SIGSTOP)
        searches = [asyncio.create_task(search()) for _ in range(3 if stops_first else 0)]
        await asyncio.sleep(0)
        os.kill(process.pid, signal.SIGKILL)
        if not stops_first:
            await eventually(lambda: not processes())
        assert {await search(), *await asyncio.gather(*searches)} == {"ways-to-use/webhooks"}
        assert len(processes()) == 1
        assert len(list(tmp_path.iterdir())) == 1, "what was made is kept"
    site.close()
    await eventually(lambda: not processes())


async def test_searches_leave_the_event_loop_alone(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no process can be had: one computes at a time, in a thread; others go on meanwhile."""
    index = index_of(library)
    loop_thread, running, most, threads = threading.get_ident(), 0, 0, set()
    find = SearchIndex.find

    def compute(made: SearchIndex, question: Question) -> list[int]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        threads.add(threading.get_ident())
        found = find(made, question)
        running -= 1
        return found

    monkeypatch.setattr(SearchIndex, "find", compute)
    finder = ThreadFinder(index, Aside())
    found = await asyncio.gather(
        *(finder.find(None, Question(f"price of video {number}", "en")) for number in range(20))
    )
    assert all(found)
    assert most == 1
    assert loop_thread not in threads
