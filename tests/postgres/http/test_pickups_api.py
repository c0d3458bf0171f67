"""What an integrator meets: more time for a pickup, on the API and the page; refusals that say what they mean."""

from tests_http import Shop

from malha.api.problem import problem_of
from malha.flows import order_to_cash
from malha.fulfillment import service
from malha.identity.model import Role
from malha.intake.model import NewLine, NewOrder
from malha.intake.rules import refuse_amounts
from malha.testing.builders import Sold, a_network, a_product, an_order

PASS = "UPDATE fulfillment_order SET pickup_remind_at = NULL, pickup_until = now() - interval '1 hour'"


async def an_expired_pickup(shop: Shop) -> tuple[str, int]:
    async with shop.database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "A", stock={"S1": 5})
        order_id = await an_order(tx, world, [Sold(sku, 2, at="S1")], method="pickup")
        [work] = await service.release_order(tx, order_id)
        await service.confirm_pick(tx, work.id)
        await service.pack(tx, work.id)
        await service.make_ready(tx, work.id)
        await tx.execute(PASS)
        number = await tx.value("SELECT number FROM sales_order")
    await order_to_cash.watch_pickups(shop.database)
    return str(work.id), number


async def test_more_time_over_the_api_takes_the_goods_back_and_the_money_is_owed_again(shop: Shop) -> None:
    work, _ = await an_expired_pickup(shop)
    key = await shop.key(["orders:read", "orders:write"])
    [order] = (await shop.http.get("/v1/orders", headers=key)).json()["items"]
    seen = (await shop.http.get(f"/v1/fulfillments/{work}", headers=key)).json()
    assert (seen["state"], seen["reason"]) == ("cancelled", "not_collected")
    assert order["status"] == "cancelled"
    payments = (await shop.http.get(f"/v1/orders/{order['id']}/payments", headers=key)).json()
    assert payments["standing"]["refund_due"] == 2000
    answer = await shop.http.post(f"/v1/fulfillments/{work}/extend-pickup", json={"days": 3}, headers=key)
    assert (answer.status_code, answer.json()["work"]["state"]) == (200, "ready")
    payments = (await shop.http.get(f"/v1/orders/{order['id']}/payments", headers=key)).json()
    assert payments["standing"]["refund_due"] == 0


async def test_customer_service_sees_what_was_not_collected_and_sets_it_aside_again_on_the_page(shop: Shop) -> None:
    work, number = await an_expired_pickup(shop)
    desk = await shop.session(Role.CUSTOMER_SERVICE)
    page = (await shop.http.get(f"/orders/{number}", headers=desk)).text
    assert "Not collected" in page
    assert "Set aside again" in page
    told = await shop.http.post(f"/orders/{number}/extend", data={"work": work, "days": "200"}, headers=desk)
    assert told.status_code == 422
    done = await shop.http.post(f"/orders/{number}/extend", data={"work": work, "days": "3"}, headers=desk)
    assert done.status_code == 303
    page = (await shop.http.get(f"/orders/{number}", headers=desk)).text
    assert "Kept until" in page


async def a_pickup_that_is_ready(shop: Shop) -> tuple[str, str]:
    """Work whose goods wait for their customer, and the code."""
    async with shop.database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "A", stock={"S1": 5})
        [work] = await service.release_order(tx, await an_order(tx, world, [Sold(sku, 2, at="S1")], method="pickup"))
        await service.confirm_pick(tx, work.id)
        await service.pack(tx, work.id)
        await service.make_ready(tx, work.id)
        return f"/v1/fulfillments/{work.id}/hand-over", await service.pickup_code(tx, work.id)


def another_than(code: str) -> str:
    """A whole code that is not this one."""
    return f"{(int(code) + 1) % 10**6:06d}"


async def test_a_till_whose_answer_was_lost_asks_again_and_hears_that_the_goods_were_handed_over(shop: Shop) -> None:
    hand_over, code = await a_pickup_that_is_ready(shop)
    till = {**await shop.key(["fulfillment:work"]), "idempotency-key": "till-7"}
    body = {"code": code, "received_by": "Ana"}
    first = await shop.http.post(hand_over, json=body, headers=till)
    again = await shop.http.post(hand_over, json=body, headers=till)
    assert (first.status_code, again.status_code) == (200, 200)
    assert (again.content, again.headers["idempotent-replayed"]) == (first.content, "true")
    other = await shop.http.post(hand_over, json={**body, "received_by": "Rui"}, headers=till)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    async with shop.database.transaction() as tx:
        left = "SELECT -sum(d_on_hand) FROM movement WHERE reason = 'hand_over'"
        assert await tx.value(left) == 2


async def test_a_wrong_code_counts_although_it_is_refused_and_leaves_the_key_of_its_request_free(shop: Shop) -> None:
    hand_over, code = await a_pickup_that_is_ready(shop)
    till = {**await shop.key(["fulfillment:work"]), "idempotency-key": "till-8"}
    left = []
    for _ in range(2):
        wrong = await shop.http.post(hand_over, json={"code": another_than(code), "received_by": "Ana"}, headers=till)
        assert (wrong.status_code, wrong.json()["code"]) == (403, "wrong_pickup_code")
        left.append(wrong.json()["facts"]["left"])
    assert left == [4, 3]
    right = await shop.http.post(hand_over, json={"code": code, "received_by": "Ana"}, headers=till)
    assert right.status_code == 200


async def test_a_part_of_a_code_is_asked_for_again_whole_and_is_no_wrong_try(shop: Shop) -> None:
    hand_over, code = await a_pickup_that_is_ready(shop)
    till = await shop.key(["fulfillment:work"])
    for part in ("12", code[:5], f"{code}0", " "):
        asked = await shop.http.post(hand_over, json={"code": part, "received_by": "Ana"}, headers=till)
        assert asked.status_code == 422, asked.text
        assert [(flaw["at"], flaw["says"]) for flaw in asked.json()["errors"]] == [
            ("/code", "Type the whole code: it has 6 digits.")
        ]
    wrong = await shop.http.post(hand_over, json={"code": another_than(code), "received_by": "Ana"}, headers=till)
    assert (wrong.status_code, wrong.json()["facts"]["left"]) == (403, 4)
    right = await shop.http.post(hand_over, json={"code": f"{code[:3]} {code[3:]}", "received_by": "Ana"}, headers=till)
    assert right.status_code == 200


async def test_a_filter_that_does_not_exist_is_refused_instead_of_ignored(shop: Shop) -> None:
    key = await shop.key(["orders:read"])
    answer = await shop.http.get("/v1/orders?external_id=W-1", headers=key)
    assert answer.status_code == 422
    [flaw] = answer.json()["errors"]
    assert flaw["at"] == "?external_id"
    assert "search" in flaw["mend"]


async def test_what_is_wrong_with_an_order_is_said_with_its_facts(shop: Shop) -> None:
    key = await shop.key(["intake:submit"])
    lines = [{"sku": "A", "quantity": 1, "unit_price": 100, "discount": 200}]
    answer = await shop.http.post(
        "/v1/orders", json={"external_id": "1", "channel": "nope", "lines": lines}, headers=key
    )
    assert "nope" in answer.json()["errors"][0]["says"]
    order = NewOrder(channel="web", lines=[NewLine("A", 1, 100, discount=200)])
    [flaw] = problem_of(refuse_amounts(order), "pt-BR").errors
    assert flaw.says == "O desconto em /lines/0/discount é maior que o valor que ele reduz."
