"""The vendor's temporary storage: its own client puts local files there, and what breaks its rules is refused."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import dashscope
import pytest
from dashscope import MultiModalConversation, VideoSynthesis
from dashscope.api_entities.http_request import close_shared_sync_session
from dashscope.utils.oss_utils import OssUtils
from tests.support.media_files import photo, png, tone

from modellix_server.sandbox.protocols.dashscope import uploads
from modellix_server.sandbox.protocols.dashscope.uploads import DashScopeUploads
from modellix_server.sandbox.spool import SandboxSpool

MODEL = "wan2.6-i2v"


@pytest.fixture
def with_client(sandbox, monkeypatch):
    monkeypatch.setattr(dashscope, "base_http_api_url", sandbox.base)
    monkeypatch.setattr(dashscope, "api_key", "sk-test")
    yield
    close_shared_sync_session()


@pytest.fixture
def local(tmp_path) -> SimpleNamespace:
    (tmp_path / "photo.png").write_bytes(png(photo(900, 600)))
    (tmp_path / "tone.wav").write_bytes(tone(4.0))
    return SimpleNamespace(picture=str(tmp_path / "photo.png"), sound=str(tmp_path / "tone.wav"))


def test_the_vendors_client_uploads_local_files(with_client, local) -> None:
    edit = MultiModalConversation.call(
        "qwen-image-edit-plus",
        messages=[{"role": "user", "content": [{"image": f"file://{local.picture}"}, {"text": "night"}]}],
        n=1,
    )
    assert edit.status_code == 200, edit
    start, sound = f"file://{local.picture}", f"file://{local.sound}"
    clip = VideoSynthesis.call(MODEL, "wind", img_url=start, audio_url=sound, resolution="720P", duration=2)
    assert clip.output.task_status == "SUCCEEDED", clip


def test_version_2_of_the_client_uploads_too(sandbox, local) -> None:
    client = dashscope.Client(api_key="sk-test", base_url=sandbox.base)
    job = client.videos.generate(
        model="wan2.2-i2v-flash", prompt="wind", image_url=local.picture, resolution="480P", poll_interval=0.1
    )
    assert job.status == "SUCCEEDED"
    client.close()


def test_a_file_is_for_one_model_and_account_and_needs_the_header(with_client, sandbox, local) -> None:
    link, _ = OssUtils.upload(model=MODEL, file_path=local.picture, api_key="sk-test")
    told = VideoSynthesis.async_call(MODEL, "a", img_url=link, resolution="720P")
    assert told.status_code == 200
    with_other_model = VideoSynthesis.async_call("wan2.2-i2v-flash", "a", img_url=link, resolution="480P")
    with_other_key = VideoSynthesis.async_call(MODEL, "a", img_url=link, resolution="720P", api_key="sk-other")
    unknown = VideoSynthesis.async_call(MODEL, "a", img_url="oss://dashscope-instant/a.png", resolution="720P")
    for refused in (with_other_model, with_other_key, unknown):
        assert (refused.status_code, refused.code) == (400, "InvalidParameter")


async def test_without_the_header_nothing_is_resolved(client, local, with_client) -> None:
    link, _ = OssUtils.upload(model=MODEL, file_path=local.picture, api_key="sk-test")
    body = {"model": MODEL, "input": {"prompt": "a", "img_url": link}, "parameters": {"resolution": "720P"}}
    path = "aigc/video-generation/video-synthesis"
    status, said = await client.submit(path, body)
    assert (status, said["code"]) == (400, "InvalidParameter.DataInspection")
    status, said = await client.submit(path, body, X_DashScope_OssResourceResolve="enable")
    assert (status, said["output"]["task_status"]) == (200, "PENDING")


async def policy_of(client, model: str = MODEL) -> dict:
    url = f"{client.running.base}/uploads?action=getPolicy&model={model}"
    async with client.http.get(url, headers={"Authorization": "Bearer sk-test"}) as answer:
        return (await answer.json())["data"]


def form_of(given: dict, name: str = "a.png", **changes: str) -> dict[str, str]:
    return {
        "OSSAccessKeyId": given["oss_access_key_id"],
        "Signature": given["signature"],
        "policy": given["policy"],
        "key": f"{given['upload_dir']}/{name}",
        "success_action_status": "200",
    } | changes


async def send(client, policy: dict, form: dict[str, str], content: bytes = b"x", *, last: bool = True, **headers: str):
    sent = aiohttp.FormData(default_to_multipart=True)
    if not last:
        sent.add_field("file", content, filename="a")
    for name, value in form.items():
        sent.add_field(name, value)
    if last:
        sent.add_field("file", content, filename="a")
    async with client.http.post(policy["upload_host"], data=sent, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_the_rules_of_the_storage(client) -> None:
    policy = await policy_of(client)
    good = form_of(policy)
    assert await send(client, policy, good) == (200, "")
    said = json.loads(b64decode(policy["policy"]))
    later = b64encode(json.dumps(said | {"expiration": "2999-01-01T00:00:00.000Z"}).encode()).decode()
    for form, status, code in (
        (good, 409, "FileAlreadyExists"),
        (form_of(policy, "b.png", key="elsewhere/b.png"), 403, "Policy Condition failed"),
        (form_of(policy, "b.png", policy=later), 403, "SignatureDoesNotMatch"),
        (form_of(policy, "b.png", OSSAccessKeyId="other"), 403, "InvalidAccessKeyId"),
        ({name: text for name, text in good.items() if name != "key"}, 400, "InvalidArgument"),
    ):
        answered, text = await send(client, policy, form)
        assert (answered, code in text) == (status, True), text
    status, text = await send(client, policy, form_of(policy, "c.png"), last=False)
    assert (status, "InvalidArgument" in text) == (400, True)  # what follows the file does not count
    status, text = await send(client, policy, form_of(policy, "c.png"), Authorization="Bearer sk-test")
    assert (status, "Only one auth mechanism" in text) == (400, True)
    assert (await send(client, policy, form_of(policy, "c.png"), b""))[0] == 400


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("action=getPolicy&model=nothing", 400, "InvalidParameter"),
        ("action=other&model=wan2.6-i2v", 400, "InvalidParameter"),
        ("model=wan2.6-i2v", 400, "InvalidParameter"),
    ],
)
async def test_policies_that_are_refused(client, query, status, code) -> None:
    url = f"{client.running.base}/uploads?{query}"
    async with client.http.get(url, headers={"Authorization": "Bearer sk-test"}) as answer:
        assert (answer.status, (await answer.json())["code"]) == (status, code)
    async with client.http.get(url) as answer:
        assert answer.status == 401


async def test_a_policy_expires(tmp_path: Path) -> None:
    now = [1000.0]
    spool = SandboxSpool(tmp_path)
    storage = DashScopeUploads(spool, clock=lambda: now[0])
    policy = storage.policy("sk-a", {"action": "getPolicy", "model": MODEL}, {MODEL: 1}, "http://here")["data"]
    form = {name: text.encode() for name, text in form_of(policy).items()} | {"file": b"x"}
    now[0] += uploads.EXPIRES_IN_S + 1
    with pytest.raises(uploads._Denied, match="Policy expired"):
        storage._store(form)
    now[0] -= 2
    storage._store(form)
    assert storage.read(f"oss://{policy['upload_dir']}/a.png") == b"x"
    spool.close()
