"""An order whose lines come on several days: the first day still to be kept, and the day by which all of it is there.

Whoever reads the order finds the one that is meant: lists and lateness the first, the buyer both, work its own.
"""

import csv
import io
import re
from datetime import UTC, date, datetime, time, timedelta

import pytest
from test_shopper_pages import Case, a_case
from tests_http import Shop

from malha.flows import telling
from malha.fulfillment import service as work
from malha.fulfillment.model import Parcel
from malha.ordering import cancelling, lateness, list_reads, promises, reads
from malha.ordering.listing import Wanted
from malha.ordering.model import Move, PromiseReason, UnitState
from malha.platform import i18n
from malha.platform.ids import UUID
from malha.promising.rules import day_promised
from malha.testing.builders import in_days

FIRST = datetime.combine(in_days(3), time(2, 59, 59), UTC)
LAST = FIRST + timedelta(days=40)
OUTCOMES = """
SELECT f.id, p.promised_at, p.present_at FROM promise_outcome p JOIN fulfillment_order f ON f.id = p.work_id
ORDER BY p.promised_at
"""


async def a_parted(shop: Shop, first: datetime = FIRST, last: datetime = LAST) -> Case:
    """An order of two lines, one at each of two places, promised for a day each."""
    case = await a_case(shop, {"DC": 1, "S1": 1}, policy="not_required")
    await promise(shop, case.order_id, first, last)
    return case


async def promise(shop: Shop, order_id: UUID, first: datetime, last: datetime) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET promised_at = %s WHERE id = %s", (first, order_id))
        await tx.execute("DELETE FROM order_line_promise WHERE order_id = %s", (order_id,))
        for line, at in (1, first), (2, last):
            await tx.execute("INSERT INTO order_line_promise VALUES (%s, %s, %s)", (order_id, line, at))


def day(at: datetime) -> date:
    return day_promised(at, "SP")


async def send(shop: Shop, job: UUID) -> UUID:
    async with shop.database.transaction() as tx:
        await work.confirm_pick(tx, job)
        [parcel] = await work.pack(tx, job, [Parcel()])
        await work.ship(tx, job)
    return parcel


async def bring(shop: Shop, parcel: UUID) -> None:
    async with shop.database.transaction() as tx:
        await work.deliver(tx, parcel)


MANY = """
INSERT INTO order_promise (id, order_id, promised_at, former_at, reason, made_at, made_by, author)
SELECT gen_random_uuid(), %(id)s::uuid, %(first)s::timestamptz + n * interval '1 day',
       %(first)s::timestamptz + (n - 1) * interval '1 day', 'capacity', now() + n * interval '1 second', 'test', 'test'
FROM generate_series(1, 120) AS n
"""


async def test_of_an_order_that_was_promised_anew_more_often_than_is_listed_the_first_day_is_said(shop: Shop) -> None:
    case = await a_parted(shop)
    first = datetime(2026, 1, 5, 12, tzinfo=UTC)
    async with shop.database.transaction() as tx:
        await tx.execute(MANY, {"id": case.order_id, "first": first})
    key = await shop.key(["orders:read"])
    told = (await shop.http.get(f"/v1/orders/{case.order_id}/promises", headers=key)).json()
    assert (datetime.fromisoformat(told["first"]), len(told["changes"])) == (first, 100)
    number = (await shop.http.get(f"/v1/orders/{case.order_id}", headers=key)).json()["order"]["number"]
    page = (await shop.http.get(f"/orders/{number}", headers=await shop.session())).text
    assert re.search(r"First for [^.]*5 Jan", page)


