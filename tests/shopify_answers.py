"""How the Shopify shop of the tests answers each field, and does each change, that Shopify's schema has and the connector uses."""

# ruff: noqa: N802, N803, A002 -- fields and arguments are called as the schema calls them

import base64
import json
import re
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, GraphQLResolveInfo
from tests.shopify_state import (
    Fulfillment,
    Line,
    Order,
    Picture,
    Product,
    Refund,
    Transaction,
    Variant,
    Work,
    gid,
)

if TYPE_CHECKING:
    from tests.shopify_shop import Shop

DOMAIN = "loja.myshopify.com"


def resolve(source: Any, info: GraphQLResolveInfo, **arguments: Any) -> Any:
    """Answer a field. What nobody wrote an answer for is a fault of this shop, not null."""
    if isinstance(source, Root):
        return getattr(source, info.field_name)(info, **arguments)
    value = source[info.field_name]
    return value(**arguments) if callable(value) else value


def money(amount: Decimal, currency: str) -> dict[str, Any]:
    said = {"amount": str(amount), "currencyCode": currency}
    return {"shopMoney": said, "presentmentMoney": said}


def listed(items: Iterable[Any], make: Callable[[Any], Any], most: int = 250) -> Callable[..., Any]:
    """A connection over items, by their place."""
    items = [*items]

    def some(first: int = 0, after: str | None = None, **_: Any) -> dict[str, Any]:
        assert 0 < first <= most, f"first: {first}"
        start = int(base64.b64decode(after).decode()) if after else 0
        end = min(len(items), start + first)
        cursor = base64.b64encode(str(end).encode()).decode()
        info = {"hasNextPage": end < len(items), "endCursor": cursor if end > start else None}
        return {"nodes": [make(each) for each in items[start:end]], "pageInfo": info}

    return some


