"""A channel that speaks our own small protocol: JSON over HTTP, and webhooks signed as Standard Webhooks says.

For whoever has no vendor's API: a shop of one's own, a middleware, a partner who writes one afternoon. The protocol is
described on the page "A channel of your own" and is what the conformance kit runs against a server of ours; that server
is no vendor's product, so the tier is C.

    GET  /orders?since=...&cursor=...&limit=...   {"orders": [...], "cursor": "...", "more": false}
    GET  /orders/{id}                             one of them
    GET  /orders/summary?day=...&zone=...         {"orders": 12, "total": 345600, "ids": [...], "refunds": {"7": 500}}
    POST /stock    {"items": [...]}               {"results": [{"status": "ok"}, {"status": "rejected", ...}]}
    GET  /stock?cursor=...&limit=...              {"items": [{"sku": "A", "quantity": 5}], "cursor": "...", ...}
    GET  /products?cursor=...&limit=...           {"products": [{"id": "7", "sku": "A", ...}], "cursor": "...", ...}
    POST /prices   {"items": [...]}               the same
    POST /listings {"items": [...]}               the same; a refusal names the "field", others are in "others"
    POST /shipments, /cancellations, /refunds     {"id": "..."}; `Idempotency-Key` is our key of it
    GET  /operations/{key}                        {"id": "..."}; {"pending": "..."}; or 404: it never arrived
    POST /token    {"refresh_token": "..."}       {"access_token": "...", "refresh_token": "...", "expires_in": 3600}
    GET  /ping                                    {"name": "..."}

Lines and totals of an order stay as they were sold. Units that are cancelled are counted on their line
(`"cancelled": 1`), money that was given back is listed (`"refunds": [{"id": "r1", "payment": "p1", "amount": 1000}]`),
`"favour": true` where it was for nothing that is cancelled, such as an apology.
What is to be known of an order besides comes as `"note"` and `"attributes"` (texts by name, of its lines too).
A listing has no `"price"` where the channel keeps the prices itself; none is told at `/prices` then, either.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Meta

from malha.channels import signatures
from malha.channels.connectors.answers import unreadable
from malha.channels.contract import (
    AuthExpired,
    CancelPush,
    Capability,
    Conflicting,
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
    Field,
    Health,
    InboxEvent,
    Invalid,
    Kind,
    Limits,
    ListingFields,
    Missing,
    Ok,
    Page,
    PaidState,
    Pending,
    Ping,
    PricePush,
    ProductPush,
    RawRequest,
    RefundPush,
    RefundState,
    Rejected,
    Reply,
    Result,
    Retryable,
    ShipmentPush,
    ShippedLine,
    StockUpdate,
    Tier,
    Tokens,
    Trust,
    Unknown,
    Unsure,
    Verified,
)

PAGE, RATE, IN_FLIGHT = 100, 20, 8
PENDING_S = 300.0  # before it is looked again whether the channel has done what it works on
_encode = msgspec.json.Encoder().encode
Amount = Annotated[int, Meta(ge=0, le=10**12)]


class GenericConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the channel is, and how it knows us."""

    base_url: Annotated[
        str, Meta(min_length=8, max_length=500, title="Address", description="Address of the channel's API.")
    ]
    access: Annotated[
        Literal["key", "token"],
        Meta(
            title="Access",
            description="Whether a key is sent as it is, or tokens are renewed at /token.",
            extra_json_schema={
                "x-choices": {"key": "By a key that is sent as it is", "token": "By tokens that are renewed"}
            },
        ),
    ] = "key"
    page: Annotated[int, Meta(ge=1, le=500, title="Orders of a page", description="Orders asked for at once.")] = PAGE
    rate: Annotated[
        int, Meta(ge=1, le=1000, title="Requests a second", description="As many as the channel can answer.")
    ] = RATE
    in_flight: Annotated[
        int, Meta(ge=1, le=64, title="At the same time", description="Operations that may be under way at once.")
    ] = IN_FLIGHT


class _Payment(msgspec.Struct):
    id: str
    method: str
    amount: Amount
    state: str = "pending"
    installments: int = 1
    paid_at: datetime | None = None
    expires_at: datetime | None = None
    given_up: bool = False


