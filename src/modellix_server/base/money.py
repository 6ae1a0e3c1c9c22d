"""Money: integers of micro-dollars (1 USD = 1,000,000), never floats."""

from decimal import Context, Decimal, InvalidOperation

MICROS_PER_USD = 1_000_000
MOST_MICROS = 10**15
"""A billion USD: no amount that anybody means is larger, and sums of some thousand fit into 64 bits."""
_EXACT = Context(prec=100)  # not the 28 digits of the usual context, to which 1.000…1 is 1
_MOST_CHARACTERS = 60


def micros_from_usd(text: str) -> int:
    """Exact micro-dollars of a decimal text such as `0.0172`; ValueError if not exact, or beyond a billion USD."""
    try:
        micros = exact_product(text, MICROS_PER_USD)
    except InvalidOperation:
        raise ValueError(f"not an amount in USD: {text[:_MOST_CHARACTERS]!r}") from None
    if micros is None:
        raise ValueError(f"finer than a micro-dollar, or not a number: {text[:_MOST_CHARACTERS]!r}")
    if abs(micros) > MOST_MICROS:
        raise ValueError(f"larger than a billion USD: {text[:_MOST_CHARACTERS]!r}")
    return micros


def exact_product(text: str, times: int) -> int | None:
    """A decimal text times an integer, if that is an integer of at most 30 digits; else None.

    Raises InvalidOperation for what is no number.
    """
    number = Decimal(text if len(text) <= _MOST_CHARACTERS else "")
    if not number.is_finite() or not -40 < number.adjusted() < 30:
        return 0 if number.is_zero() else None
    product = _EXACT.multiply(number, times)
    return int(product) if product == product.to_integral_value() else None


def usd(micros: int) -> str:
    """`17200` as `0.0172`: four decimals at least, six at most."""
    sign, whole = ("-" if micros < 0 else ""), abs(micros)
    text = f"{sign}{whole // MICROS_PER_USD}.{whole % MICROS_PER_USD:06d}"
    return text.removesuffix("00")


def usd_number(micros: int) -> float:
    """For JSON answers that must carry a number; six decimals fit a float exactly enough to print."""
    return round(micros / MICROS_PER_USD, 6)


def ceil_div(numerator: int, denominator: int) -> int:
    """Integer division that rounds up: the one rounding rule for prices and charges."""
    return -(-numerator // denominator)
