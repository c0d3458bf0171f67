"""What WooCommerce says, as far as Malha listens; what it says besides is passed over."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

OPEN = frozenset({"pending", "failed", "on-hold", "processing"})  # of which something may be to be sent
PAGE = 100  # the most that WooCommerce gives, and takes in a batch


class Entry(msgspec.Struct):
    """A field of metadata."""

    key: str
    value: Any = None


class Item(msgspec.Struct):
    """A line of an order; amounts are without taxes, `subtotal` before coupons."""

    id: int
    quantity: Annotated[int, Meta(ge=0, le=1_000_000)]
    subtotal: str
    total: str
    subtotal_tax: str = "0"
    total_tax: str = "0"
    name: str = ""
    product_id: int = 0
    variation_id: int | None = 0
    sku: str | None = None
    meta_data: list[Entry] = []


class Charge(msgspec.Struct):
    """A shipping or a fee line."""

    total: str
    total_tax: str = "0"
    method_id: str | None = ""
    instance_id: str | int | None = ""


class RefundOf(msgspec.Struct):
    """What an order says of a refund."""

    id: int
    total: str
    reason: str | None = ""


class Order(msgspec.Struct):
    """An order, with the times that are not in the zone of the shop."""

    id: int
    status: str
    currency: str
    total: str
    date_created_gmt: datetime
    date_modified_gmt: datetime
    line_items: list[Item]
    shipping_lines: list[Charge] = []
    fee_lines: list[Charge] = []
    refunds: list[RefundOf] = []
    billing: dict[str, Any] = {}
    shipping: dict[str, Any] = {}
    meta_data: list[Entry] = []
    customer_note: str | None = ""
    payment_method: str = ""
    date_paid_gmt: datetime | None = None

    @property
    def meta(self) -> dict[str, Any]:
        """Metadata by key, the last one of a key."""
        return {entry.key: entry.value for entry in self.meta_data}


class RefundLine(msgspec.Struct):
    """Units that a refund takes off an order, as a negative quantity."""

    quantity: int
    meta_data: list[Entry] = []


class Refund(msgspec.Struct):
    """A refund."""

    id: int
    reason: str | None = ""
    date_created_gmt: datetime | None = None
    line_items: list[RefundLine] = []


class Product(msgspec.Struct):
    """A product or a variation."""

    id: int
    sku: str | None = ""
    name: str = ""
    type: str = "simple"
    status: str = "publish"
    parent_id: int = 0
    price: str | None = ""
    regular_price: str | None = ""
    sale_price: str | None = ""
    manage_stock: bool | str = False
    stock_quantity: Any = None  # a whole number, unless a plug-in keeps parts of a unit
    global_unique_id: str | None = ""
    date_modified_gmt: datetime | None = None
    attributes: list[dict[str, Any]] = []


class Sold(Product):
    """A product or a variation with what a connection may keep of it; `brands` is None where the shop has none."""

    slug: str = ""
    description: str = ""
    categories: list[dict[str, Any]] = []
    brands: Any = None
    images: list[dict[str, Any]] = []
    image: dict[str, Any] | None = None
    weight: str | None = ""
    dimensions: dict[str, Any] = {}


class Term(msgspec.Struct):
    """A category, a tag or a brand."""

    id: int = 0


class Listed(Product):
    """A product with what its page shows, as it is kept; `brands` is None where the shop has none."""

    description: str = ""
    short_description: str = ""
    categories: list[Term] = []
    tags: list[Term] = []
    brands: Any = None
    images: list[Term] = []
    weight: str | None = ""
    dimensions: dict[str, Any] = {}
    meta_data: list[Entry] = []


class Hook(msgspec.Struct):
    """A webhook."""

    id: int
    status: str
    topic: str
    delivery_url: str


class Setting(msgspec.Struct):
    """A setting of the shop."""

    id: str
    value: Any = None


class Note(msgspec.Struct):
    """A note of an order."""

    note: str = ""


class Gateway(msgspec.Struct):
    """A way to pay."""

    method_supports: list[str] = []
