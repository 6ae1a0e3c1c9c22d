"""What pages say about the command `modellix`: commands, options and exit codes are the code's, samples run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

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


def test_the_commands_of_the_readme_run(environment, tmp_path, team) -> None:
    """One after the other in a shell, as they are there; the address and the key are this platform's."""
    blocks = [block for block in SHELL.findall(PAGES[0].read_text(encoding="utf-8")) if "modellix " in block]
    script = "".join(block for block in blocks if "pip install" not in block)
    script = script.replace("http://127.0.0.1:8000", environment["MODELLIX_BASE_URL"])
    script = re.sub(r"^modellix login.*?(?=  #|$)", r"\g<0> --key-stdin < key.txt", script, count=1, flags=re.MULTILINE)
    (tmp_path / "key.txt").write_text(team.text)
    env = os.environ | environment
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    ran = subprocess.run(["sh", "-eu", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 3
    assert "2 of 2 done" in ran.stderr
