"""Use cases of transfers: ask, approve, ship, say when they come, receive, decide, cancel.

Approved units are set aside at the origin by a stock hold, so that nobody sells them meanwhile. When they leave they
become the destination's, in its in-transit bucket, and stay there until they arrive or somebody says what became of
them: no unit vanishes by itself. Between two owners of one site nothing travels: what leaves one is the other's at once
(a change of owner), and the transfer is closed with it.

Lock order: transfer, queues of those who wait (`ahead`), hold, balances, buckets.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from malha.inventory import service as stock
from malha.inventory.ahead import reads as ahead_reads
from malha.inventory.ahead import service as ahead
from malha.inventory.buckets import service as buckets
from malha.inventory.buckets.model import BY_HAND, Bucket, Leg
from malha.inventory.counts.freezing import refuse_frozen
from malha.inventory.model import Claim, Deficit, Reason, Reference
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import ReceiptDraft, ReceivedLine
from malha.inventory.supply.writes import RECEIPT_NUMBER
from malha.inventory.transfers import rules, writes
from malha.inventory.transfers.errors import (
    DocumentNeeded,
    NotEnoughToTransfer,
    NotYourEnd,
    UnknownDiscrepancy,
    UnknownTransfer,
    WrongTransferState,
)
from malha.inventory.transfers.events import (
    DiscrepancyDecided,
    TransferApproved,
    TransferCancelled,
    TransferReceived,
    TransferRequested,
    TransferRescheduled,
    TransferShipped,
)
from malha.inventory.transfers.model import (
    DECISIONS,
    TRANSFER_WORDS,
    Arrival,
    Arrived,
    Crosses,
    Decision,
    Departure,
    DiscrepancyKind,
    Outcome,
    Sorted,
    Transfer,
    TransferDraft,
    TransferLine,
    TransferState,
)
from malha.network import reads as network
from malha.network.model import Location
from malha.platform import audit, outbox
from malha.platform.db import Tx
from malha.platform.errors import Forbidden
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word
from malha.platform.ids import UUID, new_id

APPROVE = "stock:approve"
MOST_LINES = 1_000
MAX_UNITS = 1_000_000_000
USUAL_DAYS = 3  # to another location that nothing came to from there so far
USUAL_OF = 20  # the last transfers that say how long the way takes
SET_ASIDE_S = 60 * 24 * 3600.0  # how long approved units wait for their departure before they may be sold again


async def request(tx: Tx, draft: TransferDraft) -> int:
    """Ask for goods of another location; return the transfer's number.

    Raises:
        Invalid: the two are the same place, there are no lines, or a quantity is none.
        NotYourEnd: neither end is in the actor's scope.
    """
    summed: dict[int, int] = {}
    for sku, quantity in draft.lines:
        summed[sku] = summed.get(sku, 0) + quantity
    flaws = []
    if draft.origin_id == draft.destination_id:
        flaws.append(Flaw("destination", N_("Choose another location than the origin.")))
    if not 0 < len(summed) <= MOST_LINES:
        flaws.append(Flaw("lines", N_("A transfer has 1 to {most} lines."), facts={"most": MOST_LINES}))
    flaws += [
        Flaw(f"lines/{i}/quantity", N_("Write a whole number, 1 or more."))
        for i, (_, quantity) in enumerate(draft.lines)
        if not 0 < quantity <= MAX_UNITS
    ]
    refuse(flaws)
    places = await network.locations_by_id(tx, [draft.origin_id, draft.destination_id])
    origin, destination = places[draft.origin_id], places[draft.destination_id]
    if not tx.actor.sees(origin.id) and not tx.actor.sees(destination.id):
        raise NotYourEnd(location=destination.code)
    id_ = new_id()
    crosses = await _crosses(tx, origin, destination)
    number: int = await tx.value(
        writes.INSERT_TRANSFER,
        {
            "id": id_,
            "origin_id": origin.id,
            "destination_id": destination.id,
            "needs_document": crosses is not Crosses.NOTHING,
            "crosses": crosses,
            "eta": draft.eta,
            "note": draft.note,
            "actor": tx.actor.label,
        },
    )
    params = {"id": id_, "skus": list(summed), "quantities": list(summed.values())}
    await tx.execute(writes.INSERT_LINES, params)
    lines = [(line, sku, units) for line, (sku, units) in enumerate(summed.items(), start=1)]
    about = {"number": number, "origin_id": origin.id, "destination_id": destination.id}
    await outbox.add(tx, TransferRequested(id=id_, seq=1, lines=lines, **about))
    facts = {"origin": origin.code, "destination": destination.code, "units": sum(summed.values())}
    await audit.record(tx, action="request", entity="transfer", entity_id=number, after=facts)
    return number


async def _crosses(tx: Tx, origin: Location, destination: Location) -> Crosses:
    """Return what goods cross that go from one location to another."""
    if origin.keeps == destination.keeps:
        return Crosses.NOTHING
    owners = await network.establishments_by_id(tx, [origin.keeps, destination.keeps])
    one_company = owners[origin.keeps].legal_entity_id == owners[destination.keeps].legal_entity_id
    return Crosses.ESTABLISHMENT if one_company else Crosses.COMPANY


async def approve(tx: Tx, number: int, quantities: Mapping[int, int] | None = None) -> None:
    """Set units aside at the origin: what was asked, or other quantities by line (0: not this line).

    Raises:
        Forbidden: the actor may not approve.
        NotYourEnd: the origin is not in the actor's scope.
        WrongTransferState: it is not waiting for approval.
        NotEnoughToTransfer: some units are not free; nothing is set aside.
        Invalid: nothing is left, or a quantity is none.
    """
    _refuse_without_approval(tx)
    transfer = await lock_transfer(tx, number)
    await _at_end(tx, transfer.origin_id)
    _need(transfer, TransferState.REQUESTED)
    lines = await _lines(tx, transfer)
    given = {line.line: line.asked for line in lines} | dict(quantities or {})
    refuse(_flaws_of(given, lines))
    wanted = [Claim(line.sku_id, transfer.origin_id, given[line.line]) for line in lines if given[line.line]]
    short = await stock.place_hold(tx, hold_of(number), wanted, seconds=SET_ASIDE_S)
    if short:
        at = {line.sku_id: line.line for line in lines}
        problems = [
            {"at": f"/quantities/{at[s.sku_id]}", "says": N_("Only {free} are free."), "facts": {"free": s.free}}
            for s in short
        ]
        raise NotEnoughToTransfer(count=len(problems), problems=problems)
    units = [given[line.line] for line in lines]
    await tx.execute(writes.APPROVE_LINES, {"id": transfer.id, "lines": [line.line for line in lines], "units": units})
    seq = await _step(tx, transfer, TransferState.APPROVED)
    approved = [(line.line, line.sku_id, given[line.line]) for line in lines if given[line.line]]
    await outbox.add(tx, TransferApproved(id=transfer.id, seq=seq, lines=approved, **_about(transfer)))
    await audit.record(tx, action="approve", entity="transfer", entity_id=number, after={"units": sum(units)})


def hold_of(number: int) -> str:
    """Return the reference of the hold that sets a transfer's units aside; no cart or order can have it."""
    return f"transfer {number}"


