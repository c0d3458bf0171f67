"""What the WooCommerce connector writes of listings: everything once, nothing that is not Malha's, each refusal apart.

Each request is judged by the recorded index, and what people wrote by checks of its own, not by the simulator.
"""

import json
from collections.abc import AsyncIterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.fault_proxy import fault_proxy
from tests.woocommerce_sim import KEY, SECRET, WEBHOOK_SECRET, WooSim
from tests.woocommerce_spec import watched_sim

from malha.channels.connectors.woocommerce.connector import WooCommerce
from malha.channels.connectors.woocommerce.showing import NOTE
from malha.channels.contract import Ctx, Ok, Pending, ProductPush, Rejected, Result, Unknown, Unsure
from malha.testing.connectors import Fault, context

pytestmark = pytest.mark.shared

woo = WooCommerce()
FRONT, BACK, SIDE = (f"https://cdn.example/{name}.jpg" for name in ("frente", "costas", "lado"))
SHIRT: dict[str, Any] = {
    "title": "Camisa",
    "description": "Leve.\n\nLava fácil.",
    "short_description": "Camisa leve",
    "brand": "Malharia",
    "categories": "Roupas > Camisas | Novidades",
    "tags": "verão, algodão",
    "images": [FRONT, BACK],
}


class Rig:
    """What `context` of the kit needs of a shop."""

    def __init__(self, shop: WooSim, address: str, config: dict[str, Any]) -> None:
        self.config = {"base_url": f"http://{address}", "page": 4, **config}
        self.secrets = {"consumer_key": KEY, "consumer_secret": SECRET, "webhook_secret": WEBHOOK_SECRET}
        self.allowed = [address]


@pytest.fixture
async def shop() -> AsyncIterator[WooSim]:
    async with watched_sim() as made:
        yield made


def at(shop: WooSim, address: str = "", **config: Any) -> Ctx:
    return context(woo, Rig(shop, address or shop.allowed, config))  # type: ignore[arg-type]


def push(code: str = "C-1", *, attributes: dict[str, str] | None = None, **fields: Any) -> ProductPush:
    said = {name: value for name, value in {**SHIRT, **fields}.items() if value}
    return ProductPush(
        sku=code, code=code, name=said["title"], price=9_990, currency="BRL", fields=said, attributes=attributes or {}
    )


async def put(shop: WooSim, *items: ProductPush, **config: Any) -> list[Result]:
    return list(await woo.upsert_products(at(shop, **config), items))


async def settled(shop: WooSim, item: ProductPush) -> dict[str, Any]:
    """Tell a listing and return what the shop then shows of it."""
    (result,) = await put(shop, item)
    assert isinstance(result, Ok), result
    return shop.said_of(shop.by_sku(item.code))


def written(shop: WooSim) -> list[dict[str, Any]]:
    """What was made and changed of products, in the order in which it was asked for."""
    bodies = [
        json.loads(body)
        for _method, target, body in shop.asked
        if "/products/batch" in target or "/variations/batch" in target
    ]
    return [item for body in bodies for items in body.values() for item in items]


def names(row: dict[str, Any], kind: str) -> list[str]:
    return [each["name"] for each in row[kind]]


def sources(shop: WooSim, row: dict[str, Any]) -> list[str]:
    return [shop.pictures[image["id"]] for image in row["images"]]


async def test_a_new_product_shows_all_that_is_said_of_it(shop: WooSim):
    row = await settled(shop, push(attributes={"Composição": "Algodão | Linho"}))
    assert (row["name"], row["status"], row["regular_price"], row["stock_quantity"]) == (
        "Camisa",
        "publish",
        "99.90",
        0,
    )
    assert (row["description"], row["short_description"]) == ("<p>Leve.</p><p>Lava fácil.</p>", "<p>Camisa leve</p>")
    assert (names(row, "brands"), names(row, "tags")) == (["Malharia"], ["verão", "algodão"])
    assert [(each["name"], bool(each["parent"])) for each in row["categories"]] == [
        ("Camisas", True),
        ("Novidades", False),
    ]
    assert sources(shop, row) == [FRONT, BACK]
    (attribute,) = row["attributes"]
    assert (attribute["name"], attribute["options"], attribute["visible"]) == ("Composição", ["Algodão", "Linho"], True)


