"""All that is kept of a person, and erasing it: who may, what is refused, what the page says before and after."""

import json
import re
from typing import Any

import pytest
from tests_http import Shop

from malha.customers import service
from malha.customers.model import CustomerDraft
from malha.identity.model import Role
from malha.ordering import cancelling
from malha.platform.address import Address
from malha.privacy import searching
from malha.testing.builders import a_network, an_order

HTMX = {"hx-request": "true"}
CPF, MAIL = "11144477735", "iara@exemplo.com.br"


@pytest.fixture
async def known(shop: Shop) -> Shop:
    """Iara (1) with an order that was cancelled."""
    where = Address(street="Rua das Acácias", number="12", city="Recife", state="PE", postal_code="51020010")
    draft = CustomerDraft(name="Iara Nogueira", document=CPF, email=MAIL, phone="(81) 98765-4321", address=where)
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        made = await service.create_customer(tx, draft)
        order = await an_order(tx, world, paid=None)
        await tx.execute("INSERT INTO order_customer (order_id, customer_id) VALUES (%s, %s)", (order, made.id))
        await tx.execute("UPDATE sales_order SET buyer_name = 'Iara Nogueira', buyer_email = %s", (MAIL,))
    return shop


async def iara(shop: Shop) -> str:
    async with shop.database.transaction() as tx:
        return str(await tx.value("SELECT id FROM customer WHERE number = 1"))


async def cancel(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, await tx.value("SELECT id FROM sales_order"), reason="changed their mind")


async def send(shop: Shop, path: str, headers: dict[str, str], **body: Any) -> Any:
    return await shop.http.post(path, json=body, headers=headers)


