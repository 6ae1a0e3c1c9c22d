"""The client over bad lines: nothing is paid twice, no task is lost, only what is safe is sent again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import pytest
from tests.support.faulty_proxy import FaultyProxy

from modellix import AsyncClient, Client, errors, webhooks
from modellix._requests import pause_s, refusal

MODEL = "alibaba/qwen-image-plus"
SUBMIT = f"/api/v1/{MODEL}"
HTML = b"<html>Bad gateway</html>"


@pytest.fixture
def through(proxy: FaultyProxy, team):
    with Client(team.text, base_url=proxy.origin) as opened:
        yield opened


def posts(proxy: FaultyProxy, path: str) -> list[dict[str, str]]:
    return [headers for method, seen, headers in proxy.seen if (method, seen) == ("POST", path)]


async def test_a_lost_answer_is_one_task_and_one_charge(platform, team, proxy) -> None:
    proxy.spoil(SUBMIT, "cut", times=2)
    proxy.spoil(SUBMIT, "502", body=HTML)
    async with AsyncClient(team.text, base_url=proxy.origin) as client:
        task = await client.run(MODEL, prompt="once")
    assert task.status == "success"
    sent = posts(proxy, SUBMIT)
    assert len(sent) == 4
    assert len({headers["idempotency-key"] for headers in sent}) == 1
    assert len({headers["x-request-id"] for headers in sent}) == 4
    assert await platform.tasks_of(team) == 1
    assert await platform.balance_of(team) == (100_000_000 - 17_200, 0)


def test_a_submission_that_is_given_up_can_be_taken_up(through: Client, proxy) -> None:
    proxy.spoil(SUBMIT, "cut", times=4)
    with pytest.raises(errors.ConnectionFailed) as lost:
        through.submit(MODEL, prompt="once")
    assert (lost.value.sent, lost.value.task_id) == (True, None)
    assert lost.value.idempotency_key
    assert lost.value.request_id
    task = through.submit(MODEL, prompt="once", idempotency_key=lost.value.idempotency_key)
    assert [row.task_id for row in through.tasks()] == [task.id]
    with pytest.raises(errors.InvalidRequest) as other:
        through.submit(MODEL, prompt="other", idempotency_key=lost.value.idempotency_key)
    assert (other.value.status, other.value.idempotency_key) == (422, lost.value.idempotency_key)


def test_a_busy_platform_says_when(through: Client, proxy) -> None:
    busy = b'{"code": 429, "message": "Rate limit exceeded: 100 requests per minute"}'
    proxy.spoil("/api/v1/media/files", "429", headers={"Retry-After": "1"}, body=busy)
    began = time.monotonic()
    through.upload(b"\x89PNG\r\n\x1a\n" + base64.b64decode(PIXEL)[8:])
    assert time.monotonic() - began >= 1
    proxy.spoil("/api/v1/team/balance", "429", headers={"Retry-After": "61"}, body=busy)
    with pytest.raises(errors.RateLimited) as refused:
        through.balance()
    assert (refused.value.retry_after_s, refused.value.category) == (61, "Rate limit exceeded")
    assert refused.value.docs_url == f"{proxy.origin}/docs/errors/rate-limit-exceeded"
    there = {"Link": '<https://docs.example.com/errors/rate-limit-exceeded>; rel="help"', "Retry-After": "61"}
    proxy.spoil("/api/v1/team/balance", "429", headers=there, body=busy)
    with pytest.raises(errors.RateLimited) as refused:
        through.balance()
    assert refused.value.docs_url == "https://docs.example.com/errors/rate-limit-exceeded"


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.mark.parametrize("kind", ["cut", "502"])
def test_an_upload_that_may_have_arrived_is_not_sent_again(through: Client, proxy, kind: str) -> None:
    proxy.spoil("/api/v1/media/files", kind, body=HTML)
    with pytest.raises((errors.ConnectionFailed, errors.ServerError)):
        through.upload(base64.b64decode(PIXEL))
    assert len(posts(proxy, "/api/v1/media/files")) == 1


@pytest.mark.full
def test_waiting_outlasts_what_passes(through: Client, proxy) -> None:
    task = through.submit(MODEL, prompt="[sandbox:slow=1]")
    proxy.spoil(f"/api/v1/tasks/{task.id}", "unsent", times=4)
    proxy.spoil(f"/api/v1/tasks/{task.id}", "502", body=HTML)
    proxy.spoil(f"/api/v1/tasks/{task.id}", "half")
    assert task.wait(timeout_s=60).status == "success"
    assert not proxy.faults


def test_events_go_on_after_a_cut(through: Client, proxy) -> None:
    task = through.submit(MODEL, prompt="[sandbox:slow=3]")
    proxy.spoil(f"/api/v1/tasks/{task.id}/stream", "half", times=1)
    events = list(task.events())
    assert (events[-1].status, task.status) == ("success", "success")
    ids = [headers.get("last-event-id") for _, path, headers in proxy.seen if path.endswith("/stream")]
    assert ids[0] is None
    assert len(ids) == 2


def test_a_time_out_has_the_task(through: Client, proxy, monkeypatch) -> None:
    with pytest.raises(errors.TimedOut) as late:
        through.run(MODEL, prompt="[sandbox:queue=60]", timeout_s=0.5)
    error = late.value
    assert error.task_id == error.task.id
    assert error.task_id in str(error)
    assert error.task.cancel()
    slow = through.submit(MODEL, prompt="[sandbox:queue=60]")
    with pytest.raises(errors.TimedOut) as late:
        list(slow.events(timeout_s=2))
    assert late.value.task_id == slow.id
    assert slow.refresh().status == "pending", "it does not take an event to notice the time"
    slow.cancel()


@pytest.mark.full
def test_a_download_is_whole_or_not_there(client: Client, proxy, tmp_path) -> None:
    task = client.run(MODEL, prompt="a boat")
    file = task.files[0]
    path = "/results/" + file.url.partition("/results/")[2]
    through = type(file)(file._transport, _moved(file.resource, proxy.origin + path), file.name)
    proxy.spoil(path, "half", times=1)
    proxy.spoil(path, "502", body=HTML)
    assert through.save(tmp_path / "boat.png").stat().st_size == file.resource.size
    proxy.spoil(path, "half", times=4)
    (tmp_path / "old.png").write_text("as it was")
    with pytest.raises(errors.ConnectionFailed):
        through.save(tmp_path / "old.png")
    assert (tmp_path / "old.png").read_text() == "as it was"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["boat.png", "old.png"]
    assert all("authorization" not in headers for _, seen, headers in proxy.seen if seen == path)


def _moved(resource, url: str):
    import msgspec

    return msgspec.structs.replace(resource, url=url)


def test_something_else_answers(proxy, through: Client) -> None:
    for body in (HTML, b"[]", b'{"code": 0}', b'{"code": 0, "data": {"balance": {}}}'[:-3]):
        proxy.spoil("/api/v1/team/balance", "200", body=body)
        with pytest.raises(errors.BadAnswer, match="check the base URL"):
            through.balance()
    proxy.spoil("/api/v1/key", "200", body=b'{"code": 0, "data": {"id": "seven"}}')
    with pytest.raises(errors.BadAnswer, match="another form"):
        through.key()
    proxy.spoil("/api/v1/team/balance", "502", times=4, body=HTML)
    with pytest.raises(errors.ServerError) as refused:
        through.balance()
    assert "HTTP 502" in refused.value.message


def test_when_a_request_is_sent_again() -> None:
    def after(status: int, message: str = "x", retry_after: str | None = None, **how) -> float | None:
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        error = refusal("http://a", status, headers, json.dumps({"code": status, "message": message}).encode())
        return pause_s(error, how.pop("attempt", 0), most=3, **{"repeatable": True, **how})

    for status in (400, 401, 402, 403, 404, 409, 413, 422):
        assert after(status) is None
    assert after(500) is not None
    assert after(500, repeatable=False) is None
    assert 2 <= after(503, retry_after="2", repeatable=False) < 3
    assert after(429, retry_after="3600") is None
    assert after(429, attempt=3) is None
    unsent, lost = (errors.ConnectionFailed("x", sent=sent) for sent in (False, True))
    assert pause_s(unsent, 0, most=3, repeatable=False) is not None
    assert pause_s(lost, 0, most=3, repeatable=False) is None


def test_webhooks_are_verified() -> None:
    from standardwebhooks import Webhook

    key = base64.b64encode(b"0123456789abcdef01234567").decode()
    body = b'{"code":0,"message":"success","data":{"status":"failed","task_id":"task-1","model_id":"m"}}'
    now = str(int(time.time()))

    def headers(secret: bytes = b"0123456789abcdef01234567", at: str = now) -> dict[str, str]:
        digest = hmac.digest(secret, b"msg_1." + at.encode() + b"." + body, hashlib.sha256)
        signed = f"v1,{base64.b64encode(b'another').decode()} v1,{base64.b64encode(digest).decode()}"
        return {"Webhook-Id": "msg_1", "webhook-timestamp": at, "webhook-signature": signed}

    assert Webhook("whsec_" + key).verify(body, {k.lower(): v for k, v in headers().items()})
    assert webhooks.verify(body, headers(), "whsec_" + key).task_id == "task-1"
    old = str(int(time.time()) - 301)
    for given, text, secret in (
        (headers(b"other"), body, key),
        (headers(), body + b" ", key),
        (headers(at=old), body, key),
        (headers(at="soon"), body, key),
        ({}, body, key),
        (headers(), body, "!"),
    ):
        with pytest.raises(errors.WebhookForged):
            webhooks.verify(text, given, f"whsec_{secret}")
