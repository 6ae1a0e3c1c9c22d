"""Files that DashScope is given before a submission: which policy is asked for, and what is sent where."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from modellix_server.catalogue import Catalogue
from modellix_server.upstreams.adapters.dashscope import upstream
from modellix_server.upstreams.contract import (
    Answer,
    AnswerLost,
    Busy,
    Failed,
    MediaFile,
    Order,
    TakesFiles,
    UnmappedAnswer,
)

MODEL = Catalogue.load().models["alibaba/wan2.6-r2v"]
A, B = "sha256:" + "a" * 64, "https://here.example/results/task-1/0.mp4?signature=1"
POLICY: dict[str, Any] = {
    "policy": "cG9saWN5",
    "signature": "sign",
    "upload_dir": "dashscope-instant/1",
    "upload_host": "https://dashscope-file-sgp.oss-ap-southeast-1.aliyuncs.com",
    "expire_in_seconds": 300,
    "max_file_size_mb": "not told",
    "oss_access_key_id": "LTAI",
    "x_oss_object_acl": "private",
    "x_oss_forbid_overwrite": "true",
}


async def nothing():
    yield b""


def order(size: int = 10) -> Order:
    params = MODEL.check({"prompt": A, "reference_urls": ["https://example.com/a.png", A, B, A]}) | {"prompt": "a"}
    files = {A: MediaFile("a.png", "image/png", size, nothing), B: MediaFile("0.mp4", "video/mp4", size, nothing)}
    return Order("task-00-1", MODEL.routes[0], params, key="sk-test", region="cn", files=files)


class Wire:
    def __init__(self, answer: Answer, stored: int | Exception = 200) -> None:
        self.answer, self.stored = answer, stored
        self.asked: list[Any] = []
        self.uploads: list[tuple[str, dict[str, str], str]] = []

    async def call(self, method, path, *, json=None, headers=None) -> Answer:
        self.asked.append((method, path, json, headers))
        return self.answer

    async def upload(self, url, fields, file) -> Answer:
        self.uploads.append((url, dict(fields), file.name))
        if isinstance(self.stored, Exception):
            raise self.stored
        return Answer(self.stored, b"<Error><Code>AccessDenied</Code></Error>", {})


def said(status: int = 200, **body: Any) -> Answer:
    return Answer(status, json.dumps(body).encode(), {})


def policy(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (POLICY | {"max_file_size_mb": 1} | changes).items() if value is not None}


@pytest.mark.parametrize("place", ["data", "output"])
async def test_files_get_the_vendors_names(place: str) -> None:
    wire = Wire(said(request_id="r", **{place: policy()}))
    ready = await upstream.prepare(order(), wire)
    assert isinstance(ready, Order)
    assert await upstream.prepare(order(), Wire(said(data=policy(x_oss_forbid_overwrite=True)))) == ready
    first, second = "oss://dashscope-instant/1/0-a.png", "oss://dashscope-instant/1/1-0.mp4"
    assert ready.params["reference_urls"] == ["https://example.com/a.png", first, second, first]
    assert wire.asked == [
        ("GET", "/uploads?action=getPolicy&model=wan2.6-r2v", None, {"Authorization": "Bearer sk-test"})
    ]
    url, fields, name = wire.uploads[0]
    assert (url, name) == (POLICY["upload_host"], "a.png")
    assert fields == {
        "OSSAccessKeyId": "LTAI",
        "Signature": "sign",
        "policy": "cG9saWN5",
        "x-oss-object-acl": "private",
        "x-oss-forbid-overwrite": "true",
        "key": "dashscope-instant/1/0-a.png",
        "success_action_status": "200",
    }
    assert "sk-test" not in str(wire.uploads)
    submitted = Wire(said(output={"task_status": "PENDING", "task_id": "abc-1"}))
    await upstream.submit(ready, submitted)
    (_, _, body, headers) = submitted.asked[0]
    assert headers["X-DashScope-OssResourceResolve"] == "enable"
    assert body["input"]["reference_urls"][1] == first


async def test_without_files_the_header_is_absent() -> None:
    wire = Wire(said(output={"task_status": "PENDING", "task_id": "abc-1"}))
    await upstream.submit(replace(order(), files={}), wire)
    assert "X-DashScope-OssResourceResolve" not in wire.asked[0][3]
    assert isinstance(upstream, TakesFiles)


@pytest.mark.parametrize(
    ("answer", "stored", "outcome"),
    [
        (said(401, code="InvalidApiKey", message="no"), 200, Busy("InvalidApiKey: no", operator=True)),
        (said(429, code="Throttling", message="slow"), 200, Busy("Throttling: slow")),
        (said(data=policy()), 403, Busy("the vendor's storage answered 403")),
        (said(data=policy()), 503, Busy("the vendor's storage answered 503")),
    ],
)
async def test_trouble_that_passes(answer: Answer, stored: int, outcome: Busy) -> None:
    assert await upstream.prepare(order(), Wire(answer, stored)) == outcome


async def test_a_file_that_is_too_large_for_the_storage() -> None:
    wire = Wire(said(data=policy()))
    refused = await upstream.prepare(order(size=1024 * 1024 + 1), wire)
    assert refused == Failed("invalid_input", "the vendor takes files of 1 MB at most, got 1,048,577 bytes")
    assert wire.uploads == []


@pytest.mark.parametrize(
    "answer",
    [
        said(500, code="InternalError", message="x"),
        said(200, data={}),
        said(200, data=policy(signature=None)),
        said(200, data=policy(upload_host=7)),
        said(200, data=[]),
        Answer(200, b"<html>", {}),
    ],
)
async def test_answers_that_are_no_policy(answer: Answer) -> None:
    with pytest.raises(UnmappedAnswer):
        await upstream.prepare(order(), Wire(answer))


async def test_a_lost_upload_is_told() -> None:
    with pytest.raises(AnswerLost):
        await upstream.prepare(order(), Wire(said(data=policy()), AnswerLost("cut")))


async def test_a_region_without_the_model_is_for_the_submission_to_refuse() -> None:
    elsewhere = replace(order(), region="moon")
    wire = Wire(said())
    assert await upstream.prepare(elsewhere, wire) is elsewhere
    assert (wire.asked, wire.uploads) == ([], [])
