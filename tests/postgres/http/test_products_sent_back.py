"""What was read of a product can be sent back as it is, and changes nothing; what is only read cannot be changed."""

import random
from typing import Any

import pytest
from tests_http import Shop

from malha.catalog import service
from malha.catalog.model import MediaDraft, ProductDraft, Substitute, VariantDraft
from malha.demo import retailer
from malha.platform.db import Database

GOODS = [
    ProductDraft(
        code="CUP",
        name="Caneca",
        description="Linha um\nLinha dois ",
        options=["Cor"],
        attributes={"Material": "Barro"},
        variants=[
            VariantDraft(
                sku="CUP-B",
                options={"Cor": "Azul"},
                price=3000,
                media=[MediaDraft(url="https://img.example/b.jpg"), MediaDraft(url="https://img.example/c.jpg")],
            ),
            VariantDraft(sku="CUP-R", options={"Cor": "Rosa"}, substitutes=[Substitute("CUP-B", both_ways=True)]),
        ],
        media=[MediaDraft(url="https://img.example/1.jpg", alt="Um"), MediaDraft(url="https://img.example/2.jpg")],
    ),
    ProductDraft(code="SET", name="Jogo", variants=[VariantDraft(sku="SET", components={"CUP-B": 2, "CUP-R": 1})]),
]


@pytest.fixture
async def headers(shop: Shop, database: Database) -> dict[str, str]:
    async with database.transaction() as tx:
        await service.put_products(tx, GOODS)
    return await shop.key({"catalog:read", "catalog:write", "audit:read"})


async def test_every_product_of_the_demo_is_accepted_as_it_was_read_and_changes_nothing(
    shop: Shop, database: Database, headers: dict[str, str]
) -> None:
    goods = retailer.products(random.Random(1))
    goods += retailer.kits(goods)
    async with database.transaction() as tx:
        await service.put_categories(tx, retailer.categories())
        await service.put_products(tx, goods)
    for draft in [*GOODS, *goods]:
        path = f"/v1/products/{draft.code}"
        read = await shop.http.get(path, headers=headers)
        sent = await shop.http.put(path, json=read.json(), headers={**headers, "if-match": read.headers["etag"]})
        assert sent.status_code == 200, (draft.code, sent.text)
        assert sent.headers["etag"] == read.headers["etag"] == '"1"'
        assert (await shop.http.get(path, headers=headers)).json() == read.json()
    assert (await shop.http.get("/v1/audit?entity=product", headers=headers)).json()["items"] == []


def changed(product: dict[str, Any], at: str, value: object) -> dict[str, Any]:
    """A product with another value at a path."""
    *steps, last = [int(step) if step.isdigit() else step for step in at.split("/")]
    inner: Any = product
    for step in steps:
        inner = inner[step]
    inner[last] = value
    return product


DIFFERENT = {
    "id": (99999, "/id", "not 99999. Read it again"),
    "version": (7, "/version", "This is 1 here, not 7. Read it again, or leave it out."),
    "variants/0/id": (99999, "/variants/0/id", "not 99999."),
    "variants/1/version": (7, "/variants/1/version", "This is 1 here, not 7."),
    "variants/0/is_kit": (True, "/variants/0/is_kit", "Whether it is a kit follows from its components."),
    "media/0/position": (1, "/media/0/position", "This is picture 0 of the list. Leave it out"),
    "media/2/url": ("https://img.example/x.jpg", "/media/2/sku", "These are not the pictures of CUP-B."),
    "media/0/sku": ("CUP-R", "/media/0/sku", "These are not the pictures of CUP-R."),
}


@pytest.mark.parametrize("at", DIFFERENT)
async def test_what_is_only_read_is_refused_where_it_is_not_what_it_is(
    shop: Shop, headers: dict[str, str], at: str
) -> None:
    value, where, says = DIFFERENT[at]
    read = await shop.http.get("/v1/products/CUP", headers=headers)
    body = changed(read.json(), at, value)
    sent = await shop.http.put("/v1/products/CUP", json=body, headers={**headers, "if-match": read.headers["etag"]})
    assert sent.status_code == 422, sent.text
    flaws = {flaw["at"]: f"{flaw['says']} {flaw.get('mend', '')}" for flaw in sent.json()["errors"]}
    assert says in flaws[where], flaws
    assert (await shop.http.get("/v1/products/CUP", headers=headers)).json() == read.json()


async def test_what_is_changed_of_a_product_that_was_read_is_changed_and_all_else_stays(
    shop: Shop, headers: dict[str, str]
) -> None:
    read = (await shop.http.get("/v1/products/CUP", headers=headers)).json()
    body = changed(changed(read, "variants/0/price", 3100), "media/1/alt", "Dois")
    sent = await shop.http.put("/v1/products/CUP", json=body, headers={**headers, "if-match": '"1"'})
    assert (sent.status_code, sent.headers["etag"]) == (200, '"2"')
    now = (await shop.http.get("/v1/products/CUP", headers=headers)).json()
    assert now == body | {"version": 2, "variants": [body["variants"][0] | {"version": 2}, body["variants"][1]]}


async def test_a_new_product_has_nothing_that_was_read(shop: Shop, headers: dict[str, str]) -> None:
    read = (await shop.http.get("/v1/products/SET", headers=headers)).json()
    body = read | {"code": "TWO", "variants": [read["variants"][0] | {"sku": "TWO"}]}
    sent = await shop.http.post("/v1/products", json=body, headers=headers)
    assert sent.status_code == 422
    assert [flaw["at"] for flaw in sent.json()["errors"]] == [
        "/id",
        "/version",
        "/variants/0/id",
        "/variants/0/version",
    ]
