"""What a Shopify shop is told: stock with what it takes the place of, parcels from where they left, cancels, refunds, each once."""

import contextlib
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from tests.shopify_rig import ShopifyRig, shopify_rig
from tests.shopify_state import Fulfillment, Order, Transaction

from malha.channels.connectors.shopify import Shopify, pictures, telling
from malha.channels.connectors.shopify.pictures import Picture
from malha.channels.contract import (
    CancelPush,
    ChannelError,
    Ctx,
    ExtProduct,
    ExtRef,
    Invalid,
    Missing,
    Ok,
    Pending,
    PricePush,
    ProductPush,
    RefundPush,
    Rejected,
    Result,
    ShipmentPush,
    ShippedLine,
    StockUpdate,
    Unknown,
)
from malha.testing.connectors import Fault, Operation, context

connector = Shopify()
KEY = "5f0f2d2e-6d0c-5b58-9a5b-0c9f0a7c1d11"
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.fixture
async def rig() -> AsyncIterator[ShopifyRig]:
    async with shopify_rig() as made:
        yield made


def asking(rig: ShopifyRig, **config: Any) -> Ctx:
    rig.config = {**rig.config, **config}
    return context(connector, rig)


def stock(code: str, quantity: int, version: int = 1) -> StockUpdate:
    return StockUpdate(sku=code, code=code, quantity=quantity, version=version, changed_at=AT)


def code_of(result: Result) -> str:
    assert isinstance(result, Rejected), result
    return result.code


# --- stock ---


async def test_a_sale_between_reading_and_setting_is_not_written_over_unseen(rig: ShopifyRig):
    rig.shop.stock("SKU-1", 5)
    sold = []

    def somebody_buys() -> None:
        if not sold:
            sold.append(rig.shop.sell(("SKU-1", 2)))

    rig.shop.before_set = somebody_buys
    assert [type(r) for r in await connector.set_stock(asking(rig), [stock("SKU-1", 9), stock("SKU-2", 4)])] == [Ok, Ok]
    variant = rig.shop.variant("SKU-1")
    assert (variant.available[11], variant.committed[11]) == (9, 2)
    assert [(was, now) for id_, _, was, now in rig.shop.sets if id_ == variant.id] == [(3, 9)]
    assert rig.shop.variant("SKU-2").available[11] == 4, "who stood beside it is not held up"


async def test_a_quantity_that_never_holds_still_is_tried_again_later_and_others_are_set(rig: ShopifyRig):
    rig.shop.before_set = lambda: rig.shop.stock("SKU-1", rig.shop.variant("SKU-1").available[11] + 1)
    first, second = await connector.set_stock(asking(rig), [stock("SKU-1", 900), stock("SKU-2", 4)])
    assert isinstance(first, Unknown)
    assert isinstance(second, Ok)


async def test_each_quantity_says_what_it_takes_the_place_of_and_the_same_is_not_said(rig: ShopifyRig):
    ctx = asking(rig)
    await connector.set_stock(ctx, [stock("SKU-1", 7), stock("SKU-2", 0)])
    await connector.set_stock(ctx, [stock("SKU-1", 7, 2)])
    asked = [variables for name, variables in rig.shop.asked if name == "SetStock"]
    assert len(asked) == 1
    (row,) = asked[0]["input"]["quantities"]
    assert (row["changeFromQuantity"], row["quantity"]) == (0, 7)


async def test_keys_of_stock_are_new_each_time_so_that_the_same_words_are_not_answered_from_memory(rig: ShopifyRig):
    ctx = asking(rig)
    for _ in range(2):
        await connector.set_stock(ctx, [stock("SKU-1", 7)])
        rig.shop.stock("SKU-1", 0)  # by hand, in Shopify
    await connector.set_stock(ctx, [stock("SKU-1", 7)])
    assert rig.shop.variant("SKU-1").available[11] == 7


async def test_what_cannot_be_set_says_why_and_holds_up_no_others(rig: ShopifyRig):
    rig.shop.list("TWICE")
    rig.shop.list("TWICE")
    rig.shop.list("LOOSE").tracked = False
    del rig.shop.list("ELSEWHERE").available[11]
    rig.refuse("POISON")
    codes = ["NONE", "TWICE", "LOOSE", "ELSEWHERE", "POISON", "SKU-1"]
    results = await connector.set_stock(asking(rig), [stock(code, 3) for code in codes])
    assert [code_of(r) for r in results[:5]] == [
        "unknown_sku", "ambiguous_sku", "not_tracked", "not_stocked", "invalid_quantity_too_high",
    ]  # fmt: skip
    assert isinstance(results[5], Ok)
    assert rig.shop.variant("SKU-1").available[11] == 3


