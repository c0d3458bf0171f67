"""Products of a catalogue page that could not be read: held with what else waits for a person, until they can be."""

from collections.abc import Sequence

from malha.channels.connecting import cleaning
from malha.channels.connecting import unread_writes as writes
from malha.channels.contract import ExtProduct, Page
from malha.platform.db import Tx

PREFIX = "product:"
STREAM = "products"
LONGEST_ID = 200


async def keep(tx: Tx, connection_id: int, page: Page[ExtProduct]) -> None:
    """Hold the products of a page that could not be read, and settle those that were read after all."""
    if held := _names(page.unread):
        await tx.execute(writes.HOLD_PRODUCTS, {"id": connection_id, "theirs": held})
    read = _names([name for each in page.items for name in (each.id, each.product)])
    if read := sorted(set(read) - set(held)):
        await tx.execute(writes.SETTLE_PRODUCTS, {"id": connection_id, "dedups": [f"{PREFIX}{name}" for name in read]})


async def read_anew(tx: Tx, connection_id: int) -> None:
    """Have the catalogue read from its beginning: a person wants a product tried again."""
    await tx.execute(writes.READ_ANEW, {"id": connection_id, "stream": STREAM})


def _names(ids: Sequence[str]) -> list[str]:
    return sorted({cleaning.text(id_)[:LONGEST_ID] for id_ in ids if id_})
