"""Products made of what a connection tells and nobody here knows: accepted by people or at once, written by a worker.

What cannot be made is held with its reason. An acceptance is taken back as a whole, but for what something refers to.
"""

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from malha.catalog import making as catalog
from malha.catalog import ownership
from malha.catalog.making import New
from malha.channels.connecting import (
    at_once,
    at_once_reads,
    at_once_writes,
    making_reads,
    making_writes,
    mapping,
    master_reads,
    master_rules,
    reads,
    unmaking,
    writes,
)
from malha.channels.connecting.categories import settle
from malha.channels.connecting.errors import MakesNoProducts, NothingToTakeBack, UnknownEntry
from malha.channels.connecting.making_reads import Asked
from malha.channels.connecting.model import Linked
from malha.channels.connecting.runtime import Runtime
from malha.channels.connecting.service import connection_of
from malha.platform import audit
from malha.platform.db import Actor, Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

log = structlog.get_logger(__name__)

AT_ONCE = 200  # variants in a transaction, and the others of their products
APART_SAYS = N_("Variants of {parent} are in several products here: {products}.")
SPACES_SAYS = N_('The SKU "{value}" begins or ends with a space.')
SPACES_MEND = N_("Correct it there.")
APART_MEND = N_("Leave them in one product, or undo the mapping of the others.")


async def accept(tx: Tx, code: str, codes: Sequence[str] | None, *, refused: bool = False) -> tuple[int, int]:
    """Have products made of these variants, or with None of all that wait; return the acceptance and how many.

    A worker makes them. `refused`: with None, all that could not be made before, instead.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
        MakesNoProducts: the connection is not to make any.
        UnknownEntry: none of them waits.
    """
    found = await connection_of(tx, code)
    if (await master_reads.master(tx, found.id)).creates == "never":
        raise MakesNoProducts(key=code)
    named = None if codes is None else list(codes)
    params = {"connection_id": found.id, "codes": named, "refused": refused, "at_once": False}
    asked = await tx.values(making_writes.ASK, params)
    if not asked:
        raise UnknownEntry(key=", ".join(named[:3]) if named else code)
    batch = await tx.value(
        making_writes.ADD_BATCH, {"connection_id": found.id, "asked": len(asked), "person": tx.actor.name}
    )
    await tx.execute(making_writes.PUT_IN_BATCH, {"connection_id": found.id, "batch": batch, "codes": asked})
    facts = {"batch": batch, "count": len(asked), "codes": sorted(asked)[:200]}
    await audit.record(tx, action="accept_products", entity="connection", entity_id=code, after=facts)
    return batch, len(asked)


async def take_back(tx: Tx, code: str, batch: int) -> None:
    """Have what was made of an acceptance taken away again by a worker, but for what something refers to.

    What of it was not made yet is not made.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
        NothingToTakeBack: it is being taken back already, or there is none.
    """
    found = await connection_of(tx, code)
    params = {"connection_id": found.id, "batch": batch, "actor": tx.actor.label, "person": tx.actor.name}
    if await tx.value(making_writes.BEGIN_UNDO, params) is None:
        raise NothingToTakeBack(key=batch)
    await audit.record(tx, action="take_products_back", entity="connection", entity_id=code, after={"batch": batch})


async def plan(tx: Tx, connection: Linked, rows: Sequence[Asked]) -> dict[str, list[Flaw]]:
    """Return why variants could not be made products as things stand, by code; those that could be are absent."""
    news, flaws = await _news(tx, connection, rows, write=False)
    return (await catalog.plan(tx, connection.code, news)).flaws | flaws


async def _news(
    tx: Tx, connection: Linked, rows: Sequence[Asked], *, write: bool
) -> tuple[list[New], dict[str, list[Flaw]]]:
    joins = await making_reads.joins(tx, connection.id, sorted({row.parent for row in rows if row.parent}))
    flaws: dict[str, list[Flaw]] = {}
    news = []
    said = {row.code: master_rules.said(row.told, name=row.name, gtin=row.gtin, price=row.price) for row in rows}
    keeper = (await ownership.owners(tx)).get("category")
    for row in rows:  # a category that would not be written need not be known
        if joins.get(row.parent) or (keeper is not None and keeper.owner != connection.code):
            said[row.code].pop("category", None)
    unknown = await settle(tx, connection.id, said, write=write)
    for row in rows:
        into = joins.get(row.parent, []) if row.parent else []
        if len(into) > 1:
            facts = {"parent": row.parent, "products": ", ".join(into)[:200]}
            flaws[row.code] = [Flaw("product", APART_SAYS, APART_MEND, facts)]
            continue
        if row.code != row.code.strip():
            flaws[row.code] = [Flaw("sku", SPACES_SAYS, SPACES_MEND, {"value": row.code})]
            continue
        if row.code in unknown:
            flaws[row.code] = [unknown[row.code]]
            continue
        joined = into[0] if into else None
        code = row.parent or row.code
        news.append(New(sku=row.code, product=code, told=said[row.code], active=row.active, joins=joined))
    return news, flaws


