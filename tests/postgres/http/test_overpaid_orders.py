"""Orders that are paid with more than their total: told where people look, never held, and gone once it is given back."""

from typing import Any

from test_routing_explained import retailer
from tests_http import Shop

from malha.identity.model import PERMISSIONS, Role

__all__ = ["retailer"]

EVERYTHING = set(PERMISSIONS) - {"identity:manage"}
ORDER = {
    "channel": "site",
    "ship_to": {"postal_code": "58038000", "city": "João Pessoa", "state": "PB"},
    "lines": [{"sku": "REDE", "quantity": 1, "unit_price": 10_000}],
}


async def sold(shop: Shop, key: dict[str, str], name: str, *paid: int) -> dict[str, Any]:
    payments = [{"kind": "pix", "amount": each, "state": "captured", "reference": f"{name}-{each}"} for each in paid]
    body = {**ORDER, "external_id": name, "payments": payments}
    answer = await shop.http.post("/v1/orders", json=body, headers=key)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def listed(shop: Shop, key: dict[str, str], query: str = "") -> dict[int, int]:
    answer = await shop.http.get(f"/v1/overpaid-orders{query}", headers=key)
    assert answer.status_code == 200, answer.text
    return {row["number"]: row["overpaid"] for row in answer.json()["items"]}


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
    assert "Pago R$\xa025,00 a mais do que o total" in page
    assert 'value="25,00"' in page  # of the refund to record
    assert "a mais do que o total" not in (await http.get(f"/orders/{exact['number']}", headers=owner)).text
    shown = (await http.get("/overpaid", headers=owner)).text
    assert f'href="/orders/{later["number"]}"' in shown
    assert f'href="/orders/{exact["number"]}"' not in shown
    assert "2 pedidos foram pagos com mais do que o total" in (await http.get("/attention", headers=owner)).text
    file = await http.get("/overpaid:export.csv", headers=owner)
    assert file.status_code == 200
    assert str(twice["number"]) in file.text
    elsewhere = await retailer.session(Role.STORE_LEAD, locations=["JPA"], email="jpa@loja.test")
    assert f'href="/orders/{later["number"]}"' not in (await http.get("/overpaid", headers=elsewhere)).text

    fact = {"position": 2, "kind": "refunded", "amount": 2_500, "reference": "back"}
    given = await http.post(f"/v1/orders/{later['id']}/payments", json=fact, headers=key)
    assert given.status_code in {200, 201}, given.text
    assert await listed(retailer, key) == {twice["number"]: 10_000}
    assert "a mais do que o total" not in (await http.get(f"/orders/{later['number']}", headers=owner)).text


async def test_a_refund_that_no_single_payment_can_give_is_ready_in_parts(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    owner = await retailer.session()
    thrice = await sold(retailer, key, "thrice", 10_000, 10_001, 9_999)
    page = await retailer.http.get(f"/orders/{thrice['number']}", headers=owner)
    assert page.status_code == 200
    dialog = page.text.partition('id="dlg-refund"')[2].partition("</dialog>")[0]
    assert '<option value="2" selected>' in dialog  # of the payment that can give back the most
    assert 'value="100.01"' in dialog
