"""Holds of carts and payments as a person looks after them: found, read, let go with a reason, and never twice."""

import asyncio

import pytest
from test_stock_api import free, item, stocked
from tests_http import Shop

from malha.doctor import examine
from malha.identity.model import Role
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.platform.db import Database
from malha.platform.ids import new_id

__all__ = ["stocked"]


@pytest.fixture
async def carts(stocked: Shop) -> Shop:
    """Two carts and a payment; the cart at the store ends first."""
    for reference, seconds, items in (
        ("cart-dc", 900, [item("SKU-1", "CD01", 3), item("SKU-2", "CD01", 1)]),
        ("cart-store", 300, [item("SKU-1", "LJ01", 2)]),
        ("pix_100", 1_800, [item("SKU-1", "CD01", 1)]),
    ):
        body = {"reference": reference, "items": items, "seconds": seconds}
        answer = await stocked.http.post("/v1/holds", json=body, headers=stocked.headers)
        assert answer.status_code == 201, answer.text
    return stocked


async def listed(shop: Shop, headers: dict[str, str] | None = None, **asked: str) -> list[str]:
    answer = await shop.http.get("/v1/holds", params=asked, headers=headers or shop.headers)
    assert answer.status_code == 200, answer.text
    return [hold["reference"] for hold in answer.json()["items"]]


async def test_holds_are_found_by_what_they_keep_where_and_for_whom(carts: Shop) -> None:
    assert await listed(carts) == ["cart-store", "cart-dc", "pix_100"]
    assert await listed(carts, sku="SKU-2") == ["cart-dc"]
    assert await listed(carts, location="LJ01") == ["cart-store"]
    assert await listed(carts, sku="SKU-2", location="LJ01") == []
    assert await listed(carts, q="CART") == ["cart-store", "cart-dc"]
    assert await listed(carts, q="_1") == ["pix_100"]
    assert await listed(carts, q="%") == []
    assert await listed(carts, q="_") == ["pix_100"]
    assert await listed(carts, q="sku-2") == ["cart-dc"]
    assert await listed(carts, channel="nowhere") == []


async def test_they_are_paged_and_each_says_what_it_keeps(carts: Shop) -> None:
    seen, cursor = [], ""
    while True:
        page = (await carts.http.get("/v1/holds", params={"limit": 1, "cursor": cursor}, headers=carts.headers)).json()
        seen += page["items"]
        cursor = page["next"]
        if not cursor:
            break
    assert [hold["reference"] for hold in seen] == ["cart-store", "cart-dc", "pix_100"]
    assert [hold["units"] for hold in seen] == [2, 4, 1]
    assert [(line["sku"], line["location"], line["quantity"]) for line in seen[1]["lines"]] == [
        ("SKU-1", "CD01", 3),
        ("SKU-2", "CD01", 1),
    ]


async def test_a_hold_is_read_until_it_is_used_or_released_by_who_sees_all_of_it(carts: Shop) -> None:
    assert (await carts.http.get("/v1/holds/cart-dc", headers=carts.headers)).json()["units"] == 4
    await carts.http.post("/v1/holds/cart-dc/release", headers=carts.headers)
    gone = await carts.http.get("/v1/holds/cart-dc", headers=carts.headers)
    assert (gone.status_code, gone.json()["code"]) == (404, "hold_not_found")
    store = await carts.key(["stock:read", "stock:write"], locations=["LJ01"])
    assert await listed(carts, store) == ["cart-store"]
    assert (await carts.http.get("/v1/holds/pix_100", headers=store)).status_code == 404
    answer = await carts.http.post(
        "/v1/holds:release", json={"references": ["cart-store", "pix_100"], "reason": "called"}, headers=store
    )
    assert answer.json() == {"released": ["cart-store"]}
    assert await listed(carts) == ["pix_100"]


async def test_what_is_released_by_hand_is_free_at_once_and_noted_with_its_reason(carts: Shop) -> None:
    before = await free(carts)
    body = {"references": ["cart-dc", "cart-9", "cart-dc"], "reason": "the customer gave up on the telephone"}
    answer = await carts.http.post("/v1/holds:release", json=body, headers=carts.headers)
    assert answer.json() == {"released": ["cart-dc"]}
    after = await free(carts)
    assert after[("SKU-1", "CD01")] - before[("SKU-1", "CD01")] == 3
    assert after[("SKU-2", "CD01")] - before[("SKU-2", "CD01")] == 1
    async with carts.database.transaction() as tx:
        noted = await tx.tuples("SELECT entity_id, after FROM audit WHERE entity = 'hold'")
    assert noted == [("cart-dc", {"units": 4, "reason": "the customer gave up on the telephone"})]
    again = await carts.http.post("/v1/holds:release", json=body, headers=carts.headers)
    assert again.json() == {"released": []}
    assert (await examine(carts.database)).healthy


