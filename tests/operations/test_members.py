"""Members, invitations and the end of a team: who may what, and what races cannot break."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from tests.support.people import new_team, signed_in, visitor_of

from modellix_server import audit, identity, ledger
from modellix_server.base.database import connect
from modellix_server.base.errors import InvalidParameters, NotFound
from modellix_server.base.team_mode import TeamMode
from modellix_server.identity import Role, TooManyInvitations
from modellix_server.operations import account, invitations, keys, members, own_teams
from modellix_server.operations.context import Context
from modellix_server.operations.principal import FRESH, Forbidden, Principal, SignInTooOld

ROLES = list(Role)


async def refused(error: type[Exception], *attempts: Awaitable[object]) -> None:
    """Each of them, one after the other."""
    answers = [(await asyncio.gather(attempt, return_exceptions=True))[0] for attempt in attempts]
    assert all(isinstance(one, error) for one in answers), answers


@pytest.fixture
def ctx(pool, settings, tmp_path) -> Context:
    return Context(replace(settings, mail_dir=str(tmp_path / "mail")), pool)


async def invited(ctx: Context, who: Principal, email: str, role: Role = Role.DEVELOPER) -> str:
    """Invite; the token of the link that was put up for sending."""
    link, _ = await invitations.invite(ctx, who, email, role)
    body = await ctx.db.fetchval("select body from mail.outbox order by created_at desc limit 1")
    found = re.search(r"/invitation/([\w-]{43})\n", body)
    assert found is not None
    assert link.endswith(found[1])
    return found[1]


async def roles(ctx: Context, team_id: int) -> dict[str, Role]:
    return {one.email: one.role for one in await identity.members_of(ctx.db, team_id)}


async def test_an_invitation_lets_the_invited_address_in_once(ctx) -> None:
    team = await new_team(ctx)
    owner = await signed_in(ctx, "owner@example.com", team)
    token = await invited(ctx, owner, " Ben@Example.com ", Role.BILLING)
    assert (await invitations.read(ctx, owner, token)).team_name == team.name
    eve, ben = await signed_in(ctx, "eve@example.com"), await signed_in(ctx, "ben@example.com")
    with pytest.raises(Forbidden, match="ben@example"):
        await invitations.accept(ctx, eve, token)
    answers = await asyncio.gather(*(invitations.accept(ctx, ben, token) for _ in range(5)), return_exceptions=True)
    assert sum(not isinstance(one, Exception) for one in answers) == 1
    assert {type(one) for one in answers if isinstance(one, Exception)} == {NotFound}
    assert await roles(ctx, team.id) == {"owner@example.com": Role.OWNER, "ben@example.com": Role.BILLING}
    assert await invitations.list_of_team(ctx, owner) == []
    with pytest.raises(InvalidParameters, match="belongs to the team already"):
        await invitations.invite(ctx, owner, "ben@example.com", Role.OWNER)
    stored = await ctx.db.fetchval(
        "select count(*) from identity.invitation where encode(hash, 'escape') like $1", token
    )
    assert stored == 0


async def test_an_invitation_is_written_in_the_language_of_whom_it_is_for(ctx) -> None:
    owner = await signed_in(ctx, "owner@example.com", await new_team(ctx))
    for role in Role:
        await invitations.invite(ctx, owner, f"{role}@elsewhere.example", role, language="zh")
    bodies = [row["body"] for row in await ctx.db.fetch("select body from mail.outbox")]
    assert len(bodies) == len(Role)
    assert not any(f"{role}身份" in body for body in bodies for role in Role)
    assert any("查看者身份" in body for body in bodies)


@pytest.mark.parametrize("how", ["replaced", "withdrawn", "old", "unknown", "of an ended team"])
async def test_an_invitation_that_is_no_good_any_more(ctx, database, how: str) -> None:
    team = await new_team(ctx)
    owner, ben = await signed_in(ctx, "owner@example.com", team), await signed_in(ctx, "ben@example.com")
    token = await invited(ctx, owner, "ben@example.com")
    number = (await invitations.list_own(ctx, ben))[0].id
    match how:
        case "replaced":
            await invited(ctx, owner, "ben@example.com")
        case "withdrawn":
            await invitations.withdraw(ctx, owner, number)
        case "old":
            superuser = await connect(database.owner_dsn, name="test")
            await superuser.execute("update identity.invitation set ends_at = now()")
            await superuser.close()
        case "unknown":
            token, number = "x" * 43, 10**9
        case _:
            await own_teams.end(ctx, owner, team.name)
    with pytest.raises(NotFound):
        await invitations.accept(ctx, ben, token)
    with pytest.raises(NotFound):
        await invitations.read(ctx, ben, token)
    with pytest.raises(NotFound):
        await invitations.accept_own(ctx, ben, number)
    assert "ben@example.com" not in await roles(ctx, team.id)


async def test_the_invitation_of_another_team_cannot_be_withdrawn(ctx) -> None:
    one, other = await new_team(ctx), await new_team(ctx)
    owner, stranger = await signed_in(ctx, "a@example.com", one), await signed_in(ctx, "b@example.com", other)
    await invited(ctx, owner, "ben@example.com")
    number = (await invitations.list_of_team(ctx, owner))[0].id
    with pytest.raises(NotFound):
        await invitations.withdraw(ctx, stranger, number)
    assert len(await invitations.list_of_team(ctx, owner)) == 1


async def test_a_team_invites_30_addresses_an_hour_also_at_once(ctx) -> None:
    owner = await signed_in(ctx, "owner@example.com", await new_team(ctx))
    tries = (invitations.invite(ctx, owner, f"a{number}@example.com", Role.VIEWER) for number in range(40))
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(one, TooManyInvitations) for one in answers) == 10
    assert sum(isinstance(one, tuple) for one in answers) == 30


@pytest.mark.parametrize("role", ROLES)
async def test_who_may_change_members(ctx, role: Role) -> None:
    """Owners all, admins all but owners, others nobody."""
    team = await new_team(ctx)
    boss, target = (
        await signed_in(ctx, "boss@example.com", team),
        await signed_in(ctx, "t@example.com", team, Role.VIEWER),
    )
    who = await signed_in(ctx, "who@example.com", team, role)
    of_owners, of_others = role is Role.OWNER, role in (Role.OWNER, Role.ADMIN)
    assert target.user_id is not None
    assert boss.user_id is not None
    tries = [
        (of_others, invitations.invite(ctx, who, "x@example.com", Role.ADMIN)),
        (of_owners, invitations.invite(ctx, who, "y@example.com", Role.OWNER)),
        (of_others, members.change_role(ctx, who, target.user_id, Role.ADMIN)),
        (of_owners, members.change_role(ctx, who, target.user_id, Role.OWNER)),
        (of_owners, members.change_role(ctx, who, boss.user_id, Role.ADMIN)),
        (of_owners, members.change_role(ctx, who, boss.user_id, Role.OWNER)),
        (of_owners, members.remove(ctx, who, boss.user_id, keys_too=False)),
    ]
    for allowed, attempt in tries:
        if allowed:
            await attempt
        else:
            with pytest.raises(Forbidden):
                await attempt


async def test_a_role_lowered_meanwhile_counts(ctx) -> None:
    """The page was shown to an admin, and the form comes from a viewer."""
    team = await new_team(ctx)
    owner = await signed_in(ctx, "owner@example.com", team)
    admin = await signed_in(ctx, "admin@example.com", team, Role.ADMIN)
    ben = await signed_in(ctx, "ben@example.com", team, Role.DEVELOPER)
    assert admin.user_id is not None
    assert ben.user_id is not None
    await members.change_role(ctx, owner, admin.user_id, Role.VIEWER)
    await refused(
        Forbidden,
        members.change_role(ctx, admin, ben.user_id, Role.VIEWER),
        members.remove(ctx, admin, ben.user_id, keys_too=True),
        invitations.invite(ctx, admin, "x@example.com", Role.VIEWER),
        own_teams.rename(ctx, admin, "mine"),
    )
    await members.remove(ctx, owner, admin.user_id, keys_too=False)
    with pytest.raises(Forbidden):
        await members.change_role(ctx, admin, ben.user_id, Role.VIEWER)
    assert (await roles(ctx, team.id))["ben@example.com"] is Role.DEVELOPER


@pytest.mark.parametrize("how", ["leave", "remove each other", "lower themselves", "delete their accounts"])
async def test_of_owners_who_go_at_once_one_stays(ctx, how: str) -> None:
    for _ in range(5):
        team = await new_team(ctx)
        who = [await signed_in(ctx, f"{team.id}-{name}@example.com", team) for name in ("a", "b", "c")]
        ids = [one.user_id or 0 for one in who]
        attempts = {
            "leave": [members.leave(ctx, one) for one in who],
            "remove each other": [
                members.remove(ctx, one, ids[number - 1], keys_too=False) for number, one in enumerate(who)
            ],
            "lower themselves": [members.change_role(ctx, one, one.user_id or 0, Role.VIEWER) for one in who],
            "delete their accounts": [
                account.delete(ctx, one, f"{team.id}-{name}@example.com") for one, name in zip(who, "abc", strict=True)
            ],
        }
        for other in attempts.keys() - {how}:
            for attempt in attempts[other]:
                attempt.close()
        await asyncio.gather(*attempts[how], return_exceptions=True)
        assert list((await roles(ctx, team.id)).values()).count(Role.OWNER) >= 1
        if how != "remove each other":
            assert list((await roles(ctx, team.id)).values()).count(Role.OWNER) == 1


async def test_the_last_owner_stays(ctx) -> None:
    team = await new_team(ctx)
    owner = await signed_in(ctx, "owner@example.com", team)
    await signed_in(ctx, "ben@example.com", team, Role.ADMIN)
    assert owner.user_id is not None
    await refused(
        InvalidParameters,
        members.leave(ctx, owner),
        members.change_role(ctx, owner, owner.user_id, Role.ADMIN),
        members.remove(ctx, owner, owner.user_id, keys_too=False),
        account.delete(ctx, owner, "owner@example.com"),
    )
    assert (await roles(ctx, team.id))["owner@example.com"] is Role.OWNER
    assert await identity.user_by_email(ctx.db, "owner@example.com")


@pytest.mark.parametrize("keys_too", [True, False])
async def test_a_removed_member_loses_the_team_and_the_keys_if_wished(ctx, keys_too: bool) -> None:
    team = await new_team(ctx)
    owner, ben = await signed_in(ctx, "owner@example.com", team), await signed_in(ctx, "ben@example.com", team)
    await keys.create(ctx, ben, ben.team, "ben's")
    await keys.create(ctx, owner, owner.team, "the owner's")
    assert ben.user_id is not None
    await members.remove(ctx, owner, ben.user_id, keys_too=keys_too)
    revoked = {key.name for key in await identity.list_keys(ctx.db, team.id) if key.revoked_at}
    assert revoked == ({"ben's"} if keys_too else set())
    assert (await visitor_of(ctx, "ben@example.com")).memberships == []
    stranger = await signed_in(ctx, "stranger@example.com", await new_team(ctx))
    assert stranger.user_id is not None
    with pytest.raises(NotFound):
        await members.remove(ctx, owner, stranger.user_id, keys_too=True)


async def test_the_end_of_a_team(ctx) -> None:
    team = await new_team(ctx)
    owner, ben = await signed_in(ctx, "owner@example.com", team), await signed_in(ctx, "ben@example.com", team)
    async with ctx.transaction() as tx:
        await ledger.credit(tx, team.id, 5_000_000, live=True, actor="tests", note=None)
    await keys.create(ctx, owner, owner.team, "k")
    with pytest.raises(InvalidParameters, match="enter its name"):
        await own_teams.end(ctx, owner, "another")
    await own_teams.end(ctx, owner, f" {team.name} ")
    assert all(key.revoked_at for key in await identity.list_keys(ctx.db, team.id))
    assert await roles(ctx, team.id) == {}
    assert (await ledger.balance(ctx.db, team.id, live=True)).posted == 5_000_000
    assert [one.action for one in await audit.list_entries(ctx.db, team_id=team.id, limit=1)] == ["team.end"]
    await refused(
        NotFound,
        keys.create(ctx, ben, ben.team, "late"),
        own_teams.end(ctx, ben, team.name),
        members.leave(ctx, ben),
        invitations.invite(ctx, ben, "x@example.com", Role.VIEWER),
    )


async def test_no_key_outlives_its_team(ctx) -> None:
    for _ in range(5):
        team = await new_team(ctx)
        owner = await signed_in(ctx, f"{team.id}@example.com", team)
        makers = [keys.create(ctx, owner, owner.team, f"k{number}") for number in range(6)]
        await asyncio.gather(*makers[:3], own_teams.end(ctx, owner, team.name), *makers[3:], return_exceptions=True)
        assert all(key.revoked_at for key in await identity.list_keys(ctx.db, team.id))


async def test_a_team_gets_another_name(ctx) -> None:
    one, other = await new_team(ctx), await new_team(ctx)
    owner = await signed_in(ctx, "owner@example.com", one)
    await own_teams.rename(ctx, owner, " <b>Acme</b> ")
    assert (await identity.find_team(ctx.db, "<b>Acme</b>")).id == one.id
    for unfit in (other.name, "", "  ", "x" * 65, "a\nb"):
        with pytest.raises(InvalidParameters):
            await own_teams.rename(ctx, owner, unfit)


async def test_heavy_acts_need_a_fresh_sign_in(ctx) -> None:
    team = await new_team(ctx)
    fresh = await signed_in(ctx, "owner@example.com", team)
    assert fresh.signed_in_at is not None
    who = msgspec.structs.replace(fresh, signed_in_at=fresh.signed_in_at - FRESH - timedelta(seconds=1))
    await refused(
        SignInTooOld,
        invitations.invite(ctx, who, "x@example.com", Role.VIEWER),
        members.change_role(ctx, who, 1, Role.VIEWER),
        members.remove(ctx, who, 1, keys_too=False),
        own_teams.end(ctx, who, team.name),
        account.delete(ctx, who, "owner@example.com"),
        keys.create(ctx, who, TeamMode(team.id, live=True), "k"),
    )
    await keys.create(
        ctx, msgspec.structs.replace(who, scope=TeamMode(team.id, live=False)), TeamMode(team.id, live=False), "k"
    )


async def test_what_happens_to_a_team_is_on_its_record(ctx) -> None:
    team = await new_team(ctx)
    owner, ben = await signed_in(ctx, "owner@example.com", team), await signed_in(ctx, "ben@example.com")
    await invitations.accept(ctx, ben, await invited(ctx, owner, "ben@example.com"))
    await members.change_role(ctx, owner, ben.user_id or 0, Role.VIEWER)
    await members.remove(ctx, owner, ben.user_id or 0, keys_too=True)
    found = [entry.action for entry in await audit.list_entries(ctx.db, team_id=team.id, limit=4)]
    assert found == ["member.remove", "member.role", "member.join", "member.invite"]
