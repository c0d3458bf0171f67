"""What channels do to us on their worst day: messages that overtake one another, names that are missing, spent keys."""

import asyncio
import random
from datetime import UTC, datetime

import pytest
from linked_world import CODE, Linked, linked

from malha.channels.connecting import inbox, operating, queueing, service
from malha.channels.connecting.model import ConnectionDraft, NewOp, OpKind
from malha.channels.contract import InboxEvent, RequestAnswer, ShipmentPush, ShippedLine, Trust
from malha.channels.partners import filing

ORDERS = "SELECT external_id FROM sales_order ORDER BY external_id"
STATES = "SELECT state FROM channel_inbox ORDER BY id"


@pytest.fixture
async def shop(database, tmp_path):
    async with linked(database, tmp_path) as made:
        yield made


@pytest.mark.parametrize("together", [False, True])
async def test_an_order_whose_cancel_overtook_it_is_never_made(shop: Linked, together: bool):
    old = shop.peer.webhook(shop.peer.sell("1001"))
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", status="cancelled")))
    await shop.handle()
    if together:  # with others, it is taken by another way
        await shop.receive(shop.peer.webhook(shop.peer.sell("1002")))
    await shop.receive(old)
    await shop.handle()
    assert await shop.values(ORDERS) == ["1002"] * together
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", status="open")))
    await shop.handle()
    assert await shop.values(ORDERS) == ["1001", "1002"][: 1 + together], "open again at the channel, it is an order"


@pytest.mark.parametrize("name", ["", "p" * 300])
async def test_payments_without_a_name_or_with_a_long_one_are_not_doubled_when_the_order_is_told_again(
    shop: Linked, name: str
):
    payments = [
        {"id": name, "method": "pix", "amount": 400, "state": "pending"},
        {"id": name, "method": "voucher", "amount": 600, "state": "captured"},
    ]
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", payments=payments)))
    await shop.handle()
    payments[0]["state"] = "captured"
    for _ in range(2):
        await shop.receive(shop.peer.webhook(shop.peer.sell("1001", payments=payments)))
        await shop.handle()
    assert set(await shop.values(STATES)) == {"done"}
    assert await shop.rows("SELECT kind, amount FROM tender ORDER BY amount") == [("pix", 400), ("voucher", 600)]
    assert await shop.rows("SELECT kind, amount FROM payment_entry ORDER BY amount") == [
        ("captured", 400),
        ("captured", 600),
    ]


NULS = {
    "ok\x00": {},
    "name": {"buyer": {"name": "Mar\x00ia"}, "note": "\x00", "attributes": {"\x00": "\x00"}},
    "goods": {"lines": [{"sku": "A\x00", "item": "\x00", "gtin": "\x00", "quantity": 1, "unit_price": 1000}]},
    "word": {"payments": [{"id": "p\x00", "method": "pi\x00x", "amount": 1000}]},
    "way": {"shipping_method": "sedex\x00"},
}


@pytest.mark.parametrize("way", ["pull", "webhook", "hint"])
async def test_characters_that_no_text_can_hold_keep_no_order_from_being_taken(shop: Linked, way: str):
    orders = [shop.peer.sell(id_, **what) for id_, what in NULS.items()]
    orders.append(shop.peer.sell("after"))
    if way == "pull":
        await shop.settle()
    for order in orders if way != "pull" else ():
        await shop.receive(shop.peer.webhook(order if way == "webhook" else order["id"]))
    async with asyncio.timeout(120):
        await shop.handle()
    states = dict(await shop.rows("SELECT entity, state FROM channel_inbox"))
    assert states.pop("order:after") == states.pop("order:name") == "done"
    assert {states.pop(f"order:{what}") for what in ("goods", "word", "way")} == {"unmapped"}
    # Of this name there is none at the channel that could be asked for.
    assert states == {"order:ok\ufffd": "parked" if way == "hint" else "done"}
    assert await shop.values("SELECT theirs FROM method_mapping WHERE kind = 'payment'") == ["pi\ufffdx"]


async def test_a_word_that_is_too_long_to_be_noted_waits_for_a_person_and_stops_nobody(shop: Linked):
    long = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9_000))
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", payments=[{"id": "p", "method": long, "amount": 1}])))
    await shop.receive(shop.peer.webhook(shop.peer.sell("1002")))
    for _ in range(inbox.ATTEMPTS):
        await shop.due()
        await shop.handle()
    assert await shop.rows("SELECT entity, state, cause FROM channel_inbox ORDER BY id") == [
        ("order:1001", "parked", "defect"),
        ("order:1002", "done", None),
    ]


