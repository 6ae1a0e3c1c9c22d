"""Quotes and charges: the facts' prices written out by hand, and the rules that hold for any price."""

import math
from fractions import Fraction

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modellix_server.catalogue import (
    Adjustment,
    Catalogue,
    ImpossibleMeasurement,
    Measurement,
    Prices,
    PriceTable,
    Quote,
    Tier,
    Unpriced,
    capture,
)

CATALOGUE = Catalogue.load()
P720 = ["1280*720", "720*1280", "960*960", "1088*832", "832*1088"]
P1080 = ["1920*1080", "1080*1920", "1440*1440", "1632*1248", "1248*1632"]
MEDIA = {
    "wan2.2-i2v-flash": {"img_url": "https://example.com/a.png"},
    "wan2.2-kf2v-flash": {"first_frame_url": "https://example.com/a.png"},
    "qwen-image-edit-plus": {"images": ["https://example.com/a.png"], "prompt": "x"},
}

QUOTES = [
    ("qwen-image-plus", {}, 17_200, 1, 17_200, "standard"),
    ("wan2.6-t2i", {}, 30_000, 4, 120_000, "standard"),
    ("wan2.6-t2i", {"n": 1}, 30_000, 1, 30_000, "standard"),
    ("qwen-image-edit-plus", {}, 30_000, 1, 30_000, "standard"),
    ("qwen-image-edit-plus", {"n": 6}, 30_000, 6, 180_000, "standard"),
    ("wan2.6-t2v", {}, 150_000, 5_000, 750_000, "1080P"),
    *[("wan2.6-t2v", {"size": size, "duration": 2}, 100_000, 2_000, 200_000, "720P") for size in P720],
    *[("wan2.6-t2v", {"size": size, "duration": 15}, 150_000, 15_000, 2_250_000, "1080P") for size in P1080],
    ("wan2.2-i2v-flash", {"resolution": "480P"}, 800, 5_000, 4_000, "480P"),
    ("wan2.2-i2v-flash", {}, 21_600, 5_000, 108_000, "720P"),
    ("wan2.2-i2v-flash", {"resolution": "1080P"}, 21_600, 5_000, 108_000, "1080P"),
    ("wan2.2-kf2v-flash", {"resolution": "480P"}, 14_335, 5_000, 71_675, "480P"),
    ("wan2.2-kf2v-flash", {}, 28_671, 5_000, 143_355, "720P"),
    ("wan2.2-kf2v-flash", {"resolution": "1080P"}, 68_809, 5_000, 344_045, "1080P"),
]


@pytest.mark.parametrize(("model_id", "change", "unit", "units", "amount", "tier"), QUOTES)
def test_list_prices(model_id: str, change: dict, unit: int, units: int, amount: int, tier: str) -> None:
    model = CATALOGUE.models[f"alibaba/{model_id}"]
    quote = model.quote(model.check(MEDIA.get(model_id, {"prompt": "x"}) | change), None, live=True)
    kind = "image" if "image" in model.type.split("-to-")[1] else "second"
    assert quote == Quote(amount, kind, unit, units, tier, 0)


def test_the_public_listing() -> None:
    entry = CATALOGUE.models["alibaba/wan2.2-i2v-flash"].listing()
    assert entry["price"] == {"min": 0.0008, "max": 0.0216, "unit": "$/sec"}
    assert entry["slug"] == "alibaba/wan2.2-i2v-flash"
    assert entry["docs_path"] == "alibaba/wan-2-2-i2v-flash"
    qwen = CATALOGUE.models["alibaba/qwen-image-plus"]
    assert qwen.listing()["price"] == {"fixed": 0.0172, "unit": "$/img"}
    assert qwen.listing(Prices(1, {(None, None): Adjustment(margin_bp=10_000)}))["price"]["fixed"] == 0.0344


