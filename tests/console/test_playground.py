"""The playground over HTTP: every model by one click, prices, refusals, what was typed, and who may."""

from __future__ import annotations

import base64
import html
import json
import re

import aiohttp
import pytest
from tests.support.browsers import COOKIE, Visitor, member, new_team
from tests.support.platform_processes import Platform
from tests.support.sent_form import Sent
from tests.support.waiting import eventually

from modellix_server.catalogue import samples
from modellix_server.identity import Role

PAGE = "/console/models/alibaba/qwen-image-plus"
SCRIPT = {"HX_Request": "true"}


@pytest.fixture(scope="module")
async def developer(platform: Platform) -> Visitor:
    return await member(platform, (await new_team(platform)).id, Role.DEVELOPER)


async def test_the_picture_of_a_run_is_shown_with_its_cost(developer: Visitor) -> None:
    ran = await developer.post(f"{PAGE}/run", {"p.prompt": "A lighthouse <b>at dusk</b>", "run": "one"}, **SCRIPT)
    name = re.search(r'id="(task-[0-9a-f]{32})"', ran.text)
    assert name is not None
    again = await developer.post(f"{PAGE}/run", {"p.prompt": "A lighthouse <b>at dusk</b>", "run": "one"}, **SCRIPT)
    assert "<article" not in again.text  # a double click

    async def finished() -> str:
        card = await developer.get(f"/console/tasks/{name[1]}/card")
        return card.text if "$0.0172 charged" in card.text else ""

    card = await eventually(finished)
    assert "<img" in card
    assert "<b>at dusk" not in card
    page = await developer.get(PAGE)
    assert name[1] in page.text
    edit = await developer.get(f"{PAGE}?task={name[1]}")
    assert "A lighthouse &lt;b&gt;at dusk" in edit.text


async def test_a_draft_has_the_price_with_its_rule_and_the_request_as_code(
    platform: Platform, developer: Visitor
) -> None:
    draft = await developer.post(f"{PAGE}/draft", {"p.prompt": "It's 'quoted'", "p.size": "1664*928"}, **SCRIPT)
    assert draft.status == 200
    assert "$0.0172" in draft.text
    text = html.unescape(draft.text)
    assert "$MODELLIX_API_KEY" in text
    assert json.loads(re.search(r'<textarea id="json"[^>]*>(.*?)</textarea>', text, re.DOTALL)[1]) == {  # type: ignore[index]
        "prompt": "It's 'quoted'",
        "size": "1664*928",
    }
    video = "/console/models/bytedance/seedance-1.0-pro-t2v/draft"
    draft = await developer.post(video, {"p.prompt": "waves", "p.duration": "5"}, **SCRIPT)
    assert "5 s \N{MULTIPLICATION SIGN} $" in draft.text


@pytest.mark.parametrize(
    ("fields", "words", "at"),
    [
        ({"p.prompt": ""}, "is required", "prompt"),
        ({"p.prompt": "x", "p.seed": "many"}, "seed", "seed"),
        ({"p.prompt": "x", "p.size": "1*1"}, "size", "size"),
        ({"p.prompt": "x" * 801}, "800", "prompt"),
        ({"as": "json", "json": "{"}, "This is no JSON", ""),
        ({"as": "json", "json": '{"prompt": "x", "colour": "red"}'}, "Unknown parameter", "colour"),
    ],
)
async def test_a_refusal_names_the_field_and_keeps_what_was_typed(
    developer: Visitor, fields: dict[str, str], words: str, at: str
) -> None:
    ran = await developer.post(f"{PAGE}/run", fields, **SCRIPT)
    assert ran.status == 400
    assert words in html.unescape(ran.text)
    assert f'data-at="{at}"' in ran.text
    page = await developer.post(f"{PAGE}/run", fields)  # without script the whole page comes back
    assert page.status == 400
    for typed in fields.values():
        assert typed in html.unescape(page.text)


async def test_without_script_a_run_leads_to_the_task(developer: Visitor) -> None:
    ran = await developer.post(f"{PAGE}/run", {"p.prompt": "A lighthouse"})
    assert ran.status == 303
    assert re.fullmatch(r"/console/tasks/task-[0-9a-f]{32}", ran.headers["Location"])


