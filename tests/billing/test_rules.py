"""What a recharge becomes by the provider's record, whatever it was before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from uuid import UUID

import pytest

from modellix_server.billing import Payment, Recharge, bring_up_to_date

NUMBER = UUID(int=7)
AT = datetime(2026, 11, 1, tzinfo=UTC)
OPEN = Recharge(*(NUMBER, 1, True, "stripe", 20, "usd", "open", "cs_1", None, None, AT, "user:1", None, 0, 0, 0))
PAID = replace(OPEN, state="paid", payment_id="pi_1", paid_at=AT)
PAYMENT = Payment(NUMBER, "cs_1", "pi_1", "paid", True, 20, "usd")


def test_exactly_what_was_ordered_is_credited_once() -> None:
    change = bring_up_to_date(OPEN, PAYMENT)
    assert (change.credit, change.correction, change.refused, change.recharge.state) == (20, 0, None, "paid")
    assert bring_up_to_date(change.recharge, PAYMENT).recharge == change.recharge
    early = bring_up_to_date(replace(OPEN, checkout_id=None), PAYMENT)
    assert (early.credit, early.recharge.checkout_id) == (20, "cs_1")


@pytest.mark.parametrize(
    "other",
    [{"amount": 19}, {"amount": 21}, {"amount": 0}, {"currency": "eur"}, {"live": False}, {"payment_id": None}],
)
def test_anything_else_is_refused_for_good(other: dict[str, object]) -> None:
    change = bring_up_to_date(OPEN, replace(PAYMENT, **other))  # type: ignore[arg-type]
    assert (change.credit, change.correction, change.recharge.state) == (0, 0, "refused")
    assert change.refused
    assert bring_up_to_date(change.recharge, PAYMENT).credit == 0


def test_another_checkout_changes_nothing() -> None:
    for known in (OPEN, PAID):
        change = bring_up_to_date(known, replace(PAYMENT, checkout_id="cs_2", payment_id="pi_2"))
        assert (change.recharge, change.credit, change.correction) == (known, 0, 0)
        assert change.refused
    assert bring_up_to_date(OPEN, replace(PAYMENT, checkout_id="cs_2", state="open")).refused is None


def test_what_is_taken_back_is_never_more_than_was_paid() -> None:
    known, balance = OPEN, 0
    for taken_back in (0, 5, 5, 45, 20, 3, 0):
        change = bring_up_to_date(known, replace(PAYMENT, taken_back=taken_back))
        known, balance = change.recharge, balance + change.credit + change.correction
        assert balance == 20 - min(taken_back, 20)


def test_no_record_takes_a_payment_away() -> None:
    for state in ("open", "waiting", "expired", "failed"):
        assert bring_up_to_date(PAID, replace(PAYMENT, state=state, taken_back=0)).recharge == PAID  # type: ignore[arg-type]
    assert bring_up_to_date(PAID, replace(PAYMENT, payment_id="pi_2", taken_back=9)).correction == 0


def test_unpaid_states_only_go_on() -> None:
    order = ("open", "waiting", "expired", "failed")
    for before, said in product(order, order):
        found = bring_up_to_date(replace(OPEN, state=before), replace(PAYMENT, state=said)).recharge.state  # type: ignore[arg-type]
        assert found == max(before, said, key=order.index)
