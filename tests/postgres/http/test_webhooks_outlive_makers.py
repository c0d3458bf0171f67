"""A webhook is the retailer's: it outlives who made it, is shown when they go, and is told nothing beyond its rights."""

import re

import pytest
from tests_http import Shop, open_shop

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.identity.model import Role
from malha.ordering import cancelling
from malha.platform.ids import UUID
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_order
from malha.webhooks import sending
from webhook_sink import webhook_sink


async def ask(shop: Shop, method: str, path: str, headers: dict[str, str], **body):
    answer = await shop.http.request(method, path, headers=headers, **body)
    assert answer.status_code < 300, answer.text
    return answer


async def hook(shop: Shop, headers: dict[str, str], name: str, **more) -> int:
    body = {"name": name, "url": "https://erp.example/hook", "types": ["order.*"]} | more
    return (await ask(shop, "POST", "/v1/webhooks", headers, json=body)).json()["id"]


async def state(shop: Shop, headers: dict[str, str]) -> dict[str, tuple[str, str] | None]:
    """Who answers for each webhook, and how that person stands."""
    listed = (await ask(shop, "GET", "/v1/webhooks", headers)).json()
    return {w["name"]: w["maker"] and (w["maker"]["name"], w["maker"]["state"]) for w in listed}


@pytest.fixture
async def made(shop: Shop):
    """An owner who stays, another who made a webhook by hand and one by a key, and a webhook that nobody made."""
    async with shop.database.transaction() as tx:
        await a_network(tx)
    boss = await shop.session(email="boss@loja.test")
    maker = await shop.session(Role.MANAGER, email="maker@loja.test")
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE person SET name = 'Bia' WHERE email = 'maker@loja.test'")
        await tx.execute("UPDATE person SET role = 'owner' WHERE email = 'maker@loja.test'")
    rights = {"name": "ERP", "permissions": ["webhooks:manage", "orders:read"]}
    key = (await ask(shop, "POST", "/v1/keys", maker, json=rights)).json()["secret"]
    ids = {"Shop": await hook(shop, maker, "Shop")}
    ids["ERP"] = await hook(shop, {"authorization": f"Bearer {key}"}, "ERP")
    ids["BI"] = await hook(shop, await shop.key(["webhooks:manage", "orders:read"]), "BI")
    people = (await ask(shop, "GET", "/v1/people", boss)).json()["items"]
    return shop, boss, {p["email"]: p["id"] for p in people}, ids


async def test_a_webhook_says_who_answers_for_it_and_what_became_of_them(made) -> None:
    shop, boss, people, ids = made
    assert await state(shop, boss) == {"Shop": ("Bia", "active"), "ERP": ("Bia", "active"), "BI": None}
    one = (await ask(shop, "GET", f"/v1/webhooks/{ids['Shop']}", boss)).json()
    assert one["created_by"] == f"person:{people['maker@loja.test']}"
    assert "Bia" in (await ask(shop, "GET", f"/webhooks/{ids['Shop']}", boss)).text
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE person SET everywhere = false WHERE name = 'Bia'")
    assert await state(shop, boss) == {"Shop": ("Bia", "less"), "ERP": ("Bia", "less"), "BI": None}
    assert "may see less by now" in (await ask(shop, "GET", f"/webhooks/{ids['Shop']}", boss)).text


async def attention(shop: Shop, headers: dict[str, str]) -> str:
    page = (await ask(shop, "GET", "/attention", headers)).text
    found = re.search(r'id="orphaned-webhooks">(.*?)</a></div>', page, re.DOTALL)
    return "" if found is None else re.sub(r"<[^>]+>", "", found[1])


async def leave(shop: Shop, boss: dict[str, str], who: str) -> None:
    done = await shop.http.post(f"/people/{who}/deactivate", data={}, headers=boss)
    assert done.status_code == 303, done.text


