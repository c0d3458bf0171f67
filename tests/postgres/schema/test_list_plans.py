"""The list of orders is put together from what is asked. However it is asked, it reads no growing table whole."""

from typing import Any

import psycopg
from psycopg import sql
from test_plans import partial_indexes, whole_reads

from malha.ordering import list_reads
from malha.ordering.listing import Sort, View, Wanted
from malha.ordering.model import OrderStatus
from malha.platform.db import Database, Tx
from malha.platform.ids import new_id

ASKED = {
    **{
        f"{view}, {sort}": (Wanted(view=view), sort)
        for view in View
        for sort in Sort
        if (view, sort) != (View.ALL, Sort.DUE)
    },
    "late of what is overdue": (Wanted(view=View.LATE, overdue=(new_id(),)), Sort.NEWEST),
    "status": (Wanted(statuses=(OrderStatus.DELIVERED,)), Sort.NEWEST),
    "open status": (Wanted(statuses=(OrderStatus.UNPLACED,)), Sort.OLDEST),
    "channel": (Wanted(channel_ids=(1, 2)), Sort.NEWEST),
    "location": (Wanted(location_id=1), Sort.NEWEST),
    "scope": (Wanted(view=View.OPEN, scope=(1, 2)), Sort.NEWEST),
    "method": (Wanted(method="pickup"), Sort.OLDEST),
    "tag": (Wanted(tags=("VIP",)), Sort.NEWEST),
    "tag of what is open": (Wanted(tags=("VIP",), view=View.OPEN, scope=(1, 2)), Sort.OLDEST),
    "tags, all of them": (Wanted(tags=("VIP", "Troca")), Sort.NEWEST),
    "any of some tags": (Wanted(tags=("VIP", "Troca"), any_tag=True), Sort.NEWEST),
    "any of some tags, of what is open": (
        Wanted(tags=("VIP", "Troca"), any_tag=True, view=View.OPEN, scope=(1, 2)),
        Sort.OLDEST,
    ),
    "found": (Wanted(found=(new_id(), new_id())), Sort.NEWEST),
}
# Most orders are done, and are one or the other: counting stops after the first thousand, wherever they are found.
NOT_COUNTED = {"status", "method"}


class Planner:
    """Stands for a transaction: plans what it is asked instead of running it."""

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self.plans: list[dict[str, Any]] = []

    async def plan(self, statement: Any, params: Any) -> None:
        cursor = self.tx.connection.cursor()
        await cursor.execute(sql.SQL("EXPLAIN (FORMAT JSON) ") + statement, params)
        row = await cursor.fetchone()
        assert row is not None
        self.plans.append(row[0][0]["Plan"])

    async def all(self, into: Any, statement: Any, params: Any = ()) -> list[Any]:
        await self.plan(statement, params)
        return []

    async def values(self, statement: Any, params: Any) -> list[Any]:
        await self.plan(sql.SQL(statement), params)
        return list(params["keys"])

    async def value(self, statement: Any, params: Any = ()) -> int:
        await self.plan(statement, params)
        return 0


async def test_lists_of_orders_and_their_counts_read_no_growing_table_whole(database: Database) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute("SET search_path TO malha, malha_ext, public")
        partial = partial_indexes(connection)
    problems = []
    async with database.transaction() as tx:
        # As in test_plans: what is read whole then has no index.
        for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"):
            await tx.connection.execute(sql.SQL("SET LOCAL {} = off").format(sql.Identifier(setting)))
        for asked, (wanted, sort) in ASKED.items():
            planner: Any = Planner(tx)
            await list_reads.page(planner, wanted, sort=sort, size=50)
            if asked not in NOT_COUNTED:
                await list_reads.count(planner, wanted)
            tables = set().union(*[whole_reads(plan, partial) for plan in planner.plans])
            if tables or not planner.plans:
                problems.append(f"{asked}: {', '.join(sorted(tables))}")
    assert not problems, "\n".join(problems)
