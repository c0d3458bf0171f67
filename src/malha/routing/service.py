"""Keeping what routing decided, and which locations are not to be asked again."""

from collections.abc import Sequence
from typing import NamedTuple

from malha.platform import arrays
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.routing import reads, writes
from malha.routing.model import Exclusion, Plan
from malha.routing.rules import record_json


class Decision(NamedTuple):
    """A plan to store, with what it was decided from. Attempt 1 is intake's; later ones take `next_attempt`."""

    order_id: str  # as text, which a new order's id is at hand as
    attempt: int
    plan: Plan
    made: str | None = None  # what the date of the plan is made of (`promising`); not looked at here
    asked: str | None = None  # what other rules may ask of the order (`ruling.model.Asked`)


async def record_decisions(tx: Tx, decisions: Sequence[Decision]) -> None:
    """Store decisions with one statement. Usable inside `tx.pipeline()`.

    Raises:
        psycopg.errors.UniqueViolation: the order has a decision of that attempt.
    """
    if not decisions:
        return
    # In no order: ids are new, or their order is locked, so nobody else writes the same keys.
    columns = {
        "orders": arrays.bare([d.order_id for d in decisions]),
        "attempts": arrays.ints([d.attempt for d in decisions]),
        "costs": arrays.ints([d.plan.cost for d in decisions]),
        "records": arrays.texts([record_json(d.plan).decode() for d in decisions]),
        "promises": arrays.texts([d.made for d in decisions]),
        "asked": arrays.texts([d.asked for d in decisions]),
    }
    bounds = [d.plan.basis.bound for d in decisions]
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
