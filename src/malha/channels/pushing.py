"""Telling channels of their stock: the newest quantity of what changed, together, as soon as it is known.

A subscriber notes which SKUs the log changed, each with its newest position (`note_changes`). A channel has a position
too: a turn reads what changed after it, works out what the channel may sell now, hands over what differs from what it
was told last, and moves the position. Quantities are statements: a SKU that changed a hundred times between two turns
is told once, and a turn that died after its hand-over is simply done again.

No transaction is open while a channel is spoken to; a lease keeps a second worker away meanwhile.
"""

import asyncio
import random
from collections.abc import Hashable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec
import structlog

from malha.channels import quantities, reads, writes
from malha.channels.contract import MOST, Handed, NotHanded, StockSender, StockUpdate
from malha.channels.model import Change, Taken
from malha.intake.reference import Reference, reference_in
from malha.platform import arrays
from malha.platform.db import Database, Tx
from malha.platform.rounds import Rounds, tell
from malha.platform.sequencer import rest
from malha.platform.subscribers import Recorded

log = structlog.get_logger(__name__)

TYPES = ("order.placed", "stock.increased", "stock.decreased", "listing.unsettled")
LEASE_S = 60.0
LONGEST_TURN_S = 900.0  # a hand-over that hangs for longer loses its channel
LOOK_EVERY_S = 0.1
IDLE_S = 2.0  # where no channel hears of stock
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 300.0
FIRST_DOUBT_S, LONGEST_DOUBT_S = 5.0, 900.0  # until a listing is told again of which nobody knows
AT_ONCE = 16  # channels spoken to at the same time


class Senders(Protocol):
    """How the sender of a push is made."""

    def __call__(self, taken: Taken, /) -> StockSender:
        """Return who tells a channel."""
        ...


@runtime_checkable
class Preparing(Protocol):
    """Senders that do something together for the channels of a round, in its transaction."""

    async def prepare(self, tx: Tx, made: Sequence[StockSender]) -> None:
        """Read or take what the senders need first. What it locks, it locks after everything else."""
        ...


@runtime_checkable
class Settling(Protocol):
    """A sender with something to write about its requests, in the transaction that keeps what became of them."""

    async def settle(self, tx: Tx) -> None:
        """Write it. What it locks, it locks after everything else."""
        ...


# --- from the log ---


async def note_changes(tx: Tx, events: list[Recorded]) -> None:
    """Note which SKUs these events changed."""
    if await reads.any_noted(tx):
        positions = [event.position for event in events]
        await tx.execute(writes.NOTE_CHANGES, {"positions": positions})
        await tx.execute(writes.LIST_CHANGED, {"since": min(positions) - 1})


async def sweep_changes(tx: Tx, since: int, reach: int) -> None:
    """As `note_changes`, for the events after `since` up to `reach`. Where nobody hears of stock it costs a look."""
    if await reads.any_noted(tx):
        await tx.execute(writes.SWEEP_CHANGES, {"since": since, "reach": reach, "types": list(TYPES)})
        await tx.execute(writes.LIST_CHANGED, {"since": since})


# --- to the channels ---


class _Turn(msgspec.Struct):
    """What one turn of one channel hands over and to whom, and where that leaves it."""

    taken: Taken
    updates: list[StockUpdate]
    told: list[Change]  # the listings of the updates, as they were read
    position: int
    resend_after: int | None
    sender: StockSender | None = None
    broken: Exception | None = None  # why there is none


async def push(db: Database, senders: Senders, channels: list[int]) -> int:
    """Take those of these channels that are free and tell each what changed; return of how many listings in all.

    What the channels of one round have in common, what changed and how much of it they may sell, is read once.
    """
    turns = await _begin(db, senders, channels)
    return sum(await asyncio.gather(*(_hand_over(db, turn) for turn in turns if turn.updates)))


async def _begin(db: Database, senders: Senders, channels: list[int]) -> list[_Turn]:
    """Take channels and read what each is to be told. A turn with nothing to tell is over with that."""
    async with db.transaction() as tx:
        wanted = {"channels": channels, "lease": LEASE_S, "most": AT_ONCE, "seen": await reads.revisions(tx)}
        taken = await tx.all(Taken, writes.TAKE, wanted)
        if not taken:
            return []
        round_ = _Round(await reference_in(tx))
        await round_.read(tx, taken)
        turns = [await round_.prepare(tx, one) for one in taken]
        for turn in turns:
            if turn.updates:
                _give_sender(turn, senders)
            else:
                await _store(tx, turn, Handed())
        made = [turn.sender for turn in turns if turn.sender is not None]
        if made and isinstance(senders, Preparing):
            await senders.prepare(tx, made)
    return turns


def _give_sender(turn: _Turn, senders: Senders) -> None:
    try:
        turn.sender = senders(turn.taken)
    except Exception as error:  # noqa: BLE001 -- the channel's trouble, not the others'; told when its turn comes
        turn.broken = error


