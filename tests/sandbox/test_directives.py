"""Every directive does what its page says, and the bill knows what really happened."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from pathlib import Path

import aiohttp
import pytest
from tests.support.waiting import eventually

from modellix_server.sandbox import directives

SIZE = {"size": "1328*1328"}


def fresh(*names: str) -> tuple[str, str]:
    """A prompt of its own and an attempt id."""
    marker = secrets.token_hex(8)
    return f"{marker} " + " ".join(f"[sandbox:{name}]" for name in names), f"task-{marker}-1"


async def line(client, attempt: str) -> dict:
    bill = await client.bill(attempt=attempt)
    (only,) = bill["lines"]
    return only


REFUSALS = [
    ("refuse", 400, "InvalidParameter"),
    ("moderate", 400, "DataInspectionFailed"),
    ("arrears", 400, "Arrearage"),
    ("throttle", 429, "Throttling.RateQuota"),
    ("error", 500, "InternalError"),
]


@pytest.mark.parametrize(("name", "status", "code"), REFUSALS)
async def test_refused_at_the_door(client, name, status, code):
    prompt, attempt = fresh(name)
    got, answer = await client.paint(prompt, X_Request_Id=attempt)
    assert (got, answer["code"]) == (status, code)
    billed = await line(client, attempt)
    assert (billed["accepted"], billed["state"], billed["code"], billed["images"]) == (False, "refused", code, 0)


@pytest.mark.parametrize(("name", "status"), [("throttle=2", 429), ("error=2", 500)])
async def test_refused_at_first(client, name, status):
    prompt, _ = fresh(name)
    assert [(await client.paint(prompt))[0] for _ in range(4)] == [status, status, 200, 200]


@pytest.mark.full
async def test_accepted_but_answered_with_an_error(client):
    prompt, attempt = fresh("error-accepted")
    status, answer = await client.paint(prompt, X_Request_Id=attempt)
    assert (status, answer["code"]) == (500, "InternalError")
    await charged(client, attempt)


async def test_the_answer_is_lost(client):
    prompt, attempt = fresh("lost")
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.paint(prompt, X_Request_Id=attempt)
    await charged(client, attempt)


async def test_the_answer_is_garbage(client):
    prompt, attempt = fresh("garbage")
    url = f"{client.running.base}/services/aigc/text2image/image-synthesis"
    headers = {"Authorization": "Bearer sk-test", "X-DashScope-Async": "enable", "X-Request-Id": attempt}
    body = {"model": "qwen-image-plus", "input": {"prompt": prompt}}
    async with client.http.post(url, json=body, headers=headers) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
    await charged(client, attempt)


async def charged(client, attempt: str) -> None:
    """Accepted when the answer came, charged when the picture is done."""
    assert (await line(client, attempt))["accepted"]
    for _ in range(600):
        billed = await line(client, attempt)
        if billed["state"] == "SUCCEEDED":
            assert billed["images"] == 1
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(attempt)


async def start(client, *names: str) -> tuple[str, str]:
    prompt, attempt = fresh(*names)
    status, answer = await client.paint(prompt, X_Request_Id=attempt)
    assert status == 200, answer
    return answer["output"]["task_id"], attempt


async def once(client, task_id: str, word: str) -> dict:
    """What a query says of a task as soon as it has this status."""
    return await eventually(lambda: with_status(client, task_id, word))


async def with_status(client, task_id: str, word: str) -> dict | None:
    output = (await client.poll(task_id))["output"]
    return output if output["task_status"] == word else None


async def test_queued_then_slow_then_done(client):
    begun = time.monotonic()
    task_id, _ = await start(client, "queue=1", "slow=1")
    assert (await client.poll(task_id))["output"]["task_status"] == "PENDING"
    running = await once(client, task_id, "RUNNING")
    assert time.monotonic() - begun >= 1
    assert running["task_metrics"] == {"TOTAL": 1, "SUCCEEDED": 0, "FAILED": 0}
    done = (await client.finish(task_id))["output"]
    assert done["task_status"] == "SUCCEEDED"
    assert time.monotonic() - begun >= 2
    assert done["submit_time"] < done["scheduled_time"] < done["end_time"]


async def test_a_word_nobody_knows(client):
    task_id, _ = await start(client, "badword=1")
    await once(client, task_id, "DREAMING")
    assert (await client.finish(task_id))["output"]["task_status"] == "SUCCEEDED"


async def test_never(client):
    task_id, attempt = await start(client, "never")
    await asyncio.sleep(0.5)
    assert (await client.poll(task_id))["output"]["task_status"] == "RUNNING"
    billed = await line(client, attempt)
    assert (billed["state"], billed["images"], billed["finished_at"]) == ("RUNNING", 0, None)


@pytest.mark.parametrize(("name", "code"), [("fail", "InternalError.Algo"), ("fail=IPInfringementSuspect",) * 2])
async def test_failing_late(client, name, code):
    task_id, attempt = await start(client, name)
    await once(client, task_id, "RUNNING")
    done = await client.finish(task_id)
    assert (done["output"]["task_status"], done["output"]["code"]) == ("FAILED", code.removeprefix("fail="))
    assert "usage" not in done
    assert (await line(client, attempt))["images"] == 0


async def test_only_some(client):
    prompt, attempt = fresh("partial")
    body = {
        "model": "wan2.6-t2i",
        "input": {"messages": [{"role": "user", "content": [{"text": prompt}]}]},
        "parameters": {"n": 3, "size": "1280*1280"},
    }
    _, answer = await client.submit("aigc/image-generation/generation", body, X_Request_Id=attempt)
    done = await client.finish(answer["output"]["task_id"])
    assert len(done["output"]["choices"]) == 2
    assert done["output"]["task_metrics"] == {"TOTAL": 3, "SUCCEEDED": 2, "FAILED": 1}
    assert done["usage"]["image_count"] == 2
    assert (await line(client, attempt))["images"] == 2
    task_id, _ = await start(client, "partial")
    assert (await client.finish(task_id))["output"]["task_status"] == "FAILED"


async def test_more_on_the_bill_than_made(client):
    task_id, attempt = await start(client, "overbill")
    done = await client.finish(task_id)
    assert len(done["output"]["results"]) == 1
    assert done["usage"]["image_count"] == 2
    assert (await line(client, attempt))["images"] == 2


async def result_url(client, *names: str) -> str:
    task_id, _ = await start(client, *names)
    return (await client.finish(task_id))["output"]["results"][0]["url"]


async def test_result_files_that_are_not_what_they_should_be(client):
    async with client.http.get(await result_url(client, "vanish")) as answer:
        assert answer.status == 404
    async with client.http.get(await result_url(client, "mistyped")) as answer:
        assert (answer.status, answer.content_type) == (200, "image/png")
        assert (await answer.read()).startswith(b"<!doctype html>")
    async with client.http.get(await result_url(client, "huge")) as answer:
        assert answer.content_type == "image/png"
        assert (await answer.content.readexactly(8))[:4] == b"\x89PNG"
        assert len(await answer.content.readexactly(40_000_000)) == 40_000_000
    async with client.http.get(f"{client.running.origin}/healthz") as answer:
        assert answer.status == 200


async def test_a_synchronous_call_is_late_lost_or_failed(client):
    def body(prompt: str) -> dict:
        message = {"role": "user", "content": [{"text": prompt}]}
        return {"model": "qwen-image-plus", "input": {"messages": [message]}, "parameters": SIZE}

    path = "aigc/multimodal-generation/generation"
    prompt, attempt = fresh("slow=0.5")
    begun = time.monotonic()
    status, answer = await client.submit(path, body(prompt), task=False, X_Request_Id=attempt)
    assert (status, answer["usage"]) == (200, {"image_count": 1, "width": 1328, "height": 1328})
    assert time.monotonic() - begun >= 0.5
    assert (await line(client, attempt))["images"] == 1
    prompt, attempt = fresh("lost")
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.submit(path, body(prompt), task=False, X_Request_Id=attempt)
    await charged(client, attempt)
    prompt, attempt = fresh("fail=DataInspectionFailed")
    status, answer = await client.submit(path, body(prompt), task=False, X_Request_Id=attempt)
    assert (status, answer["code"]) == (400, "DataInspectionFailed")
    assert (await line(client, attempt))["images"] == 0


async def test_a_model_without_a_prompt_takes_them_elsewhere(client, files):
    body = {
        "model": "wan2.2-i2v-flash",
        "input": {"img_url": f"{files}/photo.png", "negative_prompt": "[sandbox:arrears]"},
    }
    status, answer = await client.submit("aigc/video-generation/video-synthesis", body)
    assert (status, answer["code"]) == (400, "Arrearage")


async def test_the_page_names_them_all(client):
    async with client.http.get(f"{client.running.origin}/dashscope/") as answer:
        page = await answer.text()
    assert all(f"[sandbox:{name}" in page for name in directives.KNOWN)


def test_every_directive_is_tried():
    source = Path(__file__).read_text()
    assert [name for name in directives.KNOWN if not re.search(rf'"{name}["=]', source)] == []
