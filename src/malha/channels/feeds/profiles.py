"""What targets want: their fields, which are required, how long and of what kind. Data, checked against their specs.

Google: product data specification and local inventory specification; the enumerations are those of the Merchant API v1.
Meta: written from its documentation, not tried against an account. Of its local inventory it documents no fields: the
Marketing API names a kind of feed `LOCAL_INVENTORY`, and no page says what such a file holds. So there is no target for
it; `generic_local` has a row per SKU and location in whatever fields somebody agreed with Meta or another target.
"""

import msgspec

from malha.channels.contract.content import Field, Kind
from malha.channels.feeds.model import Format, Mapped, Origin
from malha.platform.i18n import N_

__all__ = ["AGES", "CONDITIONS", "GENDERS", "GENERIC", "GENERIC_LOCAL", "PROFILES", "Field", "Kind", "Profile"]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """What a target wants. `availability` are its words for ours; `gone` says that a row is no more.

    `per_location`: a row per SKU and store, which a field `store_code` names. `pickup`: fields of picking up, each with
    its words from what promises most to what promises least.
    """

    key: str
    word: str
    says: str
    formats: tuple[Format, ...]
    fields: tuple[Field, ...]
    defaults: tuple[Mapped, ...]
    per_location: bool = False
    pickup: dict[str, tuple[str, ...]] = {}
    open: bool = False  # takes fields of any name
    availability: dict[str, str] = {}
    gone: dict[str, str] = {}
    price_digits: bool = True  # an amount is followed by its currency

    def field(self, name: str) -> Field | None:
        """Return a field by its name; for a target that takes any, one of text."""
        found = next((f for f in self.fields if f.name == name), None)
        return found or (Field(name) if self.open else None)


def _own(target: str, field: str = "") -> Mapped:
    return Mapped(target=target, value=field or target)


def _constant(target: str, value: str) -> Mapped:
    return Mapped(target=target, origin=Origin.CONSTANT, value=value)


def _template(target: str, value: str) -> Mapped:
    return Mapped(target=target, origin=Origin.TEMPLATE, value=value)


CONDITIONS = ("new", "refurbished", "used")
GENDERS = ("male", "female", "unisex")
AGES = ("newborn", "infant", "toddler", "kids", "adult")
PICKUP = {
    "pickup_method": ("buy", "reserve", "ship_to_store", "not_supported"),
    "pickup_sla": ("same_day", "next_day", "2-day", "3-day", "4-day", "5-day", "6-day", "multi-week"),
}
_LABELS = tuple(Field(f"custom_label_{n}", longest=100) for n in range(5))
_LINK = "{website}/{sku|url}"

GOOGLE_PRODUCTS = Profile(
    key="google_products",
    word=N_("Google: products"),
    says=N_("Primary product data of Google Merchant Center, as a table (TSV) or as RSS 2.0."),
    formats=(Format.TSV, Format.RSS),
    fields=(
        Field("id", Kind.ID, required=True, longest=50),
        Field("title", required=True, longest=150),
        Field("description", required=True, longest=5_000),
        Field("link", Kind.URL, required=True, longest=2_000),
        Field("image_link", Kind.URL, required=True, longest=2_000),
        Field("availability", Kind.WORD, True, 0, ("in_stock", "out_of_stock", "preorder", "backorder")),
        Field("price", Kind.PRICE, required=True),
        Field("additional_image_link", Kind.URLS, longest=10),
        Field("availability_date", Kind.DAY),
        Field("sale_price", Kind.PRICE),
        Field("brand", longest=70),
        Field("gtin", Kind.GTIN),
        Field("mpn", longest=70),
        Field("identifier_exists", Kind.WORD, values=("yes", "no")),
        Field("condition", Kind.WORD, values=CONDITIONS),
        Field("google_product_category", Kind.CATEGORY),
        Field("product_type", longest=750),
        Field("item_group_id", longest=50),
        Field("color", longest=100),
        Field("size", longest=100),
        Field("material", longest=200),
        Field("pattern", longest=100),
        Field("gender", Kind.WORD, values=GENDERS),
        Field("age_group", Kind.WORD, values=AGES),
        Field("shipping_weight"),
        Field("shipping_label", longest=100),
        *_LABELS,
    ),
    defaults=(
        _own("id", "code"), _own("title", "name"), _own("description"), _template("link", _LINK),
        _own("image_link", "image"), _own("additional_image_link", "images"), _own("availability"),
        _own("availability_date"), _own("price"), _own("brand"), _own("gtin"), _constant("condition", "new"),
        Mapped(target="google_product_category", value="category", otherwise=""), _own("product_type", "category_path"),
        _own("item_group_id", "item_group"), _own("shipping_weight", "weight"),
    ),
    availability={"in_stock": "in_stock", "out_of_stock": "out_of_stock", "backorder": "backorder"},
    gone={"availability": "out_of_stock"},
)  # fmt: skip

