"""Snapshots of sources: rebased on what moved since, in any order of events; whole or not at all; never twice."""

import asyncio
import os
import random
import signal
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.waiting import doomed, gone, waiting

sys.path.insert(0, str(Path(__file__).parent))

from sync_world import ACTOR, WAY, a_retailer, hours_ago, moved, on_hand, state, table

from malha.doctor import examine
from malha.inventory import service
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, FenceRow, Kind
from malha.inventory.errors import TooLongAgo
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.sync import applying, deltas, drift, files, reads, sieve, sources
from malha.inventory.sync import errors as sync
from malha.inventory.sync.model import Delta, DriftState, Outcome, Scope, Snapshot, SourceDraft, State, ZeroRule
from malha.inventory.sync.receiving import TooManyZeros
from malha.platform.db import Database
from malha.platform.idempotency import KeyReused
from malha.platform.ids import UUID, new_id


@pytest.fixture(autouse=True, params=[sieve.FROM_ROWS, 0], ids=["loaded", "sifted"])
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every story is told both ways: compared by the database, and sifted first."""
    WAY["sift_from"] = request.param
    yield
    WAY["sift_from"] = sieve.FROM_ROWS


@pytest.fixture(autouse=True)
async def nothing_drifts(database: Database) -> AsyncIterator[None]:
    """At the end the doctor finds the ledger equal to the balances. Claims here are of no order: that it may say."""
    yield
    report = await examine(database)
    assert [f.check for f in report.findings if f.drifts and f.check != "allocated_units"] == []


async def test_what_moved_after_as_of_is_added_on_top_and_what_moved_before_is_not(database: Database) -> None:
    await a_retailer(database)
    async with database.transaction() as tx:
        await moved(tx, {(1, 1): -3}, hours=5)
        await moved(tx, {(1, 1): -2, (2, 1): 4}, hours=1)
    done = await state(database, {(1, 1): 8, (2, 1): 10, (3, 1): 10}, seq=1, as_of=hours_ago(2))
    assert (done.state, done.changed, done.rows, done.held) == (State.APPLIED, 1, 3, 0)
    now = await on_hand(database)
    assert (now[1, 1], now[2, 1], now[3, 1]) == (6, 14, 10)


async def test_open_allocations_stay_and_a_shipment_after_as_of_is_not_lost(database: Database) -> None:
    await a_retailer(database)
    order = Reference("order", new_id())
    async with database.transaction() as tx:
        assert not await service.reserve(tx, [Claim(1, 1, 4), Claim(2, 1, 3)], order)
        await service.ship(tx, [Claim(1, 1, 4)], order)
    await state(database, {(1, 1): 12, (2, 1): 2}, seq=1, as_of=hours_ago(2))
    async with database.transaction() as tx:
        rows = await tx.tuples(
            "SELECT sku_id, on_hand, allocated FROM balance WHERE location_id = 1 AND sku_id < 3 ORDER BY 1"
        )
        assert rows == [(1, 8, 0), (2, 2, 3)]
        assert await tx.tuples("SELECT sku_id, quantity FROM stock_deficit WHERE resolved_at IS NULL") == [(2, 1)]


async def test_a_count_after_as_of_is_newer_than_the_snapshot_and_stands(database: Database) -> None:
    await a_retailer(database)
    async with database.transaction() as tx:
        await service.set_on_hand(tx, [Claim(1, 1, 7)], Reference("count"), Reason.COUNT, hours_ago(1))
    await state(database, {(1, 1): 9}, seq=1, as_of=hours_ago(2))
    assert (await on_hand(database))[1, 1] == 7


async def test_a_whole_snapshot_empties_what_it_does_not_mention_at_its_own_locations_only(database: Database) -> None:
    await a_retailer(database)
    done = await state(database, {(1, 1): 10, (2, 1): 11}, seq=1, as_of=hours_ago(2), scope=Scope.WHOLE)
    now = await on_hand(database)
    assert [now[sku, 1] for sku in range(1, 7)] == [10, 11, 0, 0, 0, 0]
    assert {now[sku, place] for sku in range(1, 7) for place in (2, 3)} == {10}
    assert (done.absent, done.zeroed, done.unchanged) == (4, 4, 1)


@pytest.mark.parametrize("rule", list(ZeroRule))
async def test_a_snapshot_that_would_empty_too_much_waits_or_is_refused(database: Database, rule: ZeroRule) -> None:
    await a_retailer(database, zero_percent=50, zero_rule=rule)
    if rule is ZeroRule.REFUSE:
        with pytest.raises(TooManyZeros):
            await state(database, {(1, 1): 10}, seq=1, as_of=hours_ago(2), scope=Scope.WHOLE)
        async with database.transaction() as tx:
            assert [s.state for s in await reads.snapshots(tx)] == [State.REFUSED]
    else:
        waits = await state(database, {(1, 1): 10}, seq=1, as_of=hours_ago(2), scope=Scope.WHOLE)
        assert waits.state is State.WAITING
        assert set((await on_hand(database)).values()) == {10}
        begun: list[object] = []

        async def begin(_tx: object, id_: object, _source: int) -> None:
            begun.append(id_)

        async with database.transaction(ACTOR) as tx:
            await applying.confirm(tx, waits.id, begin)
        await applying.apply(database, waits.id)
        assert begun == [waits.id]
        assert (await on_hand(database))[2, 1] == 0


async def test_bad_rows_are_held_with_their_place_and_do_not_empty_what_they_speak_of(database: Database) -> None:
    await a_retailer(database)
    file = (
        b"sku;gtin;local;saldo;obs\nS1;;L1;12;a\nS2;;L1;-3;\nS3;;L1;3;\nNOPE;;L1;4;\nS4;;L9;4;\nS5;;L4;1;\nS6;;L1;;\nS3;;L1;4;\n"
        b"S5;;L1;1.000;\nS6;;L2;99999999999;\n;7891000315507;L2;5;\n;7891000315508;L1;5;\n;7891000053508;L1;5;\nS2;7891000315507;L2;10;\n"
        b"S4;;L1;10,00;\n"
    )
    done = await state(database, file, seq=1, as_of=hours_ago(2), scope=Scope.WHOLE)
    async with database.transaction() as tx:
        held = [(h.row, h.problem) for h in await reads.held(tx, done.id)]
    assert held == [
        (3, "negative"),
        (4, "twice"),
        (5, "unknown_sku"),
        (6, "unknown_location"),
        (7, "not_its_location"),
        (8, "no_quantity"),
        (9, "twice"),
        (10, "no_number"),
        (11, "too_many"),
        (13, "bad_gtin"),
        (14, "unknown_gtin"),
        (15, "other_gtin"),
    ]
    now = await on_hand(database)
    assert [now[sku, 1] for sku in range(1, 7)] == [12, 10, 10, 10, 10, 10]
    assert [now[sku, 2] for sku in range(1, 7)] == [5, 10, 0, 10, 0, 10], "S4 may be at L2: nobody knows what L9 is"


STRANGE = b"sku;location;on_hand\nS1;L1;12\nS2X;L1;10\nS4;L1;10\nS5;L1;10\nS6;L1;10\nS1;L2;10\n"


async def _begin(_tx: object, _id: object, _source: int) -> None:
    """Nothing is deferred: the test applies it."""


async def confirmed(database: Database, id_: UUID) -> Snapshot:
    async with database.transaction(ACTOR) as tx:
        await applying.confirm(tx, id_, _begin)
    await applying.apply(database, id_, at_once=1)
    async with database.transaction() as tx:
        return await reads.snapshot(tx, id_)


async def test_what_a_row_of_an_unknown_sku_may_mean_is_not_emptied_before_a_person_has_looked(
    database: Database,
) -> None:
    await a_retailer(database)
    waits = await state(database, STRANGE, seq=1, as_of=hours_ago(5), scope=Scope.WHOLE)
    now = await on_hand(database)
    assert [now[sku, 1] for sku in range(1, 7)] == [12, 10, 10, 10, 10, 10], "S2 may be S2X, and S3 too"
    assert [now[sku, 2] for sku in range(1, 7)] == [10, 0, 0, 0, 0, 0], "no row there is of an unknown SKU"
    assert (waits.state, waits.reason, waits.ended_at) == (State.WAITING, {"code": "absent", "rows": 2}, None)
    async with database.transaction() as tx:
        assert [(e.sku, e.location, e.difference) for e in await reads.expected(tx, waits.id)] == [
            ("S2", "L1", -10),
            ("S3", "L1", -10),
        ]
        assert [count for count, _more, _fewer in (await reads.expected_places(tx, waits.id)).values()] == [2]
    done = await confirmed(database, waits.id)
    now = await on_hand(database)
    assert [now[sku, 1] for sku in range(1, 7)] == [12, 0, 0, 10, 10, 10]
    assert (done.state, done.done, done.differing) == (State.APPLIED, 8, 8)
    # The same row again is a stranger that is known; another one is not.
    again = STRANGE.replace(b"S4;L1;10\n", b"")
    assert (await state(database, again, seq=2, as_of=hours_ago(4), scope=Scope.WHOLE)).state is State.APPLIED
    assert (await on_hand(database))[4, 1] == 0
    other = again.replace(b"S5;L1", b"5,00E+01;L1")
    assert (await state(database, other, seq=3, as_of=hours_ago(3), scope=Scope.WHOLE)).state is State.WAITING
    assert (await on_hand(database))[5, 1] == 10


async def test_a_sku_whose_location_nobody_knows_is_not_emptied_before_a_person_has_looked(database: Database) -> None:
    await a_retailer(database)
    lines = [f"S{sku};L{place};10" for sku in range(1, 7) for place in (1, 2)]

    def file(*changed: tuple[str, str]) -> bytes:
        said = "\n".join(["sku;location;on_hand", *lines, ""])
        for was, now in changed:
            said = said.replace(was, now)
        return said.encode()

    mistyped = file(("S2;L1;10", "S2;LI;10"), ("S3;L1;10\n", ""))
    waits = await state(database, mistyped, seq=1, as_of=hours_ago(5), scope=Scope.WHOLE)
    now = await on_hand(database)
    assert (now[2, 1], now[3, 1]) == (10, 0), "S2 may be at L1; nothing is said of S3"
    assert (waits.state, waits.reason) == (State.WAITING, {"code": "absent", "rows": 1})
    done = await confirmed(database, waits.id)
    assert (done.state, (await on_hand(database))[2, 1]) == (State.APPLIED, 0)
    # A location that the statement before named too is one that is not kept here; another one is not known.
    known = file(("S4;L1;10", "S4;LI;10"))
    assert (await state(database, known, seq=2, as_of=hours_ago(4), scope=Scope.WHOLE)).state is State.APPLIED
    assert (await on_hand(database))[4, 1] == 0
    other = file(("S5;L1;10", "S5;L 1;10"), ("S4;L1;10", "S4;LI;10"))
    assert (await state(database, other, seq=3, as_of=hours_ago(3), scope=Scope.WHOLE)).state is State.WAITING
    assert (await on_hand(database))[5, 1] == 10


async def test_while_a_person_has_not_looked_the_next_statement_waits_too_and_an_older_one_comes_too_late(
    database: Database,
) -> None:
    await a_retailer(database, zero_percent=50)
    older = await state(database, {(1, 1): 3}, seq=1, as_of=hours_ago(6), check=True)
    first = await state(database, STRANGE + b"S2;L2;10\nS3;L2;10\n", seq=2, as_of=hours_ago(5), scope=Scope.WHOLE)
    assert (older.state, first.state) == (State.WAITING, State.WAITING)
    with pytest.raises(sync.OlderSnapshot):
        await confirmed(database, older.id)
    second = await state(database, STRANGE + b"S2;L2;10\nS3;L2;10\n", seq=3, as_of=hours_ago(4), scope=Scope.WHOLE)
    assert second.state is State.WAITING, "nobody has said yet that its rows are strangers"
    assert (await on_hand(database))[2, 1] == 10
    assert (await confirmed(database, second.id)).state is State.APPLIED
    assert (await on_hand(database))[2, 1] == 0
    with pytest.raises(sync.OlderSnapshot):
        await confirmed(database, first.id)


async def test_a_row_that_nobody_can_read_keeps_what_is_not_mentioned_everywhere(database: Database) -> None:
    await a_retailer(database)
    lines = [f"S{sku};L{place};10" for sku in range(1, 7) for place in (1, 2) if sku != 2]
    file = "\n".join(["sku;location;on_hand", *lines, 'S2;"L1;10;7', ""]).encode()
    waits = await state(database, file, seq=1, as_of=hours_ago(2), scope=Scope.WHOLE)
    now = await on_hand(database)
    assert (now[2, 1], now[2, 2]) == (10, 10), "its location cannot be read either"
    assert (waits.state, waits.held) == (State.WAITING, 1)


async def test_a_file_with_broken_lines_is_read_row_by_row_and_only_those_are_held(database: Database) -> None:
    await a_retailer(database)
    file = 'sku;location;on_hand\nS1;L1;11\n"S2;L1;3\nS3";L1\nS4;L1;7\nS5;L1;8;9;9\n'.encode("cp1252")
    done = await state(database, file, seq=1, as_of=hours_ago(2))
    async with database.transaction() as tx:
        held = [(h.row, h.problem) for h in await reads.held(tx, done.id)]
    assert held == [(3, "unreadable"), (6, "unreadable")]
    now = await on_hand(database)
    assert (now[1, 1], now[4, 1], now[5, 1]) == (11, 7, 10)


async def test_older_and_repeated_snapshots(database: Database) -> None:
    await a_retailer(database)
    at = hours_ago(2)
    first = await state(database, {(1, 1): 11}, seq=5, as_of=at, key="k")
    again = await state(database, {(1, 1): 11}, seq=5, as_of=at, key="k")
    without = await state(database, {(1, 1): 11}, seq=5, as_of=at)
    assert first.id == again.id == without.id
    with pytest.raises(KeyReused):
        await state(database, {(1, 1): 12}, seq=6, as_of=at, key="k")
    for seq in (5, 4):
        with pytest.raises(sync.OlderSnapshot):
            await state(database, {(1, 1): 12}, seq=seq, as_of=at + timedelta(minutes=1))
    with pytest.raises(sync.OlderAsOf):
        await state(database, {(1, 1): 12}, seq=6, as_of=at - timedelta(minutes=1))
    other = await state(database, {(1, 2): 12}, seq=6, as_of=at - timedelta(minutes=1))  # another location's clock
    assert other.state is State.APPLIED
    with pytest.raises(sync.AsOfInFuture):
        await state(database, {(1, 1): 12}, seq=9, as_of=hours_ago(-1))
    for year in (1, 1600, 1999):
        with pytest.raises(TooLongAgo):
            await state(database, {(1, 2): 12}, seq=9, as_of=datetime(year, 12, 31, tzinfo=UTC))
    with pytest.raises(sync.EmptySnapshot):
        await state(database, b"sku;location;on_hand\n", seq=9, as_of=hours_ago(0.5))
    async with database.transaction() as tx:
        assert len(await reads.snapshots(tx)) == 2  # what was refused left nothing
        assert await tx.values("SELECT relname FROM pg_class WHERE relname LIKE 'stock_stage%%'") == []
    assert (await on_hand(database))[1, 1] == 11


async def test_two_truths_of_one_location_are_refused_and_a_secondary_source_is_only_compared(
    database: Database,
) -> None:
    await a_retailer(database)
    async with database.transaction(ACTOR) as tx:
        with pytest.raises(sync.TwoTruths):
            await sources.add_source(tx, SourceDraft(code="WMS", name="WMS", truth=["L2"]))
    with pytest.raises(sync.NotItsLocation):
        await state(database, {(1, 4): 1}, seq=1, as_of=hours_ago(2), locations=["L4"])
    done = await state(database, {(1, 3): 4, (2, 3): 10}, seq=1, as_of=hours_ago(2))
    assert (done.changed, done.reviewed) == (0, 1)
    assert (await on_hand(database))[1, 3] == 10
    await state(database, {(1, 3): 10}, seq=2, as_of=hours_ago(1))
    async with database.transaction() as tx:
        states = [d.state for d in await reads.drifts(tx, reads.DriftAsked(states=tuple(DriftState)))]
    assert states == [DriftState.AGREED]


async def test_a_movement_in_the_skew_window_goes_to_review_and_each_repair_is_written_down(database: Database) -> None:
    await a_retailer(database, skew_seconds=60)
    at = hours_ago(2)
    async with database.transaction() as tx:
        claims = [Claim(1, 1, -1), Claim(2, 1, -1), Claim(3, 1, -1)]
        await service.adjust(tx, claims, Reason.SHIP, Reference("order"), at + timedelta(seconds=20))
    done = await state(database, {(1, 1): 9, (2, 1): 20, (3, 1): 30}, seq=1, as_of=at)
    assert (done.changed, done.reviewed) == (0, 3)
    async with database.transaction(ACTOR) as tx:
        every = await reads.drifts(tx, reads.DriftAsked(states=tuple(DriftState)))
        by_sku = {d.sku_id: d for d in every}
        assert {sku: d.state for sku, d in by_sku.items()} == {1: "explained", 2: "open", 3: "open"}
        assert [b.side for b in await reads.explaining(tx, by_sku[2].id)] == ["window", "before"]
        await drift.repair(tx, {by_sku[2].id: by_sku[2].version}, drift.Repair.THEIRS)
        await drift.repair(tx, {by_sku[3].id: by_sku[3].version}, drift.Repair.OURS)
        with pytest.raises(sync.DriftSettled):
            await drift.repair(tx, {by_sku[2].id: by_sku[2].version}, drift.Repair.OURS)
        ledger = await tx.tuples("SELECT sku_id, d_on_hand, ref_kind, ref_id FROM movement WHERE ref_kind = 'drift'")
        assert ledger == [(2, 10, "drift", by_sku[2].id)]  # 20 stated, one left since by the clock
        assert await tx.value("SELECT count(*) FROM audit WHERE entity = 'stock_drift'") == 2
    assert (await on_hand(database))[2, 1] == 19


async def test_two_sources_that_say_the_same_are_taken_once_and_the_newest_of_two_numbers_counts(
    database: Database,
) -> None:
    """Each disagreement says how far it is from what is here: added up, they would give units that nobody has."""
    await a_retailer(database)
    async with database.transaction(ACTOR) as tx:
        await sources.add_source(tx, SourceDraft(code="WMS", name="WMS", secondary=["L3"]))
    await state(database, {(1, 3): 15, (2, 3): 14}, seq=1, as_of=hours_ago(2))
    await state(database, {(1, 3): 15, (2, 3): 12}, seq=1, as_of=hours_ago(1), source="WMS")
    async with database.transaction(ACTOR) as tx:
        every = await reads.drifts(tx, reads.DriftAsked())
        assert sorted((d.sku_id, d.unexplained) for d in every) == [(1, 5), (1, 5), (2, 2), (2, 4)]
        done = await drift.repair(tx, {d.id: d.version for d in every}, drift.Repair.THEIRS)
        assert {d.state for d in done} == {DriftState.THEIRS}
    stands = await on_hand(database)
    assert (stands[1, 3], stands[2, 3]) == (15, 12)


async def test_what_waits_for_a_count_is_settled_by_it(database: Database) -> None:
    await a_retailer(database)
    await state(database, {(1, 3): 4}, seq=1, as_of=hours_ago(2))
    async with database.transaction(ACTOR) as tx:
        (open_,) = await reads.drifts(tx, reads.DriftAsked())
        await drift.repair(tx, {open_.id: open_.version}, drift.Repair.COUNT)
    await applying.keep_house(database)
    async with database.transaction(ACTOR) as tx:
        assert (await reads.drift(tx, open_.id)).state is DriftState.COUNTING
        await service.set_on_hand(tx, [Claim(1, 3, 5)], Reference("count"), Reason.COUNT)
    await applying.keep_house(database)
    async with database.transaction(ACTOR) as tx:
        assert (await reads.drift(tx, open_.id)).state is DriftState.COUNTED


# --- changes ---


def change(ref: str, sku: int = 1, quantity: int = 1, **more: object) -> Delta:
    return Delta(**{"ref": ref, "sku": f"S{sku}", "location": "L1", "quantity": quantity, **more})


async def report(database: Database, *rows: Delta) -> list[tuple[str, int | None]]:
    async with database.transaction(ACTOR) as tx:
        return [(r.outcome.value, r.on_hand) for r in await deltas.apply_deltas(tx, "ERP", rows)]


async def test_changes_count_once_and_each_has_its_answer(database: Database) -> None:
    await a_retailer(database)
    rows = [
        change("a", 1, 5),
        change("b", 1, -2),
        change("a", 1, 5),
        change("c", 2, 7, sets=True),
        change("d", 2, 9, sets=True, expected=7),
        change("e", 2, 1, expected=7),
        change("f", 99),
        change("g", location="L9"),
        change("h", location="L4"),
        change("i", occurred_at=hours_ago(-1)),
        change("j", occurred_at=datetime(1600, 1, 1, tzinfo=UTC)),
    ]
    expected = [
        ("applied", 15), ("applied", 13), ("duplicate", None), ("applied", 7), ("applied", 9), ("conflict", 9),
        ("unknown_sku", None), ("unknown_location", None), ("not_its_location", None), ("in_future", None),
        ("too_long_ago", None),
    ]  # fmt: skip
    assert await report(database, *rows) == expected
    again = await report(database, rows[0], change("b", 1, -3), change("e", 2, 1, expected=9))
    assert again == [("duplicate", None), ("reused", None), ("applied", 10)]
    now = await on_hand(database)
    assert (now[1, 1], now[2, 1]) == (13, 10)


async def test_a_change_that_goes_the_other_way_than_its_reason_is_no_change_of_that_kind(database: Database) -> None:
    """A sale that adds units is a sign somebody forgot, or a reversal that does not say so."""
    await a_retailer(database)
    adds, takes = ("receipt", "found"), ("damage", "loss", "ship", "hand_over")
    wrong = [change(f"w-{r}", 1, -1, reason=r) for r in adds] + [change(f"w-{r}", 1, 1, reason=r) for r in takes]
    good = [change(f"g-{r}", 1, 1, reason=r) for r in adds] + [change(f"g-{r}", 1, -1, reason=r) for r in takes]
    both = [change(f"b-{r}{n}", 2, n, reason=r, document="D") for r in ("adjustment", "transfer") for n in (3, -3)]
    sets = [change("s", 3, 12, sets=True, reason="loss")]
    got = [outcome for outcome, _ in await report(database, *wrong, *good, *both, *sets)]
    assert got == ["wrong_sign"] * 6 + ["applied"] * 11
    now = await on_hand(database)
    assert (now[1, 1], now[2, 1], now[3, 1]) == (8, 10, 12)
    mended = change("w-ship", 1, 1, reason="adjustment")  # what was not carried out keeps no reference
    assert await report(database, mended) == [("applied", 9)]


async def test_a_transfer_may_be_told_by_one_side_alone_and_the_doctor_misses_no_other(database: Database) -> None:
    """Where the goods went, or came from, may be a place that is not known here."""
    await a_retailer(database)
    asked = [
        Delta(ref="out", sku="S1", location="L1", quantity=-3, reason="transfer", document="TR 1"),
        Delta(ref="in", sku="S2", location="L2", quantity=4, reason="transfer"),
    ]
    async with database.transaction(ACTOR) as tx:
        assert [r.outcome for r in await deltas.apply_deltas(tx, "ERP", asked)] == [Outcome.APPLIED] * 2
    assert (await examine(database)).healthy
    now = await on_hand(database)
    assert (now[1, 1], now[2, 2]) == (7, 14)


async def test_a_late_change_that_the_snapshot_has_is_not_added_again(database: Database) -> None:
    await a_retailer(database)
    at = hours_ago(2)
    await state(database, {(1, 1): 8}, seq=10, as_of=at)
    got = await report(
        database,
        change("old", 1, -2, seq=9),
        change("new", 1, -1, seq=11, occurred_at=at - timedelta(seconds=1)),  # by its place, not by its clock
        change("before", 1, -4, occurred_at=at - timedelta(minutes=1)),
        change("after", 1, -1, occurred_at=at + timedelta(minutes=1)),
    )
    assert [outcome for outcome, _ in got] == ["included", "applied", "included", "applied"]
    assert (await on_hand(database))[1, 1] == 6
    await state(database, {(1, 1): 7}, seq=11, as_of=at + timedelta(seconds=30))
    assert (await on_hand(database))[1, 1] == 6  # "new" is in it, "after" is on top of it


async def test_a_change_of_another_source_near_a_snapshot_waits_for_a_person(database: Database) -> None:
    await a_retailer(database)
    async with database.transaction(ACTOR) as tx:
        await sources.add_source(tx, SourceDraft(code="POS", name="POS", secondary=["L1"], skew_seconds=30))
    at = hours_ago(2)
    await state(database, {(1, 1): 8}, seq=1, as_of=at)
    async with database.transaction(ACTOR) as tx:
        rows = [change("t1", 1, -1, occurred_at=at), change("t2", 1, -1, occurred_at=at + timedelta(minutes=1))]
        assert [r.outcome for r in await deltas.apply_deltas(tx, "POS", rows)] == [Outcome.REVIEW, Outcome.APPLIED]
        (late,) = await reads.drifts(tx, reads.DriftAsked())
        assert (late.kind, late.unexplained) == ("late", -1)
        await drift.repair(tx, {late.id: late.version}, drift.Repair.THEIRS)
        again = [change("t3", 1, 9, occurred_at=at, sets=True)]
        assert [r.outcome for r in await deltas.apply_deltas(tx, "POS", again)] == [Outcome.REVIEW]
        assert [d.unexplained for d in await reads.drifts(tx, reads.DriftAsked())] == [3]
    assert (await on_hand(database))[1, 1] == 6
    await state(database, {(1, 1): 5}, seq=2, as_of=hours_ago(1))  # a newer truth: what was doubtful before it is not
    async with database.transaction(ACTOR) as tx:
        assert await reads.drifts(tx, reads.DriftAsked()) == []


# --- what else hangs on a balance ---

SAID_FEWER = "SELECT count(*) FROM outbox WHERE type = 'stock.decreased' AND payload ->> 'reason' = 'set'"


@pytest.mark.parametrize("way", ["snapshot", "change", "repair"])
async def test_fewer_units_than_are_set_apart_shrink_the_fences_whoever_states_it(database: Database, way: str) -> None:
    await a_retailer(database)
    place = "L3" if way == "repair" else "L1"
    async with database.transaction(ACTOR) as tx:
        await tx.execute("INSERT INTO channel (code, name, kind) VALUES ('mall', 'Mall', 'marketplace')")
        stock = (FenceRow("S1", place, 8),)
        draft = AllotmentDraft(code="F", name="F", kind=Kind.FENCE, channels=("mall",), stock=stock)
        await allotments.put(tx, draft, None)
    if way == "change":
        assert await report(database, change("x", 1, 5, sets=True)) == [("applied", 5)]
    else:
        await state(database, {(1, int(place[1])): 5}, seq=1, as_of=hours_ago(2))
    if way == "repair":
        async with database.transaction(ACTOR) as tx:
            (open_,) = await reads.drifts(tx, reads.DriftAsked())
            await drift.repair(tx, {open_.id: open_.version}, drift.Repair.THEIRS)
    async with database.transaction() as tx:
        key = {"place": int(place[1])}
        found = await tx.tuples("SELECT on_hand, fenced FROM balance WHERE sku_id = 1 AND location_id = %(place)s", key)
        assert found == [(5, 5)]
        assert await tx.value(SAID_FEWER) == 1


# --- against a simple model ---


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happened_before_and_after_the_balances_end_at_the_truth(  # noqa: C901 -- a story, told in order
    database: Database, seed: int
) -> None:
    """The truth is what is on the shelf. Malha missed things before as_of; after it, it knows everything."""
    rnd = random.Random(seed)
    skus = 25
    await a_retailer(database, skus=skus, units=0, skew_seconds=1)
    truth = {(s, p): 0 for s in range(1, skus + 1) for p in (1, 2)}
    seq = 0
    clock = 40.0  # hours ago; events happen in this order, and are told to Malha in another one
    late: list[tuple[dict[tuple[int, int], int], float]] = []
    allocated: dict[tuple[int, int], int] = dict.fromkeys(truth, 0)
    for _round in range(5):
        for _ in range(40):
            clock -= 0.05
            key = rnd.choice(list(truth))
            units = rnd.randint(-min(truth[key], 4), 9)
            truth[key] += units
            if units and rnd.random() < 0.8:  # the rest is never told: that is what snapshots are for
                async with database.transaction() as tx:
                    await moved(tx, {key: units}, clock)
        clock -= 0.1
        stated, as_of = dict(truth), clock
        clock -= 0.1
        for _ in range(30):
            clock -= 0.03
            key = rnd.choice(list(truth))
            units = rnd.randint(-min(truth[key], 4), 6)
            truth[key] += units
            if units:
                late.append(({key: units}, clock))
        rnd.shuffle(late)
        half = len(late) // 2
        async with database.transaction() as tx:
            for changes, hours in late[:half]:
                await moved(tx, changes, hours)
            for key in rnd.sample(list(truth), 6):
                if not await service.reserve(tx, [Claim(*key, 1)], Reference("order", new_id())):
                    allocated[key] += 1
            for key in [k for k, n in allocated.items() if n and rnd.random() < 0.3]:
                await service.release(tx, [Claim(*key, 1)], Reference("order", new_id()))
                allocated[key] -= 1
        seq += rnd.randint(1, 3)
        whole = rnd.random() < 0.5
        said = {k: n for k, n in stated.items() if n or not whole}
        places = {"locations": ["L1", "L2"]} if whole else {}
        scope = Scope.WHOLE if whole else Scope.PARTIAL
        done = await state(database, said, seq=seq, as_of=hours_ago(as_of), scope=scope, **places)
        assert done.state is State.APPLIED
        async with database.transaction(ACTOR) as tx:  # what was on its way meanwhile is told afterwards
            for changes, hours in late[half:]:
                await moved(tx, changes, hours)
            # So far told, more had left than was stated: that was not guessed.
            waits = await reads.drifts(tx, reads.DriftAsked())
            assert {d.kind for d in waits} <= {"negative"}
            if waits:
                await drift.repair(tx, {d.id: d.version for d in waits}, drift.Repair.THEIRS)
        late.clear()
        now = await on_hand(database)
        assert {k: now.get(k, 0) for k in truth} == truth
        async with database.transaction() as tx:
            rows = await tx.tuples("SELECT sku_id, location_id, allocated FROM balance WHERE location_id < 3")
            assert {(s, p): n for s, p, n in rows if n} == {k: n for k, n in allocated.items() if n}


# --- races and crashes ---


async def test_orders_are_claimed_and_shipped_while_snapshots_are_applied(database: Database) -> None:
    await a_retailer(database, skus=40, units=50)
    at = hours_ago(2)
    keys = [(s, p) for s in range(1, 41) for p in (1, 2)]
    shipped: dict[tuple[int, int], int] = dict.fromkeys(keys, 0)
    stop = asyncio.Event()

    async def trade(seed: int) -> None:
        rnd = random.Random(seed)
        while not stop.is_set():
            claims = [Claim(*key, 1) for key in rnd.sample(keys, 3)]
            order = Reference("order", new_id())
            async with database.transaction() as tx:
                if await service.reserve(tx, claims, order):
                    continue
            async with database.transaction() as tx:
                if rnd.random() < 0.3:
                    await service.release(tx, claims, order)
                else:
                    await service.ship(tx, claims, order)
                    for c in claims:
                        shipped[c.sku_id, c.location_id] += 1

    traders = [asyncio.create_task(trade(n)) for n in range(4)]
    stated = {key: 50 + key[0] for key in keys}
    await state(database, stated, seq=1, as_of=at, scope=Scope.WHOLE)
    await state(database, {k: n + 7 for k, n in stated.items()}, seq=2, as_of=at + timedelta(minutes=1))
    stop.set()
    await asyncio.gather(*traders)
    now = await on_hand(database)
    assert {k: now[k] for k in keys} == {k: stated[k] + 7 - shipped[k] for k in keys}


async def test_two_workers_with_one_snapshot_apply_it_once(database: Database) -> None:
    await a_retailer(database, skus=60)
    stated = {(s, p): 11 for s in range(1, 61) for p in (1, 2)}
    taken = await state(database, stated, seq=1, as_of=hours_ago(2), apply=False)
    await asyncio.gather(*(applying.apply(database, taken.id, at_once=5) for _ in range(3)))
    async with database.transaction() as tx:
        done = await reads.snapshot(tx, taken.id)
        assert (done.state, done.done, done.changed) == (State.APPLIED, 120, 120)
        assert await tx.value("SELECT count(*) FROM movement WHERE ref_kind = 'snapshot'") == 120


WORKER = """
import asyncio, sys
from malha.inventory.sync import applying
from malha.platform.db import Database
from malha.platform.ids import UUID
async def main():
    async with Database(sys.argv[1]) as db:
        await applying.apply(db, UUID(sys.argv[2]), at_once=3)
