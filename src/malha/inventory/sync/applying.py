"""Snapshots as they are applied: in pieces of keys, each a transaction that also writes how far it is.

Killed and started again, it goes on where it was: what is written and the place are one commit. Statement one of a
piece locks its balances in key order, statement two sums what moved since and writes difference and ledger. Balances
that a newer snapshot of the source has looked at are left to it, whichever of the two began first.
"""

from datetime import timedelta

import msgspec
import structlog

from malha.inventory.sync import reads, writes
from malha.inventory.sync.errors import OlderSnapshot, SnapshotNotOpen
from malha.inventory.sync.following import follow
from malha.inventory.sync.model import STOPPABLE, Snapshot, State
from malha.inventory.sync.receiving import LOOK_BACK, Begin
from malha.platform import audit
from malha.platform.db import SYSTEM, Actor, Database, Tx
from malha.platform.ids import UUID

AT_ONCE = 4_000
KEEP_DAYS = 30
KEEP_DELTAS_DAYS = 90
log = structlog.get_logger(__name__)


class _Lost(Exception):
    """Another worker, or a person who stopped it, was there: this one ends."""


async def apply(db: Database, id_: UUID, *, at_once: int = AT_ONCE) -> None:
    """Apply a snapshot from where it stands. Started twice at once, one ends; not `applying`, nothing happens."""
    async with db.transaction() as tx:
        snapshot = await reads.snapshot(tx, id_)
        source = await reads.source_by_id(tx, snapshot.source_id)
        if snapshot.state is not State.APPLYING:
            return
        if newer := await reads.newer_applied(tx, id_):  # it failed, and was tried again after its successor
            reason = msgspec.json.encode({"code": "older_snapshot", "last": newer}).decode()
            end = {"id": id_, "state": State.CANCELLED.value, "states": [State.APPLYING.value], "reason": reason}
            await tx.execute(writes.SET_STATE, end)
            return
    skew = timedelta(seconds=source.skew_seconds)
    facts = {
        "id": id_,
        "source": source.id,
        "seq": snapshot.seq,
        "as_of": snapshot.as_of,
        "from": snapshot.as_of - skew,
        "until": snapshot.as_of + skew,
        "since": snapshot.as_of - skew - LOOK_BACK,
        "text": f"{source.code} {snapshot.seq}",
        "actor": snapshot.client,
        "waits": snapshot.absent_wait,  # a person has looked at what it does not mention; all else is applied
    }
    actor = _actor(snapshot)
    place: tuple[int, int] | None = (snapshot.through_sku, snapshot.through_location)
    try:
        while place is not None:
            async with db.transaction(actor) as tx:
                place = await _piece(tx, facts, place, at_once)
    except _Lost:
        log.info("snapshot_left", snapshot=snapshot.number)


async def _piece(tx: Tx, facts: dict[str, object], place: tuple[int, int], limit: int) -> tuple[int, int] | None:
    """Apply the next keys after a place; return the place reached, or None when all is done."""
    here = facts | {"sku": place[0], "location": place[1]}
    count, sku, location = (await tx.tuples(writes.NEXT_KEYS, here | {"limit": limit}))[0]
    if not count and not facts["waits"] and await tx.execute(writes.AWAIT_PERSON, {"id": facts["id"]}):
        return None
    if not count:
        end = {"id": facts["id"], "state": State.APPLIED.value, "states": [State.APPLYING.value], "reason": None}
        await tx.execute(writes.SET_STATE, end)
        return None
    part = here | {"to_sku": sku, "to_location": location}
    await tx.execute(writes.LOCK_FENCES_OF_PART, part)
    await tx.execute(writes.LOCK_PART, part)
    changed, reviewed, *moved = (await tx.tuples(writes.APPLY_PART, part))[0]
    if not await tx.execute(writes.ADVANCE, part | {"count": count, "changed": changed, "reviewed": reviewed}):
        raise _Lost
    await follow(tx, *moved)
    return sku, location


def _actor(snapshot: Snapshot) -> Actor:
    kind, _, id_ = snapshot.client.partition(":")
    return Actor(kind=kind, id=id_ or None, name=snapshot.person) if kind != "system" else SYSTEM


async def confirm(tx: Tx, id_: UUID, begin: Begin) -> None:
    """Let a snapshot that waits for a person be applied.

    Raises:
        SnapshotNotFound, SnapshotNotOpen: there is none that waits.
        OlderSnapshot: a newer one was applied meanwhile, or is just being applied.
    """
    snapshot = await _locked(tx, id_, frozenset({State.WAITING}))
    if newer := await reads.newer_applied(tx, id_, or_applying=True):
        raise OlderSnapshot(seq=snapshot.seq, source=snapshot.source, last=newer)
    await _move(tx, snapshot, State.APPLYING)
    await audit.record(tx, action="confirm", entity="stock_snapshot", entity_id=snapshot.number)
    await begin(tx, id_, snapshot.source_id)


async def cancel(tx: Tx, id_: UUID) -> None:
    """Stop a snapshot; what it has applied stays. One that is stopped already stays so.

    Raises:
        SnapshotNotFound, SnapshotNotOpen: there is none, or it has ended.
    """
    snapshot = await _locked(tx, id_, STOPPABLE | {State.CANCELLED})
    if snapshot.state is State.CANCELLED:
        return
    await _move(tx, snapshot, State.CANCELLED)
    await audit.record(
        tx,
        action="cancel",
        entity="stock_snapshot",
        entity_id=snapshot.number,
        after={"done": snapshot.done, "differing": snapshot.differing},
    )


async def _locked(tx: Tx, id_: UUID, states: frozenset[State]) -> Snapshot:
    await tx.value(writes.LOCK_SNAPSHOT, {"id": id_})
    snapshot = await reads.snapshot(tx, id_)
    if snapshot.state not in states:
        raise SnapshotNotOpen(number=snapshot.number)
    return snapshot


async def _move(tx: Tx, snapshot: Snapshot, state: State) -> None:
    facts = {"id": snapshot.id, "state": state.value, "states": [snapshot.state.value], "reason": None}
    await tx.execute(writes.SET_STATE, facts)


async def keep_house(db: Database) -> None:
    """Drop files of dead processes, rows of old snapshots and references of old changes; settle what was counted."""
    async with db.transaction() as tx:
        await tx.execute(writes.SETTLE_COUNTED)
        for id_, _number in await tx.tuples(writes.ABANDONED):
            await tx.execute(writes.DROP_SNAPSHOT, {"id": id_})
        busy = {str(number) for number in await tx.values(writes.RECEIVING)}
        for name in await tx.values(writes.STAGES):
            if name.split("_")[2] not in busy:
                await tx.execute(writes.drop_stage(name))
    for statement, days in (
        (writes.FORGET_ROWS, KEEP_DAYS),
        (writes.FORGET_HELD, KEEP_DAYS),
        (writes.FORGET_DELTAS, KEEP_DELTAS_DAYS),
    ):
        async with db.transaction() as tx:
            await tx.execute(statement, {"days": days})
