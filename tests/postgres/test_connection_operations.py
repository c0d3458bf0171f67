"""What channels are to be told reaches them once, whatever breaks on the way; what nobody can know waits for a person."""

import asyncio
import random
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from linked_world import CODE, SECRETS, Linked, linked
from tests.waiting import doomed, gone

from malha.channels import pushing, sending
from malha.channels import reads as channel_reads
from malha.channels import service as channels
from malha.channels.connecting import following, operating, queueing, reads, registry, service, stuck_reads
from malha.channels.connecting.model import ConnectionDraft, NewOp, OpKind
from malha.channels.connecting.runtime import Runtime
from malha.channels.connectors.generic import Generic
from malha.channels.contract import PricePush, ShipmentPush, ShippedLine
from malha.channels.model import PushDraft, PushKind
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import Content, Parcel, Tracking
from malha.ordering import cancelling
from malha.ordering.model import CancelWish
from malha.platform.subscribers import drain

STATES = "SELECT state FROM channel_op ORDER BY number"
OUTCOMES = "SELECT outcome FROM op_attempt ORDER BY at, attempt"


@pytest.fixture
async def shop(database, tmp_path):
    async with linked(database, tmp_path) as made:
        made.peer.sell("1001")
        yield made


def parcel(n: int = 1, order: str = "1001") -> ShipmentPush:
    return ShipmentPush(
        order=order,
        shipment=f"s{n}",
        lines=[ShippedLine("A", 1, "l1")],
        tracking="BR1",
        shipped_at=datetime(2026, 11, 26, tzinfo=UTC),
    )


async def queue(shop: Linked, *pushes: ShipmentPush) -> None:
    id_ = await shop.id()
    ops = [
        NewOp(
            connection_id=id_,
            kind=OpKind.PUSH_SHIPMENT,
            entity=f"order:{push.order}",
            name=push.shipment,
            payload=push,
        )
        for push in pushes
    ]
    async with shop.database.transaction() as tx:
        await queueing.add(tx, ops)


async def price(shop: Linked, sku: str, amount: int, version: int) -> int:
    push = PricePush(sku=sku, code=sku, price=amount, currency="BRL", version=version)
    op = NewOp(
        connection_id=await shop.id(),
        kind=OpKind.SET_PRICE,
        entity=f"price:{sku}",
        name=sku,
        payload=push,
        version=version,
    )
    async with shop.database.transaction() as tx:
        return await queueing.add(tx, [op])


async def dead(shop: Linked) -> list[reads.Dead]:
    async with shop.database.transaction() as tx:
        return await stuck_reads.gone(tx, await shop.id())


async def test_the_same_thing_queued_twice_is_told_once(shop: Linked):
    await queue(shop, parcel(), parcel())
    await queue(shop, parcel())
    await shop.tell()
    assert [s["shipment"] for s in shop.peer.shipments] == ["s1"]
    assert await shop.values(STATES) == ["done"]


@pytest.mark.parametrize(
    "how",
    [
        "cut",
        "status 429",
        "status 429 0",
        "status 500",
        "status 502",
        "status 503",
        "commit_then_status 408",
        "commit_then_status 520",
        "commit_then_status 524",
        "commit_then_cut",
        "commit_then_silence",
        "truncated",
        "drip",
    ],
)
async def test_whatever_breaks_on_the_way_the_parcel_is_told_exactly_once(shop: Linked, how: str):
    shop.peer.fail("POST /shipments", how)
    await queue(shop, parcel())
    await shop.tell()
    assert [s["shipment"] for s in shop.peer.shipments] == ["s1"]
    assert await shop.values(STATES) == ["done"]


async def test_what_may_have_arrived_is_looked_up_before_it_is_sent_again(shop: Linked):
    shop.peer.fail("POST /shipments", "commit_then_cut")
    shop.peer.fail("GET /operations", "status 500")
    await queue(shop, parcel())
    await shop.tell()
    asked = [method + " " + path.split("/")[1] for method, path, _ in shop.peer.asked]
    assert asked == ["POST shipments", "GET operations", "GET operations"]
    assert await shop.values(OUTCOMES) == ["unsure", "unsure", "ok"]