@pytest.mark.parametrize("sku", ['A"B', "A\\B", "A OR B", "sku:*", "Ç-1", "a b"])
async def test_a_sku_of_any_signs_is_found_and_is_only_itself(rig: ShopifyRig, sku: str):
    rig.shop.list(sku)
    (result,) = await connector.set_stock(asking(rig), [stock(sku, 3)])
    assert isinstance(result, Ok)
    changed = [v.sku for v in rig.shop.variants.values() if v.available[11] == 3]
    assert changed == [sku]


async def test_stock_that_is_shopifys_own_is_read_beside_the_one_that_it_is_told(rig: ShopifyRig):
    rig.shop.stock("A", 4, 12)
    rig.shop.list("LOOSE").tracked = False
    for _ in range(2):
        rig.shop.list("TWICE")
    rows, cursor = [], None
    ctx = asking(rig, own_stock=["12"])
    for _ in range(9):
        page = await connector.pull_stock(ctx, cursor)
        rows += page.items
        cursor = page.cursor
        if not page.more:
            break
    found = {(row.sku, row.location): (row.quantity, row.on_hand) for row in rows}
    assert found["A", "11"] == (100_000, 100_000)
    assert found["A", "12"] == (4, 4)
    assert not {"LOOSE", "TWICE"} & {sku for sku, _ in found}
    with pytest.raises(Invalid, match="no location 77"):
        await connector.pull_stock(asking(rig, location="77"), None)


async def test_many_levels_are_read_to_the_end_each_once(rig: ShopifyRig):
    for n in range(230):
        rig.shop.list(f"L-{n}")
    rows, cursor, pages = [], None, 0
    ctx = asking(rig)
    while True:
        page = await connector.pull_stock(ctx, cursor)
        rows += [row.sku for row in page.items]
        cursor, pages = page.cursor, pages + 1
        if not page.more:
            break
    assert sorted(rows) == sorted(v.sku for v in rig.shop.variants.values())
    assert pages == 3


# --- prices and products ---


async def test_prices_of_one_product_go_together_and_one_that_is_refused_holds_up_no_others(rig: ShopifyRig):
    product = rig.shop.variant("A").product
    for sku in ("A-2", "A-3"):
        rig.shop.list(sku, product=product)
    rig.refuse("A-2")
    items = [PricePush(sku=c, code=c, price=1_234, currency="BRL", version=1) for c in ("A", "A-2", "A-3")]
    results = await connector.set_prices(asking(rig), items)
    assert [type(r) for r in results] == [Ok, Rejected, Ok]
    assert [str(rig.shop.variant(c).price) for c in ("A", "A-2", "A-3")] == ["12.34", "10.00", "12.34"]
    assert len([name for name, _ in rig.shop.asked if name == "SetPrices"]) == 1


async def test_a_price_in_a_currency_without_a_list_is_refused(rig: ShopifyRig):
    item = PricePush(sku="A", code="A", price=1, currency="EUR", version=1)
    (result,) = await connector.set_prices(asking(rig), [item])
    assert code_of(result) == "no_price_list"


def product(code: str, price: int = 2_000, *, active: bool = True) -> ProductPush:
    return ProductPush(
        sku=code, code=code, name=f"Ware {code}", price=price, currency="BRL", gtin="7891000100103", active=active
    )


async def test_a_new_product_is_made_once_and_then_kept_up_but_for_its_price(rig: ShopifyRig):
    ctx = asking(rig)
    rig.proxy.fail("productSet", Fault.LOST)
    with pytest.raises(Exception, match="did not answer"):
        await connector.upsert_products(ctx, [product("NEW/1 a")])
    assert [type(r) for r in await connector.upsert_products(ctx, [product("NEW/1 a", 2_100, active=False)])] == [Ok]
    made = [v for v in rig.shop.variants.values() if v.sku == "NEW/1 a"]
    assert [(str(v.price), v.barcode, v.product.status) for v in made] == [("20.00", "7891000100103", "DRAFT")]


