"""Variants, stock and prices, as a peer tells them and is told."""

from datetime import datetime

import msgspec


class ExtProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A variant as the peer sells it."""

    id: str
    sku: str = ""
    gtin: str = ""
    name: str = ""
    price: int | None = None
    active: bool = True
    version: int = 0


class ProductPush(msgspec.Struct, frozen=True, kw_only=True):
    """A variant as the peer shall sell it."""

    sku: str
    code: str
    name: str
    price: int
    currency: str
    gtin: str = ""
    active: bool = True
    version: int = 0


class ExtStock(msgspec.Struct, frozen=True, kw_only=True):
    """How many units of a variant there are at a peer, at one place of it or, with no `location`, in all.

    `quantity` means what `StockUpdate.quantity` does where the connector takes stock: what can be sold there. `on_hand`
    is what is physically there, where the peer knows that too; without it the two are one. `sku` is the peer's code of
    the variant, `as_of` when the peer said so, by its clock where it tells.
    """

    sku: str
    quantity: int
    as_of: datetime
    location: str = ""
    version: int = 0
    on_hand: int | None = None


class PricePush(msgspec.Struct, frozen=True, kw_only=True):
    """What a listing costs now."""

    sku: str
    code: str
    price: int
    currency: str
    version: int
