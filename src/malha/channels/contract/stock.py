"""Stock that is handed over, for who is no whole connector: a `StockSender`.

    class Printer:
        async def send(self, updates):
            for update in updates:
                print(update.code, update.quantity)
            return Handed()

A sender is called with the newest quantity of each listing that changed, at most `MOST` at a time, never within a
transaction and never twice at once for one channel. It may be called again with what it was given: a quantity is a
statement, not a difference, so that is harmless; `version` grows, and a channel that was told a later one ignores an
earlier.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

MOST = 500


class StockUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """How many units of a listing a channel may sell now.

    `code` is the channel's name of it, `sku` ours; `version` orders statements about one listing; `changed_at` is when
    the stock changed.
    """

    sku: str
    code: str
    quantity: int
    version: int
    changed_at: datetime


class Handed(msgspec.Struct, frozen=True):
    """What became of updates: those that the channel refused for good, by code, with why. All others were taken.

    `unsure`: of these nobody knows; they are told again after a while, and hold up no others.
    """

    refused: Mapping[str, str] = {}
    unsure: Mapping[str, str] = {}


class NotHanded(Exception):
    """Nothing was taken, or nobody knows: the same is offered again, at the earliest after `after` seconds."""

    def __init__(self, why: str, *, after: float | None = None) -> None:
        self.why = why
        self.after = after
        super().__init__(why)


class StockSender(Protocol):
    """Hands quantities to one channel."""

    async def send(self, updates: Sequence[StockUpdate]) -> Handed:
        """Hand updates over; return what was refused for good, and of what nobody knows.

        Raises:
            NotHanded: try again later.
        """
        ...
