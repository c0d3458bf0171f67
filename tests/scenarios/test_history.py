"""Orders of the past, invented and real, lived through the ordinary services: everything adds up."""

import os
from pathlib import Path

import pytest

from malha.demo.build import build
from malha.doctor import examine
from malha.history import olist, olist_import
from malha.platform.db import Database
from malha.routing import cost_draft_reads, cost_reads
from malha.routing.ruling import reads as ruling

OLIST = Path(__file__).parents[3] / "shared" / "data" / "olist"
ORDERS = 500


def quiet(_what: str, _done: int, _of: int) -> None:
    pass


async def test_the_demo_is_a_retailer_in_every_state_and_without_drift(database: Database) -> None:
    built = await build(database, orders=160, seed=3, progress=quiet)
    assert built.orders + built.refused == 160
    assert built.work > 100
    async with database.snapshot() as tx:
        assert await tx.value("SELECT count(*) FROM location") >= 30
        assert await tx.value("SELECT count(*) FROM legal_entity") == 4
        assert await tx.value("SELECT count(*) FROM variant WHERE NOT is_kit") == 2_000
        statuses = set(await tx.values("SELECT DISTINCT status FROM sales_order"))
        assert {"delivered", "shipped", "cancelled", "on_hold"} <= statuses
        assert await tx.value("SELECT count(DISTINCT channel_id) FROM sales_order") == 7
        assert await tx.value("SELECT count(*) FROM fiscal_document") > 50
        assert await tx.value("SELECT count(*) FROM order_timeline") > 500
        assert (
            await tx.value(
                "SELECT count(*) FROM sales_order o WHERE buyer_name <> '' "
                "AND NOT EXISTS (SELECT FROM order_customer k WHERE k.order_id = o.id)"
            )
            == 0
        )
        for table, states in {
            "inbound_order": {"open", "partial", "received"},
            "transfer": {"requested", "approved", "shipped", "received"},
            "stock_snapshot": {"applied", "waiting"},
        }.items():
            assert states <= set(await tx.values(f"SELECT DISTINCT state::text FROM {table}")), table
        assert await tx.value("SELECT count(*) FROM count_task WHERE state = 'open' AND source = 'person'") == 3
        assert await tx.value("SELECT count(DISTINCT kind) FROM allotment") == 2
        assert await tx.value("SELECT count(*) FROM stock_drift") > 2
        sets = await ruling.rule_sets(tx)
        assert [(x.number, x.in_force) for x in sets if x.number is not None] == [(1, True)]
        assert (await ruling.decided_by(tx, [1]))[1] > 20
        assert [x.note for x in sets if x.number is None] == ["Black Friday: o site sai dos CDs"]
        assert [x.note for x in await cost_draft_reads.drafts(tx)] == ["Menos volumes por pedido"]
        stated = await cost_reads.costs(tx)
        assert (stated.split_penalty, len(stated.cartons), len(stated.capacity)) == (300, 3, 2)
        assert await tx.values("SELECT code FROM location WHERE kind = 'vendor'") == ["FORN-TECELAGEM"]
        assert await tx.value("SELECT count(*) FROM inbound_order WHERE supplier = 'Tecelagem Sul'") == 2
        promised = "SELECT count(*) FROM promise_outcome WHERE method = 'ship' AND promised_at < now()"
        assert await tx.value(promised) > 20
        out_of_order = await tx.value(
            "SELECT count(*) FROM fulfillment_order WHERE closed_at < packed_at OR packed_at < picked_at OR picked_at < released_at"
        )
        assert out_of_order == 0
    report = await examine(database)
    assert [finding.headline("en") for finding in report.findings] == []


@pytest.mark.shared
async def test_real_orders_reach_their_real_ends_and_the_money_adds_up_to_the_cent(database: Database) -> None:
    if not OLIST.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"the Olist dataset is missing: {OLIST}")
        pytest.skip("the Olist dataset is not beside the repository")
    data = olist.read(OLIST)
    report = await olist_import.run(database, data, progress=quiet, limit=ORDERS)
    past = data.past[:ORDERS]
    assert (report.submitted, report.accepted, report.refused) == (ORDERS, ORDERS, {})
    assert report.reconciled
    assert report.captured_here == sum(p.paid for p in past if p.approved_at)
    assert sum(len(reasons) for reasons in [report.left_out]) == 2
    delivered = sum(p.status == "delivered" for p in past)
    assert report.ends["delivered"] == {"delivered": delivered}
    assert report.ends["shipped"] == {"shipped": sum(p.status == "shipped" for p in past)}
    assert set(report.ends["canceled"]) <= {"cancelled", "shipped", "delivered"}
    assert report.ends["unavailable"] == {"on_hold": report.holds["shortage"]}
    assert {d.order for d in report.differences} == {p.order.external_id for p in past if p.total != p.paid}
    assert report.drift == 0
    async with database.snapshot() as tx:
        wrong = await tx.value(
            "SELECT count(*) FROM shipment s JOIN sales_order o ON o.id = s.order_id WHERE s.shipped_at < o.placed_at"
        )
        assert wrong == 0
    again = await olist_import.run(database, data, progress=quiet, limit=ORDERS)
    assert (again.accepted, again.duplicates) == (0, ORDERS)
    assert (again.ends, again.captured_here, again.drift) == (report.ends, report.captured_here, 0)


def test_a_folder_without_the_dataset_is_told_by_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(olist.OlistError, match="no table of orders"):
        olist.read(tmp_path)
