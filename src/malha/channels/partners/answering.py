"""What a partner answers becomes what happened here: taken on, refused, short, shipped, adjusted, received.

Each answer came once through the inbox and may be taken up again after a crash: what was done before is seen by the
work itself, or by the name of the statement that stands beside it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from malha.channels.connecting.model import Linked
from malha.channels.connecting.orders import Parked, actor_of
from malha.channels.connecting.runtime import Runtime
from malha.channels.connecting.wire import Waiting
from malha.channels.contract import AdjustmentTold, Answer, ReceiptTold, RequestAnswer, ShipmentTold
from malha.channels.partners import reads, rules, writes
from malha.channels.partners.reads import Named
from malha.fulfillment import bringing, parting
from malha.fulfillment import service as fulfillment
from malha.fulfillment.errors import DocumentRequired
from malha.fulfillment.model import Content, Parcel, Picked, RejectReason, Short, Tracking
from malha.fulfillment.work import living
from malha.inventory.buckets.model import Bucket
from malha.inventory.supply import service as supply
from malha.inventory.supply.errors import ReceiptDiffers
from malha.inventory.supply.model import ReceiptDraft, ReceivedLine
from malha.inventory.sync import deltas
from malha.inventory.sync.model import Delta, Outcome
from malha.inventory.transfers.model import Arrival, Arrived
from malha.ordering import service as ordering
from malha.ordering.model import UnitState
from malha.platform.db import Tx
from malha.platform.ids import UUID

DOCUMENT_S = 60.0  # until it is looked again whether goods have their document
WORKABLE = frozenset({"open", "accepted", "picking"})
CONDITIONS = {"good": Bucket.SELLABLE, "damaged": Bucket.DAMAGED, "quality": Bucket.QUALITY_CONTROL}
# What became of an adjustment, where it is settled: the others wait for a person.
SETTLED = frozenset({Outcome.APPLIED, Outcome.DUPLICATE, Outcome.INCLUDED, Outcome.REVIEW})
_answer = msgspec.json.Decoder(Answer).decode


async def take(runtime: Runtime, connection: Linked, payload: bytes, received_at: datetime) -> None:
    """Record what a partner said. Goods without a time of leaving left, at the latest, when that was received.

    Raises:
        Parked: it fits nothing that was asked, and waits for a person.
        Waiting: the goods may not leave before their fiscal document; it is taken up again.
        MalhaError: it was refused.
    """
    answer = _answer(payload)
    match answer:
        case RequestAnswer():
            async with runtime.db.transaction(actor_of(connection)) as tx:
                await _acknowledge(tx, connection, answer)
        case ShipmentTold():
            await _ship(runtime, connection, answer, received_at)
        case AdjustmentTold():
            async with runtime.db.transaction(actor_of(connection)) as tx:
                await _adjust(tx, connection, answer)
        case ReceiptTold():
            async with runtime.db.transaction(actor_of(connection)) as tx:
                await _receive(tx, connection, answer)


async def _of(tx: Tx, connection: Linked, name: str) -> list[Named]:
    """Lock the order behind a name, and return its work."""
    found = await reads.named(tx, connection.id, name)
    if not found:
        raise Parked("unknown_request", name)
    await ordering.lock_order(tx, found[0].order_id)
    return await reads.named(tx, connection.id, name)


async def _acknowledge(tx: Tx, connection: Linked, told: RequestAnswer) -> None:
    root = (await _of(tx, connection, told.request))[0]
    note = {"id": root.fulfillment_id, "note": told.note[:500] or None, "told": None, "left_at": None, "heard": True}
    if told.accepted:
        if root.work_state == "open":
            await fulfillment.accept(tx, root.fulfillment_id)
        await tx.value(writes.SET_REQUEST, {**note, "state": "acknowledged", "outcome": None})
        return
    if root.work_state in {"rejected", "cancelled"}:
        return  # both sides say the same
    await fulfillment.reject(tx, root.fulfillment_id, RejectReason(told.reason), note=told.note)
    await tx.execute(writes.NOTE_ALL_SHORT, {"id": root.fulfillment_id})
    await tx.value(writes.SET_REQUEST, {**note, "state": "ended", "outcome": "refused"})


# --- shipments ---


async def _ship(runtime: Runtime, connection: Linked, told: ShipmentTold, received_at: datetime) -> None:
    """Record what is short and what was packed, then that it left: in two steps, since a document may be missing."""
    key = rules.dedup_of(told)
    async with runtime.db.transaction(actor_of(connection)) as tx:
        work_id = await _pack(tx, connection, told, key)
    if work_id is None:
        return
    left_at = told.shipped_at or received_at
    try:
        async with runtime.db.transaction(actor_of(connection)) as tx:
            await _leave(tx, work_id, told, left_at)
    except DocumentRequired as missing:
        async with runtime.db.transaction(actor_of(connection)) as tx:
            note = {"id": work_id, "state": "acknowledged", "outcome": None, "note": str(missing), "told": None}
            await tx.value(writes.SET_REQUEST, {**note, "left_at": left_at, "heard": True})
        raise Waiting(str(missing), after=DOCUMENT_S) from None


async def _pack(tx: Tx, connection: Linked, told: ShipmentTold, key: str) -> UUID | None:
    """Record what is short and packed; return the work that leaves, if any does."""
    works = await _of(tx, connection, told.request)
    before = next((w for w in works if w.told == key), None)
    if before is not None:
        return before.fulfillment_id if before.work_state == "packed" else None
    root = works[0]
    if root.work_state == "packed" and not told.short:
        await _say(tx, root.fulfillment_id, key)  # by hand; the partner says that it left
        return root.fulfillment_id
    units = (await ordering.units_of(tx, [root.order_id]))[root.order_id]
    open_ = [u for u in living(units, root.fulfillment_id) if u.sku_id is not None]
    left = {(u.line, u.sku_id or 0): 0 for u in open_}
    for u in open_:
        if u.state in {UnitState.RELEASED, UnitState.PICKING} or root.work_state == "picked":
            left[u.line, u.sku_id or 0] += u.quantity
    skus = await reads.sku_ids(
        tx, [each.sku for p in told.parcels for each in p.lines] + [each.sku for each in told.short]
    )
    try:
        short = rules.share_out(told.short, skus, left)
        inside = [rules.share_out(parcel.lines, skus, left) for parcel in told.parcels]
    except rules.NotAsked as error:
        raise Parked("not_asked", f"{error.sku}: {error.left} left to ship of {told.request}") from None
    missing = [Short(line, n, RejectReason(each.reason), sku) for line, sku, n, each in short]
    picked = [Picked(line, n, sku) for shares in inside for line, sku, n, _ in shares]
    heard = {"id": root.fulfillment_id, "state": "acknowledged", "outcome": None, "note": None, "left_at": None}
    work_id = root.fulfillment_id
    # What was found is picked before what was not is written off: that there is nothing left means nothing beside it.
    if picked and any(left.values()):
        work_id = (await parting.go_ahead(tx, root.fulfillment_id, picked)).id
        await tx.execute(writes.ADD_PART, {"id": work_id, "root": root.fulfillment_id, "told": key})
        picked = []
    else:
        heard["told"] = key
    if missing or (picked and root.work_state in WORKABLE):
        await fulfillment.confirm_pick(tx, root.fulfillment_id, picked, missing)
    await _note_short(tx, root.fulfillment_id, [(line, sku, n) for line, sku, n, _ in short])
    if not told.parcels:
        over = not any(left.values()) and len(works) == 1
        heard |= {"state": "ended", "outcome": "refused"} if over else {}
    await tx.value(writes.SET_REQUEST, {"told": None, **heard, "heard": True})
    if not told.parcels:
        return None
    parcels = [
        Parcel(weight_grams=p.weight_grams, contents=[Content(line, n, sku) for line, sku, n, _ in shares])
        for p, shares in zip(told.parcels, inside, strict=True)
    ]
    await fulfillment.pack(tx, work_id, parcels)
    return work_id


async def _note_short(tx: Tx, work_id: UUID, lost: Sequence[tuple[int, int, int]]) -> None:
    sums: dict[tuple[int, int], int] = {}
    for line, sku, n in lost:
        sums[line, sku] = sums.get((line, sku), 0) + n
    if not sums:
        return
    columns = {"ids": [work_id] * len(sums), "lines": [k[0] for k in sums], "skus": [k[1] for k in sums]}
    await tx.execute(writes.NOTE_SHORT, {**columns, "units": list(sums.values())})


async def _say(tx: Tx, work_id: UUID, key: str) -> None:
    row = {"id": work_id, "state": "acknowledged", "outcome": None, "note": None, "told": key}
    await tx.value(writes.SET_REQUEST, {**row, "left_at": None, "heard": True})


async def _leave(tx: Tx, work_id: UUID, told: ShipmentTold, left_at: datetime) -> None:
    parcels = await fulfillment.parcels_of(tx, work_id)
    # In the order in which they were packed; a single parcel needs no name.
    tracking = [
        Tracking(
            shipment_id=parcels[n] if n < len(parcels) else None,
            carrier=p.carrier or None,
            tracking_code=p.tracking or None,
            tracking_url=p.tracking_url or None,
        )
        for n, p in enumerate(told.parcels)
    ]
    await fulfillment.ship(tx, work_id, tracking)
    row = {"id": work_id, "state": "ended", "outcome": "shipped", "note": None, "told": None, "heard": True}
    await tx.value(writes.SET_REQUEST, {**row, "left_at": left_at})


# --- stock ---


def source_of(connection: Linked) -> str:
    """Return the code of the source whose word a partner's stock is.

    Raises:
        Parked: the connection names none.
    """
    code = str(connection.config.get("stock_source") or "")
    if not code:
        raise Parked("no_source", "the connection names no stock source")
    return code


async def _adjust(tx: Tx, connection: Linked, told: AdjustmentTold) -> None:
    codes = {p.theirs: p.code for p in await reads.locations(tx, connection.id)}
    if told.location not in codes:
        raise Parked("unknown_location", told.location)
    delta = Delta(
        ref=told.reference,
        sku=told.sku,
        location=codes[told.location],
        quantity=told.quantity,
        occurred_at=told.at,
        document=told.reason or None,
    )
    (reply,) = await deltas.apply_deltas(tx, source_of(connection), [delta])
    if reply.outcome not in SETTLED:
        raise Parked("refused", f"{told.sku}: {reply.outcome.value}")


async def _receive(tx: Tx, connection: Linked, told: ReceiptTold) -> None:
    known = await tx.tuples(reads.KNOWN_NOTICES, {"connection_id": connection.id, "names": [told.notice]})
    if not known:
        raise Parked("unknown_notice", told.notice)
    ((_, kind, number, location_id),) = known
    skus = await reads.sku_ids(tx, [line.sku for line in told.lines])
    strange = sorted({line.sku for line in told.lines} - skus.keys())
    if strange:
        raise Parked("unknown_sku", ", ".join(strange[:5]))
    id_ = rules.receipt_id(connection.id, told)
    lines = [(skus[line.sku], line.quantity, CONDITIONS[line.condition]) for line in told.lines]
    try:
        if kind == "transfer":
            arrived = [Arrived(sku, n, bucket) for sku, n, bucket in lines]
            arrival = Arrival(id=id_, lines=arrived, complete=told.complete, note=told.reference)
            await bringing.receive(tx, number, arrival)
        else:
            draft = ReceiptDraft(
                id=id_,
                location_id=location_id,
                lines=[ReceivedLine(sku, n, bucket) for sku, n, bucket in lines],
                order_id=await tx.value(reads.PURCHASE_ID, {"number": number}),
                document=told.reference,
                received_at=told.at,
                same_document=True,  # each answer has an id of its own
            )
            await supply.receive(tx, draft)
    except ReceiptDiffers as error:  # it would never succeed
        raise Parked("receipt_differs", str(error)) from None
    await tx.execute(writes.NOTE_RECEIVED, {"connection_id": connection.id, "name": told.notice})


async def is_known(tx: Tx, connection_id: int, answers: Sequence[Answer]) -> list[tuple[str, str, str] | None]:
    """Return what an answer names that nobody knows, as (problem, field, value); None where all is known."""
    requests = [a.request for a in answers if isinstance(a, RequestAnswer | ShipmentTold)]
    notices = [a.notice for a in answers if isinstance(a, ReceiptTold)]
    names = set(await tx.values(reads.KNOWN_NAMES, {"connection_id": connection_id, "names": requests}))
    told = await tx.tuples(reads.KNOWN_NOTICES, {"connection_id": connection_id, "names": notices})
    here = {p.theirs for p in await reads.locations(tx, connection_id)}
    skus = await reads.sku_ids(tx, {sku for a in answers for sku in _skus(a)})
    known_notices = {name for name, *_ in told}
    return [_unknown(a, names, known_notices, here, skus.keys()) for a in answers]


def _skus(answer: Answer) -> list[str]:
    match answer:
        case ShipmentTold():
            return [x.sku for p in answer.parcels for x in p.lines] + [x.sku for x in answer.short]
        case AdjustmentTold():
            return [answer.sku]
        case ReceiptTold():
            return [x.sku for x in answer.lines]
        case _:
            return []


def _unknown(
    answer: Answer, names: set[str], notices: set[str], here: set[str], skus: Collection[str]
) -> tuple[str, str, str] | None:
    match answer:
        case RequestAnswer(request=name) | ShipmentTold(request=name) if name not in names:
            return "unknown_request", "request", name
        case ReceiptTold(notice=name) if name not in notices:
            return "unknown_notice", "notice", name
        case AdjustmentTold(location=place) | ReceiptTold(location=place) if place not in here:
            return "unknown_location", "location", place
    strange = next((sku for sku in _skus(answer) if sku not in skus), None)
    return None if strange is None else ("unknown_sku", "sku", strange)
