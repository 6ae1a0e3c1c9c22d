"""What an operator can see of a platform at work: ids of requests and tasks, and numbers."""

from __future__ import annotations

import asyncio
import json
import re
import socket

import aiohttp
import pytest

SUBMIT = "/api/v1/text-to-image/alibaba/qwen-image-plus/async"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def read(text: str) -> dict[str, float]:
    """Samples by name with labels. Every line must be one that Prometheus reads."""
    samples, typed = {}, set()
    for line in text.splitlines():
        if line.startswith("#"):
            found = re.fullmatch(r"# (HELP|TYPE) ([a-z_]+) (.+)", line)
            assert found, line
            typed.add(found[2])
            continue
        found = re.fullmatch(r'([a-z_]+)(\{[a-z_]+="[^"\n]*"(,[a-z_]+="[^"\n]*")*\})? (-?[0-9.e+]+)', line)
        assert found, line
        assert found[1] in typed or re.sub("_(bucket|sum|count)$", "", found[1]) in typed
        assert found[1] + (found[2] or "") not in samples, line
        samples[found[1] + (found[2] or "")] = float(found[4])
    return samples


async def scrape(http: aiohttp.ClientSession, port: int) -> dict[str, float]:
    async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        return read(await answer.text())


@pytest.fixture(scope="module")
async def fleet(fleets, postgres_server, tmp_path_factory):
    async with fleets(postgres_server, tmp_path_factory.mktemp("fleet")) as shared:
        yield shared


@pytest.fixture(scope="module")
async def opened(fleet):
    """Both processes with their metrics, a key, and a client."""
    await fleet.command("migrate")
    fleet.env["MODELLIX_DRAIN_S"] = "0"
    await fleet.emulate()
    await fleet.team()
    key = await fleet.key()
    ports = free_port(), free_port()
    _, port = await fleet.serve(MODELLIX_METRICS_ADDRESS=f"127.0.0.1:{ports[0]}")
    await fleet.work(MODELLIX_METRICS_ADDRESS=f"127.0.0.1:{ports[1]}")
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:
        yield http, f"http://127.0.0.1:{port}", *ports


async def run(http: aiohttp.ClientSession, origin: str, prompt: str, **headers: str) -> str:
    async with http.post(origin + SUBMIT, json={"prompt": prompt}, headers=headers) as answer:
        task = (await answer.json())["data"]["task_id"]
    async with asyncio.timeout(60):
        while True:
            async with http.get(f"{origin}/api/v1/tasks/{task}") as answer:
                if (await answer.json())["data"]["status"] != "pending":
                    return task
            await asyncio.sleep(0.1)


