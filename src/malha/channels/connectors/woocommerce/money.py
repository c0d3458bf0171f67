"""Money: decimals as text there, minor units here, exactly."""

from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow

from malha.channels.contract import Invalid

# Decimals of currencies that have not two (ISO 4217).
DIGITS = {
    "BHD": 3, "BIF": 0, "CLF": 4, "CLP": 0, "DJF": 0, "GNF": 0, "IQD": 3, "ISK": 0, "JOD": 3, "JPY": 0, "KMF": 0,
    "KRW": 0, "KWD": 3, "LYD": 3, "OMR": 3, "PYG": 0, "RWF": 0, "TND": 3, "UGX": 0, "UYI": 0, "UYW": 4, "VND": 0,
    "VUV": 0, "XAF": 0, "XOF": 0, "XPF": 0,
}  # fmt: skip
MOST = 15  # digits of an amount
EXACT = Context(prec=60, traps=[Inexact, InvalidOperation, Overflow])


class Unfit(Invalid):
    """What the shop says of one thing cannot be what it stands for; others beside it may be in order."""


def digits_of(currency: str) -> int:
    """Return how many decimals a currency has."""
    return DIGITS.get(currency, 2)


def minor_of(text: str, currency: str) -> int:
    """Return a decimal as minor units.

    Raises:
        Unfit: it is none, or finer than the currency.
    """
    try:
        exact = EXACT.scaleb(Decimal(text or "0"), digits_of(currency))
    except ArithmeticError:
        raise Unfit(f"{text[:40]} is no amount", field="total") from None
    if not exact.is_finite() or exact.adjusted() > MOST:
        raise Unfit(f"{text[:40]} is no amount", field="total")
    minor = int(exact)
    if minor != exact:
        raise Unfit(f"{text[:40]} is finer than {currency} is", field="total")
    return minor


def text_of(minor: int, currency: str) -> str:
    """Return minor units as a decimal."""
    return format(Decimal(minor).scaleb(-digits_of(currency)), "f")
