"""Every refusal: exact status, category and message; no money moves and no task is made."""

from __future__ import annotations

import asyncio
import json
import time
import uuid

import pytest

from modellix_server import identity
from modellix_server.identity import keys

PICTURE_MODEL = "alibaba/qwen-image-plus"
NO_KEY = "Authentication failed: invalid or missing API key"
HALF_PAIR = "Invalid format: a text in the JSON has half of a character (an unpaired surrogate)"
BAD_JSON = "Invalid format: invalid JSON format"
TOO_LARGE = "Invalid format: the request body is larger than 64 MB"
EDIT = "alibaba/qwen-image-edit-plus"
SIZES = "1664*928, 1472*1140, 1328*1328, 1140*1472, 928*1664"
PARAMETERS = "prompt, negative_prompt, size, n, seed, prompt_extend"
LINK = "https://example.com/a.png"


@pytest.fixture
async def untouched(platform, team):
    """The team, and afterwards the proof that nothing happened to it."""
    before = await platform.balance_of(team)
    yield team
    assert await platform.balance_of(team) == before
    assert await platform.tasks_of(team) == 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Missing required parameter: parameter 'prompt' is required"),
        ({"prompt": 5}, "Invalid parameters: parameter 'prompt' must be a string, got 5"),
        ({"prompt": None}, "Invalid parameters: parameter 'prompt' must be a string, got null"),
        ({"prompt": ["a"]}, "Invalid parameters: parameter 'prompt' must be a string, got an array"),
        ({"prompt": ""}, "Value out of range: parameter 'prompt' must have between 1 and 800 characters, got 0"),
        (
            {"prompt": "x" * 801},
            "Value out of range: parameter 'prompt' must have between 1 and 800 characters, got 801",
        ),
        ({"prompt": "a\0b"}, "Invalid format: parameter 'prompt' must not contain NUL characters"),
        ({"prompt": "a", "n": 2}, "Value out of range: parameter 'n' must be 1, got 2"),
        ({"prompt": "a", "n": 1.5}, "Invalid parameters: parameter 'n' must be an integer, got 1.5"),
        ({"prompt": "a", "n": True}, "Invalid parameters: parameter 'n' must be an integer, got true"),
        ({"prompt": "a", "n": "1"}, "Invalid parameters: parameter 'n' must be an integer, got '1'"),
        (
            {"prompt": "a", "seed": 10**20},
            "Value out of range: parameter 'seed' must be between 0 and 2147483647, got 100000000000000000000",
        ),
        (
            {"prompt": "a", "size": "1024"},
            "Invalid format: parameter 'size' must be in format 'width*height', got '1024'",
        ),
        (
            {"prompt": "a", "size": "1328x1328"},
            "Invalid format: parameter 'size' must be in format 'width*height', got '1328x1328'",
        ),
        (
            {"prompt": "a", "size": "1*1"},
            f"Value out of range: parameter 'size' must be one of {SIZES}, got '1*1'",
        ),
        (
            {"prompt": "a", "stpes": 5},
            f"Invalid parameters: unknown parameter 'stpes'; allowed: {PARAMETERS}",
        ),
        ({"Prompt": "a"}, "Missing required parameter: parameter 'prompt' is required"),
    ],
)
async def test_bad_parameters(untouched, given: dict, message: str) -> None:
    (await untouched.submit(PICTURE_MODEL, **given)).refused(400, message)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", BAD_JSON),
        (b"{", BAD_JSON),
        (b'{"prompt":"a"} x', BAD_JSON),
        (b"{'prompt':'a'}", BAD_JSON),
        (b'{"prompt":NaN}', BAD_JSON),
        (b'{"prompt":Infinity}', BAD_JSON),
        (b'{"prompt":"\\ud800"}', HALF_PAIR),
        (b'{"prompt":"a\nb"}', BAD_JSON),
        (b"\xef\xbb\xbf\xef\xbb\xbf{}", BAD_JSON),
        ('{"prompt":"a"}'.encode("utf-16"), "Invalid format: the body is not valid UTF-8"),
        (b'{"prompt":"\xff"}', "Invalid format: the body is not valid UTF-8"),
        (b'{"prompt":"\xed\xa0\x80"}', "Invalid format: the body is not valid UTF-8"),
        (b"[" * 10_000 + b"]" * 10_000, "Invalid format: the JSON is nested too deeply"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "Invalid format: the JSON is nested too deeply"),
        (
            b'{"prompt":[' + b'{"a":1},' * 5_001 + b"1]}",
            "Invalid format: the JSON has more than 10,000 parts, which nothing here takes",
        ),
        (b"[]", "Invalid format: the request body must be a JSON object"),
        (b"null", "Invalid format: the request body must be a JSON object"),
        (b'"prompt"', "Invalid format: the request body must be a JSON object"),
    ],
    ids=lambda value: repr(value[:12]),
)
@pytest.mark.parametrize("model", [PICTURE_MODEL, EDIT])
async def test_broken_bodies(untouched, model: str, body: bytes, message: str) -> None:
    (await untouched.post(f"/api/v1/{model}", body)).refused(400, message)