async def test_what_is_there_is_not_written_again(shop: WooSim):
    item = push(title="Cama & banho", attributes={"Cor": "Azul"})
    before = await settled(shop, item)
    assert before["name"] == "Cama &amp; banho", "the shop spells it its own way"
    shop.asked.clear()
    assert await settled(shop, item) == before
    assert [(method, target.split("?")[0][-9:]) for method, target, _ in shop.asked] == [("GET", "/products")]


async def test_only_what_changed_is_written(shop: WooSim):
    await settled(shop, push())
    shop.asked.clear()
    await settled(shop, push(short_description="Camisa bem leve"))
    (change,) = written(shop)
    assert set(change) == {"id", "short_description", "meta_data"}


async def test_what_people_added_stays_and_what_malha_put_there_goes_with_it(shop: WooSim):
    await settled(shop, push(attributes={"Cor": "Azul"}))
    row = shop.by_sku("C-1")
    sale, own = shop.term("tags", "liquidação"), shop.term("categories", "Vitrine")
    theirs = shop.picture("https://shop.example/modelo.jpg")
    row["tags"].append({"id": sale})
    row["categories"].append({"id": own})
    row["images"].insert(1, theirs)
    row["attributes"].append({"id": 0, "name": "Lavagem", "options": ["à mão"], "visible": True, "variation": False})
    row["meta_data"].append({"id": 1, "key": "_yoast", "value": "theirs"})
    row["purchase_note"] = "Obrigado"
    shown = await settled(
        shop, push(tags="linho", categories="", images=[SIDE], brand="", attributes={"Tecido": "Linho"})
    )
    assert names(shown, "tags") == ["liquidação", "linho"]
    assert names(shown, "categories") == ["Vitrine"]
    assert sources(shop, shown) == [SIDE, "https://shop.example/modelo.jpg"], "ours stands where ours stood"
    assert names(shown, "attributes") == ["Lavagem", "Tecido"]
    assert {entry["key"] for entry in shown["meta_data"]} == {"_yoast", NOTE}
    assert shown["purchase_note"] == "Obrigado"


async def test_a_picture_that_nobody_knows_any_more_does_not_keep_later_ones_from_being_taken_off(shop: WooSim):
    await settled(shop, push(images=[FRONT]))
    (entry,) = [entry for entry in shop.by_sku("C-1")["meta_data"] if entry["key"] == NOTE]
    note = json.loads(entry["value"])
    entry["value"] = json.dumps({**note, "images": dict.fromkeys(note["images"], 0)})
    assert sources(shop, await settled(shop, push(images=[FRONT, SIDE]))) == [FRONT, SIDE]
    assert sources(shop, await settled(shop, push(images=[]))) == [FRONT], "it may be the shop's own"


async def test_what_the_shop_had_before_malha_said_anything_stays(shop: WooSim):
    theirs = shop.picture("https://shop.example/modelo.jpg")
    tag = shop.term("tags", "verão")
    shop.offer("C-1", description="Da casa", short_description="Curta", tags=[{"id": tag}], images=[theirs])
    row = await settled(shop, push(description="", short_description="", brand="", categories="", images=[]))
    assert (row["name"], row["description"], row["short_description"]) == ("Camisa", "Da casa", "Curta")
    assert (names(row, "tags"), sources(shop, row)) == (["verão", "algodão"], ["https://shop.example/modelo.jpg"])
    row = await settled(shop, push(description="", short_description="", brand="", categories="", images=[], tags=""))
    assert names(row, "tags") == ["verão"], "people had given it that tag before"


