"""The home page: what it counts, where each figure leads, and what it keeps from whom."""

import html
import re
from datetime import timedelta

import pytest
from tests_http import Shop

from malha.identity.model import Role
from malha.ordering.model import HoldKind
from malha.platform.db import Tx
from malha.testing import builders
from malha.testing.builders import Sold, World

KPI = re.compile(
    r'<a class="m-kpi" href="([^"]+)"><span class="m-kpi-label">([^<]+)</span><span class="m-kpi-value">(.*?)</span>'
)
TODO = re.compile(r'<div class="m-todo">.*?<b>(.*?)</b><small>(.*?)</small>.*?<a class="m-btn m-btn-sm" href="([^"]+)"', re.DOTALL)  # fmt: skip


class Home:
    """What a page says, by its parts."""

    def __init__(self, text: str) -> None:
        self.text = html.unescape(text)
        self.figures = {label: re.sub(r"<[^>]+>", "", value) for _href, label, value in KPI.findall(self.text)}
        self.links = {label: href for href, label, _value in KPI.findall(self.text)}
        self.todos = {title: (detail, href) for title, detail, href in TODO.findall(self.text)}


async def home(shop: Shop, headers: dict[str, str]) -> Home:
    answer = await shop.http.get("/", headers=headers)
    assert answer.status_code == 200, answer.text[:300]
    return Home(answer.text)


async def listed(shop: Shop, headers: dict[str, str], address: str) -> int:
    """How many orders the list at an address shows."""
    page = (await shop.http.get(address, headers=headers)).text
    return len(re.findall(r'<tr id="o\d+"', page))


async def a_day(tx: Tx) -> World:
    """Three orders of today: one at DC, one at S2, one on hold; and one of a week ago at this hour."""
    world = await builders.a_network(tx)
    await builders.an_order(tx, world)
    sku = await builders.a_product(tx, world, "COURO-1", stock={"S2": 5})
    await builders.an_order(tx, world, [Sold(sku, 1, at="S2")], channel="mall")
    await builders.an_order(tx, world, [Sold(sku, 1, at="S2")], holds=[HoldKind.FRAUD])
    old = await builders.an_order(tx, world)
    await tx.execute(
        "UPDATE sales_order SET placed_at = now() - interval '7 days' WHERE id = %(id)s::uuid", {"id": old}
    )
    return world


