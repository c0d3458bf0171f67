"""Disagreements and their repair: take the source's number, keep ours, or have it counted, blind. Each is audited.

Nothing is repaired that changed since it was looked at: a repair names the version it was decided on.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from malha.inventory import service as inventory
from malha.inventory import standing
from malha.inventory.counts.model import Source
from malha.inventory.counts.raising import raise_for
from malha.inventory.model import Claim
from malha.inventory.sync import reads, writes
from malha.inventory.sync.errors import DriftNotFound, DriftSettled
from malha.inventory.sync.following import follow
from malha.inventory.sync.model import Drift, DriftState
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.ids import UUID


class Repair(StrEnum):
    """How a disagreement ends."""

    THEIRS = "theirs"
    OURS = "ours"
    COUNT = "count"


_STATE = {Repair.THEIRS: DriftState.THEIRS, Repair.OURS: DriftState.OURS, Repair.COUNT: DriftState.COUNTING}
_OPEN = frozenset({DriftState.OPEN.value, DriftState.COUNTING.value, DriftState.EXPLAINED.value})


async def repair(tx: Tx, versions: Mapping[UUID, int], how: Repair) -> list[Drift]:
    """Settle disagreements, all or none; return them as they are then.

    Args:
        tx: the transaction.
        versions: the version each was looked at, by id.
        how: what is done. Taking theirs writes a ledger row per balance, with the disagreement as its reference. What
            is to be counted joins the open count of its location for disagreements.

    Raises:
        DriftNotFound: one does not exist, or is at a location the actor does not see.
        DriftSettled: one changed or was settled meanwhile.
        BeyondBalance: a balance cannot hold theirs with what moved since.
    """
    ids = list(versions)
    found = {drift.id: drift for drift in await reads.drifts_by_id(tx, ids)}
    for id_ in ids:
        if id_ not in found or not tx.actor.sees(found[id_].location_id):
            raise DriftNotFound(key=id_)
    for id_, version, state in await tx.tuples(writes.LOCK_DRIFTS, {"ids": ids}):
        if version != versions[id_] or state not in _OPEN:
            raise DriftSettled(what="drift", key=id_)
    if how is Repair.THEIRS:
        await standing.come(tx, {d.sku_id for d in found.values()})
        await inventory.lock_fences(tx, [Claim(d.sku_id, d.location_id, 1) for d in found.values()])
        await tx.value(writes.LOCK_DRIFTED, {"ids": ids})
        beyond, *moved = (await tx.tuples(writes.TAKE_THEIRS, {"ids": ids, "actor": tx.actor.label}))[0]
        await inventory.refuse_beyond(tx, [] if beyond is None else [Claim(*beyond)])
        await follow(tx, *moved)
    settle = {"ids": ids, "state": _STATE[how].value, "actor": tx.actor.label}
    await tx.execute(writes.SETTLE_DRIFTS, settle)
    if how is Repair.COUNT:
        await _have_counted(tx, list(found.values()))
    await audit.record_many(
        tx,
        action=f"repair_{how.value}",
        entity="stock_drift",
        changes=[(_name(found[id_]), None, _facts(found[id_])) for id_ in ids],
    )
    return await reads.drifts_by_id(tx, ids)


async def _have_counted(tx: Tx, found: Sequence[Drift]) -> None:
    by_place: dict[int, set[int]] = {}
    for drift in found:
        by_place.setdefault(drift.location_id, set()).add(drift.sku_id)
    raised = {
        place: (await raise_for(tx, place, sorted(skus), Source.DRIFT)).id for place, skus in sorted(by_place.items())
    }
    params = {"ids": [d.id for d in found], "locations": list(raised), "counts": list(raised.values())}
    await tx.execute(writes.SET_COUNTS, params)


async def end_counted(tx: Tx, counts: Sequence[UUID]) -> None:
    """Settle what ended counts counted; open what they did not again. Safe to repeat."""
    await tx.execute(writes.END_COUNTED, {"counts": list(counts)})


def _name(drift: Drift) -> str:
    return f"{drift.sku} {drift.location}"


def _facts(drift: Drift) -> dict[str, object]:
    return {"source": drift.source, "theirs": drift.theirs, "ours": drift.ours, "difference": drift.unexplained}


def usable(ids: Sequence[str], most: int = 500) -> dict[UUID, int]:
    """Return ids and versions from texts like `<id>:<version>`; what is none is left out."""
    found: dict[UUID, int] = {}
    for text in ids[:most]:
        key, _, version = text.partition(":")
        try:
            found[UUID(key)] = int(version)
        except ValueError:
            continue
    return found
