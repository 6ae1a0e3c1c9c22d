"""The vendor's own client, minimax-mcp, works against the emulator with nothing but its address changed.

Its tools are called as functions. What they answer is a sentence; errors are checked at the client below them.
"""

from __future__ import annotations

import importlib
import io
import re
import sys
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

MODEL = "MiniMax-Hailuo-02"


@pytest.fixture(scope="module")
def tools(sandbox) -> Iterator[Any]:
    """The client's tools. They read their address and key when they are imported."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MINIMAX_API_KEY", "sk-test")
        patch.setenv("MINIMAX_API_HOST", f"{sandbox.origin}/minimax")
        # GPL, and only used to guess misspelt names of files: it is not installed.
        patch.setitem(sys.modules, "fuzzywuzzy", types.SimpleNamespace(fuzz=None))
        module = importlib.import_module("minimax_mcp.server")
        patch.setattr(module, "time", types.SimpleNamespace(sleep=lambda _: time.sleep(0.2)))
        yield module
        module.api_client.session.close()
        for name in [name for name in sys.modules if name.startswith("minimax_mcp")]:
            del sys.modules[name]


@pytest.fixture
def kept(tools, tmp_path, monkeypatch) -> Path:
    """Where the tools save files."""
    monkeypatch.setattr(tools, "resource_mode", "local")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_pictures(tools) -> None:
    said = tools.text_to_image(prompt="a kite", aspect_ratio="16:9", n=2, prompt_optimizer=False).text
    assert said.startswith("Success. Image URLs:"), said
    assert len(re.findall(r"http://\S+?\.png", said)) == 2


def test_a_picture_is_downloaded(tools, kept: Path) -> None:
    said = tools.text_to_image(prompt="kite", output_directory=str(kept)).text
    assert "saved" in said, said
    (file,) = kept.rglob("*.jpg")
    assert Image.open(io.BytesIO(file.read_bytes())).size == (1024, 1024)


@pytest.mark.full
def test_a_clip_is_waited_for_and_downloaded(tools, kept: Path) -> None:
    said = tools.generate_video(MODEL, "a kite", duration=6, resolution="768P", output_directory=str(kept)).text
    assert "Video saved" in said, said
    (file,) = kept.rglob("*.mp4")
    assert file.read_bytes()[4:8] == b"ftyp"


@pytest.mark.full
def test_a_clip_is_asked_for_later(tools, files, material, tmp_path) -> None:
    picture = tmp_path / "first.png"
    picture.write_bytes(material.png(material.photo(900, 600)))  # arrives as data:image/jpeg, which it is not
    said = tools.generate_video(MODEL, "it moves", str(picture), resolution="512P", async_mode=True).text
    task = re.search(r"Task ID: (\d+)", said)
    assert task, said
    for _ in range(300):
        said = tools.query_video_generation(task[1]).text
        if "processing" not in said:
            break
        time.sleep(0.2)
    assert re.search(r"Success. Video URL: http://\S+\.mp4", said), said


def test_a_clip_that_fails(tools) -> None:
    assert "failed" in tools.generate_video(MODEL, "[sandbox:fail]").text
    assert "2013" in tools.generate_video(MODEL, "x", duration=7).text
    assert "2013" in tools.query_video_generation("1").text


@pytest.mark.parametrize(
    ("prompt", "code"),
    [
        ("[sandbox:moderate]", 1026),
        ("[sandbox:refuse]", 2013),
        ("[sandbox:arrears]", 1008),
        ("[sandbox:throttle]", 1002),
    ],
)
def test_errors_are_the_client_s_own(tools, prompt: str, code: int) -> None:
    with pytest.raises(tools.MinimaxRequestError, match=f"{code}-"):
        tools.api_client.post("/v1/image_generation", json={"model": "image-01", "prompt": prompt + " sdk"})


def test_a_bad_key(tools, sandbox) -> None:
    errors = importlib.import_module("minimax_mcp.exceptions")
    client = tools.MinimaxAPIClient("sk-invalid", f"{sandbox.origin}/minimax")
    with pytest.raises((errors.MinimaxAuthError, tools.MinimaxRequestError)) as caught:
        client.post("/v1/image_generation", json={"model": "image-01", "prompt": "x"})
    client.session.close()
    assert "key" in str(caught.value).lower() or "login" in str(caught.value).lower()
