"""Use cases of listings over a connection: look at what a channel gets, say it otherwise, publish, end.

What is published is queued as a statement of the whole listing; only the newest counts, and none is queued that says
what the last one said. What is sent is worked out anew at that moment (`posting`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from malha.channels import service as channels
from malha.channels.connecting import queueing
from malha.channels.connecting import reads as connections
from malha.channels.connecting.model import Linked, NewOp, OpKind
from malha.channels.connecting.model import Status as ConnectionStatus
from malha.channels.connecting.service import connection_of
from malha.channels.feeds.model import Mapped
from malha.channels.listings import making, reads, rules, writes
from malha.channels.listings.errors import ListingChanged, UnknownListing
from malha.channels.listings.making import Maker
from malha.channels.listings.model import Content, ListingError, Status
from malha.channels.listings.reads import Goods, Place
from malha.platform import audit, revisions
from malha.platform.db import Database, Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_

AT_ONCE = 500
MOST = 1_000  # listings of one call
_encode = msgspec.json.Encoder().encode


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A listing with what its channel gets; `version` is of what is said of it there."""

    goods: Goods
    content: Content
    sells: bool
    version: int


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """What publishing or ending did: queued, the same as before, and by SKU why it was not.

    `unknown`: there is no such SKU, or its code means another one on the channel.
    """

    queued: int = 0
    unchanged: int = 0
    refused: dict[str, list[ListingError]] = {}
    unknown: list[str] = []


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what is said is other than before, prices included, and how many prices."""

    all: int = 0
    prices: int = 0


async def listing_of(tx: Tx, code: str, sku: str) -> tuple[Linked, Listing]:
    """Return what a channel gets of a SKU, field by field.

    Raises:
        SharedByAll, UnknownConnection, NoListings, UnknownListing: as the names say.
    """
    connection = await connection_of(tx, code)
    maker = await making.maker_of(tx, connection)
    goods = await reads.goods_of_sku(tx, maker.place, sku)
    if goods is None:
        raise UnknownListing(key=sku)
    content = maker.made(goods, goods.version)
    sells = maker.sells(goods)
    return connection, Listing(goods=goods, content=content, sells=sells, version=goods.said_version)


# --- saying it otherwise ---


async def say(
    tx: Tx,
    code: str,
    sku: str,
    said: Mapping[str, Any],
    version: int,
    *,
    price: int | msgspec.UnsetType | None = msgspec.UNSET,
) -> int:
    """Say fields of a listing otherwise; None takes back what was said. A shared field is said of the whole product.

    `price`: what the SKU costs on this channel, in centavos; None: what the catalogue says.

    Returns:
        The new version.

    Raises:
        SharedByAll, UnknownConnection, NoListings, UnknownListing: as the names say.
        ListingChanged: somebody else said something meanwhile.
        Invalid: the channel has no such field, the value is of another kind, or the channel keeps the price itself.
    """
    connection, maker, before = await _held(tx, code, sku)
    if before.said_version != version:
        raise ListingChanged(what="listing", key=sku)
    prices = {} if isinstance(price, msgspec.UnsetType) else {sku: price}
    if (await say_all(tx, connection, maker, [(sku, name, value) for name, value in said.items()], prices)).prices:
        await revisions.bump(tx, channels.PRICES)
    after = await reads.goods_of_sku(tx, maker.place, sku)
    return version if after is None else after.said_version


async def say_many(
    tx: Tx, code: str, said: Sequence[tuple[str, str, Any]], prices: Mapping[str, int | None] | None = None
) -> int:
    """Say fields (second) of SKUs (first) otherwise, and what SKUs cost there, each as in `say`.

    Returns:
        How many are other than before.

    Raises:
        SharedByAll, UnknownConnection, NoListings: as the names say.
        Invalid: a SKU or a field is unknown, a value is of another kind, or the channel keeps a price itself.
    """
    connection = await connection_of(tx, code)
    maker = await making.maker_of(tx, connection)
    await lock(tx, connection)
    changed = await say_all(tx, connection, maker, said, prices or {})
    if changed.prices:
        await revisions.bump(tx, channels.PRICES)
    return changed.all


async def lock(tx: Tx, connection: Linked) -> None:
    """Let nobody else say anything of a connection's listings until the transaction ends."""
    await tx.execute(writes.ENSURE_PLAN, {"connection_id": connection.id})
    await tx.execute(writes.LOCK_PLAN, {"connection_id": connection.id})


