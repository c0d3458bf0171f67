"""Vendure 3, through its Admin API: GraphQL over HTTP, with an API key.

Vendure has no webhooks of its own: orders are read by when they changed. It knows no keys of ours either, so what is
told once is marked where people may read it and found there again: a shipment by its number in the method of the
fulfillment, a cancel and a refund by a mark at the end of their reason.

What a listing may sell is `on hand - allocated - threshold` there, and Vendure allocates for its own open orders.
Malha's quantity has those taken off already, so what is written is the quantity and what Vendure has allocated.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, ClassVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from malha.channels.contract import (
    AuthExpired,
    CancelPush,
    Capability,
    Ctx,
    DaySummary,
    ExtAddress,
    ExtBuyer,
    ExtLine,
    ExtOrder,
    ExtPayment,
    ExtProduct,
    ExtRef,
    ExtRefund,
    ExtState,
    ExtStock,
    Health,
    Invalid,
    Limits,
    Missing,
    Ok,
    Page,
    PaidState,
    PricePush,
    RefundPush,
    RefundState,
    Rejected,
    Result,
    Retryable,
    ShipmentPush,
    ShippedLine,
    StockUpdate,
    Tier,
    Unsure,
)

PAGE = 50
MOST = 1_000  # what the Admin API gives at once unless its operator says otherwise
BATCH = 100
LOOK_BACK = timedelta(seconds=5)
FAR = datetime(9999, 1, 1, tzinfo=UTC)
_encode = msgspec.json.Encoder().encode

_ORDER = """
fragment AnOrder on Order {
  id code state updatedAt orderPlacedAt currencyCode subTotalWithTax shippingWithTax totalWithTax
  customer { firstName lastName emailAddress phoneNumber }
  shippingAddress { fullName streetLine1 streetLine2 city province postalCode countryCode phoneNumber }
  shippingLines { shippingMethod { code } }
  lines {
    id quantity orderPlacedQuantity unitPriceWithTax proratedLinePriceWithTax
    productVariant { id sku name }
  }
  payments { id method amount state createdAt refunds { id state total reason updatedAt } }
}
"""
_ORDERS = (
    "query ($options: OrderListOptions) { orders(options: $options) { totalItems items { ...AnOrder } } }" + _ORDER
)
_ONE_ORDER = "query ($id: ID!) { order(id: $id) { ...AnOrder } }" + _ORDER
_SUMS = """
query ($options: OrderListOptions) { orders(options: $options) {
    totalItems items { id state totalWithTax payments { refunds { state total } } }
  }
}
"""
_PRODUCTS = """
query ($options: ProductVariantListOptions) {
  productVariants(options: $options) { totalItems items { id sku name priceWithTax enabled updatedAt } }
}
"""
_STOCK = """
query ($options: ProductVariantListOptions) {
  productVariants(options: $options) { items { id sku stockLevels { stockLocationId stockAllocated } } }
}
"""
_LEVELS = """
query ($options: ProductVariantListOptions) {
  productVariants(options: $options) {
    totalItems items { id sku trackInventory stockLevels { stockLocationId stockOnHand stockAllocated } }
  }
}
"""
_UPDATE_VARIANTS = """
mutation ($input: [UpdateProductVariantInput!]!) { updateProductVariants(input: $input) { id } }
"""
_CHECK = """
query { activeChannel { code defaultCurrencyCode pricesIncludeTax } stockLocations { items { id name } } }
"""
_FULFILLMENTS = """
query ($id: ID!) {
  order(id: $id) {
    lines { id quantity productVariant { sku } }
    fulfillments { id state method trackingCode }
  }
}
"""
_FULFILL = """
mutation ($input: FulfillOrderInput!) {
  addFulfillmentToOrder(input: $input) {
    __typename ... on Fulfillment { id state } ... on ErrorResult { errorCode message }
  }
}
"""
_TRANSITION = """
mutation ($id: ID!, $state: String!) {
  transitionFulfillmentToState(id: $id, state: $state) {
    __typename ... on Fulfillment { id state } ... on ErrorResult { errorCode message }
  }
}
"""
_CANCEL = """
mutation ($input: CancelOrderInput!) {
  cancelOrder(input: $input) { __typename ... on Order { id } ... on ErrorResult { errorCode message } }
}
"""
_REFUND = """
mutation ($input: RefundOrderInput!) {
  refundOrder(input: $input) { __typename ... on Refund { id state } ... on ErrorResult { errorCode message } }
}
"""
_MARKS = """
query ($id: ID!) {
  order(id: $id) {
    history(options: { take: 100, sort: { createdAt: DESC } }) { items { id type data } }
    payments { refunds { id reason } }
  }
}
"""


class VendureConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the shop is, and what of it is ours."""

    base_url: Annotated[
        str, Meta(min_length=8, max_length=500, description="Address of the Admin API, ending in /admin-api.")
    ]
    channel_token: Annotated[
        str, Meta(max_length=100, description="Token of the Vendure channel; empty: the default one.")
    ] = ""
    stock_location: Annotated[
        str, Meta(max_length=40, description="Id of the stock location that holds what Malha says; empty: the first.")
    ] = ""
    fulfillment_handler: Annotated[
        str, Meta(min_length=1, max_length=100, description="Code of the fulfillment handler.")
    ] = "manual-fulfillment"
    page: Annotated[int, Meta(ge=1, le=500, description="Orders asked for at once.")] = PAGE


