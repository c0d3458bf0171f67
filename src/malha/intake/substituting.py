"""Other goods for a line that cannot be filled: what there is to choose from, and putting one in its place at once.

A SKU stands in for another where its product says so. Choosing one retires the units that wait, reserves the others as
an order would be, fences and caps included, and asks no more money than before: all of it or nothing, in one
transaction. Lock order: order, then fences and caps, then balances.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from malha.catalog import reads as catalog
from malha.catalog.model import VariantCard
from malha.intake import availability, replanning
from malha.intake.availability import Substitute
from malha.intake.reference import Reference, reference_in
from malha.inventory import service as inventory
from malha.inventory.ahead import service as ahead
from malha.inventory.allotments.model import Taker
from malha.network.model import Channel
from malha.ordering import replacing
from malha.ordering import service as ordering
from malha.ordering.errors import (
    LineNotFound,
    NotASubstitute,
    NothingWaits,
    ReplacedUnasked,
    ReplacedUnpaid,
    SubstituteNotFree,
)
from malha.ordering.model import CLAIMS_NOTHING, HoldKind, Line, Order, UnitState
from malha.ordering.replacing import Goods
from malha.ordering.rules import whole_units
from malha.platform.db import Tx
from malha.platform.ids import UUID


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A line with units that wait for stock, and what could stand in for them now, in the product's order."""

    line: int
    sku: str
    waiting: int
    substitutes: list[Substitute]


class Replaced(msgspec.Struct, frozen=True, kw_only=True):
    """What a replacement did; `amount` is what the order costs less, in centavos."""

    by_line: int
    sku: str
    quantity: int
    amount: int


async def available(
    tx: Tx,
    reference: Reference,
    channel: Channel,
    sku_ids: Collection[int],
    *,
    customer_group: str | None = None,
    only: Collection[int] | None = None,
) -> dict[int, list[Substitute]]:
    """Return, per SKU, its substitutes that a channel may sell some of now, in the product's order."""
    named = await catalog.substitutes_of(tx, sorted(sku_ids))
    codes = {card.sku for cards in named.values() for card in cards}
    if not codes:
        return {id_: [] for id_ in sku_ids}
    cards = await reference.cards(tx, codes)
    told = await availability.offers(tx, reference, channel, cards, customer_group=customer_group, only=only)
    units = {offer.sku: offer.available for offer in told.skus}
    return {
        id_: [
            Substitute(sku=card.sku, name=card.name, price=card.price, available=units[card.sku])
            for card in found
            if units.get(card.sku)
        ]
        for id_, found in named.items()
    }


async def choices(tx: Tx, order_id: UUID) -> list[Choice]:
    """Return the lines of an order with units that wait, each with what could stand in for them.

    Lines without any substitute on sale and available are left out, and so is everything while the order's time to pay
    is over. What is counted is at locations the actor sees. Nothing is locked: the choice decides.
    """
    lines = (await ordering.lines_of(tx, [order_id]))[order_id]
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    waiting = {line.line: n for line in lines if (n := replacing.waiting(line, units))}
    if not waiting or CLAIMS_NOTHING & (await ordering.open_holds(tx, [order_id]))[order_id].keys():
        return []
    order = await ordering.look_at(tx, order_id)
    reference = await reference_in(tx)
    channel = next(c for c in reference.channels.values() if c.id == order.channel_id)
    skus = {line.line: line.sku_id for line in lines if line.line in waiting and line.sku_id is not None}
    only = tx.actor.locations if order.pickup_location_id is None else {order.pickup_location_id}
    found = await available(tx, reference, channel, set(skus.values()), customer_group=order.customer_group, only=only)
    codes = {card.id: card.sku for card in await catalog.by_ids(tx, sorted(set(skus.values())))}
    return [
        Choice(line=n, sku=codes[sku_id], waiting=waiting[n], substitutes=found[sku_id])
        for n, sku_id in sorted(skus.items())
        if found[sku_id]
    ]


async def replace(tx: Tx, order_id: UUID, line: int, sku: str, quantity: int | None = None) -> Replaced:
    """Put a substitute in the place of units of a line that wait: all that do, or `quantity` of them.

    Raises:
        LineNotFound, NothingWaits: there is no such line, or fewer units of it wait.
        NotASubstitute: the product does not name this SKU, or it is off sale.
        ReplacedUnasked: nobody has said yet that the order may have so many.
        ReplacedUnpaid: the order's time to pay is over.
        SubstituteNotFree: no location could serve all of it; nothing was changed.
    """
    order = await ordering.lock_order(tx, order_id)
    mine = await _line(tx, order, line)
    held = (await ordering.open_holds(tx, [order_id]))[order_id]
    if HoldKind.PAYMENT_LAPSED in held:
        raise ReplacedUnpaid(number=order.number)
    if HoldKind.QUANTITY in held:
        raise ReplacedUnasked(number=order.number)
    there = replacing.waiting(mine, (await ordering.units_of(tx, [order_id]))[order_id])
    quantity = max(there, 1) if quantity is None else quantity
    if mine.sku_id is None or not 0 < quantity <= there:
        raise NothingWaits(number=order.number, line=line, open=there, quantity=quantity)
    named = (await catalog.substitutes_of(tx, [mine.sku_id]))[mine.sku_id]
    card = _chosen(named, sku.strip(), await _codes(tx, [mine.sku_id]), mine.sku_id)
    goods = Goods(
        sku_id=card.id,
        sku=card.sku,
        name=card.name,
        price=card.price,
        components={part.sku_id: part.quantity for part in card.components},
    )
    await _lock_stock(tx, order, card)
    new = await replacing.replace_units(tx, order, mine, quantity, goods)
    await replanning.place_units(tx, order_id, locked=True)
    # What only supply to come could cover is not there: the customer would wait for a second thing.
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    allocated = [u for u in units if u.state is UnitState.ALLOCATED]
    placed = whole_units(await _line(tx, order, new), allocated)
    if placed < quantity:
        raise SubstituteNotFree(sku=card.sku, missing=quantity - placed, quantity=quantity)
    after = await ordering.lock_order(tx, order_id)
    return Replaced(by_line=new, sku=card.sku, quantity=quantity, amount=order.payable - after.payable)


async def _lock_stock(tx: Tx, order: Order, card: VariantCard) -> None:
    """Lock supply and balances of everything that may be given back or claimed, in their order, before any of it is."""
    units = (await ordering.units_of(tx, [order.id]))[order.id]
    skus = {u.sku_id for u in units if u.sku_id is not None and u.state is not UnitState.CANCELLED}
    sku_ids = sorted(skus | ({part.sku_id for part in card.components} or {card.id}))
    taker = Taker(order.channel_id, order.customer_group)
    await ahead.lock_for(tx, [order.id], sku_ids, [taker])
    await inventory.lock_stock(tx, sku_ids, {order.id: taker})


async def _line(tx: Tx, order: Order, number: int) -> Line:
    for line in (await ordering.lines_of(tx, [order.id]))[order.id]:
        if line.line == number:
            return line
    raise LineNotFound(number=order.number, line=number)


async def _codes(tx: Tx, ids: Sequence[int]) -> dict[int, str]:
    return {card.id: card.sku for card in await catalog.by_ids(tx, ids)}


def _chosen(named: Sequence[VariantCard], sku: str, codes: Mapping[int, str], instead_of: int) -> VariantCard:
    for card in named:
        if card.sku == sku:
            return card
    raise NotASubstitute(sku=sku, instead_of=codes[instead_of])
