"""What pages say about the command `modellix`: commands, options and exit codes are the code's, samples run."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.clients.cli_screens import run
from tests.support.api_client import Team

from modellix.cli.app import app
from modellix.cli.exits import ExitCode

TOP = Path(__file__).parents[2]
PAGES = [TOP / "clients/python/README.md", *sorted((TOP / "docs/site").rglob("*.md"))]
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
CLI_PAGES = [TOP / f"docs/site/{language}/ways-to-use/cli.md" for language in ("en", "zh")]


def commands(text: str) -> Iterator[list[str]]:
    """The arguments of every `modellix …` in shell blocks and in code within a line."""
    lines = [line for block in SHELL.findall(text) for line in block.replace("\\\n", " ").splitlines()]
    lines += re.findall(r"`(modellix [^`\n]+)`", text)
    for line in lines:
        words = shlex.split(line, comments=True) if line.startswith("modellix ") else []
        yield from [words[1:]] if words else []


def parse(given: list[str]) -> None:
    """Raise what the command would complain of, other than its model's flags."""
    if given == ["--help"]:
        return
    command = app.commands[given[0]]
    words = [word for word in given[1:] if word not in {"…", "[WORDS]"}]
    context = click.Context(command, **command.context_settings)
    _, left, _ = command.make_parser(context).parse_args(list(words))
    assert all(word.startswith("--") or not word.startswith("-") for word in left)
    if not command.context_settings.get("allow_extra_args"):
        files = [str(__file__) if re.fullmatch(r"FILE|.*\.\w+", word) else word for word in words]
        command.make_context(given[0], files)


def test_commands_exist_as_written() -> None:
    found = [(page, given) for page in PAGES for given in commands(page.read_text(encoding="utf-8"))]
    assert len(found) > 30
    for page, given in found:
        try:
            parse(given)
        except Exception as error:
            raise AssertionError(f"{page.name}: modellix {shlex.join(given)}: {error!r}") from error


@pytest.mark.parametrize("given", ["nothing", "models --kind x", "tasks --limit many", "usage --by week"])
def test_a_wrong_command_is_found(given: str) -> None:
    with pytest.raises((KeyError, click.UsageError)):
        parse(given.split())


@pytest.mark.parametrize("page", CLI_PAGES, ids=lambda page: page.parts[-3])
def test_every_command_and_exit_code_is_on_the_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert {given[0] for given in commands(text)} == set(app.commands)
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)] == [*ExitCode]
    mentioned = set(re.findall(r"`(--[a-z-]+)`", text))
    options = {one for command in app.commands.values() for option in command.params for one in option.opts}
    options |= {one for command in app.commands.values() for option in command.params for one in option.secondary_opts}
    assert mentioned <= options | {"--input"}


@pytest.mark.full
async def test_the_commands_of_the_pages_run(environment, tmp_path, team, platform) -> None:
    """One after the other in a shell, as they are there; the address and the key are this platform's."""
    async with platform.http.get(f"{platform.origin}/samples/cat.jpg") as answer:
        (tmp_path / "cat.png").write_bytes(await answer.read())
    text = CLI_PAGES[0].read_text(encoding="utf-8")
    (tmp_path / "jobs.jsonl").write_text(re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[0])
    said = await asyncio.to_thread(run_blocks, text, environment, tmp_path, team)
    assert "2 of 2 done" in said
    assert (tmp_path / "hat.png").exists()
    for file in ("jobs.jsonl", "jobs.jsonl.state"):
        (tmp_path / file).unlink()
    said = await asyncio.to_thread(run_blocks, PAGES[0].read_text(encoding="utf-8"), environment, tmp_path, team)
    assert "2 of 2 done" in said
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 3 + 3


def run_blocks(text: str, environment: dict[str, str], folder: Path, team: Team) -> str:
    blocks = [block for block in SHELL.findall(text) if "modellix " in block]
    script = "".join(block for block in blocks if "pip install" not in block)
    script = re.sub(r"http://127.0.0.1:8000|https://modellix.example.com", environment["MODELLIX_BASE_URL"], script)
    script = re.sub(r"^modellix login.*?(?=  #|$)", r"\g<0> --key-stdin < key.txt", script, count=1, flags=re.MULTILINE)
    (folder / "key.txt").write_text(team.text)
    env = os.environ | environment
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    ran = subprocess.run(["sh", "-eu", "-c", script], cwd=folder, env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    return ran.stderr


def test_somebody_who_looks_sees_progress_and_the_picture(environment, tmp_path) -> None:
    command = "modellix run alibaba/qwen-image-plus --prompt '[sandbox:slow=5] a boat' --size 928*1664"
    seen: list[str] = []
    end = run(command, environment, tmp_path, lambda screen: seen.append(screen) or False)
    assert any("running" in screen for screen in seen)
    assert "running" not in end
    assert end.count("▀") == 27 * 24
    assert "done" in end