async def test_a_worker_killed_while_sending_leaves_it_doubtful(shop: Linked):
    """Cancelled between the bytes and the answer, as SIGKILL would: the row says `sending`, nothing else is known."""
    shop.peer.fail("POST /shipments", "commit_then_silence")
    await queue(shop, parcel())
    running = asyncio.create_task(operating.work(shop.runtime))
    while not shop.peer.shipments:
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await shop.rows("SELECT sending, state FROM channel_op") == [(True, "waiting")]
    assert await operating.work(shop.runtime) == 0, "the dead one still has it"
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE channel_op SET taken_until = now() - interval '1 second'")
    await shop.tell()
    assert len(shop.peer.shipments) == 1
    assert await shop.values(STATES) == ["done"]


async def test_a_process_killed_while_the_channel_acts_tells_nothing_twice(shop: Linked):
    """SIGKILL, five times over, at moments of chance; whoever comes after looks up what may have arrived."""
    for n in range(12):
        shop.peer.sell(f"7{n:03}")
    await queue(shop, *(parcel(n, f"7{n:03}") for n in range(12)))
    shop.peer.slow_s = 0.05
    chance = random.Random(7)
    told = asyncio.Event()
    shop.peer.heard = told
    for turn in range(5):
        told.clear()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("connection_worker.py")),
            shop.database.url,
            str(shop.settings.data_dir),
            shop.peer.allowed,
            env=doomed(),
        )
        async with asyncio.timeout(60):
            await told.wait()
        await asyncio.sleep(chance.uniform(0, 0.12))
        process.kill()
        await process.wait()
        await gone(shop.database)
        async with shop.database.transaction() as tx:
            await tx.execute("UPDATE channel_op SET taken_until = now() - interval '1 second' WHERE state = 'waiting'")
        await shop.due()
        shop.peer.sell(f"8{turn:03}")
        await queue(shop, parcel(100 + turn, f"8{turn:03}"))
    await shop.tell()
    arrived = sorted(s["shipment"] for s in shop.peer.shipments)
    assert arrived == sorted([f"s{n}" for n in range(12)] + [f"s{100 + n}" for n in range(5)])
    assert set(await shop.values(STATES)) == {"done"}


# --- a process that stands still: a paused machine, a stopped process ---

RAN_OUT = "UPDATE channel_op SET taken_until = now() - interval '1 second' WHERE state = 'waiting'"


async def taken_by_one_that_stands_still(shop: Linked) -> list[operating.Task]:
    """What a process took and would send next, were it not stopped until its lease is over."""
    count, tasks = await operating._begin(shop.runtime, 0)
    assert count
    async with shop.database.transaction() as tx:
        await tx.execute(RAN_OUT)
    return tasks


def sent(shop: Linked, what: str) -> int:
    return sum(method == "POST" and path == what for method, path, _ in shop.peer.asked)


async def test_who_stood_still_for_longer_than_its_lease_does_not_send_what_another_sent(shop: Linked):
    await queue(shop, parcel())
    behind = await taken_by_one_that_stands_still(shop)
    await shop.tell()
    for task in behind:
        await task()
    assert sent(shop, "/shipments") == 1
    assert await shop.values(STATES) == ["done"]
    assert await shop.values(OUTCOMES) == ["ok"]


async def test_nor_does_it_put_an_old_price_over_a_newer_one(shop: Linked):
    await price(shop, "A", 100, 1)
    behind = await taken_by_one_that_stands_still(shop)
    await price(shop, "A", 300, 2)
    await shop.tell()
    assert shop.peer.prices == {"A": (2, 300)}
    told = sent(shop, "/prices")
    for task in behind:
        await task()
    assert sent(shop, "/prices") == told
    assert shop.peer.prices == {"A": (2, 300)}


