"""Changing an order of which something is still to come: quantities, days, costs, more lines, what is said of it.

Who waits for its goods follows as with every change of supply: a queue is lined up anew in the same transaction, and
what is no longer expected is lost by who came last.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from psycopg.errors import UniqueViolation

from malha.inventory.ahead import service as ahead
from malha.inventory.supply import rules, writes
from malha.inventory.supply.errors import InboundEnded, InboundMoved, ReferenceTaken
from malha.inventory.supply.events import InboundChanged
from malha.inventory.supply.model import (
    INBOUND_WORDS,
    Inbound,
    InboundChange,
    InboundLine,
    InboundLineDraft,
    InboundState,
    LineChange,
    Stands,
)
from malha.inventory.supply.service import insert_lines, line_names, lines_of, lock_order, move_dates, restate
from malha.platform import audit, outbox
from malha.platform.db import Tx
from malha.platform.flaws import refuse
from malha.platform.i18n import Word

Facts = dict[str, Any]


async def change(tx: Tx, number: int, wanted: InboundChange, version: int | None = None) -> Stands:
    """Make an order what it is to be; what it is already changes nothing, and is told to nobody.

    Raises:
        UnknownInbound: there is no such order in the actor's scope.
        InboundMoved: it has not `version` any more.
        InboundEnded: nothing is expected of it any more.
        Invalid: a line it has not, a quantity below what has come, a day of a line of which nothing is to come.
        ReferenceTaken: another order of the supplier has that reference.
    """
    order = await lock_order(tx, number)
    if version is not None and version != order.seq:
        raise InboundMoved(number=number)
    if not order.live:
        raise InboundEnded(number=number, state=Word(INBOUND_WORDS[order.state]))
    before = await lines_of(tx, order.id)
    refuse(rules.flaws_of_change(before, wanted))
    was, became = await _head(tx, order, wanted)
    by_line = {line.line: line for line in before}
    differing = [(by_line[one.line], one) for one in wanted.lines]
    stated = await _quantities(tx, order, differing)
    moved = await move_dates(
        tx,
        order,
        {one.line: one.eta for line, one in differing if one.eta is not None and one.eta != line.eta},
        wanted.reason,
    )
    added = await _add(tx, order, max(by_line), wanted.added)
    after = await lines_of(tx, order.id)
    differ = {line.line for line in after if line != by_line.get(line.line)}
    if not became and not differ:
        return Stands(number, order.seq, order.state, changed=False)
    state = rules.derive_state(after)
    seq = await restate(tx, order, state)
    if stated or added:
        await outbox.add(tx, _told(order, seq, state, wanted.reason, stated, added))
    skus = {row[1] for row in stated} | {row[1] for row in moved} | {row[1] for row in added}
    await ahead.line_up(tx, {(sku, order.location_id) for sku in skus})
    if differ:
        names = await line_names(tx, [(line.line, line.sku_id) for line in after if line.line in differ])
        old, new = ({line.line: _facts(line) for line in lines} for lines in (before, after))
        was["lines"] = {names[n]: {k: v for k, v in old[n].items() if v != new[n][k]} for n in differ if n in old}
        became["lines"] = {
            names[n]: {k: v for k, v in new[n].items() if n not in old or v != old[n][k]} for n in differ
        }
    if wanted.reason:
        became["reason"] = wanted.reason
    await audit.record(tx, action="change", entity="inbound_order", entity_id=number, before=was, after=became)
    return Stands(number, seq, state, changed=True)


def _facts(line: InboundLine) -> Facts:
    """Return what is stated of a line, as the audit trail keeps it."""
    return {"quantity": line.quantity, "eta": line.eta, "unit_cost": line.unit_cost}


async def _head(tx: Tx, order: Inbound, wanted: InboundChange) -> tuple[Facts, Facts]:
    """State what is said of the order; return what differs, as it was and as it became."""
    was: Facts = {"reference": order.reference, "note": order.note, "over_percent": order.over_percent}
    said: Facts = {
        "reference": order.reference if wanted.reference is msgspec.UNSET else wanted.reference or None,
        "note": order.note if wanted.note is None else wanted.note,
        "over_percent": order.over_percent if wanted.over_percent is None else wanted.over_percent,
    }
    differ = [name for name in was if was[name] != said[name]]
    if differ:
        try:
            stated = await tx.values(writes.RESTATE_HEAD, {"id": order.id, **said})
        except UniqueViolation:  # somebody else took it at the same time
            stated = []
        if not stated:
            raise ReferenceTaken(supplier=order.supplier, reference=said["reference"])
    return {name: was[name] for name in differ}, {name: said[name] for name in differ}


async def _quantities(
    tx: Tx, order: Inbound, wanted: Sequence[tuple[InboundLine, LineChange]]
) -> list[tuple[int, int, int, int]]:
    """State quantities and costs; return the quantities that changed: line, SKU id, was, became."""
    rows = [
        (
            line,
            line.quantity if one.quantity is None else one.quantity,
            line.unit_cost if one.unit_cost is msgspec.UNSET else one.unit_cost,
        )
        for line, one in wanted
    ]
    rows = [row for row in rows if (row[0].quantity, row[0].unit_cost) != row[1:]]
    if not rows:
        return []
    columns = {
        "order_id": order.id,
        "lines": [line.line for line, _, _ in rows],
        "quantities": [quantity for _, quantity, _ in rows],
        "costs": [cost for _, _, cost in rows],
    }
    await tx.execute(writes.RESTATE_LINES, columns)
    return [
        (line.line, line.sku_id, line.quantity, quantity) for line, quantity, _ in rows if quantity != line.quantity
    ]


async def _add(tx: Tx, order: Inbound, last: int, added: Sequence[InboundLineDraft]) -> list[tuple[int, int, int, Any]]:
    if not added:
        return []
    return await insert_lines(tx, order.id, order.location_id, list(enumerate(added, start=last + 1)))


def _told(
    order: Inbound,
    seq: int,
    state: InboundState,
    reason: str,
    stated: Sequence[tuple[int, int, int, int]],
    added: Sequence[tuple[int, int, int, Any]],
) -> InboundChanged:
    return InboundChanged(
        id=order.id,
        seq=seq,
        location_id=order.location_id,
        reason=reason,
        state=state.value,
        lines=list(stated),
        added=list(added),
    )
