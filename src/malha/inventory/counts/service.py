"""Use cases of counts: raise, scan, count, have counted again, approve, close, apply, cancel.

A variance is what was counted without what was on hand at that moment, so that goods may come and go meanwhile; what is
applied is the variance, not the number, and of it what nobody else corrected since. Picked goods that wait for their
parcel are on hand and not on the shelf: the caller says how many are set aside, and they are added to what was counted.
The goods of all owners at a site are on one shelf: they are counted together, and the variance is divided between their
balances.

Lock order: task, lines, holds, balances.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from malha.inventory import service as stock
from malha.inventory import writes as balances
from malha.inventory.allotments import reads as allotments
from malha.inventory.counts import freezing, reads, rules, suspicions, writes
from malha.inventory.counts.errors import (
    AlreadyFrozen,
    CountedAgain,
    CountEnded,
    NotCountable,
    OwnCount,
    Undecided,
    UnknownCount,
)
from malha.inventory.counts.events import CountApplied, CountCancelled, CountRaised
from malha.inventory.counts.model import (
    TASK_WORDS,
    Applied,
    CountDraft,
    CountKind,
    Entry,
    Limits,
    Line,
    LineState,
    Meanwhile,
    Step,
    Task,
    TaskState,
)
from malha.inventory.model import Claim, Deficit, Reason, Reference
from malha.platform import audit, jobs, outbox, revisions
from malha.platform.db import Database, Tx
from malha.platform.errors import Forbidden
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word
from malha.platform.ids import UUID, new_id

APPROVE = "stock:approve"
MOST_UNITS = 1_000_000_000
APPLIED_AT_ONCE = 500


async def raise_count(tx: Tx, draft: CountDraft) -> int:
    """Have SKUs counted; return the count's number.

    Raises:
        Forbidden: only who may approve freezes a location or a zone.
        AlreadyFrozen: another count froze it.
        Invalid: there is nothing to count, or no zone to freeze.
    """
    if (draft.freeze or draft.freeze_zone) and not tx.actor.may(APPROVE):
        raise Forbidden(permission=APPROVE)
    home, places = await _shelf(tx, draft)
    draft = msgspec.structs.replace(draft, location_id=home)
    if draft.freeze_zone:
        draft = await _of_zone(tx, draft)
    id_ = new_id()
    paused = draft.freeze and await freezing.freeze(tx, draft.location_id)
    made = await tx.values(
        writes.INSERT_TASK,
        {
            "id": id_,
            "location_id": draft.location_id,
            "kind": draft.kind.value,
            "source": draft.source.value,
            "zone": draft.zone.strip(),
            "note": draft.note.strip(),
            "blind": draft.blind,
            "frozen": draft.freeze,
            "paused": paused,
            "zone_frozen": draft.freeze_zone,
            "limit_units": draft.limits.units,
            "limit_value": draft.limits.value,
            "actor": tx.actor.label,
            "whole_site": len(places) > 1,
        },
    )
    if not made:
        raise AlreadyFrozen
    number: int = made[0]
    if draft.skus is None:
        lines = await tx.execute(writes.ADD_ALL_LINES, {"task_id": id_, "places": places})
    else:
        lines = await tx.execute(writes.ADD_LINES, {"task_id": id_, "skus": sorted(set(draft.skus))})
    if not lines and draft.kind is CountKind.CYCLE:
        refuse([Flaw("skus", N_("There is nothing to count: choose SKUs."))])
    if draft.freeze_zone:
        await freezing.freeze_zone(tx, places, draft.skus or [])
    await outbox.add(
        tx,
        CountRaised(
            id=id_,
            seq=1,
            number=number,
            location_id=draft.location_id,
            kind=draft.kind.value,
            source=draft.source.value,
            frozen=draft.freeze,
        ),
    )
    facts = {"kind": draft.kind.value, "lines": lines, "frozen": draft.freeze, "zone": draft.zone}
    if draft.freeze_zone:
        facts["zone_frozen"] = True
    await audit.record(tx, action="raise", entity="count", entity_id=number, after=facts)
    return number


async def _shelf(tx: Tx, draft: CountDraft) -> tuple[int, list[int]]:
    """Return the location a count is of, and those whose balances it counts: all of a site, or one owner's alone."""
    if draft.owner_alone:
        return draft.location_id, [draft.location_id]
    places = await reads.on_one_shelf(tx, draft.location_id)
    return places[0], sorted(places)