async def test_who_stood_still_while_nobody_else_came_goes_on_and_nobody_comes_meanwhile(shop: Linked):
    await queue(shop, parcel())
    behind = await taken_by_one_that_stands_still(shop)
    shop.peer.slow_s = 0.3
    running = [asyncio.create_task(task()) for task in behind]
    while not sent(shop, "/shipments"):
        await asyncio.sleep(0.01)
    assert await operating.work(shop.runtime, settle_s=0) == 0, "it is under way"
    await asyncio.gather(*running)
    assert sent(shop, "/shipments") == 1
    assert await shop.values(STATES) == ["done"]


class Mute(Generic):
    """A peer that can neither be asked nor takes a key once."""

    key = "mute"

    async def find_shipment(self, ctx, shipment, key):
        raise NotImplementedError


class Keyed(Mute):
    """It cannot be asked, but takes a key once."""

    key = "keyed"
    idempotent = True


@pytest.fixture
def more_connectors():
    registry.connectors.__globals__["_found"].cache_clear()
    found = registry.connectors()
    found |= {"mute": Mute(), "keyed": Keyed()}  # type: ignore[operator]
    yield
    registry.connectors.__globals__["_found"].cache_clear()


@pytest.mark.usefixtures("more_connectors")
async def test_without_look_up_and_keys_a_person_decides(shop: Linked):
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE connection SET connector = 'mute'")
    shop.peer.fail("POST /shipments", "commit_then_cut")
    await queue(shop, parcel())
    await shop.tell()
    (waiting,) = await dead(shop)
    assert waiting.cause == "unknown_outcome"
    assert len(shop.peer.shipments) == 1, "it was not sent again on a guess"
    async with shop.database.transaction() as tx:
        assert await service.mark_done(tx, CODE, [waiting.key]) == 1
    await shop.tell()
    assert len(shop.peer.shipments) == 1
    assert await shop.values(STATES) == ["done"]


@pytest.mark.usefixtures("more_connectors")
async def test_where_the_peer_takes_a_key_once_it_is_sent_again(shop: Linked):
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE connection SET connector = 'keyed'")
    shop.peer.fail("POST /shipments", "cut")
    await queue(shop, parcel())
    await shop.tell()
    assert await shop.values(STATES) == ["done"]
    assert len(shop.peer.shipments) == 1


async def test_poison_is_told_to_a_person_and_the_others_flow(shop: Linked):
    shop.peer.sell("1002")
    await queue(shop, parcel(1), parcel(2, "nobody's"), parcel(3, "1002"))
    await shop.tell()
    assert sorted(s["shipment"] for s in shop.peer.shipments) == ["s1", "s3"]
    (waiting,) = await dead(shop)
    assert (waiting.cause, waiting.entity) == ("invalid", "order:nobody's")
    assert "no such order" in (waiting.error or "")
    shop.peer.sell("nobody's")
    async with shop.database.transaction() as tx:
        await service.replay(tx, CODE, ops=[waiting.key])
    await shop.tell()
    assert len(shop.peer.shipments) == 3


async def test_what_the_channel_works_on_is_done_when_it_says_so(shop: Linked):
    shop.peer.pending.add("/shipments")
    await queue(shop, parcel())
    await operating.work(shop.runtime)
    assert await shop.rows("SELECT state, reference FROM channel_op") == [("waiting", "shipments-1")]
    await shop.tell()
    assert await shop.values(STATES) == ["done"]
    assert len(shop.peer.shipments) == 1


async def test_four_workers_tell_each_thing_once_and_things_of_one_order_in_order(shop: Linked):
    for n in range(5):
        shop.peer.sell(f"200{n}")
    await queue(shop, *(parcel(10 * n + m, f"200{n}") for n in range(5) for m in range(4)))
    for _ in range(12):
        await shop.due()
        await asyncio.gather(*(operating.work(shop.runtime, settle_s=0) for _ in range(4)))
    assert await shop.values(STATES) == ["done"] * 20
    told = [(s["order"], int(s["shipment"][1:])) for s in shop.peer.shipments]
    assert len(told) == len(set(told)) == 20
    for n in range(5):
        mine = [number for order, number in told if order == f"200{n}"]
        assert len(mine) == 4