async def _hand_over(db: Database, turn: _Turn) -> int:
    try:
        handed = await _send_under_lease(db, turn)
    except NotHanded as why:
        await _fail(db, turn, why.why, why.after)
        return 0
    except Exception as error:  # a sender's defect is the channel's trouble, not the others'
        log.exception("stock_sender_failed", channel=turn.taken.channel)
        await _fail(db, turn, f"{type(error).__name__}: {error}", None)
        return 0
    async with db.transaction() as tx:
        if not await _store(tx, turn, handed):
            await _tell_again(tx, turn)
        await _settle(tx, turn)
    return len(turn.updates)


async def _send_under_lease(db: Database, turn: _Turn) -> Handed:
    """Hand over, the channel kept meanwhile: whoever spoke to it next would be overtaken by what is under way."""
    over = asyncio.Event()
    keeping = asyncio.create_task(_keep(db, turn, over))
    try:
        return await _send(turn)
    finally:
        over.set()
        await keeping


async def _keep(db: Database, turn: _Turn, over: asyncio.Event) -> None:
    for _ in range(int(3 * LONGEST_TURN_S / LEASE_S)):
        await rest(over, LEASE_S / 3)
        if over.is_set():
            return
        asked = {"channel_id": turn.taken.channel_id, "taken_until": turn.taken.taken_until, "lease": LEASE_S}
        try:
            async with db.transaction() as tx:
                until = await tx.value(writes.RENEW, asked)
        except Exception:  # the database may be away: the next look tries again
            log.exception("push_not_kept", channel=turn.taken.channel)
            continue
        if until is None:
            return
        turn.taken = msgspec.structs.replace(turn.taken, taken_until=until)


async def _send(turn: _Turn) -> Handed:
    if turn.sender is None:
        raise turn.broken or AssertionError("a turn without a sender")
    return await turn.sender.send(turn.updates)


async def _settle(tx: Tx, turn: _Turn) -> None:
    sender: object = turn.sender
    if isinstance(sender, Settling):
        await sender.settle(tx)


class _Round:
    """What the channels of one round share, read in one transaction."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._changed: dict[int, list[reads.Changed]] = {}
        self._listings: dict[int, list[Change]] = {}
        self._views: dict[int, Hashable] = {}
        self._units: dict[Hashable, dict[int, int]] = {}

    async def read(self, tx: Tx, taken: Sequence[Taken]) -> None:
        """Read what changed after each position, and what of it the channels there list: mostly all are at one."""
        self._views = await quantities.views_of(tx, self._reference, [one.channel_id for one in taken])
        for position in sorted({one.position for one in taken}):
            changed = self._changed[position] = await reads.changed_since(tx, position, MOST)
            here = [one.channel_id for one in taken if one.position == position]
            self._listings |= await reads.listings_of(tx, here, changed)

    async def prepare(self, tx: Tx, taken: Taken) -> _Turn:
        """Work out what a channel is told: what changed, then a page of all listings while those are looked at."""
        changed = self._changed[taken.position]
        found = {c.sku_id: c for c in await self._listed(tx, taken, changed)}
        position = changed[-1].version if changed else taken.position
        resend_after = taken.resend_after
        caps = await quantities.caps_on_all(tx, self._reference, taken.channel_id) if changed else []
        cut = await reads.cut_together(tx, taken.channel_id, caps, MOST // 2) if caps else []
        for listing in cut:
            found.setdefault(listing.sku_id, listing)
        if len(cut) == MOST // 2 and resend_after is None:
            resend_after = 0  # there may be others that were told less than there is now
        again = await reads.doubtful(tx, taken.channel_id, max(MOST - len(found), 1))
        for listing in again:
            found.setdefault(listing.sku_id, listing)
        if resend_after is not None and len(found) < MOST:
            page = await reads.listings_after(tx, taken.channel_id, resend_after, MOST - len(found))
            resend_after = page[-1].sku_id if page else None
            for listing in page:
                found.setdefault(listing.sku_id, listing)
        units = await self._published(tx, taken.channel_id, found)
        doubtful = {c.sku_id for c in again}
        differing = [c for c in found.values() if c.sku_id in doubtful or units[c.sku_id] != c.sent_quantity]
        if len(cut) == MOST // 2 and any(units[c.sku_id] < (c.sent_quantity or 0) for c in cut):
            position = taken.position  # others may have been told more than there is: they are next
        return _Turn(
            taken=taken,
            updates=[_update(c, units[c.sku_id]) for c in differing],
            told=differing,
            position=position,
            resend_after=resend_after,
        )

    async def _listed(self, tx: Tx, taken: Taken, changed: list[reads.Changed]) -> list[Change]:
        found = self._listings[taken.channel_id]
        if taken.all_skus:
            missing = sorted({c.sku_id for c in changed} - {c.sku_id for c in found})
            params = {"channel_id": taken.channel_id, "skus": missing}
            if missing and await tx.execute(writes.LIST_ALL, params):
                return (await reads.listings_of(tx, [taken.channel_id], changed))[taken.channel_id]
        return found

    async def _published(self, tx: Tx, channel_id: int, found: Mapping[int, Change]) -> dict[int, int]:
        known = self._units.setdefault(self._views[channel_id], {})
        missing = {change.sku: sku for sku, change in found.items() if sku not in known}
        if missing:
            known |= await quantities.published(tx, self._reference, channel_id, missing)
        return known


def _update(change: Change, quantity: int) -> StockUpdate:
    return StockUpdate(
        sku=change.sku, code=change.code, quantity=quantity, version=change.version, changed_at=change.changed_at
    )


async def _store(tx: Tx, turn: _Turn, handed: Handed) -> bool:
    """Note what was told, and that the turn is over; tell whether the channel was still this turn's."""
    end = {
        "channel_id": turn.taken.channel_id,
        "taken_until": turn.taken.taken_until,
        "next_at": turn.taken.next_at,
        "position": turn.position,
        "resend_after": turn.resend_after,
        "count": sum(u.code not in handed.refused and u.code not in handed.unsure for u in turn.updates),
    }
    if not turn.updates:
        return await tx.execute(writes.FINISH, end) > 0
    columns = {
        "skus": arrays.ints([c.sku_id for c in turn.told]),
        "codes": arrays.texts(c.code for c in turn.told),
        "formers": arrays.ints([c.sent_quantity for c in turn.told]),
        "quantities": arrays.ints([u.quantity for u in turn.updates]),
        "versions": arrays.ints([u.version for u in turn.updates]),
        "errors": arrays.texts(_told(handed.unsure.get(u.code, handed.refused.get(u.code))) for u in turn.updates),
        "doubtful": arrays.bare([str(u.code in handed.unsure) for u in turn.updates]),
        "first": FIRST_DOUBT_S,
        "longest": LONGEST_DOUBT_S,
    }
    return await tx.value(writes.STORE_SENT, {**end, **columns}) is not None


