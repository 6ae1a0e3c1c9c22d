"""What a browser is told about every answer, and results on an origin of their own."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from modellix_server.api import on_every_answer

MODEL = "alibaba/qwen-image-plus"
EDIT = "alibaba/qwen-image-edit-plus"
ALWAYS = {"x-content-type-options": "nosniff", "x-frame-options": "DENY", "referrer-policy": "no-referrer"}
CLOSED = "default-src 'none'; frame-ancestors 'none'"


async def raw(origin: str, request: bytes) -> tuple[int, list[tuple[str, str]]]:
    """Status and headers as they come over the wire, doubles included."""
    at = urlsplit(origin)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    writer.write(request)
    head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode("latin-1").split("\r\n")
    writer.close()
    return int(head[0].split()[1]), [tuple(line.lower().split(": ", 1)) for line in head[1:] if line]


async def test_every_answer_has_them_once(platform, team) -> None:
    done = await team.run(MODEL, prompt="a bridge")
    link = done["result"]["resources"][0]["url"].removeprefix(platform.origin)
    key = f"Authorization: {team.authorization}\r\n"
    cases = [
        (200, "GET /healthz", ""),
        (200, "GET /api/v1/openapi.json", ""),
        (304, "GET /api/v1/openapi.json", "If-None-Match: *\r\n"),
        (200, "GET /api/v1/models", key),
        (200, "HEAD /api/v1/models", key),
        (200, f"GET /api/v1/tasks/{done['task_id']}", key),
        (401, "GET /api/v1/models", ""),
        (404, "GET /api/v1/nothing/at/all", key),
        (405, "DELETE /api/v1/models", key),
        (400, f"POST /api/v1/{MODEL}/async", key + "Content-Length: 0\r\n"),
        (400, "G\0T / ", ""),
        (200, "GET /", ""),
        (404, "GET /nothing", ""),
        (303, "GET /console", ""),
        (404, "GET /results/x/y", ""),
        (405, "POST /healthz", ""),
        (200, f"GET {link}", ""),
        (206, f"GET {link}", "Range: bytes=0-9\r\n"),
        (416, f"GET {link}", "Range: bytes=99999999-\r\n"),
        (404, f"GET {link[:-1]}", ""),
    ]
    for status, line, headers in cases:
        got, found = await raw(platform.origin, f"{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
        assert got == status, line
        for name, value in ALWAYS.items():
            assert [seen for given, seen in found if given == name] == [value.lower()], (line, name)
        policies = [value for name, value in found if name == "content-security-policy"]
        if line in ("GET /", "GET /nothing"):  # pages load what is of this installation, and nothing inline
            (policy,) = policies
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; "), line
            assert policy.endswith("frame-ancestors 'none'; base-uri 'none'"), line
        elif line != "GET /console":  # a redirect has no body
            shown = got in (200, 206) and line.endswith(link)
            assert policies == ["default-src 'none'; sandbox" if shown else CLOSED], line
        names = [name for name, _ in found]
        assert not {"server", "x-powered-by", "set-cookie", "strict-transport-security"} & set(names), line
        assert len(names) == len(set(names)), line


def test_https_is_for_good_where_there_is_https(settings) -> None:
    assert "strict-transport-security" not in dict(on_every_answer(settings))
    secure = replace(settings, public_url="https://api.test/")
    assert dict(on_every_answer(secure))["strict-transport-security"] == "max-age=31536000"


async def test_a_result_is_shown_under_its_name_and_cannot_run(platform, team) -> None:
    done = await team.run(MODEL, prompt="a bridge")
    answer = await platform.anyone().get(done["result"]["resources"][0]["url"])
    assert answer.headers["content-disposition"] == f'inline; filename="{done["task_id"]}-0.png"'
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"


@pytest.mark.full
async def test_results_on_an_origin_of_their_own(postgres_server, stage, tmp_path, draw) -> None:
    async with stage(postgres_server, tmp_path, results_url="https://Files.test/") as platform:
        team = await platform.team()
        done = await team.run(MODEL, prompt="a bridge")
        url = done["result"]["resources"][0]["url"]
        assert url.startswith("https://Files.test/results/task-")
        path = url.removeprefix("https://Files.test")
        anyone = platform.anyone()
        for host in ("files.test", "FILES.test", "files.test:443"):
            assert (await anyone.get(path, headers={"Host": host})).status == 200, host
            for page in ("/", "/sign-in", "/console", "/static/tokens.css"):
                assert (await anyone.get(page, headers={"Host": host})).status == 404, (page, host)
        for host in (
            "x",
            urlsplit(platform.origin).netloc,
            "files.test.evil.test",
            "files.test:8443",
            "evil-files.test",
        ):
            assert (await anyone.get(path, headers={"Host": host})).status == 404, host
        # A link of either origin is a link of ours: read from the storage, not fetched.
        for origin in ("https://Files.test", platform.origin):
            edited = await team.run(EDIT, prompt="brighter", images=[origin + path])
            assert edited["status"] == "success", edited
