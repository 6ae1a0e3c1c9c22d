"""A price that changes between accept and delivery: the task costs what its quote said."""

from __future__ import annotations

import asyncio
import time

import pytest

from modellix_server import pricing

MODEL = "alibaba/wan2.5-t2i-preview"


async def quoted(team) -> float:
    answer = await team.post("/api/v1/quote", {"model": MODEL, "input": {"prompt": "a", "n": 1}})
    return float(answer.data["cost"])


@pytest.mark.full
async def test_a_new_price_is_for_new_tasks(platform, team) -> None:
    before = await quoted(team)
    task = (await team.submit(MODEL, prompt="[sandbox:slow=8] frozen", n=1)).data["task_id"]
    await pricing.set_price(platform.pool, MODEL, None, actor="tests", margin_bp=10_000)
    try:
        give_up = time.monotonic() + 60
        while (now := await quoted(team)) == before:
            assert time.monotonic() < give_up, "the new price is never used"
            await asyncio.sleep(0.2)
        assert now == 2 * before
        end = await team.finish(task)
        assert (end["status"], end["billing"]["amount"]) == ("success", before)
        assert await platform.balance_of(team) == (100_000_000 - round(before * 1e6), 0)
        later = await team.run(MODEL, prompt="later", n=1)
        assert later["billing"]["amount"] == 2 * before
    finally:
        await pricing.set_price(platform.pool, MODEL, None, actor="tests")
