"""Orders taken by hand: what the form shows, what it refuses and where, and that one form makes one order."""

import asyncio
import html
import re
from typing import Any

import httpx
import pytest
from tests_http import Shop

from malha.console.taking_form import KEY
from malha.customers import service as customers
from malha.customers.model import CustomerDraft
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.identity.model import Role
from malha.network import reads as network
from malha.platform import revisions
from malha.platform.address import Address
from malha.platform.subscribers import drain
from malha.testing.builders import a_network, a_product

CPF = "52998224725"
# What the ledger says is claimed of each balance, beside what the balance says.
LEDGER = """
SELECT b.allocated, coalesce(sum(m.d_allocated), 0)::int
FROM balance b LEFT JOIN movement m ON m.sku_id = b.sku_id AND m.location_id = b.location_id
GROUP BY b.sku_id, b.location_id, b.allocated
"""
ONLY_AT = "INSERT INTO channel_location (channel_id, location_id) VALUES (%(channel)s::int, %(location)s::int)"
OPTION = re.compile(r'name="option" value="([^"]*)"( checked)?')


@pytest.fixture
async def counter(shop: Shop) -> Shop:
    """Cups at 10.00 in DC and S1, a lamp without a price, and somebody of customer service."""
    async with shop.database.transaction() as tx:
        shop.world = await a_network(tx)
        await a_product(tx, shop.world, "CUP", stock={"DC": 10, "S1": 3})
        await a_product(tx, shop.world, "LAMP", stock={"DC": 5})
        await tx.execute("UPDATE variant SET price = NULL WHERE sku = 'LAMP'")
        await tx.execute("UPDATE variant SET gtin = '7891000315507', folded = 'cup caneca' WHERE sku = 'CUP'")
        await revisions.bump(tx, network.REVISION)
    shop.headers = await shop.session(Role.CUSTOMER_SERVICE)
    return shop


async def get(shop: Shop, path: str, **query: str) -> httpx.Response:
    part = {"hx-request": "true"} if path.startswith("/orders/new/") else {}  # as scripts ask
    return await shop.http.get(path, params=query or None, headers=shop.headers | part)


async def opened(shop: Shop, path: str = "/orders/new") -> str:
    """Open the form; return its key."""
    page = await get(shop, path)
    assert page.status_code == 200, page.text
    (key,) = re.findall(r'name="key" value="([^"]+)"', page.text)
    assert KEY.fullmatch(key)
    return key


def lines(*wanted: tuple[str, str, str, str]) -> dict[str, str]:
    return {
        f"lines/{n}/{name}": value
        for n, line in enumerate(wanted)
        for name, value in zip(("sku", "quantity", "price", "discount"), line, strict=True)
    }


def filled(key: str, **changes: str) -> dict[str, str]:
    return {
        "key": key, "channel": "web", "customer": "", "name": "Ana Souza", "document": CPF, "email": "ana@loja.test",
        "phone": "11987654321", "method": "ship", "address": "new", "postal_code": "01310-100", "street": "Av. Paulista",
        "number": "10", "pay": "pix", "note": "", "freight": "", **lines(("CUP", "2", "10,00", "")), **changes,
    }  # fmt: skip


async def options(shop: Shop, form: dict[str, str]) -> list[str]:
    """Ask what is offered; return the values of the ways, the one that is marked first."""
    told = await shop.http.post("/orders/new/offers", data=form, headers=shop.headers)
    assert told.status_code == 200, told.text
    found = [(html.unescape(value), bool(mark)) for value, mark in OPTION.findall(told.text)]
    return [value for value, _mark in sorted(found, key=lambda one: not one[1])]


async def with_option(shop: Shop, form: dict[str, str]) -> dict[str, str]:
    return form | {"option": (await options(shop, form))[0]}


async def send(shop: Shop, form: dict[str, str]) -> httpx.Response:
    headers = shop.headers | {"hx-request": "true", "x-slot": "#refusal"}
    return await shop.http.post("/orders/new", data=form, headers=headers)


async def place(shop: Shop, form: dict[str, str]) -> int:
    """Place a form's order; return its number."""
    answer = await send(shop, form)
    assert answer.status_code == 200, answer.text
    return int(answer.headers["hx-redirect"].rpartition("/")[2])


def refused(answer: httpx.Response) -> dict[str, str]:
    """Return what a refusal says, by field."""
    assert answer.status_code in {409, 422}, (answer.status_code, answer.text)
    told = re.findall(r'data-at="([^"]*)">(.*?)</li>', answer.text, re.DOTALL)
    return {at: html.unescape(says.strip()) for at, says in told}