async def test_what_is_refused_says_amounts_and_places_as_people_read_them(shop: Linked):
    payments = [{"id": "p1", "method": "pix", "amount": 1000, "state": "captured"}]
    refunds = [{"id": "r1", "amount": 99_999, "payment": "p1"}]
    await shop.receive(shop.peer.webhook(shop.peer.sell("1001", payments=payments, refunds=refunds)))
    await shop.receive(shop.peer.webhook(shop.peer.sell("1002", discount=5000)))
    await shop.handle()
    refund, discount = await shop.values("SELECT error FROM channel_inbox ORDER BY id")
    assert "At most BRL 10.00" in refund
    assert "BRL 999.99" in refund
    assert "{" not in discount


async def queue_parcel(shop: Linked, n: int, order: str) -> None:
    at = datetime(2026, 11, 26, tzinfo=UTC)
    push = ShipmentPush(order=order, shipment=f"s{n}", lines=[ShippedLine("A", 1, "l1")], shipped_at=at)
    op = NewOp(
        connection_id=await shop.id(),
        kind=OpKind.PUSH_SHIPMENT,
        entity=f"order:{order}",
        name=push.shipment,
        payload=push,
    )
    async with shop.database.transaction() as tx:
        await queueing.add(tx, [op])


async def test_a_token_that_is_not_renewed_breaks_the_connection_and_buries_nothing(database, tmp_path):
    secrets = {"refresh_token": "first-refresh"}
    async with linked(database, tmp_path, access="token", secrets=secrets) as shop:
        shop.peer.access_token = "unknown yet"
        for n in range(3):
            shop.peer.sell(f"4{n:03}")
            await queue_parcel(shop, n, f"4{n:03}")
        await shop.receive(shop.peer.webhook("4000"))
        shop.peer.fail("POST /token", "status 400", times=9)  # as OAuth says that a grant is spent
        await operating.work(shop.runtime, settle_s=0)
        await shop.handle()
        standing = await shop.health()
        assert (standing.status, standing.ops_waiting, standing.ops_dead) == ("broken", 3, 0)
        assert await shop.values(STATES) == ["waiting"]
        shop.peer.faults.clear()
        async with shop.database.transaction() as tx:
            await service.resume(tx, CODE)
        await shop.settle()
        assert len(shop.peer.shipments) == 3
        assert set(await shop.values(STATES)) <= {"done", "stale"}


async def test_a_no_to_the_former_secret_does_not_break_a_connection_that_has_another_one_by_now(shop: Linked):
    shop.peer.sell("1001")
    await queue_parcel(shop, 1, "1001")
    shop.peer.access_token = "another key"
    shop.peer.heard, shop.peer.answers = asyncio.Event(), asyncio.Event()
    telling = asyncio.create_task(operating.work(shop.runtime, settle_s=0))
    await shop.peer.heard.wait()
    async with shop.database.transaction() as tx:
        found = await service.connection_of(tx, CODE)
        draft = ConnectionDraft(
            code=CODE,
            name=found.name,
            connector=found.connector,
            channel=found.channel,
            config=found.config,
            secrets={"api_key": "another key"},
        )
        await service.change_connection(tx, draft, found.version, shop.keys)
    shop.peer.answers.set()
    await telling
    standing = await shop.health()
    assert (standing.status, standing.ops_waiting, standing.ops_dead) == ("active", 1, 0)
    await shop.tell()
    assert len(shop.peer.shipments) == 1


async def test_what_the_channel_still_works_on_is_not_sent_again(shop: Linked):
    shop.peer.sell("1001")
    shop.peer.pending.add("/shipments")
    shop.peer.works = True
    await queue_parcel(shop, 1, "1001")
    await shop.tell(4)
    assert len(shop.peer.shipments) == 1
    assert await shop.values("SELECT state FROM channel_op") == ["waiting"]
    shop.peer.works = False
    await shop.tell()
    assert len(shop.peer.shipments) == 1
    assert await shop.rows("SELECT state, reference FROM channel_op") == [("done", "shipments-1")]


async def test_what_arrived_at_a_channel_that_gives_it_no_name_is_not_sent_again(shop: Linked):
    shop.peer.sell("1001")
    shop.peer.fail("POST /shipments", "commit_then_cut")
    await queue_parcel(shop, 1, "1001")
    await operating.work(shop.runtime, settle_s=0)
    shop.peer.operations = dict.fromkeys(shop.peer.operations, "")
    await shop.tell()
    assert len(shop.peer.shipments) == 1
    assert await shop.values("SELECT state FROM channel_op") == ["done"]


async def test_what_a_partner_answers_with_characters_that_no_text_can_hold_is_kept(shop: Linked):
    answer = RequestAnswer(request="F\x001", accepted=True, note="\x00")
    event = InboxEvent(dedup="m1:0", entity="", trust=Trust.DATA, answer=answer)
    async with shop.database.transaction() as tx:
        assert await filing.keep_events(tx, [(await shop.id(), [event, event])]) == [1]
    assert await shop.values("SELECT entity FROM channel_inbox") == ["partner:F\ufffd1"]