def _flaws_of(given: Mapping[int, int], lines: Sequence[TransferLine]) -> list[Flaw]:
    known = {line.line for line in lines}
    flaws = [
        Flaw(f"quantities/{line}", N_("There is no line {line}."), facts={"line": line})
        for line in given
        if line not in known
    ]
    flaws += [
        Flaw(f"quantities/{line}", N_("Write a whole number, 0 or more."))
        for line, units in given.items()
        if not 0 <= units <= MAX_UNITS
    ]
    if not any(units > 0 for units in given.values()):
        flaws.append(Flaw("quantities", N_("Nothing would be left of the transfer: cancel it instead.")))
    return flaws


async def ship(tx: Tx, number: int, departure: Departure) -> list[Deficit]:
    """Let goods leave: they are the destination's from now on, on their way, or there at once at the same site.

    Where nobody stated a day they are expected after the days that the way usually takes: they are supply like others.

    Returns:
        What is promised at the origin and, after this, not there: goods that left did leave.

    Raises:
        NotYourEnd: the origin is not in the actor's scope, or at the same site the destination.
        WrongTransferState: it is not approved, or has left.
        LocationFrozen, ZoneFrozen: everything at the origin, or some of this, is being counted.
        DocumentNeeded: it goes to another establishment without a fiscal document.
        Invalid: more than was approved, or nothing.
    """
    transfer = await lock_transfer(tx, number)
    await _at_end(tx, transfer.origin_id)
    _need(transfer, TransferState.APPROVED)
    lines = await _lines(tx, transfer)
    await refuse_frozen(tx, {(line.sku_id, transfer.origin_id) for line in lines})
    leaving = {line.line: line.approved or 0 for line in lines} | dict(departure.quantities)
    flaws = _flaws_of(leaving, lines)
    most = {line.line: line.approved or 0 for line in lines}
    flaws += [
        Flaw(f"quantities/{line}", N_("At most {most} were approved."), facts={"most": most[line]})
        for line, units in leaving.items()
        if units > most.get(line, units)
    ]
    refuse(flaws)
    document = (departure.document or "").strip() or transfer.document
    if transfer.needs_document and not document:
        raise DocumentNeeded(number=number)
    places = await network.locations_by_id(tx, [transfer.origin_id, transfer.destination_id])
    origin, destination = places[transfer.origin_id], places[transfer.destination_id]
    there = origin.home == destination.home  # a change of owner
    eta = departure.eta or transfer.eta
    usual = eta is None and not there
    if usual:
        eta = await _usual_day(tx, origin, destination)
    if there:
        await _at_end(tx, transfer.destination_id)
    await ahead.lock_queues(tx, {(line.sku_id, transfer.destination_id) for line in lines})
    await stock.release_holds(tx, [hold_of(number)])
    arriving = Bucket.SELLABLE if there else Bucket.IN_TRANSIT
    left = await buckets.move(
        tx,
        [
            leg
            for line in lines
            if leaving[line.line]
            for leg in (
                Leg(line.sku_id, transfer.origin_id, Bucket.SELLABLE, -leaving[line.line]),
                Leg(line.sku_id, transfer.destination_id, arriving, leaving[line.line]),
            )
        ],
        Reason.TRANSFER,
        _reference(transfer),
    )
    params = {"id": transfer.id, "lines": list(leaving), "units": list(leaving.values())}
    await tx.execute(writes.SHIP_LINES, params)
    await tx.execute(
        writes.SET_DEPARTURE,
        {
            "id": transfer.id,
            "document": document,
            "carrier": departure.carrier,
            "tracking_code": departure.tracking_code,
            "eta": eta,
            "usual": usual,
        },
    )
    seq = await _step(tx, transfer, TransferState.SHIPPED)
    gone = [(line.line, line.sku_id, leaving[line.line]) for line in lines if leaving[line.line]]
    event = TransferShipped(id=transfer.id, seq=seq, lines=gone, document=document, **_about(transfer))
    await outbox.add(tx, event)
    if there:
        await _change_owner(tx, transfer, gone)
    else:
        await ahead.line_up(tx, {(sku, transfer.destination_id) for _, sku, _ in gone})
    facts = {"units": sum(leaving.values()), "document": document}
    await audit.record(tx, action="ship", entity="transfer", entity_id=number, after=facts)
    return left


