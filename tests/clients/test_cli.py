"""The command `modellix` against the platform: what it prints, saves, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from PIL import Image
from tests.support.waiting import eventually

from modellix import types
from modellix.cli import flags, pictures
from modellix.cli.app import app
from modellix.cli.exits import ExitCode
from modellix_server.catalogue import Catalogue
from modellix_server.web.code_samples import samples

MODEL, EDIT = "alibaba/qwen-image-plus", "alibaba/qwen-image-edit-plus"
TASK = re.compile(r"task-[0-9a-f]{32}")


@pytest.fixture
def modellix(environment, tmp_path, monkeypatch):
    """Runs the command as a user does: in a folder, with a key in the environment."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str, ends: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(app, words, prog_name="modellix", input=stdin)
        assert result.exit_code == ends, result.stdout + result.stderr + repr(result.exception)
        return result

    return run


def test_one_command_to_a_picture(modellix, tmp_path) -> None:
    ran = modellix(
        "run", MODEL, "--prompt", "A cute cat, 一只猫!", "--size=1664*928", "-o", "out/", "--max-cost", "0.02"
    )
    path = Path(ran.stdout.strip())
    assert re.fullmatch(r"out/a-cute-cat-一只猫-qwen-image-plus-[0-9a-f]{8}\.png", str(path))
    with Image.open(tmp_path / path) as picture:
        assert picture.size == (1664, 928)
    assert "at most 0.0172 USD" in ran.stderr
    assert re.search(r"done in [\d.]+ s +cost 0\.0172 USD", ran.stderr)
    task = TASK.search(ran.stderr)
    assert task
    told = json.loads(modellix("download", task[0], "-o", "again.png", "--json").stdout)
    assert (told["status"], told["cost"], told["files"][0]["path"]) == ("success", 0.0172, "again.png")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / path).read_bytes()


def test_files_go_up_and_come_down(modellix, tmp_path, platform) -> None:
    Image.new("RGB", (500, 400), "#208040").save(tmp_path / "green.png")
    once = ("run", EDIT, "--prompt", "a hat", "--images", "green.png", "--images", f"{platform.origin}/samples/cat.jpg")
    told = json.loads(modellix(*once, "--n", "2", "--no-prompt-extend", "-o", "hat.png", "--json").stdout)
    assert [one["path"] for one in told["files"]] == ["hat-1.png", "hat-2.png"]
    (listed, *_) = json.loads(modellix("tasks", "--json").stdout)
    assert (listed["input"]["n"], listed["input"]["prompt_extend"], len(listed["input"]["images"])) == (2, False, 2)
    file = modellix("upload", "green.png").stdout.strip()
    assert re.fullmatch("file-[0-9a-f]{32}", file)
    assert "0.03 USD" in modellix("quote", EDIT, "--prompt", "x", "--images", file).stdout
    (tmp_path / "in.json").write_text(json.dumps({"prompt": "x", "images": [file]}))
    assert json.loads(modellix("quote", EDIT, "--input", "in.json", "--n", "3", "--json").stdout)["units"] == 3
    assert json.loads(
        modellix("quote", EDIT, "--input", "-", "--json", stdin=(tmp_path / "in.json").read_text()).stdout
    )


def test_a_task_in_steps(modellix) -> None:
    key = ("--idempotency-key", "same")
    slow = ("run", MODEL, "--prompt", "[sandbox:slow=1]", "--no-wait", *key)
    task = modellix(*slow).stdout.strip()
    assert TASK.fullmatch(task)
    assert modellix(*slow).stdout.strip() == task
    assert modellix("wait", task).stdout.strip().endswith(".png")
    modellix("cancel", task, ends=ExitCode.WRONG)
    queued = modellix("run", MODEL, "--prompt", "[sandbox:queue=60]", "--no-wait").stdout.strip()
    assert queued in modellix("wait", queued, "--timeout", "0.1", ends=ExitCode.TIMED_OUT).stderr
    assert "not done yet" in modellix("download", queued, ends=ExitCode.WRONG).stderr
    assert modellix("cancel", queued).stdout == "canceled\n"
    told = json.loads(modellix("wait", queued, "--json", ends=ExitCode.FAILED).stdout)
    assert (told["error"], told["code"], told["task_id"]) == ("TaskFailed", "canceled", queued)
    assert "canceled" in modellix("tasks", "--status", "failed").stdout


