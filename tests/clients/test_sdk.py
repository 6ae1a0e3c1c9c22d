"""The Python client against the platform: what a program does with it."""

from __future__ import annotations

import asyncio
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image
from tests.support.waiting import eventually

from modellix import AsyncClient, Client, errors, types

MODEL, EDIT = "alibaba/qwen-image-plus", "alibaba/qwen-image-edit-plus"
PACKAGE = Path(__file__).parents[2] / "clients/python"


def test_a_picture_in_three_lines(client: Client, tmp_path) -> None:
    task = client.run(MODEL, prompt="a cat", size="1664*928")
    (file,) = task.files
    assert (task.status, task.done, task.cost) == ("success", True, 0.0172)
    assert re.fullmatch(r"qwen-image-plus-[0-9a-f]{8}\.png", file.name)
    assert (file.resource.width, file.resource.height, file.resource.type) == (1664, 928, "image")
    content = file.bytes()
    assert Image.open(io.BytesIO(content)).size == (1664, 928)
    assert len(content) == file.resource.size
    places = [file.save(tmp_path), file.save(tmp_path / "new" / "cat.png"), file.save(f"{tmp_path}/more/")]
    assert places == [tmp_path / file.name, tmp_path / "new/cat.png", tmp_path / "more" / file.name]
    assert {place.read_bytes() for place in places} == {content}
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]


def test_several_files_have_several_names(client: Client, platform) -> None:
    task = client.run(EDIT, {"prompt": "a hat", "n": 2}, images=[f"{platform.origin}/samples/cat.jpg"])
    assert [re.sub(r"-[0-9a-f]{8}", "", file.name) for file in task.files] == [
        "qwen-image-edit-plus-1.png",
        "qwen-image-edit-plus-2.png",
    ]


def test_every_kind_of_file_is_an_input(client: Client, tmp_path) -> None:
    picture = client.run(MODEL, prompt="a dog", size="1664*928").files[0]
    path = picture.save(tmp_path)
    uploaded = client.upload(path, filename="dog.png")
    assert (uploaded.filename, uploaded.type, uploaded.size) == ("dog.png", "image", path.stat().st_size)
    with path.open("rb") as opened:
        drawn = Image.open(io.BytesIO(path.read_bytes()))
        for given in (picture, path, path.read_bytes(), opened, drawn, uploaded, uploaded.file_id):
            assert client.quote(EDIT, prompt="a hat", images=[given]).units == 1
    pipe = _Pipe(path.read_bytes())
    task = client.run(EDIT, prompt="a hat", images=[picture, path, pipe])
    assert task.files
    names = [file.filename for file in client.files()]
    assert sorted(set(names)) == sorted({"dog.png", path.name, "file.png", "picture.png", "file"})
    client.delete_file(uploaded.file_id)
    assert uploaded.file_id not in {file.file_id for file in client.files()}
    with pytest.raises(TypeError, match="cannot upload int"):
        client.upload(3)


class _Pipe(io.BytesIO):
    """What cannot go back, such as a socket."""

    def seekable(self) -> bool:
        return False


def test_a_task_is_followed_by_events_and_found_again(client: Client) -> None:
    task = client.submit(MODEL, prompt="[sandbox:slow=1] a cat", max_cost=0.05)
    assert (task.status, task.cost, task.files) == ("pending", None, [])
    events = list(task.events())
    assert [event.name for event in events][-1] == "status"
    assert events[-1].status == task.status == "success"
    assert {event.stage for event in events[:-1]} <= {"queued", "running", "storing"}
    again = client.task(task.id)
    assert (again.status, again.cost, again.files[0].name) == ("success", task.cost, task.files[0].name)
    assert list(again.events()) == []
    again.delete_result()
    with pytest.raises(errors.NotFound) as gone:
        again.refresh()
    assert gone.value.task_id == task.id