async def _of_zone(tx: Tx, draft: CountDraft) -> CountDraft:
    """Return the draft of a zone that is frozen with the SKUs that stand still."""
    if draft.freeze or draft.kind is CountKind.PHYSICAL:
        says = N_("A physical inventory freezes the whole location.")
        refuse([Flaw("freeze_zone", says, N_("Freeze the location, or count a zone."))])
    if await reads.frozen(tx, [draft.location_id]):
        raise AlreadyFrozen
    skus = draft.skus or await of_zone(tx, draft.location_id, draft.zone)
    return msgspec.structs.replace(draft, skus=sorted(set(skus)))


async def of_zone(tx: Tx, location_id: int, zone: str) -> list[int]:
    """Return the SKUs that a zone of a location's shelf had when they were last counted.

    Raises:
        Invalid: no zone is named, or nothing was counted there yet.
    """
    places = await reads.on_one_shelf(tx, location_id)
    found = await reads.skus_of_zone(tx, places, zone.strip()) if zone.strip() else []
    if not found:
        says = N_("Nothing was counted in this zone yet.") if zone.strip() else N_("Say which zone.")
        refuse([Flaw("zone", says, N_("Name its SKUs; where they are counted is remembered for the next time."))])
    return found


async def _join(tx: Tx, task: Task, skus: Sequence[int]) -> None:
    """Let SKUs join a count; what is found in a frozen zone stands still as it does."""
    joined = await tx.values(writes.ADD_LINES, {"task_id": task.id, "skus": sorted(set(skus))})
    if joined and task.zone_frozen:
        await freezing.freeze_zone(tx, task.places, joined)


async def tally(tx: Tx, number: int, sku_id: int, quantity: int, *, add: bool = True, bin_: str = "") -> int:
    """Note units that were scanned, or, without `add`, how many there are; return the tally so far.

    A SKU that nobody expected joins the count. The tally becomes a count with `finish`. Where the last unit is taken
    away again (a negative quantity with `add`), nothing is noted: the SKU is still to be counted.

    Raises:
        CountEnded: the count takes no more entries.
        NotCountable: the SKU was counted already, or somebody else has to count it again.
    """
    refuse([] if abs(quantity) <= MOST_UNITS else [Flaw("quantity", N_("Write a whole number, 0 or more."))])
    task = await _share(tx, number)
    await _join(tx, task, [sku_id])
    lines = await _lines(tx, task.id, [sku_id])
    await _refuse_uncountable(tx, task, lines, {sku_id: 0})
    params = {
        "task_id": task.id,
        "sku_id": sku_id,
        "quantity": quantity if add else max(quantity, 0),
        "add": add,
        "bin": bin_.strip(),
        "actor": tx.actor.label,
    }
    sofar: int | None = await tx.value(writes.TALLY, params)
    return sofar or 0


async def finish(tx: Tx, number: int, set_aside: Mapping[int, int]) -> dict[int, LineState]:
    """Take every tally as counted, each as of its last scan; return what follows for each SKU."""
    task = await _share(tx, number)
    skus = await tx.values(writes.TALLIED, {"task_id": task.id})
    lines = await _lines(tx, task.id, skus)
    entries = [Entry(line.sku_id, line.tally, line.tallied_at) for line in lines if line.tally is not None]
    by = {line.sku_id: line.tallied_by for line in lines}
    mine = [entry for entry in entries if by[entry.sku_id] == tx.actor.label]
    return await _record(tx, task, lines, mine, set_aside)


