"""What strangers do to the front of a real server, and that another team and the operator hardly notice."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from tests.support.bystander import MODEL, bystander, memory_mb, open_files
from tests.support.ports import free_port
from tests.support.strangers import strangers
from tests.support.waiting import eventually

LEFT_MB = 30
SOON_S = 1.0
"""For one of a hundred requests, on a machine that other tests use too."""
JAVA = """
import java.net.URI;
import java.net.http.*;
public class Submit {
    public static void main(String[] a) throws Exception {
        HttpRequest asked = HttpRequest.newBuilder(URI.create(a[0])).header("Authorization", a[1])
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString("{\\"prompt\\": \\"a lake\\"}")).build();
        System.out.println(HttpClient.newHttpClient().send(asked, HttpResponse.BodyHandlers.ofString()).body());
    }
}
"""


@pytest.fixture(scope="module")
async def front(postgres_server, stage, tmp_path_factory):
    """A platform with a team of its own, whose one result is as large as a film, and what it is like undisturbed."""
    folder = tmp_path_factory.mktemp("front")
    async with stage(postgres_server, folder, docs_after_s="0") as platform:
        team = await platform.team()
        url = (await team.run(MODEL, prompt="a film"))["result"]["resources"][0]["url"]
        (stored,) = (path for path in (folder / "storage").rglob("*.png"))
        stored.write_bytes(bytes(20_000_000))
        async with strangers(port_of(platform), ("trailers", 70), ("broken_downloads", 50, url)):
            pass  # what is loaded by the first call of its kind
        assert (await platform.anyone().get("/docs")).status == 200  # made and loaded, which takes memory
        async with bystander(platform, team) as quiet:
            await at_rest(platform.serving.pid)
        assert set(quiet.statuses) == {200}
        yield platform, team, url, quiet


def port_of(platform) -> int:
    return int(platform.env["MODELLIX_PORT"])


async def at_rest(pid: int) -> None:
    """Wait until memory does not grow any more: a new process loads some of what it needs after its start."""
    last = 0.0
    while memory_mb(pid) > last + 1:
        last = memory_mb(pid)
        await asyncio.sleep(2)


@pytest.mark.full
@pytest.mark.parametrize(
    "attacks",
    [
        [("small_headers", 6), ("large_header", 3)],
        [("pipelined", 20)],
        [("trailers", 1_000)],
        [("silent", 500), ("half_heads", 200)],
        [("broken_downloads", 200)],
        [("unread_downloads", 100)],
    ],
    ids=lambda attacks: attacks[0][0],
)
async def test_an_attack_leaves_nothing_and_another_team_goes_on(front, attacks) -> None:
    platform, team, url, quiet = front
    pid = platform.serving.pid
    memory, files = memory_mb(pid), open_files(pid)
    given = [(*one, url) if "downloads" in one[0] else one for one in attacks]
    async with bystander(platform, team) as seen:
        async with strangers(port_of(platform), *given):
            await asyncio.sleep(1)
        await eventually(lambda: open_files(pid) <= files + 6)  # the bystander's own, and the database's
    assert {status for status in seen.statuses if status != 200} == set()
    assert seen.share_s(0.9) < max(3 * quiet.share_s(0.9), SOON_S)
    await eventually(lambda: memory_mb(pid) < memory + LEFT_MB)


@pytest.mark.full
@pytest.mark.timeout(900)
async def test_every_attack_for_longer(front) -> None:
    """One after the other, again and again, beside a team whose slowest requests count."""
    platform, team, url, _ = front
    pid = platform.serving.pid
    async with bystander(platform, team) as quiet:
        await asyncio.sleep(30)
    memory, files = memory_mb(pid), open_files(pid)
    async with bystander(platform, team) as seen:
        for _ in range(2):
            for attack in (
                ("small_headers", 6),
                ("large_header", 6),
                ("pipelined", 50),
                ("trailers", 2_500),
                ("silent", 2_000),
                ("half_heads", 500),
                ("broken_downloads", 400, url),
                ("unread_downloads", 200, url),
            ):
                async with strangers(port_of(platform), attack):
                    await asyncio.sleep(2)
        await eventually(lambda: open_files(pid) <= files + 6)
    assert {status for status in seen.statuses if status != 200} == set()
    assert seen.share_s(0.99) < max(3 * quiet.share_s(0.99), SOON_S)
    await eventually(lambda: memory_mb(pid) < memory + LEFT_MB)


@pytest.mark.full
async def test_who_says_nothing_is_sent_away_after_seconds(front) -> None:
    platform, *_ = front
    pid = platform.serving.pid
    files = open_files(pid)
    async with strangers(port_of(platform), ("silent", 100), ("half_heads", 100)):
        assert open_files(pid) > files + 150
        await eventually(lambda: open_files(pid) <= files + 6, within_s=30)


@pytest.mark.full
async def test_who_takes_all_connections_is_sent_away_and_the_rest_goes_on(postgres_server, stage, tmp_path) -> None:
    """With 256 files: connections of all kinds. The next request is answered, log and metrics tell."""
    metrics = f"127.0.0.1:{free_port()}"
    about = {"open_files": 256, "metrics_address": metrics, "address_rpm": "100"}
    async with stage(postgres_server, tmp_path, **about) as platform:
        await all_at_once(platform, metrics, silent=400, half=50, followers=200, broken=50)
        await an_address_is_limited(platform)


@pytest.mark.full
@pytest.mark.timeout(600)
async def test_thousands_at_once(postgres_server, stage, tmp_path) -> None:
    metrics = f"127.0.0.1:{free_port()}"
    async with stage(postgres_server, tmp_path, open_files=1_024, metrics_address=metrics) as platform:
        await all_at_once(platform, metrics, silent=2_000, half=100, followers=2_000, broken=200)


async def all_at_once(platform, metrics: str, *, silent: int, half: int, followers: int, broken: int) -> None:
    team, crowd = await platform.team(), await platform.team()
    waiting = (await crowd.submit(MODEL, prompt="upstream=never")).data["task_id"]
    url = (await team.run(MODEL, prompt="a film"))["result"]["resources"][0]["url"]
    pid = platform.serving.pid
    async with bystander(platform, team), strangers(port_of(platform), ("broken_downloads", 20, url), ("silent", 100)):
        await at_rest(pid)
    memory, files = memory_mb(pid), open_files(pid)
    given = [
        ("silent", silent),
        ("half_heads", half),
        ("followers", followers, f"/api/v1/tasks/{waiting}/stream", crowd.text),
        ("broken_downloads", broken, url),
    ]
    async with bystander(platform, team) as seen:
        async with strangers(port_of(platform), *given):
            begun, answered = time.monotonic(), len(seen.statuses)
            while time.monotonic() - begun < 5:
                assert (await team.get("/readyz")).status == 200
                await asyncio.sleep(0.2)
            await eventually(lambda: len(seen.statuses) > answered + 10)
            async with platform.http.get(f"http://{metrics}/metrics") as answer:
                numbers = await answer.text()
        await eventually(lambda: open_files(pid) <= files + 6)
    assert {status for status in seen.statuses if status != 200} == set()
    assert "too many open files" in platform.log("serve")
    counted = [
        float(numbers.split(f"\nmodellix_connections_{what}_total ")[1].split()[0]) for what in ("reclaimed", "refused")
    ]
    assert sum(counted) > 0
    await eventually(lambda: memory_mb(pid) < memory + LEFT_MB)


async def an_address_is_limited(platform) -> None:
    """Without a valid key. Health checks, signed links and calls with a key are answered all the same."""
    team, nobody = await platform.team(), platform.anyone("Bearer mdlx-test-nonsense")
    statuses = [(await nobody.get("/api/v1/team/balance")).status for _ in range(101)]
    assert statuses == [401] * 100 + [429]
    for path in ("/api/v1/openapi.json", "/sign-in", "/docs"):
        refused = await nobody.get(path)
        assert (refused.status, 0 < int(refused.headers["retry-after"]) <= 61) == (429, True)
    assert (await nobody.get("/healthz")).status == 200
    assert (await nobody.get("/results/x/y")).status == 404
    assert (await team.get("/api/v1/team/balance")).status == 200


@pytest.mark.full
async def test_clients_that_ask_for_http_2_submit(front, tmp_path: Path) -> None:
    """As curl and Java's client ask over plain http: the wish is ignored, and the body counts."""
    platform, team, *_ = front
    url = f"{platform.origin}/api/v1/{MODEL}/async"
    commands = []
    if shutil.which("curl"):
        about = ("-H", "Content-Type: application/json", "-H", f"Authorization: {team.authorization}")
        commands.append(["curl", "-sS", "--http2", "-d", '{"prompt": "a lake"}', *about, url])
    if shutil.which("java"):
        (tmp_path / "Submit.java").write_text(JAVA)
        commands.append(["java", str(tmp_path / "Submit.java"), url, team.authorization])
    if not commands:
        pytest.skip("needs curl or java")
    for command in commands:
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)
        assert b'"task_id"' in done.stdout


