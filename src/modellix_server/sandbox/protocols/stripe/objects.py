"""What the emulator keeps, in the vendor's own form: an account's sessions, payments, refunds, disputes, endpoints."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from modellix_server.sandbox.protocols.stripe.parameters import NewSession, StripeRefusal
from modellix_server.sandbox.store import MemoryStore

API_VERSION = "2026-10-28.endive"
SESSION_LASTS_S = 24 * 3600
Object = dict[str, Any]


def new_id(prefix: str) -> str:
    """An id in the vendor's form."""
    return f"{prefix}_{secrets.token_hex(16)}"


def missing(kind: str, name: str) -> StripeRefusal:
    """The vendor's words for what is not there, or belongs to another account."""
    return StripeRefusal(404, f"No such {kind}: '{name}'", code="resource_missing", param="id")


@dataclass(slots=True)
class PaidSession:
    """A Checkout Session with what became of it."""

    session: Object
    intent: Object | None = None
    charge: Object | None = None
    refunds: list[Object] = field(default_factory=list)
    disputes: list[Object] = field(default_factory=list)

    def shown(self, expand: tuple[str, ...] = ()) -> Object:
        """The session; `payment_intent` and `payment_intent.latest_charge` are expanded on request."""
        if self.intent is None or not any(one.startswith("payment_intent") for one in expand):
            return dict(self.session)
        intent = dict(self.intent)
        if "payment_intent.latest_charge" in expand:
            intent["latest_charge"] = self.charge
        return {**self.session, "payment_intent": intent}


class StripeAccount:
    """Everything that one API key has made."""

    def __init__(self, key: str) -> None:
        self._key = key
        self.live = "_live_" in key
        self.endpoints: dict[str, Object] = {}
        """By URL."""
        self.sessions: MemoryStore[PaidSession] = MemoryStore(most=10_000)
        self.answers: MemoryStore[tuple[bytes, int, bytes]] = MemoryStore(most=10_000)
        """By idempotency key: the parameters, and the answer."""

    def endpoint(self, url: str, events: list[str]) -> Object:
        """Where events are sent from now on. Its secret follows from key and URL, so it survives a restart."""
        secret = hashlib.sha256(f"{self._key}\n{url}".encode()).hexdigest()
        made = {
            "id": new_id("we"),
            "object": "webhook_endpoint",
            "livemode": self.live,
            "status": "enabled",
            "url": url,
            "enabled_events": events,
            "created": int(time.time()),
            "secret": f"whsec_{secret}",
        }
        self.endpoints[url] = made
        return made

    def open_session(self, wanted: NewSession, origin: str) -> PaidSession:
        """A new session, whose page is at `origin`."""
        name = new_id(f"cs_{'live' if self.live else 'test'}")
        now = int(time.time())
        made = PaidSession(
            {
                "id": name,
                "object": "checkout.session",
                "livemode": self.live,
                "mode": "payment",
                "amount_subtotal": wanted.amount,
                "amount_total": wanted.amount,
                "currency": wanted.currency,
                "client_reference_id": wanted.reference,
                "metadata": wanted.metadata,
                "created": now,
                "success_url": wanted.success_url,
                "cancel_url": wanted.cancel_url,
                "payment_intent": None,
                "payment_status": "unpaid",
                "status": "open",
                "expires_at": now + SESSION_LASTS_S,
                "payment_method_types": ["card"],
                "url": f"{origin}/checkout/{name}",
                "description": wanted.product,
            }
        )
        self.sessions.put(name, made)
        return made

    def session(self, name: str) -> PaidSession:
        """Raises StripeRefusal."""
        found = self.sessions.get(name)
        if found is None:
            raise missing("checkout.session", name)
        if found.session["status"] == "open" and found.session["expires_at"] <= time.time():
            close(found)
        return found

    def of_intent(self, intent: str) -> PaidSession | None:
        """The session that a payment belongs to."""
        return next((one for one in self.sessions.newest() if one.intent and one.intent["id"] == intent), None)