async def test_a_product_to_which_the_shop_gave_other_variants_loses_none_of_them(rig: ShopifyRig):
    ctx = asking(rig)
    await connector.upsert_products(ctx, [product("NEW")])
    made = rig.shop.variant("NEW")
    made.sku = "RENAMED"
    rig.shop.list("MORE", product=made.product)
    (result,) = await connector.upsert_products(ctx, [product("NEW")])
    assert code_of(result) == "name_taken"
    assert [v.sku for v in made.product.variants] == ["RENAMED", "MORE"]


def listing(code: str, *, active: bool = True, **fields: Any) -> ProductPush:
    return msgspec.structs.replace(product(code, active=active), fields={"title": f"Ware {code}", **fields})


async def handed(rig: ShopifyRig, item: ProductPush) -> Any:
    (result,) = await connector.upsert_products(asking(rig), [item])
    return result


ONE, TWO, OWN = "https://img.example/1.jpg", "https://img.example/2.jpg", "https://img.example/own.jpg"


async def test_an_image_is_given_once_and_those_of_the_shop_stay(rig: ShopifyRig):
    await handed(rig, listing("NEW", images=[ONE]))
    made = rig.shop.variant("NEW").product
    made.pictures.append(rig.shop.picture(OWN))
    rig.proxy.fail("productUpdate(", Fault.LOST)
    with pytest.raises(Exception, match="did not answer"):
        await handed(rig, listing("NEW", images=[TWO, ONE]))
    for _ in range(2):
        assert isinstance(await handed(rig, listing("NEW", images=[TWO, ONE])), Ok)
    assert made.images == [ONE, OWN, TWO]


async def test_an_image_that_leaves_the_listing_leaves_the_product_and_stays_a_file_of_the_shop(rig: ShopifyRig):
    await handed(rig, listing("NEW", images=[ONE, TWO]))
    made = rig.shop.variant("NEW").product
    made.pictures.insert(0, rig.shop.picture(OWN, alt="Ware NEW"))
    assert isinstance(await handed(rig, listing("NEW", images=[TWO])), Ok)
    assert made.images == [OWN, TWO]
    assert ONE in [picture.url for picture in rig.shop.pictures.values()]
    assert isinstance(await handed(rig, listing("NEW", images=[TWO, ONE])), Ok)
    assert made.images == [OWN, TWO, ONE], "what comes back is put there again"
    assert isinstance(await handed(rig, listing("NEW")), Ok)
    assert made.images == [OWN]


async def test_images_that_do_not_change_cost_no_more_than_the_change_itself(rig: ShopifyRig):
    await handed(rig, listing("NEW", images=[ONE]))
    rig.shop.asked.clear()
    await handed(rig, listing("NEW", images=[ONE], description="Boa"))
    assert [name for name, _ in rig.shop.asked if name in {"Pictures", "UpdateProduct"}] == ["UpdateProduct"]


@pytest.mark.parametrize("lost", ["productSet(", "productUpdate(", "fileUpdate(", "query Pictures"])
async def test_an_answer_that_is_lost_leaves_neither_a_picture_too_many_nor_one_of_ours_behind(
    rig: ShopifyRig, lost: str
):
    async def until_done(item: ProductPush) -> None:
        for _ in range(3):
            with contextlib.suppress(ChannelError):
                if isinstance(await handed(rig, item), Ok):
                    return
        pytest.fail("it is never done")

    rig.proxy.fail(lost, Fault.LOST)
    await until_done(listing("NEW", images=[ONE]))
    made = rig.shop.variant("NEW").product
    rig.proxy.fail(lost, Fault.LOST)
    await until_done(listing("NEW", images=[ONE, TWO]))
    made.pictures.append(rig.shop.picture(OWN))
    rig.proxy.fail(lost, Fault.LOST)
    await until_done(listing("NEW", images=[TWO]))
    assert made.images == [TWO, OWN]
    await until_done(listing("NEW"))
    assert made.images == [OWN]