def plain(items: Iterable[Any], make: Callable[[Any], Any]) -> Callable[..., Any]:
    """A list that takes `first`."""
    items = [*items]
    return lambda first=None, **_: [make(each) for each in items[:first]]


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Root:
    """Queries and changes."""

    def __init__(self, shop: "Shop") -> None:
        self._shop = shop

    # --- queries ---

    def shop(self, _info: Any) -> Any:
        shop = self._shop
        return {
            "name": "Loja",
            "myshopifyDomain": DOMAIN,
            "currencyCode": shop.currency,
            "ianaTimezone": "America/Sao_Paulo",
        }

    def currentAppInstallation(self, _info: Any) -> Any:
        return {"accessScopes": [{"handle": scope} for scope in self._shop.scopes]}

    def locations(self, _info: Any, first: int, **_: Any) -> Any:
        return listed(self._shop.locations, self._location)(first)

    def location(self, _info: Any, id: str) -> Any:
        place = number(id, "Location")
        return self._location(place) if place in self._shop.locations else None

    def _location(self, id_: int) -> dict[str, Any]:
        return {
            "id": gid("Location", id_),
            "legacyResourceId": str(id_),
            "name": self._shop.locations[id_],
            "inventoryLevels": listed(
                [v for v in self._shop.variants.values() if id_ in v.available], lambda v: self._level(v, id_)
            ),
        }

    def orders(self, _info: Any, first: int, query: str, sortKey: str, after: str | None = None, **_: Any) -> Any:
        by = {"UPDATED_AT": "updated", "CREATED_AT": "created"}[sortKey]
        found = [order for order in self._shop.orders.values() if matches(order, query)]
        found.sort(key=lambda order: (getattr(order, by), order.id))
        return self._page(found, lambda o: (getattr(o, by), o.id), self.an_order, first, after)

    def products(self, _info: Any, first: int, query: str, sortKey: str, after: str | None = None, **_: Any) -> Any:
        assert sortKey == "UPDATED_AT"
        found = sorted((p for p in self._shop.products.values() if matches(p, query)), key=lambda p: (p.updated, p.id))
        return self._page(found, lambda p: (p.updated, p.id), self._product, first, after)

    @staticmethod
    def _page(found: list[Any], key: Callable[[Any], Any], make: Any, first: int, after: str | None) -> Any:
        """A page after a cursor that holds the place in the order, so that changes before it do not shift it."""
        assert 0 < first <= 250
        if after:
            at, id_ = json.loads(base64.b64decode(after))
            found = [each for each in found if key(each) > (datetime.fromisoformat(at), id_)]
        page = found[:first]
        cursor = None
        if page:
            at, id_ = key(page[-1])
            cursor = base64.b64encode(json.dumps([at.isoformat(), id_]).encode()).decode()
        return {
            "nodes": [make(each) for each in page],
            "pageInfo": {"hasNextPage": len(found) > first, "endCursor": cursor},
        }

    def productVariants(self, _info: Any, first: int, query: str, after: str | None = None, **_: Any) -> Any:
        term = r'sku:"((?:[^"\\]|\\.)*)"'
        assert re.fullmatch(f"{term}( OR {term})*", query), query
        skus = {re.sub(r"\\(.)", r"\1", each).lower() for each in re.findall(term, query)}
        # As Shopify's: by words, so it finds more than the very same.
        words = {word for sku in skus for word in re.split(r"\W+", sku) if word}
        found = [v for v in self._shop.variants.values() if words & set(re.split(r"\W+", v.sku.lower()))]
        return listed(found, self._variant)(first, after)

    def product(self, _info: Any, id: str) -> Any:
        found = self._shop.products.get(number(id, "Product"))
        return self._product(found) if found else None

    def productByIdentifier(self, _info: Any, identifier: dict[str, Any]) -> Any:
        found = [p for p in self._shop.products.values() if p.handle == identifier["handle"]]
        return self._product(found[0]) if found else None

    def order(self, _info: Any, id: str) -> Any:
        found = self._shop.orders.get(number(id, "Order"))
        return self.an_order(found) if found else None

    def nodes(self, _info: Any, ids: list[str]) -> Any:
        found = [self._shop.orders.get(number(id_, "Order")) for id_ in ids]
        return [{"__typename": "Order", **self.an_order(each)} if each else None for each in found]

    def refund(self, _info: Any, id: str) -> Any:
        pairs = ((o, r) for o in self._shop.orders.values() for r in o.refunds)
        return next((self._refund(o, r) for o, r in pairs if gid("Refund", r.id) == id), None)

    def fulfillment(self, _info: Any, id: str) -> Any:
        pairs = ((o, f) for o in self._shop.orders.values() for f in o.fulfillments)
        return next((self._fulfillment(o, f) for o, f in pairs if gid("Fulfillment", f.id) == id), None)

    def fulfillmentOrder(self, _info: Any, id: str) -> Any:
        pairs = ((o, w) for o in self._shop.orders.values() for w in o.works)
        return next((self._work(o, w) for o, w in pairs if gid("FulfillmentOrder", w.id) == id), None)

    def job(self, _info: Any, id: str) -> Any:
        order = next(o for o in self._shop.orders.values() if o.job and gid("Job", o.job) == id)
        return {"id": id, "done": order.cancelling is None}

    def _product(self, product: Product) -> dict[str, Any]:
        return {
            "id": gid("Product", product.id),
            "legacyResourceId": str(product.id),
            "handle": product.handle,
            "title": product.title,
            "descriptionHtml": product.html,
            "vendor": product.vendor,
            "productType": product.kind,
            "category": {"fullName": product.taxon} if product.taxon else None,
            "status": product.status,
            "updatedAt": iso(product.updated),
            "variantsCount": {"count": len(product.variants)},
            "tags": sorted(product.tags),
            "metafield": lambda namespace, key: (
                {"value": product.metafields[namespace, key]} if (namespace, key) in product.metafields else None
            ),
            "variants": listed(product.variants, self._variant),
            "media": listed(product.pictures, self._picture),
        }

    @staticmethod
    def _picture(picture: Picture) -> dict[str, Any]:
        return {
            "__typename": "MediaImage",
            "id": gid("MediaImage", picture.id),
            "status": picture.status,
            "alt": picture.alt,
            "image": {"url": picture.url},
        }

    def _variant(self, variant: Variant) -> dict[str, Any]:
        return {
            "id": gid("ProductVariant", variant.id),
            "legacyResourceId": str(variant.id),
            "sku": variant.sku,
            "barcode": variant.barcode or None,
            "price": str(variant.price),
            "title": " / ".join(value for _, value in variant.options),
            "selectedOptions": [{"name": name, "value": value} for name, value in variant.options],
            "product": lambda: self._product(variant.product),
            "inventoryItem": lambda: self._item(variant),
        }

    def _item(self, variant: Variant) -> dict[str, Any]:
        return {
            "id": gid("InventoryItem", variant.id),
            "sku": variant.sku,
            "tracked": variant.tracked,
            "measurement": {
                "weight": {"value": variant.weight[0], "unit": variant.weight[1]} if variant.weight else None
            },
            "duplicateSkuCount": sum(v.sku == variant.sku for v in self._shop.variants.values()) - 1,
            "inventoryLevel": lambda locationId, **_: self._level(variant, number(locationId, "Location")),
        }

    def _level(self, variant: Variant, place: int) -> Any:
        if place not in variant.available:
            return None
        known = {"available": variant.available, "committed": variant.committed, "on_hand": variant.on_hand}
        at = iso(self._shop.now)
        return {
            "updatedAt": at,
            "item": lambda: self._item(variant),
            "quantities": lambda names: [{"name": n, "quantity": known[n][place], "updatedAt": at} for n in names],
        }

    def an_order(self, order: Order) -> dict[str, Any]:
        in_ = lambda amount: money(amount, order.currency)  # noqa: E731
        return {
            "id": gid("Order", order.id),
            "legacyResourceId": str(order.id),
            "name": order.name,
            "createdAt": iso(order.created),
            "updatedAt": iso(order.updated),
            "cancelledAt": iso(order.cancelled) if order.cancelled else None,
            "cancellation": {"staffNote": order.note or None} if order.cancelled else None,
            "edited": order.edited,
            "test": order.test,
            "sourceName": order.source,
            "currencyCode": order.currency,
            "presentmentCurrencyCode": order.presentment,
            "taxesIncluded": order.taxes_included,
            "displayFinancialStatus": order.financial,
            "displayFulfillmentStatus": order.fulfillment,
            "email": order.email,
            "phone": None,
            "paymentGatewayNames": sorted({t.gateway for t in order.transactions}),
            "totalPriceSet": in_(order.total),
            "currentTotalPriceSet": in_(order.current),
            "totalOutstandingSet": in_(max(Decimal(0), order.total - order.paid)),
            "totalTipReceivedSet": in_(order.tip),
            "originalTotalDutiesSet": None,
            "originalTotalAdditionalFeesSet": None,
            "note": order.buyer_note or None,
            "customAttributes": [{"key": key, "value": value} for key, value in order.attributes.items()],
            "localizedFields": listed(order.fields.items(), lambda f: {"key": f[0], "value": f[1]}),
            "shippingAddress": {**order.address} if order.address else None,
            "billingAddress": {**order.address} if order.address else None,
            "shippingLines": listed(
                [order], lambda o: {"code": "standard", "title": "Standard", "discountedPriceSet": in_(o.shipping),
                                    "taxLines": [{"priceSet": in_(o.shipping_tax)}] if o.shipping_tax else []}
            ),
            "lineItems": listed(order.lines, lambda line: self._line(order, line)),
            "transactions": plain(order.transactions, lambda t: self._transaction(order, t)),
            "transactionsCount": {"count": len(order.transactions)},
            "refunds": plain(order.refunds, lambda r: self._refund(order, r)),
            "fulfillments": plain(order.fulfillments, lambda f: self._fulfillment(order, f)),
            "fulfillmentsCount": {"count": len(order.fulfillments)},
            "fulfillmentOrders": listed(order.works, lambda work: self._work(order, work)),
        }  # fmt: skip

    def _line(self, order: Order, line: Line) -> dict[str, Any]:
        in_ = lambda amount: money(amount, order.currency)  # noqa: E731
        return {
            "id": gid("LineItem", line.id),
            "sku": line.variant.sku,
            "name": line.variant.product.title,
            "quantity": line.quantity,
            "currentQuantity": line.quantity - line.removed,
            "isGiftCard": line.gift_card,
            "requiresShipping": not line.gift_card,
            "variant": lambda: self._variant(line.variant),
            "originalUnitPriceSet": in_(line.unit),
            "discountAllocations": [{"allocatedAmountSet": in_(line.discount)}] if line.discount else [],
            "taxLines": lambda first=None: [{"priceSet": in_(line.tax)}] if line.tax else [],
            "customAttributes": [{"key": key, "value": value} for key, value in line.attributes.items()],
        }

    def _transaction(self, order: Order, said: Transaction) -> dict[str, Any]:
        return {
            "id": gid("OrderTransaction", said.id),
            "kind": said.kind,
            "status": said.status,
            "gateway": said.gateway,
            "processedAt": iso(said.at),
            "authorizationExpiresAt": iso(said.expires) if said.expires else None,
            "amountSet": money(said.amount, order.currency),
            "parentTransaction": {"id": gid("OrderTransaction", said.parent)} if said.parent else None,
        }

    def _refund(self, order: Order, said: Refund) -> dict[str, Any]:
        return {
            "id": gid("Refund", said.id),
            "note": said.note,
            "refundLineItems": listed(
                said.lines,
                lambda row: {
                    "quantity": row[1], "restockType": said.restock, "lineItem": self._line(order, row[0])
                },
            ),
        }  # fmt: skip

    def _fulfillment(self, order: Order, said: Fulfillment) -> dict[str, Any]:
        info = {"number": said.tracking or None, "company": said.company or None}
        return {
            "id": gid("Fulfillment", said.id),
            "status": said.status,
            "createdAt": iso(said.at),
            "trackingInfo": lambda first=None: [info] if said.tracking or said.company else [],
            "fulfillmentLineItems": listed(
                said.lines, lambda row: {"quantity": row[1], "lineItem": self._line(order, row[0])}
            ),
        }

    def _work(self, order: Order, work: Work) -> dict[str, Any]:
        actions = ["CREATE_FULFILLMENT", "MOVE"] if work.status in {"OPEN", "IN_PROGRESS"} else []
        return {
            "id": gid("FulfillmentOrder", work.id),
            "status": work.status,
            "requestStatus": "UNSUBMITTED",
            "supportedActions": [{"action": action} for action in actions],
            "deliveryMethod": {"methodType": work.method},
            "assignedLocation": {"location": self._location(work.location)},
            "lineItems": listed(
                work.lines,
                lambda row: {
                    "id": gid("FulfillmentOrderLineItem", row[0]),
                    "remainingQuantity": row[2],
                    "sku": row[1].variant.sku,
                    "lineItem": self._line(order, row[1]),
                },
            ),
        }

    # --- changes ---

    def inventorySetQuantities(self, info: Any, input: dict[str, Any]) -> Any:
        return self._shop.once(info, input, lambda: self._set(input))

    def _set(self, asked: dict[str, Any]) -> Any:
        """Set all or none."""
        shop = self._shop
        if shop.before_set:
            shop.before_set()
        errors = [] if asked["name"] == "available" else [user_error("name", "INVALID_NAME", "input", "name")]
        for n, row in enumerate(asked["quantities"]):
            code = self._unsettable(row, asked["quantities"][:n])
            if code:
                errors.append(user_error(code.lower(), code, "input", "quantities", str(n), "quantity"))
        if errors:
            return {"inventoryAdjustmentGroup": None, "userErrors": errors}
        for row in asked["quantities"]:
            variant = shop.variants[number(row["inventoryItemId"], "InventoryItem")]
            place = number(row["locationId"], "Location")
            shop.sets.append((variant.id, place, row["changeFromQuantity"], row["quantity"]))
            variant.on_hand[place] += row["quantity"] - variant.available[place]
            variant.available[place] = row["quantity"]
        return {"inventoryAdjustmentGroup": {"id": gid("InventoryAdjustmentGroup", shop.next_id())}, "userErrors": []}

    def _unsettable(self, row: dict[str, Any], before: list[dict[str, Any]]) -> str:
        """Why a quantity is not set; empty where it is."""
        shop, place = self._shop, number(row["locationId"], "Location")
        variant = shop.variants.get(number(row["inventoryItemId"], "InventoryItem"))
        if "changeFromQuantity" not in row:
            raise GraphQLError("changeFromQuantity must be given", extensions={"code": "INVALID_VARIABLE"})
        if variant is None or place not in variant.available:
            return "INVALID_INVENTORY_ITEM"
        if variant.sku in shop.refuses:
            return "INVALID_QUANTITY_TOO_HIGH"
        if row["changeFromQuantity"] not in {None, variant.available[place]}:
            return "CHANGE_FROM_QUANTITY_STALE"
        twice = any(row["inventoryItemId"] == other["inventoryItemId"] for other in before)
        return "NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR" if twice else ""

    def productVariantsBulkUpdate(
        self,
        _info: Any,
        productId: str,
        variants: list[Any],
        allowPartialUpdates: bool,
    ) -> Any:
        shop, errors, done = self._shop, [], []
        product = shop.products.get(number(productId, "Product"))
        for n, row in enumerate(variants):
            variant = shop.variants.get(number(row["id"], "ProductVariant"))
            at = ["variants", str(n)]
            if product is None or variant not in product.variants:
                errors.append(user_error("not of it", "MUST_BE_FOR_THIS_PRODUCT", *at, "id"))
            elif variant is not None and (variant.sku in shop.refuses or Decimal(row.get("price", 0)) < 0):
                errors.append(user_error("must be more", "GREATER_THAN_OR_EQUAL_TO", *at, "price"))
            elif variant is not None:
                variant.price = Decimal(row.get("price", variant.price))
                variant.barcode = row.get("barcode", variant.barcode)
                variant.product.updated = shop.tick()
                done.append(variant)
        assert allowPartialUpdates
        return {"productVariants": [self._variant(v) for v in done], "userErrors": errors}

    def priceListFixedPricesAdd(self, _info: Any, priceListId: str, prices: list[Any]) -> Any:
        shop, errors = self._shop, []
        for n, row in enumerate(prices):
            if number(row["variantId"], "ProductVariant") not in shop.variants:
                errors.append(user_error("none", "VARIANT_NOT_FOUND", "prices", str(n), "variantId"))
        if errors:
            return {"prices": [], "userErrors": errors}
        for row in prices:
            variant = shop.variants[number(row["variantId"], "ProductVariant")]
            variant.fixed[f"{priceListId}:{row['price']['currencyCode']}"] = Decimal(row["price"]["amount"])
        done = [{"variant": self._variant(shop.variants[number(r["variantId"], "ProductVariant")])} for r in prices]
        return {"prices": done, "userErrors": []}

    def productSet(
        self,
        _info: Any,
        identifier: dict[str, Any],
        input: dict[str, Any],
        synchronous: bool,
    ) -> Any:
        assert synchronous
        shop = self._shop
        found = next((p for p in shop.products.values() if p.handle == identifier["handle"]), None)
        (row,) = input["variants"]
        if row["sku"] in shop.refuses:
            error = user_error("no", "INVALID_VARIANT", "input", "variants", "0")
            return {"product": None, "userErrors": [error]}
        if found is None:
            variant = shop.list(row["sku"], row["price"], barcode=row.get("barcode") or "")
            found = variant.product
            found.handle = input["handle"]
        if no := self._unwritable([each["originalSource"] for each in input.get("files", ())]):
            return {"product": None, "userErrors": [user_error(no, "INVALID_INPUT", "input", "files", "0")]}
        write(found, input)
        found.pictures = [shop.picture(each["originalSource"], each.get("alt")) for each in input.get("files", ())]
        for other in [v for v in found.variants if v.sku != row["sku"]]:  # what is not named is removed
            found.variants.remove(other)
            del shop.variants[other.id]
        found.variants[0].price = Decimal(row["price"])
        return {"product": self._product(found), "userErrors": []}

    def productUpdate(self, _info: Any, product: dict[str, Any], media: list[dict[str, Any]] | None = None) -> Any:
        found = self._shop.products[number(product["id"], "Product")]
        urls = [each["originalSource"] for each in media or ()]
        if no := self._unwritable(urls):
            return {"product": None, "userErrors": [{"message": no, "field": ["media", "0", "originalSource"]}]}
        write(found, product)
        found.pictures += [self._shop.picture(each["originalSource"], each.get("alt")) for each in media or ()]
        found.updated = self._shop.tick()
        return {"product": self._product(found), "userErrors": []}

    def fileUpdate(self, _info: Any, files: list[dict[str, Any]]) -> Any:
        """All or none."""
        shop, errors, done = self._shop, [], []
        shop.need_scope("fileUpdate", "write_files", "write_themes")
        wrong = {
            "FAILED": ("INVALID_FAILED_MEDIA_STATE", "File cannot be updated in a failed state."),
            "PROCESSING": ("NON_READY_STATE", "Non-ready files cannot be updated."),
        }
        for n, row in enumerate(files):
            assert set(row) == {"id", "referencesToRemove"}
            found = shop.pictures.get(number(row["id"], "MediaImage"))
            if found is None:
                errors.append(user_error("File does not exist.", "FILE_DOES_NOT_EXIST", "files", str(n), "id"))
            elif found.status in wrong:
                code, says = wrong[found.status]
                errors.append(user_error(says, code, "files", str(n), "id"))
            else:
                done += [(found, number(each, "Product")) for each in row["referencesToRemove"]]
        if errors:
            return {"files": [], "userErrors": errors}
        for picture, product in done:
            shop.products[product].pictures.remove(picture)
        return {"files": [self._picture(picture) for picture, _ in done], "userErrors": []}

    def fileDelete(self, _info: Any, fileIds: list[str]) -> Any:
        shop = self._shop
        shop.need_scope("fileDelete", "write_files", "write_themes")
        lost = [n for n, id_ in enumerate(fileIds) if number(id_, "MediaImage") not in shop.pictures]
        if lost:
            says = "File does not exist."
            errors = [user_error(says, "FILE_DOES_NOT_EXIST", "fileIds", str(n)) for n in lost]
            return {"deletedFileIds": [], "userErrors": errors}
        for id_ in fileIds:
            picture = shop.pictures.pop(number(id_, "MediaImage"))
            for product in shop.products.values():
                product.pictures = [each for each in product.pictures if each is not picture]
        return {"deletedFileIds": fileIds, "userErrors": []}

    @staticmethod
    def _unwritable(urls: list[str]) -> str:
        return "" if all(url.startswith("https://") for url in urls) else "Image URL is invalid"

    def fulfillmentCreate(self, _info: Any, fulfillment: dict[str, Any]) -> Any:
        shop = self._shop
        asked = fulfillment["lineItemsByFulfillmentOrder"]
        ids = [number(each["fulfillmentOrderId"], "FulfillmentOrder") for each in asked]
        pairs = [(o, w) for o in shop.orders.values() for w in o.works if w.id in ids]
        rows: list[tuple[Any, int]] = []
        for each in asked:
            work = next(w for _, w in pairs if gid("FulfillmentOrder", w.id) == each["fulfillmentOrderId"])
            for wish in each["fulfillmentOrderLineItems"]:
                row = next(r for r in work.lines if gid("FulfillmentOrderLineItem", r[0]) == wish["id"])
                rows.append((row, wish["quantity"]))
        no = ""
        if len({o.id for o, _ in pairs}) != 1 or len({w.location for _, w in pairs}) != 1:
            no = "Fulfillment orders are of several orders or assigned to different locations."
        elif any(work.status not in {"OPEN", "IN_PROGRESS"} for _, work in pairs):
            no = "Fulfillment order has an unfulfillable status."
        elif any(not 0 < units <= row[2] for row, units in rows):
            no = "Invalid fulfillment order line item quantity requested."
        if no:
            return {"fulfillment": None, "userErrors": [{"message": no, "field": ["fulfillment"]}]}
        order, place = pairs[0][0], pairs[0][1].location
        info = fulfillment.get("trackingInfo") or {}
        for row, units in rows:
            row[2] -= units
            row[1].variant.committed[place] -= units
            row[1].variant.on_hand[place] -= units
        for _, work in pairs:
            shop._close(work)
        made = Fulfillment(
            shop.next_id(), [(row[1], units) for row, units in rows], place, info.get("number", ""),
            info.get("company", ""), shop.tick(), bool(fulfillment.get("notifyCustomer")),
        )  # fmt: skip
        order.fulfillments.append(made)
        shop.touch(order, shop.now)
        return {"fulfillment": self._fulfillment(order, made), "userErrors": []}

    def fulfillmentOrderMove(
        self,
        _info: Any,
        id: str,
        newLocationId: str,
        fulfillmentOrderLineItems: list[Any],
    ) -> Any:
        shop, target = self._shop, number(newLocationId, "Location")
        order, work = next((o, w) for o in shop.orders.values() for w in o.works if gid("FulfillmentOrder", w.id) == id)
        rows = [
            (next(r for r in work.lines if gid("FulfillmentOrderLineItem", r[0]) == wish["id"]), wish["quantity"])
            for wish in fulfillmentOrderLineItems
        ]
        if any(target not in row[1].variant.available for row, _ in rows):
            error = {"code": None, "message": "The destination does not stock the item.", "field": ["newLocationId"]}
            return {"movedFulfillmentOrder": None, "userErrors": [error]}
        moved = Work(shop.next_id(), target, [])
        for row, units in rows:
            assert 0 < units <= row[2]
            variant = row[1].variant
            shop._commit(variant, work.location, -units)
            shop._commit(variant, target, units)
            row[2] -= units
            row[3] -= units
            moved.lines.append([shop.next_id(), row[1], units, units])
        work.lines = [row for row in work.lines if row[3]]
        order.works.append(moved)
        shop._close(work)
        shop.touch(order)
        return {"movedFulfillmentOrder": self._work(order, moved), "userErrors": []}

    def orderCancel(
        self, _info: Any, orderId: str, reason: str, restock: bool, staffNote: str,
        notifyCustomer: bool, refundMethod: dict[str, Any],
    ) -> Any:  # fmt: skip
        shop = self._shop
        order = shop.orders.get(number(orderId, "Order"))
        no = ""
        if order is None:
            no = "Order does not exist"
        elif order.cancelled:
            no = "Cannot cancel an order that has already been canceled"
        elif order.cancelling is not None:
            no = "Order is being cancelled"
        elif order.fulfillments:
            no = "Cannot cancel an order with fulfillments"
        if no or order is None:
            code = "NOT_FOUND" if order is None else "INVALID"
            return {"job": None, "orderCancelUserErrors": [{"code": code, "message": no, "field": ["orderId"]}]}
        assert restock
        assert refundMethod == {"originalPaymentMethodsRefund": False}
        order.job = shop.next_id()
        order.cancelling, order.pending_note = time.monotonic() + shop.job_s, staffNote
        shop.cancels.append(order.id)
        return {"job": {"id": gid("Job", order.job), "done": False}, "orderCancelUserErrors": []}

    def refundCreate(self, info: Any, input: dict[str, Any]) -> Any:
        return self._shop.once(info, input, lambda: self._pay_back(input))

    def _pay_back(self, asked: dict[str, Any]) -> Any:
        shop = self._shop
        order = shop.orders[number(asked["orderId"], "Order")]
        lines: list[tuple[Line, int]] = []
        restock = "CANCEL"
        for row in asked.get("refundLineItems") or ():
            line = next(each for each in order.lines if gid("LineItem", each.id) == row["lineItemId"])
            restock = row["restockType"]
            open_ = sum(r[2] for work in order.works for r in work.lines if r[1] is line)
            gone = sum(n for f in order.fulfillments for sent, n in f.lines if sent is line) - line.returned
            most = {"CANCEL": open_, "RETURN": gone, "NO_RESTOCK": open_ + gone}[restock]
            if not 0 < row["quantity"] <= most:
                return _no_refund("Quantity cannot refund more items than were purchased", "refundLineItems")
            lines.append((line, row["quantity"]))
        amounts: list[tuple[Transaction, Decimal]] = []
        for row in asked.get("transactions") or ():
            parent = next(t for t in order.transactions if gid("OrderTransaction", t.id) == row["parentId"])
            back = sum((t.amount for t in order.done if t.parent == parent.id and t.kind == "REFUND"), Decimal(0))
            if row["kind"] != "REFUND" or parent.kind not in {"SALE", "CAPTURE"} or row["gateway"] != parent.gateway:
                return _no_refund("Transaction is invalid", "transactions")
            if Decimal(row["amount"]) > parent.amount - back:
                return _no_refund("Refund amount exceeds the available amount", "transactions")
            amounts.append((parent, Decimal(row["amount"])))
        for line, units in lines:
            line.removed += units
            line.refunded += units
            shop._unsell(order, line, units, restock)
        for parent, amount in amounts:
            order.transactions.append(
                Transaction(shop.next_id(), "REFUND", amount, parent=parent.id, gateway=parent.gateway, at=shop.now)
            )
        back = sum((a for _, a in amounts), Decimal(0))
        made = Refund(shop.next_id(), asked.get("note") or "", lines, back, restock)
        order.refunds.append(made)
        shop.touch(order)
        return {"refund": self._refund(order, made), "userErrors": []}


