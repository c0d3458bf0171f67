"""Erasing a person in a large shop: a worker looks for them first, page of a table by page, while all goes on.

Each step is a short transaction of its own: killed, the worker goes on where it was. What it has found is true at the
end, or it begins anew: rows that were written since the first step are looked through then, in the transaction that
erases (`service.finish`), and a person of whom anything changed is looked for again. What comes up meanwhile (an order,
a refund) refuses the erasure, which says so until it is asked for again.
"""

import time

from malha.customers import erasing
from malha.identity import present_rights
from malha.identity.errors import RightsLost
from malha.platform import audit, jobs, refusals
from malha.platform.db import Actor, Database, Tx, in_turn
from malha.platform.errors import Busy, Conflict, MalhaError
from malha.platform.i18n import N_, Word, current_language
from malha.platform.ids import UUID
from malha.privacy import reads, service, writes
from malha.privacy.errors import NoErasure
from malha.privacy.model import Erased
from malha.privacy.person import Person
from malha.privacy.places import SWEPT, Place
from malha.privacy.reads import Search

AT_ONCE = 32_000_000  # bytes that are looked through while the asker waits: a second or so
PAGES = 2_000  # of a table in one step, of 8 kB each
TURN_S = 20.0  # before jobs of other kinds have their turn
TRIES = 5  # with somebody who changes all the time, and with what others work on
LOCK = "erasures:{retailer}"
PERMISSION = "customers:erase"

_PLACES = {f"{place.table}.{place.column}": place for place in SWEPT}


async def begin(tx: Tx, customer_id: UUID, reason: str) -> Erased:
    """Erase a person at once, or have a worker look for them first where there is much to look through.

    Asked for again meanwhile, it says how far that is, and afterwards that it was done; where it was refused, it begins
    anew.

    Raises:
        UnknownCustomer, SharedByAll, Invalid: see `service.ask`.
        OrdersOpen, HoldsOpen, RefundsOpen, MessagesLeaving, OrdersComing, ImportsOpen: not before that is done.
        Conflict: something of the person changed meanwhile.
        Busy: somebody holds a lock of theirs.
    """
    found = await service.ask(tx, customer_id, reason)
    if isinstance(found, Erased):
        return found
    searched = await reads.search(tx, customer_id)
    if searched is not None and searched.refused is None:
        return _told(searched)
    if await tx.value(reads.SIZE, {"tables": sorted({place.table for place in SWEPT})}) <= AT_ONCE:
        done = await service.finish(tx, found, await service.look(tx, found), reason)
        await tx.execute(writes.END_SEARCH, {"customer": customer_id})
        return done
    await erasing.lock(tx, customer_id)  # it does not go into another one meanwhile
    asker = {"actor": tx.actor.label, "person": tx.actor.name}
    await tx.execute(writes.ADD_SEARCH, {"customer": customer_id, "reason": reason.strip(), **asker})
    told = {"reason": reason.strip()}
    await audit.record(tx, action="begin_erasing", entity="customer", entity_id=customer_id, after=told)
    await _line_up(tx, customer_id)
    return await state_of(tx, customer_id)


async def state_of(tx: Tx, customer_id: UUID) -> Erased:
    """Return how far erasing a person is.

    Raises:
        NoErasure: nobody asked for it.
    """
    if await reads.erasure(tx, customer_id) is not None:
        return await service.before(tx, customer_id)
    searched = await reads.search(tx, customer_id)
    if searched is None:
        raise NoErasure
    return _told(searched)


def _told(search: Search) -> Erased:
    return Erased(
        customer_id=search.customer_id,
        number=search.number,
        state="looking" if search.refused is None else "refused",
        begun_at=search.begun_at,
        looked=search.looked,
        refused=why_refused(search),
    )


def why_refused(search: Search) -> str | None:
    """Return why a person could not be erased, in the current language; None: they are looked for."""
    return None if search.refused is None else refusals.said(search.refused, current_language())


async def _line_up(tx: Tx, customer_id: UUID) -> None:
    await jobs.defer(tx, go_on, lock=LOCK.format(retailer=tx.retailer), customer_id=str(customer_id))


