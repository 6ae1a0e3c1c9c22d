"""The team page, invitations as the invited see them, and the account page."""

from __future__ import annotations

import re

import pytest
from tests.support.browsers import Visitor, mail_to, member, new_team
from tests.support.platform_processes import Platform
from tests.support.waiting import eventually

from modellix_server import identity, ledger
from modellix_server.base.team_mode import TeamMode
from modellix_server.console import words
from modellix_server.identity import Role, User
from modellix_server.operations.principal import OF_ANYBODY, ROLE_PERMISSIONS, Permission

OF_EVERYBODY = (OF_ANYBODY | {Permission.USE_ACCOUNT}) - {Permission.READ_MODELS}
DIFFERENT = ROLE_PERMISSIONS[Role.OWNER] - OF_EVERYBODY
HOSTILE = "<script>alert(1)</script>"


def user_of(visitor: Visitor) -> User:
    assert visitor.user is not None
    return visitor.user


async def sign_in_by_code(platform: Platform, email: str, target: str = "/console") -> Visitor:
    """Ask for a code and enter it, as somebody new or known."""
    stranger = Visitor(platform.origin)
    assert (await stranger.post("/sign-in", {"email": email, "next": target})).status == 200
    code = await code_for(platform, email)
    page = await stranger.post("/sign-in/code", {"email": email, "next": target, "code": code})
    assert (page.status, page.headers.get("Location")) == (303, target)
    return stranger


async def code_for(platform: Platform, email: str) -> str:
    found: str = (await mail_to(platform, email, having="X-Modellix-Code"))["X-Modellix-Code"]
    return found


async def test_an_invited_stranger_signs_in_by_code_and_joins(with_mail: Platform) -> None:
    team = await new_team(with_mail)
    owner = await member(with_mail, team.id, Role.OWNER)
    email = "stranger@example.net"
    page = await owner.post("/console/team/invite", {"email": email.upper(), "role": "viewer"})
    assert page.status == 303
    page = await owner.get(page.headers["Location"])
    assert f"An invitation is on its way to {email}" in page.text
    assert re.search(rf">{email}</td><td[^>]*>Viewer</td>", page.text)
    body = (await mail_to(with_mail, email)).get_payload(0).get_payload(decode=True).decode()
    found = re.search(r"/invitation/[\w-]{43}", body)
    assert found is not None
    assert found[0] not in page.text
    offered = await Visitor(with_mail.origin).get(found[0])
    assert team.name in offered.text
    assert f'name="email" value="{email}"' in offered.text
    wrong = await owner.get(found[0])
    assert "You are signed in as" in wrong.text
    assert (await owner.post(found[0], {})).status == 403
    stranger = await sign_in_by_code(with_mail, email, found[0])
    home = await stranger.get("/console")
    assert "You belong to no team yet" in home.text
    accept = re.search(r"/console/invitations/\d+/accept", home.text)
    assert accept is not None
    assert (await owner.post(accept[0], {})).status == 404, "of another address"
    assert (await stranger.post(found[0], {})).status == 303
    assert team.name in (await stranger.get("/console")).text
    assert (await stranger.get("/console/api-key")).status == 403, "a viewer has no keys"
    assert (await stranger.get(found[0])).status == 404
    assert (await stranger.post(accept[0], {})).status == 404


async def test_without_mail_the_link_is_shown_to_whom_invites(platform: Platform) -> None:
    owner = await member(platform, (await new_team(platform)).id, Role.OWNER)
    page = await owner.post("/console/team/invite", {"email": "b@example.net", "role": "developer"})
    found = re.search(r'id="link">([^<]+)<', page.text)
    assert found is not None
    assert "MODELLIX_SMTP_URL" in page.text
    assert (await Visitor(platform.origin).get(found[1].removeprefix(platform.origin))).status == 200
    page = await owner.get("/console/team")
    assert found[1] not in page.text
    path = re.search(r"/console/team/invitations/\d+/withdraw", page.text)
    assert path is not None
    other = await member(platform, (await new_team(platform)).id, Role.OWNER)
    assert (await other.post(path[0], {})).status == 404
    assert (await owner.post(path[0], {})).status == 303
    assert (await Visitor(platform.origin).get(found[1].removeprefix(platform.origin))).status == 404