def texts(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def test_all_that_is_kept_is_one_file_which_needs_its_permission_and_a_reason(known: Shop) -> None:
    path = f"/v1/customers/{await iara(known)}/personal-data"
    reveals = await known.key({"customers:read", "customers:reveal"})
    answer = await send(known, path, reveals, why="protocol 4821")
    assert answer.status_code == 200
    data = answer.json()
    assert (data["format"], data["customer"]["document"]) == ("malha.personal-data.1", CPF)
    assert [o["buyer_email"] for o in data["orders"]] == [MAIL]
    # No copy of it is kept for a repeat.
    await send(known, path, {**reveals, "idempotency-key": "k1"}, why="protocol 4821")
    async with known.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM idempotency") == 0
        assert await tx.value("SELECT count(*) FROM audit WHERE action = 'export'") == 2
    assert (await send(known, path, reveals, why="")).status_code == 422
    assert (await send(known, path, await known.key({"customers:read"}), why="x")).status_code == 403
    limited = await known.key({"customers:reveal"}, locations=["DC"])
    assert (await send(known, path, limited, why="x")).json()["code"] == "shared_by_all"
    gone = "/v1/customers/01a20aaa-3a0a-7699-914b-ef55839f91c1/personal-data"
    assert (await send(known, gone, reveals, why="x")).status_code == 404


async def test_erasing_needs_its_own_permission_and_is_refused_while_something_is_open(known: Shop) -> None:
    path = f"/v1/customers/{await iara(known)}/erase"
    erases = await known.key({"customers:erase"})
    for role, status in ((Role.CUSTOMER_SERVICE, 403), (Role.MANAGER, 409), (Role.OWNER, 409)):
        headers = await known.session(role)
        assert (await send(known, path, headers, reason="protocol 1")).status_code == status, role
    limited = await known.key({"customers:erase"}, locations=["DC"])
    assert (await send(known, path, limited, reason="x")).status_code == 403
    refused = (await send(known, path, {**erases, "accept-language": "pt-BR"}, reason="protocolo 1")).json()
    assert refused["code"] == "orders_open"
    assert refused["detail"].startswith("Há pedidos deste cliente em aberto: ")
    await cancel(known)
    assert (await send(known, path, erases, reason="")).status_code == 422
    done = (await send(known, path, erases, reason="protocol 1")).json()
    assert (done["number"], done["orders"], done["again"]) == (1, 1, False)
    again = (await send(known, path, erases, reason="protocol 2")).json()
    assert again == {**done, "again": True}


async def test_where_there_is_much_to_look_through_a_worker_does_it_and_says_how_far_it_is(
    known: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "AT_ONCE", 0)
    customer = await iara(known)
    path, erases = f"/v1/customers/{customer}", await known.key({"customers:erase"})
    asked = f"{path}/erasure"
    assert (await known.http.get(asked, headers=erases)).json()["code"] == "no_erasure"
    await cancel(known)
    begun = (await send(known, f"{path}/erase", erases, reason="protocol 1")).json()
    assert (begun["state"], begun["looked"], begun["erased_at"]) == ("looking", 0.0, None)
    assert (await known.http.get(asked, headers=erases)).json() == begun
    limited = await known.key({"customers:erase"}, locations=["DC"])
    assert (await known.http.get(asked, headers=limited)).json()["code"] == "shared_by_all"
    owner = await known.session(Role.OWNER)
    page = (await known.http.get("/customers/1", headers=owner)).text
    assert 'data-poll="/customers/1"' in page
    assert "This person is looked for everywhere, to be erased for good" in texts(page)
    assert 'data-open="dlg-erase"' not in page

    async with known.database.transaction() as tx:  # an order that comes meanwhile
        await tx.execute("UPDATE sales_order SET status = 'placed'")
        await tx.execute("UPDATE order_unit SET state = 'allocated'")
    await searching.go_on.work(known.database, customer_id=customer)
    portuguese = {**erases, "accept-language": "pt-BR"}
    refused = (await known.http.get(asked, headers=portuguese)).json()
    assert refused["state"] == "refused"
    assert refused["refused"].startswith("Há pedidos deste cliente em aberto: ")
    page = (await known.http.get("/customers/1", headers=owner)).text
    assert "This person could not be erased. Orders of this customer are not finished: 1." in texts(page)
    assert "data-poll" not in page
    assert 'data-open="dlg-erase"' in page

    async with known.database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET status = 'cancelled'")
        await tx.execute("UPDATE order_unit SET state = 'cancelled'")
    form = {"reason": "protocol 1", "confirm": "1"}
    again = await known.http.post("/customers/1/erase", data=form, headers={**owner, **HTMX})
    assert again.headers["hx-redirect"] == "/customers/1"
    await searching.go_on.work(known.database, customer_id=customer)
    done = (await known.http.get(asked, headers=erases)).json()
    assert (done["state"], done["looked"], done["orders"], done["again"]) == ("done", 1.0, 1, True)
    assert "Erased customer" in texts((await known.http.get("/customers/1", headers=owner)).text)


async def test_the_same_key_is_answered_the_same_and_keeps_nothing_of_the_person(known: Shop) -> None:
    path = f"/v1/customers/{await iara(known)}/erase"
    erases = {**await known.key({"customers:erase"}), "idempotency-key": "erase-1"}
    await cancel(known)
    first = await send(known, path, erases, reason="protocol 1")
    second = await send(known, path, erases, reason="protocol 1")
    assert (first.status_code, second.json()) == (200, first.json())
    async with known.database.transaction() as tx:
        (kept,) = await tx.values("SELECT reply FROM idempotency")
    assert "Iara" not in bytes(kept).decode()


async def test_the_page_asks_to_type_the_number_and_shows_an_erased_customer_without_their_data(known: Shop) -> None:
    owner = await known.session(Role.OWNER)
    before = (await known.http.get("/customers/1", headers=owner)).text
    assert 'data-open="dlg-erase"' in before
    assert 'data-open="dlg-data"' in before
    form = {"reason": "protocol 1", "confirm": "2"}
    await cancel(known)
    wrong = await known.http.post("/customers/1/erase", data=form, headers={**owner, **HTMX})
    assert wrong.status_code == 422
    assert "Type 1." in texts(wrong.text)
    done = await known.http.post("/customers/1/erase", data={**form, "confirm": " 1 "}, headers={**owner, **HTMX})
    assert done.headers["hx-redirect"] == "/customers/1"
    page = (await known.http.get("/customers/1", headers=owner)).text
    shown = texts(page)
    assert "Erased customer" in shown
    assert "The data of this person were erased for good. Owner, " in shown
    assert "Reason: protocol 1." in shown
    assert "Whoever orders again is a new customer." in shown
    for dialog in ("dlg-erase", "dlg-edit", "dlg-wishes"):
        assert dialog not in page
    for secret in ("Iara", CPF, "111.444", MAIL, "98765"):
        assert secret not in page
    assert "Erased customer" in (await known.http.get("/customers", headers=owner)).text
    order = (await known.http.get("/orders/1", headers=owner)).text
    assert "Iara" not in order


async def test_the_page_gives_the_file_and_who_may_not_sees_no_button(known: Shop) -> None:
    service_desk = await known.session(Role.CUSTOMER_SERVICE)
    page = (await known.http.get("/customers/1", headers=service_desk)).text
    assert ("dlg-data" in page, "dlg-erase" in page) == (True, False)
    answer = await known.http.post("/customers/1/personal-data", data={"why": "protocol 1"}, headers=service_desk)
    assert answer.headers["content-disposition"].startswith('attachment; filename="personal-data-1.json"')
    assert json.loads(answer.content)["customer"]["name"] == "Iara Nogueira"
    auditor = (await known.http.get("/customers/1", headers=await known.session(Role.AUDITOR))).text
    assert "dlg-data" not in auditor


async def test_an_order_of_an_erased_person_has_no_page_for_a_shopper(known: Shop) -> None:
    reveals = await known.key({"orders:read", "customers:reveal", "customers:erase"})
    async with known.database.transaction() as tx:
        order = await tx.value("SELECT id FROM sales_order")
    from malha.ordering.tracking import tracking_path
    from malha.platform import signing
    from malha.platform.clock import now

    link = tracking_path(signing.keys_of(known.app.state.services.settings), order, at=now())
    assert (await known.http.get(link)).status_code == 200
    await cancel(known)
    assert (await send(known, f"/v1/customers/{await iara(known)}/erase", reveals, reason="x")).status_code == 200
    assert (await known.http.get(link)).status_code in {404, 410}
