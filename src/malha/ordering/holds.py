"""What holds an order up: placed, stated anew and resolved. A resolved hold can be placed again."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from malha.ordering import writes
from malha.ordering.errors import HoldAlreadyOpen, HoldAutomatic, HoldNotOpen, NothingToHold
from malha.ordering.events import HoldPlaced, HoldResolved
from malha.ordering.model import AUTOMATIC_HOLDS, HoldKind, OrderStatus, word_of
from malha.ordering.service import _encode, lock_order, restate
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID, new_id


async def place_hold(tx: Tx, order_id: UUID, kind: HoldKind, *, note: str = "", expected: int | None = None) -> None:
    """Stop an order for a reason, by hand: it is not released, and under some kinds nothing leaves.

    Raises:
        HoldAlreadyOpen: the order has an open hold of this kind.
        HoldAutomatic: the kind is placed and lifted by its cause only.
        NothingToHold: the order is cancelled.
    """
    order = await lock_order(tx, order_id, expected)
    if kind in AUTOMATIC_HOLDS:
        raise HoldAutomatic(kind=word_of(kind))
    if order.status == OrderStatus.CANCELLED:
        raise NothingToHold(number=order.number)
    if not await ensure_holds(tx, {order_id: {"note": note.strip()} if note.strip() else {}}, kind):
        raise HoldAlreadyOpen(number=order.number, kind=word_of(kind))


async def ensure_holds(tx: Tx, details: Mapping[UUID, Mapping[str, Any]], kind: HoldKind) -> set[UUID]:
    """Place a hold on locked orders that do not have one of its kind; return those that got it. `details` by order."""
    orders = sorted(details)
    if not orders:
        return set()
    columns = {
        "ids": [new_id() for _ in orders],
        "orders": orders,
        "details": [_encode(details[o]).decode() for o in orders],
        "kind": kind.value,
        "actor": tx.actor.label,
    }
    placed = set(await tx.values(writes.PLACE_HOLDS, columns))
    events = [
        HoldPlaced(id=o, seq=0, kind=kind.value, note=str(details[o].get("note", ""))) for o in orders if o in placed
    ]
    if placed:
        await restate(tx, placed, *events)
    return placed


async def restate_hold(tx: Tx, order_id: UUID, kind: HoldKind, detail: Mapping[str, Any]) -> None:
    """Let an open hold of a locked order say something else of its cause; nothing where there is none."""
    said = {"order_id": order_id, "kind": kind.value, "detail": _encode(detail).decode()}
    await tx.execute(writes.RESTATE_HOLD, said)


async def resolve_hold(
    tx: Tx,
    order_id: UUID,
    kind: HoldKind,
    *,
    resolution: str = "",
    force: bool = False,
    expected: int | None = None,
) -> None:
    """Resolve an open hold by hand. It can be placed again; an overridden payment hold is not, unless by a person.

    Args:
        tx: The transaction.
        order_id: The order.
        kind: Which hold.
        resolution: Why it may be lifted; required with `force`.
        force: Override a hold that only its cause lifts; the edge checked the permission.
        expected: The version the asker saw.

    Raises:
        HoldNotOpen: the order has no open hold of this kind; none is made.
        HoldAutomatic: its cause lifts it, and `force` is not set.
    """
    order = await lock_order(tx, order_id, expected)
    if kind in AUTOMATIC_HOLDS and not force:
        raise HoldAutomatic(kind=word_of(kind))
    if kind in AUTOMATIC_HOLDS:
        _require_reason(resolution)
    lifted = await _lift(tx, [order_id], [kind], resolution.strip(), forced=kind in AUTOMATIC_HOLDS)
    if not lifted:
        raise HoldNotOpen(number=order.number, kind=word_of(kind))
    await restate(tx, [order_id], *lifted)


async def lift_holds(tx: Tx, order_ids: Iterable[UUID], kind: HoldKind, resolution: str) -> set[UUID]:
    """Resolve a hold of locked orders whose cause is gone; orders without it are left alone.

    Returns those that had it.
    """
    lifted = await _lift(tx, sorted(set(order_ids)), [kind], resolution)
    if lifted:
        await restate(tx, [event.id for event in lifted], *lifted)
    return {event.id for event in lifted}


async def _lift(
    tx: Tx, orders: Sequence[UUID], kinds: Sequence[HoldKind] | None, resolution: str, *, forced: bool = False
) -> list[HoldResolved]:
    columns = {
        "orders": list(orders),
        "kinds": None if kinds is None else [kind.value for kind in kinds],
        "resolution": resolution,
        "actor": tx.actor.label,
        "forced": forced,
    }
    return [
        HoldResolved(id=order_id, seq=0, kind=kind, resolution=resolution, forced=forced)
        for order_id, kind in sorted(await tx.tuples(writes.RESOLVE_HOLDS, columns))
    ]


def _require_reason(text: str) -> None:
    refuse([] if text.strip() else [Flaw("reason", N_("This needs a reason."), N_("Say why in a few words."))])
