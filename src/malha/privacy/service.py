"""Use cases of a person's rights over their data: all of it as a file (LGPD, art. 18, II and V), and erasing it (VI).

**Erasing.** Texts that are filed under somebody else and the log of events are looked through first, while all goes on:
that may take a while, so where there is much a worker does it (`searching`). Then everybody who could bring the person
back is kept still: subscribers, who speaks of the same identities, the profile, its orders, its messages. What was
found is true by then, or the erasure is refused and asked for again; rows written since are looked through too, in each
column. An order that comes a moment later is a new customer's; a merge that was quicker has led to another profile, one
that is slower finds an erased one.
"""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from malha.channels.connecting import forgetting
from malha.customers import erasing
from malha.customers import service as profiles
from malha.network.service import refuse_limited
from malha.ordering import service as ordering
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.errors import Conflict, MalhaError
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word
from malha.platform.ids import UUID
from malha.privacy import reads, rules, writes
from malha.privacy.errors import (
    HoldsOpen,
    ImportsOpen,
    MessagesLeaving,
    OrdersComing,
    OrdersOpen,
    RefundsOpen,
)
from malha.privacy.model import (
    FORMAT,
    REASON_LENGTH,
    Consented,
    Copy,
    Entry,
    Erased,
    OrderData,
    PersonalData,
    Refused,
)
from malha.privacy.person import Person, asked, person_of
from malha.privacy.places import FILES, SWEPT, Place
from malha.privacy.reads import Erasure

# --- all of it, as a file ---


async def export(tx: Tx, customer_id: UUID, why: str) -> PersonalData:
    """Return everything that is kept of a person, and write down who took it and why.

    Raises:
        UnknownCustomer: there is none.
        SharedByAll: the asker is limited to locations, and would get a part of it only.
        Invalid: no reason is given, or one that is too long.
    """
    refuse_limited(tx)
    _require_reason(why, "why")
    person = await person_of(tx, await profiles.customer_of(tx, customer_id))
    taken_at = await tx.now()
    rows = await tx.all(dict, reads.ORDER_DATA, {"orders": person.orders})
    preference = await tx.maybe(dict, reads.PREFERENCE, {"customer": customer_id}) or {}
    addresses = sorted({*(e.lower() for e in person.known.emails), *person.known.phones})
    data = PersonalData(
        format=FORMAT,
        taken_at=taken_at,
        customer=person.customer,
        merged=person.merged,
        also_known_by=person.aliases,
        language=preference.get("language"),
        declined=preference.get("declined", []),
        consents=await tx.all(Consented, reads.CONSENTED, {"profiles": person.profiles}),
        refusals=await tx.all(Refused, reads.REFUSED, {"addresses": addresses}),
        orders=[msgspec.convert(row, OrderData) for row in rows],
        trail=[msgspec.convert(row, Entry) for row in await tx.all(dict, reads.TRAIL, await _records(tx, person))],
        copies=await _copies(tx, person),
    )
    await audit.record(tx, action="export", entity="customer", entity_id=customer_id, after={"why": why.strip()})
    return data


async def _records(tx: Tx, person: Person) -> dict[str, list[str]]:
    found = await tx.tuples(reads.RECORDS, {"profiles": person.profiles, "orders": person.orders})
    return {"entities": [entity for entity, _ in found], "ids": [id_ for _, id_ in found]}


async def _copies(tx: Tx, person: Person) -> list[Copy]:
    found = [
        Copy(place="channel_inbox.payload", text=payload.decode("utf-8", "replace"))
        for payload in await tx.values(reads.TOLD, {"orders": person.orders})
    ]
    for place in SWEPT:
        if place.table == "audit":  # told as the trail
            continue
        for text in await tx.values(reads.copies_in(place), person.marks(place)):
            said = text.encode("latin-1").decode("utf-8", "replace") if place.is_bytes else text
            copy = Copy(place=f"{place.table}.{place.column}", text=said)
            if copy not in found:
                found.append(copy)
    return found


# --- erased for good ---


