"""What channels tell comes in once and in order, whoever sends it how often, and nothing of it is lost."""

import asyncio
import json
import random
from datetime import UTC, datetime

import msgspec
import pytest
from linked_world import CODE, Linked, linked
from tests.waiting import waiting

from malha.channels.connecting import inbox, mapping, service, stuck_reads
from malha.channels.connecting.errors import NotProved, NoWebhooks, WebhookUnreadable
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.contract import InboxEvent, RawRequest, RequestAnswer, StockTold, Trust
from malha.channels.partners import filing
from malha.intake.model import NewLine, NewOrder
from malha.platform.db import SYSTEM
from peer_shop import STALE, Sent, sign

ORDERS = "SELECT external_id FROM sales_order ORDER BY external_id"
STATES = "SELECT state FROM channel_inbox ORDER BY id"


@pytest.fixture
async def shop(database, tmp_path):
    async with linked(database, tmp_path) as made:
        yield made


async def test_a_webhook_becomes_an_order_that_holds_stock(shop: Linked):
    order = shop.peer.sell("1001", payments=[{"id": "p1", "method": "pix", "amount": 1000, "state": "captured"}])
    assert await shop.receive(shop.peer.webhook(order)) == 1
    await shop.handle()
    assert await shop.rows(
        "SELECT o.external_id, o.total, u.state, u.quantity FROM sales_order o JOIN order_unit u ON u.order_id = o.id"
    ) == [("1001", 1000, "allocated", 1)]
    assert await shop.values("SELECT reference FROM tender") == ["p1"]
    assert await shop.values(STATES) == ["done"]


async def test_the_same_webhook_five_times_is_one_order(shop: Linked):
    sent = shop.peer.webhook(shop.peer.sell("1001"))
    assert [await shop.receive(sent) for _ in range(5)] == [1, 0, 0, 0, 0]
    await shop.handle()
    assert await shop.values(ORDERS) == ["1001"]


async def test_the_same_order_by_webhook_and_by_reading_is_one_order(shop: Linked):
    order = shop.peer.sell("1001")
    await shop.receive(shop.peer.webhook(order))
    await shop.settle()
    assert await shop.values(ORDERS) == ["1001"]
    assert sorted(await shop.values(STATES)) == ["done", "stale"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: Sent({**s.headers, "webhook-signature": ""}, s.body),
        lambda s: Sent({}, s.body),
        lambda s: Sent(s.headers, s.body.replace(b"1001", b"1002", 1)),
        lambda s: Sent({**s.headers, "webhook-id": "msg_other"}, s.body),
        lambda s: Sent({**s.headers, "webhook-timestamp": "1"}, s.body),
        lambda s: Sent({**s.headers, "webhook-signature": "v1,AAAA"}, s.body),
    ],
    ids=["empty", "unsigned", "another body", "another id", "another time", "no digest"],
)
async def test_what_does_not_prove_itself_is_refused_counted_and_not_kept(shop: Linked, spoil):
    sent = shop.peer.webhook(shop.peer.sell("1001"))
    with pytest.raises(NotProved):
        await shop.receive(spoil(sent))
    assert await shop.values(STATES) == []
    assert (await shop.health()).refused == 1


async def test_a_stale_message_and_another_secret_are_refused(shop: Linked):
    order = shop.peer.sell("1001")
    for sent in (
        shop.peer.webhook(order, at=datetime.now(UTC) - STALE),
        shop.peer.webhook(order, at=datetime.now(UTC) + STALE),
        shop.peer.webhook(order, secret="something else"),
        shop.peer.webhook(order, secret=""),
    ):
        with pytest.raises(NotProved):
            await shop.receive(sent)


async def test_while_a_secret_is_replaced_both_are_believed(shop: Linked):
    async with shop.database.transaction() as tx:
        found = await service.connection_of(tx, CODE)
        draft = ConnectionDraft(
            code=CODE,
            name="Loja",
            connector="generic",
            channel="web",
            config=found.config,
            secrets={"webhook_secret": "the new secret"},
        )
        await service.change_connection(tx, draft, found.version, shop.keys)
    order = shop.peer.sell("1001")
    assert await shop.receive(shop.peer.webhook(order)) == 1
    assert await shop.receive(shop.peer.webhook(order, secret="the new secret")) == 1
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE connection SET former_until = now() - interval '1 second'")
    with pytest.raises(NotProved):
        await shop.receive(shop.peer.webhook(order))
    assert await shop.receive(shop.peer.webhook(order, secret="the new secret")) == 1


