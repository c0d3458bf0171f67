"""Orders of peers become orders of ours: once, however often they are told, and never guessed.

The first time an order is told it goes through the gate like any other; what a person must say once (which of ours a
variant is, what their word for a way to pay means) keeps it waiting. Later it is compared with what was taken:
payments, cancels and refunds are recorded, any other change waits for a person.
"""

import functools
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.channels.connecting import fields, mapping_rules, reads, reversing, writes
from malha.channels.connecting.mapping_rules import Seen
from malha.channels.connecting.model import InboxState, Linked
from malha.channels.connecting.runtime import Runtime
from malha.channels.contract import ExtOrder, ExtPayment, ExtState, Invalid, PaidState, RefundState, Retryable
from malha.intake.errors import OrderDiffers
from malha.intake.gate import Gate
from malha.intake.model import NewOrder
from malha.network import reads as network
from malha.network import retailer
from malha.ordering import details
from malha.ordering import reads as order_reads
from malha.ordering import service as ordering
from malha.payments import reads as payment_reads
from malha.payments import service as payments
from malha.payments.model import Fact, FactKind, NewTender, TenderKind
from malha.platform.db import Actor, Tx
from malha.platform.errors import FieldError, MalhaError
from malha.platform.ids import UUID

ENTITY = "order"
CANCELLED = "cancelled_order"  # of which nobody had heard before: bound to nothing, for its version
TENDER = "payment"
Words = dict[tuple[str, str], str | None]  # (kind, their word): ours, None where nobody said yet
HASH = 32  # bytes
_encode = msgspec.json.Encoder(order="deterministic").encode
_FACTS = {
    PaidState.AUTHORISED: FactKind.AUTHORISED,
    PaidState.CAPTURED: FactKind.CAPTURED,
    PaidState.DECLINED: FactKind.DECLINED,
}


class Unmapped(Exception):
    """Words and variants of the peer that nobody mapped yet, as `payment:cc` and `listing:BLUE-M`."""

    def __init__(self, wants: Sequence[str], seen: Sequence[Seen] = ()) -> None:
        self.wants = list(wants)
        self.seen = list(seen)
        super().__init__(", ".join(wants))


class Parked(Exception):
    """It waits for a person; `cause` is a key of `rules.FIXES`."""

    def __init__(self, cause: str, why: str) -> None:
        self.cause = cause
        self.why = why
        super().__init__(why)


def actor_of(connection: Linked) -> Actor:
    """Return who acts when a connection does."""
    return Actor("connection", connection.code, connection.name)


class _New(msgspec.Struct):
    """An order as the gate takes it; `content` stands for what a person must look at when it changes."""

    order: NewOrder
    words: Words
    content: bytes


async def take(runtime: Runtime, gate: Gate, connection: Linked, order: ExtOrder) -> InboxState:
    """Make an order ours, or bring it up to what the peer says now; return what became of it.

    Raises:
        Unmapped, Parked: it waits for a person; what of it could be recorded is.
        Retryable: the gate is full.
        MalhaError: it was refused.
    """
    refuse_unknown(connection, order)
    became = await _known(runtime, connection, order)
    if isinstance(became, _New):
        placed = await _place(gate, connection, became.order)
        async with runtime.db.transaction(actor_of(connection)) as tx:
            if placed is None:  # it was here already, otherwise than now: we died between the gate and the binding
                became = await _other(tx, connection, order, became) or await _update(tx, connection, order, became)
            else:
                became = await _bound(tx, connection, order, placed, became.content)
    if not isinstance(became, list):
        return became
    if became:
        raise Parked(became[0].cause, "; ".join(problem.why for problem in became))
    return InboxState.DONE


