"""What of a plan is sold ahead: the one rule by which the gate claims supply and a promise says that it would.

What found no stock is promised from supply, first come first served, where the SKU's policy lets the channel sell it
ahead, within its horizon and what caps let through beside the stock. A routing rule may leave nothing of it.
"""

from collections.abc import Mapping, Sequence

import msgspec

from malha.intake import ruled
from malha.intake.allotting import Allotting
from malha.intake.covering import Covering, Goods, Wanted, left_of_kits
from malha.inventory.ahead.model import NewClaim
from malha.inventory.allotments.model import Taker
from malha.routing.model import Plan, Request


def claims_of(
    request: Request,
    plan: Plan,
    goods: Mapping[int, Goods],
    covering: Covering,
    free: Mapping[int, Sequence[int]],
    allotting: Allotting | None,
    taker: Taker | None,
    caps: list[str],
) -> tuple[list[NewClaim], list[str]]:
    """Return claims on supply for what a plan found no stock for, and the codes of caps in the way; nothing is taken.

    Args:
        request: What was planned, under the routing rule that takes it.
        plan: What became of it.
        goods: What each line is of.
        covering: Supply that is open, and what policies let through.
        free: The common stock the plan was made on: what kits leave of their components goes into those sold ahead.
        allotting: What fences and caps have left; None, as `taker`: they touch nothing of this.
        taker: Who takes it.
        caps: Those in the way of the stock already: whatever is sold ahead counts on them as that does.
    """
    if not plan.unplaced or not covering.lines or ruled.ending_of(plan) in ruled.NOT_AHEAD:
        return [], caps
    wanted: dict[int, Wanted] = {}
    for n, missing in plan.unplaced:
        want = covering.wanted(goods[n], missing, request.channel_id)
        if want is not None:
            wanted[n] = want
    if not wanted:
        return [], caps
    lines = [line for line in request.lines if line.line in wanted]
    rest = msgspec.structs.replace(request, lines=lines, under=ruled.ahead_of(request, plan))
    there = left_of_kits(covering.network.location_ids, free, request, plan, lines)
    if taker is None or allotting is None:
        return covering.plan(rest, wanted, None, there), []
    claims, cut = allotting.cover(taker, rest, wanted, covering, allotting.wanted(request, plan), there)
    return claims, sorted({*caps, *cut})