class _Model(msgspec.Struct, rename="camel"):
    """As Vendure writes it; what it says besides is passed over."""


class _Variant(_Model):
    id: str
    sku: str
    name: str = ""


class _Line(_Model):
    id: str
    quantity: int
    order_placed_quantity: int
    unit_price_with_tax: int
    prorated_line_price_with_tax: int
    product_variant: _Variant


class _Refund(_Model):
    id: str
    state: str
    total: int
    updated_at: Annotated[datetime, Meta(tz=True)]
    reason: str | None = None


class _Payment(_Model):
    id: str
    method: str
    amount: int
    state: str
    created_at: Annotated[datetime, Meta(tz=True)]
    refunds: list[_Refund] | None = None


class _Customer(_Model):
    first_name: str = ""
    last_name: str = ""
    email_address: str = ""
    phone_number: str | None = None


class _Address(_Model):
    full_name: str | None = None
    street_line1: str | None = None
    street_line2: str | None = None
    city: str | None = None
    province: str | None = None
    postal_code: str | None = None
    country_code: str | None = None
    phone_number: str | None = None


class _Method(_Model):
    code: str


class _ShippingLine(_Model):
    shipping_method: _Method


class _Order(_Model):
    id: str
    state: str
    updated_at: Annotated[datetime, Meta(tz=True)]
    order_placed_at: Annotated[datetime, Meta(tz=True)]
    currency_code: str
    shipping_with_tax: int
    lines: Annotated[list[_Line], Meta(min_length=1)]
    customer: _Customer | None = None
    shipping_address: _Address | None = None
    shipping_lines: list[_ShippingLine] = []
    payments: list[_Payment] | None = None


class _Cursor(msgspec.Struct, frozen=True):
    """Where reading is: the last change that was read, and what was read shortly before it, by id, in microseconds.

    A change gets its time when it is made and shows when it is committed: so what lies `LOOK_BACK` before the last one
    is asked for again, and passed over where it was read.
    """

    at: datetime
    seen: dict[str, int] = {}


OPEN = frozenset(
    {"PaymentAuthorized", "PaymentSettled", "PartiallyShipped", "Shipped", "PartiallyDelivered", "Delivered"}
)
REFUNDED: Mapping[str, RefundState] = {
    "Pending": RefundState.PENDING,
    "Settled": RefundState.DONE,
    "Failed": RefundState.FAILED,
}
PAID: Mapping[str, PaidState] = {
    "Created": PaidState.PENDING,
    "Authorized": PaidState.AUTHORISED,
    "Settled": PaidState.CAPTURED,
    "Declined": PaidState.DECLINED,
    "Error": PaidState.DECLINED,
    "Cancelled": PaidState.DECLINED,
}


