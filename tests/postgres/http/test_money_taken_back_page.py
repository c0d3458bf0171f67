"""The page of an order whose money went back: it opens, and says what is missing and what went back twice."""

from tests_http import Shop

from malha.payments import service as payments
from malha.payments.model import Fact, FactKind
from malha.platform.ids import UUID
from malha.testing.builders import a_network, an_order


async def page_of(shop: Shop, order_id: UUID, language: str) -> str:
    async with shop.database.transaction() as tx:
        number = await tx.value("SELECT number FROM sales_order WHERE id = %(id)s::uuid", {"id": order_id})
    owner = await shop.session(email=f"owner-{language}@loja.test")
    answer = await shop.http.get(f"/orders/{number}", headers={**owner, "accept-language": language})
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_an_order_whose_money_went_back_twice_is_held_and_its_page_says_so(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        order_id = await an_order(tx, await a_network(tx))
        total = await tx.value("SELECT total FROM sales_order")
        await payments.record_fact(tx, order_id, Fact(position=1, kind=FactKind.REFUNDED, amount=total, reference="r"))
        await payments.record_fact(
            tx, order_id, Fact(position=1, kind=FactKind.CHARGED_BACK, amount=500, reference="c")
        )
        await payments.settle_holds(tx, [order_id])
        held = await tx.tuples("SELECT kind, detail FROM order_hold WHERE resolved_at IS NULL")
    assert held == [("payment", {"missing": total})]
    english, portuguese = await page_of(shop, order_id, "en"), await page_of(shop, order_id, "pt-BR")
    assert "R$5.00 went back twice" in english
    assert "voltaram duas vezes" in portuguese
