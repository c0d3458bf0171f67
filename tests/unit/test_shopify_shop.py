"""The Shopify shop of the tests says no to what Shopify says no to, and the checker sees what is wrong: else they prove nothing."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from tests.shopify_artefacts import admin_schema, need_artefacts
from tests.shopify_invariants import examine_shop
from tests.shopify_shop import TOKEN, Shop, strict
from tests.shopify_state import Fulfillment, Order, Refund, Transaction

from malha.channels.connectors.shopify.operations import OPERATIONS, VERSION

SET = {
    "name": "available",
    "reason": "correction",
    "quantities": [
        {"inventoryItemId": "", "locationId": "gid://shopify/Location/11", "quantity": 3, "changeFromQuantity": 5}
    ],
}


@pytest.fixture
def shop() -> Shop:
    need_artefacts()
    strict(admin_schema(VERSION))
    made = Shop()
    made.list("A")
    made.list("B")
    made.stock("A", 5)
    made.stock("B", 5)
    return made


def ask(shop: Shop, query: str, *, version: str = VERSION, token: str = TOKEN, **variables: Any) -> Any:
    body = json.dumps({"query": query, "variables": variables}).encode()
    return shop.answer(f"/admin/api/{version}/graphql.json", {"x-shopify-access-token": token}, body)


def put(shop: Shop, *, key: str = "k", query: str = OPERATIONS["set_stock"], **change: Any) -> Any:
    row = {**SET["quantities"][0], "inventoryItemId": f"gid://shopify/InventoryItem/{shop.variant('A').id}", **change}
    row = {name: value for name, value in row.items() if value != "-"}
    return ask(shop, query, input={**SET, "quantities": [row]}, key=key)[1]


def code_of(said: Any) -> str:
    return str(said["errors"][0]["extensions"]["code"])


def test_it_takes_a_good_change_and_refuses_each_that_shopify_refuses(shop: Shop):
    assert put(shop)["data"]["inventorySetQuantities"]["userErrors"] == []
    assert shop.variant("A").available[11] == 3
    stale = put(shop, key="k2")["data"]["inventorySetQuantities"]["userErrors"]
    assert [(e["code"], e["field"]) for e in stale] == [
        ("CHANGE_FROM_QUANTITY_STALE", ["input", "quantities", "0", "quantity"])
    ]
    assert code_of(put(shop, key="k3", changeFromQuantity="-")) == "INVALID_VARIABLE"
    bare = OPERATIONS["set_stock"].replace(" @idempotent(key: $key)", "").replace(", $key: String!", "")
    assert code_of(put(shop, query=bare, changeFromQuantity=3)) == "BAD_REQUEST"
    assert "errors" in put(shop, key="k4", quantity="three")
    assert shop.variant("A").available[11] == 3


def test_the_same_key_has_the_same_answer_and_with_other_words_none(shop: Shop):
    first = put(shop)
    assert put(shop)["data"] == first["data"]
    assert len(shop.sets) == 1
    other = put(shop, quantity=9)["data"]["inventorySetQuantities"]["userErrors"]
    assert [e["code"] for e in other] == ["IDEMPOTENCY_KEY_PARAMETER_MISMATCH"]


def test_it_knows_its_token_its_versions_and_its_schema(shop: Shop):
    assert ask(shop, OPERATIONS["check"], token="none")[0] == 401
    assert ask(shop, OPERATIONS["check"], version="2020-01")[0] == 404
    assert code_of(ask(shop, "query { shop { nome } }")[1]) == "undefinedField"
    assert "errors" in ask(shop, OPERATIONS["get_order"], id="4711")[1], "no global name"
    assert ask(shop, OPERATIONS["get_order"], id="gid://shopify/Order/4711")[1]["data"] == {"order": None}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda order: setattr(order, "source", ["web"]), "String cannot represent"),
        (lambda order: setattr(order, "currency", "GOLD"), "CurrencyCode"),
        (lambda order: setattr(order.lines[0], "unit", "ten"), "ten"),
        (lambda order: setattr(order.transactions[0], "kind", "BARTER"), "OrderTransactionKind"),
        (lambda order: setattr(order, "name", None), "non-nullable"),
    ],
)
def test_what_it_answers_is_checked_as_well(shop: Shop, spoil: Callable[[Order], None], says: str):
    order = shop.sell(("A", 1))
    id_ = f"gid://shopify/Order/{order.id}"
    assert "errors" not in ask(shop, OPERATIONS["get_order"], id=id_)[1]
    spoil(order)
    try:
        said = json.dumps(ask(shop, OPERATIONS["get_order"], id=id_)[1].get("errors"))
    except TypeError as error:  # the arithmetic of a total
        said = str(error) + " ten"
    assert says in said


def test_a_question_that_asks_for_too_much_is_refused_before_anything_is_done(shop: Shop):
    query = "query { orders(first: 250) { nodes { lineItems(first: 250) { nodes { id product { id } } } } } }"
    assert code_of(ask(shop, query)[1]) == "MAX_COST_EXCEEDED"
    shop.points = 5.0
    said = ask(shop, OPERATIONS["check"])[1]
    assert code_of(said) == "THROTTLED"
    assert said["extensions"]["cost"]["throttleStatus"]["restoreRate"] == 100.0


WRONG: list[Callable[[Shop, Order], Any]] = [
    lambda shop, order: shop.variant("A").available.update({11: 99}),
    lambda shop, order: shop.variant("A").committed.update({11: 0}),
    lambda shop, order: order.works[0].lines[0].__setitem__(2, 0),
    lambda shop, order: setattr(order.lines[0], "removed", 1),
    lambda shop, order: order.fulfillments.append(_parcel(shop, order)),
    lambda shop, order: order.refunds.append(Refund(1, "", [], Decimal("1.00"))),
    lambda shop, order: order.transactions.append(Transaction(1, "REFUND", Decimal("999.00"), parent=1)),
    lambda shop, order: order.refunds.extend([Refund(1, "#k", [], Decimal(0)), Refund(2, "#k", [], Decimal(0))]),
    lambda shop, order: shop.sets.append((shop.variant("A").id, 11, None, 5)),
    lambda shop, order: shop.sets.append((shop.variant("A").id, 11, 5, 5)),
    lambda shop, order: shop.defects.append("a field without an answer"),
]


def _parcel(shop: Shop, order: Order) -> Fulfillment:
    return Fulfillment(1, [(order.lines[0], 1)], 11, "BR1", "", shop.now, notified=False)


@pytest.mark.parametrize("spoil", WRONG)
def test_the_checker_sees_what_is_wrong(shop: Shop, spoil: Callable[[Shop, Order], Any]):
    order = shop.sell(("A", 2), ("B", 1))
    assert examine_shop(shop) == []
    spoil(shop, order)
    assert examine_shop(shop) != []