async def test_every_figure_leads_to_the_list_it_counts(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await a_day(tx)
    owner = await shop.session()
    page = await home(shop, owner)
    assert (page.figures["Orders today"], page.figures["Held"], page.figures["Late"]) == ("3", "1", "0")
    for label in ("Orders today", "Held", "Late", "Waiting for stock"):
        assert await listed(shop, owner, page.links[label]) == int(page.figures[label]), label
    channel = re.search(r'href="(/orders\?view=all[^"]*channel=mall[^"]*)"', page.text)
    state = re.search(r'href="(/orders\?view=all[^"]*state=SP[^"]*)" aria-label="São Paulo: 3 orders"', page.text)
    assert channel
    assert state
    assert await listed(shop, owner, channel[1]) == 1
    assert await listed(shop, owner, state[1]) == 3


async def test_what_is_held_says_why_how_much_and_opens_those_orders(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await a_day(tx)
    owner = await shop.session()
    detail, href = (await home(shop, owner)).todos["Fraud review: 1 order"]
    assert detail.startswith("R$10.00 stand still.")
    assert await listed(shop, owner, href) == 1
    assert await listed(shop, owner, "/orders?view=open&hold=manual") == 0


async def test_late_work_waiting_goods_and_missing_units_need_a_person(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await a_day(tx)
        order = await tx.value(
            "SELECT order_id FROM order_unit WHERE location_id = %(s)s::int LIMIT 1", {"s": world.locations["S2"]}
        )
        await tx.execute(
            "INSERT INTO fulfillment_order (id, order_id, location_id, method, capacity_day, due_at) VALUES"
            " (gen_random_uuid(), %(o)s::uuid, %(l)s::int, 'ship', current_date, now() - interval '95 minutes')",
            {"o": order, "l": world.locations["S2"]},
        )
        rare = await builders.a_product(tx, world, "RARO-1")
        await builders.an_order(tx, world, [Sold(rare, 3, at=None)])
        sku = await tx.value("SELECT id FROM variant WHERE sku = 'COURO-1'")
        await tx.execute(
            "INSERT INTO stock_deficit (id, sku_id, location_id, quantity, reason) VALUES"
            " (gen_random_uuid(), %(sku)s::int, %(l)s::int, 2, 'count')",
            {"sku": sku, "l": world.locations["S2"]},
        )
    page = await home(shop, await shop.session())
    assert page.todos["1 order is late"][0] == "1 at S2"
    assert "1 h 35" in page.text
    assert page.todos["2 units are short at S2"] == ("COURO-1 (COURO-1)", "/orders?view=open&q=COURO-1&location=S2")
    assert page.todos["1 order has no location"] == ("RARO-1: 3 units", "/orders?view=unplaced")


async def test_nothing_to_do_is_said_and_not_left_blank(shop: Shop) -> None:
    page = await home(shop, await shop.session(Role.CUSTOMER_SERVICE))
    assert page.todos == {}
    assert "Nothing needs you" in page.text
    assert "There is no location yet." in page.text


async def test_people_of_a_store_see_its_orders_work_and_place_only(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await a_day(tx)
        await tx.execute("UPDATE location SET latitude = -23.5, longitude = -46.6 WHERE code IN ('DC', 'S1')")
        await tx.execute("UPDATE location SET latitude = -22.9, longitude = -43.2 WHERE code = 'S2'")
    lead = await shop.session(Role.STORE_LEAD, locations=["S2"])
    page = await home(shop, lead)
    assert page.figures["Orders today"] == "2"
    assert "Sales today" not in page.figures
    assert "Waiting for stock" not in page.figures
    assert 'aria-label="S2: 0 open, 0 late"' in page.text
    assert "DC" not in re.sub(r"<path[^>]*>", "", page.text)
    assert "Fraud review: 1 order" in page.todos
    other = await shop.session(Role.STORE_ASSOCIATE, locations=["S1"])
    assert (await home(shop, other)).figures["Orders today"] == "0"


async def test_records_that_failed_are_told_to_those_who_may_see_why(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute("INSERT INTO subscriber (name) VALUES ('order_search')")
        await tx.execute(
            "INSERT INTO parked_key (subscriber, key, state, attempts, cause, error, position, first_failed_at,"
            " last_failed_at) VALUES ('order_search', 'order:x', 'parked', 6, 'ValueError', 'no', 1, now(), now())"
        )
    assert (await home(shop, await shop.session())).todos["1 record could not be handled"][1] == "/attention"
    assert (await home(shop, await shop.session(Role.PLANNER))).todos == {}


async def test_today_is_compared_with_the_same_weekdays_before(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await builders.a_network(tx)
        for week in (0, 0, 0, 0, 1, 1, 2, 2):
            order = await builders.an_order(tx, world)
            # Half past midnight: whatever the clock says now, that hour of a usual day is over, or just runs.
            await tx.execute(
                "UPDATE sales_order SET placed_at = date_trunc('day', now(), 'America/Sao_Paulo') - %(back)s::interval"
                " WHERE id = %(id)s::uuid",
                {"id": order, "back": timedelta(weeks=week)},
            )
    page = await home(shop, await shop.session())
    assert page.figures["Orders today"] == "4"
    assert "Usual, from 2 weeks" in page.text
    assert re.search(r"<th scope=\"row\">00h</th><td[^>]*>4</td><td[^>]*>2\.0</td>", page.text)


@pytest.mark.parametrize("address", ["/orders?view=all&hold=nonsense", "/orders?view=all&state=XX"])
async def test_a_filter_that_means_nothing_is_left_out(shop: Shop, address: str) -> None:
    async with shop.database.transaction() as tx:
        await a_day(tx)
    assert await listed(shop, await shop.session(), address) == 4


async def test_the_last_days_are_counted_against_the_days_before_them(shop: Shop) -> None:
    """Ten orders: one of today, which no span counts, six of the last week, three of the week before."""
    async with shop.database.transaction() as tx:
        world = await builders.a_network(tx)
        for days in (0, 1, 1, 2, 3, 5, 6, 8, 9, 12):
            placed = await builders.an_order(tx, world)
            await tx.execute(
                "UPDATE sales_order SET placed_at = now() - make_interval(days => %(days)s::int) WHERE id = %(id)s::uuid",
                {"id": placed, "days": days},
            )
    owner = await shop.session()
    answer = await shop.http.get("/?period=7", headers=owner)
    page = Home(answer.text)
    assert page.figures["Orders"] == "6"
    assert await listed(shop, owner, page.links["Orders"]) == 6
    assert "100%" in page.text  # 6 against 3
    assert re.search(r"6 orders in these days\. Before: 3\.", page.text)
    month = Home((await shop.http.get("/?period=30", headers=owner)).text)
    assert month.figures["Orders"] == "9"
    assert "Needs you" not in month.text


async def test_one_location_is_looked_at_and_its_lists_are_its_own(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await a_day(tx)
    owner = await shop.session()
    page = Home((await shop.http.get("/?location=S2", headers=owner)).text)
    assert page.figures["Orders today"] == "2"
    assert "location=S2" in page.links["Orders today"]
    assert await listed(shop, owner, page.links["Orders today"]) == 2
    lead = await shop.session(Role.STORE_LEAD, locations=["S1"])
    assert Home((await shop.http.get("/?location=S2", headers=lead)).text).figures["Orders today"] == "0"


async def test_work_that_left_late_shows_in_the_share_on_time(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await builders.a_network(tx)
        first, second = [await builders.an_order(tx, world) for _ in range(2)]
        await tx.execute(
            """
            INSERT INTO fulfillment_order (id, order_id, location_id, method, state, capacity_day, due_at, closed_at)
            SELECT gen_random_uuid(), o.id, l.id, 'ship', 'closed', current_date, now() - interval '20 hours', o.left_at
            FROM (VALUES (%(first)s::uuid, now() - interval '22 hours'), (%(second)s::uuid, now() - interval '2 hours'))
                 o (id, left_at), location l WHERE l.code = 'S1'
            """,
            {"first": first, "second": second},
        )
        await tx.execute("UPDATE sales_order SET placed_at = now() - interval '24 hours'")
    page = Home((await shop.http.get("/?period=7", headers=await shop.session())).text)
    assert page.figures["On time"] == "50.0 %"
    assert page.figures["Until it leaves, median"] == "2 h"
    assert re.search(r"2 jobs, <span class=\"m-late\">1 late</span>", page.text)