class _Line(msgspec.Struct):
    quantity: Annotated[int, Meta(ge=1, le=1_000_000)]
    unit_price: Amount
    discount: Amount = 0
    id: str = ""
    item: str = ""
    sku: str = ""
    gtin: str = ""
    name: str = ""
    cancelled: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    attributes: dict[str, str] = {}


class _Refund(msgspec.Struct):
    id: Annotated[str, Meta(min_length=1, max_length=200)]
    amount: Amount
    payment: str = ""
    state: str = "done"
    lines: list[ShippedLine] = []
    reason: str = ""
    refunded_at: Annotated[datetime, Meta(tz=True)] | None = None
    favour: bool = False


class _Order(msgspec.Struct):
    """As the channel writes it. What it says besides is passed over."""

    id: str
    version: int
    placed_at: Annotated[datetime, Meta(tz=True)]
    currency: str
    lines: Annotated[list[_Line], Meta(min_length=1, max_length=500)]
    status: str = "open"
    total: Amount | None = None
    shipping: Amount = 0
    discount: Amount = 0
    buyer: ExtBuyer = ExtBuyer()
    ship_to: ExtAddress | None = None
    shipping_method: str = ""
    pickup_location: str = ""
    payments: list[_Payment] = []
    refunds: list[_Refund] = []
    promised_at: Annotated[datetime, Meta(tz=True)] | None = None
    note: str = ""
    attributes: dict[str, str] = {}


class _Named(msgspec.Struct):
    id: Annotated[str, Meta(min_length=1, max_length=120)]


class _Orders(msgspec.Struct):
    orders: list[msgspec.Raw]
    cursor: str
    more: bool = False


class _Stock(msgspec.Struct):
    sku: Annotated[str, Meta(min_length=1, max_length=200)]
    quantity: Annotated[int, Meta(ge=-(2**31), lt=2**31)]
    as_of: Annotated[datetime, Meta(tz=True)] | None = None
    location: Annotated[str, Meta(max_length=200)] = ""
    version: int = 0
    on_hand: Annotated[int, Meta(ge=-(2**31), lt=2**31)] | None = None


class _StockNamed(msgspec.Struct):
    sku: Annotated[str, Meta(min_length=1, max_length=200)]
    location: Annotated[str, Meta(max_length=200)] = ""
    quantity: msgspec.Raw = msgspec.Raw(b"null")
    on_hand: msgspec.Raw = msgspec.Raw(b"null")
    as_of: msgspec.Raw = msgspec.Raw(b"null")


class _Stocks(msgspec.Struct):
    items: list[msgspec.Raw]
    cursor: str = ""
    more: bool = False


class _Product(msgspec.Struct):
    id: Annotated[str, Meta(min_length=1, max_length=200)]
    sku: str = ""
    gtin: str = ""
    name: str = ""
    price: Amount | None = None
    active: bool = True
    version: int = 0
    product: Annotated[str, Meta(max_length=200)] = ""
    weight_grams: Annotated[int, Meta(ge=0)] | None = None
    dimensions: tuple[int, int, int] | None = None
    product_name: str | None = None
    description: str | None = None
    brand: str | None = None
    ncm: str | None = None
    cest: str | None = None
    origin: Annotated[int, Meta(ge=0, le=8)] | None = None
    category: Annotated[str, Meta(max_length=500)] | None = None
    attributes: dict[str, str] | None = None
    options: dict[str, str] | None = None
    pictures: Annotated[list[str], Meta(max_length=50)] | None = None


class _Products(msgspec.Struct):
    products: list[msgspec.Raw]
    cursor: str
    more: bool = False


class _Summary(msgspec.Struct):
    orders: int
    total: int
    ids: list[str] | None = None
    refunds: dict[str, int] | None = None


class _ItemResult(msgspec.Struct):
    status: str
    code: str = ""
    message: str = ""
    field: str = ""
    id: str = ""
    others: list["_Refusal"] = []


class _Refusal(msgspec.Struct):
    code: str = ""
    message: str = ""
    field: str = ""