class Vendure:
    """See the module."""

    key: ClassVar[str] = "vendure"
    name: ClassVar[str] = "Vendure"
    config_model: ClassVar[type[msgspec.Struct]] = VendureConfig
    secrets: ClassVar[Mapping[str, str]] = {"api_key": "API key of an administrator, from Settings > API keys"}
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {
            Capability.CATALOG_SOURCE,
            Capability.STOCK,
            Capability.STOCK_SOURCE,
            Capability.PRICES,
            Capability.ORDERS,
            Capability.SHIPMENTS,
            Capability.CANCELS,
            Capability.SUMMARIES,
        }
    )
    limits: ClassVar[Limits] = Limits(rate=20.0, burst=40.0, in_flight=4, batch=BATCH)
    evidence: ClassVar[Tier] = Tier.A
    idempotent: ClassVar[bool] = False

    async def check(self, ctx: Ctx) -> Health:
        """Ask which channel the key opens, and whether the stock location is there."""
        found = await _ask(ctx, _CHECK, {}, "check")
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
        """Return the variants that changed after a cursor."""
        kept = _cursor(cursor, None)
        options = _changed(kept, {}, ctx.config.page)
        found = (await _ask(ctx, _PRODUCTS, {"options": options}, "pull_products"))["productVariants"]
        fresh = _fresh(kept, found["items"])
        items = [
            ExtProduct(
                id=id_,
                sku=row["sku"],
                name=row["name"],
                price=row["priceWithTax"],
                active=row["enabled"],
                version=micros,
            )
            for row, id_, micros in fresh
        ]
        return Page(items=items, cursor=_advanced(kept, fresh), more=_more(found, options))

    # --- orders ---

    async def pull_orders(self, ctx: Ctx, cursor: str | None, since: datetime | None) -> Page[ExtOrder]:
        """Return the orders that changed after a cursor; see `contract.OrderSource`."""
        kept = _cursor(cursor, since)
        options = _changed(kept, {"orderPlacedAt": {"isNull": False}}, ctx.config.page)
        found = (await _ask(ctx, _ORDERS, {"options": options}, "pull_orders"))["orders"]
        fresh = _fresh(kept, found["items"])
        items, unread = [], []
        for row, id_, _changed_at in fresh:
            try:
                items.append(_order(row))
            except msgspec.ValidationError:
                unread.append(id_)
        return Page(items=items, cursor=_advanced(kept, fresh), more=_more(found, options), unread=unread)

    async def get_order(self, ctx: Ctx, external_id: str) -> ExtOrder:
        """Return an order as it is now."""
        found = await _ask(ctx, _ONE_ORDER, {"id": external_id}, "get_order")
        if found["order"] is None:
            raise Missing(f"there is no order {external_id}")
        try:
            return _order(found["order"])
        except msgspec.ValidationError as error:
            raise Invalid(str(error)[:200]) from None

    async def acknowledge(self, ctx: Ctx, handles: Sequence[str]) -> None:
        """Do nothing: Vendure has nothing to acknowledge."""

    async def summarise(self, ctx: Ctx, day: date, zone: str) -> DaySummary:
        """Return what Vendure counts of the orders placed on a day that are not cancelled."""
        start = datetime.combine(day, time(), ZoneInfo(zone))
        between = {"start": _iso(start), "end": _iso(start + timedelta(days=1) - timedelta(milliseconds=1))}
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
            page = (await _ask(ctx, _SUMS, {"options": options}, "summarise"))["orders"]
            ids += [str(row["id"]) for row in page["items"]]
            total += sum(row["totalWithTax"] for row in page["items"])
            refunds |= {str(row["id"]): back for row in page["items"] if (back := _given_back(row))}
            skip += len(page["items"])
            if not page["items"] or skip >= page["totalItems"]:
                return DaySummary(day.isoformat(), len(ids), total, ids, refunds)

    # --- stock and prices ---

    async def set_stock(self, ctx: Ctx, items: Sequence[StockUpdate]) -> Sequence[Result]:
        """Write quantities, and what Vendure allocated itself on top; listings are named by SKU there."""
        found = await _variants(ctx, [item.code for item in items])
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
        return await _written(ctx, [item.code for item in items], wanted, "set_stock")

    async def pull_stock(self, ctx: Ctx, cursor: str | None) -> Page[ExtStock]:
        """Return the stock of variants by their id, at the location that `set_stock` writes to.

        What can be sold there is what is on hand less what Vendure allocated. Variants whose stock Vendure does not
        track have none.
        """
        after = int(cursor or "0")
        size = ctx.config.page
        options = {"take": size, "skip": after, "sort": {"id": "ASC"}}
        asked_at = ctx.now()
        found = (await _ask(ctx, _LEVELS, {"options": options}, "pull_stock"))["productVariants"]
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
        found = await _variants(ctx, [item.code for item in items])
        wanted = {
            item.code: {"id": row["id"], "prices": [{"currencyCode": item.currency, "price": item.price}]}
            for item in items
            if (row := found.get(item.code)) is not None
        }
        return await _written(ctx, [item.code for item in items], wanted, "set_prices")

    # --- what is told once ---

    async def find_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> ExtRef | None:
        """Return the fulfillment that bears the shipment's number; one that did not leave yet is sent on its way."""
        del key
        order = (await _ask(ctx, _FULFILLMENTS, {"id": shipment.order}, "find_shipment"))["order"]
        if order is None:
            raise Missing(f"there is no order {shipment.order}")
        mark = _mark(shipment.shipment)
        found = next((each for each in order["fulfillments"] or () if each["method"].endswith(mark)), None)
        if found is None:
            return None
        await self._on_its_way(ctx, found)
        return ExtRef(str(found["id"]))

    async def push_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> Result:
        """Add a fulfillment and bring it to Shipped."""
        del key
        order = (await _ask(ctx, _FULFILLMENTS, {"id": shipment.order}, "push_shipment"))["order"]
        if order is None:
            raise Missing(f"there is no order {shipment.order}")
        lines = _lines(order, shipment.lines)
        if isinstance(lines, Rejected):
            return lines
        handler = {
            "code": ctx.config.fulfillment_handler,
            "arguments": [
                {"name": "method", "value": f"{shipment.carrier} {_mark(shipment.shipment)}".strip()},
                {"name": "trackingCode", "value": shipment.tracking},
            ],
        }
        asked = {"input": {"lines": lines, "handler": handler}}
        made = (await _ask(ctx, _FULFILL, asked, "push_shipment"))["addFulfillmentToOrder"]
        if made["__typename"] != "Fulfillment":
            return Rejected(made["errorCode"], made["message"])
        await self._on_its_way(ctx, made)
        return Ok(str(made["id"]))

    async def _on_its_way(self, ctx: Ctx, fulfillment: Mapping[str, Any]) -> None:
        if fulfillment["state"] not in {"Created", "Pending"}:
            return
        asked = {"id": fulfillment["id"], "state": "Shipped"}
        moved = (await _ask(ctx, _TRANSITION, asked, "push_shipment"))["transitionFulfillmentToState"]
        if moved["__typename"] != "Fulfillment":
            raise Retryable(f"{moved['errorCode']}: {moved['message']}")

    async def find_operation(self, ctx: Ctx, order: str, key: str) -> ExtRef | None:
        """Return the cancel or refund whose reason bears the mark of a key."""
        found = (await _ask(ctx, _MARKS, {"id": order}, "find_operation"))["order"]
        if found is None:
            raise Missing(f"there is no order {order}")
        mark = _mark(key)
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
            "reason": f"{push.reason} {_mark(key)}".strip(),
            "cancelShipping": push.whole,
        }
        if not push.whole:
            order = (await _ask(ctx, _FULFILLMENTS, {"id": push.order}, "cancel"))["order"]
            if order is None:
                raise Missing(f"there is no order {push.order}")
            lines = _lines(order, push.lines)
            if isinstance(lines, Rejected):
                return lines
            asked["lines"] = lines
        done = (await _ask(ctx, _CANCEL, {"input": asked}, "cancel"))["cancelOrder"]
        return Ok(str(done["id"])) if done["__typename"] == "Order" else Rejected(done["errorCode"], done["message"])

    async def refund(self, ctx: Ctx, push: RefundPush, key: str) -> Result:
        """Refund an amount on a payment."""
        # Only the amount counts; without the other three, which its schema calls optional, Vendure 3.7 fails.
        beside = {"lines": [], "shipping": 0, "adjustment": 0}
        asked = {"paymentId": push.payment, "amount": push.amount, "reason": _mark(key), **beside}
        done = (await _ask(ctx, _REFUND, {"input": asked}, "refund"))["refundOrder"]
        return Ok(str(done["id"])) if done["__typename"] == "Refund" else Rejected(done["errorCode"], done["message"])


