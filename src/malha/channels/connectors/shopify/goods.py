"""Products, stock and prices: what a shop sells, how much of it, for how much.

Listings are named by their SKU there. Shopify lets several variants have one SKU; which of them is meant nobody can
know, so nothing is said of such a one.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import msgspec

from malha.channels.connectors.reading_html import text_of
from malha.channels.connectors.refusing import unknown
from malha.channels.connectors.shopify.asking import ask, quoted, refused, spot
from malha.channels.connectors.shopify.config import gid
from malha.channels.connectors.shopify.money import decimal, minor
from malha.channels.connectors.shopify.orders import instant
from malha.channels.connectors.shopify.reading import Cursor, page, rest
from malha.channels.contract import (
    Ctx,
    ExtProduct,
    ExtStock,
    Invalid,
    Ok,
    Page,
    PricePush,
    Rejected,
    Result,
    StockUpdate,
    Unknown,
)

AT_ONCE = 25  # SKUs of one search
PRODUCTS = 5
LEVELS = 100
ROUNDS = 4  # how often a quantity that changed meanwhile is looked at again
STALE = frozenset({"CHANGE_FROM_QUANTITY_STALE", "COMPARE_QUANTITY_STALE"})
NOT_YET = frozenset({"IDEMPOTENCY_CONCURRENT_REQUEST"})
FIELDS = frozenset(
    {
        "name", "description", "brand", "category", "options", "pictures", "variant_name", "gtin", "weight", "price",
    }
)  # fmt: skip
GRAMS = {
    "GRAMS": Decimal(1), "KILOGRAMS": Decimal(1000), "OUNCES": Decimal("28.349523125"), "POUNDS": Decimal("453.59237"),
}  # fmt: skip
LONGEST_CODE = 64
ONLY = "Default Title"  # the variant of a product that has no options
NOTHING: Mapping[str, Any] = MappingProxyType({})


# --- products ---


async def pull_products(ctx: Ctx, text: str | None) -> Page[ExtProduct]:
    """Return the variants of the products that changed after a cursor."""
    cursor = Cursor.of(text, None)
    found = await page(ctx, "pull_products", "products", cursor, PRODUCTS)
    changed = {str(row["legacyResourceId"]): instant(row["updatedAt"]) for row in found["nodes"]}
    versions = {id_: int(at.timestamp()) * 1_000_000 for id_, at in changed.items()}
    fresh = cursor.fresh(versions)
    items: list[ExtProduct] = []
    for row in found["nodes"]:
        id_ = str(row["legacyResourceId"])
        if id_ not in fresh:
            continue
        variants = await rest(ctx, "more_variants", ("product", "variants"), row["id"], row["variants"])
        media = await rest(ctx, "more_pictures", ("product", "media"), row["id"], row["media"])
        pictures = [str(each["image"]["url"]) for each in media if each.get("image")]
        items += [_product(ctx, row, each, versions[id_], pictures) for each in variants]
    after = cursor.passed(versions, max(changed.values(), default=None), found["pageInfo"])
    return Page(items=items, cursor=after.text(), more=bool(found["pageInfo"]["hasNextPage"]))


def _product(
    ctx: Ctx, product: Mapping[str, Any], row: Mapping[str, Any], version: int, pictures: Sequence[str]
) -> ExtProduct:
    chosen = {str(each["name"]): str(each["value"]) for each in row["selectedOptions"] if each["value"] != ONLY}
    options = list(chosen.values())
    category = product["category"]
    return ExtProduct(
        id=str(row["legacyResourceId"]),
        sku=str(row["sku"] or ""),
        gtin=str(row["barcode"] or ""),
        name=" - ".join([str(product["title"]), *([" / ".join(options)] if options else [])]),
        price=minor(row["price"], ctx.connection.currency),
        active=product["status"] == "ACTIVE",
        version=version,
        product=_code_of(product),
        product_name=str(product["title"]),
        description=text_of(str(product["descriptionHtml"] or "")),
        brand=str(product["vendor"] or ""),
        category=str((category["fullName"] if category else product["productType"]) or ""),
        options=chosen,
        pictures=pictures,
        weight_grams=_grams(row),
    )


def _code_of(product: Mapping[str, Any]) -> str:
    """Return how a product is called: by the end of its address, unless that is too long."""
    handle = str(product["handle"])
    return handle if 0 < len(handle) <= LONGEST_CODE else str(product["legacyResourceId"])


def _grams(row: Mapping[str, Any]) -> int | None:
    weight = ((row["inventoryItem"] or {}).get("measurement") or {}).get("weight")
    return round(Decimal(str(weight["value"])) * GRAMS[weight["unit"]]) if weight and weight["unit"] in GRAMS else None


# --- stock that is there ---


class _Place(msgspec.Struct, frozen=True):
    """Where reading stock is: at which location, and how far there."""

    n: int = 0
    after: str | None = None


async def pull_stock(ctx: Ctx, text: str | None) -> Page[ExtStock]:
    """Return what can be sold at the location that `set_stock` writes to, then at those whose stock is Shopify's own.

    What Shopify does not track has none; what bears a SKU that others bear as well cannot be told apart.

    Raises:
        Invalid: a location is gone: what is not told would be taken for nothing.
    """
    at = _Place() if text is None else msgspec.json.decode(text, type=_Place)
    places = [ctx.config.location, *(id_ for id_ in ctx.config.own_stock if id_ != ctx.config.location)]
    place = places[min(at.n, len(places) - 1)]
    asked_at = ctx.now()
    asked = {"id": gid("Location", place), "first": LEVELS, "after": at.after}
    location = (await ask(ctx, "pull_stock", asked))["location"]
    if location is None:
        raise Invalid(f"there is no location {place}", field="location")
    items = []
    for row in location["inventoryLevels"]["nodes"]:
        item, said = row["item"], {each["name"]: int(each["quantity"]) for each in row["quantities"]}
        if not item["tracked"] or not item["sku"] or item["duplicateSkuCount"]:
            continue
        items.append(
            ExtStock(
                sku=str(item["sku"]),
                quantity=said["available"],
                on_hand=said["on_hand"],
                as_of=asked_at,
                location=place,
                version=int(instant(row["updatedAt"]).timestamp()) * 1_000_000,
            )
        )
    info = location["inventoryLevels"]["pageInfo"]
    after = _Place(at.n, info["endCursor"]) if info["hasNextPage"] else _Place(at.n + 1)
    return Page(items=items, cursor=msgspec.json.encode(after).decode(), more=after.n < len(places))


# --- prices ---


async def set_prices(ctx: Ctx, items: Sequence[PricePush]) -> Sequence[Result]:
    """Write prices: in the shop's currency on the variants, in another on the price list that was named for it."""
    found = await variants_of(ctx, "find_variants", [item.code for item in items])
    results: dict[int, Result] = {}
    own: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    others: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for n, item in enumerate(items):
        rows = found.get(item.code, [])
        if len(rows) != 1:
            results[n] = ambiguous(item.code) if rows else unknown(item.code)
            continue
        amount = decimal(item.price, item.currency)
        if item.currency == ctx.connection.currency:
            own.setdefault(str(rows[0]["product"]["id"]), []).append((n, {"id": rows[0]["id"], "price": amount}))
        elif item.currency in ctx.config.price_lists:
            money = {"amount": amount, "currencyCode": item.currency}
            others.setdefault(item.currency, []).append((n, {"variantId": rows[0]["id"], "price": money}))
        else:
            results[n] = Rejected("no_price_list", f"no price list was named for {item.currency}", "currency")
    for product, wanted in own.items():
        asked = {"product": product, "variants": [row for _, row in wanted]}
        said = (await ask(ctx, "set_prices", asked))["productVariantsBulkUpdate"]
        results |= _each(wanted, said["userErrors"], "variants")
    for currency, wanted in others.items():
        results |= await _fixed(ctx, ctx.config.price_lists[currency], wanted)
    return [results[n] for n in range(len(items))]


