"""Gateways and the order of means by the API: described, tried, changed and removed as on the page; secrets go in only."""

from typing import Any

import httpx
import pytest
from tests_http import Shop

from http_gateway import http_gateway
from malha.identity import service as identity
from malha.identity.model import PERMISSIONS
from malha.notifications import means
from malha.notifications.model import Channel
from malha.platform import audit
from malha.testing.builders import a_network

SECRET, WORD = "s3cret-of-the-gateway", "word-of-receipts"
GATEWAY: dict[str, Any] = {
    "name": "Ours",
    "url": "https://sms.example.com/messages",
    "headers": [{"name": "Authorization", "value": "Bearer {secret}"}],
    "body": '{"to": "{to}", "text": "{text}"}',
    "meaning": {"id_path": "id"},
}


async def keyed(shop: Shop, *permissions: str) -> dict[str, str]:
    async with shop.database.transaction() as tx:
        key = await identity.create_key(tx, name=f"with {permissions}", permissions=list(permissions or PERMISSIONS))
    return {"authorization": f"Bearer {key.secret}", "accept-language": "en"}


async def described(shop: Shop, key: dict[str, str], **more: Any) -> httpx.Response:
    body = {**GATEWAY, "channel": "sms", "secret": SECRET, "receipt_secret": WORD, **more}
    return await shop.http.post("/v1/message-gateways", json=body, headers=key)


async def opened(shop: Shop) -> means.Opened:
    async with shop.database.transaction() as tx:
        found = await means.open_gateway(tx, shop.app.state.services.signing, Channel.SMS)
    assert found is not None
    return found


async def test_a_gateway_is_described_changed_and_removed_and_its_secrets_never_come_out(shop: Shop) -> None:
    key = await keyed(shop)
    assert (await shop.http.get("/v1/message-gateways", headers=key)).json() == []
    made = await described(shop, key)
    assert (made.status_code, made.json(), made.headers["etag"]) == (201, {"channel": "sms", "version": 1}, '"1"')
    again = await described(shop, key)
    assert (again.status_code, again.json()["code"]) == (409, "gateway_exists")
    found = await shop.http.get(made.headers["location"], headers=key)
    view = found.json()
    assert (view["has_secret"], view["has_receipt_secret"], view["active"]) == (True, True, False)
    assert view["gateway"]["headers"] == GATEWAY["headers"]
    assert view["receipts_to"].endswith("/v1/messages/receipts/sms")

    change = {**GATEWAY, "url": "https://sms.example.com/v2", "active": True}
    address = "/v1/message-gateways/sms"
    assert (await shop.http.put(address, json=change, headers=key)).status_code == 428
    assert (await shop.http.put(address, json=change, headers={**key, "if-match": '"7"'})).status_code == 412
    changed = await shop.http.put(address, json=change, headers={**key, "if-match": found.headers["etag"]})
    assert changed.json() == {"channel": "sms", "version": 2}
    kept = await opened(shop)
    assert (kept.secret, kept.receipt_secret, kept.gateway.url) == (SECRET, WORD, "https://sms.example.com/v2")

    answers = [made, found, changed, await shop.http.get("/v1/message-gateways", headers=key)]
    assert not any(secret in answer.text for answer in answers for secret in (SECRET, WORD))
    async with shop.database.transaction() as tx:
        trail = await audit.trail(tx, entity="message_gateway")
        assert [entry.action for entry in trail] == ["change", "change"]
        stored = await tx.values("SELECT entry::text FROM audit entry UNION ALL SELECT g::text FROM message_gateway g")
    assert not any(secret in row for row in stored for secret in (SECRET, WORD))

    assert (await shop.http.delete(address, headers={**key, "if-match": '"1"'})).status_code == 412
    assert (await shop.http.delete(address, headers=key)).status_code == 204
    assert (await shop.http.get(address, headers=key)).status_code == 404
    assert (await shop.http.delete(address, headers=key)).status_code == 404


