"""Many at once on one balance, one key, one task: exact sums, over HTTP."""

from __future__ import annotations

import asyncio
import collections
import random

import pytest

from modellix_server import ledger

MODEL = "alibaba/qwen-image-plus"
PRICE = 17_200


async def test_40_at_once_on_money_for_10(platform) -> None:
    team = await platform.team(10 * PRICE + PRICE - 1)
    answers = await asyncio.gather(*(team.submit(MODEL, prompt=f"race {number}") for number in range(40)))
    assert collections.Counter(answer.status for answer in answers) == {200: 10, 402: 30}
    refused = "Insufficient balance: the available balance does not cover this task; top up or lower the cost"
    for answer in answers:
        if answer.status == 402:
            answer.refused(402, refused)
    tasks = [answer.data["task_id"] for answer in answers if answer.status == 200]
    assert len(set(tasks)) == 10 == await platform.tasks_of(team)
    ends = await asyncio.gather(*(team.finish(task) for task in tasks))
    assert {end["status"] for end in ends} == {"success"}
    assert await platform.balance_of(team) == (PRICE - 1, 0)
    await platform.books_are_clean()


async def test_40_at_once_of_mixed_prices_on_two_keys(platform) -> None:
    """Whatever is accepted fits; nothing that would still fit is refused."""
    money = 500_000
    team = await platform.team(money)
    other = await platform.key(team)
    asked = [1, 2, 3, 4] * 10
    random.Random(7).shuffle(asked)
    answers = await asyncio.gather(
        *(
            random.choice([team, other]).submit("alibaba/wan2.6-t2i", prompt="[sandbox:arrears]", n=count)
            for count in asked
        )
    )
    accepted = sum(count for count, answer in zip(asked, answers, strict=True) if answer.status == 200)
    refused = [count for count, answer in zip(asked, answers, strict=True) if answer.status == 402]
    assert await platform.balance_of(team) == (money, accepted * 30_000)
    left = money - accepted * 30_000
    assert 0 <= left < min(refused) * 30_000
    await platform.books_are_clean()
    await cancel_all(platform, team)


async def test_slots_are_exact(platform) -> None:
    team = await platform.team(concurrency=7)
    answers = await asyncio.gather(*(team.submit(MODEL, prompt="[sandbox:arrears]") for _ in range(40)))
    assert collections.Counter(answer.status for answer in answers) == {200: 7, 429: 33}
    assert await platform.balance_of(team) == (100_000_000, 7 * PRICE)
    await cancel_all(platform, team)
    assert (await team.submit(MODEL, prompt="a")).status == 200


async def test_50_at_once_with_one_idempotency_key(platform, team) -> None:
    other = await platform.key(team)
    key = {"Idempotency-Key": "order-4711"}
    answers = await asyncio.gather(
        *((team, other)[number % 2].post(f"/api/v1/{MODEL}", {"prompt": "once"}, headers=key) for number in range(50))
    )
    assert {answer.status for answer in answers} == {200}
    assert len({answer.data["task_id"] for answer in answers}) == 1
    assert [answer.headers.get("idempotency-replayed") for answer in answers].count(None) == 1
    assert {answer.headers.get("idempotency-replayed") for answer in answers} == {None, "true"}
    assert await platform.tasks_of(team) == 1
    await team.finish(answers[0].data["task_id"])
    assert await platform.balance_of(team) == (100_000_000 - PRICE, 0)
    assert len(await platform.bill(answers[0].data["task_id"])) == 1


async def test_an_idempotency_key_stands_for_one_request(platform, team, draw) -> None:
    async def send(client, body: object, key: str = "k", path: str = MODEL):
        return await client.post(f"/api/v1/{path}", body, headers={"Idempotency-Key": key})

    first = await send(team, {"prompt": "a"})
    task = first.data["task_id"]
    assert "idempotency-replayed" not in first.headers
    for same in ({"prompt": "a"}, {"prompt": "a", "n": 1}, {"n": 1, "prompt": "a", "size": "1328*1328"}):
        again = await send(team, same, path=f"text-to-image/{MODEL}/async")
        assert (again.data["task_id"], again.headers["idempotency-replayed"]) == (task, "true")
    mismatch = "Invalid parameters: this Idempotency-Key was used with a different request"
    (await send(team, {"prompt": "b"})).refused(422, mismatch)
    (await send(team, {"prompt": "a"}, path="alibaba/wan2.6-t2i")).refused(422, mismatch)
    (await send(team, {})).refused(400, "Missing required parameter: parameter 'prompt' is required")
    assert (await send(team, {"prompt": "b"}, key="K")).data["task_id"] != task
    stranger = await platform.team()
    assert (await send(stranger, {"prompt": "b"})).data["task_id"] != task
    await team.finish(task)
    assert (await send(team, {"prompt": "a"})).data["task_id"] == task  # an ended task too
    edit = {"prompt": "a", "images": [draw.data_uri(draw.picture())]}
    pictures = [await send(team, edit, key="e", path="alibaba/qwen-image-edit-plus") for _ in range(2)]
    assert pictures[0].data["task_id"] == pictures[1].data["task_id"]
    edit["images"] = [draw.data_uri(draw.picture(colour="#000080"))]
    (await send(team, edit, key="e", path="alibaba/qwen-image-edit-plus")).refused(422, mismatch)
    assert await platform.tasks_of(team) == 3


