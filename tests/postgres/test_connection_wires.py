"""What leaves over a connection shares HTTP connections and transactions, and can be killed between any two of them."""

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from linked_world import CODE, SECRETS, Linked, linked
from tests.waiting import doomed, gone, waiting

from malha.channels import pushing, sending
from malha.channels import reads as channel_reads
from malha.channels import service as channels
from malha.channels.connecting import operating, queueing, reads, registry, service
from malha.channels.connecting.model import ConnectionDraft, NewOp, OpKind
from malha.channels.connecting.runtime import Runtime
from malha.channels.connectors.generic import Generic
from malha.channels.contract import PricePush, ShipmentPush, ShippedLine
from malha.channels.model import PushDraft, PushKind
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.platform.clock import now
from malha.platform.db import Database
from malha.platform.subscribers import drain

OVER_IT = PushDraft(kind=PushKind.CONNECTOR)
CALLS = "SELECT calls, failures FROM connection_pace"
LOG = "SELECT operation, status FROM api_log ORDER BY slot"


@pytest.fixture
async def shop(database, tmp_path):
    """A channel that was told of A (52) and B (30) over its connection."""
    async with linked(database, tmp_path) as made:
        async with database.transaction() as tx:
            await channels.put_push(tx, "web", OVER_IT, 0, made.keys)
        await push(made)
        assert shown(made) == {"A": 52, "B": 30}
        yield made


def shown(shop: Linked) -> dict[str, int]:
    return {code: quantity for code, (_, quantity) in shop.peer.stock.items()}


async def due(shop: Linked) -> list[int]:
    await drain(shop.database, SUBSCRIPTIONS)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE stock_push SET next_at = now()")
        return await channel_reads.due(tx)


async def push(shop: Linked, rounds: int = 3) -> None:
    senders = sending.senders(shop.runtime)
    for _ in range(rounds):
        await pushing.push(shop.database, senders, await due(shop))


async def count(shop: Linked, sku: str, units: int) -> None:
    """Have stock of a SKU at the warehouse counted anew."""
    async with shop.database.transaction() as tx:
        sku_id = await tx.value("SELECT id FROM variant WHERE sku = %s::text", [sku])
        place = await tx.value("SELECT id FROM location WHERE code = 'DC'")
        await inventory.set_on_hand(tx, [Claim(sku_id, place, units)], Reference("test"), Reason.COUNT)


class Counting(Database):
    """Counts the transactions that are opened."""

    opened = 0

    @asynccontextmanager
    async def transaction(self, *given):
        self.opened += 1
        async with super().transaction(*given) as tx:
            yield tx


@asynccontextmanager
async def counting(shop: Linked):
    async with Counting(shop.database.url, shop.database.retailer, min_size=1, max_size=4) as db:
        former, shop.runtime.db = shop.runtime.db, db
        try:
            yield db
        finally:
            shop.runtime.db = former


async def queue(shop: Linked, *ops: NewOp) -> None:
    async with shop.database.transaction() as tx:
        await queueing.add(tx, ops)


def price(id_: int, sku: str, amount: int, version: int = 1) -> NewOp:
    push = PricePush(sku=sku, code=sku, price=amount, currency="BRL", version=version)
    return NewOp(
        connection_id=id_, kind=OpKind.SET_PRICE, entity=f"price:{sku}", name=sku, payload=push, version=version
    )


# --- HTTP connections ---


async def test_stock_goes_over_one_connection_that_stays_open(shop: Linked):
    for units in range(5):
        await count(shop, "A", units)
        await push(shop, 1)
    assert shown(shop)["A"] == 4 + 2
    assert shop.peer.connections == 1
    assert await shop.rows(CALLS) == [(6, 0)]
    assert await shop.rows(LOG) == [("set_stock", 200)] * 6


@pytest.mark.parametrize("how", ["cut", "commit_then_cut"])
async def test_stock_over_a_connection_that_was_closed_meanwhile_is_said_again_at_once(shop: Linked, how: str):
    shop.peer.fail("POST /stock", how)
    await count(shop, "A", 7)
    await push(shop, 1)
    assert shown(shop)["A"] == 9
    assert shop.peer.connections == 2
    assert await shop.rows(CALLS) == [(2, 0)]
    assert await shop.values("SELECT failures FROM stock_push") == [0]