async def reschedule(tx: Tx, number: int, day: date, reason: str = "") -> bool:
    """State on which day goods come; return whether that is another one. Every move is kept, with what it was before.

    Orders that are promised from goods on their way follow, as they follow a purchase order. Who works at either end
    may say so: the one hears from the carrier, the other sees that nothing came.

    Raises:
        UnknownTransfer: neither end is in the actor's scope, or there is no such transfer.
        WrongTransferState: it was received, closed or cancelled.
    """
    transfer = await lock_transfer(tx, number)
    _need(transfer, TransferState.REQUESTED, TransferState.APPROVED, TransferState.SHIPPED)
    params = {"id": transfer.id, "eta": day, "reason": reason.strip(), "actor": tx.actor.label}
    moved = await tx.tuples(writes.RESCHEDULE, params)
    if not moved:
        return False
    ((seq, was),) = moved
    lines = [(line.line, line.sku_id, _to_come(transfer, line)) for line in await _lines(tx, transfer)]
    coming = [one for one in lines if one[2]]
    await outbox.add(
        tx,
        TransferRescheduled(
            id=transfer.id, seq=seq, reason=reason.strip(), was=was, became=day, lines=coming, **_about(transfer)
        ),
    )
    if transfer.state == TransferState.SHIPPED:
        await ahead.line_up(tx, {(sku, transfer.destination_id) for _, sku, _ in coming})
    facts = {"expected": f"{was or '-'} -> {day}", "reason": reason.strip()}
    await audit.record(tx, action="reschedule", entity="transfer", entity_id=number, after=facts)
    return True