async def test_a_refused_submission_uses_up_no_key(platform) -> None:
    team = await platform.team(0)
    key = {"Idempotency-Key": "later"}
    assert (await team.post(f"/api/v1/{MODEL}", {"prompt": "a"}, headers=key)).status == 402
    await ledger.credit(platform.pool, team.id, PRICE, live=False, actor="tests", note=None)
    answer = await team.post(f"/api/v1/{MODEL}", {"prompt": "other words"}, headers=key)
    assert answer.status == 200
    assert "idempotency-replayed" not in answer.headers
    await team.finish(answer.data["task_id"])


async def test_100_readers_of_a_finishing_task(platform, team) -> None:
    task = (await team.submit(MODEL, prompt="[sandbox:slow=0.5]")).data["task_id"]

    async def read() -> list[str]:
        seen = []
        while not seen or seen[-1] == "pending":
            seen.append((await team.get(f"/api/v1/tasks/{task}")).data["status"])
        return seen

    stories = await asyncio.gather(*(read() for _ in range(100)))
    assert {story[-1] for story in stories} == {"success"}
    kinds = await platform.pool.fetch("select kind from ledger.transfer where team_id = $1 order by id", team.id)
    assert [row["kind"] for row in kinds] == ["topup", "hold", "capture"]
    before = await platform.pool.fetchval("select count(*) from ledger.transfer")
    await asyncio.gather(*(team.get(f"/api/v1/tasks/{task}") for _ in range(100)))
    assert await platform.pool.fetchval("select count(*) from ledger.transfer") == before


async def test_cancel_and_work_race_for_a_task(platform, team) -> None:
    """Either it is canceled and costs nothing, or it runs and is paid; never both, never neither."""
    tasks = [(await team.submit(MODEL, prompt=f"cancel {number}")).data["task_id"] for number in range(20)]
    cancels = await asyncio.gather(*(team.post(f"/api/v1/tasks/{task}/cancel") for task in tasks))
    ends = await asyncio.gather(*(team.finish(task) for task in tasks))
    for task, cancel, end in zip(tasks, cancels, ends, strict=True):
        assert (cancel.status, end["status"]) in ((200, "failed"), (409, "success"))
        assert sum(line["images"] for line in await platform.bill(task)) == (cancel.status == 409)
    paid = sum(end["status"] == "success" for end in ends)
    assert await platform.balance_of(team) == (100_000_000 - paid * PRICE, 0)


async def test_50_cancels_of_one_task(platform, team) -> None:
    task = (await team.submit(MODEL, prompt="[sandbox:arrears]")).data["task_id"]
    await platform.reach(task, lambda row: row["state"] == "queued" and row["attempt"] == 1)
    answers = await asyncio.gather(*(team.post(f"/api/v1/tasks/{task}/cancel") for _ in range(50)))
    assert collections.Counter(answer.status for answer in answers) == {200: 50}
    kinds = await platform.pool.fetch("select kind from ledger.transfer where team_id = $1 order by id", team.id)
    assert [row["kind"] for row in kinds] == ["topup", "hold", "release"]


async def cancel_all(platform, team) -> None:
    """End tasks that the vendor never takes, whenever they lie in the queue."""
    for _ in range(1000):
        open_tasks = await platform.pool.fetch(
            "select 'task-' || replace(id::text, '-', '') as name from tasks.task "
            "where team_id = $1 and finished_at is null",
            team.id,
        )
        if not open_tasks:
            return
        for row in open_tasks:
            await team.post(f"/api/v1/tasks/{row['name']}/cancel")
        await asyncio.sleep(0.05)
    pytest.fail("some tasks cannot be canceled")
