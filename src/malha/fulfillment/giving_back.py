"""When a location does not deliver: what it says about stock, not asking it again, and finding another place."""

from collections.abc import Iterable, Sequence

import msgspec

from malha.fulfillment import short_reads, writes
from malha.fulfillment.model import EFFECTS, RejectReason, Rerouted, StockEffect, Work
from malha.intake import replanning, supplying
from malha.inventory import reads as stock
from malha.inventory import service as inventory
from malha.inventory.ahead import service as ahead
from malha.inventory.allotments.model import Taker
from malha.inventory.buckets import service as buckets
from malha.inventory.buckets.model import Bucket, Leg
from malha.inventory.model import Claim, Reason, Reference
from malha.ordering import holds
from malha.ordering import service as ordering
from malha.ordering.model import WAITING, HoldKind, Move, Unit, UnitState
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.routing import reads as decisions
from malha.routing import service as routing
from malha.routing.model import Exclusion


class Back(msgspec.Struct, frozen=True):
    """Units given back, and why."""

    unit: Unit
    reason: RejectReason | None  # None: nothing is wrong with them, their kit lost another component


def moves_of(back: Sequence[Back]) -> list[Move]:
    """Return the moves that take units from the location."""
    return [Move(b.unit.line, b.unit.part, b.unit.quantity, UnitState.UNPLACED) for b in back]


async def settle_stock(tx: Tx, work: Work, back: Sequence[Back]) -> None:
    """Give the claims back and write what the reasons say about the stock there. The units have moved already.

    All balances that finding another place will lock are locked first, in key order: two locations that give the same
    goods back at once would otherwise wait for each other. What is read of them afterwards stands still.
    """
    waiting = (await ordering.units_of(tx, [work.order_id]))[work.order_id]
    skus = sorted({u.sku_id for u in waiting if u.sku_id is not None and u.state in WAITING})
    order = await ordering.lock_order(tx, work.order_id)
    taker = Taker(order.channel_id, order.customer_group)
    await ahead.lock_for(tx, [work.order_id], skus, [taker])
    await inventory.lock_stock(tx, skus, {work.order_id: taker})
    about = Reference("order", work.order_id, f"F{work.number}")
    await inventory.release(tx, [_claim(b.unit, work.location_id) for b in back], about, Reason.REROUTE)
    by_effect: dict[StockEffect, list[Claim]] = {}
    for b in back:
        if b.reason is not None:
            by_effect.setdefault(EFFECTS[b.reason], []).append(_claim(b.unit, work.location_id))
    for effect, claims in sorted(by_effect.items()):
        await _apply(tx, work, effect, claims, about)


def _claim(unit: Unit, location_id: int) -> Claim:
    assert unit.sku_id is not None  # noqa: S101  (a claimed unit has a SKU: rules.plan_moves)
    return Claim(unit.sku_id, location_id, unit.quantity)


async def _apply(tx: Tx, work: Work, effect: StockEffect, claims: Sequence[Claim], about: Reference) -> None:
    skus = sorted({c.sku_id for c in claims})
    match effect:
        case StockEffect.NONE:
            return
        case StockEffect.NOTHING_THERE:
            # What was picked for anybody is in hand; beyond that there is nothing, whatever the balance says.
            seen = dict(await tx.tuples(writes.SEEN_THERE, {"location_id": work.location_id, "skus": skus}))
            stated = [Claim(sku, work.location_id, seen.get(sku, 0)) for sku in skus]
            await inventory.set_on_hand(tx, stated, about, Reason.SHORT_PICK)
        case StockEffect.FEWER_THERE:
            fewer = [Claim(c.sku_id, c.location_id, -c.quantity) for c in claims]
            await inventory.adjust(tx, fewer, Reason.SHORT_PICK, about)
        case StockEffect.UNSELLABLE:
            legs = [
                Leg(c.sku_id, c.location_id, bucket, sign * c.quantity)
                for c in claims
                for bucket, sign in ((Bucket.SELLABLE, -1), (Bucket.DAMAGED, 1))
            ]
            await buckets.move(tx, legs, Reason.DAMAGE, about)
        case StockEffect.KEPT_BACK:
            safety = {a.sku_id: a.safety for a in await stock.availability(tx, skus, [work.location_id])}
            more = {sku: sum(c.quantity for c in claims if c.sku_id == sku) for sku in skus}
            await inventory.set_safety(
                tx, [Claim(sku, work.location_id, safety.get(sku, 0) + more[sku]) for sku in skus]
            )


async def awaiting_a_person(tx: Tx, order_ids: Iterable[UUID]) -> set[UUID]:
    """Return the orders that were asked elsewhere as often as the retailer lets it be done by itself, and lack goods.

    Locations gave them back, they were decided so often, and their shortage hold is open: who lifts it, or presses a
    button, decides. Then they are no longer found a place whenever stock comes in, be it what their own rejection gave
    back.
    """
    wanted = sorted(set(order_ids))
    return await short_reads.asked_enough(tx, wanted) if wanted else set()


async def find_another_place(tx: Tx, work: Work, back: Sequence[Back]) -> Rerouted:
    """Do not ask this location for these lines again, and place their units elsewhere, after `settle_stock`.

    After as many decisions on an order as the retailer allows, or when no location has the goods, the order gets a
    shortage hold that says so, and stands among those that lack goods (`short_reads`).
    """
    reasons = {b.unit.line: b.reason.value for b in back if b.reason is not None}
    await routing.exclude(
        tx, [Exclusion(work.order_id, line, work.location_id, reason) for line, reason in reasons.items()]
    )
    given_back = sum(b.unit.quantity for b in back)
    attempts = await decisions.attempts(tx, work.order_id)
    most = (await short_reads.policy(tx)).most_decisions
    if attempts < most:
        await replanning.place_units(tx, work.order_id, locked=True)
    units = (await ordering.units_of(tx, [work.order_id]))[work.order_id]
    awaited = await supplying.covered(tx, work.order_id)
    mine = [u for u in supplying.uncovered(units, awaited) if u.line in reasons]
    waiting = sum(u.quantity for u in mine)
    held = (await ordering.open_holds(tx, [work.order_id]))[work.order_id]
    if waiting and HoldKind.ROUTING_RULE not in held:
        detail = {
            "lines": sorted({u.line for u in mine}),
            "units": waiting,
            "tried": attempts,
            "suggestion": "cancel" if attempts < most else "decide",
        }
        await holds.ensure_holds(tx, {work.order_id: detail}, HoldKind.SHORTAGE)
    return Rerouted(given_back, max(given_back - waiting, 0), waiting)
