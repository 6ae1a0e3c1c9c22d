"""What a new installation starts with, so that the first request needs no preparation."""

from __future__ import annotations

import socket

from modellix_server import audit, identity, ledger
from modellix_server.base.database import connect
from modellix_server.base.money import MICROS_PER_USD
from modellix_server.base.settings import Settings
from modellix_server.operations.teams import create_team

TEAM = "default"
TEST_MONEY_MICROS = 100 * MICROS_PER_USD
_ACTOR = "first start"


async def first_start(settings: Settings) -> str | None:
    """Create team `default` with 100 USD of test money and a test key, unless there is a team already.

    Returns the text of the key, which nobody can ask for again; None when there was nothing to do.
    """
    db = await connect(settings.database_url, name="first-start")
    try:
        async with db.transaction():
            if await identity.list_teams(db):
                return None
            team = await create_team(db, TEAM)
            await ledger.credit(db, team.id, TEST_MONEY_MICROS, live=False, actor=_ACTOR, note="test money")
            text, key = await identity.create_key(
                db, settings.secret, team.id, live=False, name="first key", created_by=_ACTOR
            )
            us = audit.Actor(_ACTOR, socket.gethostname())
            await audit.record(db, us, "team.create", f"team:{team.id}", team_id=team.id, name=TEAM)
            about = {"mode": "test", "micros": TEST_MONEY_MICROS}
            await audit.record(db, us, "team.credit", f"team:{team.id}", team_id=team.id, **about)
            await audit.record(db, us, "key.create", f"key:{key.id}", team_id=team.id, mode="test", name=key.name)
        return text
    finally:
        await db.close()
