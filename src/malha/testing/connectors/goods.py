"""Stock and prices."""

from functools import partial

import pytest

from malha.channels.contract import Capability, Ctx, Rejected, Retryable, Unsure
from malha.testing.connectors.asked import price_of, stock_of
from malha.testing.connectors.base import Kit
from malha.testing.connectors.rig import DONE_MAYBE, NOT_DONE, Fault, Operation, Rig, context


class GoodsChecks(Kit):
    """Stock and prices: the last word stays, and what is read is whole."""

    @pytest.mark.parametrize("fault", [None, *NOT_DONE, *DONE_MAYBE, Fault.DRIP])
    async def test_the_last_word_about_stock_stays(self, rig: Rig, fault: Fault | None) -> None:
        """However a push breaks, said again the newest quantity is what the peer has; a refused code harms none."""
        self.needs(Capability.STOCK)
        ctx = context(self.connector, rig, self.spec)
        rig.refuse("POISON")
        codes = [f"SKU-{n}" for n in range(min(self.connector.limits.batch, 12))]
        for version in (1, 2):
            if fault is not None:
                self.fail(ctx, rig, Operation.STOCK, fault)
            items = [stock_of(code, 10 * version + n, version) for n, code in enumerate(codes)]
            items.insert(len(items) // 2, stock_of("POISON", 1, version))
            results = await self.settled(partial(self.connector.set_stock, ctx, items), len(items))
            for item, result in zip(items, results, strict=True):
                assert isinstance(result, Rejected) == (item.code == "POISON"), (item.code, result)
        assert await rig.values(Operation.STOCK) == {code: 20 + n for n, code in enumerate(codes)}

    async def levels(self, ctx: Ctx) -> dict[str, int]:
        """Read all the stock the peer has, the places of a variant together."""
        rows, _ = await self.read_on(partial(self.connector.pull_stock, ctx))
        told: dict[str, int] = {}
        seen: set[tuple[str, str]] = set()
        for row in rows:
            assert row.as_of.tzinfo is not None
            assert type(row.quantity) is int
            assert (row.sku, row.location) not in seen, f"{row.sku} was told twice in one reading"
            seen.add((row.sku, row.location))
            told[row.sku] = told.get(row.sku, 0) + row.quantity
        return told

    @pytest.mark.parametrize("fault", [None, *NOT_DONE, *DONE_MAYBE, Fault.DRIP])
    async def test_the_stock_that_was_told_is_read_back(self, rig: Rig, fault: Fault | None) -> None:
        """More than fit a page: each variant once, with what it was told last; a failed page is read again."""
        self.needs(Capability.STOCK, Capability.STOCK_SOURCE)
        ctx = context(self.connector, rig, self.spec)
        codes = [f"SKU-{n}" for n in range(min(self.connector.limits.batch, 12))]
        for version in (1, 2):
            items = [stock_of(code, 10 * version + n, version) for n, code in enumerate(codes)]
            await self.settled(partial(self.connector.set_stock, ctx, items), len(items))
        if fault is not None:
            self.fail(ctx, rig, Operation.LEVELS, fault)
        found = await self.levels(ctx)
        assert {code: found.get(code) for code in codes} == {code: 20 + n for n, code in enumerate(codes)}

    @pytest.mark.parametrize("fault", [*NOT_DONE, *DONE_MAYBE])
    async def test_half_a_page_of_stock_is_no_page(self, rig: Rig, fault: Fault) -> None:
        """What is not there would be taken for gone: a failed page is an error of the contract, never a short one."""
        self.needs(Capability.STOCK_SOURCE)
        ctx = context(self.connector, rig, self.spec)
        self.fail(ctx, rig, Operation.LEVELS, fault)
        with pytest.raises((Retryable, Unsure)):
            await self.connector.pull_stock(ctx, None)

    async def test_prices_arrive_in_the_minor_units_of_their_currency(self, rig: Rig) -> None:
        """Centavos, cents, whole yen, thousandths of a dinar: the number that was said is the number that is there."""
        self.needs(Capability.PRICES)
        ctx = context(self.connector, rig, self.spec)
        rig.refuse("POISON")
        items = [
            price_of("BRL-1", 12_990, 1, "BRL"),
            price_of("USD-1", 1, 1, "USD"),
            price_of("POISON", 5, 1),
            price_of("JPY-1", 12_990, 1, "JPY"),
            price_of("KWD-1", 12_345, 1, "KWD"),
        ]
        results = await self.settled(partial(self.connector.set_prices, ctx, items), len(items))
        assert [isinstance(r, Rejected) for r in results] == [False, False, True, False, False]
        assert await rig.values(Operation.PRICES) == {i.code: i.price for i in items if i.code != "POISON"}
