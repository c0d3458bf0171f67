"""What Vendure says, as far as Malha listens; what it says besides is passed over."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta


class Model(msgspec.Struct, rename="camel"):
    """As Vendure writes it; what it says besides is passed over."""


class Variant(Model):
    """What a line is of."""

    id: str
    sku: str
    name: str = ""


class Line(Model):
    """A line, as it was ordered and as it is by now."""

    id: str
    quantity: int
    order_placed_quantity: int
    unit_price_with_tax: int
    prorated_line_price_with_tax: int
    product_variant: Variant


class Refund(Model):
    """Money that went back."""

    id: str
    state: str
    total: int
    updated_at: Annotated[datetime, Meta(tz=True)]
    reason: str | None = None


class Payment(Model):
    """A payment with its refunds."""

    id: str
    method: str
    amount: int
    state: str
    created_at: Annotated[datetime, Meta(tz=True)]
    refunds: list[Refund] | None = None


class Customer(Model):
    """Who buys."""

    first_name: str = ""
    last_name: str = ""
    email_address: str = ""
    phone_number: str | None = None


class Address(Model):
    """Where it goes."""

    full_name: str | None = None
    street_line1: str | None = None
    street_line2: str | None = None
    city: str | None = None
    province: str | None = None
    postal_code: str | None = None
    country_code: str | None = None
    phone_number: str | None = None


class Method(Model):
    """A way to ship."""

    code: str


class ShippingLine(Model):
    """How it is shipped."""

    shipping_method: Method


class Order(Model):
    """An order."""

    id: str
    state: str
    updated_at: Annotated[datetime, Meta(tz=True)]
    order_placed_at: Annotated[datetime, Meta(tz=True)]
    currency_code: str
    shipping_with_tax: int
    lines: Annotated[list[Line], Meta(min_length=1)]
    customer: Customer | None = None
    shipping_address: Address | None = None
    shipping_lines: list[ShippingLine] = []
    payments: list[Payment] | None = None