async def _fixed(ctx: Ctx, price_list: str, wanted: list[tuple[int, dict[str, Any]]]) -> dict[int, Result]:
    """Write prices on a price list: all or none; those that are refused are left out, and the others said again."""
    list_ = price_list if price_list.startswith("gid:") else gid("PriceList", price_list)
    results: dict[int, Result] = {}
    while wanted:
        asked = {"list": list_, "prices": [row for _, row in wanted]}
        said = (await ask(ctx, "set_fixed_prices", asked))["priceListFixedPricesAdd"]
        done = _each(wanted, said["userErrors"], "prices")
        results |= done
        if not said["userErrors"]:
            break
        wanted = [(n, row) for n, row in wanted if not isinstance(done[n], Rejected)]
    return results


def _each(wanted: Sequence[tuple[int, Any]], errors: Sequence[Mapping[str, Any]], path: str) -> dict[int, Result]:
    """Return what became of each: an error that does not say which it is about is about all."""
    told = {n: Ok(str(row.get("id") or row.get("variantId") or "")) for n, row in wanted}
    results: dict[int, Result] = dict(told)
    for error in errors:
        at = spot(error, path)
        about = [n for n, _ in wanted] if at is None or at >= len(wanted) else [wanted[at][0]]
        results |= dict.fromkeys(about, refused([error]))
    return results


# --- stock ---


