"""Where a shop is, and how much is asked of it at once."""

from typing import Annotated

import msgspec
from msgspec import Meta

PAGE = 50
REREAD_MINUTES = 60
BATCH = 100


class VendureConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the shop is, and what of it is ours."""

    base_url: Annotated[
        str,
        Meta(
            min_length=8,
            max_length=500,
            title="Address",
            description="Address of the Admin API, ending in /admin-api.",
        ),
    ]
    channel_token: Annotated[
        str,
        Meta(
            max_length=100,
            title="Channel token",
            description="Token of the Vendure channel; empty: the default one.",
        ),
    ] = ""
    stock_location: Annotated[
        str,
        Meta(
            max_length=40,
            title="Stock location",
            description="Id of the stock location that holds what Malha says; empty: the first.",
        ),
    ] = ""
    fulfillment_handler: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=100,
            title="Fulfillment handler",
            description="Code of the fulfillment handler that parcels are told with.",
        ),
    ] = "manual-fulfillment"
    reread_minutes: Annotated[
        int,
        Meta(
            ge=0,
            le=10_080,
            title="Minutes between whole readings",
            description="Minutes between two readings of the whole catalogue, by which changed texts, pictures and"
            " collections are found; 0: each time.",
        ),
    ] = REREAD_MINUTES
    page: Annotated[int, Meta(ge=1, le=500, title="Orders of a page", description="Orders asked for at once.")] = PAGE