async def test_no_more_is_under_way_at_once_than_the_connector_allows(shop: Linked):
    for n in range(30):
        shop.peer.sell(f"3{n:03}")
    await queue(shop, *(parcel(n, f"3{n:03}") for n in range(30)))
    shop.peer.slow_s = 0.1
    await asyncio.gather(*(operating.work(shop.runtime) for _ in range(4)))
    assert 1 <= shop.peer.most_under_way <= Generic.limits.in_flight


# --- prices and stock: the newest wins ---


async def test_of_prices_only_the_newest_is_sent(shop: Linked):
    for version, amount in enumerate([100, 200, 300], 1):
        await price(shop, "A", amount, version)
    assert await price(shop, "A", 50, 2) == 0, "the same version again is nothing new"
    await price(shop, "B", 70, 1)
    await shop.tell()
    assert shop.peer.prices == {"A": (3, 300), "B": (1, 70)}
    sent = [body["items"] for method, path, body in shop.peer.asked if path == "/prices"]
    assert [sorted(i["code"] for i in items) for items in sent] == [["A", "B"]]


async def test_many_prices_go_in_few_calls(shop: Linked):
    for n in range(250):
        await price(shop, f"P{n:03}", n, 1)
    await shop.tell()
    assert len(shop.peer.prices) == 250
    assert len([path for _, path, _ in shop.peer.asked if path == "/prices"]) == 2


async def test_a_price_that_is_refused_does_not_hold_up_the_others(shop: Linked):
    shop.peer.refuses["A"] = "not sold here"
    await price(shop, "A", 100, 1)
    await price(shop, "B", 70, 1)
    await shop.tell()
    assert shop.peer.prices == {"B": (1, 70)}
    (waiting,) = await dead(shop)
    assert (waiting.cause, waiting.entity) == ("invalid", "price:A")


async def test_prices_of_the_catalogue_are_offered_when_they_differ_from_what_was_told(shop: Linked):
    async with shop.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO listing (channel_id, sku_id, code) SELECT c.id, v.id, v.sku FROM channel c, variant v"
        )
        await tx.execute("INSERT INTO revision (name, n) VALUES ('catalog', 7) ON CONFLICT (name) DO UPDATE SET n = 7")
        await tx.execute("UPDATE variant SET price = 1290")
    assert await following.offer_prices(shop.database) == 2
    assert await following.offer_prices(shop.database) == 0
    await shop.tell()
    assert shop.peer.prices == {"A": (7, 1290), "B": (7, 1290)}
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE variant SET price = 990 WHERE sku = 'B'")
        await tx.execute("UPDATE revision SET n = 8 WHERE name = 'catalog'")
    assert await following.offer_prices(shop.database) == 1
    await shop.tell()
    assert shop.peer.prices == {"A": (7, 1290), "B": (8, 990)}


async def test_stock_goes_over_the_connection_and_the_last_word_stays(shop: Linked):
    async with shop.database.transaction() as tx:
        await channels.put_push(tx, "web", PushDraft(kind=PushKind.CONNECTOR), 0, shop.keys)
    shop.peer.refuses["B"] = "not sold here"
    shop.peer.fail("POST /stock", "commit_then_cut")
    senders = sending.senders(shop.runtime)

    async def push() -> None:
        await drain(shop.database, SUBSCRIPTIONS)
        for _ in range(6):
            async with shop.database.transaction() as tx:
                await tx.execute("UPDATE stock_push SET next_at = now()")
                due = await channel_reads.due(tx)
            await pushing.push(shop.database, senders, due)

    await push()
    assert {code: quantity for code, (_, quantity) in shop.peer.stock.items()} == {"A": 52}
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", lines=[{"sku": "A", "quantity": 3, "unit_price": 1}])))
    await shop.handle()
    await push()
    assert {code: quantity for code, (_, quantity) in shop.peer.stock.items()} == {"A": 49}
    assert await shop.values("SELECT error FROM listing WHERE code = 'B'") == ["no_product not sold here"]


# --- what happens here is told there ---


