"""Sample media: served to everybody, and used as inputs without being fetched."""

from __future__ import annotations

import asyncio

import pytest

from modellix_server.catalogue import samples


@pytest.mark.parametrize(
    ("name", "mime"), [("cat.jpg", "image/jpeg"), ("walk.mp4", "video/mp4"), ("music.mp3", "audio/mpeg")]
)
async def test_a_sample_is_public_and_inert(platform, name: str, mime: str) -> None:
    content = (samples.FOLDER / name).read_bytes()
    answer = await platform.anyone().get(f"/samples/{name}")
    assert (answer.status, answer.body) == (200, content)
    expected = {
        "content-type": mime,
        "content-length": str(len(content)),
        "accept-ranges": "bytes",
        "cache-control": "public, max-age=86400",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; sandbox",
    }
    assert expected.items() <= answer.headers.items()
    part = await platform.anyone().get(f"/samples/{name}", headers={"Range": "bytes=10-19"})
    assert (part.status, part.body) == (206, content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(content)}"
    several = await platform.anyone().get(f"/samples/{name}", headers={"Range": "bytes=10-19,30-39"})
    assert (several.status, several.body) == (200, content)
    head = await platform.anyone().call("HEAD", f"/samples/{name}")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(content)))


async def test_other_names_lead_nowhere(platform) -> None:
    for name in ("dog.jpg", "..%2fsamples.py", "%2e%2e/samples.py", "cat.jpg/", ""):
        assert (await platform.anyone().get(f"/samples/{name}")).status == 404
    assert (await platform.anyone().post("/samples/cat.jpg")).status == 405


@pytest.mark.full
async def test_examples_work_where_no_address_of_ours_may_be_fetched(postgres_server, stage, tmp_path) -> None:
    """Inlined, as a link alone, as a link to a clip: with no private network allowed nothing here can be fetched."""
    async with stage(postgres_server, tmp_path, allow_networks="") as platform:
        team = await platform.team()

        async def ended(model: str) -> str:
            example = (await team.get(f"/api/v1/models/{model}")).data["example"]
            assert f"{platform.origin}/samples/" in str(example)
            return (await team.run(model, **example))["status"]

        models = ("alibaba/qwen-image-edit-plus", "alibaba/aitryon", "alibaba/wan2.7-videoedit")
        assert await asyncio.gather(*map(ended, models)) == ["success"] * 3
        link = f"{platform.origin}/samples/dog.jpg"
        lost = await team.submit("alibaba/aitryon", person_image_url=link, top_garment_url=link)
        lost.refused(400, "Invalid format: parameter 'person_image_url': there is no such sample")
