"""Putting learned days into force, and taking them back."""

from collections.abc import Mapping, Sequence

import msgspec

from malha.network.service import refuse_limited
from malha.platform import audit, revisions
from malha.platform.db import Tx
from malha.promising import reads, writes
from malha.promising.correcting import Doubt, Zone
from malha.promising.lived import USUAL, Lane, Lived, Place, Readiness
from malha.promising.queues import Queue

REVISION = "promise_days"
KEPT_DAYS = 7
NONE = 1e-30


class Learned(msgspec.Struct, frozen=True, kw_only=True):
    """A version to keep. `worth` None: `level` is the share of every promise."""

    level: float
    worth: float | None
    lanes: Mapping[Lane, Lived]
    ready: Mapping[Place, Readiness]
    queues: Mapping[tuple[int, str], Queue] = {}
    doubts: Mapping[Zone, Doubt]


async def keep(tx: Tx, learned: Learned) -> int | None:
    """Store a version of learned days; the gate looks at it within a second. What was in force before no longer is.

    None: a person turned learned days off meanwhile.
    """
    await revisions.bump(tx, REVISION)  # locks until the commit: who turns them off comes before or after
    if not await reads.is_wanted(tx):
        return None
    before = await tx.values(writes.WITHDRAW)
    lanes, doubts = sorted(learned.lanes.items()), sorted(learned.doubts.items())
    ready = sorted(learned.ready.items(), key=str)  # None has no order
    outcomes = sum(lane.outcomes for _, lane in lanes)
    since = min(before, default=None)
    said = {"outcomes": outcomes, "level": learned.level, "worth": learned.worth, "since": since}
    version = int(await tx.value(writes.INSERT_VERSION, said))
    await tx.execute(
        writes.INSERT_DAYS,
        {
            "version": version,
            "services": [service for (service, _, _), _ in lanes],
            "origins": [origin for (_, origin, _), _ in lanes],
            "targets": [target for (_, _, target), _ in lanes],
            "days": [lane.day_of(learned.level) for _, lane in lanes],
            "usual": [lane.day_of(USUAL) for _, lane in lanes],
            "outcomes": [lane.outcomes for _, lane in lanes],
            "chances": [_array(lane.chances) for _, lane in lanes],
        },
    )
    await tx.execute(
        writes.INSERT_READY,
        {
            "version": version,
            "locations": [location for (location, _, _), _ in ready],
            "methods": [method for (_, method, _), _ in ready],
            "weekdays": [weekday for (_, _, weekday), _ in ready],
            "chances": [_array(of.chances) for _, of in ready],
            "outcomes": [of.outcomes for _, of in ready],
        },
    )
    queues = [(place, band, of) for place, of in sorted(learned.queues.items()) for band in range(len(of.chances))]
    await tx.execute(
        writes.INSERT_QUEUES,
        {
            "version": version,
            "locations": [location for (location, _), _, _ in queues],
            "methods": [method for (_, method), _, _ in queues],
            "bands": [band for _, band, _ in queues],
            "usual": [of.usual for _, _, of in queues],
            "chances": [_array(of.chances[band]) for _, band, of in queues],
        },
    )
    await tx.execute(
        writes.INSERT_DOUBTS,
        {
            "version": version,
            "services": [service for (service, _, _), _ in doubts],
            "origins": [origin for (_, origin, _), _ in doubts],
            "targets": [target for (_, _, target), _ in doubts],
            "doubts": [doubt.factor for _, doubt in doubts],
            "promises": [doubt.promises for _, doubt in doubts],
            "kept": [doubt.kept for _, doubt in doubts],
            "foretold": [doubt.foretold for _, doubt in doubts],
        },
    )
    await tx.execute(writes.DROP_OLD, {"days": KEPT_DAYS})
    return version


def _array(chances: Sequence[float]) -> str:
    """Return chances as PostgreSQL writes an array: an array of arrays would need all of one length.

    What hardly ever happens is none: the smallest of such products are below what a column of four bytes holds, and it
    takes no number that it would round to nothing.
    """
    return "{" + ",".join(f"{chance if chance > NONE else 0:.6g}" for chance in chances) + "}"


async def withdraw(tx: Tx) -> bool:
    """Take learned days out of force: dates are promised by the tariff's days. Returns whether there were any."""
    if not await tx.values(writes.WITHDRAW):
        return False
    await revisions.bump(tx, REVISION)
    return True


async def turn(tx: Tx, *, on: bool) -> bool:
    """Have dates promised by learned days, or not; return whether that is another wish than before.

    Off counts within a second. On, the worker learns at its next look, within ten minutes.

    Raises:
        SharedByAll: the actor is limited to some locations.
    """
    refuse_limited(tx)
    await revisions.bump(tx, REVISION)  # see `keep`
    before = await reads.is_wanted(tx)
    if not on:
        await withdraw(tx)
    if before == on:
        return False
    await tx.execute(writes.SAY, {"wanted": on})
    await audit.record(
        tx, action="change", entity="promise_learning", entity_id="all", before={"wanted": before}, after={"wanted": on}
    )
    return True
