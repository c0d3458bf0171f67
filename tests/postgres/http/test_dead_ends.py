"""A page on which nothing can be done says why, and leads to where something can."""

import pytest
from tests_http import Shop

from malha.console import menu
from malha.exchange import service
from malha.identity.model import ROLES, Role
from malha.platform import jobs
from malha.testing.builders import a_network, a_product


async def test_a_form_without_anything_to_choose_from_leads_to_where_it_comes_from(shop: Shop) -> None:
    owner = await shop.session()
    for path, leads in {
        "/allotments:new": ("/channels:new",),
        "/capacity:several": ("/locations:new",),
        "/channels:new": ("/locations:new",),
        "/channel-feeds:new": ("/channels:new",),
        "/connections:new": ("/channels:new",),
        "/counts:new": ("/locations:new",),
        "/location-groups:new": ("/locations:new",),
        "/locations:new": ("/establishments:new",),
        "/purchase-orders:new": ("/locations:new",),
        "/receive": ("/locations:new",),
        "/stock-sync/sources:new": ("/locations:new",),
        "/transfers:new": ("/locations:new",),
    }.items():
        page = (await shop.http.get(path, headers=owner)).text
        for href in leads:
            assert f'yet. <a href="{href}">' in page, (path, href)


async def test_whom_no_channel_takes_orders_of_is_led_to_the_channels_if_they_may_change_them(shop: Shop) -> None:
    for role, led in ((Role.OWNER, True), (Role.CUSTOMER_SERVICE, False)):
        page = (await shop.http.get("/orders/new", headers=await shop.session(role))).text
        assert "There is no sales channel you may take orders in." in page
        assert ('</b> <a href="/channels">' in page, "Ask whoever looks after channels" in page) == (led, not led)


async def test_a_list_of_orders_before_the_first_leads_to_the_first_steps_whoever_may_take_them(shop: Shop) -> None:
    for role, led in ((Role.OWNER, True), (Role.CUSTOMER_SERVICE, False)):
        page = (await shop.http.get("/orders", headers=await shop.session(role))).text
        assert ("No orders yet" in page, '<a class="m-btn" href="/">First steps</a>' in page) == (True, led)


@pytest.mark.parametrize(
    ("rows", "says"),
    [("NOWHERE;1,00\n", "Every row was refused."), ("", "The file has headings, but no rows below them.")],
)
async def test_a_table_of_which_nothing_can_be_imported_says_what_to_do(shop: Shop, rows: str, says: str) -> None:
    async with shop.database.transaction() as tx:
        await a_product(tx, await a_network(tx), "A", stock={"DC": 1}, price=100)
    await jobs.install(shop.database.url)
    planner = await shop.session(Role.PLANNER)
    sent = await shop.http.post("/imports/prices", files={"file": ("p.csv", f"sku;price\n{rows}")}, headers=planner)
    address = sent.headers["location"]
    found = (await shop.http.get("/v1/imports", headers=planner)).json()
    checked = await shop.http.post(f"/v1/imports/{found[0]['id']}/check", json={}, headers=planner)
    assert checked.status_code == 200
    await service.go_on.work(shop.database, run_id=found[0]["id"])
    page = (await shop.http.get(address, headers=planner)).text
    assert "There is nothing to import." in page
    assert says in page
    assert "Choose another file" in page
    assert "can be undone" not in page


async def test_an_import_that_is_done_leads_to_what_it_brought(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await a_product(tx, await a_network(tx), "A", stock={"DC": 1}, price=100)
    await jobs.install(shop.database.url)
    planner = await shop.session(Role.PLANNER)
    sent = await shop.http.post("/imports/prices", files={"file": ("p.csv", "sku;price\nA;2,00\n")}, headers=planner)
    run = (await shop.http.get("/v1/imports", headers=planner)).json()[0]["id"]
    leads = '<a class="m-btn m-btn-primary" href="/products">Open Prices</a>'
    for act in ("check", "apply"):
        assert leads not in (await shop.http.get(sent.headers["location"], headers=planner)).text
        assert (await shop.http.post(f"/v1/imports/{run}/{act}", json={}, headers=planner)).status_code == 200
        await service.go_on.work(shop.database, run_id=run)
    assert leads in (await shop.http.get(sent.headers["location"], headers=planner)).text


async def test_what_somebody_may_not_do_is_called_by_its_name(shop: Shop) -> None:
    associate = await shop.session(Role.STORE_ASSOCIATE)
    page = await shop.http.get("/people", headers={**associate, "accept": "text/html"})
    assert page.status_code == 403
    assert "This needs a permission that you do not have: " in page.text
    assert "identity:manage" not in page.text


@pytest.mark.parametrize("locations", [None, ["S1"]], ids=["all-locations", "one-location"])
@pytest.mark.parametrize("role", [Role.STORE_ASSOCIATE, Role.CUSTOMER_SERVICE, Role.PLANNER, Role.INTEGRATOR])
async def test_every_page_the_side_bar_offers_opens(shop: Shop, role: Role, locations: list[str] | None) -> None:
    async with shop.database.transaction() as tx:
        await a_network(tx)
    person = await shop.session(role, locations=locations)
    offered = menu.pages_for(ROLES[role].__contains__, limited=locations is not None)
    refused = [p.href for p in offered if (await shop.http.get(p.href, headers=person)).status_code != 200]
    assert refused == []