@pytest.mark.parametrize(
    "fields", [{"email": "no address", "role": "viewer"}, {"email": "a@example.net", "role": "king"}, {}]
)
async def test_a_refused_invitation_keeps_what_was_typed(platform: Platform, fields: dict[str, str]) -> None:
    owner = await member(platform, (await new_team(platform)).id, Role.OWNER)
    page = await owner.post("/console/team/invite", fields)
    assert page.status == 400
    assert 'role="alert"' in page.text
    assert f'value="{fields.get("email", "")}"' in page.text


async def test_the_page_shows_each_role_what_it_may_see(platform: Platform) -> None:
    team = await new_team(platform)
    owner = await member(platform, team.id, Role.OWNER)
    for role in Role:
        visitor = await member(platform, team.id, role)
        page = await visitor.get("/console/team")
        assert (user_of(owner).email in page.text) is (Permission.READ_MEMBERS in ROLE_PERMISSIONS[role])
        assert ("Send invitation" in page.text) is (Permission.MANAGE_MEMBERS in ROLE_PERMISSIONS[role])
        policies = (await visitor.get("/console/team?tab=policies")).text
        assert "Requests a minute" in policies
        assert ("Save name" in policies) is (Permission.MANAGE_TEAM in ROLE_PERMISSIONS[role])
        assert ("End this team" in policies) is (role is Role.OWNER)
        table = (await visitor.get("/console/team?tab=roles")).text
        assert table.count(">✓<") == sum(len(DIFFERENT & ROLE_PERMISSIONS[one]) for one in Role)


def test_the_table_of_roles_has_all_in_which_they_may_differ() -> None:
    assert words.permissions().keys() == DIFFERENT


async def test_an_admin_is_offered_nothing_about_owners(platform: Platform) -> None:
    team = await new_team(platform)
    owner, admin = await member(platform, team.id, Role.OWNER), await member(platform, team.id, Role.ADMIN)
    page = await admin.get("/console/team")
    path = f"/console/team/members/{user_of(owner).id}"
    assert path not in page.text
    assert 'value="owner"' not in page.text
    assert (await admin.post(f"{path}/role", {"role": "viewer"})).status == 403
    assert (await admin.post(f"{path}/remove", {})).status == 403


async def test_roles_change_members_go_and_strangers_do_not_exist(platform: Platform) -> None:
    team = await new_team(platform)
    owner, ben = await member(platform, team.id, Role.OWNER), await member(platform, team.id, Role.ADMIN)
    stranger = await member(platform, (await new_team(platform)).id, Role.VIEWER)
    path = f"/console/team/members/{user_of(ben).id}"
    shown = await ben.get("/console/team")
    assert "Send invitation" in shown.text
    assert (await owner.post(f"{path}/role", {"role": "viewer"})).status == 303
    page = await ben.post("/console/team/invite", {"email": "x@example.net", "role": "viewer"})
    assert page.status == 403
    assert "You may not invite" in page.text
    await owner.post("/console/api-key", {"name": "the owner's", "mode": "test"})
    assert (await owner.post(f"{path}/remove", {"keys": "on"})).status == 303
    assert "You belong to no team yet" in (await ben.get("/console")).text
    assert (await ben.get("/console/team")).status == 403
    page = await ben.post("/console/api-key", {"scope": f"{team.id}-test", "name": "k", "mode": "test"})
    assert page.status == 403
    assert "You do not belong to this team" in page.text
    theirs = f"/console/team/members/{user_of(stranger).id}"
    assert (await owner.post(f"{theirs}/role", {"role": "viewer"})).status == 404
    assert (await owner.post(f"{theirs}/remove", {})).status == 404
    page = await owner.post("/console/team/leave", {})
    assert page.status == 400
    assert "make another member the owner first" in page.text
    history = (await owner.get("/console/team?tab=history")).text
    assert "Admin → Viewer" in history
    assert "Member left or was removed" in history
    assert "the owner&#39;s" in history


