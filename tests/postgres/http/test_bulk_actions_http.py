"""One act on all orders that a list finds, by API and by page: who may, what they see, and what they are told."""

import html
from typing import Any

from test_refunds_due import EVERYTHING, sold
from test_routing_explained import retailer
from tests_http import Shop

from malha.fulfillment import bulk
from malha.fulfillment import bulk_reads as reads
from malha.identity.model import Role
from malha.testing.builders import in_days

__all__ = ["retailer"]

PATH = "/v1/bulk-actions"


async def work_off(shop: Shop, number: int) -> None:
    """Do what a worker does."""
    async with shop.database.transaction() as tx:
        action = next(each for each in await reads.actions(tx) if each.number == number)
    await bulk.go_on.work(shop.database, action_id=str(action.id))


async def gathered(shop: Shop, key: dict[str, str], expected: int = 201, **said: Any) -> dict[str, Any]:
    answer = await shop.http.post(PATH, json=said, headers=key)
    assert answer.status_code == expected, answer.text
    return dict(answer.json())


async def test_all_orders_that_a_list_finds_are_held_by_api(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    one, two = await sold(retailer, key, "one", 10_000), await sold(retailer, key, "two", 10_000)
    made = await gathered(retailer, key, act="hold", reason="recall", orders={"channel": "site"})
    assert (made["state"], made["orders"], made["left"]) == ("ready", 2, 2)
    late = await sold(retailer, key, "late", 10_000)
    number = made["number"]
    assert (await retailer.http.get(PATH, headers=key)).json()["items"] == []  # nobody began it
    begun = await retailer.http.post(f"{PATH}/{number}/begin", headers=key)
    assert (begun.status_code, begun.json()["state"]) == (200, "going")
    again = await retailer.http.post(f"{PATH}/{number}/begin", headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "bulk_action_begun")
    await work_off(retailer, number)
    ended = (await retailer.http.get(f"{PATH}/{number}", headers=key)).json()
    assert (ended["state"], ended["done"], ended["refused"], ended["left"]) == ("done", 2, 0, 0)
    assert [each["number"] for each in (await retailer.http.get(PATH, headers=key)).json()["items"]] == [number]
    for sale, status in ((one, "on_hold"), (two, "on_hold"), (late, "allocated")):
        assert (await retailer.http.get(f"/v1/orders/{sale['id']}", headers=key)).json()["order"]["status"] == status
    stopped = await retailer.http.post(f"{PATH}/{number}/stop", headers=key)
    assert (stopped.status_code, stopped.json()["code"]) == (409, "bulk_action_ended")


async def test_what_refuses_is_listed_with_why(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    sale = await sold(retailer, key, "one", 10_000)
    made = await gathered(retailer, key, act="cancel", reason="supplier failed")
    await retailer.http.post(f"/v1/orders/{sale['id']}/notes", json={"text": "call first"}, headers=key)
    held = await retailer.http.post(f"/v1/orders/{sale['id']}/holds", json={"kind": "manual"}, headers=key)
    assert held.status_code in {200, 201}, held.text
    await retailer.http.post(f"{PATH}/{made['number']}/begin", headers=key)
    await work_off(retailer, made["number"])
    left = (await retailer.http.get(f"{PATH}/{made['number']}/refused", headers=key)).json()["items"]
    assert [(each["order_id"], each["order"]) for each in left] == [(sale["id"], sale["number"])]
    assert "was changed meanwhile" in left[0]["why"]
    owner = await retailer.session(email="own@loja.test")
    page = (await retailer.http.get(f"/bulk-actions/{made['number']}", headers=owner)).text
    assert "was changed meanwhile" in page
    file = await retailer.http.get(f"/bulk-actions/{made['number']}/refused.csv", headers=owner)
    assert "was changed meanwhile" in file.text
    assert str(sale["number"]) in file.text


async def test_what_was_wrong_with_an_order_is_said_in_the_readers_language(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    sale = await sold(retailer, key, "one", 10_000)
    owner = await retailer.session(email="own@loja.test") | {"accept-language": "pt-BR"}
    day = str(in_days(9))

    async def why(act: str, **said: Any) -> str:
        made = await gathered(retailer, key, act=act, **said)
        await retailer.http.post(f"{PATH}/{made['number']}/begin", headers=key)
        await work_off(retailer, made["number"])
        left = await retailer.http.get(f"{PATH}/{made['number']}/refused", headers=key | {"accept-language": "pt-BR"})
        return " ".join(each["why"] for each in left.json()["items"])

    assert await why("promise", day=day, because="carrier_late") == ""
    assert "válido" not in (again := await why("promise", day=day, because="carrier_late"))
    assert "já" in again, again
    form = {"act": "promise", "order": [str(sale["number"])], "day": day, "promise_reason": "carrier_late"}
    page = await retailer.http.post("/orders/bulk", data=form, headers=owner | {"hx-request": "true"})
    assert (again.partition(".")[0] in html.unescape(page.text), "Campos com valor" in page.text) == (True, False)
    for kind in ("manual", "fraud"):
        await retailer.http.post(f"/v1/orders/{sale['id']}/holds", json={"kind": kind}, headers=key)
    held = await why("release")
    assert ("Held by a person" in held, "['" in held, "retenções abertas" in held) == (False, False, True), held


async def test_an_act_needs_the_permission_that_it_needs_for_one_order(retailer: Shop) -> None:
    everything = await retailer.key(EVERYTHING)
    await sold(retailer, everything, "one", 10_000)
    reader = await retailer.key({"orders:read"})
    for act in ("release", "hold", "resolve", "promise", "tags", "cancel"):
        refused = await gathered(retailer, reader, 403, act=act)
        assert refused["code"] == "forbidden"
    writer = await retailer.key({"orders:read", "orders:write"})
    assert (await gathered(retailer, writer, 403, act="cancel"))["code"] == "forbidden"
    made = await gathered(retailer, everything, act="cancel")
    elses = await retailer.http.post(f"{PATH}/{made['number']}/begin", headers=writer)
    assert (elses.status_code, elses.json()["code"]) == (404, "bulk_action_not_found")  # another one's, not begun
    await retailer.http.post(f"{PATH}/{made['number']}/begin", headers=everything)
    stopped = await retailer.http.post(f"{PATH}/{made['number']}/stop", headers=writer)
    assert (stopped.status_code, stopped.json()["code"]) == (403, "forbidden")
    planner = await retailer.session(Role.AUDITOR, email="auditor@loja.test")
    page = await retailer.http.get(f"/bulk-actions/{made['number']}", headers=planner)
    assert page.status_code == 200
    assert f"/bulk-actions/{made['number']}/stop" not in page.text
    forced = await retailer.http.post(f"/bulk-actions/{made['number']}/stop", headers=planner)
    assert forced.status_code == 403


async def test_who_is_limited_to_locations_gathers_and_sees_their_own(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    await sold(retailer, key, "one", 10_000)  # its goods are not at JPA
    limited = await retailer.key(EVERYTHING, locations=["JPA"])
    assert (await gathered(retailer, limited, 409, act="hold"))["code"] == "no_orders_found"
    made = await gathered(retailer, key, act="hold")
    await retailer.http.post(f"{PATH}/{made['number']}/begin", headers=key)
    assert (await retailer.http.get(f"{PATH}/{made['number']}", headers=limited)).status_code == 404
    assert (await retailer.http.get(PATH, headers=limited)).json()["items"] == []


async def test_nonsense_says_what_is_wrong_and_gathers_nothing(retailer: Shop) -> None:
    key = await retailer.key(EVERYTHING)
    await sold(retailer, key, "one", 10_000)
    assert (await gathered(retailer, key, 422, act="promise"))["errors"][0]["at"] == "/day"
    assert (await gathered(retailer, key, 422, act="tags"))["errors"][0]["at"] == "/add"
    assert (await gathered(retailer, key, 422, act="explode"))["errors"][0]["at"] == "/act"
    assert (await gathered(retailer, key, 409, act="hold", orders={"channel": "nowhere"}))["code"] == "no_orders_found"
    assert (await retailer.http.get(f"{PATH}/999", headers=key)).status_code == 404


async def test_one_whose_job_failed_for_good_is_named_where_attention_is_asked_for_and_can_be_stopped(
    retailer: Shop,
) -> None:
    key = await retailer.key(EVERYTHING)
    await sold(retailer, key, "one", 10_000)
    made = await gathered(retailer, key, act="hold", reason="recall")
    await retailer.http.post(f"{PATH}/{made['number']}/begin", headers=key)
    failing = "UPDATE malha_jobs.procrastinate_jobs SET status = 'failed', attempts = 5 WHERE task_name = 'orders.bulk_action'"
    async with retailer.database.transaction() as tx:
        await tx.execute(failing)
    owner = await retailer.session()
    page = (await retailer.http.get("/attention", headers=owner)).text
    assert "Bulk actions on orders" in page
    assert f'href="/bulk-actions/{made["number"]}"' in page
    assert f"Bulk action {made['number']}, Hold" in page
    stopped = await retailer.http.post(f"/bulk-actions/{made['number']}/stop", headers=owner)
    assert stopped.status_code in {200, 303}, stopped.text
    assert "Bulk actions on orders" not in (await retailer.http.get("/attention", headers=owner)).text
