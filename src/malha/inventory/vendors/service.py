"""Use cases of drop-shipping that need no more than these tables: state offers, ask, give up, note answers.

Goods of a vendor are no stock of ours: units that one is to send wait as backordered, and as many of them are expected
of drop-ship orders. Whoever changes that holds the lock of the customer's order.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date

import msgspec

from malha.inventory.vendors import reads, writes
from malha.inventory.vendors.errors import UnknownOffer
from malha.inventory.vendors.events import DropEvent, DropShipAsked, DropShipCancelled
from malha.inventory.vendors.model import OPEN, Drop, DropLine, DropState, NewDrop, OfferDraft
from malha.network import reads as network
from malha.platform import audit, outbox, revisions
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID, new_id

MAX_COST = 10**12
MAX_DAYS = 365
MAX_SKU = 80  # characters of a vendor's own name of a SKU

Wish = tuple[UUID, int, int | None]  # (order_id, line, sku_id)


def flaws_of(draft: OfferDraft) -> list[Flaw]:
    """Return what of an offer cannot be: its cost, its days, or too long a name."""
    bounds = (("unit_cost", draft.unit_cost, MAX_COST), ("lead_days", draft.lead_days, MAX_DAYS))
    says = N_("Write a whole number from {least} to {most}.")
    found = [Flaw(at, says, facts={"least": 0, "most": most}) for at, value, most in bounds if not 0 <= value <= most]
    if len(draft.vendor_sku.strip()) > MAX_SKU:
        found.append(Flaw("vendor_sku", N_("At most {most} characters."), facts={"most": MAX_SKU}))
    return found


async def state_offers(tx: Tx, drafts: Sequence[OfferDraft]) -> int:
    """State what vendors supply, new or as it is now; return how many offers that changed.

    Orders see it within a second. The caller has looked whether the locations are vendors, and the actor's.

    Raises:
        Invalid: see `flaws_of`.
    """
    refuse(
        [
            msgspec.structs.replace(flaw, at=f"offers/{n}/{flaw.at}")
            for n, draft in enumerate(drafts)
            for flaw in flaws_of(draft)
        ]
    )
    wanted = {(draft.location_id, draft.sku_id): draft for draft in drafts}
    rows = list(wanted.values())
    changed = await tx.tuples(
        writes.STATE_OFFERS,
        {
            "locations": [x.location_id for x in rows],
            "skus": [x.sku_id for x in rows],
            "vendor_skus": [x.vendor_sku.strip() for x in rows],
            "costs": [x.unit_cost for x in rows],
            "lead_days": [x.lead_days for x in rows],
            "active": [x.active for x in rows],
            "actor": tx.actor.label,
        },
    )
    if changed:
        for place in sorted({location for location, _ in changed}):
            facts = {"offers": sum(1 for location, _ in changed if location == place)}
            await audit.record(tx, action="change", entity="vendor_offers", entity_id=str(place), after=facts)
        await revisions.bump(tx, network.REVISION)
    return len(changed)


async def remove_offer(tx: Tx, location_id: int, sku_id: int, *, location: str, sku: str) -> None:
    """Say that a vendor does not supply a SKU any more. What it was asked before stands.

    Raises:
        UnknownOffer: it did not.
    """
    if await tx.value(writes.REMOVE_OFFER, {"location_id": location_id, "sku_id": sku_id}) is None:
        raise UnknownOffer(location=location, sku=sku)
    before = {"location": location, "sku": sku}
    await audit.record(tx, action="delete", entity="vendor_offers", entity_id=str(location_id), before=before)
    await revisions.bump(tx, network.REVISION)


# --- asking ---


async def queue_asks(tx: Tx, drops: Sequence[NewDrop]) -> list[DropEvent]:
    """Ask vendors to send goods; the caller records the events it returns. For `tx.pipeline()`: nothing is refused."""
    if not drops:
        return []
    ids = [new_id() for _ in drops]
    lines = [(id_, line) for id_, drop in zip(ids, drops, strict=True) for line in drop.lines]
    await tx.cursor_of(
        writes.INSERT_DROPS,
        {
            "ids": ids,
            "orders": [drop.order_id for drop in drops],
            "locations": [drop.location_id for drop in drops],
            "days": [drop.leaves_on for drop in drops],
        },
    )
    await tx.cursor_of(
        writes.INSERT_DROP_LINES,
        {
            "drops": [id_ for id_, _ in lines],
            "lines": [line.line for _, line in lines],
            "skus": [line.sku_id for _, line in lines],
            "quantities": [line.quantity for _, line in lines],
            "costs": [line.unit_cost for _, line in lines],
            "vendor_skus": [line.vendor_sku for _, line in lines],
        },
    )
    return [
        DropShipAsked(
            id=id_,
            seq=1,
            order_id=drop.order_id,
            location_id=drop.location_id,
            leaves_on=drop.leaves_on,
            lines=[(line.line, line.sku_id, line.quantity, line.unit_cost) for line in drop.lines],
        )
        for id_, drop in zip(ids, drops, strict=True)
    ]


# --- giving up, and what a vendor says. All under the lock of the order ---


async def open_of(tx: Tx, order_ids: Collection[UUID]) -> list[Drop]:
    """Lock and return what vendors are still to send of locked orders."""
    return await tx.all(Drop, writes.LOCK_OPEN, {"orders": sorted(order_ids)})


async def lock(tx: Tx, id_: UUID) -> Drop:
    """Lock and return a drop-ship order whose order is locked."""
    return await tx.one(Drop, writes.LOCK_DROP, {"id": id_})


async def give_up(tx: Tx, drops: Sequence[Drop], left: Mapping[Wish, int], lines: Collection[tuple[UUID, int]]) -> None:
    """Ask vendors for fewer units, so that of lines of locked orders no more is expected than `left`.

    `drops` are all that is open of these orders, locked; `left` units by (order, line, SKU), none where it says
    nothing. What is not answered is given up first, then what was asked last.
    """
    stated = await reads.lines_of(tx, [drop.id for drop in drops])
    room = dict(left)
    gone: dict[UUID, list[DropLine]] = {}
    for drop in sorted(drops, key=lambda d: (d.state is not DropState.ACCEPTED, d.number)):
        for line in stated[drop.id]:
            if (drop.order_id, line.line) not in lines:
                continue
            wish = drop.order_id, line.line, line.sku_id
            kept = min(line.expected, max(0, room.get(wish, 0)))
            room[wish] = room.get(wish, 0) - kept
            if line.expected > kept:
                gone.setdefault(drop.id, []).append(DropLine(line.line, line.sku_id, line.expected - kept))
    if not gone:
        return
    await drop_units(tx, gone)
    states = await restate(tx, list(gone), ended=DropState.CANCELLED)
    await outbox.add_all(
        tx,
        [
            DropShipCancelled(
                id=drop.id,
                seq=states[drop.id][1],
                order_id=drop.order_id,
                location_id=drop.location_id,
                lines=[(line.line, line.sku_id, line.quantity) for line in gone[drop.id]],
                whole=states[drop.id][0] not in OPEN,
            )
            for drop in drops
            if drop.id in gone
        ],
    )


async def drop_units(tx: Tx, gone: Mapping[UUID, Sequence[DropLine]]) -> None:
    """Note units that a vendor does not send."""
    await tx.execute(writes.DROP_UNITS, _columns(gone))


async def send_units(tx: Tx, sent: Mapping[UUID, Sequence[DropLine]]) -> None:
    """Note units that left a vendor."""
    await tx.execute(writes.SEND_UNITS, _columns(sent))


def _columns(units: Mapping[UUID, Sequence[DropLine]]) -> dict[str, list[object]]:
    rows = [(id_, line) for id_, lines in units.items() for line in lines]
    return {
        "drops": [id_ for id_, _ in rows],
        "lines": [line.line for _, line in rows],
        "skus": [line.sku_id for _, line in rows],
        "units": [line.quantity for _, line in rows],
    }


async def restate(
    tx: Tx,
    ids: Sequence[UUID],
    *,
    ended: DropState,
    state: DropState | None = None,
    answered: bool = False,
    leaves_on: date | None = None,
    reference: str | None = None,
    reason: str | None = None,
) -> dict[UUID, tuple[DropState, int]]:
    """Write how locked drop-ship orders stand by their lines; return their states and versions.

    `ended` is the state of one of which nothing is expected and nothing was sent; `state` of one that goes on.
    """
    rows = await tx.tuples(
        writes.RESTATE,
        {
            "ids": list(ids),
            "ended": ended.value,
            "state": None if state is None else state.value,
            "answered": answered,
            "leaves_on": leaves_on,
            "reference": reference,
            "reason": reason,
        },
    )
    return {id_: (DropState(stands), seq) for id_, stands, seq in rows}