async def test_a_ping_and_what_is_of_a_later_version_are_answered_and_not_kept(shop: Linked):
    assert await shop.receive(sign({"type": "ping"})) == 0
    assert await shop.receive(sign({"type": "customer.moved", "customer": 7})) == 0
    assert await shop.values(STATES) == []


async def test_what_is_signed_and_says_nothing_readable_is_refused_with_why(shop: Linked):
    for body in (b"{", b'{"type": "order.changed"}', b'{"type": 7}', b'{"type": "order.changed", "order": {}}'):
        with pytest.raises(WebhookUnreadable):
            await shop.receive(sign(body))


async def test_nobody_receives_for_a_connection_that_is_not_there(shop: Linked):
    with pytest.raises(NoWebhooks):
        await shop.receiver.receive("other", RawRequest("POST", "/in/other", {}, b""))


async def test_an_older_version_after_a_newer_changes_nothing(shop: Linked):
    old = shop.peer.webhook(shop.peer.sell("1001"))
    new = shop.peer.webhook(shop.peer.sell("1001", status="cancelled"))
    await shop.receive(new)
    await shop.handle()
    assert await shop.values(ORDERS) == [], "what was cancelled before it came is not made"
    await shop.receive(shop.peer.webhook(shop.peer.sell("1002")))
    await shop.handle()
    late = dict(shop.peer.orders["1002"], version=0, status="cancelled")
    await shop.receive(shop.peer.webhook(late))
    await shop.receive(old)
    await shop.handle()
    assert await shop.values("SELECT status FROM sales_order WHERE external_id = '1002'") != ["cancelled"]


async def test_a_hint_is_read_again_at_the_channel(shop: Linked):
    shop.peer.sell("1001", lines=[{"sku": "B", "quantity": 2, "unit_price": 700}])
    await shop.receive(shop.peer.webhook("1001"))
    await shop.handle()
    assert await shop.values("SELECT total FROM sales_order") == [1400]
    assert ("GET", "/orders/1001", None) in shop.peer.asked


async def test_an_order_that_cannot_be_read_waits_for_a_person_and_holds_up_nobody(shop: Linked):
    shop.peer.sell("1001", lines=[{"sku": "A", "quantity": 0, "unit_price": 1}])
    for n in range(2, 9):
        shop.peer.sell(f"100{n}")
    await shop.settle()
    assert await shop.values(ORDERS) == [f"100{n}" for n in range(2, 9)]
    async with shop.database.transaction() as tx:
        (stuck,) = await stuck_reads.came(tx, await shop.id())
    assert (stuck.cause, stuck.entity) == ("invalid", "order:1001")
    assert "quantity" in (stuck.error or "")
    shop.peer.sell("1001", lines=[{"sku": "A", "quantity": 1, "unit_price": 1}])
    async with shop.database.transaction() as tx:
        await service.replay(tx, CODE, came=[stuck.id])
    await shop.settle()
    assert "1001" in await shop.values(ORDERS)


async def test_an_unknown_status_is_never_guessed(shop: Linked):
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", status="half-shipped")))
    payment = {"id": "p", "method": "pix", "amount": 5, "state": "levitating"}
    await shop.receive(shop.peer.webhook(shop.peer.sell("1002", payments=[payment])))
    await shop.handle()
    assert await shop.rows("SELECT state, cause FROM channel_inbox") == [("parked", "unknown_status")] * 2
    assert await shop.values(ORDERS) == []


