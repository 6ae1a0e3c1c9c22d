"""Pages by role, team and mode."""

from __future__ import annotations

import re

import pytest
from tests.support.browsers import Visitor, member, new_team
from tests.support.platform_processes import Platform
from tests.support.waiting import eventually

from modellix_server import identity
from modellix_server.console.app import PAGES
from modellix_server.console.dispatch import Audience
from modellix_server.identity import Role
from modellix_server.operations.principal import ROLE_PERMISSIONS

NOT_BY_ROLE = ("/sign-out", "/console/team/leave", "/console/teams")


@pytest.mark.parametrize("role", Role)
async def test_every_route_answers_every_role_as_the_table_says(platform: Platform, role: Role) -> None:
    visitor = await member(platform, (await new_team(platform)).id, role)
    for method, path, _, access, permission in PAGES:
        if path in NOT_BY_ROLE or access is Audience.PUBLIC:
            continue
        there = re.sub(r"\{[^}]+\}", lambda part: "999999999" if ":int" in part[0] else "none", path)
        page = await (visitor.get(there) if method == "GET" else visitor.post(there, {}))
        allowed = access is not Audience.OPERATOR and (permission is None or permission in ROLE_PERMISSIONS[role])
        assert (page.status != 403) is allowed, (method, path, role, page.status)
        assert page.status < 500


async def test_every_route_is_closed_to_who_is_not_signed_in_and_to_other_teams(platform: Platform) -> None:
    own, other = await new_team(platform), await new_team(platform)
    stranger, owner = Visitor(platform.origin), await member(platform, own.id, Role.OWNER)
    for method, path, _, access, _ in PAGES:
        if access is Audience.PUBLIC or path in NOT_BY_ROLE:
            continue
        there = re.sub(r"\{[^}]+\}", lambda part: "999999999" if ":int" in part[0] else "none", path)
        page = await (stranger.get(there) if method == "GET" else stranger.post(there, {}))
        if method == "GET":
            assert (page.status, page.headers["Location"]) == (303, f"/sign-in?next={there}"), (method, path)
        else:
            assert (page.status, "You are not signed in any more" in page.text) == (401, True), (method, path)
        foreign = f"{other.id}-test"
        page = await (
            owner.get(f"{there}?scope={foreign}") if method == "GET" else owner.post(there, {"scope": foreign})
        )
        assert page.status == 403, (method, path)


async def test_an_operator_reaches_every_page_of_operators_whatever_role_it_has(platform: Platform) -> None:
    visitor = await member(platform, (await new_team(platform)).id, Role.VIEWER, operator=True)
    for method, path, _, access, _permission in PAGES:
        if access is Audience.OPERATOR:
            there = re.sub(r"\{[^}]+\}", lambda part: "999999999" if ":int" in part[0] else "none", path)
            page = await (visitor.get(there) if method == "GET" else visitor.post(there, {}))
            fit = (200, 404) if method == "GET" else (200, 303, 400, 404, 409)
            assert page.status in fit, (method, path, page.status)
    assert (await visitor.get("/console/api-key")).status == 403, "in its team it is what its role is"


@pytest.mark.parametrize("role", [Role.OWNER, Role.ADMIN, Role.DEVELOPER])
async def test_a_key_is_shown_once_works_and_is_refused_once_revoked(platform: Platform, role: Role) -> None:
    visitor = await member(platform, (await new_team(platform)).id, role)
    page = await visitor.post("/console/api-key", {"name": "<b>mine</b>", "mode": "test"})
    found = re.search(r'id="new-key">(mdlx-test-\w+)<', page.text)
    assert found is not None
    assert "<b>mine" not in page.text
    client = platform.anyone(f"Bearer {found[1]}")
    assert (await client.get("/api/v1/team/balance")).status == 200
    page = await visitor.get("/console/api-key")
    assert found[1] not in page.text
    number = re.search(r"/console/api-key/(\d+)/revoke", page.text)
    assert number is not None
    assert (await visitor.post(number[0], {"mode": "test"})).status == 303

    async def refused() -> bool:  # a notice empties the cache of each process
        return (await client.get("/api/v1/team/balance")).status == 401

    await eventually(refused)


async def test_a_developer_revokes_own_keys_only(platform: Platform) -> None:
    team = await new_team(platform)
    owner, developer = await member(platform, team.id, Role.OWNER), await member(platform, team.id, Role.DEVELOPER)
    page = await owner.post("/console/api-key", {"name": "the owner's", "mode": "test"})
    path = re.search(r"/console/api-key/\d+/revoke", page.text)
    assert path is not None
    assert path[0] not in (await developer.get("/console/api-key")).text
    assert (await developer.post(path[0], {"mode": "test"})).status == 403
    assert (await owner.post(path[0], {"mode": "test"})).status == 303


