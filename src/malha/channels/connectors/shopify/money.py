"""Amounts as Shopify writes them, decimal texts, and in minor units."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from malha.channels.contract import Invalid

# Digits after the point where they are not two (ISO 4217).
_DIGITS: Mapping[str, int] = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
MOST = 10**15  # minor units; an amount beyond is a mistake


def digits_of(currency: str) -> int:
    """Return how many digits a currency has after the point."""
    return _DIGITS.get(currency, 2)


def minor(amount: Any, currency: str) -> int:
    """Return an amount in minor units.

    Raises:
        Invalid: it is no amount, or finer than the currency.
    """
    try:
        value = Decimal(str(amount)).scaleb(digits_of(currency))
        whole = int(value) if abs(value) < MOST else 0
    except (InvalidOperation, ValueError, OverflowError):
        raise Invalid(f"{str(amount)[:40]!r} is no amount") from None
    if whole != value:
        raise Invalid(f"{str(amount)[:40]} is finer than {currency}")
    return whole


def decimal(amount: int, currency: str) -> str:
    """Return minor units as Shopify writes them."""
    return str(Decimal(amount).scaleb(-digits_of(currency)))


def shop_money(bag: Mapping[str, Any] | None) -> int:
    """Return what is in a bag in the shop's own currency, in minor units; nothing where there is no bag.

    Raises:
        Invalid: as `minor`.
    """
    if bag is None:
        return 0
    money = bag["shopMoney"]
    return minor(money["amount"], str(money["currencyCode"]))
