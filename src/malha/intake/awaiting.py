"""Letting units of an order wait for supply by a person's wish, also of a SKU that is not sold ahead."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from malha.intake import replanning, supplying
from malha.intake.allotting import Allotting
from malha.intake.covering import Covering, Wanted
from malha.intake.reference import Reference, reference_in
from malha.inventory import service as inventory
from malha.inventory.ahead import service as ahead
from malha.inventory.ahead.model import NewClaim, SupplyClaim
from malha.inventory.ahead.reads import SupplyRow
from malha.inventory.allotments.model import Taker
from malha.ordering import service as ordering
from malha.ordering.model import CLAIMS_NOTHING
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.routing.model import Request

MOST = 1 << 31  # no limit


async def wait_for_supply(
    tx: Tx, order_id: UUID, lines: Collection[int] | Mapping[int, int], reference: Reference | None = None
) -> int:
    """Claim supply for units of some lines that have neither a place nor supply; return how many wait for it now.

    All such units of a line, or as many as a mapping says at most.
    They join the end of the queue and the customer is promised the day; what arrives goes to them. When nothing is
    short any more, a shortage hold is lifted. Kits do not wait: their components would come one by one.
    """
    order = await ordering.lock_order(tx, order_id)
    rows = (await ordering.lines_of(tx, [order_id]))[order_id]
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    target = replanning.target_of(order)
    if target is None or CLAIMS_NOTHING & (await ordering.open_holds(tx, [order_id]))[order_id].keys():
        return 0
    reference = reference or await reference_in(tx)
    skus = [row.sku_id for row in rows if row.line in lines and row.sku_id is not None and not row.components]
    standing = await supplying.stand(tx, order, units, reference, anyway=skus)
    # Kits of the order claim what is there of them, before its other units are planned.
    await inventory.lock_stock(
        tx, supplying.waiting_skus(units), {order.id: Taker(order.channel_id, order.customer_group)}
    )
    before = _covered(standing.claims)
    most = lines if isinstance(lines, Mapping) else dict.fromkeys(lines, MOST)
    await supplying.cover(tx, order, rows, units, reference, target, standing, anyway=most)
    await supplying.promise_anew(tx, order, reference)
    await replanning.place_units(tx, order_id, reference, locked=True)  # lifts the hold when nothing is short
    return _covered(await ahead.claims_of(tx, order_id)) - before


def _covered(claims: Sequence[SupplyClaim]) -> int:
    return sum(c.quantity for c in claims if c.supply_id is not None)


def foresee(
    reference: Reference,
    now: datetime,
    request: Request,
    supply: Sequence[SupplyRow],
    wanted: Mapping[int, int],
    allotting: Allotting | None,
    taker: Taker,
) -> list[NewClaim]:
    """Return what an order could claim of supply within caps, units by line; nothing is taken."""
    covering = Covering(reference.network, reference.day_of(now))
    covering.stand([(s.id, s.sku_id, s.location_id, s.eta, s.expected, s.promised) for s in supply], [])
    lines = {line: Wanted(units) for line, units in wanted.items()}
    if allotting is None:
        return covering.plan(request, lines)
    return allotting.cover(taker, request, lines, covering, {})[0]