async def test_another_teams_key_does_not_exist(platform: Platform) -> None:
    one, other = await new_team(platform), await new_team(platform)
    owner, stranger = await member(platform, one.id, Role.OWNER), await member(platform, other.id, Role.OWNER)
    page = await owner.post("/console/api-key", {"name": "k", "mode": "test"})
    path = re.search(r"/console/api-key/\d+/revoke", page.text)
    assert path is not None
    assert (await stranger.post(path[0], {"mode": "test"})).status == 404
    assert (await stranger.get(f"/console/api-key?scope={one.id}-test")).status == 403
    assert (await stranger.post("/console/switch", {"to": f"{one.id}-live"})).status == 403


async def test_a_form_acts_for_the_team_that_it_was_shown_for(platform: Platform) -> None:
    """Another tab has switched the session meanwhile."""
    one, other = await new_team(platform), await new_team(platform)
    visitor = await member(platform, one.id, Role.OWNER)
    assert visitor.user is not None
    async with platform.pool.acquire() as db, db.transaction():
        await identity.add_member(db, other.id, visitor.user.id, Role.OWNER)
    shown = re.search(r'name="scope" value="([^"]+)"', (await visitor.get("/console/api-key")).text)
    assert shown is not None
    assert shown[1] == f"{one.id}-test"
    assert (await visitor.post("/console/switch", {"to": f"{other.id}-live", "back": "/console"})).status == 303
    await visitor.post("/console/api-key", {"name": "of the first", "mode": "test", "scope": shown[1]})
    keys = {key.name for key in await identity.list_keys(platform.pool, one.id)}
    assert "of the first" in keys
    assert "of the first" not in (await visitor.get("/console/api-key")).text


@pytest.mark.parametrize(
    "scope", ["", "x", "1", "1-", "1-prod", "-1-test", "9" * 30 + "-test", "1-test-live", "\uff10-test"]
)
async def test_a_scope_that_is_none_is_refused(platform: Platform, scope: str) -> None:
    visitor = await member(platform, (await new_team(platform)).id, Role.OWNER)
    page = await visitor.post("/console/switch", {"to": scope})
    assert page.status in (400, 403)


async def test_a_member_who_was_removed_meanwhile_sees_that(platform: Platform) -> None:
    visitor = await member(platform, (await new_team(platform)).id, Role.OWNER)
    assert visitor.user is not None
    await platform.pool.execute("delete from identity.membership where user_id = $1", visitor.user.id)
    assert "You belong to no team yet" in (await visitor.get("/console")).text
    assert (await visitor.post("/console/api-key", {"name": "k", "mode": "test"})).status == 403


async def test_a_role_lowered_between_page_and_post_counts(platform: Platform) -> None:
    team = await new_team(platform)
    await member(platform, team.id, Role.OWNER)
    visitor = await member(platform, team.id, Role.DEVELOPER)
    assert visitor.user is not None
    assert "Create key" in (await visitor.get("/console/api-key")).text
    async with platform.pool.acquire() as db, db.transaction():
        await identity.change_role(db, team.id, visitor.user.id, Role.VIEWER)
    refused = await visitor.post("/console/api-key", {"name": "late", "mode": "test"})
    assert (refused.status, "You may not create API keys" in refused.text) == (403, True)
    assert "late" not in {key.name for key in await identity.list_keys(platform.pool, team.id)}


async def test_home_shows_money_and_tasks_of_the_mode(platform: Platform) -> None:
    team = await platform.team()
    visitor = await member(platform, team.id, Role.OWNER)
    page = await visitor.get("/console")
    assert re.search(r'id="balance"[^>]*>\$100.0000<', page.text)
    answer = await team.post("/api/v1/text-to-image/alibaba/qwen-image-plus/async", {"prompt": "a <i>hat</i>"})
    await platform.reach(answer.data["task_id"], lambda row: row["state"] == "succeeded")
    page = await visitor.get("/console")
    assert "alibaba/qwen-image-plus" in page.text
    assert "Success" in page.text
    live = await visitor.get(f"/console?scope={team.id}-live")
    assert re.search(r'id="balance"[^>]*>\$0.0000<', live.text)
    assert "qwen-image-plus</td>" not in live.text