@pytest.mark.parametrize("alt", [None, "Ware NEW"])
async def test_whose_image_nobody_can_tell_it_stays(rig: ShopifyRig, alt: str | None):
    await handed(rig, listing("NEW"))
    made = rig.shop.variant("NEW").product
    rig.proxy.fail("productUpdate(", Fault.LOST)
    with pytest.raises(Exception, match="did not answer"):
        await handed(rig, listing("NEW", images=[ONE]))
    made.pictures.append(rig.shop.picture(OWN, alt=alt))  # before Malha looks what became of it
    if alt is None:
        del made.pictures[0]  # and ours is taken off: as many came as were put
    assert isinstance(await handed(rig, listing("NEW", images=[ONE])), Ok)
    before = made.images
    assert isinstance(await handed(rig, listing("NEW")), Ok)
    assert made.images == before
    assert OWN in before


async def test_images_noted_before_ids_were_stay_and_later_ones_are_taken_off(rig: ShopifyRig):
    await handed(rig, listing("NEW", images=[ONE]))
    made = rig.shop.variant("NEW").product
    note = json.loads(made.metafields["malha", "listing"])
    former = {"fields": note["fields"], "tags": [], "images": [*note["images"]]}
    made.metafields["malha", "listing"] = json.dumps(former)
    assert isinstance(await handed(rig, listing("NEW", images=[ONE, TWO])), Ok)
    assert made.images == [ONE, TWO], "it is not given a second time"
    assert isinstance(await handed(rig, listing("NEW")), Ok)
    assert made.images == [ONE]


async def test_an_image_that_people_took_off_is_not_looked_for_and_stays_off(rig: ShopifyRig):
    await handed(rig, listing("NEW", images=[ONE, TWO]))
    made = rig.shop.variant("NEW").product
    del made.pictures[0]
    assert isinstance(await handed(rig, listing("NEW", images=[ONE])), Ok)
    assert made.images == []


async def test_an_image_that_cannot_be_shown_is_deleted_and_one_that_is_fetched_yet_is_taken_off_later(rig: ShopifyRig):
    await handed(rig, listing("NEW", images=[ONE, TWO]))
    made = rig.shop.variant("NEW").product
    made.pictures[0].status, made.pictures[1].status = "FAILED", "PROCESSING"
    assert isinstance(await handed(rig, listing("NEW")), Pending)
    assert made.images == [TWO]
    assert ONE not in [picture.url for picture in rig.shop.pictures.values()]
    made.pictures[0].status = "READY"
    assert isinstance(await handed(rig, listing("NEW")), Ok)
    assert made.images == []


async def test_without_the_scope_for_files_all_else_is_written_and_the_image_is_named(rig: ShopifyRig):
    await handed(rig, listing("NEW", images=[ONE]))
    made = rig.shop.variant("NEW").product
    rig.shop.scopes.remove("write_files")
    result = await handed(rig, listing("NEW", description="Boa"))
    assert isinstance(result, Rejected)
    assert (result.field, "write_files" in result.message) == ("images", True)
    assert (made.images, made.html) == ([ONE], "<p>Boa</p>")
    rig.shop.scopes.append("write_files")
    assert isinstance(await handed(rig, listing("NEW", description="Boa")), Ok)
    assert made.images == []


async def test_a_file_that_the_shop_deleted_meanwhile_holds_up_no_other(rig: ShopifyRig, monkeypatch):
    await handed(rig, listing("NEW", images=[ONE, TWO]))
    made = rig.shop.variant("NEW").product
    looked = pictures.look

    async def look(ctx: Ctx, id_: str) -> list[Picture]:
        found = await looked(ctx, id_)
        rig.shop.pictures.pop(made.pictures[0].id, None)
        return found

    monkeypatch.setattr(pictures, "look", look)
    assert isinstance(await handed(rig, listing("NEW")), Ok)
    assert TWO not in made.images


async def test_what_malha_wrote_is_emptied_and_what_the_shop_wrote_stays(rig: ShopifyRig):
    await handed(rig, listing("NEW", description="Boa", tags="verão, Praia, verão"))
    made = rig.shop.variant("NEW").product
    made.tags.append("oferta")
    made.vendor = "of the shop"
    await handed(rig, listing("NEW", tags="praia"))
    assert (made.html, made.vendor, made.tags) == ("", "of the shop", ["oferta", "praia"])


async def test_a_product_of_several_variants_is_the_shop_s_but_for_the_gtin(rig: ShopifyRig):
    made = rig.shop.list("P-1").product
    rig.shop.list("P-2", product=made)
    before = (made.title, made.html, made.status)
    assert isinstance(await handed(rig, listing("P-1", active=False, description="Boa")), Ok)
    assert (made.title, made.html, made.status) == before
    assert rig.shop.variant("P-1").barcode == "7891000100103"


