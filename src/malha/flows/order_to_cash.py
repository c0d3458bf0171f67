"""From an order's facts to what follows: money lifts holds, changes place units anew, windows end in work at locations.

Handlers are thin and may be given an event again. Those that touch several orders lock them all first, in the order of
their ids. Finding places for what waits, when stock comes in, is one job per order: a receipt of a thousand SKUs must
not hold a thousand balances in one transaction.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog
from psycopg.errors import DeadlockDetected

from malha.capacity import picking
from malha.fulfillment import giving_back, pickups, reslotting, short_reads, shut, slipping
from malha.fulfillment import service as fulfillment
from malha.intake import awaiting, replanning, ruled, supplying
from malha.inventory.ahead import reads as ahead_reads
from malha.inventory.ahead import service as ahead
from malha.inventory.transfers import service as transfers
from malha.ordering import holds as order_holds
from malha.ordering import naming, slots
from malha.ordering import service as ordering
from malha.ordering.model import WAITING, HoldKind
from malha.payments import deadlines
from malha.payments import service as payments
from malha.platform import jobs
from malha.platform.db import Database, Tx
from malha.platform.errors import Busy
from malha.platform.ids import UUID
from malha.platform.rounds import Rounds
from malha.platform.sequencer import rest
from malha.platform.subscribers import Recorded

log = structlog.get_logger(__name__)

RELEASE_EVERY_S = 2.0
RELEASE_AT_ONCE = 200
PLACE_AT_ONCE = 500
SLOT_ROUNDS = 20
NAMES_AT_ONCE = 200
# Most of what a picker misses is found elsewhere within minutes: nobody who waits is told sooner that it is theirs.
LOOK_AT_MISSING = timedelta(minutes=15)
# What cannot be planned waits under one of these; it is not short of stock.
_UNPLANNABLE = frozenset(
    {
        HoldKind.ADDRESS,
        HoldKind.QUANTITY,
        HoldKind.ROUTING_RULE,
        HoldKind.UNKNOWN_LOCATION,
        HoldKind.UNKNOWN_SERVICE,
        HoldKind.UNKNOWN_SKU,
    }
)


def _orders(events: Iterable[Recorded]) -> list[UUID]:
    return sorted({UUID(event.id) for event in events})


async def settle_payments(tx: Tx, events: list[Recorded]) -> None:
    """Money moved, or less is to be paid: restate the payment, lift or place the payment hold."""
    orders = _orders(events)
    await payments.restate(tx, orders)
    await payments.settle_holds(tx, orders)
    await deadlines.welcome_late_money(tx, orders)


async def settle_work(tx: Tx, events: list[Recorded]) -> None:
    """Units were cancelled or lost their document: work that has nothing left ends, what nobody collected goes back."""
    await fulfillment.settle(tx, _orders(events))
    await pickups.return_expired(tx, _orders(events))


async def release_again(tx: Tx, events: list[Recorded]) -> None:
    """What a location gave back has another place, or no hold keeps it any more: it goes on without a second window.

    Who paid too late for the day that was promised is promised another, and who was promised none yet, since not all
    goods had a place, is promised one.
    """
    resolved = [(event.id, event.facts()) for event in events if event.type == "order.hold_resolved"]
    paid = {UUID(id_) for id_, of in resolved if of["kind"] == HoldKind.PAYMENT and not of.get("forced")}
    if paid:
        await ordering.lock_orders(tx, _orders(events))
        await slipping.promise_paid(tx, paid)
    await slipping.promise_first(tx, _orders(events))
    await fulfillment.release_again(tx, _orders(events))


async def follow_goods(tx: Tx, events: list[Recorded]) -> None:
    """Orders found other places: delivery slots of locations that deliver nothing of theirs any more go back."""
    await slots.follow_goods(tx, _orders(events))


async def place_again(tx: Tx, events: list[Recorded]) -> None:
    """Something that kept units from a place is gone, or they now belong elsewhere: plan them again."""
    orders = await ordering.lock_orders(tx, _orders(events))
    moved = {UUID(e.id) for e in events if e.type == "order.address_changed"}
    mapped = {UUID(e.id) for e in events if e.type == "order.line_mapped"}
    paid_late = {UUID(e.id) for e in events if e.facts().get("kind") == HoldKind.PAYMENT_LAPSED}
    freed = {UUID(e.id) for e in events if e.facts().get("kind") in {HoldKind.ROUTING_RULE, HoldKind.QUANTITY}}
    units = await ordering.units_of(tx, orders)
    wanted = [o for o in orders if o in moved or any(u.state in WAITING for u in units[o])]
    left = await giving_back.awaiting_a_person(tx, [o for o in wanted if o not in moved | mapped])
    wanted = [o for o in wanted if o not in left]
    if wanted:
        await replanning.lock_for(tx, [orders[o] for o in wanted], units)
    for order_id in wanted:
        if order_id in moved:
            await replanning.replan(tx, order_id, locked=True)
        else:
            await replanning.place_units(tx, order_id, locked=True)
        if order_id in moved | mapped | paid_late | freed:
            await _say_what_is_short(tx, order_id)
    await slipping.promise_paid(tx, paid_late.intersection(wanted))


async def _say_what_is_short(tx: Tx, order_id: UUID) -> None:
    """Put an order whose units found no place on hold, unless another hold already says why they have none."""
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    waiting = supplying.uncovered(units, await ahead_reads.covered(tx, order_id))
    holds = (await ordering.open_holds(tx, [order_id]))[order_id].keys()
    if waiting and not holds & _UNPLANNABLE:
        detail = {"lines": sorted({u.line for u in waiting}), "units": sum(u.quantity for u in waiting)}
        await order_holds.ensure_holds(tx, {order_id: detail}, HoldKind.SHORTAGE)


@jobs.task("orders.place_waiting", attempts=5)
async def place_waiting(db: Database, *, order_id: str) -> None:
    """Find a place for what an order waits for; nothing to do when somebody else did, or a person has to decide."""
    async with db.transaction() as tx:
        await try_again(tx, UUID(order_id))


async def try_again(tx: Tx, order_id: UUID, *, skip_busy: bool = False) -> bool:
    """Tell whether an order has what it needs after it was tried; one that a person has to decide is left.

    So is, on wish, one that somebody has in hand.
    """
    if not await ordering.lock_orders(tx, [order_id], skip_busy=skip_busy):
        return False
    if await giving_back.awaiting_a_person(tx, [order_id]):
        return False
    return not await replanning.place_units(tx, order_id)


async def _defer_for(tx: Tx, task: jobs.Task, orders: Iterable[UUID | str]) -> None:
    """Have a task run once for each order, one after the other for the same."""
    ids = [str(order_id) for order_id in orders]
    await jobs.defer_many(tx, task, [{"order_id": id_} for id_ in ids], locks=[f"order:{id_}" for id_ in ids])


async def look_for_waiting(tx: Tx, events: list[Recorded]) -> None:
    """More of some SKUs may be claimed: the orders that wait for them are tried again, the oldest first."""
    skus = {sku for event in events for sku in event.facts()["skus"]}
    await _defer_for(tx, place_waiting, await ordering.waiting_for(tx, skus, PLACE_AT_ONCE))


async def look_at_arrivals(tx: Tx, events: list[Recorded]) -> None:
    """Goods did not all come to where they are fetched: another place is sought for those, as when stock comes in."""
    await _defer_for(tx, place_waiting, sorted({event.id for event in events if event.facts().get("missing")}))


@jobs.task("orders.follow_supply", attempts=5)
async def follow_supply(db: Database, *, order_id: str) -> None:
    """Let an order follow what became of its supply; nothing to do when somebody else did."""
    async with db.transaction() as tx:
        if await ordering.lock_orders(tx, [UUID(order_id)]):
            await replanning.follow_supply(tx, UUID(order_id))


@jobs.task("supply.line_up", attempts=5)
async def line_up(db: Database, *, sku_id: int, location_id: int) -> None:
    """Let those who wait for a SKU at a location move up."""
    async with db.transaction() as tx:
        await ahead.line_up(tx, [(sku_id, location_id)])


async def _line_up_at(tx: Tx, keys: Sequence[tuple[int, int]], at: datetime | None = None) -> None:
    """Have those who wait at each (SKU, location) move up, not before `at`; one after the other at the same."""
    queues = [{"sku_id": sku, "location_id": place} for sku, place in keys]
    await jobs.defer_many(tx, line_up, queues, at=at, locks=[f"supply:{sku}:{place}" for sku, place in keys])


async def look_at_supply(tx: Tx, events: list[Recorded]) -> None:
    """Follow orders whose supply changed; where more may be promised, those who wait move up, and the short are tried.

    One job per order or queue, as when stock comes in.
    """
    facts = [event.facts() for event in events]
    await _defer_for(tx, follow_supply, sorted({order for f in facts for order in f.get("orders", ())}))
    keys = sorted({key for f in facts if "skus" in f for key in zip(f["skus"], f["locations"], strict=True)})
    if not keys:
        return
    await _line_up_at(tx, keys)
    skus = await ahead_reads.sold_ahead(tx, sorted({sku for sku, _ in keys}))
    await _defer_for(tx, follow_supply, await ordering.short_of(tx, skus, PLACE_AT_ONCE) if skus else [])


async def look_at_shortfalls(tx: Tx, events: list[Recorded]) -> None:
    """Goods are missing for those they are promised to, who get the next that come: who waits for those learns it."""
    missing = {(facts["sku_id"], facts["location_id"]) for facts in (event.facts() for event in events)}
    keys = await ahead_reads.waited_at(tx, missing)
    await _line_up_at(tx, keys, await tx.now() + LOOK_AT_MISSING)


@jobs.task("orders.wait_for_transfer", attempts=5)
async def wait_for_transfer(db: Database, *, order_id: str, line: int, number: int) -> None:
    """Set goods on their way apart for the order they were asked for, as far as it still lacks them.

    What is there by now, or went to who waited longer, is no supply to wait for: nobody chose to wait for any other.
    """
    async with db.transaction() as tx:
        if not await ordering.lock_orders(tx, [UUID(order_id)]):
            return
        rows = (await ordering.lines_of(tx, [UUID(order_id)]))[UUID(order_id)]
        wanted = {row.line: row.sku_id for row in rows if row.sku_id is not None}
        if units := (await transfers.expected(tx, number)).get(wanted.get(line, 0)):
            await awaiting.wait_for_supply(tx, UUID(order_id), {line: units})


async def look_at_transfers(tx: Tx, events: list[Recorded]) -> None:
    """Goods left for another location: the orders they were asked for claim them before they are there."""
    asked = await short_reads.asked_of(tx, [event.facts()["number"] for event in events])
    wanted = [{"order_id": str(order_id), "line": line, "number": number} for number, order_id, line in asked]
    await jobs.defer_many(tx, wait_for_transfer, wanted, locks=[f"order:{order_id}" for _, order_id, _ in asked])


async def release_due(db: Database) -> int:
    """Release orders whose window is over; return how many pieces of work that made. Safe beside another worker.

    Those whose location takes no work by then are planned anew before.
    """
    await leave_shut(db)
    async with db.transaction() as tx:
        done = await fulfillment.release_due(tx, RELEASE_AT_ONCE)
    if done.left:
        log.info("orders_left", reasons=_count(list(done.left.values())))
    return len(done.work)


async def leave_shut(db: Database) -> int:
    """Plan due orders anew whose location is closed or paused, each by itself; return how many were."""
    async with db.transaction() as tx:
        orders = await shut.due(tx)
    moved = await _one_by_one(db, orders, shut.leave)
    if moved:
        log.info("orders_left_locations", moved=moved)
    return moved


async def _one_by_one(db: Database, orders: Iterable[UUID], act: Callable[[Tx, UUID], Awaitable[bool]]) -> int:
    """Do something to each order in a transaction of its own; return how often it was done.

    What somebody has in hand is left as it is, and found again.
    """
    done = 0
    for order_id in orders:
        try:
            async with db.transaction() as tx:
                done += await act(tx, order_id)
        except (Busy, DeadlockDetected) as error:
            log.info("order_in_hand", order=str(order_id), why=str(error))
    return done


async def watch_pickups(db: Database) -> int:
    """Remind of windows that end, and end those whose time is over; return how many ended."""
    async with db.transaction() as tx:
        reminded = await pickups.remind(tx)
    async with db.transaction() as tx:
        ended = await pickups.expire(tx)
    if reminded or ended:
        log.info("pickups_watched", reminded=reminded, ended=ended)
    return ended


async def follow_slots(db: Database) -> int:
    """Move work out of picking slots that were closed or made smaller; return how many pieces moved."""
    done = 0
    for _ in range(SLOT_ROUNDS):
        async with db.transaction() as tx:
            over = await picking.excess(tx, await tx.now())
        again = False
        for home, slots_ in over.items():
            async with db.transaction() as tx:
                looked, moved = await reslotting.move_out(tx, home, slots_)
            done += moved
            again |= looked == reslotting.AT_ONCE and moved > 0
        if not again:
            break
    if done:
        log.info("slots_followed", moved=done)
    return done


async def watch_payments(db: Database) -> int:
    """Free the stock of orders whose time to pay is over, and cancel what was kept long enough; return how many."""
    async with db.transaction() as tx:
        lapsed = await deadlines.lapse_due(tx)
    async with db.transaction() as tx:
        ended = await deadlines.end_lapsed(tx)
    if lapsed or ended:
        log.info("payments_watched", lapsed=lapsed, ended=ended)
    return lapsed + ended


async def watch_names(db: Database) -> int:
    """Let orders go on whose service or location is registered by now; return how many holds were lifted.

    What nobody knew has no place yet: it is looked for in the same transaction.
    """
    async with db.transaction() as tx:
        known = await naming.known_now(tx, NAMES_AT_ONCE)
    learned = 0
    for order_id, kind, found in known:

        async def learn(tx: Tx, order_id: UUID, kind: HoldKind = kind, found: int = found) -> bool:
            if not await ordering.lock_orders(tx, [order_id], skip_busy=True):
                return False
            if not await naming.learn(tx, order_id, kind, found):
                return False
            await try_again(tx, order_id)
            await _say_what_is_short(tx, order_id)
            return True

        learned += await _one_by_one(db, [order_id], learn)
    if learned:
        log.info("names_known", holds=learned)
    return learned


async def watch_rules(db: Database) -> int:
    """Cancel what routing rules let wait for a person and nobody placed in time; return of how many orders.

    Each is tried once more before: a worker that was away, or is behind, has not given out yet what came meanwhile.
    """
    async with db.transaction() as tx:
        over = await ruled.due(tx)
    await _one_by_one(db, over, partial(try_again, skip_busy=True))
    async with db.transaction() as tx:
        ended = await ruled.cancel_due(tx)
    if ended:
        log.info("rules_watched", ended=ended)
    return ended


def _count(reasons: Sequence[str]) -> dict[str, int]:
    return {reason: reasons.count(reason) for reason in sorted(set(reasons))}


async def run_release(db: Database, stop: asyncio.Event) -> None:
    """Release what is due every few seconds until `stop` is set; a failed round is logged and tried again."""
    rounds = Rounds(log, waits="release_waits", failed="release_failed")
    while not stop.is_set():
        made = 0
        with rounds:
            made = await release_due(db)
        if made < RELEASE_AT_ONCE:  # a full round is followed by the next at once
            await rest(stop, RELEASE_EVERY_S)
