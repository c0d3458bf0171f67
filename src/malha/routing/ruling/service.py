"""Drafting, publishing and bringing back rule sets.

A draft changes under its version. What is published never changes: it comes into force at its time, and an earlier one
comes back by being published anew, under a new number.
"""

import asyncio
from collections.abc import Collection
from datetime import datetime

import msgspec

from malha.network import reads as network
from malha.network.service import refuse_limited
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import refuse
from malha.platform.i18n import N_, Word
from malha.routing.ruling import reads, writes
from malha.routing.ruling.checks import flaws_of
from malha.routing.ruling.errors import (
    EffectiveInThePast,
    EndsBeforeItBegins,
    GroupGone,
    GroupInRules,
    RuleSetEnded,
    RuleSetInForce,
    RuleSetNotFound,
    RuleSetNotPublished,
    RuleSetPublished,
    RulesMovedOn,
    RulesStand,
)
from malha.routing.ruling.model import Content, RuleSet, Standing, Status

_encode = msgspec.json.Encoder().encode


async def start_draft(
    tx: Tx, content: Content | None = None, *, note: str = "", based_on: int | None = None
) -> RuleSet:
    """Start a draft: with `content`, or as the published rule set of number `based_on`, or empty.

    Raises:
        SharedByAll: the actor is limited to some locations.
        Invalid: parts of it cannot be; every one is named.
        RuleSetNotFound: there is no such published rule set.
    """
    refuse_limited(tx)
    if content is None and based_on is not None:
        source = await reads.by_number(tx, based_on)
        if source is None:
            raise RuleSetNotFound(key=based_on)
        content = source.content
    content = content or Content()
    await _check(tx, content)
    row = {"note": note.strip(), "content": _encode(content).decode(), "based_on": based_on, "by": tx.actor.name}
    made = await show(tx, await tx.value(writes.INSERT_DRAFT, row))
    await _note(tx, "create", made, after=_shown(made))
    return made


async def save_draft(tx: Tx, id_: int, content: Content, version: int, *, note: str | None = None) -> RuleSet:
    """Change a draft that still has `version`. `note` None: as it is.

    Raises:
        SharedByAll, RuleSetNotFound, Invalid: as `start_draft`.
        RuleSetPublished: it is no draft any more.
        Conflict: somebody else changed it meanwhile.
    """
    refuse_limited(tx)
    before = await _draft(tx, id_)
    await _check(tx, content)
    said = before.note if note is None else note.strip()
    row = {"id": id_, "version": version, "note": said, "content": _encode(content).decode()}
    if await tx.value(writes.UPDATE_DRAFT, row) is None:
        raise Conflict(what=Word(N_("Routing rules")), key=str(id_))
    after = await show(tx, id_)
    await _note(tx, "change", after, before=_shown(before), after=_shown(after))
    return after


async def drop_draft(tx: Tx, id_: int, version: int) -> None:
    """Throw a draft away.

    Raises:
        SharedByAll, RuleSetNotFound, RuleSetPublished, Conflict: as `save_draft`.
    """
    refuse_limited(tx)
    before = await _draft(tx, id_)
    if await tx.value(writes.DELETE_DRAFT, {"id": id_, "version": version}) is None:
        raise Conflict(what=Word(N_("Routing rules")), key=str(id_))
    await _note(tx, "delete", before, before=_shown(before))


async def publish(
    tx: Tx,
    id_: int,
    version: int,
    *,
    effective_from: datetime | None = None,
    effective_until: datetime | None = None,
    note: str | None = None,
) -> RuleSet:
    """Publish a draft that still has `version`; it decides orders from `effective_from` on, or at once.

    At `effective_until` it ends by itself: the one before it that lasts decides again, or none does. The gate looks at
    it within a second. Orders that are placed already stay where they are. `note` None: as the draft has it.

    Raises:
        SharedByAll, RuleSetNotFound, RuleSetPublished, Conflict, Invalid: as `save_draft`.
        EffectiveInThePast: it would have to have decided orders already.
        EndsBeforeItBegins: it would never be in force.
    """
    refuse_limited(tx)
    await tx.execute(writes.LOCK_NUMBERS)
    before = await _draft(tx, id_)
    await _check(tx, before.content)
    if note is not None and note.strip() != before.note:
        version = (await save_draft(tx, id_, before.content, version, note=note)).version
    if effective_from is not None and effective_from <= await tx.now():
        raise EffectiveInThePast
    if effective_until is not None and effective_until <= (effective_from or await tx.now()):
        raise EndsBeforeItBegins
    row = {"id": id_, "version": version, "at": effective_from, "until": effective_until, "by": tx.actor.name}
    if await tx.value(writes.PUBLISH, row) is None:
        raise Conflict(what=Word(N_("Routing rules")), key=str(id_))
    after = await show(tx, id_)
    await _note(tx, "publish", after, after=_shown(after))
    return after


