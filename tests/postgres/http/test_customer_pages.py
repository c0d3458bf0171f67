"""Pages of customers: masked everywhere, shown in full with a reason only, and a store sees its own customers."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from tests_http import Shop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from spine_rows import a_network, an_order

from malha.customers import service
from malha.customers.model import CustomerDraft
from malha.identity.model import Role
from malha.platform.address import Address

HTMX = {"hx-request": "true"}
CPF = "11144477735"
SECRETS = ("111.444.777-35", CPF, "iara@exemplo.com.br", "98765-4321", "987654321", "Rua das Acácias")


@pytest.fixture
async def known(shop: Shop) -> Shop:
    """Iara (1) with an order at CD01, Caio (2) without orders, Loja Boa (3), a company."""
    acacias = Address(street="Rua das Acácias", number="12", city="Recife", state="PE", postal_code="51020010")
    drafts = [
        CustomerDraft(name="Iara Nogueira", document=CPF, email="iara@exemplo.com.br", phone="(81) 98765-4321", address=acacias),
        CustomerDraft(name="Caio Menezes", email="caio@exemplo.com.br", phone="(81) 98765-4321"),
        CustomerDraft(name="Loja Boa Ltda", document="11222333000181"),
    ]  # fmt: skip
    async with shop.database.transaction() as tx:
        await a_network(tx)
        for draft in drafts:
            await service.create_customer(tx, draft)
        order = await an_order(tx, name="Iara Nogueira")
        await tx.execute(
            "INSERT INTO order_customer (order_id, customer_id) SELECT %s::uuid, id FROM customer WHERE number = 1",
            (order,),
        )
    return shop


async def page(shop: Shop, path: str, headers: dict[str, str], status: int = 200) -> str:
    answer = await shop.http.get(path, headers=headers)
    assert answer.status_code == status, answer.text[:500]
    return answer.text


def texts(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def numbers(html: str) -> list[int]:
    return [int(number) for number in re.findall(r'class="m-id" href="/customers/(\d+)"', html)]


async def send(shop: Shop, path: str, form: dict[str, str], headers: dict[str, str]) -> Any:
    return await shop.http.post(path, data=form, headers={**headers, **HTMX})


async def test_the_list_is_found_by_name_and_identity_and_goes_on_page_by_page(known: Shop) -> None:
    owner = await known.session()
    assert numbers(await page(known, "/customers", owner)) == [3, 2, 1]
    assert numbers(await page(known, "/customers?q=iara", owner)) == [1]
    assert numbers(await page(known, "/customers?q=111.444.777-35", owner)) == [1]
    assert numbers(await page(known, "/customers?kind=company", owner)) == [3]
    assert numbers(await page(known, "/customers?older=3", owner)) == [2, 1]
    assert numbers(await page(known, "/customers?newer=1", owner)) == [3, 2]
    assert "No customer matches" in await page(known, "/customers?q=zzz", owner)


async def test_identities_are_masked_on_every_page_and_in_the_export(known: Shop) -> None:
    owner = await known.session()
    for path in ("/customers", "/customers/1", "/customers:export.csv"):
        text = await page(known, path, owner)
        assert "•••.444.777-••" in text
        assert not [secret for secret in SECRETS if secret in text], path


async def test_data_is_shown_in_full_with_a_reason_that_is_kept(known: Shop) -> None:
    owner = await known.session()
    refused = await send(known, "/customers/1/reveal", {"why": " "}, owner)
    assert (refused.status_code, "Say why the data is needed." in texts(refused.text)) == (422, True)
    shown = await send(known, "/customers/1/reveal", {"why": "carrier calls"}, owner)
    for secret in ("111.444.777-35", "iara@exemplo.com.br", "98765-4321", "Rua das Acácias", "51020-010"):
        assert secret in shown.text
    async with known.database.transaction() as tx:
        kept = await tx.values("SELECT after ->> 'why' FROM audit WHERE action = 'reveal'")
    assert kept == ["carrier calls"]
    assert "Data shown in full carrier calls" in texts(await page(known, "/customers/1", owner))
    lead = await known.session(Role.STORE_LEAD)
    assert (await send(known, "/customers/1/reveal", {"why": "x"}, lead)).status_code == 403
    assert "dlg-reveal" not in await page(known, "/customers/1", lead)


async def test_the_page_of_an_order_asks_why_as_the_page_of_a_customer_does(known: Shop) -> None:
    owner = await known.session()
    async with known.database.transaction() as tx:
        (number,) = await tx.values("SELECT number FROM sales_order ORDER BY number LIMIT 1")
        await tx.execute("UPDATE sales_order SET buyer_document = '52998224725'")
    assert "dlg-reveal" in await page(known, f"/orders/{number}", owner)
    for nothing in ({}, {"why": "  "}):
        refused = await send(known, f"/orders/{number}/reveal", nothing, owner)
        assert (refused.status_code, "Say why the data is needed." in texts(refused.text)) == (422, True)
        assert "529.982.247-25" not in refused.text
    shown = await send(known, f"/orders/{number}/reveal", {"why": "carrier calls"}, owner)
    assert "529.982.247-25" in shown.text
    async with known.database.transaction() as tx:
        kept = await tx.tuples("SELECT entity, after FROM audit WHERE action = 'reveal'")
    assert kept == [("order", {"why": "carrier calls", "shown": "buyer"})]


async def test_an_edit_keeps_what_it_leaves_empty_and_needs_no_look_at_it(known: Shop) -> None:
    owner = await known.session()
    form = {"version": "1", "name": "Iara N. Prado", "phone": "(81) 91111-2222"}
    answer = await send(known, "/customers/1", form, owner)
    assert answer.status_code == 200, answer.text[:500]
    async with known.database.transaction() as tx:
        rows = await tx.tuples(
            "SELECT name, document, email, phone, address ->> 'street' FROM customer WHERE number = 1"
        )
        audited = await tx.tuples(
            "SELECT action, after ->> 'phone' FROM audit WHERE entity = 'customer' ORDER BY id DESC LIMIT 1"
        )
    assert rows == [("Iara N. Prado", CPF, "iara@exemplo.com.br", "+5581911112222", "Rua das Acácias")]
    assert audited == [("change", "(changed)")]
    late = await send(known, "/customers/1", form | {"name": "Outra"}, owner)
    assert late.status_code == 409


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"name": ""}, 422, "This field is empty."),
        ({"document": "111.444.777-36"}, 422, "is neither a CPF nor a CNPJ"),
        ({"postal_code": "123"}, 422, "123 is no CEP."),
        ({"document": "11.222.333/0001-81"}, 409, "Customer 3 already has this CPF or CNPJ."),
    ],
)
async def test_a_wrong_value_is_named_and_nothing_is_changed(
    known: Shop, change: dict[str, str], status: int, says: str
) -> None:
    owner = await known.session()
    answer = await send(known, "/customers/1", {"version": "1", "name": "Iara", **change}, owner)
    assert (answer.status_code, says in texts(answer.text)) == (status, True), texts(answer.text)
    async with known.database.transaction() as tx:
        assert await tx.values("SELECT version FROM customer WHERE number = 1") == [1]


async def test_a_profile_shows_what_was_bought_and_who_may_be_the_same_person(known: Shop) -> None:
    owner = await known.session()
    iara = texts(await page(known, "/customers/1", owner))
    async with known.database.transaction() as tx:
        ((number, total),) = await tx.tuples("SELECT number, total FROM sales_order")
    assert f"#{number} Site" in iara
    assert f"R${total / 100:,.2f}" in iara
    assert "1 profile may be the same person. Caio Menezes (same phone)" in iara


async def test_a_store_sees_the_customers_of_its_own_orders_only(known: Shop) -> None:
    far = await known.session(Role.STORE_LEAD, email="far@loja.test", locations=["LJ01"])
    near = await known.session(Role.STORE_LEAD, email="near@loja.test", locations=["CD01"])
    assert numbers(await page(known, "/customers", far)) == []
    assert numbers(await page(known, "/customers", near)) == [1]
    assert "Iara" not in await page(known, "/customers:export.csv", far)
    await page(known, "/customers/1", far, 404)
    assert (await send(known, "/customers/1", {"version": "1", "name": "X"}, far)).status_code == 404
    seen = await page(known, "/customers/1", near)
    assert "Caio" not in seen  # who may be the same person is nobody of theirs
    await page(known, "/customers/2", near, 404)
    associate = await known.session(Role.STORE_ASSOCIATE)
    await page(known, "/customers", associate, 403)