async def test_history_goes_back_page_by_page(platform: Platform) -> None:
    owner = await member(platform, (await new_team(platform)).id, Role.OWNER)
    for number in range(51):
        await owner.post("/console/team/name", {"name": f"name {number} of {user_of(owner).id}"})
    page = await owner.get("/console/team?tab=history")
    assert f"name 50 of {user_of(owner).id}" in page.text
    older = re.search(r"before=(\d+)", page.text)
    assert older is not None
    page = await owner.get(f"/console/team?tab=history&before={older[1]}")
    assert f"name 0 of {user_of(owner).id}" in page.text
    assert f"name 49 of {user_of(owner).id}" not in page.text
    for odd in ("x", "-1", "9" * 30, "%EF%BC%91"):
        assert (await owner.get(f"/console/team?tab=history&before={odd}")).status == 200


async def test_policies_are_saved_and_wrong_ones_kept_in_the_form(platform: Platform) -> None:
    team = await new_team(platform)
    owner = await member(platform, team.id, Role.OWNER)
    for fields, days in (({"keep": "days", "days": "30"}, 30), ({"keep": "never"}, 0), ({"keep": "always"}, None)):
        assert (await owner.post("/console/team/inputs", fields)).status == 303
        assert await identity.input_days(platform.pool, team.id) == days
    page = await owner.post("/console/team/inputs", {"keep": "days", "days": "5000"})
    assert (page.status, 'value="5000"' in page.text) == (400, True)
    assert (await owner.post("/console/team/budget", {"usd": "12.50", "period": "weekly"})).status == 303
    page = await owner.get("/console/team?tab=policies")
    assert 'value="12.5000"' in page.text
    assert "$12.5000" in page.text
    page = await owner.post("/console/team/budget", {"usd": "a lot", "period": "weekly"})
    assert (page.status, 'value="a lot"' in page.text) == (400, True)
    assert (await owner.post("/console/team/budget", {"usd": ""})).status == 303
    assert "the team may spend what its account holds" in (await owner.get("/console/team?tab=policies")).text


async def test_what_people_call_themselves_and_their_team_is_text(platform: Platform) -> None:
    team = await new_team(platform)
    owner = await member(platform, team.id, Role.OWNER)
    assert (await owner.post("/console/team/name", {"name": HOSTILE})).status == 303
    await owner.post("/console/account", {"name": HOSTILE})
    await owner.post("/console/team/invite", {"email": "a+'b@example.net", "role": "viewer"})
    for path in ("/console", "/console/account", *(f"/console/team?tab={tab}" for tab in ("members", "history"))):
        page = await owner.get(path)
        assert page.status == 200
        assert HOSTILE not in page.text
        assert "&lt;script&gt;" in page.text


async def test_the_end_of_a_team_asks_for_its_name(platform: Platform) -> None:
    team = await new_team(platform)
    owner, ben = await member(platform, team.id, Role.OWNER), await member(platform, team.id, Role.DEVELOPER)
    page = await ben.post("/console/api-key", {"name": "k", "mode": "test"})
    key = re.search(r'id="new-key">(mdlx-test-\w+)<', page.text)
    assert key is not None
    page = await owner.post("/console/team/end", {"name": "wrong"})
    assert (page.status, "enter its name" in page.text) == (400, True)
    assert (await owner.post("/console/team/end", {"name": team.name})).status == 303
    for visitor in (owner, ben):
        assert "You belong to no team yet" in (await visitor.get("/console")).text
    keys = await identity.list_keys(platform.pool, team.id)
    assert all(one.revoked_at for one in keys)