async def _known(runtime: Runtime, connection: Linked, order: ExtOrder) -> _New | InboxState | list[reversing.Problem]:
    """Bring an order up to date that is here; return what became of it, or the order to submit where it is not."""
    async with runtime.db.transaction(actor_of(connection)) as tx:
        known = await reads.binding(tx, connection.id, ENTITY, order.id)
        if known is not None and known.remote_version is not None and known.remote_version >= order.version:
            return InboxState.STALE
        if order.state is ExtState.CANCELLED and (known is None or not order.lines):
            if await _exists(tx, connection, order):
                return await _update(tx, connection, order)
            # Its cancel may have overtaken it: what was said of it before makes it no order.
            await _bind(tx, connection, order, order.id, None, order.version, entity=CANCELLED)
            return InboxState.DONE
        if known is None:
            gone = await reads.binding(tx, connection.id, CANCELLED, order.id)
            if gone is not None and (gone.remote_version or 0) >= order.version:
                return InboxState.STALE
        if known is None and order.sent and not await _exists(tx, connection, order):
            raise Parked("refused", "some of it left before it came here: here it would be sent again")
        rules = (await fields.newest(tx, [connection.id]))[connection.id]
        ruled = fields.ruled(rules, order, (await retailer.zone(tx)).key)
        if known is None:
            refuse_unfilled(ruled)
        words, found = await _understood(tx, connection, ruled.order, first=known is None)
        new = _mapped(connection, ruled, words, found)
        if known is not None:
            return await _update(tx, connection, order, new)
    return new


async def _bound(
    tx: Tx, connection: Linked, order: ExtOrder, order_id: UUID, content: bytes
) -> list[reversing.Problem]:
    """Bind an order that was taken just now, and record what the channel took back of it before we heard of it."""
    problems: list[reversing.Problem] = []
    if reversing.is_any(order):
        await ordering.lock_order(tx, order_id)
        problems = await reversing.record(tx, order_id, order)
    # With a problem the version stays open: the same one is looked at again when a person says so.
    await _bind(tx, connection, order, order_id, content, None if problems else order.version)
    return problems


def refuse_unfilled(ruled: fields.Ruled) -> None:
    """Refuse an order of which a field rule cannot fill its field.

    Raises:
        Parked: it waits until the rule or the order is mended.
    """
    if ruled.failed:
        raise Parked("field", "; ".join(each.text() for each in ruled.failed[:5]))


def refuse_unknown(connection: Linked, order: ExtOrder) -> None:
    """Refuse what nobody can read: a status or the state of a payment that the connector does not know.

    Raises:
        Parked: it waits for a person.
    """
    if order.state is ExtState.UNKNOWN:
        raise Parked("unknown_status", f"status {order.status[:80]}")
    if any(p.state is PaidState.UNKNOWN for p in order.payments):
        raise Parked("unknown_status", "a payment in a state that is not known")
    if any(r.state is RefundState.UNKNOWN for r in order.refunds):
        raise Parked("unknown_status", "a refund in a state that is not known")
    if order.currency != connection.currency:
        raise Parked("refused", f"{order.currency[:10]} on a channel in {connection.currency}")


# --- their words ---


async def _understood(
    tx: Tx, connection: Linked, order: ExtOrder, *, first: bool
) -> tuple[Words, Sequence[str | None]]:
    """Return what the order's words mean, and our SKU of each line.

    Raises:
        Unmapped: some mean nothing yet, words and lines told together: who maps them is not asked again and again.
    """
    (found,) = await skus_of(tx, [(connection, order)])
    # What is here already may be paid or cancelled, whatever was unmapped since.
    lines = _unmapped_lines(order, found) if first else None
    try:
        words = await _words(tx, connection, order)
    except Unmapped as error:
        raise Unmapped([*error.wants, *(lines.wants if lines else ())], lines.seen if lines else ()) from None
    if lines:
        raise lines
    return words, found


