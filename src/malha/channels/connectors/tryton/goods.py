"""Products, stock and warehouses."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import msgspec

from malha.channels.connectors.tryton.asking import ask, query_of, search
from malha.channels.connectors.tryton.values import instant, major, micros_of, minor_of, whole
from malha.channels.contract import Ctx, ExtProduct, ExtStock, Page

LOOK_BACK = timedelta(minutes=2)  # a change gets its time when its transaction begins, and shows when that ends
CATEGORIES = ("template.categories.", "template.categories.parent.")  # one further up that is renamed is not noticed
PATH = " / "  # between the names of a category and what it is in
FIELDS = frozenset({"name", "description", "category", "variant_name", "gtin", "price"})
CODES = 20  # asked for at once: an address may not be long
_encode = msgspec.json.Encoder().encode
PRODUCT = (
    "code",
    "name",
    "active",
    "salable",
    "list_price_used",
    "identifiers.type",
    "identifiers.code",
    "create_date",
    "write_date",
    "description",
    "template.active",
    "template.id",
    "template.name",
    "template.code",
    "template.products",
    "template.categories.rec_name",
    "template.create_date",
    "template.write_date",
)


class _Round(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where reading products is: `since` when the last round began, and what of this one was read."""

    since: datetime | None = None
    began: datetime | None = None
    after: int = 0
    told: dict[str, str] = {}  # what the last round told of what had just changed
    now: dict[str, str] = {}


def _changed_since(at: datetime) -> list[Any]:
    """Return the condition that a product, its template, price, codes or categories changed since an instant."""
    when = at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds")
    paths = ("", "template.", "template.list_prices.", "list_prices.", "identifiers.", *CATEGORIES)
    return ["OR", *([f"{path}{field}", ">=", when] for path in paths for field in ("create_date", "write_date"))]


def _product(ctx: Ctx, row: Mapping[str, Any]) -> ExtProduct:
    price = row.get("list_price_used")
    template = row["template"]
    dates = [d for r in (row, template) for d in (r["create_date"], r["write_date"]) if d]
    gtin = next((i["code"] for i in row["identifiers"] if i["type"] == "ean" and len(i["code"]) in {8, 12, 13, 14}), "")
    return ExtProduct(
        id=str(row["id"]),
        sku=row["code"] or "",
        gtin=gtin,
        name=row["name"] or "",
        price=minor_of(price, ctx.connection.currency) if price is not None else None,
        active=bool(row["active"] and template["active"] and row["salable"]),
        version=max((micros_of(instant(d)) for d in dates), default=0),
        product=_code_of(template),
        product_name=template["name"] or "",
        description=row.get("description") or "",
        category=_category(template["categories"]),
    )


def _code_of(template: Mapping[str, Any]) -> str:
    """Return how a template is called: by its code; one without a code and with one product stands alone."""
    code = str(template.get("code") or "").strip()
    return code or (str(template["id"]) if len(template["products"]) > 1 else "")


def _category(said: Sequence[Mapping[str, Any]]) -> str:
    """Return the category that is deepest in the tree, the first by name of these; a product can be in several."""
    paths = [str(each["rec_name"]).replace(" > ", " - ").split(PATH) for each in said]
    deepest: list[str] = max(sorted(paths), key=len, default=[])
    return " > ".join(deepest)


def _print(item: ExtProduct) -> str:
    return sha256(_encode(item)).hexdigest()[:16]


def _is_new(item: ExtProduct, began: datetime) -> bool:
    """Tell whether the next round may find a product again that the first one told."""
    return item.version >= micros_of(began - 2 * LOOK_BACK)


