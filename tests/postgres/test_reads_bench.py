"""The retailer that `malha bench reads` measures: written by COPY, as the product itself would have it."""

from datetime import UTC, datetime, timedelta

import pytest

from malha.bench.past import LOCATIONS, Past, Size, write
from malha.fulfillment import finding
from malha.fulfillment import reads as jobs
from malha.ordering import finding_reads, list_reads, reads
from malha.ordering.listing import Sort, View, Wanted
from malha.ordering.model import OrderStatus
from malha.platform.db import Database
from malha.platform.text import fold

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
        counts = await list_reads.counts(tx, await jobs.overdue_orders(tx))
        assert counts.by_view[View.OPEN] == past.open == 10
        assert counts.by_view[View.ALL] == 1_000
        assert await tx.value(UNBALANCED) == 0


async def test_an_order_of_the_past_is_found_by_each_of_its_keys(database: Database) -> None:
    past = await write(database, Size(1_200), NOW, lambda _text: None)
    number = 777
    name, cpf, email, phone = past.person(past.customer(number))
    async with database.transaction() as tx:
        gtin = await tx.value("SELECT gtin FROM variant WHERE id = %s", (past.lines(number)[0].sku,))
        area, first, last = phone[3:5], phone[5:10], phone[10:]
        keys = {
            "number": str(number),
            "number with its sign": f"#{number}",
            "external id": f"EXT-{number}",
            "external id in small letters": f"ext-{number}",
            "name": name,
            "name in capitals without accents": fold(name).upper(),
            "part of a name": name.split()[-1][1:-1],
            "CPF": cpf,
            "CPF with its points": f"{cpf[:3]}.{cpf[3:6]}.{cpf[6:9]}-{cpf[9:]}",
            "e-mail": email,
            "e-mail in capitals": email.upper(),
            "telephone": phone,
            "telephone as people write it": f"({area}) {first}-{last}",
            "telephone without its country": f"{area}{first}{last}",
            "SKU": f"SKU{past.lines(number)[0].sku}",
            "GTIN": gtin,
            "tracking code": f"BR{number:09d}",
            "tracking code in small letters": f"br{number:09d}",
            "access key": f"{number:044d}",
            "access key in groups": " ".join(f"{number:044d}"[i : i + 4] for i in range(0, 44, 4)),
        }
        for key, text in keys.items():
            page = await list_reads.page(tx, await finding.sought(tx, Wanted(search=text)), size=1_000)
            assert number in {row.number for row in page.rows}, key
        for key in ("number", "external id", "CPF", "e-mail", "telephone", "tracking code", "access key"):
            found = set((await reads.numbers_of(tx, await finding.find(tx, keys[key]))).values())
            assert {past.customer(n) for n in found} == {past.customer(number)}, key
        # A word of more orders than a search looks at: the newest are found, and counting stops.
        found = await reads.numbers_of(tx, await finding_reads.find(tx, "example"))
        assert set(found.values()) == set(range(1_200 - finding_reads.FOUND_LIMIT + 1, 1_201))
        assert await list_reads.count(tx, Wanted(method="ship"), 100) == 101
        of_a_store = await list_reads.counts(tx, scope=tuple(range(1, LOCATIONS + 1)))
        assert of_a_store.by_view[View.ALL] == of_a_store.most(View.ALL) + 1
        # The beginning of a channel's own id needs no text for searching.
        await tx.execute("UPDATE sales_order SET external_id = 'MLB-2000012345' WHERE number = %s", (number,))
        await tx.execute("DELETE FROM order_search WHERE order_id = %s", (past.order_id(number),))
        for beginning in ("MLB-20000", "mlb-2000012", "MLB"):
            numbers = await reads.numbers_of(tx, await finding.find(tx, beginning))
            assert set(numbers.values()) == {number}, beginning
        assert not await finding.find(tx, "MLB-20001")


@pytest.mark.parametrize("walked", [40, 5_000], ids=["by the projection", "by walking all"])
async def test_a_list_of_some_locations_is_complete_and_in_order_however_it_is_found(
    database: Database, walked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = await write(database, Size(1_000), NOW, lambda _text: None)
    monkeypatch.setattr(list_reads, "WALKED", walked)
    monkeypatch.setattr(list_reads, "NEWEST", walked)
    week = past.placed(600), past.placed(700)
    lists = {
        "a location": Wanted(location_id=7),
        "a scope of several": Wanted(scope=(3, 7, 9)),
        "a scope, delivered": Wanted(scope=(3, 7), statuses=(OrderStatus.DELIVERED,)),
        "a location within a scope": Wanted(scope=(3, 7), location_id=7),
        "some days": Wanted(scope=(3, 7, 9), since=week[0], until=week[1]),
        "what is open": Wanted(scope=(3, 7, 9), view=View.OPEN),
    }
    async with database.transaction() as tx:
        if walked > 1_000:  # what the projection does not know yet is there all the same
            await tx.execute("DELETE FROM order_location")
        at = await tx.tuples(
            "SELECT o.number, array_agg(DISTINCT u.location_id) FROM sales_order o JOIN order_unit u ON u.order_id = o.id GROUP BY 1"
        )
        places = {number: set(found) for number, found in at}
        for name, wanted in lists.items():
            expected = [
                n
                for n in range(1, 1_001)
                if (wanted.location_id is None or wanted.location_id in places[n])
                and (wanted.scope is None or places[n] & set(wanted.scope))
                and (not wanted.statuses or past.status(n) == "delivered")
                and (wanted.since is None or week[0] <= past.placed(n) < week[1])
                and (wanted.view is View.ALL or n > 1_000 - past.open)
            ]
            assert expected, name
            for sort in (Sort.NEWEST, Sort.OLDEST):
                right = expected[::-1] if sort is Sort.NEWEST else expected
                pages = [await list_reads.page(tx, wanted, sort=sort, size=7)]
                while following := pages[-1].next:
                    pages.append(await list_reads.page(tx, wanted, sort=sort, after=following, size=7))
                assert [row.number for page in pages for row in page.rows] == right, f"{name}, {sort}"
                back = (
                    await list_reads.page(tx, wanted, sort=sort, before=pages[-1].previous, size=7)
                    if len(pages) > 1
                    else None
                )
                assert back is None or [row.number for row in back.rows] == [row.number for row in pages[-2].rows]
            assert await list_reads.count(tx, wanted) == len(expected), name


def test_the_same_size_is_the_same_past() -> None:
    one, other = Past(Size(5_000), NOW), Past(Size(5_000), NOW + timedelta(days=1))
    assert [one.lines(n) for n in range(1, 50)] == [other.lines(n) for n in range(1, 50)]
    assert [one.status(n) for n in range(4_900, 5_001)] == [other.status(n) for n in range(4_900, 5_001)]
    assert Size(1_000_000).movements == 10_000_000
    assert LOCATIONS == 30
