"""Signing up: who may, what they start with, and what strangers learn."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.support.people import new_team, signed_in

from modellix_server import identity, ledger
from modellix_server.base.errors import InvalidParameters, Unauthorized
from modellix_server.base.sign_up_policy import SignUpPolicy
from modellix_server.identity import Role, Visitor
from modellix_server.operations import account, invitations, own_teams, sign_in_codes
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Forbidden, Principal, anybody
from modellix_server.operations.sign_in import Browser, act, authenticate

WHO, BROWSER = anybody("192.0.2.1"), Browser("192.0.2.1", "a browser")


@pytest.fixture
def contexts(pool, settings, tmp_path):
    def of(policy: str, credit_usd: float = 0.0) -> Context:
        changed = {"sign_up": SignUpPolicy.of(policy), "starter_credit_usd": credit_usd}
        return Context(replace(settings, mail_dir=str(tmp_path / "mail"), **changed), pool)

    return of


async def asked(ctx: Context, email: str) -> str | None:
    await sign_in_codes.send_code(ctx, WHO, email, BROWSER)
    code: str | None = await ctx.db.fetchval("select code from mail.outbox order by created_at desc limit 1")
    return code


async def arrived(ctx: Context, email: str) -> Visitor:
    code = await asked(ctx, email)
    assert code is not None
    visitor = await authenticate(ctx, await sign_in_codes.use_code(ctx, WHO, email, code, BROWSER))
    assert visitor is not None
    return visitor


def acting(visitor: Visitor) -> Principal:
    return act(visitor, None, "here")[0]


async def money_of(ctx: Context, team_id: int) -> tuple[int, int]:
    """Live and test."""
    live, test = [await ledger.balance(ctx.db, team_id, live=live) for live in (True, False)]
    return live.posted, test.posted


async def test_where_only_the_invited_sign_up_others_get_nothing(contexts) -> None:
    ctx = contexts("invited")
    assert await asked(ctx, "stranger@example.com") is None
    with pytest.raises(Unauthorized):
        await sign_in_codes.use_code(ctx, WHO, "stranger@example.com", "123456", BROWSER)
    owner = await signed_in(ctx, "owner@example.com", team := await new_team(ctx))
    await invitations.invite(ctx, owner, "ben@example.com", Role.DEVELOPER)
    visitor = await arrived(ctx, "Ben@example.com")
    assert (visitor.user.email, visitor.user.name, visitor.memberships) == ("ben@example.com", "ben", [])
    who = acting(visitor)
    assert not await own_teams.may_create(ctx, who)
    with pytest.raises(Forbidden):
        await own_teams.create(ctx, who, "mine")
    (invitation,) = await invitations.list_own(ctx, who)
    await invitations.accept_own(ctx, who, invitation.id)
    assert [one.team.id for one in await identity.memberships(ctx.db, visitor.user.id)] == [team.id]


async def test_an_invitation_that_ended_meanwhile_makes_no_user(contexts) -> None:
    ctx = contexts("invited")
    owner = await signed_in(ctx, "owner@example.com", await new_team(ctx))
    await invitations.invite(ctx, owner, "ben@example.com", Role.DEVELOPER)
    code = await asked(ctx, "ben@example.com")
    assert code is not None
    await invitations.withdraw(ctx, owner, (await invitations.list_of_team(ctx, owner))[0].id)
    with pytest.raises(Forbidden, match="invited"):
        await sign_in_codes.use_code(ctx, WHO, "ben@example.com", code, BROWSER)
    assert await identity.user_by_email(ctx.db, "ben@example.com") is None


async def test_an_open_installation_gives_everybody_a_team_and_credit_once(contexts) -> None:
    ctx = contexts("open", 2.5)
    visitor = await arrived(ctx, "ann@example.com")
    (membership,) = visitor.memberships
    assert (membership.role, membership.team.name) == (Role.OWNER, "ann")
    assert await money_of(ctx, membership.team.id) == (2_500_000, 100_000_000)
    assert visitor.session.team_id == membership.team.id
    second = await own_teams.create(ctx, acting(visitor), "ann's other team")
    assert await money_of(ctx, second.id) == (0, 100_000_000)
    who = acting(visitor)
    await own_teams.end(ctx, who, "ann")
    again = await signed_in(ctx, "ann@example.com", second)
    await own_teams.end(ctx, again, second.name)
    await account.delete(ctx, again, "ann@example.com")
    back = await arrived(ctx, "ann@example.com")
    assert back.user.id != visitor.user.id
    assert await money_of(ctx, back.memberships[0].team.id) == (0, 100_000_000), "the address had its credit"


async def test_the_same_name_before_the_at_sign(contexts) -> None:
    ctx = contexts("open")
    names = [(await arrived(ctx, f"info@{number}.example")).memberships[0].team.name for number in range(3)]
    assert names[0] == "info"
    assert len(set(names)) == 3


async def test_somebody_who_is_invited_gets_no_team_of_their_own_at_once(contexts) -> None:
    ctx = contexts("open", 1.0)
    owner = await signed_in(ctx, "owner@example.com", await new_team(ctx))
    await invitations.invite(ctx, owner, "ben@example.com", Role.VIEWER)
    visitor = await arrived(ctx, "ben@example.com")
    assert visitor.memberships == []
    team = await own_teams.create(ctx, acting(visitor), "ben's")
    assert await money_of(ctx, team.id) == (1_000_000, 100_000_000)


@pytest.mark.parametrize(
    ("email", "admitted"),
    [
        ("a@example.com", True),
        ("a@example.org", True),
        ("a@sub.example.com", False),
        ("a@notexample.com", False),
        ("example.com@evil.example", False),
    ],
)
async def test_a_domain_admits_its_own_addresses(contexts, email: str, admitted: bool) -> None:
    ctx = contexts("domain:Example.com, example.org")
    assert (await asked(ctx, email) is not None) is admitted


async def test_of_parallel_sign_ups_with_one_address_one_makes_a_user(contexts) -> None:
    ctx = contexts("open", 1.0)
    code = await asked(ctx, "ann@example.com")
    assert code is not None
    uses = (sign_in_codes.use_code(ctx, WHO, "ann@example.com", code, BROWSER) for _ in range(5))
    answers = await asyncio.gather(*uses, return_exceptions=True)
    assert sum(isinstance(one, str) for one in answers) == 1
    assert await ctx.db.fetchval("select count(*) from identity.app_user where email = 'ann@example.com'") == 1


@pytest.mark.parametrize("text", ["", "closed", "domain", "domain:", "domain:@x", "open:x", "domain:a b"])
def test_a_policy_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be invited, open or domain"):
        SignUpPolicy.of(text)


async def test_an_account_changes_and_is_forgotten(contexts) -> None:
    ctx = contexts("open")
    visitor = await arrived(ctx, "ann@example.com")
    who = acting(visitor)
    await account.change(ctx, who, name=" Ann ", language="zh", time_zone="Asia/Shanghai", theme="dark")
    user = await identity.find_user(ctx.db, visitor.user.id)
    assert (user.name, user.language, user.time_zone, user.theme) == ("Ann", "zh", "Asia/Shanghai", "dark")
    good = {"name": "Ann", "language": None, "time_zone": None, "theme": None}
    for wrong in ({"name": " "}, {"language": "de"}, {"time_zone": "../../etc/passwd"}, {"theme": "x"}):
        with pytest.raises(InvalidParameters):
            await account.change(ctx, who, **(good | wrong))
    other = await signed_in(ctx, "ann@example.com")
    assert len(await account.sessions(ctx, who)) == 2
    await account.end_other_sessions(ctx, who)
    assert [one.id for one in await account.sessions(ctx, who)] == [who.session_id]
    assert other.session_id != who.session_id
    await own_teams.end(ctx, who, visitor.memberships[0].team.name)
    with pytest.raises(InvalidParameters, match="enter its e-mail address"):
        await account.delete(ctx, who, "ben@example.com")
    await account.delete(ctx, who, "Ann@example.com")
    row = await ctx.db.fetchrow("select * from identity.app_user where id = $1", visitor.user.id)
    assert row["deleted_at"]
    assert "ann" not in str(dict(row)).lower()
    assert await ctx.db.fetchval("select count(*) from identity.session where user_id = $1", visitor.user.id) == 0