async def test_a_cancel_here_is_told_and_one_from_the_channel_is_not_told_back(shop: Linked):
    for id_ in ("1001", "1002"):
        await shop.receive(shop.peer.webhook(shop.peer.sell(id_)))
    await shop.handle()
    async with shop.database.transaction() as tx:
        order_id = await tx.value("SELECT id FROM sales_order WHERE external_id = '1001'")
        await cancelling.cancel(tx, order_id, reason="customer changed her mind")
    await shop.receive(shop.peer.webhook(shop.peer.sell("1002", status="cancelled")))
    await shop.handle()
    await drain(shop.database, SUBSCRIPTIONS)
    await shop.tell()
    (told,) = shop.peer.cancellations
    assert (told["order"], told["whole"]) == ("1001", True)
    assert told["lines"] == [{"sku": "A", "quantity": 1, "line": "l1"}]


async def test_a_parcel_that_leaves_here_is_told_with_its_lines_and_tracking(shop: Linked):
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE establishment SET document_policy = 'not_required'")
    lines = [{"sku": "A", "quantity": 2, "unit_price": 5, "id": "x"}]
    paid = [{"id": "p1", "method": "pix", "amount": 10, "state": "captured"}]
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", lines=lines, payments=paid)))
    await shop.handle()
    async with shop.database.transaction() as tx:
        order_id = await tx.value("SELECT id FROM sales_order WHERE external_id = '1001'")
        (work,) = await fulfillment.release_order(tx, order_id)
        await fulfillment.accept(tx, work.id)
        await fulfillment.confirm_pick(tx, work.id)
        await fulfillment.pack(tx, work.id)
        await fulfillment.ship(tx, work.id, [Tracking(tracking_code="BR123")])
    await drain(shop.database, SUBSCRIPTIONS)
    await shop.tell()
    (told,) = shop.peer.shipments
    assert told["lines"] == [{"sku": "A", "quantity": 2, "line": "x"}]
    assert told["tracking"] == "BR123"
    await drain(shop.database, SUBSCRIPTIONS)
    assert len(shop.peer.shipments) == 1


async def test_two_connections_to_one_shop_tell_it_once_what_became_of_its_orders(shop: Linked):
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE establishment SET document_policy = 'not_required'")
        found = await service.connection_of(tx, CODE)
        again = ConnectionDraft(
            code="loja-2",
            name="Loja",
            connector="generic",
            channel="web",
            config={**found.config, "page": 2},
            secrets=SECRETS,
        )
        await service.add_connection(tx, again, shop.keys)
        await service.resume(tx, "loja-2")
    for id_ in ("1001", "1002"):
        lines = [{"sku": "A", "quantity": 2, "unit_price": 5, "id": "x"}]
        shop.peer.sell(
            id_, lines=lines, payments=[{"id": f"p{id_}", "method": "pix", "amount": 10, "state": "captured"}]
        )
    await shop.settle()
    assert await shop.rows(
        "SELECT external_id, count(*) FROM binding WHERE entity = 'order' GROUP BY 1 ORDER BY 1"
    ) == [
        ("1001", 2),
        ("1002", 2),
    ]
    async with shop.database.transaction() as tx:
        shipped, cancelled = await tx.values("SELECT id FROM sales_order ORDER BY external_id")
        (work,) = await fulfillment.release_order(tx, shipped)
        await fulfillment.accept(tx, work.id)
        await fulfillment.confirm_pick(tx, work.id)
        await fulfillment.pack(tx, work.id)
        await fulfillment.ship(tx, work.id, [Tracking(tracking_code="BR123")])
        await cancelling.cancel(tx, cancelled, reason="x")
        await service.pause(tx, CODE)  # the one that is in use tells it
    await drain(shop.database, SUBSCRIPTIONS)
    await shop.tell()
    assert [told["tracking"] for told in shop.peer.shipments] == ["BR123"]
    assert [told["order"] for told in shop.peer.cancellations] == ["1002"]
    async with shop.database.transaction() as tx:
        await service.resume(tx, CODE)
    await shop.tell()
    assert (len(shop.peer.shipments), len(shop.peer.cancellations)) == (1, 1)


