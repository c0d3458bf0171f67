"""The doctor finds nothing wrong with a healthy retailer, and names each kind of drift when it is injected."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from spine_rows import a_network, an_order, stock, told

from malha.doctor import CHECKS, Finding, Report, checks, examine, examine_in
from malha.inventory.closing import care_for_ledger, close_one, make_months
from malha.platform import clocks, outbox
from malha.platform.clock import now
from malha.platform.db import Database, Tx
from malha.platform.ids import UUID, new_id
from malha.platform.outbox import Event
from malha.platform.subscribers import Recorded, Subscription, drain


class Told(Event, frozen=True, kw_only=True):
    TYPE = "order.placed"
    KIND = "order"


@pytest.fixture
async def order(database: Database) -> UUID:
    """A healthy retailer with one order, a hold, a tender, and a document that covers a unit."""
    async with database.transaction() as tx:
        await a_network(tx)
        order_id = await an_order(tx)
        await told(tx, order_id)
        await stock(tx, 2, 2, on_hand=10, held=4)
        hold, tender, document, work = (new_id() for _ in range(4))
        await tx.execute(
            "INSERT INTO stock_hold (id, reference, expires_at) VALUES (%s, 'cart-1', now() + interval '10 minutes')",
            (hold,),
        )
        await tx.execute("INSERT INTO stock_hold_line VALUES (%s, 2, 2, 4)", (hold,))
        await tx.execute(
            "INSERT INTO tender (id, order_id, position, kind, amount) VALUES (%s, %s, 1, 'pix', 8700)",
            (tender, order_id),
        )
        for kind, amount in (("authorised", 8700), ("captured", 8700), ("refunded", 100)):
            await tx.execute(
                "INSERT INTO payment_entry (id, tender_id, kind, amount, reference, occurred_at) VALUES (%s, %s, %s, %s, 'r', now())",
                (new_id(), tender, kind, amount),
            )
        await tx.execute(
            "INSERT INTO order_payment (order_id, state, authorised, captured, refunded) VALUES (%s, 'captured', 8700, 8700, 100)",
            (order_id,),
        )
        await tx.execute(
            "INSERT INTO fulfillment_order (id, order_id, location_id, method, capacity_day, due_at, units) VALUES (%s, %s, 1, 'ship', '2026-11-03', now(), 3)",
            (work, order_id),
        )
        await tx.execute("INSERT INTO location_day VALUES (1, '2026-11-03', 1)")
        await tx.execute(
            "INSERT INTO fiscal_document (id, establishment_id, model, series, number, access_key, provider, source_kind, source_id, total, issued_at)"
            " VALUES (%s, 1, '55', 1, 1, %s, 'erp', 'fulfillment', %s, 3000, now())",
            (document, "3" * 44, work),
        )
        await tx.execute("INSERT INTO fiscal_line VALUES (%s, 1, %s, 1, 1, 3, 3000)", (document, order_id))
        await tx.execute(
            "UPDATE order_unit SET document_id = %s, fulfillment_id = %s, state = 'invoiced' WHERE line = 1",
            (document, work),
        )
        await outbox.add(tx, Told(id=order_id, seq=1))
    await drain(database, [])
    return order_id


async def examined(database: Database, statement: str, params: tuple = ()) -> Report:
    async with database.transaction() as tx:
        await tx.execute(statement, params)
    return await examine(database)


def only(report: Report, check: str) -> Finding:
    assert [f.check for f in report.findings] == [check]
    return report.findings[0]


async def test_a_healthy_retailer_has_no_drift(database: Database, order: UUID) -> None:
    report = await examine(database)
    assert (report.drift, report.notices, report.findings) == (0, 0, [])
    assert report.healthy


async def test_an_empty_retailer_is_healthy(database: Database) -> None:
    assert (await examine(database)).healthy


INJECTED = {
    "balance_ledger": (
        "UPDATE balance SET on_hand = on_hand + 1 WHERE sku_id = 1",
        "SKU-1 at CD01: on hand 6, ledger 5; allocated 5, ledger 5; held 0, ledger 0.",
    ),
    "allocated_units": (
        "WITH m AS (INSERT INTO movement (sku_id, location_id, d_allocated, reason) VALUES (2, 2, 1, 'order')) UPDATE balance SET allocated = 1 WHERE sku_id = 2 AND location_id = 2",
        "SKU-2 at LJ01: allocated 1, claimed by units 0.",
    ),
    "bucket_ledger": (
        "INSERT INTO bucket_balance (sku_id, location_id, bucket, quantity) VALUES (1, 1, 'damaged', 2)",
        "SKU-1 at CD01, damaged: there are 2, ledger 0.",
    ),
    "moves_conserved": (
        (
            "WITH m AS (INSERT INTO movement (sku_id, location_id, bucket, d_on_hand, reason, ref_text)"
            " VALUES (1, 1, 'display', 3, 'move', 'vitrine'))"
            " INSERT INTO bucket_balance (sku_id, location_id, bucket, quantity) VALUES (1, 1, 'display', 3)"
        ),
        "move vitrine, SKU SKU-1: 3 units came from or went nowhere.",
    ),
    "transit_transfers": (
        (
            "WITH m AS (INSERT INTO movement (sku_id, location_id, bucket, d_on_hand, reason)"
            " VALUES (1, 2, 'in_transit', 4, 'found'))"
            " INSERT INTO bucket_balance (sku_id, location_id, bucket, quantity) VALUES (1, 2, 'in_transit', 4)"
        ),
        "SKU-1 to LJ01: 4 in transit, by transfers 0.",
    ),
    "transfer_shipments": (
        (
            "WITH t AS (INSERT INTO transfer (id, origin_id, destination_id, needs_document, requested_by, state)"
            " VALUES (gen_random_uuid(), 1, 2, false, 'ana', 'closed') RETURNING id)"
            " INSERT INTO transfer_line (transfer_id, line, sku_id, asked, approved, shipped, arrived)"
            " SELECT id, 1, 1, 3, 3, 3, 3 FROM t"
        ),
        "Transfer 1, line 1: sent 3, by shipments 0; arrived 3, by shipments 0; gone another way 0, by shipments 0.",
    ),
    "transfer_states": (
        (
            "WITH t AS (INSERT INTO transfer (id, origin_id, destination_id, needs_document, requested_by, state)"
            " VALUES (gen_random_uuid(), 1, 2, false, 'ana', 'shipped') RETURNING id)"
            " INSERT INTO transfer_line (transfer_id, line, sku_id, asked, approved) SELECT id, 1, 1, 3, 3 FROM t"
        ),
        "Transfer 1 is shipped, by its units closed: 0 to ship, 0 to come, 0 to decide.",
    ),
    "received_receipts": (
        (
            "WITH o AS (INSERT INTO inbound_order (id, kind, supplier, location_id, created_by)"
            " VALUES (gen_random_uuid(), 'purchase', 'Sul', 1, 'system') RETURNING id)"
            " INSERT INTO inbound_line (order_id, line, sku_id, location_id, quantity, received, eta)"
            " SELECT id, 1, 1, 1, 2, 2, '2026-12-10' FROM o"
        ),
        "Order 1, line 1: received 2, by receipts 0.",
    ),
    "supply_promised": (
        (
            "WITH o AS (INSERT INTO inbound_order (id, kind, supplier, location_id, created_by)"
            " VALUES (gen_random_uuid(), 'purchase', 'Sul', 1, 'system') RETURNING id), l AS ("
            " INSERT INTO inbound_line (order_id, line, sku_id, location_id, quantity, eta)"
            " SELECT id, 1, 1, 1, 5, '2026-12-10' FROM o)"
            " INSERT INTO supply (kind, source_id, line, sku_id, location_id, eta, expected, promised)"
            " SELECT 'purchase', id, 1, 1, 1, '2026-12-10', 5, 2 FROM o"
        ),
        "SKU-1 to CD01 on 2026-12-10: expected 5, promised 2, claimed 0.",
    ),
    "supply_stated": (
        (
            "WITH o AS (INSERT INTO inbound_order (id, kind, supplier, location_id, created_by)"
            " VALUES (gen_random_uuid(), 'purchase', 'Sul', 1, 'system') RETURNING id)"
            " INSERT INTO inbound_line (order_id, line, sku_id, location_id, quantity, eta)"
            " SELECT id, 1, 1, 1, 5, '2026-12-10' FROM o"
        ),
        "Number 1, line 1: offered 0, expected 5.",
    ),
    "supply_claims": (
        (
            "INSERT INTO supply_claim (order_id, line, sku_id, location_id, state, quantity, since, days)"
            " SELECT id, 1, 1, 1, 'lost', 3, now(), 1 FROM sales_order"
        ),
        "Order 1, line 1: 3 claimed, 0 waiting.",
    ),
    "ahead_waiting": (
        "INSERT INTO ahead_policy (sku_id, mode, waiting) VALUES (1, 'backorder', 3)",
        "Policy 1: counted 3, waiting 0.",
    ),
    "held_holds": (
        "UPDATE stock_hold_line SET quantity = 3",
        "SKU-2 at LJ01: held 4, by active holds 3.",
    ),
    "status_derived": (
        "UPDATE sales_order SET status = 'shipped'",
        "Order 1 shows shipped; its units and holds say allocated.",
    ),
    "order_total": (
        "UPDATE sales_order SET items_total = items_total - 1, total = total - 1",
        "Order 1: items R$79.99, lines R$80.00.",
    ),
    "cancelled_total": (
        "UPDATE sales_order SET cancelled_total = 500",
        "Order 1: total R$87.00, taken off R$5.00.",
    ),
    "refund_due": (
        (
            "WITH s AS (INSERT INTO subscriber (name, position) VALUES ('order_payments', 1))"
            " UPDATE order_payment SET refund_due = 500"
        ),
        "Order 1: refund due R$5.00, by its payments and total R$0.00.",
    ),
    "payment_ledger": (
        "UPDATE order_payment SET captured = 8600",
        "Order 1: authorised R$87.00, ledger R$87.00; captured R$86.00, ledger R$87.00; refunded R$1.00, ledger R$1.00; voided R$0.00, ledger R$0.00; charged back R$0.00, ledger R$0.00; as a favour R$0.00, ledger R$0.00.",
    ),
    "tender_limits": (
        "WITH e AS (UPDATE payment_entry SET amount = 9000 WHERE kind = 'refunded') UPDATE order_payment SET refunded = 9000",
        "Order 1, tender 1 (pix) of R$87.00: authorised R$87.00, voided R$0.00, captured R$87.00, refunded R$90.00, charged back R$0.00.",
    ),
    "deficit_missing": (
        "WITH m AS (INSERT INTO movement (sku_id, location_id, d_on_hand, reason) VALUES (1, 1, -1, 'loss')) UPDATE balance SET on_hand = 4 WHERE sku_id = 1",
        "SKU-1 at CD01: on hand 4, allocated 5.",
    ),
    "sites": (
        (
            "WITH e AS (INSERT INTO establishment (legal_entity_id, code, name, cnpj, state)"
            " SELECT legal_entity_id, 'V', 'V', '11222333000262', 'SP' FROM establishment LIMIT 1 RETURNING id)"
            " INSERT INTO location (code, name, kind, establishment_id, site_id, state, cut_off)"
            " SELECT 'CD01-V', 'V', 'store', e.id, 1, 'SP', '03:33' FROM e"
        ),
        "CD01-V is not as the site of CD01.",
    ),
    "capacity_taken": (
        "UPDATE location_day SET taken = 2",
        "CD01 on 2026-11-03: taken 2, fulfillment orders 1.",
    ),
    "slot_counters": (
        (
            "INSERT INTO capacity_slot (location_id, kind, day, starts, ends, quota, widest, held)"
            " VALUES (1, 'pickup', '2026-12-10', '09:00', '10:00', 5, 5, 2)"
        ),
        (
            "CD01, pickup, 2026-12-10 at 09:00:00: held 2, holds 0; confirmed 0, orders 0; units 0, of the work 0;"
            " the quota was never above 5."
        ),
    ),
    "slot_units": (
        "UPDATE fulfillment_order SET units = units + 1",
        "F1 at CD01: it says 4, and has 3.",
    ),
    "orphans": (
        "INSERT INTO order_payment (order_id, state) VALUES ('00000000-0000-7000-8000-000000000001', 'unpaid')",
        "order_payment 00000000-0000-7000-8000-000000000001: there is no such sales_order.",
    ),
    "document_units": (
        "UPDATE fiscal_line SET quantity = 2",
        f"Order 1, line 1, SKU SKU-1: 2 units on document {'3' * 44}, 3 refer to it.",
    ),
    "work_units": (
        "UPDATE fulfillment_order SET state = 'closed'",
        "Fulfillment order 1 at CD01 is closed.",
    ),
    "log_counter": (
        "UPDATE sequencer SET position = 7",
        "Counter at 7, last event at 1.",
    ),
    "timeline_rows": (
        "WITH s AS (INSERT INTO subscriber (name, position) VALUES ('order_timeline', 1)) DELETE FROM order_timeline",
        "Order 1: events handled 1, in the timeline 0.",
    ),
    "search_rows": (
        "WITH s AS (INSERT INTO subscriber (name, position) VALUES ('order_search', 1)) DELETE FROM order_search",
        "Order 1 is not in the search.",
    ),
    "checkpoint_ahead": (
        "INSERT INTO subscriber (name, position) VALUES ('order_search', 9)",
        "order_search is at 9, the log ends at 1.",
    ),
    "subscriber_unknown": (
        "INSERT INTO subscriber (name, position) VALUES ('forgotten', 1)",
        "forgotten stands at 1 and keeps older events from being dropped.",
    ),
}


@pytest.mark.parametrize("check", INJECTED)
async def test_an_injected_fault_is_found_and_named(database: Database, order: UUID, check: str) -> None:
    statement, sentence = INJECTED[check]
    finding = only(await examined(database, statement), check)
    assert finding.total == 1
    assert finding.lines("en") == [sentence]
    assert str(finding.total) in finding.headline("en") or check == "log_counter"


async def test_rows_that_are_missing_from_the_event_log_are_named_by_their_gaps(
    database: Database, order: UUID
) -> None:
    noted = (
        "INSERT INTO event (position, at, seq, version, key, type, actor, payload)"
        " SELECT n, now(), n, 1, 'order:x', 'x', 'system', '{}' FROM generate_series(2, 12) n"
        " ON CONFLICT DO NOTHING"
    )
    await examined(database, noted)
    assert (await examined(database, "UPDATE sequencer SET position = 12")).healthy
    report = await examined(database, "DELETE FROM event WHERE position IN (3, 6, 7, 8)")
    finding = only(report, "log_gaps")
    assert (finding.total, finding.drifts) == (2, True)
    assert finding.lines("en") == ["Events 3 to 3 are missing (1).", "Events 6 to 8 are missing (3)."]


@pytest.mark.parametrize("waits", ["outbox", "log", "parked"])
async def test_what_subscribers_have_not_written_yet_is_not_missing(
    database: Database, order: UUID, waits: str
) -> None:
    """One more event of the order, for the timeline, and the first one of it, for the search, on their way."""
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM order_search")
        await tx.execute("DELETE FROM order_timeline")
        if waits == "outbox":
            await tx.execute("DELETE FROM event")
            await tx.execute("UPDATE sequencer SET position = 0")
            await outbox.add(tx, Told(id=order, seq=1))
        if waits == "parked":
            await tx.execute(
                "INSERT INTO subscriber (name, position) VALUES ('order_timeline', 1), ('order_search', 1)"
            )
            await tx.execute(
                "INSERT INTO parked_key (subscriber, key, state, cause, error, position)"
                " SELECT s.name, e.key, 'parked', 'defect', 'x', e.position FROM event e CROSS JOIN subscriber s"
            )
            await tx.execute(
                "INSERT INTO parked_event (subscriber, key, position, at, seq, version, type, actor, payload)"
                " SELECT s.name, e.key, e.position, e.at, e.seq, e.version, e.type, e.actor, e.payload"
                " FROM event e CROSS JOIN subscriber s"
            )
    report = await examine(database)
    assert [f.check for f in report.findings] == (["parked_events"] if waits == "parked" else [])


async def test_a_refund_due_that_is_only_on_its_way_is_no_drift(database: Database, order: UUID) -> None:
    """It follows a cancellation by an event: until that was handled, what is stored is of before."""
    assert (await examined(database, "UPDATE order_payment SET refund_due = 500")).healthy


async def test_a_lost_ledger_row_is_found(database: Database, order: UUID) -> None:
    report = await examined(database, "DELETE FROM movement WHERE sku_id = 2 AND location_id = 2")
    assert only(report, "balance_ledger").rows == [
        {
            "sku": "SKU-2",
            "location": "LJ01",
            "on_hand": 10,
            "ledger_on_hand": 0,
            "allocated": 0,
            "ledger_allocated": 0,
            "held": 4,
            "ledger_held": 0,
        }
    ]


async def test_a_ledger_row_without_a_balance_is_found(database: Database, order: UUID) -> None:
    report = await examined(
        database, "INSERT INTO movement (sku_id, location_id, d_on_hand, reason) VALUES (3, 2, 5, 'found')"
    )
    assert only(report, "balance_ledger").lines("en") == [
        "KIT-3 at LJ01: on hand 0, ledger 5; allocated 0, ledger 0; held 0, ledger 0."
    ]


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        (
            "UPDATE order_unit SET quantity = 1 WHERE line = 2 AND sku_id = 1",
            "Order 1, line 2, SKU SKU-1: sold 2, units 1.",
        ),
        ("DELETE FROM order_unit WHERE line = 2 AND sku_id = 2", "Order 1, line 2, SKU SKU-2: sold 1, units 0."),
        (
            "UPDATE order_line SET quantity = 4, total = 4000 WHERE line = 1",
            "Order 1, line 1, SKU SKU-1: sold 4, units 3.",
        ),
    ],
)
async def test_units_that_appear_or_vanish_are_found_on_plain_lines_and_kits(
    database: Database, order: UUID, statement: str, sentence: str
) -> None:
    report = await examined(database, statement)
    (finding,) = [f for f in report.findings if f.check == "units_conserved"]
    assert finding.lines("en") == [sentence]


async def test_every_missing_foreign_key_is_stood_in_for(database: Database, order: UUID) -> None:
    """Rows of another order are written without the order, in every table that intake writes."""
    async with database.transaction() as tx:
        nowhere = {"order": new_id(), "id": new_id()}
        await tx.execute("UPDATE sales_order SET channel_id = 9, service_id = 9, pickup_location_id = 9")
        await tx.execute("INSERT INTO order_customer VALUES (%(order)s, %(id)s)", nowhere)
        await tx.execute(
            "INSERT INTO order_line (order_id, line, sku_id, sku_text, quantity, unit_price, total) VALUES (%(order)s, 1, 99, 'x', 1, 1, 1)",
            nowhere,
        )
        await tx.execute("INSERT INTO order_component VALUES (%(order)s, 2, 99, 1)", nowhere)
        await tx.execute(
            "INSERT INTO order_unit VALUES (%(order)s, 3, 1, 99, 1, 'shipped', 9, NULL, %(id)s, %(id)s)", nowhere
        )
        await tx.execute(
            "INSERT INTO routing_decision (order_id, attempt, cost, record) VALUES (%(order)s, 1, 0, '{}')", nowhere
        )
        await tx.execute(
            "INSERT INTO tender (id, order_id, position, kind, amount) VALUES (%(id)s, %(order)s, 1, 'pix', 1)", nowhere
        )
        await tx.execute(
            "INSERT INTO payment_entry (id, tender_id, kind, amount, reference, occurred_at) VALUES (%(id)s, %(order)s, 'captured', 1, 'r', now())",
            nowhere,
        )
        await tx.execute("INSERT INTO order_payment (order_id, state) VALUES (%(order)s, 'unpaid')", nowhere)
    (finding,) = [f for f in (await examine(database)).findings if f.check == "orphans"]
    assert sorted((row["child"], row["parent"]) for row in finding.rows) == [
        ("order_component", "order_line"),
        ("order_component", "variant"),
        ("order_customer", "customer"),
        ("order_customer", "sales_order"),
        ("order_line", "sales_order"),
        ("order_line", "variant"),
        ("order_payment", "sales_order"),
        ("order_unit", "fiscal_document"),
        ("order_unit", "location"),
        ("order_unit", "order_line"),
        ("order_unit", "shipment"),
        ("order_unit", "variant"),
        ("payment_entry", "tender"),
        ("routing_decision", "sales_order"),
        ("sales_order", "channel"),
        ("sales_order", "location"),
        ("sales_order", "service"),
        ("tender", "sales_order"),
    ]


async def test_a_unit_that_claims_nowhere_is_found(database: Database, order: UUID) -> None:
    report = await examined(database, "UPDATE order_unit SET location_id = NULL WHERE line = 2 AND sku_id = 2")
    assert {f.check for f in report.findings} == {"claim_without_place", "allocated_units"}


async def test_holds_decide_the_status_until_everything_has_left(database: Database, order: UUID) -> None:
    hold = "INSERT INTO order_hold (id, order_id, kind) VALUES (gen_random_uuid(), %s, %s)"
    report = await examined(database, hold, (order, "payment"))
    assert only(report, "status_derived").rows == [{"number": 1, "status": "allocated", "derived": "awaiting_payment"}]
    report = await examined(database, hold, (order, "fraud"))
    assert only(report, "status_derived").rows[0]["derived"] == "on_hold"


async def test_a_quota_lowered_below_what_is_reserved_is_told_and_is_no_drift(database: Database, order: UUID) -> None:
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO capacity_slot (location_id, kind, day, starts, ends, quota, widest, confirmed)"
            " VALUES (1, 'pickup', current_date + 9, '09:00', '10:00', 0, 1, 1)"
        )
        await tx.execute(
            "INSERT INTO capacity_reservation (id, location_id, kind, day, starts, ends, state, order_id)"
            " SELECT gen_random_uuid(), 1, 'pickup', current_date + 9, '09:00', '10:00', 'confirmed', id FROM sales_order"
        )
    report = await examine(database)
    assert only(report, "slot_above_quota").lines("en")[0].endswith("1 reserved, the quota is now 0.")
    assert report.healthy


async def test_what_has_no_name_is_told_by_its_number(database: Database, order: UUID) -> None:
    report = await examined(
        database, "INSERT INTO movement (sku_id, location_id, d_on_hand, reason) VALUES (77, 88, 5, 'found')"
    )
    assert only(report, "balance_ledger").lines("en")[0].startswith("#77 at #88: on hand 0, ledger 5;")


async def test_what_is_many_is_capped_and_counted(database: Database, order: UUID) -> None:
    async with database.transaction() as tx:
        for sku in (1, 2, 3):
            for location in (1, 2):
                await stock(tx, sku, location, on_hand=5)
        await tx.execute("UPDATE balance SET on_hand = on_hand - 1")
    report = await examine(database, cap=2)
    finding = only(report, "balance_ledger")
    assert (finding.total, len(finding.rows), report.drift) == (6, 2, 6)


async def test_parked_events_are_drift_and_say_why(database: Database, order: UUID) -> None:
    async def choke(tx: Tx, events: list[Recorded]) -> None:
        raise ValueError("no such warehouse")

    await drain(database, [Subscription(name="order_search", handler=choke)], strict=False)
    report = await examine(database)
    finding = only(report, "parked_events")
    assert not report.healthy
    assert "waiting events 1, attempts 1 (retrying). ValueError: no such warehouse" in finding.lines("en")[0]


async def test_waiting_events_and_late_subscribers_are_told_and_are_no_drift(database: Database, order: UUID) -> None:
    async with database.transaction() as tx:
        await outbox.add(tx, Told(id=order, seq=2))
        await tx.execute("UPDATE outbox SET at = now() - interval '1 hour'")
        await tx.execute("UPDATE event SET at = now() - interval '1 hour'")
        await tx.execute("INSERT INTO subscriber (name, position) VALUES ('order_search', 0)")
        await tx.execute("UPDATE stock_hold SET expires_at = now() - interval '1 hour'")
    report = await examine(database)
    assert {f.check for f in report.findings} == {"outbox_backlog", "subscriber_lag", "holds_not_retired"}
    assert (report.drift, report.notices) == (0, 3)
    assert report.healthy


@pytest.mark.parametrize("off", [timedelta(minutes=7), timedelta(seconds=-90)])
async def test_a_machine_whose_clock_is_off_is_told(
    database: Database, order: UUID, off: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "clock" not in {f.check for f in (await examine(database)).findings}
    monkeypatch.setattr(clocks, "now", lambda: now() + off)
    report = await examine(database)
    (found,) = [f for f in report.findings if f.check == "clock"]
    assert found.rows[0]["seconds"] == pytest.approx(off.total_seconds(), abs=2)
    assert report.healthy  # nothing disagrees with anything
    assert "time server" in found.lines("en")[0]


async def test_what_holds_back_the_oldest_transaction_is_named(database: Database, order: UUID) -> None:
    (check,) = [c for c in CHECKS if c.name == "oldest_transaction"]
    async with await psycopg.AsyncConnection.connect(database.url, application_name="a report") as slow:
        await slow.execute("SELECT pg_current_xact_id()")
        async with database.snapshot() as tx:
            rows = await checks.fetch(tx, check.statement, {"cap": 50, "patience": timedelta(0)})
        assert any(f"pid {slow.info.backend_pid} " in row["name"] and "a report" in row["name"] for row in rows)


async def test_the_doctor_sees_one_instant_of_a_busy_shop(database: Database, order: UUID) -> None:
    """Between two of its statements a sale commits; balance and ledger must still be those of one moment."""
    async with database.snapshot() as tx:
        await tx.value("SELECT count(*) FROM balance")
        async with database.transaction() as sale:
            await stock(sale, 1, 2, on_hand=7)
            await sale.execute("UPDATE sales_order SET status = 'shipped'")
        assert (await examine_in(tx)).healthy
    assert not (await examine(database)).healthy


async def test_closed_months_are_believed_only_while_they_are_what_was_closed(database: Database) -> None:
    then = datetime(2025, 1, 15, tzinfo=UTC)
    async with database.transaction() as tx:
        await a_network(tx)
        assert (await make_months(tx, then))[:2] == ["movement_2025_01", "movement_2025_02"]
        await stock(tx, 1, 1, on_hand=5)
        await tx.execute("UPDATE movement SET recorded_at = %s", (then,))
        await stock(tx, 1, 1, on_hand=2)
        assert await close_one(tx, datetime(2025, 2, 1, 12, tzinfo=UTC)) is None
        assert await close_one(tx, datetime(2025, 2, 3, tzinfo=UTC)) == "movement_2025_01"
    assert (await examine(database)).healthy

    async with database.transaction() as tx:
        # Were the closing not used, this would not be noticed: the sums come from it.
        await tx.execute("UPDATE movement_closing SET on_hand = 4")
    assert only(await examine(database), "balance_ledger").rows[0]["ledger_on_hand"] == 6

    async with database.transaction() as tx:
        await tx.execute("UPDATE movement_closing SET on_hand = 5")
        await tx.execute(
            "INSERT INTO movement (sku_id, location_id, d_on_hand, reason, recorded_at) VALUES (1, 1, 1, 'found', %s)",
            (then,),
        )
    report = await examine(database)
    assert [f.check for f in report.findings] == ["closing_changed", "balance_ledger"]
    assert report.findings[0].lines("en") == ["movement_2025_01 had 1 rows when it was closed."]


async def test_the_ledgers_months_are_made_ahead_and_closed_once_whoever_cares(database: Database) -> None:
    made = [name async for name in care_for_ledger(database)]
    assert len(made) == 4
    assert [name async for name in care_for_ledger(database)] == []


def test_every_check_has_a_name_of_its_own() -> None:
    assert len({check.name for check in CHECKS}) == len(CHECKS)


async def test_the_ledger_goes_on_while_somebody_reads_it_all_and_a_month_is_made(database: Database) -> None:
    """A backup reads every partition for minutes; making the next month must neither wait for it nor stop the sales."""
    async with database.transaction() as tx:
        await a_network(tx)
        now = await tx.now()
        present = await make_months(tx, now)
    async with database.snapshot() as backup:
        await backup.value(f"SELECT count(*) FROM {present[0]}")
        async with database.transaction() as tx:
            assert await make_months(tx, now + timedelta(days=31))
            async with database.transaction() as sale:
                await sale.execute("SET LOCAL lock_timeout = 200")
                await stock(sale, 1, 1, on_hand=5)
                assert await sale.value(f"SELECT count(*) FROM ONLY {present[0]}") == 1
    assert (await examine(database)).healthy


async def test_a_closed_month_keeps_its_buckets_apart(database: Database, order: UUID) -> None:
    async with database.transaction() as tx:
        month = datetime(2026, 8, 1, tzinfo=UTC)
        await make_months(tx, month)
        for bucket, change in (("sellable", -2), ("damaged", 2)):
            await tx.execute(
                "INSERT INTO movement (sku_id, location_id, bucket, d_on_hand, reason, recorded_at)"
                " VALUES (1, 1, %s, %s, 'damage', %s)",
                (bucket, change, month),
            )
        await tx.execute("UPDATE balance SET on_hand = on_hand - 2 WHERE sku_id = 1 AND location_id = 1")
        await tx.execute("UPDATE balance SET allocated = allocated - 2 WHERE sku_id = 1 AND location_id = 1")
        await tx.execute("INSERT INTO movement (sku_id, location_id, d_allocated, reason) VALUES (1, 1, -2, 'cancel')")
        await tx.execute("INSERT INTO bucket_balance VALUES (1, 1, 'damaged', 2)")
        assert await close_one(tx, datetime(2026, 9, 3, tzinfo=UTC)) == "movement_2026_08"
        sums = await tx.tuples("SELECT bucket, on_hand FROM movement_closing ORDER BY bucket")
        assert sums == [("damaged", 2), ("sellable", -2)]
    found = {finding.check for finding in (await examine(database)).findings}
    assert not found & {"balance_ledger", "bucket_ledger", "closing_changed"}
