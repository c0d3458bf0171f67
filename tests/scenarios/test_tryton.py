"""The whole way with a real Tryton: goods and stock from the ERP, orders here, sales, credits and parcels there.

Both sides are the real thing: Tryton answers over HTTP from a database of its own, Malha places, allocates and ships.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.channel_seller import RetailerOn, Seller
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.tryton_erp import TrytonErp, need_tryton, tryton_erp, tryton_template

from malha.channels import service as channels
from malha.channels.connecting import (
    operating,
    products,
    reconciling,
    service,
    stock_service,
    stuck_reads,
    turns,
)
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.connecting.stock_service import RoleDraft
from malha.channels.contract import StockSource
from malha.channels.model import ListingDraft
from malha.doctor import examine
from malha.flows import stock_from_channels
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.intake.gate import Gate
from malha.intake.model import Buyer, NewLine, NewOrder, NewPayment
from malha.inventory.sync import applying, sources
from malha.inventory.sync.model import SourceDraft
from malha.ordering import cancelling
from malha.ordering.model import CancelWish
from malha.payments import service as payments
from malha.payments.model import Fact, FactKind
from malha.platform.address import Address
from malha.platform.settings import Settings
from malha.platform.subscribers import drain
from malha.testing.builders import a_network, a_product
from malha.testing.connectors import Fault

CODE = "erp"
DUE = (
    "UPDATE channel_op SET not_before = now(), taken_until = NULL WHERE state = 'waiting'",
    "UPDATE connection_pace SET bucket = NULL, breaker = NULL",
)


@pytest.fixture(scope="module")
def template(template_url: str) -> Iterator[str]:
    need_tryton()
    with tryton_template(template_url) as name:
        yield name


@pytest.fixture
async def erp(template: str, template_url: str) -> AsyncIterator[TrytonErp]:
    async with tryton_erp(template_url, template) as made:
        yield made


@pytest.fixture
async def proxy(erp: TrytonErp) -> AsyncIterator[FaultProxy]:
    async with fault_proxy(f"http://{erp.allowed}") as made:
        yield made


class Retailer(Seller):
    """A retailer on Malha whose books are in Tryton."""

    async def go(self, rounds: int = 12) -> None:
        """Do what the worker does, until nothing is left to do."""
        for _ in range(rounds):
            await drain(self.database, SUBSCRIPTIONS)
            async with self.database.transaction() as tx:
                for statement in DUE:
                    await tx.execute(statement)
            if not await operating.work(self.runtime, settle_s=0):
                return

    async def cancel(self, order_id: Any, *wishes: CancelWish) -> None:
        async with self.database.transaction() as tx:
            await cancelling.cancel(tx, order_id, reason="damaged", wishes=list(wishes) or None)

    async def differing(self) -> list[str]:
        """Compare today's orders with the documents there."""
        today = datetime.now(ZoneInfo(self.runtime.settings.timezone)).date()
        found = await reconciling.compare_documents(self.runtime, await self.connection(), today)
        ((ours, theirs, our_total, their_total),) = await self.rows(
            "SELECT ours, theirs, ours_total, theirs_total FROM reconciliation WHERE kind = 'documents'"
        )
        return found + ([] if (ours, our_total) == (theirs, their_total) else [f"{our_total} and {their_total}"])

    async def buy(self, number: str, *lines: NewLine, channel: str = "web", shipping: int = 0) -> Any:
        """Have a customer with a CPF buy and pay; return the order's id."""
        total = shipping + sum(line.quantity * line.unit_price - line.discount for line in lines)
        placed = await self.gate.submit(
            NewOrder(
                channel=channel,
                external_id=number,
                lines=list(lines),
                shipping=shipping,
                customer=Buyer(name="Maria da Silva", document="52998224725", email="maria@example.com"),
                ship_to=Address(
                    postal_code="01310100", street="Avenida Paulista", number="1", city="São Paulo", state="SP"
                ),
                payments=[NewPayment(kind="prepaid", amount=total, state="captured", reference=f"P-{number}")],
            )
        )
        assert placed.total == total
        return placed.id

    async def levels(self) -> dict[tuple[str, str], int]:
        """Return what is on hand at the distribution centre, by the word of each side: both must say the same."""
        line = self.runtime.line(await self.connection())
        assert isinstance(line.connector, StockSource)
        theirs, cursor, more = {}, None, True
        while more:
            page = await line.connector.pull_stock(line.ctx, cursor)
            theirs |= {item.sku: item.on_hand for item in page.items if item.location == "DC"}
            cursor, more = page.cursor, page.more
        ours = dict(
            await self.rows(
                "SELECT v.sku, b.on_hand FROM balance b JOIN variant v ON v.id = b.sku_id"
                " JOIN location l ON l.id = b.location_id WHERE l.code = 'DC' AND v.sku = ANY (%s::text[])",
                sorted(theirs),
            )
        )
        return {("here", sku): n for sku, n in ours.items()} | {("there", sku): n for sku, n in theirs.items() if n}

    async def hear(self) -> None:
        """Read what the ERP sells and has, as the worker does."""
        for stream, do in ((products.STREAM, products.read), (stock_service.STATEMENTS, stock_from_channels.state)):
            async with self.database.transaction() as tx:
                await tx.execute("UPDATE connection_cursor SET next_at = now()")
            assert await turns.work(self.runtime, stream, do, asyncio.Event()) == 1
        for (id_,) in await self.rows("SELECT id FROM stock_snapshot WHERE state = 'applying' ORDER BY seq"):
            await applying.apply(self.database, id_)

    async def change(self, **says: Any) -> None:
        """Change the connection's configuration."""
        async with self.database.transaction() as tx:
            found = await service.connection_of(tx, CODE)
            draft = ConnectionDraft(
                code=CODE, name=found.name, connector="tryton", channel="web", config={**found.config, **says}
            )
            await service.change_connection(tx, draft, found.version, self.runtime.keys)

    async def waiting(self) -> list[tuple[Any, ...]]:
        return await self.rows("SELECT kind, cause FROM channel_op WHERE state = 'dead' ORDER BY number")


