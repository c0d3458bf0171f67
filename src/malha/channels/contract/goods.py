"""Variants, stock and prices, as a peer tells them and is told."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec


class ExtProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A variant as the peer sells it.

    `product` is how the peer calls the product, fit for people: variants that share it belong together, one without it
    stands alone. What follows is for connections that keep fields of products (see `protocols.TellsFields`). Null: the
    peer does not tell it. An empty text, or zero: it has none. `product_name` and what comes below it are of the
    product, the same of each of its variants. `dimensions` are length, width and height in millimetres, `category` a
    code, or names from the root on, as "Casa > Mantas"; `attributes` all that it has, `options` what tells the variant
    from others of its product, `pictures` addresses (https), the first of which is shown first.
    """

    id: str
    sku: str = ""
    gtin: str = ""
    name: str = ""
    price: int | None = None
    active: bool | None = True
    version: int = 0
    product: str = ""
    weight_grams: int | None = None
    dimensions: tuple[int, int, int] | None = None
    product_name: str | None = None
    description: str | None = None
    brand: str | None = None
    ncm: str | None = None
    cest: str | None = None
    origin: int | None = None
    category: str | None = None
    attributes: Mapping[str, str] | None = None
    options: Mapping[str, str] | None = None
    pictures: Sequence[str] | None = None


class ProductPush(msgspec.Struct, frozen=True, kw_only=True):
    """A variant as the peer shall sell it, absolutely: whatever of it the peer has otherwise is made so.

    `fields` are those of the connector's `listing_fields` that have a value, by name: a text, or texts where there can
    be several; one that it states and that is not there is to be empty at the peer. `attributes` are the others.
    `price` is for who makes the variant; a later one comes as a `PricePush`. None: the peer keeps the price itself and
    is told none, or there is none. A connector whose peer would sell for nothing what it makes without a price refuses
    to make it. Not `active`: it is not for sale there any more; what the peer does not have is then left so.
    """

    sku: str
    code: str
    name: str
    price: int | None
    currency: str
    gtin: str = ""
    active: bool = True
    version: int = 0
    product: str = ""  # our code of the product: variants of one belong together
    fields: Mapping[str, str | Sequence[str]] = {}
    attributes: Mapping[str, str] = {}
    options: Mapping[str, str] = {}  # what tells the variant from others of its product
    weight_grams: int = 0
    length_mm: int = 0
    width_mm: int = 0
    height_mm: int = 0


class ExtStock(msgspec.Struct, frozen=True, kw_only=True):
    """How many units of a variant there are at a peer, at one place of it or, with no `location`, in all.

    `quantity` means what `StockUpdate.quantity` does where the connector takes stock: what can be sold there. `on_hand`
    is what is physically there, where the peer knows that too; without it the two are one. `sku` is the peer's code of
    the variant, `as_of` when the peer said so, by its clock where it tells. `unread` is what the peer says where that
    is no number of units (`quantity` then means nothing): it is held and shown, zeroes nothing, holds up no other.
    """

    sku: str
    quantity: int
    as_of: datetime
    location: str = ""
    version: int = 0
    on_hand: int | None = None
    unread: str = ""


class PricePush(msgspec.Struct, frozen=True, kw_only=True):
    """What a listing costs now."""

    sku: str
    code: str
    price: int
    currency: str
    version: int