async def test_a_secret_does_not_go_to_another_server_with_a_changed_address(shop: Shop) -> None:
    key = await keyed(shop)
    assert (await described(shop, key)).status_code == 201
    headers = {**key, "if-match": '"1"'}
    elsewhere = {**GATEWAY, "url": "https://collector.example.net/"}
    refused = await shop.http.put("/v1/message-gateways/sms", json=elsewhere, headers=headers)
    assert refused.status_code == 422
    assert [error["at"] for error in refused.json()["errors"]] == ["/secret"]
    assert (await opened(shop)).gateway.url == GATEWAY["url"]
    moved = await shop.http.put("/v1/message-gateways/sms", json={**elsewhere, "secret": "a new one"}, headers=headers)
    assert moved.status_code == 200
    assert (await opened(shop)).secret == "a new one"


async def test_what_is_wrong_with_a_description_is_said_where_it_is(shop: Shop) -> None:
    key = await keyed(shop)
    wrong = await described(
        shop,
        key,
        url="https://word@sms.example.com/",
        body='{"to": {to}}',
        meaning={"accepted": "two hundred", "id_path": "a b"},
        receipts={"proof": "hmac-sha256", "id_path": "c d"},
    )
    assert wrong.status_code == 422
    at = {error["at"] for error in wrong.json()["errors"]}
    assert at == {"/url", "/body", "/meaning/accepted", "/meaning/id_path", "/receipts/id_path", "/receipts/header"}
    unknown = await described(shop, key, receipts={"encoding": "rot13"}, colour="red")
    assert unknown.status_code == 422
    assert (await shop.http.get("/v1/message-gateways/fax", headers=key)).status_code == 404
    for body in ({"url": "https://user:word@sms.example.com/"}, {"url": "ftp://sms.example.com/"}, {"secret": ""}):
        assert (await described(shop, key, **body)).status_code == 422, body


TEST = "/v1/message-gateways/sms/test"
PHONE = {"phone": "(11) 98765-4321"}


async def test_a_test_is_sent_where_the_server_may_ask_and_nowhere_else(shop: Shop) -> None:
    key = await keyed(shop)
    missing = await shop.http.post(TEST, json=PHONE, headers=key)
    assert (missing.status_code, missing.json()["code"]) == (409, "gateway_not_ready")
    async with http_gateway() as box:
        assert (await described(shop, key, url=box.url.replace("127.0.0.1", "localhost"))).status_code == 201
        answer = (await shop.http.post(TEST, json=PHONE, headers=key)).json()
        assert answer["end"] == "refused"
        assert "not public" in answer["words"]
        assert box.asked == []
        for number in ("1", "0800"):
            wrong = await shop.http.post(TEST, json={"phone": number}, headers=key)
            assert (wrong.status_code, wrong.json()["errors"][0]["at"]) == (422, "/phone")
    async with shop.database.transaction() as tx:
        assert (await audit.trail(tx, entity="message_gateway"))[0].action == "try"


async def test_a_gateway_takes_ten_tests_a_minute_and_says_when_the_next_may_come(shop: Shop) -> None:
    key = await keyed(shop)
    async with http_gateway() as box:
        assert (await described(shop, key, url=box.url.replace("127.0.0.1", "localhost"))).status_code == 201
        for _ in range(10):
            assert (await shop.http.post(TEST, json=PHONE, headers=key)).status_code == 200
        over = await shop.http.post(TEST, json=PHONE, headers=key)
        assert (over.status_code, over.json()["code"]) == (429, "too_many_tests")
        assert 0 < int(over.headers["retry-after"]) <= 60
        async with shop.database.transaction() as tx:
            await tx.execute("UPDATE audit SET at = at - interval '1 minute' WHERE action = 'try'")
        assert (await shop.http.post(TEST, json=PHONE, headers=key)).status_code == 200