async def _words(tx: Tx, connection: Linked, order: ExtOrder) -> Words:
    """Return what the order's words mean.

    Raises:
        Unmapped: some mean nothing yet; they are noted for a person.
    """
    known: Words = {(m.kind, m.theirs): m.ours for m in await reads.methods(tx, connection.id)}
    if any(known.get(word) is None for word in said_of(order)):
        known = own_words(await network.services(tx)) | {w: ours for w, ours in known.items() if ours is not None}
    return words_of(order, known)


def said_of(order: ExtOrder) -> set[tuple[str, str]]:
    """Return the words of an order that somebody must know."""
    said = {(TENDER, p.method) for p in order.payments if p.state is not PaidState.DECLINED}
    if order.shipping_method and not order.pickup_location:
        said.add(("shipping", order.shipping_method))
    return said


def own_words(services: Sequence[Any]) -> Words:
    """Return our own words: one that is exactly one of ours means that, unless a person said otherwise."""
    own = [(TENDER, kind.value) for kind in TenderKind] + [("shipping", service.code) for service in services]
    return {word: word[1] for word in own}


def words_of(order: ExtOrder, known: Words) -> Words:
    """Return what the order's words mean, of what is known.

    Raises:
        Unmapped: some mean nothing yet.
    """
    missing = [word for word in said_of(order) if known.get(word) is None]
    if missing:
        raise Unmapped([f"{kind}:{word}" for kind, word in sorted(missing)])
    return known


async def note_wanted(tx: Tx, connection_id: int, wants: Sequence[str]) -> None:
    """Put words into the table that a person fills in."""
    pairs = [want.partition(":")[::2] for want in wants if not want.startswith(f"{mapping_rules.LISTING}:")]
    params = {"connection_id": connection_id, "kinds": [k for k, _ in pairs], "theirs": [w for _, w in pairs]}
    await tx.execute(writes.NOTE_METHODS, params)


# --- an order as the gate takes it ---


def _mapped(connection: Linked, ruled: fields.Ruled, words: Words, found: Sequence[str | None]) -> _New:
    new = new_order(connection, ruled, words, found)
    return _New(new, words, content_of(connection, ruled, words, found, new))


def refuse_unmapped(order: ExtOrder, found: Sequence[str | None]) -> None:
    """Refuse an order with a line that is none of ours yet; `found` is our SKU of each line.

    Raises:
        Unmapped: somebody says first what it is.
    """
    if (lines := _unmapped_lines(order, found)) is not None:
        raise lines


def _unmapped_lines(order: ExtOrder, found: Sequence[str | None]) -> Unmapped | None:
    unknown = mapping_rules.unmapped(order.lines, dict(enumerate(found)))
    return Unmapped([f"{mapping_rules.LISTING}:{seen.code}" for seen in unknown], unknown) if unknown else None


async def skus_of(tx: Tx, orders: Sequence[tuple[Linked, ExtOrder]]) -> list[list[str | None]]:
    """Return our SKU of each line of each order, None where nobody knows it."""
    lines = [(n, connection, line) for n, (connection, order) in enumerate(orders) for line in order.lines]
    rows = await tx.tuples(
        reads.FIND_SKUS,
        {
            "ns": list(range(len(lines))),
            "connections": [connection.id for _, connection, _ in lines],
            "channels": [connection.channel_id for _, connection, _ in lines],
            "items": [line.item for *_, line in lines],
            "skus": [line.sku for *_, line in lines],
            "gtins": [line.gtin for *_, line in lines],
        },
    )
    by_line: dict[int, str | None] = dict(rows)
    found: list[list[str | None]] = [[] for _ in orders]
    for at, (n, _, _) in enumerate(lines):
        found[n].append(by_line.get(at))
    return found