async def test_what_one_of_two_connections_to_a_shop_heard_of_its_cancels_is_not_told_back_by_the_other(shop: Linked):
    async with shop.database.transaction() as tx:
        found = await service.connection_of(tx, CODE)
        again = ConnectionDraft(
            code="loja-2", name="Loja", connector="generic", channel="web", config=found.config, secrets=SECRETS
        )
        await service.add_connection(tx, again, shop.keys)
        await service.resume(tx, "loja-2")
    await shop.settle()
    shop.peer.sell("1001", status="cancelled")
    await shop.settle()
    await drain(shop.database, SUBSCRIPTIONS)
    await shop.tell()
    assert await shop.values("SELECT DISTINCT status FROM sales_order") == ["cancelled"]
    assert shop.peer.cancellations == []


async def test_a_box_without_units_of_its_own_is_not_told(shop: Linked):
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE establishment SET document_policy = 'not_required'")
    paid = [{"id": "p1", "method": "pix", "amount": 1000, "state": "captured"}]
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", payments=paid)))
    await shop.handle()
    async with shop.database.transaction() as tx:
        order_id = await tx.value("SELECT id FROM sales_order WHERE external_id = '1001'")
        (work,) = await fulfillment.release_order(tx, order_id)
        await fulfillment.confirm_pick(tx, work.id)
        await fulfillment.pack(tx, work.id, [Parcel(contents=[Content(1, 1)]), Parcel(contents=[])])
        await fulfillment.ship(tx, work.id)
    await drain(shop.database, SUBSCRIPTIONS)
    await shop.tell()
    assert [told["lines"] for told in shop.peer.shipments] == [[{"sku": "A", "quantity": 1, "line": "l1"}]]


async def test_what_was_cancelled_after_it_was_packed_is_not_told_as_sent(shop: Linked):
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE establishment SET document_policy = 'not_required'")
    lines = [{"sku": "A", "quantity": 3, "unit_price": 5, "id": "x"}]
    paid = [{"id": "p1", "method": "pix", "amount": 15, "state": "captured"}]
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", lines=lines, payments=paid)))
    await shop.handle()
    async with shop.database.transaction() as tx:
        order_id = await tx.value("SELECT id FROM sales_order WHERE external_id = '1001'")
        (work,) = await fulfillment.release_order(tx, order_id)
        await fulfillment.confirm_pick(tx, work.id)
        await fulfillment.pack(tx, work.id)
        await fulfillment.cancel(tx, order_id, reason="one is enough", wishes=[CancelWish(1, 2)])
        await fulfillment.ship(tx, work.id)
    await drain(shop.database, SUBSCRIPTIONS)
    await shop.tell()
    assert [told["lines"] for told in shop.peer.shipments] == [[{"sku": "A", "quantity": 1, "line": "x"}]]
    assert [told["lines"] for told in shop.peer.cancellations] == [[{"sku": "A", "quantity": 2, "line": "x"}]]


async def test_money_goes_back_once_however_often_it_is_asked_for(shop: Linked):
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001")))
    await shop.handle()
    order_id = (await shop.values("SELECT id FROM sales_order"))[0]
    shop.peer.fail("POST /refunds", "commit_then_cut")
    for reference in ("r1", "r1", "r2"):
        async with shop.database.transaction() as tx:
            await following.ask_refund(tx, CODE, order_id, "p1", 300, reference)
        await shop.tell()
    assert [r["amount"] for r in shop.peer.refunds] == [300, 300]


# --- tokens ---


async def test_twenty_who_need_a_token_renew_it_once_and_a_refused_one_is_renewed_again(database, tmp_path):
    secrets = {"refresh_token": "first-refresh"}
    async with linked(database, tmp_path, access="token", secrets=secrets) as shop:
        shop.peer.access_token = "unknown yet"
        for n in range(20):
            shop.peer.sell(f"4{n:03}")
        await queue(shop, *(parcel(n, f"4{n:03}") for n in range(20)))
        await asyncio.gather(*(operating.work(shop.runtime, settle_s=0) for _ in range(4)))
        await shop.tell()
        assert shop.peer.refreshed == 1
        assert len(shop.peer.shipments) == 20
        shop.peer.access_token = "another one by now"
        for n in range(8):
            shop.peer.sell(f"5{n:03}")
        await queue(shop, *(parcel(100 + n, f"5{n:03}") for n in range(8)))
        await shop.tell()
        assert shop.peer.refreshed == 2
        assert len(shop.peer.shipments) == 28


