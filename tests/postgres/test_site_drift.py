"""Disagreements of several owners at one site: gathered with their sum, filtered, repaired together, each in its scope."""

import sys
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sync_world import ACTOR, hours_ago, state

from malha.doctor import examine
from malha.inventory.sync import drift, exports, reads, sources
from malha.inventory.sync.model import DriftState, SiteDrift, SourceDraft
from malha.network import reads as network
from malha.network import sites
from malha.network.errors import UnknownLocation
from malha.platform.db import Actor, Database
from malha.testing.builders import World, a_network, a_product, an_owner_at

SKUS = {"CUP": {"DC": 10, "DC-TERRA": 7, "S1": 3}, "PLATE": {"DC": 8, "DC-TERRA": 5}}


async def a_consignor(database: Database) -> World:
    """Goods of two owners at one site, and of one in a store; a source is compared at all three."""
    async with database.transaction(ACTOR) as tx:
        world = await a_network(tx)
        await an_owner_at(tx, world, "DC", "TERRA", root="98765432")
        for sku, stock in SKUS.items():
            await a_product(tx, world, sku, stock=stock)
        await tx.execute("UPDATE movement SET occurred_at = now() - interval '1 day'")
        await sources.add_source(tx, SourceDraft(code="ERP", name="ERP", secondary=["DC", "DC-TERRA", "S1"]))
    return world


async def disagreeing(database: Database) -> World:
    """Three cups of Terra are taken for the retailer's; two plates are missing; the store has one cup more."""
    world = await a_consignor(database)
    file = "sku;location;on_hand\nCUP;DC;13\nCUP;DC-TERRA;4\nPLATE;DC;6\nCUP;S1;4\n"
    await state(database, file.encode(), seq=1, as_of=hours_ago(2))
    return world


async def gathered(database: Database, actor: Actor = ACTOR, **asked: object) -> dict[tuple[str, str], SiteDrift]:
    async with database.transaction(actor) as tx:
        found = await reads.site_drifts(tx, reads.DriftAsked(**asked))
    return {(one.rows[0].sku, one.rows[0].site): one for _key, one in found}


async def test_what_is_said_of_one_sku_at_one_site_stands_together_with_its_sum(database: Database) -> None:
    await disagreeing(database)
    found = await gathered(database)
    assert set(found) == {("CUP", "DC"), ("PLATE", "DC"), ("CUP", "S1")}
    cups = found["CUP", "DC"]
    assert [(d.location, d.owner, d.shared, d.unexplained) for d in cups.rows] == [
        ("DC", "SP1", True, 3), ("DC-TERRA", "TERRA", True, -3),
    ]  # fmt: skip
    assert (cups.sum.theirs, cups.sum.moved, cups.sum.ours, cups.sum.unexplained) == (17, 0, 17, 0)
    assert cups.evens_out
    alone = found["CUP", "S1"]
    assert (len(alone.rows), alone.evens_out, alone.rows[0].shared) == (1, False, False)


async def test_a_site_is_asked_for_by_any_of_its_locations_and_added_up(database: Database) -> None:
    await disagreeing(database)
    async with database.transaction(ACTOR) as tx:
        by_first, by_other = await sites.in_sight(tx, "DC"), await sites.in_sight(tx, "DC-TERRA")
        assert by_first == by_other
        asked = reads.DriftAsked(site=tuple(by_first))
        assert {(d.sku, d.location) for d in await reads.drifts(tx, asked)} == {
            ("CUP", "DC"), ("CUP", "DC-TERRA"), ("PLATE", "DC"),
        }  # fmt: skip
        added = await reads.sum_of_drifts(tx, asked)
        assert (added.rows, added.theirs, added.ours, added.unexplained) == (3, 23, 25, -2)
        nothing = await reads.sum_of_drifts(tx, reads.DriftAsked(site=()))
        assert (nothing.rows, nothing.theirs) == (0, 0)
        (shared,) = sites.shared(await network.locations(tx))
    assert (shared.code, shared.places) == ("DC", by_first)