async def test_what_is_told_once_never_goes_over_a_connection_that_waited(shop: Linked):
    shop.peer.sell("1001")
    lines = [ShippedLine("A", 1, "l1")]
    parcel = ShipmentPush(order="1001", shipment="s1", lines=lines, shipped_at=now())
    told = NewOp(
        connection_id=await shop.id(), kind=OpKind.PUSH_SHIPMENT, entity="order:1001", name="s1", payload=parcel
    )
    await queue(shop, told)
    shop.peer.fail("POST /shipments", "commit_then_cut")
    assert await operating.work(shop.runtime, settle_s=0) == 1
    assert [path for method, path, _ in shop.peer.asked if path == "/shipments"] == ["/shipments"]
    assert shop.peer.connections == 2
    assert await shop.rows("SELECT state, doubtful FROM channel_op") == [("waiting", True)]
    await shop.tell()
    assert len(shop.peer.shipments) == 1
    assert await shop.values("SELECT state FROM channel_op") == ["done"]


async def test_a_token_is_renewed_over_a_connection_of_its_own(database, tmp_path):
    """The refresh token is good once: that request is not made twice, although the stock it is for may be."""
    secrets = {**SECRETS, "refresh_token": "first-refresh"}
    async with linked(database, tmp_path, access="token", secrets=secrets) as shop:
        shop.peer.access_token = "the peer's"
        async with database.transaction() as tx:
            await channels.put_push(tx, "web", OVER_IT, 0, shop.keys)
        await push(shop)
        assert shown(shop) == {"A": 52, "B": 30}
        before = shop.peer.connections
        async with database.transaction() as tx:
            await tx.execute("UPDATE connection_token SET expires_at = now() - interval '1 hour'")
        await count(shop, "A", 7)
        await push(shop, 1)
        assert shown(shop)["A"] == 9
        assert shop.peer.connections == before + 1
        assert shop.peer.refreshed == 2


# --- transactions ---


async def test_a_push_takes_one_transaction_to_begin_and_one_to_end(shop: Linked):
    await count(shop, "A", 7)
    channel = await due(shop)
    async with counting(shop) as db:
        await pushing.push(db, sending.senders(shop.runtime), channel)
        assert db.opened == 2
    assert shown(shop)["A"] == 9
    assert await shop.rows(CALLS) == [(2, 0)]


async def test_prices_of_one_call_end_in_one_transaction(shop: Linked):
    id_ = await shop.id()
    await queue(shop, *(price(id_, sku, amount) for sku, amount in (("A", 100), ("B", 200), ("C", 300))))
    shop.peer.refuses["C"] = "not sold here"
    async with counting(shop) as db:
        assert await operating.work(shop.runtime) == 3
        assert db.opened == 5  # what is due, what of it is taken, a token, whether it is still ours, what became of it
    assert shop.peer.prices == {"A": (1, 100), "B": (1, 200)}
    assert sorted(await shop.rows("SELECT entity, state FROM channel_op")) == [
        ("price:A", "done"),
        ("price:B", "done"),
        ("price:C", "dead"),
    ]
    assert await shop.values("SELECT outcome FROM op_attempt ORDER BY outcome") == ["dead: invalid", "ok", "ok"]
    assert await shop.values("SELECT internal_id FROM binding WHERE entity = 'price' ORDER BY 1") == ["A", "B"]
    assert (await shop.rows(LOG))[-1] == ("set_prices", 200)


async def test_a_price_that_somebody_else_took_meanwhile_is_not_ended_twice(shop: Linked):
    id_ = await shop.id()
    await queue(shop, price(id_, "A", 100), price(id_, "B", 200))
    shop.peer.answers = asyncio.Event()
    patient = Runtime(shop.database, shop.settings, timeout_s=120.0)
    working = asyncio.create_task(operating.work(patient))
    async with asyncio.timeout(30):
        while not shop.peer.under_way:
            await asyncio.sleep(0.01)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE channel_op SET attempts = attempts + 1 WHERE entity = 'price:A'")
    shop.peer.answers.set()
    await working
    assert sorted(await shop.rows("SELECT entity, state FROM channel_op")) == [
        ("price:A", "waiting"),
        ("price:B", "done"),
    ]
    assert await shop.values("SELECT count(*) FROM op_attempt") == [1]


