"""The emulator is as strict as the vendor: each row breaks one rule of a good request."""

from __future__ import annotations

import base64
import copy

import pytest

from modellix_server.sandbox import directives
from modellix_server.sandbox.protocols.dashscope import rules, table

PICTURE = "aigc/text2image/image-synthesis"
DIRECT = "aigc/multimodal-generation/generation"
MESSAGES = "aigc/image-generation/generation"
CLIP = "aigc/video-generation/video-synthesis"
KEYFRAMES = "aigc/image2video/video-synthesis"
LINK = "http://127.0.0.1:1/a.png"

FLAT = {"model": "qwen-image-plus", "input": {"prompt": "a"}, "parameters": {"size": "1664*928"}}
WAN = {
    "model": "wan2.6-t2i",
    "input": {"messages": [{"role": "user", "content": [{"text": "a"}]}]},
    "parameters": {"n": 1, "size": "1280*1280"},
}
EDIT = {
    "model": "qwen-image-edit-plus",
    "input": {"messages": [{"role": "user", "content": [{"image": LINK}, {"text": "a"}]}]},
    "parameters": {},
}
T2V = {"model": "wan2.6-t2v", "input": {"prompt": "a"}, "parameters": {"size": "1280*720", "duration": 5}}
I2V = {"model": "wan2.2-i2v-flash", "input": {"img_url": LINK}, "parameters": {"resolution": "480P"}}
KF2V = {"model": "wan2.2-kf2v-flash", "input": {"first_frame_url": LINK}, "parameters": {}}

GOOD = [
    (PICTURE, FLAT),
    (PICTURE, {"model": "qwen-image-plus", "input": {"prompt": "a"}}),
    (MESSAGES, WAN),
    (DIRECT, WAN),
    (DIRECT, EDIT),
    (CLIP, T2V),
    (CLIP, I2V),
    (KEYFRAMES, KF2V),
    # What the vendor's client sends on its own account, and null for what is not given.
    (CLIP, {**T2V, "input": {"prompt": "a", "extend_prompt": True, "function": "video-synthesis"}}),
    (MESSAGES, {**WAN, "parameters": {"is_async": True, "size": "1280*1280"}}),
    (PICTURE, {**FLAT, "parameters": {"seed": None, "n": 1}}),
    (PICTURE, {**FLAT, "input": {"prompt": "x" * 5000}}),
    (MESSAGES, {**WAN, "parameters": {"size": "720*2880"}}),
]


def changed(body, path: str, value):
    """A copy with the field at a dotted path set, or removed for `...`."""
    copied = copy.deepcopy(body)
    *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    place = copied
    for part in way:
        place = place[part]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return copied


