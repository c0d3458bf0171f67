"""Two profiles of one person become one: their orders follow, and go back when a person tells the two apart again."""

from datetime import timedelta

from malha.customers import merging
from malha.customers import service as customers
from malha.customers.model import Buyer, Merge
from malha.ordering import projection_writes as writes
from malha.platform.db import Tx
from malha.platform.ids import UUID, first_id

# An order may be linked only after a merge that it came before, by a subscriber that is behind.
_LINKED_WITHIN = timedelta(days=1)


async def merge_customers(
    tx: Tx, kept: UUID, gone: UUID, versions: tuple[int, int], taken: frozenset[str] = frozenset()
) -> Merge:
    """Put two profiles together; the orders of the one that goes follow. See `customers.merging.merge`."""
    done = await merging.merge(tx, kept, gone, versions, taken)
    moved = await tx.values(writes.MOVE_ORDERS, {"from": gone, "to": kept})
    await tx.execute(writes.NOTE_MOVED, {"id": done.id, "orders": moved})
    return await merging.merge_of(tx, done.id)


async def unmerge_customers(tx: Tx, merge_id: UUID) -> Merge:
    """Tell two profiles apart again; the orders that followed go back. See `customers.merging.unmerge`.

    So do the orders that came meanwhile and that would have found the profile that went, had it been there: by its own
    document, e-mail or telephone, as `customers.service.link` decides. All others stay.
    """
    done = await merging.unmerge(tx, merge_id)
    came = await _came_since(tx, done)
    await tx.execute(writes.MOVE_BACK, {"orders": done.orders + came, "from": done.kept_id, "to": done.gone_id})
    return done


async def _came_since(tx: Tx, merge: Merge) -> list[UUID]:
    """Return the orders of the profile that stayed whose buyers are the one that is there again."""
    since = first_id(merge.at - _LINKED_WITHIN)
    asked = {"customer": merge.kept_id, "since": since, "moved": merge.orders}
    rows = await tx.tuples(writes.CAME_SINCE, asked)
    buyers = [Buyer(name=name, document=document, email=email, phone=phone) for _, name, document, email, phone in rows]
    theirs = await customers.who_are(tx, buyers)
    return [row[0] for row, customer in zip(rows, theirs, strict=True) if customer == merge.gone_id]
