"""Keeping what waves did, and what an order costs where it is."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.routing import wave_writes
from malha.routing.charging import Charges, order_terms
from malha.routing.lanes import Lane, open_lane
from malha.routing.model import Network, Request, parts_of
from malha.routing.rows import SCALE_BITS
from malha.routing.siting import saving_of
from malha.routing.terms import NO_TERMS
from malha.routing.wave_model import Proposed

KEPT_DAYS = 30


class Standing(NamedTuple):
    """What an order costs as it is placed, in centavos at the rates of now, and its slowest parcel's days."""

    cost: int
    lead_days: int


def standing(
    request: Request, network: Network, at: Mapping[int, int], taken: Sequence[int] | None = None
) -> Standing | None:
    """Return what a request costs where its lines are, by location id; None where a location is closed to it now.

    Costs are those that planning compares, the price of stock apart. `taken`: see `rules.plan`.
    """
    key = request.lane
    if request.channel_id not in network.channels:
        return None
    lane = network.lanes.get(key)
    if lane is None:
        lane = network.lanes[key] = open_lane(network, *key)
    loads: dict[int, list[tuple[int, int]]] = {}
    for n, line in enumerate(request.lines):
        position = lane.position.get(network.index.get(at[line.line], -1))
        if position is None or line.grams > lane.light:
            return None
        loads.setdefault(position, []).append((n, line.quantity))
    charges = charges_of(request, network, lane, taken)
    cost = -lane.split - saving_of(lane, list(loads)) if loads else 0
    days = 0
    for position, content in loads.items():
        row = lane.row(sum(request.lines[n].grams * quantity for n, quantity in content), len(content))
        k = lane.klass[position]
        cost += (row.by_class[k] if charges is None else charges.parcel(position, row, content)) >> SCALE_BITS
        days = max(days, row.bracket.leads[lane.classes[k][0]] or 0)
    return Standing(cost, days)


def charges_of(
    request: Request,
    network: Network,
    lane: Lane,
    taken: Sequence[int] | None = None,
) -> Charges | None:
    """Return what parcels of a request are charged beside their rates, wherever they leave from; None: nothing.

    What keeps locations from serving is not asked: it is about what comes, not about what is placed.
    """
    if network.terms is NO_TERMS:
        return None
    ones = [1] * len(lane.open)
    stock = {sku: ones for line in request.lines for sku, _ in parts_of(line)}
    terms = order_terms(request, network, lane, stock, taken)
    return None if terms is None or not terms.charges else Charges(lane, request.lines, None, terms)


async def begin(tx: Tx) -> int:
    """Note that a wave begins; return its number. Waves of long ago are forgotten."""
    await tx.execute(wave_writes.DROP_OLD_WAVES, {"days": KEPT_DAYS})
    return int(await tx.value(wave_writes.BEGIN_WAVE))


async def end(
    tx: Tx, wave: int, proposed: Proposed | None, *, moved: int = 0, saved: int = 0, failure: str | None = None
) -> None:
    """Note what came of a wave."""
    await tx.execute(
        wave_writes.END_WAVE,
        {
            "wave": wave,
            "orders": 0 if proposed is None else proposed.orders,
            "proposed": 0 if proposed is None else sum(map(len, proposed.groups)),
            "moved": moved,
            "saved": saved,
            "bound_gap": None if proposed is None else proposed.bound_gap,
            "seconds": None if proposed is None else proposed.seconds,
            "failure": failure,
        },
    )


async def keep_moves(tx: Tx, wave: int, moves: Sequence[tuple[UUID, int, int]]) -> None:
    """Remember that a wave moved locked orders, as (order, attempt, centavos saved): they stay where they are now."""
    rows = sorted(moves)
    await tx.execute(
        wave_writes.INSERT_MOVES,
        {
            "wave": wave,
            "orders": [order for order, _, _ in rows],
            "attempts": [attempt for _, attempt, _ in rows],
            "saved": [saved for _, _, saved in rows],
        },
    )
