"""A search answers parts of a CPF, e-mail or telephone that lists hide only to who may see personal data in full."""

import re
import sys
from pathlib import Path

import pytest
from tests_http import Shop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from spine_rows import a_network, an_order

from malha.customers import service
from malha.customers.model import Buyer
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.identity.model import Role
from malha.platform.subscribers import drain

# Lists show •••.444.777-••, a•••@example.com and (11) •••••-4321.
IARA = {"document": "11144477735", "email": "aguas@example.com", "phone": "+5511987654321"}
NAME = "Iara Conceição"
WHOLE = ["111.444.777-35", "11144477735", "aguas@example.com", "(11) 98765-4321", "5511987654321"]
SHOWN = ["iara", "conceicao", "444777", "iara 4321", "4321"]
HIDDEN = ["111444", "77735", "1114447", "aguas", "guas@example", "iara 98765", "98765"]


@pytest.fixture
async def known(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await a_network(tx)
        await an_order(tx, name=NAME, **IARA)
        await service.link(tx, [Buyer(name=NAME, **IARA)])
        await tx.execute(
            "INSERT INTO order_search (order_id, placed_at, document) SELECT id, placed_at, %s::text FROM sales_order",
            ("1 w-1 iara conceicao 11144477735 aguas@example.com +5511987654321 5511987654321 sku-1",),
        )
    await drain(shop.database, SUBSCRIPTIONS)


async def found(shop: Shop, key: dict[str, str], text: str) -> tuple[bool, bool]:
    """Return whether a program finds the customer, and the order."""
    customers = await shop.http.get("/v1/customers", params={"q": text}, headers=key)
    orders = await shop.http.get("/v1/orders", params={"search": text}, headers=key)
    return bool(customers.json()["items"]), bool(orders.json()["items"])


async def test_programs_find_by_parts_of_what_they_may_see(shop: Shop, known: None) -> None:
    blind = await shop.key({"orders:read", "customers:read"})
    seeing = await shop.key({"orders:read", "customers:read", "customers:reveal"})
    for text in WHOLE + SHOWN:
        assert await found(shop, blind, text) == (True, True), text
    for text in HIDDEN:
        assert await found(shop, blind, text) == (False, False), text
    for text in WHOLE + SHOWN + HIDDEN:
        assert await found(shop, seeing, text) == (True, True), text


async def test_the_command_bar_and_the_lists_find_no_more(shop: Shop, known: None) -> None:
    async def kinds(text: str, headers: dict[str, str]) -> set[str]:
        bar = await shop.http.get("/find", params={"q": text}, headers=headers)
        return set(re.findall(r'data-kind="(customer|order)"', bar.text))

    auditor, desk = await shop.session(Role.AUDITOR), await shop.session(Role.CUSTOMER_SERVICE, email="desk@loja.test")
    for text in ("111.444.777-35", "aguas@example.com", "iara", "444777"):
        assert await kinds(text, auditor) == {"customer", "order"}, text
    for text in ("1114447", "aguas", "98765"):
        assert await kinds(text, auditor) == set(), text
        assert await kinds(text, desk) == {"customer", "order"}, text
        page = await shop.http.get("/customers", params={"q": text}, headers=auditor)
        assert "Iara" not in page.text
