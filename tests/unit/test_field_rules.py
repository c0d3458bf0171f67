"""What an order gets by rules of people: texts picked, replaced and formed, conditions, and what fails with a reason."""

from datetime import UTC, datetime

import msgspec
import pytest

from malha.channels.connecting.field_rules import FieldRule, Form, apply, check, names_of, shown_to
from malha.channels.contract import ExtAddress, ExtBuyer, ExtLine, ExtOrder
from malha.ordering.model import OrderDetails

ZONE = "America/Sao_Paulo"
CPF = "529.982.247-25"


def an_order(**more) -> ExtOrder:
    said = {
        "id": "1",
        "version": 1,
        "placed_at": datetime(2026, 11, 27, tzinfo=UTC),
        "currency": "BRL",
        "lines": [ExtLine(quantity=1, unit_price=1000, sku="A"), ExtLine(quantity=2, unit_price=500, sku="B")],
        "buyer": ExtBuyer(name="Maria"),
        "ship_to": ExtAddress(street="Av. Paulista"),
    }
    return ExtOrder(**{**said, **more})


def got(rules, order):
    made = apply(rules, order, ZONE)
    assert not made.failed, [each.text() for each in made.failed]
    return made


def failing(rules, order) -> list[str]:
    return [each.text() for each in apply(rules, order, ZONE).failed]


def test_without_rules_an_order_is_itself():
    order = an_order(note="hi", attributes={"x": "y"})
    assert apply([], order, ZONE).order is order


def test_texts_of_the_channel_become_fields_of_ours():
    order = an_order(
        note=" Feliz Natal! ",
        attributes={"_billing_cpf": CPF, "vendedor": "ana-7", "_billing_number": "1578", "entrega": "24/12/2026"},
    )
    made = got(
        [
            FieldRule(to="gift_message", source="note"),
            FieldRule(to="buyer.document", source="attributes._billing_cpf", form=Form.DOCUMENT),
            FieldRule(to="seller", source="attributes.vendedor", capture="^([a-z]+)-", form=Form.UPPER),
            FieldRule(to="ship_to.number", source="attributes._billing_number"),
            FieldRule(to="desired_on", source="attributes.entrega", form=Form.DAY_FIRST),
            FieldRule(to="customer_group", default="vip"),
        ],
        order,
    )
    assert made.order.buyer == ExtBuyer(name="Maria", document="52998224725")
    assert made.order.ship_to == ExtAddress(street="Av. Paulista", number="1578")
    assert made.details == {"gift_message": "Feliz Natal!", "seller": "ANA", "desired_on": "2026-12-24"}
    assert made.customer_group == "vip"
    assert msgspec.convert(made.details, OrderDetails).desired_on.isoformat() == "2026-12-24"


def test_of_rules_for_one_field_the_first_that_gives_anything_counts_and_tags_are_collected():
    order = an_order(attributes={"cnpj": "11.222.333/0001-81", "cpf": "", "a": "x, y", "b": "y,z"})
    made = got(
        [
            FieldRule(to="buyer.document", source="attributes.cpf", form=Form.DOCUMENT, required=True),
            FieldRule(to="buyer.document", source="attributes.cnpj", form=Form.DOCUMENT),
            FieldRule(to="tags", source="attributes.a"),
            FieldRule(to="tags", source="attributes.b"),
            FieldRule(to="tags", default="loja"),
        ],
        order,
    )
    assert made.order.buyer.document == "11222333000181"
    assert made.details == {"tags": ["x", "y", "z", "loja"]}


def test_lines_get_what_is_to_be_known_of_each_and_an_order_the_first_of_its_lines():
    lines = [
        ExtLine(quantity=1, unit_price=1, sku="A", attributes={"Gravação": "Ana & Zé"}),
        ExtLine(quantity=1, unit_price=1, sku="B"),
        ExtLine(quantity=1, unit_price=1, sku="C", attributes={"Gravação": "Eva", "loja": "S1"}),
    ]
    made = got(
        [
            FieldRule(to="line.attributes.engraving", source="line.attributes.Gravação"),
            FieldRule(to="pickup_location", source="line.attributes.loja", values={"s1": "DC"}),
        ],
        an_order(lines=lines),
    )
    assert made.details == {
        "lines": [
            {"line": 1, "attributes": {"engraving": "Ana & Zé"}},
            {"line": 3, "attributes": {"engraving": "Eva"}},
        ]
    }
    assert made.order.pickup_location == "DC"
    assert len(msgspec.convert(made.details, OrderDetails).lines) == 2