async def count(shop: Shop, statement: str = "SELECT count(*) FROM sales_order") -> Any:
    async with shop.database.transaction() as tx:
        return await tx.value(statement)


async def balanced(shop: Shop) -> bool:
    async with shop.database.transaction() as tx:
        return all(balance == moved for balance, moved in await tx.tuples(LEDGER))


# --- nobody carries it there ---


@pytest.mark.parametrize("policy", ["reject", "backorder"])
async def test_where_no_service_has_a_price_the_form_says_that_and_not_that_goods_are_missing(
    counter: Shop, policy: str
) -> None:
    """As in a shop that was set up this morning: stock is counted, and its service has no prices yet."""
    async with counter.database.transaction() as tx:
        await tx.execute("DELETE FROM service_rate")
        await tx.execute("UPDATE channel SET shortage_policy = %(policy)s WHERE code = 'web'", {"policy": policy})
        await revisions.bump(tx, network.REVISION)
    form = filled(await opened(counter), freight="0")
    shown = (await counter.http.post("/orders/new/offers", data=form, headers=counter.headers)).text
    assert "No shipping service has a price to SP." in shown
    assert 'href="/services"' in shown
    assert "is not all there" not in shown
    answer = await send(counter, await with_option(counter, form))
    if policy == "reject":
        assert refused(answer)["option"].startswith("No shipping service has a price to SP.")
    else:
        assert answer.headers.get("hx-redirect") == "/orders/1", refused(answer)
    fetched = (
        await counter.http.post("/orders/new/offers", data=form | {"method": "pickup"}, headers=counter.headers)
    ).text
    assert "No shipping service" not in fetched


# --- the way of an order ---


async def test_a_form_becomes_an_order_with_what_was_shown_and_says_who_took_it(counter: Shop) -> None:
    form = filled(await opened(counter), note="Toca o interfone duas vezes", **lines(("CUP", "2", "10,00", "1,50")))
    shown = await with_option(counter, form)
    service, price, _arrives = shown["option"].split("|")
    number = await place(counter, shown)
    await drain(counter.database, SUBSCRIPTIONS)
    key = await counter.key(["orders:read"])
    (order,) = (await counter.http.get("/v1/orders", headers=key)).json()["items"]
    assert (order["number"], order["external_id"], order["channel"]) == (number, form["key"], "web")
    assert order["total"] == 2 * 1000 - 150 + int(price)
    page = (await get(counter, f"/orders/{number}")).text
    assert "Order taken by Customer_Service" in page
    assert "Toca o interfone duas vezes" in page
    promises = (await counter.http.get(f"/v1/orders/{order['id']}/promises", headers=key)).json()
    assert promises["present"] is not None
    assert service == "standard"
    async with counter.database.transaction() as tx:
        row = await tx.one(dict, "SELECT ship_to, buyer_document, promised_at FROM sales_order")
        assert await tx.tuples("SELECT kind, amount, expires_at FROM tender") == [("pix", 1850 + int(price), None)]
    assert row["buyer_document"] == CPF
    assert (row["ship_to"]["city"], row["ship_to"]["state"], row["ship_to"]["ibge"]) == ("São Paulo", "SP", "3550308")
    assert await balanced(counter)


async def test_who_took_an_order_stands_with_it_in_the_log(counter: Shop) -> None:
    await place(counter, await with_option(counter, filled(await opened(counter))))
    label = await count(counter, "SELECT actor FROM outbox WHERE type = 'order.placed'")
    person = await count(counter, "SELECT 'person:' || id FROM person")
    assert label == person


async def test_a_form_sent_twice_at_once_is_one_order(counter: Shop) -> None:
    form = await with_option(counter, filled(await opened(counter)))
    answers = await asyncio.gather(*(send(counter, form) for _ in range(4)))
    assert {answer.headers.get("hx-redirect") for answer in answers} == {
        f"/orders/{await count(counter, 'SELECT number FROM sales_order')}"
    }
    assert await count(counter) == 1
    assert await count(counter, "SELECT sum(allocated)::int FROM balance") == 2
    assert await balanced(counter)


async def test_a_form_sent_again_leads_to_its_order_though_dates_and_prices_changed(counter: Shop) -> None:
    form = await with_option(counter, filled(await opened(counter)))
    number = await place(counter, form)
    async with counter.database.transaction() as tx:
        await tx.execute("UPDATE variant SET price = 1234 WHERE sku = 'CUP'")
        await tx.execute("UPDATE service_rate SET price = price + 100")
        await revisions.bump(tx, network.REVISION)
    assert await place(counter, form) == number
    assert await count(counter) == 1