@pytest.mark.parametrize("padding", [300_000, 3_000_000])
async def test_broken_bodies_that_are_large(untouched, padding: int) -> None:
    """A large body takes another way through the platform; the words are the same."""
    space = b" " * padding
    for body, message in (
        (space + b"{", BAD_JSON),
        (space + b"", BAD_JSON),
        (space + b'{"prompt":NaN}', BAD_JSON),
        (space + b'{"prompt":"\xff"}', "Invalid format: the body is not valid UTF-8"),
        (space + b"[" * 10_000, "Invalid format: the JSON is nested too deeply"),
        (space + b"[]", "Invalid format: the request body must be a JSON object"),
        (space + b"{}", "Missing required parameter: parameter 'prompt' is required"),
    ):
        (await untouched.post(f"/api/v1/{PICTURE_MODEL}", body)).refused(400, message)
    long = json.dumps({"prompt": "x" * padding}).encode()
    too_long = await untouched.post(f"/api/v1/{PICTURE_MODEL}", long)
    assert too_long.status == 400
    too_long.refused(400, "Invalid format: the body is too large without its media")


async def test_media_that_is_none(untouched, draw) -> None:
    good = draw.data_uri(draw.picture())
    address = "must be an http(s) URL, a data URI, base64 or the id of an uploaded file"
    bad_port = "must be a link whose port is a number from 1 to 65535"
    too_long, without = "must be a link of at most 2048 characters", "must be a link without a user and a password"
    wanted = "must be an http(s) URL without spaces or non-ASCII characters, a data URI, base64 or the id of an upload"
    for images, message in (
        (None, "Invalid parameters: parameter 'images' must be an array, got null"),
        (LINK, "Invalid parameters: parameter 'images' must be an array, got 'https://example.com/a.png'"),
        ([], "Value out of range: parameter 'images' must have between 1 and 3 items, got 0"),
        ([LINK] * 4, "Value out of range: parameter 'images' must have between 1 and 3 items, got 4"),
        ([5], "Invalid parameters: parameter 'images[0]' must be a string, got 5"),
        (["http://"], "Invalid format: parameter 'images[0]' must be a link with a host"),
        (["https:///a.png"], "Invalid format: parameter 'images[0]' must be a link with a host"),
        (["https://:443/a.png"], "Invalid format: parameter 'images[0]' must be a link with a host"),
        *(
            ([f"https://a.example:{port}/b.png"], f"Invalid format: parameter 'images[0]' {bad_port}")
            for port in ("0", "65536", "99999", "https", "-1")
        ),
        (["https://ex ample.com/"], f"Invalid format: parameter 'images[0]' {wanted}, got 'https://ex ample.com/'"),
        (
            ["ftp://example.com/a.png"],
            f"Invalid format: parameter 'images[0]' {address}, got 'ftp://example.com/a.png'",
        ),
        (["file:///etc/passwd"], f"Invalid format: parameter 'images[0]' {address}, got 'file:///etc/passwd'"),
        ([good[:-5] + "*"], "Invalid format: parameter 'images[0]' is not valid base64"),
        ([good[:-5]], "Invalid format: parameter 'images[0]': the png file is broken"),
        (good, f"Invalid parameters: parameter 'images' must be an array, got '{good[:60]}…'"),
        ([f"https://a.example/{'b' * 2031}"], f"Invalid format: parameter 'images[0]' {too_long}, got 2049"),
        (["https://me:hush@a.example/b.png"], f"Invalid format: parameter 'images[0]' {without}"),
        (["data:image/png;base64"], "Invalid format: parameter 'images[0]' must be a base64 data URI"),
        (["data:image/png,abc"], "Invalid format: parameter 'images[0]' is not a supported image, video or audio file"),
        (["aGVsbG8="], "Invalid format: parameter 'images[0]' is not a supported image, video or audio file"),
        (
            ["sha256:" + "0" * 64],
            "Invalid format: parameter 'images[0]' must be a URL, a data URI, base64 or the id of an uploaded file",
        ),
        ([""], "Invalid format: parameter 'images[0]' is empty"),
    ):
        (await untouched.submit(EDIT, prompt="a", images=images)).refused(400, message)


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("text-to-image/alibaba/nothing/async", "text-to-image/alibaba/nothing"),
        ("alibaba/nothing/async", "alibaba/nothing"),
        ("alibaba/nothing", "alibaba/nothing"),
        ("nobody/qwen-image-plus", "nobody/qwen-image-plus"),
        ("image-to-image/alibaba/qwen-image-plus/async", "image-to-image/alibaba/qwen-image-plus"),
        ("text-to-video/alibaba/qwen-image-plus/async", "text-to-video/alibaba/qwen-image-plus"),
        ("nonsense/alibaba/qwen-image-plus/async", "nonsense/alibaba/qwen-image-plus"),
        ("text-to-image/Alibaba/qwen-image-plus/async", "text-to-image/Alibaba/qwen-image-plus"),
        ("text-to-image/alibaba/Qwen-Image-Plus/async", "text-to-image/alibaba/Qwen-Image-Plus"),
        ("Text-To-Image/alibaba/qwen-image-plus/async", "Text-To-Image/alibaba/qwen-image-plus"),
        ("alibaba/%00%ff", "alibaba/��"),
        ("alibaba/" + "x" * 6000, "alibaba/" + "x" * 71 + "…"),
    ],
)
async def test_no_such_model(untouched, path: str, shown: str) -> None:
    answer = await untouched.post(f"/api/v1/{path}", {"prompt": "a"})
    answer.refused(404, f"Resource not found: model '{shown}' not found")