async def test_lists_and_the_order_say_the_first_day_to_keep_and_the_last(shop: Shop) -> None:
    case = await a_parted(shop)
    key = await shop.key(["orders:read"])
    view = (await shop.http.get(f"/v1/orders/{case.order_id}", headers=key)).json()["order"]
    [row] = (await shop.http.get("/v1/orders", headers=key)).json()["items"]
    told = (await shop.http.get(f"/v1/orders/{case.order_id}/promises", headers=key)).json()
    for found in (view["promised_at"], view["complete_at"]), (row["promised_at"], row["complete_at"]):
        assert [datetime.fromisoformat(at) for at in found] == [FIRST, LAST]
    assert [datetime.fromisoformat(told[name]) for name in ("present", "complete")] == [FIRST, LAST]
    assert {line: datetime.fromisoformat(at) for line, at in told["lines"].items()} == {"1": FIRST, "2": LAST}
    headers = await shop.session()
    table = (await shop.http.get("/orders/export.csv", headers=headers)).text
    (told_so,) = csv.DictReader(io.StringIO(table.lstrip("\ufeff")), delimiter=";")
    assert (told_so["Promised for"], told_so["All of it by"]) == (str(day(FIRST)), str(day(LAST)))


async def test_a_line_that_is_cancelled_no_longer_says_when_all_of_it_is_there(shop: Shop) -> None:
    case = await a_parted(shop)
    async with shop.database.transaction() as tx:
        await cancelling.cancel_units(tx, {case.order_id: [Move(2, 1, 1, UnitState.CANCELLED)]}, reason="x")
        page = await list_reads.page(tx, Wanted(), size=10)
        assert (page.rows[0].promised_at, page.rows[0].complete_at) == (FIRST, FIRST)


async def test_an_order_on_one_day_has_one(shop: Shop) -> None:
    case = await a_case(shop)
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET promised_at = %s", (FIRST,))
        header = await reads.header(tx, case.number)
        assert header is not None
        assert (header.promised_at, header.complete_at) == (FIRST, FIRST)
        await tx.execute("UPDATE sales_order SET promised_at = NULL")
        header = await reads.header(tx, case.number)
        assert header is not None
        assert header.complete_at is None


async def test_its_buyer_is_told_both_days_and_of_what_has_come_only_the_rest(shop: Shop) -> None:
    case = await a_parted(shop)
    page = await case.page()
    assert "First items by" in page
    assert "All of it by" in page
    with i18n.speaking("en"):
        for at in FIRST, LAST:
            assert f"by {i18n.day(day(at), in_days(0))} 1 unit" in page
    assert "Primeiros itens até" in await case.page("pt-BR")
    jobs = await case.work()
    parcel = await send(shop, jobs[0])
    page = await case.page()
    assert "First items by" in page  # on its way, not there
    await bring(shop, parcel)
    page = await case.page()
    assert "Arrives by" in page
    assert "First items" not in page


async def test_an_order_whose_first_items_came_in_time_is_not_late_to_its_buyer(shop: Shop) -> None:
    case = await a_parted(shop)
    jobs = await case.work()
    await bring(shop, await send(shop, jobs[0]))
    await promise(shop, case.order_id, datetime.now(UTC) - timedelta(days=2), LAST)
    assert "late" not in (await case.page()).lower()
    await promise(shop, case.order_id, datetime.now(UTC) - timedelta(days=3), datetime.now(UTC) - timedelta(days=2))
    assert "Your order is late" in await case.page()


async def test_messages_name_the_day_of_what_they_are_of(shop: Shop) -> None:
    case = await a_parted(shop)
    settings = shop.app.state.services.settings
    jobs = await case.work()
    parcels = [await send(shop, job) for job in jobs]
    async with shop.database.transaction() as tx:
        both = await telling.facts_of(tx, case.order_id, {}, settings)
        own = [await telling.facts_of(tx, case.order_id, {"shipments": [{"id": str(p)}]}, settings) for p in parcels]
        late = await telling.facts_of(tx, case.order_id, {"promised_at": FIRST.isoformat()}, settings)
    assert both is not None
    assert (both.first_day, both.promised_day) == (day(FIRST), day(LAST))
    assert [(f.first_day, f.promised_day) for f in own if f] == [(None, day(FIRST)), (None, day(LAST))]
    assert late is not None
    assert (late.first_day, late.promised_day) == (None, day(FIRST))