async def test_a_file_is_uploaded_and_used_as_input(platform: Platform, developer: Visitor) -> None:
    path = samples.find("person.png")
    assert path is not None
    body = aiohttp.FormData()
    body.add_field("file", path.read_bytes(), filename="me<script>.png", content_type="image/png")
    headers = {"Sec-Fetch-Site": "same-origin", "Cookie": f"{COOKIE}={developer.cookie}"}
    async with aiohttp.ClientSession() as http:
        answer = await http.post(f"{platform.origin}/console/files/upload", data=body, headers=headers)
        kept = await answer.json()
        assert answer.status == 200, kept
        broken = aiohttp.FormData()
        broken.add_field("file", b"no picture at all" * 10, filename="x.png")
        refused = await http.post(f"{platform.origin}/console/files/upload", data=broken, headers=headers)
        assert refused.status == 400
        assert "not a supported" in (await refused.json())["detail"]
        headers |= {"Sec-Fetch-Site": "cross-site"}
        async with http.post(f"{platform.origin}/console/files/upload", data=b"", headers=headers) as foreign:
            assert foreign.status == 403
    model = "/console/models/alibaba/qwen-image-edit-plus"
    ran = await developer.post(f"{model}/run", {"p.prompt": "a hat", "p.images": kept["id"]}, **SCRIPT)
    name = re.search(r'id="(task-[0-9a-f]{32})"', ran.text)
    assert name is not None, ran.text
    assert kept["id"] in (await developer.get(f"{model}?task={name[1]}")).text


async def test_what_a_program_sent_inline_can_be_edited_and_run(platform: Platform) -> None:
    team = await platform.team()
    owner = await member(platform, team.id, Role.OWNER)
    path = samples.find("person.png")
    assert path is not None
    picture = base64.b64encode(path.read_bytes()).decode()
    given = {"prompt": "a hat", "images": [f"data:image/png;base64,{picture}"]}
    made = await team.submit("image-to-image/alibaba/qwen-image-edit-plus", **given)
    model = "/console/models/alibaba/qwen-image-edit-plus"
    page = await owner.get(f"{model}?task={made.data['task_id']}")
    ran = await owner.post(f"{model}/run", Sent(page.text).fields, **SCRIPT)
    assert ran.status == 200, ran.text
    assert "/files/" in html.unescape(page.text)
    again = await owner.post(f"/console/tasks/{made.data['task_id']}/again", {"once": "x"})
    assert again.status == 303, again.text


async def test_models_are_found_by_words_type_and_provider(developer: Visitor) -> None:
    page = await developer.get("/console/models?q=seedance+pro&type=text-to-video&provider=bytedance&sort=price")
    found = re.findall(r'<a href="/console/models/([^"?]+/[^"?]+)">', page.text)
    assert "bytedance/seedance-1.0-pro-t2v" in found
    assert all(slug.startswith("bytedance/seedance") for slug in found)
    assert "No model is like that" in (await developer.get("/console/models?q=nothing-is-called-this")).text


async def test_who_may_only_look_is_offered_no_run(platform: Platform) -> None:
    viewer = await member(platform, (await new_team(platform)).id, Role.VIEWER)
    page = await viewer.get(PAGE)
    assert page.status == 200
    assert "Your role may look, but not run" in page.text
    assert (await viewer.post(f"{PAGE}/run", {"p.prompt": "x"})).status == 403


async def test_anothers_task_is_no_source_of_inputs(platform: Platform, developer: Visitor) -> None:
    ran = await developer.post(f"{PAGE}/run", {"p.prompt": "private"})
    name = ran.headers["Location"].rpartition("/")[2]
    other = await member(platform, (await new_team(platform)).id, Role.OWNER)
    assert (await other.get(f"{PAGE}?task={name}")).status == 404
    assert (await developer.get(f"{PAGE}?task=nonsense")).status == 404


async def test_a_script_whose_session_has_ended_leaves_what_was_typed_and_says_how_to_sign_in(
    platform: Platform,
) -> None:
    answer = await Visitor(platform.origin).post(f"{PAGE}/draft", {"p.prompt": "x"}, **SCRIPT)
    assert (answer.status, answer.headers["hx-retarget"]) == (401, "#refusal")
    assert 'href="/sign-in" target="_blank"' in answer.text
