"""Uploads in pages."""

from __future__ import annotations

import html
import re

import aiohttp
from tests.support.browsers import member, new_team
from tests.support.media_files import photo, png
from tests.support.platform_processes import Platform

from modellix_server.identity import Role


def form(content: bytes, name: str) -> aiohttp.FormData:
    data = aiohttp.FormData(quote_fields=False)
    data.add_field("file", content, filename=name)
    return data


async def test_a_file_is_uploaded_linked_and_deleted(platform: Platform) -> None:
    team = await new_team(platform)
    visitor, viewer = await member(platform, team.id, Role.DEVELOPER), await member(platform, team.id, Role.VIEWER)
    assert "No file is kept" in (await visitor.get("/console/files")).text
    picture = png(photo(320, 240))
    page = await visitor.post("/console/files", form(picture, "<img src=x onerror=alert(1)>.png"))
    assert (page.status, page.headers["Location"]) == (303, "/console/files")
    page = await visitor.get("/console/files")
    for text in ("&lt;img src=x", "PNG · 320", "Copy link", "Use as input"):
        assert text in page.text, text
    assert "<img src=x" not in page.text
    link = re.search(r'id="file-\w+-link">([^<]+)<', page.text)
    assert link is not None
    async with platform.http.get(html.unescape(link[1])) as answer:
        assert await answer.read() == picture
    delete = re.search(r'action="(/console/files/file-\w+/delete)"', page.text)
    assert delete is not None
    shown = await viewer.get("/console/files")
    assert "&lt;img src=x" in shown.text
    assert "/delete" not in shown.text
    assert (await viewer.post(delete[1], {})).status == 403
    assert (await viewer.post("/console/files", form(picture, "x.png"))).status == 403
    stranger = await member(platform, (await new_team(platform)).id, Role.OWNER)
    assert (await stranger.post(delete[1], {})).status == 404
    assert "No file is kept" in (await visitor.get(f"/console/files?scope={team.id}-live")).text
    assert (await visitor.post(delete[1], {})).status == 303
    assert "No file is kept" in (await visitor.get("/console/files")).text


async def test_what_is_no_picture_is_refused_on_the_page(platform: Platform) -> None:
    visitor = await member(platform, (await new_team(platform)).id, Role.OWNER)
    page = await visitor.post("/console/files", form(b"<script>alert(1)</script>" * 9, "x.png"))
    assert page.status == 400
    assert "not a supported image" in page.text
    page = await visitor.post("/console/files", {"file": "text"})
    assert page.status == 400
    assert (await visitor.get("/console/files?after=x")).status == 400
