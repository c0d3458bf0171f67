"""Changes that sources report, hundreds to a batch: each counts once by its own reference, each has its own answer.

A batch is a handful of statements whatever its size. A difference that occurred before the newest snapshot of its
location is in that snapshot already and is not added again; one that occurred so near to it that nobody can tell goes
to review. `expected` makes a change conditional on the balance it was decided on.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from malha.inventory import service as inventory
from malha.inventory import standing
from malha.inventory.model import Claim, Reason
from malha.inventory.service import EARLIEST, MAX_QUANTITY
from malha.inventory.sync import reads, writes
from malha.inventory.sync.following import follow
from malha.inventory.sync.model import WAYS, Delta, Outcome, Source
from malha.inventory.sync.receiving import CLOCK_AHEAD
from malha.inventory.sync.sources import refuse_inactive
from malha.network import reads as network
from malha.platform import arrays
from malha.platform.db import Tx

# What a wave answers of a row that it did not carry out.
_REFUSED = {1: Outcome.CONFLICT, 2: Outcome.TOO_MANY}
_SEVERAL = 3


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of one change. `on_hand` is what there is after it, or what there was when it was refused."""

    ref: str
    outcome: Outcome
    on_hand: int | None = None


class _Row:
    __slots__ = ("at", "delta", "location_id", "sku_id")

    def __init__(self, at: int, delta: Delta, sku_id: int, location_id: int) -> None:
        self.at = at
        self.delta = delta
        self.sku_id = sku_id
        self.location_id = location_id


async def apply_deltas(tx: Tx, code: str, deltas: Sequence[Delta]) -> list[Reply]:
    """Carry changes out; return what became of each, in their order.

    Raises:
        UnknownSource, SourceInactive: nobody of that name states stock.
    """
    source = await reads.source(tx, code)
    refuse_inactive(source)
    now = await tx.now()
    await standing.share(tx)  # before it is looked whether a SKU is a kit
    replies: list[Reply | None] = [None] * len(deltas)
    rows = await _resolved(tx, source, await _of_owners(tx, deltas), replies, now)
    fresh = await _claimed(tx, source, rows, replies)
    fresh = await _against_snapshots(tx, source, fresh, replies)
    for wave in waves(fresh):
        several = await _apply(tx, source, wave, replies)
        for alone in one_by_one(several):
            await _apply(tx, source, alone, replies)
    return [reply for reply in replies if reply is not None]


async def _of_owners(tx: Tx, deltas: Sequence[Delta]) -> list[Delta]:
    """Return changes with the location of their owner in place of the site's; where there is none the owner stays."""
    kept = await network.kept_at(tx, {(d.location, d.owner) for d in deltas if d.owner is not None})
    if not kept:
        return list(deltas)
    return [
        d
        if (code := kept.get((d.location, d.owner or ""))) is None
        else msgspec.structs.replace(d, location=code, owner=None)
        for d in deltas
    ]


async def _resolved(
    tx: Tx, source: Source, deltas: Sequence[Delta], replies: list[Reply | None], now: datetime
) -> list[_Row]:
    skus = {d.sku for d in deltas}
    ids = {sku: (id_, kit) for sku, id_, kit in await tx.tuples(reads.SKUS, {"skus": arrays.texts(sorted(skus))})}
    places = source.truths | source.secondaries
    codes = {d.location for d in deltas} - places.keys()
    # What is out of sight is not there.
    asked = sorted(codes) if tx.actor.locations is None else []
    known = set(await tx.values(reads.KNOWN_LOCATIONS, {"codes": asked})) if asked else set()
    latest = now + timedelta(seconds=source.skew_seconds) + CLOCK_AHEAD
    rows: list[_Row] = []
    for at, delta in enumerate(deltas):
        found = ids.get(delta.sku)
        place = places.get(delta.location)
        wrong: Outcome | None = None
        if found is None:
            wrong = Outcome.UNKNOWN_SKU
        elif found[1]:
            wrong = Outcome.KIT
        elif delta.owner is not None:
            wrong = Outcome.UNKNOWN_OWNER
        elif place is None or not tx.actor.sees(place):
            wrong = Outcome.NOT_ITS_LOCATION if delta.location in known else Outcome.UNKNOWN_LOCATION
        else:
            wrong = _wrong_by_itself(delta, latest)
        if wrong is not None or found is None or place is None:
            replies[at] = Reply(delta.ref, wrong or Outcome.UNKNOWN_SKU)
        else:
            rows.append(_Row(at, delta, found[0], place))
    return rows


