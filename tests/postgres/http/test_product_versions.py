"""A product's version covers all that is said of it, whoever changes what: nobody's change is lost unseen."""

import asyncio
import io
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import msgspec
import pytest
from msgspec.structs import replace
from tests.waiting import waiting
from tests_http import Shop

from malha.catalog import making, ownership, reads, service, taking
from malha.catalog.imports import PriceImport, ProductImport
from malha.catalog.model import MediaDraft, Product, ProductDraft, Substitute, VariantDraft
from malha.platform.db import Database, Tx
from malha.platform.imports import IN_USE, Mode, Trace, run_import

# Who waits longer than this looks for the circle, and is the one that gives way.
SOON = "SET LOCAL deadlock_timeout = '20ms'"
PICTURE = MediaDraft(url="https://img.example/cup.jpg", alt="Caneca")
GOODS = [
    ProductDraft(
        code="CUP",
        name="Caneca",
        options=["Cor"],
        variants=[
            VariantDraft(sku="CUP-B", options={"Cor": "Azul"}, price=3000, media=[PICTURE]),
            VariantDraft(sku="CUP-R", options={"Cor": "Rosa"}, price=3000, substitutes=[Substitute("CUP-B")]),
        ],
        media=[PICTURE],
    ),
    ProductDraft(code="JAR", name="Pote", variants=[VariantDraft(sku="A-JAR", price=900)]),
    ProductDraft(code="SET", name="Jogo", variants=[VariantDraft(sku="SET", price=9000, components={"CUP-B": 2})]),
]


@pytest.fixture(autouse=True)
async def goods(database: Database) -> None:
    async with database.transaction() as tx:
        await service.put_products(tx, GOODS)


@pytest.fixture
async def client(shop: Shop) -> httpx.AsyncClient:
    shop.http.headers.update(await shop.key({"catalog:read", "catalog:write"}))
    return shop.http


async def now(database: Database) -> dict[str, Product]:
    async with database.transaction() as tx:
        return await reads.products_by_code(tx, [draft.code for draft in GOODS])


async def versions(database: Database) -> dict[str, int]:
    return {code: product.version for code, product in (await now(database)).items()}


def first(draft: ProductDraft, **changes: Any) -> ProductDraft:
    """A product of which the first variant is changed, and stated alone."""
    return replace(draft, variants=[replace(draft.variants[0], **changes)])