async def test_books_and_tasks_outlive_team_and_user(platform: Platform) -> None:
    """The team ends while a task runs, then its owner: the task finishes, is charged, and all is still on record."""
    team = await platform.team()
    owner = await member(platform, team.id, Role.OWNER)
    made = await owner.post("/console/api-key", {"name": "mine", "mode": "test"})
    text = re.search(r'id="new-key">(mdlx-test-\w+)<', made.text)
    assert text is not None
    program = platform.anyone(f"Bearer {text[1]}")
    answer = await program.post("/api/v1/text-to-image/alibaba/qwen-image-plus/async", {"prompt": "a last picture"})
    task = answer.data["task_id"]
    name = (await identity.memberships(platform.pool, user_of(owner).id))[0].team.name
    assert (await owner.post("/console/team/end", {"name": name})).status == 303

    async def refused() -> bool:  # a notice empties the cache of each process
        return (await program.get("/api/v1/team/balance")).status == 401

    await eventually(refused)
    assert (await owner.post("/console/account/delete", {"email": user_of(owner).email})).status == 303
    assert (await owner.get("/console")).status == 303
    row = await platform.reach(task, lambda one: one["state"] == "succeeded")
    posted, held = await platform.balance_of(team)
    assert (posted, held) == (100_000_000 - 17_200, 0)
    assert row["team_id"] == team.id
    transfers = await ledger.list_transfers(
        platform.pool, TeamMode(team.id, live=False), ledger.TransferFilter(), after=None, most=10
    )
    assert {one.kind for one in transfers.rows} >= {"hold", "capture"}
    keys = await identity.list_keys(platform.pool, team.id)
    assert f"user:{user_of(owner).id}" in {key.created_by for key in keys}
    assert await identity.user_names(platform.pool, [user_of(owner).id]) == {user_of(owner).id: "former user"}


async def test_who_may_sign_up_has_a_team_with_credit_at_once(with_mail: Platform) -> None:
    visitor = await sign_in_by_code(with_mail, "ann@open.example")
    page = await visitor.get("/console/account")
    assert "Create a team" in page.text
    scope = re.search(r"scope=(\d+)-test", page.text)
    assert scope is not None
    assert ">$100.0000</a>" in (await visitor.get("/console")).text
    assert ">$3.0000</a>" in (await visitor.get(f"/console?scope={scope[1]}-live")).text
    assert (await visitor.post("/console/teams", {"name": "ann"})).status == 400
    assert (await visitor.post("/console/teams", {"name": "ann's second"})).status == 303
    assert "ann&#39;s second</h1>" in (await visitor.get("/console")).text
    stranger = await member(with_mail, (await new_team(with_mail)).id, Role.OWNER)
    assert (await stranger.post("/console/teams", {"name": "not allowed"})).status == 403


async def test_an_account_is_changed_and_its_browsers_are_signed_out(platform: Platform) -> None:
    team = await new_team(platform)
    visitor = await member(platform, team.id, Role.VIEWER)
    user = user_of(visitor)
    profile = {"name": "Ann", "language": "en", "time_zone": "Asia/Tokyo", "theme": "dark"}
    assert (await visitor.post("/console/account", profile)).status == 303
    page = await visitor.get("/console/account")
    assert 'data-theme="dark"' in page.text
    assert "<option selected>Asia/Tokyo</option>" in page.text
    page = await visitor.post("/console/account", profile | {"name": " ", "time_zone": "Moon/Base"})
    assert page.status == 400
    other, third = Visitor(platform.origin), Visitor(platform.origin)
    for one in (other, third):
        async with platform.pool.acquire() as db, db.transaction():
            one.cookie, session = await identity.open_session(db, user.id, method="code", address="x", agent=HOSTILE)
        assert (await one.get("/console")).status == 200
    page = await visitor.get("/console/account")
    assert HOSTILE not in page.text
    stranger = await member(platform, team.id, Role.OWNER)
    path = f"/console/account/sessions/{session.id}/end"
    assert (await stranger.post(path, {})).status == 404
    assert (await visitor.post(path, {})).status == 303
    assert (await third.get("/console")).status == 303
    assert (await visitor.post("/console/account/sessions/others/end", {})).status == 303
    assert (await other.get("/console")).status == 303
    assert (await visitor.get("/console")).status == 200


async def test_an_account_is_deleted_unless_a_team_would_be_without_owner(platform: Platform) -> None:
    team = await new_team(platform)
    owner, ben = await member(platform, team.id, Role.OWNER), await member(platform, team.id, Role.DEVELOPER)
    page = await owner.post("/console/account/delete", {"email": user_of(owner).email})
    assert (page.status, "only owner of" in page.text) == (400, True)
    page = await ben.post("/console/account/delete", {"email": "another@example.com"})
    assert page.status == 400
    assert (await ben.post("/console/account/delete", {"email": user_of(ben).email})).status == 303
    assert ben.cookie is None
    page = await owner.get("/console/team?tab=history")
    assert user_of(ben).email not in page.text
