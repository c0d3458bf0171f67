"""Goods of a transfer leave, in one or several shipments; what is not going to leave is given back."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

from malha.inventory import service as stock
from malha.inventory.ahead import service as ahead
from malha.inventory.buckets import service as buckets
from malha.inventory.buckets.model import Bucket, Leg
from malha.inventory.counts.freezing import refuse_frozen
from malha.inventory.model import Claim, Reason
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import ReceiptDraft, ReceivedLine
from malha.inventory.transfers import writes
from malha.inventory.transfers.errors import DocumentNeeded, NotEnoughToTransfer
from malha.inventory.transfers.events import TransferClosedShort, TransferReceived, TransferShipped
from malha.inventory.transfers.model import (
    LEAVING,
    Departure,
    Left,
    Transfer,
    TransferLine,
    TransferState,
)
from malha.inventory.transfers.steps import (
    SET_ASIDE_S,
    about,
    at_end,
    derived_state,
    flaws_of,
    hold_of,
    lines_of,
    lock_transfer,
    need,
    reference,
    step,
)
from malha.network import reads as network
from malha.network.model import Location
from malha.platform import audit, outbox
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID, new_id

USUAL_DAYS = 3  # to another location that nothing came to from there so far
USUAL_OF = 20  # the last shipments that say how long the way takes


async def ship(tx: Tx, number: int, departure: Departure) -> Left:
    """Let goods leave: they are the destination's from now on, on their way, or there at once at the same site.

    Where nobody stated a day they are expected after the days that the way usually takes: they are supply like others.
    What does not leave stays set aside when more follows, as long again as after the approval, also where the time of
    what was set aside was over; else it is given back.

    Returns:
        The shipment, and what is promised at the origin and, after this, not there: goods that left did leave.

    Raises:
        NotYourEnd: the origin is not in the actor's scope, or at the same site the destination.
        WrongTransferState: it is not approved, or all of it has left.
        LocationFrozen, ZoneFrozen: everything at the origin, or some of this, is being counted.
        DocumentNeeded: it goes to another establishment without a fiscal document of its own.
        NotEnoughToTransfer: more follows, nothing is set aside any more, and what would stay is not free.
        Invalid: more than is left, or nothing.
    """
    transfer = await lock_transfer(tx, number)
    await at_end(tx, transfer.origin_id)
    need(transfer, *LEAVING)
    lines = await lines_of(tx, transfer)
    leaving = {line.line: line.left for line in lines} | dict(departure.quantities)
    refuse(_flaws_of_departure(leaving, lines))
    gone = [(line.line, line.sku_id, leaving[line.line]) for line in lines if leaving[line.line]]
    await refuse_frozen(tx, {(sku, transfer.origin_id) for _, sku, _ in gone})
    shipment: int = await tx.value(writes.NEXT_SHIPMENT, {"id": transfer.id})
    document = (departure.document or "").strip() or (transfer.document if shipment == 1 else None)
    places = await network.locations_by_id(tx, [transfer.origin_id, transfer.destination_id])
    origin, destination = places[transfer.origin_id], places[transfer.destination_id]
    apart = origin.keeps != destination.keeps  # an end may keep another's goods than when it was asked for
    if (transfer.needs_document or apart) and not document:
        raise DocumentNeeded(number=number)
    there = origin.home == destination.home  # a change of owner
    today = (await tx.now()).astimezone(ZoneInfo(destination.timezone)).date()
    over = shipment > 1 and transfer.eta is not None and transfer.eta < today  # the day was that of those before
    eta = departure.eta or (None if over else transfer.eta)
    usual = eta is None and not there
    if usual:
        eta = today + timedelta(days=await _usual_days(tx, origin, destination))
    if there:
        await at_end(tx, transfer.destination_id)
    await ahead.lock_queues(tx, {(line.sku_id, transfer.destination_id) for line in lines})
    rest = sum(line.left - leaving[line.line] for line in lines)
    stays = departure.more_follows and rest > 0
    arriving = Bucket.SELLABLE if there else Bucket.IN_TRANSIT
    legs = [
        leg
        for _, sku, units in gone
        for leg in (
            Leg(sku, transfer.origin_id, Bucket.SELLABLE, -units),
            Leg(sku, transfer.destination_id, arriving, units),
        )
    ]
    # Balances that change, at the destination too, are locked with those of what was set aside.
    change = [Claim(leg.sku_id, leg.location_id, 0) for leg in legs if leg.bucket is Bucket.SELLABLE]
    if stays:
        taken = [Claim(sku, transfer.origin_id, units) for _, sku, units in gone]
        waits = {line.line: Claim(line.sku_id, transfer.origin_id, line.left - leaving[line.line]) for line in lines}
        waits = {line: claim for line, claim in waits.items() if claim.quantity}
        set_aside = await stock.take_from_hold(
            tx, hold_of(number), taken, seconds=SET_ASIDE_S, also=[*waits.values(), *change]
        )
    else:
        await stock.release_holds(tx, [hold_of(number)], change)
    left = await buckets.move(
        tx, legs, Reason.TRANSFER, reference(transfer, shipment if stays or shipment > 1 else None)
    )
    if stays and not set_aside:
        await _set_aside_anew(tx, number, waits)
    shipment_id = transfer.id if shipment == 1 else new_id()  # as the migration says it
    params = {
        "id": transfer.id,
        "shipment_id": shipment_id,
        "shipment": shipment,
        "document": document,
        "carrier": departure.carrier,
        "tracking_code": departure.tracking_code,
        "eta": eta,
        "usual": usual,
        "rest": stays,
        "actor": tx.actor.label,
        "lines": [line for line, _, _ in gone],
        "skus": [sku for _, sku, _ in gone],
        "units": [units for _, _, units in gone],
    }
    await tx.execute(writes.SHIP_LINES, params)
    await tx.execute(writes.INSERT_SHIPMENT, params)
    await tx.execute(writes.INSERT_SHIPMENT_LINES, params)
    await tx.execute(writes.SET_DEPARTURE, params)
    if rest and not stays:
        await _drop_rest(tx, transfer, "")
    state = TransferState.PARTLY_SHIPPED if stays else TransferState.SHIPPED
    seq = await step(tx, transfer, state)
    event = TransferShipped(
        id=transfer.id, seq=seq, lines=gone, document=document, shipment=shipment, to_ship=rest if stays else 0,
        **about(transfer),
    )  # fmt: skip
    await outbox.add(tx, event)
    if there:
        state = await _change_owner(tx, transfer, shipment_id, shipment, gone)
    else:
        await ahead.line_up(tx, {(sku, transfer.destination_id) for _, sku, _ in gone})
    facts = {"shipment": shipment, "units": sum(units for _, _, units in gone), "document": document}
    facts |= {"to_ship": rest} if stays else {}
    await audit.record(tx, action="ship", entity="transfer", entity_id=number, after=facts)
    return Left(shipment, rest if stays else 0, state, left)


async def _set_aside_anew(tx: Tx, number: int, waits: Mapping[int, Claim]) -> None:
    """Set aside what stays, by line, where the time of what was set aside is over and somebody may have taken it."""
    short = await stock.place_hold(tx, hold_of(number), list(waits.values()), seconds=SET_ASIDE_S, locked=True)
    if not short:
        return
    at = {claim.sku_id: line for line, claim in waits.items()}
    problems = [
        {
            "at": f"/quantities/{at[s.sku_id]}",
            "says": N_("{units} would stay, and only {free} are free: let it leave too, or say that nothing follows."),
            "facts": {"units": s.asked, "free": max(s.free, 0)},
        }
        for s in short
    ]
    raise NotEnoughToTransfer(count=len(problems), problems=problems)


def _flaws_of_departure(leaving: dict[int, int], lines: Sequence[TransferLine]) -> list[Flaw]:
    flaws = flaws_of(leaving, lines)
    if not any(units > 0 for units in leaving.values()):
        flaws.append(Flaw("quantities", N_("Say what leaves. What is not going to leave is given back instead.")))
    most = {line.line: line.left for line in lines}
    return flaws + [
        Flaw(f"quantities/{line}", N_("At most {most} are left to ship."), facts={"most": most[line]})
        for line, units in leaving.items()
        if units > most.get(line, units)
    ]


async def close_rest(tx: Tx, number: int, reason: str) -> int:
    """Give back what was set aside and is not going to leave; return how many units that is.

    What has left goes on as it would: it arrives, or somebody decides about it.

    Raises:
        WrongTransferState: nothing has left yet, which is cancelled instead, or nothing is left to ship.
        Invalid: no reason is given.
    """
    refuse([] if reason.strip() else [Flaw("reason", N_("Say why."))])
    transfer = await lock_transfer(tx, number)
    need(transfer, TransferState.PARTLY_SHIPPED)
    rest = [(line.line, line.sku_id, line.left) for line in await lines_of(tx, transfer) if line.left]
    await stock.release_holds(tx, [hold_of(number)])
    await _drop_rest(tx, transfer, reason.strip())
    seq = await step(tx, transfer, await derived_state(tx, transfer))
    event = TransferClosedShort(id=transfer.id, seq=seq, reason=reason.strip(), lines=rest, **about(transfer))
    await outbox.add(tx, event)
    units = sum(units for _, _, units in rest)
    facts = {"units": units, "reason": reason.strip()}
    await audit.record(tx, action="close_rest", entity="transfer", entity_id=number, after=facts)
    return units


async def _drop_rest(tx: Tx, transfer: Transfer, reason: str) -> None:
    await tx.execute(writes.DROP_REST, {"id": transfer.id})
    await tx.execute(writes.NOTE_CLOSED_SHORT, {"id": transfer.id, "reason": reason, "actor": tx.actor.label})


async def _usual_days(tx: Tx, origin: Location, destination: Location) -> int:
    """Return after how many days what leaves now is expected there, by what came that way lately."""
    params = {
        "origin_id": origin.id,
        "destination_id": destination.id,
        "zone": destination.timezone,
        "most": USUAL_OF,
    }
    known: int | None = await tx.value(writes.USUAL_DAYS, params)
    return USUAL_DAYS if known is None else known


async def _change_owner(
    tx: Tx, transfer: Transfer, shipment_id: UUID, shipment: int, gone: Sequence[tuple[int, int, int]]
) -> TransferState:
    """Note that goods are at the destination already: a receipt of its own, nothing on its way, nothing to decide."""
    receipt_id = new_id()
    note = ReceiptDraft(id=receipt_id, location_id=transfer.destination_id, lines=[])
    await supply.note_receipt(tx, note, transfer.id)
    came = [ReceivedLine(sku, units, Bucket.SELLABLE, line) for line, sku, units in gone]
    await supply.note_lines(tx, receipt_id, came, [shipment] * len(came))
    params = {
        "id": transfer.id,
        "shipments": [shipment_id] * len(gone),
        "lines": [line for line, _, _ in gone],
        "units": [units for _, _, units in gone],
    }
    await tx.execute(writes.ARRIVE_LINES, params)
    state = await derived_state(tx, transfer)
    seq = await step(tx, transfer, state)
    queues = {(sku, transfer.destination_id) for _, sku, _ in gone}
    await ahead.line_up(tx, queues, supply.sellable(transfer.destination_id, came))
    event = TransferReceived(
        id=transfer.id, seq=seq, receipt_id=receipt_id, lines=list(gone), missing=0, damaged=0, excess=0,
        shipment=shipment, **about(transfer),
    )  # fmt: skip
    await outbox.add(tx, event)
    return state
