"""What an order named that nobody knew: once it is known, the order has it, and its hold is gone."""

from malha.ordering import naming_reads as reads
from malha.ordering import naming_writes as writes
from malha.ordering.holds import lift_holds
from malha.ordering.model import HoldKind
from malha.platform.db import Tx
from malha.platform.i18n import N_
from malha.platform.ids import UUID

_SETTING = {HoldKind.UNKNOWN_SERVICE: writes.SET_SERVICE, HoldKind.UNKNOWN_LOCATION: writes.SET_PICKUP_LOCATION}
_KNOWN = {
    HoldKind.UNKNOWN_SERVICE: N_("The delivery service is known."),
    HoldKind.UNKNOWN_LOCATION: N_("The location is known."),
    HoldKind.ADDRESS: N_("The channel gives the label."),
    HoldKind.ADDRESS_CHECK: N_("The channel gives the label."),
}


async def known_now(tx: Tx, limit: int) -> list[tuple[UUID, HoldKind, int]]:
    """Return orders with a hold for what is known by now: which hold, and the service or location that it is of."""
    return [(id_, HoldKind(kind), found) for id_, kind, found in await tx.tuples(reads.NAMED_NOW, {"limit": limit})]


async def learn(tx: Tx, order_id: UUID, kind: HoldKind, found: int) -> bool:
    """Give a locked order what it named, and lift its hold; tell whether it had it still."""
    if not await lift_holds(tx, [order_id], kind, _KNOWN[kind]):
        return False
    if kind in _SETTING:
        await tx.execute(_SETTING[kind], {"order_id": order_id, "found": found})
    return True
