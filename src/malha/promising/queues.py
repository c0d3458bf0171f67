"""What waits at a location when an order is placed, and when goods of that order leave by it. Pure.

Work that waits is counted in usual days of its location: how many pieces leave on a day on which any do. A band of it
has a life table of its own, which leans on that of the location: how late work leaves follows from what lies before it
more than from the weekday, whose backlog it mostly is. No band is ready before a shorter one.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate

import msgspec

from malha.promising.lived import Left, Readiness, learn_ready

EDGES = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)  # usual days of work: where the bands after the first begin
BANDS = len(EDGES) + 1
LEAST_OF_BAND = 30  # times that work of a band left before it says anything
LEAST_BANDS = 2


class Queue(msgspec.Struct, frozen=True):
    """What a location's queue does: its `usual` day, and by band the chance of each working day, from `EARLIEST` on."""

    usual: float
    chances: tuple[tuple[float, ...], ...]

    def band(self, waiting: int) -> int:
        """Return the band of so much work."""
        return band_of(waiting, self.usual)


Place = tuple[int, str]  # location, method


def band_of(waiting: int, usual: float) -> int:
    """Return the band of work that waits at a location with a usual day."""
    return bisect_right(EDGES, waiting / usual) if usual > 0 else 0


def learn_queues(behind: Iterable[Left], usual: Mapping[int, float]) -> dict[Place, Queue]:
    """Return what queues do, by location and method, of those with a usual day and enough of at least two bands.

    The kind of work is the band of what waited when it was placed.
    """
    known: dict[Place, dict[int, Readiness]] = {}
    for (location, method, band), of in learn_ready(behind).items():
        if location is not None and band is not None and of.outcomes >= LEAST_OF_BAND:
            known.setdefault((location, method), {})[band] = of
    return {
        place: Queue(usual[place[0]], _in_order(of))
        for place, of in known.items()
        if len(of) >= LEAST_BANDS and usual.get(place[0], 0.0) > 0
    }


def _in_order(known: Mapping[int, Readiness]) -> tuple[tuple[float, ...], ...]:
    """Return the chances of all bands: of unknown ones those of the next shorter, none ready before a shorter one."""
    found: list[tuple[float, ...]] = []
    last = list(accumulate(known[min(known)].chances))
    for band in range(BANDS):
        of = known.get(band)
        if of is not None:
            last = [min(one, other) for one, other in zip(last, accumulate(of.chances), strict=True)]
            last[-1] = 1.0
        found.append(_steps(last))
    return tuple(found)


def _steps(there: Sequence[float]) -> tuple[float, ...]:
    """Return the chance of each day from that of all days up to it."""
    return tuple(now - before for now, before in zip(there, [0.0, *there], strict=False))