def close(one: PaidSession) -> None:
    """End a session that nobody pays any more. Raises StripeRefusal."""
    if one.session["status"] != "open":
        raise StripeRefusal(400, "Only Checkout Sessions with a status in ['open'] can be expired.")
    one.session |= {"status": "expired", "url": None}


def complete(one: PaidSession, *, paid: bool) -> None:
    """The page was completed; a bank transfer is not paid yet. Raises StripeRefusal."""
    if one.session["status"] != "open":
        raise StripeRefusal(400, "This session is not open.")
    intent = new_id("pi")
    one.intent = {
        "id": intent,
        "object": "payment_intent",
        "amount": one.session["amount_total"],
        "latest_charge": None,
        "currency": one.session["currency"],
        "status": "processing",
        "livemode": one.session["livemode"],
        "created": int(time.time()),
        "metadata": {},
    }
    one.session |= {"status": "complete", "payment_intent": intent, "url": None}
    if paid:
        pay(one)


def pay(one: PaidSession) -> None:
    """The money has arrived."""
    assert one.intent is not None
    one.charge = {
        "id": new_id("ch"),
        "object": "charge",
        "amount": one.intent["amount"],
        "amount_refunded": 0,
        "currency": one.intent["currency"],
        "disputed": False,
        "paid": True,
        "refunded": False,
        "payment_intent": one.intent["id"],
        "status": "succeeded",
        "livemode": one.intent["livemode"],
        "created": int(time.time()),
        "captured": True,
        "metadata": {},
    }
    one.intent |= {"status": "succeeded", "latest_charge": one.charge["id"]}
    one.session["payment_status"] = "paid"


def fail(one: PaidSession) -> None:
    """The bank transfer did not arrive."""
    assert one.intent is not None
    one.intent["status"] = "requires_payment_method"


def refund(one: PaidSession, amount: int | None) -> Object:
    """Give money back, all of it without an amount. Raises StripeRefusal."""
    if one.charge is None:
        raise StripeRefusal(400, "This PaymentIntent does not have a successful charge to refund.")
    left = one.charge["amount"] - one.charge["amount_refunded"]
    amount = left if amount is None else amount
    if not left:
        raise StripeRefusal(400, "The charge has already been refunded.", code="charge_already_refunded")
    if not 0 < amount <= left:
        raise StripeRefusal(400, f"Refund amount (${amount / 100:.2f}) is greater than unrefunded amount on charge.")
    one.charge["amount_refunded"] += amount
    one.charge["refunded"] = one.charge["amount_refunded"] == one.charge["amount"]
    made = {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "currency": one.charge["currency"],
        "charge": one.charge["id"],
        "payment_intent": one.charge["payment_intent"],
        "status": "succeeded",
        "created": int(time.time()),
        "metadata": {},
        "reason": None,
    }
    one.refunds.append(made)
    return made


def dispute(one: PaidSession) -> Object:
    """The payer's bank takes the money back, for now. Raises StripeRefusal."""
    if one.charge is None or one.disputes:
        raise StripeRefusal(400, "There is nothing to dispute.")
    one.charge["disputed"] = True
    made = {
        "id": new_id("du"),
        "object": "dispute",
        "amount": one.charge["amount"],
        "reason": "fraudulent",
        "charge": one.charge["id"],
        "payment_intent": one.charge["payment_intent"],
        "status": "needs_response",
        "currency": one.charge["currency"],
        "livemode": one.charge["livemode"],
        "created": int(time.time()),
        "metadata": {},
    }
    one.disputes.append(made)
    return made


def close_dispute(one: PaidSession, verdict: Literal["won", "lost"]) -> Object:
    """How the bank decided. Raises StripeRefusal."""
    if not one.disputes:
        raise StripeRefusal(400, "There is no dispute.")
    one.disputes[-1]["status"] = verdict
    return one.disputes[-1]