async def roll_back(
    tx: Tx,
    number: int,
    *,
    effective_from: datetime | None = None,
    effective_until: datetime | None = None,
    note: str = "",
) -> RuleSet:
    """Publish an earlier rule set anew, under a new number; what it names is checked again.

    Raises:
        SharedByAll, RuleSetNotFound, Invalid, EffectiveInThePast, EndsBeforeItBegins: as `publish`.
    """
    refuse_limited(tx)
    await tx.execute(writes.LOCK_NUMBERS)  # before a row is written: two who wrote one would wait for each other
    draft = await start_draft(tx, note=note, based_on=number)
    return await publish(tx, draft.id, draft.version, effective_from=effective_from, effective_until=effective_until)


async def end_at(tx: Tx, id_: int, until: datetime | None, version: int | None = None) -> RuleSet:
    """State when a published rule set ends that has not ended yet; None: not before another one is in force.

    `version` is what the person saw of it; None: whatever it is now.

    Raises:
        Conflict: somebody else changed it meanwhile.
        SharedByAll, RuleSetNotFound: as `start_draft`.
        RuleSetNotPublished: it is a draft.
        EndsBeforeItBegins: it would end before now, or before it begins.
        RuleSetEnded: it has ended, or was withdrawn.
        GroupGone: one that it replaced would decide again, and a group of locations that it names is gone.
    """
    refuse_limited(tx)
    await tx.execute(writes.LOCK_NUMBERS)
    before = await show(tx, id_)
    lasted = set(await reads.lasting(tx))
    if before.status is Status.DRAFT or before.effective_from is None:
        raise RuleSetNotPublished(key=id_)
    if version is not None and version != before.version:  # under the lock of all rule sets
        raise Conflict(what=Word(N_("Routing rules")), key=str(id_))
    if until is not None and until <= max(before.effective_from, await tx.now()):
        raise EndsBeforeItBegins
    if await tx.value(writes.END_AT, {"id": id_, "until": until}) is None:
        raise RuleSetEnded(number=before.number)
    await _check_back(tx, lasted)
    after = await show(tx, id_)
    await _note(tx, "change", after, before=_shown(before), after=_shown(after))
    return after


async def promote(
    tx: Tx, id_: int, version: int, beside: Standing, *, effective_from: datetime | None = None
) -> RuleSet:
    """Publish what was compared with the rules that stood then: a draft of a version, or an earlier published set.

    Raises:
        RulesMovedOn: the draft, or what is in force, is another one than then.
        RulesStand: it is in force already.
        SharedByAll, RuleSetNotFound, Invalid, EffectiveInThePast: as `publish`.
    """
    refuse_limited(tx)
    await tx.execute(writes.LOCK_NUMBERS)
    found = await reads.rule_set(tx, id_)
    if found is None or found.version != version or await reads.standing(tx) != beside:
        raise RulesMovedOn
    if found.in_force:
        raise RulesStand(number=found.number)
    if found.number is None:
        return await publish(tx, id_, version, effective_from=effective_from)
    return await roll_back(tx, found.number, effective_from=effective_from, note=found.note)


async def take_back(tx: Tx, number: int, before: int | None) -> RuleSet | None:
    """Undo a promotion in one step: what stood before comes back under a new number.

    Where that ends by itself, what was promoted ends now instead: what stood before decides again until its own end,
    and after it whatever was to decide then.

    Args:
        tx: its rules are locked until it ends.
        number: what was promoted. Before its time it is withdrawn, and None returned.
        before: the number of what was in force then; None: there were no rules.

    Raises:
        RulesMovedOn: something else was published since.
        GroupGone: see `end_at`.
        SharedByAll, RuleSetNotFound, Invalid: as `publish`.
    """
    refuse_limited(tx)
    await tx.execute(writes.LOCK_NUMBERS)
    found = await reads.by_number(tx, number)
    if found is None or found.status is not Status.PUBLISHED or (await reads.standing(tx)).newest != number:
        raise RulesMovedOn
    if not found.in_force:
        await withdraw(tx, found.id)
        return None
    stood = None if before is None else await reads.by_number(tx, before)
    if stood is not None and stood.effective_until is not None:
        return await _end_now(tx, found)
    if before is not None:
        return await roll_back(tx, before, note=found.note)
    draft = await start_draft(tx, Content())
    return await publish(tx, draft.id, draft.version)


