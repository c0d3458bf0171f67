"""What a connection made products of is taken away again, but for what something refers to."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from malha.catalog import making as catalog
from malha.catalog import service
from malha.channels.connecting import making_reads, making_writes
from malha.inventory import reads as inventory
from malha.ordering import reads as orders
from malha.platform.db import Tx
from malha.platform.i18n import N_

# Why something stays, in words.
REASONS: Mapping[str, str] = {
    "ordered": N_("Orders have it."),
    "stock": N_("It has stock, or had some."),
    "channel": N_("Another channel tells of it, or a listing of it was made."),
    "kit": N_("A kit holds it, or it stands in for another."),
    "referred": N_("A rule or a record refers to it."),
}


async def lock(tx: Tx, connection_id: int) -> str | None:
    """Lock the making of a connection; return what becomes of unknown SKUs, None while another worker is at it."""
    locked = await tx.tuples(making_writes.LOCK_FREE, {"connection_id": connection_id})
    return str(locked[0][1]) if locked else None


async def against(
    tx: Tx, connection_id: int, pairs: Sequence[tuple[str, str]], since: datetime
) -> dict[str, list[str]]:
    """Return what refers to SKUs, of pairs of the channel's code and a SKU made since then, as `REASONS` names it.

    What refers to them by a foreign key alone shows when they are taken away.
    """
    codes, skus = [code for code, _ in pairs], [sku for _, sku in pairs]
    ids = dict(await tx.tuples(making_reads.IDS_OF, {"skus": skus}))
    ordered = await orders.skus_ordered(tx, sorted(ids), since)
    stocked = {sku for sku, _ in await inventory.known_pairs(tx, sorted(ids))}
    told = await tx.values(making_reads.REFERRED, {"connection_id": connection_id, "codes": codes, "skus": skus})
    found: dict[str, list[str]] = {}
    for reason, some in (
        ("ordered", [ids[id_] for id_ in ordered]),
        ("stock", [ids[id_] for id_ in stocked]),
        ("channel", told),
        ("kit", await service.named_by_others(tx, sorted(ids.values()))),
    ):
        for sku in some:
            found.setdefault(sku, []).append(reason)
    return found


async def unmake(
    tx: Tx,
    connection_id: int,
    pairs: Sequence[tuple[str, str]],
    since: datetime,
    *,
    aside: bool = False,
    hold: bool = False,
) -> dict[str, list[str]]:
    """Take SKUs away that nothing refers to, with products of which none is left; return why the others stay.

    The channel's variants are nobody's again: `aside` they are none of ours, on `hold` a person decides of them. The
    caller has the lock.
    """
    codes, skus = [code for code, _ in pairs], [sku for _, sku in pairs]
    in_use = await against(tx, connection_id, pairs, since)
    made = {"connection_id": connection_id, "codes": codes, "skus": skus}
    freed = set(await tx.values(making_writes.UNMAP, {**made, "aside": aside, "hold": hold}))
    stay = await catalog.unmake(tx, skus, in_use)
    again = [(code, sku) for code, sku in pairs if sku in stay and code in freed]
    await tx.execute(
        making_writes.MAP_AGAIN,
        {"connection_id": connection_id, "codes": [c for c, _ in again], "skus": [s for _, s in again]},
    )
    return {sku: in_use.get(sku) or ["referred"] for sku in stay}