async def enter(tx: Tx, number: int, entries: Sequence[Entry], set_aside: Mapping[int, int]) -> dict[int, LineState]:
    """State what is on the shelf, the whole of each SKU; return what follows for each.

    Args:
        tx: the transaction.
        number: of the count.
        entries: one for each SKU; of several the last counts.
        set_aside: units by SKU that are picked and wait for their parcel.

    Raises:
        CountEnded: the count takes no more entries.
        NotCountable: some were counted already, somebody else has to count them again, or is just scanning them.
        Invalid: a number that is none.
    """
    refuse(
        [
            Flaw(f"items/{i}/counted", N_("Write a whole number, 0 or more."))
            for i, entry in enumerate(entries)
            if not 0 <= entry.counted <= MOST_UNITS
        ]
    )
    task = await _share(tx, number)
    last = {entry.sku_id: entry for entry in entries}
    await _join(tx, task, list(last))
    lines = await _lines(tx, task.id, sorted(last))
    # What a colleague scanned so far would be gone without a word.
    busy = {line.sku_id for line in lines if line.tally is not None and line.tallied_by != tx.actor.label}
    await _refuse_uncountable(tx, task, lines, {entry.sku_id: i for i, entry in enumerate(entries)}, busy)
    return await _record(tx, task, lines, [last[sku] for sku in sorted(last)], set_aside)


async def _refuse_uncountable(
    tx: Tx, task: Task, lines: Sequence[Line], at: Mapping[int, int], busy: Collection[int] = ()
) -> None:
    params = {"task_id": task.id, "skus": [line.sku_id for line in lines], "actor": tx.actor.label}
    own = set(await tx.values(writes.LAST_COUNTED_BY, params))
    problems = []
    for line in lines:
        if line.state not in {LineState.PENDING, LineState.RECOUNT}:
            says = N_("It was counted already. Ask for a recount to count it again.")
        elif line.sku_id in own:
            says = N_("You counted it first: somebody else has to count it again.")
        elif line.sku_id in busy:
            says = N_("Somebody else scanned some of it and has not finished. Scan it to count on where they were.")
        else:
            continue
        problems.append({"at": f"/items/{at[line.sku_id]}", "says": says, "facts": {}})
    if problems:
        raise NotCountable(count=len(problems), problems=problems)


async def _record(
    tx: Tx, task: Task, lines: Sequence[Line], entries: Sequence[Entry], set_aside: Mapping[int, int]
) -> dict[int, LineState]:
    """Write counts against what was on hand at their moment, and what follows from each variance."""
    if not entries:
        return {}
    pairs = sorted((e.sku_id, place) for e in entries for place in task.places)
    keys = {"skus": [sku for sku, _ in pairs], "locations": [place for _, place in pairs]}
    await tx.execute(balances.ENSURE_BALANCES, keys)
    await tx.tuples(balances.LOCK_BALANCES, keys)
    # Under the lock nothing moves, so the present needs no looking back: the end of time is after every movement.
    ((now, ledger_id),) = await tx.tuples(writes.CLOCK)
    stock.refuse_too_long_ago(*(entry.as_of for entry in entries))
    await stock.happened(tx, max((entry.as_of for entry in entries if entry.as_of), default=None))
    # What is still to come by a clock that is fast would be taken for a later count of all that follow.
    moments = [min(entry.as_of or now, now) for entry in entries]
    params = {"places": task.places, "skus": [e.sku_id for e in entries], "moments": moments}
    there = dict(await tx.tuples(writes.ON_HAND_AT, params))
    by_sku = {line.sku_id: line for line in lines}
    limits = Limits(task.limit_units, task.limit_value)
    counted = {e.sku_id: e.counted + set_aside.get(e.sku_id, 0) for e in entries}
    states = {
        sku: rules.judge(units - there[sku], by_sku[sku].price, limits, by_sku[sku].attempts + 1)
        for sku, units in counted.items()
    }
    await tx.execute(
        writes.RECORD_COUNTS,
        {
            "task_id": task.id,
            "skus": list(counted),
            "counted": list(counted.values()),
            "set_aside": [set_aside.get(sku, 0) for sku in counted],
            "expected": [there[sku] for sku in counted],
            "moments": moments,
            "states": [states[sku].value for sku in counted],
            "bins": [entry.bin.strip() for entry in entries],
            "actor": tx.actor.label,
            "ledger_id": ledger_id,
        },
    )
    return states


