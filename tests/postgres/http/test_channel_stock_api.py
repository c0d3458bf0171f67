"""Stock of channels over the API, and the webhook on a real server: signed, bounded, waited for when it says so."""

import asyncio
import base64
import gzip
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from tests_http import Shop, open_shop

from malha.channels import pushing, reads
from malha.channels.sending import webhooks
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.identity.model import Role
from malha.platform.db import Database
from malha.platform.outward import LIMIT, Kept, Outward
from malha.platform.subscribers import drain
from malha.testing.builders import a_network, a_product

PERMISSIONS = ["network:read", "network:write", "stock:read"]


class Heard:
    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answer = (200, {}, b"")


@asynccontextmanager
async def a_channel() -> AsyncIterator[tuple[int, Heard]]:
    """A server that keeps what it is sent and answers what it is told to."""
    heard = Heard()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        heard.requests.append((headers, body))
        status, more, content = heard.answer
        lines = [f"HTTP/1.1 {status} X", f"content-length: {len(content)}", "connection: close"]
        lines += [f"{k}: {v}" for k, v in more.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], heard


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    """Where the address of a channel on this machine may be saved; whether it is asked says each turn."""
    async with AsyncExitStack() as stack:
        yield await open_shop(stack, database, tmp_path, outward_allow=("127.0.0.1",))


@pytest.fixture
async def stocked(shop: Shop) -> Shop:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "A", stock={"DC": 5})
        await a_product(tx, world, "B", stock={"DC": 3})
    shop.headers = await shop.key(PERMISSIONS)
    return shop


async def turn(
    shop: Shop, allow: tuple[str, ...] = (), way: Callable[[Outward], Outward | Kept] = lambda outward: outward
) -> int:
    settings = shop.app.state.services.settings
    await drain(shop.database, SUBSCRIPTIONS)
    sent = webhooks(type(settings)(**{**_fields(settings), "outward_allow": allow}), way)
    return await pushing.push_due(shop.database, sent)


def _fields(settings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in settings.__struct_fields__}


async def test_a_webhook_is_called_with_signed_quantities_where_it_may_be(stocked: Shop) -> None:
    async with a_channel() as (port, heard):
        body = {"kind": "webhook", "url": f"http://127.0.0.1:{port}/stock"}
        stored = await stocked.http.put("/v1/channels/web/stock-push", json=body, headers=stocked.headers)
        assert stored.status_code == 200, stored.text
        secret = stored.json()["secret"]
        assert await turn(stocked) == 0  # nobody allowed this host
        seen = (await stocked.http.get("/v1/channels/web/stock-push", headers=stocked.headers)).json()
        assert "MALHA_OUTWARD_ALLOW" in seen["error"] or "127.0.0.1" in seen["error"]
        assert secret not in json.dumps(seen)
        assert heard.requests == []
        await stocked.http.post("/v1/channels/web/stock-push/resend", json={}, headers=stocked.headers)
        assert await turn(stocked, (f"127.0.0.1:{port}",)) == 2
    [(headers, content)] = heard.requests
    told = json.loads(content)
    assert told["channel"] == "web"
    assert {(i["sku"], i["code"], i["quantity"]) for i in told["items"]} == {("A", "A", 5), ("B", "B", 3)}
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + content
    proof = base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{proof}"


async def test_a_channel_that_asks_for_patience_gets_it_and_one_that_refuses_a_code_is_not_asked_again(
    stocked: Shop,
) -> None:
    async with a_channel() as (port, heard):
        allow = (f"127.0.0.1:{port}",)
        body = {"kind": "webhook", "url": f"http://127.0.0.1:{port}/", "secret": "s" * 20}
        await stocked.http.put("/v1/channels/web/stock-push", json=body, headers=stocked.headers)
        heard.answer = (503, {"retry-after": "120"}, b"")
        assert await turn(stocked, allow) == 0
        async with stocked.database.transaction() as tx:
            assert 100 < await tx.value("SELECT extract(epoch FROM next_at - now()) FROM stock_push") <= 120
            assert await reads.due(tx) == []
            await tx.execute("UPDATE stock_push SET next_at = now()")
        refused = gzip.compress(b'{"refused": {"B": "no such product"}}')
        heard.answer = (200, {"content-type": "application/json", "content-encoding": "gzip"}, refused)
        assert await turn(stocked, allow) == 2
    listings = await stocked.http.get("/v1/channels/web/listings?refused=true", headers=stocked.headers)
    assert [(row["sku"], row["error"]) for row in listings.json()["items"]] == [("B", "no such product")]
    seen = (await stocked.http.get("/v1/stock-pushes", headers=stocked.headers)).json()
    assert [(p["channel"], p["sent_count"], p["failures"]) for p in seen] == [("web", 1, 0)]


@pytest.mark.parametrize("way", [lambda outward: outward, Kept])
async def test_the_status_says_that_quantities_were_stored_however_much_the_channel_says_besides(
    stocked: Shop, way: Callable[[Outward], Outward | Kept]
) -> None:
    async with a_channel() as (port, heard):
        body = {"kind": "webhook", "url": f"http://127.0.0.1:{port}/", "secret": "s" * 20}
        await stocked.http.put("/v1/channels/web/stock-push", json=body, headers=stocked.headers)
        heard.answer = (200, {"content-type": "text/html"}, b"<p>stored</p>" + b" " * (LIMIT + 1))
        assert await turn(stocked, (f"127.0.0.1:{port}",), way) == 2
        seen = (await stocked.http.get("/v1/channels/web/stock-push", headers=stocked.headers)).json()
        assert (seen["failures"], seen["error"]) == (0, None)
        heard.answer = (500, {"content-type": "text/html"}, b"<p>oops</p>" + b" " * (LIMIT + 1))
        resent = {"everything": True}
        await stocked.http.post("/v1/channels/web/stock-push/resend", json=resent, headers=stocked.headers)
        assert await turn(stocked, (f"127.0.0.1:{port}",), way) == 0
        seen = (await stocked.http.get("/v1/channels/web/stock-push", headers=stocked.headers)).json()
        assert (seen["failures"], seen["error"]) == (1, "HTTP 500")