async def test_which_means_goes_first_is_said_for_all_kinds_and_for_one(shop: Shop) -> None:
    key = await keyed(shop)
    usual = (await shop.http.get("/v1/message-routes", headers=key)).json()[0]
    assert usual == {
        "kind": "usual",
        "means": ["email", "whatsapp", "sms"],
        "every": False,
        "own": False,
        "version": 0,
    }
    before = await shop.http.get("/v1/message-routes/ready", headers=key)
    assert before.headers["etag"] == '"0"'
    body = {"means": ["whatsapp", "sms"], "every": True}
    address = "/v1/message-routes/ready"
    assert (await shop.http.put(address, json=body, headers=key)).status_code == 428
    put = await shop.http.put(address, json=body, headers={**key, "if-match": '"0"'})
    assert put.json() == {"kind": "ready", **body, "own": True, "version": 1}
    assert (await shop.http.put(address, json=body, headers={**key, "if-match": '"0"'})).status_code == 412
    twice = {"means": ["sms", "sms"]}
    refused = await shop.http.put(address, json=twice, headers={**key, "if-match": '"1"'})
    assert (refused.status_code, refused.json()["errors"][0]["at"]) == (422, "/means")
    first = {"means": ["sms"]}
    assert (await shop.http.put("/v1/message-routes/usual", json=first, headers={**key, "if-match": "*"})).is_success
    routes = {route["kind"]: route for route in (await shop.http.get("/v1/message-routes", headers=key)).json()}
    assert (routes["paid"]["means"], routes["paid"]["own"]) == (["sms"], False)
    assert routes["ready"]["means"] == ["whatsapp", "sms"]
    back = await shop.http.delete(address, headers={**key, "if-match": '"1"'})
    assert back.json() == {"kind": "ready", "means": ["sms"], "every": False, "own": False, "version": 0}
    assert (await shop.http.get("/v1/message-routes/poem", headers=key)).status_code == 404


@pytest.mark.parametrize(
    "path", ["message-gateways", "message-gateways/sms", "message-routes", "message-gateway-presets"]
)
async def test_only_who_manages_settings_sees_gateways_and_routes(shop: Shop, path: str) -> None:
    key = await keyed(shop, *(permission for permission in PERMISSIONS if permission != "settings:manage"))
    assert (await shop.http.get(f"/v1/{path}", headers=key)).status_code == 403


async def test_the_page_removes_a_gateway_with_its_secrets(shop: Shop) -> None:
    assert (await described(shop, await keyed(shop), active=True)).status_code == 201
    session = await shop.session()
    page = (await shop.http.get("/messages/means/sms", headers=session)).text
    assert 'action="/messages/means/sms/remove"' in page
    old = await shop.http.post("/messages/means/sms/remove", data={"version": "7"}, headers=session)
    assert old.status_code == 409
    gone = await shop.http.post("/messages/means/sms/remove", data={"version": "1"}, headers=session)
    assert (gone.status_code, gone.headers["location"]) == (303, "/messages/means")
    async with shop.database.transaction() as tx:
        assert await means.open_gateway(tx, shop.app.state.services.signing, Channel.SMS) is None


async def test_who_is_limited_to_locations_neither_describes_nor_tries_nor_routes_for_all_of_them(shop: Shop) -> None:
    whole = await keyed(shop)
    await described(shop, whole)
    async with shop.database.transaction() as tx:
        await a_network(tx)
    limited = {**await shop.key(PERMISSIONS, locations=["S1"]), "if-match": '"1"'}
    owner = await shop.session(locations=["S1"])
    gateway, route = "/v1/message-gateways/sms", "/v1/message-routes/ready"
    for method, path, body in (
        ("POST", "/v1/message-gateways", {**GATEWAY, "channel": "whatsapp"}),
        ("PUT", gateway, {**GATEWAY, "url": "https://sms.example.com/other"}),
        ("POST", f"{gateway}/test", {"phone": "11987654321"}),
        ("DELETE", gateway, None),
        ("PUT", route, {"means": ["sms"]}),
    ):
        unseen = {**limited, "if-match": '"0"'} if path == route else limited
        refused = await shop.http.request(method, path, json=body, headers=unseen)
        assert (refused.status_code, refused.json()["code"]) == (403, "shared_by_all"), (method, path, refused.text)
    for path, form in (
        ("sms", {"version": "1", "url": "https://sms.example.com/other"}),
        ("sms/try", {"phone": "11987654321"}),
        ("sms/remove", {"version": "1"}),
        ("route", {"kind": "ready", "means1": "sms", "version": "0"}),
    ):
        refused = await shop.http.post(f"/messages/means/{path}", data=form, headers=owner)
        assert refused.status_code == 403, (path, refused.text)
    assert (await shop.http.get(gateway, headers=whole)).json()["version"] == 1
