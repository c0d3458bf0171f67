"""When things happened, for work that was done before this system knew of it. Restates instants, never states."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from malha.fulfillment import history_writes as writes
from malha.platform.db import Tx
from malha.platform.ids import UUID


class WorkTimes(msgspec.Struct, frozen=True, kw_only=True):
    """The instants of one fulfillment order; None where it did not come that far."""

    id: UUID
    released_at: datetime
    accepted_at: datetime | None
    picked_at: datetime | None
    packed_at: datetime | None
    left_at: datetime | None  # shipped, or handed over at the counter
    arrived_at: datetime | None
    pickup_until: datetime | None = None


async def restate(tx: Tx, times: Sequence[WorkTimes]) -> None:
    """Set the instants of work and its parcels. Instants of steps that were not taken stay empty."""
    columns = {name: [getattr(t, name) for t in times] for name in WorkTimes.__struct_fields__}
    await tx.execute(writes.RESTATE_WORK, columns)
    await tx.execute(writes.RESTATE_SHIPMENTS, columns)