def _lines(order: Mapping[str, Any], wanted: Sequence[ShippedLine]) -> list[dict[str, Any]] | Rejected:
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


def _mark(what: str) -> str:
    return f"#{what}"


# --- the way there ---


async def _ask(ctx: Ctx, query: str, variables: Mapping[str, Any], operation: str) -> dict[str, Any]:
    """Ask the Admin API and return its data.

    Raises:
        AuthExpired: the key is none, or may not do this.
        Invalid: the request is wrong.
        Unsure: a change whose outcome is not known.
    """
    headers = {"content-type": "application/json", "vendure-api-key": ctx.access.secret("api_key")}
    if ctx.config.channel_token:
        headers["vendure-token"] = ctx.config.channel_token
    body = _encode({"query": query, "variables": variables})
    reply = await ctx.http.send("POST", ctx.config.base_url, headers=headers, body=body, operation=operation)
    if reply.status >= 400:
        raise Invalid(f"HTTP {reply.status} at the Admin API", code=str(reply.status))
    try:
        said = msgspec.json.decode(reply.body)
        errors, found = said.get("errors") or [], said.get("data")
    except (msgspec.DecodeError, AttributeError) as error:
        raise Unsure(f"the answer cannot be read: {error}"[:200]) from None
    if errors:
        raise _refusal(errors[0], changes=query.lstrip().startswith("mutation"))
    if not isinstance(found, dict):
        raise Unsure("the answer holds no data")
    return found


