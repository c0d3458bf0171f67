"""What a feed's mapping makes of a listing: values as the target wants them, and everything that is wrong, named."""

import csv
import gzip
import io
import json
import zlib
from xml.etree import ElementTree as ET

import msgspec
import pytest

from malha.channels.feeds import rules, writing
from malha.channels.feeds.model import Filters, Format, Mapped, Origin, Plan, Severity
from malha.channels.feeds.profiles import GENERIC_LOCAL, GOOGLE_LOCAL, GOOGLE_PRODUCTS, META, PROFILES

GOODS = {
    "active": True,
    "on_sale": True,
    "code": "A-1",
    "sku": "A1",
    "product": "A",
    "name": "Camiseta Azul\tM",
    "product_name": "Camiseta",
    "description": "Algodão & linho <b>macio</b>\nlavável",
    "brand": "Loja",
    "gtin": "7891000315507",
    "ncm": "61091000",
    "category": "camisetas",
    "category_path": "Roupas > Camisetas",
    "item_group": "A",
    "price": 19990,
    "quantity": 3,
    "availability": "in_stock",
    "availability_date": None,
    "image": "https://img.example/a.jpg",
    "images": ["https://img.example/b,1.jpg", "https://img.example/c.jpg"],
    "weight": "300 g",
    "length": None,
    "width": None,
    "height": None,
    "attributes": {"Material": "Algodão"},
    "options": {"Cor": "Azul"},
}
PARENTS = {"camisetas": ["camisetas", "roupas"], "roupas": ["roupas"]}


def a_plan(of="google_products", **changes) -> Plan:
    target = PROFILES[of]
    plan = Plan(profile=of, format=target.formats[0], mapping=list(target.defaults))
    return msgspec.structs.replace(plan, **changes)


def mapped(plan: Plan, target: str, **terms) -> Plan:
    """The plan with one field mapped otherwise."""
    other = [m for m in plan.mapping if m.target != target]
    return msgspec.structs.replace(plan, mapping=[*other, Mapped(target=target, **terms)])


def row_of(plan: Plan, currency="BRL", **goods) -> tuple[dict, set[tuple[str, str, str]], rules.Row]:
    compiled = rules.Compiled(plan, currency, "https://loja.example/", PARENTS)
    row = compiled.row(GOODS | goods)
    named = dict(zip(compiled.columns, row.cells, strict=True))
    return named, {(f.rule, f.field, f.severity.value) for f in row.found}, row


def test_a_listing_becomes_what_google_wants():
    named, found, row = row_of(a_plan())
    assert named["id"] == row.key == "A-1"
    assert named["title"] == "Camiseta Azul M"
    assert named["price"] == "199.90 BRL"
    assert named["link"] == "https://loja.example/A1"
    assert named["additional_image_link"] == ["https://img.example/b%2C1.jpg", "https://img.example/c.jpg"]
    assert named["item_group_id"] == "A"
    assert found == {("category_missing", "google_product_category", "warning")}
    assert not row.refused


@pytest.mark.parametrize(
    ("goods", "rule", "field", "severity"),
    [
        ({"name": ""}, "missing", "title", "error"),
        ({"image": None}, "image_missing", "image_link", "error"),
        ({"price": 0}, "price_zero", "price", "error"),
        ({"price": None}, "missing", "price", "error"),
        ({"gtin": None}, "gtin_missing", "gtin", "warning"),
        ({"gtin": "7891000315500"}, "gtin_wrong", "gtin", "error"),
        ({"code": "x" * 51}, "id_too_long", "id", "error"),
        ({"name": "palavra " * 30}, "too_long", "title", "warning"),
        ({"image": "ftp://img.example/a.jpg"}, "link_wrong", "image_link", "error"),
        ({"image": "https://img.example/a b.jpg"}, "link_wrong", "image_link", "error"),
        ({"images": ["no address"]}, "link_wrong", "additional_image_link", "warning"),
        ({"images": [f"https://i.example/{n}" for n in range(11)]}, "too_many", "additional_image_link", "warning"),
        ({"availability": "backorder", "availability_date": "soon"}, "day_wrong", "availability_date", "error"),
    ],
)
def test_what_is_wrong_is_found_and_an_error_leaves_the_row_out(goods, rule, field, severity):
    _, found, row = row_of(a_plan(), **goods)
    assert (rule, field, severity) in found
    assert row.refused is (severity == "error")
    assert (row.values is None) is row.refused


def test_a_sound_listing_has_none_of_those_findings():
    plan = mapped(a_plan(), "google_product_category", value="category", table={"roupas": "1604"})
    named, found, _ = row_of(plan)
    assert not found
    assert named["google_product_category"] == "1604", "a branch is mapped by its root"