def new_order(connection: Linked, ruled: fields.Ruled, words: Words, found: Sequence[str | None]) -> NewOrder:
    """Return an order as the gate takes it; `found` is our SKU of each line.

    Raises:
        Invalid: it cannot be one.
    """
    order = ruled.order
    buyer, ship_to = order.buyer, order.ship_to
    service = words.get(("shipping", order.shipping_method))
    value: dict[str, Any] = {
        "channel": connection.channel,
        "external_id": order.id,
        "placed_at": order.placed_at,
        "currency": order.currency,
        "customer": {"name": buyer.name[:200], "document": buyer.document, "email": buyer.email, "phone": buyer.phone},
        "ship_to": None if ship_to is None else msgspec.structs.asdict(ship_to),
        "method": "pickup" if order.pickup_location else "ship",
        "pickup_location": order.pickup_location or None,
        "service": None if order.pickup_location else service,
        "shipping": order.shipping,
        "discount": order.discount,
        "total": order.total,
        "promised_at": order.promised_at,
        "customer_group": ruled.customer_group,
        "details": ruled.details,
        "lines": [
            {
                # What has no name at all goes in without one: the gate holds the order for it.
                "sku": (sku or line.sku or line.item or line.gtin or "?")[:80],
                "quantity": line.quantity,
                "unit_price": line.unit_price,
                "discount": line.discount,
                "name": line.name[:200],
                "external_id": line.id[:200] or None,
            }
            for sku, line in zip(found, order.lines, strict=True)
        ],
        "payments": [_payment(p, words) for p in order.payments if p.state is not PaidState.DECLINED and p.amount > 0],
    }
    try:
        return msgspec.convert(value, NewOrder)
    except msgspec.ValidationError as error:
        raise Invalid(str(error)) from None


def _payment(said: ExtPayment, words: Words) -> dict[str, Any]:
    return {
        "kind": words[TENDER, said.method],
        "amount": said.amount,
        "state": said.state.value,
        "reference": _reference(said),
        "installments": max(1, min(said.installments, 99)),
        "paid_at": said.paid_at,
        "expires_at": said.expires_at,
    }


def _reference(said: ExtPayment) -> str | None:
    return said.id.strip()[: reversing.LONGEST_REFERENCE] or None


def hash_of(order: NewOrder) -> bytes:
    """Return what stands for all that a person must look at when it changes.

    That is everything but how far it is paid, and what it says besides, which is brought up to date. An order has the
    hash that it had before there were such details.
    """
    body = _encode(msgspec.structs.replace(order, payments=[], details=None))
    return hashlib.sha256(body.removesuffix(b',"details":null}') + b"}").digest()


def content_of(
    connection: Linked, ruled: fields.Ruled, words: Words, found: Sequence[str | None], new: NewOrder
) -> bytes:
    """Return what stands for an order: of what the channel says, and where rules counted, which and of what they made.

    So an order is not another one because somebody changed a rule, but is where the channel changed what a rule reads.
    """
    if not ruled.version:
        return hash_of(new)
    try:
        told = hash_of(new_order(connection, fields.Ruled(ruled.told, ruled.told), words, found))
    except (Invalid, KeyError):  # only the rules make it an order
        told = bytes(HASH)
    return told + ruled.version.to_bytes(4, "big") + (hash_of(new) if not ruled.failed else b"")


def is_same(known: bytes, now: bytes) -> bool:
    """Tell whether two versions of an order are the same but for what rules changed; see `content_of`."""
    if known[:HASH] != now[:HASH]:
        return False
    known, now = known[HASH:], now[HASH:]
    compared = len(known) == len(now) == 4 + HASH and known[:4] == now[:4]
    return known == now if compared else True


async def _place(gate: Gate, connection: Linked, order: NewOrder) -> UUID | None:
    try:
        return (await gate.submit(order, actor=actor_of(connection))).id
    except OrderDiffers:
        return None
    except FieldError as error:
        said = [(p["at"], p["says"], p.get("facts", {})) for p in error.facts.get("problems", ())[:5]]
        problems = "; ".join(f"{at}: {says.format_map(facts)}" for at, says, facts in said)
        raise Parked("refused", f"{error} {problems}") from None
    except MalhaError as error:
        if error.status in {429, 503}:
            raise Retryable(str(error), after=2.0) from None
        raise