async def test_a_webhook_whose_maker_is_gone_needs_attention_until_somebody_answers_for_it(made) -> None:
    shop, boss, people, ids = made
    assert await attention(shop, boss) == ""
    await leave(shop, boss, people["maker@loja.test"])
    assert await state(shop, boss) == {"Shop": ("Bia", "gone"), "ERP": ("Bia", "gone"), "BI": None}
    told = await attention(shop, boss)
    assert "2 webhooks are told what happens though who answered for them has no access any more" in told
    assert "ERP, Shop" in told
    page = (await ask(shop, "GET", f"/webhooks/{ids['Shop']}", boss)).text
    assert "Who answered for it has no access any more" in page
    assert f'action="/webhooks/{ids["Shop"]}/take-over"' in page
    taken = await shop.http.post(f"/webhooks/{ids['Shop']}/take-over", headers=boss)
    assert taken.status_code == 303, taken.text
    assert "take-over" not in (await ask(shop, "GET", f"/webhooks/{ids['Shop']}", boss)).text
    assert "1 webhook is told what happens" in await attention(shop, boss)
    at = f"/v1/webhooks/{ids['ERP']}"
    await ask(shop, "POST", f"{at}/pause", boss | {"if-match": '"1"'})
    assert await attention(shop, boss) == "", "what is told nothing is nobody's worry"
    async with shop.database.transaction() as tx:
        trail = await tx.tuples(
            "SELECT entity_id, before ->> 'kept_by', after ->> 'person' FROM audit"
            " WHERE action = 'hand_over' AND entity = 'webhook'"
        )
    assert trail == [(str(ids["Shop"]), "Bia", people["boss@loja.test"])]


async def test_the_page_of_a_person_names_the_webhooks_they_answer_for_and_feeds_whose_address_they_knew(made) -> None:
    shop, boss, people, ids = made
    plan = {"profile": "generic", "format": "csv", "mapping": [{"target": "id", "value": "code"}]}
    feed = {"name": "Google", "channel": "web", "plan": plan}
    await ask(shop, "PUT", "/v1/feeds/google", boss, json=feed)

    async def page(who: str) -> str:
        return (await ask(shop, "GET", f"/people/{people[who]}", boss)).text

    before = await page("maker@loja.test")
    assert [f'href="/webhooks/{ids[name]}"' in before for name in ("Shop", "ERP", "BI")] == [True, True, False]
    assert "They answer for 2 webhooks" in before
    assert "the address of 1 feed," in before
    assert "Webhooks they answer for" not in await page("boss@loja.test")
    await leave(shop, boss, people["maker@loja.test"])
    after = await page("maker@loja.test")
    assert "2 webhooks are told what happens though who answers for them has no access" in after
    assert 'href="/channel-feeds/google"' in after
    await ask(shop, "POST", f"/v1/webhooks/{ids['Shop']}/hand-over", boss, json={"person": people["boss@loja.test"]})
    assert f'href="/webhooks/{ids["Shop"]}"' not in await page("maker@loja.test")


async def test_who_changes_a_webhook_gives_it_their_rights_and_answers_for_it(made) -> None:
    shop, boss, people, ids = made
    await leave(shop, boss, people["maker@loja.test"])
    body = {"name": "Shop", "url": "https://erp.example/hook", "types": ["order.placed"]}
    await ask(shop, "PUT", f"/v1/webhooks/{ids['Shop']}", boss | {"if-match": '"1"'}, json=body)
    assert (await state(shop, boss))["Shop"] == ("Owner", "active")


async def test_a_webhook_is_handed_only_to_who_has_access_and_sees_all_that_it_tells(made) -> None:
    shop, boss, people, ids = made
    await shop.person(Role.AUDITOR, email="auditor@loja.test", locations=["S1"])
    people = {p["email"]: p["id"] for p in (await ask(shop, "GET", "/v1/people", boss)).json()["items"]}
    at = f"/v1/webhooks/{ids['Shop']}/hand-over"

    async def refused(person: str, headers: dict[str, str] = boss) -> tuple[int, str]:
        answer = await shop.http.post(at, json={"person": person}, headers=headers)
        return answer.status_code, answer.json()["code"]

    assert await refused(people["auditor@loja.test"]) == (409, "webhook_beyond_keeper")
    narrow = await shop.key(["webhooks:manage", "orders:read"])
    assert (await refused(people["boss@loja.test"], narrow))[0] in {403, 404}
    await leave(shop, boss, people["maker@loja.test"])
    assert (await refused(people["maker@loja.test"]))[0] == 404
    assert (await refused("00000000-0000-7000-8000-000000000000"))[0] == 404
    handed = await ask(shop, "POST", at, boss, json={"person": people["boss@loja.test"]})
    assert handed.json()["maker"] == {"id": people["boss@loja.test"], "name": "Owner", "state": "active"}


