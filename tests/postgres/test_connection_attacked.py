"""What channels do to us on their worst day: messages that overtake one another, names that are missing, spent keys."""

import asyncio
from datetime import UTC, datetime

import pytest
from linked_world import CODE, Linked, linked

from malha.channels.connecting import operating, queueing, service
from malha.channels.connecting.model import ConnectionDraft, NewOp, OpKind
from malha.channels.contract import ShipmentPush, ShippedLine

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