# --- the worker ---


async def work(runtime: Runtime, stop: asyncio.Event) -> int:
    """Make what is asked for, and take back what is; return of how many variants. Several workers may."""
    async with runtime.db.transaction() as tx:
        due = await tx.values(making_reads.DUE)
        undoing = await tx.tuples(making_reads.UNDOING)
        going = await tx.values(at_once_reads.GOING)
        ids = sorted({*due, *going, *(connection for _, connection in undoing)})
        linked = await reads.linked_by_id(tx, ids) if ids else {}
    done = 0
    for batch, connection_id in undoing:
        while not stop.is_set() and (n := await _take_some_back(runtime, linked[connection_id], batch)):
            done += n
    for connection_id in going:
        while not stop.is_set() and (n := await at_once.take_some_back(runtime, linked[connection_id])):
            done += n
    for connection_id in due:
        while not stop.is_set() and (n := await _make(runtime, linked[connection_id])):
            done += n
    return done


async def _make(runtime: Runtime, connection: Linked) -> int:
    try:
        async with runtime.db.transaction(Actor("connection", connection.code, connection.name)) as tx:
            return await _make_some(tx, connection)
    except Conflict as error:  # somebody made one of them at this moment: the next round takes it for what it is
        log.info("products_made_meanwhile", connection=connection.code, why=str(error))
        return 0


async def _make_some(tx: Tx, connection: Linked) -> int:
    of = {"connection_id": connection.id}
    found = await tx.tuples(making_writes.LOCK_FREE, of)
    if not found or found[0][1] == "never":
        return 0
    rows = await tx.all(Asked, making_writes.TAKE_ASKED, of | {"most": AT_ONCE})
    # What is one of ours is not made: by now, or because its reading broke off before that was looked up. What comes in
    # the place of those is looked up as well.
    while rows and await mapping.settle_exact(tx, connection.id, [row.code for row in rows]):
        rows = await tx.all(Asked, making_writes.TAKE_ASKED, of | {"most": AT_ONCE})
    if not rows:
        return 0
    news, flaws = await _news(tx, connection, rows, write=True)
    made = await catalog.make(tx, connection.code, news)
    flaws |= made.flaws
    skus = sorted(made.products)
    joined = {new.sku for new in news if new.joins}
    take = [bool(found[0][0]) and sku in joined for sku in skus]
    await tx.execute(making_writes.DONE, of | {"codes": skus, "skus": skus, "take": take})
    texts = [msgspec.json.encode(each, enc_hook=str).decode() for each in flaws.values()]
    await tx.execute(making_writes.REFUSED, of | {"codes": list(flaws), "flaws": texts})
    batched = [row for row in rows if row.code in made.products and row.make_batch is not None]
    await tx.execute(
        making_writes.NOTE_MADE,
        {
            "batches": [row.make_batch for row in batched],
            "codes": [row.code for row in batched],
            "skus": [row.code for row in batched],
            "products": [made.products[row.code] for row in batched],
        },
    )
    by_itself = [row.code for row in rows if row.code in made.products and row.make_batch is None]
    told = {"codes": by_itself, "skus": by_itself, "products": [made.products[code] for code in by_itself]}
    await tx.execute(at_once_writes.NOTE, of | told)
    if found[0][0]:
        await ownership.tell(tx, connection.code, skus)
    await tx.execute(writes.WAKE_MAPPED, of)
    log.info("products_made", connection=connection.code, variants=len(skus), refused=len(flaws))
    return len(rows)


async def _take_some_back(runtime: Runtime, connection: Linked, batch: int) -> int:
    """Take some of an acceptance away; return how many were looked at. Several transactions, killed it goes on."""
    async with runtime.db.transaction() as tx:
        found = await tx.tuples(making_reads.BATCH, {"batch": batch})
    if not found:
        return 0
    at, label, person = found[0]
    async with runtime.db.transaction(Actor.of_label(label or "", person or "")) as tx:
        creates = await unmaking.lock(tx, connection.id)
        if creates is None:
            return 0  # another worker is at it
        of = {"connection_id": connection.id, "batch": batch}
        await tx.execute(making_writes.DROP_ASKED, of)
        pairs = await tx.tuples(making_writes.TAKE_MADE, {"batch": batch, "most": AT_ONCE})
        if not pairs:
            await tx.execute(making_writes.END_UNDO, {"batch": batch})
            return 0
        codes, skus = [code for code, _ in pairs], [sku for _, sku in pairs]
        stay = await unmaking.unmake(tx, connection.id, pairs, at, aside=creates == "once")
        states = ["kept" if sku in stay else "undone" for sku in skus]
        await tx.execute(making_writes.END_MADE, {"batch": batch, "codes": codes, "states": states})
    log.info("products_taken_back", connection=connection.code, batch=batch, kept=len(stay), variants=len(pairs))
    return len(pairs)