async def of_class(tx: Tx, location_id: int, wanted: str, most: int, *, owner_alone: bool = False) -> list[int]:
    """Return the SKUs of a class (A, B or C) of a shelf, those whose last count is longest ago first."""
    rows = await reads.left_by_sku(tx, [location_id] if owner_alone else await reads.on_one_shelf(tx, location_id))
    classes = rules.abc([(sku, units) for sku, units, _ in rows])
    mine = [(counted_at is not None, counted_at, sku) for sku, _, counted_at in rows if classes[sku] == wanted]
    return [sku for _, _, sku in sorted(mine, key=lambda row: (row[0], str(row[1]), row[2]))][:most]


async def recount(tx: Tx, number: int, skus: Sequence[int]) -> int:
    """Have SKUs counted again by somebody else; return how many.

    Raises:
        Forbidden: the actor may not approve.
    """
    task = await _lock_to_approve(tx, number)
    states = [LineState.REVIEW.value, LineState.ACCEPTED.value]
    params = {
        "task_id": task.id,
        "state": LineState.RECOUNT.value,
        "from_states": states,
        "skus": list(skus),
        "approved_by": None,
    }
    done = await tx.values(writes.SET_LINE_STATES, params)
    await audit.record(tx, action="recount", entity="count", entity_id=number, after={"lines": len(done)})
    return len(done)


async def approve(
    tx: Tx,
    number: int,
    skus: Sequence[int] | None = None,
    *,
    seen: Mapping[int, int] | None = None,
    mark: str | None = None,
) -> int:
    """Believe variances beyond the limits, of some SKUs or of all that wait for the actor; return how many.

    What the actor counted, first or again, the whole or a part, waits for somebody else.

    Args:
        tx: in the name of the approver.
        number: of the count.
        skus: which; None: all that wait.
        seen: how often lines had been counted when the approver saw them, by SKU: of one that was counted again since
            they saw another variance.
        mark: of all that waited when the approver saw it (`reads.waiting_mark`).

    Raises:
        Forbidden: the actor may not approve.
        OwnCount: some of the SKUs named, or all that wait, are what the actor counted.
        CountedAgain: something else waits than the approver saw.
    """
    task = await _lock_to_approve(tx, number)
    if mark is not None and mark != await reads.waiting_mark(tx, task.id):
        raise CountedAgain(number=number)
    waiting = await tx.values(writes.LINES_IN, {"task_id": task.id, "states": [LineState.REVIEW.value]})
    wanted = waiting if skus is None else sorted(set(waiting) & set(skus))
    own = set(await tx.values(writes.COUNTED_BY, {"task_id": task.id, "skus": wanted, "actor": tx.actor.label}))
    if own and (skus is not None or own >= set(wanted)):
        raise OwnCount(lines=len(own))
    wanted = [sku for sku in wanted if sku not in own]
    lines = await _lines(tx, task.id, wanted)
    if any((seen or {}).get(line.sku_id, line.attempts) != line.attempts for line in lines):
        raise CountedAgain(number=number)
    params = {
        "task_id": task.id,
        "state": LineState.ACCEPTED.value,
        "from_states": [LineState.REVIEW.value],
        "skus": wanted,
        "approved_by": tx.actor.label,
    }
    await tx.values(writes.SET_LINE_STATES, params)
    facts = {"lines": len(wanted), "variance": sum((line.counted or 0) - (line.expected or 0) for line in lines)}
    await audit.record(tx, action="approve", entity="count", entity_id=number, after=facts)
    return len(wanted)


