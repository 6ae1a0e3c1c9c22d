"""A record that was read before another change is old, and is read again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from uuid import UUID

from tests.support.people import new_team, signed_in

from modellix_server import billing, ledger
from modellix_server.base.database import Pool
from modellix_server.base.ids import uuid7
from modellix_server.base.settings import Settings
from modellix_server.base.team_mode import TeamMode
from modellix_server.billing import Checkout, Payment, PaymentEvent, PaymentProvider, RechargeOrder
from modellix_server.identity import Role
from modellix_server.operations import recharges
from modellix_server.operations.context import Context
from modellix_server.operations.principal import anybody

DOLLAR = 1_000_000


@dataclass
class SlowProvider:
    """Its answer to the second look is overtaken: a refund is made, told and acted on before it arrives."""

    ctx: Context
    payment: Payment
    name: str = "stripe"
    looks: int = 0

    async def look(self, checkout_id: str) -> Payment:
        self.looks += 1
        said = self.payment
        if self.looks == 2:
            self.payment = replace(said, taken_back=5 * DOLLAR)
            await recharges.receive_event(self.ctx, anybody("tests"), b"refund", "")
        return said

    async def read_event(self, body: bytes, signature: str) -> PaymentEvent:
        return PaymentEvent(f"evt_{body.decode()}", "charge.refunded", self.payment.checkout_id)

    async def create_order(self, wanted: RechargeOrder) -> Checkout:
        raise NotImplementedError

    async def close(self) -> None:
        return None


class OneGateway:
    def __init__(self, provider: PaymentProvider) -> None:
        self._provider = provider

    async def read_event(self, body: bytes, signature: str) -> tuple[PaymentProvider, PaymentEvent]:
        return self._provider, await self._provider.read_event(body, signature)


async def test_an_answer_that_was_overtaken_gives_nothing_back(pool: Pool, settings: Settings) -> None:
    ctx = Context(settings, pool)
    team = await new_team(ctx)
    who = await signed_in(ctx, "ada@example.com", team, Role.OWNER)
    of = TeamMode(team.id, live=True)
    made = await billing.add(pool, uuid7(), of, "stripe", 20 * DOLLAR, who.id)
    payment = Payment(UUID(str(made.id)), "cs_1", "pi_1", "paid", True, 20 * DOLLAR, "usd")
    ctx.__dict__["gateways"] = OneGateway(SlowProvider(ctx, payment))
    await recharges.receive_event(ctx, anybody("tests"), b"paid", "")
    assert (await ledger.balance(pool, team.id, live=True)).available == 15 * DOLLAR
    found = await recharges.find(ctx, who, of, made.id)
    assert (found.state, found.taken_back) == ("paid", 5 * DOLLAR)
    events = await pool.fetch("select id from billing.payment_event order by id")
    assert [row["id"] for row in events] == ["evt_paid", "evt_refund"]
