"""An order of which something is still to come can be changed, and who waits for its goods follows."""

from datetime import date
from typing import Any

import pytest
from ahead_world import Shop, a_shop
from psycopg import sql
from supply_rows import CENTRE, DAY, LEAD, SHOP, a_retailer, an_order

from malha.doctor import examine
from malha.inventory.supply import changing, reads, searching, service
from malha.inventory.supply.errors import InboundEnded, InboundMoved, ReferenceTaken, UnknownInbound
from malha.inventory.supply.model import (
    InboundChange,
    InboundLineDraft,
    InboundState,
    LineChange,
    Placed,
    ReceiptDraft,
    ReceivedLine,
    Stands,
)
from malha.platform.db import Actor, Database
from malha.platform.flaws import Invalid
from malha.platform.ids import new_id
from malha.platform.text import fold
from malha.testing.builders import in_days

LATER = date(2026, 12, 24)
BUYER = Actor("person", "buyer", "Buyer", permissions=frozenset({"stock:write"}), locations=frozenset({SHOP}))


@pytest.fixture
async def shop(database: Database) -> Database:
    return await a_retailer(database)


async def place(db: Database, *lines: tuple[int, int], **options: Any) -> Placed:
    async with db.transaction(LEAD) as tx:
        return await service.place_order(tx, an_order(*lines, **options))


async def take(db: Database, order: Placed, sku: int, units: int) -> None:
    draft = ReceiptDraft(id=new_id(), location_id=SHOP, lines=[ReceivedLine(sku, units)], order_id=order.id)
    async with db.transaction(LEAD) as tx:
        await service.receive(tx, draft)


async def change(db: Database, order: Placed, *, version: int | None = None, **said: Any) -> Stands:
    async with db.transaction(LEAD) as tx:
        return await changing.change(tx, order.number, InboundChange(**said), version)


async def lines_of(db: Database, order: Placed) -> list[tuple[int, int, int, date]]:
    """Return SKU id, ordered, still expected and day of each line."""
    async with db.snapshot() as tx:
        return [(x.sku_id, x.quantity, x.expected, x.eta) for x in await reads.order_lines(tx, order.id)]


async def told(db: Database, type_: str) -> list[Any]:
    async with db.snapshot() as tx:
        return await tx.values("SELECT payload FROM outbox WHERE type = %(type)s::text", {"type": type_})


async def test_quantities_days_and_costs_change_and_lines_are_added(shop: Database) -> None:
    order = await place(shop, (1, 10), (2, 4))
    done = await change(
        shop,
        order,
        version=1,
        lines=[LineChange(line=1, quantity=14, unit_cost=990), LineChange(line=2, quantity=3, eta=LATER)],
        added=[InboundLineDraft(3, 6, LATER)],
        reference="OC-9",
        note="by road",
        over_percent=5,
        reason="season",
    )
    assert (done.state, done.changed) == (InboundState.OPEN, True)
    assert await lines_of(shop, order) == [(1, 14, 14, DAY), (2, 3, 3, LATER), (3, 6, 6, LATER)]
    async with shop.snapshot() as tx:
        head = await reads.order(tx, order.number)
        assert head is not None
        assert (head.reference, head.note, head.over_percent, head.seq) == ("OC-9", "by road", 5, done.version)
        assert [(i.sku_id, i.quantity, i.day) for i in await reads.incoming(tx, [1, 2, 3])] == [
            (1, 14, DAY), (2, 3, LATER), (3, 6, LATER)
        ]  # fmt: skip
        first, second, _ = await reads.order_lines(tx, order.id)
        assert first.unit_cost == 990
        assert [(m.was, m.became, m.reason) for m in second.moves] == [(DAY, LATER, "season")]
    (changed,) = await told(shop, "inbound.changed")
    assert changed["lines"] == [[1, 1, 10, 14], [2, 2, 4, 3]]
    assert changed["added"] == [[3, 3, 6, "2026-12-24"]]
    assert len(await told(shop, "inbound.rescheduled")) == 1


async def test_the_trail_says_what_it_was_and_what_it_became(shop: Database) -> None:
    order = await place(shop, (1, 10), (2, 4), reference="OC-1")
    await change(shop, order, lines=[LineChange(line=1, quantity=8)], reference="OC-2", reason="too many")
    async with shop.snapshot() as tx:
        ((before, after),) = await tx.tuples(
            "SELECT before, after FROM audit WHERE entity = 'inbound_order' AND action = 'change'"
        )
    assert before == {
        "reference": "OC-1",
        "lines": {"1 CAM-P": {"quantity": 10}},
        "reason": None,
    }
    assert after == {
        "reference": "OC-2",
        "lines": {"1 CAM-P": {"quantity": 8}},
        "reason": "too many",
    }


async def test_what_is_so_already_changes_nothing_and_is_told_to_nobody(shop: Database) -> None:
    order = await place(shop, (1, 10), reference="OC-1")
    same = {"lines": [LineChange(line=1, quantity=10, eta=DAY, unit_cost=None)], "reference": "OC-1", "note": ""}
    assert await change(shop, order, **same) == Stands(order.number, 1, InboundState.OPEN, changed=False)
    assert await told(shop, "inbound.changed") == []


