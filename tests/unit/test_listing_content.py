"""What a channel gets of a listing is worked out field by field, and each says where it comes from."""

from typing import Any

import pytest

from malha.channels.contract import Field, Kind, ListingFields
from malha.channels.feeds.model import Mapped, Origin
from malha.channels.feeds.rules import Compiled
from malha.channels.listings import rules
from malha.channels.listings.imports import TAKEN_BACK, own_price
from malha.channels.listings.model import Content, Explained, Source
from malha.channels.service import MOST_PRICE, check_price
from malha.platform.tabular import BadCell

FIELDS = ListingFields(
    (
        Field("title", required=True, longest=20),
        Field("description", Kind.LONG, shared=True),
        Field("gtin", Kind.GTIN),
        Field("category", Kind.CATEGORY),
        Field("images", Kind.URLS, longest=2),
        Field("condition", Kind.WORD, values=("new", "used")),
    )
)
GOODS: dict[str, Any] = {
    "code": "C-1", "sku": "A", "product": "P", "name": "Camiseta", "product_name": "Camiseta", "description": "Azul",
    "brand": "Alfa", "gtin": "7891000000007", "ncm": None, "category": "roupas", "category_path": "Roupas",
    "item_group": None, "price": 5_990, "image": "https://img.example/1.jpg", "images": [],
    "pictures": ["https://img.example/1.jpg"], "weight": "200 g", "length": None, "width": None, "height": None,
    "attributes": {"Composição": "algodão"}, "options": {"Tamanho": "M"}, "weight_grams": 200, "active": True,
    "on_sale": True,
}  # fmt: skip


def made(
    said: dict[str, Any] | None = None,
    mapping: list[Mapped] | None = None,
    fields: ListingFields = FIELDS,
    active: bool = True,
    **goods: Any,
) -> Content:
    profile = rules.profile_of("shop", fields)
    plan = rules.plan_of(profile, mapping, "BRL")
    compiled = Compiled(plan, "BRL", "https://loja.example", {"roupas": ["roupas"]}, profile)
    return rules.worked_out(compiled, {**GOODS, **goods}, said or {}, active=active, currency="BRL")


def field(content: Content, name: str) -> Explained:
    return next(each for each in content.fields if each.field == name)


def test_a_field_is_the_products_until_something_else_is_said():
    assert (field(made(), "title").value, field(made(), "title").source) == ("Camiseta", Source.PRODUCT)
    said = field(made({"title": "Outra"}), "title")
    assert (said.value, said.source, said.usual, said.usual_source) == (
        "Outra", Source.OVERRIDE, "Camiseta", Source.PRODUCT,
    )  # fmt: skip


def test_a_field_says_when_it_is_mapped_and_when_nothing_fills_it():
    mapping = [Mapped(target="condition", origin=Origin.CONSTANT, value="new")]
    assert field(made(mapping=mapping), "condition").source is Source.MAPPING
    assert field(made(), "condition").source is Source.MISSING
    table = [Mapped(target="category", value="category", table={"roupas": "166"})]
    assert (field(made(mapping=table), "category").value, field(made(mapping=table), "category").source) == (
        "166", Source.MAPPING,
    )  # fmt: skip


def test_an_override_with_nothing_in_it_empties_a_field_and_a_required_one_is_an_error():
    content = made({"title": "", "description": ""})
    assert field(content, "description").source is Source.OVERRIDE
    assert [(e.code, e.field) for e in content.errors] == [("missing", "title")]
    assert content.push is None


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"gtin": "7891000000008"}, ("gtin_wrong", "gtin")),
        ({"condition": "mint"}, ("word_unknown", "condition")),
    ],
)
def test_the_rules_of_feeds_judge_what_is_said(said: dict[str, Any], error: tuple[str, str]):
    content = made(said)
    assert [(e.code, e.field) for e in content.errors] == [error]
    assert content.push is None


def test_what_is_too_much_is_cut_and_told_as_a_warning():
    content = made({"title": "Uma camiseta muito comprida", "images": [f"https://i.example/{n}" for n in range(3)]})
    assert content.push is not None
    assert content.push.fields["title"] == "Uma camiseta muito"
    assert content.push.fields["images"] == ["https://i.example/0", "https://i.example/1"]
    assert [f.rule for f in field(content, "title").found] == ["too_long"]
    assert [f.rule for f in field(content, "images").found] == ["too_many"]