async def test_an_unknown_variant_keeps_the_order_waiting_and_known_ones_are_found_by_every_name(shop: Linked):
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE variant SET gtin = '07891234567895' WHERE sku = 'B'")
        sku = await tx.value("SELECT id FROM variant WHERE sku = 'A'")
        await tx.execute(
            "INSERT INTO listing (channel_id, sku_id, code) SELECT id, %s::int, 'their-a' FROM channel", (sku,)
        )
    lines = [
        {"item": "their-a", "quantity": 1, "unit_price": 1},
        {"sku": "A", "quantity": 1, "unit_price": 1},
        {"gtin": "07891234567895", "quantity": 1, "unit_price": 1},
        {"sku": "never heard of", "quantity": 1, "unit_price": 1},
    ]
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", lines=lines)))
    await shop.handle()
    assert await shop.values(ORDERS) == []
    assert await shop.values("SELECT wants FROM channel_inbox") == [["listing:never heard of"]]
    async with shop.database.transaction() as tx:
        assert await mapping.put(tx, CODE, [("never heard of", "B")]) == 1
    await shop.handle()
    found = await shop.values(
        "SELECT coalesce(v.sku, l.sku_text || '?') FROM order_line l LEFT JOIN variant v ON v.id = l.sku_id ORDER BY line"
    )
    assert found == ["A", "A", "B", "B"]
    assert "unknown_sku" not in await shop.values("SELECT kind FROM order_hold")


async def test_words_nobody_mapped_keep_the_order_waiting_until_somebody_does(shop: Linked):
    payment = {"id": "p1", "method": "cc_visa", "amount": 1000, "state": "captured"}
    order = shop.peer.sell("1001", payments=[payment], shipping_method="expresso")
    await shop.receive(shop.peer.webhook(order))
    await shop.receive(shop.peer.webhook(shop.peer.sell("1002", payments=[payment])))
    await shop.handle()
    assert await shop.values(ORDERS) == []
    assert (await shop.health()).inbox_unmapped == 2
    service_code = (await shop.values("SELECT code FROM service WHERE method = 'ship'"))[0]
    async with shop.database.transaction() as tx:
        assert await service.put_method(tx, CODE, "payment", "cc_visa", "credit_card") == 1
    await shop.handle()
    assert await shop.values(ORDERS) == ["1002"]
    async with shop.database.transaction() as tx:
        assert await service.put_method(tx, CODE, "shipping", "expresso", service_code) == 1
    await shop.handle()
    assert await shop.values(ORDERS) == ["1001", "1002"]
    assert await shop.values("SELECT DISTINCT kind FROM tender") == ["credit_card"]


async def test_an_order_asks_for_all_that_nobody_mapped_at_once(shop: Linked):
    payment = {"id": "p1", "method": "cc_visa", "amount": 1000, "state": "captured"}
    lines = [{"sku": "never heard of", "quantity": 1, "unit_price": 1_000}]
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", lines=lines, payments=[payment])))
    await shop.handle()
    assert await shop.values("SELECT wants FROM channel_inbox") == [["payment:cc_visa", "listing:never heard of"]]
    async with shop.database.transaction() as tx:
        assert await service.put_method(tx, CODE, "payment", "cc_visa", "credit_card") == 0, "it wants more"
        assert await mapping.put(tx, CODE, [("never heard of", "B")]) == 1
    await shop.handle()
    assert await shop.values(ORDERS) == ["1001"]


async def test_a_payment_that_arrives_later_is_recorded_once(shop: Linked):
    payment = {"id": "p1", "method": "pix", "amount": 1000, "state": "pending"}
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", payments=[payment])))
    await shop.handle()
    paid = shop.peer.sell("1001", payments=[{**payment, "state": "captured"}])
    for _ in range(2):
        await shop.receive(shop.peer.webhook(paid))
        await shop.handle()
    assert await shop.rows("SELECT kind, amount FROM payment_entry") == [("captured", 1000)]


async def test_a_cancel_at_the_channel_frees_the_stock_and_another_change_waits_for_a_person(shop: Linked):
    for id_ in ("1001", "1002"):
        await shop.receive(shop.peer.webhook(shop.peer.sell(id_)))
    await shop.handle()
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", status="cancelled")))
    more = [{"sku": "A", "quantity": 9, "unit_price": 1000}]
    await shop.receive(shop.peer.webhook(shop.peer.sell("1002", lines=more)))
    await shop.handle()
    assert await shop.values("SELECT status FROM sales_order WHERE external_id = '1001'") == ["cancelled"]
    assert await shop.values("SELECT cause FROM channel_inbox WHERE state = 'parked'") == ["changed"]
    assert await shop.values("SELECT sum(quantity)::int FROM order_unit WHERE state = 'allocated'") == [1]