def _wrong_by_itself(delta: Delta, latest: datetime) -> Outcome | None:
    """Return what is wrong with a change wherever it is; None when nothing is."""
    if delta.occurred_at is not None and delta.occurred_at > latest:
        return Outcome.IN_FUTURE
    if delta.occurred_at is not None and delta.occurred_at < EARLIEST:
        return Outcome.TOO_LONG_AGO
    if abs(delta.quantity) > MAX_QUANTITY or (delta.sets and delta.quantity < 0):
        return Outcome.TOO_MANY
    wrong_way = not delta.sets and delta.quantity * WAYS.get(delta.reason, 0) < 0
    return Outcome.WRONG_SIGN if wrong_way else None


async def _claimed(tx: Tx, source: Source, rows: Sequence[_Row], replies: list[Reply | None]) -> list[_Row]:
    """Take the references; return the rows whose references are new, and answer the others."""
    first: dict[str, _Row] = {}
    again = [row for row in rows if first.setdefault(row.delta.ref, row) is not row]
    firsts = list(first.values())
    taken = set(
        await tx.values(
            writes.CLAIM_REFS,
            {
                "source": source.id,
                "refs": arrays.texts([r.delta.ref for r in firsts]),
                "skus": arrays.ints([r.sku_id for r in firsts]),
                "locations": arrays.ints([r.location_id for r in firsts]),
                "quantities": arrays.ints([r.delta.quantity for r in firsts]),
                "sets": arrays.bare(["t" if r.delta.sets else "f" for r in firsts]),
            },
        )
    )
    repeated = again + [r for r in firsts if r.delta.ref not in taken]
    if repeated:
        kept = await tx.tuples(writes.SAME_REFS, {"source": source.id, "refs": [r.delta.ref for r in repeated]})
        by_ref = {ref: tuple(facts) for ref, *facts in kept}
        for row in repeated:
            *was, _outcome = by_ref.get(row.delta.ref, ("", ""))
            now = [row.sku_id, row.location_id, row.delta.quantity, row.delta.sets]
            replies[row.at] = Reply(row.delta.ref, Outcome.DUPLICATE if was == now else Outcome.REUSED)
    return [r for r in firsts if r.delta.ref in taken]


async def _against_snapshots(tx: Tx, source: Source, rows: Sequence[_Row], replies: list[Reply | None]) -> list[_Row]:
    """Leave out what the newest snapshots of the locations already include, or may include."""
    places = sorted({row.location_id for row in rows})
    stated = await tx.tuples(reads.NEWEST_AT, {"locations": places}) if places else []
    if not stated:
        return list(rows)
    skew = timedelta(seconds=source.skew_seconds)
    fresh: list[_Row] = []
    outcomes: dict[str, Outcome] = {}
    late: list[_Row] = []
    for row in rows:
        outcome = _place_in_time(row, source, stated, skew)
        if outcome is None:
            fresh.append(row)
            continue
        outcomes[row.delta.ref] = outcome
        replies[row.at] = Reply(row.delta.ref, outcome)
        if outcome is Outcome.REVIEW:
            late.append(row)
    if outcomes:
        facts = {"source": source.id, "refs": list(outcomes), "outcomes": [o.value for o in outcomes.values()]}
        await tx.execute(writes.SET_OUTCOMES, facts)
    if late:
        keys: dict[str, Any] = {"skus": [r.sku_id for r in late], "locations": [r.location_id for r in late]}
        await tx.execute(writes.ENSURE_DELTAS, keys)
        await tx.execute(
            writes.ADD_LATE,
            keys
            | {
                "source": source.id,
                "quantities": [r.delta.quantity for r in late],
                "sets": [r.delta.sets for r in late],
            },
        )
    return fresh