@pytest.mark.parametrize(
    ("asks", "value", "counts"),
    [
        ("attributes.kind", "GIFT", True),
        ("attributes.kind", "other", False),
        ("attributes.kind", "*", True),
        ("attributes.none", "*", False),
        ("attributes.none", "", True),
        ("line.sku", "b", True),
        ("line.sku", "c", False),
    ],
)
def test_a_rule_counts_where_its_condition_holds(asks, value, counts):
    rule = FieldRule(to="tags", default="gift", if_field=asks, if_value=value)
    assert bool(got([rule], an_order(attributes={"kind": "gift"})).details) is counts


@pytest.mark.parametrize(
    ("form", "text", "day"),
    [
        (Form.DAY_FIRST, "5/1/2027", "2027-01-05"),
        (Form.DAY_FIRST, "05-01-27 10:00", "2027-01-05"),
        (Form.MONTH_FIRST, "1/5/2027", "2027-01-05"),
        (Form.YEAR_FIRST, "2027-01-05T10:00:00Z", "2027-01-05"),
        (Form.SECONDS, "1799150400", "2027-01-05"),
    ],
)
def test_days_are_read_in_the_form_that_the_rule_says(form, text, day):
    rule = FieldRule(to="desired_on", source="note", form=form)
    assert got([rule], an_order(note=text)).details == {"desired_on": day}


@pytest.mark.parametrize("text", ["31/02/2026", "tomorrow", "2026-12-24", "1/1/0001", "99999999999999999999/1/1"])
def test_what_is_no_day_fails(text):
    rule = FieldRule(to="desired_on", source="note", form=Form.DAY_FIRST)
    assert "is no day in the form of the rule" in failing([rule], an_order(note=text))[0]