def _refusal(error: Mapping[str, Any], *, changes: bool) -> Exception:
    code = str((error.get("extensions") or {}).get("code", ""))
    why = f"{code}: {error.get('message', '')}"[:300]
    if code in {"FORBIDDEN", "UNAUTHORIZED", "UNAUTHENTICATED"}:
        return AuthExpired(why)
    if code == "ENTITY_NOT_FOUND":
        return Missing(why)
    if code in {"GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT", "USER_INPUT_ERROR", "CHANNEL_NOT_FOUND"}:
        return Invalid(why, code=code)
    return Unsure(why) if changes else Retryable(why)


async def _variants(ctx: Ctx, skus: Sequence[str]) -> dict[str, Any]:
    """Return variants by SKU, a page of them at a time."""
    found: dict[str, Any] = {}
    for n in range(0, len(skus), BATCH):
        some = sorted(set(skus[n : n + BATCH]))
        options = {"take": BATCH, "filter": {"sku": {"in": some}}}
        page = await _ask(ctx, _STOCK, {"options": options}, "find_variants")
        found |= {row["sku"]: row for row in page["productVariants"]["items"]}
    return found


async def _written(ctx: Ctx, codes: Sequence[str], wanted: Mapping[str, Any], operation: str) -> Sequence[Result]:
    """Write variants and say of each what became of it; one that is refused holds up no others."""
    failed: dict[str, Result] = {}
    if wanted:
        try:
            await _ask(ctx, _UPDATE_VARIANTS, {"input": list(wanted.values())}, operation)
        except Invalid:
            for code, one in wanted.items():
                try:
                    await _ask(ctx, _UPDATE_VARIANTS, {"input": [one]}, operation)
                except Invalid as error:
                    failed[code] = Rejected(error.code or "refused", error.why)
    return [
        failed.get(code) or (Ok(str(wanted[code]["id"])) if code in wanted else Rejected("unknown_sku", code, "code"))
        for code in codes
    ]


# --- reading by when things changed ---


def _cursor(text: str | None, since: datetime | None) -> _Cursor:
    if text is not None:
        return msgspec.json.decode(text, type=_Cursor)
    return _Cursor(since or datetime(2000, 1, 1, tzinfo=UTC))


def _changed(kept: _Cursor, others: Mapping[str, Any], page: int) -> dict[str, Any]:
    """Return what to ask for: what changed from shortly before a cursor on, what was read already included."""
    wanted = page + len(kept.seen)
    start = kept.at - LOOK_BACK
    return {
        "take": min(wanted, MOST),
        "skip": max(0, wanted - MOST),
        "sort": {"updatedAt": "ASC", "id": "ASC"},
        "filter": {**others, "updatedAt": {"between": {"start": _iso(start), "end": _iso(FAR)}}},
    }


def _fresh(kept: _Cursor, rows: Sequence[Any]) -> list[tuple[Any, str, int]]:
    """Return the rows that were not read before, with their ids and when they changed."""
    dated = [(row, str(row["id"]), _micros(_instant(row["updatedAt"]))) for row in rows]
    return [(row, id_, micros) for row, id_, micros in dated if kept.seen.get(id_) != micros]


