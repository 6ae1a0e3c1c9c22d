"""The bill is exact, at once, and stays within bounds."""

from __future__ import annotations

import asyncio
import secrets

from modellix_server.sandbox.bill import Bill
from modellix_server.sandbox.store import MemoryStore


async def test_each_post_is_counted_before_its_answer(client):
    task = f"task-{secrets.token_hex(8)}"
    before = (await client.bill())["totals"]
    for number in (1, 2, 3):
        prompt = "[sandbox:moderate]" if number == 2 else "a cup of tea"
        _, answer = await client.paint(prompt, X_Request_Id=f"{task}-{number}")
        seen = await client.bill(attempt=f"{task}-{number}")
        assert seen["totals"]["posts"] == 1
        assert seen["totals"]["accepted"] == (number != 2)
        if number != 2:
            assert seen["lines"][0]["task_id"] == answer["output"]["task_id"]
            await client.finish(answer["output"]["task_id"])
    whole = await client.bill(task=task)
    assert whole["totals"] == {"posts": 3, "accepted": 2, "images": 2, "seconds": 0}
    assert [line["attempt"] for line in whole["lines"]] == [f"{task}-{number}" for number in (1, 2, 3)]
    assert whole["lines"][0]["prompt"] == "a cup of tea"
    after = (await client.bill())["totals"]
    assert {name: after[name] - before[name] for name in after} == whole["totals"]


async def test_an_attempt_sent_twice_shows_twice(client):
    attempt = f"task-{secrets.token_hex(8)}-1"
    await asyncio.gather(*(client.paint("twins", X_Request_Id=attempt) for _ in range(2)))
    assert (await client.bill(attempt=attempt))["totals"]["accepted"] == 2


async def test_what_cannot_be_read_is_a_post_too(client):
    attempt = f"task-{secrets.token_hex(8)}-1"
    await client.paint("x", Authorization="", X_Request_Id=attempt)
    (line,) = (await client.bill(attempt=attempt))["lines"]
    assert (line["code"], line["model"], line["accepted"]) == ("InvalidApiKey", "", False)


async def test_seconds_of_clips(client):
    attempt = f"task-{secrets.token_hex(8)}-1"
    body = {"model": "wan2.6-t2v", "input": {"prompt": "dawn"}, "parameters": {"size": "1280*720", "duration": 2}}
    _, answer = await client.submit("aigc/video-generation/video-synthesis", body, X_Request_Id=attempt)
    assert (await client.bill(attempt=attempt))["totals"]["seconds"] == 0
    await client.finish(answer["output"]["task_id"])
    assert (await client.bill(attempt=attempt))["totals"] == {"posts": 1, "accepted": 1, "images": 0, "seconds": 2}


def test_a_reset_and_totals_that_outlive_the_lines():
    bill = Bill()
    line = bill.post("task-a-1")
    bill.accept(line, "1", "PENDING")
    bill.charge(line, images=2)
    assert bill.read()["totals"].images == 2
    bill.reset()
    assert bill.read() == {"totals": type(bill.read()["totals"])(), "lines": []}
    assert bill.read(attempt="task-a-1")["lines"] == []
    bill.charge(line, images=1)
    assert bill.read()["totals"].images == 0


def test_a_store_forgets_by_age_and_number():
    now = 0.0
    store: MemoryStore[str] = MemoryStore(keep_s=10, most=3, clock=lambda: now)
    for number in range(4):
        store.put(str(number), f"record {number}")
    assert store.get("0") is None
    assert list(store.newest()) == ["record 3", "record 2", "record 1"]
    now = 11
    assert store.get("3") is None
    store.put("4", "record 4")
    assert len(store) == 1
