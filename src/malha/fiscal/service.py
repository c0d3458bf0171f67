"""Documents as recorded facts: they cover exactly what was packed, and open the gate.

One living document per piece of work. Whoever records or cancels locks the order first, so two documents at once, or a
document and a cancel, happen one after the other; the unique constraints decide what the lock cannot see (the same key
for another order).
"""

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
from malha.fiscal.model import DocumentFacts, DocumentPolicy, Flow, Issuer, Recorded, Standing
from malha.ordering import service as ordering
from malha.ordering.errors import LocationNotYours
from malha.ordering.model import GONE, Move, Order, Unit, UnitState
from malha.platform.brazil import AccessKey
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID, new_id

_PACKED = frozenset({UnitState.AWAITING_DOCUMENT, UnitState.PACKED})


async def issuer_of(tx: Tx, location_id: int) -> Issuer:
    """Return the establishment that issues the documents of what leaves a location."""
    rows = await tx.tuples(writes.ISSUER_OF_LOCATION, {"location_id": location_id})
    establishment_id, code, cnpj, state, policy = rows[0]
    return Issuer(establishment_id, code, cnpj, state, DocumentPolicy(policy))


async def is_document_required(tx: Tx, location_id: int, method: str) -> bool:
    """Tell whether what leaves a location by this method needs a document first."""
    return rules.is_document_required((await issuer_of(tx, location_id)).policy, Flow(method))


async def record_document(tx: Tx, fulfillment_id: UUID, facts: DocumentFacts) -> Recorded:
    """Record the authorised document of a packed piece of work: its units may leave.

    The same key for the same work again changes nothing.

    Raises:
        WorkNotFound: no units belong to the work.
        LocationNotYours: it is another location's.
        NotPacked: not everything is packed.
        Invalid: the key is wrong, or contradicts its issuer, its stated parts or its date.
        DocumentDiffers: it covers more or less than was packed; each difference is named.
        DocumentExists, DocumentUsed, NumberUsed: the work, the key or the number has a document already.
    """
    order, units = await _lock_work(tx, fulfillment_id)
    living = [u for u in units if u.state is not UnitState.CANCELLED]
    location_id = next((u.location_id for u in living if u.location_id is not None), None)
    if location_id is None:
        raise WorkNotFound(key=fulfillment_id)
    if not tx.actor.sees(location_id):
        raise LocationNotYours
    issuer = await issuer_of(tx, location_id)
    key, flaws = rules.check_key(facts, issuer, await tx.now())
    refuse(flaws)
    assert key is not None  # noqa: S101  (no flaws: the key was read)
    repeated = await _find_repeated(tx, fulfillment_id, key, issuer)
    if repeated is not None:
        return _recorded(order, repeated, repeated=True)
    early = [u for u in living if u.state not in _PACKED]
    if early:
        raise NotPacked(quantity=sum(u.quantity for u in early), state=early[0].state.value)
    packed = rules.sum_units(living)
    if facts.lines is not None:
        skus = {c.sku_id for c in (*packed, *facts.lines)}
        codes = dict(await tx.tuples(writes.SKU_CODES, {"skus": sorted(skus)}))
        problems = rules.differences(packed, facts.lines, codes)
        if problems:
            raise DocumentDiffers(
                count=len(problems),
                problems=[{"at": f"/{p.at}", "says": p.says, "facts": dict(p.facts)} for p in problems],
            )
    worth = rules.share_worth(packed, (await ordering.lines_of(tx, [order.id]))[order.id], living)
    total = sum(worth) if facts.total is None else facts.total
    document = Standing(new_id(), key.text, key.model, key.series, key.number, "authorised", fulfillment_id, total)
    await tx.execute(
        writes.ADD_DOCUMENT,
        {
            "id": document.id,
            "establishment_id": issuer.establishment_id,
            "model": key.model,
            "series": key.series,
            "number": key.number,
            "access_key": key.text,
            "provider": facts.provider.value,
            "fulfillment_id": fulfillment_id,
            "total": total,
            "protocol": facts.protocol,
            "issued_at": facts.issued_at or await tx.now(),
            "actor": tx.actor.label,
        },
    )
    await tx.execute(
        writes.ADD_LINES,
        {
            "document_id": document.id,
            "order_id": order.id,
            "items": list(range(1, len(packed) + 1)),
            "lines": [c.line for c in packed],
            "skus": [c.sku_id for c in packed],
            "quantities": [c.quantity for c in packed],
            "totals": worth,
        },
    )
    event = DocumentRecorded(
        id=order.id,
        seq=0,
        document_id=document.id,
        fulfillment_id=fulfillment_id,
        model=key.model,
        series=key.series,
        number=key.number,
        total=total,
        quantity=sum(u.quantity for u in living),
        provider=facts.provider.value,
    )
    moves = [Move(u.line, u.part, u.quantity, UnitState.INVOICED, document_id=document.id) for u in living]
    await ordering.move_units(tx, order.id, moves, event)
    return _recorded(order, document)


async def _lock_work(tx: Tx, fulfillment_id: UUID) -> tuple[Order, list[Unit]]:
    """Lock the order of a piece of work and return it with the work's units as they stand under the lock."""
    seen = await ordering.units_of_fulfillments(tx, [fulfillment_id])
    if not seen:
        raise WorkNotFound(key=fulfillment_id)
    order = await ordering.lock_order(tx, seen[0].order_id)
    return order, await ordering.units_of_fulfillments(tx, [fulfillment_id])


async def _find_repeated(tx: Tx, fulfillment_id: UUID, key: AccessKey, issuer: Issuer) -> Standing | None:
    """Return the document if it was recorded for this work before; refuse when key, number or work are taken."""
    known = await tx.maybe(Standing, writes.FIND_BY_KEY, {"access_key": key.text})
    if known is not None:
        if known.source_id == fulfillment_id and known.state == "authorised":
            return known
        raise DocumentUsed(access_key=key.text)
    number = {
        "establishment_id": issuer.establishment_id,
        "model": key.model,
        "series": key.series,
        "number": key.number,
    }
    if await tx.maybe(Standing, writes.FIND_BY_NUMBER, number) is not None:
        raise NumberUsed(number=key.number, series=key.series)
    living = await tx.maybe(Standing, writes.FIND_LIVING, {"fulfillment_id": fulfillment_id})
    if living is not None:
        raise DocumentExists(model=living.model, series=living.series, number=living.number)
    return None


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
    order, units = await _lock_work(tx, document.source_id)
    covered = [u for u in units if u.document_id == document_id]
    if any(u.state in GONE for u in covered):
        raise GoodsLeft
    location_id = next((u.location_id for u in covered), None)
    if not tx.actor.sees(location_id):
        raise LocationNotYours
    if not await tx.tuples(writes.CANCEL_DOCUMENT, {"id": document_id}):
        now = await tx.one(Standing, writes.FIND_BY_ID, {"id": document_id})
        raise DocumentNotLiving(state=now.state)
    back = UnitState.AWAITING_DOCUMENT
    if location_id is not None and not await is_document_required(tx, location_id, order.method):
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
