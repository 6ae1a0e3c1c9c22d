"""Generation through MCP: agents find, price, run and save, with the rights and limits of their key."""

from __future__ import annotations

import asyncio
import base64
import json

import httpx2
import pytest
from tests.support.mcp_clients import INITIALIZE, MODES, call, mcp_client, message, post
from tests.support.waiting import eventually

PICTURE = "alibaba/qwen-image-plus"
EDIT = "alibaba/qwen-image-edit-plus"
INPUT = {"prompt": "a lighthouse"}
NAMES = [
    "modellix_list_models",
    "modellix_get_schema",
    "modellix_quote",
    "modellix_submit_task",
    "modellix_get_task",
    "modellix_wait_task",
    "modellix_cancel_task",
    "modellix_upload_file",
    "modellix_list_files",
    "modellix_delete_file",
]


@pytest.fixture
def url(platform) -> str:
    return f"{platform.origin}/mcp/generate"


async def run(client, tool: str, **arguments):
    """The structured result of a tool that succeeds; the client validates it against the tool's schema."""
    result = await client.call_tool(f"modellix_{tool}", arguments)
    assert not result.is_error, result.content
    return result.structured_content


async def refused(client, tool: str, **arguments):
    """The error of a tool that is refused."""
    result = await client.call_tool(f"modellix_{tool}", arguments)
    assert result.is_error
    assert result.structured_content is None, "some clients would hold it against the schema of an answer"
    error = result.meta["modellix/error"]
    assert result.content[0].text.startswith(error["message"])
    assert error["docs_url"] in result.content[0].text
    return error


@pytest.mark.parametrize("mode", MODES)
async def test_an_agent_finds_prices_runs_and_saves_a_picture(platform, team, url, mode) -> None:
    told: list[tuple[float, str]] = []

    async def on_progress(progress: float, total: float | None, words: str | None) -> None:
        told.append((progress, words or ""))

    async with mcp_client(url, team.authorization, mode) as client:
        tools = (await client.list_tools()).tools
        assert [tool.name for tool in tools] == NAMES
        assert all(tool.description and tool.output_schema["type"] == "object" for tool in tools)
        found = await run(client, "list_models", query="qwen image plus", type="text-to-image")
        assert PICTURE in [model["slug"] for model in found["models"]]
        schema = await run(client, "get_schema", model=PICTURE)
        assert "prompt" in schema["schema"]["required"]
        price = await run(client, "quote", model=PICTURE, input=INPUT)
        assert price["cost"] > 0
        absent = {"webhook_url": None, "queue": None, "idempotency_key": None}  # as models write what they leave out
        receipt = await run(client, "submit_task", model=PICTURE, input=INPUT, max_cost=price["cost"], **absent)
        assert (receipt["status"], receipt["replayed"]) == ("pending", False)
        waited = {"task_id": receipt["task_id"], "timeout_s": 60}
        result = await client.call_tool("modellix_wait_task", waited, progress_callback=on_progress)
        assert result.structured_content["status"] == "success"
        assert result.structured_content["billing"]["amount"] == price["cost"]
        link = result.content[1]
        assert (link.type, link.mime_type) == ("resource_link", "image/png")
        assert await run(client, "get_task", task_id=receipt["task_id"]) == result.structured_content
    saved = await platform.anyone().get(str(link.uri))
    assert saved.body[1:4] == b"PNG"
    assert len(saved.body) == link.size
    assert all(words.startswith(PICTURE) for _, words in told)
    assert [progress for progress, _ in told] == sorted(progress for progress, _ in told)
    assert told


async def test_a_bare_client_of_2025_needs_no_session(team, url) -> None:
    key = {"Authorization": team.authorization}
    hello = message(await post(url, INITIALIZE, **key))["result"]
    assert hello["protocolVersion"] == "2025-06-18"
    assert hello["serverInfo"]["name"] == "Modellix generation"
    asked = call("tools/call", 2, name="modellix_quote", arguments={"model": PICTURE, "input": INPUT})
    answer = await post(url, asked, **key)
    assert message(answer)["result"]["structuredContent"]["model"] == PICTURE
    assert int(answer.headers["x-ratelimit-remaining"]) > 0


