"""Transfers of goods that are an order's already: to the place where its customer fetches them.

They leave what is allocated to the order at the origin, are nobody's supply on the way, and are allocated to it again
in the transaction that takes them in (`receiving.receive`): there is no moment in which somebody else can have them.
"""

from collections.abc import Mapping
from datetime import date

import msgspec

from malha.inventory import service as stock
from malha.inventory.buckets import service as buckets
from malha.inventory.buckets.model import Bucket, Leg
from malha.inventory.counts.freezing import refuse_frozen
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.transfers import writes
from malha.inventory.transfers.errors import OrderGoodsNeedDocument
from malha.inventory.transfers.events import TransferApproved, TransferRequested, TransferShipped
from malha.inventory.transfers.model import Crosses, TransferState
from malha.inventory.transfers.service import crosses_of
from malha.inventory.transfers.steps import about, lock_transfer, reference, step
from malha.network import reads as network
from malha.platform import audit, outbox
from malha.platform.db import Tx
from malha.platform.ids import UUID, new_id


class OrderGoods(msgspec.Struct, frozen=True, kw_only=True):
    """Units by SKU that are allocated to an order at a location and are to be fetched at another one."""

    order_id: UUID
    order_number: int
    origin_id: int
    destination_id: int
    units: Mapping[int, int]
    document: str | None = None
    carrier: str | None = None
    tracking_code: str | None = None
    eta: date | None = None


async def send(tx: Tx, goods: OrderGoods) -> tuple[UUID, int]:
    """Let an order's allocated goods leave for where they are fetched; return the id and number of their transfer.

    The caller has locked the order and knows that the actor may touch its goods at the origin.

    Raises:
        OrderGoodsNeedDocument: they go to another establishment without a fiscal document of their own.
        LocationFrozen, ZoneFrozen: everything at the origin, or some of this, is being counted.
        ClaimNotHeld: fewer units are allocated there; nothing is changed.
    """
    await refuse_frozen(tx, {(sku, goods.origin_id) for sku in goods.units})
    places = await network.locations_by_id(tx, [goods.origin_id, goods.destination_id])
    origin, destination = places[goods.origin_id], places[goods.destination_id]
    crosses = await crosses_of(tx, origin, destination)
    document = (goods.document or "").strip() or None
    if crosses is not Crosses.NOTHING and document is None:
        raise OrderGoodsNeedDocument(number=goods.order_number, location=destination.name)
    id_ = new_id()
    skus = sorted(goods.units)
    lines = [(line, sku, goods.units[sku]) for line, sku in enumerate(skus, start=1)]
    params = {
        "id": id_,
        "origin_id": origin.id,
        "destination_id": destination.id,
        "needs_document": crosses is not Crosses.NOTHING,
        "crosses": crosses,
        "eta": goods.eta,
        "note": "",
        "actor": tx.actor.label,
        "order_id": goods.order_id,
        "lines": [line for line, _, _ in lines],
        "skus": skus,
        "quantities": [units for _, _, units in lines],
        "units": [units for _, _, units in lines],
        "shipment_id": id_,
        "shipment": 1,
        "document": document,
        "carrier": goods.carrier,
        "tracking_code": goods.tracking_code,
        "usual": False,
        "rest": False,
    }
    number: int = await tx.value(writes.INSERT_TRANSFER, params)
    await tx.execute(writes.MEAN_FOR_ORDER, params)
    await tx.execute(writes.INSERT_LINES, params)
    await tx.execute(writes.APPROVE_LINES, params)
    transfer = await lock_transfer(tx, number)
    facts = about(transfer)
    await outbox.add(tx, TransferRequested(id=id_, seq=1, lines=lines, **facts))
    seq = await step(tx, transfer, TransferState.APPROVED)
    await outbox.add(tx, TransferApproved(id=id_, seq=seq, lines=lines, **facts))
    claims = [Claim(sku, origin.id, units) for _, sku, units in lines]
    owner = Reference("order", goods.order_id)
    await stock.ship(tx, claims, owner, Reason.TRANSFER, by=reference(transfer))
    legs = [Leg(sku, destination.id, Bucket.IN_TRANSIT, units) for _, sku, units in lines]
    await buckets.change(tx, legs, Reason.TRANSFER, reference(transfer))
    await tx.execute(writes.SHIP_LINES, params)
    await tx.execute(writes.INSERT_SHIPMENT, params)
    await tx.execute(writes.INSERT_SHIPMENT_LINES, params)
    await tx.execute(writes.SET_DEPARTURE, params)
    seq = await step(tx, transfer, TransferState.SHIPPED)
    await outbox.add(tx, TransferShipped(id=id_, seq=seq, lines=lines, document=document, **facts))
    said = {"order": goods.order_number, "units": sum(goods.units.values()), "document": document}
    await audit.record(tx, action="send_for_order", entity="transfer", entity_id=number, after=said)
    return id_, number