def _advanced(kept: _Cursor, fresh: Sequence[tuple[Any, str, int]]) -> str:
    last = max((micros for _row, _id, micros in fresh), default=_micros(kept.at))
    last = max(last, _micros(kept.at))
    oldest = last - int(LOOK_BACK.total_seconds() * 1_000_000)
    seen = kept.seen | {id_: micros for _row, id_, micros in fresh}
    return _encode(_Cursor(_of_micros(last), {id_: m for id_, m in seen.items() if m >= oldest})).decode()


def _more(found: Mapping[str, Any], options: Mapping[str, Any]) -> bool:
    return int(found["totalItems"]) > int(options["skip"]) + len(found["items"])


def _of_micros(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // 1_000_000, UTC) + timedelta(microseconds=micros % 1_000_000)


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _instant(text: str) -> datetime:
    return msgspec.convert(text, datetime)


def _micros(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


# --- an order ---


def _order(row: Mapping[str, Any]) -> ExtOrder:
    said = msgspec.convert(row, _Order)
    lines = [_line(line) for line in said.lines]
    paid = said.payments or ()
    return ExtOrder(
        id=said.id,
        # A refund does not touch the order: what is newest of both makes the version.
        version=max(_micros(at) for at in (said.updated_at, *(r.updated_at for p in paid for r in p.refunds or ()))),
        placed_at=said.order_placed_at,
        currency=said.currency_code,
        lines=lines,
        state=_state(said.state),
        status=said.state,
        total=sum(line.quantity * line.unit_price - line.discount for line in lines) + said.shipping_with_tax,
        shipping=said.shipping_with_tax,
        buyer=_buyer(said),
        ship_to=_address(said.shipping_address),
        shipping_method=next((line.shipping_method.code for line in said.shipping_lines), ""),
        payments=[
            ExtPayment(
                id=payment.id,
                method=payment.method,
                amount=payment.amount,
                state=PAID.get(payment.state, PaidState.UNKNOWN),
                paid_at=payment.created_at if payment.state == "Settled" else None,
            )
            for payment in paid
        ],
        refunds=[refund for payment in paid for refund in _refunds(payment)],
    )


def _state(word: str) -> ExtState:
    if word == "Cancelled":
        return ExtState.CANCELLED
    return ExtState.OPEN if word in OPEN else ExtState.UNKNOWN


def _line(said: _Line) -> ExtLine:
    """Return a line as it was ordered: what was cancelled since, Vendure takes off the quantity."""
    ordered, left = said.order_placed_quantity, said.quantity
    discount = left * said.unit_price_with_tax - said.prorated_line_price_with_tax
    if left != ordered:
        discount = round(discount * ordered / left) if left else 0
    return ExtLine(
        quantity=ordered,
        unit_price=said.unit_price_with_tax,
        discount=discount,
        id=said.id,
        item=said.product_variant.id,
        sku=said.product_variant.sku,
        name=said.product_variant.name,
        cancelled=ordered - left,
    )


def _refunds(payment: _Payment) -> list[ExtRefund]:
    return [
        ExtRefund(
            id=refund.id,
            amount=refund.total,
            payment=payment.id,
            state=REFUNDED.get(refund.state, RefundState.UNKNOWN),
            reason=(refund.reason or "")[:200],
            refunded_at=refund.updated_at if refund.state == "Settled" else None,
        )
        for refund in payment.refunds or ()
    ]


def _given_back(row: Mapping[str, Any]) -> int:
    refunds = [refund for payment in row["payments"] or () for refund in payment["refunds"]]
    return sum(int(refund["total"]) for refund in refunds if refund["state"] == "Settled")


def _buyer(said: _Order) -> ExtBuyer:
    customer, address = said.customer or _Customer(), said.shipping_address or _Address()
    name = f"{customer.first_name} {customer.last_name}".strip() or address.full_name or ""
    phone = customer.phone_number or address.phone_number or None
    return ExtBuyer(name=name, email=customer.email_address or None, phone=phone)


def _address(said: _Address | None) -> ExtAddress | None:
    if said is None or not said.street_line1:
        return None
    street, _comma, number = said.street_line1.rpartition(",")
    return ExtAddress(
        postal_code=said.postal_code or "",
        street=street.strip() or number.strip(),
        number=number.strip() if street else "",
        complement=said.street_line2 or "",
        city=said.city or "",
        state=said.province or "",
        country=said.country_code or "BR",
    )