LOCKS_S = 60


def patient_with_locks(database: Database) -> None:
    """Have it wait for locks as long as a slow machine may take to come to what is looked for meanwhile."""
    assert b"lock_timeout = 5000" in database._begin
    database._begin = database._begin.replace(b"lock_timeout = 5000", b"lock_timeout = %d" % (LOCKS_S * 1_000))


async def test_what_became_of_one_call_is_locked_in_the_order_of_keys(shop: Linked):
    """Whoever holds the first keeps the writer from the second, whatever became of them: nobody waits in a circle."""
    patient_with_locks(shop.database)
    id_ = await shop.id()
    await queue(shop, price(id_, "A", 100), price(id_, "B", 200))
    (first, sku), (second, _) = await shop.rows("SELECT key, right(entity, 1) FROM channel_op ORDER BY key")
    shop.peer.refuses[sku] = "not sold here"
    shop.peer.answers = asyncio.Event()
    patient = Runtime(shop.database, shop.settings, timeout_s=120.0)
    working = asyncio.create_task(operating.work(patient))
    async with asyncio.timeout(30):
        while not shop.peer.under_way:
            await asyncio.sleep(0.01)
    lock = "SELECT key FROM channel_op WHERE key = %s::uuid FOR NO KEY UPDATE SKIP LOCKED"
    async with shop.database.transaction() as tx:
        assert await tx.value(lock, [first]) == first
        shop.peer.answers.set()
        async with asyncio.timeout(LOCKS_S - 10):
            while not await waiting(shop.database):
                await asyncio.sleep(0.01)
        assert await shop.values(lock, [second]) == [second]
    await working
    assert sorted(await shop.values("SELECT state FROM channel_op")) == ["dead", "done"]


async def another(shop: Linked) -> None:
    """Have a second channel hear of stock over a connection of its own."""
    async with shop.database.transaction() as tx:
        draft = ConnectionDraft(
            code="two",
            name="Two",
            connector="generic",
            channel="mall",
            config={"base_url": shop.peer.url},
            secrets=SECRETS,
        )
        await service.add_connection(tx, draft, shop.keys)
        await service.resume(tx, "two")
        await channels.put_push(tx, "mall", OVER_IT, 0, shop.keys)
    await push(shop)


class Hasty(Generic):
    """Another version of the connector, with a defect."""

    key = "hasty"

    def limits_for(self, config):
        raise KeyError("in_flight")


async def test_a_connector_that_breaks_down_over_a_configuration_keeps_no_other_channel_waiting(shop: Linked):
    await another(shop)
    found = registry.connectors()
    found["hasty"] = Hasty()  # type: ignore[index]
    try:
        await shop.values("UPDATE connection SET connector = 'hasty' WHERE code = 'two' RETURNING 1")
        await count(shop, "A", 7)
        assert await pushing.push(shop.database, sending.senders(shop.runtime), await due(shop)) == 1
    finally:
        del found["hasty"]  # type: ignore[attr-defined]
    assert shown(shop)["A"] == 9
    told = await shop.rows("SELECT c.code, p.error FROM stock_push p JOIN channel c ON c.id = p.channel_id ORDER BY 1")
    assert told == [("mall", "the connector breaks down over its configuration: KeyError: 'in_flight'"), ("web", None)]


