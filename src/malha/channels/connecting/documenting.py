"""From what happened to an order to the documents that ERPs are to have of it, and what left, so that they ship it too.

Documents are queued without anything personal. Who buys, and what the ERP calls a SKU, is looked up each time one is
sent: so a product that was added or mapped meanwhile is found when a person sends it again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.channels.connecting import queueing, reads, registry, rules, writes
from malha.channels.connecting.model import Linked, NewOp, Op, OpKind, Posting, Trail
from malha.channels.connecting.reads import Booked
from malha.channels.contract import (
    Capability,
    Document,
    DocumentKind,
    DocumentLine,
    DocumentRules,
    ExtAddress,
    ExtBuyer,
    ShipmentPush,
)
from malha.network import retailer
from malha.platform.db import Tx
from malha.platform.subscribers import Recorded

TYPES = (
    "order.placed",
    "order.line_mapped",
    "order.cancelled",
    "order.line_replaced",
    "payment.refunded",
    *sorted(rules.LEFT),
)
ENTITY = "document"
_encode = msgspec.json.Encoder().encode


async def note_documents(tx: Tx, events: list[Recorded]) -> None:
    """Follow orders for each ERP, and queue the documents and shipments that come of it."""
    able = {k for k, c in registry.connectors().items() if Capability.DOCUMENTS in c.capabilities}
    sinks = await reads.document_sinks(tx, able) if able else []
    for connection, since in sinks:
        await _note(tx, connection, since, events)


async def _note(tx: Tx, connection: Linked, since: datetime, events: Sequence[Recorded]) -> None:
    said = rules_of(connection)
    wanted = {code.strip() for code in said.document_channels.split(",")} - {""}
    channels = await reads.channel_ids(tx, wanted) if wanted else None
    trails = await reads.trails(tx, connection.id, sorted({event.id for event in events}))
    changed: set[str] = set()
    ops: list[NewOp] = []
    left: list[Recorded] = []
    for event in events:
        facts = event.facts()
        if event.type == "order.placed" and (
            event.at < since or (channels is not None and facts["channel_id"] not in channels)
        ):
            continue
        before = trails.get(event.id)
        trail, postings = rules.follow(before, said, seq=event.seq, type_=event.type, facts=facts, at=event.at)
        if trail is None:
            continue
        if trail is not before:
            trails[event.id] = trail
            changed.add(event.id)
        ops += [_posting(connection, event.id, posting) for posting in postings]
        left += [event] if event.type in rules.LEFT else []
    if Capability.SHIPMENTS in registry.connector_of(connection.connector).capabilities:
        ops += await _shipments(tx, connection, left)
    await queueing.add(tx, ops, in_order=True)
    await _keep(tx, connection.id, {id_: trails[id_] for id_ in sorted(changed)})


def rules_of(connection: Linked) -> DocumentRules:
    """Return what documents a connection posts, as it is configured."""
    known = {f: connection.config[f] for f in DocumentRules.__struct_fields__ if f in connection.config}
    return msgspec.convert(known, DocumentRules)


def _posting(connection: Linked, order_id: str, posting: Posting) -> NewOp:
    return NewOp(
        connection_id=connection.id,
        kind=OpKind.POST_DOCUMENT,
        entity=f"{ENTITY}:{order_id}",
        name=f"{order_id}:{posting.n}",
        payload=posting,
    )


async def _shipments(tx: Tx, connection: Linked, left: Sequence[Recorded]) -> list[NewOp]:
    """Return what left, as the ERP shall ship it: a parcel each, and what was collected by piece of work."""
    parcels = {s["id"]: (e, s) for e in left if e.type == "fulfillment.shipped" for s in e.facts()["shipments"]}
    works: dict[str, tuple[Recorded, dict[str, Any]]] = {
        e.facts()["fulfillment_id"]: (e, {}) for e in left if e.type == "fulfillment.collected"
    }
    lines = await reads.shipped_lines(tx, sorted(parcels)) if parcels else {}
    lines |= await reads.collected_lines(tx, [e.id for e, _ in works.values()], sorted(works)) if works else {}
    places = await reads.location_codes(tx, sorted({e.facts()["location_id"] for e in left})) if left else {}
    return [
        NewOp(
            connection_id=connection.id,
            kind=OpKind.PUSH_SHIPMENT,
            entity=f"{ENTITY}:{event.id}",
            name=id_,
            payload=ShipmentPush(
                order="",  # the ERP's name of the sale: known when this is sent
                shipment=id_,
                lines=lines[id_],
                carrier=parcel.get("carrier") or "",
                tracking=parcel.get("tracking_code") or "",
                shipped_at=event.at,
                location=places.get(event.facts()["location_id"], ""),
            ),
        )
        for id_, (event, parcel) in {**parcels, **works}.items()
        if lines.get(id_)
    ]


async def _keep(tx: Tx, connection_id: int, trails: Mapping[str, Trail]) -> None:
    if trails:
        columns = {
            "orders": list(trails),
            "trails": [_encode(trail).decode() for trail in trails.values()],
            "sales": [trail.sale for trail in trails.values()],
            "sums": [trail.posted for trail in trails.values()],
        }
        await tx.execute(writes.PUT_TRAILS, {"connection_id": connection_id, **columns})


# --- when it is sent ---


def is_of_sale(op: Op) -> bool:
    """Tell whether an operation is about a sale at an ERP."""
    return op.entity.startswith(f"{ENTITY}:")


async def document_of(tx: Tx, connection: Linked, op: Op) -> Document | None:
    """Return a queued document as the ERP is given it; None: it refers to a sale that the ERP does not have yet."""
    posting = msgspec.convert(op.payload, Posting, strict=False)  # lines are numbers, which JSON's keys are not
    order_id = _order_of(op)
    booked = await reads.booked(tx, connection, order_id)
    sale = await reads.sale_of(tx, connection.id, order_id)
    if posting.kind is not DocumentKind.SALE and sale is None:
        return None
    lines = _lines(posting, booked.lines)
    freight = posting.freight * booked.order.shipping_total
    order = booked.order
    where = await retailer.zone(tx)  # whoever runs the installation, the books are the retailer's
    return Document(
        kind=posting.kind,
        number=str(order.number) if posting.n == 1 else f"{order.number}-{posting.n}",
        order=str(order.number),
        reference=order.external_id,
        channel=order.channel,
        order_day=order.placed_at.astimezone(where).date().isoformat(),
        day=posting.at.astimezone(where).date().isoformat(),
        currency=order.currency,
        total=posting.total,
        lines=lines,
        freight=freight,
        adjustment=posting.total - freight - sum(line.quantity * line.unit_price for line in lines),
        party=ExtBuyer(
            name=order.buyer_name, document=order.buyer_document, email=order.buyer_email, phone=order.buyer_phone
        ),
        ship_to=_address(order.ship_to),
        reason=posting.reason,
        sale=sale or "",
    )


async def shipment_of(tx: Tx, connection: Linked, op: Op) -> ShipmentPush | None:
    """Return a queued shipment with the ERP's names of its sale and of SKUs; None: the sale is not there yet."""
    push = msgspec.convert(op.payload, ShipmentPush)
    order_id = _order_of(op)
    sale = await reads.sale_of(tx, connection.id, order_id)
    if sale is None:
        return None
    codes = {line.sku: line.code for line in (await reads.booked(tx, connection, order_id)).lines}
    named = [msgspec.structs.replace(line, sku=codes.get(line.sku, line.sku)) for line in push.lines]
    return msgspec.structs.replace(push, order=sale, lines=named)


