"""The trail of a past day: found where it lies, not by walking back through everything that came since."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from row_costs import cost

from malha.platform import audit
from malha.platform.audit import Wanted
from malha.platform.db import Database, Tx

DAYS, PER_DAY = 100, 200
# As it is written: identifiers grow with time, and some were begun a while before.
FILL = """
INSERT INTO audit (at, actor_kind, actor_name, action, entity, entity_id)
SELECT %(first)s::timestamptz + make_interval(days => d, mins => n) - make_interval(hours => (n %% 5) * 4),
       'system', 'test', (ARRAY['update', 'cancel'])[1 + n %% 2], (ARRAY['order', 'price'])[1 + (n / 2) %% 2], n::text
FROM generate_series(0, %(days)s::int - 1) AS d, generate_series(1, %(per_day)s::int) AS n
ORDER BY d, n
"""
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


class Counting(Tx):
    """Says how many rows its search looked at."""

    looked = 0.0

    async def all(self, into: Any, statement: Any, params: Any = ()) -> list[Any]:
        self.looked = await cost(self, statement.as_string(self.connection), params)
        return await super().all(into, statement, params)


@pytest.fixture
async def filled(database: Database) -> Database:
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM audit")
        await tx.execute(FILL, {"first": FIRST, "days": DAYS, "per_day": PER_DAY})
    async with database.pool.connection() as connection:
        await connection.execute(f"ANALYZE {database.retailer}.audit".encode())
    return database


@pytest.mark.parametrize("narrowed", [{}, {"entity": "order"}, {"action": "cancel"}, {"entity": "price"}], ids=str)
async def test_what_was_before_a_day_costs_no_more_because_much_came_since(
    filled: Database, narrowed: dict[str, str]
) -> None:
    async with filled.transaction() as tx:
        counting = Counting(tx.connection, tx.retailer, tx.actor)
        found = await audit.search(counting, Wanted(until=FIRST + timedelta(days=10), **narrowed))
        assert len(found.entries) == 50
        assert counting.looked < 4_000, "the twenty thousand that came since are not walked through"


async def test_what_is_not_there_of_a_day_is_looked_for_in_that_day(filled: Database) -> None:
    async with filled.transaction() as tx:
        counting = Counting(tx.connection, tx.retailer, tx.actor)
        day = FIRST + timedelta(days=50)
        wanted = Wanted(since=day, until=day + timedelta(days=1), action="cancel", actor_kind="system", entity="none")
        assert (await audit.search(counting, wanted)).entries == []
        assert counting.looked < 4_000


@pytest.mark.parametrize("day", [0, 1, 37, DAYS - 1, DAYS + 5])
@pytest.mark.parametrize("days", [1, 30])
async def test_a_period_has_all_of_its_entries_and_no_others(filled: Database, day: int, days: int) -> None:
    since = FIRST + timedelta(days=day, hours=7)
    until = since + timedelta(days=days)
    async with filled.transaction() as tx:
        meant = await tx.values(
            "SELECT id FROM audit WHERE at >= %s::timestamptz AND at < %s::timestamptz ORDER BY id DESC", (since, until)
        )
        found = await audit.search(tx, Wanted(since=since, until=until), size=100_000)
    assert [entry.id for entry in found.entries] == meant
