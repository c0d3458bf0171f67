"""What somebody mistyped for a CPF, a telephone or an e-mail is masked as the right one would be."""

import sys
from pathlib import Path

import pytest
from tests_http import Shop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from spine_rows import a_network, an_order

from malha.identity.model import Role

# A digit of the CPF is missing, an area code, and what stands behind a name.
MISTYPED = {"document": "1114447773", "phone": "98765432", "email": "iara.nogueira"}
SHOWN = {"document": "••••••••73", "phone": "••••••32", "email": "i•••"}


@pytest.fixture
async def order(shop: Shop) -> str:
    async with shop.database.transaction() as tx:
        await a_network(tx)
        order_id = await an_order(tx, name="Iara Nogueira", **MISTYPED)
        # Such profiles came with older versions, or straight into the database.
        await tx.execute(
            "INSERT INTO customer (id, kind, name, document, email, phone, address, folded) VALUES"
            " (gen_random_uuid(), 'person', 'Iara', %(document)s, %(email)s, %(phone)s, '{}', 'iara')",
            MISTYPED,
        )
    return str(order_id)


async def test_programs_that_may_not_see_personal_data_get_them_masked(shop: Shop, order: str) -> None:
    key = await shop.key({"orders:read", "customers:read"})
    head = (await shop.http.get(f"/v1/orders/{order}", headers=key)).json()["order"]
    assert {name: head[f"buyer_{name}"] for name in SHOWN} == SHOWN
    (row,) = (await shop.http.get("/v1/customers", headers=key)).json()["items"]
    assert {name: row[name] for name in SHOWN} == SHOWN
    full = await shop.key({"orders:read", "customers:reveal"})
    head = (await shop.http.get(f"/v1/orders/{order}", headers=full)).json()["order"]
    assert {name: head[f"buyer_{name}"] for name in MISTYPED} == MISTYPED


async def test_pages_and_files_show_them_masked(shop: Shop, order: str) -> None:
    headers = await shop.session(Role.AUDITOR)
    async with shop.database.transaction() as tx:
        number = await tx.value("SELECT number FROM sales_order")
    paths = (
        "/customers", "/customers/1", "/customers:export.csv", "/orders", f"/orders/{number}", f"/orders/{number}/peek",
        "/orders/export.csv", "/messages", "/messages/export.csv", "/find?q=iara",
    )  # fmt: skip
    for path in paths:
        shown = await shop.http.get(path, headers=headers)
        assert shown.status_code == 200, (path, shown.text[:300])
        assert not [said for said in MISTYPED.values() if said in shown.text], path
    for path in ("/customers", "/customers/1", "/customers:export.csv", f"/orders/{number}"):
        shown = await shop.http.get(path, headers=headers)
        assert not [said for said in SHOWN.values() if said not in shown.text], path
