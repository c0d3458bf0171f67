"""What may be set of routing's costs, and what is learned of locations. Pure."""

from collections.abc import Collection, Iterator, Mapping

import msgspec

from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.routing.cost_model import Aging, Costs, Kind

MOST = 100_000_000  # centavos of any one cost
MOST_GRAMS = 1_000_000
MOST_KM = 6_000
MOST_DAYS = 3_650
MOST_ROWS = 2_000
LEAST_OUTCOMES = 200  # of the whole network; fewer say too little
PRIOR = 20.0  # outcomes that a location's own count as many as

_RANGE = N_("{value} is out of range.")
_RANGE_MEND = N_("Use a whole number from {least} to {most}.")


class Lived(msgspec.Struct, frozen=True):
    """What became of a location's work, and of its promises."""

    works: int = 0
    refused: int = 0
    promises: int = 0
    broken: int = 0


class Learned(msgspec.Struct, frozen=True):
    """The probabilities of a location."""

    lived: Lived
    rejection: float | None
    lateness: float | None


def flaws_of(costs: Costs, locations: Collection[str], channels: Collection[str]) -> Iterator[Flaw]:
    """Yield what is wrong with a document. Codes must exist."""
    for name in ("split_penalty", "same_site", "reroute_cost", "late_penalty", "day_cost"):
        yield from _within(name, getattr(costs, name), 0, MOST)
    for name in ("cartons", "capacity", "channels", "reach", "restrictions"):
        if len(getattr(costs, name)) > MOST_ROWS:
            yield Flaw(name, N_("There are {count} rows."), N_("Use at most {most}."), _rows(costs, name))
            return
    yield from _cartons(costs)
    yield from _steps(costs)
    yield from _codes("channels", "channel", [c.channel for c in costs.channels], channels)
    yield from _codes("reach", "location", [r.location for r in costs.reach], locations)
    for n, own in enumerate(costs.channels):
        if own.split_penalty is not None:
            yield from _within(f"channels/{n}/split_penalty", own.split_penalty, 0, MOST)
        if own.max_km is not None:
            yield from _within(f"channels/{n}/max_km", own.max_km, 1, MOST_KM)
    for n, reach in enumerate(costs.reach):
        yield from _within(f"reach/{n}/max_km", reach.max_km, 1, MOST_KM)
    yield from _restrictions(costs, locations)
    if costs.aging is not None:
        yield from _within("aging/after_days", costs.aging.after_days, 1, MOST_DAYS)
        yield from _within("aging/per_day", costs.aging.per_day, 1, MOST)
        yield from _within("aging/most", costs.aging.most, 1, MOST)


def _rows(costs: Costs, name: str) -> dict[str, int]:
    return {"count": len(getattr(costs, name)), "most": MOST_ROWS}


def _within(at: str, value: int, least: int, most: int) -> Iterator[Flaw]:
    if not least <= value <= most:
        yield Flaw(at, _RANGE, _RANGE_MEND, {"value": value, "least": least, "most": most})


def _codes(at: str, field: str, codes: list[str], known: Collection[str]) -> Iterator[Flaw]:
    seen: set[str] = set()
    for n, code in enumerate(codes):
        if code not in known:
            says = N_("There is no channel {value}.") if field == "channel" else N_("There is no location {value}.")
            yield Flaw(f"{at}/{n}/{field}", says, facts={"value": code})
        elif code in seen:
            yield Flaw(f"{at}/{n}/{field}", N_("{value} is there twice."), N_("Leave one row."), {"value": code})
        seen.add(code)


def _cartons(costs: Costs) -> Iterator[Flaw]:
    seen: set[int] = set()
    for n, carton in enumerate(costs.cartons):
        yield from _within(f"cartons/{n}/max_grams", carton.max_grams, 1, MOST_GRAMS)
        yield from _within(f"cartons/{n}/price", carton.price, 0, MOST)
        if carton.max_grams in seen:
            says, mend = N_("Two cartons end at {value} grams."), N_("Leave one row.")
            yield Flaw(f"cartons/{n}/max_grams", says, mend, {"value": carton.max_grams})
        seen.add(carton.max_grams)


def _steps(costs: Costs) -> Iterator[Flaw]:
    before = None
    for n, step in enumerate(costs.capacity):
        yield from _within(f"capacity/{n}/percent", step.percent, 0, 100)
        yield from _within(f"capacity/{n}/price", step.price, 0, MOST)
        if before is not None and (step.percent <= before.percent or step.price < before.price):
            says = N_("Steps must rise: a fuller location never costs less.")
            yield Flaw(f"capacity/{n}", says, N_("Order the steps by their share of the capacity."))
        before = step


def _restrictions(costs: Costs, locations: Collection[str]) -> Iterator[Flaw]:
    for n, one in enumerate(costs.restrictions):
        at = f"restrictions/{n}"
        value = one.value.strip()
        if not value or len(value) > 200:
            yield Flaw(f"{at}/value", N_("This field is empty or too long."), N_("Use up to 200 characters."))
        elif one.kind is Kind.NCM and not (value.isdigit() and len(value) in {2, 4, 6, 8}):
            mend = N_("Use the first two, four, six or all eight digits.")
            yield Flaw(f"{at}/value", N_("{value} is no beginning of an NCM code."), mend, {"value": value})
        elif one.kind is Kind.ATTRIBUTE and not all(part.strip() for part in value.partition("=")):
            mend = N_("Write it as name=value.")
            yield Flaw(f"{at}/value", N_("{value} names no attribute."), mend, {"value": value})
        if not one.locations and not one.only:
            yield Flaw(f"{at}/locations", N_("No location is named."), N_("Name at least one."))
        for code in one.locations:
            if code not in locations:
                yield Flaw(f"{at}/locations", N_("There is no location {value}."), facts={"value": code})


def credit_of(aging: Aging, days: int) -> int:
    """Return what a unit is worth leaving that has lain so many days, in centavos."""
    return min(max(days - aging.after_days, 0) * aging.per_day, aging.most)


def learn(lived: Mapping[int, Lived]) -> dict[int, Learned]:
    """Return each location's probabilities from what it lived, drawn to the mean of all.

    A location with n outcomes counts n / (n + `PRIOR`) of its own share and the rest of the network's. Under
    `LEAST_OUTCOMES` outcomes of all there is no probability.
    """
    works, refused = sum(one.works for one in lived.values()), sum(one.refused for one in lived.values())
    promises, broken = sum(one.promises for one in lived.values()), sum(one.broken for one in lived.values())
    return {
        id_: Learned(
            one,
            _drawn(one.refused, one.works, refused, works),
            _drawn(one.broken, one.promises, broken, promises),
        )
        for id_, one in lived.items()
    }


def _drawn(bad: int, count: int, all_bad: int, all_count: int) -> float | None:
    if all_count < LEAST_OUTCOMES:
        return None
    return (bad + PRIOR * all_bad / all_count) / (count + PRIOR)


RISK_STEP = 10


def centavos_of(probability: float | None, cost: int) -> int:
    """Return what a risk costs: probability times cost, in tens of centavos, for it is an estimate.

    Locations of equal cost are looked at once, so the step also keeps planning quick.
    """
    return 0 if probability is None else round(probability * cost / RISK_STEP) * RISK_STEP
