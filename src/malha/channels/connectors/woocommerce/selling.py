"""What a shop sells, as Malha takes it: products and variations with all that a connection may keep of them."""

import html
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from malha.channels.connectors.reading_html import text_of
from malha.channels.connectors.woocommerce.asking import pages
from malha.channels.connectors.woocommerce.goods import variations_of
from malha.channels.connectors.woocommerce.money import minor_of
from malha.channels.connectors.woocommerce.showing import GRAMS, MILLIMETRES, Units
from malha.channels.connectors.woocommerce.terms import Terms
from malha.channels.connectors.woocommerce.words import Sold
from malha.channels.contract import Ctx, ExtProduct

FIELDS = frozenset(
    {
        "name", "description", "brand", "category", "attributes", "options", "pictures", "variant_name", "gtin",
        "weight", "dimensions", "price",
    }
)  # fmt: skip
NONE_YET = frozenset({"uncategorized", "sem-categoria"})  # where WooCommerce puts what nobody put anywhere
LONGEST_CODE = 64


class Shop:
    """What is the same of all products of a reading, asked for when the first needs it."""

    def __init__(self, ctx: Ctx) -> None:
        self.ctx = ctx
        self._terms = Terms(ctx)
        self._paths: Mapping[int, str] | None = None

    async def told(self, said: Sold, version: int) -> list[ExtProduct]:
        """Return a product, or each variation of one that has some."""
        units, paths = await self._terms.units(), await self.paths() if said.categories else {}
        if said.type != "variable":
            return [product_of(self.ctx, said, version, units, paths)]
        rows = await variations_of(self.ctx, said.id, Sold)
        return [product_of(self.ctx, each, version, units, paths, said) for each in rows]

    async def paths(self) -> Mapping[int, str]:
        """Return the names of the shop's categories from the root on, by id; a few hundred at most."""
        if self._paths is None:
            asked = {"orderby": "id", "order": "asc"}
            rows = {
                int(row["id"]): row async for row in pages(self.ctx, "/products/categories", asked, "pull_products")
            }
            self._paths = {id_: _path(rows, id_) for id_, row in rows.items() if row.get("slug") not in NONE_YET}
        return self._paths


def _path(rows: Mapping[int, Mapping[str, Any]], id_: int) -> str:
    names: list[str] = []
    while id_ in rows and len(names) < len(rows):
        names.append(_plain(rows[id_].get("name")).replace(">", "-"))
        id_ = int(rows[id_].get("parent") or 0)
    return " > ".join(reversed(names))


def product_of(
    ctx: Ctx, said: Sold, version: int, units: Units, paths: Mapping[int, str], parent: Sold | None = None
) -> ExtProduct:
    """Return a product as Malha takes it; a variation is named by its product and its options.

    A variation without a weight, measures or texts of its own has those of its product.
    """
    whole = parent or said
    # WooCommerce says the product's SKU of a variation that has none: that names no one of them.
    sku = "" if parent and said.sku == parent.sku else said.sku or ""
    options = {
        _plain(each.get("name")): _plain(each["option"]) for each in said.attributes if parent and each.get("option")
    }
    shown = [str(each["src"]) for each in whole.images if each.get("src")]
    return ExtProduct(
        id=str(said.id),
        sku=sku,
        gtin=said.global_unique_id or "",
        name=" ".join([_plain(whole.name), *options.values()]),
        price=minor_of(said.price, ctx.connection.currency) if said.price else None,
        active=said.status == "publish" and whole.status == "publish",
        version=version,
        product=_code_of(parent) if parent else "",
        product_name=_plain(whole.name),
        description=text_of(whole.description),
        brand=_brand(whole.brands),
        category=_category(whole.categories, paths),
        attributes={
            _plain(each.get("name")): ", ".join(_plain(option) for option in each["options"])
            for each in whole.attributes
            if each.get("options") and not each.get("variation")
        },
        options=options,
        pictures=[address for address in shown if address.startswith("https://")],
        weight_grams=_measured(said.weight or whole.weight, GRAMS.get(units.weight)),
        dimensions=_dimensions(said, units) or _dimensions(whole, units) or (0, 0, 0),
    )


def _plain(text: Any) -> str:
    return html.unescape(str(text or "")).strip()


def _code_of(parent: Sold) -> str:
    """Return how a product is called: by its SKU, else by the end of its address, unless that is too long."""
    return parent.sku or (parent.slug if 0 < len(parent.slug) <= LONGEST_CODE else str(parent.id))


def _brand(brands: Any) -> str | None:
    if not isinstance(brands, list):
        return None
    return next((_plain(each.get("name")) for each in brands if isinstance(each, dict)), "")


def _category(said: Sequence[Mapping[str, Any]], paths: Mapping[int, str]) -> str:
    """Return the category that is deepest in the tree, the first of these; a shop's product can be in several."""
    found = [path for each in said if (path := paths.get(int(each.get("id") or 0)))]
    return max(found, key=lambda path: path.count(" > "), default="")


def _measured(text: Any, unit: Decimal | None) -> int:
    try:
        return round(Decimal(str(text or "0")) * unit) if unit else 0
    except (InvalidOperation, ValueError, OverflowError):
        return 0


def _dimensions(said: Sold, units: Units) -> tuple[int, int, int] | None:
    unit = MILLIMETRES.get(units.length)
    length, width, height = (_measured(said.dimensions.get(part), unit) for part in ("length", "width", "height"))
    return (length, width, height) if length or width or height else None