class _Results(msgspec.Struct):
    results: list[_ItemResult]


class _Done(msgspec.Struct):
    id: str = ""
    pending: str = ""


class _Token(msgspec.Struct):
    access_token: str
    refresh_token: str = ""
    expires_in: int | None = None


class _Event(msgspec.Struct):
    type: str
    order: msgspec.Raw = msgspec.Raw()
    order_id: str = ""


class _Error(msgspec.Struct):
    code: str = ""
    message: str = ""
    field: str = ""
    version: str = ""


# What its answers are read as, for the page that describes them (`tools/protocol.py`).
MESSAGES: Mapping[str, type[msgspec.Struct]] = {
    "order": _Order,
    "product": _Product,
    "stock": _Stock,
    "summary": _Summary,
    "result": _ItemResult,
    "refusal": _Error,
}
REFUNDED = {state.value: state for state in RefundState}
PAID = {state.value: state for state in PaidState}
STATES = {"open": ExtState.OPEN, "paid": ExtState.OPEN, "cancelled": ExtState.CANCELLED}


class Generic:
    """See the module."""

    key: ClassVar[str] = "generic"
    name: ClassVar[str] = "JSON over HTTP"
    config_model: ClassVar[type[msgspec.Struct]] = GenericConfig
    secrets: ClassVar[Mapping[str, str]] = {
        "api_key": "Key that is sent as Authorization: Bearer",
        "refresh_token": "First refresh token, where access is by tokens",
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
            Capability.TOKENS,
        }
    )
    product_fields: ClassVar[frozenset[str]] = frozenset(
        {
            "name",
            "description",
            "brand",
            "category",
            "attributes",
            "options",
            "pictures",
            "ncm",
            "cest",
            "origin",
            "variant_name",
            "gtin",
            "weight",
            "dimensions",
            "price",
        }
    )
    listing_fields: ClassVar[ListingFields] = ListingFields(
        (
            Field("title", required=True, longest=200),
            Field("description", Kind.LONG),
            Field("brand", longest=100),
            Field("gtin", Kind.GTIN),
            Field("category", Kind.CATEGORY),
            Field("images", Kind.URLS, longest=20),
        ),
        attributes=True,
    )
    limits: ClassVar[Limits] = Limits(rate=RATE, burst=2 * RATE, in_flight=IN_FLIGHT, batch=200)
    evidence: ClassVar[Tier] = Tier.C
    idempotent: ClassVar[bool] = False  # a peer of this protocol is asked with GET /operations before anything again

    def limits_for(self, config: GenericConfig) -> Limits:
        """Return what the connection says that its channel can take."""
        most = config.in_flight
        return msgspec.structs.replace(self.limits, rate=config.rate, burst=2 * config.rate, in_flight=most)

    async def check(self, ctx: Ctx) -> Health:
        """Ask for /ping."""
        said = await self._ask(ctx, "GET", "/ping", dict[str, Any], operation="check")
        return Health(ok=True, says=str(said.get("name", ""))[:200])

    # --- products ---

    async def pull_products(self, ctx: Ctx, cursor: str | None) -> Page[ExtProduct]:
        """Return the products that changed after a cursor; what cannot be read is named, and passed over."""
        asked = {"limit": str(ctx.config.page)} | ({} if cursor is None else {"cursor": cursor})
        found = await self._ask(ctx, "GET", f"/products?{urlencode(asked)}", _Products, operation="pull_products")
        items, unread = [], []
        for raw in found.products:
            try:
                said = msgspec.json.decode(raw, type=_Product)
            except msgspec.ValidationError:
                unread.append(_id_of(raw))
            else:
                items.append(ExtProduct(**msgspec.structs.asdict(said)))
        return Page(items=items, cursor=found.cursor, more=found.more, unread=unread)

    # --- orders ---

    async def pull_orders(self, ctx: Ctx, cursor: str | None, since: datetime | None) -> Page[ExtOrder]:
        """Return the page after a cursor; see `contract.OrderSource`."""
        asked = {"limit": str(ctx.config.page)}
        if cursor is not None:
            asked["cursor"] = cursor
        elif since is not None:
            asked["since"] = since.isoformat()
        found = await self._ask(ctx, "GET", f"/orders?{urlencode(asked)}", _Orders, operation="pull_orders")
        items, unread = [], []
        for raw in found.orders:
            try:
                items.append(_order(msgspec.json.decode(raw, type=_Order)))
            except msgspec.ValidationError:
                unread.append(_id_of(raw))
        return Page(items=items, cursor=found.cursor, more=found.more, unread=unread)

    async def get_order(self, ctx: Ctx, external_id: str) -> ExtOrder:
        """Return an order as it is now."""
        path = f"/orders/{quote(external_id, safe='')}"
        raw = await self._ask(ctx, "GET", path, msgspec.Raw, operation="get_order")
        try:
            return _order(msgspec.json.decode(raw, type=_Order))
        except msgspec.ValidationError as error:
            raise Invalid(str(error)[:200]) from None

    async def acknowledge(self, ctx: Ctx, handles: Sequence[str]) -> None:
        """Do nothing: this protocol has nothing to acknowledge."""

    async def summarise(self, ctx: Ctx, day: date, zone: str) -> DaySummary:
        """Return what the channel counts of a day."""
        asked = urlencode({"day": day.isoformat(), "zone": zone})
        found = await self._ask(ctx, "GET", f"/orders/summary?{asked}", _Summary, operation="summarise")
        return DaySummary(day.isoformat(), found.orders, found.total, found.ids, found.refunds)

    # --- stock and prices ---

    async def set_stock(self, ctx: Ctx, items: Sequence[StockUpdate]) -> Sequence[Result]:
        """Hand quantities over."""
        return await self._batch(ctx, "/stock", items, "set_stock")

    async def pull_stock(self, ctx: Ctx, cursor: str | None) -> Page[ExtStock]:
        """Return the page after a cursor; what says no time is as of when it was asked for."""
        asked_at = ctx.now()
        asked = {"limit": str(ctx.config.page)} | ({} if cursor is None else {"cursor": cursor})
        found = await self._ask(ctx, "GET", f"/stock?{urlencode(asked)}", _Stocks, operation="pull_stock")
        items = [_stock(row, asked_at) for row in found.items]
        return Page(items=items, cursor=found.cursor, more=found.more)

    async def set_prices(self, ctx: Ctx, items: Sequence[PricePush]) -> Sequence[Result]:
        """Hand prices over."""
        return await self._batch(ctx, "/prices", items, "set_prices")

    async def upsert_products(self, ctx: Ctx, items: Sequence[ProductPush]) -> Sequence[Result]:
        """Hand variants over, each as a whole."""
        return await self._batch(ctx, "/listings", [_listing(item) for item in items], "upsert_products")

    async def _batch(self, ctx: Ctx, path: str, items: Sequence[Any], operation: str) -> Sequence[Result]:
        found = await self._ask(ctx, "POST", path, _Results, body={"items": list(items)}, operation=operation)
        if len(found.results) != len(items):
            raise Unsure(f"{len(items)} items were sent and {len(found.results)} results came")
        return [_result(each) for each in found.results]

    # --- what is told once ---

    async def find_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> ExtRef | None:
        """Return what the channel has under a key."""
        return await self.find_operation(ctx, shipment.order, key)

    async def push_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> Result:
        """Tell of a parcel that left."""
        return await self._once(ctx, "/shipments", shipment, key, "push_shipment")

    async def find_operation(self, ctx: Ctx, order: str, key: str) -> ExtRef | None:
        """Return what the channel has under a key."""
        del order
        try:
            found = await self._ask(ctx, "GET", f"/operations/{key}", _Done, operation="find_operation")
        except Missing:
            return None
        if found.pending and not found.id:  # it arrived, and must not be sent again
            raise Retryable("the channel still works on it", after=PENDING_S)
        return ExtRef(found.id)

    async def cancel(self, ctx: Ctx, push: CancelPush, key: str) -> Result:
        """Tell what will not come."""
        return await self._once(ctx, "/cancellations", push, key, "cancel")

    async def refund(self, ctx: Ctx, push: RefundPush, key: str) -> Result:
        """Have money given back."""
        return await self._once(ctx, "/refunds", push, key, "refund")

    async def _once(self, ctx: Ctx, path: str, what: Any, key: str, operation: str) -> Result:
        done = await self._ask(ctx, "POST", path, _Done, body=what, key=key, operation=operation)
        return Pending(done.pending) if done.pending else Ok(done.id)

    # --- webhooks ---

    def verify(self, raw: RawRequest, secrets: Sequence[str], now: datetime) -> Verified | Rejected | Ping:
        """Check `webhook-id`, `webhook-timestamp` and `webhook-signature`."""
        said = raw.headers
        if not signatures.is_standard(
            secrets,
            id_=said.get("webhook-id", ""),
            timestamp=said.get("webhook-timestamp", ""),
            body=raw.body,
            said=said.get("webhook-signature", ""),
            now=now,
        ):
            return Rejected("signature", "the signature does not fit, or is older than five minutes")
        return Ping() if _event(raw.body).type == "ping" else Verified(raw)

    def parse(self, verified: Verified) -> Sequence[InboxEvent]:
        """Read `order.changed`; other types are passed over: they are of a later version than ours."""
        event = _event(verified.request.body)
        dedup = "webhook:" + verified.request.headers["webhook-id"]
        if event.type != "order.changed":
            return []
        if bytes(event.order) in {b"", b"null"}:
            if not event.order_id:
                raise Invalid("it names no order", field="order_id")
            return [_hint(dedup, event.order_id)]
        try:
            order = _order(msgspec.json.decode(event.order, type=_Order))
        except msgspec.ValidationError:
            return [_hint(dedup, _id_of(event.order))]  # read again, and told to a person if that is no better
        return [InboxEvent(dedup=dedup, entity=f"order:{order.id}", trust=Trust.DATA, order=order, order_id=order.id)]

    # --- tokens ---

    async def refresh(self, ctx: Ctx, token: str) -> Tokens:
        """Renew tokens at /token. What is not answered in full may be spent: a person enters a new one."""
        headers = {"content-type": "application/json"}
        address = ctx.config.base_url.rstrip("/") + "/token"
        body = _encode({"refresh_token": token})
        reply = await ctx.http.send("POST", address, headers=headers, body=body, operation="refresh")
        if reply.status >= 400:
            raise AuthExpired(f"HTTP {reply.status} at /token")
        said = _read(reply, _Token)
        until = None if said.expires_in is None else ctx.now() + timedelta(seconds=said.expires_in)
        return Tokens(said.access_token, said.refresh_token or token, until)

    # --- the way there ---

    async def _ask(
        self,
        ctx: Ctx,
        method: str,
        path: str,
        into: type[Any],
        *,
        body: Any = None,
        key: str = "",
        operation: str = "",
    ) -> Any:
        token = ctx.access.secret("api_key") if ctx.config.access == "key" else await ctx.access.token()
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/json"
        if key:
            headers["idempotency-key"] = key
        address = ctx.config.base_url.rstrip("/") + path
        content = None if body is None else _encode(body)
        reply = await ctx.http.send(method, address, headers=headers, body=content, operation=operation)
        if reply.status < 400:
            return _read(reply, into)
        said = _error(reply)
        if reply.status in {404, 410}:
            raise Missing(said.message or f"HTTP {reply.status}")
        if reply.status in {409, 412}:
            raise Conflicting(said.message or f"HTTP {reply.status}", version=said.version)
        raise Invalid(said.message or f"HTTP {reply.status}", field=said.field, code=said.code)


