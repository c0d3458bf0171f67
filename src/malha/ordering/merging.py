"""Two profiles of one person become one: their orders follow, and go back when a person tells the two apart again."""

from malha.customers import merging
from malha.customers.model import Merge
from malha.ordering import projection_writes as writes
from malha.platform.db import Tx
from malha.platform.ids import UUID


async def merge_customers(
    tx: Tx, kept: UUID, gone: UUID, versions: tuple[int, int], taken: frozenset[str] = frozenset()
) -> Merge:
    """Put two profiles together; the orders of the one that goes follow. See `customers.merging.merge`."""
    done = await merging.merge(tx, kept, gone, versions, taken)
    moved = await tx.values(writes.MOVE_ORDERS, {"from": gone, "to": kept})
    await tx.execute(writes.NOTE_MOVED, {"id": done.id, "orders": moved})
    return await merging.merge_of(tx, done.id)


async def unmerge_customers(tx: Tx, merge_id: UUID) -> Merge:
    """Tell two profiles apart again; the orders that followed go back. See `customers.merging.unmerge`."""
    done = await merging.unmerge(tx, merge_id)
    await tx.execute(writes.MOVE_BACK, {"orders": done.orders, "from": done.kept_id, "to": done.gone_id})
    return done
