"""Documents as recorded facts: they cover exactly what was packed, and open the gate.

One living document per piece of work. Whoever records or cancels locks the order first, so two documents at once, or a
document and a cancel, happen one after the other; the unique constraints decide what the lock cannot see (the same key
for another order).
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from malha.fiscal import rules, writes
from malha.fiscal.errors import (
    DocumentDiffers,
    DocumentExists,
    DocumentNotFound,
    DocumentNotLiving,
    DocumentUsed,
    GoodsLeft,
    NotPacked,
    NumberUsed,
    WorkNotFound,
)
from malha.fiscal.events import DocumentCancelled, DocumentRecorded
from malha.fiscal.model import Covered, DocumentFacts, DocumentPolicy, Flow, Issuer, Recorded, Standing
from malha.ordering import service as ordering
from malha.ordering.model import GONE, Move, Order, Unit, UnitState, word_of
from malha.platform import audit
from malha.platform.brazil import AccessKey, parse_access_key
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID, new_id

_PACKED = frozenset({UnitState.AWAITING_DOCUMENT, UnitState.PACKED})


class _Case(msgspec.Struct):
    """A document about to be recorded, with all that is known of its work under the order's lock."""

    order: Order
    fulfillment_id: UUID
    facts: DocumentFacts
    units: list[Unit]  # living
    issuer: Issuer
    key: AccessKey
    found: Standing | None  # the document that has the key already
    packed: list[Covered] = []
    worth: list[int] = []
    done: Recorded | None = None  # had been recorded before


async def issuers_of(tx: Tx, location_ids: Iterable[int]) -> dict[int, Issuer]:
    """Return, per location, the establishment that issues the documents of what leaves from there."""
    rows = await tx.tuples(writes.ISSUERS_OF_LOCATIONS, {"locations": sorted(set(location_ids))})
    return {
        location_id: Issuer(establishment_id, code, cnpj, state, DocumentPolicy(policy))
        for location_id, establishment_id, code, cnpj, state, policy in rows
    }


async def issuer_of(tx: Tx, location_id: int) -> Issuer:
    """Return the establishment that issues the documents of what leaves a location."""
    return (await issuers_of(tx, [location_id]))[location_id]


async def is_document_required(tx: Tx, location_id: int, method: str) -> bool:
    """Tell whether what leaves a location by this method needs a document first."""
    return bool(await requiring(tx, [location_id], method))


async def requiring(tx: Tx, location_ids: Iterable[int], method: str) -> set[int]:
    """Return the locations whose goods need a document before they leave by this method."""
    issuers = await issuers_of(tx, location_ids)
    return {i for i, issuer in issuers.items() if rules.is_document_required(issuer.policy, Flow(method))}


async def record_document(tx: Tx, fulfillment_id: UUID, facts: DocumentFacts) -> Recorded:
    """Record the authorised document of a packed piece of work: its units may leave.

    The same key for the same work again changes nothing, whatever became since of its goods and of who owns them.

    Raises:
        WorkNotFound: no units belong to the work.
        NotPacked: not everything is packed.
        Invalid: the key is wrong, or contradicts its issuer, its stated parts or its date; the date is still to come or
            from before the order; the goods are not worth the total and nobody said why it is right.
        DocumentDiffers: it covers more or less than was packed; each difference is named.
        DocumentExists, DocumentUsed, NumberUsed: the work, the key or the number has a document already.
    """
    [recorded] = await record_documents(tx, [(fulfillment_id, facts)])
    return recorded


async def record_documents(tx: Tx, wanted: Sequence[tuple[UUID, DocumentFacts]]) -> list[Recorded]:
    """Record the documents of many pieces of work, in a fixed number of statements; all or none.

    See `record_document`.
    """
    cases = await _open_cases(tx, wanted)
    await _refuse_taken(tx, cases)
    fresh = [case for case in cases if case.done is None]
    if fresh:
        await _check_contents(tx, fresh)
        documents = await _write(tx, fresh)
        for case, document in zip(fresh, documents, strict=True):
            case.done = _recorded(case.order, document)
    return [case.done for case in cases if case.done is not None]