async def _end_now(tx: Tx, found: RuleSet) -> RuleSet | None:
    """End a rule set in force; return what decides from now on, if anything does."""
    lasted = set(await reads.lasting(tx))
    await tx.value(writes.END_NOW, {"id": found.id})
    await _check_back(tx, lasted)
    ended = await show(tx, found.id)
    await _note(tx, "change", ended, before=_shown(found), after=_shown(ended))
    live = (await reads.standing(tx)).live
    return None if live is None else await reads.by_number(tx, live)


async def withdraw(tx: Tx, id_: int, version: int | None = None) -> RuleSet:
    """Take back a published rule set whose time has not come.

    `version` is what the person saw of it; None: whatever it is now.

    Raises:
        Conflict: somebody else changed it meanwhile.
        SharedByAll, RuleSetNotFound: as `start_draft`.
        RuleSetNotPublished: it is a draft.
        RuleSetInForce: its time has come.
    """
    refuse_limited(tx)
    await tx.execute(writes.LOCK_NUMBERS)
    before = await show(tx, id_)
    if before.status is Status.DRAFT:
        raise RuleSetNotPublished(key=id_)
    if version is not None and version != before.version:  # under the lock of all rule sets
        raise Conflict(what=Word(N_("Routing rules")), key=str(id_))
    if await tx.value(writes.WITHDRAW, {"id": id_}) is None:
        raise RuleSetInForce(number=before.number)
    after = await show(tx, id_)
    await _note(tx, "withdraw", after, before=_shown(before), after=_shown(after))
    return after


async def let_go_of_group(tx: Tx, code: str) -> None:
    """See to it that a group of locations may be deleted in this transaction: nobody publishes rules until it ends.

    Raises:
        SharedByAll: the actor is limited to some locations.
        GroupInRules: rules that decide, or are to decide, name it.
    """
    refuse_limited(tx)
    await tx.execute(writes.LOCK_NUMBERS)
    numbers = await reads.naming_group(tx, code)
    if numbers:
        raise GroupInRules(key=code, numbers=", ".join(map(str, numbers)))


async def show(tx: Tx, id_: int) -> RuleSet:
    """Return a rule set.

    Raises:
        RuleSetNotFound: there is none.
    """
    found = await reads.rule_set(tx, id_)
    if found is None:
        raise RuleSetNotFound(key=id_)
    return found


async def _draft(tx: Tx, id_: int) -> RuleSet:
    found = await show(tx, id_)
    if found.status is not Status.DRAFT:
        raise RuleSetPublished(number=found.number)
    return found


async def _check_back(tx: Tx, lasted: Collection[int]) -> None:
    """Refuse to let rule sets decide again that name groups which were deleted since they were replaced for good."""
    back = {number: content for number, content in (await reads.lasting(tx)).items() if number not in lasted}
    known = {group.code for group in await network.location_groups(tx)} if back else set()
    for number, content in sorted(back.items()):
        if gone := content.groups - known:
            raise GroupGone(number=number, codes=", ".join(sorted(gone)))


async def _check(tx: Tx, content: Content) -> None:
    known = await network.snapshot(tx)
    groups = {group.code for group in await network.location_groups(tx)}
    unknown = await reads.categories_unknown(tx, content)
    # A table may be of megabytes: whoever else asks this process does not wait for it.
    refuse(await asyncio.to_thread(flaws_of, content, known, groups, unknown))


def _shown(found: RuleSet) -> dict[str, object]:
    return {
        "note": found.note,
        "status": found.status.value,
        "number": found.number,
        "effective_from": found.effective_from,
        "effective_until": found.effective_until,
        "content": msgspec.to_builtins(found.content),
    }


async def _note(
    tx: Tx,
    action: str,
    found: RuleSet,
    *,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> None:
    entity_id = str(found.id)
    await audit.record(tx, action=action, entity="routing_rules", entity_id=entity_id, before=before, after=after)
