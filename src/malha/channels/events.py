"""What happens to listings, for those who keep them."""

from typing import ClassVar

from malha.platform.outbox import Event


class ListingsUnsettled(Event, frozen=True, kw_only=True):
    """What a channel shows of these SKUs may not be what it was told any more: it is told again."""

    TYPE: ClassVar[str] = "listing.unsettled"
    KIND: ClassVar[str] = "listing"

    channel_id: int
    skus: list[int]
