"""Webhooks and the feed of events over the API: secrets come out once, scopes hold, cursors go on where they were."""

import asyncio
from datetime import timedelta

import pytest
from standardwebhooks.webhooks import Webhook
from tests_http import Shop, open_shop

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.ordering import cancelling
from malha.platform.clock import now
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_order
from malha.webhooks import sending
from webhook_sink import webhook_sink

MANAGER = ["webhooks:manage", "orders:read", "stock:read"]


@pytest.fixture
async def sink():
    async with webhook_sink() as served:
        yield served


@pytest.fixture
async def world(shop: Shop):
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 50, "S1": 50})
    await drain(shop.database, SUBSCRIPTIONS)
    return world, sku


@pytest.fixture
async def outgoing(database, tmp_path):
    """A shop that may ask this machine."""
    from contextlib import AsyncExitStack

    async with AsyncExitStack() as stack:
        yield await open_shop(stack, database, tmp_path, outward_allow=("127.0.0.1/32",))


async def order(shop, world, at="DC"):
    async with shop.database.transaction() as tx:
        order_id = await an_order(tx, world[0], [Sold(world[1], 1, at=at)])
    await drain(shop.database, SUBSCRIPTIONS)
    return order_id


def body(url="https://erp.example/hook", **more):
    return {"name": "ERP", "url": url, "types": ["order.*"], **more}