async def test_a_text_that_malha_has_no_more_is_emptied_unless_people_made_another_of_it(shop: WooSim):
    await settled(shop, push())
    shop.by_sku("C-1")["short_description"] = "<p>Escrita na loja</p>"
    row = await settled(shop, push(description="", short_description=""))
    assert (row["description"], row["short_description"]) == ("", "<p>Escrita na loja</p>")


async def test_what_people_wrote_over_a_text_is_said_again(shop: WooSim):
    await settled(shop, push())
    shop.by_sku("C-1")["description"] = "outra"
    assert (await settled(shop, push()))["description"] == "<p>Leve.</p><p>Lava fácil.</p>"


async def test_categories_are_found_by_name_level_by_level_or_by_id_and_none_is_made_twice(shop: WooSim):
    clothes = shop.term("categories", "Roupas")
    shirts = shop.term("categories", "camisas", clothes)
    special = shop.term("categories", "Especial")
    items = [push(f"C-{n}", categories=f"Roupas > Camisas | {special}", images=[]) for n in range(3)]
    assert [type(result) for result in await put(shop, *items)] == [Ok] * 3
    for item in items:
        assert [each["id"] for each in shop.said_of(shop.by_sku(item.code))["categories"]] == [shirts, special]
    asked = [body for _method, target, body in shop.asked if target.split("?")[0].endswith("/categories/batch")]
    assert len(asked) == 2, "one request for each level, however many products"
    assert sorted(each["name"] for each in shop.terms["categories"].values()) == [
        "Especial", "Roupas", "Sem categoria", "camisas"
    ]  # fmt: skip


async def test_an_attribute_that_the_shop_has_itself_is_used(shop: WooSim):
    shop.attributes.append({"id": 7, "name": "Material", "slug": "pa_material"})
    row = await settled(shop, push(attributes={"material": "Linho"}))
    assert [(each["id"], each["name"], each["options"]) for each in row["attributes"]] == [(7, "Material", ["Linho"])]


async def test_attributes_that_tell_variations_apart_are_the_shops(shop: WooSim):
    of_shop = {"id": 0, "name": "Cor", "options": ["Azul", "Verde"], "visible": True, "variation": True, "position": 0}
    shop.offer("C-1", "", None, type="variable", attributes=[of_shop])
    row = await settled(shop, push(attributes={"Cor": "Azul", "Tecido": "Linho"}))
    assert row["attributes"][0] == of_shop
    assert names(row, "attributes") == ["Cor", "Tecido"]


async def test_attributes_are_not_shown_where_the_connection_says_so(shop: WooSim):
    (result,) = await put(shop, push(attributes={"Cor": "Azul"}), show_attributes=False)
    assert isinstance(result, Ok)
    assert shop.by_sku("C-1")["attributes"][0]["visible"] is False


async def test_a_shop_without_brands_gets_all_but_the_brand(shop: WooSim):
    shop.has_brands = False
    row = await settled(shop, push())
    assert "brands" not in row
    assert names(row, "tags") == ["verão", "algodão"]
    assert not any("/brands" in target for _method, target, _body in shop.asked)


async def test_of_a_variation_its_gtin_and_whether_it_is_for_sale_are_written(shop: WooSim):
    _parent, (id_,) = shop.vary("CAMISA", "AZUL")
    before = deepcopy(shop.products[id_])
    item = msgspec.structs.replace(push("CAMISA-AZUL"), gtin="7891000000003")
    row = await settled(shop, item)
    assert {name for name in row if row[name] != before.get(name)} <= {
        "global_unique_id",
        "date_modified_gmt",
        "tags",
        "categories",
        "brands",
    }
    assert row["global_unique_id"] == "7891000000003"
    await settled(shop, msgspec.structs.replace(item, active=False))
    assert shop.products[id_]["status"] == "private"


