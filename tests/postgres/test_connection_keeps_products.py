"""A connection that keeps fields of products: chosen, tried, read and written; what it does not keep stays people's."""

import asyncio
from typing import Any

import pytest
from linked_world import CODE, Linked, linked

from malha.catalog import ownership, reads, service
from malha.catalog.errors import ProductFieldOwned
from malha.catalog.model import Product, ProductDraft, VariantDraft
from malha.channels.connecting import mapping, master_reads, mastering, products, turns
from malha.channels.connecting.errors import ProductRoleChanged
from malha.platform import audit
from malha.platform.flaws import Invalid

GTIN = "7891000315507"


@pytest.fixture
async def shop(database, tmp_path):
    async with linked(database, tmp_path) as made:
        made.peer.products = [
            {"id": "a", "sku": "A", "name": "Caneca azul", "price": 2990, "gtin": GTIN, "product_name": "Caneca",
             "brand": "Da casa", "ncm": "69111010", "weight_grams": 350, "dimensions": [100, 90, 80], "version": 1},
            {"id": "b", "sku": "OTHER", "name": "Manta", "price": 9990, "brand": "Da casa", "version": 1},
        ]  # fmt: skip
        yield made


async def read(shop: Linked) -> None:
    await products.ensure(shop.runtime)
    await shop.due()
    assert await turns.work(shop.runtime, products.STREAM, products.read, asyncio.Event()) == 1


async def keep(shop: Linked, *fields: str, version: int = 0) -> int:
    async with shop.database.transaction() as tx:
        return await mastering.put_fields(tx, CODE, fields, version)


async def product(shop: Linked, code: str) -> Product:
    async with shop.database.transaction() as tx:
        found = await reads.product_by_code(tx, code)
    assert found
    return found


async def taken(shop: Linked) -> int:
    return await mastering.work(shop.runtime, asyncio.Event())


async def test_what_it_keeps_is_written_and_what_it_does_not_stays_as_people_wrote_it(shop: Linked):
    async with shop.database.transaction() as tx:
        before = await reads.product_by_code(tx, "A")
        assert before
        mine = {"name": "Nome da casa", "description": "Escrita aqui", "variants": []}
        await service.update_product(tx, ProductDraft(code="A", **mine), before.version)
    await read(shop)
    assert (await product(shop, "A")).brand is None, "a connection that keeps nothing writes nothing"
    assert await keep(shop, "brand", "ncm", "gtin", "weight", "dimensions") == 1
    assert await taken(shop) == 1
    found = await product(shop, "A")
    (variant,) = found.variants
    assert (found.name, found.description) == ("Nome da casa", "Escrita aqui")
    assert (found.brand, found.ncm, variant.gtin, variant.weight_grams) == ("Da casa", "69111010", GTIN, 350)
    assert (variant.length_mm, variant.width_mm, variant.height_mm, variant.price) == (100, 90, 80, 1000)
    assert await taken(shop) == 0
    shop.peer.products[0] |= {"brand": "Outra", "product_name": "Xícara", "version": 2}
    shop.peer.products.append(shop.peer.products[0])
    await read(shop)
    assert await taken(shop) == 1
    found = await product(shop, "A")
    assert (found.name, found.brand) == ("Nome da casa", "Outra")
    async with shop.database.transaction() as tx:
        trail = await audit.trail(tx, entity="product", entity_id="A")
    assert [(entry.actor_kind, entry.actor_id) for entry in trail[:2]] == [("connection", CODE), ("connection", CODE)]


async def test_people_cannot_change_what_it_keeps_until_it_keeps_it_no_more(shop: Linked):
    await read(shop)
    await keep(shop, "brand")
    await taken(shop)
    version = (await product(shop, "A")).version
    draft = ProductDraft(code="A", name="A", brand="Minha")
    with pytest.raises(Invalid) as refused:
        async with shop.database.transaction() as tx:
            await service.update_product(tx, draft, version)
    assert [(f.at, f.facts["name"]) for f in refused.value.flaws] == [("brand", "Loja")]
    with pytest.raises(ProductRoleChanged):
        await keep(shop, version=0)
    assert await keep(shop, version=1) == 2
    async with shop.database.transaction() as tx:
        await service.update_product(tx, draft, version)
    await read_all_again(shop)
    assert (await product(shop, "A")).brand == "Minha"


