"""A shopper is told beforehand that an order for so many units of a SKU would wait for a person, and how many may be
bought."""

import pytest
from test_promise_pages_api import get, grow_old
from tests_http import Shop

from malha.network import reads
from malha.platform import revisions
from malha.testing.builders import a_network, a_product

IN_ENGLISH = "One order may have 10 of CUP, 12 are wanted."


@pytest.fixture
async def sold(shop: Shop) -> Shop:
    """Cups and mugs of which there are plenty, and a set of two cups; on the web ten of each unasked."""
    async with shop.database.transaction() as tx:
        shop.world = await a_network(tx)
        cup = await a_product(tx, shop.world, "CUP", stock={"DC": 100, "S1": 100})
        await a_product(tx, shop.world, "MUG", stock={"DC": 100})
        await a_product(tx, shop.world, "SET", components={cup: 2})
        await tx.execute("UPDATE channel SET most_units = 10 WHERE code = 'web'")
        await revisions.bump(tx, reads.REVISION)
    shop.headers = await shop.key(["stock:read", "intake:submit"]) | {"accept-language": "en"}
    await grow_old(shop)
    return shop


def lines(*wanted: tuple[str, int]) -> list[dict[str, object]]:
    return [{"sku": sku, "quantity": quantity} for sku, quantity in wanted]


async def promise(shop: Shop, *wanted: tuple[str, int], language: str = "en", **more: object) -> dict:
    body = {"channel": "web", "postal_code": "01310-100", "lines": lines(*wanted)} | more
    headers = shop.headers | {"accept-language": language}
    answer = await shop.http.post("/v1/promises", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_no_date_is_promised_for_more_than_an_order_gets_unasked_and_it_is_said_how_many_that_is(
    sold: Shop,
) -> None:
    usual = await promise(sold, ("CUP", 10), ("MUG", 10))
    assert usual["deliveries"]
    assert usual["collections"]
    assert "reasons" not in usual
    why = {"reason": "quantity", "sku": "CUP", "asked": 12, "most_units": 10, "says": IN_ENGLISH}
    assert await promise(sold, ("CUP", 12), ("MUG", 1)) == {"deliveries": [], "collections": [], "reasons": [why]}
    said = (await promise(sold, ("CUP", 12), language="pt-BR"))["reasons"][0]["says"]
    assert said == "Um pedido pode ter 10 de CUP; foram pedidos 12."


async def test_lines_of_one_sku_count_together_and_a_kit_for_itself(sold: Shop) -> None:
    apart = await promise(sold, ("CUP", 6), ("CUP", 6))
    assert [(r["sku"], r["asked"]) for r in apart["reasons"]] == [("CUP", 12)]
    assert "reasons" not in await promise(sold, ("SET", 10), ("CUP", 10))


async def test_a_channel_that_takes_any_quantity_promises_it(sold: Shop) -> None:
    assert (await promise(sold, ("CUP", 50), channel="till"))["collections"]


async def test_a_product_page_shows_no_date_for_more_and_those_it_has_for_the_rest(sold: Shop) -> None:
    async with sold.database.transaction() as tx:
        await tx.execute("UPDATE channel SET most_units = 1 WHERE code = 'mall'")
        await revisions.bump(tx, reads.REVISION)
    await grow_old(sold)
    usual = (await get(sold, quantity=10)).json()["items"][0]
    assert usual["deliveries"]
    assert "reasons" not in usual
    for _again in range(2):  # whether or not it is kept
        many = (await get(sold, quantity=12)).json()["items"]
        why = {"reason": "quantity", "sku": "CUP", "asked": 12, "most_units": 10, "says": IN_ENGLISH}
        assert many == [{"sku": "CUP", "deliveries": [], "collections": [], "reasons": [why]}]
    other = (await get(sold, quantity=12, headers={"accept-language": "pt-BR"})).json()["items"][0]
    assert other["reasons"][0]["says"].startswith("Um pedido pode ter 10 de CUP")
    for sku in ("CUP", "MUG"):
        (item,) = (await get(sold, quantity=2, channel="mall", sku=sku)).json()["items"]
        assert [r["sku"] for r in item["reasons"]] == [sku]


async def test_a_page_follows_a_channel_whose_quantity_was_changed(sold: Shop) -> None:
    assert (await get(sold, quantity=12)).json()["items"][0]["reasons"]
    async with sold.database.transaction() as tx:
        await tx.execute("UPDATE channel SET most_units = NULL WHERE code = 'web'")
        await revisions.bump(tx, reads.REVISION)
    await grow_old(sold)
    assert (await get(sold, quantity=12)).json()["items"][0]["deliveries"]


async def test_a_cart_holds_no_more_than_its_order_would_get_unasked(sold: Shop) -> None:
    async def hold(name: str, *items: tuple[str, str, int], **more: object):
        wanted = [{"sku": sku, "location": place, "quantity": n} for sku, place, n in items]
        body = {"reference": name, "items": wanted, "channel": "web"} | more
        return await sold.http.post("/v1/holds", json=body, headers=sold.headers)

    refused = await hold("cart-1", ("MUG", "DC", 1), ("CUP", "DC", 6), ("CUP", "S1", 6))
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "too_many_units")
    assert problem["facts"] == {"most_units": 10, "skus": {"CUP": 12}, "count": 1}
    assert [(e["at"], e["says"]) for e in problem["errors"]] == [
        ("/items/1/quantity", IN_ENGLISH),
        ("/items/2/quantity", IN_ENGLISH),
    ]
    async with sold.database.snapshot() as tx:
        assert await tx.value("SELECT coalesce(sum(held), 0) FROM balance") == 0
    assert (await hold("cart-1", ("MUG", "DC", 10), ("CUP", "DC", 5), ("CUP", "S1", 5))).status_code == 201
    assert (await hold("cart-2", ("CUP", "DC", 12), channel="till")).status_code == 201
    assert (await hold("cart-3", ("CUP", "DC", 12), channel=None)).status_code == 201


async def test_availability_says_how_many_an_order_may_have_and_a_basket_with_more_is_not_available(sold: Shop) -> None:
    for channel, most in (("web", 10), ("till", None)):
        asked = {"channel": channel, "sku": ["CUP"]}
        found = await sold.http.get("/v1/availability", params=asked, headers=sold.headers)
        assert found.json()["most_units"] == most

    async def check(*wanted: tuple[str, int]) -> dict:
        body = {"channel": "web", "to_state": "SP", "lines": lines(*wanted)}
        answer = await sold.http.post("/v1/availability:check", json=body, headers=sold.headers)
        return answer.json()

    usual, many = await check(("CUP", 10)), await check(("CUP", 12))
    assert (usual["available"], usual["covered"], usual["reasons"]) == (True, True, [])
    assert (many["available"], many["covered"]) == (False, False)
    assert [(r["reason"], r["sku"], r["most_units"]) for r in many["reasons"]] == [("quantity", "CUP", 10)]
    assert many["lines"][0]["available"] == 12
