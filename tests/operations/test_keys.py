"""API keys as operations: who may, what is refused, what the audit log says."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from modellix_server import audit, budgets, identity, ledger
from modellix_server.base.errors import InvalidParameters, NotFound, OutOfRange, PlatformError
from modellix_server.base.team_mode import TeamMode
from modellix_server.budgets import BudgetLimit
from modellix_server.identity import AllowedModels, Role
from modellix_server.operations import keys
from modellix_server.operations.context import Context
from modellix_server.operations.keys import KeyOptions
from modellix_server.operations.principal import ROLE_PERMISSIONS, Forbidden, Principal, SignInTooOld, operator

ANNA = operator("anna", "host-7")
LONG_AGO = datetime.now(UTC) - timedelta(hours=13)


@pytest.fixture
async def of(pool) -> TeamMode:
    team = await identity.create_team(pool, "acme")
    await ledger.open_team(pool, team.id)
    return TeamMode(team.id, live=False)


def someone(of: TeamMode, role: Role, number: int, **about: object) -> Principal:
    return Principal(f"user:{number}", ROLE_PERMISSIONS[role], "here", of, user_id=number, **about)


async def test_what_is_done_to_a_key_is_in_the_audit_log(pool, settings, of) -> None:
    ctx, end = Context(settings, pool), datetime.now(UTC) + timedelta(days=30)
    options = KeyOptions(AllowedModels(("alibaba/qwen-image-plus",)), BudgetLimit(2_000_000, "daily"), end, "app")
    _, key = await keys.create(ctx, ANNA, of, "ci", options)
    assert (key.allowed, key.expires_at, key.state, key.tag) == (options.allowed, end, "active", "app")
    (shown,) = await keys.list_of_team(ctx, ANNA, of)
    assert shown.budget is not None
    assert (shown.budget.amount, shown.budget.period, shown.creator) == (2_000_000, "daily", "admin:anna")
    await keys.change(ctx, ANNA, key.id, KeyOptions(budget=BudgetLimit(3_000_000, "daily"), expires_at=end))
    await keys.rotate(ctx, ANNA, key.id, overlap_h=2)
    await keys.revoke(ctx, ANNA, key.id)
    assert (await keys.change_tag(ctx, ANNA, key.id, "应用 1")).tag == "应用 1"
    await keys.delete(ctx, ANNA, key.id)
    assert await budgets.of_keys(pool, [key.id]) == {}
    about = {"mode": "test", "name": "ci"}
    until = end.isoformat(timespec="seconds")
    kept = [(entry.action, json.loads(entry.details)) for entry in reversed(await audit.list_entries(pool))]
    assert kept == [
        ("key.create", about | {
            "allowed": "alibaba/qwen-image-plus", "budget_usd": "2.0000", "period": "daily", "expires_at": until,
            "tag": "app",
        }),
        ("key.change", about | {"budget_usd": "3.0000", "period": "daily", "expires_at": until}),
        ("key.rotate", about | {"overlap_h": 2}),
        ("key.revoke", about),
        ("key.tag", about | {"tag": "应用 1"}),
        ("key.delete", about),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        (KeyOptions(AllowedModels(("no/model",))), InvalidParameters),
        (KeyOptions(AllowedModels((), ("text-to-song",))), InvalidParameters),
        (KeyOptions(AllowedModels(("alibaba/qwen-image-plus",) * 201)), InvalidParameters),
        (KeyOptions(budget=BudgetLimit(-1)), OutOfRange),
        (KeyOptions(budget=BudgetLimit(1, "hourly")), InvalidParameters),
        (KeyOptions(tag=""), InvalidParameters),
        (KeyOptions(tag="x" * 65), InvalidParameters),
        (KeyOptions(tag=" app"), InvalidParameters),
        (KeyOptions(tag="a\nb"), InvalidParameters),
        (KeyOptions(expires_at=datetime.now(UTC) - timedelta(seconds=1)), OutOfRange),
        (KeyOptions(expires_at=datetime.now(UTC) + timedelta(days=4000)), OutOfRange),
    ],
)
async def test_options_that_no_key_can_have(pool, settings, of, options: KeyOptions, refusal) -> None:
    ctx = Context(settings, pool)
    with pytest.raises(refusal):
        await keys.create(ctx, ANNA, of, "ci", options)
    _, key = await keys.create(ctx, ANNA, of, "ci")
    with pytest.raises(refusal):
        await keys.change(ctx, ANNA, key.id, options)
    assert [one.state for one in await identity.list_keys(pool)] == ["active"]


async def test_what_an_ended_key_is_refused(pool, settings, of) -> None:
    ctx = Context(settings, pool)
    _, key = await keys.create(ctx, ANNA, of, "ci")
    with pytest.raises(InvalidParameters, match="may still be used"):
        await keys.delete(ctx, ANNA, key.id)
    for hours in (-1, 169):
        with pytest.raises(OutOfRange):
            await keys.rotate(ctx, ANNA, key.id, overlap_h=hours)
    await pool.execute("update identity.api_key set expires_at = now()")
    with pytest.raises(InvalidParameters, match="is expired"):
        await keys.rotate(ctx, ANNA, key.id, overlap_h=1)
    await keys.change(ctx, ANNA, key.id, KeyOptions())  # it lives again
    await keys.revoke(ctx, ANNA, key.id)
    for act in (keys.rotate(ctx, ANNA, key.id, overlap_h=1), keys.change(ctx, ANNA, key.id, KeyOptions())):
        with pytest.raises(InvalidParameters, match="is revoked"):
            await act
    await keys.delete(ctx, ANNA, key.id)
    with pytest.raises(NotFound):
        await keys.delete(ctx, ANNA, key.id)


async def acts(ctx: Context, who: Principal, key_id: int) -> list[type[PlatformError] | None]:
    """What changing, rotating, reading to change, revoking and deleting a key end with."""
    found: list[type[PlatformError] | None] = []
    for act in (
        keys.change(ctx, who, key_id, KeyOptions()),
        keys.rotate(ctx, who, key_id, overlap_h=1),
        keys.find(ctx, who, key_id),
        keys.revoke(ctx, who, key_id),
        keys.delete(ctx, who, key_id),
    ):
        try:
            await act
            found.append(None)
        except PlatformError as error:
            found.append(type(error))
    return found


async def test_a_developer_changes_its_own_keys_an_admin_all_and_nobody_another_teams(pool, settings, of) -> None:
    ctx, other = Context(settings, pool), await identity.create_team(pool, "other")
    mine, foreign = someone(of, Role.DEVELOPER, 1), someone(of, Role.DEVELOPER, 2)
    made = [(await keys.create(ctx, mine, of, "k"))[1].id for _ in range(2)]
    assert set(await acts(ctx, foreign, made[0])) == {Forbidden}
    assert set(await acts(ctx, someone(TeamMode(other.id, live=False), Role.OWNER, 3), made[0])) == {NotFound}
    assert set(await acts(ctx, someone(TeamMode(of.team_id, live=True), Role.OWNER, 4), made[0])) == {NotFound}
    assert set(await acts(ctx, someone(of, Role.ADMIN, 5), made[0])) == {None}
    assert set(await acts(ctx, mine, made[1])) == {None}


async def test_a_live_text_needs_a_fresh_sign_in(pool, settings, of) -> None:
    ctx, live = Context(settings, pool), TeamMode(of.team_id, live=True)
    tired = someone(live, Role.OWNER, 1, signed_in_at=LONG_AGO)
    _, key = await keys.create(ctx, ANNA, live, "k")
    with pytest.raises(SignInTooOld):
        await keys.create(ctx, tired, live, "k")
    with pytest.raises(SignInTooOld):
        await keys.rotate(ctx, tired, key.id, overlap_h=1)
    await keys.revoke(ctx, tired, key.id)


async def test_who_is_no_key_has_no_own_one(pool, settings, of) -> None:
    with pytest.raises(Forbidden):
        await keys.read_own(Context(settings, pool), someone(of, Role.OWNER, 1))
