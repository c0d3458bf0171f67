"""What happens to allotments."""

from typing import ClassVar

from malha.platform.outbox import Event


class FenceShrunk(Event, frozen=True, kw_only=True):
    """Fewer units are there than were set apart for a fence: it lost some."""

    TYPE: ClassVar[str] = "stock.fence_shrunk"
    KIND: ClassVar[str] = "fence"

    allotment_id: int
    sku_id: int
    location_id: int
    quantity: int
