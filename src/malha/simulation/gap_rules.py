"""Which orders of a day are compared with what hindsight would have let them cost, and what that says. Pure.

The bound is the configuration LP of `routing.pricing.columns`: all orders of the day known at once, each going whole by
the parcels its own decision looked at, from no more stock than there was. So the real decisions are among those it
chooses from, and none of them costs less than its bound. Orders that it cannot speak of are left out on both sides.
Orders whose goods came together are among them: they stay what comes together there, from wherever it is brought. A
draft that has others come together may cost less: of such a day it is not said what the draft gains.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import NamedTuple

from malha.platform.ids import UUID
from malha.routing.records import Record
from malha.simulation.model import Beyond, DayGap, Decided, Gap, NoBound
from malha.simulation.rules import Outcome

SAMPLE = 1_000  # orders of a day; of more, this many are drawn
MOST_LINES = 4
MOST_DAYS = 31  # of more, so many are drawn, evenly
_PARTS = 1 << 32


def drawn(days: Mapping[date, int]) -> dict[date, float]:
    """Return the days that are looked at, with the share of their orders, given how many orders each has."""
    every = sorted(day for day, orders in days.items() if orders)
    if len(every) > MOST_DAYS:
        every = [every[n * (len(every) - 1) // (MOST_DAYS - 1)] for n in range(MOST_DAYS)]
    return {day: min(1.0, SAMPLE / days[day]) for day in every}


def is_drawn(order_id: UUID, share: float) -> bool:
    """Tell whether an order belongs to the sample of its day; the same one for everybody who asks."""
    return order_id.int * 0x9E3779B97F4A7C15 % _PARTS < share * _PARTS


def beyond(record: Record) -> Beyond | None:
    """Return why the programme cannot speak of an order; None: few plain lines, each placed whole from one location."""
    if record.terms is not None and record.terms.credits:
        return Beyond.AGED
    if not record.parcels:
        return Beyond.NOWHERE
    if any(line.components is not None for line in record.lines):
        return Beyond.KIT
    if len(record.lines) > MOST_LINES:
        return Beyond.LINES
    if record.unplaced:
        return Beyond.SHORT
    wanted = {line.line: line.quantity for line in record.lines}
    placed = [(number, units) for parcel in record.parcels for number, units in parcel[4]]
    whole_ = all(wanted[number] == units for number, units in placed) and len(placed) == len({n for n, _ in placed})
    return None if record.exact and whole_ else Beyond.PARTED


def is_comparable(record: Record) -> bool:
    """Tell whether the programme can speak of an order."""
    return beyond(record) is None


class Without(NamedTuple):
    """Why a day has no bound, and of a defect its kind."""

    why: NoBound
    kind: str = ""


NO_TIME = Without(NoBound.TIME)


class Compared:
    """What the drawn orders of each day cost in both worlds, while a replay goes by."""

    def __init__(self, days: Mapping[date, int]) -> None:
        self.shares = drawn(days)
        self.days = {day: DayGap(orders=days[day]) for day in self.shares}
        self._beyond: dict[Beyond, int] = {}
        self._busy: dict[date, int] = {}

    def note(self, decided: Decided, told: Outcome | None) -> None:
        """Count an order in, if it is drawn."""
        share = self.shares.get(decided.day)
        if told is None or share is None or not is_drawn(decided.order_id, share):
            return
        why = beyond(told.record)
        if why is not None:
            self._beyond[why] = self._beyond.get(why, 0) + 1
            return
        busy = sum(amounts.busy for amounts in told.record.amounts)
        self._busy[decided.day] = self._busy.get(decided.day, 0) + busy
        day = self.days[decided.day]
        day.compared += 1
        live, draft = (told.before.cost, told.after.cost) if told.then is None else told.then
        day.live += live
        day.draft += draft
        # What comes together elsewhere, or no longer does, may well cost less than the bound of what came together.
        same = told.before.units == told.after.units and told.before.together == told.after.together
        day.alike = day.alike and same

    def finish(
        self, bounds: Mapping[date, tuple[float, float]], seconds: float, without: Mapping[date, Without] | None = None
    ) -> Gap:
        """Return the gap, given (bound, certificate) of the days for which there is one.

        `without` says why days have none; for others there was no time.
        """
        gap = Gap(seconds=round(seconds, 1), beyond=dict(self._beyond))
        for day, found in sorted(self.days.items()):
            if not found.compared:
                continue
            if day in bounds:
                found.bound, found.certificate = bounds[day]
                gap.days[day.isoformat()] = found
                gap.busy += self._busy.get(day, 0)
                continue
            why, kind = (without or {}).get(day, NO_TIME)
            gap.left += 1
            gap.why[why] = gap.why.get(why, 0) + 1
            gap.said = gap.said or kind
        return gap

    def fail(self, kind: str) -> Gap:
        """Return the gap where a defect of some kind left no day a bound."""
        return self.finish({}, 0.0, dict.fromkeys(self.days, Without(NoBound.DEFECT, kind)))


def whole(days: Iterable[DayGap]) -> DayGap:
    """Return days put together; the certificate is that of the sum of their bounds."""
    found = DayGap()
    slack = 0.0
    for day in days:
        found.orders += day.orders
        found.compared += day.compared
        found.live += day.live
        found.draft += day.draft
        found.bound += day.bound
        found.alike = found.alike and day.alike
        slack += day.certificate * day.bound
    found.certificate = slack / found.bound if found.bound else 0.0
    return found


def ratio(cost: float, bound: float) -> float | None:
    """Return a cost over its bound; None without one."""
    return cost / bound if bound > 0 else None


def captured(day: DayGap) -> float | None:
    """Return how much of what lies between live decisions and the bound the draft gains: 1 is all of it.

    More than 1: the draft's network is cheaper than any decisions in the live one. None: there is nothing to gain, or
    the draft placed other units, or has others come together.
    """
    room = day.live - day.bound
    return (day.live - day.draft) / room if day.alike and room > 0.5 else None
