"""Several API processes over one database, and one that is killed while it accepts: exact money, one task."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import itertools
import signal
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
from tests.support.ports import free_port

from modellix_server import identity

MODEL = "alibaba/qwen-image-plus"
PRICE = 17_200
KEY = {"Idempotency-Key": "order-1"}


async def served(platform, **env: str):
    """One more API process, ready; and where it answers."""
    port = free_port()
    process = platform.start("serve", MODELLIX_PORT=str(port), **env)
    origin, give_up = f"http://127.0.0.1:{port}", time.monotonic() + 90
    while True:
        try:
            async with platform.http.get(f"{origin}/readyz") as answer:
                if answer.status == 200:
                    return process, origin
        except aiohttp.ClientConnectionError:
            assert process.poll() is None
        assert time.monotonic() < give_up
        await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
async def origins(platform) -> AsyncIterator[list[str]]:
    """Where three API processes answer."""
    more = await asyncio.gather(served(platform), served(platform))
    yield [platform.origin, *(origin for _, origin in more)]
    for process, _ in more:
        process.terminate()
        process.wait(30)


def at(team, origin: str):
    return dataclasses.replace(team, origin=origin)


async def test_money_for_10_over_three_processes(platform, origins) -> None:
    team = await platform.team(10 * PRICE + PRICE - 1)
    doors = itertools.cycle([at(team, origin) for origin in origins])
    answers = await asyncio.gather(*(next(doors).submit(MODEL, prompt=f"race {number}") for number in range(40)))
    assert collections.Counter(answer.status for answer in answers) == {200: 10, 402: 30}
    tasks = {answer.data["task_id"] for answer in answers if answer.status == 200}
    assert len(tasks) == 10 == await platform.tasks_of(team)
    ends = await asyncio.gather(*(team.finish(task) for task in tasks))
    assert {end["status"] for end in ends} == {"success"}
    assert await platform.balance_of(team) == (PRICE - 1, 0)
    await platform.books_are_clean()


@pytest.mark.full
async def test_slots_for_7_over_three_processes(platform, origins) -> None:
    team = await platform.team(concurrency=7)
    doors = itertools.cycle([at(team, origin) for origin in origins])
    answers = await asyncio.gather(*(next(doors).submit(MODEL, prompt="[sandbox:slow=2]") for _ in range(30)))
    assert collections.Counter(answer.status for answer in answers) == {200: 7, 429: 23}
    await asyncio.gather(*(team.finish(answer.data["task_id"]) for answer in answers if answer.status == 200))
    assert await platform.balance_of(team) == (100_000_000 - 7 * PRICE, 0)


async def test_one_idempotency_key_over_three_processes(platform, origins, team) -> None:
    doors = itertools.cycle([at(team, origin) for origin in origins])
    answers = await asyncio.gather(
        *(next(doors).post(f"/api/v1/{MODEL}", {"prompt": "once"}, headers=KEY) for _ in range(50))
    )
    assert {answer.status for answer in answers} == {200}
    assert len({answer.data["task_id"] for answer in answers}) == 1
    assert [answer.headers.get("idempotency-replayed") for answer in answers].count(None) == 1
    assert await platform.tasks_of(team) == 1
    await team.finish(answers[0].data["task_id"])
    assert await platform.balance_of(team) == (100_000_000 - PRICE, 0)
    assert len(await platform.bill(answers[0].data["task_id"])) == 1


async def test_a_charge_that_was_seen_is_in_every_balance(origins, team) -> None:
    paid = 0
    for number in range(6):
        door = at(team, origins[number % 3])
        assert (await door.run(MODEL, prompt=f"charge {number}"))["status"] == "success"
        paid += PRICE
        balances = [await at(team, origin).balance() for origin in origins]
        assert balances == [(100_000_000 - paid) / 1e6] * 3


async def test_a_revoked_key_is_out_in_every_process(platform, origins, team) -> None:
    for origin in origins:
        await at(team, origin).balance()  # every process knows the key
    await identity.revoke_key(platform.pool, team.key.id)
    answers = await asyncio.gather(*(at(team, origin).submit(MODEL, prompt="a") for origin in origins))
    assert {answer.status for answer in answers} == {401}
    assert await platform.tasks_of(team) == 0
    give_up = time.monotonic() + 4  # one that heard nothing would believe in it for five seconds
    while {(await at(team, origin).get("/api/v1/team/balance")).status for origin in origins} != {401}:
        assert time.monotonic() < give_up, "some process still reads for a key that is gone"


@pytest.mark.parametrize(("point", "made"), [pytest.param("before_accept", 0, marks=pytest.mark.full), ("accepted", 1)])
async def test_an_api_killed_at(platform, team, point: str, made: int) -> None:
    """The client has no answer, and asks another process again with its key: one task, one charge."""
    doomed, origin = await served(platform, MODELLIX_KILL_AT=point)
    with pytest.raises(aiohttp.ClientError):
        await at(team, origin).post(f"/api/v1/{MODEL}", {"prompt": "a"}, headers=KEY)
    assert await asyncio.to_thread(doomed.wait, 60) == -signal.SIGKILL
    assert await platform.tasks_of(team) == made
    await platform.books_are_clean()
    again = await team.post(f"/api/v1/{MODEL}", {"prompt": "a"}, headers=KEY)
    assert again.headers.get("idempotency-replayed") == ("true" if made else None)
    assert (await team.finish(again.data["task_id"]))["status"] == "success"
    assert await platform.tasks_of(team) == 1
    assert await platform.balance_of(team) == (100_000_000 - PRICE, 0)
    assert len(await platform.bill(again.data["task_id"])) == 1


@pytest.mark.full
async def test_a_frozen_api_wakes_up_to_its_request(platform, team) -> None:
    """A process that stands still holds up nobody else, and answers late rather than twice."""
    process, origin = await served(platform)
    process.send_signal(signal.SIGSTOP)
    waiting = asyncio.create_task(at(team, origin).post(f"/api/v1/{MODEL}", {"prompt": "a"}, headers=KEY))
    try:
        elsewhere = await team.post(f"/api/v1/{MODEL}", {"prompt": "a"}, headers=KEY)
        assert elsewhere.status == 200
        await asyncio.sleep(2)
    finally:
        process.send_signal(signal.SIGCONT)
    answer = await asyncio.wait_for(waiting, 60)
    assert (answer.data["task_id"], answer.headers["idempotency-replayed"]) == (elsewhere.data["task_id"], "true")
    assert await platform.tasks_of(team) == 1
    process.terminate()
    assert await asyncio.to_thread(process.wait, 30) == 0
