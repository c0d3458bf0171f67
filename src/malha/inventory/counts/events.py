"""What happens to counts."""

from typing import ClassVar

from malha.platform.outbox import Event


class CountEvent(Event, frozen=True, kw_only=True):
    """Base: the aggregate is the count."""

    TYPE: ClassVar[str] = "count"
    KIND: ClassVar[str] = "count"

    number: int
    location_id: int


class CountRaised(CountEvent, frozen=True, kw_only=True):
    """SKUs are to be counted at a location."""

    TYPE: ClassVar[str] = "count.raised"

    kind: str
    source: str
    frozen: bool


class CountApplied(CountEvent, frozen=True, kw_only=True):
    """Stock is what was counted."""

    TYPE: ClassVar[str] = "count.applied"


class CountCancelled(CountEvent, frozen=True, kw_only=True):
    """Nothing is changed."""

    TYPE: ClassVar[str] = "count.cancelled"

    reason: str


class StockSuspected(Event, frozen=True, kw_only=True):
    """Stock is probably not there; what was free of it is held back."""

    TYPE: ClassVar[str] = "stock.suspected"
    KIND: ClassVar[str] = "suspicion"

    sku_id: int
    location_id: int
    kept_back: int
    score: int


class SuspicionLifted(Event, frozen=True, kw_only=True):
    """A count, or a person, said what is there."""

    TYPE: ClassVar[str] = "stock.suspicion_lifted"
    KIND: ClassVar[str] = "suspicion"

    sku_id: int
    location_id: int
    reason: str