async def test_keys_that_are_none(platform, untouched) -> None:
    good = untouched.text
    flawed = good[:-1] + ("A" if good[-1] != "A" else "B")
    for header in (
        None, "", "Bearer", "Bearer ", good, f"Basic {good}", f"Token {good}", f"Bearer {good}x", f"Bearer{good}",
        f"Bearer {flawed}", f"Bearer {good} {good}", f"Bearer  {good[:-10]}", f"Bearer {good.upper()}",
        f"Bearer {keys.mint(live=False)}", f"Bearer {keys.mint(live=True)}", "Bearer mdlx-test-" + "é" * 36,
        "Bearer " + "x" * 7000,
    ):  # fmt: skip
        client = platform.anyone(header)
        task = f"task-{uuid.uuid4().hex}"
        for answer in (
            await client.submit(PICTURE_MODEL, prompt="a"),
            await client.submit("nobody/nothing", prompt="a"),
            await client.get(f"/api/v1/tasks/{task}"),
            await client.post(f"/api/v1/tasks/{task}/cancel"),
            await client.get("/api/v1/models"),
            await client.get("/api/v1/models/alibaba/qwen-image-plus"),
            await client.get("/api/v1/team/balance"),
            await client.post("/api/v1/quote", {}),
        ):
            answer.refused(401, NO_KEY)
            assert not any(name.startswith("x-ratelimit") for name in answer.headers)
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_scheme_may_be_written_in_any_case(platform, untouched) -> None:
    for scheme in ("bearer", "BEARER", "BeArEr"):
        assert (await platform.anyone(f"{scheme} {untouched.text}").get("/api/v1/team/balance")).status == 200


async def test_a_revoked_key_ends_at_once(platform, untouched) -> None:
    other = await platform.key(untouched)
    assert (await other.get("/api/v1/team/balance")).status == 200
    await identity.revoke_key(platform.pool, other.key.id)
    (await other.submit(PICTURE_MODEL, prompt="a")).refused(401, NO_KEY)
    (await other.get(f"/api/v1/tasks/task-{uuid.uuid4().hex}")).refused(401, NO_KEY)
    assert (await other.get("/api/v1/apikey/validate")).data == {"is_valid": False}
    assert (await untouched.get("/api/v1/team/balance")).status == 200


