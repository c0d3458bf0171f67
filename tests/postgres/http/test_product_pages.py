"""Pages of products: what the list finds, what an edit changes, and that nobody overwrites what they did not see."""

import re
from typing import Any

import pytest
from tests_http import Shop

from malha.catalog import reads, service
from malha.catalog.model import CategoryDraft, ProductDraft, VariantDraft
from malha.identity.model import Role
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.testing import builders

HTMX = {"hx-request": "true"}


@pytest.fixture
async def catalogued(shop: Shop) -> Shop:
    """A shirt with two variants that is complete, a plate that lacks GTIN and weight, and a kit of both."""
    sizes: dict[str, int] = {"weight_grams": 180, "length_mm": 300, "width_mm": 200, "height_mm": 25}
    drafts = [
        ProductDraft(
            code="SHIRT", name="Camiseta Pima", brand="Aroeira", category="moda", ncm="61091000", options=["Cor"],
            variants=[
                VariantDraft(sku="SH-A", options={"Cor": "Anil"}, gtin="7891000315507", price=4990, **sizes),
                VariantDraft(sku="SH-B", options={"Cor": "Areia"}, gtin="7891000053508", price=5990, **sizes),
            ],
        ),
        ProductDraft(code="PLATE", name="Prato raso", variants=[VariantDraft(sku="PL-1", price=2990)]),
        ProductDraft(code="SET", name="Kit mesa", variants=[VariantDraft(sku="SET-1", components={"PL-1": 2, "SH-A": 1})]),
    ]  # fmt: skip
    async with shop.database.transaction() as tx:
        await service.put_categories(tx, [CategoryDraft(code="moda", name="Moda")])
        await service.put_products(tx, drafts)
    return shop


async def page(shop: Shop, path: str, headers: dict[str, str], status: int = 200) -> str:
    answer = await shop.http.get(path, headers=headers)
    assert answer.status_code == status, answer.text[:500]
    return answer.text


