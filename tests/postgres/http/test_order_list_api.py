"""The list of orders as programs read it."""

from tests_http import Shop

from malha.testing.builders import Sold, a_network, a_product, an_order


async def test_an_order_of_the_list_says_the_codes_that_its_filters_take(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5, "S1": 5})
        await an_order(tx, world, [Sold(sku, 2, at="S1"), Sold(sku, 1, at="DC")])
        await an_order(tx, world, [Sold(sku, 1, at="DC")], channel="till")
    key = await shop.key(["orders:read"])
    till, web = (await shop.http.get("/v1/orders", headers=key)).json()["items"]
    assert (web["channel_code"], web["location_codes"]) == ("web", ["DC", "S1"])
    assert (till["channel_code"], till["location_codes"]) == ("till", ["DC"])
    for order in (web, till):
        asked = {"channel": order["channel_code"], "location": order["location_codes"][-1]}
        assert (await shop.http.get("/v1/orders", params=asked, headers=key)).json()["items"] == [order]
