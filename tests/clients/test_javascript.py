"""Clients in JavaScript against the platform: OpenAI's, the AI SDK, and ours. Their programs are in `javascript/`."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from standardwebhooks import Webhook
from tests.support.cutting_proxy import cutting_proxy
from tests.support.javascript import PACKAGE, Project, compile_types
from tests.support.media_files import Draw

PROGRAMS = Path(__file__).parent / "javascript"
TOP = PACKAGE.parents[1]


@pytest.fixture(scope="module")
def programs(javascript: Project) -> Path:
    """The programs, where they find the packages."""
    return Path(shutil.copytree(PROGRAMS, javascript.folder / "programs"))


@pytest.fixture
def run(javascript: Project, programs: Path, platform, team, tmp_path: Path):
    """Run a program with an address, a key, and a folder with two pictures and a mask."""
    picture = Draw().picture()
    mask = Image.new("RGBA", Image.open(io.BytesIO(picture)).size, "white")
    mask.paste((0, 0, 0, 0), (8, 8, 64, 64))
    mask.save(tmp_path / "mask.png")
    for name in ("house", "boat"):
        (tmp_path / f"{name}.png").write_bytes(picture)

    async def running(program: str | Path, **env: str) -> Any:
        given = {"ORIGIN": platform.origin, "KEY": team.text, "FOLDER": str(tmp_path)}
        given |= {"MODELLIX_BASE_URL": platform.origin, "MODELLIX_API_KEY": team.text}
        return await javascript.run(programs / f"{program}.ts" if isinstance(program, str) else program, **given | env)

    return running


async def params_of(platform, task: str) -> dict[str, Any]:
    return dict(json.loads((await platform.row(task))["params"]))


def test_types_are_those_of_the_api() -> None:
    script = [sys.executable, str(TOP / "scripts/js_types.py"), "--check"]
    checked = subprocess.run(script, capture_output=True, text=True)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_programs_in_typescript_have_no_wrong_types(javascript: Project, programs: Path) -> None:
    settings = json.loads((PACKAGE / "tsconfig.json").read_text())["compilerOptions"]
    for place in ("rootDir", "outDir", "declaration", "stripInternal"):
        del settings[place]
    settings |= {"noEmit": True, "typeRoots": [str(PACKAGE / "node_modules/@types")]}
    (javascript.folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": settings, "include": ["programs"]}))
    compile_types("-p", ".", cwd=javascript.folder)
    (programs / "wrong.ts").write_text('import { Client } from "@modellix/client";\nnew Client({ apiKey: 3 });\n')
    with pytest.raises(subprocess.CalledProcessError):
        compile_types("-p", ".", cwd=javascript.folder)
    (programs / "wrong.ts").unlink()


async def test_openai_s_client_makes_and_edits_pictures(run, platform) -> None:
    said = await run("openai_pictures")
    asked = await params_of(platform, said["edited"])
    assert len(asked["images"]) == 2
    assert asked["mask"].startswith("sha256:")


@pytest.mark.full
async def test_openai_s_client_makes_videos(run) -> None:
    assert (await run("openai_videos"))["size"] > 1000


@pytest.mark.full
@pytest.mark.parametrize(("after_s", "slow"), [(1, 7), pytest.param(100, 310, marks=pytest.mark.timeout(600))])
async def test_openai_s_client_cut_three_times_is_one_task_and_one_charge(run, platform, team, after_s, slow) -> None:
    async with cutting_proxy(platform.origin, after_s=after_s, cuts=3) as proxy:
        said = await run("openai_cut", PROXY=proxy.origin, SLOW=str(slow))
    assert proxy.cut == 3
    assert await platform.tasks_of(team) == 1
    assert await platform.balance_of(team) == (100_000_000 - 17_200, 0)
    assert len(await platform.bill(said["task"])) == 1


async def test_the_ai_sdk_by_its_own_providers(run, platform, team) -> None:
    await run("ai_sdk_compatible")
    assert await platform.tasks_of(team) == 4


@pytest.mark.full
async def test_the_ai_sdk_by_our_provider(run, platform, team, proxy) -> None:
    proxy.spoil("/v1/images/generations", "cut", times=2)
    proxy.spoil("/v1/images/generations", "502", body=b"<html>Bad gateway</html>")
    said = await run("ai_sdk_ours", PROXY=proxy.origin)
    asked = await params_of(platform, said["wide"])
    assert (asked["size"], asked["seed"], asked["negative_prompt"]) == ("1664*928", 7, "boats")
    asked = await params_of(platform, said["between"])
    assert {"first_frame_image", "last_frame_image"} <= asked.keys()
    assert (asked["ratio"], asked["generate_audio"], asked["seed"]) == ("adaptive", False, 3)
    sent = [headers for method, path, headers in proxy.seen if (method, path) == ("POST", "/v1/images/generations")]
    assert len(sent) == 4
    assert len({headers["idempotency-key"] for headers in sent}) == 1
    of_once = [one for one in (await team.get("/api/v1/tasks")).data["tasks"] if one["input"].get("prompt") == "once"]
    assert [one["task_id"] for one in of_once] == [said["once"]]


async def test_what_a_program_does_with_our_client(run, platform) -> None:
    said = await run("client_use")
    assert len(await platform.bill(said["task"])) == 1


@pytest.mark.full
async def test_our_client_over_bad_lines(run, platform, team, proxy) -> None:
    said = await run("client_faults", PROXY=proxy.origin)
    assert proxy.faults == []
    submissions = [headers for _, path, headers in proxy.seen if path == "/api/v1/alibaba/qwen-image-plus"][:4]
    assert len({headers["idempotency-key"] for headers in submissions}) == 1
    assert len({headers["x-request-id"] for headers in submissions}) == 4
    streams = [headers for _, path, headers in proxy.seen if path.endswith("/stream")]
    assert (streams[0].get("last-event-id"), "last-event-id" in streams[1]) == (None, True)
    assert all("authorization" not in headers for _, path, headers in proxy.seen if path.startswith("/results/"))
    listed = (await team.get("/api/v1/tasks")).data["tasks"]
    for prompt, task in (("once", said["once"]), ("twice", said["twice"])):
        assert [one["task_id"] for one in listed if one["input"]["prompt"] == prompt] == [task]
        assert len(await platform.bill(task)) == 1
    succeeded = sum(one["status"] == "success" for one in listed)
    assert await platform.balance_of(team) == (100_000_000 - 17_200 * succeeded, 0)


@pytest.mark.full
async def test_the_samples_of_its_readme_run(run, javascript, tmp_path: Path) -> None:
    javascript.link(tmp_path)
    samples = re.findall(r"^```javascript\n(.*?)^```", (PACKAGE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(samples) == 6
    for number, sample in enumerate(samples):
        file = tmp_path / f"sample-{number}.mjs"
        file.write_text(f"process.chdir({json.dumps(str(tmp_path))});\n{sample}\nconsole.log(null);\n")
        await run(file)
    with Image.open(tmp_path / "cat.png") as picture:
        assert picture.size == (1328, 1328)
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 1


async def test_webhooks_are_verified(run) -> None:
    secret, other = ("whsec_" + 32 * letter for letter in "AB")
    body = '{"code":0,"message":"success","data":{"status":"failed","task_id":"task-1","model_id":"m"}}'
    now = int(time.time())
    signature = Webhook(secret).sign("msg_1", datetime.fromtimestamp(now, UTC), body)
    signed = {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": f"v1,bm8= {signature}"}
    await run("webhooks", SECRET=secret, OTHER=other, BODY=body, SIGNED=json.dumps(signed))