async def test_a_queue_is_followed(platform) -> None:
    team = await platform.team(concurrency=1)
    async with AsyncClient(team.text, base_url=platform.origin) as client:
        first = await client.submit(MODEL, prompt="[sandbox:queue=60] first")
        async with AsyncClient(team.text, base_url=platform.origin, max_retries=0) as impatient:
            with pytest.raises(errors.ConcurrencyLimited):
                await impatient.submit(MODEL, prompt="second")
        second = await client.submit(MODEL, prompt="second", queue=True)
        assert second.state.queue_position == 1
        events = []
        async for event in second.events():
            if not events:
                assert await first.cancel()
            events.append(event)
        assert (events[0].queue_position, second.status) == (1, "success")


async def test_many_at_once(platform, team, tmp_path) -> None:
    async with AsyncClient(team.text, base_url=platform.origin) as client:
        tasks = await asyncio.gather(*(client.run(MODEL, prompt=f"cat {n}") for n in range(5)))
        places = await asyncio.gather(*(task.files[0].save(tmp_path) for task in tasks))
        assert len({place.read_bytes() for place in places}) == 5
        assert len(await tasks[0].files[0].bytes()) == tasks[0].files[0].resource.size
        assert [row.task_id async for row in client.tasks()] == sorted((task.id for task in tasks), reverse=True)


def test_a_cancel_ends_what_costs_nothing_yet(client: Client) -> None:
    task = client.submit(MODEL, prompt="[sandbox:queue=60]")
    assert task.cancel() is True
    assert task.state.error
    assert task.state.error.code == "canceled"
    done = client.run(MODEL, prompt="x")
    with pytest.raises(errors.Conflict):
        done.cancel()
    with pytest.raises(errors.TaskFailed) as failed:
        task.wait()
    assert (failed.value.code, failed.value.task_id, failed.value.task) == ("canceled", task.id, task)


def test_the_catalogue_and_the_account(client: Client, team) -> None:
    models = client.models(type="text-to-video", provider="minimax")
    assert models
    assert {(model.type, model.provider) for model in models} == {("text-to-video", "minimax")}
    assert client.schema(MODEL)["properties"]["prompt"]["maxLength"] == 800
    assert client.quote(MODEL, prompt="x") == types.Quote(
        model=MODEL, cost=0.0172, cost_micros=17200, unit="image", unit_cost=0.0172, units=1, tier="standard"
    )
    assert client.balance() == 100
    task = client.run(MODEL, client.model(MODEL).example)
    assert client.balance() == pytest.approx(99.9828)
    key = client.key()
    assert (key.mode, key.limits.requests_per_minute) == ("test", 1_000_000)
    assert [row.kind for row in client.transfers(task_id=task.id)] == ["capture", "hold"]
    (used,) = client.usage(by="model")
    assert (used.model, used.succeeded, used.cost) == (MODEL, 1, 0.0172)
    (listed,) = client.tasks(status="success", model=MODEL)
    assert (listed.task_id, listed.cost, listed.input["prompt"]) == (task.id, 0.0172, "A cute cat playing in a garden")
    assert client.request("POST", "/api/v1/webhooks", body={"url": "https://example.com/hook"})["id"].startswith("we_")
    assert team.text not in repr(client) + repr(vars(client))


async def test_logs_are_read_over_all_pages(client: Client) -> None:
    for _ in range(101):
        client.balance()

    def logged() -> list[types.Call]:
        calls = [call for call in client.logs(status="2xx") if call.path == "/api/v1/team/balance"]
        return calls if len(calls) == 101 else []

    assert all(call.request_id for call in await eventually(logged, every_s=0.5))


@pytest.mark.parametrize(
    ("prompt", "kind", "told"),
    [
        ("", errors.InvalidRequest, ("Value out of range", 400, "errors/value-out-of-range")),
        ("[sandbox:moderate]", errors.TaskFailed, ("content_rejected", None, "errors/content-rejected")),
    ],
)
def test_an_error_tells_all(client: Client, platform, prompt, kind, told) -> None:
    with pytest.raises(kind) as caught:
        client.run(MODEL, prompt=prompt)
    error = caught.value
    assert error.docs_url == f"{platform.origin}/docs/{told[2]}"
    if isinstance(error, errors.ApiError):
        assert (error.category, error.status) == told[:2]
        assert re.fullmatch("[0-9a-f]{32}", error.request_id or "")
    else:
        assert error.code == told[0]
        assert error.task_id == error.task.id
    assert "prompt" in error.message or "content" in error.message.lower()


