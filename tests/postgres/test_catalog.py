"""The catalogue in a real database: products with variants, kits, media, categories, cards and searches."""

import asyncio

import pytest

from malha.catalog import reads, service
from malha.catalog.errors import CategoryLoop, ProductCodeTaken, UnknownCategory
from malha.catalog.model import CategoryDraft, Component, MediaDraft, ProductDraft, VariantDraft
from malha.platform.db import Database
from malha.platform.errors import Conflict
from malha.platform.flaws import Invalid

SHIRT = ProductDraft(
    code="CAM",
    name="Camiseta",
    brand="Malha",
    ncm="6109.10.00",
    options=["Cor", "Tamanho"],
    variants=[
        VariantDraft(sku="CAM-AZ-M", options={"Cor": "Azul", "Tamanho": "M"}, weight_grams=180, gtin="7891000315507"),
        VariantDraft(sku="CAM-AZ-G", options={"Cor": "Azul", "Tamanho": "G"}, weight_grams=200, price=4990),
    ],
    media=[MediaDraft(url="https://img.example/cam.jpg", alt="Camiseta azul")],
)


def a_product(sku: str, **facts: object) -> ProductDraft:
    return ProductDraft(code=f"P-{sku}", name=f"Produto {sku}", variants=[VariantDraft(sku=sku, **facts)])


def a_kit(sku: str, **components: int) -> ProductDraft:
    return a_product(sku, components={name.replace("_", "-"): n for name, n in components.items()})


async def test_products_are_saved_with_names_made_of_their_options_and_found_as_cards(database: Database) -> None:
    async with database.transaction() as tx:
        (saved,) = await service.put_products(tx, [SHIRT])
        assert saved.created
        cards = {card.sku: card for card in await reads.by_skus(tx, ["CAM-AZ-M", "CAM-AZ-G", "nothing"])}
        assert cards.keys() == {"CAM-AZ-M", "CAM-AZ-G"}
        assert cards["CAM-AZ-M"].name == "Camiseta Azul / M"
        assert cards["CAM-AZ-M"].id == saved.skus["CAM-AZ-M"]
        assert (cards["CAM-AZ-G"].weight_grams, cards["CAM-AZ-G"].price) == (200, 4990)
        assert [card.sku for card in await reads.by_gtins(tx, ["7891000315507"])] == ["CAM-AZ-M"]
        product = await reads.product_by_code(tx, "CAM")
        assert product
        assert product.ncm == "61091000"
        assert [m.url for m in product.media] == ["https://img.example/cam.jpg"]


async def test_stating_the_same_again_changes_neither_versions_nor_the_revision(database: Database) -> None:
    async with database.transaction() as tx:
        await service.put_products(tx, [SHIRT])
        before, revision = await reads.product_by_code(tx, "CAM"), await reads.revision(tx)
        assert before
        await service.put_products(tx, [SHIRT])
        await service.put_products(tx, [reads.product_draft(before)])
        assert await reads.product_by_code(tx, "CAM") == before
        assert await reads.revision(tx) == revision


async def test_a_person_changes_the_version_they_saw_and_no_other(database: Database) -> None:
    async with database.transaction() as tx:
        await service.create_product(tx, SHIRT)
        with pytest.raises(ProductCodeTaken):
            await service.create_product(tx, SHIRT)
        changed = await service.update_product(tx, ProductDraft(code="CAM", name="Camiseta básica"), 1)
        assert (changed.name, changed.version, len(changed.variants)) == ("Camiseta básica", 2, 2)
        with pytest.raises(Conflict):
            await service.update_product(tx, SHIRT, 1)


async def test_kits_show_their_components_and_hold_no_kits(database: Database) -> None:
    async with database.transaction() as tx:
        saved = await service.put_products(tx, [a_product("A"), a_product("B"), a_kit("K", A=2, B=1)])
        a, b = saved[0].skus["A"], saved[1].skus["B"]
        (card,) = await reads.by_skus(tx, ["K"])
        assert card.is_kit
        assert set(card.components) == {Component(a, 2), Component(b, 1)}
        for wrong in (a_kit("K2", K=1), a_kit("A", B=1), a_kit("K3", nothing=1), a_kit("K4", K4=1), a_kit("K5", A=0)):
            with pytest.raises(Invalid):
                await service.put_products(tx, [wrong])
        with pytest.raises(Invalid):
            await service.put_products(tx, [a_kit("X", Y=1), a_kit("Y", A=1)])
        await service.put_products(tx, [a_kit("K", A=3)])
        (card,) = await reads.by_skus(tx, ["K"])
        assert card.components == (Component(a, 3),)
        await service.put_products(tx, [a_product("K", weight_grams=7)])
        (card,) = await reads.by_skus(tx, ["K"])
        assert card.components == (Component(a, 3),)  # what it is made of was not stated
        for wrong in (a_kit("K2", K=1), a_kit("A", B=1)):
            with pytest.raises(Invalid):
                await service.put_products(tx, [wrong, a_product("K")])
        await service.put_products(tx, [a_kit("K")])
        (card,) = await reads.by_skus(tx, ["K"])
        assert not card.is_kit
        assert card.components == ()


async def test_two_writers_cannot_nest_kits_between_them(database: Database) -> None:
    async with database.transaction() as tx:
        await service.put_products(tx, [a_product("A"), a_product("B"), a_product("C")])

    async def make(draft: ProductDraft) -> bool:
        try:
            async with database.transaction() as tx:
                await service.put_products(tx, [draft])
        except Invalid:
            return False
        return True

    # A of B, and B of C: each is fine alone, together a kit would hold a kit.
    results = await asyncio.gather(make(a_kit("A", B=1)), make(a_kit("B", C=1)))
    assert sorted(results) == [False, True]


