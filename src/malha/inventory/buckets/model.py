"""Words of buckets. What may be sold is `balance.on_hand`; every other bucket has rows of its own."""

from enum import StrEnum

import msgspec


class Bucket(StrEnum):
    """In what condition, or where, goods are."""

    SELLABLE = "sellable"
    DAMAGED = "damaged"
    QUALITY_CONTROL = "quality_control"
    DISPLAY = "display"
    IN_TRANSIT = "in_transit"


# What a person may put goods into, or take them out of, by hand: on their way is what a transfer says.
BY_HAND = (Bucket.SELLABLE, Bucket.DAMAGED, Bucket.QUALITY_CONTROL, Bucket.DISPLAY)


class Leg(msgspec.Struct, frozen=True):
    """One side of a move: signed units of a SKU in a bucket at a location."""

    sku_id: int
    location_id: int
    bucket: Bucket
    quantity: int


class BucketStock(msgspec.Struct, frozen=True):
    """What is in a bucket; never the sellable one."""

    sku_id: int
    location_id: int
    bucket: Bucket
    quantity: int