def texts(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def codes(html: str) -> list[str]:
    return re.findall(r'class="m-id" href="/products/([^"]+)"', html)


def form_of(html: str) -> dict[str, Any]:
    """Return the edit form as a browser would send it back unchanged; a field that is there several times is a list."""
    html = html.partition("<template")[0]
    form: dict[str, Any] = {}
    for name, value in re.findall(r'<input[^>]*? name="([^"]+)" value="([^"]*)"', html):
        form[name] = (
            [*form[name], value]
            if name.endswith(("components", "units")) and name in form
            else ([value] if name.endswith(("components", "units")) else value)
        )
    for name, body in re.findall(r'<select[^>]* name="([^"]+)">(.*?)</select>', html, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', body)
        form[name] = chosen.group(1) if chosen else ""
    form |= dict(re.findall(r'<textarea[^>]* name="([^"]+)"[^>]*>(.*?)</textarea>', html, re.DOTALL))
    for name in re.findall(r'type="checkbox" name="([^"]+)" value="yes"(?! checked)', html):
        form.pop(name, None)
    return form


async def send(shop: Shop, path: str, form: dict[str, Any], headers: dict[str, str]) -> Any:
    return await shop.http.post(path, data=form, headers={**headers, **HTMX})


async def test_the_list_finds_products_by_words_category_and_what_they_lack(catalogued: Shop) -> None:
    owner = await catalogued.session()
    assert codes(await page(catalogued, "/products", owner)) == ["PLATE", "SET", "SHIRT"]
    assert codes(await page(catalogued, "/products?q=areia", owner)) == ["SHIRT"]
    assert codes(await page(catalogued, "/products?q=7891000315507", owner)) == ["SHIRT"]
    assert codes(await page(catalogued, "/products?category=moda", owner)) == ["SHIRT"]
    assert codes(await page(catalogued, "/products?view=kits", owner)) == ["SET"]
    lacking = await page(catalogued, "/products?view=incomplete", owner)
    assert codes(lacking) == ["PLATE", "SET"]
    assert "Without NCM, GTIN, weight" in texts(lacking)
    assert codes(await page(catalogued, "/products?after=PLATE", owner)) == ["SET", "SHIRT"]
    assert codes(await page(catalogued, "/products?before=SET", owner)) == ["PLATE"]
    assert "No product matches" in await page(catalogued, "/products?q=zzz", owner)
    # A bookmark of a category that is gone.
    assert "No product matches" in await page(catalogued, "/products?category=gone", owner)
    assert len((await page(catalogued, "/products:export.csv?category=gone", owner)).splitlines()) == 1
    assert "SH-A" not in await page(catalogued, "/stock?category=gone", owner)


async def test_a_product_shows_its_variants_and_a_kit_what_it_holds(catalogued: Shop) -> None:
    owner = await catalogued.session()
    shirt = texts(await page(catalogued, "/products/SHIRT", owner))
    for said in ("Moda", "6109.10.00", "0, national", "7891000315507", "180 g", "30 × 20 × 2.5 cm", "R$49.90", "Anil"):
        assert said in shirt
    kit = texts(await page(catalogued, "/products/SET", owner))
    assert "PL-1 · limits the kit 2 0" in kit  # two of it in a kit, none available
    assert "No location has all of its components." in kit
    assert "Where in stock" not in kit
    await page(catalogued, "/products/NOTHING", owner, 404)
    sku = await catalogued.http.get("/products/SH-B", headers=owner)
    assert (sku.status_code, sku.headers["location"]) == (303, "/products/SHIRT")


async def test_a_form_sent_back_unchanged_changes_nothing(catalogued: Shop) -> None:
    owner = await catalogued.session()
    for code in ("SHIRT", "PLATE", "SET"):
        form = form_of(await page(catalogued, f"/products/{code}/edit", owner))
        async with catalogued.database.transaction() as tx:
            before = await reads.product_by_code(tx, code)
        answer = await send(catalogued, f"/products/{code}", form, owner)
        assert (answer.status_code, answer.headers["hx-redirect"]) == (200, f"/products/{code}")
        async with catalogued.database.transaction() as tx:
            assert await reads.product_by_code(tx, code) == before


async def test_an_edit_changes_what_it_states_and_is_audited(catalogued: Shop) -> None:
    owner = await catalogued.session()
    form = form_of(await page(catalogued, "/products/PLATE/edit", owner))
    form |= {"name": "Prato fundo", "ncm": "6912.00.00", "attributes": "Material: cerâmica\n\nForno: sim"}
    form |= {
        "media": "https://img.example/prato.jpg Prato visto de cima",
        "variants/0/weight_grams": "0,780",
        "variants/0/price": "1.029,90",
    }
    form |= {
        "variants/0/length_mm": "27,5",
        "variants/0/width_mm": "27,5",
        "variants/0/height_mm": "3",
        "variants/0/gtin": "789 1000 31550 7",
        "category": "moda",
    }
    refused = await send(catalogued, "/products/PLATE", form, owner)
    assert (refused.status_code, "belongs to the SKU SH-A" in texts(refused.text)) == (422, True)
    form["variants/0/gtin"] = ""
    assert (await send(catalogued, "/products/PLATE", form, owner)).status_code == 200
    async with catalogued.database.transaction() as tx:
        plate = await reads.product_by_code(tx, "PLATE")
        audited = await tx.values("SELECT after ->> 'name' FROM audit WHERE entity = 'product' AND entity_id = 'PLATE'")
    assert plate
    assert (plate.name, plate.ncm, plate.category) == ("Prato fundo", "69120000", "moda")
    assert plate.attributes == {"Material": "cerâmica", "Forno": "sim"}
    assert [(m.url, m.alt) for m in plate.media] == [("https://img.example/prato.jpg", "Prato visto de cima")]
    variant = plate.variants[0]
    assert (variant.weight_grams, variant.length_mm, variant.height_mm, variant.price) == (780, 275, 30, 102990)
    assert audited == ["Prato fundo"]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("name", "", "This field is empty."),
        ("variants/0/weight_grams", "heavy", "heavy is no number."),
        ("variants/0/weight_grams", "0,1234", "has more than 3 decimals"),
        ("attributes", "no colon here", "no colon here is no attribute."),
        ("media", "http://plain.example/a.jpg", "https"),
        ("variants/0/gtin", "7891000315508", "7891000315508"),
    ],
)
async def test_a_wrong_value_is_named_and_nothing_is_changed(
    catalogued: Shop, field: str, value: str, says: str
) -> None:
    owner = await catalogued.session()
    form = form_of(await page(catalogued, "/products/SHIRT/edit", owner)) | {"brand": "Outra", field: value}
    answer = await send(catalogued, "/products/SHIRT", form, owner)
    assert answer.status_code == 422
    assert says in texts(answer.text)
    async with catalogued.database.transaction() as tx:
        shirt = await reads.product_by_code(tx, "SHIRT")
    assert shirt
    assert (shirt.brand, shirt.version) == ("Aroeira", 1)


