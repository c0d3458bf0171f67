"""Products and variations by SKU, and changing many of them at once."""

import html
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from malha.channels.connectors.woocommerce.asking import ask, decoded, encode, pages, quoted, read_as, send
from malha.channels.connectors.woocommerce.money import Unfit, text_of
from malha.channels.connectors.woocommerce.sweeping import clock_of
from malha.channels.connectors.woocommerce.words import PAGE, Product
from malha.channels.contract import Ctx, ExtStock, Invalid, Ok, Rejected, Result, Unknown, Unsure

P = TypeVar("P", bound=Product)
MOST_UNITS = 2**31
LONGEST_QUERY = 1_200  # characters of SKUs in one address


def priced(ctx: Ctx, price: int, currency: str) -> dict[str, str]:
    """Return the fields of a price."""
    wanted = {"regular_price": text_of(price, currency)}
    return wanted if ctx.config.keep_sale_prices else {**wanted, "sale_price": ""}


def is_same(now: str | None, wanted: str) -> bool:
    """Tell whether a price is there already, however it is written."""
    try:
        return Decimal(now or "NaN") == Decimal(wanted or "NaN") or (now or "") == wanted
    except InvalidOperation:
        return False


# --- products by SKU ---


class Found(msgspec.Struct, frozen=True):
    """Products and variations by SKU; `unread` are those of which the shop says what they cannot be."""

    rows: dict[str, Any]
    unread: dict[str, Rejected]


async def by_sku(
    ctx: Ctx, skus: Sequence[str], into: type[Any] = Product, params: Mapping[str, str] = MappingProxyType({})
) -> Found:
    """Return products and variations by SKU, as many at a time as a page and an address hold.

    One that cannot be read holds up no others.
    """
    found = Found({}, {})
    some: list[str] = []
    for sku in [*sorted({sku for sku in skus if sku and "," not in sku}), None]:
        full = len(some) == PAGE or sum(len(quoted(each)) + 3 for each in some) > LONGEST_QUERY
        if some and (sku is None or full):
            asked = {**params, "sku": ",".join(some), "per_page": str(PAGE), "orderby": "id", "order": "asc"}
            for row in await ask(ctx, "GET", "/products", list[dict[str, Any]], "find_products", params=asked):
                try:
                    read = read_as(row, into)
                except Unfit as error:
                    found.unread[str(row.get("sku"))] = Rejected("unreadable", error.why)
                else:
                    found.rows[read.sku] = read
            some = []
        if sku is not None:
            some.append(sku)
    return found


async def variations_of(ctx: Ctx, product: int, into: type[P]) -> list[P]:
    """Return the variations of a product."""
    asked = {"orderby": "id", "order": "asc"}
    rows = pages(ctx, f"/products/{product}/variations", asked, "pull_products")
    return [read_as({**row, "type": "variation"}, into) async for row in rows]


class StockPage(msgspec.Struct, frozen=True):
    """Products by id, as the shop says them, each followed by its variations; `after` so many, `last` the newest id."""

    rows: Sequence[Mapping[str, Any]]
    after: int
    last: int
    as_of: datetime
    more: bool


async def stock_page(ctx: Ctx, after: int, last: int) -> StockPage:
    """Return the products after so many.

    The last one that was read is read again first: where it is not there, something before it was removed and moved
    others past us, and reading goes back.
    """
    size = min(ctx.config.page + 1, PAGE)
    while True:
        start = max(0, after - 1)
        asked = {"per_page": str(size), "offset": str(start), "orderby": "id", "order": "asc"}
        reply = await send(ctx, "GET", "/products", "pull_stock", params=asked)
        rows = [(_id_of(row), row) for row in decoded(reply, list[dict[str, Any]])]
        if not start or (rows and rows[0][0] <= last):
            break
        after = max(0, after - size)
    found: list[Mapping[str, Any]] = []
    for id_, row in rows:
        if id_ > last:
            found.append(row)
            if row.get("type") == "variable":
                asked = {"orderby": "id", "order": "asc"}
                found += [each async for each in pages(ctx, f"/products/{id_}/variations", asked, "pull_stock")]
    newest = max([last, *(id_ for id_, _ in rows)])
    return StockPage(found, start + len(rows), newest, clock_of(ctx, reply), len(rows) == size)


def _id_of(row: Mapping[str, Any]) -> int:
    id_ = row.get("id")
    if not isinstance(id_, int):
        raise Invalid("the answer is other than expected: a product without an id")
    return id_


def stock_of(row: Mapping[str, Any], as_of: datetime) -> ExtStock | None:
    """Return what there is of a product or a variation; None: its stock is not kept, or is that of its product.

    Plug-ins sell by the metre and let parts of a unit be kept: what is no whole number is told as it is, unread.
    """
    sku, said = row.get("sku"), row.get("stock_quantity")
    if not sku or row.get("manage_stock") is not True or said is None:
        return None
    units = _units_in(said)
    unread = encode(said).decode()[:80] if units is None else ""
    return ExtStock(sku=str(sku), quantity=units or 0, as_of=as_of, unread=unread)


def _units_in(said: Any) -> int | None:
    try:
        exact = None if isinstance(said, bool) else Decimal(str(said))
    except InvalidOperation:
        return None
    if exact is None or not exact.is_finite() or abs(exact) >= MOST_UNITS or exact != int(exact):
        return None
    return int(exact)


async def change(
    ctx: Ctx, found: Mapping[str, Product], wanted: Mapping[str, Mapping[str, Any]], operation: str
) -> dict[str, Result]:
    """Change products, and variations by the product they are of: WooCommerce takes those only together."""
    by_parent: dict[int, list[str]] = {}
    for code in wanted:
        row = found[code]
        by_parent.setdefault(row.parent_id if row.type == "variation" else 0, []).append(code)
    results: dict[str, Result] = {}
    for parent, codes in by_parent.items():
        path = f"/products/{parent}/variations/batch" if parent else "/products/batch"
        for n in range(0, len(codes), PAGE):
            part = codes[n : n + PAGE]
            items = [{"id": found[code].id, **wanted[code]} for code in part]
            said = await batch(ctx, path, "update", items, operation)
            results |= dict(zip(part, said, strict=True))
    return results


async def batch(ctx: Ctx, path: str, verb: str, items: Sequence[Mapping[str, Any]], operation: str) -> Sequence[Result]:
    """Make or change up to 100 things; return what became of each."""
    return [result_of(row) for row in await batch_rows(ctx, path, verb, items, operation)]


async def batch_rows(
    ctx: Ctx, path: str, verb: str, items: Sequence[Mapping[str, Any]], operation: str
) -> list[dict[str, Any]]:
    """Make or change up to 100 things; return what the shop says of each: the thing as it is now, or its error."""
    said = await ask(ctx, "POST", path, dict[str, list[dict[str, Any]]], operation, body={verb: items})
    rows: list[dict[str, Any]] = said.get(verb, [])
    if len(rows) != len(items):
        raise Unsure(f"{len(items)} items were sent and {len(rows)} results came")
    return rows


def result_of(row: Mapping[str, Any]) -> Ok | Rejected | Unknown:
    """Return what became of a thing of a batch."""
    error = row.get("error")
    if not isinstance(error, dict):
        return Ok(str(row.get("id", "")))
    code, why = str(error.get("code", "refused")), html.unescape(str(error.get("message", "")))[:200]
    data = error.get("data")
    status = data.get("status") if isinstance(data, dict) else data
    return Unknown(f"{code}: {why}") if isinstance(status, int) and status >= 500 else Rejected(code, why)


# --- an order ---