async def _bind(
    tx: Tx,
    connection: Linked,
    order: ExtOrder,
    ours: UUID | str,
    content: bytes | None,
    version: int | None,
    *,
    entity: str = ENTITY,
) -> None:
    await tx.execute(
        writes.BIND,
        {
            "connection_id": connection.id,
            "entity": entity,
            "internal_id": str(ours),
            "external_id": order.id,
            "version": version,
            "hash": content,
        },
    )


# --- an order that is here ---


async def _exists(tx: Tx, connection: Linked, order: ExtOrder) -> bool:
    return await _id_of(tx, connection, order) is not None


async def _id_of(tx: Tx, connection: Linked, order: ExtOrder) -> UUID | None:
    found: UUID | None = await tx.value(
        reads.ORDER_BY_KEY, {"channel_id": connection.channel_id, "external_id": order.id}
    )
    return found


async def _other(tx: Tx, connection: Linked, order: ExtOrder, said: _New) -> list[reversing.Problem]:
    """Return why an order that is here and was never bound is another one, and let nothing of it leave.

    Nothing is wrong where what was sold is the same: payments may have moved.
    """
    new, order_id = said.order, await _id_of(tx, connection, order)
    if order_id is None:
        return []
    found = await tx.tuples(reads.ORDER_SHAPE, {"order_id": order_id})
    lines = [f"{line.sku} {line.quantity} {line.unit_price} {line.discount}" for line in new.lines]
    total = sum(line.quantity * line.unit_price - line.discount for line in new.lines) - new.discount + new.shipping
    if found == [(total, lines)]:
        return []
    problems = [reversing.Problem("changed", "an order of this name is here with other lines or another total")]
    await ordering.lock_order(tx, order_id)
    await reversing.keep(tx, order_id, order, said.content, problems)
    return problems


async def _update(
    tx: Tx,
    connection: Linked,
    order: ExtOrder,
    new: _New | None = None,
) -> InboxState | list[reversing.Problem]:
    """Bring an order up to what the peer says now, under its lock; return what a person must look at.

    Raises:
        Parked: the order is gone.
    """
    order_id = await _id_of(tx, connection, order)
    if order_id is None:
        raise Parked("refused", "the order is bound and gone")
    await ordering.lock_order(tx, order_id)
    # Somebody else may have been quicker while we waited for the lock.
    known = await reads.binding(tx, connection.id, ENTITY, order.id)
    if known is not None and known.remote_version is not None and known.remote_version >= order.version:
        return InboxState.STALE
    content = None if new is None else new.content
    problems: list[reversing.Problem] = []
    # Of somebody who was erased only money and goods are followed: without them it is another order than was taken.
    erased = await order_reads.is_erased(tx, order_id)
    gone = order.state is ExtState.CANCELLED
    if gone:
        # What came before it was cancelled is to be given back, or was: money is no secret of who cancelled.
        problems += await _pay(tx, order_id, order, {} if new is None else new.words, here_only=new is None, gone=True)
    else:
        before = None if known is None or erased else known.content_hash
        changed = before is not None and not is_same(before, content or b"")
        if changed:
            why = f"version {order.version} of the order is another than the one that was taken"
            problems.append(reversing.Problem("changed", why))
        elif new is not None and new.order.details is not None and not erased:
            await details.set_details(tx, order_id, new.order.details)
        problems += await _pay(tx, order_id, order, {} if new is None else new.words, here_only=changed)
    problems += await reversing.record(tx, order_id, order)
    await reversing.keep(tx, order_id, order, content, problems)
    if not problems:
        await _bind(tx, connection, order, order_id, content, order.version)
    return problems