async def test_pages_of_sites_follow_one_another_without_a_gap_and_keep_the_rows_of_one_together(
    database: Database,
) -> None:
    await disagreeing(database)
    before, seen = None, []
    async with database.transaction(ACTOR) as tx:
        while page := await reads.site_drifts(tx, reads.DriftAsked(), before=before, limit=1):
            assert len(page) == 1
            before = page[0][0]
            seen.append([(d.sku, d.location) for d in page[0][1].rows])
    assert sorted(seen) == [[("CUP", "DC"), ("CUP", "DC-TERRA")], [("CUP", "S1")], [("PLATE", "DC")]]


async def test_the_rows_of_a_site_are_repaired_together_and_each_is_audited(database: Database) -> None:
    await disagreeing(database)
    cups = (await gathered(database))["CUP", "DC"]
    async with database.transaction(ACTOR) as tx:
        done = await drift.repair(tx, {d.id: d.version for d in cups.rows}, drift.Repair.THEIRS)
        assert [d.state for d in done] == [DriftState.THEIRS, DriftState.THEIRS]
        assert await tx.tuples(
            "SELECT action, entity_id FROM audit WHERE entity = 'stock_drift' ORDER BY entity_id"
        ) == [("repair_theirs", "CUP DC"), ("repair_theirs", "CUP DC-TERRA")]
        assert await tx.tuples(
            "SELECT l.code, b.on_hand FROM balance b JOIN location l ON l.id = b.location_id JOIN variant v ON v.id = "
            "b.sku_id WHERE v.sku = 'CUP' ORDER BY 1"
        ) == [("DC", 13), ("DC-TERRA", 4), ("S1", 3)]
    assert not [f for f in (await examine(database)).findings if f.drifts]


async def test_the_owners_of_a_site_are_counted_in_one_count(database: Database) -> None:
    await disagreeing(database)
    cups = (await gathered(database))["CUP", "DC"]
    async with database.transaction(ACTOR) as tx:
        done = await drift.repair(tx, {d.id: d.version for d in cups.rows}, drift.Repair.COUNT)
    assert len({d.count for d in done}) == 1
    assert None not in {d.count for d in done}


async def test_who_sees_one_owner_sees_no_other_ones_rows_nor_the_name_of_the_site(database: Database) -> None:
    world = await disagreeing(database)
    limited = Actor("person", "9", "Rita", locations=frozenset({world.locations["DC-TERRA"]}))
    scope = (world.locations["DC-TERRA"],)
    found = await gathered(database, limited, scope=scope)
    assert set(found) == {("CUP", "DC-TERRA")}
    assert [d.site_name for d in found["CUP", "DC-TERRA"].rows] == ["DC-TERRA"]
    async with database.transaction(limited) as tx:
        assert await sites.in_sight(tx, "DC-TERRA") == [world.locations["DC-TERRA"]]
        for code in ("DC", "NOWHERE"):
            with pytest.raises(UnknownLocation):
                await sites.in_sight(tx, code)


async def test_a_file_by_site_keeps_the_rows_of_one_together_with_what_is_unexplained_there(database: Database) -> None:
    await disagreeing(database)
    asked = reads.DriftAsked()
    rows = [r for page in [p async for p in exports.site_drift_pages(database, ACTOR, asked, "en")] for r in page]
    assert all(len(row) == len(exports.SITE_DRIFT_COLUMNS) for row in rows)
    names = [column.name for column in exports.SITE_DRIFT_COLUMNS]
    at = [names.index(name) for name in ("SKU", "Location", "Site", "Unexplained at the site")]
    assert sorted([row[i] for i in at] for row in rows) == [
        ["CUP", "DC", "DC", 0], ["CUP", "DC-TERRA", "DC", 0], ["CUP", "S1", "S1", 1], ["PLATE", "DC", "DC", -2],
    ]  # fmt: skip


async def test_a_later_statement_moves_a_site_to_the_top(database: Database) -> None:
    await disagreeing(database)
    async with database.transaction(ACTOR) as tx:
        await tx.execute(
            "UPDATE stock_drift SET found_at = found_at - %(ago)s WHERE location_id <> "
            "(SELECT id FROM location WHERE code = 'DC-TERRA')",
            {"ago": timedelta(hours=1)},
        )
        first, *_rest = await reads.site_drifts(tx, reads.DriftAsked())
    assert [d.location for d in first[1].rows] == ["DC", "DC-TERRA"]