@pytest.mark.parametrize("change", [{"name": "Camiseta"}, {"variants/1/price": "61,00"}])
async def test_who_saves_second_is_told_also_when_only_a_variant_changed(
    catalogued: Shop, change: dict[str, str]
) -> None:
    owner = await catalogued.session()
    form = form_of(await page(catalogued, "/products/SHIRT/edit", owner))
    assert (await send(catalogued, "/products/SHIRT", form | change, owner)).status_code == 200
    late = await send(catalogued, "/products/SHIRT", form | {"variants/0/price": "1,00"}, owner)
    assert late.status_code == 409
    async with catalogued.database.transaction() as tx:
        assert await tx.value("SELECT price FROM variant WHERE sku = 'SH-A'") == 4990


async def test_a_product_is_taken_off_sale_and_put_back(catalogued: Shop) -> None:
    owner = await catalogued.session()
    for active, view in (("no", "inactive"), ("yes", "active")):
        seen = re.search(r'name="seen" value="([^"]+)"', await page(catalogued, "/products/SHIRT", owner))
        assert seen
        form = {"seen": seen.group(1), "active": active}
        assert (await send(catalogued, "/products/SHIRT/active", form, owner)).status_code == 200
        assert "SHIRT" in codes(await page(catalogued, f"/products?view={view}", owner))
    assert (await send(catalogued, "/products/SHIRT/active", form, owner)).status_code == 409
    async with catalogued.database.transaction() as tx:
        shirt = await reads.product_by_code(tx, "SHIRT")
    assert shirt
    assert [v.sku for v in shirt.variants if v.active] == ["SH-A", "SH-B"]


async def test_who_only_reads_the_catalogue_gets_no_form(catalogued: Shop) -> None:
    service_desk = await catalogued.session(Role.CUSTOMER_SERVICE)
    assert "/edit" not in await page(catalogued, "/products/SHIRT", service_desk)
    await page(catalogued, "/products/SHIRT/edit", service_desk, 403)
    assert (await send(catalogued, "/products/SHIRT", {"name": "x"}, service_desk)).status_code == 403


async def test_the_export_lists_skus(catalogued: Shop) -> None:
    owner = await catalogued.session()
    lines = (await page(catalogued, "/products:export.csv?view=kits", owner)).splitlines()
    assert [line.split(";")[0] for line in lines[1:]] == ["SET-1"]
    lines = (await page(catalogued, "/products:export.csv?q=camiseta", owner)).splitlines()
    assert lines[1] == "SH-A;Camiseta Pima Anil;SHIRT;Aroeira;moda;7891000315507;49,90;no;On sale"


async def test_the_export_of_incomplete_products_has_the_skus_that_lack_something(catalogued: Shop) -> None:
    owner = await catalogued.session()
    async with catalogued.database.transaction() as tx:
        await tx.execute("UPDATE variant SET gtin = '789100031550' || id, weight_grams = 9 WHERE NOT is_kit")
        await tx.execute("UPDATE product SET ncm = '61091000'")
        await tx.execute("UPDATE variant SET weight_grams = 0 WHERE sku = 'SH-B'")
    assert codes(await page(catalogued, "/products?view=incomplete", owner)) == ["SHIRT"]
    lines = (await page(catalogued, "/products:export.csv?view=incomplete", owner)).splitlines()
    assert [line.split(";")[0] for line in lines[1:]] == ["SH-B"]


