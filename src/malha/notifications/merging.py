"""Two profiles of one person become one: what both of them wanted to hear counts for the one that stays.

The ledger of the profile that goes is copied under the one that stays, each word with the time at which it was said,
so the newest counts, whoever of the two said it. Told apart again, the copies go: the originals are where they were.
"""

from malha.customers.model import Merge
from malha.notifications import writes
from malha.ordering import merging
from malha.platform.db import Tx
from malha.platform.ids import UUID


async def merge_customers(
    tx: Tx, kept: UUID, gone: UUID, versions: tuple[int, int], taken: frozenset[str] = frozenset()
) -> Merge:
    """Put two profiles together; orders and wishes of the one that goes follow. See `customers.merging.merge`."""
    done = await merging.merge_customers(tx, kept, gone, versions, taken)
    copied = {"kept": done.kept_id, "gone": done.gone_id, "merge": str(done.id)}
    if await tx.execute(writes.COPY_CONSENTS, copied):
        await tx.execute(writes.FOLLOW_CONSENTS, {"customers": [done.kept_id], "source": "merge"})
    return done


async def unmerge_customers(tx: Tx, merge_id: UUID) -> Merge:
    """Tell two profiles apart again; orders and wishes that followed go back. See `customers.merging.unmerge`."""
    done = await merging.unmerge_customers(tx, merge_id)
    if await tx.execute(writes.DROP_COPIES, {"kept": done.kept_id, "merge": str(done.id)}):
        await tx.execute(writes.FOLLOW_CONSENTS, {"customers": [done.kept_id], "source": "merge"})
    return done
