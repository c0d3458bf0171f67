"""Balances have bounds: what would leave them is refused by the names of its row, and keeps no other from being done."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sync_world import ACTOR, a_retailer, hours_ago, on_hand, state

from malha.doctor import examine
from malha.inventory import service
from malha.inventory.buckets import service as buckets
from malha.inventory.buckets.model import Bucket, Leg
from malha.inventory.errors import BeyondBalance
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.sync import applying, deltas, drift, reads, sources
from malha.inventory.sync.model import Delta, Drift, SourceDraft
from malha.platform.db import Database
from malha.platform.ids import new_id

MOST = 2_000_000_000  # of one change
BOUND = 2_147_483_647
TEST = Reference("test")


@pytest.fixture(autouse=True)
async def nothing_drifts(database: Database) -> AsyncIterator[None]:
    yield
    report = await examine(database)
    assert [f.check for f in report.findings if f.drifts and f.check != "allocated_units"] == []


async def report(database: Database, *rows: tuple[str, str, int], source: str = "ERP") -> list[tuple[str, int | None]]:
    asked = [Delta(ref=ref, sku=sku, location="L1", quantity=units) for ref, sku, units in rows]
    async with database.transaction(ACTOR) as tx:
        return [(r.outcome.value, r.on_hand) for r in await deltas.apply_deltas(tx, source, asked)]


async def test_a_receipt_or_correction_that_no_balance_can_hold_is_refused_by_its_names(database: Database) -> None:
    await a_retailer(database)
    async with database.transaction(ACTOR) as tx:
        await service.receive(tx, [Claim(1, 1, 1_000_000_000)], TEST)
    for goods in ([Claim(2, 1, 1), Claim(1, 1, MOST)], [Claim(1, 1, 1_500_000_000)] * 2):
        with pytest.raises(BeyondBalance) as refused:
            async with database.transaction(ACTOR) as tx:
                await service.receive(tx, goods, TEST)
        units = sum(c.quantity for c in goods if c.sku_id == 1)
        assert refused.value.facts == {"sku": "S1", "location": "L1", "quantity": units, "on_hand": 1_000_000_010}
    now = await on_hand(database)
    assert (now[1, 1], now[2, 1]) == (1_000_000_010, 10)
    async with database.transaction(ACTOR) as tx:
        await service.receive(tx, [Claim(1, 1, BOUND - now[1, 1])], TEST)  # just as many as it can hold
        await service.adjust(tx, [Claim(2, 1, -MOST)], Reason.LOSS, TEST)
    for sku, units in ((1, 1), (2, -MOST)):
        with pytest.raises(BeyondBalance):
            async with database.transaction(ACTOR) as tx:
                await service.adjust(tx, [Claim(sku, 1, units)], Reason.COUNT, TEST)
    now = await on_hand(database)
    assert (now[1, 1], now[2, 1]) == (BOUND, 10 - MOST)


async def test_so_few_that_what_is_missing_cannot_be_reckoned_are_refused_too(database: Database) -> None:
    await a_retailer(database)
    async with database.transaction(ACTOR) as tx:
        await service.receive(tx, [Claim(1, 1, MOST - 10)], TEST)
        assert not await service.reserve(tx, [Claim(1, 1, MOST)], Reference("order", new_id()))
        await service.adjust(tx, [Claim(1, 1, -MOST)], Reason.LOSS, TEST)
    with pytest.raises(BeyondBalance):
        async with database.transaction(ACTOR) as tx:
            await service.adjust(tx, [Claim(1, 1, -MOST)], Reason.LOSS, TEST)
    assert (await on_hand(database))[1, 1] == 0


async def test_from_far_below_to_far_above_is_further_than_a_row_of_the_ledger_reaches(database: Database) -> None:
    await a_retailer(database)
    async with database.transaction(ACTOR) as tx:
        await service.adjust(tx, [Claim(1, 1, -1_000_000_000)], Reason.LOSS, TEST)
    with pytest.raises(BeyondBalance):
        async with database.transaction(ACTOR) as tx:
            await service.set_on_hand(tx, [Claim(1, 1, MOST)], TEST)


async def test_a_bucket_has_the_same_bound(database: Database) -> None:
    await a_retailer(database)
    goods = [Leg(1, 1, Bucket.DAMAGED, 1_500_000_000)]
    async with database.transaction(ACTOR) as tx:
        await buckets.change(tx, goods, Reason.RECEIPT, TEST)
    with pytest.raises(BeyondBalance) as refused:
        async with database.transaction(ACTOR) as tx:
            await buckets.change(tx, goods, Reason.RECEIPT, TEST)
    assert (refused.value.facts["sku"], refused.value.facts["location"]) == ("S1", "L1")


async def test_of_a_batch_only_the_change_is_refused_that_its_balance_cannot_hold(database: Database) -> None:
    await a_retailer(database)
    async with database.transaction(ACTOR) as tx:
        await service.receive(tx, [Claim(1, 1, 1_000_000_000), Claim(3, 1, 1_000_000_000)], TEST)
    rows = [
        ("a", "S1", 5), ("b", "S1", MOST), ("c", "S1", -3), ("d", "S2", 4), ("e", "S1", 1), ("f", "S3", MOST),
        ("g", "S2", 1),
    ]  # fmt: skip
    assert await report(database, *rows) == [
        ("applied", 1_000_000_015), ("too_many", 1_000_000_015), ("applied", 1_000_000_012), ("applied", 14),
        ("applied", 1_000_000_013), ("too_many", 1_000_000_010), ("applied", 15),
    ]  # fmt: skip
    now = await on_hand(database)
    assert (now[1, 1], now[2, 1], now[3, 1]) == (1_000_000_013, 15, 1_000_000_010)
    again = await report(database, ("a", "S1", 5), ("b", "S1", 2))  # it was not carried out: its reference is free
    assert again == [("duplicate", None), ("applied", 1_000_000_015)]


async def test_changes_that_wait_for_a_person_are_bounded_and_keep_none_from_being_done(database: Database) -> None:
    await a_retailer(database)
    async with database.transaction(ACTOR) as tx:
        await sources.add_source(tx, SourceDraft(code="POS", name="POS", secondary=["L1"], skew_seconds=30))
    at = hours_ago(2)
    await state(database, {(1, 1): 10}, seq=1, as_of=at)
    rows = [Delta(ref=f"r{n}", sku="S1", location="L1", quantity=MOST, occurred_at=at) for n in range(3)]
    rows.append(Delta(ref="good", sku="S1", location="L1", quantity=1))
    for _ in range(2):
        async with database.transaction(ACTOR) as tx:
            found = await deltas.apply_deltas(tx, "POS", rows)
    assert [r.outcome for r in found] == ["duplicate"] * 4
    async with database.transaction(ACTOR) as tx:
        assert [d.unexplained for d in await reads.drifts(tx, reads.DriftAsked())] == [BOUND]
    assert (await on_hand(database))[1, 1] == 11


async def test_a_row_of_a_snapshot_that_no_balance_can_hold_is_for_a_person_and_keeps_no_other(
    database: Database,
) -> None:
    await a_retailer(database, zero_percent=0)
    async with database.transaction(ACTOR) as tx:
        await service.receive(tx, [Claim(1, 1, 1_000_000_000)], TEST)  # after as_of: on top of what is stated
        await service.adjust(tx, [Claim(2, 1, -1_000_000_000)], Reason.LOSS, TEST, hours_ago(5))
        await service.adjust(tx, [Claim(1, 3, -1_000_000_000)], Reason.LOSS, TEST, hours_ago(5))
    stock = {(1, 1): MOST, (2, 1): MOST, (3, 1): 4, (1, 3): MOST}
    done = await state(database, stock, seq=1, as_of=hours_ago(2), check=True)
    async with database.transaction(ACTOR) as tx:
        biggest = await reads.biggest(tx, done.id, 2)
        assert {(e.sku, e.location) for e in biggest} == {("S2", "L1"), ("S1", "L3")}
        assert (await reads.expected_places(tx, done.id))[1][0] == 3
        await applying.confirm(tx, done.id, begun)
    await applying.apply(database, done.id)
    now = await on_hand(database)
    assert (now[1, 1], now[2, 1], now[3, 1]) == (1_000_000_010, 10 - 1_000_000_000, 4)
    async with database.transaction(ACTOR) as tx:
        found = {(d.sku, d.location): d for d in await reads.drifts(tx, reads.DriftAsked())}
    assert {key: (d.kind.value, d.theirs, d.unexplained) for key, d in found.items()} == {
        ("S1", "L1"): ("beyond", MOST, MOST - 10),
        ("S2", "L1"): ("beyond", MOST, BOUND),
        ("S1", "L3"): ("compared", MOST, BOUND),
    }
    for sku in ("S1", "S2"):
        with pytest.raises(BeyondBalance) as refused:
            await take_theirs(database, found[sku, "L1"])
        assert (refused.value.facts["sku"], refused.value.facts["location"]) == (sku, "L1")
    now = await on_hand(database)
    assert (now[1, 1], now[2, 1]) == (1_000_000_010, 10 - 1_000_000_000)


async def test_what_was_held_because_it_was_late_is_taken_only_as_far_as_its_balance_reaches(
    database: Database,
) -> None:
    await a_retailer(database)
    async with database.transaction(ACTOR) as tx:
        await sources.add_source(tx, SourceDraft(code="POS", name="POS", secondary=["L1"], skew_seconds=30))
    at = hours_ago(2)
    await state(database, {(1, 1): 10, (2, 1): 10}, seq=1, as_of=at)
    rows = [Delta(ref=f"r{n}", sku=f"S{n}", location="L1", quantity=MOST, occurred_at=at) for n in (1, 2)]
    async with database.transaction(ACTOR) as tx:
        assert [r.outcome for r in await deltas.apply_deltas(tx, "POS", rows)] == ["review", "review"]
        await service.receive(tx, [Claim(2, 1, 1_000_000_000)], TEST)
        found = sorted(await reads.drifts(tx, reads.DriftAsked()), key=lambda d: d.sku)
    with pytest.raises(BeyondBalance) as refused:
        await take_theirs(database, *found)
    assert refused.value.facts == {"sku": "S2", "location": "L1", "quantity": MOST, "on_hand": 1_000_000_010}
    assert (await on_hand(database))[1, 1] == 10  # all or none
    await take_theirs(database, found[0])
    assert (await on_hand(database))[1, 1] == MOST + 10


async def take_theirs(database: Database, *found: Drift) -> None:
    async with database.transaction(ACTOR) as tx:
        await drift.repair(tx, {d.id: d.version for d in found}, drift.Repair.THEIRS)


async def begun(*_: object) -> None:
    """The test applies it itself."""