async def test_who_is_not_known_any_more_breaks_the_connection_and_loses_nothing(shop: Linked):
    shop.peer.access_token = "not our key"
    await queue(shop, parcel())
    await shop.tell()
    standing = await shop.health()
    assert (standing.status, standing.ops_waiting, standing.ops_dead) == ("broken", 1, 0)
    shop.peer.access_token = ""
    async with shop.database.transaction() as tx:
        await service.resume(tx, CODE)
    await shop.tell()
    assert len(shop.peer.shipments) == 1


# --- budget and breaker ---


async def test_a_channel_that_wants_rest_gets_it_and_one_that_fails_is_left_alone(shop: Linked):
    for n in range(12):
        shop.peer.sell(f"6{n:03}")
    shop.peer.fail("POST /shipments", "status 429 60")
    await queue(shop, parcel(0, "6000"))
    await operating.work(shop.runtime)
    await queue(shop, parcel(1, "6001"))
    await operating.work(shop.runtime)
    assert len(shop.peer.asked) == 1, "the second one was not even asked"
    assert await shop.values("SELECT not_before > now() + interval '30 seconds' FROM channel_op") == [True, True]
    assert (await shop.health()).limited_at is not None
    await shop.tell()
    shop.peer.fail("POST /shipments", "status 503", times=50)
    await queue(shop, *(parcel(n, f"6{n:03}") for n in range(2, 12)))
    seen = []
    for _ in range(4):
        async with shop.database.transaction() as tx:
            await tx.execute("UPDATE channel_op SET not_before = now() WHERE state = 'waiting'")
        await operating.work(shop.runtime)
        breaker = (await shop.health()).breaker
        assert breaker is not None
        assert breaker["until"] is not None
        seen.append((len(shop.peer.asked), breaker["opened"]))
    (asked, opened), *later = seen
    for n, times in later:  # where this took half a minute, one went through to see, and opened it again
        assert n == asked + times - opened, "an open breaker asks nothing more"


async def test_one_that_hangs_holds_up_no_other(shop: Linked):
    """The peer says nothing to the first; what is queued meanwhile is told all the same."""
    shop.peer.sell("1002")
    shop.peer.fail("POST /shipments", "commit_then_silence")
    await queue(shop, parcel())
    stop = asyncio.Event()
    patient = Runtime(shop.database, shop.settings, timeout_s=120.0)
    running = asyncio.create_task(operating.run(patient, stop))
    try:
        async with asyncio.timeout(60):
            while not shop.peer.shipments:
                await asyncio.sleep(0.01)
            await queue(shop, parcel(2, "1002"))
            while await shop.values(STATES) != ["waiting", "done"]:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_connection_says_how_much_its_channel_can_take(shop: Linked):
    async with shop.database.transaction() as tx:
        found = await service.connection_of(tx, CODE)
        draft = ConnectionDraft(
            code=CODE,
            name=found.name,
            connector=found.connector,
            channel=found.channel,
            config={**found.config, "rate": 300, "in_flight": 2},
        )
        await service.change_connection(tx, draft, found.version, shop.keys)
        changed = await service.connection_of(tx, CODE)
    assert shop.runtime.line(found).limits.rate == 20
    limits = shop.runtime.line(changed).limits
    assert (limits.rate, limits.burst, limits.in_flight, limits.batch) == (300, 600, 2, 200)
    for n in range(1, 6):
        shop.peer.sell(f"{n}")
    await queue(shop, *(parcel(n, f"{n}") for n in range(1, 6)))
    shop.peer.slow_s = 0.05
    await shop.tell()
    assert (len(shop.peer.shipments), shop.peer.most_under_way) == (5, 2)
