"""Customer groups as orders state them, by the partial index on orders that state one."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from malha.platform.db import Tx

# A row per group, whatever the number of orders: each step jumps to the next code in the index.
STATED = """
WITH RECURSIVE stated AS (
    (SELECT customer_group AS code, 1 AS n FROM sales_order WHERE customer_group IS NOT NULL
     ORDER BY customer_group LIMIT 1)
    UNION ALL
    SELECT (SELECT o.customer_group FROM sales_order o
            WHERE o.customer_group IS NOT NULL AND o.customer_group > s.code ORDER BY o.customer_group LIMIT 1), s.n + 1
    FROM stated s WHERE s.code IS NOT NULL AND s.n < %(most)s::int
)
SELECT code FROM stated WHERE code IS NOT NULL
"""
# Index only.
BOUGHT = """
SELECT customer_group AS code, count(*)::int AS orders, max(placed_at) AS last
FROM sales_order
WHERE customer_group IS NOT NULL AND customer_group = ANY (%(codes)s::text[])
  AND placed_at >= now() - make_interval(days => %(days)s::int)
GROUP BY customer_group
"""


class Bought(msgspec.Struct, frozen=True):
    """How many orders stated a group lately, and when the last one was placed."""

    code: str
    orders: int
    last: datetime


async def stated(tx: Tx, most: int = 200) -> list[str]:
    """Return the codes of customer groups that orders state, by code, the first so many."""
    return await tx.values(STATED, {"most": most})


async def bought(tx: Tx, codes: Sequence[str], days: int) -> dict[str, Bought]:
    """Return what buyers of customer groups ordered in the last days, by the group's code."""
    return {row.code: row for row in await tx.all(Bought, BOUGHT, {"codes": list(codes), "days": days})}