async def test_what_waits_for_a_person_is_not_hidden_by_an_old_message(shop: Linked):
    old = shop.peer.webhook(shop.peer.sell("1001"))
    await shop.receive(old)
    await shop.handle()
    more = [{"sku": "A", "quantity": 9, "unit_price": 1000}]
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", lines=more)))
    await shop.handle()
    await shop.receive(shop.peer.webhook(dict(shop.peer.orders["1001"], version=1)))
    await shop.handle()
    assert sorted(await shop.values(STATES)) == ["done", "parked", "stale"]


async def test_an_order_that_came_another_way_with_other_content_is_not_taken_for_the_same(shop: Linked):
    for id_, quantity in (("1001", 1), ("1002", 7)):
        line = NewLine(sku="A", quantity=quantity, unit_price=1000, external_id="l1")
        await shop.gate.submit(NewOrder(channel="web", external_id=id_, lines=[line]))
        await shop.receive(shop.peer.webhook(shop.peer.sell(id_)))
    await shop.handle()
    assert await shop.rows("SELECT state, cause FROM channel_inbox ORDER BY id") == [
        ("done", None),
        ("parked", "changed"),
    ]
    assert await shop.values("SELECT external_id FROM binding") == ["1001"]


async def test_things_of_one_order_are_handled_in_their_order_by_however_many_workers(shop: Linked):
    ids = [f"{n}" for n in range(1000, 1020)]
    for id_ in ids:
        payment = {"id": f"p{id_}", "method": "pix", "amount": 1000, "state": "pending"}
        await shop.receive(shop.peer.webhook(shop.peer.sell(id_, payments=[payment])))
    for id_ in ids:
        payment = {"id": f"p{id_}", "method": "pix", "amount": 1000, "state": "captured"}
        await shop.receive(shop.peer.webhook(shop.peer.sell(id_, payments=[payment])))
    await asyncio.gather(*(shop.handle() for _ in range(4)))
    await shop.handle()
    assert await shop.values(STATES) == ["done"] * 40
    assert await shop.values("SELECT count(*) FROM sales_order") == [20]
    assert await shop.values("SELECT count(*) FROM payment_entry WHERE kind = 'captured'") == [20]


@pytest.mark.parametrize("orders", [["1001"], ["1001", "1002", "1003"]])
async def test_a_worker_that_dies_in_the_middle_loses_nothing_and_doubles_nothing(shop: Linked, orders: list[str]):
    """It dies after the gate took what came, one or many together, and before that was written down."""
    for id_ in orders:
        await shop.receive(shop.peer.webhook(shop.peer.sell(id_)))
    real = shop.gate.enqueue

    async def die(taken):
        await taken
        raise asyncio.CancelledError

    def enqueue_and_die(*args, **kwargs):
        return asyncio.ensure_future(die(real(*args, **kwargs)))

    shop.gate.enqueue = enqueue_and_die  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await inbox.work(shop.runtime, shop.gate)
    shop.gate.enqueue = real  # type: ignore[method-assign]
    assert await shop.values(ORDERS) == orders
    assert await inbox.work(shop.runtime, shop.gate) == 0, "it is still in the hands of the dead one"
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE channel_inbox SET taken_until = now() - interval '1 second'")
    await shop.handle()
    assert await shop.values(STATES) == ["done"] * len(orders)
    assert await shop.values(ORDERS) == orders
    assert await shop.values("SELECT external_id FROM binding WHERE entity = 'order' ORDER BY 1") == orders