async def close(tx: Tx, number: int, set_aside: Mapping[int, int], *, uncounted_is_zero: bool = False) -> Applied:
    """End a count and begin to apply it: the first lines at once, the rest by a job that can be cut off anywhere.

    What nobody counted stays as it is, or, if that is said, is not there.

    Raises:
        Forbidden: the actor may not approve.
        Undecided: lines wait for another count or for approval.
    """
    task = await _lock_to_approve(tx, number)
    tallied = await tx.values(writes.TALLIED, {"task_id": task.id})
    undecided = await tx.values(
        writes.LINES_IN, {"task_id": task.id, "states": [LineState.RECOUNT.value, LineState.REVIEW.value]}
    )
    waiting = set(undecided) | set(tallied)
    if waiting:
        raise Undecided(number=number, lines=len(waiting))
    pending = await tx.values(writes.LINES_IN, {"task_id": task.id, "states": [LineState.PENDING.value]})
    if pending and uncounted_is_zero:
        lines = await _lines(tx, task.id, pending)
        await _record(tx, task, lines, [Entry(sku, 0) for sku in pending], set_aside)
        after, states = LineState.ACCEPTED, [LineState.RECOUNT.value, LineState.REVIEW.value]
    else:
        after, states = LineState.SKIPPED, [LineState.PENDING.value]
    params = {
        "task_id": task.id,
        "state": after.value,
        "from_states": states,
        "skus": None,
        "approved_by": tx.actor.label,
    }
    await tx.values(writes.SET_LINE_STATES, params)
    await tx.value(writes.STEP_TASK, _step(tx, task, TaskState.APPLYING))
    facts = {"uncounted": len(pending), "as_zero": uncounted_is_zero}
    await audit.record(tx, action="close", entity="count", entity_id=number, after=facts)
    done = await apply_some(tx, number)
    if done.left:
        await jobs.defer(tx, apply_rest, lock=f"count:{number}", number=number)
    return done


async def apply_some(tx: Tx, number: int, limit: int = APPLIED_AT_ONCE) -> Applied:
    """Apply the next accepted variances and end the count when none is left. Nothing is applied twice."""
    task = await _lock(tx, number)
    if task.state != TaskState.APPLYING:
        return Applied(0, 0, [])
    if task.zone_frozen:
        await revisions.bump(tx, allotments.REVISION)  # as who saves allotments does: before any balance
    skus = await tx.values(writes.NEXT_ACCEPTED, {"task_id": task.id, "limit": limit})
    await suspicions.lift(tx, task.places, skus, f"C{number}")
    rows = await _to_write(tx, task, skus)
    changes = await _divided(tx, task, rows)
    deficits = await stock.adjust(tx, changes, Reason.COUNT, Reference("count", task.id, f"C{number}"))
    params = {
        "task_id": task.id,
        "state": LineState.APPLIED.value,
        "from_states": [LineState.ACCEPTED.value],
        "skus": skus,
        "approved_by": None,
    }
    await tx.values(writes.SET_LINE_STATES, params)
    left = len(await tx.values(writes.LINES_IN, {"task_id": task.id, "states": [LineState.ACCEPTED.value]}))
    if not left:
        seq = await tx.value(writes.STEP_TASK, _step(tx, task, TaskState.APPLIED))
        await _thaw(tx, task)
        await outbox.add(tx, CountApplied(id=task.id, seq=seq, number=number, location_id=task.location_id))
    return Applied(len(rows), left, deficits)


async def _to_write(tx: Tx, task: Task, skus: Sequence[int]) -> list[tuple[int, int]]:
    """Return what is still to be written of each variance, and keep it on its line; the balances are locked."""
    params = {"task_id": task.id, "skus": list(skus), "places": task.places}
    steps: dict[int, list[Step]] = {}
    for step in await tx.all(Step, writes.MEANWHILE, params):
        steps.setdefault(step.sku_id, []).append(step)
    found = [
        Meanwhile(sku, variance, superseded, steps.get(sku, ()))
        for sku, variance, superseded in await tx.tuples(writes.VARIANCES, params)
    ]
    left = {line.sku_id: rules.remaining(line) for line in found}
    others = [line for line in found if line.superseded or left[line.sku_id] != line.variance]
    if others:
        anew = {
            "skus": [line.sku_id for line in others],
            "variances": [left[line.sku_id] for line in others],
            "superseded": [line.superseded for line in others],
        }
        await tx.execute(writes.EXPECT_ANEW, {"task_id": task.id} | anew)
    return list(left.items())


