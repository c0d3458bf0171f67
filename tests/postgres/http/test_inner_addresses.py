"""An address of a private network is refused where it is typed, by API, page and table, unless the operator allows it."""

import html
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests_http import Shop, open_shop

from malha.catalog import service as catalog
from malha.catalog.model import MediaDraft, ProductDraft, VariantDraft
from malha.identity.model import PERMISSIONS
from malha.platform.db import Database
from malha.testing.builders import a_network

PLAN = {
    "profile": "generic",
    "format": "csv",
    "mapping": [{"target": "id", "value": "code"}, {"target": "price", "value": "price"}],
}
Asked = Callable[[Shop, dict[str, str], str], Awaitable[httpx.Response]]


async def a_push(shop: Shop, who: dict[str, str], url: str) -> httpx.Response:
    body = {"kind": "webhook", "url": url}
    return await shop.http.put("/v1/channels/web/stock-push", json=body, headers=who)


async def a_feed(shop: Shop, who: dict[str, str], url: str) -> httpx.Response:
    body = {"name": "Partner", "channel": "web", "plan": PLAN, "push_url": f"{url}/{{name}}"}
    return await shop.http.put("/v1/feeds/partner", json=body, headers=who)


async def a_gateway(shop: Shop, who: dict[str, str], url: str) -> httpx.Response:
    body = {"channel": "sms", "name": "Ours", "url": url, "body": '{"to": "{to}", "text": "{text}"}'}
    return await shop.http.post("/v1/message-gateways", json=body, headers=who)


async def a_provider(shop: Shop, who: dict[str, str], url: str) -> httpx.Response:
    body = {"code": "house", "name": "Casa", "issuer": url, "client_id": "malha"}
    return await shop.http.post("/v1/login-providers", json=body, headers=who)


async def a_picture(shop: Shop, who: dict[str, str], url: str) -> httpx.Response:
    body = {"code": "CAM", "name": "Camiseta", "media": [{"url": "https://img.example/a.jpg"}, {"url": f"{url}/b.jpg"}]}
    return await shop.http.post("/v1/products", json=body | {"variants": [{"sku": "CAM-P"}]}, headers=who)


WAYS: list[Any] = [
    pytest.param(a_push, "/url", id="stock webhook"),
    pytest.param(a_feed, "/push_url", id="feed"),
    pytest.param(a_gateway, "/url", id="message gateway"),
    pytest.param(a_provider, "/issuer", id="login provider"),
    pytest.param(a_picture, "/media/1/url", id="picture"),
]


@pytest.fixture
async def network(shop: Shop) -> Shop:
    async with shop.database.transaction() as tx:
        await a_network(tx)
    return shop


