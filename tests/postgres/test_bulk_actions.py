"""Bulk actions: one act on all orders that a list finds, on these and no others, once, and what refuses says why."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from malha.fulfillment import bulk, bulk_acts
from malha.fulfillment import bulk_reads as reads
from malha.fulfillment.bulk_model import Act, Wish
from malha.fulfillment.bulk_reads import BulkAction
from malha.fulfillment.errors import BulkBegun, BulkEnded, BulkNotFound, NoOrdersFound, TooManyOrders
from malha.ordering import finding_reads
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.listing import View, Wanted
from malha.ordering.model import HoldKind, PromiseReason
from malha.platform import piecework, refusals
from malha.platform.clock import now
from malha.platform.db import Actor, Database
from malha.platform.flaws import Invalid
from malha.platform.ids import UUID
from malha.testing.builders import World, a_network, a_person, an_order

BIA = Actor("person", "0193b3c0-0000-7000-8000-00000000b1a0", "Bia")
CAIO = Actor("person", "0193b3c0-0000-7000-8000-00000000ca10", "Caio")
HOLD = Wish(act=Act.HOLD, reason="supplier recalls it")
CANCEL = Wish(act=Act.CANCEL, reason="supplier failed")


class Desk:
    """Orders, and acts on all of them that a list finds."""

    def __init__(self, database: Database, world: World) -> None:
        self.database, self.world = database, world

    async def order(self, channel: str = "web", *holds: HoldKind) -> UUID:
        async with self.database.transaction() as tx:
            return await an_order(tx, self.world, channel=channel, holds=holds)

    async def gather(self, wish: Wish = HOLD, actor: Actor = BIA, **wanted: Any) -> int:
        async with self.database.transaction(actor) as tx:
            return await bulk.gather(tx, wish, Wanted(**wanted), "view=all")

    async def begin(self, wish: Wish = HOLD, actor: Actor = BIA, **wanted: Any) -> int:
        number = await self.gather(wish, actor, **wanted)
        async with self.database.transaction(actor) as tx:
            await bulk.begin(tx, number)
        return number

    async def action(self, number: int, actor: Actor = BIA) -> BulkAction:
        async with self.database.transaction(actor) as tx:
            return await reads.action(tx, number)

    async def work(self, number: int) -> BulkAction:
        """Do what a worker does."""
        action = await self.action(number)
        await bulk.go_on.work(self.database, action_id=str(action.id))
        return await self.action(number)

    async def refused(self, number: int) -> dict[UUID, str]:
        action = await self.action(number)
        async with self.database.transaction() as tx:
            return {one.order_id: refusals.said(one.why, "en") for one in await reads.refused(tx, action.id, 50)}

    async def held(self) -> set[UUID]:
        async with self.database.transaction() as tx:
            return set(await tx.values("SELECT order_id FROM order_hold WHERE kind = 'manual' AND resolved_at IS NULL"))

    async def statuses(self) -> dict[UUID, str]:
        async with self.database.transaction() as tx:
            return dict(await tx.tuples("SELECT id, status FROM sales_order"))


@pytest.fixture
async def desk(database: Database, examined: None) -> Desk:
    async with database.transaction() as tx:
        world = await a_network(tx)
        await a_person(tx, BIA)
        await a_person(tx, CAIO)
    return Desk(database, world)


async def test_all_that_the_list_finds_when_it_is_gathered_and_nothing_else(desk: Desk) -> None:
    one, two = await desk.order(), await desk.order()
    await desk.order("mall")
    web = desk.world.channels["web"]
    number = await desk.gather(channel_ids=(web,))
    late = await desk.order()  # comes in while the person reads what is about to be done
    action = await desk.action(number)
    assert (action.state, action.orders, action.through, action.person) == ("ready", 2, 0, "Bia")
    assert await desk.held() == set()  # nothing happens before it is begun
    async with desk.database.transaction(BIA) as tx:
        standing = await reads.standing(tx, action.id)
        await bulk.begin(tx, number)
    assert sum(each.orders for each in standing) == 2
    action = await desk.work(number)
    assert (action.state, action.done, action.refused, action.left, action.share) == ("done", 2, 0, 0, 100)
    assert await desk.held() == {one, two}
    assert late not in await desk.held()
    async with desk.database.transaction() as tx:
        trail = await tx.tuples(
            "SELECT action, entity_id, actor_name FROM audit WHERE entity = 'bulk_action' ORDER BY id"
        )
        notes = await tx.values("SELECT detail ->> 'note' FROM order_hold WHERE kind = 'manual'")
        by = await tx.values("SELECT DISTINCT placed_by FROM order_hold WHERE kind = 'manual'")
    assert trail == [("gather", str(number), "Bia"), ("start", str(number), "Bia")]
    assert notes == ["supplier recalls it"] * 2
    assert by == [BIA.label]


async def test_what_changed_since_it_was_gathered_is_not_cancelled_and_says_so(desk: Desk) -> None:
    changed, plain = await desk.order(), await desk.order()
    number = await desk.begin(CANCEL)
    async with desk.database.transaction(CAIO) as tx:
        await order_holds.place_hold(tx, changed, HoldKind.FRAUD)
    action = await desk.work(number)
    assert (action.state, action.done, action.refused) == ("done", 1, 1)
    assert (await desk.refused(number))[changed].startswith("Order ")
    assert "was changed meanwhile" in (await desk.refused(number))[changed]
    assert (await desk.statuses())[plain] == "cancelled"
    assert (await desk.statuses())[changed] == "on_hold"


async def test_a_hold_stops_goods_whatever_happened_to_the_order_since(desk: Desk) -> None:
    order = await desk.order()
    number = await desk.begin(HOLD)
    async with desk.database.transaction(CAIO) as tx:
        await order_holds.place_hold(tx, order, HoldKind.FRAUD)
    assert (await desk.work(number)).done == 1
    assert await desk.held() == {order}


async def test_each_act_does_what_it_does_to_one_order(desk: Desk) -> None:
    order = await desk.order("web", HoldKind.FRAUD, HoldKind.PAYMENT)
    free = await desk.order()
    everything = {"view": View.ALL}
    assert (await desk.work(await desk.begin(Wish(act=Act.TAGS, add=("Black Friday",)), **everything))).done == 2
    day = (now() + timedelta(days=30)).date()
    promise = Wish(act=Act.PROMISE, day=day, because=PromiseReason.OTHER, note="carrier strikes")
    assert (await desk.work(await desk.begin(promise, **everything))).done == 2
    action = await desk.work(await desk.begin(Wish(act=Act.RESOLVE), **everything))
    assert (action.done, action.refused) == (1, 1)  # the free one has no hold
    async with desk.database.transaction() as tx:
        assert await tx.values("SELECT DISTINCT tag FROM order_tag") == ["Black Friday"]
        promised = await tx.values("SELECT promised_at FROM sales_order")
        left = await tx.values("SELECT kind FROM order_hold WHERE resolved_at IS NULL")
    assert {(at - timedelta(hours=5)).date() for at in promised} == {day}
    assert left == ["payment"]  # which only the payment lifts
    released = await desk.work(await desk.begin(Wish(act=Act.RELEASE), **everything))
    assert (released.done, released.refused) == (1, 1)
    assert set(await desk.refused(released.number)) == {order}
    async with desk.database.transaction() as tx:
        assert await tx.values("SELECT order_id FROM fulfillment_order") == [free]


async def test_killed_halfway_it_goes_on_where_it_was_and_does_nothing_twice(desk: Desk) -> None:
    orders = [await desk.order() for _ in range(5)]
    number = await desk.begin(CANCEL)
    action = await desk.action(number)
    assert await bulk.do_one(desk.database, BIA, action)
    assert await bulk.do_one(desk.database, BIA, action)  # and the worker is killed
    halfway = await desk.action(number)
    assert (halfway.state, halfway.done, halfway.share) == ("going", 2, 40)
    # Two workers at once, as after a restart that came too early; and once more afterwards.
    await asyncio.gather(*(bulk.go_on.work(desk.database, action_id=str(action.id)) for _ in range(2)))
    action = await desk.work(number)
    assert (action.state, action.done, action.refused) == ("done", 5, 0)
    assert await desk.statuses() == dict.fromkeys(orders, "cancelled")


async def test_stopped_halfway_the_rest_is_left_alone(desk: Desk) -> None:
    orders = [await desk.order() for _ in range(3)]
    number = await desk.begin(HOLD)
    await bulk.do_one(desk.database, BIA, await desk.action(number))
    async with desk.database.transaction(CAIO) as tx:
        await bulk.stop(tx, number)
    action = await desk.work(number)
    assert (action.state, action.done, action.left) == ("stopped", 1, 2)
    assert await desk.held() == {orders[2]}  # the newest was the first
    with pytest.raises(BulkEnded):
        async with desk.database.transaction(CAIO) as tx:
            await bulk.stop(tx, number)


async def test_what_was_gathered_is_the_persons_own_until_it_is_begun_and_begins_once(desk: Desk) -> None:
    await desk.order()
    first = await desk.gather()
    second = await desk.gather(CANCEL)
    with pytest.raises(BulkNotFound):  # the second took its place
        await desk.action(first)
    with pytest.raises(BulkNotFound):
        await desk.action(second, CAIO)
    other = await desk.gather(HOLD, CAIO)
    assert (await desk.action(second)).state == (await desk.action(other, CAIO)).state == "ready"

    async def begin() -> None:
        async with desk.database.transaction(BIA) as tx:
            await bulk.begin(tx, second)

    results = await asyncio.gather(begin(), begin(), return_exceptions=True)
    assert [type(each) for each in results if each is not None] == [BulkBegun]
    async with desk.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM malha_jobs.procrastinate_jobs WHERE task_name = 'orders.bulk_action'") == 1  # fmt: skip
    assert (await desk.action(second, CAIO)).state == "going"  # which others see
    limited = Actor("person", "duda", "Duda", locations=frozenset({desk.world.locations["DC"]}))
    with pytest.raises(BulkNotFound):
        await desk.action(second, limited)


async def test_a_list_of_some_locations_gathers_none_of_others(desk: Desk) -> None:
    await desk.order()  # at DC
    elsewhere = desk.world.locations["S1"]
    with pytest.raises(NoOrdersFound):
        await desk.gather(scope=(elsewhere,))
    assert (await desk.action(await desk.gather(scope=(desk.world.locations["DC"],)))).orders == 1


async def test_a_list_that_finds_more_than_is_taken_is_refused_and_writes_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        await desk.order()
    monkeypatch.setattr(bulk, "MOST", 2)
    with pytest.raises(TooManyOrders, match="more than 2 orders"):
        await desk.gather()
    monkeypatch.setattr(bulk, "MOST", 3)
    assert (await desk.action(await desk.gather())).orders == 3
    # A search looks at so many and no more: who cancels all it found would leave the others without a word.
    monkeypatch.setattr(bulk, "FOUND_LIMIT", 3)
    async with desk.database.transaction() as tx:
        found = await tx.values("SELECT id FROM sales_order")
    with pytest.raises(TooManyOrders, match="more than 2 orders"):
        await desk.gather(search="T", found=tuple(found))
    assert finding_reads.FOUND_LIMIT == 1_000


@pytest.mark.parametrize(
    "wish",
    [
        Wish(act=Act.PROMISE),
        Wish(act=Act.PROMISE, day=now().date(), because=PromiseReason.OTHER),
        Wish(act=Act.TAGS),
        Wish(act=Act.TAGS, add=(" ",)),
    ],
)
async def test_what_lacks_a_day_a_reason_or_tags_is_refused_before_any_order_is_touched(desk: Desk, wish: Wish) -> None:
    await desk.order()
    with pytest.raises(Invalid):
        await desk.gather(wish)
    with pytest.raises(Invalid):
        bulk_acts.check(wish)
    async with desk.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM bulk_action") == 0


async def test_an_order_at_which_the_program_fails_keeps_nobody_else_waiting(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders = [await desk.order() for _ in range(3)]
    number = await desk.begin(HOLD)
    place = order_holds.place_hold

    async def fail(tx: Any, order_id: UUID, *args: Any, **more: Any) -> Any:
        if order_id == orders[1]:
            await tx.execute("SELECT 1 / 0")
        return await place(tx, order_id, *args, **more)

    monkeypatch.setattr(order_holds, "place_hold", fail)
    action = await desk.work(number)
    assert (action.state, action.done, action.refused) == ("done", 2, 1)
    assert await desk.held() == {orders[0], orders[2]}
    assert (await desk.refused(number))[orders[1]].startswith("The program failed at this order.")


async def test_an_order_that_somebody_works_on_is_waited_for(desk: Desk) -> None:
    busy, free = await desk.order(), await desk.order()
    number = await desk.begin(CANCEL)
    async with desk.database.transaction(CAIO) as tx:
        await ordering.lock_order(tx, busy)
        working = asyncio.create_task(desk.work(number))
        await asyncio.sleep(0.5)
        assert (await desk.action(number)).state == "going"
    action = await working
    assert (action.done, action.refused) == (2, 0)
    assert await desk.statuses() == dict.fromkeys((busy, free), "cancelled")


async def test_a_long_one_lets_others_have_their_turn(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        await desk.order()
    number = await desk.begin(HOLD)
    monkeypatch.setattr(piecework, "TURN_S", 0.0)
    action = await desk.work(number)
    assert (action.state, action.through) == ("going", 0)
    async with desk.database.transaction() as tx:
        waiting = await tx.tuples("SELECT lock, args ->> 'action_id' FROM malha_jobs.procrastinate_jobs WHERE task_name = 'orders.bulk_action'")  # fmt: skip
    assert (
        waiting == [(f"bulk_actions:{desk.database.retailer}", str(action.id))] * 2
    )  # the one that is done here, and its next turn
    monkeypatch.setattr(piecework, "TURN_S", 20.0)
    assert (await desk.work(number)).state == "done"


LOSSES = {
    "is deactivated": "UPDATE person SET active = false WHERE id = %(id)s::uuid",
    "has another role": "UPDATE person SET role = 'auditor' WHERE id = %(id)s::uuid",
    "is limited to a location without these orders": "UPDATE person SET everywhere = false WHERE id = %(id)s::uuid",
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
async def test_who_may_not_any_more_does_nothing_more(desk: Desk, loss: str) -> None:
    orders = [await desk.order() for _ in range(3)]
    number = await desk.begin(CANCEL)
    await bulk.do_one(desk.database, BIA, await desk.action(number))
    async with desk.database.transaction() as tx:
        assert await tx.execute(loss, {"id": BIA.id}) == 1
    action = await desk.work(number)
    assert (action.state, action.done, action.refused) == ("done", 1, 2)
    statuses = await desk.statuses()
    assert [statuses[order] == "cancelled" for order in orders] == [False, False, True]  # the newest was the first
    said = "Bia, who began this, may not do it any more."
    assert {why[: len(said)] for why in (await desk.refused(number)).values()} == {said}


async def test_a_person_limited_to_where_an_order_is_goes_on_with_it(desk: Desk) -> None:
    order = await desk.order()
    number = await desk.begin(HOLD)
    async with desk.database.transaction() as tx:
        await tx.execute("UPDATE person SET everywhere = false WHERE id = %s::uuid", (BIA.id,))
        places = await tx.values("SELECT DISTINCT location_id FROM order_unit WHERE order_id = %s::uuid", (order,))
        for place in places:
            await tx.execute(
                "INSERT INTO person_location (person_id, location_id) VALUES (%s::uuid, %s::int)", (BIA.id, place)
            )
    action = await desk.work(number)
    assert (action.done, action.refused) == (1, 0)
    assert await desk.held() == {order}


async def test_a_key_that_was_revoked_does_nothing_more(desk: Desk) -> None:
    await desk.order()
    async with desk.database.transaction() as tx:
        id_ = await tx.value(
            "INSERT INTO api_key (name, prefix, secret_hash, permissions, everywhere, created_by) "
            "VALUES ('ERP', 'p', '\\x00', '{orders:read,orders:write}', true, 'system') RETURNING id"
        )
    erp = Actor("key", str(id_), "ERP")
    first, second = await desk.begin(HOLD, erp), await desk.gather(HOLD, erp)
    assert (await desk.work(first)).done == 1
    async with desk.database.transaction(erp) as tx:
        await bulk.begin(tx, second)
        await tx.execute("UPDATE api_key SET revoked_at = now() WHERE id = %s::int", (id_,))
    action = await desk.action(second, erp)
    await bulk.go_on.work(desk.database, action_id=str(action.id))
    (why,) = (await desk.refused(second)).values()
    assert why.startswith("ERP, who began this, may not do it any more.")
