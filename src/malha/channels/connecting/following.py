"""From what happened here to what peers are to be told: shipments, cancels, prices. Notes it down; sends nothing.

Refunds are not among it: that one was recorded says that money went back already. Who wants the channel to give it back
asks for it (`ask_refund`).
"""

from collections.abc import Sequence
from typing import Any

from malha.channels.connecting import configuring, queueing, reads, refunding, registry, writes
from malha.channels.connecting.errors import UnknownEntry
from malha.channels.connecting.model import Linked, NewOp, OpKind, Status
from malha.channels.connecting.reads import Bound
from malha.channels.connecting.service import connection_of
from malha.channels.contract import CancelPush, Capability, PricePush, RefundPush, ShipmentPush, ShippedLine
from malha.network import reads as network
from malha.ordering import service as ordering
from malha.platform import audit
from malha.platform.db import Database, Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.money import Money
from malha.platform.subscribers import Recorded

TYPES = ("fulfillment.shipped", "order.cancelled")
PRICES_AT_ONCE = 1_000


async def note_operations(tx: Tx, events: list[Recorded]) -> None:
    """Queue what the channels of these orders are to be told. What came from a channel is not told to it again."""
    bound: dict[str, list[Bound]] = {}
    for found in await reads.bound(tx, "order", sorted({event.id for event in events})):
        bound.setdefault(found.internal_id, []).append(found)
    concerned = [event for event in events if event.id in bound]
    if not concerned:
        return
    shipped = [e for e in concerned if e.type == "fulfillment.shipped"]
    cancelled = [e for e in concerned if e.type == "order.cancelled"]
    parcels = {s["id"]: (e, s) for e in shipped for s in e.facts()["shipments"]}
    sent = await reads.shipped_lines(tx, sorted(parcels)) if parcels else {}
    places = await _places(tx, shipped)
    lines = await reads.order_lines(tx, sorted({e.id for e in cancelled})) if cancelled else {}
    ops: list[NewOp] = []
    for id_, (event, parcel) in parcels.items():
        if not sent.get(id_):
            continue  # a box of goods that are counted in another one: channels know parcels by their units
        place = places.get(event.facts()["location_id"], "")
        ops += [_shipment(to, event, id_, parcel, sent[id_], place) for to in _others(bound[event.id], event)]
    for event in cancelled:
        ops += [_cancel(to, event, lines.get(event.id, {})) for to in _others(bound[event.id], event)]
    able = registry.connectors()
    await queueing.add(tx, [op for op in ops if _can(able, bound, op)])


def _others(bound: Sequence[Bound], event: Recorded) -> list[Bound]:
    """Return over which connections peers are told: each peer once, and not the one that it came from.

    Several may lead to one shop, where an order has one name. Of those one that is in use tells it.
    """
    by_peer: dict[tuple[str, frozenset[str], str], Bound] = {}
    for to in sorted(bound, key=lambda to: (to.status != Status.ACTIVE, to.connection_id)):
        by_peer.setdefault(_peer(to), to)
    from_ = {_peer(to) for to in bound if event.actor == f"connection:{to.code}"}
    return [to for peer, to in by_peer.items() if peer not in from_]


def _peer(to: Bound) -> tuple[str, frozenset[str], str]:
    return to.connector, configuring.servers_in(to.config), to.external_id


def _can(able: Any, bound: dict[str, list[Bound]], op: NewOp) -> bool:
    """Tell whether a connector takes such a thing at all: what it never can is not worth a person's look."""
    needs = Capability.SHIPMENTS if op.kind is OpKind.PUSH_SHIPMENT else Capability.CANCELS
    key = next(to.connector for all_ in bound.values() for to in all_ if to.connection_id == op.connection_id)
    return key not in able or needs in able[key].capabilities


async def _places(tx: Tx, shipped: Sequence[Recorded]) -> dict[int, str]:
    ids = {event.facts()["location_id"] for event in shipped}
    return {id_: place.code for id_, place in (await network.locations_by_id(tx, ids)).items()} if ids else {}


def _shipment(
    to: Bound, event: Recorded, id_: str, parcel: dict[str, Any], lines: Sequence[ShippedLine], place: str
) -> NewOp:
    push = ShipmentPush(
        order=to.external_id,
        shipment=id_,
        lines=list(lines),
        carrier=parcel.get("carrier") or "",
        tracking=parcel.get("tracking_code") or "",
        shipped_at=event.at,
        location=place,
    )
    return NewOp(
        connection_id=to.connection_id,
        kind=OpKind.PUSH_SHIPMENT,
        entity=f"order:{to.external_id}",
        name=id_,
        payload=push,
    )