async def _pay(
    tx: Tx, order_id: UUID, order: ExtOrder, words: Words, *, here_only: bool, gone: bool = False
) -> list[reversing.Problem]:
    """Record what became of payments since, and return what does not fit; the same again changes nothing.

    `here_only`: payments that are not here yet may pay for what was changed at the channel; until that is done here
    too, they would be money to be given back. `gone`: it is cancelled there, so only money that came is looked at.
    """
    rows = list(await payment_reads.tenders(tx, order_id))
    problems: list[reversing.Problem] = []
    for said in order.payments:
        row = _row_of(rows, said, words)
        if row is None and (here_only or said.state is PaidState.DECLINED or said.amount <= 0):
            continue
        if row is None and gone and said.state is not PaidState.CAPTURED:
            continue
        if row is not None and said.state is PaidState.DECLINED and row.captured > row.refunded:
            why = f"payment {said.id} was captured, and the channel says now that it is declined"
            problems.append(reversing.Problem("declined", why))
            continue
        pay = functools.partial(_pay_one, tx, order_id, order, said, row, words)
        problems += await reversing.tried(tx, "payment", pay)
    return problems


async def _pay_one(tx: Tx, order_id: UUID, order: ExtOrder, said: ExtPayment, row: Any, words: Words) -> list[str]:
    if row is None:
        await payments.add_tender(tx, order_id, _tender(order_id, said, words, order.placed_at), told=True)
        return []
    if fact := _fact_of(row, said):
        await payments.record_fact(tx, order_id, fact, told=True)
    if fact := _given_up(row, said):
        await payments.record_fact(tx, order_id, fact, told=True)
    return []


def _given_up(row: Any, said: ExtPayment) -> Fact | None:
    """Return what is to be recorded of an authorisation of which no more will be captured; None where nothing is."""
    left = row.authorised - row.voided - max(row.captured, said.amount)
    if not said.given_up or said.state is not PaidState.CAPTURED or left <= 0:
        return None
    return Fact(position=row.position, kind=FactKind.VOIDED, amount=left, reference=_reference(said) or "")


def _fact_of(row: Any, said: ExtPayment) -> Fact | None:
    """Return what is to be recorded on a payment that is here; None where it stands as its channel says.

    A channel says how far the whole payment is. Of one that was authorised and is declined now, nothing is left; of one
    that is captured in parts, what is captured by now.
    """
    reference = _reference(said) or ""
    kind, amount = _FACTS.get(said.state), said.amount
    if kind is FactKind.DECLINED and row.authorised:
        kind, amount = FactKind.VOIDED, row.authorised - row.voided - row.captured
    elif kind is FactKind.CAPTURED and row.captured:
        reference, amount = f"{reference} {said.amount}".strip(), said.amount - row.captured
    elif kind is FactKind.AUTHORISED and (row.authorised or row.captured) >= said.amount:
        return None
    if kind is None or amount <= 0:
        return None
    return Fact(position=row.position, kind=kind, amount=amount, reference=reference, occurred_at=said.paid_at)


def _row_of(rows: list[Any], said: ExtPayment, words: Words) -> Any:
    """Return the payment that is here, and take it out of those that are left; None where it is none of them.

    One name may be of several, as where the channel gives them none: then its kind and its amount say which.
    """
    named = [row for row in rows if ((row.reference or "").strip() or None) == _reference(said)]
    if len(named) > 1 or not said.id:
        kind = words.get((TENDER, said.method))
        named = [row for row in named if row.amount == said.amount and kind in {row.kind, None}]
    if not named:
        return None
    rows.remove(named[0])
    return named[0]


def _tender(order_id: UUID, said: ExtPayment, words: Words, placed_at: datetime) -> NewTender:
    return NewTender(
        order_id=order_id,
        position=0,
        kind=words[TENDER, said.method] or "prepaid",
        amount=said.amount,
        state=said.state.value,
        reference=_reference(said),
        installments=max(1, min(said.installments, 99)),
        expires_at=said.expires_at,
        occurred_at=said.paid_at or placed_at,
    )