class Looked(msgspec.Struct, frozen=True):
    """What was found before anybody was kept still."""

    begun: str  # the first transaction that may not have been seen
    log_end: int
    positions: list[int]  # of the orders' events up to the log's end
    rows: dict[Place, list[str]]  # where the person is named


async def ask(tx: Tx, customer_id: UUID, reason: str) -> Person | Erased:
    """Return who is to be erased, where nothing keeps them from it by now; or that they were erased before.

    Raises:
        UnknownCustomer: there is none.
        SharedByAll: the asker is limited to locations.
        Invalid: no reason is given, or one that is too long.
        OrdersOpen, HoldsOpen, RefundsOpen, MessagesLeaving, OrdersComing, ImportsOpen: not before that is done.
    """
    refuse_limited(tx)
    _require_reason(reason, "reason")
    customer = await profiles.customer_of(tx, customer_id)
    if customer.erased_at is not None:
        return await before(tx, customer_id)
    person = await person_of(tx, customer)
    await _refuse_unfinished(tx, person)
    return person


async def finish(tx: Tx, person: Person, looked: Looked, reason: str) -> Erased:
    """Keep everybody still who could bring a person back, and erase them for good: profile and every copy.

    Fiscal documents, amounts, and what names nobody (municipality, state, the district of a CEP) are kept.

    Args:
        tx: of whoever erases them.
        person: who they were when what follows was found.
        looked: where they are named.
        reason: why.

    Raises:
        OrdersOpen, HoldsOpen, RefundsOpen, MessagesLeaving, OrdersComing, ImportsOpen: see `ask`.
        Conflict: something of the person changed meanwhile.
        Busy: somebody holds a lock of theirs.
    """
    customer_id = person.customer.id
    await tx.tuples(writes.LOCK_SUBSCRIBERS)
    customer = await erasing.lock(tx, customer_id)
    if customer.erased_at is not None:
        return await before(tx, customer_id)
    await ordering.lock_orders(tx, person.orders)
    messages = await tx.tuples(writes.LOCK_MESSAGES, {"orders": person.orders})
    if await person_of(tx, customer) != person:
        raise Conflict(what=Word(N_("Customer")), key=customer.number)
    await _refuse_unfinished(tx, person)
    done = await _write(tx, person, looked, len(messages), reason.strip())
    return told(customer_id, done, again=False)


async def look(tx: Tx, person: Person) -> Looked:
    """Return where a person is named, by a look through everything in this transaction."""
    begun, log_end = await tx.value(reads.BEGUN), await tx.value(reads.LOG_END)
    found = await tx.values(reads.EVENTS, {"orders": person.orders, "keys": person.keys()})
    rows = {place: await tx.values(reads.named_in(place), person.marks(place)) for place in SWEPT}
    return Looked(begun, log_end, found, {place: named for place, named in rows.items() if named})


def _require_reason(text: str, at: str) -> None:
    flaws = []
    if not text.strip():
        flaws.append(Flaw(at, N_("This needs a reason."), N_("Say why in a few words.")))
    elif len(text) > REASON_LENGTH or "\x00" in text:
        flaws.append(Flaw(at, N_("A reason has at most {most} characters."), facts={"most": REASON_LENGTH}))
    refuse(flaws)


async def _refuse_unfinished(tx: Tx, person: Person) -> None:
    orders = {"orders": person.orders}
    strong = asked(rules.strong_marks(person.known))
    open_: list[tuple[type[MalhaError], Any, Mapping[str, Any]]] = [
        (OrdersOpen, reads.OPEN_ORDERS, orders),
        (OrdersOpen, reads.UNLINKED, strong),
        (HoldsOpen, reads.OPEN_HOLDS, orders),
        (RefundsOpen, reads.OPEN_REFUNDS, orders),
        (MessagesLeaving, reads.LEAVING, orders),
        (OrdersComing, reads.COMING, strong),
        (ImportsOpen, reads.OPEN_IMPORTS, {}),
    ]
    for refusal, statement, params in open_:
        if found := await tx.values(statement, params):
            raise refusal(numbers=_listed(found))