async def test_a_form_that_was_changed_after_it_placed_its_order_places_no_other(counter: Shop) -> None:
    form = await with_option(counter, filled(await opened(counter)))
    number = await place(counter, form)
    answer = await send(counter, form | {"lines/0/quantity": "3"})
    assert answer.status_code == 409
    assert f"it is order {number}" in html.unescape(answer.text)
    assert await count(counter) == 1


async def test_a_form_cannot_take_the_key_of_another_channels_order(counter: Shop) -> None:
    form = await with_option(counter, filled("ML-2000001"))
    assert "key" in refused(await send(counter, form))


# --- what is wrong is told at its field ---


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("name", {"name": ""}),
        ("document", {"document": "529.982.247-26"}),
        ("email", {"email": "ana at home"}),
        ("phone", {"phone": "123"}),
        ("postal_code", {"postal_code": ""}),
        ("postal_code", {"postal_code": "00000-001"}),
        ("postal_code", {"postal_code": "0131"}),
        ("street", {"street": ""}),
        ("number", {"number": ""}),
        ("pay", {"pay": ""}),
        ("pay", {"pay": "later"}),
        ("reference", {"pay": "paid", "paid_with": "credit_card", "reference": ""}),
        ("paid_with", {"pay": "paid", "paid_with": "shells", "reference": "1"}),
        ("lines/0/quantity", {"lines/0/quantity": "many"}),
        ("lines/0/quantity", {"lines/0/quantity": "0"}),
        ("lines/0/quantity", {"lines/0/sku": "NONE"}),
        ("lines/0/price", {"lines/0/price": "9,00"}),
        ("lines/0/price", {"lines/0/price": "-1"}),
        ("lines/0/price", {"lines/0/sku": "LAMP", "lines/0/price": ""}),
        ("lines/0/discount", {"lines/0/discount": "20,01"}),
        ("freight", {"freight": "about ten"}),
        ("goods", {"lines/0/sku": None}),
        ("option", {"option": ""}),
        ("option", {"option": "standard|1|2020-01-01"}),
        ("option", {"option": "drone|1500|2030-01-01"}),
        ("option", {"method": "pickup", "option": ""}),
        ("address", {"address": "999"}),
        ("customer", {"customer": "999"}),
    ],
)
async def test_what_is_wrong_is_told_at_its_field_and_nothing_is_placed(
    counter: Shop, field: str, changes: dict[str, Any]
) -> None:
    form = await with_option(counter, filled(await opened(counter)))
    sent = {name: value for name, value in (form | changes).items() if value is not None}
    assert list(refused(await send(counter, sent))) == [field]
    assert await count(counter) == 0


async def test_all_that_is_wrong_is_told_at_once(counter: Shop) -> None:
    form = filled(await opened(counter), document="1", postal_code="1", **{"lines/0/quantity": "x"})
    assert set(refused(await send(counter, form))) >= {"document", "postal_code", "lines/0/quantity"}


async def test_a_channel_that_is_none_is_refused(counter: Shop) -> None:
    form = filled(await opened(counter), channel="nowhere")
    assert list(refused(await send(counter, form))) == ["channel"]
    assert list(refused(await get(counter, "/orders/new/goods", channel="nowhere", goods="cup"))) == ["channel"]


async def test_a_date_or_price_that_is_no_longer_so_is_told_before_anything_is_placed(counter: Shop) -> None:
    form = await with_option(counter, filled(await opened(counter)))
    async with counter.database.transaction() as tx:
        await tx.execute("UPDATE service_rate SET price = 2750")
        await revisions.bump(tx, network.REVISION)
    told = refused(await send(counter, form))
    assert "R$27.50" in told["option"]
    assert await place(counter, await with_option(counter, form))


# --- stock ---


async def test_a_shortage_is_told_with_the_ways_out_and_refused_where_the_channel_refuses(counter: Shop) -> None:
    form = filled(await opened(counter), channel="mall", pay="paid", paid_with="pix", reference="E1")
    form |= {"lines/0/quantity": "14"}
    told = await counter.http.post("/orders/new/offers", data=form, headers=counter.headers)
    assert "1 line is not all there" in told.text
    assert 'data-take="' in told.text
    answer = refused(await send(counter, form | {"option": "any"}))
    assert "can be had now" in answer["lines/0/quantity"]
    assert await count(counter) == 0