async def test_an_end_says_nothing_of_what_it_looks_like_and_makes_nothing(rig: ShopifyRig):
    await handed(rig, listing("NEW", description="Boa"))
    made = rig.shop.variant("NEW").product
    assert isinstance(await handed(rig, product("NEW", active=False)), Ok)
    assert (made.html, made.status) == ("<p>Boa</p>", "DRAFT")
    assert isinstance(await handed(rig, product("NEVER", active=False)), Ok)
    assert all(v.sku != "NEVER" for v in rig.shop.variants.values())


@pytest.mark.parametrize("there", [True, False])
async def test_a_refusal_names_the_field_as_the_listing_does(rig: ShopifyRig, there: bool):
    if there:
        rig.shop.list("NEW")
    result = await handed(rig, listing("NEW", images=["ftp://img.example/1.jpg"]))
    assert isinstance(result, Rejected)
    assert result.field == "images"


def test_a_text_becomes_html_and_html_stays_as_it_is():
    from malha.channels.connectors.shopify.listings import html_of

    assert html_of("a < b\nc\r\n\r\nd & e") == "<p>a &lt; b<br>c</p><p>d &amp; e</p>"
    assert html_of("<p>Algodão<br>100%</p>") == "<p>Algodão<br>100%</p>"
    assert html_of("") == ""


def test_no_two_skus_have_one_name_for_the_product():
    from malha.channels.connectors.shopify.listings import handle_of

    skus = ["A", "a", "A-B", "A_B", "A B", "A--B", "AB", "-41-", "é", "e"]
    handles = {handle_of(sku) for sku in skus}
    assert len(handles) == len(skus)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", handle) for handle in handles), "as Shopify would write them"


async def test_products_are_read_by_when_they_changed_each_variant_by_its_options(rig: ShopifyRig):
    ctx = asking(rig)
    shirt = rig.shop.list("S-P", product=None, options=(("Size", "P"), ("Colour", "Blue"))).product
    for n in range(90):
        rig.shop.list(f"S-{n}", product=shirt, options=(("Size", f"{n}"),), barcode=f"{n:013}")
    items, cursor = await products(ctx, None)
    found = {each.sku: each for each in items}
    assert set(found) == {v.sku for v in rig.shop.variants.values()}
    assert (found["S-P"].name, found["S-7"].gtin, found["A"].name) == ("Ware S-P - P / Blue", "0000000000007", "Ware A")
    assert (found["A"].price, found["A"].active) == (1_000, True)
    assert (await products(ctx, cursor))[0] == []
    shirt.status = "ARCHIVED"
    shirt.updated = rig.shop.tick()
    again, _ = await products(ctx, cursor)
    assert {each.active for each in again} == {False}
    assert len(again) == 91


async def test_what_a_connection_may_keep_is_told_with_the_product_it_is_of(rig: ShopifyRig):
    ctx = asking(rig)
    one = rig.shop.list("M-P", options=(("Tamanho", "P"),), weight=(1.5, "KILOGRAMS"))
    rig.shop.list("M-G", product=one.product, options=(("Tamanho", "G"),))
    shown = ["https://cdn.example/a.jpg", "https://cdn.example/b.jpg"]
    one.product.html, one.product.vendor, one.product.kind = "<p>Lã<br>pura</p><p>2 &lt; 3</p>", "Tear", "Mantas"
    one.product.pictures = [rig.shop.picture(url) for url in shown]
    found = {each.sku: each for each in (await products(ctx, None))[0]}
    said = found["M-P"]
    assert (said.product, said.product_name) == (one.product.handle, one.product.title)
    assert (said.description, said.brand, said.category) == ("Lã\npura\n\n2 < 3", "Tear", "Mantas")
    assert (said.options, said.pictures, said.weight_grams) == ({"Tamanho": "P"}, shown, 1_500)
    assert (found["M-G"].product, found["M-G"].weight_grams) == (said.product, None)
    one.product.taxon = "Home & Garden > Linens"
    one.product.updated = rig.shop.tick()
    again = {each.sku: each for each in (await products(ctx, None))[0]}
    assert again["M-P"].category == "Home & Garden > Linens"


