"""Keeping what routing decided, and which locations are not to be asked again."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from malha.platform import arrays
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.routing import reads, writes
from malha.routing.model import Exclusion, Plan
from malha.routing.rules import record_json

NOTHING: Mapping[UUID, str] = MappingProxyType({})


async def record_decisions(
    tx: Tx,
    decisions: Sequence[tuple[UUID, int, Plan]],
    made: Mapping[UUID, str] = NOTHING,
    asked: Mapping[UUID, str] = NOTHING,
) -> None:
    """Store plans with what they were decided from, as (order, attempt, plan), with one statement.

    Attempt 1 is intake's; later ones take `next_attempt`. Usable inside `tx.pipeline()`. `made` is, by order, what the
    date of its plan is made of (`promising`), kept with the decision and not looked at here. `asked` is, by order, what
    other rules may ask of it (`ruling.model.Asked`).

    Raises:
        psycopg.errors.UniqueViolation: the order has a decision of that attempt.
    """
    if not decisions:
        return
    # In no order: ids are new, or their order is locked, so nobody else writes the same keys.
    columns = {
        "orders": arrays.bare([order.hex for order, _, _ in decisions]),
        "attempts": arrays.ints([attempt for _, attempt, _ in decisions]),
        "costs": arrays.ints([plan.cost for _, _, plan in decisions]),
        "records": arrays.texts([record_json(plan).decode() for _, _, plan in decisions]),
        "promises": arrays.texts([made.get(order) for order, _, _ in decisions]),
        "asked": arrays.texts([asked.get(order) for order, _, _ in decisions]),
    }
    bounds = [plan.basis.bound for _, _, plan in decisions]
    if any(bounds):
        rule_sets = [None if bound is None else bound.number for bound in bounds]
        await tx.cursor_of(writes.INSERT_RULED_DECISIONS, columns | {"rule_sets": arrays.ints(rule_sets)})
    else:
        await tx.cursor_of(writes.INSERT_DECISIONS, columns)


async def exclude(tx: Tx, exclusions: Sequence[Exclusion]) -> None:
    """Remember that locations are not to be asked again for lines: they rejected them, or did not find them."""
    if not exclusions:
        return
    rows = sorted(exclusions, key=lambda x: (x.order_id, x.line, x.location_id))
    await tx.cursor_of(
        writes.INSERT_EXCLUSIONS,
        {
            "orders": [x.order_id for x in rows],
            "lines": [x.line for x in rows],
            "locations": [x.location_id for x in rows],
            "reasons": [x.reason for x in rows],
        },
    )


async def next_attempt(tx: Tx, order_id: UUID) -> int:
    """Return the number of an order's next decision. Hold the order's lock, or somebody may take the same one."""
    return await reads.attempts(tx, order_id) + 1