def test_the_most_specific_adjustment_wins_whole() -> None:
    model = CATALOGUE.models["alibaba/wan2.2-i2v-flash"]
    prices = Prices(
        7,
        {
            (None, None): Adjustment(margin_bp=5_000),
            (model.slug, None): Adjustment(price_micros=10_000),
            (model.slug, "480P"): Adjustment(margin_bp=-5_000),
        },
    )
    params = model.check(MEDIA[model.id])
    micros = {
        tier: model.quote(params | {"resolution": tier}, prices, live=True).unit_micros for tier in ("480P", "720P")
    }
    assert micros == {"480P": 400, "720P": 10_000}
    assert model.quote(params, prices, live=True).price_version == 7
    other = CATALOGUE.models["alibaba/qwen-image-plus"]
    assert other.quote(other.check({"prompt": "x"}), prices, live=True).unit_micros == 25_800


def test_margins_round_up_once_to_the_micro() -> None:
    assert Adjustment(margin_bp=1).apply(17_200) == 17_202  # 17201.72
    assert Adjustment(margin_bp=-3_333).apply(10) == 7  # 6.667
    assert Adjustment(margin_bp=-10_000).apply(17_200) == 0
    assert Adjustment(price_micros=0).apply(None) == 0
    assert Adjustment(margin_bp=9).apply(None) is None
    for bad in ({"price_micros": -1}, {"margin_bp": -10_001}):
        with pytest.raises(ValueError, match=r"negative|exceed"):
            Adjustment(**bad)


def table(micros: int | None) -> PriceTable:
    tier = Tier("standard", micros)
    return PriceTable("acme/x", "image", (), (), (tier,), {(): tier})


def test_an_unpriced_cell_is_refused_live_and_nominal_in_test_mode() -> None:
    with pytest.raises(Unpriced, match="acme/x") as caught:
        table(None).quote({}, None, live=True)
    assert caught.value.status == 503
    assert caught.value.retry_after_s == 60
    assert table(None).quote({}, None, live=False).amount_micros == 10_000
    assert table(None).range() is None
    set_ = Prices(1, {("acme/x", "standard"): Adjustment(price_micros=5)})
    assert table(None).quote({}, set_, live=True).amount_micros == 5


quotes = st.builds(
    lambda unit, micros, units: Quote(
        micros * units if unit == "image" else math.ceil(Fraction(micros * units, 1000)), unit, micros, units, "t", 1
    ),
    st.sampled_from(["image", "second"]),
    st.integers(0, 10**9),
    st.integers(1, 10**6),
)


def measurement(quote: Quote, units: int) -> Measurement:
    return Measurement(images=units) if quote.unit == "image" else Measurement(milliseconds=units)


@given(quotes, st.floats(0, 1, exclude_min=True))
def test_up_to_the_order_the_charge_is_the_exact_price_rounded_up(quote: Quote, part: float) -> None:
    units = max(1, int(quote.units * part))
    exact = Fraction(quote.unit_micros * units, 1 if quote.unit == "image" else 1000)
    assert capture(quote, measurement(quote, units)) == math.ceil(exact)


@given(quotes, st.integers(-(10**12), 10**12))
def test_never_above_the_quote_and_never_negative(quote: Quote, units: int) -> None:
    try:
        charge = capture(quote, measurement(quote, units))
    except ImpossibleMeasurement:
        assert units < 0 or units > 10 * quote.units
    else:
        assert 0 <= charge <= quote.amount_micros


def test_a_clip_of_5041_ms_at_a_price_that_does_not_divide() -> None:
    quote = Quote(344_045, "second", 68_809, 5_000, "1080P", 0)
    assert capture(quote, Measurement(milliseconds=4_999)) == 343_977  # 343976.191
    assert capture(quote, Measurement(milliseconds=1)) == 69  # 68.809
    assert capture(quote, Measurement(milliseconds=5_041)) == 344_045


@pytest.mark.parametrize(
    "measured",
    [
        Measurement(),
        Measurement(images=2),
        Measurement(milliseconds=-5_000),
        Measurement(milliseconds=50_001),
    ],
)
def test_impossible_measurements_are_for_a_person(measured: Measurement) -> None:
    with pytest.raises(ImpossibleMeasurement):
        capture(Quote(500_000, "second", 100_000, 5_000, "720P", 0), measured)


@given(quotes)
def test_a_quote_survives_json(quote: Quote) -> None:
    assert msgspec.json.decode(msgspec.json.encode(quote), type=Quote) == quote
