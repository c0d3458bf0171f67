"""The lists of customers and of orders understand the same: what finds an order finds its buyer."""

import re

import pytest
from tests_http import Shop

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.identity.model import Role
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_order

# name, document, e-mail, telephone as the order has them
BUYERS = {
    1: ("Conceição Araújo", "111.444.777-35", "Conceicao@Exemplo.com.br", "(81) 98765-4321"),
    2: ("Tecidos Boa Vista Ltda", "12.ABC.345/01DE-35", "compras@boavista.example", "+55 11 3265-4321"),
    3: ("Loja Ímpar SA", "11.222.333/0001-81", "loja@impar.example", "+351 912 345 678"),
    4: ("Mistyped Person", "529.982.247-26", "mistyped@exemplo.com.br", "81 3333"),
}
STATE = """
UPDATE sales_order SET buyer_name = %(name)s::text, buyer_document = %(document)s::text, buyer_email = %(email)s::text,
       buyer_phone = %(phone)s::text, external_id = %(external_id)s::text
WHERE id = %(id)s::uuid
"""


@pytest.fixture
async def sold(shop: Shop) -> Shop:
    """Four orders, numbered 1 to 4, whose buyers are profiles."""
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 10})
        for number, (name, document, email, phone) in BUYERS.items():
            id_ = await an_order(tx, world, [Sold(sku)])
            said = {"name": name, "document": document, "email": email, "phone": phone}
            await tx.execute(STATE, {"id": id_, "external_id": f"WEB-2026-00{number}", **said})
        # Numbers of profiles are other ones than those of orders.
        await tx.execute("SELECT setval(pg_get_serial_sequence('customer', 'number'), 700)")
    await drain(shop.database, SUBSCRIPTIONS)
    return shop


async def found(shop: Shop, path: str, text: str, headers: dict[str, str]) -> set[str]:
    """Return the names a list shows."""
    answer = await shop.http.get(path, params={"q": text}, headers=headers)
    assert answer.status_code == 200
    main = answer.text[answer.text.index('id="content"') :]
    return {name for name, *_ in BUYERS.values() if name in main}


MEANT = {
    1: ["1", "#1", "11144477735", "111.444.777-35", "111 444 777 35", "araujo 111.444.777-35", "81987654321",
        "(81) 98765-4321", "+5581987654321", "+55 (81) 98765-4321", "conceicao@exemplo.com.br", "conceicao", "ARAUJO",
        "conc arauj"],
    2: ["WEB-2026-002", "12ABC34501DE35", "12.abc.345/01de-35", "12.ABC.345/01DE-35", "boa 12.abc.345/01de-35",
        "1132654321", "+55 11 3265-4321"],
    3: ["11222333000181", "11.222.333/0001-81", "11 222 333/0001-81", "+351 912 345 678", "+351912345678",
        "LOJA@IMPAR.EXAMPLE", "impar", "Ímpar"],
    4: ["529.982.247-26", "52998224726"],
}  # fmt: skip


async def test_both_lists_find_the_same_people(sold: Shop) -> None:
    owner = await sold.session()
    wrong = {}
    for number, texts in MEANT.items():
        for text in texts:
            both = [await found(sold, path, text, owner) for path in ("/orders", "/customers")]
            if both != [{BUYERS[number][0]}] * 2:
                wrong[text] = both
    assert wrong == {}


async def test_a_sku_finds_orders_and_no_customers(sold: Shop) -> None:
    owner = await sold.session()
    async with sold.database.transaction() as tx:
        await tx.execute("UPDATE order_search SET document = document || ' 7891234500017'")
    assert len(await found(sold, "/orders", "7891234500017", owner)) == 4
    assert await found(sold, "/customers", "7891234500017", owner) == set()


async def test_the_number_of_a_profile_and_programs_are_understood_too(sold: Shop) -> None:
    owner = await sold.session()
    (number,) = re.findall(r'href="/customers/(\d+)"', (await sold.http.get("/customers?q=impar", headers=owner)).text)
    assert await found(sold, "/customers", number, owner) == {BUYERS[3][0]}
    for rights, names in ((["customers:read", "orders:read"], [BUYERS[3][0]]), (["customers:read"], [])):
        key = await sold.key(rights)
        items = (await sold.http.get("/v1/customers", params={"q": "WEB-2026-003"}, headers=key)).json()["items"]
        assert [item["name"] for item in items] == names


async def test_an_order_of_another_location_leads_who_is_limited_to_nobody(sold: Shop) -> None:
    here = await sold.session(Role.STORE_LEAD, email="dc@loja.test", locations=["DC"])
    elsewhere = await sold.session(Role.STORE_LEAD, email="s1@loja.test", locations=["S1"])
    assert await found(sold, "/customers", "WEB-2026-003", here) == {BUYERS[3][0]}
    assert await found(sold, "/customers", "WEB-2026-003", elsewhere) == set()