def test_models_and_their_flags(modellix) -> None:
    assert MODEL in modellix("models", "qwen", "plus").stdout
    listed = json.loads(modellix("models", "--type", "text-to-video", "--provider", "minimax", "--json").stdout)
    assert {one["provider"] for one in listed} == {"minimax"}
    for words in (("schema", MODEL), ("run", MODEL, "--help")):
        shown = modellix(*words).stdout
        assert "--prompt-extend/--no-prompt-extend" in shown
        assert "1664*928 | 1472*1140" in shown
    assert json.loads(modellix("schema", MODEL, "--json").stdout)["required"] == ["prompt"]
    assert "Usage: modellix run" in re.sub(r"\s+", " ", modellix("run", "--help").stdout)


def test_the_account(modellix, team) -> None:
    assert modellix("balance").stdout == "100 USD\n"
    assert json.loads(modellix("balance", "--json").stdout) == {"balance": 100}
    modellix("run", MODEL, "--prompt", "x", "--no-show")
    assert "0.0172 USD" in modellix("usage", "--by", "model").stdout
    assert json.loads(modellix("usage", "--json").stdout)[0]["succeeded"] == 1
    shown = modellix("keys")
    assert "test" in shown.stdout
    assert "/console/api-key" in shown.stderr
    assert team.text not in shown.stdout + shown.stderr
    assert json.loads(modellix("keys", "--json").stdout)["mode"] == "test"


