"""What a connection to a Shopify shop is told, and what of it other modules need."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from malha.channels.connectors.shopify.operations import VERSION
from malha.channels.contract import Ctx

PAGE = 25


class TillOrders(StrEnum):
    """What becomes of orders of Shopify's point of sale."""

    PARK = "park"  # each waits for a person
    LEAVE = "leave"  # they are Shopify's own business, and are not told
    TAKE = "take"


class ShopifyConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which shop it is, and what of it is ours."""

    shop: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9][a-z0-9-]*\.myshopify\.com$",
            max_length=100,
            title="Shop domain",
            description="The shop's own domain at Shopify, as loja.myshopify.com.",
        ),
    ]
    location: Annotated[
        str,
        Meta(
            pattern=r"^[0-9]{1,20}$",
            title="Location for Malha's stock",
            description="Id of the Shopify location that holds what Malha says may be sold.",
        ),
    ]
    locations: Annotated[
        dict[str, str],
        Meta(
            title="Our locations at Shopify",
            description="Shopify's id of each location of ours: where parcels leave from and orders are picked up.",
            examples=[{"SP-MOEMA": "61234567890"}],
        ),
    ] = {}
    own_stock: Annotated[
        list[Annotated[str, Meta(pattern=r"^[0-9]{1,20}$")]],
        Meta(
            title="Locations with Shopify's own stock",
            description="Ids of Shopify locations whose stock is Shopify's own, as shops with its till: only read.",
            examples=[["61234567891"]],
        ),
    ] = []
    plus: Annotated[
        bool, Meta(title="Shopify Plus", description="The shop is on Shopify Plus, which takes ten times as much.")
    ] = False
    price_lists: Annotated[
        dict[str, str],
        Meta(
            title="Price lists by currency",
            description="Id of the price list that takes prices in a currency that is not the shop's own, by currency.",
            examples=[{"USD": "31168201"}],
        ),
    ] = {}
    pos_orders: Annotated[
        TillOrders,
        Meta(
            title="Orders of Shopify POS",
            description="What becomes of orders that were placed at Shopify's till.",
            extra_json_schema={
                "x-choices": {
                    "park": "Held for a person to decide",
                    "leave": "Left to Shopify",
                    "take": "Taken like any other",
                }
            },
        ),
    ] = TillOrders.PARK
    test_orders: Annotated[
        bool,
        Meta(title="Take test orders", description="Take test orders as if they were real; only for a test shop."),
    ] = False
    notify: Annotated[
        bool,
        Meta(title="Tell the customer", description="Have Shopify write to the customer about parcels and cancels."),
    ] = False
    page: Annotated[int, Meta(ge=1, le=100, title="Orders of a page", description="Orders asked for at once.")] = PAGE
    address: Annotated[
        str,
        Meta(max_length=200, title="Address", description="Address of the shop; empty: https and the domain above."),
    ] = ""


def url_of(config: ShopifyConfig) -> str:
    """Return where the Admin API of a shop is."""
    return f"{config.address or f'https://{config.shop}'}/admin/api/{VERSION}/graphql.json"


def own_location(ctx: Ctx, id_: str) -> str:
    """Return our code of a Shopify location; empty where nobody said."""
    given: Mapping[str, str] = ctx.config.locations
    return next((code for code, theirs in given.items() if theirs == id_), "")


def gid(kind: str, id_: Any) -> str:
    """Return Shopify's global name of something."""
    return f"gid://shopify/{kind}/{id_}"


def number_of(name: str) -> str:
    """Return the number in a global name."""
    return name.rpartition("/")[2].partition("?")[0]