async def test_an_end_says_nothing_of_what_a_product_looks_like(shop: WooSim):
    await settled(shop, push())
    shop.asked.clear()
    row = await settled(shop, msgspec.structs.replace(push(title="Outro nome"), active=False))
    assert (row["status"], row["name"]) == ("draft", "Camisa")
    assert [set(change) for change in written(shop)] == [{"id", "status"}]
    shop.by_sku("C-1")["status"] = "private"
    await settled(shop, msgspec.structs.replace(push(), active=False))
    assert shop.by_sku("C-1")["status"] == "private", "nobody can buy it: it is not touched"


@pytest.mark.parametrize(
    ("weight", "dimension", "said"),
    [
        ("kg", "cm", ("0.25", "30", "0.5")),
        ("g", "mm", ("250", "300", "5")),
        ("lbs", "in", ("0.5512", "11.811", "0.1969")),
        ("stone", "cm", ("", "30", "0.5")),  # of a plug-in
    ],
)
async def test_weight_and_measures_are_written_in_the_units_of_the_shop_once(
    shop: WooSim, weight: str, dimension: str, said: tuple[str, str, str]
):
    shop.units = {"weight": weight, "dimension": dimension}
    _parent, _ids = shop.vary("CAMISA", "AZUL")
    for code in ("C-1", "CAMISA-AZUL"):
        item = msgspec.structs.replace(push(code, images=[]), weight_grams=250, length_mm=300, height_mm=5)
        row = await settled(shop, item)
        sizes = row["dimensions"]
        assert (row["weight"], sizes["length"], sizes["height"]) == said
        assert sizes["width"] == "", "nobody knows it: it is the shop's"
        if "." in row["weight"]:
            shop.by_sku(code)["weight"] = f"{row['weight']}0"  # the same, as the shop likes it
        shop.asked.clear()
        await settled(shop, item)
        assert written(shop) == []


# --- pictures ---


async def test_pictures_are_fetched_few_at_a_time_and_stand_as_they_are_said(shop: WooSim):
    urls = [f"https://cdn.example/{n}.jpg" for n in range(8)]
    row = await settled(shop, push(images=urls))
    assert sources(shop, row) == urls
    most = [sum("src" in image for image in item.get("images", ())) for item in written(shop)]
    assert max(most) == 3
    again = await settled(shop, push(images=[urls[7], *urls[:3]]))
    assert sources(shop, again) == [urls[7], *urls[:3]]
    assert len(shop.pictures) == 8, "none was fetched twice"


async def test_a_picture_that_cannot_be_fetched_is_told_and_the_others_are_there(shop: WooSim):
    shop.broken.add(BACK)
    bad, good = await put(shop, push("C-1", images=[FRONT, BACK, SIDE]), push("C-2", images=[SIDE], title="Outra"))
    assert isinstance(good, Ok)
    assert isinstance(bad, Rejected)
    assert (bad.code, bad.field, BACK in bad.message) == ("woocommerce_product_image_upload_error", "images", True)
    row = shop.said_of(shop.by_sku("C-1"))
    assert (sources(shop, row), row["name"]) == ([FRONT, SIDE], "Camisa")
    shop.broken.clear()
    assert sources(shop, await settled(shop, push(images=[FRONT, BACK, SIDE]))) == [FRONT, BACK, SIDE]


async def test_a_picture_that_people_took_off_stays_off(shop: WooSim):
    await settled(shop, push())
    del shop.by_sku("C-1")["images"][0]
    assert sources(shop, await settled(shop, push())) == [BACK]


async def test_pictures_whose_answer_was_lost_are_known_again(shop: WooSim):
    async with fault_proxy(shop.url) as proxy:
        proxy.fail('"src"', Fault.LOST)
        with pytest.raises(Unsure):
            await woo.upsert_products(
                at(shop, proxy.allowed), [push(images=[FRONT, BACK, SIDE, "https://cdn.example/4.jpg"])]
            )
    assert sources(shop, shop.by_sku("C-1")) == [FRONT, BACK, SIDE]
    assert sources(shop, await settled(shop, push(images=[SIDE]))) == [SIDE], "it knows which of them were others"
    assert len(shop.pictures) == 3