async def note_sale(tx: Tx, op: Op, reference: str) -> None:
    """Keep what the ERP calls a sale that it has now, and let go on what waited for it."""
    if op.kind is not OpKind.POST_DOCUMENT or op.payload["kind"] != DocumentKind.SALE:
        return
    await tx.execute(
        writes.BIND,
        {
            "connection_id": op.connection_id,
            "entity": ENTITY,
            "internal_id": _order_of(op),
            "external_id": reference,
            "version": 0,
            "hash": None,
        },
    )
    await tx.execute(writes.WAKE_AWAITING, {"connection_id": op.connection_id, "entity": op.entity})


def _order_of(op: Op) -> str:
    return op.entity.partition(":")[2]


def _lines(posting: Posting, booked: Sequence[Booked]) -> list[DocumentLine]:
    wanted = posting.lines
    if posting.kind is DocumentKind.SALE:
        wanted = rules.in_sale(posting, {each.line: (each.quantity, each.later) for each in booked})
    return [
        DocumentLine(
            sku=each.sku, quantity=wanted[each.line], unit_price=each.unit_price, name=each.name, code=each.code
        )
        for each in booked
        if wanted.get(each.line)
    ]


def _address(said: dict[str, Any] | None) -> ExtAddress | None:
    if not said:
        return None
    return ExtAddress(**{field: str(said[field]) for field in ExtAddress.__struct_fields__ if said.get(field)})
