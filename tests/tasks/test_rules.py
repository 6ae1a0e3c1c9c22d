"""Pure decisions: polls, retries, charges."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellix_server.catalogue import Measurement, Quote
from modellix_server.tasks import rules
from modellix_server.tasks.rules import StoredFile, StoredResult
from modellix_server.upstreams.contract import Capabilities

CAPABILITIES = Capabilities(idempotency="none", polls_per_s=20, first_poll_s=1, slowest_poll_s=15, origins={})


def price(unit: str, unit_micros: int, units: int) -> str:
    amount = unit_micros * units if unit == "image" else -(-unit_micros * units // 1000)
    return msgspec.json.encode(Quote(amount, unit, unit_micros, units, "", 0)).decode()


FOUR_IMAGES = price("image", 30_000, 4)
FIVE_SECONDS = price("second", 100_000, 5000)


@pytest.mark.parametrize(
    ("quoted", "claimed", "counted", "micros", "reviewed"),
    [
        (FOUR_IMAGES, Measurement(images=4), Measurement(images=4), 120_000, False),
        (FOUR_IMAGES, Measurement(images=3), Measurement(images=3), 90_000, False),
        # Seconds of input are the vendor's word alone, and no difference to what we count.
        (price("second", 100_000, 10_000), Measurement(None, 5000, 4500), Measurement(None, 5000), 950_000, False),
        (price("second", 100_000, 10_000), Measurement(None, 5000, 9000), Measurement(None, 5000), 1_000_000, False),
        (price("second", 100_000, 10_000), Measurement(None, 5000, 4500), Measurement(None, 2000), 650_000, True),
        (FOUR_IMAGES, Measurement(images=4), Measurement(images=3), 90_000, True),
        (FOUR_IMAGES, Measurement(images=1), Measurement(images=4), 30_000, True),
        (FOUR_IMAGES, Measurement(images=8), Measurement(images=4), 120_000, True),
        (FOUR_IMAGES, Measurement(), Measurement(images=2), 60_000, True),
        (FOUR_IMAGES, Measurement(images=-4), Measurement(images=2), 60_000, True),
        (FOUR_IMAGES, Measurement(images=0), Measurement(images=2), 0, True),
        (FIVE_SECONDS, Measurement(milliseconds=0), Measurement(milliseconds=5000), 0, True),
        (FOUR_IMAGES, Measurement(images=4), Measurement(), 0, True),
        (FIVE_SECONDS, Measurement(milliseconds=5000), Measurement(milliseconds=5041), 500_000, False),
        (FIVE_SECONDS, Measurement(milliseconds=5000), Measurement(milliseconds=4000), 400_000, True),
        (FIVE_SECONDS, Measurement(milliseconds=50_000), Measurement(milliseconds=5000), 500_000, True),
        (FIVE_SECONDS, Measurement(milliseconds=4001), Measurement(milliseconds=4001), 400_100, False),
    ],
)
def test_the_charge_is_the_smaller_count(quoted, claimed, counted, micros, reviewed) -> None:
    charge = rules.charge(quoted, claimed, counted)
    assert (charge.micros, charge.review is not None) == (micros, reviewed)


numbers = st.none() | st.integers(-(10**12), 10**12)


@given(numbers, numbers, numbers, numbers, st.sampled_from([FOUR_IMAGES, FIVE_SECONDS]))
def test_no_claim_charges_above_the_quote_or_below_nothing(images, ms, our_images, our_ms, quoted) -> None:
    charge = rules.charge(quoted, Measurement(images, ms), Measurement(our_images, our_ms))
    assert 0 <= charge.micros <= msgspec.json.decode(quoted, type=Quote).amount_micros


def test_polls_spread_out_with_age() -> None:
    assert [rules.poll_in_s(age, CAPABILITIES, live=True) for age in (0, 4, 10, 50, 1e6)] == [1, 1, 2, 10, 15]
    assert rules.poll_in_s(0, CAPABILITIES, live=False) == 0.1
    assert rules.poll_in_s(1e6, CAPABILITIES, live=False) == 5


def test_retries_slow_down_and_end() -> None:
    assert [rules.retry_in_s(attempt) for attempt in (0, 1, 5, 1000)] == [1, 2, 32, 60]
    assert [rules.gone_retry_in_s(tries) for tries in (1, 2, 3, 4)] == [0.5, 2, 8, None]


def test_only_what_cannot_have_left_is_sent_again() -> None:
    assert [state for state in rules.PUBLIC_WORDS if rules.may_be_sent_again(state)] == ["queued", "preparing"]


def test_only_primary_files_are_counted() -> None:
    files = [StoredFile("image", "png", role, 1, "") for role in ("primary", "alternative", "alternative")]
    result = StoredResult(tuple(files), "r", {"bbox": [[1, 2, 3, 4]]})
    assert result.counted == Measurement(images=1)
    assert result.metadata() == {"bbox": [[1, 2, 3, 4]], "request_id": "r", "image_count": 1}
