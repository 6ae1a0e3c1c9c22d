"""The vendor's API below `/v1`, the page of a session at `/checkout/{id}`, and what a test may make happen."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping

import msgspec

from modellix_server.sandbox import media, wire
from modellix_server.sandbox.bill import Bill
from modellix_server.sandbox.callbacks import CallbackSender, Post
from modellix_server.sandbox.front import Front
from modellix_server.sandbox.protocols.stripe import objects, page, parameters
from modellix_server.sandbox.protocols.stripe.objects import Object, PaidSession, StripeAccount, missing
from modellix_server.sandbox.protocols.stripe.parameters import Parameters, StripeRefusal
from modellix_server.sandbox.rendering.studio import Studio
from modellix_server.sandbox.store import MemoryStore

BODY_LIMIT_BYTES = 256 * 1024
WEBHOOK_LIMIT_S = 10.0
WEBHOOK_TRIES = 8
_KEY = re.compile(r"Bearer ((?:sk|rk)_(?:test|live)_\w{16,})", re.ASCII)
_PATH = re.compile(r"/v1/(?P<kind>[a-z_/]+?)(?:/(?P<id>[a-z]+_\w+))?(?:/(?P<verb>expire))?", re.ASCII)
_encode = msgspec.json.Encoder().encode


def app(studio: Studio, _fetch: media.Fetch, post: Post, *, instant: bool = False) -> wire.App:  # noqa: ARG001
    """The emulator."""
    return Front(StripeService(post), studio.spool, Bill(), "Stripe emulator")


class StripeService:
    """The accounts of all API keys."""

    def __init__(self, post: Post) -> None:
        self._post = CallbackSender(post, WEBHOOK_LIMIT_S)
        self._accounts: MemoryStore[StripeAccount] = MemoryStore(most=1_000)
        self._owners: MemoryStore[StripeAccount] = MemoryStore(most=100_000)
        """Session -> its account: who pays has no API key."""

    async def __call__(self, scope: wire.Scope, receive: wire.Receive, send: wire.Send) -> None:
        """Answer one request."""
        path = wire.path_in_app(scope)
        try:
            body = (await wire.read_body(receive, BODY_LIMIT_BYTES)).decode(errors="replace")
            if path.startswith("/checkout/"):
                await self._visit(path.removeprefix("/checkout/"), scope["method"], body, send)
            elif path.startswith("/_happen/") and scope["method"] == "POST":
                await wire.answer_json(send, 200, self._happen(path.removeprefix("/_happen/"), body))
            else:
                await self._call(path, scope, body, send)
        except StripeRefusal as refusal:
            await wire.answer_json(send, refusal.status, refusal.said, (b"request-id", objects.new_id("req").encode()))

    async def _call(self, path: str, scope: wire.Scope, body: str, send: wire.Send) -> None:
        account = self._account(scope)
        answer: Callable[[], Object] = self._find(account, path, scope, body)
        name = wire.header(scope, b"idempotency-key")
        if scope["method"] != "POST" or not name:
            await wire.answer_json(send, 200, answer(), (b"request-id", objects.new_id("req").encode()))
            return
        asked = hashlib.sha256(f"{path}\n{body}".encode()).digest()
        known = account.answers.get(name)
        if known is not None and known[0] != asked:
            words = "Keys for idempotent requests can only be used with the same parameters they were first used with."
            raise StripeRefusal(400, words, kind="idempotency_error")
        replayed: tuple[tuple[bytes, bytes], ...] = ((b"idempotent-replayed", b"true"),) if known else ()
        if known is None:
            known = (asked, 200, _encode(answer()))
            account.answers.put(name, known)
        await wire.answer(send, known[1], known[2], b"application/json", *replayed)

    def _account(self, scope: wire.Scope) -> StripeAccount:
        found = _KEY.fullmatch(wire.header(scope, b"authorization") or "")
        if found is None:
            raise StripeRefusal(401, "Invalid API Key provided.")
        account = self._accounts.get(found[1])
        if account is None:
            account = StripeAccount(found[1])
            self._accounts.put(found[1], account)
        return account

    def _find(self, account: StripeAccount, path: str, scope: wire.Scope, body: str) -> Callable[[], Object]:
        """What a request is answered with. Raises StripeRefusal."""
        found = _PATH.fullmatch(path)
        kind, name, verb = (found["kind"], found["id"], found["verb"]) if found else ("", None, None)
        posted = scope["method"] == "POST"
        given = parameters.parse(body if posted else scope["query_string"].decode("latin-1"))
        expand = parameters.texts(given, "expand")
        match kind, name, verb, posted:
            case "checkout/sessions", None, None, True:
                return lambda: self._open(account, given, wire.origin(scope))
            case "checkout/sessions", None, None, False:
                return lambda: _sessions(account, given, expand)
            case "checkout/sessions", str(), None, False:
                return lambda: account.session(name).shown(expand)
            case "checkout/sessions", str(), "expire", True:
                return lambda: self._expire(account, name)
            case "refunds", None, None, True:
                return lambda: self._refund(account, given)
            case "disputes", None, None, False:
                one = account.of_intent(str(parameters.needed(given, "payment_intent")))
                return lambda: _list(one.disputes if one else [], "/v1/disputes")
            case "webhook_endpoints", None, None, True:
                url = parameters.url(parameters.needed(given, "url"), "url")
                parameters.needed(given, "enabled_events")
                return lambda: account.endpoint(url, list(parameters.texts(given, "enabled_events")))
        raise StripeRefusal(404, f"Unrecognized request URL ({scope['method']}: {path[:100]}).")

    def _open(self, account: StripeAccount, given: Parameters, origin: str) -> Object:
        made = account.open_session(parameters.new_session(given), origin)
        self._owners.put(made.session["id"], account)
        return made.shown()

    def _expire(self, account: StripeAccount, name: str) -> Object:
        one = account.session(name)
        objects.close(one)
        self._tell(account, "checkout.session.expired", one.session)
        return one.shown()

    def _refund(self, account: StripeAccount, given: Parameters) -> Object:
        intent = str(parameters.needed(given, "payment_intent"))
        one = account.of_intent(intent)
        if one is None:
            raise missing("payment_intent", intent)
        made = objects.refund(one, parameters.whole(given["amount"], "amount") if given.get("amount") else None)
        self._tell(account, "refund.created", made)
        self._tell(account, "charge.refunded", one.charge or {})
        return made

    async def _visit(self, name: str, method: str, body: str, send: wire.Send) -> None:
        """The page where one pays."""
        account = self._owners.get(name)
        if account is None:
            raise missing("checkout.session", name)
        one = account.session(name)
        wanted = parameters.parse(body).get("do") if method == "POST" else None
        if wanted == "pay" and one.session["status"] == "open":
            objects.complete(one, paid=True)
            self._tell(account, "checkout.session.completed", one.session)
        if wanted is None:
            await wire.answer(send, 200, page.render(one), b"text/html; charset=utf-8")
            return
        back = one.session["success_url" if one.session["status"] == "complete" else "cancel_url"]
        location = str(back).replace("{CHECKOUT_SESSION_ID}", name)
        await wire.answer(send, 303, b"", b"text/plain", (b"location", location.encode()))

    def _happen(self, name: str, body: str) -> Object:
        """What else may become of a session, for tests: `do=transfer`, `arrive`, `bounce`, `dispute`, `win`, `lose`."""
        account = self._owners.get(name)
        if account is None:
            raise missing("checkout.session", name)
        one = account.session(name)
        what = _EVENTS.get(str(parameters.parse(body).get("do")))
        if what is None:
            raise StripeRefusal(400, f"What can happen: {', '.join(_EVENTS)}.", param="do")
        for event, about in what(one):
            self._tell(account, event, about)
        return one.shown()

    def _tell(self, account: StripeAccount, kind: str, about: Object) -> None:
        """Send an event to the account's endpoints, each signed with its secret."""
        event = {
            "id": objects.new_id("evt"),
            "object": "event",
            "api_version": objects.API_VERSION,
            "type": kind,
            "created": int(time.time()),
            "data": {"object": dict(about)},
            "livemode": account.live,
            "pending_webhooks": len(account.endpoints),
            "request": {"id": None, "idempotency_key": None},
        }
        body = _encode(event)
        for endpoint in account.endpoints.values():
            if "*" in endpoint["enabled_events"] or kind in endpoint["enabled_events"]:
                headers = {"Stripe-Signature": signature(body, endpoint["secret"])}
                self._post.send(endpoint["url"], body, headers, tries=WEBHOOK_TRIES)


