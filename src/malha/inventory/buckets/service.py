"""Moves of goods between buckets and places.

A move has sides; all are written in one transaction, with one reason and one reference, and cancel out per SKU unless
goods really come or go. The sellable side is a physical fact and always applied; it may leave a deficit. Another bucket
never falls below zero. Balances are locked first, buckets after them, each in key order.
"""

from collections.abc import Sequence
from datetime import datetime

from malha.inventory import service, standing
from malha.inventory.buckets import reads, writes
from malha.inventory.buckets.errors import NotConserved, NotInBucket
from malha.inventory.buckets.model import Bucket, Leg
from malha.inventory.model import Claim, Deficit, Reason, Reference
from malha.inventory.service import MAX_QUANTITY
from malha.platform.db import Tx


async def move(
    tx: Tx, legs: Sequence[Leg], reason: Reason, reference: Reference, *, occurred_at: datetime | None = None
) -> list[Deficit]:
    """Carry goods from where `legs` are negative to where they are positive.

    Raises:
        NotConserved: the sides do not cancel out.
        NotInBucket: a bucket has fewer units.
    """
    sums: dict[int, int] = {}
    for leg in legs:
        sums[leg.sku_id] = sums.get(leg.sku_id, 0) + leg.quantity
    wrong = sum(abs(units) for units in sums.values())
    if wrong:
        raise NotConserved(units=wrong)
    return await change(tx, legs, reason, reference, occurred_at=occurred_at)


async def change(
    tx: Tx, legs: Sequence[Leg], reason: Reason, reference: Reference, *, occurred_at: datetime | None = None
) -> list[Deficit]:
    """Write sides of a fact by which goods come or go: received from outside, lost, thrown away.

    Returns:
        What is promised and, after this, not there.

    Raises:
        NotInBucket: a bucket has fewer units.
        BeyondBalance: more units than a balance, or a bucket, can hold.
        NotHappenedYet, TooLongAgo: it is said to be of a time that has not come, or of none that can be.
    """
    occurred_at = await service.happened(tx, occurred_at)
    summed: dict[tuple[int, int, Bucket], int] = {}
    for leg in legs:
        key = (leg.sku_id, leg.location_id, leg.bucket)
        summed[key] = summed.get(key, 0) + leg.quantity
    keys = sorted(key for key, quantity in summed.items() if quantity)
    beyond = [Claim(s, place, summed[s, place, b]) for s, place, b in keys if abs(summed[s, place, b]) > MAX_QUANTITY]
    await service.refuse_beyond(tx, beyond)
    sellable = [Claim(s, place, summed[s, place, b]) for s, place, b in keys if b is Bucket.SELLABLE]
    left = await service.adjust(tx, sellable, reason, reference, occurred_at)
    others = [key for key in keys if key[2] is not Bucket.SELLABLE]
    if others:
        await _change_others(tx, {key: summed[key] for key in others}, reason, reference, occurred_at)
    return left


async def _change_others(
    tx: Tx,
    wanted: dict[tuple[int, int, Bucket], int],
    reason: Reason,
    reference: Reference,
    occurred_at: datetime | None,
) -> None:
    rows = {
        "skus": [sku for sku, _, _ in wanted],
        "locations": [place for _, place, _ in wanted],
        "buckets": [bucket.value for _, _, bucket in wanted],
        "quantities": list(wanted.values()),
    }
    await standing.come(tx, {sku for (sku, _, _), units in wanted.items() if units > 0})
    await tx.execute(writes.ENSURE_BUCKETS, {k: rows[k] for k in ("skus", "locations", "buckets")})
    done = {(sku, place, Bucket(bucket)) for sku, place, bucket in await tx.tuples(writes.CHANGE_BUCKETS, rows)}
    refused = [key for key in wanted if key not in done]
    if refused:
        await service.refuse_beyond(
            tx, [Claim(s, place, wanted[s, place, b]) for s, place, b in refused if wanted[s, place, b] > 0]
        )
        sku, place, bucket = refused[0]
        there = {b.bucket: b.quantity for b in await reads.buckets(tx, [sku], [place])}
        raise NotInBucket(there=there.get(bucket, 0), asked=-wanted[refused[0]])
    about = {
        "reason": reason.value,
        "ref_kind": reference.kind,
        "ref_id": reference.id,
        "ref_text": reference.text,
        "actor": tx.actor.label,
        "occurred_at": occurred_at,
    }
    await tx.execute(writes.RECORD_BUCKETS, rows | about)