async def test_nobody_releases_without_saying_why(carts: Shop) -> None:
    answer = await carts.http.post(
        "/v1/holds:release", json={"references": ["cart-dc"], "reason": "  "}, headers=carts.headers
    )
    assert answer.status_code == 422
    assert await listed(carts, q="cart-dc") == ["cart-dc"]


async def test_what_malha_keeps_itself_is_neither_listed_nor_released(carts: Shop) -> None:
    async with carts.database.transaction() as tx:
        await tx.execute("UPDATE stock_hold SET reference = 'transfer 7' WHERE reference = 'pix_100'")
    assert await listed(carts) == ["cart-store", "cart-dc"]
    body = {"references": ["transfer 7"], "reason": "why not"}
    assert (await carts.http.post("/v1/holds:release", json=body, headers=carts.headers)).json() == {"released": []}


async def test_of_a_release_and_the_payment_that_comes_at_the_same_moment_one_gets_the_hold(carts: Shop) -> None:
    async def convert(database: Database) -> bool:
        async with database.transaction() as tx:
            return await inventory.convert_hold(tx, "cart-dc", Reference("order", new_id(), "1")) is not None

    async def release() -> list[str]:
        body = {"references": ["cart-store", "cart-dc"], "reason": "at the same moment"}
        return list((await carts.http.post("/v1/holds:release", json=body, headers=carts.headers)).json()["released"])

    converted, *released = await asyncio.gather(convert(carts.database), *(release() for _ in range(4)))
    gone = [reference for each in released for reference in each]
    assert sorted([*gone, *(["cart-dc"] if converted else [])]) == ["cart-dc", "cart-store"]
    async with carts.database.transaction() as tx:
        held = await tx.tuples("SELECT allocated, held FROM balance ORDER BY sku_id, location_id")
    assert sum(units for _, units in held) == 1  # the payment's
    assert sum(units for units, _ in held) == (4 if converted else 0)
    async with carts.database.transaction() as tx:
        keys = await tx.tuples("SELECT sku_id, location_id, allocated FROM balance WHERE allocated > 0")
        await inventory.release(tx, [Claim(*key) for key in keys], Reference("order", new_id(), "1"))
    assert (await examine(carts.database)).healthy


async def test_the_page_lists_searches_and_releases_what_is_chosen(carts: Shop) -> None:
    owner = await carts.session()
    page = (await carts.http.get("/holds", headers=owner)).text
    assert page.index("cart-store") < page.index("cart-dc") < page.index("pix_100")
    found = (await carts.http.get("/holds?q=SKU-2", headers=owner)).text
    assert "cart-dc" in found
    assert "cart-store" not in found
    form = {"key": ["cart-dc", "cart-9"], "reason": "gave up"}
    done = await carts.http.post("/holds:release", data=form, headers=owner)
    assert done.status_code in {200, 303}
    assert await listed(carts) == ["cart-store", "pix_100"]
    nothing = await carts.http.post("/holds:release", data={"reason": "gave up"}, headers=owner)
    assert nothing.status_code == 422
    strange = await carts.http.post("/holds:release", data={"key": ["cart\x00-store"], "reason": "\x00"}, headers=owner)
    assert strange.status_code == 422
    assert (await carts.http.get("/holds?q=%00&location=%00&after=%00", headers=owner)).status_code == 200
    empty = (await carts.http.get("/holds?q=nothing", headers=owner)).text
    assert "No hold matches" in empty


async def test_who_may_not_change_stock_sees_no_box_and_releases_nothing(carts: Shop) -> None:
    auditor = await carts.session(Role.AUDITOR)
    page = (await carts.http.get("/holds", headers=auditor)).text
    assert "cart-dc" in page
    assert 'name="key"' not in page
    form = {"key": ["cart-dc"], "reason": "gave up"}
    assert (await carts.http.post("/holds:release", data=form, headers=auditor)).status_code == 403


async def test_the_file_has_a_row_for_each_sku_and_location(carts: Shop) -> None:
    owner = await carts.session()
    rows = (await carts.http.get("/holds:export.csv", headers=owner)).text.splitlines()
    assert [row.split(";")[0] for row in rows[1:]] == ["cart-store", "cart-dc", "cart-dc", "pix_100"]