CONTENT = "input.messages.0.content"
BAD = [
    (PICTURE, FLAT, "extra", 1, "InvalidParameter"),
    (PICTURE, FLAT, "input.extra", 1, "InvalidParameter"),
    (PICTURE, FLAT, "parameters.extra", 1, "InvalidParameter"),
    (PICTURE, FLAT, "parameters.negative_prompt", "x", "InvalidParameter"),
    (PICTURE, FLAT, "parameters.is_async", "yes", "InvalidParameter"),
    (PICTURE, FLAT, "input.function", "other", "InvalidParameter"),
    (PICTURE, FLAT, "model", ..., "BadRequest.EmptyModel"),
    (PICTURE, FLAT, "model", "qwen-image-minus", "InvalidParameter"),
    (PICTURE, FLAT, "model", ["qwen-image-plus"], "InvalidParameter"),
    (PICTURE, FLAT, "input", ..., "BadRequest.EmptyInput"),
    (PICTURE, FLAT, "input", "a", "InvalidParameter"),
    (PICTURE, FLAT, "parameters", [], "InvalidParameter"),
    (PICTURE, FLAT, "input.prompt", ..., "InvalidParameter"),
    (PICTURE, FLAT, "input.prompt", "", "InvalidParameter"),
    (PICTURE, FLAT, "input.prompt", 1, "InvalidParameter"),
    (PICTURE, FLAT, "parameters.size", "1472*1140", "InvalidParameter"),
    (PICTURE, FLAT, "parameters.size", "1664x928", "InvalidParameter"),
    (PICTURE, FLAT, "parameters.n", 2, "InvalidParameter"),
    (PICTURE, FLAT, "parameters.n", "1", "InvalidParameter"),
    (PICTURE, FLAT, "parameters.n", True, "InvalidParameter"),
    (PICTURE, FLAT, "parameters.n", 1.0, "InvalidParameter"),
    (PICTURE, FLAT, "parameters.seed", -1, "InvalidParameter"),
    (PICTURE, FLAT, "parameters.seed", 2**31, "InvalidParameter"),
    (PICTURE, FLAT, "parameters.watermark", "no", "InvalidParameter"),
    (MESSAGES, WAN, "parameters.size", "700*700", "InvalidParameter"),
    (MESSAGES, WAN, "parameters.size", "1441*1440", "InvalidParameter"),
    (MESSAGES, WAN, "parameters.size", "600*2800", "InvalidParameter"),
    (MESSAGES, WAN, "parameters.n", 5, "InvalidParameter"),
    (MESSAGES, WAN, "input.prompt", "a", "InvalidParameter"),
    (MESSAGES, WAN, "input.messages", [], "InvalidParameter"),
    (MESSAGES, WAN, "input.messages.0.role", "system", "InvalidParameter"),
    (MESSAGES, WAN, CONTENT, [], "InvalidParameter"),
    (MESSAGES, WAN, CONTENT, [{"text": "a"}, {"text": "b"}], "InvalidParameter"),
    (MESSAGES, WAN, CONTENT, [{"text": "a"}, {"image": LINK}], "InvalidParameter"),
    (MESSAGES, WAN, CONTENT, [{"text": "a", "image": LINK}], "InvalidParameter"),
    (DIRECT, EDIT, CONTENT, [{"text": "a"}], "InvalidParameter"),
    (DIRECT, EDIT, CONTENT, [{"text": "a"}, *[{"image": LINK}] * 4], "InvalidParameter"),
    (DIRECT, EDIT, CONTENT, [{"text": "a"}, {"image": "ftp://a/b"}], "InvalidURL"),
    (DIRECT, EDIT, CONTENT, [{"text": "a"}, {"image": "http://a/\u56fe.png"}], "InvalidURL"),
    (DIRECT, EDIT, "parameters.size", "511*600", "InvalidParameter"),
    (DIRECT, EDIT, "parameters.size", "2049*600", "InvalidParameter"),
    (DIRECT, EDIT, "parameters.n", 7, "InvalidParameter"),
    (CLIP, T2V, "parameters.duration", 16, "InvalidParameter"),
    (CLIP, T2V, "parameters.size", "832*480", "InvalidParameter"),
    (CLIP, T2V, "parameters.shot_type", "triple", "InvalidParameter"),
    (CLIP, T2V, "parameters.resolution", "720P", "InvalidParameter"),
    (CLIP, T2V, "input.img_url", LINK, "InvalidParameter"),
    (CLIP, T2V, "input.audio_url", "data:audio/wav;base64,AAAA", "InvalidURL"),
    (CLIP, I2V, "input.img_url", ..., "InvalidParameter"),
    (CLIP, I2V, "parameters.resolution", "4K", "InvalidParameter"),
    (CLIP, I2V, "parameters.duration", 10, "InvalidParameter"),
    (CLIP, I2V, "parameters.size", "1280*720", "InvalidParameter"),
    (KEYFRAMES, KF2V, "input.first_frame_url", ..., "InvalidParameter"),
    (CLIP, KF2V, "input.prompt", "a", "InvalidParameter"),
    (PICTURE, FLAT, "input.prompt", "[sandbox:refuse]", "InvalidParameter"),
    (PICTURE, FLAT, "input.prompt", "[sandbox:dance]", "InvalidParameter"),
]


def admit(path: str, body) -> rules.DashScopeJob:
    return rules.check(body, *rules.read(body, table.load(), path))


@pytest.mark.parametrize(("path", "body"), GOOD)
def test_a_good_request_is_taken(path, body):
    assert admit(path, body).model == body["model"]


@pytest.mark.parametrize(("path", "body", "where", "value", "code"), BAD)
async def test_a_bad_request_is_refused(client, path, body, where, value, code):
    status, answer = await client.submit(path, changed(body, where, value), task=path != DIRECT)
    assert (status, answer["code"]) == (400, code), answer
    assert set(answer) == {"code", "message", "request_id"}


def test_defaults_are_the_vendors():
    assert admit(PICTURE, {"model": "qwen-image-plus", "input": {"prompt": "a"}}).parameters["size"] == "1664*928"
    assert admit(MESSAGES, {**WAN, "parameters": {}}).count == 4
    assert admit(CLIP, {**T2V, "parameters": {}}).parameters["duration"] == 5
    assert admit(PICTURE, {**FLAT, "input": {"prompt": "x" * 5000}}).prompt == "x" * 800


def test_a_model_is_like_another_but_for_what_it_says():
    models = table.load()
    assert models["wan2.6-t2v-us"].parameters["duration"].any_of == (5, 10)
    assert models["wan2.6-t2v-us"].parameters["size"] == models["wan2.6-t2v"].parameters["size"]