async def test_a_shortage_is_placed_and_waits_where_the_channel_lets_it_wait(counter: Shop) -> None:
    form = filled(await opened(counter), **{"lines/0/quantity": "14"})
    shown = await with_option(counter, form)
    assert shown["option"] == "any"
    assert list(refused(await send(counter, shown))) == ["freight"]
    number = await place(counter, shown | {"freight": "0"})
    assert await count(counter, "SELECT kind FROM order_hold WHERE kind = 'shortage'") == "shortage"
    assert "On hold" in (await get(counter, f"/orders/{number}")).text
    assert await balanced(counter)


async def test_somebody_who_is_quicker_takes_the_stock_and_the_form_says_so(counter: Shop) -> None:
    """Both forms were shown all ten; the gate gives them to one."""
    form = filled(await opened(counter), channel="mall", pay="paid", paid_with="pix", reference="E1")
    form |= {"lines/0/quantity": "10"}
    other = form | {"key": await opened(counter)}
    one, two = await with_option(counter, form), await with_option(counter, other)
    answers = await asyncio.gather(send(counter, one), send(counter, two))
    assert sorted(answer.status_code for answer in answers) == [200, 422]
    (late,) = [answer for answer in answers if answer.status_code == 422]
    assert set(refused(late)) <= {"lines/0/quantity", "option"}
    assert await count(counter) == 1
    assert await balanced(counter)


async def test_an_order_is_fetched_where_and_when_it_was_said(counter: Shop) -> None:
    form = filled(await opened(counter), channel="till", pay="later", method="pickup")
    values = await options(counter, form)
    s1 = next(value for value in values if value.startswith("S1|"))
    await place(counter, form | {"option": s1, "street": "", "postal_code": ""})
    where = "SELECT l.code FROM sales_order o JOIN location l ON l.id = o.pickup_location_id"
    assert await count(counter, where) == "S1"
    assert await count(counter, "SELECT kind FROM tender") == "on_delivery"


async def test_a_replacement_of_a_lost_parcel_costs_nothing_and_asks_for_no_payment(counter: Shop) -> None:
    form = filled(await opened(counter), freight="0", pay="", **lines(("CUP", "1", "10.00", "10.00")))
    await place(counter, await with_option(counter, form))
    assert await count(counter, "SELECT total FROM sales_order") == 0
    assert await count(counter, "SELECT count(*) FROM tender") == 0
    assert await count(counter, "SELECT count(*) FROM order_hold") == 0


async def test_thirty_lines_are_one_order(counter: Shop) -> None:
    async with counter.database.transaction() as tx:
        for n in range(30):
            await a_product(tx, counter.world, f"X{n}", stock={"DC": 4})
        await revisions.bump(tx, network.REVISION)
        await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'catalog'")
    form = filled(await opened(counter), **lines(*((f"X{n}", "2", "10", "") for n in range(30))))
    await place(counter, await with_option(counter, form))
    assert await count(counter, "SELECT count(*) FROM order_line") == 30
    assert await count(counter, "SELECT sum(allocated)::int FROM balance") == 60


# --- what is looked up ---


async def test_goods_are_found_by_sku_gtin_and_name_with_stock_and_price(counter: Shop) -> None:
    for text in ("CUP", "cup", "cane", "7891000315507"):
        found = (await get(counter, "/orders/new/goods", channel="web", goods=text)).text
        assert 'data-value="CUP"' in found, text
        assert "13 available" in found
        assert "R$10.00" in found
    assert "no price" in (await get(counter, "/orders/new/goods", channel="web", goods="LAMP")).text
    row = (await get(counter, "/orders/new/line", channel="web", code="7891000315507", n="7")).text
    assert 'name="lines/7/sku" value="CUP"' in row
    assert re.search(r'name="lines/7/price" value="10\.00"[^>]* readonly', row)
    assert "readonly" not in (await get(counter, "/orders/new/line", channel="web", code="LAMP", n="8")).text
    assert "XYZ" in refused(await get(counter, "/orders/new/line", channel="web", code="XYZ", n="1"))["goods"]


async def test_the_channels_own_price_counts(counter: Shop) -> None:
    async with counter.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO listing_price (channel_id, sku_id, price)"
            " SELECT c.id, v.id, 800 FROM channel c, variant v WHERE c.code = 'web' AND v.sku = 'CUP'"
        )
    assert "R$8.00" in (await get(counter, "/orders/new/goods", channel="web", goods="CUP")).text
    form = await with_option(counter, filled(await opened(counter)))
    assert "R$8.00" in refused(await send(counter, form))["lines/0/price"]
    assert await place(counter, form | {"lines/0/price": "8"})


async def a_customer(shop: Shop) -> int:
    async with shop.database.transaction() as tx:
        home = Address(postal_code="50030230", street="Rua da Aurora", number="5", city="Recife", state="PE")
        draft = CustomerDraft(name="Bia Ramos", document=CPF, phone="81998877665", address=home)
        return (await customers.create_customer(tx, draft)).number