@pytest.mark.full
async def test_calls_without_a_key_fill_no_log(front) -> None:
    platform, *_ = front
    rows = "select count(*), coalesce(sum(coalesce(calls, 1)), 0) from requestlog.entry where team_id is null"
    before = await platform.pool.fetchrow(rows)
    many = 1_500
    for _ in range(many // 50):
        await asyncio.gather(*(platform.anyone().get("/api/v1/tasks/nothing-at-all") for _ in range(50)))

    async def counted() -> bool:
        return bool((await platform.pool.fetchrow(rows))[1] >= before[1] + many)

    await eventually(counted, within_s=90)  # once the minute has ended
    written = (await platform.pool.fetchrow(rows))[0] - before[0]
    assert written <= 3 * 320  # two minutes may have ended meanwhile


ROUTES = [
    ("GET", "/healthz"),
    ("GET", "/nothing"),
    ("POST", "/healthz"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/api/v1/models"),
    ("GET", "/api/v1/nothing"),
    ("GET", "/results/x/y"),
    ("GET", "/samples/walk.mp4"),
    ("GET", "/sign-in"),
    ("GET", "/console"),
    ("GET", "/docs"),
    ("POST", "/mcp"),
    ("POST", "/mcp/generate"),
    ("POST", "/sign-in"),
    ("POST", "/api/v1/keys/leaked"),
    ("POST", "/api/v1/alibaba/qwen-image-plus/async"),
    ("POST", "/callbacks/x/y"),
    ("POST", "/payments/stripe/events"),
]


@pytest.mark.full
async def test_no_route_leaves_anything_to_the_garbage_collector(front) -> None:
    """Bodies of 64 KB, whose connection ends before them: memory would grow by 90 MB if they were kept."""
    platform, *_ = front
    pid = platform.serving.pid

    def abandon(method: str, path: str) -> None:
        with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port_of(platform))) as one:
            head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n"
            one.sendall(head.encode() + bytes(65_536))

    def rounds(count: int) -> None:
        for _ in range(count):
            for method, path in ROUTES:
                abandon(method, path)

    await asyncio.to_thread(rounds, 5)
    memory = memory_mb(pid)
    await asyncio.to_thread(rounds, 80)
    await eventually(lambda: memory_mb(pid) < memory + LEFT_MB)