async def test_what_belongs_to_others_is_not_there(platform, team) -> None:
    task = (await team.submit(PICTURE_MODEL, prompt="[sandbox:arrears]")).data["task_id"]
    stranger = await platform.team()
    own_live_key = await platform.key(team, live=True)
    for other in (stranger, own_live_key):
        (await other.get(f"/api/v1/tasks/{task}")).refused(404, f"Resource not found: task '{task}' not found")
        cancel = await other.post(f"/api/v1/tasks/{task}/cancel")
        cancel.refused(404, f"Resource not found: task '{task}' not found")
    sibling = await platform.key(team)
    assert (await sibling.get(f"/api/v1/tasks/{task}")).data["status"] == "pending"
    # Mended by hand: the vendor of this task never takes it.
    await platform.reach(task, lambda row: row["state"] == "queued" and row["attempt"] > 0)
    assert (await sibling.post(f"/api/v1/tasks/{task}/cancel")).status == 200


async def test_no_such_task(untouched) -> None:
    unknown = f"task-{uuid.uuid4().hex}"
    for name, shown in (
        (unknown, unknown),
        (unknown.upper(), unknown.upper()),
        ("task-abc123", "task-abc123"),
        (str(uuid.uuid4())[:8], None),
        ("%F0%9F%90%88", "🐈"),
        ("%00", "�"),
        ("a" * 3000, "a" * 79 + "…"),
        ("';%20drop%20table%20tasks.task;%20--", "'; drop table tasks.task; --"),
    ):
        answer = await untouched.get(f"/api/v1/tasks/{name}")
        answer.refused(404, f"Resource not found: task '{name if shown is None else shown}' not found")


async def test_no_money(platform) -> None:
    poor = await platform.team(17_199)
    (await poor.submit(PICTURE_MODEL, prompt="a")).refused(
        402, "Insufficient balance: the available balance does not cover this task; top up or lower the cost"
    )
    assert await platform.balance_of(poor) == (17_199, 0)
    assert await platform.tasks_of(poor) == 0


async def test_too_many_at_once(platform) -> None:
    team = await platform.team(concurrency=None)
    held = [(await team.submit(PICTURE_MODEL, prompt="[sandbox:slow=6]")).data["task_id"] for _ in range(3)]
    before = await platform.balance_of(team)
    sent_at = time.time()
    answer = await team.submit(PICTURE_MODEL, prompt="a")
    answer.refused(429, "Concurrent limit exceeded: team limit of 3 running tasks")
    assert answer.headers["retry-after"] == "5"
    assert abs(int(answer.headers["x-ratelimit-reset"]) - sent_at - 5) <= 1.5
    assert int(answer.headers["x-ratelimit-limit"]) == 1_000_000
    assert await platform.balance_of(team) == before
    assert await platform.tasks_of(team) == 3
    await asyncio.gather(*(team.finish(task) for task in held))
    assert (await team.submit(PICTURE_MODEL, prompt="a")).status == 200