async def test_a_customer_is_found_masked_and_the_order_has_what_was_masked(counter: Shop) -> None:
    number = await a_customer(counter)
    headers, counter.headers = counter.headers, await counter.session(Role.STORE_LEAD)
    found = (await get(counter, "/orders/new/customers", who=CPF)).text
    assert "Bia Ramos" in found
    assert CPF not in found
    assert "529.982" not in found
    who = (await get(counter, "/orders/new/customer", number=str(number))).text
    assert "Aurora" not in who  # the street of a profile is shown to who may see personal data in full
    assert "Recife" in who
    counter.headers = headers
    assert "Aurora" in (await get(counter, "/orders/new/customer", number=str(number))).text
    form = filled(await opened(counter, f"/orders/new?customer={number}"), customer=str(number), address="profile")
    form |= dict.fromkeys(("name", "document", "email", "phone", "postal_code", "street", "number"), "")
    await place(counter, await with_option(counter, form))
    async with counter.database.transaction() as tx:
        row = await tx.one(dict, "SELECT buyer_name, buyer_document, ship_to FROM sales_order")
    assert (row["buyer_name"], row["buyer_document"], row["ship_to"]["street"]) == ("Bia Ramos", CPF, "Rua da Aurora")
    await drain(counter.database, SUBSCRIPTIONS)
    again = (await get(counter, f"/orders/new?customer={number}")).text
    assert "went there" in again


async def test_an_order_is_ordered_again_with_its_lines_customer_and_address(counter: Shop) -> None:
    first = await place(counter, await with_option(counter, filled(await opened(counter))))
    await drain(counter.database, SUBSCRIPTIONS)
    assert f'href="/orders/new?again={first}"' in (await get(counter, f"/orders/{first}")).text
    page = (await get(counter, f"/orders/new?again={first}")).text
    assert re.search(r'name="lines/0/sku" value="CUP"', page)
    assert re.search(r'name="lines/0/quantity" value="2"', page)
    assert re.search(rf'name="address" value="{first}" checked', page)
    assert '<option value="web" selected>' in page


# --- who may ---


async def test_who_may_not_take_orders_sees_no_form_and_no_way_to_it(counter: Shop) -> None:
    counter.headers = await counter.session(Role.PLANNER)
    assert (await get(counter, "/orders/new")).status_code == 403
    assert "/orders/new" not in (await get(counter, "/orders")).text
    counter.headers = await counter.session(Role.STORE_LEAD)
    assert 'href="/orders/new"' in (await get(counter, "/orders")).text


async def test_a_clerk_without_customers_types_them_and_records_no_payment(counter: Shop) -> None:
    number = await a_customer(counter)
    counter.headers = await counter.session(Role.STORE_ASSOCIATE)
    assert (await get(counter, "/orders/new/customers", who="Bia")).status_code == 403
    assert "Bia" not in (await get(counter, "/orders/new/customer", number=str(number))).text
    form = await with_option(counter, filled(await opened(counter)))
    paid = {"pay": "paid", "paid_with": "cash"}
    assert list(refused(await send(counter, form | paid))) == ["pay"]
    assert await place(counter, form)


async def test_who_has_some_locations_uses_the_channels_these_serve_and_sees_their_stock(counter: Shop) -> None:
    async with counter.database.transaction() as tx:
        only = {"channel": counter.world.channels["mall"], "location": counter.world.locations["DC"]}
        await tx.execute(ONLY_AT, only)
        await revisions.bump(tx, network.REVISION)
    counter.headers = await counter.session(Role.STORE_LEAD, locations=["S1"])
    page = (await get(counter, "/orders/new")).text
    assert sorted(re.findall(r'<option value="(web|till|mall)"', page)) == ["till", "web"]
    found = (await get(counter, "/orders/new/goods", channel="web", goods="CUP")).text
    assert "3 available" in found
    assert "more elsewhere" in found
    assert "13" not in found
    form = filled(await opened(counter), channel="mall")
    assert list(refused(await send(counter, form))) == ["channel"]


async def test_an_endless_aisle_sells_what_another_location_sends(counter: Shop) -> None:
    counter.headers = await counter.session(Role.STORE_LEAD, locations=["S1"])
    form = await with_option(counter, filled(await opened(counter), **lines(("LAMP", "1", "55", ""))))
    answer = await send(counter, form)
    assert answer.headers["hx-redirect"] == "/orders/new"
    assert await count(counter) == 1
    assert "other%20locations" in answer.headers["set-cookie"]