GOOGLE_LOCAL = Profile(
    key="google_local",
    word=N_("Google: local inventory"),
    says=N_("What each store has, one row per SKU and store code, for the local inventory of Google Merchant Center."),
    formats=(Format.TSV,),
    fields=(
        Field("store_code", Kind.ID, required=True, longest=64),
        Field("id", Kind.ID, required=True, longest=50),
        Field("quantity", Kind.COUNT),
        Field("price", Kind.PRICE),
        Field("availability", Kind.WORD, True, 0,
              ("in_stock", "limited_availability", "on_display_to_order", "out_of_stock")),
        Field("sale_price", Kind.PRICE),
        *(Field(name, Kind.WORD, values=words) for name, words in PICKUP.items()),
    ),
    defaults=(
        _own("store_code", "location"), _own("id", "code"), _own("quantity"), _own("price"), _own("availability"),
        _constant("pickup_method", "buy"), _constant("pickup_sla", "next_day"),
    ),
    per_location=True,
    pickup=PICKUP,
    availability={"in_stock": "in_stock", "out_of_stock": "out_of_stock", "backorder": "out_of_stock"},
    gone={"availability": "out_of_stock", "quantity": "0"},
)  # fmt: skip

META = Profile(
    key="meta_catalogue",
    word=N_("Meta: catalogue"),
    says=N_("A catalogue of Facebook and Instagram, read on a schedule. Written from Meta's documentation only."),
    formats=(Format.CSV,),
    fields=(
        Field("id", Kind.ID, required=True, longest=100),
        Field("title", required=True, longest=200),
        Field("description", required=True, longest=9_999),
        Field("availability", Kind.WORD, True, 0, ("in stock", "out of stock", "available for order", "discontinued")),
        Field("condition", Kind.WORD, True, 0, CONDITIONS),
        Field("price", Kind.PRICE, required=True),
        Field("link", Kind.URL, required=True),
        Field("image_link", Kind.URL, required=True),
        Field("brand", required=True, longest=100),
        Field("quantity_to_sell_on_facebook", Kind.COUNT),
        Field("additional_image_link", Kind.URLS, longest=20),
        Field("sale_price", Kind.PRICE),
        Field("gtin", Kind.GTIN),
        Field("mpn", longest=100),
        Field("google_product_category", Kind.CATEGORY),
        Field("fb_product_category"),
        Field("product_type", longest=750),
        Field("item_group_id", longest=100),
        Field("color", longest=200),
        Field("size", longest=200),
        Field("material", longest=200),
        Field("gender", Kind.WORD, values=GENDERS),
        Field("status", Kind.WORD, values=("active", "archived")),
        *_LABELS,
    ),
    defaults=(
        _own("id", "code"), _own("title", "name"), _own("description"), _own("availability"),
        _constant("condition", "new"), _own("price"), _template("link", _LINK), _own("image_link", "image"),
        _own("additional_image_link", "images"), _own("brand"), _own("quantity_to_sell_on_facebook", "quantity"),
        _own("gtin"), _own("product_type", "category_path"), _own("item_group_id", "item_group"),
    ),
    availability={"in_stock": "in stock", "out_of_stock": "out of stock", "backorder": "available for order"},
    gone={"availability": "out of stock"},
)  # fmt: skip

GENERIC = Profile(
    key="generic",
    word=N_("Any other target"),
    says=N_("Fields of any name, as CSV, XML or JSON Lines, for price comparison, marketplaces and partners."),
    formats=(Format.CSV, Format.JSONL, Format.XML, Format.TSV),
    fields=(
        Field("id", Kind.ID, required=True, longest=200),
        Field("price", Kind.PRICE),
        Field("sale_price", Kind.PRICE),
        Field("gtin", Kind.GTIN),
        Field("link", Kind.URL),
        Field("image", Kind.URL),
        Field("images", Kind.URLS),
        Field("quantity", Kind.COUNT),
    ),
    defaults=(
        _own("id", "code"), _own("sku"), _own("name"), _own("brand"), _own("gtin"), _own("category_path"),
        _own("price"), _own("currency"), _own("availability"), _own("quantity"), _own("image"),
    ),
    open=True,
    availability={"in_stock": "in_stock", "out_of_stock": "out_of_stock", "backorder": "backorder"},
    price_digits=False,
)  # fmt: skip

GENERIC_LOCAL = Profile(
    key="generic_local",
    word=N_("Any other target: local inventory"),
    says=N_("What each store has, one row per SKU and store code, in fields of any name, as CSV, XML or JSON Lines."),
    formats=GENERIC.formats,
    fields=(
        Field("store_code", Kind.ID, required=True, longest=200),
        *(field for field in GENERIC.fields if field.name not in {"image", "images"}),
    ),
    defaults=(
        _own("store_code", "location"), _own("store_name", "location_name"), _own("id", "code"), _own("sku"),
        _own("price"), _own("currency"), _own("availability"), _own("quantity"),
    ),
    per_location=True,
    pickup=PICKUP,
    open=True,
    # Who collects goods at a counter is not served by what comes to it later.
    availability={"in_stock": "in_stock", "out_of_stock": "out_of_stock", "backorder": "out_of_stock"},
    gone={"availability": "out_of_stock", "quantity": "0"},
    price_digits=False,
)  # fmt: skip

PROFILES = {p.key: p for p in (GOOGLE_PRODUCTS, GOOGLE_LOCAL, META, GENERIC, GENERIC_LOCAL)}
