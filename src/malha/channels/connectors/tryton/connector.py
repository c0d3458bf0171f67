"""The connector as the contract wants it; what it does is in the modules beside."""

from collections.abc import Mapping
from datetime import date
from typing import ClassVar

import msgspec

from malha.channels.connectors.tryton import documents, goods, parcels
from malha.channels.connectors.tryton.asking import search
from malha.channels.connectors.tryton.config import TrytonConfig
from malha.channels.connectors.tryton.goods import named, products_of, warehouses
from malha.channels.contract import (
    Capability,
    Ctx,
    DaySummary,
    Document,
    ExtProduct,
    ExtRef,
    ExtStock,
    Health,
    Limits,
    Page,
    Result,
    ShipmentPush,
    Tier,
)


class Tryton:
    """See the package."""

    key: ClassVar[str] = "tryton"
    name: ClassVar[str] = "Tryton"
    config_model: ClassVar[type[msgspec.Struct]] = TrytonConfig
    secrets: ClassVar[Mapping[str, str]] = {
        "key": "Key of a user application for REST, of a user who may sell and ship"
    }
    capabilities: ClassVar[frozenset[Capability]] = frozenset(
        {Capability.CATALOG_SOURCE, Capability.STOCK_SOURCE, Capability.DOCUMENTS, Capability.SHIPMENTS}
    )
    product_fields: ClassVar[frozenset[str]] = goods.FIELDS
    limits: ClassVar[Limits] = Limits(rate=50.0, burst=100.0, in_flight=4, batch=100)
    evidence: ClassVar[Tier] = Tier.A
    idempotent: ClassVar[bool] = False

    async def check(self, ctx: Ctx) -> Health:
        """Ask for the company, its currency and all that documents are booked with."""
        found = await search(ctx, "company.company", [["id", "=", ctx.config.company]], ["rec_name", "currency.code"])
        if not found:
            return Health(ok=False, says=f"There is no company {ctx.config.company}, or the user may not see it.")
        currency = found[0]["currency"]["code"]
        if currency != ctx.connection.currency:
            return Health(ok=False, says=f"The company counts in {currency}, not in {ctx.connection.currency}.")
        wanted = [ctx.config.freight_product, ctx.config.adjustment_product]
        there = await products_of(ctx, wanted)
        products = [code for code in wanted if code not in there]
        places = await warehouses(ctx)
        absent = [code for code in named(ctx).values() if code not in places]
        parties = []
        if code := ctx.config.anonymous_party:
            parties = [] if await search(ctx, "party.party", [["code", "=", code]], ["id"]) else [code]
        await search(ctx, "sale.sale", [], ["id"], size=1)
        if products or absent or parties:
            lists = [", ".join(codes) or "-" for codes in (products, absent, parties)]
            says = f"Tryton lacks products ({lists[0]}), places of stock ({lists[1]}), parties ({lists[2]})."
            return Health(ok=False, says=says)
        return Health(ok=True, says=str(found[0]["rec_name"]), facts={c: str(w["name"]) for c, w in places.items()})

    # --- products and stock: see `goods` ---

    async def pull_products(self, ctx: Ctx, cursor: str | None) -> Page[ExtProduct]:
        """Return the products that changed after a cursor; without one, all of them."""
        return await goods.pull_products(ctx, cursor)

    async def pull_stock(self, ctx: Ctx, cursor: str | None) -> Page[ExtStock]:
        """Return the stock of goods in the storage of each warehouse, by its code."""
        return await goods.pull_stock(ctx, cursor)

    # --- documents: see `documents` ---

    async def find_document(self, ctx: Ctx, document: Document, key: str) -> ExtRef | None:
        """Return the sale that bears a key's mark; one that was not confirmed yet is."""
        return await documents.find_document(ctx, document, key)

    async def post_document(self, ctx: Ctx, document: Document, key: str) -> Result:
        """Make a sale, or one with negative quantities that refers to it, and confirm it."""
        return await documents.post_document(ctx, document, key)

    async def summarise_documents(self, ctx: Ctx, day: date, zone: str) -> DaySummary:
        """Return what Tryton has confirmed of the orders placed on a day: sales, and what was taken back of them."""
        return await documents.summarise_documents(ctx, day, zone)

    # --- what left: see `parcels` ---

    async def find_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> ExtRef | None:
        """Return the customer shipment that bears a parcel's mark; one that is not done yet is."""
        return await parcels.find_shipment(ctx, shipment, key)

    async def push_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> Result:
        """Make a customer shipment of exactly what left, and bring it to done."""
        return await parcels.push_shipment(ctx, shipment, key)