async def test_too_many_a_minute(platform) -> None:
    team = await platform.team(rpm=None, key_rpm=None)
    first = await team.get("/api/v1/team/balance")
    assert (first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == ("100", "99")
    for path in ("/api/v1/models", "/api/v1/apikey/validate"):
        await team.get(path)
    answers = await asyncio.gather(*(team.get("/api/v1/team/balance") for _ in range(97)))
    assert {answer.status for answer in answers} == {200}
    task = f"task-{uuid.uuid4().hex}"
    for refused in (
        await team.get("/api/v1/team/balance"),
        await team.get(f"/api/v1/tasks/{task}"),
        await team.submit(PICTURE_MODEL, prompt="a"),
        await team.submit("nobody/nothing"),
    ):
        refused.refused(429, "Rate limit exceeded: 100 requests per minute for this API key")
        assert refused.headers["x-ratelimit-remaining"] == "0"
        wait = int(refused.headers["x-ratelimit-reset"]) - time.time()
        assert abs(int(refused.headers["retry-after"]) - wait) <= 2
        assert 0 < wait <= 60
    # A validation is counted and never refused; another key of the team has its own count.
    assert (await team.get("/api/v1/apikey/validate")).data == {"is_valid": True}
    assert (await (await platform.key(team)).get("/api/v1/team/balance")).status == 200
    assert await platform.tasks_of(team) == 0


async def test_the_team_has_a_limit_over_all_its_keys(platform) -> None:
    team = await platform.team(rpm=5, key_rpm=4)
    other = await platform.key(team)
    for _ in range(4):
        assert (await team.get("/api/v1/team/balance")).status == 200
    last = await other.get("/api/v1/team/balance")
    assert (last.headers["x-ratelimit-limit"], last.headers["x-ratelimit-remaining"]) == ("5", "0")
    refused = await other.get("/api/v1/team/balance")
    refused.refused(429, "Rate limit exceeded: 5 requests per minute for this team")


async def test_the_order_of_refusals(platform) -> None:
    """401, rate 429, 404, 400, 503, 402, concurrency 429: the earlier one is told when several apply."""
    broke = await platform.team(0, live=True, concurrency=0, rpm=4)
    (await platform.anyone().submit("nobody/nothing")).refused(401, NO_KEY)
    (await broke.submit("nobody/nothing")).refused(404, "Resource not found: model 'nobody/nothing' not found")
    (await broke.submit(PICTURE_MODEL)).refused(400, "Missing required parameter: parameter 'prompt' is required")
    no_account = await broke.submit(PICTURE_MODEL, prompt="a")
    no_account.refused(503, "Service unavailable: provider temporarily unavailable")
    assert no_account.headers["retry-after"] == "60"
    test_key = await platform.key(broke)
    no_money = await test_key.submit(PICTURE_MODEL, prompt="a")
    assert no_money.status == 402
    assert (await broke.get("/api/v1/team/balance")).status == 200
    (await broke.submit("nobody/nothing")).refused(429, "Rate limit exceeded: 4 requests per minute for this team")
    rich = await platform.team(concurrency=0)
    (await rich.submit(PICTURE_MODEL, prompt="a")).refused(
        429, "Concurrent limit exceeded: team limit of 0 running tasks"
    )
    assert await platform.tasks_of(broke) + await platform.tasks_of(rich) == 0


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_100_megabytes(platform, untouched, chunked: bool) -> None:
    size, piece = 100 * 1024 * 1024, b" " * (1 << 20)

    async def stream():
        for _ in range(size // len(piece)):
            yield piece

    headers = {} if chunked else {"Content-Length": str(size)}
    short = "Invalid format: a quote needs no bytes of media: send a URL in their place, it is not fetched"
    for path, message in ((f"/api/v1/{PICTURE_MODEL}", TOO_LARGE), ("/api/v1/quote", short)):
        answer = await untouched.call("POST", path, data=stream(), headers=headers)
        answer.refused(413, message)
    await platform.spool_is_empty()


async def test_quotes_refused(untouched) -> None:
    for query, message in (
        ({}, "Missing required parameter: parameter 'model' is required"),
        ({"model": PICTURE_MODEL}, "Missing required parameter: parameter 'input' is required"),
        ([], "Invalid format: the request body must be a JSON object"),
        ({"model": 5, "input": {}}, "Invalid parameters: parameter 'model' must be a string, got 5"),
        (
            {"model": PICTURE_MODEL, "input": []},
            "Invalid parameters: parameter 'input' must be an object, got an array",
        ),
        ({"model": PICTURE_MODEL, "input": {}}, "Missing required parameter: parameter 'prompt' is required"),
        (
            {"model": PICTURE_MODEL, "input": {"prompt": "a"}, "n": 1},
            "Invalid parameters: unknown parameter 'n'; allowed: model, input",
        ),
    ):
        (await untouched.post("/api/v1/quote", query)).refused(400, message)
    (await untouched.post("/api/v1/quote", b"{")).refused(400, BAD_JSON)
    for model in (
        "alibaba/nothing",
        "alibaba",
        "",
        "text-to-image/alibaba/qwen-image-plus",
        "alibaba/qwen-image-plus/",
    ):
        (await untouched.post("/api/v1/quote", {"model": model, "input": {}})).refused(
            404, f"Resource not found: model '{model}' not found"
        )
