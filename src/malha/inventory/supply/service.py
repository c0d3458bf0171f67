"""Use cases of supply: order, reschedule, give up, receive, take a receipt back.

An order is locked first, then receipts, then the queues of those who wait (`ahead`), then stock. What is received is a
physical fact; that it is more than was ordered is refused unless somebody who may approve takes it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from malha.catalog import reads as catalog
from malha.inventory import standing
from malha.inventory.ahead import service as ahead
from malha.inventory.buckets import service as buckets
from malha.inventory.buckets.model import BY_HAND, Bucket, Leg
from malha.inventory.model import Deficit, Reason, Reference
from malha.inventory.service import happened
from malha.inventory.supply import rules, writes
from malha.inventory.supply.errors import (
    DocumentReceived,
    InboundDiffers,
    InboundEnded,
    OverReceipt,
    ReceiptDiffers,
    ReceiptUndone,
    TransferReceipt,
    UnknownInbound,
    UnknownReceipt,
)
from malha.inventory.supply.events import (
    InboundDropped,
    InboundPlaced,
    InboundReceived,
    IncomingRescheduled,
    ReceiptTakenBack,
)
from malha.inventory.supply.model import (
    INBOUND_WORDS,
    Inbound,
    InboundDraft,
    InboundLine,
    InboundLineDraft,
    InboundState,
    Placed,
    ReceiptDraft,
    Received,
    ReceivedLine,
)
from malha.platform import audit, outbox
from malha.platform.db import Tx
from malha.platform.errors import Forbidden
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word
from malha.platform.ids import UUID, new_id
from malha.platform.text import exactly

APPROVE = "stock:approve"
MOST_LINES = rules.MOST_LINES


async def place_order(tx: Tx, draft: InboundDraft) -> Placed:
    """Note that goods are expected. The same reference of the same supplier again is the order that is there.

    Raises:
        Invalid: no lines, too many, or a quantity that is none.
        InboundDiffers: that order is for other quantities, or another location. Dates and costs may have moved since.
    """
    refuse(_flaws_of(draft))
    row = {
        "id": new_id(),
        "kind": draft.kind.value,
        "supplier": draft.supplier.strip(),
        "reference": draft.reference,
        "location_id": draft.location_id,
        "over_percent": draft.over_percent,
        "note": draft.note,
        "actor": tx.actor.label,
    }
    made = await tx.tuples(writes.INSERT_ORDER, row)
    if not made:
        ((id_, number, location_id),) = await tx.tuples(
            writes.ORDER_BY_REFERENCE, {k: row[k] for k in ("kind", "supplier", "reference")}
        )
        ordered = Counter[int]()
        for one in draft.lines:
            ordered[one.sku_id] += one.quantity
        if (location_id, dict(ordered)) != (draft.location_id, dict(await tx.tuples(writes.ORDERED, {"id": id_}))):
            raise InboundDiffers(reference=draft.reference, supplier=draft.supplier.strip())
        return Placed(id_, number, created=False)
    ((id_, number),) = made
    lines = await insert_lines(tx, id_, draft.location_id, list(enumerate(draft.lines, start=1)))
    event = InboundPlaced(
        id=id_, seq=1, location_id=draft.location_id, number=number, kind=draft.kind.value, lines=lines
    )
    await outbox.add(tx, event)
    await ahead.line_up(tx, {(one.sku_id, draft.location_id) for one in draft.lines})
    facts = {"supplier": draft.supplier, "reference": draft.reference, "lines": len(lines)}
    await audit.record(tx, action="create", entity="inbound_order", entity_id=number, after=facts)
    return Placed(id_, number, created=True)


async def insert_lines(
    tx: Tx, order_id: UUID, location_id: int, numbered: Sequence[tuple[int, InboundLineDraft]]
) -> list[tuple[int, int, int, date]]:
    """Write lines by their numbers; return them as events tell them: line, SKU id, quantity, date.

    Raises:
        BecameKit: one is of a SKU that is a kit since the caller looked.
    """
    await standing.come(tx, {one.sku_id for _, one in numbered})
    await tx.execute(
        writes.INSERT_LINES,
        {
            "order_id": order_id,
            "location_id": location_id,
            "lines": [line for line, _ in numbered],
            "skus": [one.sku_id for _, one in numbered],
            "quantities": [one.quantity for _, one in numbered],
            "costs": [one.unit_cost for _, one in numbered],
            "etas": [one.eta for _, one in numbered],
        },
    )
    return [(line, one.sku_id, one.quantity, one.eta) for line, one in numbered]


def _flaws_of(draft: InboundDraft) -> list[Flaw]:
    flaws = []
    if not draft.supplier.strip():
        flaws.append(Flaw("supplier", N_("Say who delivers.")))
    if not 0 < len(draft.lines) <= rules.MOST_LINES:
        flaws.append(Flaw("lines", N_("An order has 1 to {most} lines."), facts={"most": rules.MOST_LINES}))
    flaws += [
        Flaw(f"lines/{i}/quantity", N_("Write a whole number, 1 or more."))
        for i, line in enumerate(draft.lines)
        if not 0 < line.quantity <= rules.MAX_UNITS
    ]
    return flaws


async def reschedule(tx: Tx, number: int, dates: Mapping[int, date], reason: str = "") -> int:
    """State when lines come; return how many that changed. Every move is kept, and told to those who promise with it.

    Raises:
        UnknownInbound: there is no such order in the actor's scope.
    """
    order = await lock_order(tx, number)
    moves = await move_dates(tx, order, dates, reason)
    if not moves:
        return 0
    await ahead.line_up(tx, {(sku, order.location_id) for _, sku, _, _, _ in moves})
    names = await line_names(tx, [(line, sku) for line, sku, _, _, _ in moves])
    before = {"lines": {names[line]: {"eta": was} for line, _, _, was, _ in moves}}
    after: dict[str, Any] = {"lines": {names[line]: {"eta": became} for line, _, _, _, became in moves}}
    if reason:
        after["reason"] = reason
    await audit.record(tx, action="reschedule", entity="inbound_order", entity_id=number, before=before, after=after)
    return len(moves)


async def line_names(tx: Tx, lines: Sequence[tuple[int, int]]) -> dict[int, str]:
    """Return what the audit trail calls lines, given as (line, SKU id): their number and SKU."""
    cards = {card.id: card.sku for card in await catalog.by_ids(tx, sorted({sku for _, sku in lines}))}
    return {line: f"{line} {cards[sku]}" for line, sku in lines}


async def move_dates(
    tx: Tx, order: Inbound, dates: Mapping[int, date], reason: str
) -> list[tuple[int, int, int, date, date]]:
    """Move lines of a locked order that are to come, keep the moves and tell of them; who waits is lined up after.

    Returns:
        Line, SKU id, units still expected, the day it was and the day it became.
    """
    params = {
        "order_id": order.id,
        "lines": list(dates),
        "etas": list(dates.values()),
        "reason": reason,
        "actor": tx.actor.label,
    }
    moves = sorted(await tx.tuples(writes.RESCHEDULE_LINES, params))
    if moves:
        seq = await restate(tx, order, order.state)
        event = IncomingRescheduled(id=order.id, seq=seq, location_id=order.location_id, reason=reason, moves=moves)
        await outbox.add(tx, event)
    return moves


async def drop_lines(tx: Tx, number: int, lines: Sequence[int] | None, reason: str) -> int:
    """Give up what is still expected of some lines, or of all; return how many units that were.

    Raises:
        UnknownInbound: there is no such order in the actor's scope.
        Invalid: no reason is given.
    """
    refuse([] if reason.strip() else [Flaw("reason", N_("Say why."))])
    order = await lock_order(tx, number)
    params = {"order_id": order.id, "lines": None if lines is None else list(lines), "reason": reason.strip()}
    dropped = sorted(await tx.tuples(writes.DROP_LINES, params))
    if not dropped:
        return 0
    state = rules.derive_state(await lines_of(tx, order.id))
    seq = await restate(tx, order, state)
    event = InboundDropped(id=order.id, seq=seq, location_id=order.location_id, reason=reason.strip(), lines=dropped)
    await outbox.add(tx, event)
    await ahead.line_up(tx, {(sku, order.location_id) for _, sku, _ in dropped})
    units: int = sum(units for _, _, units in dropped)
    facts = {"units": units, "reason": reason.strip(), "state": state.value}
    await audit.record(tx, action="drop", entity="inbound_order", entity_id=number, after=facts)
    return units


async def receive(tx: Tx, draft: ReceiptDraft) -> Received:
    """Take goods in: on an order, or without one. Sent again, it says what was done the first time.

    Raises:
        Invalid: nothing arrived, or a quantity or bucket that is none.
        InboundEnded: nothing is expected of the order any more.
        OverReceipt: it is more than the order allows, and nobody who may approve took it.
        Forbidden: the surplus was taken by somebody who may not approve.
        NotHappenedYet, TooLongAgo: it is said to have come at a time that has not, or at none that can be.
        ReceiptDiffers: its id is that of a receipt of other goods.
        ReceiptUndone: its id is that of a receipt that was taken back.
        DocumentReceived: the same goods were received there by the same document, and nobody said that they came again.
    """
    refuse(_flaws_of_receipt(draft))
    draft = msgspec.structs.replace(draft, received_at=await happened(tx, draft.received_at))
    if draft.accept_over and not tx.actor.may(APPROVE):
        raise Forbidden(permission=APPROVE)
    document = "" if draft.same_document else (draft.document or "").strip()
    if document:
        await tx.execute(writes.LOCK_DOCUMENT, {"location_id": draft.location_id, "document": document})
    order = None if draft.order_id is None else await tx.maybe(Inbound, writes.LOCK_ORDER_BY_ID, {"id": draft.order_id})
    number = await note_receipt(tx, draft)
    if number is None:
        return Received(draft.id, await sent_again(tx, draft), repeated=True, deficits=[])
    if document:
        await _refuse_received(tx, draft, document)
    arrived: Sequence[ReceivedLine] = draft.lines
    if order is not None:
        arrived = await _receive_on(tx, order, draft)
    await note_lines(tx, draft.id, arrived)
    came = sellable(draft.location_id, arrived)
    await ahead.lock_queues(tx, {(one.sku_id, draft.location_id) for one in arrived})
    left = await buckets.change(
        tx,
        [Leg(one.sku_id, draft.location_id, one.bucket, one.quantity) for one in arrived],
        Reason.RECEIPT,
        Reference("receipt", draft.id, f"R{number}"),
        occurred_at=draft.received_at,
    )
    await ahead.line_up(tx, {(one.sku_id, draft.location_id) for one in arrived}, came)
    facts = {"order": order.number if order else None, "units": sum(one.quantity for one in arrived)}
    await audit.record(tx, action="receive", entity="receipt", entity_id=number, after=facts)
    return Received(draft.id, number, repeated=False, deficits=left)


async def _refuse_received(tx: Tx, draft: ReceiptDraft, document: str) -> None:
    """Refuse goods that stand as received at the location by their document: two people took one delivery in.

    In whatever condition: the two may not have seen the same. Other units or SKUs are another part of the delivery.
    """
    params = {"id": draft.id, "location_id": draft.location_id, "document": exactly(document)}
    received: dict[int, Counter[int]] = {}
    for number, sku, units in await tx.tuples(writes.RECEIVED_BY_DOCUMENT, params):
        received.setdefault(number, Counter())[sku] = units
    goods = Counter[int]()
    for line in draft.lines:
        goods[line.sku_id] += line.quantity
    for number, then in received.items():
        if then == goods:
            raise DocumentReceived(document=document, number=f"R{number}")


def sellable(location_id: int, arrived: Sequence[ReceivedLine]) -> dict[tuple[int, int], int]:
    """Return the units that arrived and may be sold, by (SKU, location)."""
    came: dict[tuple[int, int], int] = {}
    for one in arrived:
        if one.bucket is Bucket.SELLABLE:
            came[one.sku_id, location_id] = came.get((one.sku_id, location_id), 0) + one.quantity
    return came


def _flaws_of_receipt(draft: ReceiptDraft) -> list[Flaw]:
    flaws = []
    if not 0 < len(draft.lines) <= rules.MOST_LINES:
        flaws.append(Flaw("lines", N_("A receipt has 1 to {most} lines."), facts={"most": rules.MOST_LINES}))
    for i, line in enumerate(draft.lines):
        if not 0 < line.quantity <= rules.MAX_UNITS:
            flaws.append(Flaw(f"lines/{i}/quantity", N_("Write a whole number, 1 or more.")))
        if line.bucket not in BY_HAND:
            flaws.append(Flaw(f"lines/{i}/bucket", N_("Goods that arrived are no longer on their way.")))
    return flaws


async def note_receipt(tx: Tx, draft: ReceiptDraft, transfer_id: UUID | None = None) -> int | None:
    """Write the head of a receipt; None when it is there already."""
    row: dict[str, Any] = {
        "id": draft.id,
        "location_id": draft.location_id,
        "order_id": draft.order_id,
        "transfer_id": transfer_id,
        "document": draft.document,
        "note": draft.note,
        "received_at": draft.received_at,
        "actor": tx.actor.label,
        "complete": draft.complete,
    }
    number: int | None = next(iter(await tx.values(writes.INSERT_RECEIPT, row)), None)
    return number


async def sent_again(tx: Tx, draft: ReceiptDraft, transfer_id: UUID | None = None, shipment: int | None = None) -> int:
    """Return the number of the receipt that has the id of this one already, which says the same.

    Units are compared by SKU: what was too much of a transfer went into another bucket than it was sent for. Who names
    no `shipment` of the transfer leaves open with which its goods came.

    Raises:
        ReceiptDiffers: that receipt brought other goods, was for another location, order, transfer or shipment, or said
            otherwise whether more of a transfer comes.
        ReceiptUndone: that receipt was taken back; the goods are received under an id of their own.
    """
    number, undone, complete, *about = (await tx.tuples(writes.RECEIPT_SENT, {"id": draft.id}))[0]
    kept = await tx.tuples(writes.RECEIPT_LINES, {"id": draft.id})
    then = Counter[tuple[int, str | None]]()
    for sku, units, bucket, _line in kept:
        then[sku, bucket if transfer_id is None else None] += units
    now = Counter[tuple[int, str | None]]()
    for line in draft.lines:
        now[line.sku_id, line.bucket.value if transfer_id is None else None] += line.quantity
    otherwise = complete is not None and complete != draft.complete
    if shipment is not None and not otherwise:
        otherwise = any(s != shipment for s in await tx.values(writes.RECEIPT_SHIPMENTS, {"id": draft.id}))
    if about != [draft.location_id, draft.order_id, transfer_id] or then != now or otherwise:
        raise ReceiptDiffers(number=number)
    if undone:
        raise ReceiptUndone(number=number)
    return int(number)


async def note_lines(
    tx: Tx, receipt_id: UUID, arrived: Sequence[ReceivedLine], shipments: Sequence[int | None] = ()
) -> None:
    """Write the lines of a receipt; of a transfer with the shipment, by number, that each came with."""
    await tx.execute(
        writes.INSERT_RECEIPT_LINES,
        {
            "receipt_id": receipt_id,
            "skus": [one.sku_id for one in arrived],
            "order_lines": [one.order_line for one in arrived],
            "buckets": [one.bucket.value for one in arrived],
            "quantities": [one.quantity for one in arrived],
            "shipments": list(shipments) or [None] * len(arrived),
        },
    )


async def _receive_on(tx: Tx, order: Inbound, draft: ReceiptDraft) -> list[ReceivedLine]:
    """Match what arrived with the lines of the order and note it there."""
    if order.location_id != draft.location_id:
        raise UnknownInbound(number=order.number)
    lines = await lines_of(tx, order.id)
    if not order.live and not draft.accept_over:
        raise InboundEnded(number=order.number, state=Word(INBOUND_WORDS[order.state]))
    matched = rules.match_lines(lines, draft.lines)
    over = rules.beyond(lines, matched, order.over_percent)
    if over and not draft.accept_over:
        at = {one.sku_id: i for i, one in reversed(list(enumerate(draft.lines)))}
        codes = {card.id: card.sku for card in await catalog.by_ids(tx, [o.sku_id for o in over])}
        says = N_("{sku}: {allowed} are still expected, {units} arrived.")
        problems = [
            {
                "at": f"/lines/{at[o.sku_id]}/quantity",
                "says": says,
                "facts": {"sku": codes[o.sku_id], "allowed": o.allowed, "units": o.units},
            }
            for o in over
        ]
        raise OverReceipt(count=len(problems), problems=problems)
    mine = {line.line: line.sku_id for line in lines}
    matched = [
        one if one.order_line is not None and mine.get(one.order_line) == one.sku_id
        else ReceivedLine(one.sku_id, one.quantity, one.bucket)
        for one in matched
    ]  # fmt: skip
    ours = [(one.order_line, one.sku_id, one.quantity) for one in matched if one.order_line is not None]
    await _apply(tx, order, ours, sign=1)
    state = rules.derive_state(await lines_of(tx, order.id))
    seq = await restate(tx, order, state)
    event = InboundReceived(
        id=order.id, seq=seq, location_id=order.location_id, receipt_id=draft.id, state=state.value, lines=ours
    )
    await outbox.add(tx, event)
    return matched


async def _apply(tx: Tx, order: Inbound, lines: Sequence[tuple[int, int, int]], *, sign: int) -> None:
    params = {
        "order_id": order.id,
        "lines": [line for line, _, _ in lines],
        "units": [sign * units for _, _, units in lines],
    }
    await tx.execute(writes.RECEIVE_LINES, params)


async def undo_receipt(tx: Tx, number: int, reason: str) -> list[Deficit]:
    """Take a receipt back by counter-movements: what it brought is gone, and expected again where it was ordered.

    Returns:
        What is promised and, after this, not there.

    Raises:
        UnknownReceipt: there is no such receipt in the actor's scope.
        ReceiptUndone: it was taken back before.
        TransferReceipt: it came with a transfer.
        NotInBucket: goods of it have left their bucket meanwhile.
    """
    refuse([] if reason.strip() else [Flaw("reason", N_("Say why."))])
    rows = await tx.tuples(writes.RECEIPT, {"number": number})
    if not rows or not tx.actor.sees(rows[0][2]):
        raise UnknownReceipt(number=number)
    ((id_, _, location_id, order_id, transfer_id, _),) = rows
    if transfer_id is not None:
        raise TransferReceipt(number=number)
    order = None if order_id is None else await tx.one(Inbound, writes.LOCK_ORDER_BY_ID, {"id": order_id})
    params = {"id": id_, "actor": tx.actor.label, "reason": reason.strip()}
    if not await tx.values(writes.UNDO_RECEIPT, params):
        raise ReceiptUndone(number=number)
    lines = [ReceivedLine(s, q, Bucket(b), o) for s, q, b, o in await tx.tuples(writes.RECEIPT_LINES, {"id": id_})]
    if order is not None:
        ours = [(one.order_line, one.sku_id, one.quantity) for one in lines if one.order_line is not None]
        await _apply(tx, order, ours, sign=-1)
        seq = await restate(tx, order, rules.derive_state(await lines_of(tx, order.id)))
        event = ReceiptTakenBack(
            id=order.id, seq=seq, location_id=location_id, receipt_id=id_, reason=reason.strip(), lines=ours
        )
        await outbox.add(tx, event)
    queues = {(one.sku_id, location_id) for one in lines}
    await ahead.lock_queues(tx, queues)
    left = await buckets.change(
        tx,
        [Leg(one.sku_id, location_id, one.bucket, -one.quantity) for one in lines],
        Reason.RECEIPT_UNDONE,
        Reference("receipt", id_, f"R{number}"),
    )
    await ahead.line_up(tx, queues)
    await audit.record(tx, action="undo", entity="receipt", entity_id=number, after={"reason": reason.strip()})
    return left


async def lock_order(tx: Tx, number: int) -> Inbound:
    """Lock an order of the actor's locations.

    Raises:
        UnknownInbound: there is none.
    """
    order = await tx.maybe(Inbound, writes.LOCK_ORDER, {"number": number})
    if order is None or not tx.actor.sees(order.location_id):
        raise UnknownInbound(number=number)
    return order


async def lines_of(tx: Tx, order_id: UUID) -> list[InboundLine]:
    """Return the lines of a locked order."""
    return await tx.all(InboundLine, writes.LINES, {"order_id": order_id})


async def restate(tx: Tx, order: Inbound, state: InboundState) -> int:
    """Note the state of a locked order; return the version it has now."""
    seq: int = await tx.value(writes.RESTATE_ORDER, {"id": order.id, "state": str(state)})
    return seq


async def move_by_hand(
    tx: Tx,
    location_id: int,
    lines: Sequence[tuple[int, int]],
    source: Bucket,
    target: Bucket,
    note: str = "",
    occurred_at: datetime | None = None,
) -> list[Deficit]:
    """Put units, (SKU id, quantity), from one bucket of a location into another.

    Raises:
        Invalid: the buckets are the same, one of them is for goods on their way, or a quantity is none.
        NotInBucket: there are fewer in the bucket.
    """
    flaws = []
    if source is target:
        flaws.append(Flaw("to", N_("Choose another bucket than the one they are in.")))
    flaws += [
        Flaw(name, N_("Goods on their way move with their transfer."))
        for name, bucket in (("from", source), ("to", target))
        if bucket not in BY_HAND
    ]
    flaws += [
        Flaw(f"items/{i}/quantity", N_("Write a whole number, 1 or more."))
        for i, (_, quantity) in enumerate(lines)
        if not 0 < quantity <= rules.MAX_UNITS
    ]
    refuse(flaws)
    legs = [
        leg
        for sku, quantity in lines
        for leg in (Leg(sku, location_id, source, -quantity), Leg(sku, location_id, target, quantity))
    ]
    left = await buckets.move(tx, legs, Reason.MOVE, Reference("move", new_id(), note or None), occurred_at=occurred_at)
    facts = {"from": source.value, "to": target.value, "units": sum(q for _, q in lines), "note": note}
    await audit.record(tx, action="move", entity="stock", entity_id="-", after=facts)
    return left
