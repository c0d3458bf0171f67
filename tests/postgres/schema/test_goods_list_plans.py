"""Lists of transfers and receipts with a past: each question goes by an index that was made for it."""

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from test_filled_plans import nodes, plans_of
from test_plans import partial_indexes, whole_reads

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from supply_rows import a_retailer

from malha.inventory.supply import reads as supply
from malha.inventory.supply.reads import CameWith, ReceiptsWanted
from malha.inventory.transfers import reads
from malha.inventory.transfers.model import Crosses, TransferState
from malha.inventory.transfers.reads import TransfersWanted
from malha.platform.db import Database, Tx

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
# 300 shops beside the three of the small network, 200 SKUs; of 6,000 transfers all but the last 100 are closed.
FILL = (
    (
        "INSERT INTO location (code, name, kind, establishment_id, state)"
        " SELECT 'S' || n, 'Loja ' || n, 'store', 1, 'SP' FROM generate_series(1, 300) n"
    ),
    (
        "INSERT INTO variant (product_id, sku, name, gtin, price)"
        " SELECT 1, 'SKU-' || n, 'SKU ' || n, (7890000000000 + n)::text, 100 FROM generate_series(1, 200) n"
    ),
    (
        "INSERT INTO transfer (id, origin_id, destination_id, state, needs_document, document, eta, requested_at,"
        " requested_by, crosses) SELECT gen_random_uuid(), 1 + n %% 7, 8 + n %% 290,"
        " CASE WHEN n > 5900 THEN 'shipped' ELSE 'closed' END, false, 'NF-e ' || md5(n::text), date '2026-11-20',"
        " timestamptz '2026-11-24' - (6000 - n) * interval '1 hour', 'x',"
        " CASE WHEN n %% 400 = 3 THEN 'company' ELSE 'nothing' END FROM generate_series(1, 6000) n"
    ),
    (
        "INSERT INTO transfer_line (transfer_id, line, sku_id, asked)"
        " SELECT t.id, l, 5 + (t.number * 3 + l) %% 200, 5 FROM transfer t, generate_series(1, 3) l"
    ),
    (
        "INSERT INTO receipt (id, location_id, transfer_id, document, received_at, received_by, undone_at)"
        " SELECT gen_random_uuid(), destination_id, CASE WHEN number %% 50 > 0 THEN id END, document, requested_at, 'x',"
        " CASE WHEN number %% 400 = 7 THEN requested_at END FROM transfer ORDER BY number"
    ),
    (
        "INSERT INTO receipt_line (receipt_id, position, sku_id, quantity)"
        " SELECT r.id, l, 5 + (r.number * 3 + l) %% 200, 5 FROM receipt r, generate_series(1, 3) l"
    ),
    (
        "INSERT INTO transfer_shipment (id, transfer_id, number, document, eta, shipped_by)"
        " SELECT id, id, 1, document, eta, 'x' FROM transfer"
    ),
    (
        "INSERT INTO transfer_shipment_line (shipment_id, line, sku_id, shipped, arrived)"
        " SELECT l.transfer_id, l.line, l.sku_id, 5, CASE WHEN t.state = 'shipped' THEN 0 ELSE 5 END"
        " FROM transfer_line l JOIN transfer t ON t.id = l.transfer_id"
    ),
    "ANALYZE transfer, transfer_line, transfer_shipment, transfer_shipment_line, transfer_discrepancy, receipt, receipt_line, variant, location",
)
Ask = Callable[[Tx], Awaitable[Any]]


def of_transfers(**terms: Any) -> Ask:
    return lambda tx: reads.transfers(tx, TransfersWanted(**terms))


def of_receipts(**terms: Any) -> Ask:
    return lambda tx: supply.receipts(tx, ReceiptsWanted(**terms))


QUESTIONS: dict[str, tuple[Ask, set[str]]] = {
    "all transfers": (of_transfers(), {"transfer_number_key"}),
    "a page behind": (lambda tx: reads.transfers(tx, TransfersWanted(), before=3_000), {"transfer_number_key"}),
    "open": (of_transfers(states=(TransferState.SHIPPED, TransferState.APPROVED)), {"transfer_open"}),
    "late": (of_transfers(states=(TransferState.SHIPPED,), late=date(2026, 11, 24)), {"transfer_open"}),
    "to a shop": (of_transfers(destination_id=77), {"transfer_destination"}),
    "of a shop": (of_transfers(scope=(77,)), {"transfer_destination", "transfer_origin"}),
    "of an owner": (of_transfers(owned=(77, 78)), {"transfer_destination", "transfer_origin"}),
    "of an owner of most": (of_transfers(owned=tuple(range(4, 250))), set()),
    "of an owner that keeps nothing": (of_transfers(owned=()), set()),
    "of an owner, in a scope": (of_transfers(owned=(77, 78), scope=(77,)), {"transfer_destination"}),
    "between companies": (of_transfers(crosses=(Crosses.COMPANY,)), {"transfer_crosses"}),
    "between companies, open": (
        of_transfers(crosses=(Crosses.COMPANY, Crosses.ESTABLISHMENT), states=(TransferState.SHIPPED,)),
        {"transfer_open"},
    ),
    "from a place to another": (of_transfers(origin_id=3, destination_id=77), {"transfer_destination"}),
    "asked for in a day": (of_transfers(since=NOW - 60 * DAY, until=NOW - 59 * DAY), {"transfer_requested"}),
    "transfer by text": (
        of_transfers(text="NF-e 900150983cd2"),
        {"transfer_document", "transfer_shipment_document", "transfer_line_sku", "transfer_number_key"},
    ),
    "all receipts": (of_receipts(), {"receipt_number_key"}),
    "receipts at a shop": (of_receipts(location_id=77), {"receipt_location"}),
    "receipts of a shop": (of_receipts(scope=(77,)), {"receipt_location"}),
    "receipts of an owner": (of_receipts(owned=(77, 78)), {"receipt_location"}),
    "receipts of an owner of most": (of_receipts(owned=tuple(range(4, 250))), set()),
    "without either": (of_receipts(came_with=CameWith.NONE), {"receipt_alone"}),
    "taken back": (of_receipts(came_with=CameWith.UNDONE), {"receipt_undone"}),
    "received in a day": (of_receipts(since=NOW - 60 * DAY, until=NOW - 59 * DAY), {"receipt_received"}),
    "receipt by text": (
        of_receipts(text="900150983cd2"),
        {"receipt_document", "receipt_line_sku", "receipt_number_key"},
    ),
    "receipts of a transfer": (of_receipts(text="T33"), {"receipt_transfer", "transfer_number_key"}),
}


async def test_each_question_goes_by_its_index_and_reads_no_growing_table_whole(database: Database) -> None:
    await a_retailer(database)
    with psycopg.connect(database.url) as connection:
        connection.execute("SET search_path TO malha, malha_ext, public")
        partial = partial_indexes(connection)
    problems = []
    async with database.transaction() as tx:
        for statement in FILL:
            await tx.execute(statement)
        for asked, (ask, expected) in QUESTIONS.items():
            plans = await plans_of(tx, ask)
            used = {node["Index Name"] for plan in plans for node in nodes(plan) if "Index Name" in node}
            if not expected <= used:
                problems.append(f"{asked}: not by {sorted(expected - used)}, but {sorted(used)}")
            if whole := set().union(*[whole_reads(plan, partial) for plan in plans]):
                problems.append(f"{asked}: reads {sorted(whole)} whole")
    assert not problems, "\n".join(problems)
