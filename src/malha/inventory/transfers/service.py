"""Use cases of transfers: ask, approve, ship, say when they come, receive, decide, give the rest back, cancel.

Approved units are set aside at the origin by a stock hold, so that nobody sells them meanwhile. They leave in one or
several shipments: what leaves becomes the destination's, in its in-transit bucket, and stays there until it arrives or
somebody says what became of it; what has not left stays set aside until it leaves too or is given back. No unit
vanishes by itself. Between two owners of one site nothing travels: what leaves one is the other's at once (a change of
owner). The state follows from these quantities.

Lock order: transfer, queues of those who wait (`ahead`), hold, balances, buckets.
"""

from collections.abc import Mapping
from datetime import date

from malha.inventory import service as stock
from malha.inventory.ahead import reads as ahead_reads
from malha.inventory.ahead import service as ahead
from malha.inventory.model import Claim
from malha.inventory.transfers import writes
from malha.inventory.transfers.errors import NotEnoughToTransfer, NotYourEnd
from malha.inventory.transfers.events import (
    TransferApproved,
    TransferCancelled,
    TransferRequested,
    TransferRescheduled,
)
from malha.inventory.transfers.model import (
    LEAVING,
    Crosses,
    OnItsWay,
    TransferDraft,
    TransferState,
)
from malha.inventory.transfers.receiving import decide, receive
from malha.inventory.transfers.shipping import USUAL_DAYS, close_rest, ship
from malha.inventory.transfers.steps import (
    MAX_UNITS,
    SET_ASIDE_S,
    about,
    at_end,
    flaws_of,
    hold_of,
    lines_of,
    lock_transfer,
    need,
    refuse_without_approval,
    step,
)
from malha.network import reads as network
from malha.network.model import Location
from malha.platform import audit, outbox
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID, new_id

MOST_LINES = 1_000


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
    crosses = await crosses_of(tx, origin, destination)
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
    event = TransferRequested(
        id=id_, seq=1, number=number, origin_id=origin.id, destination_id=destination.id, lines=lines
    )
    await outbox.add(tx, event)
    facts = {"origin": origin.code, "destination": destination.code, "units": sum(summed.values())}
    await audit.record(tx, action="request", entity="transfer", entity_id=number, after=facts)
    return number


async def crosses_of(tx: Tx, origin: Location, destination: Location) -> Crosses:
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
    refuse_without_approval(tx)
    transfer = await lock_transfer(tx, number)
    await at_end(tx, transfer.origin_id)
    need(transfer, TransferState.REQUESTED)
    lines = await lines_of(tx, transfer)
    given = {line.line: line.asked for line in lines} | dict(quantities or {})
    flaws = flaws_of(given, lines)
    if not any(units > 0 for units in given.values()):
        flaws.append(Flaw("quantities", N_("Nothing would be left of the transfer: cancel it instead.")))
    refuse(flaws)
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
    seq = await step(tx, transfer, TransferState.APPROVED)
    approved = [(line.line, line.sku_id, given[line.line]) for line in lines if given[line.line]]
    await outbox.add(tx, TransferApproved(id=transfer.id, seq=seq, lines=approved, **about(transfer)))
    await audit.record(tx, action="approve", entity="transfer", entity_id=number, after={"units": sum(units)})