def _place_in_time(
    row: _Row, source: Source, stated: Sequence[tuple[int, int, int, datetime]], skew: timedelta
) -> Outcome | None:
    """Return whether a snapshot includes a change; None when it is newer than all of them.

    The source's own snapshots are placed by sequence where the change has one, else by the source's clock, which is
    one and the same; those of others by time, with the tolerance.
    """
    found: Outcome | None = None
    for place, owner, seq, as_of in stated:
        if place != row.location_id:
            continue
        delta = row.delta
        if owner == source.id and delta.seq is not None:
            if delta.seq <= seq:
                return Outcome.INCLUDED
        elif delta.occurred_at is None:
            continue
        elif owner == source.id:
            if delta.occurred_at <= as_of:
                return Outcome.INCLUDED
        elif delta.occurred_at <= as_of - skew:
            return Outcome.INCLUDED
        elif delta.occurred_at <= as_of + skew:
            found = Outcome.REVIEW
    return found


def waves(rows: Sequence[_Row]) -> list[list[_Row]]:
    """Return rows as waves that one statement each can carry out.

    Differences without a condition add up, whatever their number; a balance that is set or compared is in each wave
    once, in the order of the batch.
    """
    special = {(r.sku_id, r.location_id) for r in rows if r.delta.sets or r.delta.expected is not None}
    found: list[list[_Row]] = [[]]
    seen: dict[tuple[int, int], int] = {}
    for row in rows:
        key = (row.sku_id, row.location_id)
        wave = 0
        if key in special:
            wave = seen.get(key, 0)
            seen[key] = wave + 1
        while len(found) <= wave:
            found.append([])
        found[wave].append(row)
    return [wave for wave in found if wave]


def one_by_one(rows: Sequence[_Row]) -> list[list[_Row]]:
    """Return rows as waves that have each balance once, in the order of the batch."""
    found: list[list[_Row]] = []
    seen: dict[tuple[int, int], int] = {}
    for row in rows:
        key = (row.sku_id, row.location_id)
        wave = seen.get(key, 0)
        seen[key] = wave + 1
        if len(found) <= wave:
            found.append([])
        found[wave].append(row)
    return found


async def _apply(tx: Tx, source: Source, rows: Sequence[_Row], replies: list[Reply | None]) -> list[_Row]:
    """Carry a wave out and answer its rows; return those that add up to more than their balance can hold.

    Of these nothing is done: each has to be carried out alone, to find which it cannot hold.
    """
    keys: dict[str, Any] = {
        "skus": arrays.ints([r.sku_id for r in rows]),
        "locations": arrays.ints([r.location_id for r in rows]),
    }
    await tx.execute(writes.ENSURE_DELTAS, keys)
    deltas = [r.delta for r in rows]
    falling = [r for r in rows if r.delta.sets or r.delta.quantity < 0]
    await inventory.lock_fences(tx, [Claim(r.sku_id, r.location_id, 1) for r in falling])
    decided, *moved = (
        await tx.tuples(
            writes.APPLY_DELTAS,
            keys
            | {
                "source": source.id,
                "actor": tx.actor.label,
                "at": arrays.ints([r.at for r in rows]),
                "quantities": arrays.ints([d.quantity for d in deltas]),
                "sets": arrays.bare(["t" if d.sets else "f" for d in deltas]),
                "expected": arrays.ints([d.expected for d in deltas]),
                "seqs": arrays.ints([d.seq for d in deltas]),
                "occurred": arrays.texts(
                    [None if d.occurred_at is None else d.occurred_at.isoformat() for d in deltas]
                ),
                "reasons": arrays.texts([Reason.SET.value if d.sets else d.reason for d in deltas]),
                "documents": arrays.texts([d.document or d.ref for d in deltas]),
            },
        )
    )[0]
    by_at: Mapping[int, _Row] = {r.at: r for r in rows}
    running: dict[tuple[int, int], int] = {}
    refused: list[str] = []
    several: list[_Row] = []
    for at, had, why in decided or ():
        row = by_at[at]
        key = (row.sku_id, row.location_id)
        if why == _SEVERAL:
            several.append(row)
            continue
        if why:
            refused.append(row.delta.ref)
            replies[at] = Reply(row.delta.ref, _REFUSED[why], had)
            continue
        running[key] = row.delta.quantity if row.delta.sets else running.get(key, had) + row.delta.quantity
        replies[at] = Reply(row.delta.ref, Outcome.APPLIED, running[key])
    if refused:
        await tx.execute(writes.FREE_REFS, {"source": source.id, "refs": refused})
    await follow(tx, *moved)
    return several
