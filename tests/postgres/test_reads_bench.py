"""The retailer that `malha bench reads` measures: written by COPY, as the product itself would have it."""

from datetime import UTC, datetime, timedelta

from malha.bench.past import LOCATIONS, Past, Size, write
from malha.fulfillment import reads as jobs
from malha.ordering import finding_reads, reads
from malha.ordering.reads import View, Wanted
from malha.platform.db import Database

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
UNBALANCED = """
SELECT count(*) FROM balance b
JOIN (SELECT sku_id, location_id, sum(d_on_hand) AS on_hand, sum(d_allocated) AS allocated FROM movement GROUP BY 1, 2) m
    USING (sku_id, location_id)
WHERE (b.on_hand, b.allocated) IS DISTINCT FROM (m.on_hand, m.allocated)
"""


async def test_the_past_holds_what_pages_read_and_every_index_is_back(database: Database) -> None:
    async with database.transaction() as tx:
        before = await tx.values("SELECT indexname FROM pg_indexes WHERE tablename = 'order_search' ORDER BY 1")
    past = await write(database, Size(1_000), NOW, lambda _text: None)
    async with database.transaction() as tx:
        assert await tx.values("SELECT indexname FROM pg_indexes WHERE tablename = 'order_search' ORDER BY 1") == before
        assert await tx.value("SELECT count(*) FROM sales_order") == 1_000
        assert await tx.value("SELECT count(*) FROM movement") == 10_000
        assert await tx.value("SELECT count(*) FROM movement_default") == 0
        counts = await reads.counts(tx, await jobs.overdue_orders(tx))
        assert counts.by_view[View.OPEN] == past.open == 10
        assert counts.by_view[View.ALL] == 1_000
        assert await tx.value(UNBALANCED) == 0


async def test_an_order_of_the_past_is_found_by_each_of_its_keys(database: Database) -> None:
    past = await write(database, Size(1_200), NOW, lambda _text: None)
    number = 777
    name, cpf, email, phone = past.person(past.customer(number))
    async with database.transaction() as tx:
        for key in (str(number), f"EXT-{number}", name, cpf, email, phone, f"SKU{past.lines(number)[0].sku}"):
            page = await reads.page(tx, Wanted(search=key), size=1_000)
            assert number in {row.number for row in page.rows}, key
        # A word of more orders than a search looks at: the newest are found, and counting stops.
        found = await reads.numbers_of(tx, await finding_reads.find(tx, "example"))
        assert set(found.values()) == set(range(1_200 - finding_reads.FOUND_LIMIT + 1, 1_201))
        assert await reads.count(tx, Wanted(method="ship"), 100) == 101
        of_a_store = await reads.counts(tx, scope=tuple(range(1, LOCATIONS + 1)))
        assert of_a_store.by_view[View.ALL] == of_a_store.most(View.ALL) + 1


def test_the_same_size_is_the_same_past() -> None:
    one, other = Past(Size(5_000), NOW), Past(Size(5_000), NOW + timedelta(days=1))
    assert [one.lines(n) for n in range(1, 50)] == [other.lines(n) for n in range(1, 50)]
    assert [one.status(n) for n in range(4_900, 5_001)] == [other.status(n) for n in range(4_900, 5_001)]
    assert Size(1_000_000).movements == 10_000_000
    assert LOCATIONS == 30
