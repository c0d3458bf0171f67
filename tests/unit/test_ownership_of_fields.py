"""Which values of a draft stay as they are because their field is kept elsewhere, and what a person is told of it."""

from typing import Any

from malha.catalog.model import Product, ProductDraft, Variant, VariantDraft
from malha.catalog.ownership import Locked, keep
from malha.catalog.rules import tidy_product

BOOK = Product(
    id=1, code="CAM", name="Camiseta", description="Linha um\nlinha dois", brand="Malha", category=None, ncm="61091000",
    cest=None, origin=0, options=["Cor"], attributes={}, active=True, version=1,
    variants=[
        Variant(id=n, sku=f"CAM-{n}", name=f"Camiseta {colour}", gtin=None, options={"Cor": colour}, weight_grams=180,
                length_mm=300, width_mm=200, height_mm=20, price=price, is_kit=False, active=True, version=1, components={})
        for n, (colour, price) in enumerate((("Azul", 4990), ("Verde", 0)))
    ],
    media=[],
)  # fmt: skip


def lock(field: str, sku: str | None = None) -> Locked:
    return Locked(field=field, sku=sku, connection="erp", name="ERP da matriz")


def stated(**changes: Any) -> ProductDraft:
    variants = [
        VariantDraft(sku=v.sku, name=v.name, options=v.options, weight_grams=v.weight_grams, length_mm=v.length_mm,
                     width_mm=v.width_mm, height_mm=v.height_mm, price=v.price)
        for v in BOOK.variants
    ]  # fmt: skip
    whole: dict[str, Any] = {
        "name": BOOK.name,
        "description": BOOK.description,
        "brand": BOOK.brand,
        "ncm": BOOK.ncm,
    } | changes
    return tidy_product(ProductDraft(code="CAM", options=["Cor"], variants=whole.pop("variants", variants), **whole))


def test_a_locked_field_of_the_product_stays_and_all_others_are_as_stated() -> None:
    draft, flaws = keep(BOOK, stated(name="Outra", brand="Nova"), [lock("brand")])
    assert (draft.name, draft.brand) == ("Outra", "Malha")
    assert [(f.at, dict(f.facts)) for f in flaws] == [("brand", {"connection": "erp", "name": "ERP da matriz"})]


def test_a_locked_field_of_one_variant_leaves_the_same_field_of_another_free() -> None:
    changed = [VariantDraft(sku=v.sku, name=v.name, options=v.options, gtin="7891000315507") for v in BOOK.variants]
    draft, flaws = keep(BOOK, stated(variants=changed), [lock("gtin", "CAM-0"), lock("weight", "CAM-1")])
    assert [v.gtin for v in draft.variants] == [None, "7891000315507"]
    assert [v.weight_grams for v in draft.variants] == [0, 180]
    assert [f.at for f in flaws] == ["variants/0/gtin", "variants/1/weight_grams"]


def test_dimensions_are_one_field_of_three_sides() -> None:
    changed = [VariantDraft(sku="CAM-0", name="Camiseta Azul", length_mm=300, width_mm=1, height_mm=2)]
    draft, flaws = keep(BOOK, stated(variants=changed), [lock("dimensions", "CAM-0")])
    assert [f.at for f in flaws] == ["variants/0/width_mm", "variants/0/height_mm"]
    assert (draft.variants[0].length_mm, draft.variants[0].width_mm, draft.variants[0].height_mm) == (300, 200, 20)


def test_what_a_form_sends_back_otherwise_is_no_change() -> None:
    same = stated(description="Linha um\r\nlinha dois\r\n")
    nothing = [VariantDraft(sku="CAM-1", name="Camiseta Verde", options={"Cor": "Verde"}, price=None)]
    draft, flaws = keep(BOOK, same, [lock("description")])
    assert (draft.description, flaws) == ("Linha um\nlinha dois", [])
    draft, flaws = keep(BOOK, stated(variants=nothing), [lock("price", "CAM-1")])
    assert (draft.variants[0].price, flaws) == (0, [])


def test_a_variants_name_that_nobody_stated_is_no_change_of_it_and_stays() -> None:
    unnamed = [VariantDraft(sku="CAM-0", options={"Cor": "Azul"}), VariantDraft(sku="CAM-1", name="Minha")]
    draft, flaws = keep(
        BOOK, stated(name="Blusa", variants=unnamed), [lock("variant_name", v.sku) for v in BOOK.variants]
    )
    assert draft.name == "Blusa"
    assert [v.name for v in draft.variants] == ["Camiseta Azul", "Camiseta Verde"]
    assert [f.at for f in flaws] == ["variants/1/name"]
