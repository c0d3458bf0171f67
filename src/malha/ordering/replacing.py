"""Retiring units that cannot be had and putting another SKU in their place, as a line of its own.

What was sold stays on record: the old line keeps its quantity and price, its retired units are cancelled, and the new
line says which one it replaces. Finding the new units a location is the caller's: without one it rolls back.
"""

from collections.abc import Mapping, Sequence

import msgspec

from malha.inventory import service as inventory
from malha.inventory.model import Reason, Reference
from malha.ordering import cancelling, replacement, replacing_writes, rules, service, writes
from malha.ordering.errors import NothingWaits
from malha.ordering.events import LineReplaced
from malha.ordering.model import WAITING, Line, Move, Order, Unit, UnitState
from malha.platform.db import Tx


class Goods(msgspec.Struct, frozen=True, kw_only=True):
    """The SKU that stands in; `price` in centavos by the catalogue, `components` of a kit."""

    sku_id: int
    sku: str
    name: str
    price: int | None
    components: Mapping[int, int]


def waiting(line: Line, units: Sequence[Unit]) -> int:
    """Return how many sold units of a line wait for stock, whole ones only."""
    if line.sku_id is None:
        return 0
    return rules.whole_units(line, [u for u in units if u.line == line.line and u.state in WAITING])


async def replace_units(tx: Tx, order: Order, line: Line, quantity: int, goods: Goods) -> int:
    """Retire waiting units of a line of a locked order and add as many of another SKU; return the new line's number.

    What the retired ones claimed of supply is let go; the caller has locked supply and balances if there may be some.

    Raises:
        NothingWaits: fewer units wait.
    """
    lines = (await service.lines_of(tx, [order.id]))[order.id]
    units = (await service.units_of(tx, [order.id]))[order.id]
    there = waiting(line, units)
    if not 0 < quantity <= there:
        raise NothingWaits(number=order.number, line=line.line, open=there, quantity=quantity)
    cancelled = rules.cancelled_quantities(lines, units)
    price = replacement.price_replacement(order, lines, cancelled, line, quantity, goods.price)
    new = max(one.line for one in lines) + 1
    await tx.execute(
        replacing_writes.ADD_LINE,
        {
            "order_id": order.id,
            "line": new,
            "sku_id": goods.sku_id,
            "sku": goods.sku,
            "name": goods.name,
            "quantity": quantity,
            "replaces": line.line,
            **msgspec.structs.asdict(price),
        },
    )
    parts = dict(goods.components) or {goods.sku_id: 1}
    if goods.components:
        columns = {"skus": list(parts), "quantities": list(parts.values())}
        await tx.execute(writes.ADD_COMPONENTS, {"order_id": order.id, "line": new, **columns})
    rows = [
        Unit(order.id, new, part, sku, quantity * each, UnitState.UNPLACED)
        for part, (sku, each) in enumerate(sorted(parts.items()), 1)
    ]
    await tx.execute(writes.ADD_UNITS, service.columns(rows))
    stands_in = Line(order.id, new, goods.sku_id, quantity, price.total, dict(goods.components), shares_discount=False)
    after = [*lines, stands_in]
    retired = {**cancelled, line.line: cancelled[line.line] + quantity, new: 0}
    worth = rules.worth(order, after, retired)
    totals = {"order_id": order.id, "added": price.total, "cancelled": worth}
    await tx.execute(replacing_writes.SET_TOTALS, totals)
    event = LineReplaced(
        id=order.id,
        seq=0,
        line=line.line,
        by_line=new,
        quantity=quantity,
        sku_id=line.sku_id or 0,
        by_sku_id=goods.sku_id,
        amount=order.payable - (order.total + price.total - worth),
    )
    moves = {order.id: _retire(line, units, quantity)}
    arrived = await cancelling.give_back_ahead(tx, moves, {order.id: units})
    await service.move_many(tx, moves, [event])
    goods_back = [claim for _, claim in arrived]
    await inventory.release(tx, goods_back, Reference("order"), Reason.CANCEL, [order.id] * len(goods_back))
    return new


def _retire(line: Line, units: Sequence[Unit], quantity: int) -> list[Move]:
    """Take waiting rows of a line for whole sold units."""
    moves = []
    for sku, each in rules.per_unit(line).items():
        need = quantity * each
        for unit in units:
            if need and unit.line == line.line and unit.sku_id == sku and unit.state in WAITING:
                taken = min(need, unit.quantity)
                moves.append(Move(unit.line, unit.part, taken, UnitState.CANCELLED))
                need -= taken
    return moves
