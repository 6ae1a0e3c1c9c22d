"""Stripe Checkout, by the vendor's own SDK. It takes a second to import, so it is imported by who needs it first."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from modellix_server.base import log
from modellix_server.base.errors import NotFound
from modellix_server.billing.provider import (
    MICROS_PER_CENT,
    Checkout,
    ForgedEvent,
    Payment,
    PaymentEvent,
    ProviderFailed,
    RechargeOrder,
)

if TYPE_CHECKING:
    import stripe
    from stripe.checkout import Session

_TIMEOUT_S = 15.0
_RETRIES = 2  # with the same idempotency key
_OLDEST_S = 300
_WON = ("won", "prevented", "warning_needs_response", "warning_under_review", "warning_closed")
"""Disputes that take no money: won, or only asked about."""
_PAYMENT = "payment_intent.latest_charge"
_EVENTS: tuple[Any, ...] = (
    *("checkout.session.completed", "checkout.session.expired"),
    *("checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed"),
    *("charge.refunded", "refund.failed"),
    *("charge.dispute.created", "charge.dispute.closed"),
    *("charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated"),
)
_LOG = log.get("billing")


class StripeCheckout:
    """An account at Stripe, or at an emulator of it."""

    def __init__(
        self,
        name: str,
        *,
        live: bool,
        key: str,
        secrets: tuple[str, ...],
        url: str,
        page: str | None = None,
        endpoint: str | None = None,
    ) -> None:
        """`secrets` sign its events; `page` replaces the start of the addresses where one pays.

        With an `endpoint` it is told first where events go: an emulator forgets it when it ends.
        """
        self.name = name
        self._live = live
        self._key = key
        self._secrets = secrets
        self._url = url.rstrip("/")
        self._page = page
        self._endpoint = endpoint
        self._opened: stripe.StripeClient | None = None
        self._http: Any = None

    async def close(self) -> None:
        """Drop connections."""
        if self._http is not None:
            await self._http.close_async()

    async def create_order(self, wanted: RechargeOrder) -> Checkout:
        """Open a Checkout Session; the same recharge twice gives the same one. Raises ProviderFailed."""
        client = await self._client()
        sdk = import_module("stripe")
        cents, rest = divmod(wanted.amount, MICROS_PER_CENT)
        assert not rest
        price: Any = {
            "currency": wanted.currency,
            "unit_amount": cents,
            "product_data": {"name": wanted.title},
        }
        try:
            if self._endpoint is not None:
                await client.v1.webhook_endpoints.create_async({"url": self._endpoint, "enabled_events": list(_EVENTS)})
            session = await client.v1.checkout.sessions.create_async(
                {
                    "mode": "payment",
                    "client_reference_id": str(wanted.recharge_id),
                    "line_items": [{"price_data": price, "quantity": 1}],
                    "success_url": wanted.paid_url,
                    "cancel_url": wanted.left_url,
                },
                {"idempotency_key": str(wanted.recharge_id)},
            )
        except sdk.StripeError as error:
            raise _failed(error) from None
        url = f"{self._page}{session.id}" if self._page is not None else session.url
        return Checkout(session.id, url or "")

    async def look(self, checkout_id: str) -> Payment:
        """What became of a session. Raises NotFound, ProviderFailed."""
        client = await self._client()
        sdk = import_module("stripe")
        try:
            session = await client.v1.checkout.sessions.retrieve_async(checkout_id, {"expand": [_PAYMENT]})
            return await self._payment(client, session)
        except sdk.InvalidRequestError as error:
            if error.code != "resource_missing":
                raise _failed(error) from None
            raise NotFound("there is no such checkout") from None
        except sdk.StripeError as error:
            raise _failed(error) from None

    async def read_event(self, body: bytes, signature: str) -> PaymentEvent:
        """Verify an event, and find the session that it is about. Raises ForgedEvent, ProviderFailed."""
        client = await self._client()
        sdk = import_module("stripe")
        number, kind, about = self._verified(sdk, client, body, signature)
        checkout_id: str | None = None
        if kind.startswith("checkout.session."):
            checkout_id = about.get("id")
        elif intent := about.get("payment_intent"):
            try:
                found = await client.v1.checkout.sessions.list_async({"payment_intent": intent, "limit": 1})
            except sdk.StripeError as error:
                raise _failed(error) from None
            checkout_id = found.data[0].id if found.data else None
        return PaymentEvent(number, kind, checkout_id)

    def _verified(
        self, sdk: Any, client: stripe.StripeClient, body: bytes, signature: str
    ) -> tuple[str, str, dict[str, Any]]:
        """Id, type and object of an event that one of the secrets signed."""
        for secret in self._secrets:
            try:
                event = client.construct_event(body, signature, secret, _OLDEST_S).to_dict()
                return str(event["id"]), str(event["type"]), dict(event["data"]["object"])
            except (ValueError, TypeError, LookupError, AttributeError, sdk.SignatureVerificationError):
                continue  # the header or the body may be anything
        raise ForgedEvent("this event is not signed, or too old")

    async def _payment(self, client: stripe.StripeClient, session: Session) -> Payment:
        intent: Any = session.payment_intent
        charge: Any = intent.latest_charge if intent is not None else None
        taken_back = 0
        if charge is not None:
            taken_back = charge.amount_refunded
            if charge.disputed:
                disputes = await client.v1.disputes.list_async({"payment_intent": intent.id, "limit": 100})
                taken_back += sum(one.amount for one in disputes.data if one.status not in _WON)
        return Payment(
            recharge_id=_uuid(session.client_reference_id),
            checkout_id=session.id,
            payment_id=None if intent is None else intent.id,
            state=_state(session.status, session.payment_status, None if intent is None else intent.status),
            live=session.livemode,
            amount=(session.amount_total or 0) * MICROS_PER_CENT,
            currency=session.currency or "",
            taken_back=taken_back * MICROS_PER_CENT,
        )

    async def _client(self) -> stripe.StripeClient:
        if self._opened is None:
            sdk = await asyncio.to_thread(import_module, "stripe")
            self._http = sdk.AIOHTTPClient(timeout=_TIMEOUT_S)
            self._opened = sdk.StripeClient(
                self._key, base_addresses={"api": self._url}, http_client=self._http, max_network_retries=_RETRIES
            )
        assert self._opened is not None
        return self._opened


def _state(
    status: str | None, payment_status: str, intent: str | None
) -> Literal["open", "waiting", "paid", "expired", "failed"]:
    if payment_status == "paid":
        return "paid"
    if status == "expired":
        return "expired"
    if status == "complete":
        return "failed" if intent in ("requires_payment_method", "canceled") else "waiting"
    return "open"


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text or "")
    except ValueError:
        return None


def _failed(error: stripe.StripeError) -> ProviderFailed:
    # Its message may quote the key, so only kind, code and request are logged.
    _LOG.warning("the payment provider failed", error=type(error).__name__, code=error.code, request=error.request_id)
    return ProviderFailed("the payment provider cannot be reached: nothing was charged, try again", retry_after_s=10)
