"""Products and orders that a peer tells by files: each once, row by row, and from any page on."""

import asyncio
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import pytest

from malha.channels.contract import Capability, Ctx, ExtOrder, ExtProduct, FileTold, Invalid, Listed
from malha.testing.connectors.base import Kit
from malha.testing.connectors.partners import AT
from malha.testing.connectors.rig import Rig, context

GOOD, BAD = 5, "many"


class FiledChecks(Kit):
    """What a file lists is told once each, and nothing of a bad row is told as if it were right.

    The rig has the peer write files (`products_by_file`, `orders_by_file`): a name for each product with its price, and
    for each order with how many units its second line is of, as texts. It returns the name of the file.
    """

    async def filed_list(self, rig: Rig, kind: str, *rows: tuple[str, str]) -> tuple[Ctx, str, bytes, FileTold]:
        """Have the peer write a file, and return it with what it tells."""
        capability = {"products": Capability.CATALOG_SOURCE, "orders": Capability.ORDERS}[kind]
        if not {capability, Capability.FILES} <= self.connector.capabilities:
            pytest.skip(f"{self.connector.key} tells no {kind} by files")
        self.knows(rig, f"{kind}_by_file")
        name = await getattr(rig, f"{kind}_by_file")(rows)
        ctx = context(self.connector, rig, self.spec)
        (file,) = [each for each in await self.connector.look(ctx) if each.name == name]
        into = BytesIO()
        await self.connector.fetch(ctx, name, into)
        assert len(into.getvalue()) == file.size
        told = self.connector.understand(ctx.config, name, into, AT)
        assert told.kind == kind
        return ctx, name, into.getvalue(), told

    @staticmethod
    def names(listed: Sequence[Listed]) -> list[str]:
        """Return what products and orders are called."""
        return [each.item.id if isinstance(each.item, ExtOrder) else each.item.sku for each in listed]

    @pytest.mark.parametrize("kind", ["products", "orders"])
    async def test_what_a_file_lists_is_told_once_and_the_same_each_time(self, rig: Rig, kind: str) -> None:
        """So a page begins where the one before ended, though a worker died between them and another reads it anew."""
        ctx, name, body, told = await self.filed_list(rig, kind, *((f"K-{n}", "12") for n in range(GOOD)))
        first = list(told.listed or ())
        assert self.names(first) == [f"K-{n}" for n in range(GOOD)]
        assert list(told.listed or ()) == first, "asked for again, it says the same in the same order"
        again = self.connector.understand(ctx.config, name, BytesIO(body), AT)
        assert list(again.listed or ())[2:] == first[2:]
        rows = [row for each in first for row in each.rows]
        assert len(rows) == len(set(rows)) == told.rows, "each row says one thing"

    @pytest.mark.parametrize("kind", ["products", "orders"])
    async def test_a_bad_row_of_a_list_harms_no_other_and_is_named(self, rig: Rig, kind: str) -> None:
        """It is named with its line of the file; what it belongs to is not told in part."""
        ctx, _name, body, told = await self.filed_list(rig, kind, ("K-0", "12"), ("K-1", BAD), ("K-2", "12"))
        assert self.names(list(told.listed or ())) == ["K-0", "K-2"]
        assert told.flaws
        lines = body.splitlines()
        flawed = {flaw.row for flaw in told.flaws}
        assert all(b"K-1" in lines[row - 1] for row in flawed), "no row of another one is held"
        assert any(BAD.encode() in lines[flaw.row - 1] and flaw.problem != "with_others" for flaw in told.flaws)
        said = {row for each in told.listed or () for row in each.rows}
        assert not said & flawed
        assert len(said) + len(flawed) == told.rows, "every row is told or named"
        back: bytes = self.connector.error_file(ctx.config, BytesIO(body), dict.fromkeys(flawed, "no number"))
        assert b"K-1" in back
        assert b"no number" in back
        assert b"K-2" not in back

    async def test_money_of_files_is_in_minor_units(self, rig: Rig) -> None:
        """What stands there as twelve of the currency is 1,200, whatever the file writes between the digits."""
        *_, told = await self.filed_list(rig, "products", ("K-0", "12"))
        (product,) = [each.item for each in told.listed or () if isinstance(each.item, ExtProduct)]
        assert product.price == 1_200

    @pytest.mark.parametrize("kind", ["products", "orders"])
    async def test_what_is_no_table_is_refused_as_a_whole(self, rig: Rig, kind: str) -> None:
        """A picture under the name of a table, or a table without its columns, says nothing at all."""
        ctx, name, _body, _told = await self.filed_list(rig, kind, ("K-0", "12"))
        for body in (b"\x00\x01\x02", b"", b"colour;size\r\nred;1\r\n"):
            with pytest.raises(Invalid):
                self.connector.understand(ctx.config, name, BytesIO(body), AT)

    @pytest.mark.parametrize("kind", ["products", "orders"])
    async def test_files_that_are_read_at_once_do_not_mix(self, rig: Rig, kind: str) -> None:
        """A connector holds no state between calls: two that read in turns get each its own."""
        ctx, name, body, told = await self.filed_list(rig, kind, *((f"K-{n}", "12") for n in range(GOOD)))
        other = self.connector.understand(ctx.config, name, BytesIO(body), AT)
        both: list[Any] = await asyncio.gather(
            *(asyncio.to_thread(lambda each=each: list(each.listed or ())) for each in (told, other))  # type: ignore[misc]
        )
        assert both[0] == both[1]
