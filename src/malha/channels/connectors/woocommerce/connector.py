"""The connector: see the package."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from malha.channels import signatures
from malha.channels.connectors.refusing import unknown
from malha.channels.connectors.tallying import Tally
from malha.channels.connectors.woocommerce import selling
from malha.channels.connectors.woocommerce.asking import (
    ask,
    decimals_of,
    encode,
    iso,
    one_order,
    pages,
    quoted,
    read_as,
)
from malha.channels.connectors.woocommerce.goods import (
    by_sku,
    change,
    is_same,
    priced,
    stock_of,
    stock_page,
)
from malha.channels.connectors.woocommerce.listings import upsert
from malha.channels.connectors.woocommerce.marking import (
    CANCELLED,
    OPERATION,
    SHIPMENT,
    is_all_gone,
    lines_of,
    mark_of,
    parcels_of,
    refunds_of,
    tracked,
)
from malha.channels.connectors.woocommerce.money import Unfit, digits_of, minor_of, text_of
from malha.channels.connectors.woocommerce.reading import order_of, state_of
from malha.channels.connectors.woocommerce.showing import FIELDS
from malha.channels.connectors.woocommerce.sweeping import clock_of, cursor_of, sweep, version_of
from malha.channels.connectors.woocommerce.words import OPEN, PAGE, Gateway, Hook, Note, Order, Refund, Setting, Sold
from malha.channels.contract import (
    CancelPush,
    Capability,
    Ctx,
    DaySummary,
    ExtOrder,
    ExtProduct,
    ExtRef,
    ExtState,
    ExtStock,
    Health,
    InboxEvent,
    Invalid,
    Limits,
    ListingFields,
    Missing,
    Ok,
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
    Trust,
    Verified,
)

ORDER_TOPICS = frozenset({"order.created", "order.updated", "order.deleted", "order.restored"})


class WooCommerceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the shop is, and what of it is Malha's."""

    base_url: Annotated[
        str,
        Meta(
            min_length=8, max_length=500, title="Address", description="Address of the shop, as https://shop.example."
        ),
    ]
    refund_at_gateway: Annotated[
        bool,
        Meta(
            title="Refund at the gateway",
            description="Refunds give the money back through the payment gateway; else they are only noted down.",
        ),
    ] = True
    complete: Annotated[
        bool, Meta(title="Complete orders", description="An order is completed when all of it has left.")
    ] = True
    customer_note: Annotated[
        bool, Meta(title="Notes to the shopper", description="The shopper is sent the note about each parcel.")
    ] = False
    keep_sale_prices: Annotated[
        bool,
        Meta(
            title="Keep sale prices",
            description="Prices go to the regular price alone, and sale prices of the shop stay.",
        ),
    ] = False
    show_attributes: Annotated[
        bool,
        Meta(
            title="Show attributes",
            description="Attributes of the catalogue are shown on a product's page; else they are only kept with it.",
        ),
    ] = True
    pickup_location: Annotated[
        str,
        Meta(
            max_length=60,
            title="Pickup location",
            description="Code of the location where orders with local pickup are collected.",
        ),
    ] = ""
    page: Annotated[int, Meta(ge=1, le=PAGE, title="Orders of a page", description="Orders asked for at once.")] = PAGE


