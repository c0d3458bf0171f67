"""Keeping what waves did, and what an order costs where it is."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.routing import wave_writes
from malha.routing.lanes import SCALE_BITS, open_lane
from malha.routing.model import Network, Request
from malha.routing.wave_model import Proposed

KEPT_DAYS = 30


class Standing(NamedTuple):
    """What an order costs as it is placed, in centavos at the rates of now, and its slowest parcel's days."""

    cost: int
    lead_days: int


def standing(request: Request, network: Network, at: Mapping[int, int]) -> Standing | None:
    """Return what a request costs where its lines are, by location id; None where a location is closed to it now."""
    key = (request.channel_id, request.method, request.service_id, request.to_state, request.pickup_location_id)
    if request.channel_id not in network.channels:
        return None
    lane = network.lanes.get(key)
    if lane is None:
        lane = network.lanes[key] = open_lane(network, *key)
    loads: dict[int, tuple[int, int]] = {}
    for line in request.lines:
        position = lane.position.get(network.index.get(at[line.line], -1))
        if position is None or line.grams > lane.light:
            return None
        grams, lines = loads.get(position, (0, 0))
        loads[position] = grams + line.grams * line.quantity, lines + 1
    cost = days = 0
    for position, (grams, lines) in loads.items():
        row = lane.row(grams, lines)
        k = lane.klass[position]
        cost += row.by_class[k] >> SCALE_BITS
        days = max(days, row.bracket.leads[lane.classes[k][0]] or 0)
    return Standing(cost, days)


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
