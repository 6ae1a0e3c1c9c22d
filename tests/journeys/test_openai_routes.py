"""OpenAI's own client, unmodified, against the platform: pictures, edits, models, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI
from PIL import Image
from tests.support.cutting_proxy import cutting_proxy
from tests.support.media_files import Draw
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
    local = await client.images.edit(model="alibaba/wanx2.1-imageedit", prompt="rain", image=house, mask=mask, n=2)
    assert (await params_of(platform, local))["function"] == "description_edit_with_mask"
    assert len(local.data) == 2
    with pytest.raises(openai.BadRequestError, match="takes at most 3 pictures"):
        await client.images.edit(model="alibaba/qwen-image-edit", prompt="rain", image=[house] * 4)
    with pytest.raises(openai.BadRequestError, match="takes no mask"):
        await client.images.edit(model="alibaba/qwen-image-edit", prompt="rain", image=house, mask=mask)
    await platform.spool_is_empty()


async def test_refusals_have_openais_form_and_are_not_sent_again(platform, team) -> None:
    async with client_of(team) as client:
        for error, given in (
            (openai.NotFoundError, {"model": "alibaba/none"}),
            (openai.BadRequestError, {"model": MODEL, "size": "huge"}),
            (openai.BadRequestError, {"model": MODEL, "quality": "high"}),
            (openai.BadRequestError, {"model": MODEL, "extra_body": {"nonsense": 1}}),
            (openai.BadRequestError, {"model": "minimax/hailuo-2.3-t2v"}),
            (openai.BadRequestError, {"model": MODEL, "extra_body": {"stream": True}}),
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
    missing = await team.get("/v1/engines")
    assert (missing.status, missing.json["error"]["code"]) == (404, "no_such_route")


async def test_models(client) -> None:
    ids = [model.id async for model in client.models.list()]
    assert MODEL in ids
    assert len(ids) > 100
    assert (await client.models.retrieve(MODEL)).owned_by == "alibaba"
    assert (await client.models.retrieve("gpt-image-2")).id == "gpt-image-2"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("alibaba/none")


@pytest.mark.parametrize("half_open", [False, True])
async def test_cut_three_times_it_is_one_task_and_one_charge(platform, team, half_open) -> None:
    async with (
        cutting_proxy(team.origin, after_s=1.0, cuts=3, half_open=half_open) as proxy,
        client_of(team, proxy.origin, max_retries=3) as client,
    ):
        answer = await client.images.generate(model=MODEL, prompt="a lake [sandbox:slow=7]")
    assert proxy.cut == 3
    picture_of(answer)
    assert await platform.tasks_of(team) == 1
    assert await platform.balance_of(team) == (100_000_000 - 17_200, 0)
    assert len(await platform.bill(answer.task_id)) == 1


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