def test_a_description_keeps_its_lines_and_loses_what_cannot_be_sent():
    content = made(description="Azul.\n\nLava  à\tmáquina.\x00")
    assert field(content, "description").value == "Azul.\n\nLava à máquina."


def test_without_a_price_nothing_is_sent_but_an_end_is():
    assert made(price=None).push is None
    ended = made(price=None, active=False)
    assert ended.push is not None
    assert not ended.push.active


def test_a_price_and_a_version_are_not_part_of_what_was_said():
    one, other = made(), made(price=1)
    assert one.digest == other.digest
    assert made({"title": "Outra"}).digest != one.digest
    assert made(active=False).digest != one.digest
    assert made(options={"Tamanho": "G"}).digest != one.digest


def test_own_attributes_come_where_a_channel_takes_them_and_only_there():
    assert made().push is not None
    assert made().push.attributes == {}  # type: ignore[union-attr]
    content = made({"Selo": "ok"}, fields=ListingFields(FIELDS.fields, attributes=True))
    assert content.push is not None
    assert content.push.attributes == {"Composição": "algodão", "Selo": "ok"}
    assert (field(content, "Composição").source, field(content, "Selo").source) == (Source.PRODUCT, Source.OVERRIDE)


def test_what_a_channel_does_not_have_cannot_be_said_and_addresses_are_lists():
    profile = rules.profile_of("shop", FIELDS)
    assert [f.at for f in rules.check_said(profile, {"colour": "x", "images": "x", "title": ["x"]})] == [
        "colour", "images", "title",
    ]  # fmt: skip
    assert list(rules.check_said(profile, {"images": ["https://i.example/1"], "title": "x"})) == []
    assert rules.texts_of(profile, "images", "https://a/1\n https://a/2") == ["https://a/1", "https://a/2"]
    assert rules.texts_of(profile, "title", " x ") == "x"


def test_shared_is_what_the_channel_has_once_for_a_product():
    profile = rules.profile_of("shop", FIELDS)
    assert [rules.shared_of(profile, name) for name in ("description", "title", "an attribute")] == [True, False, True]


def test_a_mapping_of_some_fields_leaves_the_others_as_usual_and_one_of_a_field_that_is_gone_is_passed_over():
    content = made(mapping=[Mapped(target="gone", value="name"), Mapped(target="title", value="sku")])
    assert (field(content, "title").value, field(content, "description").value) == ("A", "Azul")
    profile = rules.profile_of("shop", FIELDS)
    assert list(rules.check_mapping(profile, [Mapped(target="gtin", value="gtin")], "BRL")) == []
    assert [f.at for f in rules.check_mapping(profile, [Mapped(target="gone", value="name")], "BRL")] == [
        "mapping/0/target"
    ]


@pytest.mark.parametrize(
    "name", ["price", "Price", "currency", "stock", "quantity", "availability", "sku", "code", "active"]
)
def test_what_has_a_place_of_its_own_is_not_taken_for_an_attribute_and_it_is_said_where_it_goes(name: str):
    profile = rules.profile_of("shop", ListingFields(FIELDS.fields, attributes=True))
    (flaw,) = rules.check_said(profile, {name: "88.80"})
    assert (flaw.at, flaw.facts) == (name, {"name": name})
    assert flaw.mend == rules.RESERVED[name.casefold()]


def test_a_field_that_the_channel_states_itself_may_be_called_so():
    profile = rules.profile_of("shop", ListingFields((*FIELDS.fields, Field("code")), attributes=True))
    assert list(rules.check_said(profile, {"code": "X", "Cor": "azul"})) == []


@pytest.mark.parametrize(("price", "flaws"), [(None, 0), (1, 0), (MOST_PRICE, 0), (0, 1), (-5, 1), (2**31, 1)])
def test_a_price_is_more_than_nothing_and_none_takes_it_back(price: int | None, flaws: int):
    assert len(list(check_price(price))) == flaws


@pytest.mark.parametrize(
    ("text", "price"),
    [("88,80", 8_880), ("88.80", 8_880), ("R$ 1.234,50", 123_450), ("none", TAKEN_BACK), ("Nenhum", TAKEN_BACK)],
)
def test_a_cell_is_a_price_with_comma_or_point_or_the_word_that_takes_it_back(text: str, price: int):
    assert own_price(text) == price


@pytest.mark.parametrize("text", ["0", "0,00", "-1", "barato", "1,234,5"])
def test_a_cell_that_is_no_price_is_told_so(text: str):
    with pytest.raises(BadCell):
        own_price(text)
