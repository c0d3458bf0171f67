"""Pure decisions of counts: whether a variance is believed, and whether stock is suspected."""

import math
from collections.abc import Mapping

from malha.inventory.counts.model import Habits, Limits, LineState, Meanwhile, PhantomRule, Suspicion

_SHORT_PICKS = (0, 40, 70, 90)  # by how many, the last for more
_SILENCE = ((0.0001, 90), (0.001, 80), (0.01, 60), (0.05, 30))  # at most so probable: so suspicious


def judge(variance: int, price: int | None, limits: Limits, attempts: int) -> LineState:
    """Return what follows from a count: believed within both limits, else counted again, and then for a person.

    `price` is centavos; without one only units are limited.
    """
    within = abs(variance) <= limits.units and (price is None or abs(variance) * price <= limits.value)
    if within or variance == 0:
        return LineState.ACCEPTED
    return LineState.RECOUNT if attempts < 2 else LineState.REVIEW


def remaining(found: Meanwhile) -> int:
    """Return what of a variance is still to be written, in signed units: nothing is corrected twice.

    What the ledger learned late of the time before the counting explains as much of the variance. What systems stated
    since explains it as far as it goes the same way, and so do, each by itself, what people noted and short picks; the
    other way it is news of later goods. A number that a system stated below what was counted leaves nothing: nobody can
    tell whether it knew of what is missing. A later count knows better, and an older one less well: what that changed
    is taken back. Beside that, nothing is written that nobody judged: never more than the variance that was believed,
    and never the other way.
    """
    if found.superseded:
        return 0
    judged = found.variance - found.older
    left = judged - found.settled
    others = found.restated, found.noted, found.missed
    if left < 0:
        left -= max(left, sum(min(units, 0) for units in others))
    else:
        left -= min(left, sum(max(units, 0) for units in others))
    return min(max(left, min(judged, 0)), max(judged, 0))


def divide(variance: int, on_hand: Mapping[int, int], first: int) -> dict[int, int]:
    """Return what of a variance on one shelf goes to which of the balances there, by location; zeros are left out.

    Where only one owner has units it is that one's; where several have, each bears it in proportion to what it has, odd
    units going to the larger. What nobody has is the site's own, which is `first`. Nobody is taken below zero as long
    as all together have as much as is missing; beyond that it is the largest one's, as if it were alone.
    """
    having = {place: units for place, units in on_hand.items() if units > 0}
    if not variance:
        return {}
    if len(having) < 2:
        return {next(iter(having), first): variance}
    total = sum(having.values())
    sign, most = (1 if variance > 0 else -1), abs(variance)
    order = sorted(having, key=lambda place: (-having[place], place))
    beyond = max(most - total, 0) if sign < 0 else 0
    parts = {place: (most - beyond) * having[place] // total for place in order}
    odd = most - beyond - sum(parts.values())
    for place in order:
        if odd and (sign > 0 or parts[place] < having[place]):
            parts[place] += 1
            odd -= 1
    parts[order[0]] += beyond
    return {place: sign * units for place, units in parts.items() if units}


def chance_of_silence(sales: int, observed: float, silence: float) -> float:
    """Return how probable it is that nothing sells in `silence` days, if it did `sales` times in `observed` days.

    Sales as a Poisson process: P(N(t) = 0) = exp(-rate x t).
    """
    return math.exp(-sales / observed * silence) if observed > 0 else 1.0


def suspect(habits: Habits, rule: PhantomRule) -> Suspicion | None:
    """Return a suspicion with its score, or None. Independent signs add up: 1 - (1 - a)(1 - b)."""
    if habits.on_hand <= 0:
        return None
    short = _SHORT_PICKS[min(habits.short_picks, len(_SHORT_PICKS) - 1)]
    chance = None
    if habits.sales >= rule.fewest_sales:
        chance = chance_of_silence(habits.sales, habits.observed, habits.silence)
    quiet = next((s for most, s in _SILENCE if chance is not None and chance <= most), 0)
    score = round(100 - (100 - short) * (100 - quiet) / 100)
    improbable = chance is not None and chance <= rule.improbable
    if score < rule.score or not (improbable or habits.short_picks):
        return None
    return Suspicion(habits, score, chance)


def abc(units: list[tuple[int, int]]) -> dict[int, str]:
    """Return the class of each SKU by the units that left, (SKU id, units): A makes 80 % of them, B the next 15 %."""
    total = sum(u for _, u in units)
    classes, before = {}, 0
    for sku, sold in sorted(units, key=lambda row: (-row[1], row[0])):
        share = before / total if total else 1.0
        classes[sku] = "A" if share < 0.8 else "B" if share < 0.95 else "C"
        before += sold
    return classes