async def _open_cases(tx: Tx, wanted: Sequence[tuple[UUID, DocumentFacts]]) -> list[_Case]:
    """Lock the orders, and find each work's units and issuer; refuse keys that cannot be theirs.

    What was recorded for its work already is not checked again: its issuer then may not be that of now.
    """
    ids = [fulfillment_id for fulfillment_id, _ in wanted]
    orders = await ordering.lock_orders(tx, {u.order_id for u in await ordering.units_of_fulfillments(tx, ids)})
    units: dict[UUID | None, list[Unit]] = {}
    for unit in await ordering.units_of_fulfillments(tx, ids):
        if unit.state is not UnitState.CANCELLED:
            units.setdefault(unit.fulfillment_id, []).append(unit)
    places = {i: next((u.location_id for u in own if u.location_id is not None), None) for i, own in units.items()}
    issuers = await issuers_of(tx, [place for place in places.values() if place is not None])
    read = [parse_access_key(facts.access_key) for _, facts in wanted]
    texts = {"keys": [key.text for key in read if key is not None]}
    known = {d.access_key: d for d in await tx.all(Standing, writes.FIND_BY_KEYS, texts)}
    now = await tx.now()
    cases = []
    for (fulfillment_id, facts), stated in zip(wanted, read, strict=True):
        place = places.get(fulfillment_id)
        if place is None or not tx.actor.sees(place):
            raise WorkNotFound(key=fulfillment_id)
        key, found = stated, None if stated is None else known.get(stated.text)
        if not _is_repeated(found, fulfillment_id):
            facts = rules.dated(facts, stated, now)  # noqa: PLW2901 -- the same document, with its date
            key, flaws = rules.check_key(facts, issuers[place], now)
            refuse(flaws)
        assert key is not None  # noqa: S101  (no flaws: the key was read)
        own = units[fulfillment_id]
        cases.append(_Case(orders[own[0].order_id], fulfillment_id, facts, own, issuers[place], key, found))
    return cases


def _is_repeated(found: Standing | None, fulfillment_id: UUID) -> bool:
    return found is not None and found.source_id == fulfillment_id and found.state == "authorised"


async def _refuse_taken(tx: Tx, cases: Sequence[_Case]) -> None:
    """Mark what was recorded before; refuse when a key, a number or a work has a document already."""
    for case in cases:
        if case.found is None:
            continue
        if not _is_repeated(case.found, case.fulfillment_id):
            raise DocumentUsed(access_key=case.key.text)
        case.done = _recorded(case.order, case.found, repeated=True)
    fresh = [case for case in cases if case.done is None]
    numbers = await tx.tuples(writes.FIND_NUMBERS, _keys(fresh))
    if numbers:
        raise NumberUsed(series=numbers[0][0], number=numbers[0][1])
    works = {"fulfillments": [case.fulfillment_id for case in fresh]}
    for living in await tx.all(Standing, writes.FIND_LIVING, works):
        raise DocumentExists(model=living.model, series=living.series, number=living.number)


def _keys(cases: Sequence[_Case]) -> dict[str, list[Any]]:
    return {
        "establishments": [case.issuer.establishment_id for case in cases],
        "models": [case.key.model for case in cases],
        "series": [case.key.series for case in cases],
        "numbers": [case.key.number for case in cases],
    }


async def _check_contents(tx: Tx, cases: Sequence[_Case]) -> None:
    """Refuse what is not packed or not covered exactly; work out what each item is worth."""
    lines = await ordering.lines_of(tx, {case.order.id for case in cases})
    now = await tx.now()
    accepted = []
    for case in cases:
        early = [u for u in case.units if u.state not in _PACKED]
        if early:
            raise NotPacked(quantity=sum(u.quantity for u in early), state=word_of(early[0].state))
        case.packed = rules.sum_units(case.units)
        if case.facts.lines is not None:
            await _refuse_differences(tx, case.packed, case.facts.lines)
        case.worth = rules.share_worth(case.packed, lines[case.order.id], case.units)
        worth = rules.worth_of(case.order, lines[case.order.id], case.units)
        flaws = rules.check_total(case.facts, worth, case.order.currency)
        reason = (case.facts.total_reason or "").strip()
        if flaws and reason:
            told = {"worth_least": worth.least, "worth_most": worth.most, "reason": reason}
            accepted.append((case.order.id, None, {"access_key": case.key.text, "total": case.facts.total, **told}))
            flaws = []
        refuse([*rules.check_date(case.facts, case.key.model, case.order.placed_at, now), *flaws])
    await audit.record_many(tx, action="accept_total", entity="order", changes=accepted)


async def _refuse_differences(tx: Tx, packed: Sequence[Covered], stated: Sequence[Covered]) -> None:
    skus = sorted({c.sku_id for c in (*packed, *stated)})
    problems = rules.differences(packed, stated, dict(await tx.tuples(writes.SKU_CODES, {"skus": skus})))
    if problems:
        told = [{"at": f"/{p.at}", "says": p.says, "facts": dict(p.facts)} for p in problems]
        raise DocumentDiffers(count=len(problems), problems=told)


