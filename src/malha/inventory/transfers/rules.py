"""Pure decisions of transfers: their state, telling an arrival apart, and where units of a discrepancy go."""

from collections.abc import Sequence

from malha.inventory.buckets.model import Bucket, Leg
from malha.inventory.transfers.model import (
    Arrived,
    Decision,
    DiscrepancyKind,
    OnItsWay,
    Progress,
    Sorted,
    TransferState,
)

_WAITS_IN = {
    DiscrepancyKind.MISSING: Bucket.IN_TRANSIT,
    DiscrepancyKind.DAMAGED: Bucket.DAMAGED,
    DiscrepancyKind.EXCESS: Bucket.QUALITY_CONTROL,
}


def state_of(progress: Progress) -> TransferState:
    """Return the state of a transfer that was approved and not cancelled, by what its units come to.

    What is to leave comes first, then what is to arrive, then what is to be decided.
    """
    if progress.to_ship:
        return TransferState.PARTLY_SHIPPED if progress.shipped else TransferState.APPROVED
    if progress.coming:
        return TransferState.SHIPPED
    return TransferState.RECEIVED if progress.transit or progress.undecided else TransferState.CLOSED


def tell_apart(ways: Sequence[OnItsWay], arrived: Sequence[Arrived]) -> Sorted:
    """Return which units were on their way, which nobody sent, and which are not here. `ways` are taken from in order.

    Units in a worse condition are taken for those that were sent: what is too much is what could be sold.
    """
    left = [way.coming for way in ways]
    expected, excess = [], []
    for one in sorted(arrived, key=lambda a: a.bucket is Bucket.SELLABLE):
        units = one.quantity
        for i, way in enumerate(ways):
            here = min(left[i], units) if way.sku_id == one.sku_id else 0
            if here:
                expected.append((way, Arrived(one.sku_id, here, one.bucket)))
                left[i] -= here
                units -= here
        if units:
            excess.append(Arrived(one.sku_id, units, one.bucket))
    return Sorted(expected, excess, [(way, units) for way, units in zip(ways, left, strict=True) if units])


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