async def test_the_desk_says_both_days_and_that_the_whole_came_in_time(shop: Shop) -> None:
    case = await a_parted(shop)
    headers = await shop.session()
    page = (await shop.http.get(f"/orders/{case.number}", headers=headers)).text
    assert "All of it is promised for" in page
    jobs = await case.work()
    for job in jobs:
        await bring(shop, await send(shop, job))
    await case.told()
    await promise(shop, case.order_id, datetime.now(UTC) - timedelta(days=2), LAST)
    page = (await shop.http.get(f"/orders/{case.number}", headers=headers)).text
    assert "Arrived in time" in page
    assert "Arrived late" not in page


async def test_work_is_measured_by_the_day_its_own_lines_were_promised_for(shop: Shop) -> None:
    case = await a_parted(shop)
    jobs = await case.work()
    await case.told()
    async with shop.database.transaction() as tx:
        assert await tx.tuples(OUTCOMES) == [(jobs[0], FIRST, None), (jobs[1], LAST, None)]
        await promises.repromise(
            tx, case.order_id, LAST + timedelta(days=3), reason=PromiseReason.STOCK_LATE, lines=[2]
        )
    await case.told()
    async with shop.database.transaction() as tx:
        assert await tx.tuples(OUTCOMES) == [(jobs[0], FIRST, None), (jobs[1], LAST, LAST + timedelta(days=3))]


async def test_the_day_of_what_has_left_stays_its_day_when_the_next_one_counts(shop: Shop) -> None:
    over = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    case = await a_parted(shop, over)
    jobs = await case.work()
    await bring(shop, await send(shop, jobs[0]))
    async with shop.database.transaction() as tx:
        assert await lateness.find_late(tx) == 0  # it left; the next day counts from now on
        header = await reads.header(tx, case.number)
        assert header is not None
        assert (header.promised_at, header.complete_at) == (LAST, LAST)
    await send(shop, jobs[1])
    await case.told()
    async with shop.database.transaction() as tx:
        assert [row[1] for row in await tx.tuples(OUTCOMES)] == [over, LAST]


@pytest.mark.parametrize("lines", [None, [1, 2]])
async def test_a_promise_for_all_of_it_keeps_on_record_what_each_line_was_promised_for(
    shop: Shop, lines: list[int] | None
) -> None:
    case = await a_parted(shop)
    jobs = await case.work()
    new = LAST + timedelta(days=5)
    async with shop.database.transaction() as tx:
        await promises.repromise(tx, case.order_id, new, reason=PromiseReason.STOCK_LATE, lines=lines)
        made = await reads.promises(tx, case.order_id)
    assert sorted((p.former_at, p.lines, p.promised_at) for p in made) == [(FIRST, [1], new), (LAST, [2], new)]
    assert made[-1].former_at == FIRST  # what was promised first
    await case.told()
    async with shop.database.transaction() as tx:
        assert await tx.tuples(OUTCOMES) == [(jobs[0], FIRST, new), (jobs[1], LAST, new)]


@pytest.mark.parametrize("lines", [None, [2]])
async def test_what_came_late_stays_late_when_all_the_rest_is_promised_anew(
    shop: Shop, lines: list[int] | None
) -> None:
    over = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    case = await a_parted(shop, over)
    jobs = await case.work()
    await bring(shop, await send(shop, jobs[0]))
    await case.told()
    new = LAST + timedelta(days=5)
    async with shop.database.transaction() as tx:
        await promises.repromise(tx, case.order_id, new, reason=PromiseReason.STOCK_LATE, lines=lines)
        [made] = await reads.promises(tx, case.order_id)
    assert (made.former_at, made.lines, made.promised_at) == (LAST, [2], new)
    await case.told()
    async with shop.database.transaction() as tx:
        assert await tx.tuples(OUTCOMES) == [(jobs[0], over, None), (jobs[1], LAST, new)]
