"""A kit stays one until somebody says otherwise, and a SKU that has stock does not become one."""

import io

import pytest
from tests_http import Shop

from malha.catalog import reads
from malha.catalog.imports import ProductImport
from malha.inventory import service as inventory
from malha.inventory import standing
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import InboundDraft, InboundKind, InboundLineDraft
from malha.platform.db import Database
from malha.platform.imports import Mode, run_import
from malha.testing.builders import World, a_network, a_product, in_days

SKU = {"sku": "SET", "price": 9000}


@pytest.fixture
async def world(database: Database) -> World:
    """A cup, and what could be a set of cups."""
    async with database.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "CUP", stock={"DC": 9})
        await a_product(tx, world, "SET")
    return world


async def sent(shop: Shop, **variant: object) -> tuple[int, dict[str, object]]:
    key = await shop.key({"catalog:read", "catalog:write"})
    tag = (await shop.http.get("/v1/products/SET", headers=key)).headers["etag"]
    body = {"code": "SET", "name": "Jogo", "variants": [{**SKU, **variant}]}
    answer = await shop.http.put("/v1/products/SET", json=body, headers={**key, "if-match": tag})
    return answer.status_code, answer.json()


async def parts(database: Database) -> dict[str, int] | None:
    async with database.transaction() as tx:
        (variant,) = (await reads.products_by_code(tx, ["SET"]))["SET"].variants
    return variant.components if variant.is_kit else None


async def test_a_kit_that_does_not_say_what_it_is_made_of_stays_one_and_an_empty_object_ends_it(
    shop: Shop, database: Database, world: World
) -> None:
    assert (await sent(shop, components={"CUP": 2}))[0] == 200
    assert (await sent(shop, weight_grams=500))[0] == 200
    assert await parts(database) == {"CUP": 2}
    assert (await sent(shop, components={}))[0] == 200
    assert await parts(database) is None


async def put(database: Database, world: World, what: str) -> None:
    """Have some units of SET somewhere, or on their way."""
    async with database.transaction() as tx:
        (sku,) = (card.id for card in await reads.by_skus(tx, ["SET"]))
        if what == "coming":
            line = InboundLineDraft(sku_id=sku, quantity=5, eta=in_days(9))
            draft = InboundDraft(
                kind=InboundKind.PURCHASE, supplier="Olaria", location_id=world.locations["DC"], lines=[line]
            )
            await supply.place_order(tx, draft)
            return
        there = [Claim(sku, world.locations[code], quantity) for code, quantity in (("DC", 3), ("S1", 1))]
        await inventory.set_on_hand(tx, there, Reference("test"), Reason.INITIAL)
        if what == "held":
            claim = Claim(sku, world.locations["DC"], 2)
            assert await inventory.place_hold(tx, "cart", [claim], seconds=300) == []


WHERE = {
    "on hand": "4 on hand, 0 for orders, 0 in carts, 0 on the way (DC, S1).",
    "held": "4 on hand, 0 for orders, 2 in carts, 0 on the way (DC, S1).",
    "coming": "0 on hand, 0 for orders, 0 in carts, 5 on the way (DC).",
}


@pytest.mark.parametrize("what", WHERE)
async def test_a_sku_with_stock_does_not_become_a_kit_by_the_api_nor_by_a_table(
    shop: Shop, database: Database, world: World, what: str
) -> None:
    await put(database, world, what)
    says = f"SET has stock of its own, so it cannot become a kit: {WHERE[what]}"
    status, problem = await sent(shop, components={"CUP": 2})
    assert (status, problem["code"], problem["detail"]) == (409, "stocked_kit", says)
    table = b"sku;components\nSET;CUP:2\n"
    target = ProductImport(stands=standing.of)
    report = await run_import(database, target, io.BytesIO(table), mode=Mode.ALL)
    assert [(p.line, p.column, p.text("en").startswith(says)) for p in report.problems] == [(2, "components", True)]
    assert await parts(database) is None