def _to_come(transfer: Transfer, line: TransferLine) -> int:
    if transfer.state == TransferState.SHIPPED:
        return line.transit
    return line.asked if line.approved is None else line.approved


async def expected(tx: Tx, number: int) -> dict[int, int]:
    """Return the units of a transfer that are on their way and promised to nobody yet, by SKU id.

    None of them arrives before the transaction ends.

    Raises:
        UnknownTransfer: neither end is in the actor's scope, or there is no such transfer.
    """
    transfer = await lock_transfer(tx, number)
    return {supply.sku_id: supply.free for supply in await ahead_reads.supply_from(tx, transfer.id) if supply.free}


async def _usual_day(tx: Tx, origin: Location, destination: Location) -> date:
    """Return the day on which what leaves now is expected there, by what came that way lately."""
    params = {
        "origin_id": origin.id,
        "destination_id": destination.id,
        "zone": destination.timezone,
        "most": USUAL_OF,
    }
    known: int | None = await tx.value(writes.USUAL_DAYS, params)
    days = USUAL_DAYS if known is None else known
    return (await tx.now()).astimezone(ZoneInfo(destination.timezone)).date() + timedelta(days=days)


async def _change_owner(tx: Tx, transfer: Transfer, gone: Sequence[tuple[int, int, int]]) -> None:
    """Note that goods are at the destination already: a receipt of its own, nothing on its way, nothing to decide."""
    receipt_id = new_id()
    note = ReceiptDraft(id=receipt_id, location_id=transfer.destination_id, lines=[])
    await supply.note_receipt(tx, note, transfer.id)
    came = [ReceivedLine(sku, units, Bucket.SELLABLE, line) for line, sku, units in gone]
    await supply.note_lines(tx, receipt_id, came)
    params = {"id": transfer.id, "lines": [line for line, _, _ in gone], "units": [units for _, _, units in gone]}
    await tx.execute(writes.ARRIVE_LINES, params)
    seq = await _step(tx, transfer, TransferState.CLOSED)
    queues = {(sku, transfer.destination_id) for _, sku, _ in gone}
    await ahead.line_up(tx, queues, supply.sellable(transfer.destination_id, came))
    event = TransferReceived(
        id=transfer.id, seq=seq, receipt_id=receipt_id, lines=list(gone), missing=0, damaged=0, excess=0,
        **_about(transfer),
    )  # fmt: skip
    await outbox.add(tx, event)


