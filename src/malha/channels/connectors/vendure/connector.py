"""The connector as the contract wants it."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec

from malha.channels.connectors.vendure import listings, selling
from malha.channels.connectors.vendure.asking import ask, mark_of, variants, written
from malha.channels.connectors.vendure.config import BATCH, VendureConfig
from malha.channels.connectors.vendure.operations import (
    CANCEL,
    CHECK,
    FULFILL,
    FULFILLMENTS,
    LEVELS,
    MARKS,
    ONE_ORDER,
    ORDERS,
    REFUND,
    SUMS,
    TRANSITION,
)
from malha.channels.connectors.vendure.orders import given_back, order_of
from malha.channels.connectors.vendure.reading import advanced, changed_after, cursor_of, fresh_of, iso, more
from malha.channels.contract import (
    CancelPush,
    Capability,
    Ctx,
    DaySummary,
    ExtOrder,
    ExtProduct,
    ExtRef,
    ExtStock,
    Health,
    Invalid,
    Limits,
    ListingFields,
    Missing,
    Ok,
    Page,
    PricePush,
    ProductPush,
    RefundPush,
    Rejected,
    Result,
    Retryable,
    ShipmentPush,
    ShippedLine,
    StockUpdate,
    Tier,
)


class Vendure:
    """See the package."""

    key: ClassVar[str] = "vendure"
    name: ClassVar[str] = "Vendure"
    config_model: ClassVar[type[msgspec.Struct]] = VendureConfig
    secrets: ClassVar[Mapping[str, str]] = {"api_key": "API key of an administrator, from Settings > API keys"}
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.CATALOG_SOURCE,
            Capability.CATALOG_SINK,
            Capability.STOCK,
            Capability.STOCK_SOURCE,
            Capability.PRICES,
            Capability.ORDERS,
            Capability.SHIPMENTS,
            Capability.CANCELS,
            Capability.SUMMARIES,
        }
    )
    product_fields: ClassVar[frozenset[str]] = selling.FIELDS
    listing_fields: ClassVar[ListingFields] = listings.FIELDS
    limits: ClassVar[Limits] = Limits(rate=20.0, burst=40.0, in_flight=4, batch=BATCH)
    evidence: ClassVar[Tier] = Tier.A
    idempotent: ClassVar[bool] = False

    async def check(self, ctx: Ctx) -> Health:
        """Ask which channel the key opens, and whether the stock location is there."""
        found = await ask(ctx, CHECK, {}, "check")
        channel = found["activeChannel"]
        places = {str(each["id"]): str(each["name"]) for each in found["stockLocations"]["items"]}
        if ctx.config.stock_location and ctx.config.stock_location not in places:
            return Health(ok=False, says=f"There is no stock location {ctx.config.stock_location}.", facts=places)
        if channel["defaultCurrencyCode"] != ctx.connection.currency:
            says = f"The channel sells in {channel['defaultCurrencyCode']}, not in {ctx.connection.currency}."
            return Health(ok=False, says=says)
        return Health(ok=True, says=str(channel["code"]), facts=places)

    # --- products ---

    async def pull_products(self, ctx: Ctx, cursor: str | None) -> Page[ExtProduct]:
        """Return the variants that changed after a cursor, in what way ever; see `selling`."""
        return await selling.pull_products(ctx, cursor)

    async def upsert_products(self, ctx: Ctx, items: Sequence[ProductPush]) -> Sequence[Result]:
        """Change what is there by its SKU, and make what is not; see `listings`."""
        return await listings.upsert(ctx, items)

    # --- orders ---

    async def pull_orders(self, ctx: Ctx, cursor: str | None, since: datetime | None) -> Page[ExtOrder]:
        """Return the orders that changed after a cursor; see `contract.OrderSource`."""
        kept = cursor_of(cursor, since)
        options = changed_after(kept, {"orderPlacedAt": {"isNull": False}}, ctx.config.page)
        found = (await ask(ctx, ORDERS, {"options": options}, "pull_orders"))["orders"]
        fresh = fresh_of(kept, found["items"])
        items, unread = [], []
        for row, id_, _changed_at in fresh:
            try:
                items.append(order_of(row))
            except msgspec.ValidationError:
                unread.append(id_)
        return Page(items=items, cursor=advanced(kept, fresh), more=more(found, options), unread=unread)

    async def get_order(self, ctx: Ctx, external_id: str) -> ExtOrder:
        """Return an order as it is now."""
        found = await _order(ctx, ONE_ORDER, external_id, "get_order")
        try:
            return order_of(found)
        except msgspec.ValidationError as error:
            raise Invalid(str(error)[:200]) from None

    async def acknowledge(self, ctx: Ctx, handles: Sequence[str]) -> None:
        """Do nothing: Vendure has nothing to acknowledge."""

    async def summarise(self, ctx: Ctx, day: date, zone: str) -> DaySummary:
        """Return what Vendure counts of the orders placed on a day that are not cancelled."""
        start = datetime.combine(day, time(), ZoneInfo(zone))
        between = {"start": iso(start), "end": iso(start + timedelta(days=1) - timedelta(milliseconds=1))}
        ids: list[str] = []
        refunds: dict[str, int] = {}
        total, skip = 0, 0
        while True:
            options = {
                "take": BATCH,
                "skip": skip,
                "sort": {"id": "ASC"},
                "filter": {"orderPlacedAt": {"between": between}, "state": {"notEq": "Cancelled"}},
            }
            page = (await ask(ctx, SUMS, {"options": options}, "summarise"))["orders"]
            ids += [str(row["id"]) for row in page["items"]]
            total += sum(row["totalWithTax"] for row in page["items"])
            refunds |= {str(row["id"]): back for row in page["items"] if (back := given_back(row))}
            skip += len(page["items"])
            if not page["items"] or skip >= page["totalItems"]:
                return DaySummary(day.isoformat(), len(ids), total, ids, refunds)

    # --- stock and prices ---

    async def set_stock(self, ctx: Ctx, items: Sequence[StockUpdate]) -> Sequence[Result]:
        """Write quantities, and what Vendure allocated itself on top; listings are named by SKU there."""
        found = await variants(ctx, [item.code for item in items])
        place = ctx.config.stock_location
        wanted: dict[str, Any] = {}
        for item in items:
            row = found.get(item.code)
            if row is None:
                continue
            levels = {str(level["stockLocationId"]): int(level["stockAllocated"]) for level in row["stockLevels"]}
            at = place or next(iter(levels), "")
            if not at:
                continue
            on_hand = item.quantity + levels.get(at, 0)
            wanted[item.code] = {
                "id": row["id"],
                "trackInventory": "TRUE",
                "stockLevels": [{"stockLocationId": at, "stockOnHand": on_hand}],
            }
        return await written(ctx, [item.code for item in items], wanted, "set_stock")

    async def pull_stock(self, ctx: Ctx, cursor: str | None) -> Page[ExtStock]:
        """Return the stock of variants by their id, at the location that `set_stock` writes to.

        What can be sold there is what is on hand less what Vendure allocated. Variants whose stock Vendure does not
        track have none.
        """
        after = int(cursor or "0")
        size = ctx.config.page
        options = {"take": size, "skip": after, "sort": {"id": "ASC"}}
        asked_at = ctx.now()
        found = (await ask(ctx, LEVELS, {"options": options}, "pull_stock"))["productVariants"]
        items = []
        for row in found["items"]:
            levels = {str(level["stockLocationId"]): level for level in row["stockLevels"]}
            at = ctx.config.stock_location or next(iter(levels), "")
            if at not in levels or row["trackInventory"] == "FALSE":
                continue
            on_hand, allocated = int(levels[at]["stockOnHand"]), int(levels[at]["stockAllocated"])
            items.append(ExtStock(sku=row["sku"], quantity=on_hand - allocated, as_of=asked_at, on_hand=on_hand))
        read = after + len(found["items"])
        return Page(items=items, cursor=str(read), more=bool(found["items"]) and read < found["totalItems"])

    async def set_prices(self, ctx: Ctx, items: Sequence[PricePush]) -> Sequence[Result]:
        """Write prices. Where the channel's prices are without tax, Vendure reads them so: check its settings."""
        found = await variants(ctx, [item.code for item in items])
        wanted = {
            item.code: {"id": row["id"], "prices": [{"currencyCode": item.currency, "price": item.price}]}
            for item in items
            if (row := found.get(item.code)) is not None
        }
        return await written(ctx, [item.code for item in items], wanted, "set_prices")

    # --- what is told once ---

    async def find_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> ExtRef | None:
        """Return the fulfillment that bears the shipment's number; one that did not leave yet is sent on its way."""
        del key
        order = await _order(ctx, FULFILLMENTS, shipment.order, "find_shipment")
        mark = mark_of(shipment.shipment)
        found = next((each for each in order["fulfillments"] or () if each["method"].endswith(mark)), None)
        if found is None:
            return None
        await self._on_its_way(ctx, found)
        return ExtRef(str(found["id"]))

    async def push_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> Result:
        """Add a fulfillment and bring it to Shipped."""
        del key
        order = await _order(ctx, FULFILLMENTS, shipment.order, "push_shipment")
        lines = lines_of(order, shipment.lines)
        if isinstance(lines, Rejected):
            return lines
        handler = {
            "code": ctx.config.fulfillment_handler,
            "arguments": [
                {"name": "method", "value": f"{shipment.carrier} {mark_of(shipment.shipment)}".strip()},
                {"name": "trackingCode", "value": shipment.tracking},
            ],
        }
        asked = {"input": {"lines": lines, "handler": handler}}
        made = (await ask(ctx, FULFILL, asked, "push_shipment"))["addFulfillmentToOrder"]
        if made["__typename"] != "Fulfillment":
            return Rejected(made["errorCode"], made["message"])
        await self._on_its_way(ctx, made)
        return Ok(str(made["id"]))

    async def _on_its_way(self, ctx: Ctx, fulfillment: Mapping[str, Any]) -> None:
        if fulfillment["state"] not in {"Created", "Pending"}:
            return
        asked = {"id": fulfillment["id"], "state": "Shipped"}
        moved = (await ask(ctx, TRANSITION, asked, "push_shipment"))["transitionFulfillmentToState"]
        if moved["__typename"] != "Fulfillment":
            raise Retryable(f"{moved['errorCode']}: {moved['message']}")

    async def find_operation(self, ctx: Ctx, order: str, key: str) -> ExtRef | None:
        """Return the cancel or refund whose reason bears the mark of a key."""
        found = await _order(ctx, MARKS, order, "find_operation")
        mark = mark_of(key)
        for entry in found["history"]["items"]:
            if entry["type"] == "ORDER_CANCELLATION" and str((entry["data"] or {}).get("reason", "")).endswith(mark):
                return ExtRef(str(entry["id"]))
        for payment in found["payments"] or ():
            for refund in payment["refunds"]:
                if (refund["reason"] or "").endswith(mark):
                    return ExtRef(str(refund["id"]))
        return None

    async def cancel(self, ctx: Ctx, push: CancelPush, key: str) -> Result:
        """Cancel lines, or the whole order with its shipping."""
        asked: dict[str, Any] = {
            "orderId": push.order,
            "reason": f"{push.reason} {mark_of(key)}".strip(),
            "cancelShipping": push.whole,
        }
        if not push.whole:
            order = await _order(ctx, FULFILLMENTS, push.order, "cancel")
            lines = lines_of(order, push.lines)
            if isinstance(lines, Rejected):
                return lines
            asked["lines"] = lines
        done = (await ask(ctx, CANCEL, {"input": asked}, "cancel"))["cancelOrder"]
        return Ok(str(done["id"])) if done["__typename"] == "Order" else Rejected(done["errorCode"], done["message"])

    async def refund(self, ctx: Ctx, push: RefundPush, key: str) -> Result:
        """Refund an amount on a payment."""
        # Only the amount counts; without the other three, which its schema calls optional, Vendure 3.7 fails.
        beside = {"lines": [], "shipping": 0, "adjustment": 0}
        asked = {"paymentId": push.payment, "amount": push.amount, "reason": mark_of(key), **beside}
        done = (await ask(ctx, REFUND, {"input": asked}, "refund"))["refundOrder"]
        return Ok(str(done["id"])) if done["__typename"] == "Refund" else Rejected(done["errorCode"], done["message"])


async def _order(ctx: Ctx, query: str, id_: str, operation: str) -> dict[str, Any]:
    """Return an order as a query asks for it.

    Raises:
        Missing: there is none.
    """
    found: dict[str, Any] | None = (await ask(ctx, query, {"id": id_}, operation))["order"]
    if found is None:
        raise Missing(f"there is no order {id_}")
    return found


def lines_of(order: Mapping[str, Any], wanted: Sequence[ShippedLine]) -> list[dict[str, Any]] | Rejected:
    """Return lines as Vendure names them: by its own ids, else by what they are of."""
    by_name = {line["productVariant"]["sku"]: str(line["id"]) for line in order["lines"]}
    by_name |= {str(line["id"]): str(line["id"]) for line in order["lines"]}
    found = []
    for line in wanted:
        id_ = by_name.get(line.line) or by_name.get(line.sku)
        if id_ is None:
            return Rejected("unknown_line", f"the order has no line of {line.sku}", "lines")
        found.append({"orderLineId": id_, "quantity": line.quantity})
    return found