def test_a_promised_day_ends_where_the_retailer_is():
    rule = FieldRule(to="promised_on", source="note", form=Form.YEAR_FIRST)
    assert got([rule], an_order(note="2026-12-24")).order.promised_at == datetime(2026, 12, 25, 2, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("to", "ends"),
    [
        ({"ship_to": ExtAddress(state="AC")}, datetime(2026, 12, 25, 4, 59, 59, tzinfo=UTC)),
        ({"ship_to": ExtAddress(state="am ")}, datetime(2026, 12, 25, 3, 59, 59, tzinfo=UTC)),
        ({"ship_to": ExtAddress(state="AC"), "pickup_location": "S1"}, datetime(2026, 12, 25, 2, 59, 59, tzinfo=UTC)),
        ({"ship_to": None}, datetime(2026, 12, 25, 2, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_promised_day_ends_where_the_goods_go(to, ends):
    rule = FieldRule(to="promised_on", source="note", form=Form.YEAR_FIRST)
    assert got([rule], an_order(note="2026-12-24", **to)).order.promised_at == ends


def test_what_fails_says_which_rule_and_why_and_leaves_the_order_as_it_was():
    order = an_order(attributes={"cpf": "111.111.111-11", "store": "9", "long": "x" * 501})
    rules = [
        FieldRule(to="buyer.document", source="attributes.cpf", form=Form.DOCUMENT),
        FieldRule(to="seller", source="attributes.none", required=True),
        FieldRule(to="pickup_location", source="attributes.store", values={"1": "S1"}),
        FieldRule(to="attributes.long", source="attributes.long"),
    ]
    made = apply(rules, order, ZONE)
    assert made.order is order
    assert [each.text() for each in made.failed] == [
        "rule 1, buyer.document: 111… is no CPF or CNPJ.",
        "rule 2, seller: attributes.none is missing.",
        "rule 3, pickup_location: 9 is not among the values of the rule.",
        "rule 4, attributes.long: The text has 501 characters, more than 500.",
    ]


@pytest.mark.parametrize(
    ("to", "said", "shown"),
    [
        ("buyer.document", CPF, "•••.982.247-••"),
        ("buyer.document", "123", "•••"),
        ("buyer.document", "5299822472", "••••••••72"),
        ("buyer.email", "ana@x.com", "a•••@x.com"),
        ("buyer.email", "ana", "•••"),
        ("buyer.phone", "(11) 98765-4321", "(11) •••••-4321"),
        ("buyer.phone", "432", "•••"),
        ("note", "432", "432"),
    ],
)
def test_who_somebody_is_is_masked_for_those_who_may_not_see_it(to, said, shown):
    made = apply([FieldRule(to=to, source="attributes.said")], an_order(attributes={"said": said}), ZONE)
    (masked,) = shown_to(made, {"orders:read"}.__contains__).given
    (whole,) = shown_to(made, {"orders:read", "customers:reveal"}.__contains__).given
    assert (masked.value, whole.value) == (shown, said)


@pytest.mark.parametrize("to", ["buyer.document", "attributes.cpf"])
@pytest.mark.parametrize(("said", "told"), [("123", "1…"), ("12", "…"), ("5299822472", "529…")])
def test_of_a_document_that_is_none_no_more_than_the_beginning_is_kept(to, said, told):
    rule = FieldRule(to=to, source="attributes.said", form=Form.DOCUMENT)
    assert failing([rule], an_order(attributes={"said": said})) == [f"rule 1, {to}: {told} is no CPF or CNPJ."]


def test_what_is_required_may_be_there_by_the_connector_or_a_default():
    rules = [
        FieldRule(to="buyer.name", source="attributes.none", required=True),
        FieldRule(to="seller", source="attributes.none", required=True, default="web"),
    ]
    assert got(rules, an_order()).details == {"seller": "web"}


def test_a_value_that_is_not_listed_gets_the_default_where_there_is_one():
    rule = FieldRule(to="seller", source="note", values={"1": "one"}, default="none")
    assert got([rule], an_order(note="2")).details == {"seller": "none"}


def test_a_pattern_that_never_ends_is_stopped():
    rule = FieldRule(to="seller", source="note", capture=r"(?:(?:x+x+)+)+y$|(x+x+)+y(?=z)(.*.*.*.*=)")
    found = failing([rule], an_order(note="x" * 4_000 + "!"))
    assert found == [] or "takes too long" in found[0]
    slow = FieldRule(to="seller", source="note", capture=r"(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)[^x]{9}")
    assert "takes too long" in failing([slow], an_order(note="x" * 4_000))[0]


def test_characters_that_nobody_can_store_or_read_become_spaces():
    assert got([FieldRule(to="note", source="note")], an_order(note="a\x00b\x07c\nd")).details == {"note": "a b c\nd"}


def test_rules_that_cannot_be_are_told_by_row_and_column():
    rules = [
        FieldRule(to="nothing", source="note"),
        FieldRule(to="note"),
        FieldRule(to="note", source="buyer.age", if_field="x", if_value="1"),
        FieldRule(to="note", source="note", capture="(", if_value="1"),
        FieldRule(to="desired_on", source="note"),
        FieldRule(to="desired_on", source="note", form=Form.DAY_FIRST, default="soon"),
        FieldRule(to="attributes. x", source="note"),
        FieldRule(to="line.attributes.", source="line.price"),
    ]
    assert sorted(flaw.at for flaw in check(rules)) == [
        "rules/0/to",
        "rules/1/source",
        "rules/2/if_field",
        "rules/2/source",
        "rules/3/capture",
        "rules/3/if_field",
        "rules/4/form",
        "rules/5/default",
        "rules/6/to",
        "rules/7/source",
        "rules/7/to",
    ]
    assert check([FieldRule(to="desired_on", default="2026-12-24")]) == []
    assert [flaw.at for flaw in check([FieldRule(to="note", default="x")] * 101)] == ["rules"]
    assert [flaw.at for flaw in check([FieldRule(to=f"attributes.{n}", default="x") for n in range(51)])] == ["rules"]


def test_more_tags_than_an_order_takes_fail():
    text = ",".join(str(n) for n in range(31))
    assert "There are 31 tags" in failing([FieldRule(to="tags", source="note")], an_order(note=text))[0]


def test_the_names_that_rules_may_read_are_those_of_orders():
    lines = [ExtLine(quantity=1, unit_price=1, attributes={"engraving": "x"})]
    names = names_of([an_order(attributes={"cpf": "1"}, lines=lines)])
    assert {"note", "line.sku", "attributes.cpf", "line.attributes.engraving"} <= set(names)