def _listing(item: ProductPush) -> dict[str, Any]:
    # Whoever keeps its prices itself is told none: not even that there is none.
    said: dict[str, Any] = msgspec.to_builtins(item)
    return {name: value for name, value in said.items() if name != "price" or value is not None}


def _read(reply: Reply, into: type[Any]) -> Any:
    # An answer that is cut off or no JSON: whatever was asked may have been done.
    try:
        return msgspec.json.decode(reply.body, type=into, strict=False)
    except msgspec.DecodeError as error:
        raise unreadable(reply.body, error) from None


def _error(reply: Reply) -> _Error:
    try:
        return msgspec.json.decode(reply.body, type=_Error)
    except msgspec.DecodeError:
        return _Error()


def _event(body: bytes) -> _Event:
    try:
        return msgspec.json.decode(body, type=_Event)
    except msgspec.DecodeError as error:
        raise Invalid(str(error)[:200]) from None


def _hint(dedup: str, order_id: str) -> InboxEvent:
    return InboxEvent(dedup=dedup, entity=f"order:{order_id}", trust=Trust.HINT, order_id=order_id)


def _id_of(raw: msgspec.Raw) -> str:
    try:
        return msgspec.json.decode(raw, type=_Named).id
    except msgspec.DecodeError as error:
        raise Invalid(f"an order without an id: {error}"[:200]) from None