async def test_what_is_refused_has_a_class(platform) -> None:
    poor = await platform.team(micros=0)
    for kind, (key, origin), call in (
        (errors.InsufficientBalance, (poor.text, platform.origin), lambda client: client.submit(MODEL, prompt="x")),
        (errors.NotFound, (poor.text, platform.origin), lambda client: client.model("alibaba/none")),
        (errors.NotFound, (poor.text, platform.origin), lambda client: client.task("task-" + 32 * "0")),
        (errors.InvalidRequest, (poor.text, platform.origin), lambda one: one.submit(MODEL, prompt="x", max_cost=0.01)),
        (errors.AuthenticationFailed, ("mdlx-no", platform.origin), lambda client: client.balance()),
        (errors.ConnectionFailed, ("k", "http://127.0.0.1:9"), lambda client: client.balance()),
    ):
        with Client(key, base_url=origin, max_retries=0) as client, pytest.raises(kind):
            call(client)


def test_the_pages_that_errors_name_exist(client: Client) -> None:
    import urllib.request

    with pytest.raises(errors.NotFound) as caught:
        client.model("alibaba/none")
    assert b"Resource not found" in urllib.request.urlopen(caught.value.docs_url).read()


def test_a_key_goes_nowhere_else(monkeypatch, tmp_path) -> None:
    from modellix import _settings

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = _settings.save(_settings.Access("https://one.example", "mdlx-1"))
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert _settings.find() == _settings.Access("https://one.example", "mdlx-1")
    assert _settings.find(base_url="https://one.example/api/v1/").key == "mdlx-1"
    for given in ({"base_url": "https://two.example"}, {"key": "mdlx 2"}, {"base_url": "one.example"}):
        with pytest.raises(errors.NotConfigured) as refused:
            _settings.find(**given)
        assert "mdlx" not in str(refused.value)
    monkeypatch.setenv("MODELLIX_API_KEY", "mdlx-3")
    monkeypatch.setenv("MODELLIX_BASE_URL", "http://three.example")
    assert _settings.find() == _settings.Access("http://three.example", "mdlx-3")
    file.write_text("[]")
    with pytest.raises(errors.NotConfigured, match="damaged"):
        _settings.find()


def test_the_import_loads_nothing_heavy() -> None:
    """It is httpx2 that takes time: it comes with the first client."""
    code = "import sys; from modellix import Client, errors, types; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split())
    assert "modellix._sync.client" in loaded
    assert not loaded & {"httpx2", "pydantic", "typer", "rich", "PIL", "asyncio", "ssl", "modellix_server"}


def test_public_names_are_there() -> None:
    import modellix

    for name in modellix.__all__:
        assert getattr(modellix, name)
    with pytest.raises(AttributeError):
        _ = modellix.nothing


def test_the_synchronous_half_is_made_from_the_other() -> None:
    script = [sys.executable, str(PACKAGE.parents[1] / "scripts/sync_half.py"), "--check"]
    ran = subprocess.run(script, capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "")


PAGES = [PACKAGE / "README.md", PACKAGE.parents[1] / "docs/site/en/ways-to-use/sdk.md"]
SAMPLES = {
    sample: None
    for page in PAGES
    for sample in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
}


@pytest.mark.full
async def test_the_samples_of_its_pages_run(environment, tmp_path) -> None:
    async def run(sample: str) -> tuple[int | None, bytes]:
        made = await asyncio.create_subprocess_exec(
            sys.executable, "-Werror", "-c", sample, cwd=tmp_path, env=os.environ | environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await made.communicate()
        return made.returncode, said

    assert len(SAMPLES) >= 8
    for sample in SAMPLES:
        assert (await run(sample))[0] == 0, (sample, await run(sample))
    with Image.open(tmp_path / "cat.png") as picture:
        assert picture.size == (1328, 1328)
    assert len(list((tmp_path / "pictures").glob("*.png"))) >= 4