def test_a_price_in_another_currency_is_refused_whoever_states_it():
    assert ("currency_wrong", "price", "error") in row_of(a_plan(), currency="USD")[1]
    stated = mapped(a_plan(), "sale_price", origin=Origin.CONSTANT, value="10.00 USD")
    assert ("currency_wrong", "sale_price", "error") in row_of(stated)[1]
    good = mapped(a_plan(), "sale_price", origin=Origin.CONSTANT, value="10,50")
    assert row_of(good)[0]["sale_price"] == "10.50 BRL"
    assert ("price_wrong", "sale_price", "error") in row_of(
        mapped(a_plan(), "sale_price", origin=Origin.CONSTANT, value="dez")
    )[1]


def test_words_the_target_does_not_know_are_refused_and_a_table_translates_them():
    plan = mapped(a_plan(), "gender", origin=Origin.ATTRIBUTE, value="Gênero")
    assert ("word_unknown", "gender", "error") in row_of(plan, attributes={"Gênero": "Feminino"})[1]
    table = {"feminino": "female"}
    plan = mapped(a_plan(), "gender", origin=Origin.ATTRIBUTE, value="Gênero", table=table, otherwise="unisex")
    assert row_of(plan, attributes={"Gênero": "Feminino"})[0]["gender"] == "female"
    assert row_of(plan, attributes={"Gênero": "?"})[0]["gender"] == "unisex"


def test_a_template_fills_fields_attributes_and_options_and_encodes_what_goes_into_an_address():
    text = "{brand} {product_name} {option.Cor} {attribute.Material} {price}"
    plan = mapped(a_plan(), "title", origin=Origin.TEMPLATE, value=text)
    assert row_of(plan)[0]["title"] == "Loja Camiseta Azul Algodão 199.90"
    plan = mapped(a_plan(), "link", origin=Origin.TEMPLATE, value="{website}/p?q={name|url}&x=1")
    assert row_of(plan, name="a&b c")[0]["link"] == "https://loja.example/p?q=a%26b%20c&x=1"
    assert row_of(plan, name="{brand}")[0]["link"].endswith("q=%7Bbrand%7D&x=1"), "a value is no template"


