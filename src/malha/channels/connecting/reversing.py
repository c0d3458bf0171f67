"""Cancels and refunds that were done at the channel, recorded here once each.

What the channel says is a state: so many units of a line are cancelled, these refunds were made. It is compared with
what is known here, so it does not matter how often it is told, nor who cancelled first. What cannot be recorded (goods
that left, more money than came) is a problem with its reason, and keeps nothing else from being recorded. None of it is
told back: it is the connection that acts, and what a connection did is not told to it.
"""

import hashlib
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from malha.channels.connecting import reads
from malha.channels.contract import ExtOrder, ExtRefund, ExtState, RefundState
from malha.ordering import cancelling, holds, rules
from malha.ordering import service as ordering
from malha.ordering.errors import DocumentStands, NothingToCancel, UnitsLeft
from malha.ordering.model import GONE, CancelWish, HoldKind, UnitState
from malha.payments import reads as payment_reads
from malha.payments import service as payments
from malha.payments.model import Fact, FactKind
from malha.payments.reads import EntryRow, TenderRow
from malha.platform.db import Tx
from malha.platform.errors import MalhaError
from malha.platform.i18n import N_
from malha.platform.ids import UUID

REASON = "cancelled at the channel"
LONGEST_REFERENCE = 200
_KEEPING = frozenset({"changed", "left", "declined"})


class Problem(msgspec.Struct, frozen=True):
    """What cannot be recorded; `cause` is a key of `rules.FIXES`."""

    cause: str
    why: str


def is_any(order: ExtOrder) -> bool:
    """Tell whether the channel took anything back of an order."""
    return order.state is ExtState.CANCELLED or bool(order.refunds) or any(line.cancelled for line in order.lines)


async def record(tx: Tx, order_id: UUID, order: ExtOrder) -> list[Problem]:
    """Record what the channel took back since; return what cannot be. The order must be locked."""
    cancel = _cancel_whole if order.state is ExtState.CANCELLED else _cancel_units
    problems = await tried(tx, "left", lambda: cancel(tx, order_id, order))
    for refund in order.refunds:
        problems += await tried(tx, "payment", lambda refund=refund: _refund(tx, order_id, order.id, refund))  # type: ignore[misc]
    return problems


async def tried(tx: Tx, cause: str, do: Callable[[], Awaitable[list[str]]]) -> list[Problem]:
    """Return why something cannot be recorded: what it says, or the refusal, which leaves nothing of it behind."""
    try:
        async with tx.savepoint():
            return [Problem(cause, why) for why in await do()]
    except MalhaError as error:
        return [Problem(cause, str(error))]


async def _cancel_whole(tx: Tx, order_id: UUID, _order: ExtOrder) -> list[str]:
    try:
        async with tx.savepoint():
            await cancelling.cancel(tx, order_id, reason=REASON)
    except NothingToCancel:
        pass
    except (UnitsLeft, DocumentStands) as error:  # the rest need not leave too
        lines = (await ordering.lines_of(tx, [order_id]))[order_id]
        open_ = [u for u in (await ordering.units_of(tx, [order_id]))[order_id] if rules.is_cancellable(u)]
        wishes = [CancelWish(line.line, count) for line in lines if (count := rules.whole_units(line, open_))]
        if wishes:
            await cancelling.cancel(tx, order_id, reason=REASON, wishes=wishes)
        return [str(error)]
    return []


async def keep(tx: Tx, order_id: UUID, order: ExtOrder, content: bytes | None, problems: Sequence[Problem]) -> None:
    """Let nothing more of an order leave while a person has to look at what its channel says of it now.

    Once a person lifted the hold, the same told again places none. It is lifted when both sides agree.
    """
    if not any(problem.cause in _KEEPING for problem in problems):
        if not problems:
            await holds.lift_holds(tx, [order_id], HoldKind.CHANNEL_CHANGE, N_("The channel and the order agree."))
        return
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    if all(u.state in GONE or u.state is UnitState.CANCELLED for u in units):
        return
    said = [problem.why for problem in problems if problem.cause == "declined"]
    said += [order.state.value, *(f"{line.id or line.sku} {line.cancelled}" for line in order.lines if line.cancelled)]
    told = hashlib.sha256("\n".join(said).encode() + b"\n" + (content or b"")).hexdigest()[:32]
    asked = {"order_id": order_id, "kind": HoldKind.CHANNEL_CHANGE.value, "told": told}
    if not await tx.value(reads.HELD_FOR, asked):
        await holds.ensure_holds(tx, {order_id: {"told": told}}, HoldKind.CHANNEL_CHANGE)
        await holds.restate_hold(tx, order_id, HoldKind.CHANNEL_CHANGE, {"told": told})


