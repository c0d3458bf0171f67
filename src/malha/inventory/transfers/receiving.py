"""Goods of a transfer arrive, and somebody says what became of those that did not arrive as they left."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

import msgspec

from malha.inventory import service as stock
from malha.inventory.ahead import service as ahead
from malha.inventory.buckets import service as buckets
from malha.inventory.buckets.model import BY_HAND, Bucket, Leg
from malha.inventory.model import Claim, Deficit, Reason
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import ReceiptDraft, ReceivedLine
from malha.inventory.transfers import rules, writes
from malha.inventory.transfers.errors import NothingOnItsWay, UnknownDiscrepancy, WrongTransferState
from malha.inventory.transfers.events import DiscrepancyDecided, TransferReceived
from malha.inventory.transfers.model import (
    DECISIONS,
    TRANSFER_WORDS,
    Arrival,
    Decision,
    DiscrepancyKind,
    Meant,
    OnItsWay,
    Outcome,
    Sorted,
    Transfer,
    TransferState,
)
from malha.inventory.transfers.steps import (
    MAX_UNITS,
    about,
    at_end,
    derived_state,
    lines_of,
    lock_transfer,
    need,
    reference,
    refuse_without_approval,
    step,
)
from malha.platform import audit, outbox
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word
from malha.platform.ids import UUID, new_id


class _Found(NamedTuple):
    """Units of a line of a shipment that wait for a decision."""

    shipment_id: UUID
    line: int
    kind: DiscrepancyKind
    units: int


async def receive(tx: Tx, number: int, arrival: Arrival, meant: Meant | None = None) -> Outcome:
    """Take in what arrived. The same arrival again says what was done the first time.

    Of what can be sold, what is `meant` for an order is allocated to it at once; edges leave that to
    `fulfillment.bringing.receive`, which knows the order.

    What is damaged goes into its bucket, what is too much is examined, and with `complete` what is not here is missing:
    each is a discrepancy that waits for a decision. Other shipments stay on their way.

    Raises:
        NotYourEnd: the destination is not in the actor's scope.
        WrongTransferState: it has not left, or was received to its end.
        NothingOnItsWay: that shipment was received to its end, or is none.
        Invalid: a quantity or bucket that is none.
        ReceiptDiffers: its id is that of a receipt of other goods, of another shipment, or of one that was
            `complete` otherwise.
    """
    transfer = await lock_transfer(tx, number)
    await at_end(tx, transfer.destination_id)
    refuse(_flaws_of_arrival(arrival))
    note = ReceiptDraft(
        id=arrival.id, location_id=transfer.destination_id, lines=[], note=arrival.note, complete=arrival.complete
    )
    receipt = await supply.note_receipt(tx, note, transfer.id)
    if receipt is None:
        sent = [ReceivedLine(line.sku_id, line.quantity, line.bucket) for line in arrival.lines]
        again = msgspec.structs.replace(note, lines=sent)
        known = await supply.sent_again(tx, again, transfer.id, arrival.shipment)
        return Outcome(known, True, transfer.state, 0, 0, 0, [])
    need(transfer, TransferState.PARTLY_SHIPPED, TransferState.SHIPPED)
    ways = await _on_their_way(tx, transfer, arrival.shipment)
    told = rules.tell_apart(ways, arrival.lines)
    of = {way.shipment: way.shipment_id for way, _ in told.expected}
    about_one = arrival.shipment or (next(iter(of)) if len(of) == 1 else None)
    put = [ReceivedLine(a.sku_id, a.quantity, a.bucket, way.line) for way, a in told.expected]
    beside = [ReceivedLine(a.sku_id, a.quantity, Bucket.QUALITY_CONTROL) for a in told.excess]
    of_shipments = [*(way.shipment for way, _ in told.expected), *[about_one] * len(beside)]
    await supply.note_lines(tx, arrival.id, put + beside, of_shipments)
    queues = {(line.sku_id, transfer.destination_id) for line in await lines_of(tx, transfer)}
    await ahead.lock_queues(tx, queues)
    mine = await _allocate(tx, transfer, told, meant) if meant is not None else {}
    several = await tx.value(writes.NEXT_SHIPMENT, {"id": transfer.id}) > 2
    left = await _put_away(tx, transfer, told, about_one if several else None)
    ended = _ended(arrival, ways, of.keys())
    found = await _note_discrepancies(tx, transfer, told, of[min(of)] if of else ways[0].shipment_id, ended)
    state = await derived_state(tx, transfer)
    seq = await step(tx, transfer, state)
    came = supply.sellable(transfer.destination_id, put)
    await ahead.line_up(tx, queues, {key: units - mine.get(key[0], 0) for key, units in came.items()})
    event = TransferReceived(
        id=transfer.id,
        seq=seq,
        receipt_id=arrival.id,
        lines=[(way.line, a.sku_id, a.quantity) for way, a in told.expected],
        missing=found[DiscrepancyKind.MISSING],
        damaged=found[DiscrepancyKind.DAMAGED],
        excess=found[DiscrepancyKind.EXCESS],
        shipment=about_one,
        **about(transfer),
    )
    await outbox.add(tx, event)
    facts: dict[str, int] = {"receipt": receipt, **found} | ({} if about_one is None else {"shipment": about_one})
    await audit.record(tx, action="receive", entity="transfer", entity_id=number, after=facts)
    return Outcome(receipt, False, state, event.missing, event.damaged, event.excess, left, mine)


async def _allocate(tx: Tx, transfer: Transfer, told: Sorted, meant: Meant) -> dict[int, int]:
    """Allocate what arrives for an order to it, before it is there; return the units by SKU."""
    came: dict[int, int] = {}
    for _, a in told.expected:
        if a.bucket is Bucket.SELLABLE:
            came[a.sku_id] = came.get(a.sku_id, 0) + a.quantity
    mine = {sku: min(units, meant.units.get(sku, 0)) for sku, units in sorted(came.items())}
    mine = {sku: units for sku, units in mine.items() if units}
    claims = [Claim(sku, transfer.destination_id, units) for sku, units in mine.items()]
    await stock.claim_brought(tx, claims, meant.order_id)
    return mine


def _ended(arrival: Arrival, ways: Sequence[OnItsWay], taken: Collection[int]) -> Collection[int]:
    """Return the shipments of which nothing more comes, where something was taken from those of `taken`.

    Goods that nobody sent say of several shipments that one of them came, and not which: none of them is missing.
    """
    if not arrival.complete:
        return set()
    numbers = {way.shipment for way in ways}
    return taken or (set() if arrival.lines and len(numbers) > 1 else numbers)


async def _on_their_way(tx: Tx, transfer: Transfer, shipment: int | None) -> list[OnItsWay]:
    """Return what may arrive, of one shipment or of all; never nothing."""
    away = await tx.all(OnItsWay, writes.ON_ITS_WAY, {"id": transfer.id})
    ways = [way for way in away if shipment in (None, way.shipment)]
    if ways:
        return ways
    if shipment is None:
        raise WrongTransferState(number=transfer.number, state=Word(TRANSFER_WORDS[transfer.state]))
    raise NothingOnItsWay(number=transfer.number, shipment=shipment)


def _flaws_of_arrival(arrival: Arrival) -> list[Flaw]:
    flaws = []
    if not arrival.lines and not arrival.complete:
        flaws.append(Flaw("lines", N_("Say what arrived.")))
    for i, line in enumerate(arrival.lines):
        if not 0 < line.quantity <= MAX_UNITS:
            flaws.append(Flaw(f"lines/{i}/quantity", N_("Write a whole number, 1 or more.")))
        if line.bucket not in BY_HAND:
            flaws.append(Flaw(f"lines/{i}/bucket", N_("Goods that arrived are no longer on their way.")))
    return flaws


async def _put_away(tx: Tx, transfer: Transfer, told: Sorted, shipment: int | None) -> list[Deficit]:
    here = transfer.destination_id
    about_it = reference(transfer, shipment)
    left = await buckets.move(
        tx,
        [
            leg
            for _, a in told.expected
            for leg in (
                Leg(a.sku_id, here, Bucket.IN_TRANSIT, -a.quantity),
                Leg(a.sku_id, here, a.bucket, a.quantity),
            )
        ],
        Reason.TRANSFER,
        about_it,
    )
    if told.excess:
        legs = [Leg(a.sku_id, here, Bucket.QUALITY_CONTROL, a.quantity) for a in told.excess]
        await buckets.change(tx, legs, Reason.EXCESS, about_it)
    params = {
        "id": transfer.id,
        "shipments": [way.shipment_id for way, _ in told.expected],
        "lines": [way.line for way, _ in told.expected],
        "units": [a.quantity for _, a in told.expected],
    }
    await tx.execute(writes.ARRIVE_LINES, params)
    return left


async def _note_discrepancies(
    tx: Tx, transfer: Transfer, told: Sorted, shipment_id: UUID, ended: Collection[int]
) -> dict[str, int]:
    """Write what waits for a decision: too much came with a shipment, what is not here of those `ended` is missing.

    Returns:
        The units of each kind.
    """
    strange: dict[int, int] = {}
    for a in told.excess:
        strange[a.sku_id] = strange.get(a.sku_id, 0) + a.quantity
    if strange:
        params = {"id": transfer.id, "skus": list(strange)}
        await tx.execute(writes.ADD_STRANGE_LINES, params)
    damaged: dict[tuple[UUID, int], int] = {}
    for way, a in told.expected:
        if a.bucket is Bucket.DAMAGED:
            damaged[way.shipment_id, way.line] = damaged.get((way.shipment_id, way.line), 0) + a.quantity
    rows = [_Found(at, line, DiscrepancyKind.DAMAGED, units) for (at, line), units in damaged.items()]
    if strange:
        by_sku = {line.sku_id: line.line for line in await lines_of(tx, transfer)}
        rows += [_Found(shipment_id, by_sku[sku], DiscrepancyKind.EXCESS, units) for sku, units in strange.items()]
    lost = [
        _Found(way.shipment_id, way.line, DiscrepancyKind.MISSING, units)
        for way, units in told.away
        if way.shipment in ended
    ]
    if lost:
        params = {
            "shipments": [one.shipment_id for one in lost],
            "lines": [one.line for one in lost],
            "units": [one.units for one in lost],
        }
        await tx.execute(writes.NOTE_MISSING, params)
        rows += lost
    if rows:
        await _add_discrepancies(tx, transfer, rows)
    return {kind.value: sum(one.units for one in rows if one.kind is kind) for kind in DiscrepancyKind}


async def _add_discrepancies(tx: Tx, transfer: Transfer, rows: Sequence[_Found]) -> None:
    await tx.execute(
        writes.ADD_DISCREPANCIES,
        {
            "ids": [new_id() for _ in rows],
            "transfer_id": transfer.id,
            "shipments": [one.shipment_id for one in rows],
            "lines": [one.line for one in rows],
            "kinds": [one.kind.value for one in rows],
            "quantities": [one.units for one in rows],
            "actor": tx.actor.label,
        },
    )


async def decide(
    tx: Tx,
    number: int,
    discrepancy_id: UUID,
    decision: Decision,
    *,
    units: int | None = None,
    note: str = "",
    reference: str | None = None,
) -> list[Deficit]:
    """Say what became of units that did not arrive as they left; of part of them with `units`, the rest waits on.

    Raises:
        Forbidden: the actor may not approve.
        UnknownDiscrepancy: it is not there, or decided.
        Invalid: the decision does not fit, there are fewer units, or a claim has no reference.
        NotInBucket: the goods have left their bucket meanwhile.
    """
    refuse_without_approval(tx)
    transfer = await lock_transfer(tx, number)
    rows = await tx.tuples(writes.OPEN_DISCREPANCY, {"id": discrepancy_id, "transfer_id": transfer.id})
    if not rows:
        raise UnknownDiscrepancy(number=number)
    ((line, sku, kind_text, open_units, shipment_id),) = rows
    kind, units = DiscrepancyKind(kind_text), open_units if units is None else units
    flaws = []
    if decision not in DECISIONS[kind]:
        flaws.append(Flaw("decision", N_("This cannot be decided about goods of this kind.")))
    if not 0 < units <= open_units:
        flaws.append(Flaw("units", N_("Write a number from 1 to {most}."), facts={"most": open_units}))
    if decision is Decision.CARRIER_CLAIM and not (reference or "").strip():
        flaws.append(Flaw("reference", N_("Give the number of the claim.")))
    refuse(flaws)
    left = await _carry_out(tx, transfer, kind, decision, sku, units)
    if kind is DiscrepancyKind.MISSING:
        late = decision is Decision.ARRIVED_LATE
        params = {
            "id": transfer.id,
            "shipment_id": shipment_id,
            "line": line,
            "arrived": units if late else 0,
            "settled": 0 if late else units,
        }
        await tx.execute(writes.SETTLE_LINE, params)
    await tx.execute(
        writes.DECIDE,
        {
            "id": discrepancy_id,
            "decision": decision.value,
            "quantity": units,
            "note": note.strip(),
            "reference": (reference or "").strip() or None,
            "actor": tx.actor.label,
        },
    )
    if units < open_units:
        await _add_discrepancies(tx, transfer, [_Found(shipment_id, line, kind, open_units - units)])
    seq = await step(tx, transfer, await derived_state(tx, transfer))
    event = DiscrepancyDecided(
        id=transfer.id,
        seq=seq,
        discrepancy_id=discrepancy_id,
        kind=kind.value,
        decision=decision.value,
        sku_id=sku,
        units=units,
        **about(transfer),
    )
    await outbox.add(tx, event)
    facts = {"kind": kind.value, "decision": decision.value, "units": units, "reference": reference}
    await audit.record(tx, action="decide", entity="transfer", entity_id=number, after=facts)
    return left


async def _carry_out(
    tx: Tx, transfer: Transfer, kind: DiscrepancyKind, decision: Decision, sku: int, units: int
) -> list[Deficit]:
    legs = rules.legs_of(decision, kind, sku, transfer.origin_id, transfer.destination_id, units)
    if not legs:
        return []
    came = {
        (leg.sku_id, leg.location_id): leg.quantity
        for leg in legs
        if leg.bucket is Bucket.SELLABLE and leg.quantity > 0
    }
    await ahead.lock_queues(tx, came)
    if not sum(leg.quantity for leg in legs):
        reason = Reason.TRANSFER if kind is DiscrepancyKind.MISSING else Reason.MOVE
        left = await buckets.move(tx, legs, reason, reference(transfer))
    else:
        reason = Reason.EXCESS if kind is DiscrepancyKind.EXCESS else Reason.LOSS
        left = await buckets.change(tx, legs, reason, reference(transfer))
    await ahead.line_up(tx, came, came)
    return left
