"""The generic connector keeps the contract against a server that really answers; careless ones are found out."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import msgspec
import pytest
import structlog

from malha.channels.connectors.generic import Generic
from malha.channels.contract import Capability, ExtProduct, ExtState, Invalid, Ok, Page, RawRequest, Unsure, Verified
from malha.testing.connectors import ConnectorContract, Fault, Offered, Operation, Shown
from peer_shop import API_KEY, PAGE, WEBHOOK_SECRET, Peer, Sent, peer_shop, sign

HOW = {
    Fault.CUT: "cut",
    Fault.LOST: "commit_then_cut",
    Fault.SILENT: "commit_then_silence",
    Fault.TRUNCATED: "truncated",
    Fault.DRIP: "drip",
    Fault.LIMITED: "status 429 7",
    Fault.LIMITED_BARE: "status 429",
    Fault.BROKEN: "status 500",
    Fault.BROKEN_HTML: "status 502",
    Fault.AWAY: "status 503",
    Fault.UNKNOWN_US: "status 401",
}
WHERE = {
    Operation.ORDERS: "GET /orders",
    Operation.ORDER: "GET /orders/",
    Operation.STOCK: "POST /stock",
    Operation.LEVELS: "GET /stock",
    Operation.PRICES: "POST /prices",
    Operation.SHIPMENT: "POST /shipments",
    Operation.CANCEL: "POST /cancellations",
    Operation.REFUND: "POST /refunds",
    Operation.PRODUCTS: "GET /products",
    Operation.LISTING: "POST /listings",
}


class ShopRig:
    """`peer_shop` as the kit needs it."""

    page = PAGE
    webhook_secret = WEBHOOK_SECRET

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.config = {"base_url": peer.url, "page": PAGE}
        self.secrets = {"api_key": API_KEY, "webhook_secret": WEBHOOK_SECRET}
        self.allowed = [peer.allowed]
        self._orders = self._changes = 0

    def fail(self, operation: Operation, fault: Fault) -> None:
        self.peer.fail(WHERE[operation], HOW[fault])

    async def add_order(self, *, at: int | None = None, odd: bool = False) -> str:
        self._orders += 1
        id_ = f"O-{self._orders:03}"
        self.peer.sell(id_, version=at, **({"status": "levitating", "colour": {"a": 1}} if odd else {}))
        return id_

    async def change_order(self, id_: str) -> None:
        self.peer.sell(id_, shipping=self.peer.orders[id_].get("shipping", 0) + 1)

    async def cancel_units(self, id_: str, units: int) -> None:
        self.peer.cancel_units(id_, "l1", units)

    async def give_back(self, id_: str, amount: int) -> None:
        given = len(self.peer.orders[id_].get("refunds", ()))
        self.peer.give_back(id_, f"r{given + 1}", amount)

    async def add_product(self, sku: str) -> None:
        self.peer.products.append({"id": f"V-{sku}", "sku": sku, "name": sku, "price": 1_000, "version": 1})

    async def change_product(self, sku: str) -> None:
        (row,) = [row for row in self.peer.products if row and row["sku"] == sku]
        self.peer.products.append({**row, "price": row["price"] + 1, "version": row["version"] + 1})

    async def offer(self, product: Offered) -> Offered:
        for n, row in enumerate(self.peer.products):
            if row and row["product"] == product.code:
                self.peer.products[n] = None
        self._changes += 1
        of = {
            "product": product.code,
            "product_name": product.name,
            "description": product.description,
            "brand": product.brand,
            "category": " > ".join(product.category),
            "attributes": dict(product.attributes),
            "pictures": list(product.pictures),
        }
        for variant in product.variants:
            its = {"id": f"V-{variant.sku}", "sku": variant.sku, "name": product.name, "options": dict(variant.options)}
            self.peer.products.append({**of, **its, "price": 1_000, "version": self._changes})
        return product

    async def told(self, operation: Operation) -> list[str]:
        of: dict[Operation, Callable[[], list[str]]] = {
            Operation.SHIPMENT: lambda: [s["shipment"] for s in self.peer.shipments],
            Operation.CANCEL: lambda: [c["order"] for c in self.peer.cancellations],
            Operation.REFUND: lambda: [r["payment"] for r in self.peer.refunds],
        }
        return of[operation]()

    async def values(self, operation: Operation) -> dict[str, int]:
        table = self.peer.stock if operation is Operation.STOCK else self.peer.prices
        return {code: value for code, (_, value) in table.items()}

    async def shown(self, code: str) -> list[Shown]:
        found = self.peer.listings.get(code)
        return [] if found is None else [Shown(active=found["active"], fields=found["fields"])]

    def refuse(self, code: str) -> None:
        self.peer.refuses[code] = "not sold here"

    def webhook(self, id_: str, *, secret: str, at: datetime) -> RawRequest:
        order = self.peer.orders[id_]
        return raw(self.peer.webhook(order, secret=secret, at=at, id_=f"msg-{id_}-{order['version']}"))

    def ping(self) -> RawRequest:
        return raw(sign({"type": "ping"}))


def raw(sent: Sent) -> RawRequest:
    return RawRequest("POST", "/in/kit", sent.headers, sent.body)


class TestGeneric(ConnectorContract):
    """What the kit asks of the generic connector."""

    connector = Generic()

    @pytest.fixture
    async def rig(self) -> AsyncIterator[ShopRig]:
        async with peer_shop() as peer:
            yield ShopRig(peer)


# --- each way to be careless fails a test of the kit ---


class Trusting(Generic):
    """It believes every webhook."""

    def verify(self, raw: RawRequest, secrets: Any, now: datetime) -> Any:
        del secrets, now
        return Verified(raw)


class Timeless(Generic):
    """It believes a message of last year."""

    def verify(self, raw: RawRequest, secrets: Any, now: datetime) -> Any:
        del now
        stamp = int(raw.headers.get("webhook-timestamp", "0"))
        return super().verify(raw, secrets, datetime.fromtimestamp(stamp).astimezone())


class Guessing(Generic):
    """It takes every status it does not know for an open order."""

    async def pull_orders(self, ctx: Any, cursor: Any, since: Any) -> Any:
        page = await super().pull_orders(ctx, cursor, since)
        known = [msgspec.structs.replace(order, state=ExtState.OPEN) for order in page.items]
        return msgspec.structs.replace(page, items=known)


class Hasty(Generic):
    """It tells again without looking."""

    async def find_operation(self, ctx: Any, order: str, key: str) -> Any:
        del ctx, order, key


class Sunny(Generic):
    """It says that every item was taken."""

    async def set_stock(self, ctx: Any, items: Any) -> Any:
        await super().set_stock(ctx, items)
        return [Ok() for _ in items]


class Forgetful(Generic):
    """It reads one page, and says that was all."""

    async def pull_orders(self, ctx: Any, cursor: Any, since: Any) -> Any:
        page = await super().pull_orders(ctx, cursor, since)
        return msgspec.structs.replace(page, more=False)


class Glancing(Generic):
    """It reads the first page of stock, and says that was all."""

    async def pull_stock(self, ctx: Any, cursor: Any) -> Any:
        page = await super().pull_stock(ctx, cursor)
        return msgspec.structs.replace(page, more=False)


class Lenient(Generic):
    """It takes half an answer for no stock at all."""

    async def pull_stock(self, ctx: Any, cursor: Any) -> Any:
        try:
            return await super().pull_stock(ctx, cursor)
        except Unsure:
            return Page(items=[], cursor="0")


class Browsing(Generic):
    """It reads the first page of the catalogue, and says that was all."""

    async def pull_products(self, ctx: Any, cursor: Any) -> Any:
        return msgspec.structs.replace(await super().pull_products(ctx, cursor), more=False)


class Amnesiac(Generic):
    """It reads the catalogue from its beginning each time."""

    async def pull_products(self, ctx: Any, cursor: Any) -> Any:
        del cursor
        page = await super().pull_products(ctx, None)
        return msgspec.structs.replace(page, more=False, cursor="0")


class Blind(Generic):
    """It takes half an answer for an empty catalogue."""

    async def pull_products(self, ctx: Any, cursor: Any) -> Any:
        try:
            return await super().pull_products(ctx, cursor)
        except Unsure:
            return Page(items=[], cursor="0")


class Rewording(Generic):
    """What it reads it changes, item by item."""

    def told(self, item: ExtProduct) -> ExtProduct:
        raise NotImplementedError

    async def pull_products(self, ctx: Any, cursor: Any) -> Any:
        page = await super().pull_products(ctx, cursor)
        return msgspec.structs.replace(page, items=[self.told(item) for item in page.items])


class Raw(Rewording):
    """It tells texts as a page has them."""

    def told(self, item: ExtProduct) -> ExtProduct:
        return msgspec.structs.replace(item, description=f"<p>{item.description}</p>")


class Uppermost(Rewording):
    """It tells the root of the tree instead of where the product is in it."""

    def told(self, item: ExtProduct) -> ExtProduct:
        return msgspec.structs.replace(item, category=(item.category or "").partition(" > ")[0])


class Counting(Rewording):
    """It tells numbers where texts belong."""

    def told(self, item: ExtProduct) -> ExtProduct:
        return msgspec.structs.replace(item, attributes={**(item.attributes or {}), "Fotos": 2})  # type: ignore[dict-item]


class Unannounced(Generic):
    """It tells brands, and does not say so."""

    product_fields = Generic.product_fields - {"brand"}


class Hollow(Rewording):
    """It leaves out what is empty."""

    def told(self, item: ExtProduct) -> ExtProduct:
        return msgspec.structs.replace(item, description=item.description or None, pictures=item.pictures or None)


class Scattering(Rewording):
    """It tells each variant as a product of its own."""

    def told(self, item: ExtProduct) -> ExtProduct:
        return msgspec.structs.replace(item, product=item.id)


class Clipped(Generic):
    """Of each page it keeps the options of the first variant of a product only."""

    async def pull_products(self, ctx: Any, cursor: Any) -> Any:
        page = await super().pull_products(ctx, cursor)
        seen: set[str] = set()
        items = []
        for item in page.items:
            items.append(msgspec.structs.replace(item, options={}) if item.product in seen else item)
            seen.add(item.product)
        return msgspec.structs.replace(page, items=items)


class Restless(Rewording):
    """Each time it tells pictures in another order."""

    def __init__(self) -> None:
        self.turn = 0

    def told(self, item: ExtProduct) -> ExtProduct:
        self.turn += 1
        pictures = [*(item.pictures or ())]
        return msgspec.structs.replace(item, pictures=pictures[:: 1 if self.turn % 3 else -1])


class Frugal(Generic):
    """It tells a variant again when its price changed."""

    def __init__(self) -> None:
        self.prices: dict[str, int | None] = {}

    async def pull_products(self, ctx: Any, cursor: Any) -> Any:
        page = await super().pull_products(ctx, cursor)
        fresh = [item for item in page.items if self.prices.get(item.id, -1) != item.price]
        self.prices |= {item.id: item.price for item in fresh}
        return msgspec.structs.replace(page, items=fresh)


class Strict(Generic):
    """It reads no page on which anything is odd."""

    async def pull_products(self, ctx: Any, cursor: Any) -> Any:
        page = await super().pull_products(ctx, cursor)
        if any(len(item.product_name or "") > 200 for item in page.items):
            raise Invalid("the name is too long")
        return page


class Chatty(Rewording):
    """It logs what it reads."""

    def told(self, item: ExtProduct) -> ExtProduct:
        structlog.get_logger().info("product_read", item=item)
        return item


class Shrinking(Generic):
    """It takes what is cancelled off the line."""

    async def get_order(self, ctx: Any, external_id: str) -> Any:
        order = await super().get_order(ctx, external_id)
        lines = [msgspec.structs.replace(x, quantity=x.quantity - x.cancelled, cancelled=0) for x in order.lines]
        return msgspec.structs.replace(order, lines=lines)


class Renaming(Generic):
    """It numbers refunds from the newest."""

    async def get_order(self, ctx: Any, external_id: str) -> Any:
        order = await super().get_order(ctx, external_id)
        count = len(order.refunds)
        refunds = [msgspec.structs.replace(r, id=str(count - n)) for n, r in enumerate(order.refunds)]
        return msgspec.structs.replace(order, refunds=refunds)


class Boastful(Generic):
    """It says it can post sales documents, and cannot."""

    capabilities = Generic.capabilities | {Capability.DOCUMENTS}


class Undying(Generic):
    """What it lists is for sale for ever."""

    async def upsert_products(self, ctx: Any, items: Any) -> Any:
        return await super().upsert_products(ctx, [msgspec.structs.replace(item, active=True) for item in items])


class Hopeful(Generic):
    """It takes a call that went through for a product that was taken."""

    async def upsert_products(self, ctx: Any, items: Any) -> Any:
        await super().upsert_products(ctx, items)
        return [Ok(item.code) for item in items]


class Timid(Generic):
    """It writes a product once and never again."""

    async def upsert_products(self, ctx: Any, items: Any) -> Any:
        return await super().upsert_products(ctx, [i for i in items if i.version == 1]) or [Ok() for _ in items]


async def fails(connector: Any, test: str, **given: Any) -> None:
    contract = ConnectorContract()
    ConnectorContract.connector, former = connector, getattr(ConnectorContract, "connector", None)
    try:
        async with peer_shop() as peer:
            rig = {} if test == "test_it_keeps_what_it_says_of_itself" else {"rig": ShopRig(peer)}
            with pytest.raises((AssertionError, pytest.fail.Exception)):
                await getattr(contract, test)(**rig, **given)
    finally:
        ConnectorContract.connector = former


@pytest.mark.parametrize(
    ("careless", "test", "given"),
    [
        (Trusting, "test_a_webhook_of_anybody_else_is_refused", {}),
        (Timeless, "test_an_old_message_sent_again_is_refused_where_its_time_is_signed", {}),
        (Guessing, "test_what_nobody_knows_is_not_guessed", {}),
        (
            Hasty,
            "test_whatever_breaks_a_thing_is_told_once",
            {"operation": Operation.SHIPMENT, "fault": Fault.LOST},
        ),
        (Sunny, "test_the_last_word_about_stock_stays", {"fault": None}),
        (Forgetful, "test_every_order_is_read_once_wherever_a_page_ends", {"pages": 1, "extra": 1}),
        (Glancing, "test_the_stock_that_was_told_is_read_back", {"fault": None}),
        (Lenient, "test_half_a_page_of_stock_is_no_page", {"fault": Fault.TRUNCATED}),
        (Browsing, "test_every_variant_is_read_once_and_what_it_says_is_usable", {}),
        (Amnesiac, "test_every_variant_is_read_once_and_what_it_says_is_usable", {}),
        (Amnesiac, "test_a_variant_that_changes_is_told_again", {}),
        (Blind, "test_reading_variants_survives_every_failure", {"fault": Fault.TRUNCATED}),
        (Raw, "test_what_a_product_says_comes_back", {}),
        (Uppermost, "test_what_a_product_says_comes_back", {}),
        (Counting, "test_what_a_product_says_comes_back", {}),
        (Unannounced, "test_what_a_product_says_comes_back", {}),
        (Hollow, "test_what_a_product_does_not_have_is_told_as_empty_and_not_left_out", {}),
        (Scattering, "test_wherever_a_page_ends_a_product_is_told_whole", {}),
        (Clipped, "test_wherever_a_page_ends_a_product_is_told_whole", {}),
        (Restless, "test_the_same_product_read_again_says_the_same", {}),
        (Frugal, "test_what_changes_of_a_product_alone_is_told_again", {"change": {"description": "De algodão."}}),
        (Amnesiac, "test_what_changes_of_a_product_alone_is_told_again", {"change": {"description": "De algodão."}}),
        (Strict, "test_an_odd_product_is_told_or_refused_and_holds_up_no_others", {"odd": "a very long name"}),
        (Chatty, "test_a_secret_in_the_address_of_a_picture_shows_in_no_log_and_no_error", {}),
        (Shrinking, "test_what_the_peer_cancelled_is_counted_on_lines_that_stay_as_they_were_sold", {}),
        (Renaming, "test_what_the_peer_gave_back_is_told_with_one_name_for_ever", {}),
        (Undying, "test_a_product_that_ends_is_not_for_sale_and_comes_back", {}),
        (Hopeful, "test_a_product_that_is_refused_holds_up_no_others", {}),
        (Timid, "test_whatever_breaks_a_product_is_there_once_and_says_the_last_word", {"fault": None}),
        (Boastful, "test_it_keeps_what_it_says_of_itself", {}),
    ],
)
async def test_the_kit_finds_out_who_is_careless(careless: Any, test: str, given: dict[str, Any]) -> None:
    await fails(careless(), test, **given)


def test_the_peer_of_these_tests_speaks_json_that_the_page_describes() -> None:
    peer = Peer()
    order = peer.sell("1")
    assert json.loads(peer.webhook(order).body)["order"]["id"] == "1"