async def test_a_channel_reads_its_feed_and_calls_skus_as_it_likes(stocked: Shop) -> None:
    stored = await stocked.http.put("/v1/channels/web/stock-push", json={"kind": "feed"}, headers=stocked.headers)
    assert (stored.status_code, stored.json()["secret"]) == (200, None)
    items = [{"sku": "A", "code": "ML-1"}, {"sku": "NOPE"}]
    listed = await stocked.http.post("/v1/channels/web/listings", json={"items": items}, headers=stocked.headers)
    assert listed.json() == {"count": 1, "unknown": ["NOPE"]}
    first = (await stocked.http.get("/v1/channels/web/stock-changes", headers=stocked.headers)).json()
    assert {(i["code"], i["quantity"]) for i in first["items"]} == {("ML-1", 5), ("B", 3)}
    assert not first["more"]
    params = {"cursor": first["cursor"]}
    again = await stocked.http.get("/v1/channels/web/stock-changes", params=params, headers=stocked.headers)
    assert again.json()["items"] == []
    wrong = await stocked.http.get("/v1/channels/web/stock-changes?cursor=x", headers=stocked.headers)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "bad_cursor")
    none = await stocked.http.get("/v1/channels/mall/stock-changes", headers=stocked.headers)
    assert (none.status_code, none.json()["code"]) == (404, "stock_push_not_found")


async def test_who_is_limited_to_a_store_changes_nothing_of_what_channels_hear(stocked: Shop) -> None:
    lead = await stocked.session(Role.PLANNER, locations=["S1"])
    answer = await stocked.http.put("/v1/channels/web/stock-push", json={"kind": "feed"}, headers=lead)
    assert answer.status_code == 403
    for address in (
        "/v1/stock-pushes",
        "/v1/channels/web/listings",
        "/v1/channels/web/stock-push",
        "/channels/web/stock",
    ):
        assert (await stocked.http.get(address, headers=lead)).status_code == 403, address
    stored = await stocked.http.put("/v1/channels/web/stock-push", json={"kind": "feed"}, headers=stocked.headers)
    stale = await stocked.http.put(
        "/v1/channels/web/stock-push", json={"kind": "feed"}, headers={**stocked.headers, "if-match": '"9"'}
    )
    assert (stored.status_code, stale.status_code, stale.json()["code"]) == (200, 412, "stale_version")


async def test_a_manager_tells_a_channel_of_stock_on_its_page_and_sees_the_secret_once(stocked: Shop) -> None:
    boss = await stocked.session(Role.MANAGER)
    address = "/channels/web/stock"
    assert "Nothing is listed yet" in (await stocked.http.get(address, headers=boss)).text
    form = {"kind": "webhook", "url": "https://shop.example/stock", "active": "on", "all_skus": "on", "version": "0"}
    stored = await stocked.http.post(address, data=form, headers=boss)
    assert stored.status_code == 200
    assert "shown this once" in stored.text
    page = (await stocked.http.get(address, headers=boss)).text
    assert "https://shop.example/stock" in page
    assert stored.text.split("<code")[1].split(">")[1].split("<")[0] not in page
    stale = await stocked.http.post(address, data=form, headers=boss)
    assert stale.status_code == 409
    listing = {"sku": "A", "code": "EXT-9", "active": "on"}
    assert (await stocked.http.post(f"{address}/listing", data=listing, headers=boss)).status_code == 303
    unknown = await stocked.http.post(f"{address}/listing", data={**listing, "sku": "NOPE"}, headers=boss)
    assert unknown.status_code == 422
    assert "EXT-9" in (await stocked.http.get(f"{address}?q=A", headers=boss)).text
    table = await stocked.http.get("/channels/web/stock:export.csv", headers=boss)
    assert "EXT-9" in table.text
    assert (await stocked.http.post(f"{address}/resend", data={"everything": "on"}, headers=boss)).status_code == 303
    gone = await stocked.http.post(address, data={"act": "remove", "version": "1"}, headers=boss)
    assert gone.status_code == 303
    clerk = await stocked.session(Role.CUSTOMER_SERVICE)
    assert (await stocked.http.post(address, data=form, headers=clerk)).status_code == 403


async def test_a_channel_without_a_connection_has_prices_of_its_own_too(stocked: Shop) -> None:
    url, key = "/v1/channels/web/listings", {"headers": stocked.headers}
    items = [{"sku": "A", "price": 8880}, {"sku": "B"}, {"sku": "NOPE", "price": 5}]
    assert (await stocked.http.post(url, json={"items": items}, **key)).json() == {"count": 2, "unknown": ["NOPE"]}

    async def own() -> dict[str, int | None]:
        return {row["sku"]: row["own_price"] for row in (await stocked.http.get(url, **key)).json()["items"]}

    assert await own() == {"A": 8880, "B": None}
    await stocked.http.post(url, json={"items": [{"sku": "A", "code": "A-1"}]}, **key)
    assert await own() == {"A": 8880, "B": None}, "left out, it stays"
    wrong = await stocked.http.post(url, json={"items": [{"sku": "A", "price": 0}]}, **key)
    assert wrong.status_code == 422
    await stocked.http.post(url, json={"items": [{"sku": "A", "price": None}]}, **key)
    assert await own() == {"A": None, "B": None}
