"""The site over HTTP: for people, for programs, for caches."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR
from tests.support.browsers import Visitor
from tests.support.platform_processes import Platform, open_platform
from tests.support.ports import free_port
from tests.support.waiting import eventually

from modellix_server.docsite.for_programs import PATHS

MINE = """
name = "Mine <b>bold</b>"
like = "alibaba/qwen-image-plus"
summary = "A <script>model</script> of my own."
docs_slug = "mine"
[confidence]
id = "confirmed"
inputs = "mine"
price = "mine"
"""


@pytest.fixture(scope="module")
async def platform(postgres_server, tmp_path_factory) -> AsyncIterator[Platform]:
    folder = tmp_path_factory.mktemp("docsite")
    (folder / "models" / "acme").mkdir(parents=True)
    (folder / "models" / "acme" / "mine.toml").write_text(MINE, encoding="utf-8")
    async with open_platform(postgres_server, folder, catalogue_dir=str(folder / "models")) as opened:
        yield opened


@pytest.fixture
def visitor(platform: Platform) -> Visitor:
    return Visitor(platform.origin)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/docs", '<h1 id="overview">Overview'),
        ("/docs/zh", "概览"),
        ("/docs/get-started/pricing", "qwen-image-plus"),
        ("/docs/alibaba/wan-2-6-t2v", "wan2.6-t2v"),
        ("/docs/zh/alibaba/wan-2-6-t2v", "参数"),
        ("/docs/api-reference/query-task-result", "GET /api/v1/tasks/{task_id}"),
        ("/docs/errors/rate-limit-exceeded", "Retry-After"),
        ("/docs/zh/self-hosting/promises", "本页只有英文版"),
        ("/docs/search?q=rate+limit", "Rate limit exceeded"),
    ],
)
async def test_a_page(visitor: Visitor, path: str, shown: str) -> None:
    page = await visitor.get(path)
    assert page.status == 200
    assert shown in page.text
    assert len(page.text.encode()) < 100_000
    assert "script-src 'self'; style-src 'self'" in page.headers["Content-Security-Policy"]
    assert " style=" not in page.text
    assert not re.search(r"<script(?![^>]* src=)", page.text)
    for address in re.findall(r'(?:href|src)="(/docs/static/[^"]+)"', page.text):
        asset = await visitor.get(address)
        assert (asset.status, asset.headers["Cache-Control"]) == (200, "public, max-age=31536000, immutable")


async def test_a_page_is_markdown_for_who_asks_for_it(visitor: Visitor) -> None:
    by_name = await visitor.get("/docs/quickstart.md")
    by_header = await visitor.get("/docs/quickstart", Accept="text/markdown, text/html")
    assert by_name.text == by_header.text
    assert by_name.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert f"{visitor.origin}/docs/llms.txt" in by_name.text.partition("# Quickstart")[0]
    assert "<html" in (await visitor.get("/docs/quickstart", Accept="text/html, text/markdown")).text
    assert "no translation" in (await visitor.get("/docs/zh/self-hosting/promises.md")).text


async def test_a_language_that_there_is_not_falls_back_and_says_so(visitor: Visitor) -> None:
    for given, there in (
        ("/docs/fr/quickstart", "/docs/quickstart?language=fr"),
        ("/docs/pt-BR/pricing.md", "/docs/get-started/pricing.md?language=pt-BR"),
        ("/docs/de", "/docs/get-started/index?language=de"),
    ):
        moved = await visitor.get(given)
        assert (moved.status, moved.headers["Location"]) == (302, there)
        assert re.search(
            r"no documentation in the language|no translation of this page", (await visitor.get(there)).text
        )
    for path in ("/docs/fr/none", "/docs/xx/yy/zz"):
        assert (await visitor.get(path)).status == 404
    assert "no documentation in the language" not in (await visitor.get("/docs/quickstart?language=<b>")).text


async def test_an_error_leads_to_its_page(visitor: Visitor, platform: Platform) -> None:
    team = await platform.team()
    refusals = [
        await platform.anyone().get("/api/v1/models"),
        await team.post("/api/v1/quote", {"model": "acme/mine", "input": {"prompt": 3}}),
        await team.post("/api/v1/text-to-image/acme/mine/async", {"promt": "a"}),
        await team.get(f"/api/v1/tasks/task-{'0' * 32}"),
    ]
    assert [one.status for one in refusals] == [401, 400, 400, 404]
    for one in refusals:
        found = re.fullmatch(r'<(\S+)>; rel="help"', one.headers["link"])
        assert found
        assert set(one.json) == {"code", "message"}
        category = one.json["message"].partition(":")[0]
        page = (await visitor.get(found[1].removeprefix(visitor.origin))).text
        assert re.search(rf"<h1 [^>]*>{category}</h1>", page)


async def test_what_did_not_change_is_not_sent_again(visitor: Visitor) -> None:
    for path in ("/docs/quickstart", "/docs/quickstart.md", "/llms.txt"):
        first = await visitor.get(path)
        again = await visitor.get(path, If_None_Match=first.headers["Etag"])
        assert (again.status, again.text) == (304, "")


async def test_addresses_that_agents_know_lead_on(visitor: Visitor) -> None:
    for given, there in (
        ("/docs/alibaba/wan2.6-t2v", "/docs/alibaba/wan-2-6-t2v"),
        ("/docs/how-to-use/steps.md", "/docs/ways-to-use/steps.md"),
        ("/docs/zh/pricing", "/docs/zh/get-started/pricing"),
    ):
        page = await visitor.get(given)
        assert (page.status, page.headers["Location"]) == (308, there)


async def test_an_unknown_page_says_what_may_be_meant(visitor: Visitor) -> None:
    page = await visitor.get("/docs/guides/webhooks")
    assert page.status == 404
    assert "/docs/following-a-task" in page.text
    as_text = await visitor.get("/docs/guides/webhooks.md")
    assert (as_text.status, as_text.text.splitlines()[0]) == (404, "# There is no such page")
    assert (await visitor.get("/docs/files/../pyproject.toml")).status == 404
    assert (await visitor.post("/docs/quickstart", {})).status == 405


async def test_what_programs_look_for(visitor: Visitor) -> None:
    for path in PATHS:
        assert (await visitor.get(path)).text == (await visitor.get(f"/docs{path}")).text
    index = (await visitor.get("/llms.txt")).text
    assert index.startswith("# Modellix\n")
    links = re.findall(r"^- \[[^\n]+\]\((\S+)\)", index, re.MULTILINE)
    assert len(links) > 200
    for link in [one for one in links if one.endswith(".md")][::25]:
        assert (await visitor.get(link.removeprefix(visitor.origin))).status == 200, link


async def test_the_api_is_described_as_a_whole_and_by_provider(visitor: Visitor) -> None:
    whole = json.loads((await visitor.get("/openapi.json")).text)
    assert whole == json.loads((await visitor.get("/api/v1/openapi.json")).text)
    index = (await visitor.get("/llms.txt")).text
    parts = {}
    for provider in ("acme", "alibaba", "bytedance", "minimax"):
        assert f"({visitor.origin}/openapi/{provider}.json)" in index
        part = parts[provider] = json.loads((await visitor.get(f"/openapi/{provider}.json")).text)
        assert OPENAPI_31_VALIDATOR.is_valid(part)
        assert part["info"]["title"] == f"Modellix: {provider}"
        assert "/api/v1/tasks/{task_id}" in part["paths"]
    assert "/api/v1/text-to-image/acme/mine/async" in parts["acme"]["paths"]
    assert "acme.mine" in parts["acme"]["components"]["schemas"]
    assert not any("acme" in path for path in parts["alibaba"]["paths"])
    assert set(whole["paths"]) >= set().union(*(part["paths"] for part in parts.values()))
    assert (await visitor.get("/openapi/none.json")).status == 404


async def test_the_skill_says_what_an_agent_needs(visitor: Visitor) -> None:
    skill = (await visitor.get("/skill.md")).text
    head = skill.split("---")[1]
    assert re.search(r"^name: [a-z0-9-]{1,64}$", head, re.MULTILINE)
    assert re.search(r"^description: .{20,1024}$", head, re.MULTILINE)
    for word in (
        *(
            "Authorization: Bearer",
            "Idempotency-Key",
            "X-Max-Cost",
            "X-Queue: wait",
            "Retry-After",
            "X-RateLimit-Reset",
        ),
        *("/api/v1/models", "/api/v1/quote", "/async", "/api/v1/tasks/{task_id}?wait=10", "/api/v1/media/files"),
        *("24 hours", "mdlx-test-", "/mcp", "llms.txt", "content_rejected", visitor.origin),
    ):
        assert word in skill, word
    assert "{origin}" not in skill


async def test_the_operator_s_own_model_is_shown_and_its_markup_is_not(visitor: Visitor, platform: Platform) -> None:
    page = await visitor.get("/docs/acme/mine")
    assert "Mine &lt;b&gt;bold&lt;/b&gt;" in page.text
    assert "<script>model" not in page.text
    assert "acme/mine" in (await visitor.get("/llms.txt")).text
    assert "/docs/acme/mine" in (await visitor.get("/docs/search?q=acme+mine")).text
    team = await platform.team()
    listed = (await team.get("/api/v1/models?provider=acme")).json["models"]
    assert [one["docs_url"] for one in listed] == [f"{visitor.origin}/docs/acme/mine"]


async def test_search_as_somebody_types_is_a_piece(visitor: Visitor) -> None:
    piece = await visitor.get("/docs/search?q=web", HX_Request="true")
    assert piece.text.lstrip().startswith("<ol")
    for query in ("", "%3Cscript%3E", "a" * 10_000, "title:(", "%00"):
        page = await visitor.get(f"/docs/search?q={query}")
        assert page.status == 200
        assert "<script>" not in page.text
    assert "there is no documentation of version" in (await visitor.get("/docs/search?q=x&version=9")).text


@pytest.mark.full
async def test_documentation_with_a_host_of_its_own(postgres_server, tmp_path) -> None:
    port = free_port()
    own = f"http://localhost:{port}"
    async with open_platform(postgres_server, tmp_path, port=str(port), docs_url=own) as opened:
        docs, api = Visitor(own), Visitor(opened.origin)
        assert opened.origin != own
        page = await docs.get("/alibaba/qwen-image-plus")
        assert 'href="/get-started/pricing"' in page.text
        assert 'href="/static/tokens.css' in page.text
        assert (await docs.get("/zh/quickstart")).status == 200
        assert "快速开始" in (await docs.get("/zh/quickstart.md")).text
        assert f"({own}/quickstart.md)" in (await api.get("/llms.txt")).text
        moved = await api.get("/docs/quickstart")
        assert (moved.status, moved.headers["Location"]) == (308, f"{own}/quickstart")
        assert (await api.get("/console")).status == 303
        assert (await docs.get("/sign-in")).status == 404
        team = await opened.team()
        (model,) = (await team.get("/api/v1/models?provider=alibaba")).json["models"][:1]
        assert model["docs_url"].startswith(f"{own}/alibaba/")


@pytest.mark.full
async def test_prices_are_new_for_the_next_reader(visitor: Visitor, platform: Platform) -> None:
    assert "0.4321" not in (await visitor.get("/docs/acme/mine")).text
    done = platform.start("admin", "price", "set", "acme/mine", "--usd", "0.4321")
    assert await asyncio.to_thread(done.wait, 60) == 0, platform.log("admin")
    for address in ("/docs/acme/mine", "/docs/get-started/pricing", "/docs/acme/mine.md"):
        await eventually(lambda address=address: _has(visitor, address, "0.4321"))


async def _has(visitor: Visitor, address: str, text: str) -> bool:
    return text in (await visitor.get(address)).text


async def test_the_console_is_still_there(visitor: Visitor) -> None:
    assert (await visitor.get("/console")).status == 303
    assert (await visitor.get("/static/tokens.css")).status == 200
    assert (await visitor.get("/docsx")).status == 404
