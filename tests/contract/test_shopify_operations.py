"""What is sent to Shopify, and what is read of its messages, agrees with Shopify's own schemas."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from graphql import FieldsOnCorrectTypeRule, GraphQLError, parse, validate
from graphql.language import visit
from graphql.language.visitor import Visitor
from graphql.utilities import TypeInfo, TypeInfoVisitor
from jsonschema_rs import Draft202012Validator
from tests.shopify_artefacts import WEBHOOK_VERSIONS, admin_schema, need_artefacts, webhook_example, webhook_schema

from malha.channels.connectors.shopify import webhooks
from malha.channels.connectors.shopify.operations import OPERATIONS, SUPPORTED, VERSION
from malha.channels.contract import Invalid, RawRequest, Trust, Verified

EVENT = {"x-shopify-event-id": "98880550-7158-44d4-b7cd-2c97c8a091b5"}


@pytest.fixture(autouse=True)
def here() -> None:
    need_artefacts()


def flaws(text: str, version: str) -> Sequence[GraphQLError]:
    return validate(admin_schema(version), parse(text))


@pytest.mark.parametrize("version", SUPPORTED)
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_operation_is_one_of_the_schema_of_every_supported_version(name: str, version: str):
    assert flaws(OPERATIONS[name], version) == []


def test_the_pinned_version_is_the_newest_stable_one():
    assert max(SUPPORTED) == VERSION


@pytest.mark.parametrize("version", SUPPORTED)
def test_no_operation_uses_a_field_that_is_on_its_way_out(version: str):
    schema, found = admin_schema(version), []

    def note(info: TypeInfo) -> type[Visitor]:
        class Old(Visitor):
            def enter_field(self, node: Any, *_: Any) -> None:
                field = info.get_field_def()
                if field is not None and field.deprecation_reason:
                    found.append(f"{info.get_parent_type()}.{node.name.value}")

        return Old

    for text in OPERATIONS.values():
        info = TypeInfo(schema)
        visit(parse(text), TypeInfoVisitor(info, note(info)()))
    assert found == []


# Each must be refused: so the gate above is one.
MUTANTS = [
    ("set_stock", "inventorySetQuantities(", "inventorySetQuantites("),  # a misspelt field
    ("set_stock", "userErrors { code", "userErrors { kode"),
    ("set_stock", "@idempotent(key: $key)", "@idempotent(kee: $key)"),
    ("set_stock", "InventorySetQuantitiesInput!", "InventorySetQuantityInput!"),
    ("cancel", "restock: true,", ""),  # a missing argument
    ("cancel", "reason: $reason", "reason: BORED"),  # no value of the enum
    ("cancel", "restock: true", 'restock: "yes"'),  # a wrong type
    ("cancel", "{ originalPaymentMethodsRefund: false }", "{ originalPaymentMethodRefund: false }"),
    ("list_orders", "sortKey: UPDATED_AT", "sortKey: CHANGED_AT"),
    ("list_orders", "transactionsCount { count }", "transactionsCount"),
    ("get_order", "order(id: $id)", "order(id: $id, first: 1)"),
    ("ship", "$fulfillment: FulfillmentInput!", "$fulfillment: FulfillmentInput"),
    ("refund", "@idempotent(key: $key)", "@idempotent"),
    ("set_product", "identifier: { handle: $handle }", "identifier: { name: $handle }"),
    ("update_product", "media: $media", "images: $media"),
    ("update_product", "[CreateMediaInput!]", "[FileSetInput!]"),
    ("pictures", "media(first: $first)", "media(frist: $first)"),
    ("take_off_pictures", "[FileUpdateInput!]!", "[FileSetInput!]!"),
    ("drop_pictures", "fileIds: $ids", "mediaIds: $ids"),
    ("find_listings", 'namespace: "malha", key: "listing"', 'namespace: "malha"'),
    ("find_listings", "tags metafield", "labels metafield"),
]


@pytest.mark.parametrize("version", SUPPORTED)
@pytest.mark.parametrize(("name", "right", "wrong"), MUTANTS)
def test_a_wrong_operation_is_refused(name: str, right: str, wrong: str, version: str):
    assert right in OPERATIONS[name]
    assert flaws(OPERATIONS[name].replace(right, wrong, 1), version) != []


def test_any_field_that_is_misspelt_is_found():
    """Not those alone that somebody thought of: each field of each operation in turn."""
    found = 0
    for name in sorted(set(OPERATIONS) - {"read_orders"}):  # the order of which is that of get_order
        text, places = OPERATIONS[name], []

        class Fields(Visitor):
            def enter_field(self, node: Any, *_: Any) -> None:
                places.append(node.name.loc.end)  # noqa: B023 -- used within the turn

        visit(parse(text), Fields())
        for end in places:
            wrong = parse(f"{text[:end]}X{text[end:]}")
            assert validate(admin_schema(VERSION), wrong, [FieldsOnCorrectTypeRule]) != [], (name, text[end - 20 : end])
        found += len(places)
    assert found > 200


# --- messages ---


def message(topic: str, body: Any, **head: str) -> Verified:
    headers = {"x-shopify-topic": topic, "x-shopify-shop-domain": "loja.myshopify.com", **EVENT, **head}
    return Verified(RawRequest("POST", "https://oms.example/in/shopify", headers, json.dumps(body).encode()))


@pytest.mark.parametrize("version", WEBHOOK_VERSIONS)
@pytest.mark.parametrize("topic", sorted(webhooks.ORDER_AT))
def test_the_order_is_found_in_the_example_of_every_topic(topic: str, version: str):
    body = webhook_example(version, topic)
    (event,) = webhooks.parse(message(topic, body))
    assert event.trust is Trust.HINT
    assert event.order is None, "what is not signed with its topic is never used as it is"
    assert event.entity == f"order:{event.order_id}"
    if topic.startswith("orders/") and "id" in body:
        assert event.order_id == str(body["id"])


@pytest.mark.parametrize("version", WEBHOOK_VERSIONS)
@pytest.mark.parametrize("topic", sorted(webhooks.ORDER_AT))
def test_where_the_order_is_looked_for_the_schema_has_a_whole_number(topic: str, version: str):
    schema: Any = webhook_schema(version, topic)
    for part in webhooks.ORDER_AT[topic]:
        assert part in schema["properties"], (topic, part)
        schema = schema["properties"][part]
    assert "integer" in ([schema["type"]] if isinstance(schema["type"], str) else schema["type"])


@pytest.mark.parametrize("version", WEBHOOK_VERSIONS)
@pytest.mark.parametrize("topic", sorted(webhooks.ORDER_AT))
def test_a_message_without_its_order_is_refused_by_both_the_schema_and_the_parser(topic: str, version: str):
    body = webhook_example(version, topic)
    checker = Draft202012Validator(webhook_schema(version, topic))
    assert [
        error.message
        for error in checker.iter_errors(body)
        if list(error.instance_path) == [webhooks.ORDER_AT[topic][0]]
    ] == []
    broken = {name: said for name, said in body.items() if name != webhooks.ORDER_AT[topic][0]}
    with pytest.raises(Invalid, match="without the id"):
        webhooks.parse(message(topic, broken))
    at = webhooks.ORDER_AT[topic][0]
    assert list(checker.iter_errors({**body, at: "no number"})) != []


@pytest.mark.parametrize("wrong", [0, -1, "820982911946154508", 1.5, None, [], {}])
def test_an_id_that_is_no_number_is_not_taken_for_one(wrong: Any):
    with pytest.raises(Invalid):
        webhooks.parse(message("orders/updated", {"id": wrong}))


@pytest.mark.parametrize("version", WEBHOOK_VERSIONS)
@pytest.mark.parametrize("topic", ["customers/data_request", "customers/redact", "shop/redact", "app/uninstalled"])
def test_what_only_a_person_can_do_comes_to_one_without_personal_data(topic: str, version: str):
    body = webhook_example(version, topic)
    (event,) = webhooks.parse(message(topic, body))
    sentence = webhooks.sentence_of(event.order_id)
    assert sentence is not None
    assert "{" not in sentence
    assert "@" not in event.order_id + sentence
    if "customer" in body:
        assert str(body["customer"]["id"]) in sentence
    if "orders_to_redact" in body:
        assert all(str(order) in sentence for order in body["orders_to_redact"])
    assert event.trust is Trust.HINT


def test_topics_that_tell_of_no_order_tell_nothing():
    for topic in ("products/update", "inventory_levels/update", "shop/update"):
        assert webhooks.parse(message(topic, webhook_example("2026-07", topic))) == []


def test_one_event_under_two_topics_is_read_once_and_two_events_twice():
    body = webhook_example("2026-07", "orders/paid")
    paid, updated = (webhooks.parse(message(topic, body))[0] for topic in ("orders/paid", "orders/updated"))
    assert paid.dedup == updated.dedup
    other = webhooks.parse(message("orders/updated", body, **{"x-shopify-event-id": "another"}))[0]
    assert other.dedup != paid.dedup
    by_delivery = [
        webhooks.parse(message("orders/updated", body, **{"x-shopify-event-id": "", "x-shopify-webhook-id": name}))[
            0
        ].dedup
        for name in ("one", "one", "two")
    ]
    assert len(set(by_delivery)) == 2


@pytest.mark.parametrize("said", ["", "other.myshopify.com", "loja.myshopify.com.evil.example", "LOJA2.myshopify.com"])
def test_a_message_of_another_shop_is_not_ours_though_the_secret_fits(said: str):
    config = webhooks.ShopifyConfig(shop="loja.myshopify.com", location="1")
    verified = message("orders/updated", {"id": 1}, **{"x-shopify-shop-domain": said})
    refusal = webhooks.belongs(verified, config)
    assert refusal is not None
    assert refusal.code == "other_shop"
    assert webhooks.belongs(message("orders/updated", {"id": 1}), config) is None
    inside = message("shop/redact", {"shop_domain": "other.myshopify.com"})
    assert webhooks.belongs(inside, config) is not None, "a head is not signed: what the body says counts too"
