"""Broken promises: an order whose promised day is over before everything of it left is late, and that is said once.

An order may be promised anew (`ordering.promises`): then the newest promise counts, and breaking it is said again.
A promise that was broken long before anybody looked (an import of the past) is nobody's news any more.
"""

from malha.ordering import lateness_writes as writes
from malha.ordering import service as ordering
from malha.ordering.events import OrderLate
from malha.platform.db import Tx

LOOK_BACK_DAYS = 14


async def find_late(tx: Tx, limit: int = 200) -> int:
    """Record `OrderLate` of orders whose promise was broken; return of how many.

    Orders that somebody has in hand wait for the next look.
    """
    found = await tx.values(writes.FIND_LATE, {"days": LOOK_BACK_DAYS, "limit": limit})
    if not found:
        return 0
    locked = await ordering.lock_orders(tx, found, skip_busy=True)
    await tx.execute(writes.NEXT_PROMISES, {"orders": sorted(locked)})
    late = await tx.tuples(writes.KEEP_LATE, {"orders": sorted(locked)})
    await ordering.record(tx, *(OrderLate(id=order_id, seq=0, promised_at=at) for order_id, at in sorted(late)))
    return len(late)
