"""Which account a task goes to."""

from __future__ import annotations

import asyncio
import secrets
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellix_server import vault
from modellix_server.base.database import Pool
from modellix_server.base.secret import Secret
from modellix_server.base.settings import Settings
from modellix_server.catalogue import Catalogue, Route
from modellix_server.tasks import Breakers, Destination, Routing
from modellix_server.tasks.inputs import Resolved
from modellix_server.tasks.routing import Candidate, choose
from modellix_server.tasks.signals import SignalInbox
from modellix_server.tasks.steps import TaskClock, prepare
from modellix_server.upstreams.contract import AnswerLost, Busy, NotSent, Order

CATALOGUE = Catalogue.load()

ROUTE = Route("dashscope", {"cn": "qwen-image-plus"}, wire={}, to={})
MAIN = Destination(ROUTE, "main", "cn")


@dataclass
class Routed:
    """As much of a model as routing looks at."""

    routes: tuple[Route, ...]
    slug: str = "alibaba/qwen-image-plus"


MODEL = Routed((ROUTE,))


async def test_a_model_that_is_not_offered_where_the_account_is(pool: Pool, settings: Settings) -> None:
    url = "https://dashscope-intl.aliyuncs.com/api/v1"
    await vault.set_account(pool, settings.keyring, "dashscope", "sk-abc", base_url=url, region="intl")
    routing = Routing(pool, settings, Breakers(pool))
    said = await routing.obstacle(MODEL, True)
    assert (said.detail, said.retry_after_s) == (
        "the provider offers this model not in our region 'intl' but in: cn",
        60,
    )
    everywhere = Routed((Route("dashscope", {"cn": "a", "intl": "b"}, wire={}, to={}),))
    assert await routing.obstacle(everywhere, True) is None


async def test_a_key_that_cannot_be_opened_is_as_good_as_none(pool: Pool, settings: Settings) -> None:
    """A master key that was changed must not turn submissions into internal errors or break running tasks."""
    url = "https://dashscope.aliyuncs.com/api/v1"
    await vault.set_account(pool, settings.keyring, "dashscope", "sk-abc", base_url=url, region="cn")
    right = Routing(pool, settings, Breakers(pool))
    wrong = Routing(pool, replace(settings, master_key=Secret(secrets.token_bytes(32))), Breakers(pool))
    assert await right.obstacle(MODEL, True) is None
    assert (await right.account(MAIN, live=True)).key == "sk-abc"
    said = await wrong.obstacle(MODEL, True)
    assert (said.detail, said.retry_after_s) == ("provider temporarily unavailable", 60)
    assert await wrong.obstacle(MODEL, False) is None
    assert await wrong.account(MAIN, live=True) is None
    assert (await wrong.account(MAIN, live=False)).sandbox


async def test_while_a_vendor_is_gone_the_next_try_is_named(pool: Pool, settings: Settings) -> None:
    """Also by a process that has no task there: it knows from the row what the workers found."""
    await vault.set_account(pool, settings.keyring, "dashscope", "sk-abc", base_url="https://a.test", region="cn")
    workers, ours = Breakers(pool), Breakers(pool)
    routing = Routing(pool, settings, ours)
    for _ in range(5):
        assert await routing.obstacle(MODEL, True) is None
        await workers.failed("submit", "dashscope", live=True, reason="500", only_model=None)
    for probe_in_s, told in ((41.5, 42), (7.9, 8), (1.5, 2), (0.5, 1)):
        await pool.execute("update tasks.breaker set probe_at = now() + make_interval(secs => $1)", probe_in_s)
        await ours.refresh()
        said = await routing.obstacle(MODEL, True)
        assert (said.message, said.retry_after_s) == ("Service unavailable: provider temporarily unavailable", told)
        assert await routing.obstacle(MODEL, False) is None


async def test_a_try_that_is_due_may_come_from_outside(pool: Pool, settings: Settings) -> None:
    """Where nothing waits in the queue, only a new submission can show that the vendor is back."""
    await vault.set_account(pool, settings.keyring, "dashscope", "sk-abc", base_url="https://a.test", region="cn")
    workers, ours = Breakers(pool), Breakers(pool)
    routing = Routing(pool, settings, ours)
    for _ in range(5):
        await workers.failed("submit", "dashscope", live=True, reason="500", only_model=None)
    await pool.execute("update tasks.breaker set probe_at = now()")
    await asyncio.gather(ours.refresh(), workers.refresh())
    assert await routing.obstacle(MODEL, True) is None
    assert await workers.wait_s("dashscope", live=True) is None, "it is the one"
    await ours.refresh()
    assert (await routing.obstacle(MODEL, True)).retry_after_s == 4
    await workers.answered("submit", "dashscope", live=True)
    await ours.refresh()
    assert await routing.obstacle(MODEL, True) is None


def candidate(account: str, **about) -> Candidate:
    return Candidate(Destination(ROUTE, account, "cn"), **{"preference": 0, "weight": 1, **about})


