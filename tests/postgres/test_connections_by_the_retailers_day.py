"""What connections count by days goes by the retailer's calendar, whatever the zone of the installation is.

At 23:30 in Rio Branco it is another day in São Paulo, which is the installation's zone here.
"""

from datetime import UTC, date, datetime

import msgspec
import pytest
from linked_world import CODE, Linked, linked

from malha.channels.connecting import doctor, documenting, fields, reconciling, service
from malha.channels.connecting.field_rules import FieldRule, Form
from malha.channels.connecting.model import Op, OpKind, Posting
from malha.channels.contract import DocumentKind
from malha.network import retailer
from malha.network.model import RetailerDraft

THERE = "America/Rio_Branco"
LATE = "2026-11-26T23:30:00-05:00"  # 27 November, 01:30 in São Paulo
DAY = date(2026, 11, 26)


@pytest.fixture
async def shop(database, tmp_path):
    async with linked(database, tmp_path) as made:
        async with database.transaction() as tx:
            draft = RetailerDraft(name="Loja", timezone=THERE)
            await retailer.change(tx, draft, (await retailer.current(tx)).version)
        yield made


async def sold(shop: Linked, id_: str, **more) -> None:
    await shop.receive(shop.peer.webhook(shop.peer.sell(id_, **more)))
    await shop.handle()


def zones_asked(shop: Linked) -> set[str]:
    return {path.partition("zone=")[2] for _, path, _ in shop.peer.asked if path.startswith("/orders/summary")}


async def test_orders_are_compared_by_the_retailers_day(shop: Linked):
    await sold(shop, "1001", placed_at=LATE)
    async with shop.database.transaction() as tx:
        found = await service.connection_of(tx, CODE)
    assert await reconciling.compare_orders(shop.runtime, found, DAY) == []
    assert zones_asked(shop) == {"America%2FRio_Branco"}


async def test_the_days_that_are_compared_end_with_the_retailers(shop: Linked, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reconciling, "now", lambda: datetime.fromisoformat(LATE).astimezone(UTC))
    await reconciling.compare_all(shop.runtime, days=1)
    assert await shop.values("SELECT DISTINCT day FROM reconciliation") == [DAY]


async def test_the_doctor_counts_the_orders_of_the_retailers_day(shop: Linked):
    found = {each.check: each for each in await doctor.examine(shop.runtime, CODE)}
    assert found["summary"].ok
    assert zones_asked(shop) == {"America%2FRio_Branco"}


async def test_an_erp_is_told_the_retailers_days(shop: Linked):
    await sold(shop, "1001", placed_at=LATE)
    at = datetime.fromisoformat(LATE).astimezone(UTC)
    posting = Posting(kind=DocumentKind.SALE, n=1, total=1000, at=at)
    async with shop.database.transaction() as tx:
        found = await service.connection_of(tx, CODE)
        order_id = await tx.value("SELECT id FROM sales_order")
        op = Op(
            key=order_id, connection_id=found.id, kind=OpKind.POST_DOCUMENT, entity=f"document:{order_id}", version=0,
            payload=msgspec.to_builtins(posting), attempts=1, failures=0, doubtful=False,
        )  # fmt: skip
        document = await documenting.document_of(tx, found, op)
    assert document is not None
    assert (document.order_day, document.day) == (DAY.isoformat(), DAY.isoformat())


async def test_a_day_that_a_rule_reads_of_what_goes_to_no_state_ends_with_the_retailers(shop: Linked):
    rules = [FieldRule(to="promised_on", source="note", form=Form.YEAR_FIRST)]
    ends = datetime(2026, 12, 2, 4, 59, 59, tzinfo=UTC)
    async with shop.database.transaction() as tx:
        await fields.put(tx, CODE, rules, 0)
    fetched = {"note": "2026-12-01", "ship_to": None, "pickup_location": "S1"}
    await sold(shop, "1001", **fetched)
    for id_ in ("1002", "1003"):
        await shop.receive(shop.peer.webhook(shop.peer.sell(id_, **fetched)))
    await shop.handle()
    assert await shop.rows("SELECT external_id, promised_at FROM sales_order ORDER BY 1") == [
        (id_, ends) for id_ in ("1001", "1002", "1003")
    ]
    async with shop.database.transaction() as tx:
        tried = await fields.tried(tx, CODE, rules)
    assert {each.applied.order.promised_at for each in tried} == {ends}