async def lock_listing(tx: Tx, code: str, sku: str) -> int:
    """Let nobody else say anything of a connection's listings until the transaction ends; return the version of one.

    Raises:
        SharedByAll, UnknownConnection, NoListings, UnknownListing: as the names say.
    """
    return (await _held(tx, code, sku))[2].said_version


async def _held(tx: Tx, code: str, sku: str) -> tuple[Linked, Maker, Goods]:
    connection = await connection_of(tx, code)
    maker = await making.maker_of(tx, connection)
    await lock(tx, connection)
    found = await reads.goods_of_sku(tx, maker.place, sku)
    if found is None:
        raise UnknownListing(key=sku)
    return connection, maker, found


async def lock_mapping(tx: Tx, code: str) -> int:
    """Let nobody else say how a connection's listings are made until the transaction ends; return the version.

    Raises:
        SharedByAll, UnknownConnection, NoListings: as the names say.
    """
    connection = await connection_of(tx, code)
    making.profile_of(connection)
    await lock(tx, connection)
    return (await reads.plan(tx, connection.id))[1]


async def say_all(
    tx: Tx,
    connection: Linked,
    maker: Maker,
    said: Sequence[tuple[str, str, Any]],
    prices: Mapping[str, int | None],
) -> Changed:
    """Do what `say_many` does, for who has the lock already and what makes the connection's content.

    Who changed prices bumps `channels.PRICES` when nothing else is left to be locked.
    """
    asked = [sku for sku, _, _ in said] + list(prices)
    known = await reads.skus_of(tx, sorted(set(asked)))
    flaws = [Flaw("sku", N_("There is no SKU {value}."), facts={"value": s[:80]}) for s in asked if s not in known]
    flaws += [f for _, name, value in said if value is not None for f in rules.check_said(maker.profile, {name: value})]
    flaws += [f for price in prices.values() for f in channels.check_price(price)]
    given = {sku: known[sku][0] for sku, price in prices.items() if price is not None and sku in known}
    flaws += (await channels.kept_prices(tx, connection.channel_id, given)).values()
    refuse(flaws)
    products = sorted({product for _, product in known.values()})
    now = await reads.overrides_of(tx, connection.id, products)
    wanted: dict[tuple[int, int], dict[str, Any]] = {}
    changed: dict[str, dict[str, Any]] = {}
    for sku, name, value in said:
        sku_id, product = known[sku]
        key = (product, 0 if rules.shared_of(maker.profile, name) else sku_id)
        row = wanted.setdefault(key, dict(now.get(key, {})))
        if row.get(name) != value:
            changed.setdefault(sku, {})[name] = value
        if value is None:
            row.pop(name, None)
        else:
            row[name] = value
    if changed:
        await tx.execute(
            writes.PUT_OVERRIDES,
            {
                "connection_id": connection.id,
                "products": [product for product, _ in wanted],
                "skus": [sku or None for _, sku in wanted],
                "saids": [_encode(row).decode() for row in wanted.values()],
            },
        )
    cost = await channels.own_prices(tx, connection.channel_id, [known[sku][0] for sku in prices])
    priced = await channels.write_prices(
        tx, connection.channel_id, {known[sku][0]: price for sku, price in prices.items()}
    )
    was: dict[str, dict[str, Any]] = {}
    for sku, price in prices.items():
        if known[sku][0] in priced:
            changed.setdefault(sku, {})[rules.PRICE] = price
            was[sku] = {rules.PRICE: cost.get(known[sku][0])}
    if not changed:
        return Changed()
    # All prices, however many: money that somebody asked for. Of texts the first.
    shown = [sku for sku in changed if sku in was] + [sku for sku in changed if sku not in was][:50]
    facts = {"count": sum(map(len, changed.values())), "listings": {sku: changed[sku] for sku in shown}}
    before = {"listings": was} if was else None
    await audit.record(tx, action="change", entity="listing", entity_id=connection.code, before=before, after=facts)
    touched = await reads.of_products(tx, connection.id, products)
    for n in range(0, len(touched), AT_ONCE):
        await _work_out(tx, connection, maker, touched[n : n + AT_ONCE])
    return Changed(all=sum(map(len, changed.values())), prices=len(priced))


