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
            description="The shop's own domain at Shopify, as loja.myshopify.com.",
        ),
    ]
    location: Annotated[
        str,
        Meta(
            pattern=r"^[0-9]{1,20}$", description="Id of the Shopify location that holds what Malha says may be sold."
        ),
    ]
    locations: Annotated[
        dict[str, str],
        Meta(description="Shopify's id of each location of ours: where parcels leave from and orders are picked up."),
    ] = {}
    own_stock: Annotated[
        list[Annotated[str, Meta(pattern=r"^[0-9]{1,20}$")]],
        Meta(description="Ids of Shopify locations whose stock is Shopify's own, as shops with its till: only read."),
    ] = []
    plus: Annotated[bool, Meta(description="The shop is on Shopify Plus, which takes ten times as much.")] = False
    price_lists: Annotated[
        dict[str, str],
        Meta(
            description="Id of the price list that takes prices in a currency that is not the shop's own, by currency."
        ),
    ] = {}
    pos_orders: Annotated[
        TillOrders,
        Meta(description="Orders of Shopify POS: park (a person decides), leave (not told) or take (as any other)."),
    ] = TillOrders.PARK
    test_orders: Annotated[bool, Meta(description="Take test orders as if they were real; only for a test shop.")] = (
        False
    )
    notify: Annotated[bool, Meta(description="Have Shopify write to the customer about parcels and cancels.")] = False
    page: Annotated[int, Meta(ge=1, le=100, description="Orders of one page.")] = PAGE
    address: Annotated[
        str, Meta(max_length=200, description="Address of the shop; empty: https and the domain above.")
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
