"""Use cases of listings and of how channels hear of stock."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from malha.catalog import ownership
from malha.channels import reads, writes
from malha.channels.errors import PushChanged, PushNotFound
from malha.channels.events import ListingsUnsettled
from malha.channels.model import ListingDraft, PushDraft, PushKind
from malha.network import reads as network
from malha.network.errors import UnknownChannel
from malha.network.model import Channel
from malha.network.service import refuse_limited
from malha.platform import audit, outbox, revisions, sealing, signing
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import new_id
from malha.platform.outward import never_asked

PURPOSE = "stock push"
MOST_LISTINGS = 10_000
SHORTEST_SECRET = 16
MOST_PRICE = 2_147_483_647  # centavos
PRICES = "prices"  # the revision of what channels ask themselves


async def channel_of(tx: Tx, code: str) -> Channel:
    """Return a channel by its code. What it is told sums up the stock of all locations.

    Raises:
        SharedByAll: the actor is limited to some locations.
        UnknownChannel: there is none.
    """
    refuse_limited(tx)
    found = {c.code: c for c in await network.channels(tx)}.get(code)
    if found is None:
        raise UnknownChannel(key=code)
    return found


async def push_of(tx: Tx, code: str) -> reads.PushRow:
    """Return how a channel hears of stock.

    Raises:
        UnknownChannel: there is no such channel.
        PushNotFound: it hears in no way.
    """
    await channel_of(tx, code)
    found = await reads.pushes(tx, code)
    if not found:
        raise PushNotFound(channel=code)
    return found[0]


async def lock_push(tx: Tx, code: str) -> int:
    """Let nobody else say how a channel hears of stock until the transaction ends; return its version, 0 for in no way.

    Raises:
        SharedByAll, UnknownChannel: as the names say.
    """
    await channel_of(tx, code)
    await tx.execute(writes.LOCK_PUSH, {"code": code})
    found = await reads.pushes(tx, code)
    return found[0].version if found else 0


async def put_push(
    tx: Tx, code: str, draft: PushDraft, version: int, keys: signing.Keys, *, allowed: Sequence[str] | None = None
) -> tuple[int, str | None]:
    """Say how a channel hears of stock; `version` 0 makes it. All its listings are told again.

    A webhook without a secret is given one. `allowed`: see `outward.inward`.

    Returns:
        The new version, and the secret if one was made: it is shown once.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid, OutwardRefused: the address or the secret cannot be used.
        PushChanged: somebody else changed it meanwhile.
    """
    channel = await channel_of(tx, code)
    await tx.execute(writes.LOCK_PUSH, {"code": code})
    before = next(iter(await reads.pushes(tx, code)), None)
    secret, made = draft.secret, None
    if draft.kind is PushKind.WEBHOOK:
        refuse([] if draft.url else [Flaw("url", N_("A webhook needs an address."), N_("Write it like https://…"))])
        refuse(never_asked("url", draft.url or "", allowed))
        if secret is None and not (before and before.has_secret):
            secret = made = secrets.token_urlsafe(32)
        says = N_("A secret has at least {least} characters.")
        if secret is not None and len(secret) < SHORTEST_SECRET:
            refuse([Flaw("secret", says, facts={"least": SHORTEST_SECRET})])
    stored: int | None = await tx.value(
        writes.PUT_PUSH,
        {
            "channel_id": channel.id,
            "kind": draft.kind.value,
            "url": draft.url if draft.kind is PushKind.WEBHOOK else None,
            "secret": sealing.seal(keys, PURPOSE, secret) if secret else None,
            "active": draft.active,
            "all_skus": draft.all_skus,
            "version": version,
        },
    )
    if stored is None or (before is None) != (version == 0):
        raise PushChanged(what="stock_push", key=code, channel=code)
    if draft.all_skus:
        await tx.execute(writes.LIST_ALL, {"channel_id": channel.id, "skus": None})
    facts = {"kind": draft.kind, "url": draft.url, "active": draft.active, "all_skus": draft.all_skus}
    action = "change" if before else "create"
    await audit.record(tx, action=action, entity="stock_push", entity_id=code, before=before, after=facts)
    return stored, made


async def drop_push(tx: Tx, code: str, version: int) -> None:
    """Stop telling a channel of stock. Its listings stay.

    Raises:
        SharedByAll, PushNotFound, PushChanged: as the names say.
    """
    before = await push_of(tx, code)
    channel = await channel_of(tx, code)
    if await tx.value(writes.DROP_PUSH, {"channel_id": channel.id, "version": version}) is None:
        raise PushChanged(what="stock_push", key=code, channel=code)
    await audit.record(tx, action="remove", entity="stock_push", entity_id=code, before=before)


async def resend(tx: Tx, code: str, *, everything: bool = False) -> None:
    """Look at all listings of a channel again and tell what differs; with `everything`, tell all of them.

    Raises:
        SharedByAll, PushNotFound: as the names say.
    """
    channel = await channel_of(tx, code)
    if await tx.value(writes.RESEND, {"channel_id": channel.id, "kind": None}) is None:
        raise PushNotFound(channel=code)
    if everything:
        await tx.execute(writes.FORGET_SENT, {"channel_id": channel.id})
    await audit.record(tx, action="resend", entity="stock_push", entity_id=code, after={"everything": everything})


async def tell_all(tx: Tx, channel_id: int) -> None:
    """Have a channel told all its listings, if a connection tells it: who hears of it may never have heard of any."""
    if await tx.value(writes.RESEND, {"channel_id": channel_id, "kind": "connector"}) is not None:
        await tx.execute(writes.FORGET_SENT, {"channel_id": channel_id})


async def look_again(tx: Tx, channel_id: int) -> None:
    """Look at all listings of a channel again, if it hears of stock: some are called otherwise now, or in use again."""
    await tx.execute(writes.RESEND, {"channel_id": channel_id, "kind": None})
    await revisions.bump(tx, "listings")


async def unsettle(tx: Tx, channel_id: int, skus: Sequence[str]) -> None:
    """Tell a channel the stock of some SKUs again, even where it is what the channel was told last.

    A channel that reckons with orders of its own shows another quantity once an order changed there.
    """
    found = await tx.values(writes.UNSETTLE, {"channel_id": channel_id, "skus": sorted(set(skus))})
    if found:
        await outbox.add(tx, ListingsUnsettled(id=new_id(), seq=1, channel_id=channel_id, skus=sorted(found)))


def check_price(price: int | None) -> Iterator[Flaw]:
    """Yield what is wrong with a channel's own price in centavos; None takes it back."""
    if price is not None and not 0 < price <= MOST_PRICE:
        yield Flaw("price", N_("A price is more than nothing."), N_("Take it back to have the catalogue's."))