@pytest.fixture
async def retailer(
    erp: TrytonErp,
    proxy: FaultProxy,
    template_url: str,
    retailer_on: RetailerOn,
    tmp_path: Path,
) -> AsyncIterator[Retailer]:
    async with retailer_on(template_url) as database:
        settings = Settings(database_url=database.url, data_dir=tmp_path, outward_allow=(proxy.allowed,))
        gate = Gate(database)
        made = Retailer(database, settings, gate, CODE)
        path = erp.base_url.rpartition("/")[2]
        draft = ConnectionDraft(
            code=CODE,
            name="Tryton",
            connector="tryton",
            channel="web",
            config={
                "base_url": f"http://{proxy.allowed}/{path}",
                "page": 2,
                "anonymous_party": "CONSUMIDOR",
                "warehouses": "S1=DC",
            },
            secrets={"key": erp.key},
        )
        async with database.transaction() as tx:
            world = await a_network(tx)
            for sku in ("A", "B", "NEW"):
                await a_product(tx, world, sku, stock={"DC": 25})
            await tx.execute("UPDATE movement SET occurred_at = occurred_at - interval '1 day'")
            await channels.put_listings(tx, "web", [ListingDraft(sku=sku, code=sku) for sku in ("A", "B")])
            await tx.execute("UPDATE establishment SET document_policy = 'not_required'")
            await service.add_connection(tx, draft, made.runtime.keys)
            await service.resume(tx, CODE)
        await gate.open()
        try:
            yield made
        finally:
            await gate.close()
        report = await examine(database)
        assert [line for f in report.findings if f.drifts for line in f.lines("en")] == []


