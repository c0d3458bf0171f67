"""What routing decided, and whom it will not ask again."""

from malha.platform.db import Tx
from malha.platform.ids import UUID

# The primary key begins with the order.
EXCLUSIONS = """
SELECT line, location_id FROM routing_exclusion WHERE order_id = %(order_id)s::uuid
"""

# Backwards over the primary key: one row.
LAST_ATTEMPT = """
SELECT attempt FROM routing_decision WHERE order_id = %(order_id)s::uuid ORDER BY attempt DESC LIMIT 1
"""


async def exclusions(tx: Tx, order_id: UUID) -> dict[int, set[int]]:
    """Return, per line of an order, the locations that are not to be asked for it again."""
    found: dict[int, set[int]] = {}
    for line, location in await tx.tuples(EXCLUSIONS, {"order_id": order_id}):
        found.setdefault(line, set()).add(location)
    return found


async def attempts(tx: Tx, order_id: UUID) -> int:
    """Return how often an order's way was decided."""
    return int(await tx.value(LAST_ATTEMPT, {"order_id": order_id}) or 0)