def write(product: Product, said: dict[str, Any]) -> None:
    """Write what is said of a product; what is not stays."""
    names = {"title": "title", "status": "status", "descriptionHtml": "html", "vendor": "vendor", "productType": "kind"}
    for there, here in names.items():
        if there in said:
            setattr(product, here, said[there])
    if "tags" in said:
        product.tags = [*said["tags"]]
    for each in said.get("metafields", ()):
        json.loads(each["value"])
        product.metafields[each["namespace"], each["key"]] = each["value"]


def user_error(message: str, code: str, *at: str) -> dict[str, Any]:
    return {"message": message, "code": code, "field": [*at]}


def _no_refund(message: str, at: str) -> Any:
    return {"refund": None, "userErrors": [{"message": message, "field": [at]}]}


def number(name: str, kind: str) -> int:
    """The number in a global name of a kind; another is refused as Shopify refuses it."""
    found = re.fullmatch(rf"gid://shopify/{kind}/(\d+)", name)
    if found is None:
        raise GraphQLError(f"Invalid global id '{name}'", extensions={"code": "argumentLiteralsIncompatible"})
    return int(found[1])


def matches(thing: Any, query: str) -> bool:
    """Whether a thing fits a search. Terms that this shop does not know fail."""
    for term in query.split(" "):
        found = re.fullmatch(r"(updated_at|created_at):(>=|<)'([^']+)'", term)
        assert found, term
        value = getattr(thing, found[1].removesuffix("_at"))
        limit = datetime.fromisoformat(found[3])
        if not (value >= limit if found[2] == ">=" else value < limit):
            return False
    return True