@pytest.mark.parametrize(
    ("change", "at"),
    [
        ({"profile": "nowhere"}, "profile"),
        ({"format": Format.JSONL}, "format"),
        ({"currency": "XXX"}, "currency"),
        ({"mapping": []}, "mapping"),
        ({"mapping": [*GOOGLE_PRODUCTS.defaults, GOOGLE_PRODUCTS.defaults[0]]}, "mapping/16/target"),
        ({"mapping": [*GOOGLE_PRODUCTS.defaults, Mapped(target="colour", value="name")]}, "mapping/16/target"),
        ({"mapping": [*GOOGLE_PRODUCTS.defaults, Mapped(target="a<b", value="name")]}, "mapping/16/target"),
        ({"mapping": [*GOOGLE_PRODUCTS.defaults, Mapped(target="color", value="colour")]}, "mapping/16/value"),
        ({"mapping": [*GOOGLE_PRODUCTS.defaults, Mapped(target="color", value="location")]}, "mapping/16/value"),
        (
            {"mapping": [*GOOGLE_PRODUCTS.defaults, Mapped(target="color", origin=Origin.TEMPLATE, value="{name")]},
            "mapping/16/value",
        ),
        (
            {"mapping": [*GOOGLE_PRODUCTS.defaults, Mapped(target="color", origin=Origin.TEMPLATE, value="{x}")]},
            "mapping/16/value",
        ),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_where_it_is_wrong(change, at):
    assert at in {flaw.at for flaw in rules.check_plan(a_plan(**change))}


def test_the_plans_that_targets_begin_with_make_sense():
    for key in PROFILES:
        assert not list(rules.check_plan(a_plan(key))), key


def test_filters_leave_out_with_a_reason():
    compiled = rules.Compiled(
        a_plan(filters=Filters(categories=["roupas"], brands=["Loja"])), "BRL", "https://l.example", PARENTS
    )
    assert compiled.left_out(GOODS) is None
    assert compiled.left_out(GOODS | {"active": False}) == "inactive"
    assert compiled.left_out(GOODS | {"on_sale": False}) == "not_sold"
    assert compiled.left_out(GOODS | {"brand": None}) == "brand"
    assert compiled.left_out(GOODS | {"category": None}) == "category"


def test_a_row_that_is_no_more_is_said_in_the_words_of_the_target():
    local = rules.Compiled(a_plan("google_local"), "BRL", "", {})
    gone = dict(zip(local.columns, local.gone("S1\tA-1"), strict=True))
    assert gone == {
        "store_code": "S1", "id": "A-1", "quantity": "0", "price": "", "availability": "out_of_stock",
        "pickup_method": "", "pickup_sla": "",
    }  # fmt: skip
    other = rules.Compiled(a_plan("generic_local"), "BRL", "", {})
    assert dict(zip(other.columns, other.gone("S1\tA-1"), strict=True)) == {
        "store_code": "S1", "store_name": "", "id": "A-1", "sku": "", "price": "", "currency": "",
        "availability": "out_of_stock", "quantity": "0",
    }  # fmt: skip


def test_what_comes_later_is_not_there_for_who_collects_it_and_fields_have_any_name():
    plan = mapped(a_plan("generic_local"), "ponto", origin=Origin.TEMPLATE, value="{location} {location_name}")
    row, found, _ = row_of(plan, availability="backorder", quantity=0, location="S1", location_name="Centro")
    assert (row["ponto"], row["store_code"], row["store_name"]) == ("S1 Centro", "S1", "Centro")
    assert (row["availability"], row["quantity"], row["price"], row["currency"]) == (
        "out_of_stock",
        "0",
        "199.90",
        "BRL",
    )
    assert found == set()
    assert [flaw.at for flaw in rules.check_plan(mapped(plan, "removed", value="sku"))] == ["mapping/9/target"]
    without = msgspec.structs.replace(plan, mapping=[m for m in plan.mapping if m.target != "store_code"])
    assert [str(flaw.facts) for flaw in rules.check_plan(without)] == ["{'name': 'store_code'}"]


def test_a_cut_text_ends_with_a_whole_word():
    assert rules.cut("um dois tres", 8) == "um dois"
    assert rules.cut("x" * 20, 8) == "x" * 8
    assert rules.cut("um dois tres", 7) == "um dois"


# --- files ---

HOSTILE = ['=cmd|" /C calc"!A1', 'a,"b";c', "<g:id>&amp;</g:id>", "ção ü 漢字 😀", "", "'", "\\t\\n"]


@pytest.mark.parametrize("format_", list(Format))
def test_what_is_written_is_read_back(format_):
    columns = ["id", "name", "pictures"]
    rows = [
        [f"i{n}", rules.tidy(text), ["https://a.example/1", "https://a.example/2"][: n % 3]]
        for n, text in enumerate(HOSTILE)
    ]
    data = writing.head(format_, columns, "Feira & Cia <1>", "https://l.example/?a=1&b=2")
    data += writing.rows(format_, columns, rows[:3]) + writing.rows(format_, columns, rows[3:]) + writing.tail(format_)
    joined = [[i, name, ",".join(pictures)] for i, name, pictures in rows]
    match format_:
        case Format.CSV:
            assert list(csv.reader(io.StringIO(data.decode()))) == [columns, *joined]
        case Format.TSV:
            assert [line.split("\t") for line in data.decode().split("\n")[:-1]] == [columns, *joined]
        case Format.JSONL:
            read = [json.loads(line) for line in data.splitlines()]
            assert [[r["id"], r.get("name", ""), r.get("pictures", [])] for r in read] == rows
        case _:
            g = "{http://base.google.com/ns/1.0}" if format_ is Format.RSS else ""
            items = list(ET.fromstring(data).iter("item"))  # noqa: S314 -- our own
            read = [
                [i.findtext(f"{g}id"), i.findtext(f"{g}name") or "", [p.text for p in i.findall(f"{g}pictures")]]
                for i in items
            ]
            assert read == rows


def test_gzip_in_pieces_is_one_file_that_any_program_reads():
    pieces = [b"id\tname\n", b"", b"1\tA\n" * 5000, b"2\tB\n"]
    made, crc, size = b"", 0, 0
    for n, piece in enumerate(pieces):
        made += writing.packed(piece, first=n == 0)
        crc, size = zlib.crc32(piece, crc), size + len(piece)
    made += writing.trailer(crc, size)
    assert gzip.decompress(made) == b"".join(pieces)
    assert len(made) < size // 20
    one = zlib.decompressobj(16 + zlib.MAX_WBITS)
    assert one.decompress(made) == b"".join(pieces)
    assert one.eof
    assert not one.unused_data, "a single member: readers that stop after the first miss nothing"
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(made[:-8] + bytes(8))


def test_no_value_breaks_a_line_of_a_table():
    named, _, _ = row_of(a_plan(), name="a\tb\r\nc\u2028d\x00e\x1f", description="\ud800x")
    line = writing.rows(Format.TSV, list(named), [list(named.values())])
    assert line.count(b"\n") == 1
    assert line.count(b"\t") == len(named) - 1


def test_severities_are_those_of_the_report():
    assert {s.value for s in Severity} == {"error", "warning"}
    assert {p.per_location for p in (GOOGLE_PRODUCTS, META)} == {False}
    assert {p.per_location for p in (GOOGLE_LOCAL, GENERIC_LOCAL)} == {True}
