"""Pure decisions of counts: whether a variance is believed, and whether stock is suspected."""

import math
from collections.abc import Mapping

from malha.inventory.counts.model import Habits, Limits, LineState, Meanwhile, PhantomRule, Since, Suspicion

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

    A later count of the shelf knows better and leaves nothing; what an older one, or a number of before the counting,
    changed since is taken back. Movements of before that were told late explain as much of the variance. What others
    corrected since explains it as far as it goes the same way and nobody brought it back; the other way it is news of
    later goods. Beside what is taken back nothing is written that nobody judged: never more than the variance that was
    believed, and never the other way. `docs/explanation/counts.md` has the cases.
    """
    if found.superseded:
        return 0
    sign = -1 if found.variance > 0 else 1
    shelves: dict[int, _Shelf] = {}
    for step in found.steps:
        shelves.setdefault(step.location_id, _Shelf()).follow(step.what, sign * step.units)
    sums = [shelf.sums() for shelf in shelves.values()]
    late, older = sum(units[0] for units in sums), sum(units[1] for units in sums)
    others = [sum(units[at] for units in sums) for at in (2, 3, 4)]
    lack = sign * found.variance
    same, other = sum(min(units, 0) for units in others), sum(max(units, 0) for units in others)
    explained = max(min(lack - late, 0), same)
    left = min(max(lack - late - explained, lack), 0) - older
    # What others corrected beyond the lack, or the other way, may be what an older statement had wrong.
    left -= max(left, same - explained) if left < 0 else min(left, other)
    return sign * left


class _Shelf:
    """What others changed of one balance since it was counted, turned so that the variance is a lack: below zero."""

    def __init__(self) -> None:
        self.late = self.older = self.stated = self.noted = self.missed = 0
        self._known = 0  # the most that systems had in their books, beside goods that came and went

    def sums(self) -> tuple[int, int, int, int, int]:
        """Return what came late, of older statements, by systems, by notes, and by short picks."""
        return self.late, self.older, self.stated, self.noted, self.missed

    def follow(self, what: Since, units: int) -> None:
        """Take in the next row of the ledger."""
        match what:
            case Since.LATE:
                self.late += units
            case Since.OLDER:
                self.older += units
            case Since.PICK:
                self.missed += units
            case Since.NOTE:
                # What is put back is first what a person took off, then what a picker did not find.
                back = min(max(units + min(self.noted, 0), 0), max(-self.missed, 0))
                self.missed += back
                self.noted += units - back
            case Since.SYSTEM:
                self._state(units)

    def _state(self, units: int) -> None:
        """A number up to what the books had knows nothing of the lack and brings it back; beyond that, goods came."""
        books = min(self.older, 0) + min(self.noted, 0) + min(self.missed, 0) + self.stated + units
        if units > 0 and books <= self._known:
            for name in ("missed", "noted", "older"):
                back = min(units, max(-getattr(self, name), 0))
                setattr(self, name, getattr(self, name) + back)
                units -= back
        elif units < 0:  # what an older statement added is taken back already
            back = min(-units, max(self.older, 0))
            self.older -= back
            units += back
        self.stated += units
        self._known = max(self._known, books)


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
