"""Redemption codes, as an operator makes and withdraws them."""

from datetime import datetime

from modellix_server import audit, billing
from modellix_server.base.errors import InvalidParameters
from modellix_server.base.team_mode import mode_word
from modellix_server.billing import MOST_CODES, CodeBatch
from modellix_server.operations.context import Context
from modellix_server.operations.principal import Permission, Principal

_MOST_MICROS = 10**10  # 10,000 USD


async def create(
    ctx: Context, who: Principal, *, name: str, micros: int, count: int, live: bool, expires_at: datetime | None
) -> tuple[CodeBatch, list[str]]:
    """New codes, each worth the same, and their texts, which cannot be shown again.

    Raises InvalidParameters for an amount, a count or a name that is not fit, SignInTooOld.
    """
    who.require(Permission.OPERATE)
    who.require_fresh()
    if not 0 < micros <= _MOST_MICROS:
        raise InvalidParameters("a code is worth more than 0 and at most 10,000 USD")
    if not 1 <= count <= MOST_CODES:
        raise InvalidParameters(f"1 to {MOST_CODES} codes are made at once")
    texts = [billing.new_code() for _ in range(count)]
    async with ctx.transaction() as tx:
        batch = await billing.create_batch(
            tx,
            ctx.settings.secret,
            texts,
            name=name.strip(),
            live=live,
            amount=micros,
            expires_at=expires_at,
            created_by=who.id,
        )
        ends = None if expires_at is None else expires_at.isoformat()
        about = {"name": batch.name, "mode": mode_word(live=live), "micros": micros, "count": count, "expires_at": ends}
        await audit.record(tx, who.actor, "code.create", f"codes:{batch.id}", team_id=None, **about)
    return batch, texts


async def list_all(ctx: Context, who: Principal) -> list[CodeBatch]:
    """All codes in the batches that they were made in, the latest first."""
    who.require(Permission.OPERATE)
    return await billing.list_batches(ctx.db)


async def revoke(ctx: Context, who: Principal, batch_id: int) -> CodeBatch:
    """Make the codes of a batch that nobody has redeemed worthless. Idempotent. Raises NotFound."""
    who.require(Permission.OPERATE)
    async with ctx.transaction() as tx:
        batch = await billing.revoke_batch(tx, batch_id)
        await audit.record(tx, who.actor, "code.revoke", f"codes:{batch.id}", name=batch.name)
    return batch