async def test_who_may_call(platform, team, url) -> None:
    for header in ({}, {"Authorization": "Bearer mdlx-test-unknown"}, {"Authorization": "Basic eA=="}):
        answer = await post(url, INITIALIZE, **header)
        told = {"code": 401, "message": "Authentication failed: invalid or missing API key"}
        assert (answer.status_code, answer.json()) == (401, told)
        assert answer.headers["www-authenticate"] == "Bearer"
    task = (await team.submit(PICTURE, **INPUT)).data["task_id"]
    await team.finish(task)
    other, live = await platform.team(), await platform.key(team, live=True)
    for stranger in (other, live):
        async with mcp_client(url, stranger.authorization) as client:
            for tool in ("get_task", "wait_task", "cancel_task"):
                error = await refused(client, tool, task_id=task)
                assert (error["status"], error["message"]) == (404, f"Resource not found: task '{task}' not found")
    few = await platform.team(key_rpm=3)
    answers = [await post(url, INITIALIZE, Authorization=few.authorization) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[-1].json()["message"] == "Rate limit exceeded: 3 requests per minute for this API key"
    assert len(answers[-1].headers.get_list("retry-after")) == 1


async def test_refusals_are_results_that_say_what_to_do(platform, team, url) -> None:
    poor = await platform.team(micros=1)
    async with mcp_client(url, poor.authorization) as client:
        error = await refused(client, "submit_task", model=PICTURE, input=INPUT)
        assert (error["status"], error["category"], error["retry"]) == (402, "Insufficient balance", False)
    async with mcp_client(url, team.authorization) as client:
        error = await refused(client, "submit_task", model=PICTURE, input=INPUT, max_cost=0.000001)
        assert "which is more than the 0.000001 USD of parameter 'max_cost'" in error["message"]
        error = await refused(client, "quote", model="alibaba/nothing", input={})
        assert (error["code"], error["category"]) == ("not_found", "Resource not found")
        assert error["docs_url"] == f"{platform.origin}/docs/errors/resource-not-found"
        error = await refused(client, "quote", model=PICTURE, input={"prompt": "a", "colour": 1})
        assert error["message"].startswith("Invalid parameters: unknown parameter 'colour'")
        assert await refused(client, "submit_task", model=PICTURE, input=None) == await refused(
            client, "submit_task", model=PICTURE
        )
        error = await refused(client, "submit_task", model=PICTURE)
        assert error["message"] == "Missing required parameter: parameter 'input' is required"
        error = await refused(client, "quote", model=PICTURE, input=INPUT, speed="fast")
        assert error["message"] == "Invalid parameters: unknown parameter 'speed'; allowed: model, input"
        error = await refused(client, "wait_task", task_id="task-1", timeout_s=1000)
        assert error["message"] == "Invalid parameters: parameter 'timeout_s': expected int <= 300"
        error = await refused(client, "submit_task", model=PICTURE, input=INPUT, webhook_url="http://10.0.0.1/")
        assert error["message"].startswith("Invalid parameters: parameter 'webhook_url'")
        with pytest.raises(Exception, match="there is no such tool"):
            await client.call_tool("modellix_nothing", {})
    assert await platform.tasks_of(team) == 0
    assert await platform.tasks_of(poor) == 0


async def test_the_same_message_again_is_the_same_task(platform, team, url) -> None:
    key = {"Authorization": team.authorization}

    async def submit(number: int, **arguments) -> dict:
        given = {"model": PICTURE, "input": INPUT} | arguments
        sent = call("tools/call", number, name="modellix_submit_task", arguments=given)
        result = message(await post(url, sent, **key))["result"]
        return result["_meta"]["modellix/error"] if result["isError"] else result["structuredContent"]

    first, again, other = await submit(5), await submit(5), await submit(6)
    if first["idempotency_key"] == again["idempotency_key"]:  # the ten minutes did not end between them
        assert (again["task_id"], again["replayed"]) == (first["task_id"], True)
    assert other["task_id"] != first["task_id"]
    named = [await submit(number, idempotency_key="mine") for number in (7, 8)]
    assert named[0]["task_id"] == named[1]["task_id"]
    assert [one["replayed"] for one in named] == [False, True]
    changed = await submit(9, idempotency_key="mine", input={"prompt": "another"})
    assert changed["status"] == 422


async def test_files_are_kept_used_and_deleted(platform, team, url, draw) -> None:
    content = draw.picture(640, 480)
    async with mcp_client(url, team.authorization) as client:
        for text in (base64.b64encode(content).decode(), f"data:image/png;base64,{base64.b64encode(content).decode()}"):
            kept = await run(client, "upload_file", file=text, filename="../sea.png")
            assert (kept["type"], kept["filename"], kept["size"]) == ("image", "sea.png", len(content))
        listed = await run(client, "list_files", limit=1)
        assert [one["file_id"] for one in listed["files"]] == [kept["file_id"]]
        assert len((await run(client, "list_files", cursor=listed["next_cursor"]))["files"]) == 1
        receipt = await run(client, "submit_task", model=EDIT, input={"prompt": "a", "images": [kept["file_id"]]})
        inline = {"prompt": "b", "images": [base64.b64encode(content).decode()]}
        await run(client, "submit_task", model=EDIT, input=inline)
        assert (await run(client, "wait_task", task_id=receipt["task_id"]))["status"] == "success"
        assert await run(client, "delete_file", file_id=kept["file_id"]) == {
            "file_id": kept["file_id"],
            "deleted": True,
        }
        assert (await refused(client, "delete_file", file_id=kept["file_id"]))["status"] == 404
        for bad, told in (
            ("####", "parameter 'file' is not base64"),
            ("aGFsbG8=", "parameter 'file' is not a supported image, video or audio file"),
            ("data:image/png;base64,", "parameter 'file' is empty"),
        ):
            assert (await refused(client, "upload_file", file=bad))["message"] == f"Invalid format: {told}"
    stranger = await platform.team()
    async with mcp_client(url, stranger.authorization) as client:
        other = (await team.get("/api/v1/media/files")).data["files"][0]["file_id"]
        assert (await refused(client, "delete_file", file_id=other))["status"] == 404
        assert (await run(client, "list_files"))["files"] == []
    await platform.spool_is_empty()


async def test_waiting_has_an_end_and_a_task_can_be_canceled(platform, team, url) -> None:
    waits_there = {"prompt": "a [sandbox:queue=60]"}
    async with mcp_client(url, team.authorization) as client:
        receipt = await run(client, "submit_task", model=PICTURE, input=waits_there)
        await platform.reach(receipt["task_id"], lambda row: row["state"] == "running")
        view = await run(client, "wait_task", task_id=receipt["task_id"], timeout_s=1)
        assert view["status"] == "pending"
        canceled = {"status": "failed", "task_id": receipt["task_id"]}
        assert await run(client, "cancel_task", task_id=receipt["task_id"]) == canceled
        result = await client.call_tool("modellix_wait_task", {"task_id": receipt["task_id"]})
        assert (result.is_error, result.structured_content["error"]["code"]) == (False, "canceled")
        assert "/docs/errors/canceled" in result.content[0].text


async def test_calls_are_in_the_request_log(platform, team, url) -> None:
    key = {"Authorization": team.authorization}
    given = {"model": PICTURE, "input": {"prompt": "a", "colour": 1}}
    await post(url, call("tools/call", name="modellix_quote", arguments=given), **key)
    sent = call("tools/call", name="modellix_submit_task", arguments={"model": PICTURE, "input": INPUT})
    task = message(await post(url, sent, **key))["result"]["structuredContent"]["task_id"]

    async def logged() -> list[dict]:
        rows = (await team.get("/api/v1/logs")).data["logs"]
        return [row for row in rows if row["path"].startswith("/mcp/generate")]

    async def both() -> bool:
        return len(await logged()) >= 2

    await eventually(both)
    by_path = {row["path"]: row for row in await logged()}
    quoted = by_path["/mcp/generate#modellix_quote"]
    assert (quoted["status"], quoted["code"], quoted["model"]) == (400, "invalid_parameters", PICTURE)
    assert json.loads(quoted["input"]) == given
    submitted = by_path["/mcp/generate#modellix_submit_task"]
    assert (submitted["task_id"], submitted["model"], submitted["bytes_in"] > 0) == (task, PICTURE, True)


async def test_requests_that_never_reach_a_tool(platform, team, url) -> None:
    key = {"Authorization": team.authorization}
    answer = await post(url, INITIALIZE, Host="evil.example", **key)
    assert (answer.status_code, answer.json()["code"]) == (421, 421)
    answer = await post(url, INITIALIZE, Origin="https://evil.example", **key)
    assert (answer.status_code, answer.json()["message"][:18]) == (403, "Permission denied:")
    port = platform.origin.rpartition(":")[2]
    near = {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"}
    assert (await post(url, INITIALIZE, **near, **key)).status_code == 200
    large = b" " * (5 << 20)
    told = {"code": 413, "message": "Invalid format: the request body is larger than 4 MB"}
    answer = await post(url, large, **key)
    assert (answer.status_code, answer.json()) == (413, told)

    async def chunks():
        for _ in range(5):
            yield b" " * (1 << 20)

    async with httpx2.AsyncClient() as http:
        answer = await http.post(url, content=chunks(), headers={"Content-Type": "application/json"} | key)
        assert (answer.status_code, answer.json()) == (413, told)
        card = await http.get(url)
        assert list(card.json()["capabilities"]["tools"]) == NAMES
        assert card.json()["server"]["transport"] == "http"
        for method, headers in (("GET", {"Accept": "text/event-stream"}), ("DELETE", {}), ("PUT", {})):
            answer = await http.request(method, url, headers=headers | key)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, POST")
    for body in (b"", b"{", b"[]", b"null", b"[" * 100_000, b'{"jsonrpc":"2.0","id":1}'):
        for version in ({}, {"MCP-Protocol-Version": "2026-07-28"}):
            assert (await post(url, body, **key, **version)).status_code == 400, body[:20]
    assert (await team.get("/api/v1/team/balance")).status == 200
    assert "Traceback" not in platform.log("serve")


async def test_a_client_that_goes_while_it_waits_leaves_nothing_behind(platform, team, url) -> None:
    task = (await team.submit(PICTURE, prompt="a [sandbox:slow=600]")).data["task_id"]
    for mode in MODES:
        async with mcp_client(url, team.authorization, mode) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await client.call_tool("modellix_wait_task", {"task_id": task, "timeout_s": 300})
    # A key may follow so many tasks at once: all of them can be followed again.
    waits = [team.get(f"/api/v1/tasks/{task}?wait=1") for _ in range(20)]
    assert {answer.status for answer in await asyncio.gather(*waits)} == {200}


@pytest.mark.full
@pytest.mark.parametrize("mode", [pytest.param("auto", marks=pytest.mark.full), "legacy"])
async def test_a_process_that_ends_answers_who_waits(stage, postgres_server, tmp_path, mode) -> None:
    async with stage(postgres_server, tmp_path) as own:
        team = await own.team()
        task = (await team.submit(PICTURE, prompt="a [sandbox:slow=600]")).data["task_id"]
        given, told = {"task_id": task, "timeout_s": 300}, asyncio.Event()

        async def on_progress(progress: float, total: float | None, words: str | None) -> None:
            told.set()

        async with mcp_client(f"{own.origin}/mcp/generate", team.authorization, mode) as client:
            await client.list_tools()  # whose schemas it validates the answer with
            waiting = asyncio.create_task(client.call_tool("modellix_wait_task", given, progress_callback=on_progress))
            await told.wait()
            own.serving.terminate()
            result = await asyncio.wait_for(waiting, 30)
            assert result.structured_content["status"] == "pending"
        assert await asyncio.to_thread(own.serving.wait, 30) == 0
        assert "Traceback" not in own.log("serve")