def _cancel(to: Bound, event: Recorded, lines: dict[int, tuple[str, str]]) -> NewOp:
    facts = event.facts()
    push = CancelPush(
        order=to.external_id,
        lines=[
            ShippedLine(lines[int(n)][0], quantity, lines[int(n)][1])
            for n, quantity in sorted(facts["lines"].items(), key=lambda item: int(item[0]))
            if int(n) in lines
        ],
        whole=facts["whole"],
        reason=facts["reason"],
    )
    return NewOp(
        connection_id=to.connection_id,
        kind=OpKind.CANCEL,
        entity=f"order:{to.external_id}",
        name=f"{event.id}:{event.seq}",
        payload=push,
    )


async def ask_refund(
    tx: Tx, code: str, order_id: UUID, payment: str, amount: int, reference: str, *, favour: bool = False
) -> UUID | None:
    """Have the channel give money of an order back; the key of the operation, None when it was asked for already.

    `reference` is the asker's own name for it: the same one again is the same refund. A `favour` is recorded as one as
    soon as the channel tells that it was done.

    Raises:
        UnknownConnection: there is none.
        UnknownEntry: the order did not come over this connection.
        Invalid: the amount is none, or more than is known to be left of what was paid. What the channel was asked for
            before counts, until a person drops it.
    """
    connection = await connection_of(tx, code)
    to = next((b for b in await reads.bound(tx, "order", [str(order_id)]) if b.connection_id == connection.id), None)
    if to is None:
        raise UnknownEntry(key=str(order_id))
    refuse([] if amount > 0 else [Flaw("amount", N_("The amount must be more than nothing."))])
    push = RefundPush(order=to.external_id, payment=payment, amount=amount, currency=connection.currency, favour=favour)
    op = NewOp(
        connection_id=connection.id,
        kind=OpKind.REFUND,
        entity=f"order:{to.external_id}",
        name=f"{order_id}:{payment}:{reference}",
        payload=push,
    )
    # Who asks for another refund of the order, or records one, waits: each counts what the one before it left.
    order = await ordering.lock_order(tx, order_id)
    key = queueing.key_of(op)
    # Looked up first: adding it again would wait for who is just having it sent again, and who waits for this order.
    if await tx.value(reads.KNOWN_OP, {"key": key}):
        return None
    await queueing.add(tx, [op])
    left, stuck = (await refunding.left(tx, connection, {op.entity: order}, [key]))[op.entity]
    if amount > left:
        says = N_("Of what is known to be paid, {amount} is left to give back.")
        mend = N_("If more was paid at the channel, have the order read again first.")
        facts = {"amount": Money(max(left, 0), connection.currency)}
        if stuck:
            facts["stuck"] = Money(stuck, connection.currency)
            mend = N_("Refunds of {stuck} wait for a person and count: first say that they arrived, or drop them.")
        refuse([Flaw("amount", says, mend, facts)])
    after = {"order": str(order_id), "amount": amount, "reference": reference} | ({"favour": True} if favour else {})
    await audit.record(tx, action="refund", entity="connection", entity_id=code, after=after)
    return key


# --- prices ---


async def offer_prices(db: Database) -> int:
    """Queue prices that differ from what channels were told; return how many.

    Once for each state of the catalogue and of what channels ask themselves.
    """
    async with db.transaction() as tx:
        linked = [c for c in await reads.all_linked(tx) if c.status == Status.ACTIVE]
    able = registry.connectors()
    takes = [c for c in linked if c.connector in able and Capability.PRICES in able[c.connector].capabilities]
    return sum([await _offer(db, connection) for connection in takes])


async def _offer(db: Database, connection: Linked) -> int:
    queued, after = 0, ""
    async with db.transaction() as tx:
        revision, seen = (await tx.tuples(reads.PRICES_SEEN, {"id": connection.id}))[0]
    if revision == seen:
        return 0
    while True:
        async with db.transaction() as tx:
            asked = {"connection_id": connection.id, "channel_id": connection.channel_id, "after": after}
            rows = await tx.tuples(reads.PRICES_TO_TELL, {**asked, "most": PRICES_AT_ONCE})
            ops = [_price(connection, sku, code, price, revision) for sku, code, price, _ in rows]
            queued += await queueing.add(tx, ops)
            if len(rows) < PRICES_AT_ONCE:
                await tx.execute(writes.NOTE_PRICES_SEEN, {"id": connection.id, "revision": revision})
                return queued
        after = rows[-1][0]


def _price(connection: Linked, sku: str, code: str, price: int, revision: int) -> NewOp:
    push = PricePush(sku=sku, code=code, price=price, currency=connection.currency, version=revision)
    return NewOp(
        connection_id=connection.id,
        kind=OpKind.SET_PRICE,
        entity=f"price:{sku}",
        name=sku,
        payload=push,
        version=revision,
    )
