"""Reports of leaked API keys, which revoke them.

The key itself is the proof: who has it could spend the team's money, so the right to revoke it adds nothing.
"""

from collections.abc import Mapping

from modellix_server import audit, identity
from modellix_server.base.team_mode import mode_word
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal

_ACTOR = "leak report"


async def report(ctx: Context, who: Principal, found: Mapping[str, str | None]) -> int:
    """Revoke the valid keys among these texts, each with the URL where it was found; returns how many."""
    who.require(Permission.REPORT_LEAKS)
    async with ctx.transaction() as tx:
        ended = await identity.revoke_leaked(tx, ctx.settings.secret, list(found))
        for text, key in ended:
            about = {"name": key.name, "mode": mode_word(live=key.live), "found_at": found[text]}
            actor = audit.Actor(_ACTOR, who.origin)
            await audit.record(tx, actor, "key.leaked", f"key:{key.id}", team_id=key.team_id, **about)
    return len(ended)
