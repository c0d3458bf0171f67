"""What the pages of what needs attention and of the audit trail ask besides the event log."""

from datetime import datetime

import msgspec

from malha.platform.ids import UUID

# Primary key; a handful of ids.
ORDER_NUMBERS = "SELECT id, number FROM sales_order WHERE id = ANY (%(orders)s::uuid[])"
# By primary key: what is at risk while an order stands still.
ORDERS_AT_RISK = """
SELECT id, number, buyer_name, total - cancelled_total AS total, currency, promised_at, ship_state AS state
FROM sales_order WHERE id = ANY (%(orders)s::uuid[])
"""


class OrderAtRisk(msgspec.Struct, frozen=True, kw_only=True):
    """An order whose events wait. `total` is in minor units, without what was cancelled."""

    id: UUID
    number: int
    buyer_name: str
    total: int
    currency: str
    promised_at: datetime | None
    state: str | None
