"""Connections that keep fields of products: which, tried before it is so, and what they tell written by a worker."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import structlog

from malha.catalog import ownership, taking
from malha.catalog.taking import Change, Plan
from malha.channels import service as channels
from malha.channels.connecting import (
    making_writes,
    master_reads,
    master_rules,
    master_writes,
    reads,
    registry,
    writes,
)
from malha.channels.connecting.categories import settle
from malha.channels.connecting.errors import ProductRoleChanged, TellsNoProducts
from malha.channels.connecting.master_rules import TellsRow
from malha.channels.connecting.model import Linked
from malha.channels.connecting.runtime import Runtime
from malha.channels.connecting.service import connection_of
from malha.channels.contract import Capability
from malha.platform import audit, revisions
from malha.platform.db import Actor, Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_

log = structlog.get_logger(__name__)

STREAM = "products"
AT_ONCE = 200  # variants in a transaction
LOOKED_AT = 5_000  # variants, of which a preview tells
SAMPLE = 50


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What keeping fields would change, of the first variants that the channel tells of: `looked` of `mapped`.

    `counts` is how many values would change, by field; `sample` some of them; `products` how many products would.
    `own_prices`: of how many SKUs a price of the channel's own would end, because the connection would keep it.
    """

    mapped: int
    looked: int
    products: int
    counts: dict[str, int]
    sample: list[Change]
    held: dict[str, list[Flaw]]
    conflicts: list[ownership.Owner]
    own_prices: int


async def lock_fields(tx: Tx, code: str) -> int:
    """Let nobody else say what a connection keeps until the transaction ends; return the version, 0 for nothing yet.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
    """
    found = await connection_of(tx, code)
    await _lock(tx, found.id)
    return (await master_reads.master(tx, found.id)).version


async def _lock(tx: Tx, connection_id: int) -> None:
    await tx.execute(master_writes.LOCK_SAYING, {"connection_id": connection_id})
    await tx.tuples(master_writes.LOCK, {"connection_id": connection_id})


async def put_fields(
    tx: Tx, code: str, fields: Sequence[str], version: int, creates: str = "never", categories: str = "held"
) -> int:
    """Say which fields of products a connection keeps (none: nothing); return the new version, from `version` 0 on.

    What it told last is written by a worker, and its products are read anew, all of them. `creates` is what becomes of
    variants that nobody here knows: never made products, held until somebody accepts them, or made at once;
    `categories` of those that nobody here knows: held, or made. Prices of its channel's own end where it keeps them.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
        TellsNoProducts: its connector does not say what the channel sells.
        ProductFieldOwned: another connection keeps one of the fields.
        ProductRoleChanged: somebody changed it meanwhile.
        Invalid: its connector does not tell a field.
    """
    found = await connection_of(tx, code)
    refuse(_flaws(found, fields, creates))
    await _lock(tx, found.id)
    before = await master_reads.master(tx, found.id)
    stored: int | None = None
    if before.version == version:
        kept = [f for f in ownership.FIELDS if f in fields]
        params = {"connection_id": found.id, "fields": kept, "creates": creates, "categories": categories}
        params["version"] = version
        stored = await tx.value(master_writes.PUT, params)
    if stored is None:
        raise ProductRoleChanged(key=code)
    if "price" in before.fields and "price" not in fields:  # from now on it is told them again
        await tx.execute(master_writes.FORGET_PRICES, {"connection_id": found.id})
        await revisions.bump(tx, channels.PRICES)
    await ownership.claim(tx, found.code, found.name, fields)
    if "price" in fields:
        await channels.end_kept_prices(tx, found.code)
    if creates == "never":
        await tx.execute(making_writes.ASK_NO_MORE, {"connection_id": found.id})
    if fields:
        await tx.execute(master_writes.HAVE_ALL_TAKEN, {"connection_id": found.id})
    else:
        await tx.execute(master_writes.HOLD_NOTHING, {"connection_id": found.id})
    if not registry.is_asked(registry.connector_of(found.connector), Capability.CATALOG_SOURCE):
        if creates == "once" and before.creates != "once":  # its files were read: what they told of is made now
            waiting = {"connection_id": found.id, "codes": None, "refused": False, "at_once": True}
            await tx.values(making_writes.ASK, waiting)
    elif fields or creates != "never":
        await tx.execute(writes.ADD_CURSOR, {"id": found.id, "stream": STREAM, "since": None})
        await tx.value(writes.REWIND, {"id": found.id, "stream": STREAM, "since": None})
    was = {"fields": sorted(before.fields), "creates": before.creates, "categories": before.categories}
    now = {"fields": sorted(fields), "creates": creates, "categories": categories}
    await audit.record(tx, action="keep_products", entity="connection", entity_id=code, before=was, after=now)
    return stored


def _flaws(connection: Linked, fields: Sequence[str], creates: str = "never") -> list[Flaw]:
    able = master_rules.able(registry.connectors().get(connection.connector))
    if (fields or creates != "never") and not able:
        raise TellsNoProducts(connector=connection.connector)
    if creates not in master_rules.CREATES:
        raise ValueError(creates)
    says = N_("The connector {connector} does not tell the field {field}.")
    mend = N_("Choose among: {fields}.")
    more = {"connector": connection.connector, "fields": ", ".join(able)}
    return [Flaw("fields", says, mend, {"field": f[:40], **more}) for f in sorted(set(fields)) if f not in able]


