"""Work at locations: release under capacity, accept, reject, pick, short pick, pack, gate, ship, pickup."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from malha.fiscal import service as fiscal
from malha.fiscal.model import DocumentFacts
from malha.fulfillment import service
from malha.fulfillment.errors import (
    CodeLocked,
    DocumentRequired,
    NothingToRelease,
    NotPicked,
    NotThatMany,
    OrderStopped,
    ReleaseHeld,
    ReleaseUnpaid,
    ShipmentNotFound,
    ShipmentNotSent,
    WorkNotFound,
    WrongContents,
    WrongMethod,
    WrongState,
)
from malha.fulfillment.model import Content, NotReleased, Parcel, Picked, RejectReason, Short, Tracking
from malha.inventory import reads as stock
from malha.ordering import cancelling
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.model import CancelWish, HoldKind
from malha.payments import service as payments
from malha.platform.db import SYSTEM, Actor
from malha.platform.flaws import Invalid
from malha.platform.ids import new_id
from malha.testing.builders import Sold, a_network, a_product, an_access_key, an_order


async def work_of(tx, order_id):
    return await tx.tuples(
        "SELECT id, state, location_id FROM fulfillment_order WHERE order_id = %(id)s ORDER BY number", {"id": order_id}
    )


async def released(tx, order_id):
    """Release an order and return the work it became."""
    return [w.id for w in await service.release_order(tx, order_id)]


async def status_of(tx, order_id):
    return (await ordering.lock_order(tx, order_id)).status


async def units_of(tx, order_id):
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    return sorted((u.line, u.state.value, u.quantity) for u in units)


async def balance(tx, world, sku, code):
    found = await stock.availability(tx, [sku], [world.locations[code]])
    return (found[0].on_hand, found[0].allocated, found[0].free) if found else (0, 0, 0)


async def taken(tx):
    return await tx.tuples("SELECT location_id, day, taken FROM location_day WHERE taken > 0 ORDER BY day, location_id")


async def test_a_parcel_goes_from_release_to_delivery_and_stock_and_ledger_follow(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        order_id = await an_order(tx, world, [Sold(sku, 2)])
        [work] = await released(tx, order_id)
        assert await status_of(tx, order_id) == "picking"
        await service.accept(tx, work)
        await service.accept(tx, work)
        await service.confirm_pick(tx, work)
        [parcel] = await service.pack(tx, work, [Parcel(weight_grams=700)])
        assert await status_of(tx, order_id) == "packed"
        with pytest.raises(DocumentRequired):
            await service.ship(tx, work)
        await fiscal.record_document(tx, work, DocumentFacts(access_key=an_access_key(world)))
        assert await status_of(tx, order_id) == "invoiced"
        for early in (service.send_out, service.deliver):
            with pytest.raises(ShipmentNotSent):
                await early(tx, parcel)
        await service.ship(tx, work, [Tracking(tracking_code="BR123")])
        assert await balance(tx, world, sku, "DC") == (3, 0, 3)
        await service.send_out(tx, parcel)
        await service.send_out(tx, parcel)
        assert await status_of(tx, order_id) == "shipped"
        await service.deliver(tx, parcel)
        await service.deliver(tx, parcel)
        await service.send_out(tx, parcel)  # a carrier tells late
        assert await status_of(tx, order_id) == "delivered"
        assert await tx.tuples("SELECT carrier, tracking_code, weight_grams FROM shipment") == [
            ("Correios", "BR123", 700)
        ]
        assert [state for _, state, _ in await work_of(tx, order_id)] == ["closed"]
        types = await tx.values("SELECT type FROM outbox WHERE key = %(k)s ORDER BY seq", {"k": f"order:{order_id}"})
        assert types == [
            "order.placed", "fulfillment.released", "fulfillment.accepted", "fulfillment.picked", "fulfillment.packed",
            "fiscal.document_recorded", "fulfillment.shipped", "shipment.out_for_delivery", "shipment.delivered",
        ]  # fmt: skip


async def test_an_order_is_released_only_without_holds_paid_and_after_its_window(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        held = await an_order(tx, world, 1, holds=[HoldKind.FRAUD])
        unpaid = await an_order(tx, world, 1, paid="pending")
        later = await an_order(tx, world, 1)
        on_delivery = await an_order(tx, world, 1, paid=None, channel="till")
        await tx.execute(
            "UPDATE sales_order SET release_after = now() + interval '1 hour' WHERE id = %(id)s", {"id": later}
        )
        nobody = new_id()
        done = await service.release(tx, [held, unpaid, later, on_delivery, nobody])
        assert done.left == {
            held: NotReleased.ON_HOLD,
            unpaid: NotReleased.NOT_PAID,
            later: NotReleased.TOO_EARLY,
            nobody: NotReleased.NOT_FOUND,
        }
        assert [w.order_id for w in done.work] == [on_delivery]
        assert await status_of(tx, unpaid) == "awaiting_payment"  # now it says why it waits
        with pytest.raises(ReleaseHeld):
            await service.release_order(tx, held)
        with pytest.raises(ReleaseUnpaid):
            await service.release_order(tx, await an_order(tx, world, 1, paid="pending"))
        assert len(await service.release_order(tx, later)) == 1
        with pytest.raises(NothingToRelease):
            await service.release_order(tx, later)


async def test_an_overridden_payment_hold_stays_lifted_and_the_order_goes(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        trusted = await an_order(tx, world, 1, paid="pending")
        assert (await service.release_due(tx)).work == []
        assert await status_of(tx, trusted) == "awaiting_payment"
        await order_holds.resolve_hold(tx, trusted, HoldKind.PAYMENT, resolution="They pay by invoice", force=True)
        await payments.settle_holds(tx, [trusted])
        assert await status_of(tx, trusted) == "allocated"
        assert [w.order_id for w in (await service.release_due(tx)).work] == [trusted]


async def test_daily_capacity_is_never_exceeded_by_releases_at_once_and_the_rest_goes_to_the_next_days(database):
    async with database.transaction() as tx:
        world = await a_network(tx, capacity=3)
        sku = await a_product(tx, world, "A", stock={"DC": 50})
        orders = [await an_order(tx, world, [Sold(sku)]) for _ in range(10)]

    async def release(some):
        async with database.transaction() as tx:
            return await service.release(tx, some)

    parts = await asyncio.gather(*[release(orders[n::4]) for n in range(4)])
    assert sum(len(p.work) for p in parts) == 10
    assert not any(p.left for p in parts)
    async with database.transaction() as tx:
        assert [n for _, _, n in await taken(tx)] == [3, 3, 3, 1]
        counted = "SELECT count(*) FROM fulfillment_order GROUP BY location_id, capacity_day ORDER BY capacity_day"
        assert await tx.values(counted) == [3, 3, 3, 1]


async def test_an_order_is_released_once_however_many_try(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        orders = [await an_order(tx, world, 2) for _ in range(5)]

    async def run():
        async with database.transaction() as tx:
            return len((await service.release_due(tx)).work)

    assert sum(await asyncio.gather(*[run() for _ in range(6)])) == 5
    async with database.transaction() as tx:
        for order_id in orders:
            assert len(await work_of(tx, order_id)) == 1
        assert not (await service.release_due(tx)).work


async def test_a_full_location_leaves_the_order_waiting_and_it_is_asked_again_later(database):
    async with database.transaction() as tx:
        world = await a_network(tx, capacity=0)
        order_id = await an_order(tx, world, 1)
        assert (await service.release_due(tx)).left == {order_id: NotReleased.NO_CAPACITY}
        assert await status_of(tx, order_id) == "allocated"
        assert not (await service.release_due(tx)).left  # postponed


@pytest.mark.parametrize(
    ("reason", "left_at_dc"),
    [
        (RejectReason.NOT_IN_STOCK, (0, 0, 0)),
        (RejectReason.MISMATCH, (8, 0, 8)),
        (RejectReason.DAMAGED, (8, 0, 8)),
        (RejectReason.DISPLAY_ITEM, (10, 0, 8)),
        (RejectReason.STORE_CLOSED, (10, 0, 10)),
        (RejectReason.OTHER, (10, 0, 10)),
    ],
)
async def test_a_rejection_changes_the_stock_as_its_reason_says_and_asks_another_location(database, reason, left_at_dc):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 10, "S1": 4})
        order_id = await an_order(tx, world, [Sold(sku, 2)])
        [work] = await released(tx, order_id)
        rerouted = await service.reject(tx, work, reason, note="looked twice")
        assert (rerouted.given_back, rerouted.placed, rerouted.waiting) == (2, 2, 0)
        assert await balance(tx, world, sku, "DC") == left_at_dc
        assert await balance(tx, world, sku, "S1") == (4, 2, 2)
        assert await units_of(tx, order_id) == [(1, "allocated", 2)]
        assert await taken(tx) == []  # the capacity is free again
        [second] = await released(tx, order_id)
        assert [state for _, state, _ in await work_of(tx, order_id)] == ["rejected", "open"]
        with pytest.raises(WrongState):
            await service.accept(tx, work)
        rerouted = await service.reject(tx, second, RejectReason.STORE_CLOSED)
        assert (rerouted.placed, rerouted.waiting) == (0, 2)
        hold = (await ordering.open_holds(tx, [order_id]))[order_id][HoldKind.SHORTAGE]
        assert hold.detail["units"] == 2
        assert await status_of(tx, order_id) == "on_hold"


async def test_a_short_pick_goes_elsewhere_and_the_rest_goes_on(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 10, "S1": 4})
        other = await a_product(tx, world, "B", stock={"DC": 10})
        order_id = await an_order(tx, world, [Sold(sku, 3), Sold(other, 1)])
        [work] = await released(tx, order_id)
        with pytest.raises(NotThatMany):
            await service.confirm_pick(tx, work, [Picked(1, 4)])
        await service.confirm_pick(tx, work, [Picked(1, 1)])
        assert [state for _, state, _ in await work_of(tx, order_id)] == ["picking"]
        with pytest.raises(NotPicked):
            await service.pack(tx, work)
        rerouted = await service.confirm_pick(tx, work, short=[Short(1, 2, RejectReason.NOT_IN_STOCK)])
        assert (rerouted.given_back, rerouted.placed) == (2, 2)
        # One is in hand, so one is there, and it is claimed.
        assert await balance(tx, world, sku, "DC") == (1, 1, 0)
        assert await balance(tx, world, sku, "S1") == (4, 2, 2)
        assert await units_of(tx, order_id) == [(1, "allocated", 2), (1, "picked", 1), (2, "picked", 1)]
        await service.pack(tx, work)
        [second] = await released(tx, order_id)
        await service.confirm_pick(tx, second)
        assert await units_of(tx, order_id) == [
            (1, "awaiting_document", 1),
            (1, "picked", 2),
            (2, "awaiting_document", 1),
        ]


async def test_a_kit_that_lost_a_component_goes_elsewhere_as_a_whole(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        cup = await a_product(tx, world, "CUP", stock={"DC": 6, "S1": 6})
        plate = await a_product(tx, world, "PLATE", stock={"DC": 3, "S1": 3})
        kit = await a_product(tx, world, "SET", components={cup: 2, plate: 1})
        order_id = await an_order(tx, world, [Sold(kit, 3)])
        [work] = await released(tx, order_id)
        await service.confirm_pick(tx, work, [Picked(1, 6, cup)])
        done = await service.confirm_pick(tx, work, [], [Short(1, 1, RejectReason.DAMAGED, plate)])
        assert (done.given_back, done.placed, done.waiting) == (3, 3, 0)
        where = "SELECT location_id, sku_id, sum(quantity)::int FROM order_unit GROUP BY 1, 2 ORDER BY 1, 2"
        dc, s1 = world.locations["DC"], world.locations["S1"]
        assert await tx.tuples(where) == [(dc, cup, 4), (dc, plate, 2), (s1, cup, 2), (s1, plate, 1)]
        assert await balance(tx, world, cup, "DC") == (6, 4, 2)  # nothing is wrong with the cups
        assert await balance(tx, world, plate, "DC") == (2, 2, 0)


async def test_parcels_hold_exactly_what_was_picked(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "A", stock={"DC": 10})
        order_id = await an_order(tx, world, [Sold(sku, 3)])
        [work] = await released(tx, order_id)
        await service.confirm_pick(tx, work)
        with pytest.raises(WrongContents):
            await service.pack(tx, work, [Parcel(contents=[Content(1, 1)]), Parcel(contents=[Content(1, 1)])])
        with pytest.raises(WrongContents, match="Line 1: 3 units were picked, 5 are in the parcels"):
            await service.pack(tx, work, [Parcel(contents=[Content(1, 3)]), Parcel(contents=[Content(1, 2)])])
        with pytest.raises(WrongContents, match="Line 7: 0 units were picked, 1 are in the parcels"):
            await service.pack(tx, work, [Parcel(contents=[Content(1, 3), Content(7, 1)])])
        first, second = await service.pack(
            tx, work, [Parcel(contents=[Content(1, 1)]), Parcel(contents=[Content(1, 2)])]
        )
        await service.ship(tx, work, [Tracking(first, "A", "1"), Tracking(second, "B", "2")])  # no document required
        await service.deliver(tx, second, received_by="Ana")
        assert await units_of(tx, order_id) == [(1, "delivered", 2), (1, "shipped", 1)]
        assert await status_of(tx, order_id) == "shipped"
        await service.deliver(tx, first)
        assert await status_of(tx, order_id) == "delivered"


async def test_a_parcel_of_which_everything_was_cancelled_does_not_leave_with_the_others(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku, other = [await a_product(tx, world, code, stock={"DC": 10}) for code in "AB"]
        order_id = await an_order(tx, world, [Sold(sku, 2), Sold(other, 1)])
        [work] = await released(tx, order_id)
        await service.confirm_pick(tx, work)
        parcels = [Parcel(contents=[Content(1, 2)]), Parcel(contents=[Content(2, 1)]), Parcel(contents=[])]
        kept, emptied, second_box = await service.pack(tx, work, parcels)
        await service.cancel(tx, order_id, reason="changed my mind", wishes=[CancelWish(2, 1)])
        tracking = [Tracking(kept, "A", "1"), Tracking(emptied, "A", "2"), Tracking(second_box, "A", "3")]
        assert await service.ship(tx, work, tracking) == [kept, second_box]  # the label of the other was printed before
        told = await tx.value("SELECT payload -> 'shipments' FROM outbox WHERE type = 'fulfillment.shipped'")
        assert [parcel["tracking_code"] for parcel in told] == ["1", "3"]
        with pytest.raises(ShipmentNotSent):
            await service.deliver(tx, emptied)
        await service.deliver(tx, kept)
        assert await status_of(tx, order_id) == "delivered"


async def test_a_parcel_that_is_left_alone_needs_no_name(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        order_id = await an_order(tx, world, 2)
        [work] = await released(tx, order_id)
        await service.confirm_pick(tx, work)
        _, kept = await service.pack(tx, work, [Parcel(contents=[Content(n, 1)]) for n in (1, 2)])
        await service.cancel(tx, order_id, reason="changed my mind", wishes=[CancelWish(1, 1)])
        assert await service.ship(tx, work, [Tracking(tracking_code="X")]) == [kept]


async def test_a_blank_says_nothing_of_how_a_parcel_travels(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        [work] = await released(tx, await an_order(tx, world, 1))
        await service.confirm_pick(tx, work)
        await service.pack(tx, work)
        await service.ship(tx, work, [Tracking(carrier="  ", tracking_code=" BR1 ", tracking_url="")])
        told = await tx.tuples("SELECT carrier, tracking_code, tracking_url FROM shipment")
        assert told == [("Correios", "BR1", None)]


async def test_a_box_without_units_of_its_own_is_its_locations_too(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        [work] = await released(tx, await an_order(tx, world, 1))
        await service.confirm_pick(tx, work)
        _, box = await service.pack(tx, work, [Parcel(contents=[Content(1, 1)]), Parcel(contents=[])])
        await service.ship(tx, work)
    store = Actor("person", "ana", "Ana", locations=frozenset({world.locations["S1"]}))
    async with database.transaction(store) as tx:
        with pytest.raises(ShipmentNotFound):
            await service.deliver(tx, box)


async def test_a_parcel_arrives_neither_before_its_order_nor_in_a_time_to_come(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        [work] = await released(tx, await an_order(tx, world, 1))
        await service.confirm_pick(tx, work)
        [parcel] = await service.pack(tx, work)
        await service.ship(tx, work)
        now = await tx.now()
        for at in (now + timedelta(days=1), now - timedelta(days=40), datetime(2999, 1, 1, tzinfo=UTC)):
            for tell in (service.send_out, service.deliver):
                with pytest.raises(Invalid):
                    await tell(tx, parcel, at=at)
        await service.send_out(tx, parcel, at=now - timedelta(hours=3))  # told together, after it had left
        await service.deliver(tx, parcel, at=now + timedelta(minutes=5))  # clocks differ
        told = await tx.tuples("SELECT out_at, delivered_at FROM shipment")
        assert told == [(now - timedelta(hours=3), now + timedelta(minutes=5))]


async def test_nothing_leaves_under_a_stopping_hold(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        order_id = await an_order(tx, world, 1)
        [work] = await released(tx, order_id)
        await service.confirm_pick(tx, work)
        await service.pack(tx, work)
        await order_holds.place_hold(tx, order_id, HoldKind.FRAUD)
        with pytest.raises(OrderStopped):
            await service.ship(tx, work)
        await order_holds.resolve_hold(tx, order_id, HoldKind.FRAUD)
        await service.ship(tx, work)


async def test_goods_are_handed_over_for_the_code_only_and_wrong_codes_are_counted(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"S1": 3})
        order_id = await an_order(tx, world, [Sold(sku, 1, at="S1")], method="pickup")
        [work] = await released(tx, order_id)
        with pytest.raises(WrongState):
            await service.make_ready(tx, work)
        await service.confirm_pick(tx, work)
        await service.pack(tx, work)
        with pytest.raises(WrongMethod):
            await service.ship(tx, work)
        with pytest.raises(DocumentRequired):
            await service.make_ready(tx, work)
        document = await fiscal.record_document(
            tx, work, DocumentFacts(access_key=an_access_key(world, model="65", number=7))
        )
        await service.make_ready(tx, work)
        assert await status_of(tx, order_id) == "ready"
        code = await service.pickup_code(tx, work)
        assert len(code) == 6
        assert code.isdigit()
        wrong = f"{(int(code) + 1) % 10**6:06d}"
        for left in (4, 3, 2, 1, 0):
            shown = await service.hand_over(tx, work, code=wrong, received_by="Ana")
            assert (shown.done, shown.attempts_left) == (False, left)
        with pytest.raises(CodeLocked):
            await service.hand_over(tx, work, code=code, received_by="Ana")
        await service.renew_code(tx, work)
        code = await service.pickup_code(tx, work)
        # A document cancelled while the goods wait: they are not ready any more.
        await fiscal.cancel_document(tx, document.id, reason="wrong buyer")
        await service.settle(tx, [order_id])
        assert [state for _, state, _ in await work_of(tx, order_id)] == ["packed"]
        await fiscal.record_document(tx, work, DocumentFacts(access_key=an_access_key(world, model="65", number=8)))
        await service.make_ready(tx, work)
        code = await service.pickup_code(tx, work)
        done = await service.hand_over(tx, work, code=f" {code[:3]} {code[3:]}", received_by="Ana Lima")
        assert done.done
        assert await status_of(tx, order_id) == "delivered"
        assert await balance(tx, world, sku, "S1") == (2, 0, 2)
        assert await tx.value("SELECT received_by FROM shipment") == "Ana Lima"
        assert code not in str(await tx.values("SELECT payload FROM outbox"))


async def test_work_whose_units_are_cancelled_shrinks_and_ends_when_nothing_is_left(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 10})
        order_id = await an_order(tx, world, [Sold(sku, 3)])
        [work] = await released(tx, order_id)
        await service.accept(tx, work)
        await service.confirm_pick(tx, work, [Picked(1, 1)])
        await cancelling.cancel(tx, order_id, reason="less", wishes=[CancelWish(1, 2)])
        await service.settle(tx, [order_id])
        assert [state for _, state, _ in await work_of(tx, order_id)] == ["picked"]
        assert [n for _, _, n in await taken(tx)] == [1]
        await cancelling.cancel(tx, order_id, reason="all")
        await service.settle(tx, [order_id])
        await service.settle(tx, [order_id])
        assert [state for _, state, _ in await work_of(tx, order_id)] == ["cancelled"]
        assert await taken(tx) == []
        assert await balance(tx, world, sku, "DC") == (10, 0, 10)


async def test_a_location_sees_and_touches_only_its_own_work(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1)
        [work] = await released(tx, order_id)
        store = Actor("person", str(new_id()), "Rui", locations=frozenset({world.locations["S1"]}))
        dc = Actor("person", str(new_id()), "Eva", locations=frozenset({world.locations["DC"]}))
        tx.actor = store
        for step in (service.accept, service.pack, service.ship, service.make_ready):
            with pytest.raises(WorkNotFound):
                await step(tx, work)
        tx.actor = dc
        await service.accept(tx, work)
        await service.confirm_pick(tx, work)
        [parcel] = await service.pack(tx, work)
        tx.actor = SYSTEM
        assert parcel


async def test_a_cancel_and_a_pick_at_once_end_in_one_of_two_clean_worlds(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 10})
        orders = [await an_order(tx, world, [Sold(sku, 1)]) for _ in range(6)]
        works = {o: (await released(tx, o))[0] for o in orders}

    async def cancel(order_id):
        async with database.transaction() as tx:
            await service.cancel(tx, order_id, reason="race")

    async def pick(order_id):
        async with database.transaction() as tx:
            await service.confirm_pick(tx, works[order_id], [Picked(1, 1)])

    await asyncio.gather(*[f(o) for o in orders for f in (cancel, pick)], return_exceptions=True)
    async with database.transaction() as tx:
        for order_id in orders:
            assert await units_of(tx, order_id) == [(1, "cancelled", 1)]
        assert await balance(tx, world, sku, "DC") == (10, 0, 10)


async def test_locations_that_give_the_same_goods_back_at_once_do_not_deadlock(database):
    places = ("DC", "S1", "S2")
    async with database.transaction() as tx:
        world = await a_network(tx)
        skus = [await a_product(tx, world, f"A{n}", stock=dict.fromkeys(places, 40)) for n in range(3)]
        works = []
        for n in range(18):
            lines = [Sold(skus[(n + k) % 3], 1, at=places[(n + k) % 3]) for k in range(2)]
            works += await released(tx, await an_order(tx, world, lines))

    async def reject(work):
        async with database.transaction() as tx:
            await service.reject(tx, work, RejectReason.STORE_CLOSED)

    results = await asyncio.gather(*[reject(work) for work in works], return_exceptions=True)
    assert [r for r in results if r is not None] == []
    async with database.transaction() as tx:
        units = "SELECT state, sum(quantity)::int FROM order_unit GROUP BY state"
        assert await tx.tuples(units) == [("allocated", 36)]
        assert await tx.value("SELECT sum(allocated)::int FROM balance") == 36