async def _cancel_units(tx: Tx, order_id: UUID, order: ExtOrder) -> list[str]:
    if not any(line.cancelled for line in order.lines):
        return []
    lines = {line.line: line for line in (await ordering.lines_of(tx, [order_id]))[order_id]}
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    names = (await reads.order_lines(tx, [str(order_id)])).get(str(order_id), {})
    gone = {
        n: rules.whole_units(line, [u for u in units if u.line == n and u.state is UnitState.CANCELLED])
        for n, line in lines.items()
    }
    problems: list[str] = []
    for said in order.lines:
        if not said.cancelled:
            continue
        mine = [n for n, (sku, id_) in names.items() if (id_ == said.id if said.id else sku == said.sku)]
        if len(mine) != 1:
            problems.append(f"{said.cancelled} units were cancelled of a line that is not here: {said.id or said.sku}")
            continue
        more = said.cancelled - gone[mine[0]]
        if more > 0:  # fewer: what was cancelled here is not there yet
            problems += await _cancel_line(tx, order_id, CancelWish(mine[0], more))
    return problems


async def _cancel_line(tx: Tx, order_id: UUID, wish: CancelWish) -> list[str]:
    try:
        async with tx.savepoint():
            await cancelling.cancel(tx, order_id, reason=REASON, wishes=[wish])
    except MalhaError as error:
        return [str(error)]
    return []


async def _refund(tx: Tx, order_id: UUID, external_id: str, said: ExtRefund) -> list[str]:
    back = [entry for entry in await payment_reads.entries(tx, order_id) if entry.kind == FactKind.REFUNDED]
    recorded = [entry.amount for entry in back if entry.reference == said.id]
    if said.state is RefundState.FAILED and recorded:
        return [f"refund {said.id} failed after it was recorded"]
    if said.state is not RefundState.DONE or said.amount == 0:
        return []
    if recorded:
        return [] if sum(recorded) == said.amount else [f"refund {said.id} is recorded with another amount"]
    rows = await payment_reads.tenders(tx, order_id)
    shares = _shares(rows, said)
    if not shares:
        return [f"refund {said.id} is of a payment that is not here: {said.payment or 'none has so much left'}"]
    favour = said.favour or await _asked_as_favour(tx, external_id, said, back)
    for position, amount in shares:
        fact = Fact(
            position=position,
            kind=FactKind.REFUNDED,
            amount=amount,
            reference=said.id,
            occurred_at=said.refunded_at,
            favour=favour,
        )
        await payments.record_fact(tx, order_id, fact)
    return []


async def _asked_as_favour(tx: Tx, external_id: str, said: ExtRefund, back: Sequence[EntryRow]) -> bool:
    """Tell whether we asked for a refund as a favour: most channels do not keep why money went back."""
    ours: dict[str, int] = {}  # one may have been given back on several payments
    for entry in back:
        if entry.favour and entry.actor == tx.actor.label:
            ours[entry.reference] = ours.get(entry.reference, 0) + entry.amount
    asked = {
        "entity": f"order:{external_id}",
        "reference": said.id,
        "amount": said.amount,
        "recorded": sum(amount == said.amount for amount in ours.values()),
        "actor": tx.actor.label,
    }
    return bool(await tx.value(reads.ASKED_AS_FAVOUR, asked))


def _shares(rows: Sequence[TenderRow], said: ExtRefund) -> list[tuple[int, int]]:
    """Return by which payments a refund went back, as (position, centavos); none: they cannot have given so much.

    Where the channel does not say, it is the first of which so much is left; else several together, those with the most
    first. What a bank fetched back is left of none, unless nothing else could have been given back.
    """
    if said.payment:
        wanted = said.payment.strip()[:LONGEST_REFERENCE]
        return [(row.position, said.amount) for row in rows if (row.reference or "").strip() == wanted][:1]
    if alone := [row.position for row in rows if row.refundable >= said.amount]:
        return [(alone[0], said.amount)]
    shares, left = [], said.amount
    for row in sorted(rows, key=lambda row: (-row.refundable, row.position)):
        if part := min(row.refundable, left):
            shares.append((row.position, part))
            left -= part
    if not left:
        return shares
    return [(row.position, said.amount) for row in rows if row.captured - row.refunded >= said.amount][:1]