@pytest.fixture
async def allowing(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop whose operator allows one network of their own."""
    async with AsyncExitStack() as stack:
        shop = await open_shop(stack, database, tmp_path, outward_allow=("10.2.0.0/16",))
        async with database.transaction() as tx:
            await a_network(tx)
        yield shop


@pytest.mark.parametrize(("ask", "at"), WAYS)
@pytest.mark.parametrize("url", ["https://10.2.0.7", "https://2886729729", "https://[::ffff:169.254.169.254]"])
async def test_it_is_refused_at_its_field_with_what_to_do_in_the_readers_language(
    network: Shop, ask: Asked, at: str, url: str
) -> None:
    who = {**await network.key(list(PERMISSIONS)), "accept-language": "pt-BR"}
    answer = await ask(network, who, url)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    (wrong,) = answer.json()["errors"]
    assert wrong["at"] == at
    assert "leva a uma rede que não é pública" in str(wrong)
    assert "MALHA_OUTWARD_ALLOW" in str(wrong)


@pytest.mark.parametrize(("ask", "at"), WAYS)
async def test_an_operator_who_allows_the_network_has_it_saved_and_a_name_is_judged_when_it_is_asked(
    allowing: Shop, ask: Asked, at: str
) -> None:
    who = await allowing.key(list(PERMISSIONS))
    beyond = await ask(allowing, who, "https://10.3.0.7")
    assert [wrong["at"] for wrong in beyond.json()["errors"]] == [at]
    within = await ask(allowing, who, "https://10.2.0.7")
    assert within.status_code in {200, 201}, within.text


@pytest.mark.parametrize(("ask", "at"), WAYS)
async def test_a_name_of_any_network_is_saved(network: Shop, ask: Asked, at: str) -> None:
    saved = await ask(network, await network.key(list(PERMISSIONS)), "https://intranet.example")
    assert saved.status_code in {200, 201}, (at, saved.text)


async def test_a_webhook_to_a_plain_http_address_is_refused_at_once_and_not_by_its_first_event(network: Shop) -> None:
    who = {**await network.key(list(PERMISSIONS)), "accept-language": "pt-BR"}
    body = {"name": "ERP", "url": "http://erp.example/in", "types": ["order.*"]}
    refused = await network.http.post("/v1/webhooks", json=body, headers=who)
    assert refused.status_code == 422, refused.text
    (wrong,) = refused.json()["errors"]
    assert (wrong["at"], "não é https" in str(wrong)) == ("/url", True)


async def _said(shop: Shop, path: str, form: dict[str, Any]) -> str:
    who = {**await shop.session(), "accept-language": "pt-BR"}
    answer = await shop.http.post(path, data=form, headers=who)
    assert answer.status_code == 422, answer.text
    return html.unescape(re.sub(r"<[^>]+>", " ", answer.text))


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/channels/web/stock", {"kind": "webhook", "url": "https://192.168.0.9/in", "version": "0"}),
        (
            "/messages/means/sms",
            {
                "name": "Ours", "method": "POST", "format": "json", "body": '{"to": "{to}", "text": "{text}"}',
                "url": "https://192.168.0.9/in", "accepted": "200-299", "version": "0",
            },
        ),
        (
            "/providers:new",
            {"code": "casa", "name": "Casa", "issuer": "https://192.168.0.9", "client_id": "m", "scopes": "openid",
             "second_factor": "provider"},
        ),
        (
            "/products:new",
            {"code": "CAM", "name": "Camiseta", "variants/0/sku": "CAM-P", "media": "https://192.168.0.9/a.jpg"},
        ),
    ],
)  # fmt: skip
async def test_pages_say_the_same(network: Shop, path: str, form: dict[str, Any]) -> None:
    said = await _said(network, path, form)
    assert "https://192.168.0.9 não é chamado" in said or "leva a uma rede que não é pública" in said
    assert "MALHA_OUTWARD_ALLOW" in said


async def test_a_table_of_products_has_the_row_refused_and_the_others_taken(allowing: Shop) -> None:
    who = await allowing.key(["catalog:write", "catalog:read"])
    table = (
        b"sku;nome;imagens\n"
        b"A;Camisa;https://10.2.0.7/a.jpg\n"
        b"B;Bone;https://10.9.9.9/b.jpg\n"
        b"C;Calca;https://img.example/c.jpg\n"
    )
    address = "/v1/products:import?mode=valid"
    report = (await allowing.http.post(address, content=table, headers=who | {"content-type": "text/csv"})).json()
    assert (report["created"], report["bad"]) == (2, 1)
    (wrong,) = report["problems"]
    assert (wrong["line"], wrong["column"]) == (3, "imagens")
    assert "MALHA_OUTWARD_ALLOW" in str(wrong)


async def test_a_picture_that_is_there_already_does_not_stand_in_the_way_of_other_changes(network: Shop) -> None:
    inner = MediaDraft(url="https://10.9.9.9/a.jpg")
    async with network.database.transaction() as tx:  # as a channel of one's own network brings it
        draft = ProductDraft(code="CAM", name="Camiseta", media=[inner], variants=[VariantDraft(sku="CAM-P")])
        await catalog.put_products(tx, [draft])
    who = {**await network.key(["catalog:write", "catalog:read"]), "if-match": '"1"'}
    same = {"code": "CAM", "name": "Camiseta azul", "media": [{"url": inner.url}], "variants": [{"sku": "CAM-P"}]}
    changed = await network.http.put("/v1/products/CAM", json=same, headers=who)
    assert changed.status_code == 200, changed.text
    more = same | {"media": [{"url": inner.url}, {"url": "https://10.9.9.9/b.jpg"}]}
    refused = await network.http.put(
        "/v1/products/CAM", json=more, headers={**who, "if-match": changed.headers["etag"]}
    )
    assert [wrong["at"] for wrong in refused.json()["errors"]] == ["/media/1/url"]