def _listed(numbers: Collection[object]) -> str:
    shown = [str(number) for number in numbers]
    return ", ".join(shown[:5]) + (", \N{HORIZONTAL ELLIPSIS}" if len(shown) > 5 else "")


async def _write(tx: Tx, person: Person, looked: Looked, messages: int, reason: str) -> Erasure:
    customer = person.customer
    all_ = asked(rules.all_marks(person.known))
    orders = {"orders": person.orders, **all_, "ceps": rules.cep_marks(person.known)}
    keys = {"keys": person.keys(), "positions": looked.positions, "log_end": looked.log_end, **orders}
    profiles_ = {"profiles": person.profiles}
    # What happened, before what is written from it.
    for statement in (
        writes.FORGET_OUTBOX,
        writes.FORGET_EVENTS,
        writes.FORGET_LATER_EVENTS,
        writes.FORGET_PARKED,
        writes.FORGET_TIMELINE,
    ):
        await tx.execute(statement, keys)
    for statement in (
        writes.FORGET_ORDERS,
        writes.DROP_DETAILS,
        writes.DROP_TAGS,
        writes.FORGET_SEARCH,
        writes.FORGET_NOTES,
        writes.FORGET_HOLDS,
        writes.FORGET_PROMISES,
        writes.FORGET_PARCELS,
        writes.FORGET_PICKUPS,
        writes.FORGET_DECISIONS,
        writes.FORGET_TENDERS,
        writes.FORGET_PAYMENTS,
        writes.FORGET_CLAIMS,
        writes.DROP_RECEIPTS,
        writes.FORGET_MESSAGES,
    ):
        await tx.execute(statement, orders)
    addresses = sorted({*(e.lower() for e in person.known.emails), *person.known.phones})
    await tx.execute(writes.DROP_SUPPRESSIONS, {"addresses": addresses})
    await tx.execute(writes.FORGET_CONSENTS, profiles_)
    await tx.execute(writes.DROP_PREFERENCES, profiles_)
    await tx.execute(writes.STOP_IMPORTS)
    await tx.execute(writes.DROP_FILES)
    await tx.execute(writes.DROP_SAMPLES)
    await tx.execute(writes.DROP_FLAWS, all_)
    await tx.execute(writes.DROP_TRACES, {"keys": [str(id_) for id_ in person.profiles]})
    await tx.execute(writes.FORGET_TRAIL, await _records(tx, person))
    await forgetting.forget(tx, person.orders)
    files = {"rows": looked.rows.get(FILES, []), "begun": looked.begun, **person.marks(FILES)}
    for which in (writes.FOUND, writes.LATER):
        await tx.execute(writes.empty_files(which), files)
    for place in SWEPT:
        marks = {"rows": looked.rows.get(place, []), "begun": looked.begun, **person.marks(place)}
        for which in (writes.FOUND, writes.LATER) if place in looked.rows else (writes.LATER,):
            await tx.execute(writes.sweep(place, which), marks)
    await erasing.empty(tx, customer, person.profiles)
    counts = {"order_count": len(person.orders), "message_count": messages}
    facts = {"customer": customer.id, "actor": tx.actor.label, "person": tx.actor.name, "reason": reason}
    await tx.execute(writes.ADD_ERASURE, {**facts, **counts, **orders})
    done = await tx.one(Erasure, reads.ERASURE, {"customer": customer.id})
    after = {"reason": done.reason, "orders": done.orders, "messages": done.messages}
    await audit.record(tx, action="erase", entity="customer", entity_id=customer.id, after=after)
    return done


async def before(tx: Tx, customer_id: UUID) -> Erased:
    """Return that a person was erased before."""
    return told(customer_id, await tx.one(Erasure, reads.ERASURE, {"customer": customer_id}), again=True)


def told(customer_id: UUID, done: Erasure, *, again: bool) -> Erased:
    """Return an erasure as it is told."""
    return Erased(
        customer_id=customer_id,
        number=done.number,
        state="done",
        looked=1.0,
        erased_at=done.at,
        orders=done.orders,
        messages=done.messages,
        documents_kept=done.documents,
        again=again,
    )
