"""What a target wants to know of goods: its fields, of what kind, which are required. Listings and feeds share it."""

from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What a field holds, and so how it is written and checked."""

    TEXT = "text"  # one line
    LONG = "long"  # with lines
    ID = "id"
    GTIN = "gtin"
    URL = "url"
    URLS = "urls"  # several addresses
    PRICE = "price"
    COUNT = "count"
    WORD = "word"  # one of `values`
    CATEGORY = "category"
    DAY = "day"


class Field(msgspec.Struct, frozen=True):
    """One field of a target. `longest` in characters (0: any), for `URLS` how many.

    `shared`: the target has it once for all variants of a product, so what is said of it is said of the product.
    """

    name: str
    kind: Kind = Kind.TEXT
    required: bool = False
    longest: int = 0
    values: tuple[str, ...] = ()
    shared: bool = False


class ListingFields(msgspec.Struct, frozen=True):
    """What a `CatalogSink` takes of a variant.

    Fields with these names are filled from the catalogue by themselves, all others as somebody maps them: `title`,
    `product_title`, `description`, `brand`, `gtin`, `category`, `images`, `product`. With `attributes`, all that the
    catalogue says of a product by names of the retailer's own comes as well, and fields of any name may be mapped.
    """

    fields: tuple[Field, ...]
    attributes: bool = False
