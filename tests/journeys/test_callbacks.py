"""A vendor's callback is a hint: whatever is called, by whomever, the vendor is asked and its answer counts."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.waiting import eventually

from modellix_server.base.database import connect
from modellix_server.base.external_link import PUBLIC_ONLY
from modellix_server.base.ids import parse_task_name
from modellix_server.base.settings import load
from modellix_server.tasks import Callbacks, VendorAccount
from modellix_server.tasks.signals import CHANNEL, Signal

CLIPS = {
    "ark": ("bytedance/seedance-1.0-lite-t2v", {"duration": 2, "resolution": "480p"}),
    "minimax": ("minimax/hailuo-02-t2v", {}),
}


@pytest.fixture
async def heard(platform):
    """What the workers are told."""
    line = await connect(platform.env["MODELLIX_DATABASE_URL"], name="test")
    signals: list[Signal] = []
    await line.add_listener(CHANNEL, lambda *said: signals.append(Signal.read(said[3])))
    yield signals
    await line.close()


def address(platform, upstream: str, task: str, attempt: int = 1) -> str:
    account = VendorAccount(upstream, "", "cn", PUBLIC_ONLY, "", None, sandbox=True)
    return Callbacks(load(platform.env)).url(account, parse_task_name(task), attempt)


@pytest.mark.parametrize("upstream", [pytest.param("minimax", marks=pytest.mark.full), "ark"])
async def test_the_emulators_call_and_are_heard(platform, team, heard, upstream: str) -> None:
    model, given = CLIPS[upstream]
    task = (await team.submit(model, prompt="[sandbox:slow=3] a hill", **given)).data["task_id"]
    assert (await team.finish(task))["status"] == "success"
    await eventually(lambda: Signal(parse_task_name(task), 1) in heard)


@pytest.mark.full
async def test_forged_and_repeated_calls_change_nothing(platform, team, heard) -> None:
    model, given = CLIPS["ark"]
    task = (await team.submit(model, prompt="[sandbox:slow=9] a hill", **given)).data["task_id"]
    await platform.reach(task, lambda row: row["state"] == "running")
    await eventually(lambda: heard)
    await asyncio.sleep(1.5)  # the vendor's own calls are over for now
    heard.clear()
    before = await platform.row(task)
    known = address(platform, "ark", task)
    forged = {"id": "cgt-1", "status": "succeeded", "content": {"video_url": "https://evil.test/1.mp4"}}
    strangers = [known[:-1] + "~", known.replace("/ark/", "/minimax/"), f"{team.origin}/callbacks/ark/x"]
    anyone = platform.anyone()
    for url in strangers:
        answer = await anyone.post(url, forged)
        assert (answer.status, answer.body) == (200, b"{}")
    await asyncio.sleep(0.2)
    assert heard == []
    bodies = [forged, {"status": "failed", "error": {}}, b"not JSON", b"\xff", b"[" * 60_000]
    answers = await asyncio.gather(*(anyone.post(known, bodies[n % 5]) for n in range(50)))
    assert {(answer.status, answer.body) for answer in answers} == {(200, b"{}")}
    await eventually(lambda: heard)
    await asyncio.sleep(0.3)
    assert heard == [Signal(parse_task_name(task), 1)]
    late = address(platform, "ark", task, 7)
    assert (await anyone.post(late, forged)).status == 200
    after = await platform.row(task)
    assert after == before
    assert (await team.finish(task))["status"] == "success"
    after = await platform.row(task)
    assert (await anyone.post(known, {"status": "failed"})).status == 200
    await asyncio.sleep(0.5)
    assert await platform.row(task) == after


async def test_only_who_knows_an_address_gets_its_challenge_back(platform, team) -> None:
    task = (await team.submit(CLIPS["minimax"][0], prompt="[sandbox:slow=3] a hill")).data["task_id"]
    known = address(platform, "minimax", task)
    anyone = platform.anyone()
    answer = await anyone.post(known, {"challenge": "<b>7</b>", "more": 1})
    assert (answer.status, answer.json) == (200, {"challenge": "<b>7</b>"})
    assert (answer.headers["content-type"], answer.headers["x-content-type-options"]) == ("application/json", "nosniff")
    assert (await anyone.post(known[:-1] + "~", {"challenge": "7"})).json == {}
    assert (await anyone.post(known, {"challenge": "7" * 1000})).json == {}
    assert (await anyone.get(known)).status == 405
