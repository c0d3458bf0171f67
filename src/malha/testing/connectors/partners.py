"""Logistics partners: what they are asked arrives once, and what they answer by files is understood row by row."""

from datetime import UTC, date, datetime
from functools import partial
from io import BytesIO
from typing import Any

import pytest

from malha.channels.contract import (
    Ask,
    Capability,
    Ctx,
    ExpectedLine,
    ExtAddress,
    ExtBuyer,
    FileTold,
    InboundNotice,
    Invalid,
    Ok,
    PickCancel,
    PickLine,
    PickRequest,
    Result,
    ShipmentTold,
)
from malha.testing.connectors.base import Kit
from malha.testing.connectors.rig import DONE_MAYBE, NOT_DONE, Fault, Operation, Rig, context

REQUEST = "F12"
AT = datetime(2026, 11, 27, 12, tzinfo=UTC)


def asks() -> dict[str, Ask]:
    """Return what a partner is asked, one of each kind."""
    lines = [PickLine(line=1, sku="A", quantity=2, gtin="7891000100103", name="Ware A; with “marks”, and more")]
    to = ExtAddress(postal_code="01310100", street="Avenida Paulista", number="1", city="São Paulo", state="SP")
    buyer = ExtBuyer(name="João d'Ávila", document="52998224725", phone="+55 11 98765-4321")
    common: dict[str, Any] = {"request": REQUEST, "order": "1001", "location": "ARM-1", "lines": lines}
    expected = [ExpectedLine(line=1, sku="A", quantity=5, expected=date(2026, 11, 30))]
    return {
        "pick": PickRequest(**common, method="ship", due_at=AT, buyer=buyer, ship_to=to),
        "cancel": PickCancel(**common, whole=True),
        "inbound": InboundNotice(
            notice="PO7", version=1, kind="purchase", location="ARM-1", sender="Fábrica", lines=expected
        ),
    }


class PartnerChecks(Kit):
    """What a partner is asked arrives once; what it answers by files is understood row by row.

    The rig tells what arrived (`asked`), and where answers come by files, puts one there (`answer_by_file`).
    """

    async def asked_once(self, ctx: Ctx, ask: Ask, key: str) -> str:
        """Ask a partner until it is settled; return what became of it. What it does not take at once it refuses."""

        async def tell() -> Result:
            result: Result = await self.connector.ask(ctx, ask, key)
            assert isinstance(result, Ok), f"a good one was refused: {result}"
            return result

        return await self.told_once(partial(self.connector.find_ask, ctx, ask, key), tell)

    @pytest.mark.parametrize("fault", [None, *NOT_DONE, *DONE_MAYBE, Fault.DRIP])
    @pytest.mark.parametrize("kind", ["pick", "cancel", "inbound"])
    async def test_whatever_breaks_a_partner_is_asked_once(self, rig: Rig, kind: str, fault: Fault | None) -> None:
        """What is done before the connection breaks is found again, or the same message is known by its name."""
        self.needs(Capability.FULFILMENT)
        ctx = context(self.connector, rig, self.spec)
        if fault is not None:
            self.fail(ctx, rig, Operation.ASK, fault)
        became = await self.asked_once(ctx, asks()[kind], "5f0f2d2e-6d0c-5b58-9a5b-0c9f0a7c1d21")
        arrived = len(await rig.asked())
        if became == "a person decides":
            assert arrived <= 1
        else:
            assert (became in {"ok", "found"}, arrived) == (True, 1), (became, arrived)

    async def test_two_that_ask_the_same_for_two_reasons_are_two(self, rig: Rig) -> None:
        """What tells one request from another is its key, not what is in it."""
        self.needs(Capability.FULFILMENT)
        ctx = context(self.connector, rig, self.spec)
        for n in range(2):
            assert await self.asked_once(ctx, asks()["pick"], f"{n}f0f2d2e-6d0c-5b58-9a5b-0c9f0a7c1d21") == "ok"
        assert len(await rig.asked()) == 2

    async def test_what_was_never_asked_is_not_found(self, rig: Rig) -> None:
        """A look-up by a key nobody used says no instead of inventing one."""
        self.needs(Capability.FULFILMENT)
        ctx = context(self.connector, rig, self.spec)
        try:
            found = await self.connector.find_ask(ctx, asks()["pick"], "0d3f0a52-33b5-5f3e-8d53-7f1f6c6a2b02")
        except NotImplementedError:
            pytest.skip("the peer cannot be asked")
        assert found is None

    # --- answers by files ---

    async def filed(self, rig: Rig, *quantities: str) -> tuple[Ctx, Any, bytes, FileTold]:
        """Have the partner write that so much of each request left, and return the file and what it tells."""
        self.needs(Capability.FILES)
        self.knows(rig, "answer_by_file")
        name = await rig.answer_by_file([(f"{REQUEST}{n}", "A", said) for n, said in enumerate(quantities)])
        ctx = context(self.connector, rig, self.spec)
        (file,) = [each for each in await self.connector.look(ctx) if each.name == name]
        into = BytesIO()
        await self.connector.fetch(ctx, name, into)
        body = into.getvalue()
        assert len(body) == file.size
        return ctx, file, body, self.connector.understand(ctx.config, name, into, AT)

    async def test_what_a_file_says_is_told_row_by_row_and_a_bad_row_harms_no_other(self, rig: Rig) -> None:
        """The row that cannot be used is named with its line of the file; nothing of it is told as if it were right."""
        ctx, _file, body, told = await self.filed(rig, "2", "many", "1")
        said = {s.answer.request: s for s in told.said if isinstance(s.answer, ShipmentTold)}
        assert set(said) == {f"{REQUEST}0", f"{REQUEST}2"}
        units = [line.quantity for n in (0, 2) for p in said[f"{REQUEST}{n}"].answer.parcels for line in p.lines]  # type: ignore[union-attr]
        assert units == [2, 1]
        assert len(told.flaws) == 1, "a row that cannot be used is named"
        (flaw,) = told.flaws
        assert told.rows == 3
        assert b"many" in body.splitlines()[flaw.row - 1]
        again = self.connector.understand(ctx.config, _file.name, BytesIO(body), AT)
        assert again == told, "the same bytes say the same"

    async def test_the_rows_to_mend_go_back_with_why_and_only_they(self, rig: Rig) -> None:
        """So that they can be mended and sent again."""
        ctx, _file, body, told = await self.filed(rig, "2", "many", "1")
        back: bytes = self.connector.error_file(ctx.config, BytesIO(body), {told.flaws[0].row: "quantity is no number"})
        assert b"many" in back
        assert b"quantity is no number" in back
        assert f"{REQUEST}0".encode() not in back

    async def test_a_file_that_was_put_away_is_not_read_again(self, rig: Rig) -> None:
        """However often that is said; and one that is nothing anybody knows is refused as a whole."""
        ctx, file, _body, _told = await self.filed(rig, "2")
        for _ in range(2):
            await self.connector.put_away(ctx, file.name, 7, None)
        assert file.name not in {each.name for each in await self.connector.look(ctx)}
        with pytest.raises(Invalid):
            self.connector.understand(ctx.config, file.name, BytesIO(b"\x00\x01\x02"), AT)
