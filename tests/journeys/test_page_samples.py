"""Every code sample of the documentation runs, against a real server in test mode."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks import Webhook
from tests.support.page_samples import Reader, Sample, samples_of
from tests.support.ports import free_port

from modellix_server.catalogue import Catalogue
from modellix_server.docsite.generated.endpoints import endpoint_slug
from modellix_server.docsite.written import written_pages
from modellix_server.openapi.operations import OPERATIONS

OTHERS = ("ways-to-use/cli", "self-hosting/add-a-model", "self-hosting/add-an-upstream")
"""Pages that are followed elsewhere: `tests/clients/test_pages.py`, `test_recipes.py`."""
PAGES = {
    f"{page.language}/{page.slug}": page
    for page in written_pages()
    if page.place.startswith("docs/site/") and samples_of(page.text) and page.slug not in OTHERS
}
"""Pages with samples."""
TWINS = {
    name
    for name, page in PAGES.items()
    if name.startswith("zh/") and samples_of(page.text) == samples_of(PAGES[f"en/{page.slug}"].text)
}
"""Pages whose samples are those of the English page to the letter: `make test` runs them once, for that page."""
LONG = {
    *("en/ways-to-use/javascript", "en/ways-to-use/mcp", "en/ways-to-use/openai", "zh/quickstart"),
    *("en/workflows/batch", "en/workflows/image-editing", "en/workflows/video-with-audio"),
}
"""Pages that make films, or start many programs."""
PACKAGES = re.compile(r'^import .* from "(?!node:)', re.MULTILINE)
"""Samples in JavaScript that need more than Node itself."""
SERVES = "ways-to-use/webhooks"
"""Its Python sample is a server: it has a test of its own."""


@pytest.fixture
async def reader(platform, tmp_path: Path) -> Reader:
    """A reader with a key of a team with the usual limits, and a finished task."""
    return await arrive(platform, tmp_path, concurrency=None)


async def arrive(platform, folder: Path, **limits: int | None) -> Reader:
    team = await platform.team(**limits)
    done = await team.run("text-to-image/alibaba/qwen-image-plus", prompt="a")
    env = {"ORIGIN": platform.origin, "KEY": team.text, "TASK": done["task_id"]}
    env |= {"MODELLIX_BASE_URL": platform.origin, "MODELLIX_API_KEY": team.text, "HOME": str(folder)}
    return Reader(folder, env)


def pages(names: Iterable[str]) -> list[Any]:
    """Parameters of a test of these pages."""
    return [pytest.param(name, marks=pytest.mark.full if name in TWINS | LONG else ()) for name in names]


def programs(page: str, language: str) -> list[Sample]:
    return [one for one in samples_of(PAGES[page].text) if one.language == language]


def test_samples_are_found() -> None:
    languages = {one.language for page in PAGES.values() for one in samples_of(page.text)}
    assert languages == {"sh", "python", "javascript"}
    assert len(PAGES) > 20


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", pages(sorted(PAGES)))
async def test_the_samples_of_a_page(reader: Reader, name: str, request: pytest.FixtureRequest) -> None:
    text = PAGES[name].text
    if PACKAGES.search(text):
        request.getfixturevalue("javascript").link(reader.folder)
    if PAGES[name].slug == SERVES:
        text = re.sub(r"^```python\n.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    await reader.follow(text)
    assert reader.ran


async def test_a_wrong_sample_is_found(reader: Reader) -> None:
    for text in (
        "```python\nraise SystemExit(3)\n```\n",
        '```sh\ncurl -sS "$ORIGIN/api/v1/none" -H "Authorization: Bearer $KEY"\n```\n',
    ):
        with pytest.raises(AssertionError):
            await reader.follow(text)


async def of_model(reader: Reader, platform, slug: str) -> None:
    async with aiohttp.ClientSession() as http, http.get(f"{platform.origin}/docs/{slug}.md") as answer:
        page = await answer.text()
    found = samples_of(page)
    assert [one.language for one in found] == ["sh", "python", "javascript", "sh"]
    await reader.follow(page)


@pytest.mark.full
async def test_the_samples_of_a_model(reader: Reader, platform) -> None:
    await of_model(reader, platform, "alibaba/qwen-image-plus")


@pytest.mark.full
@pytest.mark.parametrize("model", [f"{one.provider}/{one.docs_slug}" for one in Catalogue.load()])
async def test_the_samples_of_every_model(reader: Reader, platform, model: str) -> None:
    await of_model(reader, platform, model)


async def test_the_samples_of_every_route(platform, tmp_path: Path) -> None:
    """In the order of GET, POST, PATCH, DELETE, each with things of the team in place of what its page leaves open.

    Those of OpenAI's form are called by its own clients, in tests of their own.
    """
    reader = await arrive(platform, tmp_path)
    key = {"Authorization": f"Bearer {reader.env['KEY']}"}
    async with aiohttp.ClientSession(platform.origin, headers=key) as http:

        async def made(path: str, **body: object) -> dict:
            async with http.post(f"/api/v1/{path}", **body) as answer:
                return (await answer.json())["data"]

        form = aiohttp.FormData()
        (reader.folder / "picture.png").write_bytes(await drawn(http))
        form.add_field("file", (reader.folder / "picture.png").read_bytes(), filename="picture.png")
        hook = await made("webhooks", json={"url": "https://example.com/hook"})
        reader.env |= {"TASK_ID": reader.env["TASK"], "FILE_ID": (await made("media/files", data=form))["file_id"]}
        reader.env |= {"ENDPOINT_ID": hook["id"], "MESSAGE_ID": f"msg_{'0' * 32}"}
        pages = {
            route: f"/docs/{endpoint_slug(operation)}.md"
            for route, operation in OPERATIONS.items()
            if " /v1/" not in route
        }
        refused = {}
        for route in sorted(pages, key=lambda route: ("GET", "POST", "PATCH", "DELETE").index(route.split()[0])):
            async with http.get(pages[route]) as answer:
                (sample,) = samples_of(await answer.text())
            await reader.run(Sample("sh", sample.text.replace("curl -sS", "curl -sS -o said -w '%{http_code}'")))
            if reader.printed.strip() != "200":
                refused[route] = reader.printed.strip()
    assert refused == {
        "POST /api/v1/tasks/{task_id}/cancel": "409",  # it has ended
        "POST /api/v1/webhooks/deliveries/{message_id}/replay": "404",  # there is none
    }


async def drawn(http: aiohttp.ClientSession) -> bytes:
    async with http.get("/samples/bottle.png") as answer:
        return await answer.read()


class BadLine:
    """What stands between a program and the platform: it answers in its place, or takes the answer away."""

    def __init__(self, origin: str, faults: dict[str, list[str]]) -> None:
        self._origin, self._faults = origin, faults
        self.asked: list[str] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        fault = next(iter(self._faults[request.method]), "")
        self._faults[request.method] = self._faults[request.method][1:]
        self.asked.append(f"{request.method} {fault}".strip())
        if fault == "429":
            headers = {"X-RateLimit-Reset": str(int(time.time()) + 1), "Retry-After": "1", "X-Request-Id": "r"}
            return web.json_response({"code": 429, "message": "Rate limit exceeded: 1"}, status=429, headers=headers)
        if fault in ("500", "503"):
            headers = {"Retry-After": "1"} if fault == "503" else {}
            return web.json_response({"code": int(fault), "message": "x: y"}, status=int(fault), headers=headers)
        headers = {
            name: request.headers[name]
            for name in ("Authorization", "Content-Type", "Idempotency-Key")
            if name in request.headers
        }
        url = f"{self._origin}{request.path_qs}"
        async with (
            aiohttp.ClientSession() as http,
            http.request(request.method, url, headers=headers, data=await request.read()) as passed,
        ):
            body = await passed.read()
        if fault == "cut":
            assert request.transport is not None
            request.transport.close()
        return web.Response(body=body, status=passed.status, headers={"Content-Type": "application/json"})

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        await runner.cleanup()


@pytest.mark.parametrize("language", ["python", pytest.param("javascript", marks=pytest.mark.full)])
@pytest.mark.parametrize("page", pages(["en/ways-to-use/idempotency", "zh/ways-to-use/idempotency"]))
async def test_the_recovery_recovers(reader: Reader, platform, page: str, language: str) -> None:
    """429, 503 and a connection cut after the task was accepted; then 500 for a status read: one task, one charge."""
    (program,) = programs(page, language)
    team = await platform.team()
    line = BadLine(platform.origin, {"POST": ["429", "503", "cut"], "GET": ["500"]})
    async with line.open() as origin:
        reader.env |= {"ORIGIN": origin, "KEY": team.text}
        await reader.run(program)
    assert line.asked[:5] == ["POST 429", "POST 503", "POST cut", "POST", "GET 500"]
    assert await platform.tasks_of(team) == 1
    assert len(reader.printed.split()) == 1, "one file"
    spent = [
        one["amount"] for one in (await team.get("/api/v1/team/ledger")).data["ledger"] if one["kind"] == "capture"
    ]
    assert len(spent) == 1


async def test_the_recovery_gives_up_where_it_must(reader: Reader, platform) -> None:
    (program,) = programs("en/ways-to-use/idempotency", "python")
    for faults, asked in (({"POST": ["503"] * 9, "GET": []}, 4), ({"POST": ["500"] * 9, "GET": []}, 4)):
        line = BadLine(platform.origin, faults)
        async with line.open() as origin:
            reader.env["ORIGIN"] = origin
            quick = program.text.replace("2**attempt + random.random()", "0.01")
            with pytest.raises(AssertionError, match="gave up after 4 attempts"):
                await reader.run(Sample("python", quick))
        assert len(line.asked) == asked
    wrong = program.text.replace('"prompt"', '"promt"')
    reader.env["ORIGIN"] = platform.origin
    with pytest.raises(AssertionError, match="Refused"):
        await reader.run(Sample("python", wrong))


@pytest.mark.parametrize("page", pages([f"en/{SERVES}", f"zh/{SERVES}"]))
async def test_the_receiver_of_webhooks(tmp_path: Path, page: str) -> None:
    """It takes what is signed, once, and nothing that is forged, altered or old."""
    (program,) = programs(page, "python")
    (tmp_path / "receiver.py").write_text(program.text, encoding="utf-8")
    secret, port = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", free_port()
    env = os.environ | {"WEBHOOK_SECRET": secret, "PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "receiver.py", cwd=tmp_path, env=env, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    task = {"task_id": "task-1", "status": "success", "result": {"resources": [{"url": "https://x/0.png"}]}}
    body = json.dumps({"code": 0, "message": "success", "data": task})

    async def post(name: str, at: float, sent: str, signed: str) -> int:
        signature = Webhook(secret).sign(name, datetime.fromtimestamp(int(at), UTC), signed)
        headers = {"webhook-id": name, "webhook-timestamp": str(int(at)), "webhook-signature": f"v1,no {signature}"}
        async with aiohttp.ClientSession() as http:
            for _ in range(100):
                with contextlib.suppress(aiohttp.ClientConnectorError):
                    async with http.post(f"http://127.0.0.1:{port}/", data=sent, headers=headers) as answer:
                        return answer.status
                await asyncio.sleep(0.1)
        raise AssertionError("it does not listen")

    try:
        now = time.time()
        assert await post("msg_1", now, body, body) == 204
        assert await post("msg_1", now, body, body) == 204
        assert await post("msg_2", now, body, body + " ") == 401
        assert await post("msg_3", now - 600, body, body) == 401
        assert await post("msg_4", now, body, body) == 204
        heard = [(await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip() for _ in range(2)]
        assert heard == ["task-1 success ['https://x/0.png']"] * 2, "msg_1 once, and msg_4"
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("page", pages([f"en/{SERVES}", f"zh/{SERVES}"]))
async def test_the_check_of_signatures_in_javascript(reader: Reader, page: str) -> None:
    (program,) = programs(page, "javascript")
    secret, now, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", int(time.time()), '{"code":0}'
    signature = Webhook(secret).sign("msg_1", datetime.fromtimestamp(now, UTC), body)
    told = {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": f"v1,no {signature}"}
    cases = ((told, body), (told, body + " "), (told | {"webhook-timestamp": str(now - 600)}, body), ({}, body))
    calls = "".join(
        f"console.log(isGenuine({json.dumps(said)}, {json.dumps(text)}, {secret!r}));\n" for said, text in cases
    )
    await reader.run(Sample("javascript", program.text + calls))
    assert reader.printed.split() == ["true", "false", "false", "false"]
