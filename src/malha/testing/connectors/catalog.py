"""Variants are read whole, once, and again when they change."""

from collections import Counter
from functools import partial

import pytest

from malha.channels.contract import Capability, Ctx, ExtProduct, Retryable, Unsure
from malha.testing.connectors.base import Kit
from malha.testing.connectors.rig import DONE_MAYBE, NOT_DONE, Fault, Operation, Rig, context


class CatalogChecks(Kit):
    """Variants are read whole, once, and again when they change. The rig says how: `add_product`, `change_product`."""

    async def catalogue(self, ctx: Ctx, cursor: str | None = None) -> tuple[list[ExtProduct], str]:
        """Read all variants that changed after a cursor."""
        return await self.read_on(partial(self.connector.pull_products, ctx), cursor)

    async def offered(self, rig: Rig, count: int) -> list[str]:
        """Have the peer sell so many new variants and return their SKUs; skip where the rig does not know how."""
        self.needs(Capability.CATALOG_SOURCE)
        self.knows(rig, "add_product")
        skus = [f"KIT-{n}" for n in range(count)]
        for sku in skus:
            await rig.add_product(sku)
        return skus

    async def test_every_variant_is_read_once_and_what_it_says_is_usable(self, rig: Rig) -> None:
        """More than fit two pages: each with an id of its own, a price in whole minor units; read on, none again."""
        skus = await self.offered(rig, 2 * rig.page + 1)
        ctx = context(self.connector, rig, self.spec)
        found, cursor = await self.catalogue(ctx)
        mine = [item for item in found if item.sku in skus]
        assert sorted(item.sku for item in mine) == sorted(skus)
        assert max(Counter(item.id for item in found).values()) == 1, "each is told once in one reading"
        assert all(item.id for item in found)
        assert all(item.price is None or type(item.price) is int for item in found)
        again, _ = await self.catalogue(ctx, cursor)
        assert [item.sku for item in again if item.sku in skus] == []

    async def test_a_variant_that_changes_is_told_again(self, rig: Rig) -> None:
        """Behind where reading was, with a version that is not older; the others are not told with it."""
        skus = await self.offered(rig, rig.page + 1)
        self.knows(rig, "change_product")
        ctx = context(self.connector, rig, self.spec)
        found, cursor = await self.catalogue(ctx)
        before = next(item for item in found if item.sku == skus[0])
        await rig.change_product(skus[0])
        again, _ = await self.catalogue(ctx, cursor)
        mine = [item for item in again if item.sku in skus]
        assert [(item.sku, item.id) for item in mine] == [(skus[0], before.id)]
        (after,) = mine
        assert after.version >= before.version
        assert after != before

    @pytest.mark.parametrize("fault", [*NOT_DONE, *DONE_MAYBE])
    async def test_reading_variants_survives_every_failure(self, rig: Rig, fault: Fault) -> None:
        """A failed page is an error of the contract, never a short one; read again nothing is missing or doubled."""
        skus = await self.offered(rig, rig.page + 1)
        ctx = context(self.connector, rig, self.spec)
        self.fail(ctx, rig, Operation.PRODUCTS, fault)
        with pytest.raises((Retryable, Unsure)):
            await self.connector.pull_products(ctx, None)
        self.fail(ctx, rig, Operation.PRODUCTS, fault)
        found, _ = await self.catalogue(ctx)
        assert sorted(item.sku for item in found if item.sku in skus) == sorted(skus)