async def receive(tx: Tx, number: int, arrival: Arrival) -> Outcome:
    """Take in what arrived. The same arrival again says what was done the first time.

    What is damaged goes into its bucket, what is too much is examined, and with `complete` what is not here is missing:
    each is a discrepancy that waits for a decision.

    Raises:
        NotYourEnd: the destination is not in the actor's scope.
        WrongTransferState: it has not left, or was received to its end.
        Invalid: a quantity or bucket that is none.
    """
    transfer = await lock_transfer(tx, number)
    await _at_end(tx, transfer.destination_id)
    refuse(_flaws_of_arrival(arrival))
    note = ReceiptDraft(id=arrival.id, location_id=transfer.destination_id, lines=[], note=arrival.note)
    receipt = await supply.note_receipt(tx, note, transfer.id)
    if receipt is None:
        known: int = await tx.value(RECEIPT_NUMBER, {"id": arrival.id})
        return Outcome(known, True, transfer.state, 0, 0, 0, [])
    _need(transfer, TransferState.SHIPPED)
    told = rules.tell_apart(await _lines(tx, transfer), arrival.lines)
    await supply.note_lines(
        tx,
        arrival.id,
        [ReceivedLine(a.sku_id, a.quantity, a.bucket, line) for line, a in told.expected]
        + [ReceivedLine(a.sku_id, a.quantity, Bucket.QUALITY_CONTROL) for a in told.excess],
    )
    queues = {(line.sku_id, transfer.destination_id) for line in await _lines(tx, transfer)}
    await ahead.lock_queues(tx, queues)
    left = await _put_away(tx, transfer, told)
    found = await _note_discrepancies(tx, transfer, told, complete=arrival.complete)
    state = await _settled_state(tx, transfer, complete=arrival.complete)
    seq = await _step(tx, transfer, state)
    expected = [ReceivedLine(a.sku_id, a.quantity, a.bucket, line) for line, a in told.expected]
    await ahead.line_up(tx, queues, supply.sellable(transfer.destination_id, expected))
    event = TransferReceived(
        id=transfer.id,
        seq=seq,
        receipt_id=arrival.id,
        lines=[(line, a.sku_id, a.quantity) for line, a in told.expected],
        **found,
        **_about(transfer),
    )
    await outbox.add(tx, event)
    facts = {"receipt": receipt, **found}
    await audit.record(tx, action="receive", entity="transfer", entity_id=number, after=facts)
    return Outcome(receipt, False, state, found["missing"], found["damaged"], found["excess"], left)


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


async def _put_away(tx: Tx, transfer: Transfer, told: Sorted) -> list[Deficit]:
    here = transfer.destination_id
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
        _reference(transfer),
    )
    if told.excess:
        legs = [Leg(a.sku_id, here, Bucket.QUALITY_CONTROL, a.quantity) for a in told.excess]
        await buckets.change(tx, legs, Reason.EXCESS, _reference(transfer))
    params = {
        "id": transfer.id,
        "lines": [line for line, _ in told.expected],
        "units": [a.quantity for _, a in told.expected],
    }
    await tx.execute(writes.ARRIVE_LINES, params)
    return left


async def _note_discrepancies(tx: Tx, transfer: Transfer, told: Sorted, *, complete: bool) -> dict[str, int]:
    """Write what waits for a decision; return the units of each kind."""
    strange: dict[int, int] = {}
    for a in told.excess:
        strange[a.sku_id] = strange.get(a.sku_id, 0) + a.quantity
    if strange:
        params = {"id": transfer.id, "skus": list(strange), "units": list(strange.values())}
        await tx.execute(writes.ADD_STRANGE_LINES, params)
    lines = await _lines(tx, transfer)
    by_sku = {line.sku_id: line.line for line in lines}
    damaged: dict[int, int] = {}
    for line, a in told.expected:
        if a.bucket is Bucket.DAMAGED:
            damaged[line] = damaged.get(line, 0) + a.quantity
    rows = [(line, DiscrepancyKind.DAMAGED, units) for line, units in damaged.items()]
    rows += [(by_sku[sku], DiscrepancyKind.EXCESS, units) for sku, units in strange.items()]
    if complete:
        rows += [(line.line, DiscrepancyKind.MISSING, line.transit) for line in lines if line.transit]
    if rows:
        await _add_discrepancies(tx, transfer, rows)
    return {kind.value: sum(units for _, k, units in rows if k is kind) for kind in DiscrepancyKind}


async def _add_discrepancies(tx: Tx, transfer: Transfer, rows: Sequence[tuple[int, DiscrepancyKind, int]]) -> None:
    await tx.execute(
        writes.ADD_DISCREPANCIES,
        {
            "ids": [new_id() for _ in rows],
            "transfer_id": transfer.id,
            "lines": [line for line, _, _ in rows],
            "kinds": [kind.value for _, kind, _ in rows],
            "quantities": [units for _, _, units in rows],
            "actor": tx.actor.label,
        },
    )


