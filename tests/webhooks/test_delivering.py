"""Deliveries from a real database to real receivers, however those behave."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from tests.support.waiting import eventually

from modellix_server import webhooks
from modellix_server.base.database import Pool
from modellix_server.base.errors import NotFound
from modellix_server.base.ids import task_name, uuid7
from modellix_server.base.outbound import Outbound
from modellix_server.base.team_mode import TeamMode
from modellix_server.webhooks import delivery

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
MINE, THEIRS = TeamMode(1, live=True), TeamMode(2, live=True)
SUCCEEDED = "prediction.task.succeeded"


def says(status: int, *lines: str, body: bytes = b"") -> Callable[..., Awaitable[None]]:
    async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
        head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *lines, "", ""]
        writer.write("\r\n".join(head).encode() + body)

    return answer


async def logged(stage, of: TeamMode = MINE) -> list:
    """The log once there is an attempt in it."""
    log = await stage.log(of)
    return log if log and log[0] else []


async def tried(stage, times: int) -> bool:
    """Whether so many attempts are on record, after which the next one is due later."""
    return await stage.pool.fetchval("select tries = $1 and state = 'waiting' from webhooks.message", times)


async def failing_since(stage, endpoint) -> datetime | None:
    return (await webhooks.find(stage.pool, MINE, endpoint.id)).failing_since


async def test_what_is_sent_verifies_with_the_receivers_own_library(stage) -> None:
    receiver = await stage.receiver(says(204))
    _, secret = await stage.endpoint(f"{receiver.origin}/hook?x=1")
    (task,) = await stage.end()
    await stage.settled("delivered", 1)
    (got,) = receiver.got
    assert got.body == stage.bodies[task]
    assert Webhook(secret).verify(got.body, got.headers) == {
        "code": 0, "message": "success", "data": {"task_id": task_name(task)},
    }  # fmt: skip
    assert got.path == "/hook?x=1"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["x-modellix-event"] == SUCCEEDED
    assert got.headers["x-modellix-task-id"] == task_name(task)
    assert got.headers["x-modellix-delivery-id"] == got.headers["webhook-id"]
    assert got.headers["x-modellix-retry-count"] == "0"
    assert "traceparent" not in got.headers, "nobody collects traces"
    for spoilt, headers in ((got.body + b" ", got.headers), (got.body, got.headers | {"webhook-id": "msg_other"}),
                            (got.body, got.headers | {"webhook-timestamp": str(int(time.time()) - 301)})):  # fmt: skip
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(spoilt, headers)


async def test_a_link_given_with_a_task_is_signed_by_the_team(stage) -> None:
    receiver = await stage.receiver()
    task = uuid7()
    link = msgspec.json.encode(webhooks.task_link(f"{receiver.origin}/once", MINE)).decode()
    await stage.pool.execute("select webhooks.subscribe($1, $2)", [task], [link])
    stage.bodies[task] = b"{}"
    await stage.pool.execute("select webhooks.enqueue($1, $2, $3, $4)", [task], [1], [True], [SUCCEEDED])
    await stage.settled("delivered", 1)
    (got,) = receiver.got
    Webhook(await webhooks.team_secret(stage.pool, stage.keys, MINE)).verify(got.body, got.headers)
    assert await stage.pool.fetchval("select count(*) from webhooks.subscription") == 0


async def test_every_endpoint_of_the_team_and_mode_is_told_and_no_other(stage) -> None:
    mine, also_mine, theirs, test_mode = [await stage.receiver() for _ in range(4)]
    for receiver, of in ((mine, MINE), (also_mine, MINE), (theirs, THEIRS), (test_mode, TeamMode(1, live=False))):
        await stage.endpoint(receiver.origin, of)
    await stage.end()
    await stage.settled("delivered", 2)
    assert [len(one.got) for one in (mine, also_mine, theirs, test_mode)] == [1, 1, 0, 0]


async def test_every_retry_has_the_same_id_and_bytes_and_a_time_of_its_own(stage, monkeypatch) -> None:
    receiver = await stage.receiver(says(500))
    _, secret = await stage.endpoint(receiver.origin)
    (task,) = await stage.end()
    await stage.until(lambda: len(receiver.got) == 1)
    stage.bodies[task] = b"another rendering"
    await asyncio.sleep(1.1)
    await stage.hurry()
    await stage.until(lambda: len(receiver.got) == 2)
    receiver.answer = says(200)
    await stage.hurry()
    await stage.settled("delivered", 1)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert len({got.body for got in receiver.got}) == 1
    assert len({got.headers["webhook-timestamp"] for got in receiver.got}) >= 2
    assert [got.headers["x-modellix-retry-count"] for got in receiver.got] == ["0", "1", "2"]
    for got in receiver.got:
        Webhook(secret).verify(got.body, got.headers)
    assert await stage.log() == [[(500, None), (500, None), (200, None)]]


async def trickle(_: Any, writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nX-Padding: " + b"x" * 1000:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.1)


async def hang(_: Any, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def hang_up(_: Any, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def endless(_: Any, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(10_000):
        writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize(("answer", "status", "error"), [
    (says(302, "Location: http://127.0.0.1:9/"), 302, None), (says(404), 404, None), (says(429), 429, None),
    (says(503), 503, None), (trickle, None, "no answer: "), (hang, None, "no answer: "), (hang_up, None, "no answer: "),
])  # fmt: skip
async def test_what_counts_as_a_failure(stage, monkeypatch, answer, status, error) -> None:
    monkeypatch.setattr(delivery, "TIMEOUT_S", 1.0)
    receiver = await stage.receiver(answer)
    await stage.endpoint(receiver.origin)
    await stage.end()
    tried = (await eventually(lambda: logged(stage)))[0]
    assert (await stage.states()) == {"waiting": 1}
    assert tried[0][0] == status
    assert (tried[0][1] or "").startswith(error or "")
    assert "127.0.0.1:9" not in str(tried)
    wait_s = await stage.pool.fetchval("select extract(epoch from due_at - now()) from webhooks.message")
    assert 3 < wait_s < 6


async def test_an_endless_answer_counts_by_its_status_and_is_not_read(stage) -> None:
    receiver = await stage.receiver(endless)
    await stage.endpoint(receiver.origin)
    await stage.end()
    await stage.settled("delivered", 1)


async def test_gone_disables_at_once_and_a_person_is_told(stage) -> None:
    receiver = await stage.receiver(says(410))
    made, _ = await stage.endpoint(receiver.origin)
    await stage.end(30)
    await stage.settled("failed", 30)
    found = await webhooks.find(stage.pool, MINE, made.id)
    assert found.disabled_why == "it answered 410 Gone"
    assert len(stage.told) == 1
    assert str(made.id) in stage.told[0]
    known = await stage.pool.fetchval("select count(*) from webhooks.message")
    await stage.end()
    assert await stage.pool.fetchval("select count(*) from webhooks.message") == known, "it is sent nothing more"


async def test_five_days_of_failure_disable_and_a_success_starts_anew(stage) -> None:
    receiver = await stage.receiver(says(500))
    made, _ = await stage.endpoint(receiver.origin)
    await stage.end()
    await eventually(lambda: tried(stage, 1))
    long_ago = "update webhooks.endpoint set failing_since = now() - interval '5 days 1 minute'"
    receiver.answer = says(200)
    await stage.pool.execute(long_ago)
    await stage.hurry()
    await stage.settled("delivered", 1)
    found = await webhooks.find(stage.pool, MINE, made.id)
    assert (found.failing_since, found.disabled_at) == (None, None)
    receiver.answer = says(500)
    await stage.end()
    await eventually(lambda: failing_since(stage, made))
    await stage.pool.execute(long_ago)
    await stage.hurry()
    await stage.settled("failed", 1)
    assert (await webhooks.find(stage.pool, MINE, made.id)).disabled_why == "it has failed for 5 days"
    assert len(stage.told) == 1
    # Put back into service it starts with a clean slate, and what was lost is sent when asked for.
    receiver.answer = says(200)
    await webhooks.change(stage.pool, MINE, made.id, LOOPBACK, url=None, enabled=True)
    since = datetime.now(UTC) - timedelta(hours=1)
    assert await webhooks.replay_failed(stage.pool, MINE, made.id, since) == 1
    await stage.settled("delivered", 2)


async def test_after_the_tenth_try_a_message_rests_until_it_is_replayed(stage) -> None:
    receiver = await stage.receiver(says(400))
    await stage.endpoint(receiver.origin)
    await stage.end()
    await eventually(lambda: tried(stage, 1))
    await stage.pool.execute("update webhooks.message set tries = 9, due_at = now()")
    await stage.hurry()
    await stage.settled("failed", 1)
    (rested,) = await webhooks.deliveries(stage.pool, MINE, None, 10)
    with pytest.raises(NotFound):
        await webhooks.replay(stage.pool, THEIRS, rested.id)
    receiver.answer = says(200)
    await webhooks.replay(stage.pool, MINE, rested.id)
    await stage.settled("delivered", 1)
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    await webhooks.replay(stage.pool, MINE, rested.id)  # a delivered one too
    await stage.until(lambda: len(receiver.got) == 4)


async def test_both_secrets_sign_for_a_day_after_a_rotation(stage) -> None:
    receiver = await stage.receiver()
    made, old = await stage.endpoint(receiver.origin)
    new = await webhooks.rotate(stage.pool, stage.keys, MINE, made.id)
    await stage.end()
    await stage.settled("delivered", 1)
    for secret in (old, new):
        Webhook(secret).verify(receiver.got[0].body, receiver.got[0].headers)
    assert await stage.pool.fetchval(
        "select signs_until - now() between '23:59' and '24:00' from webhooks.secret where signs_until is not null"
    )
    await stage.pool.execute("update webhooks.secret set signs_until = now() where signs_until is not null")
    await stage.end()
    await stage.settled("delivered", 2)
    Webhook(new).verify(receiver.got[1].body, receiver.got[1].headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(receiver.got[1].body, receiver.got[1].headers)
    first = await webhooks.team_secret(stage.pool, stage.keys, MINE)
    assert await webhooks.team_secret(stage.pool, stage.keys, MINE) == first
    assert await webhooks.rotate(stage.pool, stage.keys, MINE, None) != first


async def test_secrets_are_stored_sealed_and_bound_to_their_row(stage) -> None:
    receiver = await stage.receiver()
    _, secret = await stage.endpoint(receiver.origin)
    stored = await stage.pool.fetchval("select sealed from webhooks.secret")
    assert secret.removeprefix("whsec_").encode() not in stored
    other = await stage.receiver()
    await stage.endpoint(other.origin, THEIRS)
    await stage.pool.execute("update webhooks.secret set sealed = $1 where team_id = 2", stored)
    await stage.end(of=THEIRS)
    await eventually(lambda: logged(stage, THEIRS))
    assert (await stage.log(THEIRS))[0][0][1] == "it cannot be signed just now"
    assert other.got == []


async def test_a_dead_endpoint_delays_nobody(stage, monkeypatch) -> None:
    """Hundreds of messages to receivers that hang, due earlier: the others get theirs as if they were alone."""
    dead = [await stage.receiver(hang) for _ in range(20)]
    for number, receiver in enumerate(dead):
        await stage.endpoint(receiver.origin, TeamMode(100 + number, live=True))
        await stage.end(50, TeamMode(100 + number, live=True))
    await asyncio.sleep(1)
    alive = await stage.receiver()
    await stage.endpoint(alive.origin)
    started = time.monotonic()
    await stage.end(100)
    await stage.until(lambda: len(alive.got) == 100)
    assert time.monotonic() - started < delivery.TIMEOUT_S, "it waited for those that hang"
    assert sum(len(receiver.got) for receiver in dead) <= 20 * 4


async def test_a_name_that_leads_inside_is_not_called(pool: Pool, settings, stage) -> None:
    """Checked when it is sent, not only when it is stored: the name may have been pointed elsewhere since."""
    receiver = await stage.receiver()
    addresses = ["93.184.216.34"]

    async def lookup(_host: str, _port: int) -> list[str]:
        return list(addresses)

    outbound = Outbound((), lookup=lookup)
    stage.deliverer._outbound = outbound
    await webhooks.create(pool, settings.keyring, MINE, "https://rebound.example/hook", ())
    addresses[:] = ["127.0.0.1"]
    await stage.end()
    tried = (await eventually(lambda: logged(stage)))[0]
    assert tried == [(None, "the link does not lead to a public address")]
    assert receiver.got == []
    await outbound.close()
