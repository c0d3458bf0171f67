"""What the pages of what needs attention and of the audit trail ask besides the event log."""

from datetime import datetime
from typing import LiteralString

import msgspec

from malha.ordering.promised_days import fetched_in
from malha.platform.ids import UUID

# Primary key; a handful of ids.
ORDER_NUMBERS = "SELECT id, number FROM sales_order WHERE id = ANY (%(orders)s::uuid[])"
# By primary key: what is at risk while an order stands still.
ORDERS_AT_RISK: LiteralString = f"""
SELECT o.id, o.number, o.buyer_name, o.total - o.cancelled_total AS total, o.currency, o.promised_at,
       o.ship_state AS state, {fetched_in("o")} AS pickup_zone
FROM sales_order o WHERE o.id = ANY (%(orders)s::uuid[])
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
    pickup_zone: str | None  # the time zone it is fetched in