async def _tell_again(tx: Tx, turn: _Turn) -> None:
    skus = arrays.ints([c.sku_id for c in turn.told])
    await tx.execute(writes.TELL_AGAIN, {"channel_id": turn.taken.channel_id, "skus": skus})
    log.warning("push_overtaken", channel=turn.taken.channel)


def _told(why: str | None) -> str | None:
    return why if why is None else why.replace("\x00", "")


async def _fail(db: Database, turn: _Turn, why: str, after: float | None) -> None:
    """Note why nothing was handed over, and wait: as the channel said, else twice as long each time, jittered."""
    taken = turn.taken
    longest = min(FIRST_WAIT_S * 2 ** min(taken.failures, 16), LONGEST_WAIT_S)
    wait = after if after is not None else random.uniform(longest / 2, longest)  # noqa: S311 -- jitter
    failed = {"channel_id": taken.channel_id, "taken_until": taken.taken_until, "error": why[:500], "after": wait}
    async with db.transaction() as tx:
        if not await tx.execute(writes.FAIL, failed):
            await _tell_again(tx, turn)
        await _settle(tx, turn)
    log.warning("stock_not_handed_over", channel=taken.channel, why=why[:200], failures=taken.failures + 1)


async def push_due(db: Database, senders: Senders) -> int:
    """Tell every channel that is due, several at a time; return how many listings were told."""
    async with db.transaction() as tx:
        due = await reads.due(tx)
    return await push(db, senders, due) if due else 0


async def run_pushes(db: Database, senders: Senders, stop: asyncio.Event) -> None:
    """Tell channels of their stock until `stop` is set; a failed round is logged and tried again.

    A channel that takes its time holds up no other: rounds go on with those that are free.
    """
    under_way: set[asyncio.Task[int]] = set()
    rounds = Rounds(log, waits="pushes_wait", failed="pushes_failed")
    while not stop.is_set():
        active, turns = True, list[_Turn]()
        with rounds:
            async with db.transaction() as tx:
                due = await reads.due(tx)
            turns = await _begin(db, senders, due) if due else []
            active = bool(turns or under_way) or await _anybody_hears(db)
        for turn in turns:
            if turn.updates:
                task = asyncio.create_task(_hand_over_surely(db, turn))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
        if any(len(turn.updates) >= MOST for turn in turns):  # there is more of it
            await asyncio.wait(set(under_way), timeout=LOOK_EVERY_S, return_when=asyncio.FIRST_COMPLETED)
        else:
            await rest(stop, LOOK_EVERY_S if active else IDLE_S)
    await asyncio.gather(*under_way)


async def _hand_over_surely(db: Database, turn: _Turn) -> int:
    try:
        return await _hand_over(db, turn)
    except Exception as error:  # noqa: BLE001 -- told; the lease runs out, and the channel is told again
        tell(log, "push_not_recorded", error, channel=turn.taken.channel)
        return 0


async def _anybody_hears(db: Database) -> bool:
    async with db.transaction() as tx:
        return await reads.any_active(tx)