async def preview(tx: Tx, code: str, fields: Sequence[str]) -> Preview:
    """Return what it would change if a connection kept these fields; nothing is written.

    Raises:
        UnknownConnection, SharedByAll: as the names say.
        TellsNoProducts, Invalid: see `put_fields`.
    """
    found = await connection_of(tx, code)
    refuse(_flaws(found, fields))
    owners = await ownership.owners(tx)
    counts: dict[str, int] = {}
    sample: list[Change] = []
    held: dict[str, list[Flaw]] = {}
    seen: set[str] = set()
    looked, products, after = 0, 0, ""
    while fields and looked < LOOKED_AT:
        params = {"connection_id": found.id, "after": after, "most": AT_ONCE}
        page = await tx.tuples(master_reads.MAPPED_AFTER, params)
        rows = await master_reads.told_of_products(tx, found.id, [id_ for _, id_ in page])
        told, wrong = master_rules.told_of([row for row in rows if row.product not in seen], fields)
        seen |= {row.product for row in rows}
        await _settle(tx, found.id, told, rows, wrong, write=False)
        for plan in await taking.plan(tx, told):
            products += plan.draft is not None
            sample += plan.changes[: max(0, SAMPLE - len(sample))]
            for change in plan.changes:
                counts[change.field] = counts.get(change.field, 0) + 1
            flaws = [*wrong.get(plan.before.code, []), *plan.flaws]
            if flaws and len(held) < SAMPLE:
                held[plan.before.code] = flaws
        looked += len(page)
        if len(page) < AT_ONCE:
            break
        after = page[-1][0]
    asked = {"connection_id": found.id, "channel_id": found.channel_id}
    return Preview(
        mapped=(await master_reads.counts(tx, found.id)).mapped,
        looked=looked,
        products=products,
        counts={field: counts[field] for field in ownership.FIELDS if field in counts},
        sample=sample,
        held=held,
        conflicts=[owners[f] for f in sorted(set(fields)) if f in owners and owners[f].owner != found.code],
        own_prices=await tx.value(master_reads.OWN_PRICES, asked) if "price" in fields else 0,
    )


# --- what is told, written ---


async def work(runtime: Runtime, stop: asyncio.Event) -> int:
    """Write what connections told of fields that they keep; return of how many variants. Several workers may."""
    async with runtime.db.transaction() as tx:
        due = await tx.values(master_reads.DUE)
        linked = await reads.linked_by_id(tx, due) if due else {}
    done = 0
    for connection in linked.values():
        while not stop.is_set() and (n := await _take(runtime, connection)):
            done += n
    return done


async def _take(runtime: Runtime, connection: Linked) -> int:
    async with runtime.db.transaction(Actor("connection", connection.code, connection.name)) as tx:
        found = await tx.tuples(master_writes.LOCK_FREE, {"connection_id": connection.id})
        fields = found[0][0] if found else []
        if not fields:
            return 0
        ids = await tx.values(master_writes.TAKE_DUE, {"connection_id": connection.id, "most": AT_ONCE})
        if not ids:
            return 0
        rows = await master_reads.told_of_products(tx, connection.id, ids)
        told, wrong = master_rules.told_of(rows, fields)
        await _settle(tx, connection.id, told, rows, wrong, write=True)
        plans = await taking.take(tx, connection.code, told)
        if "price" in fields:
            await channels.end_kept_prices(tx, connection.code, list(told))
        await _hold(tx, connection.id, plans, wrong)
    changed = sum(len(plan.changes) for plan in plans)
    log.info("products_taken", connection=connection.code, variants=len(ids), changed=changed)
    return len(ids)


async def _settle(
    tx: Tx,
    connection_id: int,
    told: dict[str, dict[str, Any]],
    rows: Sequence[TellsRow],
    wrong: dict[str, list[Flaw]],
    *,
    write: bool,
) -> None:
    """Put our categories in the place of the channel's; what is unknown is wrong with its product, once."""
    unknown = await settle(tx, connection_id, told, write=write)
    for product, flaw in {row.product: unknown[row.sku] for row in rows if row.sku in unknown}.items():
        wrong.setdefault(product, []).append(flaw)


async def _hold(tx: Tx, connection_id: int, plans: Sequence[Plan], wrong: dict[str, list[Flaw]]) -> None:
    flaws = {plan.before.code: [*wrong.get(plan.before.code, []), *plan.flaws] for plan in plans}
    held = {code: each for code, each in flaws.items() if each}
    sound = {"connection_id": connection_id, "products": [code for code in flaws if code not in held]}
    await tx.execute(master_writes.HOLD_NO_MORE, sound)
    if held:
        texts = [msgspec.json.encode(each, enc_hook=str).decode() for each in held.values()]
        await tx.execute(master_writes.HOLD, {"connection_id": connection_id, "products": list(held), "flaws": texts})