def test_a_key_is_saved_for_the_user_alone(modellix, platform, team, monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("MODELLIX_API_KEY")
    monkeypatch.delenv("MODELLIX_BASE_URL")
    assert "modellix login" in modellix("balance", ends=ExitCode.NO_KEY).stderr
    modellix("login", "--base-url", platform.origin, "--key-stdin", stdin="mdlx-wrong\n", ends=ExitCode.NO_KEY)
    piped = modellix("login", "--base-url", f"{platform.origin}/", stdin=f"{team.text}\n")
    assert "Signed in" in piped.stderr
    assert team.text not in piped.stdout + piped.stderr
    file = tmp_path / "config/modellix/config.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert modellix("balance").stdout == "100 USD\n"
    assert "login" in modellix("login", "--base-url", "nowhere", ends=ExitCode.NO_KEY).stderr + "login"
    told = json.loads(modellix("login", "--base-url", platform.origin, "--key-stdin", "--json", stdin=team.text).stdout)
    assert (told["signed_in"], told["key"]["mode"]) == (True, "test")
    modellix("logout")
    assert json.loads(modellix("logout", "--json").stdout) == {"signed_in": False}
    assert not file.exists()


def test_a_key_is_pasted_into_a_terminal(platform, team, tmp_path) -> None:
    main, child = pty.openpty()
    command = [Path(sys.executable).with_name("modellix"), "login", "--no-browser", "--base-url", platform.origin]
    env = os.environ | {"XDG_CONFIG_HOME": str(tmp_path)}
    process = subprocess.Popen(command, env=env, stdin=child, stdout=child, stderr=child, start_new_session=True)
    os.close(child)
    shown = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while b"API key:" not in shown:
            shown += os.read(main, 4096)
        os.write(main, f"{team.text}\n".encode())
        while piece := os.read(main, 4096):
            shown += piece
    os.close(main)
    assert process.wait() == 0, shown
    assert f"{platform.origin}/console/api-key" in shown.decode()
    assert team.text not in shown.decode()
    assert (tmp_path / "modellix/config.json").is_file()


@pytest.mark.parametrize(
    ("words", "ends", "told"),
    [
        (("run",), ExitCode.WRONG, "Usage"),
        (("run", MODEL), ExitCode.WRONG, "needs --prompt"),
        (("run", MODEL, "--prompt", "x", "--sice", "1*1"), ExitCode.WRONG, "did you mean --size"),
        (("run", MODEL, "--prompt", "x", "--color", "red"), ExitCode.WRONG, "it takes --prompt"),
        (("run", MODEL, "--prompt", "x", "--n", "two"), ExitCode.WRONG, "--n takes a value of type integer"),
        (("run", MODEL, "--prompt", "a", "cat"), ExitCode.WRONG, "quotes"),
        (("run", MODEL, "--prompt"), ExitCode.WRONG, "needs a value"),
        (("run", MODEL, "--input", "{"), ExitCode.WRONG, "--input takes JSON"),
        (("run", MODEL, "--input", "[]"), ExitCode.WRONG, "no such file"),
        (("run", MODEL, "--prompt", "x", "--size", "1*1"), ExitCode.WRONG, "Value out of range"),
        (("run", "alibaba/none", "--prompt", "x"), ExitCode.WRONG, "Resource not found"),
        (("run", "alibaba/qwen-image-pluss", "--prompt", "x"), ExitCode.WRONG, f"did you mean {MODEL}?"),
        (
            ("schema", "qwen-image-pluss"),
            ExitCode.WRONG,
            f"there is no model 'qwen-image-pluss': did you mean {MODEL}?",
        ),
        (("models", "nonsense"), 0, "no model fits"),
        (("run", EDIT, "--prompt", "x", "--images", "@gone.png"), ExitCode.WRONG, "there is no file gone.png"),
        (("run", EDIT, "--prompt", "x", "--images", "./gone.png"), ExitCode.WRONG, "there is no file gone.png"),
        (("login", "--key-stdin"), ExitCode.NO_KEY, "no API key was given"),
        (("run", MODEL, "--prompt", "x", "--max-cost", "0.01"), ExitCode.NO_MONEY, "more than --max-cost 0.01 USD"),
        (("run", MODEL, "--prompt", "[sandbox:moderate]"), ExitCode.FAILED, "errors/content-rejected"),
        (("run", MODEL, "--prompt", "[sandbox:queue=60]", "--timeout", "0.2"), 124, "modellix wait task-"),
        (("wait", "task-" + 32 * "0"), ExitCode.WRONG, "request"),
        (("upload", "gone.png"), ExitCode.WRONG, "gone.png"),
    ],
)
def test_what_goes_wrong(modellix, words, ends, told: str) -> None:
    ran = modellix(*words, ends=ends)
    assert told.lower() in re.sub(r"[\s│]+", " ", ran.stdout + ran.stderr).lower()


def test_other_ends(modellix, monkeypatch, platform) -> None:
    modellix("download", "task-" + 32 * "0", "--json", ends=ExitCode.WRONG)
    told = json.loads(modellix("run", MODEL, "--prompt", "x", "--sice", "1", "--json", ends=ExitCode.WRONG).stdout)
    assert (told["error"], "--size" in told["message"]) == ("UsageError", True)
    told = json.loads(modellix("tasks", "--limit", "x", "--json", ends=ExitCode.WRONG).stdout)
    assert told["error"] == "UsageError"
    monkeypatch.setenv("MODELLIX_API_KEY", "mdlx-unknown")
    told = json.loads(modellix("balance", "--json", ends=ExitCode.NO_KEY).stdout)
    assert (told["error"], told["category"], told["code"]) == ("AuthenticationFailed", "Authentication failed", 401)
    assert told["docs_url"] == f"{platform.origin}/docs/errors/authentication-failed"
    monkeypatch.setenv("MODELLIX_BASE_URL", "http://127.0.0.1:9")
    assert "no connection" in modellix("balance", ends=ExitCode.BUSY).stderr


async def test_logs_are_followed(environment, platform, team) -> None:
    await team.get("/api/v1/models/alibaba/one")
    await platform.log_is_written(team)
    command = [sys.executable, "-u", "-m", "modellix.cli", "logs", "--follow", "--json", "--status", "404"]
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | environment, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    assert json.loads(await process.stdout.readline())["path"] == "/api/v1/models/alibaba/one"
    await team.get("/api/v1/models/alibaba/two")
    assert json.loads(await process.stdout.readline())["path"] == "/api/v1/models/alibaba/two"
    process.terminate()
    await process.wait()


async def test_whoever_follows_the_log_does_not_see_the_following(environment, platform, team) -> None:
    command = [sys.executable, "-u", "-m", "modellix.cli", "logs", "--follow", "--json", "--limit", "0"]
    process = await asyncio.create_subprocess_exec(
        *command, env=os.environ | environment, stdout=asyncio.subprocess.PIPE
    )
    own = "select count(*) from requestlog.entry where team_id = $1 and path = '/api/v1/logs'"
    await eventually(lambda: platform.pool.fetchval(own, team.id))
    await team.get("/api/v1/models/alibaba/one")
    assert process.stdout
    assert json.loads(await process.stdout.readline())["path"] == "/api/v1/models/alibaba/one"
    process.terminate()
    await process.wait()


def test_nobody_reads_to_the_end(environment) -> None:
    listed = f"{Path(sys.executable).with_name('modellix')} schema {MODEL} | head -1"
    ran = subprocess.run(["sh", "-c", listed], env=os.environ | environment, capture_output=True, text=True)
    assert (ran.stdout.startswith(MODEL), ran.stderr) == (True, "")


def test_shells_complete_models(environment, modellix) -> None:
    assert "modellix" in modellix("completion", "bash").stdout
    asked = {
        "_MODELLIX_COMPLETE": "bash_complete",
        "COMP_WORDS": "modellix run alibaba/qwen-image-p",
        "COMP_CWORD": "2",
    }
    ran = subprocess.run(
        [Path(sys.executable).with_name("modellix")],
        env=os.environ | environment | asked,
        capture_output=True,
        text=True,
    )
    assert f"plain,{MODEL}" in ran.stdout.split()


def test_a_command_loads_no_more_than_it_needs(environment, tmp_path) -> None:
    words = ["run", MODEL, "--prompt", "x", "--no-show"]
    code = f"import sys; sys.argv[1:] = {words}\nfrom modellix.cli import main\n"
    code += "try: main()\nfinally: print(*sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | environment, capture_output=True, text=True, cwd=tmp_path
    )
    loaded = set(ran.stdout.split())
    assert "httpx2" in loaded
    assert loaded & {"rich.console", "typer", "pydantic", "PIL", "modellix_server"} == set()


