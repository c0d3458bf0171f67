"""What a shopper may ask of their own order: to cancel it, or some of its units.

What no location works on yet is cancelled at once. What is being picked or packed cannot be stopped by a page: the
order is held, so that nothing leaves, and a person decides: who sees the hold cancels, or lifts it and tells the
customer why. What has left can only come back.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from malha.fulfillment import service
from malha.fulfillment.errors import CancelOvertaken
from malha.ordering import edits, holds, rules
from malha.ordering import service as ordering
from malha.ordering.errors import NothingToCancel, UnitsLeft
from malha.ordering.model import CancelWish, HoldKind, Line, Unit
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.ids import UUID

# What a hold says of a wish that waits under it, whoever placed it: sold units by line, and since when.
ASKED = "asked"
ASKED_AT = "asked_at"


class Outcome(StrEnum):
    """What became of the wish."""

    CANCELLED = "cancelled"  # the whole order
    PARTLY = "partly"  # the units asked for, not the whole order
    ASKED = "asked"  # held until a person decides
    ASKED_BEFORE = "asked_before"  # a person decides already of all that is asked for; nothing was written


def at_once(line: Line, units: Sequence[Unit]) -> int:
    """Return how many sold units of a line a shopper may cancel: those that no location works on."""
    return rules.whole_units(line, [u for u in units if u.state in rules.UNTOUCHED])


def on_request(line: Line, units: Sequence[Unit]) -> int:
    """Return for how many sold units of a line a shopper may ask: all that are neither gone nor cancelled."""
    return rules.still_here(line, units)


async def ask_to_cancel(
    tx: Tx,
    order_id: UUID,
    wishes: Sequence[CancelWish] | None,
    *,
    reason: str,
    note: str,
    seen: Mapping[int, int] | None = None,
) -> Outcome:
    """Cancel units, or ask for it, as an order stands now. `wishes` None: everything that has not left.

    While a wish waits, it stands with the hold: the same again writes nothing, and what goes beyond it is a note on the
    order. Nothing is lost, and one hold is enough. Once the hold is lifted it is answered, and may be asked anew.

    Args:
        tx: The transaction, in the shopper's name.
        order_id: The order.
        wishes: What to cancel, in sold units per line.
        reason: Why, for the timeline, where it is cancelled at once.
        note: What to tell the person who decides, where it is not.
        seen: Of how many sold units of a line the asker chose, by line.

    Raises:
        OrderNotFound: there is no such order.
        CancelOvertaken: it is another number by now.
        UnitsLeft: more is asked for than is still there.
        NothingToCancel: everything has left or is cancelled.
    """
    await ordering.lock_order(tx, order_id)
    lines = {line.line: line for line in (await ordering.lines_of(tx, [order_id]))[order_id]}
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    if any(n not in lines or on_request(lines[n], units) != count for n, count in (seen or {}).items()):
        raise CancelOvertaken
    asked = _quantities(lines, units, wishes)
    if all(at_once(lines[number], units) >= quantity for number, quantity in asked.items()):
        chosen = [CancelWish(number, quantity) for number, quantity in asked.items()]
        done = await service.cancel(tx, order_id, reason=reason, wishes=chosen)
        return Outcome.CANCELLED if done.whole else Outcome.PARTLY
    hold = (await ordering.open_holds(tx, [order_id]))[order_id].get(HoldKind.MANUAL)
    detail: dict[str, Any] = {"note": note.strip()} if hold is None else dict(hold.detail)
    before = {int(number): int(quantity) for number, quantity in detail.get(ASKED, {}).items()}
    if all(before.get(number, 0) >= quantity for number, quantity in asked.items()):
        return Outcome.ASKED_BEFORE
    if hold is None:
        await holds.place_hold(tx, order_id, HoldKind.MANUAL, note=note)
    else:
        await edits.add_note(tx, order_id, note)
    most = before | {number: max(quantity, before.get(number, 0)) for number, quantity in asked.items()}
    detail |= {ASKED: {str(number): quantity for number, quantity in most.items()}}
    detail.setdefault(ASKED_AT, now().isoformat())
    await holds.restate_hold(tx, order_id, HoldKind.MANUAL, detail)
    return Outcome.ASKED


def _quantities(lines: dict[int, Line], units: Sequence[Unit], wishes: Sequence[CancelWish] | None) -> dict[int, int]:
    open_ = {number: on_request(line, units) for number, line in lines.items()}
    if wishes is None:
        asked = {number: quantity for number, quantity in open_.items() if quantity}
    else:
        asked = {wish.line: wish.quantity or 0 for wish in wishes if wish.quantity and wish.line in lines}
    if not asked:
        raise NothingToCancel
    for number, quantity in asked.items():
        if quantity > open_[number]:
            raise UnitsLeft(line=number, quantity=quantity - open_[number])
    return asked