async def test_a_program_is_told_of_such_webhooks_too_where_it_may_change_them(made) -> None:
    shop, boss, people, _ids = made
    watcher = await shop.key(["doctor:read", "webhooks:manage", "orders:read"])

    async def told(key: dict[str, str]) -> list[tuple[str, str]]:
        found = (await ask(shop, "GET", "/v1/attention", key)).json()["orphaned_webhooks"]
        return [(each["name"], each["maker"]["state"]) for each in found]

    assert await told(watcher) == []
    await leave(shop, boss, people["maker@loja.test"])
    assert await told(watcher) == [("ERP", "gone")], "the other one tells of more than this key sees"
    assert await told(await shop.key(["doctor:read", "orders:read"])) == []


# --- what it may be told by now ---


@pytest.fixture
async def sink():
    async with webhook_sink() as served:
        yield served


@pytest.fixture
async def telling(database, tmp_path, sink):
    """A webhook that was told of orders of two stores and of stock, with one of each store still in line."""
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:
        shop = await open_shop(stack, database, tmp_path, outward_allow=("127.0.0.1/32",))
        async with shop.database.transaction() as tx:
            world = await a_network(tx)
            sku = await a_product(tx, world, "A", stock={"S1": 50, "S2": 50})
        await drain(shop.database, SUBSCRIPTIONS)
        boss = await shop.session()
        id_ = await hook(shop, boss, "ERP", url=sink.url, types=["order.*", "stock.*"])

        async def order(at: str) -> str:
            async with shop.database.transaction() as tx:
                made = await an_order(tx, world, [Sold(sku, 1, at=at)])
            await drain(shop.database, SUBSCRIPTIONS)
            return f"order:{made}"

        out = sending.sending_of(shop.app.state.services.settings)
        async with out.kept:
            yield shop, boss, id_, order, lambda: sending.send_due(shop.database, out)


async def narrowed(shop: Shop, id_: int, headers: dict[str, str], sink, **more) -> None:
    body = {"name": "ERP", "url": sink.url, "types": ["order.*"], "locations": ["S1"]} | more
    was = (await ask(shop, "GET", f"/v1/webhooks/{id_}", headers)).headers["etag"]
    await ask(shop, "PUT", f"/v1/webhooks/{id_}", headers | {"if-match": was}, json=body)


async def test_a_webhook_that_was_narrowed_is_not_told_again_of_what_it_may_not_know_any_more(telling, sink) -> None:
    shop, boss, id_, order, send = telling
    own, others = await order("S1"), await order("S2")
    await send()
    told = {sent.json["subject"] for sent in sink.sent}
    assert {own, others} <= told
    waiting_own, waiting_others = await order("S1"), await order("S2")
    await narrowed(shop, id_, boss, sink)
    sink.sent.clear()
    await send()
    assert {one for sent in sink.sent if (one := sent.json["subject"]).startswith("order:")} == {waiting_own}, (
        "what was in line beyond its rights stays here"
    )

    at = f"/v1/webhooks/{id_}/deliveries"
    rows = {
        row["subject"]: row
        for row in (await ask(shop, "GET", f"{at}?limit=200&type=order.placed", boss)).json()["items"]
    }
    assert (rows[waiting_others]["state"], rows[waiting_others]["error"]) == (
        "failed",
        "The webhook may not be told of this any more.",
    )
    for wide in (others, waiting_others):
        again = await shop.http.post(f"{at}/{rows[wide]['cursor']}/replay", headers=boss)
        assert (again.status_code, again.json()["code"]) == (409, "webhook_delivery_beyond"), again.text
        read = (await ask(shop, "GET", f"{at}/{rows[wide]['cursor']}", boss)).json()
        assert read["body"] is None, "nor is it shown to who sees the webhook now"
        assert read["delivery"]["subject"] == wide, "that it was told stays written down"
    assert (await ask(shop, "GET", f"{at}/{rows[own]['cursor']}", boss)).json()["body"]["subject"] == own
    await ask(shop, "POST", f"{at}/{rows[own]['cursor']}/replay", boss)
    failed = await ask(shop, "POST", f"/v1/webhooks/{id_}/replay", boss, json={"failed": True})
    assert failed.json()["count"] == 0
    sink.sent.clear()
    await send()
    assert [sent.json["subject"] for sent in sink.sent] == [own]