def test_pictures_in_terminals(tmp_path, monkeypatch) -> None:
    for name in ("KITTY_WINDOW_ID", "TMUX", "COLORTERM", "TERM_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    Image.new("RGB", (96, 96), "#0a141e").save(tmp_path / "one.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "one.webp")
    png, webp = (tmp_path / "one.png").read_bytes(), (tmp_path / "one.webp").read_bytes()
    assert "".join(pictures._drawn(png)) == ""
    assert not pictures.show(tmp_path / "one.png")
    monkeypatch.setenv("COLORTERM", "truecolor")
    blocks = "".join(pictures._drawn(png)).splitlines()
    assert [line.count("▀") for line in blocks] == [48] * 24
    assert blocks[0].startswith("\x1b[38;2;10;20;30m\x1b[48;2;10;20;30m▀")
    monkeypatch.setenv("TERM_PROGRAM", "iTerm.app")
    assert "".join(pictures._drawn(webp)).startswith(f"\x1b]1337;File=inline=1;size={len(webp)};width=48:")
    monkeypatch.setenv("TERM", "xterm-kitty")
    assert "".join(pictures._drawn(webp)).startswith("\x1b_Gf=100,a=T,c=48,m=0;iVBORw0KGgo")
    assert "".join(pictures._drawn(b"\x89PNG" + bytes(9000))).count("\x1b_G") == 3


def test_every_model_runs_as_its_page_says() -> None:
    """The commands of the console and of the documentation give the very parameters that they stand for."""
    found = 0
    for model in Catalogue.load():
        command = next(one.text for one in samples("http://x", model, model.example) if one.language == "CLI")
        name, run, slug, *words = shlex.split(command.replace("\\\n", " "))
        assert (name, run, slug) == ("modellix", "run", model.slug)
        details = msgspec.convert(
            {**DETAILS, "slug": slug, "schema": dict(model.schema), "example": dict(model.example)}, types.ModelDetails
        )
        assert flags.parse(details, words) == model.example, command
        found += 1
    assert found > 100


DETAILS = dict.fromkeys(("type", "provider", "description", "docs_url", "name"), "") | {
    "prices": [], "price_usd": None, "deadline_s": 1, "retires": None, "featured": False,
    "submit": {"method": "POST", "url": ""},
}  # fmt: skip
