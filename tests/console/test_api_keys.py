"""The page of API keys: limits, use, rotation, deletion, and the file with a new key."""

from __future__ import annotations

import re
from html import unescape

from tests.support.browsers import Shown, Visitor, member, new_team
from tests.support.platform_processes import Platform
from tests.support.waiting import eventually

from modellix_server.identity import Role

MODEL = "alibaba/qwen-image-plus"
LIMITS = {
    "name": "my program",
    "mode": "test",
    f"model:{MODEL}": "on",
    "type:text-to-video": "on",
    "budget": "$2.50",
    "reset": "weekly",
    "expires": "30",
    "tag": "app <b>",
}


def text_of(page: Shown) -> str:
    found = re.search(r'id="new-key">(mdlx-[\w-]+)<', page.text)
    assert found is not None, page.text
    return found[1]


def number_of(page: Shown, name: str = "my program") -> str:
    found = re.search(rf"/console/api-key/(\d+)\?mode=test[^>]*>{name}<", page.text)
    assert found is not None
    return found[1]


async def owner(platform: Platform) -> Visitor:
    return await member(platform, (await new_team(platform)).id, Role.OWNER)


async def test_limits_are_set_shown_and_changed(platform: Platform) -> None:
    visitor = await owner(platform)
    page = await visitor.post("/console/api-key", LIMITS)
    assert page.status == 200
    assert re.search(rf"<div>All text to video models</div>\s*<div>{re.escape(MODEL)}</div>", page.text)
    assert "$0.0000 of $2.5000 this week" in page.text
    assert ">app &lt;b&gt;</a>" in page.text
    client = platform.anyone(f"Bearer {text_of(page)}")
    own = (await client.get("/api/v1/key")).data
    assert (own["models"], own["types"], own["tag"]) == ([MODEL], ["text-to-video"], "app <b>")
    assert (own["budget"]["amount"], own["budget"]["period"]) == (2.5, "weekly")

    path = f"/console/api-key/{number_of(page)}"
    form = (await visitor.get(path + "?mode=test")).text
    for box, there in ((f"model:{MODEL}", True), ("type:text-to-video", True), ("type:text-to-image", False)):
        assert (f'name="{box}" checked' in form) is there
    assert 'value="2.50"' in form
    assert '<option value="weekly" selected>' in form
    assert '<option value="keep" selected>' in form
    for there in re.findall(r'href="(/console/\w+\?key=[^"]+)"', form):
        assert (await visitor.get(unescape(there))).status == 200
    saved = await visitor.post(path, {"mode": "test", "budget": "3", "reset": "weekly", "expires": "keep"})
    assert (saved.status, saved.headers["Location"]) == (303, "/console/api-key")
    page = await visitor.get("/console/api-key")
    assert "$0.0000 of $3.0000 this week" in page.text
    assert MODEL not in page.text.partition("<table")[2]
    assert "app &lt;b&gt;" not in page.text.partition("<table")[2], "the form had no tag any more"

    async def seen() -> bool:  # a notice empties the cache of each process
        return (await client.get("/api/v1/key")).data["models"] is None

    await eventually(seen)
    assert (await client.get("/api/v1/key")).data["expires_at"] == own["expires_at"]


async def test_what_is_wrong_is_said_and_what_was_typed_stays(platform: Platform) -> None:
    visitor = await owner(platform)
    for field, value, words in (
        ("budget", "much", "A budget is an amount in USD"),
        ("budget", "-1", "A budget must be between"),
        ("budget", "0.0000001", "A budget is an amount in USD"),
        ("reset", "hourly", "is one of none, daily, weekly, monthly"),
        ("expires", "soon", "Choose when the key expires"),
        ("model:no/model", "on", "There is no model"),
        ("name", "", "1 to 64 printable characters"),
    ):
        page = await visitor.post("/console/api-key", {**LIMITS, "name": "a <i>name</i>", field: value})
        assert page.status == 400, field
        assert words in unescape(page.text), field
        assert f'name="model:{MODEL}" checked' in page.text
        assert field == "name" or 'value="a &lt;i&gt;name&lt;/i&gt;"' in page.text
        assert "<i>name" not in page.text
        assert "&lt;i&gt;" not in page.text.partition("<table")[2], "nothing was made"
    number = number_of(await visitor.post("/console/api-key", LIMITS))
    page = await visitor.post(f"/console/api-key/{number}", {"mode": "test", "budget": "much", "expires": "keep"})
    assert page.status == 400
    assert 'value="much"' in page.text
    assert "$0.0000 of $2.5000" in page.text
    assert (await visitor.post(f"/console/api-key/{number}/rotate", {"mode": "test", "overlap_h": "5"})).status == 400


