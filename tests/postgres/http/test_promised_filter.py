"""Orders by the date they are promised for: at the desk, in saved views and files, and by the API."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from test_routing_explained import placed, retailer
from tests_http import Shop

from malha.ordering import list_reads, listing
from malha.ordering.listing import Due, Sort, View, Wanted
from malha.platform.clock import now
from malha.testing.builders import in_days

__all__ = ["retailer"]

ZONE = ZoneInfo("America/Sao_Paulo")


def noon(days: int) -> datetime:
    return datetime.combine(in_days(days), datetime.min.time(), ZONE) + timedelta(hours=12)


async def promised(shop: Shop, **when: datetime | None) -> dict[str, int]:
    """Orders by a name, each promised for an instant or not at all; their numbers."""
    found = {}
    for name, instant in when.items():
        id_ = await placed(shop, ("CAMA", 1))
        async with shop.database.transaction() as tx:
            await tx.execute("UPDATE sales_order SET promised_at = %s WHERE id = %s", (instant, id_))
            found[name] = await tx.value("SELECT number FROM sales_order WHERE id = %s", (id_,))
    return found


async def listed(shop: Shop, numbers: dict[str, int], **asked: Any) -> set[str]:
    key = await shop.key({"orders:read"})
    answer = await shop.http.get("/v1/orders", params=asked, headers=key)
    assert answer.status_code == 200, answer.text
    names = {number: name for name, number in numbers.items()}
    return {names[row["number"]] for row in answer.json()["items"]}


async def test_orders_are_found_by_what_they_are_promised_for(retailer: Shop) -> None:
    now_ = now()
    numbers = await promised(
        retailer, long_ago=noon(-40), hour_ago=now_ - timedelta(hours=1), soon=now_ + timedelta(minutes=2), far=noon(40),
        none=None,
    )  # fmt: skip
    assert await listed(retailer, numbers, promised="late") == {"long_ago", "hour_ago"}
    assert await listed(retailer, numbers, promised="none") == {"none"}
    today = await listed(retailer, numbers, promised="today")
    assert today <= {"hour_ago", "soon"}
    assert today  # at least one of them is within the retailer's day
    week = await listed(retailer, numbers, promised="week")
    assert today <= week <= {"hour_ago", "soon"}
    assert await listed(retailer, numbers, promised_since=noon(20).isoformat()) == {"far"}
    assert await listed(retailer, numbers, promised_until=noon(-20).isoformat()) == {"long_ago"}
    between = {"promised_since": noon(-50).isoformat(), "promised_until": noon(-30).isoformat()}
    assert await listed(retailer, numbers, **between) == {"long_ago"}
    assert await listed(retailer, numbers, **between, promised="today") == set()
    # Without an offset the retailer's clock is meant.
    assert await listed(retailer, numbers, promised_since=noon(39).replace(tzinfo=None).isoformat()) == {"far"}
    for sort in ("newest", "oldest", "due"):
        assert await listed(retailer, numbers, **between, sort=sort, view="open") == {"long_ago"}


async def test_what_is_over_is_not_late(retailer: Shop) -> None:
    numbers = await promised(retailer, over=noon(-3), open=noon(-3))
    async with retailer.database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET status = 'delivered' WHERE number = %s", (numbers["over"],))
    assert await listed(retailer, numbers, promised="late") == {"open"}
    assert await listed(retailer, numbers, promised_until=noon(-1).isoformat()) == {"over", "open"}
    async with retailer.database.transaction() as tx:  # what the test did to the status is no story of units
        await tx.execute("UPDATE sales_order SET status = 'allocated' WHERE number = %s", (numbers["over"],))


async def test_pages_of_a_day_go_on_where_the_last_one_ended(retailer: Shop) -> None:
    numbers = await promised(retailer, **{f"o{n}": noon(5) for n in range(5)}, other=noon(9))
    wanted = Wanted(promised_since=noon(4), promised_until=noon(6))
    async with retailer.database.transaction() as tx:
        for sort in Sort:
            seen, place = [], None
            while True:
                page = await list_reads.page(tx, wanted, sort=sort, after=place, size=2)
                seen += [row.number for row in page.rows]
                place = page.next
                if place is None or not page.rows:
                    break
            assert sorted(seen) == sorted(numbers[f"o{n}"] for n in range(5))
        assert await list_reads.count(tx, wanted) == 5


@pytest.mark.parametrize("places", [None, ("JPA",)])
async def test_whoever_sees_one_location_sees_its_promises_only(retailer: Shop, places: tuple[str, ...] | None) -> None:
    await promised(retailer, a=noon(5))
    async with retailer.database.transaction() as tx:
        scope = None
        if places is not None:
            scope = tuple(await tx.values("SELECT id FROM location WHERE code = ANY(%s)", (list(places),)))
            other = tuple(await tx.values("SELECT id FROM location WHERE code = 'NAT'"))
            wanted = Wanted(scope=other, promised_since=noon(4), promised_until=noon(6))
            assert (await list_reads.page(tx, wanted, size=5)).rows == []
            assert await list_reads.count(tx, wanted) == 0
        for view in (View.ALL, View.OPEN):
            wanted = Wanted(view=view, scope=scope, promised_since=noon(4), promised_until=noon(6))
            assert len((await list_reads.page(tx, wanted, size=5)).rows) == 1
            assert await list_reads.count(tx, wanted) == 1


async def test_the_desk_shows_keeps_and_exports_what_is_promised_for_some_days(retailer: Shop) -> None:
    numbers = await promised(retailer, late=noon(-2), soon=noon(3))
    headers = await retailer.session()
    page = await retailer.http.get("/orders?view=open&due=late", headers=headers)
    assert (f"#{numbers['late']}" in page.text, f"#{numbers['soon']}" in page.text) == (True, False)
    assert "Late, promise broken" in page.text
    days = f"due_from={in_days(2)}&due_to={in_days(4)}"
    page = await retailer.http.get(f"/orders?view=open&{days}", headers=headers)
    assert (f"#{numbers['late']}" in page.text, f"#{numbers['soon']}" in page.text) == (False, True)
    sheet = await retailer.http.get(f"/orders/export.csv?view=open&{days}", headers=headers)
    rows = [line.replace('"', "").replace(";", ",").split(",")[0] for line in sheet.text.splitlines()[1:]]
    assert rows == [str(numbers["soon"])]
    # A view that is saved keeps the word, so that it goes with the time.
    saved = await retailer.http.post(
        "/views", data={"list": "orders", "name": "Broken", "query": "view=open&due=late"}, headers=headers
    )
    assert saved.status_code in {200, 303}, saved.text
    page = await retailer.http.get("/orders?view=open", headers=headers)
    assert "due=late" in page.text
    nonsense = await retailer.http.get("/orders?view=open&due=nope&due_from=yesterday", headers=headers)
    assert nonsense.status_code == 200


def test_a_week_is_from_monday_to_sunday() -> None:
    friday = datetime(2026, 11, 27, 22, 30, tzinfo=ZONE)
    since, until = listing.promised_between(Due.WEEK, None, None, friday, ZONE)
    assert (since, until) == (datetime(2026, 11, 23, tzinfo=ZONE), datetime(2026, 11, 30, tzinfo=ZONE))
    since, until = listing.promised_between(Due.TODAY, friday - timedelta(days=3), None, friday, ZONE)
    assert (since, until) == (datetime(2026, 11, 27, tzinfo=ZONE), datetime(2026, 11, 28, tzinfo=ZONE))
