"""Chosen products changed at once from their list: each as far as it may be, refused once, on record."""

from typing import Any
from urllib.parse import unquote

import pytest
from tests_http import Shop

from malha.catalog import ownership, reads, service
from malha.catalog.model import CategoryDraft, Product, ProductDraft, VariantDraft
from malha.identity.model import Role
from malha.testing.builders import a_network

HTMX = {"hx-request": "true"}
CODES = ["MUG", "BOWL", "PLATE"]


@pytest.fixture
async def crockery(shop: Shop) -> Shop:
    """Three products on sale; the brand of the plate is kept by an ERP."""
    async with shop.database.transaction() as tx:
        await service.put_categories(tx, [CategoryDraft(code="mesa", name="Mesa posta")])
        variants = {code: VariantDraft(sku=f"{code}-1", price=990) for code in CODES}
        drafts = [ProductDraft(code=code, name=code.title(), brand="A", variants=[v]) for code, v in variants.items()]
        await service.put_products(tx, drafts)
        await ownership.claim(tx, "erp", "ERP da matriz", ["brand"])
        await ownership.tell(tx, "erp", ["PLATE-1"])
    return shop


async def found(shop: Shop) -> dict[str, Product]:
    async with shop.database.transaction() as tx:
        return await reads.products_by_code(tx, CODES)


async def sent(shop: Shop, headers: dict[str, str], codes: list[str], **form: Any) -> Any:
    return await shop.http.post("/products:bulk", data={"code": codes, **form}, headers=headers)


def said(answer: Any) -> str:
    return unquote(answer.cookies["malha_notice"])


async def test_chosen_products_leave_the_sale_and_come_back(crockery: Shop) -> None:
    owner = await crockery.session()
    answer = await sent(crockery, owner, ["MUG", "BOWL", "NONE"], act="stop", next="/products?view=active")
    assert (answer.status_code, answer.headers["location"]) == (303, "/products?view=active")
    assert {code: p.active for code, p in (await found(crockery)).items()} == {
        "MUG": False,
        "BOWL": False,
        "PLATE": True,
    }
    assert "2 products changed. 1 is not there any more." in said(answer)
    answer = await sent(crockery, owner, CODES, act="sell")
    assert all(p.active for p in (await found(crockery)).values())
    assert "2 products changed. 1 was so already." in said(answer)


async def test_what_they_have_in_common_is_written_and_the_rest_of_each_stays(crockery: Shop) -> None:
    owner = await crockery.session()
    before = await found(crockery)
    form = {"act": "change", "category": "mesa", "ncm": "6912.00.00", "brand": "", "cest": "", "origin": "0"}
    assert (await sent(crockery, owner, ["MUG", "BOWL"], **form)).status_code == 303
    after = await found(crockery)
    assert {code: (p.category, p.ncm, p.brand) for code, p in after.items()} == {
        "MUG": ("mesa", "69120000", "A"),
        "BOWL": ("mesa", "69120000", "A"),
        "PLATE": (None, None, "A"),
    }
    assert {code: p.variants for code, p in after.items()} == {code: p.variants for code, p in before.items()}
    async with crockery.database.transaction() as tx:
        asked = "SELECT entity_id FROM audit WHERE entity = 'product' AND actor_kind = 'person' ORDER BY entity_id"
        assert await tx.values(asked) == ["BOWL", "MUG"]


async def test_a_product_whose_field_is_kept_elsewhere_is_left_and_the_others_are_changed(crockery: Shop) -> None:
    owner = await crockery.session()
    answer = await sent(crockery, owner, CODES, act="change", brand="Aroeira")
    assert {code: p.brand for code, p in (await found(crockery)).items()} == {
        "MUG": "Aroeira",
        "BOWL": "Aroeira",
        "PLATE": "A",
    }
    left = "1 was left as it is: this is kept elsewhere, or it lacks something."
    assert f"2 products changed. {left}" in said(answer)


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"ncm": "12", "brand": "Aroeira"}, "12 is no NCM code."),
        ({"origin": "9"}, "9"),
        ({"origin": "x"}, "origin"),
        ({"category": "none"}, "There is no category none."),
        ({}, "Nothing was said to change."),
    ],
)
async def test_what_is_wrong_is_said_once_and_changes_nothing(crockery: Shop, form: dict[str, str], says: str) -> None:
    owner = await crockery.session() | HTMX
    before = await found(crockery)
    answer = await sent(crockery, owner, CODES, act="change", **form)
    assert answer.status_code == 422
    assert answer.text.count(says) >= 1
    assert answer.text.count("m-flaw") <= 1
    assert await found(crockery) == before


async def test_who_may_not_change_products_is_offered_no_choice(crockery: Shop) -> None:
    async with crockery.database.transaction() as tx:
        await a_network(tx)
    for headers in (await crockery.session(Role.AUDITOR), await crockery.session(Role.PLANNER, locations=["S1"])):
        assert "data-select-row" not in (await crockery.http.get("/products", headers=headers)).text
        assert (await sent(crockery, headers, CODES, act="stop")).status_code == 403
    assert "data-select-row" in (await crockery.http.get("/products", headers=await crockery.session())).text
    assert all(p.active for p in (await found(crockery)).values())