async def test_a_quantity_goes_down_to_what_has_come_and_not_below(shop: Database) -> None:
    order = await place(shop, (1, 10), (2, 4))
    await take(shop, order, 1, 6)
    for quantity in (5, 0, -1, 2_000_000_000):
        with pytest.raises(Invalid) as refused:
            await change(shop, order, lines=[LineChange(line=2, quantity=3), LineChange(line=1, quantity=quantity)])
        assert [flaw.at for flaw in refused.value.flaws] == ["lines/1/quantity"]
    with pytest.raises(Invalid):  # of a line of which nothing came, one is the least
        await change(shop, order, lines=[LineChange(line=2, quantity=0)])
    done = await change(shop, order, lines=[LineChange(line=1, quantity=6)])
    assert done.state is InboundState.PARTIAL
    assert [x[:3] for x in await lines_of(shop, order)] == [(1, 6, 0), (2, 4, 4)]
    await take(shop, order, 2, 4)
    with pytest.raises(InboundEnded):
        await change(shop, order, note="too late")


async def test_an_order_of_which_all_has_come_after_it_was_lowered_is_received(shop: Database) -> None:
    order = await place(shop, (1, 10))
    await take(shop, order, 1, 6)
    assert (await change(shop, order, lines=[LineChange(line=1, quantity=6)])).state is InboundState.RECEIVED


async def test_a_line_that_was_given_up_is_expected_again_by_what_is_ordered_beyond_it(shop: Database) -> None:
    order = await place(shop, (1, 10), (2, 4))
    async with shop.transaction(LEAD) as tx:
        await service.drop_lines(tx, order.number, [1], "out of fabric")
    with pytest.raises(Invalid) as refused:  # nothing is to come of it: it has no day to move
        await change(shop, order, lines=[LineChange(line=1, eta=LATER)])
    assert [flaw.at for flaw in refused.value.flaws] == ["lines/0/eta"]
    await change(shop, order, lines=[LineChange(line=1, quantity=12, eta=LATER)])
    assert await lines_of(shop, order) == [(1, 12, 2, LATER), (2, 4, 4, DAY)]


async def test_lines_that_are_not_there_or_there_twice_and_costs_below_nothing_are_named(shop: Database) -> None:
    order = await place(shop, (1, 10))
    with pytest.raises(Invalid) as refused:
        await change(
            shop,
            order,
            lines=[LineChange(line=1), LineChange(line=1), LineChange(line=7), LineChange(line=1, unit_cost=-1)],
            added=[InboundLineDraft(2, 0, DAY)],
        )
    assert [flaw.at for flaw in refused.value.flaws] == [
        "lines/1/line", "lines/2/line", "lines/3/line", "added/0/quantity"
    ]  # fmt: skip
    with pytest.raises(Invalid) as refused:
        await change(shop, order, lines=[LineChange(line=1, unit_cost=-1)])
    assert [flaw.at for flaw in refused.value.flaws] == ["lines/0/unit_cost"]


async def test_a_change_of_what_was_changed_meanwhile_is_refused(shop: Database) -> None:
    order = await place(shop, (1, 10))
    await take(shop, order, 1, 1)
    with pytest.raises(InboundMoved):
        await change(shop, order, version=1, lines=[LineChange(line=1, quantity=9)])


async def test_a_reference_of_another_order_of_the_supplier_is_refused(shop: Database) -> None:
    await place(shop, (1, 10), reference="OC-1")
    order = await place(shop, (1, 10), reference="OC-2")
    with pytest.raises(ReferenceTaken):
        await change(shop, order, reference="OC-1")
    await change(shop, order, reference=None)
    assert not (await place(shop, (1, 10), reference="OC-1")).created


async def test_an_order_for_another_location_is_not_there_for_a_limited_buyer(shop: Database) -> None:
    order = await place(shop, (1, 10), place=CENTRE)
    async with shop.transaction(BUYER) as tx:
        with pytest.raises(UnknownInbound):
            await changing.change(tx, order.number, InboundChange(note="mine"))


