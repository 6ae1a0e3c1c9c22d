"""The shape of every answer: whole key sets, headers, types."""

from __future__ import annotations

import re
import time

ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
LIMIT_HEADERS = {"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}
STANDARD = {
    "x-request-id",
    "content-type", "content-length", "cache-control", "date",
    "content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy",
}  # fmt: skip
TASK = re.compile(r"task-[0-9a-f]{32}")


def has_only(answer, *more: str, limited: bool = True) -> None:
    """The answer's headers are exactly the standard ones and these."""
    assert set(answer.headers) == STANDARD | set(more) | (LIMIT_HEADERS if limited else set())
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    if limited:
        limit, remaining, reset = (int(answer.headers[name]) for name in sorted(LIMIT_HEADERS))
        assert 0 <= remaining < limit
        assert 0 < reset - time.time() <= 60


async def test_the_three_submit_forms_give_one_receipt(platform, team) -> None:
    forms = ("text-to-image/alibaba/qwen-image-plus/async", "alibaba/qwen-image-plus/async", "alibaba/qwen-image-plus")
    for form in forms:
        answer = await team.post(f"/api/v1/{form}", {"prompt": "a cat"})
        has_only(answer)
        assert set(answer.json) == {"code", "message", "data"}
        assert (answer.json["code"], answer.json["message"]) == (0, "success")
        data = answer.data
        assert set(data) == {"status", "task_id", "model_id", "duration", "get_result"}
        assert (data["status"], data["model_id"]) == ("pending", "qwen-image-plus")
        assert TASK.fullmatch(data["task_id"])
        assert type(data["duration"]) is int
        assert 0 <= data["duration"] < 5000
        assert data["get_result"] == {"method": "GET", "url": f"{platform.origin}/api/v1/tasks/{data['task_id']}"}
    assert await platform.tasks_of(team) == 3


async def test_a_docs_name_is_an_alias(team) -> None:
    answer = await team.submit("text-to-image/alibaba/wan-2-6-t2i", prompt="a cat", n=1)
    assert answer.data["model_id"] == "wan2.6-t2i"


async def test_a_pending_task(team) -> None:
    task = (await team.submit("alibaba/qwen-image-plus", prompt="[sandbox:slow=30]")).data["task_id"]
    answer = await team.get(f"/api/v1/tasks/{task}")
    has_only(answer)
    assert answer.data == {"status": "pending", "task_id": task, "model_id": "qwen-image-plus"}


async def test_a_succeeded_task(platform, team) -> None:
    task = (await team.submit("alibaba/qwen-image-plus", prompt="a cat")).data["task_id"]
    await team.finish(task)
    answer = await team.get(f"/api/v1/tasks/{task}")
    has_only(answer)
    data = answer.data
    assert set(data) == {
        "status", "task_id", "model_id", "duration", "result", "billing", "result_expires_at"
    }  # fmt: skip
    assert (data["status"], data["task_id"], data["model_id"]) == ("success", task, "qwen-image-plus")
    assert type(data["duration"]) is int
    assert data["duration"] > 0
    assert set(data["result"]) == {"resources", "metadata", "extensions"}
    (resource,) = data["result"]["resources"]
    url = resource.pop("url")
    assert re.fullmatch(rf"{platform.origin}/results/{task}/0\.png\?expires=\d+&signature=[0-9a-f]{{64}}", url)
    size = resource.pop("size")
    assert size == len((await team.get(url)).body)
    assert resource == {
        "type": "image", "width": 1328, "height": 1328, "format": "png", "role": "primary", "duration": None
    }  # fmt: skip
    assert set(data["result"]["metadata"]) == {"request_id", "image_count"}
    assert data["result"]["metadata"]["image_count"] == 1
    times = data["result"]["extensions"]
    assert set(times) == {"submit_time", "end_time"}
    assert all(ISO.fullmatch(moment) for moment in (*times.values(), data["result_expires_at"]))
    assert data["billing"] == {"amount": 0.0172}


async def test_a_clip_tells_its_seconds(team, draw) -> None:
    first = draw.data_uri(draw.picture())
    data = await team.run("alibaba/wan2.2-i2v-flash", img_url=first, resolution="480P")
    (resource,) = data["result"]["resources"]
    assert set(resource) == {"url", "type", "width", "height", "format", "role", "size", "duration"}
    assert (resource["type"], resource["format"], resource["duration"]) == ("video", "mp4", 5.0)
    assert set(data["result"]["metadata"]) == {"request_id", "video_duration"}
    assert data["result"]["metadata"]["video_duration"] == 5.0


async def test_a_failed_task(team) -> None:
    data = await team.run("alibaba/qwen-image-plus", prompt="[sandbox:moderate]")
    assert set(data) == {
        "status", "task_id", "model_id", "duration", "result", "billing", "result_expires_at", "error"
    }  # fmt: skip
    assert data["status"] == "failed"
    assert data["error"] == {
        "code": "content_rejected",
        "message": "Content rejected: Input data may contain inappropriate content.",
    }
    assert data["billing"] == {"amount": 0.0}
    assert set(data["result"]) == {"resources", "metadata", "extensions"}
    assert data["result"]["resources"] == []


async def test_the_list_of_models(platform, team) -> None:
    answer = await team.get("/api/v1/models")
    has_only(answer)
    assert set(answer.json) == {"code", "message", "data", "models"}
    assert answer.json["models"] == answer.data["models"]
    listed = {entry["slug"]: entry for entry in answer.json["models"]}
    assert len(listed) >= 6
    for entry in listed.values():
        # A model without a price yet has none to show.
        assert set(entry) | {"price"} == {
            *("slug", "type", "provider", "description", "docs_url", "price", "name", "price_usd", "retires"),
            "featured",
        }
        assert entry["docs_url"].startswith(f"{platform.origin}/docs/{entry['provider']}/")
        assert entry["price_usd"] == (entry.get("price", {}).get("fixed") or entry.get("price", {}).get("min"))
    assert listed["alibaba/qwen-image-plus"]["name"] == "Qwen Image Plus"
    assert listed["alibaba/qwen-image-plus"]["price"] == {"fixed": 0.0172, "unit": "$/img"}
    assert listed["alibaba/wan2.2-i2v-flash"]["price"] == {"min": 0.0008, "max": 0.0216, "unit": "$/sec"}


async def test_the_list_of_models_filtered(team) -> None:
    async def slugs(query: str) -> set[str]:
        return {entry["slug"] for entry in (await team.get(f"/api/v1/models?{query}")).json["models"]}

    everything = await slugs("")
    assert len(everything) >= 108
    pictures = await slugs("type=text-to-image")
    assert {"alibaba/qwen-image-plus", "minimax/minimax-image-01-t2i"} <= pictures < everything
    videos = await slugs("category=video")
    assert "alibaba/wan2.6-t2v" in videos
    assert await slugs("category=image") == everything - videos
    by_provider = {name: await slugs(f"provider={name}") for name in {slug.partition("/")[0] for slug in everything}}
    assert set.union(*by_provider.values()) == everything
    assert sum(map(len, by_provider.values())) == len(everything)
    assert {name: len(by_provider[name]) for name in ("alibaba", "bytedance", "minimax")} == {
        "alibaba": 68,
        "bytedance": 25,
        "minimax": 15,
    }
    assert (await team.get("/api/v1/models?provider=nobody")).status == 400
    assert await slugs("nonsense=%ff%00&a=1&a=2") == everything
    assert len(await slugs("page=1")) == 100
    pages = [await slugs(f"page={page}&page_size=100") for page in (1, 2, 3)]
    assert [len(page) for page in pages] == [100, len(everything) - 100, 0]
    assert pages[0] | pages[1] == everything
    featured = (await team.get("/api/v1/models?featured=true")).json["models"]
    # What a newcomer is shown first can be bought, stays, and covers what there is.
    assert all(entry["price_usd"] and entry["retires"] is None and entry["featured"] for entry in featured)
    assert {entry["type"] for entry in featured} == {
        entry["type"] for entry in (await team.get("/api/v1/models")).json["models"]
    }
    assert 8 <= len(featured) <= 16
    assert await slugs("featured=false") == everything - {entry["slug"] for entry in featured}
    (await team.get("/api/v1/models?featured=yes")).refused(
        400, "Invalid format: parameter 'featured' must be true or false"
    )
    (await team.get("/api/v1/models?page_size=0")).refused(
        400, "Invalid format: parameter 'page_size' must be a whole number from 1 on"
    )


async def test_one_model(platform, team) -> None:
    answer = await team.get("/api/v1/models/alibaba/wan2.2-i2v-flash")
    has_only(answer)
    data = answer.data
    assert set(data) == {
        "slug", "type", "provider", "description", "docs_url", "price", "price_usd", "name", "schema", "prices",
        "deadline_s", "retires", "featured", "example", "submit",
    }  # fmt: skip
    assert data["schema"]["type"] == "object"
    assert data["schema"]["required"] == ["img_url"]
    assert data["schema"]["additionalProperties"] is False
    assert {"tier": "480P", "unit": "second", "usd": 0.0008} in data["prices"]
    assert data["submit"] == {
        "method": "POST",
        "url": f"{platform.origin}/api/v1/image-to-video/alibaba/wan2.2-i2v-flash/async",
    }
    assert (await team.get("/api/v1/models/alibaba/wan-2-2-i2v-flash")).data == data


async def test_the_submission_of_a_model_as_clients_of_the_original_read_it(platform, team) -> None:
    """As Modellix's own desktop client does: no key, no redirect; the server is the very address to submit to."""
    stranger = platform.anyone()
    page = "models/alibaba/wan2.2-i2v-flash/api_schema"
    answer = await stranger.get(f"/{page}")
    assert answer.status == 200
    assert answer.json == (await stranger.get(f"/api/v1/{page}")).json
    assert answer.json == (await stranger.get("/models/alibaba/wan-2-2-i2v-flash/api_schema")).json
    assert b"$ref" not in answer.body
    assert [server["url"] for server in answer.json["servers"]] == [
        f"{platform.origin}/api/v1/alibaba/wan2.2-i2v-flash"
    ]
    post = answer.json["post"]
    schema = dict((await team.get("/api/v1/models/alibaba/wan2.2-i2v-flash")).data["schema"])
    schema.pop("$schema")
    assert post["requestBody"]["content"]["application/json"]["schema"] == schema
    accepted = post["responses"]["200"]["content"]["application/json"]["schema"]
    assert "task_id" in accepted["properties"]["data"]["properties"]
    assert {"operationId", "summary", "description", "responses"} <= set(post)
    (await stranger.get("/api/v1/models/alibaba/none/api_schema")).refused(
        404, "Resource not found: model 'alibaba/none' not found"
    )
    assert (await stranger.get("/models/alibaba/none/api_schema")).status == 404


async def test_validate_balance_quote(team) -> None:
    valid = await team.get("/api/v1/apikey/validate")
    has_only(valid)
    assert valid.json == {"code": 0, "message": "success", "data": {"is_valid": True}}
    balance = await team.get("/api/v1/team/balance")
    has_only(balance)
    assert balance.json == {"code": 0, "message": "success", "data": {"balance": 100.0}}
    quote = await team.post("/api/v1/quote", {"model": "alibaba/qwen-image-plus", "input": {"prompt": "a cat"}})
    has_only(quote)
    assert quote.data == {
        "model": "alibaba/qwen-image-plus",
        "cost": 0.0172,
        "cost_micros": 17_200,
        "unit": "image",
        "unit_cost": 0.0172,
        "units": 1,
        "tier": "standard",
    }
    assert type(quote.data["cost_micros"]) is int


async def test_a_validation_never_fails(platform) -> None:
    invalid = {"code": 0, "message": "success", "data": {"is_valid": False}}
    for header in (None, "", "Bearer", "Bearer mdlx-nonsense", "Basic YTpi", "Bearer " + "x" * 5000, "Bearer \xe9"):
        answer = await platform.anyone(header).get("/api/v1/apikey/validate")
        has_only(answer, limited=False)
        assert answer.json == invalid


async def test_health(platform) -> None:
    for path, word in (("/healthz", "ok"), ("/readyz", "ready")):
        answer = await platform.anyone().get(path)
        has_only(answer, limited=False)
        assert answer.data == {"status": word}


async def test_cancel(platform, team) -> None:
    held = await platform.balance_of(team)
    task = (await team.submit("alibaba/qwen-image-plus", prompt="[sandbox:arrears]")).data["task_id"]
    await platform.reach(task, lambda row: row["state"] == "queued" and row["attempt"] == 1)
    answer = await team.post(f"/api/v1/tasks/{task}/cancel")
    has_only(answer)
    assert answer.data == {"status": "failed", "task_id": task}
    data = (await team.get(f"/api/v1/tasks/{task}")).data
    assert data["error"] == {"code": "canceled", "message": "Canceled: canceled before it was started"}
    assert await platform.balance_of(team) == held
    assert (await team.post(f"/api/v1/tasks/{task}/cancel")).data == answer.data
    done = (await team.run("alibaba/qwen-image-plus", prompt="too late"))["task_id"]
    late = await team.post(f"/api/v1/tasks/{done}/cancel")
    late.refused(409, f"Conflict: task '{done}' has ended")
