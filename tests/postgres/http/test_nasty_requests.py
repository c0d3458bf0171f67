"""Requests that no honest client sends: cursors that were tampered with, headers, addresses and bodies of every kind."""

import json
import random
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import product
from pathlib import Path

import pytest
from tests_http import Shop, open_shop

from malha.identity.model import PERMISSIONS
from malha.platform.db import Database
from malha.platform.ids import UUID
from malha.testing.builders import a_network, a_product

LISTS = ["/v1/audit", "/v1/variants", "/v1/customers", "/v1/locations", "/v1/orders", "/v1/people", "/v1/stock", "/v1/stock/A-1/DC/movements"]  # fmt: skip
HEADERS = {
    "accept-language": ["*", ";q=1", "pt;q=nan", "en;q=inf", "pt-BR" * 900, "x" * 7_000, "\xff\xfe", "en;q=" + "9" * 900, ",,,,;;;=", "EN_us"],
    "if-match": ['"1', 'W/"1"', "*", "-1", '"99999999999999999999"', "\xe9", '"1","2"', "" , '"' + "1" * 5_000 + '"'],
    "if-none-match": ["*", '"', "\xff", "x" * 5_000],
    "idempotency-key": ["", " ", "x" * 201, "x" * 200, "\xe9", "a\tb", "../..", "{0}", "%s", "'; --"],
    "authorization": ["Bearer", "Bearer ", "bearer \xff", "Basic YTpi", "Bearer " + "x" * 9_000, "Bearer mk_" + "0" * 52, "\x00", "Bearer a b c"],
    "cookie": ["malha=", "malha=\xff", "malha=" + "x" * 5_000, "=", ";;;", 'malha="a\\"b"', "malha=a; malha=b"],
    "x-request-id": ["", "a" * 81, "a b", "<script>", "\r", "\xff"],
    "x-forwarded-for": ["", "1.2.3.4, x", "::1", "\xff", ",,,,"],
    "content-type": ["", "text/plain", "application/json; charset=utf-7", "multipart/form-data", "multipart/form-data; boundary=", "\xff", "x" * 3_000],
    "origin": ["null", "", "https://evil.example", "\xff", "http://shop.test.evil.example"],
    "sec-fetch-site": ["cross-site", "none", "", "\xff"],
    "content-length": ["0"],
    "range": ["bytes=0-1", "bytes=-9999999999999"],
    "host": ["", "evil.example", "a" * 2_000, "shop.test:99999", "\xff"],
}  # fmt: skip
ADDRESSES = [
    "/v1/locations/%ff", "/v1/locations/%00", "/v1/locations/..%2f..%2fetc", "/v1/products/%ed%a0%80", "/v1/orders/%s", "/v1//orders", "/v1/orders/",
    "/v1/orders?limit=1e9", "/v1/orders?limit=-1", "/v1/orders?limit=99999999999999999999", "/v1/orders?limit=%00", "/v1/orders?search=%00%ff", "/v1/orders?limit=1&limit=2",
    "/v1/audit?since=9999-12-31T23:59:59Z", "/v1/audit?since=0001-01-01T00:00:00%2B23:59", "/v1/places/%D9%A1%D9%A2345678", "/v1/keys/99999999999/revoke", "/orders/99999999999999999999",
    "/static/x/..%2f..%2fsecret", "/static/0/%2e%2e/%2e%2e/pyproject.toml", "/track/%00", "/track/" + "x" * 6_000, "/orders?q=" + "%25" * 900, "/find?q=%ff%00%ed%a0%80",
    "/stock/%00/%ff", "/customers/0", "/audit/-1", "/locations?sort=%00", "/v1/stock?sku=" + "&sku=".join("x" * 200), "/v1/openapi.json?x=%ff",
]  # fmt: skip
DEEP = b"[" * 50_000
BODIES = [
    DEEP, b'{"a":' * 50_000, b'{"channel":' + DEEP, b'{"name":"\\ud800"}', b'{"name":"\\u0000"}', b"\xff\xfe{}", b"\xef\xbb\xbf{}", b'{"name":1e999}', b'{"a":NaN}',
    b'{"name":' + b"9" * 6_000 + b"}", b'{"name":"x","name":"y"}', b"{}{}", b"null", b"true", b'"x"', b"[]", b"\x00", b"", b" " * 100, b"{'name':'x'}", b'{"name":"' + b"x" * 300_000 + b'"}',
]  # fmt: skip


@pytest.fixture
async def shop(database: Database, tmp_path: Path) -> AsyncIterator[Shop]:
    async with database.transaction() as tx:  # before it is served: what the gate knows it knows from its start
        world = await a_network(tx)
        for n in range(1, 4):
            await a_product(tx, world, f"A-{n}", stock={"DC": n, "S1": n})
    async with AsyncExitStack() as stack:
        yield await open_shop(stack, database, tmp_path)


async def a_world(shop: Shop) -> dict[str, str]:
    """Two of everything that is listed in pages; return the headers of a key that may do everything."""
    key = await shop.key(list(PERMISSIONS))
    for n in range(3):
        await shop.person(email=f"p{n}@loja.test")
        body = {"name": f"Ana Lima {n}", "email": f"ana{n}@example.com"}
        made = await shop.http.post("/v1/customers", json=body, headers=key)
        assert made.status_code == 201, made.text
        order = {"channel": "mall", "external_id": str(n), "lines": [{"sku": "A-3", "quantity": 1, "unit_price": 1}]}
        made = await shop.http.post("/v1/orders", json=order, headers=key)
        assert made.status_code == 201, made.text
        goods = {"items": [{"sku": "A-1", "location": "DC", "quantity": n + 9}]}
        assert (await shop.http.post("/v1/stock:set", json=goods, headers=key)).status_code == 200
    return key


