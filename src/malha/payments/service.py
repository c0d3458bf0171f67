"""Recording what happened with money, once.

Nothing here moves money: channels, terminals and banks did.
A fact's natural key is (tender, kind, reference). The order's row is locked first, so of two refunds of the last
centavo one is recorded and the other refused. Sums per order move in the same transaction as the entries they sum.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from psycopg import AsyncCursor

from malha.network import reads as network
from malha.network.model import PaymentPolicy
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.model import GONE, HoldKind, Order, OrderStatus, UnitState
from malha.ordering.rules import is_untouched
from malha.payments import rules, writes
from malha.payments.errors import (
    FactDiffers,
    NoRefundDue,
    NotAFavour,
    PaymentElsewhere,
    PaymentElsewhereUnseen,
    ReferenceTaken,
    RefundDueDiffers,
    TenderNotFound,
)
from malha.payments.events import (
    PaymentAuthorised,
    PaymentCaptured,
    PaymentChargedBack,
    PaymentDeclined,
    PaymentEvent,
    PaymentRefunded,
    PaymentVoided,
    TenderAdded,
)
from malha.payments.model import (
    Fact,
    FactKind,
    NewTender,
    PaymentState,
    Secured,
    Standing,
    Sums,
    Tender,
    TenderKind,
)
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID, new_id
from malha.platform.money import Money

__all__ = [
    "NewTender",
    "add_tender",
    "claimed_by",
    "coverage",
    "elsewhere",
    "identities_of",
    "queue_claims",
    "record_fact",
    "record_given_back",
    "record_tenders",
    "restate",
    "secured",
    "settle_holds",
    "standing",
]

MOST = 10**12
_SETTLED = {"authorised": FactKind.AUTHORISED, "captured": FactKind.CAPTURED}
_EVENTS: dict[FactKind, type[PaymentEvent]] = {
    FactKind.AUTHORISED: PaymentAuthorised,
    FactKind.CAPTURED: PaymentCaptured,
    FactKind.REFUNDED: PaymentRefunded,
    FactKind.VOIDED: PaymentVoided,
    FactKind.DECLINED: PaymentDeclined,
    FactKind.CHARGED_BACK: PaymentChargedBack,
}


async def record_tenders(tx: Tx, rows: Sequence[NewTender], payable: Mapping[UUID, int] | None = None) -> None:
    """Write the tenders of new orders, many at once, with what already happened on them.

    No events: `OrderPlaced` says it. Works inside `tx.pipeline()`: nothing is fetched.

    Args:
        tx: The transaction that inserts the orders.
        rows: Tenders; the first reference of an authorisation or capture is the tender's own.
        payable: The orders' totals; without them what the tenders promise is taken for the total.
    """
    if not rows:
        return
    rows = [msgspec.structs.replace(row, reference=rules.named(row.reference)) for row in rows]
    ids = [new_id() for _ in rows]
    await tx.cursor_of(writes.ADD_TENDERS, _tender_columns(ids, rows))
    facts = [(id_, row, _SETTLED[row.state]) for id_, row in zip(ids, rows, strict=True) if row.state in _SETTLED]
    if facts:
        await tx.cursor_of(
            writes.ADD_ENTRIES,
            {
                "ids": [new_id() for _ in facts],
                "tenders": [id_ for id_, _, _ in facts],
                "kinds": [kind.value for _, _, kind in facts],
                "amounts": [row.amount for _, row, _ in facts],
                "references": [row.reference or "intake" for _, row, _ in facts],
                "times": [row.occurred_at for _, row, _ in facts],
                "actor": tx.actor.label,
                "favour": False,
            },
        )
    tenders: dict[UUID, list[Tender]] = {}
    for id_, row in zip(ids, rows, strict=True):
        sums = Sums()
        if row.state in _SETTLED:
            sums = sums.plus(_SETTLED[row.state], row.amount)
        tenders.setdefault(row.order_id, []).append(Tender(id_, row.position, TenderKind(row.kind), row.amount, sums))
    totals = {o: (payable or {}).get(o, sum(t.amount for t in own)) for o, own in tenders.items()}
    moved = {o: (rules.state_of(totals[o], totals[o], own), rules.sum_up(own)) for o, own in tenders.items()}
    await tx.cursor_of(writes.MOVE_SUMS, _sums(moved))
    too_much = [o for o, (_state, sums) in moved.items() if sums.captured > totals[o]]
    if too_much:
        await tx.cursor_of(writes.MARK_REFUND_DUE, {"orders": too_much})


def _tender_columns(ids: Sequence[UUID], rows: Sequence[NewTender]) -> dict[str, Any]:
    return {
        "ids": list(ids),
        "orders": [r.order_id for r in rows],
        "positions": [r.position for r in rows],
        "kinds": [r.kind for r in rows],
        "amounts": [r.amount for r in rows],
        "references": [r.reference for r in rows],
        "installments": [r.installments for r in rows],
        "expiries": [r.expires_at for r in rows],
    }


def _sums(moved: Mapping[UUID, tuple[PaymentState, Sums]]) -> dict[str, Any]:
    orders = sorted(moved)
    columns: dict[str, Any] = {"orders": orders, "states": [moved[o][0].value for o in orders]}
    for name in Sums.__struct_fields__:
        columns[name] = [getattr(moved[o][1], name) for o in orders]
    return columns


def identities_of(said: Iterable[tuple[str, str | None, str]]) -> list[str]:
    """Return what tells payments from those of all other orders (`rules.identity_of`), each once.

    `said` are kind, reference and state of each; those that nobody made yet are on no order.
    """
    found = (rules.identity_of(kind, reference) for kind, reference, state in said if state in _SETTLED)
    return list(dict.fromkeys(identity for identity in found if identity is not None))


async def claimed_by(tx: Tx, identities: Iterable[str]) -> dict[str, tuple[UUID, int]]:
    """Return on which orders payments are recorded, of those that are on one, and the channels of these."""
    wanted = sorted(set(identities))
    if not wanted:
        return {}
    return {
        said: (order, channel) for said, order, channel in await tx.tuples(writes.CLAIMED_BY, {"references": wanted})
    }


async def queue_claims(tx: Tx, made: Mapping[str, UUID]) -> AsyncCursor[tuple[Any, ...]]:
    """Take payments for new orders; answers, after the pipeline, those that were on no order yet."""
    return await tx.cursor_of(
        writes.CLAIM_PAYMENTS, {"references": list(made), "orders": [made[identity] for identity in made]}
    )


async def add_tender(tx: Tx, order_id: UUID, tender: NewTender, *, told: bool = False) -> Standing:
    """Record that the customer pays with something more. `position` is given by us, `order_id` is the argument's.

    A payment that has a reference is known by it and its kind: told again it adds no tender, and what happened on it
    since is recorded on the one there is. `told`: see `record_fact`.

    Raises:
        Invalid: the amount is not between 1 centavo and 10 billion, or the currency's.
        FactDiffers: the payment was recorded with another amount.
        PaymentElsewhere: it paid another order, and nobody told of it but who records it.
    """
    order = await ordering.lock_order(tx, order_id)
    _check_amount(tender.amount)
    if tender.reference is not None and not told:
        _check_reference(tender.reference)
    tender = msgspec.structs.replace(tender, reference=rules.named(tender.reference))
    key = {"order_id": order_id, "kind": tender.kind, "reference": tender.reference}
    if tender.reference is not None and (known := await tx.tuples(writes.FIND_TENDER, key)):
        return await _told_again(tx, order, tender, *known[0], told=told)
    tenders = (await _tenders_of(tx, [order_id]))[order_id]
    position = 1 + max((t.position for t in tenders), default=0)
    id_ = new_id()
    row = msgspec.structs.replace(tender, order_id=order_id, position=position)
    await tx.execute(writes.ADD_TENDERS, _tender_columns([id_], [row]))
    added = Tender(id_, position, TenderKind(row.kind), row.amount, Sums())
    state = rules.state_of(order.total, order.payable, [*tenders, added])
    await tx.execute(writes.MOVE_SUMS, _sums({order_id: (state, Sums())}))
    event = TenderAdded(id=order_id, seq=0, position=position, tender=row.kind, amount=row.amount, state=state.value)
    await ordering.record(tx, event)
    if row.state in _SETTLED:
        fact = Fact(
            position=position,
            kind=_SETTLED[row.state],
            amount=row.amount,
            reference=row.reference or str(id_),
            occurred_at=row.occurred_at,
        )
        return await record_fact(tx, order_id, fact, told=told)
    return _standing(order, [*tenders, added], state)


async def _told_again(tx: Tx, order: Order, tender: NewTender, position: int, amount: int, *, told: bool) -> Standing:
    reference = tender.reference or ""
    if amount != tender.amount:
        recorded, said = Money(amount, order.currency), Money(tender.amount, order.currency)
        raise FactDiffers(reference=reference, recorded=recorded, amount=said)
    if tender.state not in _SETTLED:
        return msgspec.structs.replace(await standing(tx, order.id), repeated=True)
    kind = _SETTLED[tender.state]
    fact = Fact(position=position, kind=kind, amount=amount, reference=reference, occurred_at=tender.occurred_at)
    return await record_fact(tx, order.id, fact, told=told)


async def record_fact(tx: Tx, order_id: UUID, fact: Fact, *, told: bool = False) -> Standing:
    """Record what happened on a tender; the same fact again changes nothing.

    One payment pays one order, as far as its reference tells it apart (`rules.identity_of`). What a channel told
    (`told`) is recorded all the same, and the order waits for a person; of two orders of one channel neither does, for
    a shop parts what was bought and paid at once. For the same reason a program may record it on both.

    Raises:
        Invalid: what is called a favour is no refund.
        PaymentElsewhere: the payment is recorded on another order, and no channel told it of this one.
        TenderNotFound: the order has no tender at this position.
        FactDiffers: the fact was recorded with another amount.
        NotAFavour: the refund was recorded as one of what was due.
        AuthorisedTooMuch, CapturedTooMuch, RefundedTooMuch, ChargedBackTooMuch, VoidedTooMuch: the tender cannot have
            it.
    """
    order = await ordering.lock_order(tx, order_id)
    _check_amount(fact.amount)
    if fact.favour and fact.kind is not FactKind.REFUNDED:
        refuse([Flaw("favour", N_("Only what is refunded is a favour."))])
    if not told:
        _check_reference(fact.reference)
    fact = msgspec.structs.replace(fact, reference=rules.named(fact.reference) or "")
    tenders = (await _tenders_of(tx, [order_id]))[order_id]
    tender = next((t for t in tenders if t.position == fact.position), None)
    if tender is None:
        raise TenderNotFound(number=order.number, position=fact.position)
    key = {"tender_id": tender.id, "kind": fact.kind.value, "reference": fact.reference}
    if known := await tx.tuples(writes.FIND_ENTRY, key):
        [(recorded, favour)] = known
        if fact.favour and not favour:
            raise NotAFavour(reference=fact.reference)
        if recorded != fact.amount:
            raise FactDiffers(
                reference=fact.reference,
                recorded=Money(recorded, order.currency),
                amount=Money(fact.amount, order.currency),
            )
        state = rules.state_of(order.total, order.payable, tenders)
        return msgspec.structs.replace(_standing(order, tenders, state), repeated=True)
    rules.check_fact(fact.kind, fact.amount, tender.amount, tender.sums, order.currency)
    await _claim(tx, order, tender.kind, fact, told=told)
    await tx.execute(
        writes.ADD_ENTRIES,
        {
            "ids": [new_id()],
            "tenders": [tender.id],
            "kinds": [fact.kind.value],
            "amounts": [fact.amount],
            "references": [fact.reference],
            "times": [fact.occurred_at],
            "actor": tx.actor.label,
            "favour": fact.favour,
        },
    )
    tenders = (await _tenders_of(tx, [order_id]))[order_id]
    state = rules.state_of(order.total, order.payable, tenders)
    await tx.execute(
        writes.MOVE_SUMS, _sums({order_id: (state, Sums().plus(fact.kind, fact.amount, favour=fact.favour))})
    )
    await tx.execute(writes.MARK_REFUND_DUE, {"orders": [order_id]})
    event = _EVENTS[fact.kind](
        id=order_id,
        seq=0,
        position=fact.position,
        tender=tender.kind.value,
        amount=fact.amount,
        reference=fact.reference,
        state=state.value,
    )
    if isinstance(event, PaymentRefunded):
        event = msgspec.structs.replace(event, favour=fact.favour)
    await ordering.record(tx, event)
    return _standing(order, tenders, state)


async def _claim(tx: Tx, order: Order, kind: TenderKind, fact: Fact, *, told: bool) -> None:
    """Take the payment for its order, where its reference tells it apart.

    The other order is looked at without its lock: who holds that may be waiting for ours.
    """
    identity = rules.identity_of(kind, fact.reference) if fact.kind in _SETTLED.values() else None
    if identity is None:
        return
    await (await queue_claims(tx, {identity: order.id})).fetchall()
    other_id, channel_id = (await claimed_by(tx, [identity]))[identity]
    if other_id == order.id or (channel_id == order.channel_id and (told or tx.actor.kind == "key")):
        return
    if not told:
        raise await _refusal(tx, fact.reference, other_id)
    await order_holds.ensure_holds(tx, {order.id: {"reference": identity}}, HoldKind.PAYMENT_ELSEWHERE)


async def elsewhere(
    tx: Tx, identity: str | None, reference: str, order_id: UUID | None = None
) -> PaymentElsewhere | None:
    """Return the refusal of a payment that is recorded on another order, which it names to whom it concerns.

    `order_id`: the order that is paid; None: one that is yet to be placed.
    """
    found = (await claimed_by(tx, [identity])).get(identity) if identity else None
    return None if found is None or found[0] == order_id else await _refusal(tx, reference, found[0])


async def _refusal(tx: Tx, reference: str, other_id: UUID) -> PaymentElsewhere:
    other = await ordering.look_at(tx, other_id)
    if await ordering.seen_of(tx, [other]):
        return PaymentElsewhere(reference=reference, other=other.number)
    return PaymentElsewhereUnseen(reference=reference)


async def record_given_back(tx: Tx, order_id: UUID, reference: str, *, seen: int | None = None) -> int:
    """Record that what is due of an order was given back, under one reference; returns the centavos.

    The payment that can give back all of it does, the last if several can; else those that can give the most, first.
    `seen`: the centavos that were due when somebody gave them back.

    Raises:
        NoRefundDue: nothing is to be given back.
        RefundDueDiffers: what is due is no longer what was seen.
        FactDiffers, ReferenceTaken: a refund was recorded under this reference before.
    """
    order = await ordering.lock_order(tx, order_id)
    tenders = (await _tenders_of(tx, [order_id]))[order_id]
    due = rules.refund_due(order.payable, rules.sum_up(tenders))
    if not due:
        raise NoRefundDue(number=order.number)
    if seen is not None and due != seen:
        then, now = Money(seen, order.currency), Money(due, order.currency)
        raise RefundDueDiffers(number=order.number, seen=then, due=now)
    for position, amount in rules.shares_of_refund(due, tenders):
        fact = Fact(position=position, kind=FactKind.REFUNDED, amount=amount, reference=reference)
        # What is due was given back after what is recorded: the same amount again is no repetition of it.
        if (await record_fact(tx, order_id, fact)).repeated:
            raise ReferenceTaken(number=order.number, reference=reference)
    return due


def _check_reference(reference: str) -> None:
    """Refuse a reference of nothing but spaces: the same payment would be recorded once more by each number of them."""
    says, mend = N_("The reference is empty."), N_("Write what the payment is known by, such as its number there.")
    refuse([] if rules.named(reference) else [Flaw("reference", says, mend)])


def _check_amount(amount: int) -> None:
    if not 0 < amount <= MOST:
        refuse([Flaw("amount", N_("The amount must be between 1 centavo and 10 billion."))])


async def standing(tx: Tx, order_id: UUID) -> Standing:
    """Return how an order's payment stands now. Locks the order: the answer is for deciding."""
    order = await ordering.lock_order(tx, order_id)
    tenders = (await _tenders_of(tx, [order_id]))[order_id]
    return _standing(order, tenders, rules.state_of(order.total, order.payable, tenders))