async def kept_prices(tx: Tx, channel_id: int, skus: Mapping[str, int]) -> dict[str, Flaw]:
    """Return why a channel has no price of its own of some SKUs, given with their ids: it keeps the price itself."""
    kept = await ownership.prices_kept(tx, skus) if skus else {}
    own = set(await tx.values(reads.CONNECTIONS_OF, {"channel_id": channel_id})) if kept else set()
    return {
        sku: Flaw("price", ownership.SAYS, ownership.MEND, {"connection": by.owner, "name": by.name})
        for sku, by in kept.items()
        if by.owner in own
    }


async def own_prices(tx: Tx, channel_id: int, skus: Sequence[int]) -> dict[int, int]:
    """Return what a channel asks itself, by id of the SKU."""
    return dict(await tx.tuples(reads.OWN_PRICES, {"channel_id": channel_id, "skus": list(skus)})) if skus else {}


async def write_prices(tx: Tx, channel_id: int, prices: Mapping[int, int | None]) -> set[int]:
    """Write what SKUs cost on a channel, by id; return of which that is other than before.

    Who changed any bumps `PRICES` when nothing else is left to be locked: channels and feeds look again.
    """
    if not prices:
        return set()
    columns = {"skus": list(prices), "prices": list(prices.values())}
    return set(await tx.values(writes.PUT_PRICES, {"channel_id": channel_id, **columns}))


async def end_kept_prices(tx: Tx, connection: str, skus: Sequence[str] | None = None) -> int:
    """Take back prices of the channel's own of SKUs whose price its connection keeps itself; return how many.

    Whoever keeps a price says it alone: an own one would stand beside it, told to nobody, and be found in feeds. What
    each was is in the audit trail. Nothing happens where the connection keeps no prices, or has no channel.
    """
    ended = dict(await tx.tuples(writes.END_KEPT_PRICES, {"connection": connection, "skus": skus and list(skus)}))
    if ended:
        await revisions.bump(tx, PRICES)
        await audit.record(
            tx,
            action="change",
            entity="listing",
            entity_id=connection,
            before={"listings": {sku: {"price": price} for sku, price in ended.items()}},
            after={"count": len(ended), "listings": {sku: {"price": None} for sku in ended}},
        )
    return len(ended)


async def put_listings(tx: Tx, code: str, drafts: Sequence[ListingDraft]) -> list[str]:
    """List SKUs on a channel, or change how it calls them and what they cost there.

    Returns:
        The SKUs that are unknown, which are left out.

    Raises:
        SharedByAll, UnknownChannel: as the names say.
        Invalid: a SKU or a code is there twice, a price is none, or the channel keeps it itself.
    """
    channel = await channel_of(tx, code)
    for what, said in (("sku", [d.sku for d in drafts]), ("code", [d.code or d.sku for d in drafts])):
        twice = {value for value in said if said.count(value) > 1} if len(set(said)) < len(said) else set()
        refuse([Flaw(what, N_("{value} is there twice."), facts={"value": value}) for value in sorted(twice)])
    ids = await reads.sku_ids(tx, [d.sku for d in drafts])
    known = [d for d in drafts if d.sku in ids]
    prices = {d.sku: d.price for d in known if d.price is not msgspec.UNSET}
    flaws = [flaw for price in prices.values() for flaw in check_price(price)]
    given = {sku: ids[sku] for sku, price in prices.items() if price is not None}
    refuse([*flaws, *(await kept_prices(tx, channel.id, given)).values()])
    await tx.execute(
        writes.PUT_LISTINGS,
        {
            "channel_id": channel.id,
            "skus": [ids[d.sku] for d in known],
            "codes": [d.code or d.sku for d in known],
            "active": [d.active for d in known],
        },
    )
    await look_again(tx, channel.id)
    cost = await own_prices(tx, channel.id, [ids[sku] for sku in prices])
    changed = await write_prices(tx, channel.id, {ids[sku]: price for sku, price in prices.items()})
    if changed:
        await revisions.bump(tx, PRICES)
    facts: dict[str, Any] = {"count": len(known), "skus": [d.sku for d in known[:100]]}
    was: dict[str, Any] | None = None
    if changed:
        priced = [sku for sku in prices if ids[sku] in changed]
        was = {"listings": {sku: {"price": cost.get(ids[sku])} for sku in priced}}
        facts["listings"] = {sku: {"price": prices[sku]} for sku in priced}
    await audit.record(tx, action="list", entity="listing", entity_id=code, before=was, after=facts)
    return [d.sku for d in drafts if d.sku not in ids]