async def reschedule(tx: Tx, number: int, day: date, reason: str = "", shipment: int | None = None) -> bool:
    """State on which day goods come; return whether that is another one. Every move is kept, with what it was before.

    Orders that are promised from goods on their way follow, as they follow a purchase order. Who works at either end
    may say so: the one hears from the carrier, the other sees that nothing came. With the number of a `shipment` it is
    about that one, with 0 about what has not left.

    Raises:
        UnknownTransfer: neither end is in the actor's scope, or there is no such transfer.
        WrongTransferState: it was received, closed or cancelled.
        Invalid: nothing of that shipment is to come.
    """
    transfer = await lock_transfer(tx, number)
    need(transfer, TransferState.REQUESTED, *LEAVING, TransferState.SHIPPED)
    days = [row for row in await tx.tuples(writes.DAYS, {"id": transfer.id}) if shipment in (None, row[0])]
    if not days:
        refuse([Flaw("shipment", N_("Nothing of it is to come any more."))])
    moved = [row for row in days if row[1] != day or row[2]]
    if not moved:
        return False
    parts = {part for part, _, _ in moved}
    params = {
        "id": transfer.id,
        "shipments": [part for part, _, _ in moved],
        "was": [was for _, was, _ in moved],
        "was_usual": [usual for _, _, usual in moved],
        "eta": day,
        "reason": reason.strip(),
        "actor": tx.actor.label,
        "head": 0 in parts or transfer.state == TransferState.SHIPPED,
    }
    seq: int = await tx.value(writes.RESCHEDULE, params)
    ways = await tx.all(OnItsWay, writes.ON_ITS_WAY, {"id": transfer.id})
    away = [(way.line, way.sku_id, way.coming) for way in ways if way.shipment in parts]
    coming = {(line, sku): 0 for line, sku, _ in away}
    for line, sku, units in away:
        coming[line, sku] += units
    if 0 in parts:
        for one in await lines_of(tx, transfer):
            units = one.asked if one.approved is None else one.left
            coming[one.line, one.sku_id] = coming.get((one.line, one.sku_id), 0) + units
    was = moved[0][1]
    await outbox.add(
        tx,
        TransferRescheduled(
            id=transfer.id,
            seq=seq,
            reason=reason.strip(),
            was=was,
            became=day,
            lines=[(line, sku, units) for (line, sku), units in sorted(coming.items()) if units],
            shipment=shipment or None,
            **about(transfer),
        ),
    )
    if away:
        await ahead.line_up(tx, {(sku, transfer.destination_id) for _, sku, _ in away})
    facts = {"expected": f"{was or '-'} -> {day}", "reason": reason.strip()} | (
        {"shipment": shipment} if shipment else {}
    )
    await audit.record(tx, action="reschedule", entity="transfer", entity_id=number, after=facts)
    return True


async def expected(tx: Tx, number: int) -> dict[int, int]:
    """Return the units of a transfer that are on their way and promised to nobody yet, by SKU id.

    None of them arrives before the transaction ends.

    Raises:
        UnknownTransfer: neither end is in the actor's scope, or there is no such transfer.
    """
    transfer = await lock_transfer(tx, number)
    shipments: list[UUID] = [id_ for id_, _ in await tx.tuples(writes.SHIPMENT_IDS, {"id": transfer.id})]
    free: dict[int, int] = {}
    for supply in await ahead_reads.supply_from(tx, *shipments):
        if supply.free:
            free[supply.sku_id] = free.get(supply.sku_id, 0) + supply.free
    return free


async def cancel(tx: Tx, number: int, reason: str) -> None:
    """Give a transfer up before it leaves: what was set aside is free again.

    Raises:
        WrongTransferState: it has left, or has ended.
        Invalid: no reason is given.
    """
    refuse([] if reason.strip() else [Flaw("reason", N_("Say why."))])
    transfer = await lock_transfer(tx, number)
    need(transfer, TransferState.REQUESTED, TransferState.APPROVED)
    await stock.release_holds(tx, [hold_of(number)])
    seq = await step(tx, transfer, TransferState.CANCELLED)
    await outbox.add(tx, TransferCancelled(id=transfer.id, seq=seq, reason=reason.strip(), **about(transfer)))
    await audit.record(tx, action="cancel", entity="transfer", entity_id=number, after={"reason": reason.strip()})


__all__ = [
    "USUAL_DAYS",
    "approve",
    "cancel",
    "close_rest",
    "decide",
    "lock_transfer",
    "receive",
    "request",
    "reschedule",
    "ship",
]
