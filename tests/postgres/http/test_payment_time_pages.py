"""Time to pay over the API and on the pages: terms, deadlines, more time, holds of carts."""

from tests_http import Shop

from malha.flows import order_to_cash
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.identity.model import Role
from malha.ordering.model import HoldKind
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_order

LAPSE = "UPDATE payment_deadline SET due_at = now() - interval '1 second'"


async def an_unpaid_order(shop: Shop) -> tuple[str, int]:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        order_id = await an_order(tx, world, [Sold(sku, 2)], paid="pending", holds=[HoldKind.PAYMENT])
        number = await tx.value("SELECT number FROM sales_order")
    await drain(shop.database, SUBSCRIPTIONS)
    return str(order_id), number


async def lapse(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await tx.execute(LAPSE)
    await order_to_cash.watch_payments(shop.database)


async def test_an_integrator_reads_the_deadline_and_gives_more_time(shop: Shop) -> None:
    order_id, _ = await an_unpaid_order(shop)
    key = await shop.key(["orders:read", "orders:write"])
    path = f"/v1/orders/{order_id}/payment-deadline"
    before = (await shop.http.get(path, headers=key)).json()["deadline"]
    assert (before["tender"], before["lapsed_at"]) == ("pix", None)
    given = await shop.http.post(f"{path}/extend", json={"minutes": 240}, headers=key)
    assert given.status_code == 200
    assert given.json()["due_at"] > before["due_at"]
    refused = await shop.http.post(f"{path}/extend", json={"minutes": 0}, headers=key)
    assert refused.status_code == 422


async def test_a_paid_order_is_refused_more_time_with_a_reason(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1)
    key = await shop.key(["orders:read", "orders:write"])
    path = f"/v1/orders/{order_id}/payment-deadline"
    assert (await shop.http.get(path, headers=key)).json() == {"deadline": None}
    answer = await shop.http.post(f"{path}/extend", json={"minutes": 5}, headers=key)
    assert (answer.status_code, answer.json()["code"]) == (409, "no_payment_awaited")


async def test_terms_are_stated_over_the_api_from_the_version_that_was_read(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await a_network(tx)
    key = await shop.key(["network:read", "network:write"])
    body = {"tender": "pix", "channel": "web", "minutes": 15}
    assert (await shop.http.post("/v1/payment-terms", json=body, headers=key)).status_code == 204
    again = await shop.http.post("/v1/payment-terms", json=body, headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "payment_term_changed")
    nowhere = await shop.http.post("/v1/payment-terms", json={**body, "channel": "moon"}, headers=key)
    assert nowhere.status_code == 404
    terms = (await shop.http.get("/v1/payment-terms", headers=key)).json()
    assert [t["minutes"] for t in terms if t["channel"] == "web"] == [15]


async def test_a_cart_holds_stock_as_long_as_its_tender_lives(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "A", stock={"DC": 5})
    key = await shop.key(["intake:submit"])
    items = [{"sku": "A", "location": "DC", "quantity": 1}]
    answer = await shop.http.post("/v1/holds", json={"reference": "c1", "tender": "pix", "items": items}, headers=key)
    assert answer.status_code == 201
    assert 2390 <= answer.json()["seconds"] <= 2400
    plain = await shop.http.post("/v1/holds", json={"reference": "c2", "items": items}, headers=key)
    assert plain.json()["seconds"] == 900


async def test_customer_service_sees_that_the_time_is_over_and_gives_more(shop: Shop) -> None:
    _, number = await an_unpaid_order(shop)
    desk = await shop.session(Role.CUSTOMER_SERVICE)
    assert "Its stock waits for the money until" in (await shop.http.get(f"/orders/{number}", headers=desk)).text
    await lapse(shop)
    page = (await shop.http.get(f"/orders/{number}", headers=desk)).text
    assert "Time to pay was over" in page
    assert "Time to pay is over" in page
    told = await shop.http.post(f"/orders/{number}/time", data={"amount": "0", "unit": "hours"}, headers=desk)
    assert told.status_code == 422
    done = await shop.http.post(f"/orders/{number}/time", data={"amount": "2", "unit": "hours"}, headers=desk)
    assert done.status_code == 303
    await drain(shop.database, SUBSCRIPTIONS)
    page = (await shop.http.get(f"/orders/{number}", headers=desk)).text
    assert "Somebody gave it more time." in page
    assert "More time to pay" in page


async def test_a_manager_changes_and_removes_terms_on_their_page(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
    boss = await shop.session(Role.MANAGER)
    assert "Time to pay" in (await shop.http.get("/payment-terms", headers=boss)).text
    sent = {
        "tender": "boleto", "channel": str(world.channels["web"]), "minutes": "60", "clearing_days": "1",
        "grace_minutes": "", "keep_days": "0", "version": "0",
    }  # fmt: skip
    assert (await shop.http.post("/payment-terms", data=sent, headers=boss)).status_code == 303
    async with shop.database.transaction() as tx:
        term = await tx.value("SELECT max(id) FROM payment_term")
    gone = {**sent, "id": str(term), "version": "1", "act": "remove"}
    assert (await shop.http.post("/payment-terms", data=gone, headers=boss)).status_code == 303
    last = await shop.http.post("/payment-terms", data={**gone, "id": "5"}, headers=boss)
    assert last.status_code == 409
    clerk = await shop.session(Role.CUSTOMER_SERVICE)
    assert (await shop.http.post("/payment-terms", data=sent, headers=clerk)).status_code == 403


async def test_who_may_lifts_a_payment_hold_all_the_same_with_a_reason_and_nobody_else_is_offered_it(
    shop: Shop,
) -> None:
    order_id, number = await an_unpaid_order(shop)
    desk, manager = await shop.session(Role.CUSTOMER_SERVICE), await shop.session(Role.MANAGER)
    act = f"/orders/{number}/override"
    assert act not in (await shop.http.get(f"/orders/{number}", headers=desk)).text
    refused = await shop.http.post(act, data={"kind": "payment", "resolution": "Fatura"}, headers=desk)
    assert refused.status_code == 403
    assert "Lift the hold all the same?" in (await shop.http.get(f"/orders/{number}", headers=manager)).text
    silent = await shop.http.post(act, data={"kind": "payment", "resolution": " "}, headers=manager)
    assert silent.status_code == 422
    other = await shop.http.post(act, data={"kind": "unknown_sku", "resolution": "Fatura"}, headers=manager)
    assert other.status_code == 422
    done = await shop.http.post(act, data={"kind": "payment", "resolution": "Fatura"}, headers=manager)
    assert done.status_code in {200, 303}
    assert await order_to_cash.release_due(shop.database) == 1
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT status FROM sales_order WHERE id = %s", (order_id,)) == "picking"
