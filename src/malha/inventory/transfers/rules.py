"""Pure decisions of transfers: telling an arrival apart, and where units of a discrepancy go."""

from collections.abc import Sequence

from malha.inventory.buckets.model import Bucket, Leg
from malha.inventory.transfers.model import (
    Arrived,
    Decision,
    DiscrepancyKind,
    Sorted,
    TransferLine,
)

_WAITS_IN = {
    DiscrepancyKind.MISSING: Bucket.IN_TRANSIT,
    DiscrepancyKind.DAMAGED: Bucket.DAMAGED,
    DiscrepancyKind.EXCESS: Bucket.QUALITY_CONTROL,
}


def tell_apart(lines: Sequence[TransferLine], arrived: Sequence[Arrived]) -> Sorted:
    """Return which units were on their way, and which nobody sent.

    Units in a worse condition are taken for those that were sent: what is too much is what could be sold.
    """
    left = {line.sku_id: line.transit for line in lines}
    numbers = {line.sku_id: line.line for line in lines}
    expected, excess = [], []
    for one in sorted(arrived, key=lambda a: a.bucket is Bucket.SELLABLE):
        here = min(left.get(one.sku_id, 0), one.quantity)
        if here:
            expected.append((numbers[one.sku_id], Arrived(one.sku_id, here, one.bucket)))
            left[one.sku_id] -= here
        if one.quantity > here:
            excess.append(Arrived(one.sku_id, one.quantity - here, one.bucket))
    return Sorted(expected, excess)


def legs_of(
    decision: Decision, kind: DiscrepancyKind, sku: int, origin: int, destination: int, units: int
) -> list[Leg]:
    """Return where the units of a discrepancy go by a decision. They are in transit, damaged, or under examination.

    Units that are lost, or paid for by a carrier, go nowhere; damaged ones that are kept stay where they are.
    """
    if kind is DiscrepancyKind.DAMAGED and decision is Decision.KEPT:
        return []
    legs = [Leg(sku, destination, _WAITS_IN[kind], -units)]
    if decision in {Decision.ARRIVED_LATE, Decision.KEPT, Decision.TAKEN_FROM_ORIGIN}:
        legs.append(Leg(sku, destination, Bucket.SELLABLE, units))
    if decision is Decision.FOUND_AT_ORIGIN:
        legs.append(Leg(sku, origin, Bucket.SELLABLE, units))
    if decision is Decision.TAKEN_FROM_ORIGIN:
        legs.append(Leg(sku, origin, Bucket.SELLABLE, -units))
    return legs
