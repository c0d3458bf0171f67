"""Money to give back: of orders paid too much or cancelled after they were paid. Told where people look, gone once given."""

from typing import Any

from test_routing_explained import retailer
from tests_http import Shop

from malha.identity.model import PERMISSIONS, Role

__all__ = ["retailer"]

EVERYTHING = set(PERMISSIONS) - {"identity:manage"}
ORDER: dict[str, Any] = {
    "channel": "site",
    "ship_to": {"postal_code": "58038000", "city": "João Pessoa", "state": "PB"},
    "lines": [{"sku": "REDE", "quantity": 1, "unit_price": 10_000}],
}


async def sold(shop: Shop, key: dict[str, str], name: str, *paid: int, quantity: int = 1) -> dict[str, Any]:
    payments = [{"kind": "pix", "amount": each, "state": "captured", "reference": f"{name}-{each}"} for each in paid]
    lines = [{**ORDER["lines"][0], "quantity": quantity}]
    body = {**ORDER, "lines": lines, "external_id": name, "payments": payments}
    answer = await shop.http.post("/v1/orders", json=body, headers=key)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def listed(shop: Shop, key: dict[str, str], query: str = "") -> dict[int, int]:
    answer = await shop.http.get(f"/v1/refunds-due{query}", headers=key)
    assert answer.status_code == 200, answer.text
    return {row["number"]: row["refund_due"] for row in answer.json()["items"]}