async def test_pictures_that_take_too_long_are_gone_on_with_later(shop: WooSim):
    ctx = at(shop)
    times = iter([datetime(2026, 11, 27, tzinfo=UTC) + timedelta(seconds=n // 4 * 30) for n in range(10_000)])
    slow = msgspec.structs.replace(ctx, now=lambda: next(times))
    urls = [f"https://cdn.example/{n}.jpg" for n in range(12)]
    assert await woo.upsert_products(slow, [push(images=urls)]) == [Pending("images")]
    assert 0 < len(shop.by_sku("C-1")["images"]) < 12
    assert sources(shop, await settled(shop, push(images=urls))) == urls
    assert len(shop.pictures) == 12


# --- what goes wrong ---


async def test_each_listing_of_a_batch_is_told_what_became_of_it(shop: WooSim):
    shop.offer("OLD", global_unique_id="7891000000003")
    shop.refuses |= {"C-BAD", "proibida"}
    taken = msgspec.structs.replace(push("C-2"), gtin="7891000000003")
    foreign = msgspec.structs.replace(push("C-3"), currency="USD")
    said = await put(shop, push("C-1"), push("C-BAD"), taken, foreign, push("C-4", tags="proibida"), push("C-5"))
    assert [type(result) for result in said] == [Ok, Rejected, Rejected, Rejected, Rejected, Ok]
    told = [(result.code, result.field) for result in said if isinstance(result, Rejected)]
    assert told == [
        ("woocommerce_rest_cannot_create", ""),
        ("product_invalid_global_unique_id", "gtin"),
        ("currency", "currency"),
        ("invalid_term_name", "tags"),
    ]
    assert names(shop.said_of(shop.by_sku("C-4")), "brands") == ["Malharia"], "but for its tags it is there"


async def test_one_request_whose_answer_is_lost_leaves_the_others_alone(shop: WooSim):
    async with fault_proxy(shop.url) as proxy:
        ctx = at(shop, proxy.allowed)
        proxy.fail('"sku":"C-11"', Fault.BROKEN)
        items = [push(f"C-{n}", images=[]) for n in range(12)]
        said = await woo.upsert_products(ctx, items)
        unknown = [item.code for item, result in zip(items, said, strict=True) if isinstance(result, Unknown)]
        assert unknown == ["C-10", "C-11"], "those that were in it and are not there"
        assert [type(result) for result in said[:10]] == [Ok] * 10
        assert [type(result) for result in await woo.upsert_products(ctx, items)] == [Ok] * 12
    codes = [row["sku"] for row in shop.products.values()]
    assert sorted(codes) == sorted(set(codes))


async def test_a_sku_that_was_taken_meanwhile_is_looked_up_and_written(shop: WooSim):
    original = shop._put

    def put_after_somebody(item: dict[str, Any], parent: int) -> dict[str, Any]:
        if "id" not in item and not any(row["sku"] == item["sku"] for row in shop.products.values()):
            shop.offer(item["sku"], status="draft")
        return original(item, parent)

    shop._put = put_after_somebody  # type: ignore[method-assign]
    row = await settled(shop, push())
    assert (row["status"], row["name"]) == ("publish", "Camisa")
    assert len(shop.products) == 1


async def test_a_shop_that_does_not_keep_what_it_is_told_is_named(shop: WooSim):
    original = shop._kept
    shop._kept = lambda row, name, value: "pending" if name == "status" else original(row, name, value)  # type: ignore[method-assign]
    (said,) = await put(shop, push())
    assert isinstance(said, Rejected)
    assert (said.code, said.field) == ("not_kept", "status")


async def test_a_note_that_somebody_wrote_over_costs_one_writing_and_no_more(shop: WooSim):
    await settled(shop, push())
    for entry in shop.by_sku("C-1")["meta_data"]:
        entry["value"] = {"mine": "now"}
    row = await settled(shop, push(images=[]))
    shop.asked.clear()
    assert await settled(shop, push(images=[])) == row
    assert written(shop) == []
