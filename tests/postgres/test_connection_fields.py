"""What of a channel's order becomes which field: tried on what was told, and orders that wait until a rule is mended."""

import asyncio

import pytest
from linked_world import CODE, Linked, linked

from malha.channels.connecting import fields
from malha.channels.connecting.errors import FieldRulesChanged, UnknownFieldRules
from malha.channels.connecting.field_rules import FieldRule, Form
from malha.platform.flaws import Invalid

ORDERS = "SELECT external_id FROM sales_order ORDER BY external_id"
DETAILS = "SELECT o.external_id, d.details FROM order_details d JOIN sales_order o ON o.id = d.order_id ORDER BY 1"
STATES = "SELECT state, cause FROM channel_inbox ORDER BY id"
CPF = "529.982.247-25"
DOCUMENT = FieldRule(to="buyer.document", source="attributes.cpf", form=Form.DOCUMENT, required=True)
GIFT = FieldRule(to="gift_message", source="note")


@pytest.fixture
async def shop(database, tmp_path):
    async with linked(database, tmp_path) as made:
        yield made


async def rule(shop: Linked, *rules: FieldRule, version: int = 0) -> tuple[int, int]:
    async with shop.database.transaction() as tx:
        return await fields.put(tx, CODE, rules, version)


async def told(shop: Linked, id_: str, **more) -> None:
    await shop.receive(shop.peer.webhook(shop.peer.sell(id_, **more)))
    await shop.handle()


async def test_an_order_gets_what_rules_say_one_by_one_and_many_together(shop: Linked):
    assert await rule(shop, DOCUMENT, GIFT) == (1, 0)
    await told(shop, "1001", note="Parabéns", attributes={"cpf": CPF})
    for id_ in ("1002", "1003", "1004"):
        await shop.receive(shop.peer.webhook(shop.peer.sell(id_, note=f"to {id_}", attributes={"cpf": CPF})))
    await shop.handle()
    assert await shop.values("SELECT DISTINCT buyer_document FROM sales_order") == ["52998224725"]
    assert await shop.rows(DETAILS) == [
        ("1001", {"gift_message": "Parabéns"}),
        *[(id_, {"gift_message": f"to {id_}"}) for id_ in ("1002", "1003", "1004")],
    ]


async def test_an_order_that_a_rule_cannot_fill_waits_and_goes_on_with_the_next_rules(shop: Linked):
    await rule(shop, DOCUMENT)
    for id_, attributes in (("1001", {}), ("1002", {"cpf": "111.111.111-11"}), ("1003", {"cpf": CPF})):
        await shop.receive(shop.peer.webhook(shop.peer.sell(id_, attributes=attributes)))
    await shop.handle()
    assert await shop.values(ORDERS) == ["1003"]
    assert await shop.rows(STATES) == [("parked", "field"), ("parked", "field"), ("done", None)]
    errors = await shop.values("SELECT error FROM channel_inbox WHERE state = 'parked' ORDER BY id")
    assert errors == [
        "rule 1, buyer.document: attributes.cpf is missing.",
        "rule 1, buyer.document: 111… is no CPF or CNPJ.",
    ]
    assert await rule(shop, FieldRule(to="tags", default="web"), version=1) == (2, 2)
    await shop.handle()
    assert await shop.values(ORDERS) == ["1001", "1002", "1003"]
    assert [d for _, d in await shop.rows(DETAILS)] == [{"tags": ["web"]}] * 2


async def test_an_order_that_is_mended_at_the_channel_goes_on_by_itself(shop: Linked):
    await rule(shop, DOCUMENT)
    await told(shop, "1001")
    assert await shop.values(ORDERS) == []
    await told(shop, "1001", attributes={"cpf": CPF})
    assert await shop.values(ORDERS) == ["1001"]
    assert await shop.rows(STATES) == [("stale", "field"), ("done", None)]


