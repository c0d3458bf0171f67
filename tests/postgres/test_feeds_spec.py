"""Google's own description of a product and of local inventory takes what our files say, and refuses what is wrong.

The discovery documents of the Merchant API v1 are read in place, beside the repository. A file's column is the same
attribute in another spelling: `image_link` is `imageLink`, `in_stock` is `IN_STOCK`, `19.90 BRL` is micros.
"""

import json
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from feed_world import a_draft, a_feed, a_plan, a_shop, built, rows_in

from malha.channels.feeds.profiles import GOOGLE_LOCAL, GOOGLE_PRODUCTS, Kind, Profile

SPECS = Path(__file__).parents[3] / "shared" / "specs" / "google"
# Attributes that the specification of files calls otherwise than the API.
NAMES = {"gtin": "gtins", "additional_image_link": "additionalImageLinks", "product_type": "productTypes"}
# The file says `2-day` and `multi-week`, the API spells numbers out.
NUMBERS = {"2": "TWO", "3": "THREE", "4": "FOUR", "5": "FIVE", "6": "SIX"}

pytestmark = pytest.mark.shared


def schemas(name: str) -> dict[str, Any]:
    path = SPECS / f"merchantapi.{name}_v1.json"
    if not path.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{path} is missing")
        pytest.skip("Google's specification is not beside the repository")
    return json.loads(path.read_text("utf-8"))["schemas"]


def camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)


def as_api(profile: Profile, row: dict[str, str]) -> dict[str, Any]:
    """A row of a file as the API spells it."""
    said: dict[str, Any] = {}
    for name, text in row.items():
        field = profile.field(name)
        if text == "" or field is None or name in {"id", "store_code"}:
            continue
        key = NAMES.get(name, camel(name))
        value: Any = text
        if field.kind is Kind.PRICE:
            amount, currency = text.split(" ")
            value = {"amountMicros": str(int(Decimal(amount) * 1_000_000)), "currencyCode": currency}
        elif field.kind is Kind.WORD and name == "identifier_exists":
            value = text == "yes"
        elif field.kind is Kind.WORD:
            value = re.sub(r"^\d", lambda m: NUMBERS[m[0]], text).replace("-", "_").upper()
        elif name == "shipping_weight":
            number, unit = text.split(" ")
            value = {"value": float(number), "unit": unit}
        elif field.kind is Kind.URLS:
            value = text.split(",")
        elif key in {"gtins", "productTypes"}:
            value = [text]
        said[key] = value
    return said


def problems(known: dict[str, Any], schema: str, value: dict[str, Any], at: str = "") -> list[str]:
    """What the description does not allow: unknown attributes, words and types."""
    found = []
    properties = known[schema]["properties"]
    for name, one in value.items():
        if name not in properties:
            found.append(f"{at}{name}: unknown")
            continue
        found += wrong(known, properties[name], one, f"{at}{name}")
    return found


def wrong(known: dict[str, Any], spec: dict[str, Any], value: Any, at: str) -> list[str]:  # noqa: PLR0911 -- kinds
    if "$ref" in spec:
        return problems(known, spec["$ref"], value, f"{at}.") if isinstance(value, dict) else [f"{at}: no object"]
    if spec["type"] == "array":
        if not isinstance(value, list):
            return [f"{at}: no list"]
        return [each for one in value for each in wrong(known, spec["items"], one, at)]
    types = {"string": str, "boolean": bool, "number": (int, float), "integer": int}
    if not isinstance(value, types[spec["type"]]):
        return [f"{at}: {value!r} is no {spec['type']}"]
    if "enum" in spec and value not in spec["enum"]:
        return [f"{at}: {value!r} is no word of it"]
    if spec.get("format") == "int64" and not re.fullmatch(r"-?\d+", value):
        return [f"{at}: {value!r} is no number"]
    return []


@pytest.mark.parametrize(
    ("profile", "document", "schema"),
    [(GOOGLE_PRODUCTS, "products", "ProductAttributes"), (GOOGLE_LOCAL, "inventories", "LocalInventoryAttributes")],
)
def test_every_field_and_every_word_that_we_offer_is_one_of_google_s(profile, document, schema):
    known = schemas(document)
    for field in profile.fields:
        if field.name in {"id", "store_code"}:
            continue
        for text in field.values or ({"price": "1.00 BRL"}.get(field.name, ""),):
            row = {
                field.name: text or {Kind.PRICE: "1.00 BRL"}.get(field.kind, "1 g" if "weight" in field.name else "1")
            }
            assert problems(known, schema, as_api(profile, row)) == [], field.name


@pytest.mark.parametrize(
    ("of", "profile", "document", "schema"),
    [
        ("google_products", GOOGLE_PRODUCTS, "products", "ProductAttributes"),
        ("google_local", GOOGLE_LOCAL, "inventories", "LocalInventoryAttributes"),
    ],
)
async def test_rows_of_a_file_are_what_google_describes(database, of, profile, document, schema):
    known = schemas(document)
    await a_shop(database)
    async with database.transaction() as tx:
        await tx.execute("UPDATE variant SET gtin = '7891000315507' WHERE sku = 'A'")
        await tx.execute("INSERT INTO media (product_id, url) SELECT id, 'https://img.example/more.jpg' FROM product")
    await a_feed(database, draft=a_draft(plan=a_plan(of)))
    rows = await rows_in(database, await built(database))
    assert rows
    for row in rows.values():
        said = as_api(profile, row)
        assert problems(known, schema, said) == []
        assert {"availability", "price"} <= said.keys()


def test_the_description_refuses_what_is_wrong():
    known = schemas("products")
    good = {"availability": "IN_STOCK", "price": {"amountMicros": "1000000", "currencyCode": "BRL"}, "gtins": ["1"]}
    assert problems(known, "ProductAttributes", good) == []
    for change in (
        {"colour": "blue"},
        {"availability": "MAYBE"},
        {"price": {"amountMicros": "1.5", "currencyCode": "BRL"}},
        {"price": {"amount": "1"}},
        {"price": "1.00 BRL"},
        {"gtins": "1"},
        {"identifierExists": "yes"},
    ):
        assert problems(known, "ProductAttributes", good | change), change
    local = schemas("inventories")
    assert problems(local, "LocalInventoryAttributes", {"pickupMethod": "DELIVER"})
    assert problems(local, "LocalInventoryAttributes", {"pickupSla": "ONE_DAY"})
