"""Admin commands about teams, their money and limits, and API keys."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import typer

from modellix_server import identity, ledger, limits
from modellix_server.base.money import micros_from_usd, usd
from modellix_server.cli.context import CommandContext, RefusedError
from modellix_server.operations.teams import create_team

_MOST_MICROS = 10**15  # a billion USD


async def create(desk: CommandContext, name: str) -> None:
    """Create a team with an empty purse."""
    async with desk.db.transaction():
        team = await create_team(desk.db, name)
        await desk.record("team.create", f"team:{team.id}", team_id=team.id, name=team.name)
    desk.show({"id": team.id, "name": team.name, "created_at": team.created_at})


async def list_all(desk: CommandContext) -> None:
    """Show every team with its money and limits."""
    rows = []
    for team in await identity.list_teams(desk.db):
        live = await ledger.balance(desk.db, team.id, live=True)
        test = await ledger.balance(desk.db, team.id, live=False)
        allowed = await limits.of_team(desk.db, team.id)
        rows.append(
            {
                "id": team.id,
                "name": team.name,
                "live_usd": usd(live.available),
                "test_usd": usd(test.available),
                **asdict(allowed),
                "created_at": team.created_at,
            }
        )
    desk.show_all(rows, none="No teams yet: modellix-server admin team create NAME")


async def set_limits(desk: CommandContext, name: str, **wanted: int | None) -> None:
    """Change the limits that are given, by the names of `limits.set_for_team`, and show those in force."""
    team = await identity.find_team(desk.db, name)
    changed = {limit: value for limit, value in wanted.items() if value is not None}
    if changed:
        async with desk.db.transaction():
            now = await limits.set_for_team(desk.db, team.id, **wanted)
            await desk.record("team.limits", f"team:{team.id}", team_id=team.id, **changed)
    else:
        now = await limits.of_team(desk.db, team.id)
    desk.show({"team": team.name, **asdict(now)})


async def credit(
    desk: CommandContext, name: str, amount_usd: str | None, micros: int | None, note: str | None, *, live: bool
) -> None:
    """Put money in, or take a correction out."""
    if (amount_usd is None) == (micros is None):
        raise RefusedError("say the amount with either --usd or --micros")
    if micros is None:
        assert amount_usd is not None
        try:
            micros = micros_from_usd(amount_usd)
        except ValueError as error:
            raise RefusedError(str(error)) from None
    if not 0 < abs(micros) <= _MOST_MICROS:
        raise RefusedError("the amount must not be 0, nor beyond a billion USD")
    team = await identity.find_team(desk.db, name)
    mode = _mode(live=live)
    try:
        async with desk.db.transaction():
            available = await ledger.credit(desk.db, team.id, micros, live=live, actor=desk.actor, note=note)
            about = {"mode": mode, "micros": micros, "available_micros": available, "note": note}
            await desk.record("team.credit", f"team:{team.id}", team_id=team.id, **about)
    except ledger.InsufficientBalance:
        have = (await ledger.balance(desk.db, team.id, live=live)).available
        raise RefusedError(f"{usd(have)} USD available, {usd(-micros)} USD asked") from None
    desk.show({"team": team.name, "mode": mode, "credited_usd": usd(micros), "available_usd": usd(available)})


async def create_key(desk: CommandContext, team_name: str, key_name: str, *, live: bool) -> None:
    """Create a key and print its text, alone on standard output."""
    team = await identity.find_team(desk.db, team_name)
    async with desk.db.transaction():
        text, key = await identity.create_key(
            desk.db, desk.settings.secret, team.id, live=live, name=key_name, created_by=desk.actor
        )
        await desk.record("key.create", f"key:{key.id}", team_id=team.id, mode=_mode(live=live), name=key.name)
    if desk.as_json:
        desk.show({"key": text, **_key(key, team.name)})
        return
    typer.secho(f"The key '{key.name}' of team '{team.name}' ({_mode(live=live)}), shown only now:", err=True)
    typer.echo(text)


async def list_keys(desk: CommandContext, team_name: str | None) -> None:
    """Show the keys of one team or of all, without their texts."""
    teams = {team.id: team.name for team in await identity.list_teams(desk.db)}
    team_id = None if team_name is None else (await identity.find_team(desk.db, team_name)).id
    keys = await identity.list_keys(desk.db, team_id)
    desk.show_all([_key(key, teams[key.team_id]) for key in keys], none="No keys.")


async def revoke_key(desk: CommandContext, key_id: int) -> None:
    """End a key at once."""
    async with desk.db.transaction():
        key = await identity.revoke_key(desk.db, key_id)
        await desk.record("key.revoke", f"key:{key.id}", team_id=key.team_id, name=key.name)
    desk.show({"id": key.id, "name": key.name, "revoked_at": key.revoked_at})


def _key(key: identity.ApiKey, team_name: str) -> dict[str, Any]:
    return {
        "id": key.id,
        "team": team_name,
        "mode": _mode(live=key.live),
        "name": key.name,
        "looks_like": f"{key.prefix}…{key.last4}",
        "created_at": key.created_at,
        "created_by": key.created_by,
        "revoked_at": key.revoked_at,
    }


def _mode(*, live: bool) -> str:
    return "live" if live else "test"
