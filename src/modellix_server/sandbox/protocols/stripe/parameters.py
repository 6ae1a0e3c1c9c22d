"""The vendor's parameters: forms with brackets, read as strictly as it reads them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_KNOWN = {
    *("mode", "success_url", "cancel_url", "client_reference_id", "line_items", "metadata", "payment_method_types"),
    *("customer_email", "expires_at", "payment_intent_data", "submit_type", "locale", "expand", "ui_mode"),
}
_LEAST, _MOST = {"usd": 50, "eur": 50}, 99_999_999
Parameters = dict[str, Any]


class StripeRefusal(Exception):
    """An answer that is an error, in the vendor's form."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        super().__init__(message)
        self.status = status
        said = {"code": code, "message": message, "param": param, "type": kind}
        self.said = {"error": {name: value for name, value in said.items() if value is not None}}


@dataclass(frozen=True, slots=True)
class NewSession:
    """A Checkout Session as it was asked for; the amount in the currency's smallest unit."""

    amount: int
    currency: str
    product: str
    success_url: str
    cancel_url: str | None
    reference: str | None
    metadata: dict[str, str]


def parse(text: str) -> Parameters:
    """`a[b][0]=c` as nested objects; lists are objects with numbers for names. Raises StripeRefusal."""
    found: Parameters = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), max_num_fields=500)
    except ValueError:
        raise StripeRefusal(400, "Invalid request body.") from None
    for name, value in pairs:
        head, *rest = name.replace("]", "").split("[")
        place = found
        for inner in (head, *rest)[:-1]:
            below = place.setdefault(inner, {})
            if not isinstance(below, dict):
                raise StripeRefusal(400, f"Invalid hash: {name}", param=name)
            place = below
        place[(head, *rest)[-1]] = value
    return found


def texts(given: Parameters, name: str) -> tuple[str, ...]:
    """A list of texts; empty when it is absent."""
    found = given.get(name, {})
    return tuple(str(one) for one in found.values()) if isinstance(found, dict) else (str(found),)


def needed(given: Parameters, *path: str) -> Any:
    """A parameter that must be there. Raises StripeRefusal."""
    found: Any = given
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if found in (None, "", {}):
        name = path[0] + "".join(f"[{one}]" for one in path[1:])
        raise StripeRefusal(400, f"Missing required param: {name}.", code="parameter_missing", param=name)
    return found


def whole(text: object, name: str) -> int:
    """A whole number. Raises StripeRefusal."""
    if not (isinstance(text, str) and text.isascii() and text.isdigit() and len(text) < 12):
        raise StripeRefusal(400, f"Invalid integer: {text}", code="parameter_invalid_integer", param=name)
    return int(text)


def new_session(given: Parameters) -> NewSession:
    """The session that is asked for. Raises StripeRefusal."""
    if unknown := sorted(given.keys() - _KNOWN):
        raise StripeRefusal(
            400, f"Received unknown parameter: {unknown[0]}", code="parameter_unknown", param=unknown[0]
        )
    if needed(given, "mode") != "payment":
        raise StripeRefusal(400, "This imitation takes payments only.", param="mode")
    items = needed(given, "line_items")
    if list(items) != ["0"]:
        raise StripeRefusal(400, "This imitation takes one line item.", param="line_items")
    currency = str(needed(given, "line_items", "0", "price_data", "currency")).lower()
    product = str(needed(given, "line_items", "0", "price_data", "product_data", "name"))
    unit = whole(
        needed(given, "line_items", "0", "price_data", "unit_amount"), "line_items[0][price_data][unit_amount]"
    )
    amount = unit * whole(needed(given, "line_items", "0", "quantity"), "line_items[0][quantity]")
    if currency not in _LEAST:
        raise StripeRefusal(400, f"Invalid currency: {currency}.", param="line_items[0][price_data][currency]")
    if not _LEAST[currency] <= amount <= _MOST:
        words = "The Checkout Session's total amount must convert to at least 50 cents."
        raise StripeRefusal(400, words, code="amount_too_small")
    metadata = given.get("metadata", {})
    return NewSession(
        amount=amount,
        currency=currency,
        product=product[:250],
        success_url=url(needed(given, "success_url"), "success_url"),
        cancel_url=url(given["cancel_url"], "cancel_url") if given.get("cancel_url") else None,
        reference=str(given["client_reference_id"])[:200] if given.get("client_reference_id") else None,
        metadata={str(name): str(value) for name, value in metadata.items()} if isinstance(metadata, dict) else {},
    )


def url(text: object, name: str) -> str:
    """A URL. Raises StripeRefusal."""
    parts = urlsplit(str(text))
    if parts.scheme not in ("http", "https") or not parts.netloc or len(str(text)) > 5_000:
        raise StripeRefusal(400, "Not a valid URL", code="url_invalid", param=name)
    return str(text)
