"""The connector as the contract wants it; what it does is in the modules beside."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec

from malha.channels.connectors.shopify import goods, listings, taking_back, telling, webhooks
from malha.channels.connectors.shopify.asking import TooDear, ask
from malha.channels.connectors.shopify.config import ShopifyConfig, gid
from malha.channels.connectors.shopify.money import shop_money
from malha.channels.connectors.shopify.orders import instant, is_ours, listed_version, order_of
from malha.channels.connectors.shopify.reading import Cursor, page, rest, stamp
from malha.channels.connectors.tallying import Tally
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
    InboxEvent,
    Invalid,
    Limits,
    ListingFields,
    Missing,
    Page,
    Ping,
    PricePush,
    ProductPush,
    RawRequest,
    RefundPush,
    Rejected,
    Result,
    ShipmentPush,
    StockUpdate,
    Tier,
    Verified,
)

WHOLE = 4  # orders that are asked for at once with all their parts
SCOPES = (
    "read_orders",
    "write_orders",
    "read_products",
    "write_products",
    "read_inventory",
    "write_inventory",
    "read_locations",
    "read_merchant_managed_fulfillment_orders",
    "write_merchant_managed_fulfillment_orders",
)


class Shopify:
    """See the package."""

    key: ClassVar[str] = "shopify"
    name: ClassVar[str] = "Shopify"
    config_model: ClassVar[type[msgspec.Struct]] = ShopifyConfig
    secrets: ClassVar[Mapping[str, str]] = {
        "access_token": "Access token of the app for the Admin API",
        "webhook_secret": "Client secret of the app, which signs its webhooks",
    }
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
            Capability.WEBHOOKS,
            Capability.SUMMARIES,
        }
    )
    listing_fields: ClassVar[ListingFields] = listings.FIELDS
    product_fields: ClassVar[frozenset[str]] = goods.FIELDS
    limits: ClassVar[Limits] = Limits(rate=4.0, burst=20.0, in_flight=4, batch=50)
    evidence: ClassVar[Tier] = Tier.B
    idempotent: ClassVar[bool] = False  # not for all that is told, and for a time only

    def limits_for(self, config: ShopifyConfig) -> Limits:
        """Return more for a shop on Plus; what there really is, each answer says."""
        return Limits(rate=40.0, burst=200.0, in_flight=16, batch=50) if config.plus else self.limits

    async def check(self, ctx: Ctx) -> Health:
        """Ask which shop the token opens, what it may do there, and whether the locations are there."""
        found = await ask(ctx, "check", {})
        shop, config = found["shop"], ctx.config
        places = {str(each["legacyResourceId"]): str(each["name"]) for each in found["locations"]["nodes"]}
        scopes = {str(each["handle"]) for each in found["currentAppInstallation"]["accessScopes"]}
        # Who may write may read.
        may = scopes | {f"read_{each.removeprefix('write_')}" for each in scopes if each.startswith("write_")}
        lacking = [each for each in SCOPES if each not in may]
        named = (config.location, *config.locations.values(), *config.own_stock)
        absent = [each for each in named if each not in places]
        says = str(shop["name"])
        ok = False
        if shop["myshopifyDomain"] != config.shop:
            says = f"The token is of {shop['myshopifyDomain']}, not of {config.shop}."
        elif shop["currencyCode"] != ctx.connection.currency:
            says = f"The shop sells in {shop['currencyCode']}, not in {ctx.connection.currency}."
        elif lacking:
            says = f"The app lacks {', '.join(lacking)}."
        elif absent:
            says = f"There is no location {absent[0]}."
        else:
            ok = True
        old = "all" if "read_all_orders" in scopes else "of the last 60 days, without read_all_orders"
        files = "go with the listing" if {"write_files", "write_themes"} & scopes else "stay, without write_files"
        return Health(ok=ok, says=says, facts={**places, "orders": old, "pictures that left": files})

    # --- products, stock, prices: see `goods` ---

    async def pull_products(self, ctx: Ctx, cursor: str | None) -> Page[ExtProduct]:
        """Return the variants of the products that changed after a cursor."""
        return await goods.pull_products(ctx, cursor)

    async def upsert_products(self, ctx: Ctx, items: Sequence[ProductPush]) -> Sequence[Result]:
        """Hand variants over; see `listings`."""
        return await listings.upsert(ctx, items)

    async def set_stock(self, ctx: Ctx, items: Sequence[StockUpdate]) -> Sequence[Result]:
        """Write quantities that may be sold."""
        return await goods.set_stock(ctx, items)

    async def pull_stock(self, ctx: Ctx, cursor: str | None) -> Page[ExtStock]:
        """Return what there is; see `goods`."""
        return await goods.pull_stock(ctx, cursor)

    async def set_prices(self, ctx: Ctx, items: Sequence[PricePush]) -> Sequence[Result]:
        """Write prices."""
        return await goods.set_prices(ctx, items)

    # --- orders ---

    async def pull_orders(self, ctx: Ctx, cursor: str | None, since: datetime | None) -> Page[ExtOrder]:
        """Return the orders that changed after a cursor; see `contract.OrderSource`."""
        kept = Cursor.of(cursor, since)
        found = await page(ctx, "list_orders", "orders", kept, ctx.config.page)
        versions = {str(row["legacyResourceId"]): listed_version(row) for row in found["nodes"]}
        fresh = kept.fresh(versions)
        wanted = [row["id"] for row in found["nodes"] if str(row["legacyResourceId"]) in fresh and is_ours(ctx, row)]
        items: list[ExtOrder] = []
        unread: list[str] = []
        for row in await _whole(ctx, wanted):
            try:
                items.append(await _read(ctx, row))
            except Invalid:
                unread.append(str(row["legacyResourceId"]))
        last = max((instant(row["updatedAt"]) for row in found["nodes"]), default=None)
        after = kept.passed(versions, last, found["pageInfo"])
        return Page(items=items, cursor=after.text(), more=bool(found["pageInfo"]["hasNextPage"]), unread=unread)

    async def get_order(self, ctx: Ctx, external_id: str) -> ExtOrder:
        """Return an order as it is now; what is for a person is refused in a sentence, and so comes to one."""
        sentence = webhooks.sentence_of(external_id)
        if sentence is not None:
            raise Invalid(sentence)
        found = None
        if telling.is_id(external_id):
            found = (await ask(ctx, "get_order", {"id": gid("Order", external_id)}))["order"]
        if found is None:
            raise Missing(f"there is no order {external_id}")
        return await _read(ctx, found)

    async def acknowledge(self, ctx: Ctx, handles: Sequence[str]) -> None:
        """Do nothing: Shopify has nothing to acknowledge."""

    async def summarise(self, ctx: Ctx, day: date, zone: str) -> DaySummary:
        """Return what Shopify counts of the orders made on a day that are not cancelled.

        Shopify's total of now is less what was returned, too. So an order of which something was taken back is read
        whole.
        """
        start = datetime.combine(day, time(), ZoneInfo(zone))
        end = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(zone))
        query = f"created_at:>='{stamp(start)}' created_at:<'{stamp(end)}'"
        tally = Tally()
        after: str | None = None
        while True:
            found = (await ask(ctx, "summarise", {"after": after, "query": query}))["orders"]
            for row in found["nodes"]:
                if row["cancelledAt"] or not start <= instant(row["createdAt"]) < end or not is_ours(ctx, row):
                    continue
                id_ = str(row["legacyResourceId"])
                if row["refunds"]:
                    tally.add_left(await self.get_order(ctx, id_))
                else:
                    tally.add(id_, shop_money(row["currentTotalPriceSet"]))
            after = found["pageInfo"]["endCursor"]
            if not found["pageInfo"]["hasNextPage"]:
                return tally.summary(day)

    # --- what is told once: see `telling` ---

    async def find_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> ExtRef | None:
        """Return the fulfillment that is this parcel."""
        del key
        return await telling.find_shipment(ctx, shipment)

    async def push_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> Result:
        """Fulfill what left."""
        del key
        return await telling.push_shipment(ctx, shipment)

    async def find_operation(self, ctx: Ctx, order: str, key: str) -> ExtRef | None:
        """Return the cancel or refund whose note bears a key."""
        return await telling.find_operation(ctx, order, key)

    async def cancel(self, ctx: Ctx, push: CancelPush, key: str) -> Result:
        """Cancel an order, or take units out of it."""
        return await telling.cancel(ctx, push, key)

    async def refund(self, ctx: Ctx, push: RefundPush, key: str) -> Result:
        """Have money go back the way it came."""
        return await telling.refund(ctx, push, key)

    # --- webhooks: see `webhooks` ---

    def verify(self, raw: RawRequest, secrets: Sequence[str], now: datetime) -> Verified | Rejected | Ping:
        """Tell whether raw bytes are from Shopify; it signs no time."""
        del now
        return webhooks.verify(raw, secrets)

    def belongs(self, verified: Verified, config: Any) -> Rejected | None:
        """Tell why a message is not of the shop of a connection."""
        return webhooks.belongs(verified, config)

    def parse(self, verified: Verified) -> Sequence[InboxEvent]:
        """Return what a message tells."""
        return webhooks.parse(verified)


async def _whole(ctx: Ctx, ids: Sequence[str]) -> list[Any]:
    """Return orders with all their parts, some at a time, in their order, without those that are gone meanwhile."""
    found: list[Any] = []
    size, start = WHOLE, 0
    while start < len(ids):
        try:
            rows = (await ask(ctx, "read_orders", {"ids": list(ids[start : start + size])}))["nodes"]
        except TooDear:
            if size == 1:
                raise
            size = max(1, size // 2)
            continue
        found += [row for row in rows if row]
        start += size
    return found


async def _read(ctx: Ctx, row: dict[str, Any]) -> ExtOrder:
    """Return an order with what did not come with it: more lines and payments, and what was taken back of it."""
    nodes = await rest(ctx, "more_lines", ("order", "lineItems"), row["id"], row["lineItems"])
    whole = {**row, "lineItems": {"nodes": nodes}}
    if (row["transactionsCount"] or {}).get("count", 0) > len(row["transactions"]):
        more = (await ask(ctx, "more_payments", {"id": row["id"]}))["order"]
        whole["transactions"] = row["transactions"] if more is None else more["transactions"]
    if not row["refunds"]:
        return order_of(ctx, whole)
    return order_of(ctx, whole, await taking_back.read(ctx, whole))
