"""Sample media: small, found by name alone, and within the limits of every model whose example uses them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pymediainfo import MediaInfo

from modellix_server.base import json_paths
from modellix_server.catalogue import BadModel, Catalogue, MediaInput, samples
from modellix_server.catalogue.media import Facts, refusal
from modellix_server.catalogue.registry import BUILT_IN

ORIGIN = "https://gate.example/base"
CATALOGUE = Catalogue.load(origin=ORIGIN)
EDIT = (BUILT_IN / "alibaba" / "qwen-image-edit-plus.toml").read_text(encoding="utf-8")
FORMATS = {".jpg": "jpeg", ".png": "png", ".mp4": "mp4", ".mp3": "mp3"}


def examples() -> list[Any]:
    return [
        pytest.param(model, example, id=f"{model.slug}-{index}")
        for model in CATALOGUE
        for index, example in enumerate((model.example, *model.more))
    ]


def test_all_together_are_small() -> None:
    assert sum(path.stat().st_size for path in samples.FOLDER.iterdir()) < 1_500_000


def test_every_sample_is_of_use_and_no_link_leads_elsewhere() -> None:
    used: set[str] = set()
    for model in CATALOGUE:
        for link in links((model.example, *model.more)):
            start, _, name = link.rpartition("/")
            assert (start, model.slug) == (f"{ORIGIN}/samples", model.slug)
            used.add(name)
    assert used == samples.names()


def links(value: Any) -> list[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [link for part in value for link in links(part)]
    return [value] if isinstance(value, str) and value.startswith(("http", "sample:")) else []


@pytest.mark.parametrize(("model", "example"), examples())
def test_the_media_of_an_example_keep_the_limits(model, example) -> None:
    assert model.schema["examples"][0] == model.example
    for medium in model.media:
        for found in json_paths.find(example, (medium.name,)):
            keeps(medium, samples.FOLDER / found.text.rpartition("/")[2])


def keeps(medium: MediaInput, path: Path) -> None:
    length_ms = None
    if path.suffix in (".jpg", ".png"):
        kind = "image"
        with Image.open(path) as image:
            width, height = image.size
    else:
        tracks = MediaInfo.parse(str(path))
        kind = "video" if tracks.video_tracks else "audio"
        width, height = next(((track.width, track.height) for track in tracks.video_tracks), (None, None))
        length_ms = round(float(tracks.general_tracks[0].duration))
    facts = Facts(kind, FORMATS[path.suffix], path.stat().st_size, width, height, length_ms)
    assert refusal(medium, medium.name, facts) is None


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../samples.py", "cat.jpg/", "cat", "CAT.JPG", "/etc/passwd", "cat.jpg\0"]
)
def test_names_that_are_none(name: str) -> None:
    assert samples.find(name) is None


def test_an_example_with_a_sample_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    assert "sample:cat.jpg" in EDIT
    path = tmp_path / "acme" / "edit.toml"
    path.parent.mkdir()
    for name in ("dog.jpg", "../samples.py"):
        path.write_text(EDIT.replace("sample:cat.jpg", f"sample:{name}"), encoding="utf-8")
        with pytest.raises(BadModel, match=rf"acme/edit.toml: there is no sample {name}; there are .*cat\.jpg"):
            Catalogue.load(tmp_path)


def test_the_operator_may_use_samples_and_any_link(tmp_path: Path) -> None:
    path = tmp_path / "acme" / "edit.toml"
    path.parent.mkdir()
    both = '"sample:cat.jpg", "https://example.com/a.png"'
    path.write_text(
        EDIT.replace('"sample:cat.jpg"', both).replace('docs_slug = "', 'docs_slug = "own-'), encoding="utf-8"
    )
    example = Catalogue.load(tmp_path, ORIGIN).models["acme/edit"].example
    assert example["images"] == [f"{ORIGIN}/samples/cat.jpg", "https://example.com/a.png"]


def test_only_a_text_that_is_a_sample_alone_is_replaced() -> None:
    given = {"prompt": "sample: a cat", "n": 1, "deep": [{"url": "sample:cat.jpg"}], "word": "a sample:cat.jpg"}
    linked = {**given, "deep": [{"url": f"{ORIGIN}/samples/cat.jpg"}]}
    assert samples.linked(given, ORIGIN) == linked
