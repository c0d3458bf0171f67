"""Words of the catalogue: products, their variants (SKU), categories, kits, media, and the card others carry around."""

from typing import NewType

import msgspec

SkuId = NewType("SkuId", int)


class MediaDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A picture or film by its https address.

    `position` and `sku` are as they were read, see `rules.check_read_back`: the list has the order, the variant its own
    media.
    """

    url: str
    alt: str = ""
    position: int | msgspec.UnsetType = msgspec.UNSET
    sku: str | None = None


class Substitute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A SKU that may stand in for a variant; with `both_ways` the variant may stand in for it, too."""

    sku: str
    both_ways: bool = False


class VariantDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variant as someone states it. Weight is grams, sizes are millimetres, price is centavos.

    `id`, `is_kit` and `version` are as they were read, see `rules.check_read_back`.
    """

    sku: str
    name: str = ""  # empty: the product's name and the options
    gtin: str | None = None
    options: dict[str, str] = {}
    weight_grams: int = 0
    length_mm: int = 0
    width_mm: int = 0
    height_mm: int = 0
    price: int | None = None
    active: bool = True
    # SKU -> quantity: the variant is a kit. Not stated: as it is. None of them: it is no kit.
    components: dict[str, int] | msgspec.UnsetType = msgspec.UNSET
    media: list[MediaDraft] | None = None  # None: as it is
    substitutes: list[Substitute] | None = None  # what is offered first comes first; None: as it is
    id: int | msgspec.UnsetType = msgspec.UNSET
    is_kit: bool | msgspec.UnsetType = msgspec.UNSET
    version: int | msgspec.UnsetType = msgspec.UNSET

    @property
    def parts(self) -> dict[str, int]:
        """What it is stated to be made of; nothing where it is not stated."""
        return {} if self.components is msgspec.UNSET else self.components


class ProductDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A product as someone states it, with the variants to create or change; others of the product stay as they are.

    `id` and `version` are as they were read, see `rules.check_read_back`.
    """

    code: str
    name: str
    description: str = ""
    brand: str | None = None
    category: str | None = None  # code
    ncm: str | None = None
    cest: str | None = None
    origin: int = 0
    options: list[str] = []
    attributes: dict[str, str] = {}
    active: bool = True
    variants: list[VariantDraft] = []
    media: list[MediaDraft] | None = None  # of the product itself; None: as it is
    id: int | msgspec.UnsetType = msgspec.UNSET
    version: int | msgspec.UnsetType = msgspec.UNSET


class CategoryDraft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A category as someone states it."""

    code: str
    name: str
    parent: str | None = None  # code


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """A node of the category tree; `path` is the codes from the root, joined by '/'."""

    id: int
    code: str
    name: str
    parent: str | None
    path: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Units of a SKU that are somewhere, or will be; `locations` are their codes, as a sentence names them."""

    on_hand: int
    allocated: int
    held: int
    coming: int
    locations: str


class Component(msgspec.Struct, frozen=True):
    """What one unit of a kit holds."""

    sku_id: int
    quantity: int


class VariantCard(msgspec.Struct, frozen=True, kw_only=True):
    """A variant as intake, routing and screens carry it around."""

    id: int
    sku: str
    name: str
    product_id: int
    gtin: str | None
    weight_grams: int
    length_mm: int
    width_mm: int
    height_mm: int
    price: int | None
    is_kit: bool
    active: bool  # its product's `active` included
    components: tuple[Component, ...] = ()


class Media(msgspec.Struct, frozen=True, kw_only=True):
    """A picture or film; `sku` is None when it shows the product."""

    url: str
    alt: str
    position: int
    sku: str | None


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """A variant with everything about it."""

    id: int
    sku: str
    name: str
    gtin: str | None
    options: dict[str, str]
    weight_grams: int
    length_mm: int
    width_mm: int
    height_mm: int
    price: int | None
    is_kit: bool
    active: bool
    version: int
    components: dict[str, int]
    substitutes: list[Substitute] = []


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A product with its variants and media."""

    id: int
    code: str
    name: str
    description: str
    brand: str | None
    category: str | None
    ncm: str | None
    cest: str | None
    origin: int
    options: list[str]
    attributes: dict[str, str]
    active: bool
    version: int
    variants: list[Variant] = []
    media: list[Media] = []


class VariantRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of SKUs."""

    id: int
    sku: str
    name: str
    product: str  # code
    brand: str | None
    category: str | None
    gtin: str | None
    price: int | None
    is_kit: bool
    active: bool
    image: str | None


class Saved(msgspec.Struct, frozen=True):
    """What saving one product did."""

    code: str
    id: int
    created: bool
    skus: dict[str, int]  # SKU -> id, of the variants that were stated
