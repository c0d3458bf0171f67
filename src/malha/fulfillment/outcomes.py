"""What became of promises, written from the log: the promised day beside when goods were due, left, and arrived.

A handler and a sweep for `flows.subscriptions`. Each writes an order's rows as its work stands now, may be given an
event again, and then changes nothing; from an empty table and position 0 they write all that the log still tells.
"""

import msgspec

from malha.fulfillment import outcome_writes as writes
from malha.fulfillment.events import WorkReady
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.subscribers import Recorded

TYPES = (
    "fulfillment.released",
    "fulfillment.ready",
    "fulfillment.shipped",
    "fulfillment.collected",
    "fulfillment.rejected",
    "fulfillment.cancelled",
    "shipment.delivered",
    "order.repromised",
    "order.late",
    "order.address_changed",
    "order.cancelled",
)


class _OfWork(msgspec.Struct, frozen=True):
    fulfillment_id: UUID


_work = msgspec.json.Decoder(_OfWork).decode


async def note_outcomes(tx: Tx, events: list[Recorded]) -> None:
    """Write what became of the promises of orders."""
    ready = [(_work(e.payload).fulfillment_id, e.at) for e in events if e.type == WorkReady.TYPE]
    await tx.execute(
        writes.STORE_OUTCOMES,
        {
            "orders": [UUID(e.id) for e in events],
            "works": [work for work, _ in ready],
            "instants": [at for _, at in ready],
        },
    )


async def sweep_outcomes(tx: Tx, since: int, reach: int) -> None:
    """As `note_outcomes`, for the events after `since` up to `reach`."""
    await tx.execute(writes.SWEEP_OUTCOMES, {"since": since, "reach": reach, "types": list(TYPES)})
