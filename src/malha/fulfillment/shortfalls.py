"""Goods that no location has: how often an order is asked elsewhere, and carrying out what a person chose.

Every way is a call of the service it belongs to, in one transaction, with a note of what was done beside the order and
in the trail.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from malha.fulfillment import service, short_reads, short_writes
from malha.fulfillment.errors import NotShort, WayClosed
from malha.fulfillment.short_model import WAY_WORDS, Lacking, ReroutePolicy, ShortOrder, Suggestion, Taken, Way
from malha.fulfillment.suggesting import suggest
from malha.intake import awaiting, replanning, substituting
from malha.inventory.transfers import service as transfers
from malha.inventory.transfers.model import TransferDraft
from malha.network import reads as network
from malha.network.service import refuse_limited
from malha.ordering import holds
from malha.ordering import service as ordering
from malha.ordering.model import CancelWish, HoldKind
from malha.payments import service as payments
from malha.platform import audit
from malha.platform.db import Actor, Tx
from malha.platform.errors import Conflict, Forbidden
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word
from malha.platform.ids import UUID

MOST = 50
# What a way needs beside the right to change orders.
NEEDS = {Way.CANCEL: "orders:cancel", Way.TRANSFER: "stock:count", Way.SPLIT: "orders:release_hold"}
APPROVE = "stock:approve"
_encode = msgspec.json.Encoder().encode


async def change_policy(tx: Tx, most_decisions: int, version: int) -> ReroutePolicy:
    """State how many decisions an order gets by itself before a person decides, if it still has `version`.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: it is not between 1 and `MOST`.
        Conflict: somebody else changed it meanwhile.
    """
    refuse_limited(tx)
    flaw = Flaw("most_decisions", N_("Write a number from 1 to {most}."), facts={"most": MOST})
    refuse([] if 1 <= most_decisions <= MOST else [flaw])
    before = await short_reads.policy(tx)
    wanted = {"most": most_decisions, "by": tx.actor.label, "version": version}
    if await tx.value(short_writes.PUT_POLICY, wanted) is None:
        raise Conflict(what=Word(N_("Rules of re-routing")), key="")
    after = await short_reads.policy(tx)
    await audit.record(
        tx, action="change", entity="reroute_policy", entity_id="reroute_policy", before=before, after=after
    )
    return after


def seen_by(actor: Actor, orders: Sequence[ShortOrder]) -> list[ShortOrder]:
    """Return orders as an actor may read them: without what was tried at locations of others."""
    return [
        msgspec.structs.replace(order, tried=[x for x in order.tried if actor.sees(x.location_id)]) for order in orders
    ]


async def find(tx: Tx, order_id: UUID) -> ShortOrder:
    """Return what an order lacks.

    Raises:
        NotShort: it lacks nothing that can be acted on.
    """
    found = await short_reads.short_orders(tx, order_id=order_id, limit=1)
    if not found:
        raise NotShort(number=(await ordering.look_at(tx, order_id)).number)
    return found[0]


async def take(
    tx: Tx, order_id: UUID, way: Way, line: int = 0, *, sku: str = "", origin: str = "", destination: str = ""
) -> Taken:
    """Carry out a way out of an order's shortage.

    Args:
        tx: The transaction.
        order_id: The order; the edge checked that the caller may see it.
        way: What to do.
        line: The line that lacks units; 0 for what concerns the whole order.
        sku: What stands in, of a substitute.
        origin: Code of the location that sends, of a transfer; empty: the one suggested.
        destination: Code of the one that receives; empty: the one suggested.

    Raises:
        Forbidden: it needs a right that the actor does not have.
        NotShort: the order, or that line, lacks nothing any more.
        WayClosed: it would change nothing now.
        Others: what the way itself refuses; nothing was changed.
    """
    if way in NEEDS and not tx.actor.may(NEEDS[way]):
        raise Forbidden(permission=NEEDS[way])
    await ordering.lock_order(tx, order_id)
    order = await find(tx, order_id)
    lacking = next((x for x in order.lines if x.line == line), None)
    if lacking is None and way not in {Way.SPLIT, Way.RETRY}:
        raise NotShort(number=order.number)
    quantity, facts = await _carry_out(tx, order, way, lacking, sku=sku, origin=origin, destination=destination)
    if not quantity:
        raise WayClosed(number=order.number, way=Word(WAY_WORDS[way]))
    said = {"units": quantity, **facts}
    row = {"order_id": order_id, "line": 0 if lacking is None else line, "way": way.value, "by": tx.actor.name}
    await tx.execute(short_writes.ADD_STEP, row | {"facts": _encode(said).decode()})
    await audit.record(
        tx,
        action="end_shortage",
        entity="order",
        entity_id=order.number,
        after={"way": way.value, "line": line, **said},
    )
    left = await short_reads.short_orders(tx, order_id=order_id, limit=1)
    return Taken(
        way=way,
        quantity=quantity,
        lacking=sum(x.quantity for x in left[0].lines) if left else 0,
        transfer=facts.get("transfer"),
    )


async def _carry_out(
    tx: Tx, order: ShortOrder, way: Way, lacking: Lacking | None, *, sku: str, origin: str, destination: str
) -> tuple[int, Mapping[str, Any]]:
    """Return how many units it concerned, and what is worth noting."""
    if lacking is None:
        return await _for_the_order(tx, order, way)
    order_id = order.order_id
    match way:
        case Way.SUBSTITUTE:
            done = await substituting.replace(tx, order_id, lacking.line, sku, None)
            await payments.restate(tx, [order_id])
            return done.quantity, {"sku": done.sku}
        case Way.WAIT:
            return await awaiting.wait_for_supply(tx, order_id, [lacking.line]), {"sku": lacking.sku}
        case Way.TRANSFER:
            return await _transfer(tx, order, lacking, origin, destination)
        case Way.CANCEL:
            wish = [CancelWish(lacking.line, lacking.quantity)]
            cancelled = await service.cancel(tx, order_id, reason="shortage", wishes=wish)
            await payments.restate(tx, [order_id])
            return sum(cancelled.lines.values()), {"sku": lacking.sku}
        case _:
            return await _for_the_order(tx, order, way)


async def _for_the_order(tx: Tx, order: ShortOrder, way: Way) -> tuple[int, Mapping[str, Any]]:
    """Ask every location again, or let what has a place go while the rest waits."""
    if way is Way.RETRY:
        before = sum(x.quantity for x in order.lines)
        await replanning.place_units(tx, order.order_id)
        left = await short_reads.short_orders(tx, order_id=order.order_id, limit=1)
        return before - (sum(x.quantity for x in left[0].lines) if left else 0), {}
    if not order.allocated or set(order.holds) != {HoldKind.SHORTAGE}:
        return 0, {}
    await holds.lift_holds(tx, [order.order_id], HoldKind.SHORTAGE, "split")
    return order.allocated, {}


async def _transfer(
    tx: Tx, order: ShortOrder, lacking: Lacking, origin: str, destination: str
) -> tuple[int, Mapping[str, Any]]:
    """Ask for the units of another location; who may approve transfers sets them aside there at once."""
    offered = await _suggested(tx, order, lacking)
    if offered is None:
        return 0, {}
    origin, destination = origin or offered.origin, destination or offered.destination
    if (origin, destination) != (offered.origin, offered.destination):
        return 0, {}
    places = {place.code: place.id for place in await network.locations(tx)}
    number = await transfers.request(
        tx,
        TransferDraft(
            origin_id=places[origin],
            destination_id=places[destination],
            lines=[(lacking.sku_id, offered.quantity)],
            note=f"#{order.number}",
        ),
    )
    if tx.actor.may(APPROVE) and tx.actor.sees(places[origin]):
        await transfers.approve(tx, number)
    return offered.quantity, {"sku": lacking.sku, "transfer": number}


async def _suggested(tx: Tx, order: ShortOrder, lacking: Lacking) -> Suggestion | None:
    found = (await suggest(tx, [order]))[order.order_id]
    return next((s for s in found if s.way is Way.TRANSFER and s.line == lacking.line), None)