async def pull_products(ctx: Ctx, cursor: str | None) -> Page[ExtProduct]:
    """Return the products that changed after a cursor; without one, all of them.

    A round reads by id what changed since the round before began, less a little: what was told of that little is
    passed over where it is the same.
    """
    kept = msgspec.json.decode(cursor, type=_Round) if cursor else _Round()
    began = kept.began
    domain: list[Any] = [["id", ">", kept.after], ["code", "!=", None]]
    if kept.since is not None:
        domain.append(_changed_since(kept.since - LOOK_BACK))
    query = query_of(domain, PRODUCT, ctx.config.page)
    both = {"active_test": False}  # a condition would not reach the parts of an OR
    reply = await ask(ctx, "GET", "product.product", query=query, context=both, operation="pull_products")
    rows = reply.body
    began = began or reply.at
    items = [_product(ctx, row) for row in rows]
    prints = {item.id: _print(item) for item in items}
    fresh = [item for item in items if kept.told.get(item.id) != prints[item.id]]
    more = len(rows) == ctx.config.page
    recent = prints if kept.since is not None else {i.id: prints[i.id] for i in items if _is_new(i, began)}
    told = {**kept.now, **recent}
    after = msgspec.structs.replace(kept, began=began, after=rows[-1]["id"] if rows else kept.after, now=told)
    if not more:
        after = _Round(since=began, told=told)
    return Page(items=fresh, cursor=_encode(after).decode(), more=more)


async def pull_stock(ctx: Ctx, cursor: str | None) -> Page[ExtStock]:
    """Return the stock of goods in the storage of each warehouse, by its code.

    What Tryton set apart there for shipments of its own is not for sale. Parts of a unit are left out.
    """
    at, after = (int(part) for part in cursor.split(":")) if cursor else (0, 0)
    places = sorted((place["id"], code, place) for code, place in (await warehouses(ctx)).items())
    place = next(((id_, code, place) for id_, code, place in places if id_ >= at), None)
    if place is None:
        return Page(items=[], cursor=f"{at}:{after}")
    id_, code, said = place
    if id_ != at:
        after = 0
    domain = [["id", ">", after], ["type", "=", "goods"], ["code", "!=", None]]
    inside = {"locations": [said["storage_location"]["id"]], "with_childs": True}
    query = query_of(domain, ("code", "quantity"), ctx.config.page)
    there = await ask(ctx, "GET", "product.product", query=query, context=inside, operation="pull_stock")
    free = await ask(
        ctx, "GET", "product.product", query=query, context={**inside, "stock_assign": True}, operation="pull_stock"
    )
    unassigned = {row["id"]: whole(row["quantity"]) for row in free.body}
    items = [
        ExtStock(
            sku=row["code"],
            location=code,
            quantity=min(unassigned.get(row["id"], 0), whole(row["quantity"])),
            on_hand=whole(row["quantity"]),
            as_of=there.at,
        )
        for row in there.body
    ]
    if len(there.body) == ctx.config.page:
        return Page(items=items, cursor=f"{id_}:{there.body[-1]['id']}", more=True)
    return Page(items=items, cursor=f"{id_ + 1}:0", more=any(other > id_ for other, _, _ in places))


async def products_of(ctx: Ctx, codes: Sequence[str]) -> dict[str, Any]:
    """Return products by their codes."""
    fields = ["code", "template.default_uom"]
    found: dict[str, Any] = {}
    wanted = sorted(set(codes))
    for n in range(0, len(wanted), CODES):
        domain = [["code", "in", wanted[n : n + CODES]]]
        found |= {row["code"]: row for row in await search(ctx, "product.product", domain, fields)}
    return found


async def warehouses(ctx: Ctx) -> dict[str, Any]:
    """Return the warehouses by their codes; one without a code has its id for one."""
    fields = ["code", "name", "storage_location.id", "picking_location.id", "output_location.id"]
    rows = await search(ctx, "stock.location", [["type", "=", "warehouse"]], fields)
    return {row["code"] or str(row["id"]): row for row in rows}


def named(ctx: Ctx) -> dict[str, str]:
    """Return the codes of warehouses by our locations, as far as they are set."""
    pairs = (pair.partition("=") for pair in ctx.config.warehouses.split(",") if pair.strip())
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs if theirs.strip()}


def line_of(product: Mapping[str, Any], quantity: int, price: int, currency: str, name: str = "") -> dict[str, Any]:
    """Return a line of a sale."""
    line = {
        "type": "line",
        "product": product["id"],
        "unit": product["template"]["default_uom"],
        "quantity": quantity,
        "unit_price": major(price, currency),
    }
    return {**line, "description": name} if name else line
