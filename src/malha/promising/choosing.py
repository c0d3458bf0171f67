"""From the chance of each day to the day that is promised. Pure.

Without stated costs the day is the first whose chance to hold reaches the level. With them it is the day that costs
least: a working day longer against a broken promise times its chance. So a parcel whose days are sure is promised with
a higher chance than one whose last points would cost weeks; `LOWEST` and `HIGHEST` hold both.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from malha.promising.lived import EARLIEST

LEVEL = 0.9  # the share of promises to keep where no costs are stated
LOWEST, HIGHEST = 0.8, 0.98  # the least and the highest chance that a promise is made with by costs
LITTLE = 1e-4  # a chance that is left out


def worth_of(late_penalty: int, day_cost: int) -> float | None:
    """Return what a broken promise costs in working days that a promise is longer; None: a cost is not stated."""
    return late_penalty / day_cost if late_penalty > 0 and day_cost > 0 else None


class Chosen(NamedTuple):
    """A day, counted from the one goods are to leave, and the chance to be there by its end.

    `foretold` is the chance of the life tables, `said` the same with doubt.
    """

    day: int
    foretold: float
    said: float


def together(ready: Sequence[float], starts: Callable[[int], int], lane: Sequence[float]) -> list[float]:
    """Return the chance of each business day of the destination, from the day goods are to leave on.

    `ready` has the chances of each working day of a location from `EARLIEST` on, `starts` says which business day of
    the destination such a day is (below 0: before the first), `lane` has the chances of each business day under way.
    What is there before the first day counts to it.
    """
    likely = [(starts(n + EARLIEST), chance) for n, chance in enumerate(ready) if chance > LITTLE]
    whole = sum(chance for _, chance in likely)
    found = [0.0] * (max(0, *(start for start, _ in likely)) + len(lane))
    for start, chance in likely:
        for day, travels in enumerate(lane):
            found[max(0, start + day)] += chance / whole * travels
    return found


def choose(chances: Sequence[float], *, level: float = LEVEL, worth: float | None = None, doubt: float = 1.0) -> Chosen:
    """Return the day to promise.

    Args:
        chances: Of each day, from the first on.
        level: The share of promises to keep, where `worth` is None.
        worth: What a broken promise costs, in working days that a promise is longer.
        doubt: How many more promises than foretold were broken of late, as a factor.
    """
    there, best, least = 0.0, Chosen(len(chances) - 1, 1.0, 1.0), float("inf")
    for day, chance in enumerate(chances):
        there = min(1.0, there + chance)
        said = 1 - min(1.0, doubt * (1 - there))
        if worth is None:
            if said >= level - 1e-9:
                return Chosen(day, there, said)
        elif said >= LOWEST - 1e-9:
            cost = day + worth * (1 - said)
            if cost < least - 1e-9:
                best, least = Chosen(day, there, said), cost
            if said >= HIGHEST - 1e-9:
                break
    return best
