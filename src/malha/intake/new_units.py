"""The lines and units of a new order, and what they claim of stock."""

from collections.abc import Sequence
from typing import Any

from malha.intake import dropping
from malha.intake.batch import Batch
from malha.intake.covering import at_hand, by_line
from malha.intake.holding import waits_as
from malha.intake.model import LineOutcome, Submission
from malha.intake.reference import Channel, Reference
from malha.inventory.ahead.model import NewClaim
from malha.ordering.model import UnitState
from malha.routing.model import Plan


def units_of(
    batch: Batch,
    submission: Submission,
    order_id: str,
    reference: Reference,
    skus: dict[str, Any],
    plan: Plan | None,
    channel: Channel,
    covers: Sequence[NewClaim],
) -> tuple[set[UnitState], list[LineOutcome], list[int]]:
    """Collect lines, kit components, units, claims and ledger rows; lower the batch's running balances."""
    new, free, claims = batch.new, batch.free, batch.claims
    led_skus, led_locations, led_quantities, led_orders, led_actors = batch.ledger
    went: dict[int, list[tuple[int, int]]] = {}
    if plan is not None:
        for n, index, quantity in plan.assignments:
            went.setdefault(n, []).append((index, quantity))
    short = waits_as(channel, plan)
    states: set[UnitState] = set()
    outcome: list[LineOutcome] = []
    used: dict[int, None] = {}
    waits = dropping.waiting(by_line(covers) if covers else {}, plan, reference.snapshot)
    for n, line in enumerate(submission.order.lines, 1):
        card = skus.get(line.sku)
        sku_id = None if card is None else card.id
        new.lines.append(
            (
                order_id,
                n,
                sku_id,
                line.sku,
                line.name or ("" if card is None else card.name),
                line.quantity,
                line.unit_price,
                line.discount,
                line.external_id,
            )
        )
        parts: tuple[tuple[int, int], ...] = ()
        if card is not None:
            parts = card.components or ((card.id, 1),)
            if card.components:
                new.components.extend([(order_id, n, component, per) for component, per in card.components])
        part = 0
        left = line.quantity
        for index, quantity in went.get(n, ()):
            location = reference.network.location_ids[index]
            used[location] = None
            for component, per in parts:
                part += 1
                units = quantity * per
                new.units.append((order_id, n, part, component, units, "allocated", location))
                free[component][index] -= units
                key = (component, location)
                claims[key] = claims.get(key, 0) + units
                led_skus.append(component)
                led_locations.append(location)
                led_quantities.append(units)
                led_orders.append(order_id)
                led_actors.append(submission.actor)
            outcome.append(LineOutcome(n, line.sku, quantity, "allocated", reference.location_codes[index]))
            states.add(UnitState.ALLOCATED)
            left -= quantity
        for units, vendor in waits.get(n, ()):
            new.units += _waiting(order_id, n, part, parts, units, UnitState.BACKORDERED)
            part += len(parts)
            outcome.append(LineOutcome(n, line.sku, units, UnitState.BACKORDERED.value, vendor))
            states.add(UnitState.BACKORDERED)
            left -= units
        if left:
            state = UnitState.UNPLACED if card is None or plan is None else short
            new.units += _waiting(order_id, n, part, parts, left, state)
            outcome.append(LineOutcome(n, line.sku, left, state.value))
            states.add(state)
    _claim_at_hand(batch, submission, order_id, reference, covers)
    return states, outcome, list(used)


def _waiting(
    order_id: str, line: int, part: int, parts: Sequence[tuple[int, int]], quantity: int, state: UnitState
) -> list[tuple[Any, ...]]:
    """Return rows of units without a place, numbered after `part`: of kits one for each component."""
    rows: Sequence[tuple[int | None, int]] = parts or ((None, 1),)
    return [
        (order_id, line, part + at, sku, quantity * per, state.value, None) for at, (sku, per) in enumerate(rows, 1)
    ]


def _claim_at_hand(
    batch: Batch, submission: Submission, order_id: str, reference: Reference, covers: Sequence[NewClaim]
) -> None:
    """Claim what is there of the components of kits that wait for the rest; lower the running balances."""
    led_skus, led_locations, led_quantities, led_orders, led_actors = batch.ledger
    for c in at_hand(covers):
        key = c.sku_id, c.location_id
        batch.free[c.sku_id][reference.network.index[c.location_id]] -= c.quantity
        batch.claims[key] = batch.claims.get(key, 0) + c.quantity
        led_skus.append(c.sku_id)
        led_locations.append(c.location_id)
        led_quantities.append(c.quantity)
        led_orders.append(order_id)
        led_actors.append(submission.actor)