async def test_a_webhook_lives_its_life_and_its_secret_comes_out_once(shop, world):
    headers = await shop.key(MANAGER)
    keyed = {**headers, "idempotency-key": "one"}
    made = await shop.http.post("/v1/webhooks", json=body(), headers=keyed)
    assert (made.status_code, made.headers["location"]) == (201, f"/v1/webhooks/{made.json()['id']}")
    assert made.json()["secret"].startswith("whsec_")
    again = await shop.http.post("/v1/webhooks", json=body(), headers=keyed)
    assert (again.json()["id"], again.json()["secret"]) == (made.json()["id"], None)
    at = made.headers["location"]
    read = await shop.http.get(at, headers=headers)
    assert made.json()["secret"] not in read.text
    assert (read.json()["state"], read.json()["version"], read.headers["etag"]) == ("active", 1, '"1"')
    assert (await shop.http.put(at, json=body(name="WMS"), headers=headers)).status_code == 428
    changed = await shop.http.put(at, json=body(name="WMS"), headers={**headers, "if-match": '"1"'})
    assert changed.json() == {"version": 2}
    stale = await shop.http.put(at, json=body(), headers={**headers, "if-match": '"1"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")
    rotated = await shop.http.post(f"{at}/rotate", headers={**headers, "if-match": '"2"'})
    assert rotated.json()["secret"] != made.json()["secret"]
    paused = await shop.http.post(f"{at}/pause", headers={**headers, "if-match": '"3"'})
    assert paused.json() == {"version": 4}
    await order(shop, world)
    started = await shop.http.post(f"{at}/start", json={}, headers={**headers, "if-match": '"4"'})
    assert started.json() == {"version": 5, "missed": 1}
    (listed,) = (await shop.http.get("/v1/webhooks", headers=headers)).json()
    assert (listed["name"], listed["waiting"]) == ("WMS", 1)
    assert (await shop.http.delete(at, headers={**headers, "if-match": '"5"'})).status_code == 204
    assert (await shop.http.get(at, headers=headers)).json()["code"] == "webhook_not_found"


async def test_what_cannot_be_is_refused_with_the_place_and_how_to_mend_it(shop, world):
    headers = await shop.key(MANAGER)
    for wrong, at in (
        ({"types": ["order.nothing"]}, "/types"),
        ({"locations": ["NOWHERE"]}, "/locations"),
        ({"channels": ["NONE"]}, "/channels"),
        ({"name": "  "}, "/name"),
    ):
        answer = await shop.http.post("/v1/webhooks", json=body(**wrong), headers=headers)
        assert answer.status_code == 422, answer.text
        assert {error["at"] for error in answer.json()["errors"]} == {at}
    answer = await shop.http.post("/v1/webhooks", json=body("ftp://x.example"), headers=headers)
    assert answer.json()["code"] == "outward_refused"


async def test_an_address_that_is_not_public_is_refused_when_it_is_saved_unless_the_operator_allows_it(outgoing):
    shop = outgoing
    headers = await shop.key(MANAGER)
    for url in ("https://10.0.0.7/in", "https://[::1]/in", "https://2886729729/in", "https://169.254.169.254/latest"):
        answer = await shop.http.post("/v1/webhooks", json=body(url), headers=headers)
        assert answer.status_code == 422, answer.text
        (error,) = answer.json()["errors"]
        assert error["at"] == "/url"
        assert "MALHA_OUTWARD_ALLOW" in str(error)
    made = await shop.http.post("/v1/webhooks", json=body("https://127.0.0.1/in"), headers=headers)
    assert made.status_code == 201, made.text
    at = f"/v1/webhooks/{made.json()['id']}"
    inner = body("https://10.0.0.7/in")
    changed = await shop.http.put(at, json=inner, headers={**headers, "if-match": '"1"'})
    assert [error["at"] for error in changed.json()["errors"]] == ["/url"]


async def test_deliveries_are_listed_shown_and_replayed(outgoing, world, sink):
    shop = outgoing
    headers = await shop.key(MANAGER)
    made = (await shop.http.post("/v1/webhooks", json=body(sink.url), headers=headers)).json()
    at = f"/v1/webhooks/{made['id']}"
    tried = await shop.http.post(f"{at}/test", headers=headers)
    assert tried.json()["delivered"]
    Webhook(made["secret"]).verify(sink.sent[0].body, sink.sent[0].headers)
    sink.answer = lambda _sent: (404, {}, b"who are you")
    await order(shop, world)
    out = sending.sending_of(shop.app.state.services.settings)
    async with out.kept:
        await sending.send_due(shop.database, out)
        (listed,) = (await shop.http.get(f"{at}/deliveries?outcome=waiting", headers=headers)).json()["items"]
        assert (listed["type"], listed["attempts"], listed["status"]) == ("order.placed", 1, 404)
        shown = (await shop.http.get(f"{at}/deliveries/{listed['cursor']}", headers=headers)).json()
        assert shown["body"] == sink.sent[-1].json
        assert shown["tried"][0]["answer"] == "who are you"
        sink.answer = lambda _sent: (200, {}, b"")
        again = await shop.http.post(f"{at}/deliveries/{listed['cursor']}/replay", headers=headers)
        assert again.status_code == 204
        assert await sending.send_due(shop.database, out) == 1
        since = (now() - timedelta(hours=1)).isoformat()
        replayed = await shop.http.post(f"{at}/replay", json={"since": since}, headers=headers)
        assert replayed.json() == {"count": 1, "after": None}
        assert await sending.send_due(shop.database, out) == 1
    health = (await shop.http.get(f"{at}/health", headers=headers)).json()
    assert (health["delivered"], health["failed"]) == (2, 1)
    assert health["p95_ms"] is not None
    unknown = await shop.http.post(f"{at}/deliveries/999999/replay", headers=headers)
    assert unknown.json()["code"] == "webhook_delivery_not_found"


async def test_a_webhook_that_tells_of_orders_is_not_there_for_a_key_that_may_not_see_orders(shop, world):
    theirs = await shop.key(MANAGER)
    made = (await shop.http.post("/v1/webhooks", json=body(), headers=theirs)).json()
    at = f"/v1/webhooks/{made['id']}"
    await order(shop, world)
    (sent,) = (await shop.http.get(f"{at}/deliveries", headers=theirs)).json()["items"]
    partner = await shop.key(["webhooks:manage", "stock:read"])
    assert (await shop.http.get("/v1/webhooks", headers=partner)).json() == []
    elsewhere = body("https://partner.example/hook", types=["stock.*"])
    for answer in (
        await shop.http.get(f"{at}/deliveries/{sent['cursor']}", headers=partner),
        await shop.http.post(f"{at}/deliveries/{sent['cursor']}/replay", headers=partner),
        await shop.http.put(at, json=elsewhere, headers={**partner, "if-match": '"1"'}),
        await shop.http.post(f"{at}/rotate", headers={**partner, "if-match": '"1"'}),
    ):
        assert answer.status_code == 404, answer.text
    own = await shop.http.post("/v1/webhooks", json=elsewhere, headers=partner)
    assert own.status_code == 201
    assert {x["id"] for x in (await shop.http.get("/v1/webhooks", headers=theirs)).json()} == {
        made["id"],
        own.json()["id"],
    }


async def test_the_types_of_events_are_told_with_their_schema(shop):
    headers = await shop.key(["orders:read"])
    told = (await shop.http.get("/v1/event-types", headers=headers)).json()
    placed = next(one for one in told if one["type"] == "order.placed")
    assert placed["schema"]["properties"]["type"] == {"const": "order.placed"}
    assert placed["example"]["data"]["channel"] == "web"


async def test_the_feed_goes_on_from_its_cursor_and_tells_each_event_once(shop, world):
    headers = await shop.key(["orders:read"])
    start = (await shop.http.get("/v1/events", headers=headers)).json()
    assert start["items"] == []
    ids = [await order(shop, world) for _ in range(5)]
    cursor, told = start["cursor"], []
    while True:
        page = (await shop.http.get(f"/v1/events?after={cursor}&types=order.placed&limit=2", headers=headers)).json()
        told += page["items"]
        cursor = page["cursor"]
        if not page["more"]:
            break
    assert sorted(item["data"]["order_id"] for item in told) == sorted(map(str, ids))
    assert len({item["id"] for item in told}) == 5
    assert (await shop.http.get(f"/v1/events?after={cursor}", headers=headers)).json()["items"] == []


async def test_a_reader_who_waits_is_told_as_soon_as_something_happens(shop, world):
    headers = await shop.key(["orders:read"])
    cursor = (await shop.http.get("/v1/events", headers=headers)).json()["cursor"]
    waiting = asyncio.create_task(
        shop.http.get(f"/v1/events?after={cursor}&types=order.cancelled&wait=25", headers=headers, timeout=60)
    )
    order_id = await order(shop, world)  # wakes it, but is not what it waits for
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="x")
    await drain(shop.database, SUBSCRIPTIONS)
    (item,) = (await waiting).json()["items"]
    assert item["type"] == "order.cancelled"
    nothing = await shop.http.get(
        f"/v1/events?after={item['cursor']}&wait=1&types=transfer.*", headers=await shop.key(["stock:read"])
    )
    assert nothing.json()["items"] == []


async def test_a_key_of_one_store_is_told_of_its_orders_only_and_none_of_what_it_may_not_see(shop, world):
    everything = await shop.key(["orders:read", "stock:read"])
    store = await shop.key(["orders:read"], locations=["S1"])
    cursor = (await shop.http.get("/v1/events", headers=everything)).json()["cursor"]
    theirs, _other = await order(shop, world, "S1"), await order(shop, world, "DC")
    told = (await shop.http.get(f"/v1/events?after={cursor}", headers=store)).json()["items"]
    assert {item["subject"] for item in told} == {f"order:{theirs}"}
    refused = await shop.http.get(f"/v1/events?after={cursor}&types=stock.*", headers=store)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await shop.http.get("/v1/events", headers=await shop.key(["catalog:read"]))).status_code == 403


async def test_a_cursor_of_another_log_is_refused_and_says_why(shop, world):
    headers = await shop.key(["orders:read"])
    ahead = await shop.http.get("/v1/events?after=999999999", headers=headers)
    assert (ahead.status_code, ahead.json()["code"]) == (409, "cursor_ahead")
    await order(shop, world)
    await order(shop, world)
    async with shop.database.transaction() as tx:
        await tx.execute("DELETE FROM event WHERE position < (SELECT max(position) FROM event)")
    gone = await shop.http.get("/v1/events?after=0", headers=headers)
    assert (gone.status_code, gone.json()["code"]) == (410, "events_gone")
    unknown = await shop.http.get("/v1/events?types=order.*,nothing", headers=headers)
    assert unknown.status_code == 422