@given(
    st.lists(
        st.builds(
            Candidate,
            st.just(MAIN),
            st.integers(0, 2),
            st.integers(1, 100),
            st.integers(0, 3),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
    ),
    st.floats(0, 1, exclude_max=True),
)
def test_what_is_chosen_is_never_worse_than_another(candidates: list[Candidate], draw: float) -> None:
    def order(one: Candidate) -> tuple:
        return one.refused, one.tries, one.preference

    assert order(choose(candidates, draw)) == min(map(order, candidates))


def test_accounts_share_new_attempts_by_their_weights() -> None:
    both = [candidate("main", weight=3), candidate("backup", weight=1)]
    chosen = [choose(both, draw / 1000).destination.account for draw in range(1000)]
    assert (chosen.count("main"), chosen.count("backup")) == (750, 250)


def test_another_account_comes_before_another_route_and_both_before_a_second_try() -> None:
    tried, other = candidate("main", tries=1), candidate("backup")
    elsewhere = candidate("far", preference=1)
    assert choose([tried, other, elsewhere], 0).destination.account == "backup"
    assert choose([tried, elsewhere], 0).destination.account == "far"
    assert choose([tried], 0).destination.account == "main"
    assert choose([candidate("main", refused=True), candidate("backup", tries=5)], 0).destination.account == "backup"


@pytest.fixture
async def two(pool: Pool, settings: Settings) -> Routing:
    for name in ("main", "backup"):
        await vault.set_account(
            pool, settings.keyring, "dashscope", f"sk-{name}", name=name, base_url=f"https://{name}.test", region="cn"
        )
    return Routing(pool, settings, Breakers(pool))


async def picked(routing: Routing, *tried: str) -> set:
    found = [await routing.pick(MODEL, tried, live=True) for _ in range(40)]
    return {one if isinstance(one, float) else one.address for one in found}


async def test_a_refusal_moves_the_next_attempt_to_the_other_account(two: Routing) -> None:
    assert await picked(two) == {"dashscope", "dashscope/backup"}
    assert await picked(two, "dashscope") == {"dashscope/backup"}
    assert await two.has_other(MODEL, ["dashscope"], live=True)
    assert not await two.has_other(MODEL, ["dashscope", "dashscope/backup"], live=True)
    two.refused(MODEL, MAIN, live=True)
    assert await picked(two) == {"dashscope/backup"}, "new tasks are spared the attempt"
    assert await picked(two, "dashscope/backup") == {"dashscope/backup"}
    assert not await two.has_other(MODEL, ["dashscope/backup"], live=True)


async def test_a_disabled_account_is_asked_about_its_tasks_and_gets_no_new_ones(two: Routing, pool: Pool) -> None:
    await vault.change_account(pool, "dashscope", "main", enabled=False)
    two.heard("")
    assert await picked(two) == {"dashscope/backup"}
    assert (await two.account(MAIN, live=True)).key == "sk-main"


async def test_an_account_that_does_not_answer_is_left_alone_and_the_other_goes_on(two: Routing, pool: Pool) -> None:
    breakers = Breakers(pool)
    for _ in range(5):
        await breakers.failed("submit", "dashscope", live=True, reason="500")
    await two._breakers.refresh()
    assert await picked(two) == {"dashscope/backup"}
    assert await two.obstacle(MODEL, True) is None
    for _ in range(5):
        await breakers.failed("submit", "dashscope/backup", live=True, reason="500")
    await two._breakers.refresh()
    assert all(isinstance(one, float) for one in await picked(two))
    assert (await two.obstacle(MODEL, True)).detail == "provider temporarily unavailable"


@pytest.mark.parametrize(
    "trouble",
    [Busy("the quota is used up", operator=True), NotSent("nobody listens"), AnswerLost("cut off")],
    ids=["quota", "not sent", "cut off"],
)
async def test_files_that_an_account_does_not_take_go_to_the_other_at_once(two, stage, monkeypatch, trouble) -> None:
    """An upload is free and may be done again; without an attempt's row nothing else leads the task away."""
    orders: list[Order] = []

    async def upload(order: Order, _http: object) -> Busy:
        orders.append(order)
        if isinstance(trouble, Exception):
            raise trouble
        return trouble

    async def resolve(_tools, _model, _upstream, params, *, team_id: int, sandbox: bool) -> Resolved:
        return Resolved(params, {"modellix:1": None})

    stage.vendor.prepare, stage.vendor.check = upload, lambda _: None
    monkeypatch.setattr(prepare.inputs, "resolve", resolve)
    job = msgspec.structs.replace(stage.job, live=True, state="preparing")
    outcomes = []
    for _ in range(2):
        async with AsyncExitStack() as held:
            inbox = SignalInbox(0, cancel_wanted=False)
            clock = TaskClock(0, 600)
            outcomes.append(await prepare.prepare(job, CATALOGUE.models[job.model], stage.tools, clock, inbox, held))
    assert {order.key for order in orders} == {"sk-main", "sk-backup"}
    assert [outcome.after_s for outcome in outcomes] == [0.0, 15.0]
