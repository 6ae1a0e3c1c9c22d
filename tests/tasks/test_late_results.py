"""What a vendor made of a task after it ended here: found, told to the operator, and never charged."""

from __future__ import annotations

import asyncio
import time

import pytest

from modellix_server import ledger
from modellix_server.base.outbound import NotSent
from modellix_server.catalogue import Measurement
from modellix_server.ledger import Balance
from modellix_server.tasks import look_again, store
from modellix_server.upstreams.contract import Done, Failed, Pending, RemoteFile, Ticket, UnmappedAnswer

DONE = Done((RemoteFile("https://vendor.test/1.png", "image"),), Measurement(images=1), "r-1")


def raising(error: Exception):
    def poll() -> object:
        raise error

    return poll


@pytest.fixture
async def late(stage):
    """A task that met its deadline while the vendor worked on it."""
    await stage.bring_to("submitting", "running", ticket="t-1")
    row = await stage.run(left_s=0)
    assert (row["error_code"], row["ticket"]) == ("deadline", "t-1")
    return stage


async def come(stage, *, last: bool = False) -> None:
    await stage.pool.execute(f"update tasks.late_result set due_at = now(){', last_at = now()' if last else ''}")


async def reviews(stage) -> list[str]:
    rows = await stage.pool.fetch("select detail from tasks.review where reason = 'found later'")
    return [row["detail"] for row in rows]


async def test_nobody_looks_before_the_time(late) -> None:
    late.vendor.polled = lambda: DONE
    assert await look_again(late.tools) == 0
    due = await late.pool.fetchval("select extract(epoch from due_at - now())::float8 from tasks.late_result")
    assert 500 < due <= 600


@pytest.mark.parametrize(
    ("polled", "finding"),
    [
        (lambda: DONE, f"delivered {DONE.measured}, request r-1"),
        (lambda: Failed("upstream_refused", "no"), "failed it as upstream_refused: no"),
    ],
)
async def test_a_verdict_is_told_once_and_not_charged(late, polled, finding: str) -> None:
    late.vendor.polled = polled
    before = await late.row()
    await come(late)
    assert [await look_again(late.tools) for _ in "12"] == [1, 0]
    assert await reviews(late) == [f"found later: the vendor {finding} (t-1)"]
    assert await late.row() == before
    assert await ledger.balance(late.pool, late.job.team_id, live=False) == Balance(1000, 0)
    assert await late.pool.fetchval("select count(*) from tasks.late_result") == 0
    await late.clean()


@pytest.mark.parametrize(
    "polled", [Pending, raising(NotSent("away")), raising(UnmappedAnswer("dashscope", "poll", "HTTP 404"))]
)
async def test_no_verdict_is_asked_for_twice(late, polled) -> None:
    late.vendor.polled = polled
    await come(late)
    assert await look_again(late.tools) == 1
    assert await reviews(late) == []
    due = await late.pool.fetchval("select extract(epoch from due_at - now())::float8 from tasks.late_result")
    assert 3500 < due <= 3600
    await come(late, last=True)
    assert await look_again(late.tools) == 1
    (told,) = await reviews(late)
    assert told.startswith("found later: the vendor gives no verdict") or "not understood" in told
    assert await late.pool.fetchval("select count(*) from tasks.late_result") == 0


async def test_a_task_that_goes_on_is_left_to_itself(late) -> None:
    """The note is made before the ending, which may fail or fall to somebody else."""
    polls = []
    late.vendor.polled = lambda: polls.append(1) or Pending()
    await late.pool.execute(
        "update tasks.task set state = 'running', finished_at = null, error_code = null, error_message = null"
    )
    await come(late)
    assert await look_again(late.tools) == 1
    assert (polls, await reviews(late)) == ([], [])
    assert await late.pool.fetchval("select count(*) from tasks.late_result") == 0


async def test_an_id_that_came_after_the_judgement_is_looked_at_too(stage) -> None:
    async def overtaken(*_: object) -> Ticket:
        await stage.pool.execute("update tasks.task set epoch = epoch + 1")
        return Ticket("t-late")

    stage.vendor.submit = overtaken
    await stage.run()
    row = await stage.pool.fetchrow("select attempt, ticket from tasks.late_result")
    assert tuple(row) == (1, "t-late")


async def test_two_workers_share_the_looks(late) -> None:
    late.vendor.polled = lambda: DONE
    await come(late)
    started = time.monotonic()
    assert sum(await asyncio.gather(*(look_again(late.tools) for _ in range(5)))) == 1
    assert len(await reviews(late)) == 1
    assert time.monotonic() - started < 30
    assert await store.claim(late.pool, late.worker, 5) == []
