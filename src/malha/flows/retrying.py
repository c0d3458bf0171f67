"""Orders that wait for a place are tried again when something else than stock changed, and every hour.

More stock says so by itself (`order_to_cash.look_for_waiting`). A location that works again, more capacity, a new lane,
other rules or a new day do not: what such things follow from is looked at every few seconds, and when it is different,
orders whose goods somebody has are tried, the oldest first. Those that a person has to decide are left.
"""

from collections.abc import AsyncGenerator
from datetime import datetime

import structlog

from malha.flows.order_to_cash import try_again
from malha.fulfillment import short_reads
from malha.intake import reads
from malha.platform.db import Database, Tx
from malha.platform.ids import UUID

log = structlog.get_logger(__name__)

AT_ONCE = 100

Known = tuple[int, int, int, int, int]


class Retries:
    """What was known when waiting orders were tried last. Of two workers each tries them, which is harmless."""

    def __init__(self) -> None:
        self._known: Known | None = None

    async def sweep(self, db: Database) -> AsyncGenerator[int, None]:
        """Try waiting orders if what decides about places changed; yield after some, with how many found one."""
        async with db.transaction() as tx:
            known = await known_now(tx)
        if known == self._known:
            return
        after: tuple[datetime, UUID] | None = None
        tried = placed = 0
        while True:
            async with db.transaction() as tx:
                orders = await short_reads.may_find_a_place(tx, after, AT_ONCE)
            for order_id, at in orders:
                after = at, order_id
                placed += await _try(db, order_id)
            tried += len(orders)
            if len(orders) < AT_ONCE:
                break
            yield placed
        self._known = known  # not before: a sweep that fails begins anew
        if tried:
            log.info("waiting_orders_tried", tried=tried, placed=placed)
        yield placed


async def known_now(tx: Tx) -> Known:
    """Return what places depend on beside stock: revisions of the network and its like, rules in force, the hour."""
    found = await reads.revisions(tx)
    hour = int((await tx.now()).timestamp()) // 3600
    return found.network, found.allotments, found.capacity // reads.CAPACITY_STEP, found.rules, hour


async def _try(db: Database, order_id: UUID) -> bool:
    """Tell whether an order has what it needs after it was tried; one that somebody has in hand is left to them."""
    try:
        async with db.transaction() as tx:
            return await try_again(tx, order_id, skip_busy=True)
    except Exception:  # the others are tried all the same
        log.exception("waiting_order_not_tried", order=str(order_id))
        return False
