"""Money comes in once, with the amount and currency of the provider's record, whatever is said how often (L10).

Live mode is at Stripe's emulator, in a process of its own; events are signed by Stripe's SDK.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
import stripe
from tests.console.test_billing import make_codes, shown_balance
from tests.support.browsers import Visitor, member, new_team
from tests.support.platform_processes import Platform, open_platform
from tests.support.ports import free_port
from tests.support.sandbox_process import start
from tests.support.waiting import eventually

from modellix_server import billing, ledger
from modellix_server.base.ids import uuid7
from modellix_server.base.team_mode import TeamMode
from modellix_server.identity import Role

KEY = "sk_live_0123456789abcdefABCDEF"
OLD_SECRET = "whsec_" + "0" * 32
DOLLAR = 1_000_000


@dataclass
class Shop:
    """A platform whose live mode recharges at an emulator that we control."""

    platform: Platform
    emulator: str
    sdk: stripe.StripeClient
    secret: str

    async def send(self, event: Any, *, secret: str | None = None, at: int | None = None, header: str = "") -> int:
        body = json.dumps(event)
        signed = stripe.WebhookSignature.generate_signature_header(body, secret or self.secret, at)
        url = f"{self.platform.origin}/payments/stripe/events"
        async with self.platform.http.post(
            url, data=body, headers={"Stripe-Signature": header or signed}, allow_redirects=False
        ) as answer:
            return answer.status

    async def happen(self, checkout: str, do: str) -> None:
        async with self.platform.http.post(f"{self.emulator}/_happen/{checkout}", data={"do": do}) as answer:
            assert answer.status == 200, await answer.text()

    async def pay(self, checkout: str) -> None:
        async with self.platform.http.post(
            f"{self.emulator}/checkout/{checkout}", data={"do": "pay"}, allow_redirects=False
        ) as answer:
            assert answer.status == 303

    async def balance(self, team: int) -> int:
        return (await ledger.balance(self.platform.pool, team, live=True)).available

    async def reaches(self, team: int, micros: int) -> None:
        async def there() -> bool:
            return await self.balance(team) == micros

        await eventually(there)

    async def row(self, recharge: UUID) -> Any:
        return await self.platform.pool.fetchrow("select * from billing.recharge where id = $1", recharge)

    async def order(self, team: int, dollars: int = 20) -> UUID:
        """A recharge whose checkout is not opened yet."""
        of = TeamMode(team, live=True)
        return (await billing.add(self.platform.pool, uuid7(), of, "stripe", dollars * DOLLAR, "user:1")).id

    async def session(self, recharge: UUID, cents: int = 2000, currency: str = "usd") -> str:
        price: Any = {"currency": currency, "unit_amount": cents, "product_data": {"name": "r"}}
        made = await self.sdk.v1.checkout.sessions.create_async(
            {
                "mode": "payment",
                "client_reference_id": str(recharge),
                "line_items": [{"price_data": price, "quantity": 1}],
                "success_url": "https://shop.example.com/",
            }
        )
        return made.id

    async def paid(self, team: int) -> tuple[UUID, str]:
        recharge = await self.order(team)
        checkout = await self.session(recharge)
        await self.pay(checkout)
        await self.reaches(team, 20 * DOLLAR)
        return recharge, checkout


def event(checkout: str, kind: str = "checkout.session.completed", **more: Any) -> dict[str, Any]:
    """What an attacker would like: an event that says more than is true."""
    about = {"id": checkout, "object": "checkout.session", "amount_total": 999_900, "payment_status": "paid", **more}
    return {"id": f"evt_{uuid7().hex}", "object": "event", "type": kind, "data": {"object": about}, "livemode": True}


@pytest.fixture(scope="module")
async def shop(postgres_server, tmp_path_factory) -> AsyncIterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    emulator_folder = tmp_path_factory.mktemp("stripe")
    with start(emulator_folder, instant=True, only="stripe") as running:
        http = stripe.AIOHTTPClient()
        sdk = stripe.StripeClient(KEY, base_addresses={"api": f"{running.origin}/stripe"}, http_client=http)  # type: ignore[arg-type]
        port = free_port()
        endpoint = f"http://127.0.0.1:{port}/payments/stripe/events"
        made = await sdk.v1.webhook_endpoints.create_async({"url": endpoint, "enabled_events": ["*"]})
        assert made.secret == "whsec_" + hashlib.sha256(f"{KEY}\n{endpoint}".encode()).hexdigest()
        async with open_platform(
            postgres_server,
            folder,
            port=str(port),
            stripe_secret_key=KEY,
            stripe_webhook_secrets=f"{OLD_SECRET},{made.secret}",
            stripe_url=f"{running.origin}/stripe",
        ) as platform:
            yield Shop(platform, f"{running.origin}/stripe", sdk, made.secret)
            await platform.books_are_clean()
            for secret in (KEY, made.secret, OLD_SECRET):
                assert not any(secret in platform.log(name) for name in ("serve", "work"))
        await http.close_async()


@pytest.fixture
async def team(shop: Shop) -> int:
    return (await new_team(shop.platform)).id


async def test_in_test_mode_the_emulator_takes_the_place_of_the_provider(platform: Platform) -> None:
    visitor = await member(platform, (await new_team(platform)).id, Role.BILLING)
    for wrong in ("", "abc", "0.5", "10.001", "1e9", "-3", "10000.01", "1" * 12):
        page = await visitor.post("/console/billing/recharge", {"amount": wrong})
        assert (page.status, f'value="{wrong}"' in page.text) == (400, True), wrong
    page = await visitor.post("/console/billing/recharge", {"amount": "$12.50"})
    assert page.status == 303
    there = page.headers["Location"].removeprefix(platform.origin)
    assert there.startswith("/sandbox/checkout/cs_test_")
    stranger = Visitor(platform.origin)
    shown = await stranger.get(there)
    assert (shown.status, "12.50 USD" in shown.text, "Pay</button>" in shown.text) == (200, True, True)
    assert "script" not in shown.headers["Content-Security-Policy"]
    left = await visitor.post(there, {"do": "cancel"})
    page = await visitor.get(left.headers["Location"].removeprefix(platform.origin))
    assert "Your recharge of $12.5000 has not been paid" in page.text
    assert shown_balance(page.text) == "$100.0000"
    done = await visitor.post(there, {"do": "pay"})
    back = done.headers["Location"].removeprefix(platform.origin)
    for _ in range(3):
        page = await visitor.get(back)
        assert "Your recharge of $12.5000 has been paid" in page.text
        assert shown_balance(page.text) == "$112.5000"
    assert "This was paid" in (await stranger.get(there)).text
    other = await member(platform, (await new_team(platform)).id, Role.OWNER)
    identity = re.search(r"recharge=([0-9a-f-]+)", back)
    assert identity is not None
    assert (await other.get(f"/console/billing?recharge={identity[1]}")).status == 404
    for nothing in ("cs_test_" + "0" * 32, "x", "..%2f_happen%2fx", "cs_test_%00"):
        assert (await stranger.get(f"/sandbox/checkout/{nothing}")).status == 404
    live = await visitor.post(
        "/console/billing/recharge", {"amount": "5", "scope": re.sub("test", "live", scope(page.text))}
    )
    assert (live.status, "not set up here" in live.text) == (503, True)
    viewer = await member(platform, (await new_team(platform)).id, Role.VIEWER)
    assert (await viewer.post("/console/billing/recharge", {"amount": "5"})).status == 403


async def test_in_test_mode_an_event_comes_too(platform: Platform) -> None:
    team = await new_team(platform)
    visitor = await member(platform, team.id, Role.OWNER)
    page = await visitor.post("/console/billing/recharge", {"amount": "3"})
    await visitor.post(page.headers["Location"].removeprefix(platform.origin), {"do": "pay"})  # and never come back

    async def there() -> bool:
        return (await ledger.balance(platform.pool, team.id, live=False)).available == 103 * DOLLAR

    await eventually(there)


def scope(text: str) -> str:
    found = re.search(r'name="scope" value="([^"]+)"', text)
    assert found is not None
    return found[1]


async def test_without_the_browser_the_event_is_enough(shop: Shop, team: int) -> None:
    visitor = await member(shop.platform, team, Role.OWNER)
    page = await visitor.post("/console/billing/recharge", {"amount": "20", "scope": f"{team}-live"})
    checkout = re.search(r"cs_live_\w+", page.headers["Location"])
    assert checkout is not None
    await shop.pay(checkout[0])
    await shop.reaches(team, 20 * DOLLAR)
    (entry, _) = await shop.platform.pool.fetch(
        "select action, actor from audit.audit_entry where team_id = $1 and action like 'recharge%' order by seq desc",
        team,
    )
    assert (entry["action"], entry["actor"]) == ("recharge.paid", "anybody")


async def test_an_event_again_and_again_counts_once(shop: Shop, team: int) -> None:
    recharge = await shop.order(team)
    checkout = await shop.session(recharge)
    assert await shop.send(event(checkout)) == 204, "what it says is not what the provider's record says"
    assert await shop.balance(team) == 0
    await shop.pay(checkout)
    said = event(checkout)
    assert set(await asyncio.gather(*(shop.send(said) for _ in range(20)))) == {204}
    assert set(await asyncio.gather(*(shop.send(event(checkout)) for _ in range(10)))) <= {204, 503}
    await shop.reaches(team, 20 * DOLLAR)
    tops = "select count(*) from ledger.transfer where team_id = $1 and kind = 'topup' and live"
    assert await shop.platform.pool.fetchval(tops, team) == 1


async def test_events_that_nobody_signed_or_signed_long_ago(shop: Shop, team: int) -> None:
    checkout = await shop.session(await shop.order(team))
    await shop.platform.pool.execute("update billing.recharge set checkout_id = $2 where team_id = $1", team, checkout)
    said = event(checkout)
    assert await shop.send(said, secret="whsec_" + "1" * 32) == 400
    assert await shop.send(said, at=1_700_000_000) == 400
    for header in ("x", "t=1,v1=", "t=,v1=", "v1=abc", "t=9,t=9", "=" * 50, ",,,"):
        assert await shop.send(said, header=header) == 400
    assert await shop.send(said, secret=OLD_SECRET) == 204, "the secret before is good until it is taken away"
    url = f"{shop.platform.origin}/payments/stripe/events"
    async with shop.platform.http.post(url, data=b"{" * 300_000) as answer:
        assert answer.status == 413
    for body in (b"", b"\xff", b"[]", b"null", b"{}"):
        text = body.decode("latin-1")
        signed = stripe.WebhookSignature.generate_signature_header(text, shop.secret)
        async with shop.platform.http.post(url, data=body, headers={"Stripe-Signature": signed}) as answer:
            assert answer.status == 400, body
    assert await shop.send({**said, "type": "account.updated"}) == 204
    assert await shop.send(event("cs_live_" + "0" * 32)) == 404
    assert await shop.balance(team) == 0


@pytest.mark.parametrize(("cents", "currency", "why"), [(1900, "usd", "19.0000 USD were paid"), (2000, "eur", "EUR")])
async def test_another_amount_or_currency_credits_nothing(
    shop: Shop, team: int, cents: int, currency: str, why: str
) -> None:
    recharge = await shop.order(team)
    checkout = await shop.session(recharge, cents, currency)
    await shop.pay(checkout)
    await eventually(lambda: _is(shop, recharge, "refused"))
    assert await shop.send(event(checkout)) == 204
    assert await shop.balance(team) == 0
    (said,) = await _reviews(shop, recharge)
    assert why in said


async def test_a_second_checkout_for_the_same_recharge_is_for_a_person(shop: Shop, team: int) -> None:
    recharge, _ = await shop.paid(team)
    other = await shop.session(recharge)
    await shop.pay(other)
    await eventually(lambda: _reviews(shop, recharge))
    assert await shop.balance(team) == 20 * DOLLAR
    assert (await shop.row(recharge))["state"] == "paid"


async def test_a_bank_transfer_counts_when_it_has_arrived(shop: Shop, team: int) -> None:
    first, second = await shop.order(team), await shop.order(team, 7)
    late, never = await shop.session(first), await shop.session(second, 700)
    for checkout, recharge in ((late, first), (never, second)):
        await shop.happen(checkout, "transfer")
        await eventually(lambda recharge=recharge: _is(shop, recharge, "waiting"))  # type: ignore[misc]
    assert await shop.balance(team) == 0
    await shop.happen(late, "arrive")
    await shop.happen(never, "bounce")
    await shop.reaches(team, 20 * DOLLAR)
    await eventually(lambda: _is(shop, second, "failed"))


async def test_a_refund_is_taken_out_and_never_twice(shop: Shop, team: int) -> None:
    recharge, checkout = await shop.paid(team)
    intent = (await shop.row(recharge))["payment_id"]
    await shop.sdk.v1.refunds.create_async({"payment_intent": intent, "amount": 500})
    await shop.reaches(team, 15 * DOLLAR)
    await asyncio.gather(*(shop.send(event(checkout)) for _ in range(10)))
    refunded = event("ch_1", "charge.refunded", payment_intent=intent, amount_refunded=1)
    assert await shop.send(refunded) == 204
    assert await shop.balance(team) == 15 * DOLLAR
    await shop.sdk.v1.refunds.create_async({"payment_intent": intent})
    await shop.reaches(team, 0)
    assert await shop.platform.pool.fetchval("select count(*) from ledger.frozen where team_id = $1", team) == 0


async def test_a_refund_before_anybody_heard_of_the_payment(shop: Shop, team: int) -> None:
    recharge = await shop.order(team)
    checkout = await shop.session(recharge)
    await shop.pay(checkout)
    session = await shop.sdk.v1.checkout.sessions.retrieve_async(checkout)
    await shop.sdk.v1.refunds.create_async({"payment_intent": str(session.payment_intent), "amount": 800})
    await shop.reaches(team, 12 * DOLLAR)
    assert (await shop.row(recharge))["taken_back"] == 8 * DOLLAR


async def test_what_was_spent_is_owed_and_collected(shop: Shop, team: int) -> None:
    recharge, checkout = await shop.paid(team)
    pool = shop.platform.pool
    await ledger.credit(pool, team, -17 * DOLLAR, live=True, actor="tests", note="spent")
    await shop.happen(checkout, "dispute")
    await shop.reaches(team, 0)
    row = await shop.row(recharge)
    assert (row["taken_back"], row["owed"]) == (20 * DOLLAR, 17 * DOLLAR)
    assert "17.0000 USD" in await pool.fetchval("select reason from ledger.frozen where team_id = $1 and live", team)
    (said,) = await _reviews(shop, recharge)
    assert "after they were spent" in said
    (code,) = await make_codes(shop.platform, micros=5 * DOLLAR, live=True)
    visitor = await member(shop.platform, team, Role.OWNER)
    page = await visitor.post("/console/billing/redeem", {"code": code, "scope": f"{team}-live"})
    assert shown_balance(page.text) == "$0.0000"
    assert (await shop.row(recharge))["owed"] == 12 * DOLLAR
    await shop.happen(checkout, "win")
    await shop.reaches(team, 8 * DOLLAR)
    row = await shop.row(recharge)
    assert (row["taken_back"], row["owed"]) == (0, 0)


async def test_when_the_provider_is_away_nothing_is_lost(shop: Shop, team: int) -> None:
    visitor = await member(shop.platform, team, Role.OWNER)
    recharge = await shop.order(team)
    page = await visitor.get(f"/console/billing?scope={team}-live&recharge={recharge}")
    assert (page.status, "has not been paid" in page.text) == (200, True)
    for never in ("x", "0" * 32):
        assert (await visitor.get(f"/console/billing?scope={team}-live&recharge={never}")).status == 404


async def _is(shop: Shop, recharge: UUID, state: str) -> bool:
    found: bool = (await shop.row(recharge))["state"] == state
    return found


async def _reviews(shop: Shop, recharge: UUID) -> list[str]:
    rows = await shop.platform.pool.fetch("select detail from tasks.review where detail like $1", f"%{recharge}%")
    return [row["detail"] for row in rows]
