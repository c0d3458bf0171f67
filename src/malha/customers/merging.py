"""Putting two profiles of one person together, telling them apart again, and finding those that look alike.

Two different documents are two customers, whatever else agrees: such a merge is refused. What identified the profile
that goes leads to the one that stays from then on (`customer_alias`). Orders follow in `ordering.merging`, which calls
this; both profiles are kept as they were, so that a mistake can be mended.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from malha.customers import reads, rules, writes
from malha.customers.errors import (
    BeingErased,
    CustomerErased,
    CustomersDiffer,
    MergeUndone,
    SameCustomer,
    UnknownCustomer,
    UnknownMerge,
)
from malha.customers.model import Customer, Merge
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.i18n import N_, Word
from malha.platform.ids import UUID, new_id

_PERSONAL = ("name", "address")
CHOICES = ("name", "email", "phone", "address")
_encode = msgspec.json.Encoder().encode


async def both(tx: Tx, kept: UUID, gone: UUID) -> tuple[Customer, Customer]:
    """Lock two profiles, and everything that identifies them, and return them.

    Raises:
        SameCustomer: they are one.
        UnknownCustomer: one of them is not there.
        CustomerErased: the data of one of them were erased.
        BeingErased: one of them is about to be.
        CustomersDiffer: each has a document of its own.
    """
    if kept == gone:
        raise SameCustomer
    found = await reads.by_ids(tx, [kept, gone])
    # Who orders with what led to one of them finds it by that alone.
    led = {rules.bucket_of_alias(value) for value in await reads.aliases_to(tx, [kept, gone])}
    await writes.lock_identities(tx, sorted({*rules.buckets_of(found.values()), *led}))
    await tx.tuples(writes.LOCK_CUSTOMERS, {"ids": sorted([kept, gone])})
    found = await reads.by_ids(tx, [kept, gone])
    for id_ in (kept, gone):
        if id_ not in found:
            raise UnknownCustomer(key=id_)
        if found[id_].erased_at is not None:
            raise CustomerErased(number=found[id_].number)
    for number in await tx.values(reads.BEING_ERASED, {"ids": [kept, gone]}):
        raise BeingErased(number=number)
    if found[kept].document and found[gone].document:
        raise CustomersDiffer(one=found[kept].number, other=found[gone].number)
    return found[kept], found[gone]


async def merge(
    tx: Tx, kept_id: UUID, gone_id: UUID, versions: tuple[int, int], taken: frozenset[str] = frozenset()
) -> Merge:
    """Put two profiles together; the first stays, with what it lacked of the second, and of `taken` the second's.

    Raises:
        SameCustomer, UnknownCustomer, CustomerErased, BeingErased, CustomersDiffer: see `both`.
        Conflict: one of them moved on since a person looked at them.
    """
    kept, gone = await both(tx, kept_id, gone_id)
    if (kept.version, gone.version) != versions:
        raise Conflict(what=Word(N_("Customer")), key=kept.number)
    merged = rules.put_together(kept, gone, taken)
    await tx.execute(writes.REMOVE_CUSTOMERS, {"ids": [gone.id]})  # its e-mail or document may become the other's
    await writes.set_all(tx, [merged])
    after = (await reads.by_ids(tx, [kept.id]))[kept.id]
    merge_id = new_id()
    await tx.execute(
        writes.ADD_MERGE,
        {
            "id": merge_id,
            "actor": tx.actor.label,
            "person": tx.actor.name,
            "kept": kept.id,
            "gone": gone.id,
            "number": gone.number,
            "kept_before": _encode(kept).decode(),
            "gone_before": _encode(gone).decode(),
            "version": after.version,
        },
    )
    # What led to the profile that goes, its own aliases too, leads to the one that stays.
    await tx.execute(writes.MOVE_ALIASES, {"from": gone.id, "to": kept.id})
    # So does what it had itself and gave up for the other one's.
    values = sorted({*rules.aliases_of(gone), *rules.aliases_of(kept)} - {*rules.aliases_of(after)})
    await tx.execute(writes.ADD_ALIASES, {"values": values, "customer": kept.id, "merge": merge_id})
    await audit.record(
        tx, action="merge", entity="customer", entity_id=kept.id, before=kept, after=after, personal=_PERSONAL
    )
    await audit.record(tx, action="merge", entity="customer", entity_id=gone.id, after={"with": str(kept.id)})
    return await merge_of(tx, merge_id)


async def unmerge(tx: Tx, merge_id: UUID) -> Merge:
    """Tell two profiles apart again: the one that went is there as it was, under its number.

    The one that stayed gives back what it had from the other; what a person changed since stays.

    Raises:
        UnknownMerge: there is none.
        MergeUndone: it was told apart already, or the profile that stayed went into another one since.
        CustomerErased: the data of both were erased.
        CustomersDiffer: another profile has one of the identities by now.
    """
    found = await merge_of(tx, merge_id)
    await writes.lock_identities(tx, rules.buckets_of([found.gone_before, found.kept_before]))
    await tx.tuples(writes.LOCK_CUSTOMERS, {"ids": [found.kept_id]})
    # Merges after people: whoever undoes another one of the same profile writes to this one, and so does an erasure.
    await tx.value(writes.LOCK_MERGE, {"id": merge_id})
    found = await merge_of(tx, merge_id)
    gone, before = found.gone_before, found.kept_before
    now = (await reads.by_ids(tx, [found.kept_id])).get(found.kept_id)
    if now is None or found.undone_at is not None:
        raise MergeUndone(number=gone.number)
    if now.erased_at is not None:
        raise CustomerErased(number=now.number)
    back = before if now.version == found.kept_version else rules.taken_apart(now, before, gone)
    others = await reads.candidates(
        tx, documents=[gone.document] if gone.document else [], emails=[gone.email] if gone.email else []
    )
    clash = next((o for o in others if o.id != now.id and rules.is_one_identity(gone, o)), None)
    if clash is not None or rules.is_one_identity(back, gone):
        raise CustomersDiffer(one=gone.number, other=(clash or back).number)
    await tx.execute(writes.DROP_ALIASES, {"merge": merge_id})
    await tx.execute(writes.RETURN_ALIASES, {"gone": gone.id})
    await writes.set_all(tx, [back])
    await _correct_later(tx, found, back)
    await writes.add_back(tx, gone)
    await tx.execute(writes.END_MERGE, {"id": merge_id, "person": tx.actor.name})
    for id_, other in ((now.id, gone.id), (gone.id, now.id)):
        await audit.record(tx, action="unmerge", entity="customer", entity_id=id_, after={"with": str(other)})
    return await merge_of(tx, merge_id)


async def _correct_later(tx: Tx, undone: Merge, back: Customer) -> None:
    """Take what came from an undone merge out of what later ones remember of the profile that stayed.

    Else undoing one of those would give it an identity that is another profile's again. What it had itself and gave up
    in the undone merge, and still has not, leads to it by the later ones from now on.
    """
    later = [
        (merge, rules.taken_apart(merge.kept_before, undone.kept_before, undone.gone_before))
        for merge in await reads.merges_into(tx, undone.kept_id)
        if merge.undone_at is None and (merge.at, merge.id) > (undone.at, undone.id)
    ]
    changed = [(merge, without) for merge, without in later if without != merge.kept_before]
    if not changed:
        return
    befores = [_encode(without).decode() for _, without in changed]
    await tx.execute(writes.SET_BEFORE, {"ids": [merge.id for merge, _ in changed], "before": befores})
    not_its = [
        (value, merge.id)
        for merge, without in changed
        for value in {*rules.aliases_of(merge.kept_before)} - {*rules.aliases_of(without)}
    ]
    drop = {"values": [value for value, _ in not_its], "merges": [merge_id for _, merge_id in not_its]}
    await tx.execute(writes.DROP_SOME_ALIASES, drop)
    first, without = changed[-1]  # the newest comes first
    its = sorted({*rules.aliases_of(without)} - {*rules.aliases_of(back)})
    await tx.execute(writes.ADD_ALIASES, {"values": its, "customer": undone.kept_id, "merge": first.id})


async def living(tx: Tx, ids: Iterable[UUID]) -> dict[UUID, UUID]:
    """Return by profile the one that it is part of by now, itself if none, and keep that until the transaction ends.

    Who looked at a profile a moment ago may write to it while it goes into another one: that would be said to nobody.
    """
    led = {id_: id_ for id_ in ids}
    while True:
        wanted = set(led.values())
        gone = wanted - set(await tx.values(writes.KEEP_CUSTOMERS, {"ids": sorted(wanted)}))
        into = dict(await tx.tuples(reads.WENT_INTO, {"ids": sorted(gone)})) if gone else {}
        if not into:
            return led
        led = {asked: into.get(now, now) for asked, now in led.items()}


async def merge_of(tx: Tx, merge_id: UUID) -> Merge:
    """Return one merge.

    Raises:
        UnknownMerge: there is none.
    """
    row = await tx.maybe(dict, reads.MERGE, {"id": merge_id})
    if row is None:
        raise UnknownMerge(key=merge_id)
    return msgspec.convert(row, Merge)


async def call_distinct(tx: Tx, one: UUID, other: UUID) -> None:
    """Note that two profiles that look alike are not the same person: they are not offered again.

    Raises:
        SameCustomer: they are one.
    """
    if one == other:
        raise SameCustomer
    first, second = sorted([one, other])
    await tx.execute(writes.ADD_DISTINCT, {"one": first, "other": second, "actor": tx.actor.label})
    await audit.record(tx, action="call_distinct", entity="customer", entity_id=first, after={"with": str(second)})


def preview(kept: Customer, gone: Customer) -> Mapping[str, tuple[Any, Any]]:
    """Return, for what a person may choose, the value of each profile where both have one and they differ."""
    said = rules.has_something
    pairs = {name: (getattr(kept, name), getattr(gone, name)) for name in CHOICES}
    return {name: (a, b) for name, (a, b) in pairs.items() if said(a) and said(b) and a != b}
