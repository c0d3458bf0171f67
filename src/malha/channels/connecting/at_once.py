"""Taking back what a connection made products of at once: one or many, by a worker, as far as nothing refers to it.

What goes is held from then on: the connection does not make it again until somebody accepts it.
"""

from collections.abc import Sequence

import structlog

from malha.channels.connecting import at_once_reads, at_once_writes, unmaking
from malha.channels.connecting.errors import NotMadeAtOnce
from malha.channels.connecting.model import Linked
from malha.channels.connecting.runtime import Runtime
from malha.channels.connecting.service import connection_of
from malha.platform import audit
from malha.platform.db import Actor, Tx
from malha.platform.text import literal

log = structlog.get_logger(__name__)

AT_ONCE = 200  # variants in a transaction


async def take_back(tx: Tx, code: str, codes: Sequence[str] | None, *, sought: str | None = None) -> int:
    """Have products taken away again that a connection made at once; return of how many variants.

    Those that are named, by the channel's codes, also such as were kept before; or with None all that were made, or
    are found so. A worker does it.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
        NotMadeAtOnce: none of them was, or they are being taken back already.
    """
    found = await connection_of(tx, code)
    asked = {
        "connection_id": found.id,
        "codes": None if codes is None else list(codes),
        "sought": sought,
        "alike": None if sought is None else f"%{literal(sought)}%",
        "actor": tx.actor.label,
        "person": tx.actor.name,
    }
    going = await tx.values(at_once_writes.BEGIN, asked)
    if not going:
        raise NotMadeAtOnce(key=", ".join(codes[:3]) if codes else code)
    facts = {"count": len(going), "codes": sorted(going)[:200]}
    await audit.record(tx, action="take_products_back", entity="connection", entity_id=code, after=facts)
    return len(going)


async def take_some_back(runtime: Runtime, connection: Linked) -> int:
    """Take some of it away; return how many were looked at. Several transactions, killed it goes on."""
    async with runtime.db.transaction() as tx:
        rows = await tx.tuples(at_once_writes.TAKE, {"connection_id": connection.id, "most": AT_ONCE})
    if not rows:
        return 0
    label, person = rows[0][3], rows[0][4]
    async with runtime.db.transaction(Actor.of_label(label or "", person or "")) as tx:
        if await unmaking.lock(tx, connection.id) is None:
            return 0  # another worker is at it
        rows = await tx.tuples(at_once_writes.TAKE, {"connection_id": connection.id, "most": AT_ONCE})
        if not rows:
            return 0
        pairs, since = [(row[0], row[1]) for row in rows], min(row[2] for row in rows)
        stay = await unmaking.unmake(tx, connection.id, pairs, since, hold=True)
        await tx.execute(
            at_once_writes.END,
            {
                "connection_id": connection.id,
                "codes": [code for code, _ in pairs],
                "states": ["kept" if sku in stay else "undone" for _, sku in pairs],
                "reasons": [",".join(stay.get(sku, ())) for _, sku in pairs],
            },
        )
    log.info("products_taken_back", connection=connection.code, kept=len(stay), variants=len(pairs))
    return len(pairs)


async def against(tx: Tx, connection_id: int, rows: Sequence[at_once_reads.AtOnce]) -> dict[str, list[str]]:
    """Return what stands against taking these back as things are, by SKU; those that could go are absent."""
    made = [row for row in rows if row.state in {"made", "kept"}]
    if not made:
        return {}
    pairs, since = [(row.code, row.sku) for row in made], min(row.made_at for row in made)
    return await unmaking.against(tx, connection_id, pairs, since)