@pytest.mark.full
async def test_numbers_add_up(opened, fleet) -> None:
    http, origin, of_serve, of_work = opened
    for number in range(3):
        await run(http, origin, f"counted {number}")
    await run(http, origin, "[sandbox:refuse] counted")
    for body in ({}, {"prompt": "a", "odd": 1}):
        async with http.post(origin + SUBMIT, json=body) as answer:
            assert answer.status == 400
    for _ in range(2):
        headers = {"Idempotency-Key": "once"}
        async with http.post(origin + SUBMIT, json={"prompt": "once"}, headers=headers) as answer:
            assert answer.status == 200
    async with asyncio.timeout(60):
        while await fleet.pool.fetchval("select count(*) from tasks.task where finished_at is null"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    serve, work = await scrape(http, of_serve), await scrape(http, of_work)
    assert serve['modellix_submissions_total{verdict="accepted"}'] == 5
    assert serve['modellix_submissions_total{verdict="replayed"}'] == 1
    assert serve['modellix_http_requests_total{code="",route="submit_task",status="200"}'] == 6
    refused = {name: count for name, count in serve.items() if 'submit_task",status="400"' in name}
    assert sum(refused.values()) == 2
    assert len(refused) == 2
    assert serve['modellix_http_request_seconds_count{route="submit_task"}'] == 8
    assert serve['modellix_http_request_seconds_bucket{le="+Inf",route="submit_task"}'] == 8
    assert serve["modellix_submission_batch_size_sum"] == 6
    assert any(name.startswith("modellix_build_info{") for name in serve)
    assert serve["process_resident_memory_bytes"] > 10_000_000
    assert serve["process_open_fds"] > 5
    ended = 'modellix_tasks_ended_total{code="%s",mode="test",model="alibaba/qwen-image-plus",upstream="dashscope"}'
    assert work[ended % ""] >= 3
    assert work[ended % "invalid_input"] == 1
    assert work['modellix_task_moves_total{to="submitting"}'] == 5
    assert work['modellix_vendor_calls_total{method="POST",mode="test",outcome="4xx",upstream="dashscope"}'] == 1
    assert work['modellix_vendor_calls_total{method="POST",mode="test",outcome="2xx",upstream="dashscope"}'] == 4
    assert work['modellix_vendor_call_seconds_count{method="POST",mode="test",upstream="dashscope"}'] == 5
    assert work["modellix_workers"] == 1
    async with http.get(f"http://127.0.0.1:{of_work}/else") as answer:
        assert answer.status == 404
    async with http.get(f"{origin}/metrics") as answer:  # not for the platform's clients
        assert answer.status == 404


@pytest.mark.full
async def test_every_answer_and_its_log_name_the_request(opened, fleet) -> None:
    http, origin, *_ = opened
    seen = set()
    for path in ("/api/v1/models", "/healthz", "/nowhere", "/api/v1/nowhere/at/all/here", "/samples/none.png"):
        async with http.get(origin + path) as answer:
            seen.add(answer.headers["x-request-id"])
    assert len(seen) == 5
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in seen)
    for given, kept in {
        "from-the-client:1": True,
        "x" * 128: True,
        "x" * 129: False,
        "with a space": False,
        "mdlx-test-Ab94x6cMG1234567890abcdefghijklmnopqr": False,
        "ünprintable": False,
    }.items():
        async with http.get(f"{origin}/api/v1/models", headers={"X-Request-Id": given}) as answer:
            assert (answer.headers["x-request-id"] == given) is kept
    async with http.post(origin + SUBMIT, json={}, headers={"X-Request-Id": "looked-for"}) as answer:
        assert answer.status == 400
    async with asyncio.timeout(60):
        while not await fleet.pool.fetchval(  # noqa: ASYNC110
            "select count(*) from requestlog.entry where request_id = 'looked-for'"
        ):
            await asyncio.sleep(0.1)
    async with http.get(f"{origin}/api/v1/logs?status=400") as answer:
        calls = (await answer.json())["data"]["logs"]
        assert [call["request_id"] for call in calls].count("looked-for") == 1


async def test_a_worker_s_log_names_the_task_and_its_request(opened, fleet) -> None:
    http, origin, *_ = opened
    task = await run(http, origin, "[sandbox:lost] lost", **{"X-Request-Id": "from-the-client:7"})
    lines = [json.loads(line) for line in (fleet.folder / "log").read_text().splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line["event"] == "submission outcome unknown"]
    assert line["task"].replace("-", "") == task.removeprefix("task-")
    assert line["request"] == "from-the-client:7"


@pytest.mark.full
async def test_a_task_knows_the_request_that_made_it(opened, fleet) -> None:
    http, origin, *_ = opened
    chosen = await run(http, origin, "one", **{"X-Request-Id": "from-the-client:8", "Idempotency-Key": "k"})
    assert await run(http, origin, "one", **{"X-Request-Id": "again", "Idempotency-Key": "k"}) == chosen
    async with http.post(origin + SUBMIT, json={"prompt": "two"}) as answer:
        made, given = (await answer.json())["data"]["task_id"], answer.headers["X-Request-Id"]
    for task, request in ((chosen, "from-the-client:8"), (made, given)):
        assert json.loads(await fleet.command("admin", "task", "show", task, "--json"))["task"]["request_id"] == request
        assert request in await fleet.command("admin", "task", "show", task)
    async with http.get(f"{origin}/api/v1/logs?format=jsonl") as answer:
        calls = [json.loads(line) for line in (await answer.text()).splitlines()]
    logged = {call["task_id"]: call["request_id"] for call in calls if call["task_id"]}
    assert (logged[chosen], logged[made]) == ("from-the-client:8", given)


@pytest.mark.full
async def test_an_address_that_cannot_be_used_is_told_plainly(fleet) -> None:
    await fleet.command("migrate")
    for address in ("nowhere", "127.0.0.1:1:2", "203.0.113.1:9100"):
        process = fleet.start("work", MODELLIX_METRICS_ADDRESS=address)
        assert await asyncio.to_thread(process.wait, 30) == 2
        assert "MODELLIX_METRICS_ADDRESS" in fleet.log()
