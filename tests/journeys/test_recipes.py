"""The recipes of the documentation, followed to the letter: the files are those on the pages, and they run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
FILE = re.compile(r"^`([\w./-]+)`\n\n```\w+\n(.*?)^```", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def page(name: str) -> str:
    return (TOP / "docs" / name).read_text(encoding="utf-8")


def write_files(text: str, folder: Path) -> list[str]:
    """Put every file of a page below a folder; their names."""
    found = FILE.findall(text)
    for name, content in found:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return [name for name, _ in found]


@pytest.mark.parametrize("name", ["add-a-model.md", "add-an-upstream.md"])
def test_the_recipe_in_chinese_has_the_same_files_and_commands(name: str) -> None:
    text, translated = page(name), page(f"site/zh/self-hosting/{name}")
    assert FILE.findall(translated) == FILE.findall(text)
    assert SHELL.findall(translated) == SHELL.findall(text)


@pytest.mark.full
async def test_add_a_model(stage, postgres_server, tmp_path: Path) -> None:
    text = page("add-a-model.md")
    assert write_files(text, tmp_path) == ["models/acme/banner.toml"]
    bodies = re.findall(r"-d '(.*)'$", text, re.MULTILINE)
    urls = re.findall(r"http://127.0.0.1:8000(\S+)", text)
    async with stage(postgres_server, tmp_path, catalogue_dir=str(tmp_path / "models")) as platform:
        team = await platform.team()
        listed = (await team.get("/api/v1/models?provider=acme")).data
        assert "acme/banner" in str(listed)
        shown = (await team.get(urls[0])).data
        assert "size" in str(shown)
        assert (await team.post(urls[1], bodies[0].encode())).data["cost"] == 0.02
        (await team.post(urls[2], b'{"prompt": "x", "n": 2}')).refused(
            400, "Value out of range: parameter 'n' must be 1, got 2"
        )
        task = (await team.post(urls[2], bodies[1].encode())).data["task_id"]
        done = await team.finish(task)
        assert (done["status"], done["billing"]["amount"]) == ("success", 0.02)
        assert [(one["width"], one["height"]) for one in done["result"]["resources"]] == [(1664, 928)]
        odd = await team.run("acme/banner", prompt="x", size="1472*1140")
        assert odd["billing"]["amount"] == 0.01
        live = await platform.team(live=True)
        (await live.submit("acme/banner", prompt="x", size="1472*1140")).refused(
            503, "Service unavailable: model 'acme/banner' has no price for '4:3' yet"
        )


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Iterator[Path]:
    """The source with the page's vendor in it."""
    top = tmp_path_factory.mktemp("extended")
    for name in ("src", "tests"):
        shutil.copytree(TOP / name, top / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOP / "pyproject.toml", top)
    text = page("add-an-upstream.md")
    assert len(write_files(text, top)) == 5
    answers, prove = SHELL.findall(text)
    subprocess.run(["sh", "-euc", answers], cwd=top, check=True)
    (top / "prove.sh").write_text(prove.replace(".venv/bin/python", sys.executable))
    yield top
    shutil.rmtree(top)


@pytest.mark.full
@pytest.mark.timeout(300)
def test_the_upstream_of_the_page_passes_what_it_must(extended: Path) -> None:
    env = os.environ | {"PYTHONPATH": str(extended / "src")}
    env.pop("PYTEST_XDIST_WORKER", None)
    ran = subprocess.run(["sh", "-eu", "prove.sh"], cwd=extended, env=env, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-2000:]
    assert int(re.findall(r"(\d+) passed", ran.stdout)[0]) > 40
    without = extended / "tests/contract/inkwell/slow_down.json"
    kept = without.read_bytes()
    without.unlink()
    again = [sys.executable, "-m", "pytest", "-q", "tests/contract", "-k", "inkwell"]
    assert subprocess.run(again, cwd=extended, env=env, capture_output=True).returncode == 1
    without.write_bytes(kept)


def test_the_upstream_of_the_page_keeps_the_house_rules(extended: Path) -> None:
    ours = [str(path) for path in sorted((extended / "src").rglob("inkwell.py"))]
    assert len(ours) == 2
    for check in (["format", "--check"], ["check"]):
        ruff = [sys.executable, "-m", "ruff", *check, "--no-cache", "--config", str(TOP / "pyproject.toml"), *ours]
        ran = subprocess.run(ruff, capture_output=True, text=True)
        if "No module named" in ran.stderr:
            pytest.skip("the linter is not installed")
        assert ran.returncode == 0, ran.stdout


@pytest.mark.full
async def test_the_upstream_of_the_page_runs(stage, postgres_server, tmp_path, extended: Path, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(extended / "src"))
    async with stage(postgres_server, tmp_path) as platform:
        team = await platform.team(micros=1_000_000)
        done = await team.run("inkwell/poster-1", prompt="Spring fair", size="1280*720", n=3)
        assert (done["status"], done["billing"]["amount"]) == ("success", 0.03)
        assert [(one["width"], one["height"]) for one in done["result"]["resources"]] == [(1280, 720)] * 3
        part = await team.run("inkwell/poster-1", prompt="[sandbox:partial]", n=2)
        assert (part["status"], part["billing"]["amount"]) == ("success", 0.01)
        for prompt, code in (
            ("[sandbox:refuse]", "invalid_input"),
            ("[sandbox:moderate]", "content_rejected"),
            ("[sandbox:lost]", "submission_outcome_unknown"),
            ("[sandbox:garbage]", "submission_outcome_unknown"),
            ("[sandbox:fail]", "upstream_refused"),
        ):
            failed = await team.run("inkwell/poster-1", prompt=prompt)
            assert (failed["status"], failed["error"]["code"]) == ("failed", code), prompt
        assert await platform.balance_of(team) == (1_000_000 - 40_000, 0)


def test_files_on_a_page_are_found(tmp_path: Path) -> None:
    text = "Look:\n\n`a/b.txt`\n\n```text\none\n```\n\n```sh\nls\n```\n"
    assert write_files(text, tmp_path) == ["a/b.txt"]
    assert (tmp_path / "a/b.txt").read_text() == "one\n"