async def test_a_kit_is_made_changed_and_counted_by_what_its_components_allow(catalogued: Shop) -> None:
    owner = await catalogued.session()
    async with catalogued.database.transaction() as tx:
        await builders.a_network(tx)
        for sku, place, units in (("SH-A", "S1", 9), ("SH-B", "S1", 3), ("SH-A", "S2", 4), ("PL-1", "S2", 1)):
            sku_id = await tx.value("SELECT id FROM variant WHERE sku = %(sku)s::text", {"sku": sku})
            place_id = await tx.value("SELECT id FROM location WHERE code = %(code)s::text", {"code": place})
            await inventory.receive(tx, [Claim(sku_id, place_id, units)], Reference("test"))
    form = {
        "code": "DUO", "name": "Duas camisetas", "origin": "0",
        "variants/0/sku": "DUO-1", "variants/0/price": "90,00", "variants/0/active": "yes", "variants/0/parts": "1",
        "variants/0/components": ["SH-A", "SH-B", ""], "variants/0/units": ["2", "1", ""],
    }  # fmt: skip
    for bad, says in ((["SH-A", "SET-1"], "is a kit itself"), (["SH-A", "NONE"], "There is no SKU NONE")):
        refused = await send(catalogued, "/products:new", form | {"variants/0/components": bad}, owner)
        assert (refused.status_code, says in texts(refused.text)) == (422, True), says
    refused = await send(catalogued, "/products:new", form | {"variants/0/units": ["0", "1", ""]}, owner)
    assert "is no number of units" in texts(refused.text)
    made = await send(catalogued, "/products:new", form, owner)
    assert (made.status_code, made.headers["hx-redirect"]) == (200, "/products/DUO")
    shown = texts(await page(catalogued, "/products/DUO", owner))
    assert "3 kits available" in shown  # S1: min(9 // 2, 3 // 1); S2 has no SH-B
    assert "limits the kit" in shown
    assert (await send(catalogued, "/products:new", form, owner)).status_code == 409
    edit = form_of(await page(catalogued, "/products/DUO/edit", owner))
    edit |= {"variants/0/components": ["SH-A", "PL-1"], "variants/0/units": ["1", "1"]}
    assert (await send(catalogued, "/products/DUO", edit, owner)).status_code == 200
    assert "1 kit available" in texts(await page(catalogued, "/products/DUO", owner))
    stocked = form_of(await page(catalogued, "/products/SHIRT/edit", owner))
    stocked |= {"variants/1/components": ["PL-1"], "variants/1/units": ["1"]}
    refused = await send(catalogued, "/products/SHIRT", stocked, owner)
    assert (refused.status_code, "has stock of its own" in texts(refused.text)) == (422, True)


async def test_a_variant_is_added_to_a_product_with_its_choice(catalogued: Shop) -> None:
    owner = await catalogued.session()
    form = form_of(await page(catalogued, "/products/SHIRT/edit", owner))
    form |= {
        "variants/7/sku": "SH-C",
        "variants/7/options": "Cor: Barro",
        "variants/7/price": "55",
        "variants/7/parts": "1",
    }
    assert (await send(catalogued, "/products/SHIRT", form, owner)).status_code == 200
    async with catalogued.database.transaction() as tx:
        shirt = await reads.product_by_code(tx, "SHIRT")
    assert shirt
    added = next(v for v in shirt.variants if v.sku == "SH-C")
    assert (added.options, added.price, added.active) == ({"Cor": "Barro"}, 5500, False)
    found = (await catalogued.http.get("/products:skus?variants/0/components=camiseta", headers=owner)).text
    assert '<option value="SH-A">' in found
    assert "SET-1" not in (await catalogued.http.get("/products:skus?x=kit", headers=owner)).text