@jobs.task("customers.erase", attempts=5)
async def go_on(db: Database, *, customer_id: str) -> None:
    """Look for a person, and erase them once everything was looked through, in the name of who asked for it."""
    id_ = UUID(customer_id)
    until = time.monotonic() + TURN_S
    while await step(db, id_):
        if time.monotonic() >= until:
            async with db.transaction() as tx:
                await _line_up(tx, id_)
            return


async def step(db: Database, customer_id: UUID) -> bool:
    """Take the next step of an erasure; return whether there is another one."""

    async def attempt() -> bool:
        async with db.transaction() as tx:
            return await _step(tx, customer_id)

    try:
        return await in_turn(attempt, TRIES)
    except Busy:
        return True  # somebody works on an order of theirs
    except MalhaError as error:
        refusal = error
    async with db.transaction() as tx:
        searched = await reads.search(tx, customer_id)
        if searched is not None and type(refusal) is Conflict and searched.tries < TRIES:
            await tx.execute(writes.BEGIN_ANEW, {"customer": customer_id})
            return True
        await tx.execute(writes.REFUSE_SEARCH, {"customer": customer_id, "refused": refusals.kept(refusal)})
    return False


async def _step(tx: Tx, customer_id: UUID) -> bool:
    if not await tx.tuples(writes.LOCK_SEARCH, {"customer": customer_id}):
        return False
    search = await tx.one(Search, reads.SEARCH, {"customer": customer_id})
    tx.actor = await present_rights.as_now(tx, Actor.of_label(search.actor, search.person))
    if not tx.actor.may(PERMISSION):
        raise RightsLost(person=search.person)
    person = await service.ask(tx, customer_id, search.reason)
    if isinstance(person, Person):
        if search.since is None:
            await _start(tx, person)
            return True
        if person.digest() != search.known:
            raise _changed(search)
        if await _look_further(tx, person, search):
            return True
        await _finish(tx, person, search)
    await tx.execute(writes.END_SEARCH, {"customer": customer_id})
    return False


def _changed(search: Search) -> Conflict:
    """Return why a person is looked for anew: what they are looked for by has changed, or where they are named."""
    return Conflict(what=Word(N_("Customer")), key=search.number)


async def _start(tx: Tx, person: Person) -> None:
    asked = {"customer": person.customer.id}
    since, log_end = await tx.value(reads.BEGUN), await tx.value(reads.LOG_END)
    positions = await tx.values(reads.EVENTS, {"orders": person.orders, "keys": person.keys()})
    found = {"known": person.digest(), "since": since, "log_end": log_end, "positions": positions}
    await tx.execute(writes.START_SEARCH, {**asked, **found})
    await tx.execute(writes.DROP_PLACES, asked)
    await tx.execute(writes.ADD_PLACES, {**asked, "places": sorted(_PLACES)})


async def _look_further(tx: Tx, person: Person, search: Search) -> bool:
    """Look through the next pages of a table; return False where all were looked through."""
    asked = {"customer": person.customer.id}
    row = next(iter(await tx.tuples(reads.NEXT_PLACE, asked)), None)
    if row is None:
        return False
    name, first, blocks = row
    place = _PLACES.get(name)
    if place is None:  # a newer program does not look there
        raise _changed(search)
    behind = min(first + PAGES, blocks)
    pages = {"first": f"({first},0)", "behind": f"({behind},0)"}
    found = await tx.values(reads.named_between(place), {**person.marks(place), **pages})
    await tx.execute(writes.KEEP_FOUND, {**asked, "place": name, "behind": behind, "found": found})
    return True


async def _finish(tx: Tx, person: Person, search: Search) -> None:
    asked = {"customer": person.customer.id}
    if await tx.value(reads.LOOKED_ELSEWHERE, {**asked, "places": sorted(_PLACES)}):
        raise _changed(search)
    rows: dict[Place, list[str]] = {_PLACES[name]: found for name, found in await tx.tuples(reads.FOUND_PLACES, asked)}
    looked = service.Looked(search.since or "", search.log_end or 0, search.positions, rows)
    await service.finish(tx, person, looked, search.reason)
