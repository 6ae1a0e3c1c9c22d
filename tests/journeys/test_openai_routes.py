"""OpenAI's own client, unmodified, against the platform: pictures, edits, models, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import sys
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI
from PIL import Image
from tests.support.cutting_proxy import cutting_proxy
from tests.support.faulty_proxy import open_proxy
from tests.support.media_files import Draw
from tests.support.ports import free_port
from tests.support.waiting import eventually

MODEL = "alibaba/qwen-image-plus"


def client_of(team, origin: str | None = None, **more: Any) -> AsyncOpenAI:
    return AsyncOpenAI(api_key=team.text, base_url=f"{origin or team.origin}/v1", **more)


@pytest.fixture
async def client(team):
    async with client_of(team) as made:
        yield made


def picture_of(answer: Any, place: int = 0) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(answer.data[place].b64_json)))
    image.load()
    return image


def hole() -> bytes:
    """A mask as large as the drawn pictures, transparent in the middle."""
    image = Image.new("RGBA", Image.open(io.BytesIO(Draw().picture())).size, "white")
    image.paste((0, 0, 0, 0), (8, 8, 64, 64))
    content = io.BytesIO()
    image.save(content, "PNG")
    return content.getvalue()


async def params_of(platform, answer: Any) -> dict[str, Any]:
    return dict(json.loads((await platform.row(answer.task_id))["params"]))


async def test_a_picture(platform, team, client) -> None:
    answer = await client.images.generate(model=MODEL, prompt="a lake", size="1024x1024", extra_body={"seed": 7})
    assert picture_of(answer).size == (1328, 1328)  # the closest that the model has
    assert (answer.size, answer.output_format, answer.model) == ("1328x1328", "png", MODEL)
    asked = await params_of(platform, answer)
    assert (asked["seed"], asked["size"]) == (7, "1328*1328")
    assert answer.billing == {"amount": 0.0172}
    assert await platform.balance_of(team) == (100_000_000 - 17_200, 0)
    linked = await client.images.generate(model=MODEL, prompt="a lake", response_format="url")
    async with team.http.get(linked.data[0].url) as got:
        assert (got.status, got.content_type) == (200, "image/png")
    assert await platform.tasks_of(team) == 2
    await platform.log_is_written(team)
    calls = (await team.get("/api/v1/logs?model=" + MODEL)).data["logs"]
    assert {(call["path"], call["status"], call["task_id"] is None) for call in calls} == {
        ("/v1/images/generations", 200, False)
    }


async def test_one_picture_where_a_model_makes_four_by_default_and_as_many_as_asked_for(platform, client) -> None:
    model = "alibaba/wan2.6-t2i"
    one = await client.images.generate(model=model, prompt="a lake")
    several = await client.images.generate(model=model, prompt="a lake", n=3, size="1792x1024")
    assert [len(one.data), len(several.data)] == [1, 3]
    width, height = picture_of(several, 2).size
    assert abs(width / height - 1.75) < 0.02
    with pytest.raises(openai.BadRequestError, match="between 1 and 4") as refused:
        await client.images.generate(model=model, prompt="a lake", n=5)
    assert refused.value.param == "n"
    with pytest.raises(openai.BadRequestError, match="makes one picture at a time") as refused:
        await client.images.generate(model=MODEL, prompt="a lake", n=2)
    assert refused.value.param == "n"


async def test_an_edit_with_a_mask_and_several_pictures(platform, team, client, draw) -> None:
    house, boat, mask = draw.picture(), draw.picture(), hole()
    answer = await client.images.edit(
        model="gpt-image-1.5", prompt="rain", image=[("a.png", house), ("b.png", boat)], mask=mask, quality="high",
        extra_body={"input_fidelity": "high"},
    )  # fmt: skip
    assert answer.model == "openai/gpt-image-1.5-edit"
    assert answer.quality == "high"
    asked = await params_of(platform, answer)
    assert len(asked["images"]) == 2
    assert asked["mask"].startswith("sha256:")
    assert asked["input_fidelity"] == "high"
    picture_of(answer)
    unnamed = (None, house, "image/png")
    local = await client.images.edit(model="alibaba/wanx2.1-imageedit", prompt="rain", image=unnamed, mask=mask, n=2)
    assert (await params_of(platform, local))["function"] == "description_edit_with_mask"
    assert len(local.data) == 2
    with pytest.raises(openai.BadRequestError, match="takes at most 3 pictures"):
        await client.images.edit(model="alibaba/qwen-image-edit", prompt="rain", image=[house] * 4)
    with pytest.raises(openai.BadRequestError, match="takes no mask"):
        await client.images.edit(model="alibaba/qwen-image-edit", prompt="rain", image=house, mask=mask)
    await platform.spool_is_empty()


@pytest.mark.parametrize("name", ["image", "images"])
async def test_an_edit_of_data_uris(platform, team, draw, name) -> None:
    """As JSON, in every form: alone, in a list, in an object."""
    uri = draw.data_uri(draw.picture())
    for given in (uri, [uri], {"image_url": uri}, {"url": uri}, [{"image_url": uri}, {"url": uri}]):
        answer = await team.post("/v1/images/edits", {"model": "gpt-image-1.5", "prompt": "rain", name: given})
        assert answer.status == 200, answer.json
        asked = json.loads((await platform.row(answer.json["task_id"]))["params"])
        assert all(one.startswith("sha256:") for one in asked["images"])


async def test_refusals_have_openais_form_and_are_not_sent_again(platform, team) -> None:
    async with client_of(team) as client:
        for error, given in (
            (openai.NotFoundError, {"model": "alibaba/none"}),
            (openai.BadRequestError, {"model": MODEL, "size": "huge"}),
            (openai.BadRequestError, {"model": MODEL, "quality": "high"}),
            (openai.BadRequestError, {"model": MODEL, "extra_body": {"nonsense": 1}}),
            (openai.BadRequestError, {"model": "minimax/hailuo-2.3-t2v"}),
            (openai.BadRequestError, {"model": MODEL, "extra_body": {"stream": "perhaps"}}),
            (openai.BadRequestError, {"model": MODEL, "stream": True, "size": "huge"}),
            (openai.BadRequestError, {"model": MODEL, "output_format": "webp"}),
            (openai.BadRequestError, {"model": MODEL, "background": "transparent"}),
        ):
            with pytest.raises(error) as refused:
                await client.images.generate(prompt="a lake", **given)
            assert refused.value.response.headers["x-should-retry"] == "false"
            assert refused.value.body["message"]
        with pytest.raises(openai.BadRequestError) as moderated:
            await client.images.generate(model=MODEL, prompt="[sandbox:moderate]")
        assert moderated.value.code == "moderation_blocked"
        with pytest.raises(openai.InternalServerError) as failed:
            await client.images.generate(model=MODEL, prompt="[sandbox:fail]")
        assert (failed.value.status_code, failed.value.code) == (502, "upstream_refused")
    async with AsyncOpenAI(api_key="mdlx-none", base_url=f"{team.origin}/v1") as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.models.list()
    poor = await platform.team(micros=0)
    async with client_of(poor) as client:
        with pytest.raises(openai.APIStatusError) as unpaid:
            await client.images.generate(model=MODEL, prompt="a lake")
        assert (unpaid.value.status_code, unpaid.value.type) == (402, "insufficient_quota")
    assert await platform.tasks_of(team) == 2
    assert await platform.tasks_of(poor) == 0
    assert await platform.balance_of(team) == (100_000_000, 0)
    assert await platform.pool.fetchval("select count(*) from tasks.sending where team_id = $1", poor.id) == 0
    filled = {"data": b"model=a&prompt=b", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
    assert b"must be JSON or multipart" in (await team.call("POST", "/v1/images/generations", **filled)).body
    for path, words in (("engines", "there are images"), ("images/variations", "POST /v1/images/edits changes")):
        missing = await team.post(f"/v1/{path}", {})
        assert (missing.status, missing.json["error"]["code"]) == (404, "no_such_route")
        assert words in missing.json["error"]["message"]


@pytest.mark.full
async def test_words_that_ask_for_nothing_special_are_taken_by_every_model(client) -> None:
    usual = {"background": "opaque", "moderation": "low", "output_compression": 100, "quality": "auto", "size": "auto"}
    usual |= {"output_format": "png"}
    answer = await client.images.generate(model=MODEL, prompt="a lake", n=1, user="me", style="auto", **usual)
    assert answer.size == "1328x1328"


@pytest.mark.parametrize("base", ["", "/api/v1"])
async def test_a_wrong_base_url_is_told_as_such(team, base) -> None:
    async with AsyncOpenAI(api_key=team.text, base_url=team.origin + base) as client:
        with pytest.raises(openai.NotFoundError, match="base URL of OpenAI's clients is this address with '/v1'"):
            await client.images.generate(model=MODEL, prompt="a lake")


async def test_pictures_as_events(platform, team, client, draw) -> None:
    """The answer begins before the task has ended; vendors tell no intermediate states, and none are made up."""
    several = {"model": "alibaba/wan2.6-t2i", "prompt": "a lake [sandbox:slow=1]", "n": 2}
    stream = await client.images.generate(**several, stream=True, partial_images=2)
    begun = await platform.pool.fetchval(
        "select count(*) from tasks.task where finished_at is null and team_id = $1", team.id
    )
    events = [event async for event in stream]
    assert begun == 1
    assert [event.type for event in events] == ["image_generation.completed"] * 2
    for event in events:
        image = Image.open(io.BytesIO(base64.b64decode(event.b64_json)))
        assert f"{image.width}x{image.height}" == event.size
    assert events[0].b64_json != events[1].b64_json
    assert (events[0].model, events[0].output_format) == (several["model"], "png")
    assert await platform.balance_of(team) == (100_000_000 - 60_000, 0)
    edits = await client.images.edit(model="gpt-image-1.5", prompt="rain", image=draw.picture(), stream=True)
    (edited,) = [event async for event in edits]
    assert (edited.usage, edited.quality, edited.background) == (None, "auto", "auto")  # which its type insists on
    assert (edited.type, edited.model) == ("image_edit.completed", "openai/gpt-image-1.5-edit")
    stream = await client.images.generate(model=MODEL, prompt="[sandbox:moderate]", stream=True)
    with pytest.raises(openai.APIError, match="Content rejected") as refused:
        await anext(aiter(stream))
    assert refused.value.code == "moderation_blocked"
    answer = await team.post("/v1/images/generations", {"model": MODEL, "prompt": "a", "stream": True})
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.body.count(b"event: ") == 1
    linked = {"model": MODEL, "prompt": "a", "stream": True, "response_format": "url"}
    assert b'"url":"http' in (await team.post("/v1/images/generations", linked)).body


async def test_a_stream_that_is_cut_goes_on_in_a_retry(platform, team) -> None:
    asked = {"model": MODEL, "prompt": "a lake [sandbox:slow=2]"}
    async with cutting_proxy(team.origin, after_s=1.0, cuts=1) as proxy, client_of(team, proxy.origin) as client:
        stream = await client.images.generate(**asked, stream=True)
        with pytest.raises(openai.APIConnectionError):
            await anext(aiter(stream))
    async with client_of(team) as client:
        again = {"x-stainless-retry-count": "1"}
        picture_of(await client.images.generate(**asked, extra_headers=again))
    assert await platform.tasks_of(team) == 1


async def test_models(client) -> None:
    ids = [model.id async for model in client.models.list()]
    assert MODEL in ids
    assert len(ids) > 100
    assert (await client.models.retrieve(MODEL)).owned_by == "alibaba"
    assert (await client.models.retrieve("gpt-image-2")).id == "gpt-image-2"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("alibaba/none")


@pytest.mark.parametrize(
    ("edit", "half_open", "after_s", "slow"),
    [
        # tests/clients/test_javascript.py does it with OpenAI's other client
        pytest.param(False, False, 1, 7, marks=pytest.mark.full),
        (True, True, 1, 7),
        pytest.param(True, True, 100, 310, marks=[pytest.mark.full, pytest.mark.timeout(600)]),
    ],
)
async def test_cut_three_times_it_is_one_task_and_one_charge(
    platform, team, draw, edit, half_open, after_s, slow
) -> None:
    async with (
        cutting_proxy(team.origin, after_s=after_s, cuts=3, half_open=half_open) as proxy,
        client_of(team, proxy.origin, max_retries=3) as client,
    ):
        if edit:
            model, house = "alibaba/wanx2.1-imageedit", ("house.png", draw.picture())
            answer = await client.images.edit(
                model=model, prompt=f"rain [sandbox:slow={slow}]", image=house, mask=hole()
            )
        else:
            answer = await client.images.generate(model=MODEL, prompt=f"a lake [sandbox:slow={slow}]")
    assert proxy.cut == 3
    picture_of(answer)
    await one_task_and_one_charge(platform, team, answer.task_id, "dashscope")


@pytest.mark.full
@pytest.mark.filterwarnings("ignore:The Sora API is scheduled:DeprecationWarning")
@pytest.mark.parametrize("frame", [False, True])
async def test_a_video_whose_answer_is_lost_three_times_is_one_task_and_one_charge(platform, team, draw, frame) -> None:
    with open_proxy(team.origin) as proxy:
        proxy.spoil("/v1/videos", "cut", 3)
        async with client_of(team, proxy.origin, max_retries=3) as client:
            given = {"input_reference": ("a.png", draw.picture())} if frame else {}
            video = await client.videos.create(model="minimax/hailuo-2.3-t2v", prompt="go", seconds="6", **given)
    assert [path for _, path, _ in proxy.seen] == ["/v1/videos"] * 4
    await platform.reach(video.id, lambda row: row["finished_at"] is not None)
    await one_task_and_one_charge(platform, team, video.id, "minimax")


async def one_task_and_one_charge(platform, team, task: str, upstream: str) -> None:
    assert await platform.tasks_of(team) == 1
    captured = (await platform.row(task))["captured"]
    assert captured > 0
    assert await platform.balance_of(team) == (100_000_000 - captured, 0)
    assert len(await platform.bill(task, upstream)) == 1


_IMPATIENT = """
from modellix_server.api.openai_api import images
from modellix_server.cli.app import app
images.LONGEST_WAIT_S = 1.0
app()
"""


@pytest.mark.full
async def test_what_takes_longer_than_the_longest_wait_is_waited_for_by_retries(platform, team) -> None:
    """By an API process of its own, which waits 1 s in place of 280."""
    port = free_port()
    env = platform.env | {"MODELLIX_PORT": str(port), "MODELLIX_METRICS_ADDRESS": ""}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _IMPATIENT, "serve", env=env)
    try:
        origin, asked = f"http://127.0.0.1:{port}", {"model": MODEL, "prompt": "a lake [sandbox:slow=4]"}
        await eventually(lambda: answers(platform, f"{origin}/readyz"))
        async with client_of(team, origin, max_retries=9) as client:
            response = await client.images.with_raw_response.generate(**asked)
            assert response.retries_taken >= 2
            answer = response.parse()
            picture_of(answer)
            await one_task_and_one_charge(platform, team, answer.task_id, "dashscope")
            with pytest.raises(openai.InternalServerError, match="send the same request again") as told:
                await client.with_options(max_retries=0).images.generate(**asked)
        assert (told.value.status_code, told.value.code) == (504, "still_running")
        assert told.value.response.headers["x-should-retry"] == "true"
    finally:
        process.terminate()
        await process.wait()


async def answers(platform, url: str) -> bool:
    with contextlib.suppress(aiohttp.ClientConnectionError):
        async with platform.http.get(url) as answer:
            return bool(answer.status == 200)
    return False


async def test_equal_requests_that_are_no_retries_are_tasks_of_their_own(platform, team) -> None:
    async with client_of(team) as client:
        both = await asyncio.gather(
            *(client.images.generate(model=MODEL, prompt="a lake [sandbox:slow=1]") for _ in range(2))
        )
        third = await client.images.generate(model=MODEL, prompt="a lake [sandbox:slow=1]")
        assert len({answer.task_id for answer in (*both, third)}) == 3
        kept = {"Idempotency-Key": "lake-1"}
        same = [await client.images.generate(model=MODEL, prompt="a lake", extra_headers=kept) for _ in range(2)]
        assert same[0].task_id == same[1].task_id
    assert await platform.tasks_of(team) == 4


async def test_both_of_two_equal_requests_that_were_cut_get_their_own_picture(platform, team) -> None:
    async with (
        cutting_proxy(team.origin, after_s=1.0, cuts=2) as proxy,
        client_of(team, proxy.origin) as client,
    ):
        both = await asyncio.gather(
            *(client.images.generate(model=MODEL, prompt="a lake [sandbox:slow=3]") for _ in range(2))
        )
    assert proxy.cut == 2
    assert len({answer.task_id for answer in both}) == 2
    assert await platform.tasks_of(team) == 2


@pytest.mark.full
async def test_a_request_refused_for_now_gets_a_task_of_its_own_when_it_is_sent_again(platform) -> None:
    team = await platform.team(concurrency=1)
    async with client_of(team, max_retries=5) as client:
        both = await asyncio.gather(
            *(client.images.generate(model=MODEL, prompt="a lake [sandbox:slow=1]") for _ in range(2))
        )
    assert len({answer.task_id for answer in both}) == 2
    assert await platform.tasks_of(team) == 2


async def test_a_client_that_does_not_count_finds_the_task_whose_answer_it_did_not_get(platform, team) -> None:
    body = {"model": MODEL, "prompt": "a lake [sandbox:slow=2]"}
    gone = asyncio.create_task(team.post("/v1/images/generations", body))
    await eventually(lambda: platform.tasks_of(team))
    gone.cancel()
    lost = "select count(*) from tasks.sending where team_id = $1 and state = 'lost'"
    await eventually(lambda: platform.pool.fetchval(lost, team.id))
    found = await team.post("/v1/images/generations", body)
    assert found.status == 200
    assert await platform.tasks_of(team) == 1
    another = await team.post("/v1/images/generations", body)
    assert another.json["task_id"] != found.json["task_id"]