async def products(ctx: Ctx, cursor: str | None) -> tuple[list[ExtProduct], str]:
    """All pages after a cursor."""
    items: list[ExtProduct] = []
    for _ in range(30):
        page = await connector.pull_products(ctx, cursor)
        items += page.items
        cursor = page.cursor
        if not page.more:
            return items, cursor
    pytest.fail("the pages have no end")


# --- parcels ---


def parcel(
    order: Order, *lines: tuple[str, int], tracking: str = "BR1", location: str = "", name: str = "p1"
) -> ShipmentPush:
    return ShipmentPush(
        order=str(order.id),
        shipment=name,
        lines=[ShippedLine(sku, units) for sku, units in lines],
        carrier="Correios",
        tracking=tracking,
        shipped_at=AT,
        location=location,
    )


async def test_an_order_is_sent_in_parts(rig: ShopifyRig):
    ctx, order = asking(rig), rig.shop.sell(("A", 3), ("B", 1))
    assert isinstance(await connector.push_shipment(ctx, parcel(order, ("A", 2)), KEY), Ok)
    assert order.fulfillment == "PARTIALLY_FULFILLED"
    rest = parcel(order, ("A", 1), ("B", 1), tracking="BR2", name="p2")
    assert await connector.find_shipment(ctx, rest, KEY) is None
    result = await connector.push_shipment(ctx, rest, KEY)
    assert isinstance(result, Ok)
    assert order.fulfillment == "FULFILLED"
    assert await connector.find_shipment(ctx, rest, KEY) == ExtRef(result.ref)
    assert [(f.tracking, f.company, f.notified) for f in order.fulfillments] == [
        ("BR1", "Correios", False),
        ("BR2", "Correios", False),
    ]
    assert (
        code_of(await connector.push_shipment(ctx, parcel(order, ("A", 1), tracking="BR3"), KEY)) == "not_fulfillable"
    )


async def test_what_left_from_elsewhere_is_moved_there_first(rig: ShopifyRig):
    rig.shop.stock("A", 5, 12)
    order = rig.shop.sell(("A", 3), ("B", 1))
    ctx = asking(rig, locations={"DC": "11", "LOJA-1": "12"})
    assert isinstance(await connector.push_shipment(ctx, parcel(order, ("A", 2), location="LOJA-1"), KEY), Ok)
    (sent,) = order.fulfillments
    assert sent.location == 12
    assert (rig.shop.variant("A").on_hand[12], rig.shop.variant("A").committed[11]) == (3, 1)
    rest = parcel(order, ("A", 1), ("B", 1), location="DC", tracking="BR2")
    assert isinstance(await connector.push_shipment(ctx, rest, KEY), Ok)
    assert [f.location for f in order.fulfillments] == [12, 11]
    moves = [variables for name, variables in rig.shop.asked if name == "Move"]
    assert len(moves) == 1


async def test_a_location_that_is_not_mapped_moves_nothing(rig: ShopifyRig):
    order = rig.shop.sell(("A", 1), location=12)
    assert isinstance(await connector.push_shipment(asking(rig), parcel(order, ("A", 1), location="DC"), KEY), Ok)
    assert order.fulfillments[0].location == 12


async def test_units_at_two_locations_leave_in_one_fulfillment(rig: ShopifyRig):
    order = rig.shop.sell(("A", 3))
    ctx = asking(rig, locations={"DC": "11", "LOJA-1": "12"})
    moved = {"id": f"gid://shopify/FulfillmentOrder/{order.works[0].id}", "location": "gid://shopify/Location/12",
             "lines": [{"id": f"gid://shopify/FulfillmentOrderLineItem/{order.works[0].lines[0][0]}", "quantity": 1}]}  # fmt: skip
    from malha.channels.connectors.shopify.asking import ask

    await ask(ctx, "move", moved)
    assert isinstance(await connector.push_shipment(ctx, parcel(order, ("A", 3)), KEY), Ok)
    (sent,) = order.fulfillments
    assert (sent.location, sum(units for _, units in sent.lines)) == (11, 3)


async def test_a_move_that_shopify_refuses_tells_why_and_sends_nothing(rig: ShopifyRig):
    for places in (rig.shop.variant("A").available, rig.shop.variant("A").committed, rig.shop.variant("A").on_hand):
        del places[12]
    order = rig.shop.sell(("A", 1))
    result = await connector.push_shipment(
        asking(rig, locations={"L": "12"}), parcel(order, ("A", 1), location="L"), KEY
    )
    assert isinstance(result, Rejected)
    assert "does not stock" in result.message
    assert order.fulfillments == []