def _result(said: _ItemResult) -> Result:
    if said.status == "ok":
        return Ok(said.id)
    if said.status == "rejected":
        others = [Rejected(each.code or "rejected", each.message, each.field) for each in said.others]
        return Rejected(said.code or "rejected", said.message, said.field, others)
    if said.status == "pending":
        return Pending(said.id)
    return Unknown(f"status {said.status[:40]}")


def _stock(raw: msgspec.Raw, asked_at: datetime) -> ExtStock:
    """Return what there is of a variant. What cannot be read is told as it is, so that the others are read.

    Raises:
        Invalid: it does not say of which variant.
    """
    try:
        row = msgspec.json.decode(raw, type=_Stock)
    except msgspec.DecodeError as error:
        return _unread(raw, asked_at, str(error))
    return ExtStock(
        sku=row.sku,
        quantity=row.quantity,
        as_of=row.as_of or asked_at,
        location=row.location,
        version=row.version,
        on_hand=row.on_hand,
    )


def _unread(raw: msgspec.Raw, asked_at: datetime, why: str) -> ExtStock:
    try:
        row = msgspec.json.decode(raw, type=_StockNamed)
    except msgspec.DecodeError as error:
        raise Invalid(f"the answer cannot be read: {error}"[:200]) from None
    said = [bytes(each).decode() for each in (row.on_hand, row.quantity)]
    try:
        as_of = msgspec.json.decode(row.as_of, type=Annotated[datetime, Meta(tz=True)])
    except msgspec.DecodeError:
        as_of = asked_at
    strange = next((each for each in said if each != "null" and not _is_units(each)), why)
    return ExtStock(sku=row.sku, quantity=0, as_of=as_of, location=row.location, unread=strange[:80])