asyncio.run(main())
"""


async def done_of(database: Database, id_: UUID) -> int:
    async with database.transaction() as tx:
        return (await reads.snapshot(tx, id_)).done


async def test_a_worker_that_is_killed_again_and_again_goes_on_where_it_was(database: Database) -> None:
    await a_retailer(database, skus=300)
    stated = {(s, p): 12 for s in range(1, 301) for p in (1, 2)}
    taken = await state(database, stated, seq=1, as_of=hours_ago(2), apply=False)
    rnd = random.Random(7)
    places = {0}
    for _ in range(6):
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-c", WORKER, database.url, str(taken.id), env=doomed()
        )
        until = max(places) + rnd.randint(2, 60)
        while worker.returncode is None and await done_of(database, taken.id) < until:
            await asyncio.sleep(rnd.uniform(0, 0.01))
        if worker.returncode is None:
            os.kill(worker.pid, signal.SIGKILL)
        await worker.wait()
        await gone(database)
        places.add(await done_of(database, taken.id))
    assert len(places) > 4  # it was killed in the middle, and went on
    await applying.apply(database, taken.id)
    async with database.transaction() as tx:
        done = await reads.snapshot(tx, taken.id)
        assert (done.state, done.done, done.changed) == (State.APPLIED, 600, 600)
        per_key = await tx.tuples(
            "SELECT count(*), sum(d_on_hand)::int FROM movement WHERE ref_kind = 'snapshot' GROUP BY sku_id, location_id"
        )
    assert set(per_key) == {(1, 2)}


async def test_a_cancelled_snapshot_stops_and_an_older_one_is_not_applied_after_its_successor(
    database: Database,
) -> None:
    await a_retailer(database)
    first = await state(database, {(1, 1): 5}, seq=1, as_of=hours_ago(3), apply=False)
    await state(database, {(1, 1): 6, (2, 1): 3}, seq=2, as_of=hours_ago(2))
    await applying.apply(database, first.id)
    third = await state(database, {(2, 1): 5}, seq=3, as_of=hours_ago(1), apply=False)
    async with database.transaction(ACTOR) as tx:
        await applying.cancel(tx, third.id)
    await applying.apply(database, third.id)
    async with database.transaction(ACTOR) as tx:
        assert (await reads.snapshot(tx, first.id)).state is State.CANCELLED
        with pytest.raises(sync.SnapshotNotOpen):
            await applying.confirm(tx, third.id, None)  # type: ignore[arg-type]
    now = await on_hand(database)
    assert (now[1, 1], now[2, 1]) == (6, 3)


async def blocked(database: Database, connections: int) -> None:
    async with asyncio.timeout(60):
        while await waiting(database) < connections:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("at_once", [1, 2], ids=["a piece is done", "a piece is under way"])
async def test_an_older_snapshot_does_not_slip_past_a_newer_one_that_is_being_applied(
    database: Database, at_once: int
) -> None:
    """The newer one finds what is there and writes nothing, so nothing in the ledger would tell the older one."""
    await a_retailer(database)
    older = await state(database, {(1, 1): 8, (3, 1): 12}, seq=1, as_of=hours_ago(3), apply=False)
    newer = await state(database, {(1, 1): 10, (2, 1): 5}, seq=2, as_of=hours_ago(2), apply=False)
    async with asyncio.TaskGroup() as group, database.transaction() as tx:
        await service.lock_balances(tx, [(2, 1)])
        group.create_task(applying.apply(database, newer.id, at_once=at_once))
        await blocked(database, 1)
        late = group.create_task(applying.apply(database, older.id))
        if at_once == 1:  # the first of its keys is done: nobody has to wait for it
            async with asyncio.timeout(60):
                await late
        else:
            await blocked(database, 2)
    now = await on_hand(database)
    assert (now[1, 1], now[2, 1], now[3, 1]) == (10, 5, 12)


@pytest.mark.parametrize("first", ["older", "newer"])
async def test_what_a_whole_snapshot_does_not_mention_is_empty_though_an_older_one_is_still_to_give_it_units(
    database: Database, first: str
) -> None:
    await a_retailer(database)
    async with database.transaction() as tx:
        await moved(tx, {(1, 1): -10, (3, 1): -10}, hours=5)
    older = await state(database, {(1, 1): 8, (2, 1): 9, (3, 3): 4}, seq=1, as_of=hours_ago(3), apply=False)
    whole = {(2, 1): 11, (2, 3): 10}
    newer = await state(database, whole, seq=2, as_of=hours_ago(2), scope=Scope.WHOLE, apply=False)
    assert (newer.state, newer.absent) == (State.APPLYING, 9)  # S1, and those that have stock; S3 is not spoken of
    for each in (older, newer) if first == "older" else (newer, older):
        await applying.apply(database, each.id)
    now = await on_hand(database)
    assert [now[sku, 1] for sku in (1, 2, 3, 4)] == [0, 11, 0, 0]


async def test_what_is_older_than_a_snapshot_that_is_being_applied_is_not_confirmed(database: Database) -> None:
    await a_retailer(database)
    older = await state(database, {(1, 1): 8}, seq=1, as_of=hours_ago(3), check=True)
    newer = await state(database, {(1, 1): 9}, seq=2, as_of=hours_ago(2), apply=False)
    assert (older.state, newer.state) == (State.WAITING, State.APPLYING)
    async with database.transaction(ACTOR) as tx:
        with pytest.raises(sync.OlderSnapshot):
            await applying.confirm(tx, older.id, None)  # type: ignore[arg-type]


# --- files ---


def packed(data: bytes) -> bytes:
    maker = zlib.compressobj(wbits=31)
    return maker.compress(data) + maker.flush()


def test_a_bomb_is_refused_before_it_unfolds() -> None:
    bomb = packed(b"sku;location;on_hand\n" + b"S1;L1;0\n" * 4_000_000)
    with files.Arriving(1000) as file:
        with pytest.raises(sync.PackedBomb):
            feed(file, bomb)
        assert file.bytes < 4 << 20
    with files.Arriving(1) as small, pytest.raises(sync.SnapshotTooLarge):
        feed(small, packed(os.urandom(2 << 20)))
    with files.Arriving(1) as cut:
        feed(cut, packed(table({(1, 1): 1}))[:-6])
        with pytest.raises(sync.UnreadablePacking):
            cut.table("")
    with files.Arriving(1) as junk, pytest.raises(sync.UnreadablePacking):
        feed(junk, b"\x1f\x8b\x08\x00" + b"x" * 100)


def feed(file: files.Arriving, data: bytes) -> None:
    for start in range(0, len(data), 4096):
        file.write(data[start : start + 4096])


async def test_lines_of_json_are_held_by_their_own_numbers_and_those_with_a_key_twice_too(database: Database) -> None:
    """Of two values of one key decoders keep the last: a number that nobody meant would be taken without a word."""
    await a_retailer(database, skus=12)
    lines = [
        '{"sku": "S1", "location": "L1", "on_hand": 11}',
        '{"sku": "S2", "location": "L1", "on_hand": 5, "on_hand": 6}',
        "",
        "  ",
        '{"sku": "S3", "sku": "S4", "location": "L1", "on_hand": 5}',
        '{"sku": "NOPE", "location": "L1", "on_hand": 5}',
        '{"sku": "S5", "location": "L1", "on_hand": 7, "note": "a: b", "x": {"y": 1}}',
        '{"sku": "S6", "location": "L1", "on_hand": 7, "x": 1, "x": 2}',
        "[" * 50_000,
        '{"sku": "S7", "location": "L1", "on_hand": 7}',
    ]
    file = "\n".join(lines).encode()
    done = await state(database, file, seq=1, as_of=hours_ago(2), scope=Scope.WHOLE, media_type="application/x-ndjson")
    async with database.transaction() as tx:
        held = [(h.row, h.sku, h.stated, h.problem) for h in await reads.held(tx, done.id)]
    assert held == [
        (2, "S2", "", "key_twice"),
        (5, "S4", "", "key_twice"),
        (6, "NOPE", "5", "unknown_sku"),
        (8, "S6", "", "key_twice"),
        (9, "", "", "unreadable"),
    ]
    now = await on_hand(database)
    assert [now[sku, 1] for sku in (1, 2, 4, 5, 6, 7, 8)] == [11, 10, 10, 7, 10, 7, 10]  # no held row empties a shelf
    assert done.reason == {"code": "absent", "rows": 5}, "S8 may be what the row is of that nobody can read"
    assert (await confirmed(database, done.id)).state is State.APPLIED
    assert (await on_hand(database))[8, 1] == 0
    assert done.rows == 8


async def test_a_line_that_states_its_sku_or_its_location_twice_empties_none_of_those_it_names(
    database: Database,
) -> None:
    await a_retailer(database, skus=12)
    lines = [
        '{"sku": "S1", "location": "L1", "on_hand": 11}',
        '{"sku": "S2", "sku": "S3", "location": "L1", "on_hand": 5}',
        '{"sku": "S4", "location": "L1", "location": "L2", "on_hand": 5}',
        '{"sku": "S5", "sku": "S6", "sku": "S5", "location": "L1", "on_hand": 5}',
        '{"gtin": "7891000315507", "gtin": "", "sku": "S7", "location": "L2", "on_hand": 5}',
        '{"sku": "NOPE", "sku": "S8", "location": "L1", "on_hand": 5}',
        '{"sku": "S9", "location": "L1", "on_hand": 4}',
        '{"sku": "S9", "sku": "S10", "location": "L1", "on_hand": 5}',
    ]
    file = "\n".join(lines).encode()
    more = {"scope": Scope.WHOLE, "media_type": "application/x-ndjson"}
    done = await state(database, file, seq=1, as_of=hours_ago(2), **more)
    async with database.transaction() as tx:
        held = [(h.row, h.sku, h.problem) for h in await reads.held(tx, done.id)]
        rows = {place.code: place.rows for place in await reads.snapshot_places(tx, done.id)}
    assert held == [
        (2, "S3", "key_twice"),
        (3, "S4", "key_twice"),
        (4, "S5", "key_twice"),
        (5, "S7", "key_twice"),
        (6, "S8", "key_twice"),
        (7, "S9", "twice"),  # the next line may be of it
        (8, "S10", "key_twice"),
    ]
    now = await on_hand(database)
    assert [now[sku, 1] for sku in range(1, 13)] == [11, 10, 10, 10, 10, 10, 0, 10, 10, 10, 0, 0]
    assert [now[sku, 2] for sku in range(1, 13)] == [10, 0, 0, 10, 0, 0, 10, 0, 0, 0, 0, 0]
    assert (done.rows, done.held, done.unchanged, rows) == (8, 7, 0, {"L1": 6, "L2": 2})