async def _write(tx: Tx, cases: Sequence[_Case]) -> list[Standing]:
    documents = [
        Standing(
            new_id(),
            case.key.text,
            case.key.model,
            case.key.series,
            case.key.number,
            "authorised",
            case.fulfillment_id,
            sum(case.worth) if case.facts.total is None else case.facts.total,
        )
        for case in cases
    ]
    rows = sorted(zip(documents, cases, strict=True), key=lambda row: row[0].access_key)
    await tx.execute(
        writes.ADD_DOCUMENTS,
        {
            **_keys([case for _, case in rows]),
            "ids": [d.id for d, _ in rows],
            "keys": [d.access_key for d, _ in rows],
            "providers": [case.facts.provider.value for _, case in rows],
            "fulfillments": [d.source_id for d, _ in rows],
            "totals": [d.total for d, _ in rows],
            "protocols": [case.facts.protocol for _, case in rows],
            "times": [case.facts.issued_at for _, case in rows],
            "actor": tx.actor.label,
        },
    )
    items = [(d, case, n) for d, case in rows for n in range(len(case.packed))]
    await tx.execute(
        writes.ADD_LINES,
        {
            "documents": [d.id for d, _, _ in items],
            "items": [n + 1 for _, _, n in items],
            "orders": [case.order.id for _, case, _ in items],
            "lines": [case.packed[n].line for _, case, n in items],
            "skus": [case.packed[n].sku_id for _, case, n in items],
            "quantities": [case.packed[n].quantity for _, case, n in items],
            "totals": [case.worth[n] for _, case, n in items],
        },
    )
    moves: dict[UUID, list[Move]] = {}
    for d, case in rows:
        moves.setdefault(case.order.id, []).extend(
            Move(u.line, u.part, u.quantity, UnitState.INVOICED, document_id=d.id) for u in case.units
        )
    await ordering.move_many(tx, moves, [_event(d, case) for d, case in rows])
    return documents


def _event(document: Standing, case: _Case) -> DocumentRecorded:
    return DocumentRecorded(
        id=case.order.id,
        seq=0,
        document_id=document.id,
        fulfillment_id=case.fulfillment_id,
        model=document.model,
        series=document.series,
        number=document.number,
        total=document.total,
        quantity=sum(u.quantity for u in case.units),
        provider=case.facts.provider.value,
    )


def _recorded(order: Order, document: Standing, *, repeated: bool = False) -> Recorded:
    return Recorded(
        id=document.id,
        order_id=order.id,
        fulfillment_id=document.source_id,
        access_key=document.access_key,
        model=document.model,
        series=document.series,
        number=document.number,
        total=document.total,
        repeated=repeated,
    )


async def cancel_document(tx: Tx, document_id: UUID, *, reason: str) -> Recorded:
    """Record that a document was cancelled before the goods left: its units wait for another one.

    Raises:
        DocumentNotFound: there is no such document.
        DocumentNotLiving: it is cancelled already, or never was authorised.
        GoodsLeft: units left with it.
        Invalid: no reason is given.
    """
    refuse([] if reason.strip() else [Flaw("reason", N_("This needs a reason."), N_("Say why in a few words."))])
    document = await tx.maybe(Standing, writes.FIND_BY_ID, {"id": document_id})
    if document is None:
        raise DocumentNotFound(key=document_id)
    orders = {u.order_id for u in await ordering.units_of_fulfillments(tx, [document.source_id])}
    order = next(iter((await ordering.lock_orders(tx, orders)).values()))
    units = await ordering.units_of_fulfillments(tx, [document.source_id])
    if tx.actor.locations is not None and not any(tx.actor.sees(u.location_id) for u in units):
        raise DocumentNotFound(key=document_id)
    covered = [u for u in units if u.document_id == document_id]
    if any(u.state in GONE for u in covered):
        raise GoodsLeft
    location_id = next((u.location_id for u in covered), None)
    if not await tx.tuples(writes.CANCEL_DOCUMENT, {"id": document_id}):
        now = await tx.one(Standing, writes.FIND_BY_ID, {"id": document_id})
        raise DocumentNotLiving(state=now.state)
    back = UnitState.AWAITING_DOCUMENT
    if location_id is not None and not await requiring(tx, [location_id], order.method):
        back = UnitState.PACKED
    event = DocumentCancelled(
        id=order.id,
        seq=0,
        document_id=document_id,
        fulfillment_id=document.source_id,
        model=document.model,
        series=document.series,
        number=document.number,
        reason=reason.strip(),
    )
    moves = [Move(u.line, u.part, u.quantity, back, document_id=None) for u in covered]
    await ordering.move_units(tx, order.id, moves, event)
    return _recorded(order, document)
