"""Snapshots of stock between the capabilities: what is under way is fulfillment's to know, applying is a job."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from malha.fulfillment import underway_reads
from malha.inventory.sync import applying, receiving
from malha.inventory.sync.model import Leaves, Snapshot
from malha.inventory.sync.receiving import Statement
from malha.inventory.sync.sieve import FROM_ROWS
from malha.platform import jobs
from malha.platform.db import Actor, Database, Tx
from malha.platform.ids import UUID


async def receive(
    db: Database,
    actor: Actor,
    said: Statement,
    body: AsyncIterator[bytes],
    *,
    limit_mb: int,
    sift_from: int = FROM_ROWS,
) -> Snapshot:
    """Take a snapshot in and have it applied; see `inventory.sync.receiving.receive`."""
    return await receiving.receive(
        db, actor, said, body, underway=_underway, begin=begin, limit_mb=limit_mb, sift_from=sift_from
    )


async def _underway(tx: Tx, leaves: Leaves, at: datetime, locations: Sequence[int]) -> list[tuple[int, int, int]]:
    if leaves is Leaves.SHIP:
        return []
    return await underway_reads.underway(tx, leaves.value, at, locations)


async def begin(tx: Tx, snapshot_id: UUID, source_id: int) -> None:
    """Have a snapshot applied after commit; those of one source one after the other."""
    await jobs.defer(tx, apply_snapshot, lock=f"stock_source:{source_id}", snapshot_id=str(snapshot_id))


@jobs.task("inventory.apply_snapshot", attempts=6)
async def apply_snapshot(db: Database, *, snapshot_id: str) -> None:
    """Apply a snapshot from where it stands."""
    await applying.apply(db, UUID(snapshot_id))