async def test_a_rotated_key_has_two_texts_for_a_while_and_is_deleted_once_ended(platform: Platform) -> None:
    visitor = await owner(platform)
    made = await visitor.post("/console/api-key", LIMITS)
    first, number = text_of(made), number_of(made)
    page = await visitor.post(f"/console/api-key/{number}/rotate", {"mode": "test", "overlap_h": "24"})
    second = text_of(page)
    assert "The new text of “my program”" in page.text
    assert "former text until" in page.text
    for text in (first, second):
        assert (await platform.anyone(f"Bearer {text}").get("/api/v1/key")).data["name"] == "my program"

    async def used() -> bool:
        row = (await visitor.get("/console/api-key")).text.partition(">my program</a>")[2].partition("</tr>")[0]
        return "never" not in row

    await eventually(used)
    delete = f"/console/api-key/{number}/delete"
    assert delete not in page.text
    assert (await visitor.post(delete, {"mode": "test"})).status == 400
    await visitor.post(f"/console/api-key/{number}/revoke", {"mode": "test"})
    assert delete in (await visitor.get("/console/api-key")).text
    assert (await visitor.post(delete, {"mode": "test"})).status == 303
    assert "my program" not in (await visitor.get("/console/api-key")).text


async def test_the_new_key_as_a_file_and_nothing_else(platform: Platform) -> None:
    visitor = await owner(platform)
    text = text_of(await visitor.post("/console/api-key", {"name": "k", "mode": "test"}))
    file = await visitor.post("/console/api-key/env", {"key": text})
    assert file.text == f"MODELLIX_API_KEY={text}\nMODELLIX_BASE_URL={platform.origin}\n"
    assert file.headers["Content-Disposition"] == 'attachment; filename="modellix.env"'
    assert file.headers["Content-Type"] == "text/plain; charset=utf-8"
    for wrong in ("", "mdlx-test-" + "a" * 36, f"{text}\nPATH=/tmp", "<script>"):
        assert (await visitor.post("/console/api-key/env", {"key": wrong})).status == 400


async def test_keys_of_others(platform: Platform) -> None:
    """Another team's do not exist; another member's are not changed by a developer."""
    team = await new_team(platform)
    admin, developer = await member(platform, team.id, Role.ADMIN), await member(platform, team.id, Role.DEVELOPER)
    number = number_of(await admin.post("/console/api-key", LIMITS))
    assert f"/console/api-key/{number}" not in (await developer.get("/console/api-key")).text
    for visitor, status in ((developer, 403), (await owner(platform), 404)):
        assert (await visitor.get(f"/console/api-key/{number}?mode=test")).status == status
        for act in ("", "/rotate", "/revoke", "/delete"):
            page = await visitor.post(f"/console/api-key/{number}{act}", {"mode": "test", "overlap_h": "1"})
            assert page.status == status, act
    assert (await admin.get(f"/console/api-key/{number}?mode=live")).status == 404


async def test_many_keys_are_shown_a_hundred_at_a_time(platform: Platform) -> None:
    team = await new_team(platform)
    await platform.pool.execute(
        """insert into identity.api_key (team_id, live, name, hash, prefix, last4, created_by)
           select $1, false, 'number ' || n, sha256(('many ' || n)::bytea), 'p', 'l', 'tests'
           from generate_series(1, 150) n""",
        team.id,
    )
    visitor = await member(platform, team.id, Role.OWNER)
    page = await visitor.get("/console/api-key")
    assert "number 150<" in page.text
    assert "number 51<" in page.text
    assert "number 50<" not in page.text
    assert 'href="/console/api-key?after=100" rel="next"' in page.text
    page = await visitor.get("/console/api-key?after=100")
    assert "number 50<" in page.text
    assert 'rel="next"' not in page.text
    assert 'href="/console/api-key"' in page.text
    assert (await visitor.get("/console/api-key?after=x")).status == 400