async def read_all_again(shop: Linked) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE connection_cursor SET value = NULL WHERE stream = 'products'")
    await read(shop)
    await taken(shop)


async def test_a_variant_that_a_person_maps_is_written_and_let_go_when_it_is_unmapped(shop: Linked):
    await read(shop)
    await keep(shop, "price")
    await taken(shop)
    assert (await product(shop, "B")).variants[0].price == 1000
    async with shop.database.transaction() as tx:
        await mapping.put(tx, CODE, [("OTHER", "B")])
    assert await taken(shop) == 1
    assert (await product(shop, "B")).variants[0].price == 9990
    async with shop.database.transaction() as tx:
        b = await reads.product_by_code(tx, "B")
        assert b
        assert [lock.field for lock in (await ownership.locked(tx, [b]))["B"]] == ["price"]
        await mapping.unmap(tx, CODE, ["OTHER"])
        assert (await ownership.locked(tx, [b]))["B"] == []


async def test_a_preview_counts_what_would_change_and_changes_nothing(shop: Linked):
    await read(shop)
    async with shop.database.transaction() as tx:
        told = await mastering.preview(tx, CODE, ["brand", "price", "name"])
        await ownership.claim(tx, "erp", "ERP", ["name"])
        again = await mastering.preview(tx, CODE, ["brand", "name"])
    assert (told.mapped, told.looked, told.products) == (1, 1, 1)
    assert told.counts["brand"] == told.counts["price"] == told.counts["name"] == 1
    assert ("A", "brand", "", "Da casa") in [(c.product, c.field, c.old, c.new) for c in told.sample]
    assert told.conflicts == []
    assert [(c.field, c.owner) for c in again.conflicts] == [("name", "erp")]
    found = await product(shop, "A")
    assert (found.brand, found.variants[0].price) == (None, 1000)
    with pytest.raises(ProductFieldOwned):
        await keep(shop, "brand", "name")
    async with shop.database.transaction() as tx:
        assert (await master_reads.master(tx, await shop.id())).fields == ()


async def test_what_cannot_be_written_is_held_with_its_reason_until_the_channel_mends_it(shop: Linked):
    shop.peer.products[0] |= {"ncm": "12", "version": 1}
    await read(shop)
    await keep(shop, "brand", "ncm")
    await taken(shop)
    found = await product(shop, "A")
    assert (found.brand, found.ncm) == ("Da casa", "61091000")
    async with shop.database.transaction() as tx:
        (held,) = await master_reads.held(tx, await shop.id())
    assert (held.product, [flaw["at"] for flaw in held.flaws]) == ("A", ["ncm"])
    shop.peer.products.append(shop.peer.products[0] | {"ncm": "69111010", "version": 2})
    await read(shop)
    await taken(shop)
    assert (await product(shop, "A")).ncm == "69111010"
    async with shop.database.transaction() as tx:
        assert await master_reads.held(tx, await shop.id()) == []


async def test_a_field_that_the_connector_does_not_tell_is_refused(shop: Linked):
    with pytest.raises(Invalid) as refused:
        await keep(shop, "brand", "colour")
    assert [f.facts["field"] for f in refused.value.flaws] == ["colour"]


async def test_several_workers_write_each_word_once_and_the_newest_last(shop: Linked):
    async with shop.database.transaction() as tx:
        for n in range(60):
            draft: dict[str, Any] = {"code": f"P{n}", "name": f"Produto {n}"}
            await service.put_products(tx, [ProductDraft(**draft, variants=[VariantDraft(sku=f"P{n}")])])
    shop.peer.products = [{"id": f"p{n}", "sku": f"P{n}", "brand": "Um", "version": 1} for n in range(60)]
    await read(shop)
    await keep(shop, "brand")
    shop.peer.products += [{"id": f"p{n}", "sku": f"P{n}", "brand": "Dois", "version": 2} for n in range(60)]
    await asyncio.gather(read(shop), *(taken(shop) for _ in range(4)))
    await taken(shop)
    brands = {(await product(shop, f"P{n}")).brand for n in range(60)}
    assert brands == {"Dois"}