async def count_shelf(tx: Tx, sku_id: int, location_id: int, counted: int, note: str | None = None) -> list[Deficit]:
    """Record what a person counted of one balance, at once: no older count of it that is open changes it any more.

    A suspicion that it is not there is lifted: somebody looked. Returns what is claimed and not there.

    Raises:
        InvalidQuantity: it is none.
    """
    about = Reference("console", text=note)
    await suspicions.lift(tx, [location_id], [sku_id], note or "console")
    deficits = await stock.set_on_hand(tx, [Claim(sku_id, location_id, counted)], about, Reason.COUNT)
    params = {"sku_id": sku_id, "location_id": location_id, "actor": tx.actor.label}
    await tx.execute(writes.NOTE_SHELF_COUNT, params)
    return deficits


async def _divided(tx: Tx, task: Task, rows: Sequence[tuple[int, int]]) -> list[Claim]:
    """Return what the variances of SKUs change where; between several owners under the locks of their balances."""
    if len(task.places) == 1:
        return [Claim(sku, task.location_id, variance) for sku, variance in rows]
    keys = [(sku, place) for sku, _ in rows for place in task.places]
    there = await stock.lock_balances(tx, keys)
    changes = []
    for sku, variance in rows:
        on_hand = {place: there[sku, place].on_hand for place in task.places if (sku, place) in there}
        parts = rules.divide(variance, on_hand, task.location_id)
        changes += [Claim(sku, place, units) for place, units in sorted(parts.items())]
    return changes


@jobs.task("counts.apply", attempts=20)
async def apply_rest(db: Database, *, number: int) -> None:
    """Apply what a closed count still has, a few hundred lines to a transaction."""
    while True:
        async with db.transaction() as tx:
            if not (await apply_some(tx, number)).left:
                return


async def cancel(tx: Tx, number: int, reason: str) -> None:
    """Give a count up; no stock changes.

    Raises:
        CountEnded: it is being applied, or has ended.
        Invalid: no reason is given.
    """
    refuse([] if reason.strip() else [Flaw("reason", N_("Say why."))])
    task = await _lock(tx, number)
    _need_open(task)
    if task.frozen and not tx.actor.may(APPROVE):
        raise Forbidden(permission=APPROVE)
    seq = await tx.value(writes.STEP_TASK, _step(tx, task, TaskState.CANCELLED))
    await _thaw(tx, task)
    await outbox.add(
        tx,
        CountCancelled(id=task.id, seq=seq, number=number, location_id=task.location_id, reason=reason.strip()),
    )
    await audit.record(tx, action="cancel", entity="count", entity_id=number, after={"reason": reason.strip()})


async def _thaw(tx: Tx, task: Task) -> None:
    await freezing.thaw(tx, task)
    if task.zone_frozen:
        await freezing.thaw_zone(tx, task, await tx.values(writes.LINES_OF, {"task_id": task.id}))


def _step(tx: Tx, task: Task, state: TaskState) -> dict[str, object]:
    return {"id": task.id, "state": state.value, "actor": tx.actor.label}


async def _share(tx: Tx, number: int) -> Task:
    task = await _seen(tx, number, await tx.maybe(Task, writes.SHARE_TASK, {"number": number}))
    _need_open(task)
    return task


async def _lock(tx: Tx, number: int) -> Task:
    return await _seen(tx, number, await tx.maybe(Task, writes.LOCK_TASK, {"number": number}))


async def _lock_to_approve(tx: Tx, number: int) -> Task:
    if not tx.actor.may(APPROVE):
        raise Forbidden(permission=APPROVE)
    task = await _lock(tx, number)
    _need_open(task)
    return task


async def _seen(tx: Tx, number: int, task: Task | None) -> Task:
    if task is None or not tx.actor.sees(task.location_id):
        raise UnknownCount(number=number)
    return task


def _need_open(task: Task) -> None:
    if task.state != TaskState.OPEN:
        raise CountEnded(number=task.number, state=Word(TASK_WORDS[task.state]))


async def _lines(tx: Tx, task_id: UUID, skus: Sequence[int]) -> list[Line]:
    return await tx.all(Line, writes.LOCK_LINES, {"task_id": task_id, "skus": list(skus)})