async def test_an_answer_lost_between_moving_and_sending_ends_in_one_parcel(rig: ShopifyRig):
    order = rig.shop.sell(("A", 2))
    ctx = asking(rig, locations={"LOJA-1": "12"})
    push = parcel(order, ("A", 2), location="LOJA-1")
    rig.proxy.fail("fulfillmentOrderMove(", Fault.LOST)
    with pytest.raises(Exception, match="did not answer"):
        await connector.push_shipment(ctx, push, KEY)
    assert await connector.find_shipment(ctx, push, KEY) is None
    assert isinstance(await connector.push_shipment(ctx, push, KEY), Ok)
    assert [f.location for f in order.fulfillments] == [12]


async def test_a_parcel_without_a_number_is_known_by_nothing_so_a_person_decides(rig: ShopifyRig):
    ctx, order = asking(rig), rig.shop.sell(("A", 2))
    bare = parcel(order, ("A", 1), tracking="")
    assert await connector.find_shipment(ctx, bare, KEY) is None, "none like it is there: it may be sent"
    assert isinstance(await connector.push_shipment(ctx, bare, KEY), Ok)
    with pytest.raises(NotImplementedError):
        await connector.find_shipment(ctx, bare, KEY)


async def test_a_cancelled_fulfillment_and_one_of_other_units_are_not_the_parcel(rig: ShopifyRig):
    ctx, order = asking(rig), rig.shop.sell(("A", 2))
    assert isinstance(await connector.push_shipment(ctx, parcel(order, ("A", 1)), KEY), Ok)
    assert await connector.find_shipment(ctx, parcel(order, ("A", 2)), KEY) is None
    gone = Fulfillment(rig.shop.next_id(), [], 11, "BR9", "", AT, notified=False, status="CANCELLED")
    order.fulfillments.append(gone)
    assert await connector.find_shipment(ctx, parcel(order, ("A", 1), tracking="BR9"), KEY) is None


async def test_a_parcel_is_found_whether_its_lines_are_named_by_id_or_by_sku(rig: ShopifyRig):
    ctx, order = asking(rig), rig.shop.sell(("A", 1), ("B", 2))
    lines = [ShippedLine("A", 1, str(order.lines[0].id)), ShippedLine("B", 2)]
    mixed = msgspec.structs.replace(parcel(order), lines=lines)
    assert isinstance(await connector.push_shipment(ctx, mixed, KEY), Ok)
    assert await connector.find_shipment(ctx, mixed, KEY) is not None
    fewer = msgspec.structs.replace(mixed, lines=lines[:1])
    assert await connector.find_shipment(ctx, fewer, KEY) is None


async def test_what_is_on_hold_cannot_leave_and_says_so(rig: ShopifyRig):
    order = rig.shop.sell(("A", 1), hold=True)
    result = await connector.push_shipment(asking(rig), parcel(order, ("A", 1)), KEY)
    assert code_of(result) == "not_fulfillable"
    assert isinstance(result, Rejected)
    assert "ON_HOLD" in result.message


# --- cancels ---


def whole(order: Order) -> CancelPush:
    return CancelPush(order=str(order.id), lines=[], whole=True, reason="no stock")


async def test_a_cancel_waits_for_shopifys_job_and_is_found_by_its_note(rig: ShopifyRig):
    ctx, order = asking(rig), rig.shop.sell(("A", 1), pay="AUTHORIZATION")
    assert await connector.find_operation(ctx, str(order.id), KEY) is None
    assert await connector.cancel(ctx, whole(order), KEY) == Ok(str(order.id))
    assert order.cancelled is not None
    assert order.note == f"no stock #{KEY}"
    assert await connector.find_operation(ctx, str(order.id), KEY) == ExtRef(str(order.id))
    assert await connector.find_operation(ctx, str(order.id), "another") is None
    assert await connector.cancel(ctx, whole(order), KEY) == Ok(str(order.id)), "it is what was asked for"
    assert len(rig.shop.cancels) == 1