async def test_orders_are_found_by_goods_words_place_state_and_day(shop: Database) -> None:
    async with shop.transaction() as tx:
        await tx.execute("UPDATE variant SET folded = lower(sku)")
    first = await place(shop, (1, 10), (2, 4), reference="OC-2026/17")
    second = await place(shop, (3, 5), place=CENTRE)
    third = await place(shop, (1, 2))
    await change(shop, third, lines=[LineChange(line=1, eta=LATER)])
    fourth = await place(shop, (2, 1))
    await take(shop, fourth, 2, 1)
    fifth = await place(shop, (4, 1))
    async with shop.transaction(LEAD) as tx:
        await service.drop_lines(tx, fifth.number, None, "no")

    async def found(**wanted: Any) -> list[int]:
        async with shop.snapshot() as tx:
            return sorted(row.number for row in await reads.orders(tx, reads.OrdersWanted(**wanted)))

    one, two, three, four, five = (x.number for x in (first, second, third, fourth, fifth))
    assert await found() == [one, two, three, four, five]
    assert await found(open=True) == [one, two, three]
    assert await found(states=(InboundState.RECEIVED, InboundState.CANCELLED)) == [four, five]
    assert await found(text="CAM-P") == [one, three]
    assert await found(text="cam-g") == [two, five]  # part of CAM-GG too
    assert await found(sku="7891000053508") == [one, four]
    assert await found(text="17") == await found(text="OC%") == await found(sku="Tecelagem") == []
    assert await found(text="OC") == await found(text="2026/1") == [one]
    assert await found(text="tecelagem", open=True) == [one, two, three]
    assert await found(text=f"P{two}") == [two]
    async with shop.transaction() as tx:
        await tx.execute("UPDATE inbound_order SET supplier = 'Refinaria de Açúcar São João' WHERE number = 3")
    assert three == 3
    for text in ("acucar", "AÇÚCAR", "são joão", "Sao Joao", "açu"):
        assert await found(text=text) == [three], text
    assert await found(text="re") == [three], "of fewer than three letters, how a name begins"
    assert await found(text="ac") == await found(text="açucaréiro") == []
    assert await found(location_id=CENTRE) == await found(owned=(CENTRE,)) == await found(scope=(CENTRE,)) == [two]
    assert await found(since=LATER) == await found(since=LATER, until=LATER, open=True) == [three]
    assert await found(until=DAY) == [one, two, four, five]
    assert await found(until=DAY, open=True) == [one, two]
    assert await found(late=LATER) == [one, two]
    assert await found(late=LATER, until=date(2026, 12, 9)) == []


async def test_names_are_folded_in_the_database_as_what_is_looked_for_is(shop: Database) -> None:
    names = [f"a{chr(n)}B" for n in (*range(0xA1, 0x250), *range(0x1E00, 0x1F00)) if chr(n).isalpha()]
    statement = (
        f"SELECT {searching.folded('t.name')} FROM unnest(%(names)s::text[]) WITH ORDINALITY AS t(name, n) ORDER BY n"
    )
    async with shop.snapshot() as tx:
        assert await tx.values(statement, {"names": names}) == [fold(name) for name in names]


async def test_a_supplier_among_many_is_found_by_the_index_of_folded_names(shop: Database) -> None:
    async with shop.transaction() as tx:
        await tx.execute(
            "INSERT INTO inbound_order (id, kind, supplier, location_id, created_by)"
            " SELECT gen_random_uuid(), 'purchase', 'Malharia ' || md5(n::text), 1, 'test' FROM generate_series(1, 20000) AS n"
        )
        await tx.execute("UPDATE inbound_order SET supplier = 'Refinaria de Açúcar' WHERE number = 700")
        await tx.execute("ANALYZE inbound_order")
        statement, params = reads._orders_asked(reads.OrdersWanted(text="acucar"), None)
        plan = "\n".join(await tx.values(sql.SQL("EXPLAIN ") + statement, {**params, "limit": 51}))
    assert "inbound_order_supplier_folded" in plan


@pytest.fixture
async def sold(database: Database) -> Shop:
    return await a_shop(database)


async def said(sold: Shop, number: int, **wanted: Any) -> None:
    async with sold.database.transaction() as tx:
        await changing.change(tx, number, InboundChange(**wanted))
    await sold.settle()
    report = await examine(sold.database)
    assert not [finding.check for finding in report.findings if finding.drifts]


async def test_who_came_last_loses_what_is_no_longer_ordered_and_gets_it_back_when_it_is_again(sold: Shop) -> None:
    await sold.allow()
    _, number = await sold.order_goods(6, 6)
    first, second = await sold.sold(4, 2)
    await said(sold, number, lines=[LineChange(line=1, quantity=5)])
    assert await sold.waits(first) == [("waiting", in_days(6), 4)]
    assert sorted(await sold.waits(second), key=str) == [("lost", None, 1), ("waiting", in_days(6), 1)]
    await said(sold, number, lines=[LineChange(line=1, quantity=9)])
    assert await sold.waits(second) == [("waiting", in_days(6), 2)]
    assert await sold.free() == 3


async def test_orders_are_promised_anew_when_the_day_moves_or_a_line_comes_sooner(sold: Shop) -> None:
    await sold.allow()
    _, number = await sold.order_goods(4, 6)
    (order,) = await sold.sold(4)
    before = await sold.promise(order)
    await said(sold, number, lines=[LineChange(line=1, eta=in_days(25))])
    assert await sold.waits(order) == [("waiting", in_days(25), 4)]
    late = await sold.promise(order)
    assert before is not None
    assert late is not None
    assert late > before
    await said(sold, number, added=[InboundLineDraft(sold.sku, 4, in_days(3))])
    assert await sold.waits(order) == [("waiting", in_days(3), 4)]
    sooner = await sold.promise(order)
    assert sooner is not None
    assert sooner < before
