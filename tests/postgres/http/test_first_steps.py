"""The home page of a new retailer: what to do first, ticked as it is done, gone with the first order."""

import re

from tests_http import Shop

from malha.identity.model import Role
from malha.testing import builders

STEP = re.compile(r'<li class="m-todo( m-todo-done)?">.*?<b>(.*?)[ <].*?</li>', re.DOTALL)


async def steps(shop: Shop, who: dict[str, str]) -> list[bool]:
    """Return whether each step that the page shows is done."""
    answer = await shop.http.get("/", headers=who)
    assert answer.status_code == 200
    return [bool(done) for done, _title in STEP.findall(answer.text)]


async def test_an_empty_retailer_is_led_to_its_first_order_step_by_step(shop: Shop) -> None:
    owner = await shop.session()
    assert await steps(shop, owner) == [False] * 7
    async with shop.database.transaction() as tx:
        world = await builders.a_network(tx)
    assert sum(await steps(shop, owner)) >= 3
    async with shop.database.transaction() as tx:
        await builders.a_product(tx, world, "COURO-1", stock={"S2": 5})
    assert sum(await steps(shop, owner)) >= 5
    async with shop.database.transaction() as tx:
        await builders.an_order(tx, world)
    assert await steps(shop, owner) == []


async def test_whoever_may_not_set_a_retailer_up_is_not_asked_to(shop: Shop) -> None:
    assert await steps(shop, await shop.session(Role.CUSTOMER_SERVICE)) == []


async def test_lists_of_an_empty_retailer_say_what_comes_first(shop: Shop) -> None:
    owner = await shop.session()
    for address, leads_to in {
        "/stock": "/imports?kind=products",
        "/customers": "/imports?kind=customers",
        "/keys": "/keys/new",
    }.items():
        page = (await shop.http.get(address, headers=owner)).text
        assert f'href="{leads_to}"' in page, address
    orders = (await shop.http.get("/orders", headers=owner)).text
    assert "No orders yet" in orders
