"""The doctor finds nothing wrong with fences and caps in use, and names each kind of drift when it is injected."""

import pytest

from malha.doctor import examine
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, FenceRow, Kind
from malha.platform.address import Address
from malha.platform.db import Database
from malha.testing.builders import a_network, a_product

SAO_PAULO = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1000")


@pytest.fixture
async def shop(database: Database) -> Database:
    """A fence of four cups of which an order drew three, with two of common stock, under a cap."""
    async with database.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "CUP", stock={"DC": 10})
        fence = AllotmentDraft(
            code="F", name="F", kind=Kind.FENCE, channels=("mall",), stock=(FenceRow("CUP", "DC", 3),)
        )
        await allotments.put(tx, fence, None)
        await allotments.put(tx, AllotmentDraft(code="C", name="C", kind=Kind.CAP, quota=9, channels=("mall",)), None)
    gate = Gate(database)
    order = NewOrder(channel="mall", external_id="1", lines=[NewLine("CUP", 5, 100)], ship_to=SAO_PAULO)
    assert (await gate.submit(order)).lines[0].state == "allocated"
    await gate.close()
    async with database.transaction() as tx:
        (made,) = [a for a in await allotments.reads.listed(tx) if a.code == "F"]
        draft = AllotmentDraft(
            code="F", name="F", kind=Kind.FENCE, channels=("mall",), stock=(FenceRow("CUP", "DC", 4),)
        )
        await allotments.put(tx, draft, made.version)
    return database


async def found(database: Database) -> dict[str, list[str]]:
    return {f.check: f.lines("en") for f in (await examine(database)).findings if f.drifts}


async def test_fences_and_caps_in_use_do_not_drift(shop: Database) -> None:
    assert await found(shop) == {}


INJECTED = {
    "fenced_fences": (
        "UPDATE balance SET fenced = fenced + 1",
        ["CUP at DC: fenced 2, remaining in fences 1."],
    ),
    "fence_ledger": (
        "DELETE FROM fence_movement WHERE reason = 'drawn'",
        ["Fence F, CUP at DC: remaining 1, ledger 4; drawn 3, ledger 0; sold 0, ledger 0."],
    ),
    "fence_draws": (
        "DELETE FROM stock_draw WHERE allotment_id IS NOT NULL",
        ["Fence F, CUP at DC: drawn 3, by claims 0."],
    ),
    "fence_covered": ("UPDATE balance SET on_hand = 5", ["CUP at DC: fenced 1, there 0."]),
    "cap_uses": ("UPDATE cap_counter SET used = 4", ["Cap C : used 4, by claims 5."]),
}


async def test_a_claim_that_counts_more_on_a_cap_than_it_has_is_found(shop: Database) -> None:
    async with shop.transaction() as tx:
        await tx.execute("UPDATE cap_use SET quantity = 6")
        await tx.execute("UPDATE cap_counter SET used = 6")
    (sentence,) = (await found(shop))["cap_uses_claimed"]
    assert sentence.endswith("CUP at DC: counted 6, claimed 5.")


@pytest.mark.parametrize("check", INJECTED)
async def test_an_injected_fault_is_found_and_named(shop: Database, check: str) -> None:
    statement, sentences = INJECTED[check]
    async with shop.transaction() as tx:
        await tx.execute(statement)
    assert (await found(shop))[check] == sentences


async def test_a_claim_that_remembers_more_than_it_has_is_found(shop: Database) -> None:
    async with shop.transaction() as tx:
        await tx.execute("UPDATE stock_draw SET quantity = quantity + 4 WHERE allotment_id IS NULL")
    (sentence,) = (await found(shop))["draws_claimed"]
    assert sentence.endswith("CUP at DC: drawn 9, claimed 5.")


async def test_a_counter_that_nothing_counted_on_and_a_use_without_a_counter_are_found(shop: Database) -> None:
    async with shop.transaction() as tx:
        await tx.execute("DELETE FROM cap_counter")
    assert (await found(shop))["cap_uses"] == ["Cap C : used 0, by claims 5."]