CHANGES: dict[str, ProductDraft] = {
    "the price of a variant": first(GOODS[0], price=3100),
    "the weight of a variant": first(GOODS[0], weight_grams=1),
    "a new variant": first(GOODS[0], sku="CUP-G", options={"Cor": "Verde"}, media=None),
    "a variant off sale": first(GOODS[0], active=False),
    "the pictures of a variant": first(GOODS[0], media=[replace(PICTURE, alt="Outra")]),
    "no pictures of a variant": first(GOODS[0], media=[]),
    "the pictures of the product": replace(GOODS[0], media=[PICTURE, replace(PICTURE, alt="Outra")]),
    "what stands in for a variant": first(GOODS[0], substitutes=[Substitute("A-JAR", both_ways=True)]),
    "how many a kit holds": first(GOODS[2], components={"CUP-B": 3}),
    "what a kit holds": first(GOODS[2], components={"CUP-R": 2}),
    "a kit of nothing any more": first(GOODS[2], components={}),
    "the product with a variant": replace(first(GOODS[0], price=3100), name="Xícara"),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_whatever_changes_of_a_product_raises_its_version_once_and_no_other(
    database: Database, what: str
) -> None:
    before = await versions(database)
    assert before == {"CUP": 1, "JAR": 1, "SET": 1}
    draft = CHANGES[what]
    for _ in range(2):  # stated again it changes nothing
        async with database.transaction() as tx:
            await service.put_products(tx, [draft])
        assert await versions(database) == before | {draft.code: 2}


async def imported(database: Database, text: str, target: ProductImport | PriceImport) -> None:
    report = await run_import(database, target, io.BytesIO(text.encode()), mode=Mode.ALL)
    assert (report.bad, report.applied) == (0, True), report.problems


async def told(database: Database, sku: str, **fields: object) -> None:
    async with database.transaction() as tx:
        await ownership.claim(tx, "erp", "ERP", ["price"])
        await taking.take(tx, "erp", {sku: fields})


async def joined(database: Database) -> None:
    async with database.transaction() as tx:
        told = {"variant_name": "Caneca lilás", "options": {"Cor": "Lilás"}}
        made = await making.make(tx, "erp", [making.New(sku="CUP-L", product="X", told=told, joins="CUP")])
        assert made.products == {"CUP-L": "CUP"}


async def unmade(database: Database) -> None:
    async with database.transaction() as tx:
        assert await making.unmake(tx, ["CUP-R"], []) == set()


PATHS: dict[str, Callable[[Database], Awaitable[None]]] = {
    "a table of prices": lambda db: imported(db, "sku;price\nCUP-R;31\nCUP-B;32\nA-JAR;9,00\n", PriceImport()),
    "a table of products": lambda db: imported(db, "sku;price\nCUP-R;31\nCUP-B;32\nA-JAR;9,00\n", ProductImport()),
    "a connection that keeps the price": lambda db: told(db, "CUP-B", price=3300),
    "a connection that makes a variant": joined,
    "a variant that a connection made, taken away": unmade,
}


@pytest.mark.parametrize("path", PATHS)
async def test_every_way_to_change_a_variant_raises_the_version_of_its_product(database: Database, path: str) -> None:
    await PATHS[path](database)
    assert await versions(database) == {"CUP": 2, "JAR": 1, "SET": 1}


async def test_what_another_product_names_is_not_taken_away_by_an_undo_and_leaves_that_product_as_it_is(
    database: Database,
) -> None:
    await imported(database, "sku;name\nNEW;Novo\n", ProductImport())
    async with database.transaction() as tx:
        after = (await reads.products_by_code(tx, ["NEW"]))["NEW"]
        await service.put_products(tx, [first(GOODS[1], substitutes=[Substitute("NEW")])])
    assert await versions(database) == {"CUP": 1, "JAR": 2, "SET": 1}
    async with database.transaction() as tx:
        trace = Trace(key="NEW", label="NEW", before=None, after=msgspec.to_builtins(after))
        assert await ProductImport().take_back(tx, [trace], []) == {"NEW": IN_USE}
    assert await versions(database) == {"CUP": 1, "JAR": 2, "SET": 1}


async def test_of_two_edits_of_the_same_version_one_is_refused(database: Database, client: httpx.AsyncClient) -> None:
    """Each changes another variant and leaves the product's own fields."""

    def edit(sku: str, colour: str) -> Awaitable[httpx.Response]:
        body = {"code": "CUP", "name": "Caneca", "options": ["Cor"],
                "variants": [{"sku": sku, "options": {"Cor": colour}, "price": 4000}]}  # fmt: skip
        return client.put("/v1/products/CUP", json=body, headers={"if-match": '"1"'})

    answers = await asyncio.gather(edit("CUP-B", "Azul"), edit("CUP-R", "Rosa"))
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    assert sorted(v.price or 0 for v in (await now(database))["CUP"].variants) == [3000, 4000]


async def test_who_has_a_product_from_before_a_price_is_not_told_that_it_is_the_same(
    database: Database, client: httpx.AsyncClient
) -> None:
    read = await client.get("/v1/products/CUP")
    tag = {"if-none-match": read.headers["etag"]}
    assert (await client.get("/v1/products/CUP", headers=tag)).status_code == 304
    await imported(database, "sku;price\nCUP-R;31\n", PriceImport())
    again = await client.get("/v1/products/CUP", headers=tag)
    assert again.status_code == 200
    assert again.json()["variants"][1]["price"] == 3100


async def _until_it_waits(database: Database, task: asyncio.Task[Any]) -> None:
    async with asyncio.timeout(60):
        while await waiting(database) < 1:
            assert not task.done(), "it should have waited"
            await asyncio.sleep(0.01)


async def test_an_edit_waits_for_prices_that_are_being_written_and_is_refused_then(
    database: Database, client: httpx.AsyncClient
) -> None:
    body = {"code": "CUP", "name": "Xícara", "options": ["Cor"]}
    async with asyncio.TaskGroup() as group, database.transaction() as tx:
        await service.lock_variants(tx, ["CUP-R"])
        await service.set_prices(tx, {"CUP-R": 3100})
        editing = group.create_task(client.put("/v1/products/CUP", json=body, headers={"if-match": '"1"'}))
        await _until_it_waits(database, editing)
    assert editing.result().status_code == 412


async def in_turn(
    database: Database, have: Callable[[Tx], Awaitable[object]], then: Callable[[Tx], Awaitable[object]],
    other: Awaitable[Any],
) -> None:  # fmt: skip
    """Let one transaction have a lock, the other come to it, and the first go on: neither waits for the other for good."""
    async with asyncio.timeout(60), asyncio.TaskGroup() as group, database.transaction() as tx:
        await tx.execute(SOON)
        await have(tx)
        doing = group.create_task(_awaited(other))
        await _until_it_waits(database, doing)
        await then(tx)


async def _awaited(what: Awaitable[Any]) -> Any:
    return await what


async def test_prices_lock_products_in_the_order_of_codes_whatever_their_skus_are_called(database: Database) -> None:
    """A-JAR comes before CUP-R, and the product CUP before JAR."""
    prices = imported(database, "sku;price\nA-JAR;10\nCUP-R;31\n", PriceImport())
    edit = first(GOODS[1], price=1100)
    await in_turn(
        database, lambda tx: service.lock_product(tx, "CUP"), lambda tx: service.put_products(tx, [edit]), prices
    )
    assert (await now(database))["JAR"].variants[0].price == 1000


async def test_an_edit_of_a_kit_locks_what_kits_are_made_of_before_its_product(
    database: Database, client: httpx.AsyncClient
) -> None:
    """As a table of kits does, and what a connection tells."""
    body = {"code": "SET", "name": "Jogo", "variants": [{"sku": "SET", "components": {"CUP-B": 4}}]}
    edit = client.put("/v1/products/SET", json=body, headers={"if-match": '"1"'})
    await in_turn(database, service.lock_kits, lambda tx: service.lock_products(tx, ["SET"]), edit)
    assert (await now(database))["SET"].variants[0].components == {"CUP-B": 4}
