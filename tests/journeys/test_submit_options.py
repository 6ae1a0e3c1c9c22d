"""Terms that travel in headers: the most a task may cost."""

from __future__ import annotations

import pytest

PATH = "/api/v1/alibaba/qwen-image-plus/async"
PRICE = 17_200
MONEY = 100_000_000


async def offer(team, most: str, **headers: str):
    return await team.post(PATH, {"prompt": "a hill"}, headers={"X-Max-Cost": most, **headers})


async def test_a_quote_above_the_most_is_refused_and_holds_nothing(platform, team) -> None:
    words = "this task costs up to 0.0172 USD, which is more than the 0.017199 USD of header 'X-Max-Cost'"
    (await offer(team, "0.017199")).refused(400, f"Value out of range: {words}")
    assert (await platform.balance_of(team), await platform.tasks_of(team)) == ((MONEY, 0), 0)


@pytest.mark.parametrize("most", ["0.0172", "0.017200", "1", "999999999"])
async def test_a_quote_up_to_the_most_is_accepted(platform, team, most: str) -> None:
    task = (await offer(team, most)).data["task_id"]
    assert (await team.finish(task))["billing"]["amount"] == PRICE / 1e6


@pytest.mark.parametrize("most", ["", "-1", "1e3", "0,25", "$1", "NaN", "0.0000001", "1" * 12, " ", "1, 2", "٣"])
async def test_an_amount_that_is_none_is_refused(platform, untouched_team, most: str) -> None:
    words = "header 'X-Max-Cost' must be an amount in USD such as 0.25, with six decimals at most"
    (await offer(untouched_team, most)).refused(400, f"Invalid format: {words}")
    assert await platform.tasks_of(untouched_team) == 0


async def test_a_task_made_earlier_is_replayed_whatever_it_costs_now(platform, team) -> None:
    first = await offer(team, "0.02", **{"Idempotency-Key": "k"})
    again = await offer(team, "0.01", **{"Idempotency-Key": "k"})
    assert again.data["task_id"] == first.data["task_id"]
    assert again.headers["idempotency-replayed"] == "true"


@pytest.fixture(scope="module")
async def untouched_team(platform):
    return await platform.team()
