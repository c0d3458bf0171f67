"""What changed of common stock since one looked, by the log of events: who kept what it read stays in step with it.

A look sees, in one snapshot, the log beyond the position of the look before, what is committed and has no position yet
(the outbox), and the holds that ended by time alone. Whatever was committed between two looks is in one of the three,
so what a look does not name is as it was. Some is named twice, which costs a row. Everything that changes what is free
says so in an event of its transaction, with its balances; what orders claim is read from their units, and of kits that
wait for a component from what is claimed of the others.
"""

from datetime import datetime, timedelta
from struct import iter_unpack
from typing import LiteralString, NamedTuple, cast

from malha.inventory.atp import FREE, OF_COMMON
from malha.platform.db import Tx

TYPES = ["order.placed", "stock.increased", "stock.decreased"]
MOST = 10_000  # balances of one look; beyond, reading anew what is needed costs less
HOLDS_AGAIN = timedelta(seconds=5)  # of a hold's end, for it is by the clock and commits are not

# The log by its primary key from one position on; the outbox is short, and no more of it is read than is told; units by
# the key of orders, balances by theirs. Limits end each part early: what comes to `most` rows is not used.
# Free units as `inventory.atp` has them: what expired holds did not give back yet is free, without what goes to fences.
CHANGES: LiteralString = f"""
WITH meant AS MATERIALIZED (
    (SELECT type, key, payload FROM event
     WHERE position > %(since)s::bigint AND type = ANY (%(types)s::text[]) LIMIT %(most)s::int)
    UNION ALL
    (SELECT type, key, payload FROM outbox WHERE type = ANY (%(types)s::text[]) LIMIT %(most)s::int)
), lapsed AS MATERIALIZED (
    SELECT l.sku_id, l.location_id, h.expires_at, {OF_COMMON} AS quantity
    FROM stock_hold h JOIN stock_hold_line l ON l.hold_id = h.id
    WHERE h.state = 'active' AND h.expires_at <= clock_timestamp()
), named AS MATERIALIZED (
    (SELECT u.sku_id, u.location_id FROM meant m JOIN order_unit u ON u.order_id = substr(m.key, 7)::uuid
     WHERE m.type = 'order.placed' AND u.sku_id IS NOT NULL AND u.location_id IS NOT NULL LIMIT %(most)s::int)
    UNION ALL
    (SELECT c.sku_id, c.location_id FROM meant m JOIN supply_claim c ON c.order_id = substr(m.key, 7)::uuid
     WHERE m.type = 'order.placed' LIMIT %(most)s::int)
    UNION ALL
    (SELECT s.sku::int, s.location::int
     FROM meant m CROSS JOIN LATERAL ROWS FROM (
         json_array_elements_text(m.payload -> 'skus'), json_array_elements_text(m.payload -> 'locations')
     ) AS s(sku, location) WHERE m.type <> 'order.placed' LIMIT %(most)s::int)
    UNION ALL
    (SELECT sku_id, location_id FROM lapsed WHERE expires_at > %(looked)s::timestamptz LIMIT %(most)s::int)
), back AS (
    SELECT sku_id, location_id, sum(quantity) AS quantity FROM lapsed GROUP BY sku_id, location_id
)
SELECT (SELECT position FROM sequencer), pg_postmaster_start_time(), clock_timestamp(),
       (SELECT count(*) FROM named), (SELECT count(*) FROM meant),
       coalesce((
           SELECT string_agg(int4send(t.sku_id) || int4send(t.location_id) || int4send(
               ({FREE} + coalesce(x.quantity, 0))::int), '')
           FROM (SELECT DISTINCT sku_id, location_id FROM named) AS t
           JOIN balance b ON b.sku_id = t.sku_id AND b.location_id = t.location_id
           LEFT JOIN back x ON x.sku_id = t.sku_id AND x.location_id = t.location_id
       ), '')
"""
# Active SKUs; by primary key, once in the life of a process.
STOCKED = "SELECT id FROM variant WHERE active AND NOT is_kit ORDER BY id LIMIT %(most)s::int"
# Where looking begins: what was committed before it is read from the balances.
BEGINNING = "SELECT position, pg_postmaster_start_time(), clock_timestamp() FROM sequencer"


class Mark(NamedTuple):
    """How far a look saw: the position in the log, the start of the server it asked, and its time."""

    position: int
    started: datetime
    at: datetime


class Changes(NamedTuple):
    """What a look found: how far it saw, and (SKU, location, free units) of what changed; free may be below zero."""

    mark: Mark
    free: list[tuple[int, int, int]]


async def stocked(tx: Tx, most: int) -> list[int]:
    """Return SKUs of which stock may be kept, `most` at most."""
    return await tx.values(STOCKED, {"most": most})


async def begin(tx: Tx) -> Mark:
    """Return where to look from: what is read by transactions that begin later, and `since` names, is complete."""
    ((position, started, at),) = await tx.tuples(BEGINNING)
    return Mark(position, started, at)


async def since(tx: Tx, mark: Mark, most: int = MOST) -> Changes | None:
    """Return what changed since another look.

    None: it cannot be said, and one must begin anew. There was more than `most`; or the log is not the one that was
    seen, for a server that was started anew may have lost its end, and a backup takes it back.
    """
    asked = {"since": mark.position, "types": TYPES, "most": most, "looked": mark.at - HOLDS_AGAIN}
    ((position, started, at, named, meant, packed),) = await tx.tuples(CHANGES, asked)
    if started != mark.started or position < mark.position or max(named, meant) >= most:
        return None
    return Changes(Mark(position, started, at), cast("list[tuple[int, int, int]]", list(iter_unpack(">3i", packed))))