async def put_mapping(tx: Tx, code: str, mapping: Sequence[Mapped] | None, version: int) -> int:
    """Say how the peer's fields are made of ours; None: in the usual way. All that is published is worked out anew.

    Returns:
        The new version.

    Raises:
        SharedByAll, UnknownConnection, NoListings, ListingChanged: as the names say.
        Invalid: the mapping makes no sense.
    """
    connection = await connection_of(tx, code)
    profile = making.profile_of(connection)
    refuse(list(rules.check_mapping(profile, mapping or [], connection.currency)))
    await lock(tx, connection)
    before, _, _ = await reads.plan(tx, connection.id)
    told = None if mapping is None else _encode(list(mapping)).decode()
    stored: int | None = await tx.value(
        writes.PUT_PLAN, {"connection_id": connection.id, "mapping": told, "version": version}
    )
    if stored is None:
        raise ListingChanged(what="listing_plan", key=code)
    was, after = {"mapping": before}, {"mapping": mapping}
    await audit.record(tx, action="map", entity="listing", entity_id=code, before=was, after=after)
    return stored


# --- publishing ---


async def publish(tx: Tx, code: str, skus: Sequence[str]) -> Published:
    """Have SKUs sold on the channel, and kept there as they are here; what is not listed yet is.

    What has errors is not sent, and goes by itself once they are mended.

    Raises:
        SharedByAll, UnknownConnection, NoListings: as the names say.
        Invalid: too many at once.
    """
    connection, maker, known = await _chosen(tx, code, skus)
    ids = sorted(known.values())
    if await tx.values(writes.LIST_THEM, {"channel_id": connection.channel_id, "skus": ids}):
        await channels.look_again(tx, connection.channel_id)
    columns = {"connection_id": connection.id, "channel_id": connection.channel_id, "skus": ids}
    await tx.execute(writes.WANT, columns)
    done = await _work_out(tx, connection, maker, ids, again=True)
    taken = set(await tx.values(writes.LOCK_POSTS, {"connection_id": connection.id, "skus": ids}))
    unknown = [sku for sku in dict.fromkeys(skus) if known.get(sku) not in taken]
    facts = {"skus": list(skus[:100]), "count": len(skus), "queued": done.queued}
    await audit.record(tx, action="publish", entity="listing", entity_id=code, after=facts)
    return msgspec.structs.replace(done, unknown=unknown)


async def end(tx: Tx, code: str, skus: Sequence[str]) -> Published:
    """Have SKUs not sold on the channel any more; what was never sent is a draft again.

    Raises:
        SharedByAll, UnknownConnection, NoListings: as the names say.
        Invalid: too many at once.
    """
    connection, maker, known = await _chosen(tx, code, skus)
    ids = sorted(known.values())
    ended = await tx.values(writes.UNWANT, {"connection_id": connection.id, "skus": ids})
    done = await _work_out(tx, connection, maker, sorted(ended))
    facts = {"skus": list(skus[:100]), "count": len(ended), "queued": done.queued}
    await audit.record(tx, action="end", entity="listing", entity_id=code, after=facts)
    return msgspec.structs.replace(done, unknown=[sku for sku in dict.fromkeys(skus) if sku not in known])