async def test_goods_and_stock_from_the_erp_then_sale_parcel_credit_and_no_difference(
    retailer: Retailer, erp: TrytonErp
):
    line = retailer.runtime.line(await retailer.connection())
    assert (await line.connector.check(line.ctx)).ok
    async with retailer.database.transaction() as tx:
        await sources.add_source(tx, SourceDraft(code="tryton", name="Tryton", truth=["DC"]))
        await stock_service.put_role(tx, CODE, RoleDraft(source="tryton"), 0)
        await service.put_method(tx, CODE, "location", "DC", "DC")
    await products.ensure(retailer.runtime)
    await retailer.hear()
    assert await retailer.rows("SELECT code, gtin, price FROM channel_variant WHERE code IN ('A', 'B') ORDER BY 1") == [
        ("A", "7891000100103", 9_900),
        ("B", "", 4_550),
    ]
    assert await retailer.levels() == {
        ("here", "A"): 40, ("there", "A"): 40, ("here", "B"): 30, ("there", "B"): 30,
    }, "Tryton's stock is the truth of the distribution centre"  # fmt: skip

    order = await retailer.buy("W-1", NewLine("A", 3, 990, 101), NewLine("B", 2, 455), shipping=1_500)
    total = 3 * 990 - 101 + 2 * 455 + 1_500
    await retailer.go()
    assert erp.sales() == [("1", total, "processing")]
    assert await retailer.differing() == []
    ((description, party, document),) = erp.rows(
        """SELECT s.description, p.name, i.code FROM sale_sale s JOIN party_party p ON p.id = s.party
           JOIN party_identifier i ON i.party = p.id"""
    )
    assert description.startswith("Malha erp: web W-1 ")
    assert (party, document) == ("Maria da Silva", "529.982.247-25")

    await retailer.cancel(order, CancelWish(1, 1))
    await retailer.go()
    ((cancelled,),) = await retailer.rows("SELECT cancelled_total FROM sales_order")
    assert cancelled > 0
    assert erp.sales()[1:] == [("1-2", -cancelled, "processing")]
    assert erp.rows("SELECT origin FROM sale_sale WHERE reference LIKE '1-2 %'") == [("sale.sale,1",)]

    await retailer.send(order)
    await retailer.go()
    assert erp.parcels() == [("A", 2, "done"), ("B", 2, "done")]
    assert erp.rows("SELECT shipment_state FROM sale_sale ORDER BY id") == [("sent",), ("none",)], "no unit is awaited"
    assert await retailer.levels() == {
        ("here", "A"): 38, ("there", "A"): 38, ("here", "B"): 28, ("there", "B"): 28,
    }  # fmt: skip

    async with retailer.database.transaction() as tx:
        fact = Fact(position=1, kind=FactKind.REFUNDED, amount=cancelled + 250, reference="R1")
        await payments.record_fact(tx, order, fact)
    await retailer.go()
    assert erp.sales()[2:] == [("1-3", -250, "processing")], "what was cancelled is credited already"

    assert await retailer.differing() == []
    assert await retailer.rows("SELECT DISTINCT state FROM channel_op") == [("done",)]
    async with retailer.database.transaction() as tx:
        await tx.execute("UPDATE movement SET occurred_at = occurred_at - interval '1 hour'")
    await retailer.hear()
    assert await retailer.levels() == {
        ("here", "A"): 38, ("there", "A"): 38, ("here", "B"): 28, ("there", "B"): 28,
    }, "what the ERP says next takes nothing off twice"  # fmt: skip


async def test_the_erp_is_killed_before_and_after_it_was_told(retailer: Retailer, erp: TrytonErp):
    await retailer.go()
    await erp.kill()
    for n in range(3):
        order = await retailer.buy(f"W-{n}", NewLine("A", 1 + n, 990))
        await retailer.send(order)
    await retailer.go(2)
    assert await retailer.rows("SELECT kind, state, count(*) FROM channel_op GROUP BY 1, 2 ORDER BY 1") == [
        ("post_document", "waiting", 3),
        ("push_shipment", "waiting", 3),
    ]
    await erp.start()
    await retailer.go()
    sales, parcels = erp.sales(), erp.parcels()
    assert sorted(sales) == [("1", 990, "processing"), ("2", 1_980, "processing"), ("3", 2_970, "processing")]
    assert sorted(units for _, units, _ in parcels) == [1, 2, 3]

    # It did what it was asked, and we died before that was written down.
    async with retailer.database.transaction() as tx:
        await tx.execute("DELETE FROM binding WHERE entity = 'document'")
        await tx.execute("UPDATE channel_op SET state = 'waiting', sending = true, not_before = now(), done_at = NULL")
    await retailer.go()
    assert (erp.sales(), erp.parcels()) == (sales, parcels)
    assert await retailer.rows("SELECT DISTINCT state FROM channel_op") == [("done",)]
    assert await retailer.differing() == []