def signature(body: bytes, secret: str) -> str:
    """The vendor's header over a body, as of now."""
    at = int(time.time())
    mac = hmac.digest(secret.encode(), f"{at}.".encode() + body, "sha256").hex()
    return f"t={at},v1={mac}"


def _sessions(account: StripeAccount, given: Parameters, expand: tuple[str, ...]) -> Object:
    inner = tuple(one.removeprefix("data.") for one in expand)
    one = account.of_intent(str(parameters.needed(given, "payment_intent")))
    return _list([one.shown(inner)] if one else [], "/v1/checkout/sessions")


def _list(rows: list[Object], url: str) -> Object:
    return {"object": "list", "data": rows, "has_more": False, "url": url}


Events = list[tuple[str, Object]]


def _transfer(one: PaidSession) -> Events:
    objects.complete(one, paid=False)
    return [("checkout.session.completed", one.session)]


def _arrive(one: PaidSession) -> Events:
    objects.pay(one)
    return [("checkout.session.async_payment_succeeded", one.session)]


def _bounce(one: PaidSession) -> Events:
    objects.fail(one)
    return [("checkout.session.async_payment_failed", one.session)]


def _dispute(one: PaidSession) -> Events:
    made = objects.dispute(one)
    return [("charge.dispute.created", made), ("charge.dispute.funds_withdrawn", made)]


def _win(one: PaidSession) -> Events:
    made = objects.close_dispute(one, "won")
    return [("charge.dispute.closed", made), ("charge.dispute.funds_reinstated", made)]


def _lose(one: PaidSession) -> Events:
    return [("charge.dispute.closed", objects.close_dispute(one, "lost"))]


_EVENTS: Mapping[str, Callable[[PaidSession], Events]] = {
    "transfer": _transfer,
    "arrive": _arrive,
    "bounce": _bounce,
    "dispute": _dispute,
    "win": _win,
    "lose": _lose,
}