async def test_a_job_that_takes_long_is_looked_for_later(rig: ShopifyRig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(telling, "WAITS_S", (0.01,))
    ctx, order = asking(rig), rig.shop.sell(("A", 1))
    rig.shop.job_s = 3_600.0
    assert isinstance(await connector.cancel(ctx, whole(order), KEY), Pending)
    assert await connector.find_operation(ctx, str(order.id), KEY) is None
    again = await connector.cancel(ctx, whole(order), KEY)
    assert isinstance(again, Rejected | Pending), "it is being cancelled, and nobody says it is not"
    order.cancelling = 0.0  # the job is over
    assert await connector.find_operation(ctx, str(order.id), KEY) == ExtRef(str(order.id))
    assert len(rig.shop.cancels) == 1


async def test_a_cancel_that_shopify_refuses_is_refused(rig: ShopifyRig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(telling, "WAITS_S", (0.01,))
    ctx, order = asking(rig), rig.shop.sell(("A", 2))
    await connector.push_shipment(ctx, parcel(order, ("A", 1)), KEY)
    assert code_of(await connector.cancel(ctx, whole(order), KEY)) == "invalid"
    with pytest.raises(Missing):
        await connector.cancel(ctx, CancelPush(order="4711", lines=[], whole=True), KEY)


async def test_units_are_taken_out_without_money_once(rig: ShopifyRig):
    ctx, order = asking(rig), rig.shop.sell(("A", 3))
    push = CancelPush(order=str(order.id), lines=[ShippedLine("A", 1)], whole=False, reason="damaged")
    rig.proxy.fail("refundCreate", Fault.LOST)
    with pytest.raises(Exception, match="did not answer"):
        await connector.cancel(ctx, push, KEY)
    assert await connector.find_operation(ctx, str(order.id), KEY) is not None
    assert isinstance(await connector.cancel(ctx, push, KEY), Ok), "and said again it is the same by its key"
    assert (order.lines[0].removed, order.back, len(order.refunds)) == (1, Decimal(0), 1)
    assert rig.shop.variant("A").committed[11] == 2


# --- refunds ---


def refund(order: Order, amount: int, payment: int | None = None, currency: str = "BRL") -> RefundPush:
    payment = payment or order.transactions[0].id
    return RefundPush(order=str(order.id), payment=str(payment), amount=amount, currency=currency)


async def test_money_goes_back_over_the_captures_it_came_by(rig: ShopifyRig):
    ctx, order = asking(rig), rig.shop.sell(("A", 1), pay="AUTHORIZATION")
    assert code_of(await connector.refund(ctx, refund(order, 100), KEY)) == "unknown_payment"
    for amount in ("10.00", "15.00"):
        rig.shop.capture(order, Decimal(amount))
    assert isinstance(await connector.refund(ctx, refund(order, 1_200), "k1"), Ok)
    assert [t.amount for t in order.transactions if t.kind == "REFUND"] == [Decimal("10.00"), Decimal("2.00")]
    assert code_of(await connector.refund(ctx, refund(order, 1_400), "k2")) == "too_much"
    assert isinstance(await connector.refund(ctx, refund(order, 1_300), "k3"), Ok)
    assert order.financial == "REFUNDED"


async def test_a_refund_whose_answer_was_lost_is_found_and_said_again_is_the_same(rig: ShopifyRig):
    ctx, order = asking(rig), rig.shop.sell(("A", 1))
    rig.fail(Operation.REFUND, Fault.LOST)
    with pytest.raises(Exception, match="did not answer"):
        await connector.refund(ctx, refund(order, 500), KEY)
    found = await connector.find_operation(ctx, str(order.id), KEY)
    assert found is not None
    assert order.back == Decimal("5.00")


async def test_what_was_paid_in_another_currency_is_a_persons_affair(rig: ShopifyRig):
    order = rig.shop.sell(("A", 1), presentment="USD")
    assert code_of(await connector.refund(asking(rig), refund(order, 100), KEY)) == "other_currency"
    own = rig.shop.sell(("A", 1))
    assert code_of(await connector.refund(asking(rig), refund(own, 100, currency="USD"), KEY)) == "currency"
    own.transactions.append(Transaction(rig.shop.next_id(), "SALE", Decimal("1.00"), status="FAILURE"))
    assert (
        code_of(await connector.refund(asking(rig), refund(own, 100, own.transactions[1].id), KEY)) == "unknown_payment"
    )