async def _settled_state(tx: Tx, transfer: Transfer, *, complete: bool) -> TransferState:
    if await tx.value(writes.IS_DONE, {"id": transfer.id}):
        return TransferState.CLOSED
    still_coming = not complete and any(line.transit for line in await _lines(tx, transfer))
    return TransferState.SHIPPED if still_coming else TransferState.RECEIVED


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
    _refuse_without_approval(tx)
    transfer = await lock_transfer(tx, number)
    rows = await tx.tuples(writes.OPEN_DISCREPANCY, {"id": discrepancy_id, "transfer_id": transfer.id})
    if not rows:
        raise UnknownDiscrepancy(number=number)
    ((line, sku, kind_text, open_units),) = rows
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
        params = {"id": transfer.id, "line": line, "arrived": units if late else 0, "settled": 0 if late else units}
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
        await _add_discrepancies(tx, transfer, [(line, kind, open_units - units)])
    done = await _settled_state(tx, transfer, complete=transfer.state != TransferState.SHIPPED)
    seq = await _step(tx, transfer, done)
    event = DiscrepancyDecided(
        id=transfer.id,
        seq=seq,
        discrepancy_id=discrepancy_id,
        kind=kind.value,
        decision=decision.value,
        sku_id=sku,
        units=units,
        **_about(transfer),
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
        left = await buckets.move(tx, legs, reason, _reference(transfer))
    else:
        reason = Reason.EXCESS if kind is DiscrepancyKind.EXCESS else Reason.LOSS
        left = await buckets.change(tx, legs, reason, _reference(transfer))
    await ahead.line_up(tx, came, came)
    return left


async def cancel(tx: Tx, number: int, reason: str) -> None:
    """Give a transfer up before it leaves: what was set aside is free again.

    Raises:
        WrongTransferState: it has left, or has ended.
        Invalid: no reason is given.
    """
    refuse([] if reason.strip() else [Flaw("reason", N_("Say why."))])
    transfer = await lock_transfer(tx, number)
    _need(transfer, TransferState.REQUESTED, TransferState.APPROVED)
    await stock.release_holds(tx, [hold_of(number)])
    seq = await _step(tx, transfer, TransferState.CANCELLED)
    await outbox.add(tx, TransferCancelled(id=transfer.id, seq=seq, reason=reason.strip(), **_about(transfer)))
    await audit.record(tx, action="cancel", entity="transfer", entity_id=number, after={"reason": reason.strip()})


def _refuse_without_approval(tx: Tx) -> None:
    if not tx.actor.may(APPROVE):
        raise Forbidden(permission=APPROVE)


async def lock_transfer(tx: Tx, number: int) -> Transfer:
    """Lock a transfer that comes from or goes to a location of the actor; its `seq` is its version.

    Raises:
        UnknownTransfer: there is none.
    """
    transfer = await tx.maybe(Transfer, writes.LOCK_TRANSFER, {"number": number})
    if transfer is None or not (tx.actor.sees(transfer.origin_id) or tx.actor.sees(transfer.destination_id)):
        raise UnknownTransfer(number=number)
    return transfer


async def _at_end(tx: Tx, location_id: int) -> None:
    if not tx.actor.sees(location_id):
        place = (await network.locations_by_id(tx, [location_id]))[location_id]
        raise NotYourEnd(location=place.code)


def _need(transfer: Transfer, *states: TransferState) -> None:
    if transfer.state not in states:
        raise WrongTransferState(number=transfer.number, state=Word(TRANSFER_WORDS[transfer.state]))


async def _lines(tx: Tx, transfer: Transfer) -> list[TransferLine]:
    return await tx.all(TransferLine, writes.LINES, {"id": transfer.id})


async def _step(tx: Tx, transfer: Transfer, state: TransferState) -> int:
    seq: int = await tx.value(writes.STEP, {"id": transfer.id, "state": str(state), "actor": tx.actor.label})
    return seq


def _about(transfer: Transfer) -> dict[str, int]:
    return {
        "number": transfer.number,
        "origin_id": transfer.origin_id,
        "destination_id": transfer.destination_id,
    }


def _reference(transfer: Transfer) -> Reference:
    return Reference("transfer", transfer.id, f"T{transfer.number}")


__all__ = [
    "Arrived",
    "approve",
    "cancel",
    "decide",
    "hold_of",
    "lock_transfer",
    "receive",
    "request",
    "reschedule",
    "ship",
]
