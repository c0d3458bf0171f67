"""Products and prices that an ERP states by files: each row is a variant, read one at a time."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from malha.channels.connectors import partner_tables as tables
from malha.channels.connectors.erp_tables import ATTRIBUTE, OPTION, minor_of, table_of, thousandths, under
from malha.channels.connectors.filed import FilesConfig, style_of
from malha.channels.connectors.filed_rows import Bad, Reading, yes_of
from malha.channels.connectors.partner_tables import Row
from malha.channels.contract import ExtProduct, FileTold, Listed

ROWS = 500_000
MOST_PICTURES = 50
TEXTS = {"description": 10_000, "brand": 200, "category": 500}
MILLIMETRES, GRAMS = 10, 1000  # of a centimetre, of a kilogram


class Goods:
    """The products or the prices of a file, read from it each time they are asked for."""

    def __init__(
        self, kind: str, config: FilesConfig, body: BinaryIO, headings: Mapping[str, str], currency: str
    ) -> None:
        self._kind = kind
        self._config = config
        self._body = body
        self._table = table_of(kind, headings)
        self._currency = currency

    def __iter__(self) -> Iterator[Listed]:
        return self._listed(self._reading())

    def told(self) -> FileTold:
        """Return what the file tells.

        Raises:
            Invalid: it is no such table.
        """
        reading = self._reading()
        for _ in self._listed(reading):
            pass
        flaws = sorted(reading.flaws, key=lambda f: f.row)
        return FileTold(kind=self._kind, rows=reading.count, listed=self, flaws=flaws)

    def _reading(self) -> Reading:
        style = style_of(self._config)
        return Reading(tables.rows(self._kind, self._body, style, most=ROWS, table=self._table))

    def _listed(self, reading: Reading) -> Iterator[Listed]:
        read = self._product if self._kind == "products" else self._price
        for row in reading.rows():
            try:
                yield Listed([row.line], read(row))
            except Bad as bad:
                reading.bad(row, bad)

    def _price(self, row: Row) -> ExtProduct:
        price = minor_of(row["price"], self._config.numbers, self._currency, "price")
        return ExtProduct(id="", sku=_sku(row), price=price, active=None)

    def _product(self, row: Row) -> ExtProduct:
        numbers = self._config.numbers
        price = minor_of(row["price"], numbers, self._currency, "price") if row["price"] else None
        grams = thousandths(row["weight_kg"], numbers, GRAMS, "no_weight", "weight_kg") if row["weight_kg"] else None
        group, name = row["product"][:200], row["name"][:200]
        return ExtProduct(
            id="",
            sku=_sku(row),
            gtin=_gtin(row),
            name=name,
            price=price,
            active=yes_of(row, "active", empty=True) if "active" in row.cells else None,
            product=group,
            weight_grams=grams,
            dimensions=self._dimensions(row),
            # A product that stands alone is called as its variant is.
            product_name=row["product_name"][:200] or (None if group else name) or None,
            origin=_origin(row),
            **_texts(row),
        )

    def _dimensions(self, row: Row) -> tuple[int, int, int] | None:
        names = ("length_cm", "width_cm", "height_cm")
        if not any(row[name] for name in names):
            return None
        numbers = self._config.numbers
        length, width, height = (
            thousandths(row[n], numbers, MILLIMETRES, "no_size", n) if row[n] else 0 for n in names
        )
        return length, width, height


def _sku(row: Row) -> str:
    if len(row["sku"]) > 80:
        raise Bad("too_long", "sku", row["sku"])
    return row["sku"]


def _gtin(row: Row) -> str:
    """Return a GTIN; what a spreadsheet made a number of, like 7,891E+12, is none any more."""
    text = row["gtin"].replace(" ", "")
    if text and (fold_of_none(text) or set(text) == {"0"}):
        return ""
    if text and not (text.isascii() and text.isdigit() and 8 <= len(text) <= 14):
        raise Bad("no_gtin", "gtin", row["gtin"])
    return text


def fold_of_none(text: str) -> bool:
    """Tell whether a text is a Brazilian invoice's word for no GTIN."""
    return tables.fold(text) == "semgtin"


def _origin(row: Row) -> int | None:
    if not row["origin"]:
        return None
    if not re.fullmatch("[0-8]", row["origin"]):
        raise Bad("no_origin", "origin", row["origin"])
    return int(row["origin"])


def _texts(row: Row) -> dict[str, Any]:
    """Return the fields whose column is there: an empty cell says that the product has none."""
    found: dict[str, Any] = {name: row[name][:most] for name, most in TEXTS.items() if name in row.cells}
    for name, length in (("ncm", 8), ("cest", 7)):
        if name in row.cells:
            digits = re.sub(r"[.\s-]", "", row[name])
            if digits and not (digits.isascii() and digits.isdigit() and len(digits) == length):
                raise Bad("no_tax_code", name, row[name])
            found[name] = digits
    for name, prefix in (("attributes", ATTRIBUTE), ("options", OPTION)):
        if any(cell.startswith(f"{prefix}:") for cell in row.cells):
            found[name] = under(row, prefix)
    if "pictures" in row.cells:
        found["pictures"] = _pictures(row)
    return found


def _pictures(row: Row) -> list[str]:
    addresses = [each for each in re.split(r"[\s|;,]+", row["pictures"]) if each]
    wrong = next((each for each in addresses if not re.fullmatch(r"https://[^\s/]+/\S*", each)), None)
    if wrong is not None or len(addresses) > MOST_PICTURES:
        raise Bad("no_picture", "pictures", wrong or row["pictures"])
    return addresses
