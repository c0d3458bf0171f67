"""Putting learned days into force, and taking them back."""

from collections.abc import Mapping

from malha.platform import revisions
from malha.platform.db import Tx
from malha.promising import writes
from malha.promising.lived import Lane, Lived

REVISION = "promise_days"
KEPT_DAYS = 7


async def keep(tx: Tx, lanes: Mapping[Lane, Lived], level: float) -> int:
    """Store a version of learned days; the gate looks at it within a second. What was in force before no longer is."""
    await tx.values(writes.WITHDRAW)
    outcomes = sum(lane.outcomes for lane in lanes.values())
    version = int(await tx.value(writes.INSERT_VERSION, {"outcomes": outcomes, "level": level}))
    keys = sorted(lanes)
    await tx.execute(
        writes.INSERT_DAYS,
        {
            "version": version,
            "services": [service for service, _, _ in keys],
            "origins": [origin for _, origin, _ in keys],
            "targets": [target for _, _, target in keys],
            "days": [lanes[key].days for key in keys],
            "usual": [lanes[key].usual for key in keys],
            "outcomes": [lanes[key].outcomes for key in keys],
        },
    )
    await tx.execute(writes.DROP_OLD, {"days": KEPT_DAYS})
    await revisions.bump(tx, REVISION)
    return version


async def withdraw(tx: Tx) -> bool:
    """Take learned days out of force: dates are promised by the tariff's days. Returns whether there were any."""
    if not await tx.values(writes.WITHDRAW):
        return False
    await revisions.bump(tx, REVISION)
    return True