def _is_units(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=Annotated[int, Meta(ge=-(2**31), lt=2**31)])
    except msgspec.DecodeError:
        return False
    return True


def _order(said: _Order) -> ExtOrder:
    return ExtOrder(
        id=said.id,
        version=said.version,
        placed_at=said.placed_at,
        currency=said.currency,
        lines=[ExtLine(**msgspec.structs.asdict(line)) for line in said.lines],
        state=STATES.get(said.status, ExtState.UNKNOWN),
        status=said.status,
        total=said.total,
        shipping=said.shipping,
        discount=said.discount,
        buyer=said.buyer,
        ship_to=said.ship_to,
        shipping_method=said.shipping_method,
        pickup_location=said.pickup_location,
        payments=[_payment(each) for each in said.payments],
        refunds=[_refund(each) for each in said.refunds],
        promised_at=said.promised_at,
        note=said.note,
        attributes=said.attributes,
    )


def _payment(said: _Payment) -> ExtPayment:
    return ExtPayment(
        id=said.id,
        method=said.method,
        amount=said.amount,
        state=PAID.get(said.state, PaidState.UNKNOWN),
        installments=said.installments,
        paid_at=said.paid_at,
        expires_at=said.expires_at,
        given_up=said.given_up,
    )


def _refund(said: _Refund) -> ExtRefund:
    return ExtRefund(
        id=said.id,
        amount=said.amount,
        payment=said.payment,
        state=REFUNDED.get(said.state, RefundState.UNKNOWN),
        lines=said.lines,
        reason=said.reason[:200],
        refunded_at=said.refunded_at,
        favour=said.favour,
    )
