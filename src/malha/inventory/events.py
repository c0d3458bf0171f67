"""What happens to stock, for those who wait for it."""

from typing import ClassVar

from malha.platform.outbox import Event


class StockIncreased(Event, frozen=True, kw_only=True):
    """More may be claimed of these SKUs than before: orders that wait may be placed."""

    TYPE: ClassVar[str] = "stock.increased"
    KIND: ClassVar[str] = "stock"

    reason: str
    skus: list[int]
    locations: list[int]


class StockDecreased(Event, frozen=True, kw_only=True):
    """Less may be claimed of these SKUs than before. What new orders claim is not said here: `order.placed` says it."""

    TYPE: ClassVar[str] = "stock.decreased"
    KIND: ClassVar[str] = "stock"

    reason: str
    skus: list[int]
    locations: list[int]


class StockShortfall(Event, frozen=True, kw_only=True):
    """A physical fact left fewer units than are promised."""

    TYPE: ClassVar[str] = "stock.shortfall"
    KIND: ClassVar[str] = "deficit"

    sku_id: int
    location_id: int
    quantity: int
    reason: str
