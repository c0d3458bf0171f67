"""What happens to goods that are sold ahead, for those who follow their orders."""

from typing import ClassVar

from malha.platform.ids import UUID
from malha.platform.outbox import Event


class SupplyOffered(Event, frozen=True, kw_only=True):
    """More of these SKUs may be promised than before: who waits may move up. `skus` and `locations` go together."""

    TYPE: ClassVar[str] = "supply.offered"
    KIND: ClassVar[str] = "supply"

    skus: list[int]
    locations: list[int]


class SupplyClaimsMoved(Event, frozen=True, kw_only=True):
    """Goods of these orders arrived, come on another day, or are no longer expected."""

    TYPE: ClassVar[str] = "supply.claims_moved"
    KIND: ClassVar[str] = "supply"

    orders: list[UUID]