async def _chosen(tx: Tx, code: str, skus: Sequence[str]) -> tuple[Linked, Maker, dict[str, int]]:
    refuse([Flaw("skus", N_("At most {most} at once."), facts={"most": MOST})] if len(skus) > MOST else [])
    connection = await connection_of(tx, code)
    maker = await making.maker_of(tx, connection)
    return connection, maker, {sku: id_ for sku, (id_, _) in (await reads.skus_of(tx, list(skus))).items()}


async def _work_out(tx: Tx, connection: Linked, maker: Maker, ids: Sequence[int], *, again: bool = False) -> Published:
    """Work out what was published and queue what differs from the last statement; `again`: also what was refused."""
    if not ids:
        return Published()
    await tx.values(writes.LOCK_POSTS, {"connection_id": connection.id, "skus": list(ids)})
    found = [g for g in await reads.goods_of(tx, maker.place, ids) if g.wanted or g.version]
    ops: list[NewOp] = []
    noted: list[tuple[int, int, bytes | None, str]] = []
    refused: dict[str, list[ListingError]] = {}
    for goods in found:
        content = maker.made(goods, goods.version + 1)
        sells = maker.sells(goods)
        digest: bytes | None = None
        errors = goods.errors
        if sells and content.push is None:
            errors = refused[goods.sku] = content.errors
        elif sells or goods.version:
            settled = goods.status in {Status.LIVE, Status.ENDED}
            if content.digest != goods.queued or (again and not settled):
                digest, errors = content.digest, []
                ops.append(_op(connection, goods))
        else:
            errors = []
        noted.append((goods.sku_id, goods.stamp, digest, _encode(errors).decode()))
    await tx.execute(
        writes.NOTE_WORKED,
        {
            "connection_id": connection.id,
            "skus": [row[0] for row in noted],
            "stamps": [row[1] for row in noted],
            "digests": [row[2] for row in noted],
            "errors": [row[3] for row in noted],
        },
    )
    if ops:
        await queueing.add(tx, ops)
        entities = [op.entity for op in ops]
        await tx.execute(writes.RETIRE_DEAD, {"connection_id": connection.id, "entities": entities})
    return Published(queued=len(ops), unchanged=len(found) - len(ops) - len(refused), refused=refused)


def _op(connection: Linked, goods: Goods) -> NewOp:
    return NewOp(
        connection_id=connection.id,
        kind=OpKind.PUT_LISTING,
        entity=f"listing:{goods.sku}",
        name=goods.sku,
        payload={"sku_id": goods.sku_id},
        version=goods.version + 1,
    )


# --- following the catalogue ---


async def offer(db: Database) -> int:
    """Queue the listings that are other than what their channel was told; return how many.

    Once for each state of the catalogue: the catalogue tells of changes by its revision, not by events.
    """
    async with db.transaction() as tx:
        linked = [c for c in await connections.all_linked(tx) if c.status == ConnectionStatus.ACTIVE]
    return sum([await _offer(db, c) for c in linked if making.takes(c.connector)])


async def _offer(db: Database, connection: Linked) -> int:
    async with db.transaction() as tx:
        now = await reads.revisions(tx)  # before anything is read: what changes meanwhile is found by the next
        if (await reads.plan(tx, connection.id))[2] == now:
            return 0
        maker = await making.maker_of(tx, connection)
    queued = after = 0
    while True:
        async with db.transaction() as tx:
            ids = await reads.to_look_at(tx, maker.place, after, AT_ONCE)
            queued += (await _work_out(tx, connection, maker, ids)).queued
            if len(ids) < AT_ONCE:
                await tx.execute(writes.ENSURE_PLAN, {"connection_id": connection.id})
                await tx.execute(writes.NOTE_SEEN, {"connection_id": connection.id, "seen": now})
                return queued
        after = ids[-1]


def place_of(connection: Linked) -> Place:
    """Return where a connection's listings are, to list and count them."""
    return Place(connection.id, connection.channel_id)