async def set_stock(ctx: Ctx, items: Sequence[StockUpdate]) -> Sequence[Result]:
    """Write quantities that may be sold at the location of the connection.

    Each says what it takes the place of. Where that changed since it was read, nothing is written and it is read again:
    so no sale between the two is written over unseen. What is there already is not written.
    """
    results: dict[int, Result] = {}
    open_ = list(enumerate(items))
    for _ in range(ROUNDS):
        if not open_:
            break
        levels = await _levels(ctx, [item.code for _, item in open_])
        wanted: list[tuple[int, dict[str, Any]]] = []
        for n, item in open_:
            level = levels.get(item.code, unknown(item.code))
            if isinstance(level, Rejected):
                results[n] = level
            elif level[1] == item.quantity:
                results[n] = Ok(level[0])
            else:
                wanted.append((n, _quantity(ctx, level, item.quantity)))
        left = await _write(ctx, wanted, results)
        open_ = [(n, items[n]) for n in left]
    results |= {n: Unknown("the quantity changes faster than it can be set") for n, _ in open_}
    return [results[n] for n in range(len(items))]


def _quantity(ctx: Ctx, level: tuple[str, int], quantity: int) -> dict[str, Any]:
    place = gid("Location", ctx.config.location)
    return {
        "inventoryItemId": level[0],
        "locationId": place,
        "quantity": quantity,
        "changeFromQuantity": level[1],
    }


async def _write(ctx: Ctx, wanted: list[tuple[int, dict[str, Any]]], results: dict[int, Result]) -> list[int]:
    """Write quantities, all or none; note what is done and refused, and return those to be read again."""
    again: list[int] = []
    while wanted:
        asked = {
            "input": {
                "name": "available",
                "reason": "correction",
                "referenceDocumentUri": f"gid://malha/Connection/{ctx.connection.code}",
                "quantities": [row for _, row in wanted],
            },
            # A new one each time: the same key again would have the former answer back, not the quantity there.
            "key": str(uuid4()),
        }
        errors = (await ask(ctx, "set_stock", asked))["inventorySetQuantities"]["userErrors"]
        if not errors:
            results |= {n: Ok(str(row["inventoryItemId"])) for n, row in wanted}
            return again
        bad: set[int] = set()
        for error in errors:
            at = spot(error, "quantities")
            about = [n for n, _ in wanted] if at is None or at >= len(wanted) else [wanted[at][0]]
            bad |= set(about)
            if error["code"] in STALE | NOT_YET:
                again += [n for n in about if n not in again]
            else:
                results |= dict.fromkeys(about, refused([error]))
        wanted = [(n, row) for n, row in wanted if n not in bad]
    return [n for n in again if n not in results]


async def _levels(ctx: Ctx, codes: Sequence[str]) -> dict[str, tuple[str, int] | Rejected]:
    """Return the inventory item and what may be sold of it, by SKU, or why nothing can be said of it."""
    found: dict[str, tuple[str, int] | Rejected] = {}
    rows = await variants_of(ctx, "find_stock", codes, {"location": gid("Location", ctx.config.location)})
    for code, variants in rows.items():
        item = variants[0]["inventoryItem"]
        quantities = (item["inventoryLevel"] or {}).get("quantities") or []
        # Several variants that share one item are one stock.
        if len({row["inventoryItem"]["id"] for row in variants}) > 1:
            found[code] = ambiguous(code)
        elif not item["tracked"]:
            found[code] = Rejected("not_tracked", "Shopify does not track its quantity: turn that on for it", "code")
        elif not quantities:
            found[code] = Rejected("not_stocked", "the location does not stock it: add it there in Shopify", "code")
        else:
            found[code] = (str(item["id"]), int(quantities[0]["quantity"]))
    return found


def ambiguous(code: str) -> Rejected:
    """Return why nothing can be said of a SKU that several variants have."""
    return Rejected("ambiguous_sku", f"several variants have the SKU {code}: give each its own in Shopify", "code")


async def variants_of(
    ctx: Ctx, operation: str, codes: Sequence[str], more: Mapping[str, Any] = NOTHING
) -> dict[str, list[Any]]:
    """Return variants by SKU. Shopify's search finds more than was asked for: only the very same are kept."""
    found: dict[str, list[Any]] = {}
    wanted = sorted(set(codes))
    for start in range(0, len(wanted), AT_ONCE):
        part = wanted[start : start + AT_ONCE]
        query = " OR ".join(f"sku:{quoted(code)}" for code in part)
        after: str | None = None
        while True:
            asked = {"first": 2 * AT_ONCE, "after": after, "query": query, **more}
            said = (await ask(ctx, operation, asked))["productVariants"]
            for row in said["nodes"]:
                if row["sku"] in part:
                    found.setdefault(str(row["sku"]), []).append(row)
            after = said["pageInfo"]["endCursor"]
            if not said["pageInfo"]["hasNextPage"]:
                break
    return found
