"""The gate itself: the recorded index refuses what WooCommerce has no word for, and the simulator says what it says."""

import json
from collections.abc import AsyncIterator

import pytest
from tests.woocommerce_sim import WooSim, rounded, woocommerce_sim
from tests.woocommerce_spec import ROOT, examples, flaws_of, recorded_index, unlike

pytestmark = pytest.mark.shared
API = f"{ROOT}/wc/v3"
# What newer versions say no more, or say elsewhere, than the documentation shows.
OLD = {"order.shipping_lines[0].taxes", "order.meta_data[0].value"}


@pytest.fixture
async def shop() -> AsyncIterator[WooSim]:
    async with woocommerce_sim() as made:
        yield made


def test_what_the_shop_takes_passes():
    index = recorded_index()
    for method, target, body in (
        (
            "GET",
            f"{API}/orders?modified_after=2026-11-27T12:00:00&dates_are_gmt=true&orderby=modified&per_page=100",
            {},
        ),
        ("GET", f"{API}/orders/7?dp=2", {}),
        ("PUT", f"{API}/orders/7", {"status": "completed", "meta_data": [{"key": "a", "value": {"b": [1]}}]}),
        ("POST", f"{API}/products/batch", {"update": [{"id": 1, "stock_quantity": 4, "manage_stock": True}]}),
        ("POST", f"{API}/orders/7/notes", {"note": "gone"}),
        ("POST", f"{API}/orders/7/refunds", {"amount": "1.00", "api_refund": False}),
    ):
        assert index.flaws(method, target, json.dumps(body).encode() if body else b"") == [], target


@pytest.mark.parametrize(
    ("method", "target", "body", "flaw"),
    [
        ("GET", "/orders?updated_after=2026-11-27T12:00:00", None, "updated_after"),
        ("GET", "/orders?orderby=date_modified", None, "none of"),
        ("GET", "/orders?per_page=250", None, "more than 100"),
        ("GET", "/orders?page=first", None, "no integer"),
        ("GET", "/orders?modified_after=yesterday", None, "no time"),
        ("GET", "/orders?dates_are_gmt=yes", None, "neither true nor false"),
        ("GET", "/shipments", None, "no route"),
        ("DELETE", "/orders/7/notes", None, "no route"),
        ("PUT", "/orders/7", {"status": "shipped"}, "none of"),
        ("PUT", "/orders/7", {"tracking": "BR1"}, "no such argument"),
        ("PUT", "/orders/7", {"meta_data": [{"name": "a", "value": "b"}]}, "no such property"),
        ("PUT", "/orders/7", {"line_items": [{"id": 1, "total_tax": "1.00"}]}, "read-only"),
        ("POST", "/orders/7/refunds", {"amount": 1.5}, "is no string"),
        ("POST", "/orders/7/refunds", {"amount": "1.00", "api_refund": "no"}, "is no boolean"),
        ("POST", "/orders/7/notes", {"customer_note": True}, "note is missing"),
        ("POST", "/products/batch", {"update": [{"sku": "A", "stock_quantity": 1}]}, "update[0]: id"),
        ("POST", "/products/batch", {"update": [{"id": 1, "stock_quantity": "1"}]}, "is no integer"),
        ("POST", "/products/batch", {"upsert": []}, "a batch knows no upsert"),
        ("POST", "/products/batch", {"update": [{"id": n} for n in range(1, 102)]}, "more than 100"),
    ],
)
def test_what_it_does_not_know_is_refused(method: str, target: str, body: object, flaw: str):
    sent = b"" if body is None else json.dumps(body).encode()
    assert any(flaw in found for found in recorded_index().flaws(method, API + target, sent))


async def test_orders_of_the_simulator_are_as_the_documentation_shows_them(shop: WooSim):
    shown = examples("orders.md")[0]
    order = rounded(shop.orders[int(shop.sell(("A", 2)))], {})
    assert [flaw for flaw in unlike("order", order, shown) if flaw.split(" ")[0].rstrip(":") not in OLD] == []
    found = recorded_index().arguments("PUT", "/wc/v3/orders/1")
    assert found is not None
    args = found[1]
    assert [
        flaw
        for name, value in order.items()
        if name in args
        for flaw in flaws_of(name, value, args[name], answered=True)
    ] == []


async def test_refunds_of_the_simulator_are_as_the_documentation_shows_them(shop: WooSim):
    order = shop.orders[int(shop.sell(("A", 2)))]
    sent = {"amount": "1", "api_refund": False, "line_items": [{"id": order["line_items"][0]["id"], "quantity": 1}]}
    assert unlike("refund", shop.refund(order, sent), examples("order-refunds.md")[0]) == []


async def test_a_simulator_that_says_otherwise_is_found_out(shop: WooSim):
    order = shop.orders[int(shop.sell(("A", 2)))]
    shown = examples("orders.md")[0]
    assert unlike("order", {**order, "total": 35.0}, shown)
    assert unlike("order", {k: v for k, v in order.items() if k != "date_modified_gmt"}, shown)
    assert unlike("order", {**order, "line_items": {}}, shown)
