"""What a channel tells of its variants, as values of fields of products. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from malha.catalog import ownership
from malha.channels.contract import Capability, Connector, ExtProduct, TellsFields
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

USUAL = frozenset({"variant_name", "gtin", "price"})  # what every source of products tells
CREATES = ("never", "held", "once")  # what becomes of variants that nobody here knows
# The catalogue's word for what a channel tells beside name, GTIN and price, which are kept apart.
BESIDE = {
    "weight": "weight_grams", "dimensions": "dimensions", "name": "product_name", "description": "description",
    "brand": "brand", "ncm": "ncm", "cest": "cest", "origin": "origin",
    "category": "category", "attributes": "attributes", "options": "options", "pictures": "pictures",
}  # fmt: skip
EMPTY_IS_NONE = frozenset({"brand", "category", "ncm", "cest", "gtin"})


class TellsRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel told last of a variant that is one of ours."""

    code: str
    sku: str
    product: str
    name: str
    gtin: str
    price: int | None
    told: dict[str, Any]


def able(connector: Connector | None) -> list[str]:
    """Return which fields a connection of this connector could keep, in the order of people's lists."""
    if connector is None or Capability.CATALOG_SOURCE not in connector.capabilities:
        return []
    tells = connector.product_fields if isinstance(connector, TellsFields) else USUAL
    return [field for field in ownership.FIELDS if field in tells]


def told_beside(said: ExtProduct) -> dict[str, Any]:
    """Return what is told beside name, GTIN and price, by the name of the field; what is not told is absent."""
    found = {field: getattr(said, attribute) for field, attribute in BESIDE.items()}
    if isinstance(found["category"], str):  # as people can say it on a page
        found["category"] = " ".join(found["category"].split())[:500]
    return {field: value for field, value in found.items() if value is not None}


def told_of(rows: Sequence[TellsRow], fields: Iterable[str]) -> tuple[dict[str, dict[str, Any]], dict[str, list[Flaw]]]:
    """Return the values of these fields by SKU, and by product what cannot be taken.

    A SKU under two codes that tell different things is told nothing of that field.
    """
    wanted = list(fields)
    told: dict[str, dict[str, Any]] = {}
    flaws: dict[str, list[Flaw]] = {}
    codes: dict[tuple[str, str], str] = {}
    for row in rows:
        mine = told.setdefault(row.sku, {})
        for field, value in _values(row, wanted).items():
            before = codes.setdefault((row.sku, field), row.code)
            if before == row.code:
                mine[field] = value
            elif mine.get(field, value) != value:
                del mine[field]
                says = N_("Of {sku} the channel tells different things as {one} and as {other}.")
                mend = N_("Leave one of the two mapped to it.")
                facts = {"sku": row.sku, "one": before, "other": row.code}
                flaws.setdefault(row.product, []).append(Flaw(field, says, mend, facts))
    return told, flaws


def _values(row: TellsRow, fields: Sequence[str]) -> Mapping[str, Any]:
    told = said(row.told, name=row.name, gtin=row.gtin, price=row.price)
    return {field: told[field] for field in fields if field in told}


def said(told: Mapping[str, Any], *, name: str, gtin: str, price: int | None) -> dict[str, Any]:
    """Return all that a channel told of a variant, by the name of the field; what is not told is absent."""
    found: dict[str, Any] = dict(told)
    found |= {field: value for field, value in (("variant_name", name), ("gtin", gtin)) if value}
    if price is not None:
        found["price"] = price
    return {field: None if field in EMPTY_IS_NONE and value == "" else value for field, value in found.items()}
