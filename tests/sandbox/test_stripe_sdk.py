"""The vendor's own SDK against its emulator: checkouts, the page, signed events, refunds, disputes, refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import stripe
from aiohttp import web

KEY, OTHER = "sk_test_0123456789abcdefXYZ", "sk_test_anotherAccount00001"


@dataclass
class Receiver:
    """A shop's server: it verifies what it is sent with the SDK, and refuses the first try."""

    url: str = ""
    secret: str = ""
    tries: int = 0
    events: list[stripe.Event] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.tries += 1
        if self.tries == 1:
            return web.Response(status=500)
        header = request.headers["Stripe-Signature"]
        self.events.append(stripe.Webhook.construct_event(await request.read(), header, self.secret))
        return web.Response()

    async def until(self, *kinds: str) -> list[Any]:
        async with asyncio.timeout(30):
            while [one.type for one in self.events] != list(kinds):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return [one.data.object for one in self.events]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    heard = Receiver()
    app = web.Application()
    app.router.add_post("/stripe", heard.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    heard.url = f"http://127.0.0.1:{runner.addresses[0][1]}/stripe"
    yield heard
    await runner.cleanup()


@pytest.fixture
async def sdk(sandbox) -> AsyncIterator[stripe.StripeClient]:
    http = stripe.AIOHTTPClient()
    yield client(sandbox.origin, http, KEY)
    await http.close_async()


def client(origin: str, http: Any, key: str) -> stripe.StripeClient:
    base = {"api": f"{origin}/stripe"}
    return stripe.StripeClient(key, base_addresses=base, http_client=http, max_network_retries=0)  # type: ignore[arg-type]


def order(**more: Any) -> Any:
    price = {"currency": "usd", "unit_amount": 1250, "product_data": {"name": "A <b>recharge</b>"}}
    return {
        "mode": "payment",
        "client_reference_id": "order-1",
        "line_items": [{"price_data": price, "quantity": 2}],
        "success_url": "https://shop.example.com/paid?s={CHECKOUT_SESSION_ID}",
        "cancel_url": "https://shop.example.com/left",
        **more,
    }


async def visit(url: str | None, do: str | None = None) -> tuple[int, str, str]:
    assert url is not None
    async with (
        aiohttp.ClientSession() as http,
        http.request("POST" if do else "GET", url, data={"do": do} if do else None, allow_redirects=False) as answer,
    ):
        return answer.status, answer.headers.get("Location", ""), await answer.text()


async def happen(origin: str, session: str, do: str) -> None:
    assert (await visit(f"{origin}/stripe/_happen/{session}", do))[0] == 200


async def test_a_checkout_from_end_to_end(sandbox, sdk: stripe.StripeClient, receiver: Receiver) -> None:
    made = await sdk.v1.webhook_endpoints.create_async({"url": receiver.url, "enabled_events": ["*"]})
    assert made.secret is not None
    receiver.secret = made.secret
    session = await sdk.v1.checkout.sessions.create_async(order(), {"idempotency_key": "one"})
    again = await sdk.v1.checkout.sessions.create_async(order(), {"idempotency_key": "one"})
    assert (session.id, session.amount_total, session.status) == (again.id, 2500, "open")
    assert session.payment_intent is None
    status, _, text = await visit(session.url)
    assert (status, "25.00 USD" in text, "<b>recharge" in text) == (200, True, False)
    status, target, _ = await visit(session.url, "pay")
    assert (status, target) == (303, f"https://shop.example.com/paid?s={session.id}")
    (about,) = await receiver.until("checkout.session.completed")
    assert (about.id, about.payment_status, about.client_reference_id) == (session.id, "paid", "order-1")
    paid = await sdk.v1.checkout.sessions.retrieve_async(session.id, {"expand": ["payment_intent.latest_charge"]})
    intent: Any = paid.payment_intent
    assert (paid.status, intent.status, intent.latest_charge.amount_refunded) == ("complete", "succeeded", 0)
    assert "This was paid" in (await visit(f"{sandbox.origin}/stripe/checkout/{session.id}"))[2]
    await sdk.v1.refunds.create_async({"payment_intent": intent.id, "amount": 500})
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded"):
        await sdk.v1.refunds.create_async({"payment_intent": intent.id, "amount": 2001})
    await happen(sandbox.origin, session.id, "dispute")
    found = await sdk.v1.checkout.sessions.list_async(
        {"payment_intent": intent.id, "expand": ["data.payment_intent.latest_charge"]}
    )
    charge: Any = found.data[0].payment_intent.latest_charge  # type: ignore[union-attr]
    assert (charge.amount_refunded, charge.disputed) == (500, True)
    await happen(sandbox.origin, session.id, "win")
    (dispute,) = (await sdk.v1.disputes.list_async({"payment_intent": intent.id})).data
    assert (dispute.status, dispute.amount) == ("won", 2500)
    kinds = [one.type for one in receiver.events]
    assert kinds[:1] == ["checkout.session.completed"]
    async with asyncio.timeout(30):
        while len(receiver.events) < 7:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert {one.type for one in receiver.events} == {
        "checkout.session.completed",
        "refund.created",
        "charge.refunded",
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.closed",
        "charge.dispute.funds_reinstated",
    }


async def test_other_ends_of_a_checkout(sandbox, sdk: stripe.StripeClient) -> None:
    left = await sdk.v1.checkout.sessions.create_async(order())
    assert (await visit(left.url, "cancel"))[1] == "https://shop.example.com/left"
    assert (await sdk.v1.checkout.sessions.retrieve_async(left.id)).status == "open"
    assert (await sdk.v1.checkout.sessions.expire_async(left.id)).status == "expired"
    with pytest.raises(stripe.InvalidRequestError, match="can be expired"):
        await sdk.v1.checkout.sessions.expire_async(left.id)
    slow = await sdk.v1.checkout.sessions.create_async(order())
    await happen(sandbox.origin, slow.id, "transfer")
    slow = await sdk.v1.checkout.sessions.retrieve_async(slow.id)
    assert (slow.status, slow.payment_status) == ("complete", "unpaid")
    await happen(sandbox.origin, slow.id, "arrive")
    assert (await sdk.v1.checkout.sessions.retrieve_async(slow.id)).payment_status == "paid"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"mode": "subscription"}, "payments only"),
        ({"colour": "red"}, "unknown parameter: colour"),
        ({"success_url": "javascript:alert(1)"}, "Not a valid URL"),
        ({"line_items": []}, "Missing required param: line_items"),
        ({"line_items": [{"price_data": {"currency": "usd", "unit_amount": 2500}, "quantity": 1}]}, "product_data"),
        (
            {
                "line_items": [
                    {"price_data": {"currency": "usd", "unit_amount": 9, "product_data": {"name": "x"}}, "quantity": 1}
                ]
            },
            "at least 50 cents",
        ),
    ],
)
async def test_what_the_vendor_refuses(sdk: stripe.StripeClient, more: Any, words: str) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=words):
        await sdk.v1.checkout.sessions.create_async(order(**more))


async def test_accounts_and_idempotency_keys_are_kept_apart(sandbox, sdk: stripe.StripeClient) -> None:
    session = await sdk.v1.checkout.sessions.create_async(order(), {"idempotency_key": "two"})
    with pytest.raises(stripe.IdempotencyError):
        await sdk.v1.checkout.sessions.create_async(order(client_reference_id="x"), {"idempotency_key": "two"})
    http = stripe.AIOHTTPClient()
    try:
        with pytest.raises(stripe.InvalidRequestError, match="No such checkout"):
            await client(sandbox.origin, http, OTHER).v1.checkout.sessions.retrieve_async(session.id)
        with pytest.raises(stripe.AuthenticationError):
            await client(sandbox.origin, http, "pk_test_x").v1.checkout.sessions.retrieve_async(session.id)
    finally:
        await http.close_async()
    assert urlsplit(session.url or "").path == f"/stripe/checkout/{session.id}"
