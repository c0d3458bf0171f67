"""What is sold at a peer, written there: each variant once, with the last word about it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
import pytest

from malha.channels.contract import Capability, Ctx, Kind, Ok, ProductPush, Rejected, Result
from malha.testing.connectors.base import Kit
from malha.testing.connectors.rig import DONE_MAYBE, NOT_DONE, Fault, Operation, Rig, context


def a_push(connector: Any, code: str, word: str = "Um", *, active: bool = True, version: int = 1) -> ProductPush:
    """Return a variant of which every field of text that the connector takes says something."""
    fields: dict[str, str | Sequence[str]] = {}
    for field in connector.listing_fields.fields:
        match field.kind:
            case Kind.TEXT | Kind.LONG if field.name != "category":
                fields[field.name] = f"{word} {field.name} {code}"[: field.longest or None]
            case Kind.WORD:
                fields[field.name] = field.values[0]
            case _:
                pass
    return ProductPush(
        sku=code,
        code=code,
        name=str(fields.get("title", f"{word} {code}")),
        price=12_990,
        currency="BRL",
        active=active,
        version=version,
        product=f"P-{code}",
        fields=fields,
    )


class ListingChecks(Kit):
    """A variant that is written is there once, as it was said last. The rig says how it looks there: `shown`."""

    def listed(self, rig: Rig, code: str, word: str = "Um", *, active: bool = True, version: int = 1) -> ProductPush:
        """Return a variant to be written; skip where it cannot be, or the rig does not know how it looks there."""
        self.needs(Capability.CATALOG_SINK)
        self.knows(rig, "shown")
        return a_push(self.connector, code, word, active=active, version=version)

    async def handed(self, rig: Rig, *items: ProductPush, ctx: Ctx | None = None) -> Sequence[Result]:
        """Hand variants over and return what became of each."""
        ctx = ctx or context(self.connector, rig, self.spec)
        return await self.settled(partial(self.connector.upsert_products, ctx, items), len(items))

    @pytest.mark.parametrize("fault", [None, *NOT_DONE, *DONE_MAYBE, Fault.DRIP])
    async def test_whatever_breaks_a_product_is_there_once_and_says_the_last_word(
        self, rig: Rig, fault: Fault | None
    ) -> None:
        """It is looked up before it is made: an answer that was lost makes no double."""
        first, last = self.listed(rig, "L-1"), self.listed(rig, "L-1", "Dois", version=2)
        ctx = context(self.connector, rig, self.spec)
        if fault is not None:
            self.fail(ctx, rig, Operation.LISTING, fault)
        assert [type(r) for r in await self.handed(rig, first, ctx=ctx)] == [Ok]
        assert [type(r) for r in await self.handed(rig, last)] == [Ok]
        (shown,) = await rig.shown("L-1")
        assert shown.active
        assert dict(shown.fields) == dict(last.fields)

    async def test_the_same_again_changes_nothing(self, rig: Rig) -> None:
        """A statement is made again whenever nobody knows what became of it."""
        push = self.listed(rig, "L-2")
        await self.handed(rig, push)
        before = await rig.shown("L-2")
        await self.handed(rig, push)
        assert await rig.shown("L-2") == before

    async def test_a_product_that_ends_is_not_for_sale_and_comes_back(self, rig: Rig) -> None:
        """Nothing is deleted at the peer: what it is called there stays, with its history."""
        push = self.listed(rig, "L-3")
        active = []
        for wanted in (True, False, True):
            (result,) = await self.handed(rig, msgspec.structs.replace(push, active=wanted))
            assert isinstance(result, Ok)
            active += [each.active for each in await rig.shown("L-3")]
        assert active == [True, False, True]

    async def test_a_product_that_is_refused_holds_up_no_others(self, rig: Rig) -> None:
        """A poison item is told from those beside it, for good."""
        items = [self.listed(rig, code) for code in ("L-4", "L-BAD", "L-5")]
        rig.refuse("L-BAD")
        results = await self.handed(rig, *items)
        assert [type(r) for r in results] == [Ok, Rejected, Ok]
        refused = results[1]
        assert isinstance(refused, Rejected)
        assert refused.code
        assert [len(await rig.shown(each.code)) for each in items] == [1, 0, 1]

    async def test_who_keeps_its_prices_is_told_all_but_the_price(self, rig: Rig) -> None:
        """A statement without a price is one like any other; who would sell what is new for nothing makes nothing."""
        await self.handed(rig, self.listed(rig, "L-7"))
        last = msgspec.structs.replace(self.listed(rig, "L-7", "Dois", version=2), price=None)
        assert [type(r) for r in await self.handed(rig, last)] == [Ok]
        (shown,) = await rig.shown("L-7")
        assert dict(shown.fields) == dict(last.fields)
        (result,) = await self.handed(rig, msgspec.structs.replace(self.listed(rig, "L-8"), price=None))
        assert isinstance(result, Ok | Rejected)
        assert len(await rig.shown("L-8")) == isinstance(result, Ok)

    async def test_ending_what_the_peer_does_not_have_is_no_trouble(self, rig: Rig) -> None:
        """Somebody deleted it there: it is not for sale, which is what was wanted."""
        (result,) = await self.handed(rig, self.listed(rig, "L-6", active=False))
        assert isinstance(result, Ok)
        assert not any(each.active for each in await rig.shown("L-6"))