async def test_a_channel_whose_budget_somebody_holds_keeps_no_other_waiting(shop: Linked):
    patient_with_locks(shop.database)
    await another(shop)
    await count(shop, "A", 7)
    both = await due(shop)
    assert len(both) == 2
    calls = "SELECT p.calls FROM connection_pace p JOIN connection c ON c.id = p.connection_id WHERE c.code = 'two'"
    (before,) = await shop.values(calls)
    async with shop.database.transaction() as tx:
        held = "SELECT FROM connection_pace WHERE connection_id = %s::int FOR NO KEY UPDATE"
        await tx.execute(held, [(await shop.values("SELECT id FROM connection WHERE code = %s::text", [CODE]))[0]])
        pushed = asyncio.create_task(pushing.push(shop.database, sending.senders(shop.runtime), both))
        async with asyncio.timeout(LOCKS_S - 10):
            while await shop.values(calls) == [before]:
                await asyncio.sleep(0.01)
        assert not pushed.done()
    assert await pushed == 2


async def test_a_budget_that_is_used_up_is_waited_for_and_asks_nothing(shop: Linked):
    await count(shop, "A", 7)
    async with shop.database.transaction() as tx:
        pace = await tx.value("SELECT bucket FROM connection_pace")
        await tx.execute("UPDATE connection_pace SET bucket = %s::jsonb", [_emptied(pace)])
    await push(shop, 1)
    assert shown(shop)["A"] == 52
    assert await shop.rows(CALLS) == [(1, 0)]
    ((failures, error, waits),) = await shop.rows(
        "SELECT failures, error, next_at > now() + interval '5 seconds' FROM stock_push"
    )
    assert (failures, error, waits) == (1, "the budget is used up", True)


def _emptied(bucket: dict[str, float]) -> str:
    rate = bucket["rate"]
    return f'{{"rate": {rate}, "burst": {bucket["burst"]}, "tokens": {-rate * 60}, "at": {bucket["at"]}}}'


async def test_a_channel_that_takes_no_stock_rests_from_nothing_else_and_is_told_later_and_later(shop: Linked):
    for n in range(7):
        shop.peer.fail("POST /stock", "status 503")
        await count(shop, "A", n)
        await push(shop, 1)
    standing = await shop.health()
    assert (standing.failures, standing.breaker and standing.breaker["until"]) == (7, None), "orders are read meanwhile"
    assert await shop.rows(CALLS) == [(8, 7)]
    ((failures, waits),) = await shop.rows("SELECT failures, next_at > now() + interval '20 seconds' FROM stock_push")
    assert (failures, waits) == (7, True)


async def test_a_channel_that_gives_no_orders_is_told_of_stock_all_the_same(shop: Linked):
    rests = '{"threshold": 5, "failures": 5, "opened": 1, "until": 9999999999}'
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE connection_pace SET breaker = %s::jsonb", [rests])
    await count(shop, "A", 33)
    await push(shop, 1)
    assert shown(shop)["A"] == 35, "with two that the store has"
    standing = (await shop.health()).breaker
    assert standing is not None
    assert standing["until"] == 9999999999, "that stock is taken says nothing of the orders"


# --- killed ---


async def test_a_process_killed_while_stock_is_told_leaves_nothing_untold(shop: Linked):
    """SIGKILL, while the channel takes it in: whoever comes after says the same again."""
    told = asyncio.Event()
    shop.peer.heard = told
    shop.peer.slow_s = 0.3
    for turn in range(3):
        await count(shop, "A", 10 + turn)
        await drain(shop.database, SUBSCRIPTIONS)
        told.clear()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("connection_worker.py")),
            shop.database.url,
            str(shop.settings.data_dir),
            shop.peer.allowed,
            "stock",
            env=doomed(),
        )
        async with asyncio.timeout(60):
            await told.wait()
        process.kill()
        await process.wait()
        await gone(shop.database)
        assert await shop.values("SELECT sent_quantity FROM listing WHERE code = 'A'") == [52], "not kept as told"
        async with shop.database.transaction() as tx:
            await tx.execute("UPDATE stock_push SET taken_until = now() - interval '1 second'")
    shop.peer.slow_s = 0.0
    await push(shop)
    assert shown(shop)["A"] == 12 + 2
    assert await shop.values("SELECT sent_quantity FROM listing WHERE code = 'A'") == [14]
    async with shop.database.transaction() as tx:
        linked_ = await reads.linked(tx, CODE)
    assert linked_ is not None
    assert linked_.status == "active"