async def test_a_changed_rule_does_not_make_another_order_of_one_that_is_here(shop: Linked):
    await told(shop, "1001", note="x", attributes={"cpf": CPF, "seller": "ana"})
    await rule(shop, DOCUMENT, GIFT)
    paid = [{"id": "p1", "method": "pix", "amount": 1000, "state": "captured"}]
    await told(shop, "1001", payments=paid)
    assert await shop.rows("SELECT state FROM channel_inbox ORDER BY id") == [("done",), ("done",)]
    assert await shop.values("SELECT reference FROM tender") == ["p1"]
    assert await shop.rows(DETAILS) == [("1001", {"gift_message": "x"})]
    await rule(shop, version=1)
    await told(shop, "1001", status="open")
    assert (await shop.rows(STATES))[-1] == ("done", None)


async def test_what_an_order_says_besides_follows_the_channel_and_the_rest_waits_for_a_person(shop: Linked):
    await rule(shop, DOCUMENT, GIFT)
    await told(shop, "1001", note="one", attributes={"cpf": CPF})
    await told(shop, "1001", note="two")
    assert await shop.rows(DETAILS) == [("1001", {"gift_message": "two"})]
    assert await shop.values("SELECT payload->'fields' FROM outbox WHERE type = 'order.details_changed'") == [
        ["gift_message"]
    ]
    await told(shop, "1001", attributes={"cpf": "11.222.333/0001-81"})
    assert (await shop.rows(STATES))[-1] == ("parked", "changed")


async def test_a_later_version_is_brought_up_to_date_though_a_rule_fails_by_now(shop: Linked):
    await told(shop, "1001")
    await rule(shop, DOCUMENT)
    paid = [{"id": "p1", "method": "pix", "amount": 1000, "state": "captured"}]
    await told(shop, "1001", payments=paid)
    assert await shop.values("SELECT reference FROM tender") == ["p1"]


async def test_rules_may_say_where_it_is_picked_up_and_how_it_is_shipped(shop: Linked):
    await rule(
        shop,
        FieldRule(to="pickup_location", source="attributes.store", values={"Loja Centro": "S1"}),
        FieldRule(to="customer_group", default="vip", if_field="attributes.store", if_value="*"),
    )
    await told(shop, "1001", attributes={"store": "loja centro"}, lines=[{"sku": "A", "quantity": 1, "unit_price": 9}])
    found = await shop.rows(
        "SELECT o.method, l.code, o.customer_group FROM sales_order o JOIN location l ON l.id = o.pickup_location_id"
    )
    assert found == [("pickup", "S1", "vip")]


async def test_rules_are_tried_on_what_was_told_last_and_nothing_is_written(shop: Linked):
    await told(shop, "1001", attributes={"cpf": CPF})
    await told(shop, "1002")
    await told(shop, "1002", note="newer")
    before = await shop.rows(STATES)
    async with shop.database.transaction() as tx:
        found = await fields.tried(tx, CODE, [DOCUMENT, GIFT])
        with pytest.raises(Invalid):
            await fields.tried(tx, CODE, [FieldRule(to="nothing", source="note")])
    assert [each.told.order.id for each in found] == ["1002", "1001"]
    assert [each.text() for each in found[0].applied.failed] == ["rule 1, buyer.document: attributes.cpf is missing."]
    assert [(g.to, g.value, g.was) for g in found[1].applied.given] == [("buyer.document", "52998224725", "")]
    assert await shop.rows(STATES) == before
    assert await shop.values("SELECT version FROM order_field_rules") == []


async def test_of_two_who_save_at_once_one_is_told_and_a_former_version_counts_again(shop: Linked):
    async def save(text: str) -> int | None:
        try:
            return (await rule(shop, FieldRule(to="note", default=text)))[0]
        except FieldRulesChanged:
            return None

    assert sorted(await asyncio.gather(save("a"), save("b"), save("c")), key=str) == [1, None, None]
    await rule(shop, GIFT, version=1)
    async with shop.database.transaction() as tx:
        assert await fields.restore(tx, CODE, 1, 2) == (3, 0)
        found = (await fields.newest(tx, [await shop.id()]))[await shop.id()]
        assert (found.version, found.rules[0].to) == (3, "note")
        with pytest.raises(UnknownFieldRules):
            await fields.restore(tx, CODE, 9, 3)
    with pytest.raises(Invalid):
        await rule(shop, FieldRule(to="note"), version=3)