HEADERS = [
    (PICTURE, FLAT, True, {"Authorization": ""}, 401, "InvalidApiKey"),
    (PICTURE, FLAT, True, {"Authorization": "Bearer invalid"}, 401, "InvalidApiKey"),
    (PICTURE, FLAT, True, {"Authorization": "Basic sk-test"}, 401, "InvalidApiKey"),
    (PICTURE, FLAT, False, {}, 403, "AccessDenied"),
    (PICTURE, FLAT, False, {"X_DashScope_Async": "disable"}, 403, "AccessDenied"),
    (DIRECT, EDIT, True, {}, 403, "AccessDenied"),
    (PICTURE, FLAT, True, {"X_DashScope_SSE": "enable"}, 400, "InvalidParameter"),
    (PICTURE, FLAT, True, {"Content_Type": "text/plain"}, 400, "InvalidParameter"),
    (CLIP, FLAT, True, {}, 400, "InvalidParameter"),
    (PICTURE.removeprefix("aigc/"), FLAT, True, {}, 400, "InvalidParameter"),
]


@pytest.mark.parametrize(("path", "body", "task", "headers", "status", "code"), HEADERS)
async def test_wrong_headers_and_paths(client, path, body, task, headers, status, code):
    got, answer = await client.submit(path, body, task=task, **headers)
    assert (got, answer["code"]) == (status, code), answer


async def test_a_path_may_end_in_a_slash(client):
    status, answer = await client.submit(PICTURE + "/", FLAT)
    assert status == 200
    assert (await client.finish(answer["output"]["task_id"]))["output"]["task_status"] == "SUCCEEDED"


async def test_what_is_not_json_and_what_is_not_there(client):
    url = f"{client.running.base}/services/{PICTURE}"
    headers = {"Authorization": "Bearer sk-test", "Content-Type": "application/json"}
    for body in (b"{", b"\xff", b"[" * 100_000):
        async with client.http.post(url, data=body, headers=headers) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, "InvalidParameter.JsonPhrase")
    async with client.http.get(f"{client.running.base}/tasks/x", headers={}) as answer:
        assert answer.status == 401
    async with client.http.get(f"{client.running.base}/nothing", headers=headers) as answer:
        assert answer.status == 404


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"page_size": "0"}, 400),
        ({"page_no": "x"}, 400),
        ({"start_time": "yesterday"}, 400),
        ({"start_time": "20200101000000"}, 400),
        ({"start_time": "20200101000000", "end_time": "20200101120000"}, 200),
        ({"page_size": "100", "status": "SUCCEEDED"}, 200),
    ],
)
async def test_task_lists(client, query, status):
    url = f"{client.running.base}/tasks/"
    async with client.http.get(url, params=query, headers={"Authorization": "Bearer sk-test"}) as answer:
        assert answer.status == status


INPUTS = [
    ("/none.png", "InvalidURL"),
    ("/text.txt", "InvalidParameter.ImageFormat"),
    ("/small.png", "InvalidFile.Resolution"),
    ("/glass.png", "InvalidParameter.ImageFormat"),
]


@pytest.mark.parametrize(("file", "code"), INPUTS)
async def test_an_input_file_that_breaks_a_limit_fails_the_task(client, files, file, code):
    status, answer = await client.submit(CLIP, changed(I2V, "input.img_url", files + file))
    assert status == 200
    done = await client.finish(answer["output"]["task_id"])
    assert (done["output"]["task_status"], done["output"]["code"]) == ("FAILED", code)
    assert "usage" not in done


@pytest.mark.parametrize(
    ("link", "code"),
    [(LINK, "InvalidURL.ConnectionRefused"), ("data:image/png;base64,!!", "InvalidParameter.ImageContent")],
)
async def test_a_synchronous_call_answers_with_the_failure(client, link, code):
    body = changed(EDIT, CONTENT, [{"image": link}, {"text": "a"}])
    status, answer = await client.submit(DIRECT, body, task=False)
    assert (status, answer["code"]) == (400, code)


async def test_sounds_are_checked(client, files):
    for file, code in (("/short.wav", "InvalidFile.Duration"), ("/text.txt", "InvalidFile.Format")):
        _, answer = await client.submit(CLIP, changed(T2V, "input.audio_url", files + file))
        done = await client.finish(answer["output"]["task_id"])
        assert done["output"]["code"] == code


async def test_a_data_uri_is_a_picture_too(client, material):
    uri = "data:image/png;base64," + base64.b64encode(material.png(material.photo(600, 400))).decode()
    body = changed(EDIT, CONTENT, [{"image": uri}, {"text": "a"}])
    status, answer = await client.submit(DIRECT, body, task=False)
    assert status == 200, answer


def test_directives_are_read_or_refused():
    asked = directives.read(["a [sandbox:throttle] b [sandbox:slow=2.5]"])
    assert (asked.throttle, asked.slow_s) == (1, 2.5)
    assert "lost" not in asked
    assert directives.read(["plain [text]"]) is directives.NONE
    for bad in ("[sandbox:x]", "[sandbox:lost=1]", "[sandbox:slow=]", "[sandbox:slow=-1]", "[sandbox:throttle=0]"):
        with pytest.raises(directives.UnknownDirective):
            directives.read([bad])