async def test_messages_of_one_moment_are_kept_together_and_each_is_answered_for_itself(shop: Linked):
    good = [shop.peer.webhook(shop.peer.sell(f"{n}")) for n in range(1000, 1040)]
    ping, forged = sign({"type": "ping"}), shop.peer.webhook(shop.peer.sell("1040"), secret="another")
    too_long = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9_000))
    unreadable, poison = sign({"type": 7}), shop.peer.webhook(shop.peer.sell("1041"), id_=too_long)
    sent = [*good[:20], forged, ping, unreadable, poison, good[0], *good[20:]]
    answers = await asyncio.gather(*(shop.receive(each) for each in sent), return_exceptions=True)
    assert answers[:20] + answers[25:] == [1] * 40
    names = ["NotProved", "int", "WebhookUnreadable", "ProgramLimitExceeded"]
    assert [type(a).__name__ for a in answers[20:24]] == names
    assert answers[24] == 0, "the same message again"
    assert await shop.values("SELECT replace(entity, 'order:', '') FROM channel_inbox ORDER BY id") == [
        str(n) for n in range(1000, 1040)
    ]
    assert (await shop.health()).refused >= 1


async def test_plain_orders_are_taken_together_and_an_odd_one_among_them_is_looked_at_alone(shop: Linked):
    await shop.receive(shop.peer.webhook(shop.peer.sell("1000")))
    await shop.handle()
    cash = {"method": "pix", "amount": 1000, "state": "captured"}
    plain = [shop.peer.sell(f"{n}", payments=[{**cash, "id": f"p{n}"}]) for n in range(1001, 1020)]
    odd = [
        shop.peer.sell("2001", status="levitating"),
        shop.peer.sell("2002", payments=[{**cash, "id": "p", "method": "cc_visa"}]),
        shop.peer.sell("2003", currency="USD"),
        shop.peer.sell("2004", status="cancelled"),
        shop.peer.sell("1000", payments=[{**cash, "id": "p1000"}]),
        dict(shop.peer.orders["1000"], version=0),
    ]
    for order in [*plain[:9], *odd, *plain[9:]]:
        await shop.receive(shop.peer.webhook(order))
    submitted: list[str] = []
    real = shop.gate.enqueue

    def counted(order, **kwargs):
        submitted.append(order.external_id)
        return real(order, **kwargs)

    shop.gate.enqueue = counted  # type: ignore[method-assign]
    await shop.handle()
    assert sorted(submitted) == [f"{n}" for n in range(1001, 1020)]
    assert await shop.values(ORDERS) == [f"{n}" for n in range(1000, 1020)]
    found = await shop.rows("SELECT entity, state, cause FROM channel_inbox WHERE state <> 'done' ORDER BY entity, id")
    assert found == [
        ("order:1000", "stale", None),
        ("order:2001", "parked", "unknown_status"),
        ("order:2002", "unmapped", "unmapped"),
        ("order:2003", "parked", "refused"),
    ]
    assert await shop.values("SELECT count(*) FROM payment_entry WHERE kind = 'captured'") == [20]
    assert await shop.values("SELECT count(*) FROM binding WHERE content_hash IS NOT NULL") == [20]


async def test_paused_is_kept_and_handled_when_it_is_resumed(shop: Linked):
    async with shop.database.transaction() as tx:
        await service.pause(tx, CODE)
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001")))
    await shop.settle()
    assert await shop.values(ORDERS) == []
    assert shop.peer.asked == []
    async with shop.database.transaction() as tx:
        await service.resume(tx, CODE)
    await shop.settle()
    assert await shop.values(ORDERS) == ["1001"]


async def test_what_fails_is_tried_again_and_then_waits_for_a_person(shop: Linked):
    shop.peer.sell("1001")
    shop.peer.fail("GET /orders/1001", "status 500", times=inbox.ATTEMPTS)
    await shop.receive(shop.peer.webhook("1001"))
    for _ in range(inbox.ATTEMPTS):
        await shop.due()
        await inbox.work(shop.runtime, shop.gate)
    assert await shop.rows("SELECT state, cause FROM channel_inbox") == [("parked", "exhausted")]
    async with shop.database.transaction() as tx:
        (stuck,) = await stuck_reads.came(tx, await shop.id())
        await service.replay(tx, CODE, came=[stuck.id])
    await shop.due()
    await shop.handle()
    assert await shop.values(ORDERS) == ["1001"]