async def test_wrong_values_are_all_named_and_nothing_is_saved(database: Database) -> None:
    wrong = ProductDraft(
        code="W",
        name=" ",
        ncm="123",
        cest="12",
        origin=9,
        category="none",
        variants=[
            VariantDraft(sku="W1", gtin="7891000315508", weight_grams=-1),
            VariantDraft(sku="W1", media=[MediaDraft(url="http://img.example/x.jpg")]),
        ],
    )
    async with database.transaction() as tx:
        await service.put_products(tx, [SHIRT])
        with pytest.raises(Invalid) as refused:
            await service.put_products(tx, [a_product("OK"), wrong])
        assert {flaw.at for flaw in refused.value.flaws} == {
            "1/name", "1/ncm", "1/cest", "1/origin", "1/category", "1/variants/0/gtin", "1/variants/0/weight_grams",
            "1/variants/1/sku", "1/variants/1/media/0/url",
        }  # fmt: skip
        assert await reads.by_skus(tx, ["OK", "W1"]) == []
        with pytest.raises(Invalid) as clash:
            await service.put_products(tx, [a_product("CAM-AZ-M"), a_product("N", gtin="7891000315507")])
        assert {flaw.at for flaw in clash.value.flaws} == {"0/variants/0/sku", "1/variants/0/gtin"}


async def test_moving_a_category_moves_its_whole_branch(database: Database) -> None:
    tree = [
        CategoryDraft(code="moda", name="Moda"),
        CategoryDraft(code="fem", name="Feminina", parent="moda"),
        CategoryDraft(code="saias", name="Saias", parent="fem"),
        CategoryDraft(code="fem2", name="Outra", parent="moda"),
        CategoryDraft(code="outlet", name="Outlet"),
    ]
    async with database.transaction() as tx:
        await service.put_categories(tx, tree)
        await service.move_category(tx, "fem", "outlet")
        paths = {c.code: c.path for c in await reads.categories(tx)}
        assert paths == {
            "moda": "moda", "fem2": "moda/fem2", "outlet": "outlet", "fem": "outlet/fem", "saias": "outlet/fem/saias",
        }  # fmt: skip
        with pytest.raises(CategoryLoop):
            await service.move_category(tx, "outlet", "saias")
        for nothing in ("nowhere", ""):
            with pytest.raises(UnknownCategory):
                await service.move_category(tx, "fem", nothing)
        await service.move_category(tx, "fem", None)
        assert {c.code: (c.path, c.parent) for c in await reads.categories(tx)}["saias"] == ("fem/saias", "fem")


async def test_skus_are_found_by_any_words_without_accents_or_case(database: Database) -> None:
    async with database.transaction() as tx:
        await service.put_categories(tx, [CategoryDraft(code="moda", name="Moda")])
        await service.put_products(tx, [SHIRT, ProductDraft(
            code="CAL", name="Calça Jeans 100% Algodão", category="moda", variants=[VariantDraft(sku="CAL-1")],
        )])  # fmt: skip
        assert [row.sku for row in await reads.variant_page(tx, query="CALCA algodao")] == ["CAL-1"]
        assert [row.sku for row in await reads.variant_page(tx, query="azul g")] == ["CAM-AZ-G"]
        assert [row.sku for row in await reads.variant_page(tx, query="100%")] == ["CAL-1"]
        assert [row.sku for row in await reads.variant_page(tx, query="_AZ_")] == []
        assert [row.sku for row in await reads.variant_page(tx, category_path="moda")] == ["CAL-1"]
        first = await reads.variant_page(tx, limit=2)
        assert [row.sku for row in first] == ["CAL-1", "CAM-AZ-G"]
        assert [row.sku for row in await reads.variant_page(tx, after=first[-1].sku)] == ["CAM-AZ-M"]
        assert first[1].image == "https://img.example/cam.jpg"
        await service.put_products(tx, [ProductDraft(code="CAM", name="Blusa")])
        assert [row.sku for row in await reads.variant_page(tx, query="blusa")] == ["CAM-AZ-G", "CAM-AZ-M"]


async def test_writers_of_the_same_products_in_any_order_do_not_block_each_other_for_good(database: Database) -> None:
    def batch(order: list[int], price: int) -> list[ProductDraft]:
        return [
            ProductDraft(
                code=f"P{i}",
                name=f"Produto {i} a {price}",
                variants=[VariantDraft(sku=f"S{i}-{j}", options={"n": str(j)}, price=price) for j in (2, 1)],
            )
            for i in order
        ]

    async def write(order: list[int], price: int) -> None:
        async with database.transaction() as tx:
            await service.put_products(tx, batch(order, price))

    forwards, backwards = list(range(30)), list(reversed(range(30)))
    await asyncio.gather(*(write(forwards if n % 2 else backwards, n) for n in range(1, 11)))
    async with database.transaction() as tx:
        products = await reads.products_by_code(tx, [f"P{i}" for i in forwards])
        found = await reads.variant_page(tx, query=products["P0"].name, limit=100)
    # Whoever was last wrote everything: no product is half one writer's, half another's.
    assert len({p.name.rsplit(" ", 1)[1] for p in products.values()}) == 1
    assert len({v.price for p in products.values() for v in p.variants}) == 1
    assert [row.sku for row in found if row.product == "P0"] == ["S0-1", "S0-2"]
