"""No statement reads a growing table from end to end: each finds its rows by an index condition."""

import re
from typing import Any

import psycopg
from psycopg import sql
from test_statements_prepare import numbered, statements

from malha.platform import jobs
from malha.platform.db import Database

# Tables that grow with every order or event. Reference data may be read whole.
GROWING = {
    "sales_order",
    "order_line",
    "order_component",
    "order_unit",
    "order_hold",
    "order_note",
    "order_timeline",
    "order_search",
    "order_location",
    "order_tag",
    "order_customer",
    "movement",
    "inbound_order",
    "inbound_line",
    "receipt",
    "receipt_line",
    "transfer",
    "transfer_line",
    "transfer_discrepancy",
    "transfer_eta",
    "count_task",
    "count_line",
    "count_entry",
    "stock_suspicion",
    "stock_hold",
    "stock_hold_line",
    "stock_draw",
    "cap_use",
    "fence_stock",
    "fence_movement",
    "safety_online",
    "safety_override",
    "tender",
    "payment_entry",
    "order_payment",
    "fiscal_document",
    "fiscal_line",
    "routing_decision",
    "routing_exclusion",
    "fulfillment_order",
    "shipment",
    "customer",
    "message",
    "message_suppression",
    "message_preference",
    "order_lateness",
    "event",
    "audit",
}
# Statements that may read a growing table whole, and why.
WHOLE = {
    "malha.history.reads.ON_THE_WAY": "the demo's own traffic, over the few thousand parcels of a demo",
    "malha.history.reads.LAST_NUMBERS": "once, when the demo starts",
}


def partial_indexes(connection: psycopg.Connection) -> set[str]:
    """Indexes of a few rows of their table: reading one of them whole is what it is for."""
    rows = connection.execute("SELECT indexrelid::regclass::text FROM pg_index WHERE indpred IS NOT NULL")
    return {name for (name,) in rows.fetchall()}


def whole_reads(plan: dict[str, Any], partial: set[str], limited: bool = False) -> set[str]:
    """Growing tables that a plan reads without an index condition. Behind a LIMIT an index gives its order: fine."""
    kind, index = plan["Node Type"], plan.get("Index Name", "")
    limited = limited or kind == "Limit"
    found = {name for child in plan.get("Plans", []) for name in whole_reads(child, partial, limited)}
    if "Index Cond" in plan or index in partial or kind == "Bitmap Heap Scan":
        return found
    table = plan.get("Relation Name", "") or index.removesuffix("_pkey")
    if "Scan" in kind and table.split("_20")[0] in GROWING and not (limited and index):
        found.add(table)
    return found


def plan_of(connection: psycopg.Connection, text: str) -> dict[str, Any]:
    """The generic plan, as if every join had to look its rows up and reading a table whole cost a fortune."""
    statement = numbered(text)
    count = max((int(n) for n in re.findall(r"\$(\d+)", statement)), default=0)
    with connection.transaction(force_rollback=True):
        for setting in ("seqscan", "hashjoin", "mergejoin"):
            connection.execute(f"SET LOCAL enable_{setting} = off")
        connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        connection.execute(sql.SQL("PREPARE probe AS " + statement))
        arguments = f"({', '.join(['NULL'] * count)})" if count else ""
        row = connection.execute(f"EXPLAIN (FORMAT JSON) EXECUTE probe{arguments}").fetchone()
        connection.execute("DEALLOCATE probe")
    return row[0][0]["Plan"]


async def test_no_statement_reads_a_growing_table_whole(database: Database) -> None:
    """Planned for any parameters, with sequential scans as the last resort: one that is left has no index to use."""
    await jobs.install(database.url)
    problems = []
    with psycopg.connect(database.url) as connection:
        connection.execute("SET search_path TO malha, malha_ext, public")
        partial = partial_indexes(connection)
        for name, text in statements():
            if name.startswith("malha.doctor.") or name in WHOLE:
                continue
            tables = whole_reads(plan_of(connection, text), partial)
            if tables:
                problems.append(f"{name}: {', '.join(sorted(tables))}")
    assert not problems, "\n".join(problems)


async def test_a_statement_without_an_index_is_found(database: Database) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute("SET search_path TO malha, malha_ext, public")
        partial = partial_indexes(connection)
        bare = plan_of(connection, "SELECT id FROM sales_order WHERE buyer_name = %(name)s::text")
        assert whole_reads(bare, partial) == {"sales_order"}
        indexed = plan_of(connection, "SELECT id FROM sales_order WHERE id = %(id)s::uuid")
        assert whole_reads(indexed, partial) == set()
