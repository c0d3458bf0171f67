"""Money as integer minor units plus an ISO 4217 currency. Never a float, never a sum across currencies."""

from collections.abc import Sequence
from typing import Self

import msgspec

CURRENCY_DIGITS = {"BRL": 2, "USD": 2, "EUR": 2, "CLP": 0, "PYG": 0, "JPY": 0}


class CurrencyMismatch(ValueError):
    """Two amounts of different currencies were combined."""


class Money(msgspec.Struct, frozen=True, order=False):
    """An amount in minor units (centavos) of one currency."""

    minor: int
    currency: str = "BRL"

    def __str__(self) -> str:
        """Return it as an English sentence says it, like `BRL 10.00`; edges write it as their reader does."""
        digits = CURRENCY_DIGITS.get(self.currency, 2)
        whole, part = divmod(abs(self.minor), 10**digits)
        cents = f".{part:0{digits}}" if digits else ""
        return f"{self.currency} {'-' if self.minor < 0 else ''}{whole}{cents}"

    def _same(self, other: Self) -> None:
        if self.currency != other.currency:
            raise CurrencyMismatch(f"{self.currency} and {other.currency} cannot be combined")

    def __add__(self, other: Self) -> "Money":
        self._same(other)
        return Money(self.minor + other.minor, self.currency)

    def __sub__(self, other: Self) -> "Money":
        self._same(other)
        return Money(self.minor - other.minor, self.currency)

    def __mul__(self, quantity: int) -> "Money":
        return Money(self.minor * quantity, self.currency)


def share_out(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` minor units in proportion to `weights`, exactly: the parts sum to `total`.

    Remainders go to the largest fractions first, ties to the earlier part (Hamilton's largest-remainder method).
    Weights that sum to zero share equally.

    Raises:
        ValueError: a weight is negative, or there are no weights for a total that is not zero.
    """
    if any(w < 0 for w in weights):
        raise ValueError("weights must not be negative")
    if not weights:
        if total:
            raise ValueError("a total needs at least one part to go to")
        return []
    sign = -1 if total < 0 else 1
    size = abs(total)
    whole = sum(weights)
    parts = list(weights) if whole else [1] * len(weights)
    whole = whole or len(weights)
    shares = [size * w // whole for w in parts]
    by_remainder = sorted(range(len(parts)), key=lambda i: (-(size * parts[i] % whole), i))
    for i in by_remainder[: size - sum(shares)]:
        shares[i] += 1
    return [sign * s for s in shares]