async def test_no_secret_shows_in_what_is_written_down_or_printed(shop: Linked):
    shop.peer.fail("GET /ping", "status 400")
    await service.test(shop.runtime, SYSTEM, CODE)
    async with shop.database.transaction() as tx:
        found = await service.connection_of(tx, CODE)
    line = shop.runtime.line(found)
    shown = (
        repr(found) + repr(line) + repr(line.ctx) + json.dumps(msgspec.to_builtins(await shop.health()), default=str)
    )
    kept = await shop.values("SELECT row_to_json(a)::text FROM api_log a")
    kept += await shop.values("SELECT row_to_json(a)::text FROM audit a")
    kept += await shop.values("SELECT row_to_json(c)::text FROM connection c")
    assert len(kept) > 3
    for secret in ("key-of-the-shop-4711", "webhook-secret-of-the-shop"):
        assert not [text for text in [shown, *kept] if secret in text or secret.encode().hex() in text]


async def both_wait(db) -> None:
    """Wait until two transactions wait for others."""
    while await waiting(db) < 2:
        await asyncio.sleep(0.02)


async def meet(db, middle, keep) -> list[int]:
    """Have two processes keep the same three things in opposite orders, and meet in the middle; return what was new.

    Somebody else holds the one in the middle until both have done what they can before it, and then gives it up.
    """

    async def one(order: int) -> int:
        async with db.transaction() as tx:
            return await keep(tx, order)

    async with asyncio.timeout(30), db.transaction() as tx:
        await tx.execute("SAVEPOINT before")
        await middle(tx)
        tasks = [asyncio.create_task(one(order)) for order in (1, -1)]
        await both_wait(db)
        await tx.execute("ROLLBACK TO before")
    return await asyncio.gather(*tasks)


async def test_two_processes_that_are_told_the_same_in_opposite_orders_do_not_wait_for_one_another(shop: Linked):
    id_ = await shop.id()

    def hint(name: str) -> tuple[int, InboxEvent]:
        return id_, InboxEvent(dedup=name, entity=f"order:{name}", trust=Trust.HINT, order_id=name)

    async def keep(tx, order: int) -> int:
        return len(await inbox.keep_all(tx, "webhook", [hint(name) for name in ("a", "m", "z")[::order]]))

    async def middle(tx) -> None:
        await inbox.keep_all(tx, "webhook", [hint("m")])

    assert sorted(await meet(shop.database, middle, keep)) == [0, 3]
    assert sorted(await shop.values("SELECT dedup FROM channel_inbox")) == ["a", "m", "z"]


@pytest.mark.parametrize("what", ["answers", "stock"])
async def test_so_do_answers_of_partners_and_the_stock_they_state(shop: Linked, what: str):
    id_ = await shop.id()

    def told(name: str) -> tuple[int, list[InboxEvent]]:
        answer = RequestAnswer(request=name, accepted=True)
        stock = StockTold(as_of=datetime(2026, 11, 1, tzinfo=UTC), locations=[name], lines=[])
        said = answer if what == "answers" else stock
        return id_, [InboxEvent(dedup=f"said:{name}", entity=name, trust=Trust.DATA, answer=said)]

    async def keep(tx, order: int) -> int:
        return sum(await filing.keep_events(tx, [told(name) for name in ("a", "m", "z")[::order]]))

    async def middle(tx) -> None:
        await filing.keep_events(tx, [told("m")])

    assert sorted(await meet(shop.database, middle, keep)) == [0, 3]


async def test_what_is_kept_together_is_numbered_in_the_order_in_which_it_came(shop: Linked):
    id_ = await shop.id()
    names = ["z", "b", "z", "a", "m"]
    told = [(id_, InboxEvent(dedup=n, entity="order:1", trust=Trust.HINT, order_id=n)) for n in names]
    async with shop.database.transaction() as tx:
        assert await inbox.keep_all(tx, "webhook", told) == {(id_, name) for name in names}
    assert await shop.values("SELECT dedup FROM channel_inbox ORDER BY id") == ["z", "b", "a", "m"]