async def test_a_cursor_that_was_tampered_with_is_refused_or_is_a_place_in_the_same_list(shop: Shop) -> None:
    key = await a_world(shop)
    rng = random.Random(1)
    for path in LISTS:
        first = await shop.http.get(path, params={"limit": 1}, headers=key)
        cursor = first.json()["next"]
        assert cursor, path
        made = [
            "x",
            "=",
            "%",
            "W10",
            "bnVsbA",
            "IiI",
            "\x00",
            "é",
            "_" * 4_000,
            urlsafe_b64encode(DEEP[:6_000]).decode(),
        ]
        for _ in range(40):
            at = rng.randrange(len(cursor))
            made.append(cursor[:at] + rng.choice("AZaz09-_=~") + cursor[at + rng.randrange(2) :])
        for swap in (None, -1, 2**63, 2**70, 1e308, "\x00", "\ud800", [], {}, True, "9999-12-31T23:59:59Z", "infinity"):
            parts = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            for n in range(len(parts)):
                changed = [*parts[:n], swap, *parts[n + 1 :]]
                made.append(urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode())
        for damaged in made:
            answer = await shop.http.get(path, params={"limit": 1, "cursor": damaged}, headers=key)
            assert answer.status_code in {200, 422}, (path, damaged, answer.text)


async def test_no_header_breaks_anything(shop: Shop) -> None:
    key = await a_world(shop)
    session = await shop.session(email="dona@loja.test")
    asked = [("GET", "/v1/orders", key), ("POST", "/v1/customers", key), ("POST", "/v1/orders", key), ("PUT", "/v1/retailer", key),
             ("GET", "/orders", session), ("POST", "/me/theme", session), ("GET", "/track", {}), ("POST", "/track", {}), ("POST", "/login", {}), ("GET", "/nothing", {})]  # fmt: skip
    for name, values in HEADERS.items():
        for value in values:
            for method, path, headers in asked:
                sent = [(k.encode(), v.encode()) for k, v in headers.items() if k != name] + [
                    (name.encode(), value.encode("latin-1"))
                ]
                shop.http.cookies.clear()
                answer = await shop.http.request(method, path, headers=sent, content=b"{}" if method != "GET" else None)
                assert answer.status_code < 500, (method, path, name, value, answer.text)
                for found in answer.headers.values():
                    assert "\n" not in found
                    assert "evil.example" not in found, (name, value, found)


async def test_no_address_breaks_anything(shop: Shop) -> None:
    callers = (await shop.key(list(PERMISSIONS)), await shop.session())
    for address, headers in product(ADDRESSES, callers):
        shop.http.cookies.clear()
        for method in ("GET", "POST", "PUT", "DELETE"):
            answer = await shop.http.request(method, address, headers=headers)
            assert answer.status_code < 500, (method, address, answer.text)
            assert b"[project]" not in answer.content


async def test_no_body_breaks_anything(shop: Shop) -> None:
    key = await shop.key(list(PERMISSIONS))
    session = await shop.session()
    paths = [("POST", "/v1/customers"), ("POST", "/v1/orders"), ("PUT", "/v1/retailer"), ("POST", "/v1/keys"), ("POST", "/v1/stock:set"),
             ("POST", "/v1/categories:batch"), ("POST", "/v1/sessions"), ("POST", "/v1/imports/stock"), ("POST", "/v1/products:import")]  # fmt: skip
    for body in BODIES:
        for method, path in paths:
            headers = {**key, "content-type": "application/json", "if-match": '"0"'}
            answer = await shop.http.request(method, path, headers=headers, content=body)
            assert answer.status_code < 500, (method, path, body[:60], answer.text)
            if answer.status_code >= 400:
                assert answer.headers["content-type"] == "application/problem+json"
        for path in ("/me/theme", "/imports/stock", "/stock:count", "/locations:new", "/orders/bulk", "/settings/logo"):
            for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json"):
                answer = await shop.http.post(path, headers={**session, "content-type": kind}, content=body)
                assert answer.status_code < 500, (path, kind, body[:60], answer.text)


@pytest.mark.parametrize("number", [2**31, 2**63, 10**30])
async def test_a_number_that_is_larger_than_any_is_of_nothing_wherever_an_address_has_it(
    shop: Shop, number: int
) -> None:
    key, session = await shop.key(list(PERMISSIONS)), await shop.session()
    wrong = []
    for route in Path(__file__).with_name("routes.txt").read_text().splitlines():
        method, path, _ = route.split()
        if ":int}" not in path:
            continue
        address = re.sub(r"{\w+:(\w+)}", lambda part: str(number) if part[1] == "int" else str(UUID(int=1)), path)
        headers = {**(key if path.startswith("/v1/") else session), "if-match": '"1"'}
        body = {} if method == "GET" else {"content": b"{}", "headers": {"content-type": "application/json"}}
        answer = await shop.http.request(method, address, **{**body, "headers": {**body.get("headers", {}), **headers}})
        # A body that lacks something is told first.
        if answer.status_code >= 500 or "value_refused" in answer.text or (method == "GET" and not answer.is_error):
            wrong.append(f"{method} {path}: {answer.status_code} {answer.text[:200]}")
    assert not wrong


@pytest.mark.parametrize(("number", "code"), [(2**31, "rule_set_not_found"), (2**63, "no_such_number")])
async def test_a_rule_set_of_a_number_that_is_larger_than_any_is_not_there(shop: Shop, number: int, code: str) -> None:
    key = await shop.key(list(PERMISSIONS))
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/withdraw")):
        answer = await shop.http.request(method, f"/v1/routing-rules/{number}{path}", headers=key)
        assert (answer.status_code, answer.json()["code"]) == (404, code)