async def test_answers_that_are_cut_after_the_commit_lose_and_double_nothing(
    retailer: Retailer, erp: TrytonErp, proxy: FaultProxy
):
    markers = [
        '"identifiers":',
        '"invoice_method":',
        "/quote",
        "/confirm",
        '"warehouse_output":',
        "/assign_force",
        "/do",
    ]
    for n, marker in enumerate(markers):
        proxy.fail(marker, Fault.LOST if n % 2 == 0 else Fault.TRUNCATED)
        order = await retailer.buy(f"W-{n}", NewLine("A", 1, 990), NewLine("B", 1, 455))
        await retailer.send(order)
        await retailer.go()
    count = len(markers)
    assert sorted(erp.sales()) == sorted((str(n), 1_445, "processing") for n in range(1, count + 1))
    assert sorted(erp.parcels()) == sorted([("A", 1, "done"), ("B", 1, "done")] * count)
    assert erp.rows("SELECT count(*) FROM party_party WHERE code LIKE 'BR-%'") == [(1,)]
    assert await retailer.waiting() == []
    assert await retailer.differing() == []


async def test_a_sku_that_the_erp_does_not_know_is_held_and_shown_and_its_parcel_follows(
    retailer: Retailer, erp: TrytonErp
):
    order = await retailer.buy("W-1", NewLine("NEW", 2, 500))
    await retailer.send(order)
    await retailer.go()
    assert await retailer.waiting() == [("post_document", "invalid"), ("push_shipment", "awaits_sale")]
    async with retailer.database.transaction() as tx:
        connection = await service.connection_of(tx, CODE)
        stuck = await stuck_reads.gone(tx, connection.id)
    assert "NEW" in (stuck[0].error or "")
    assert erp.sales() == []
    assert await retailer.differing() == ["-1", "1000 and 0"]

    await erp.add_product("NEW", "Novo", "5.00")
    async with retailer.database.transaction() as tx:
        await service.replay(tx, CODE, ops=[stuck[0].key])
    await retailer.go()
    assert erp.sales() == [("1", 1_000, "processing")]
    assert erp.parcels() == [("NEW", 2, "done")]
    assert await retailer.waiting() == []
    assert await retailer.differing() == []


async def test_a_sale_that_is_posted_when_it_ships_is_of_what_is_left_and_of_the_channels_that_are_set(
    retailer: Retailer, erp: TrytonErp
):
    await retailer.change(document_when="shipped", document_channels="web")
    elsewhere = await retailer.buy("M-1", NewLine("A", 1, 990), channel="mall")
    order = await retailer.buy("W-1", NewLine("A", 2, 990, 30), NewLine("B", 1, 455), shipping=1_000)
    gone = await retailer.buy("W-2", NewLine("A", 1, 990))
    await retailer.cancel(order, CancelWish(1, 1))
    await retailer.cancel(gone)
    await retailer.go()
    assert erp.sales() == []
    assert await retailer.differing() == [], "nothing is due yet"
    for each in (elsewhere, order):
        await retailer.send(each)
    await retailer.go()
    ((number, left),) = await retailer.rows(
        "SELECT number, total - cancelled_total FROM sales_order WHERE external_id = 'W-1'"
    )
    assert erp.sales() == [(str(number), left, "processing")]
    assert erp.parcels() == [("A", 1, "done"), ("B", 1, "done")]
    assert await retailer.differing() == []
