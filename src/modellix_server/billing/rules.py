"""What the provider's record of a payment means for a recharge. Pure."""

from dataclasses import dataclass, replace

from modellix_server.base.money import usd
from modellix_server.billing.provider import Payment
from modellix_server.billing.recharges import Recharge


@dataclass(frozen=True, slots=True)
class RechargeChange:
    """The recharge as it should be, and what that does to the balance, in micro-dollars."""

    recharge: Recharge
    credit: int = 0
    """To be added: the recharge is paid."""
    correction: int = 0
    """To be taken when negative: refunded or disputed. Positive: a dispute was won, a refund failed."""
    refused: str | None = None
    """Why nothing is credited though something was paid; a person must look at it."""


def bring_up_to_date(known: Recharge, payment: Payment) -> RechargeChange:
    """Compare a recharge with the provider's record.

    It looks at states, not at events, so an event that comes twice, late or out of order changes nothing.
    """
    if known.state == "refused":
        return RechargeChange(known)
    if known.checkout_id not in (None, payment.checkout_id):
        wrong = f"checkout {payment.checkout_id} was opened for it too" if payment.state == "paid" else None
        return RechargeChange(known, refused=wrong)
    changed = replace(known, checkout_id=payment.checkout_id)
    if known.state == "paid":
        taken_back = min(payment.taken_back, known.amount)
        if payment.payment_id != known.payment_id or taken_back == known.taken_back:
            return RechargeChange(known)
        return RechargeChange(replace(changed, taken_back=taken_back), correction=known.taken_back - taken_back)
    if payment.state != "paid":
        later = _later(known.state, payment.state)
        return RechargeChange(replace(changed, state=payment.state) if later else changed)
    if wrong := _differs(known, payment):
        return RechargeChange(replace(changed, state="refused"), refused=wrong)
    taken_back = min(payment.taken_back, known.amount)
    paid = replace(changed, state="paid", payment_id=payment.payment_id, taken_back=taken_back)
    return RechargeChange(paid, credit=known.amount, correction=-taken_back)


def _later(known: str, said: str) -> bool:
    """Unpaid states only go on: what was read earlier may be acted on later."""
    order = ("open", "waiting", "expired", "failed")
    return order.index(said) > order.index(known)


def _differs(known: Recharge, payment: Payment) -> str | None:
    if payment.live != known.live:
        return "it was paid in the other mode"
    if payment.currency != known.currency:
        return f"it was paid in {payment.currency.upper()}, not in {known.currency.upper()}"
    if payment.amount != known.amount:
        return f"{usd(payment.amount)} USD were paid, not {usd(known.amount)}"
    if payment.payment_id is None:
        return "the provider names no payment"
    return None
