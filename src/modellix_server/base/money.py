"""Money: integers of micro-dollars (1 USD = 1,000,000), never floats."""

from decimal import Decimal, InvalidOperation

MICROS_PER_USD = 1_000_000


def micros_from_usd(text: str) -> int:
    """Exact micro-dollars of a decimal text such as `0.0172`; ValueError if it is not exact."""
    try:
        micros = Decimal(text) * MICROS_PER_USD
    except InvalidOperation:
        raise ValueError(f"not an amount in USD: {text!r}") from None
    if not micros.is_finite() or micros != micros.to_integral_value():
        raise ValueError(f"finer than a micro-dollar, or not a number: {text!r}")
    return int(micros)


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