def _standing(order: Order, tenders: Sequence[Tender], state: PaymentState) -> Standing:
    sums = rules.sum_up(tenders)
    return Standing(
        state=state,
        payable=order.payable,
        authorised=sums.authorised,
        captured=sums.captured,
        refunded=sums.refunded,
        voided=sums.voided,
        charged_back=sums.charged_back,
        favour=sums.favour,
        refund_due=rules.refund_due(order.payable, sums),
        lost=rules.lost(sums),
    )


async def _tenders_of(tx: Tx, order_ids: Iterable[UUID]) -> dict[UUID, list[Tender]]:
    wanted = sorted(set(order_ids))
    tenders: dict[UUID, list[Tender]] = {order_id: [] for order_id in wanted}
    for order_id, id_, position, kind, amount, *sums, declined in await tx.tuples(
        writes.TENDERS_OF, {"orders": wanted}
    ):
        tenders[order_id].append(Tender(id_, position, TenderKind(kind), amount, Sums(*sums), declined))
    return tenders


async def coverage(tx: Tx, order_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Return the money each order's tenders secure: captured or still authorised, less refunds; 0 without tenders."""
    return {o: sum(t.standing.covered for t in own) for o, own in (await _tenders_of(tx, order_ids)).items()}


async def secured(tx: Tx, orders: Mapping[UUID, Order]) -> dict[UUID, Secured]:
    """Return whether the money of locked orders suffices for their goods to go on, or a person said that it does.

    A part that was given back as a favour lacks, and suffices.
    """
    policies = {c.id: PaymentPolicy(c.payment_policy) for c in await network.channels(tx)}
    tenders = await _tenders_of(tx, orders)
    covered = {o: sum(t.standing.covered for t in own) for o, own in tenders.items()}
    enough = {
        o: rules.is_payable_enough(order.payable, covered[o], policies[order.channel_id])
        or rules.is_favour(order.payable, covered[o], rules.standing_of(tenders[o]))
        for o, order in orders.items()
    }
    short = [o for o in orders if not enough[o]]
    waived = await ordering.overridden(tx, short, HoldKind.PAYMENT) if short else set()
    return {o: Secured(order.payable - covered[o], enough[o], o in waived) for o, order in orders.items()}


async def restate(tx: Tx, order_ids: Iterable[UUID]) -> None:
    """Derive the payment state of orders anew after what is payable changed. Locks them."""
    orders = await ordering.lock_orders(tx, order_ids)
    tenders = await _tenders_of(tx, orders)
    nothing = Sums()
    moved = {o: (rules.state_of(x.total, x.payable, tenders[o]), nothing) for o, x in orders.items() if tenders[o]}
    if moved:
        await tx.execute(writes.MOVE_SUMS, _sums(moved))
        await tx.execute(writes.MARK_REFUND_DUE, {"orders": sorted(moved)})


async def settle_holds(tx: Tx, order_ids: Iterable[UUID]) -> None:
    """Make the payment holds of orders agree with their money. Locks them.

    Enough is secured: the hold is lifted. Under `before_release`, not enough (a void, a refund, a decline) and no
    location works on the order yet: a hold is placed, unless a person has overridden one. Where one works on it, that
    is so when the money was taken back (`rules.is_taken_back`) and something is still there to be kept.
    """
    orders = await ordering.lock_orders(tx, order_ids)
    if not orders:
        return
    money = await secured(tx, orders)
    paid = [o for o in orders if money[o].enough]
    await order_holds.lift_holds(tx, paid, HoldKind.PAYMENT, N_("The payment is secured."))
    short = {o: x for o, x in orders.items() if not money[o].suffices and x.status != OrderStatus.CANCELLED}
    units, tenders = await ordering.units_of(tx, short), await _tenders_of(tx, short)
    missing = {
        o: {"missing": money[o].missing}
        for o, order in short.items()
        if is_untouched(units[o])
        or (
            any(u.state not in GONE and u.state is not UnitState.CANCELLED for u in units[o])
            and rules.is_taken_back(order.payable, order.payable - money[o].missing, rules.standing_of(tenders[o]))
        )
    }
    await order_holds.ensure_holds(tx, missing, HoldKind.PAYMENT)