async def test_what_was_paid_too_much_is_told_everywhere_and_holds_nothing(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    http = retailer.http
    exact = await sold(retailer, key, "exact", 10_000)
    twice = await sold(retailer, key, "twice", 10_000, 10_000)
    later = await sold(retailer, key, "later", 10_000)
    assert twice["holds"] == []
    tender = {"kind": "pix", "amount": 2_500, "state": "captured", "reference": "again"}
    added = await http.post(f"/v1/orders/{later['id']}/tenders", json=tender, headers=key)
    assert added.status_code in {200, 201}, added.text
    assert await listed(retailer, key) == {twice["number"]: 10_000, later["number"]: 2_500}
    assert await listed(retailer, key, "?limit=1") == {later["number"]: 2_500}
    assert await listed(retailer, key, f"?q={twice['number']}") == {twice["number"]: 10_000}
    assert await listed(retailer, await retailer.key({"orders:read"}, locations=["JPA"])) == {}

    owner = {**await retailer.session(), "accept-language": "pt-BR"}
    page = (await http.get(f"/orders/{later['number']}", headers=owner)).text
    assert "R$\xa025,00 a devolver" in page
    assert "Foi pago mais do que o total." in page
    assert 'value="25,00"' in page  # of the refund to record
    assert "a devolver</b>" not in (await http.get(f"/orders/{exact['number']}", headers=owner)).text
    shown = (await http.get("/refunds-due", headers=owner)).text
    assert f'href="/orders/{later["number"]}"' in shown
    assert f'href="/orders/{exact["number"]}"' not in shown
    assert "Há dinheiro a devolver em 2 pedidos" in (await http.get("/attention", headers=owner)).text
    file = await http.get("/refunds-due:export.csv", headers=owner)
    assert file.status_code == 200
    assert str(twice["number"]) in file.text
    elsewhere = await retailer.session(Role.STORE_LEAD, locations=["JPA"], email="jpa@loja.test")
    assert f'href="/orders/{later["number"]}"' not in (await http.get("/refunds-due", headers=elsewhere)).text

    fact = {"position": 2, "kind": "refunded", "amount": 2_500, "reference": "back"}
    given = await http.post(f"/v1/orders/{later['id']}/payments", json=fact, headers=key)
    assert given.status_code in {200, 201}, given.text
    assert await listed(retailer, key) == {twice["number"]: 10_000}
    assert "a devolver</b>" not in (await http.get(f"/orders/{later['number']}", headers=owner)).text


async def test_a_refund_that_no_single_payment_can_give_is_ready_in_parts(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    owner = await retailer.session()
    thrice = await sold(retailer, key, "thrice", 10_000, 10_001, 9_999)
    page = await retailer.http.get(f"/orders/{thrice['number']}", headers=owner)
    assert page.status_code == 200
    dialog = page.text.partition('id="dlg-refund"')[2].partition("</dialog>")[0]
    assert '<option value="2" selected>' in dialog  # of the payment that can give back the most
    assert 'value="100.01"' in dialog


async def test_what_was_cancelled_after_it_was_paid_is_due_until_it_is_recorded(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    owner = {**await retailer.session(), "accept-language": "pt-BR"}
    whole = await sold(retailer, key, "whole", 10_000)
    part = await sold(retailer, key, "part", 20_000, quantity=2)
    kept = await sold(retailer, key, "kept", 10_000)
    for order, lines in ((whole, None), (part, [{"line": 1, "quantity": 1}])):
        body = {"reason": "changed her mind", **({"lines": lines} if lines else {})}
        answer = await retailer.http.post(f"/v1/orders/{order['id']}/cancel", json=body, headers=key)
        assert answer.status_code == 200, answer.text
    assert await listed(retailer, key) == {whole["number"]: 10_000, part["number"]: 10_000}
    assert await listed(retailer, key, "?q=whole") == {whole["number"]: 10_000}  # the channel's number
    page = (await retailer.http.get(f"/orders/{whole['number']}", headers=owner)).text
    assert "O pedido foi cancelado depois de pago." in page
    page = (await retailer.http.get(f"/orders/{part['number']}", headers=owner)).text
    assert "Uma parte foi cancelada depois de paga." in page

    # A part is given back: the rest is still due.
    fact = {"position": 1, "kind": "refunded", "amount": 4_000, "reference": "first"}
    answer = await retailer.http.post(f"/v1/orders/{whole['id']}/payments", json=fact, headers=key)
    assert answer.status_code == 200, answer.text
    assert await listed(retailer, key) == {whole["number"]: 6_000, part["number"]: 10_000}

    # Many at once, under one reference; of one of them nothing is due, and it says so.
    chosen = [str(each["number"]) for each in (whole, part, kept)]
    form = {"order": chosen, "reference": "batch 7", "next": "/refunds-due"}
    headers = {**owner, "hx-request": "true", "hx-current-url": "http://malha.test/refunds-due"}
    answer = await retailer.http.post("/refunds-due:record", data=form, headers=headers)
    assert answer.status_code == 200, answer.text
    assert f"Não há nada a devolver do pedido {kept['number']}." in answer.text
    assert await listed(retailer, key) == {}
    paid = (await retailer.http.get(f"/v1/orders/{part['id']}/payments", headers=key)).json()
    assert [(e["kind"], e["amount"], e["reference"]) for e in paid["entries"]][-1] == ("refunded", 10_000, "batch 7")
    assert paid["standing"]["refund_due"] == 0

    # Without a reference, or by somebody who may not, nothing is recorded.
    again = await sold(retailer, key, "again", 10_000, 500)
    number = str(again["number"])
    answer = await retailer.http.post("/refunds-due:record", data={"order": number}, headers=headers)
    assert answer.status_code == 422
    answer = await retailer.http.post("/orders/bulk", data={"order": number, "act": "refund"}, headers=headers)
    assert answer.status_code == 200
    assert (
        f'<a href="/orders/{number}">#{number}</a>' in answer.text.partition('id="bulk-result"')[2]
    )  # among the refused
    reader = await retailer.session(Role.AUDITOR, email="ler@loja.test")
    answer = await retailer.http.post("/refunds-due:record", data={"order": number, "reference": "x"}, headers=reader)
    assert answer.status_code == 403
    assert await listed(retailer, key) == {again["number"]: 500}