class WooCommerce:
    """See the module."""

    key: ClassVar[str] = "woocommerce"
    name: ClassVar[str] = "WooCommerce"
    config_model: ClassVar[type[msgspec.Struct]] = WooCommerceConfig
    secrets: ClassVar[Mapping[str, str]] = {
        "consumer_key": "Consumer key of a REST API key with read and write access",
        "consumer_secret": "Consumer secret of the REST API key",
        "webhook_secret": "Secret that webhooks are signed with",
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
    listing_fields: ClassVar[ListingFields] = FIELDS
    product_fields: ClassVar[frozenset[str]] = selling.FIELDS
    limits: ClassVar[Limits] = Limits(rate=5.0, burst=20.0, in_flight=4, batch=PAGE)
    evidence: ClassVar[Tier] = Tier.A
    idempotent: ClassVar[bool] = False

    async def check(self, ctx: Ctx) -> Health:
        """Ask for currency and decimals, and whether the webhooks that call this connection are alive."""
        told = await ask(ctx, "GET", "/settings/general", list[Setting], "check")
        settings = {each.id: str(each.value) for each in told}
        currency = settings.get("woocommerce_currency", "")
        decimals = settings.get("woocommerce_price_num_decimals", "")
        facts = {"currency": currency, "decimals": decimals}
        if currency != ctx.connection.currency:
            says = f"The shop sells in {currency}, not in {ctx.connection.currency}."
            return Health(ok=False, says=says, facts=facts)
        if decimals.isdigit() and int(decimals) > digits_of(currency):
            says = f"The shop counts {decimals} decimals of {currency}, which has {digits_of(currency)}."
            return Health(ok=False, says=says, facts=facts)
        ours = [hook async for hook in _hooks(ctx) if urlsplit(hook.delivery_url).path == f"/in/{ctx.connection.code}"]
        facts["webhooks"] = ", ".join(f"{hook.topic} {hook.status}" for hook in ours) or "none"
        asleep = [f"{hook.id} ({hook.topic}) is {hook.status}" for hook in ours if hook.status != "active"]
        if asleep:
            says = f"Webhook {', '.join(asleep)}: orders come by reading alone until it is made active again."
            return Health(ok=False, says=says, facts=facts)
        return Health(ok=True, says=f"{currency}, webhooks: {facts['webhooks']}", facts=facts)

    # --- products ---

    async def pull_products(self, ctx: Ctx, cursor: str | None) -> Page[ExtProduct]:
        """Return what changed after a cursor; of a product with variations each of them, however few changed."""
        kept = cursor_of(cursor, None)
        fresh, page = await sweep(ctx, "/products", {}, kept, "pull_products")
        shop = selling.Shop(ctx)
        items: list[ExtProduct] = []
        unread: list[str] = []
        for row, id_, version in fresh:
            try:
                items += await shop.told(read_as(row, Sold), version)
            except Unfit:  # the shop refusing to answer is another matter
                unread.append(id_)
        return Page(items=items, cursor=encode(page.cursor).decode(), more=page.more, unread=unread)

    async def upsert_products(self, ctx: Ctx, items: Sequence[ProductPush]) -> Sequence[Result]:
        """Change what is there by its SKU, and make what is not, as simple products with a price; see `listings`."""
        return await upsert(ctx, items)

    # --- orders ---

    async def pull_orders(self, ctx: Ctx, cursor: str | None, since: datetime | None) -> Page[ExtOrder]:
        """Return the orders that changed after a cursor; see `contract.OrderSource`."""
        kept = cursor_of(cursor, since)
        fresh, page = await sweep(ctx, "/orders", decimals_of(ctx), kept, "pull_orders")
        items, unread = [], []
        for row, id_, version in fresh:
            try:
                said = read_as(row, Order)
                items.append(order_of(ctx, said, version, await refunds_of(ctx, said)))
            except Invalid:
                unread.append(id_)
        return Page(items=items, cursor=encode(page.cursor).decode(), more=page.more, unread=unread)

    async def get_order(self, ctx: Ctx, external_id: str) -> ExtOrder:
        """Return an order as it is now."""
        row, reply = await one_order(ctx, external_id, "get_order")
        said = read_as(row, Order)
        return order_of(ctx, said, version_of(row, clock_of(ctx, reply)), await refunds_of(ctx, said))

    async def acknowledge(self, ctx: Ctx, handles: Sequence[str]) -> None:
        """Do nothing: WooCommerce has nothing to acknowledge."""

    async def summarise(self, ctx: Ctx, day: date, zone: str) -> DaySummary:
        """Return what WooCommerce counts of the orders placed on a day; what was cancelled is taken off.

        Reads the orders themselves: a shop's reports are of its own time zone and count otherwise.
        """
        start = datetime.combine(day, time(), ZoneInfo(zone))
        asked = {
            **decimals_of(ctx),
            "after": iso(start - timedelta(seconds=1)),
            "before": iso(start + timedelta(days=1)),
            "dates_are_gmt": "true",
            "orderby": "id",
            "order": "asc",
        }
        tally = Tally()
        async for row in pages(ctx, "/orders", asked, "summarise"):
            said = read_as(row, Order)
            if state_of(said) is ExtState.CANCELLED:
                continue
            if said.refunds:
                tally.add_left(order_of(ctx, said, 0, await refunds_of(ctx, said)))
            else:
                tally.add(str(said.id), minor_of(said.total, said.currency))
        return tally.summary(day)

    # --- stock and prices ---

    async def set_stock(self, ctx: Ctx, items: Sequence[StockUpdate]) -> Sequence[Result]:
        """Write quantities; listings are named by SKU there. What the shop shows already is not written again."""
        found = await by_sku(ctx, [item.code for item in items])
        wanted = {item.code: {"manage_stock": True, "stock_quantity": item.quantity} for item in items}
        done: dict[str, Result] = {**found.unread}
        for item in items:
            row = found.rows.get(item.code)
            if item.code in done:
                continue
            if row is None:
                done[item.code] = unknown(item.code)
            elif row.type in {"grouped", "external"}:
                done[item.code] = Rejected("not_stocked", f"a product of type {row.type} holds no stock", "code")
            elif row.manage_stock is True and row.stock_quantity == item.quantity:
                done[item.code] = Ok(str(row.id))
        open_ = {code: fields for code, fields in wanted.items() if code not in done}
        done |= await change(ctx, found.rows, open_, "set_stock")
        return [done[item.code] for item in items]

    async def pull_stock(self, ctx: Ctx, cursor: str | None) -> Page[ExtStock]:
        """Return what the shop shows of products and variations whose stock it keeps, by id.

        A variation that shares the stock of its product has none of its own; the product has it.
        """
        after, last = (int(part) for part in (cursor or "0:0").split(":"))
        page = await stock_page(ctx, after, last)
        items = [each for row in page.rows if (each := stock_of(row, page.as_of)) is not None]
        return Page(items=items, cursor=f"{page.after}:{page.last}", more=page.more)

    async def set_prices(self, ctx: Ctx, items: Sequence[PricePush]) -> Sequence[Result]:
        """Write prices. Whether they hold tax is a setting of the shop."""
        found = await by_sku(ctx, [item.code for item in items])
        done: dict[str, Result] = {**found.unread}
        open_: dict[str, dict[str, Any]] = {}
        for item in items:
            row, wanted = found.rows.get(item.code), priced(ctx, item.price, item.currency)
            if item.code in done:
                continue
            if row is None:
                done[item.code] = unknown(item.code)
            elif row.type in {"grouped", "variable"}:
                done[item.code] = Rejected("not_priced", f"a product of type {row.type} has no price", "code")
            elif all(is_same(getattr(row, name), text) for name, text in wanted.items()):
                done[item.code] = Ok(str(row.id))
            else:
                open_[item.code] = wanted
        done |= await change(ctx, found.rows, open_, "set_prices")
        return [done[item.code] for item in items]

    # --- what is told once ---

    async def find_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> ExtRef | None:
        """Return the parcel whose mark the order bears; the note that may be missing is written."""
        del key
        row, _reply = await one_order(ctx, shipment.order, "find_shipment")
        if SHIPMENT + shipment.shipment not in read_as(row, Order).meta:
            return None
        path = f"/orders/{shipment.order}/notes"
        notes = await ask(ctx, "GET", path, list[Note], "find_shipment")
        if not any(mark_of(shipment.shipment) in note.note for note in notes):
            await self._note(ctx, shipment)
        return ExtRef(shipment.shipment)

    async def push_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> Result:
        """Write the parcel to the order, complete the order when all of it has left, and note it down."""
        del key
        row, _reply = await one_order(ctx, shipment.order, "push_shipment")
        order = read_as(row, Order)
        lines = lines_of(order, shipment.lines)
        if isinstance(lines, Rejected):
            return lines
        changes: dict[str, Any] = {"meta_data": tracked(order, shipment, lines)}
        if ctx.config.complete and await is_all_gone(ctx, order, shipment.shipment, lines):
            changes["status"] = "completed"
        await ask(ctx, "PUT", f"/orders/{order.id}", dict[str, Any], "push_shipment", body=changes)
        await self._note(ctx, shipment)
        return Ok(shipment.shipment)

    async def _note(self, ctx: Ctx, shipment: ShipmentPush) -> None:
        text = " ".join(part for part in (shipment.carrier, shipment.tracking, mark_of(shipment.shipment)) if part)
        body = {"note": text, "customer_note": ctx.config.customer_note}
        await ask(ctx, "POST", f"/orders/{shipment.order}/notes", dict[str, Any], "push_shipment", body=body)

    async def find_operation(self, ctx: Ctx, order: str, key: str) -> ExtRef | None:
        """Return the cancel or refund that bears the mark of a key."""
        row, _reply = await one_order(ctx, order, "find_operation")
        said = read_as(row, Order)
        if OPERATION + key in said.meta:
            return ExtRef(order)
        found = next((each for each in said.refunds if (each.reason or "").endswith(mark_of(key))), None)
        if found is None:
            return None
        await self._complete(ctx, said)
        return ExtRef(str(found.id))

    async def cancel(self, ctx: Ctx, push: CancelPush, key: str) -> Result:
        """Cancel the whole order; of one that some is left of, take units off by a refund of no money.

        WooCommerce puts the units of a cancelled order back into its stock; those of the refund it leaves alone.
        """
        row, _reply = await one_order(ctx, push.order, "cancel")
        order = read_as(row, Order)
        if push.whole and not parcels_of(order):
            mark = {"key": OPERATION + key, "value": push.reason}
            body = {"status": "cancelled", "meta_data": [mark]}
            await ask(ctx, "PUT", f"/orders/{order.id}", dict[str, Any], "cancel", body=body)
            return Ok(str(order.id))
        lines = lines_of(order, push.lines)
        if isinstance(lines, Rejected):
            return lines
        refund = {
            "amount": "0",
            "reason": f"{push.reason} {CANCELLED}{mark_of(key)}".strip(),
            "api_refund": False,
            "api_restock": False,
            "line_items": [{"id": id_, "quantity": n, "refund_total": 0} for id_, n in lines.items()],
        }
        done = await ask(ctx, "POST", f"/orders/{order.id}/refunds", Refund, "cancel", body=refund)
        await self._complete(ctx, order)
        return Ok(str(done.id))

    async def _complete(self, ctx: Ctx, order: Order) -> None:
        """Complete an order of which nothing is left to send, because the rest was cancelled."""
        if not ctx.config.complete or not parcels_of(order) or order.status not in OPEN:
            return
        if await is_all_gone(ctx, order):
            body = {"status": "completed"}
            await ask(ctx, "PUT", f"/orders/{order.id}", dict[str, Any], "cancel", body=body)

    async def refund(self, ctx: Ctx, push: RefundPush, key: str) -> Result:
        """Refund an amount of an order, through its gateway or only noted down, as the connection says."""
        row, _reply = await one_order(ctx, push.order, "refund")
        order = read_as(row, Order)
        left = minor_of(order.total, order.currency) + sum(minor_of(r.total, order.currency) for r in order.refunds)
        # Asked before, because WooCommerce answers both with a 500, after which nobody knows.
        if push.amount > left:
            return Rejected("too_much", f"{text_of(left, order.currency)} of the order is left to refund", "amount")
        if ctx.config.refund_at_gateway and not await _can_refund(ctx, order.payment_method):
            says = f"the gateway {order.payment_method} gives no money back: do it there, or turn off refund_at_gateway"
            return Rejected("gateway_cannot_refund", says, "payment")
        body = {
            "amount": text_of(push.amount, push.currency),
            "reason": mark_of(key),
            "api_refund": ctx.config.refund_at_gateway,
            "api_restock": False,
        }
        done = await ask(ctx, "POST", f"/orders/{order.id}/refunds", Refund, "refund", body=body)
        return Ok(str(done.id))

    # --- webhooks ---

    def verify(self, raw: RawRequest, secrets: Sequence[str], now: datetime) -> Verified | Rejected | Ping:
        """Check `X-WC-Webhook-Signature`. One that is new sends an unsigned `webhook_id=N`, which tells nothing."""
        del now
        if _is_ping(raw.body):
            return Ping()
        if not signatures.is_hmac(secrets, raw.body, raw.headers.get("x-wc-webhook-signature", "")):
            return Rejected("signature", "the signature does not fit")
        return Verified(raw)

    def parse(self, verified: Verified) -> Sequence[InboxEvent]:
        """Read which order it is about. It is read again: what is sent bears no time at which it was true.

        The headers are not signed, so the topic is believed only as far as the body has an order's fields. Products are
        read by when they change: of theirs nothing is kept.
        """
        try:
            said = msgspec.json.decode(verified.request.body, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise Invalid(str(error)[:200]) from None
        topic = verified.request.headers.get("x-wc-webhook-topic", "")
        id_ = said.get("id")
        if not isinstance(id_, int) or isinstance(id_, bool):
            raise Invalid("it names nothing", field="id")
        if "line_items" not in said and topic != "order.deleted":
            return []
        if topic and topic not in ORDER_TOPICS:
            return []
        name = hashlib.sha256(verified.request.body).hexdigest()[:40]
        return [
            InboxEvent(
                dedup=f"webhook:{name}:{topic}", entity=f"order:{id_}", trust=Trust.HINT, order_id=str(id_)
            )
        ]  # fmt: skip


def _is_ping(body: bytes) -> bool:
    name, equals, id_ = body.partition(b"=")
    return name == b"webhook_id" and bool(equals) and id_.isdigit() and len(id_) < 20


# --- the way there ---


async def _hooks(ctx: Ctx) -> Any:
    async for row in pages(ctx, "/webhooks", {"status": "all", "orderby": "id", "order": "asc"}, "check"):
        yield read_as(row, Hook)


async def _can_refund(ctx: Ctx, gateway: str) -> bool:
    if not gateway:
        return False
    try:
        said = await ask(ctx, "GET", f"/payment_gateways/{quoted(gateway)}", Gateway, "refund")
    except Missing:
        return False
    return "refunds" in said.method_supports


# --- reading by when things changed ---