async def test_what_a_permission_covered_is_not_told_again_by_who_has_it_no_more(telling, sink) -> None:
    shop, boss, id_, order, send = telling
    await order("S1")
    key = await shop.key(["webhooks:manage", "stock:read"])
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE webhook_endpoint SET permissions = '{stock:read}', types = '{stock.*,order.*}'")
    await drain(shop.database, SUBSCRIPTIONS)
    at = f"/v1/webhooks/{id_}/deliveries"
    (row,) = (await ask(shop, "GET", f"{at}?type=order.placed", boss)).json()["items"]
    again = await shop.http.post(f"{at}/{row['cursor']}/replay", headers=boss)
    assert again.json()["code"] == "webhook_delivery_beyond", again.text
    assert (await ask(shop, "GET", f"{at}/{row['cursor']}", boss)).json()["body"] is None
    told = (await ask(shop, "GET", at, key)).json()["items"]
    assert {one["type"].partition(".")[0] for one in told} == {"stock"}, "nor that there was an order, to who sees none"
    for method, path in (("GET", ""), ("POST", "/replay")):
        hidden = await shop.http.request(method, f"{at}/{row['cursor']}{path}", headers=key)
        assert hidden.json()["code"] == "webhook_delivery_not_found", hidden.text
    del send


async def test_what_a_narrowed_webhook_was_told_of_elsewhere_is_read_by_who_sees_it_all(telling, sink) -> None:
    shop, boss, id_, order, send = telling
    own, others = await order("S1"), await order("S2")
    await send()
    await narrowed(shop, id_, boss, sink)
    limited = await shop.session(email="s1@loja.test", locations=["S1"])
    at = f"/v1/webhooks/{id_}/deliveries"
    asked = f"{at}?type=order.placed"
    (row,) = (await ask(shop, "GET", f"{asked}&subject={others}", boss)).json()["items"]
    assert [one["subject"] for one in (await ask(shop, "GET", asked, limited)).json()["items"]] == [own]
    assert (await ask(shop, "GET", f"{asked}&subject={others}", limited)).json()["items"] == []
    assert (await shop.http.get(f"{at}/{row['cursor']}", headers=limited)).status_code == 404
    for path in (f"/webhooks/{id_}", f"/webhooks/{id_}/deliveries:export.csv"):
        page = await shop.http.get(path, headers=limited)
        assert page.status_code == 200, path
        assert others.removeprefix("order:") not in page.text, path
    assert others.removeprefix("order:") in (await ask(shop, "GET", f"/webhooks/{id_}", boss)).text


async def test_in_line_stays_what_a_webhook_was_asked_for_before_and_may_still_be_told(telling, sink) -> None:
    shop, boss, id_, order, send = telling
    order_id = await order("S1")
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, UUID(order_id.removeprefix("order:")), reason="x")
    await drain(shop.database, SUBSCRIPTIONS)
    await narrowed(shop, id_, boss, sink, types=["order.cancelled"], locations=None)
    await send()
    assert {"order.placed", "order.cancelled"} <= set(sink.types)
