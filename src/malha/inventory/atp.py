"""Common stock of many balances in a compact form, for answers about availability: one row per SKU, packed by place."""

from collections.abc import Iterable, Mapping, Sequence
from struct import unpack
from typing import Any, LiteralString

import msgspec
from psycopg import AsyncCursor

from malha.platform import arrays
from malha.platform.db import Tx

# Units of a balance `b` that are free, but for those of holds whose time is over.
FREE: LiteralString = "(b.on_hand - b.allocated - b.held - b.safety - b.fenced)"
# Units of a hold's line `l` that are free once its time is over: the others go back to fences.
OF_COMMON: LiteralString = """(l.quantity - coalesce(
           (SELECT sum(d.quantity) FROM stock_draw d
            WHERE d.claim_id = l.hold_id AND d.sku_id = l.sku_id AND d.location_id = l.location_id
              AND d.allotment_id IS NOT NULL), 0))"""
# Balances by SKU: place and units of each in eight bytes, which cost less to gather, to send and to read than elements
# of two arrays, and a fifth of what rows cost. Joins with what is nearly always empty would cost more than all of it:
# that is asked apart.
_BALANCES: LiteralString = f"""
SELECT b.sku_id, string_agg(int8send((b.location_id::bigint << 32) | ({FREE}::bigint & 4294967295)), '')
FROM balance b
WHERE b.sku_id = ANY (%(skus)s::int[])"""
# At some locations by primary key; and at all of them, where looking each up among the wanted costs more than it saves.
SOMEWHERE: LiteralString = (
    _BALANCES
    + """ AND b.location_id = ANY (%(locations)s::int[])
GROUP BY b.sku_id
"""
)
EVERYWHERE: LiteralString = (
    _BALANCES
    + """
GROUP BY b.sku_id
"""
)
# Units of expired holds that nobody retired yet, without what goes back to fences: few, by the index on expiry.
EXPIRED: LiteralString = f"""
SELECT l.sku_id, l.location_id, sum{OF_COMMON}::int
FROM stock_hold h JOIN stock_hold_line l ON l.hold_id = h.id
WHERE h.state = 'active' AND h.expires_at <= clock_timestamp() AND l.sku_id = ANY (%(skus)s::int[])
GROUP BY l.sku_id, l.location_id
"""
# What a channel is not to publish beyond the safety stock that is taken off already; by primary key, rules only.
UNPUBLISHED = """
SELECT DISTINCT ON (s.sku_id, s.location_id) s.sku_id, s.location_id, s.quantity - b.safety
FROM safety_online s JOIN balance b ON b.sku_id = s.sku_id AND b.location_id = s.location_id
WHERE s.sku_id = ANY (%(skus)s::int[]) AND s.channel_id IN (0, %(channel)s::int)
ORDER BY s.sku_id, s.location_id, s.channel_id DESC
"""


class Asked(msgspec.Struct, frozen=True):
    """Questions on their way; read them when the round trip is over. The first is read by `columns`."""

    common: AsyncCursor[tuple[Any, ...]]
    expired: AsyncCursor[tuple[Any, ...]]
    unpublished: AsyncCursor[tuple[Any, ...]]


async def ask(
    tx: Tx, sku_ids: Sequence[int], location_ids: Sequence[int], channel_id: int, *, everywhere: bool
) -> Asked:
    """Ask for common units, and by balance for units of expired holds and units not to publish. For `tx.pipeline()`.

    Common units may be negative; units not to publish are beyond safety stock, negative where that is more.
    `everywhere`: the locations are nearly all there are, so that the others may come along.
    """
    skus = arrays.ints(sku_ids)
    return Asked(
        await tx.cursor_of(EVERYWHERE, {"skus": skus})
        if everywhere
        else await tx.cursor_of(SOMEWHERE, {"skus": skus, "locations": arrays.ints(location_ids)}),
        await tx.cursor_of(EXPIRED, {"skus": skus}),
        await tx.cursor_of(UNPUBLISHED, {"skus": skus, "channel": channel_id}),
    )


class AskedCommon(msgspec.Struct, frozen=True):
    """Questions on their way; read them when the round trip is over. The first is read by `columns`."""

    common: AsyncCursor[tuple[Any, ...]]
    expired: AsyncCursor[tuple[Any, ...]]


async def ask_common(tx: Tx, sku_ids: Sequence[int]) -> AskedCommon:
    """Ask for common units at all locations, and for units of expired holds. For `tx.pipeline()`."""
    skus = arrays.ints(sku_ids)
    return AskedCommon(await tx.cursor_of(EVERYWHERE, {"skus": skus}), await tx.cursor_of(EXPIRED, {"skus": skus}))


def columns(
    rows: Iterable[tuple[int, bytes]], sku_ids: Iterable[int], position: Mapping[int, int]
) -> dict[int, list[int]]:
    """Return common units by SKU, in columns by the position of a location; those without one are passed over."""
    found = {sku: [0] * len(position) for sku in sku_ids}
    in_order = list(range(len(position)))
    places: tuple[int, ...] = ()  # of the row before, and where they are: mostly the same
    at: list[int | None] = []
    for sku, packed in rows:
        pairs = unpack(f">{len(packed) // 4}i", packed)
        units = pairs[1::2]
        if pairs[::2] != places:
            places = pairs[::2]
            at = [position.get(place) for place in places]
        if at == in_order:
            found[sku] = list(units)
            continue
        column = found[sku]
        for n, free in zip(at, units, strict=True):
            if n is not None:
                column[n] = free
    return found
