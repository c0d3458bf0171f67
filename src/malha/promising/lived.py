"""Days that deliveries take, from a life table of those that came and those still on their way. Pure.

Times are business days of the destination from the day a parcel is to leave its location, so what a location is late
with is part of them. The chance of coming on a day is read from *hazards*: of the parcels that had waited so long, how
many came that day. Days of waiting count less the longer they are ago; parcels on their way count with what they have
waited. Lanes with few parcels lean on their service between the two regions, and that on the service as a whole.

How lanes differ changes slowly, how fast a service is changes within days, for all of its lanes. So lanes are learned
from months, and the *pace* of a service from its last days: how many parcels came for each that the lanes foretold.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from malha.platform.brazil import CODE_OF_STATE

MOST_DAYS = 40  # business days that are looked at: what has not come by then is lost, or nobody said that it came
HALF_LIFE = 60.0  # calendar days after which a day of waiting counts half
PACE_HALF_LIFE = 5.0  # the same for the pace of a service
PACE_LEAN = 50.0  # parcels that "as the lanes foretold" is worth
PACES = (0.5, 2.0)  # the slowest and the quickest that is believed
CALENDAR = 1.4  # calendar days of a business day
LEAN = 20.0  # parcels that what is wider is worth
LEAST = 200  # deliveries before anything is learned
USUAL = 0.5


class Waited(NamedTuple):
    """Parcels of one lane that were to leave on one day and waited equally long. Not `came`: still on their way."""

    service_id: int
    from_state: str
    to_state: str
    age: int  # calendar days since they were to leave
    days: int  # business days until they came, or until now
    came: bool
    parcels: int


class Lived(NamedTuple):
    """What a lane takes: business days at the level and of the half of them, and its deliveries."""

    days: int
    usual: int
    outcomes: int


Lane = tuple[int, str, str]


class _Counts:
    """What was lived of a group: parcels that came after so many days, and that had waited so long, both weighted."""

    __slots__ = ("came", "outcomes", "waiting")

    def __init__(self) -> None:
        self.came = [0.0] * MOST_DAYS
        self.waiting = [0.0] * MOST_DAYS
        self.outcomes = 0

    def add(self, row: Waited) -> None:
        for day, weight in _days_waited(row, HALF_LIFE):
            self.waiting[day] += weight
            if row.came and day == row.days:
                self.came[day] += weight
        if row.came:
            self.outcomes += row.parcels

    def hazards(self, wider: list[float] | None) -> list[float]:
        """Return the chance of coming on each day for who has waited until then, leaning on what is wider.

        Where nobody has waited so long yet, what is late is taken to come as quickly as it came at best.
        """
        lean = LEAN if wider else 0.0
        known = [
            (came + lean * hazard) / (waiting + lean) if waiting + lean > 0 else None
            for came, waiting, hazard in zip(self.came, self.waiting, wider or [0.0] * MOST_DAYS, strict=True)
        ]
        best = max((hazard for hazard in known if hazard is not None), default=0.0)
        return [best if hazard is None else hazard for hazard in known]


def learn(waited: Sequence[Waited], level: float) -> dict[Lane, Lived]:
    """Return what each lane takes by whose end the share `level` of its parcels is there; empty while too few came."""
    lanes: dict[Lane, _Counts] = {}
    zones: dict[Lane, _Counts] = {}
    services: dict[int, _Counts] = {}
    for row in waited:
        lane = row.service_id, row.from_state, row.to_state
        lanes.setdefault(lane, _Counts()).add(row)
        zones.setdefault(_zone(lane), _Counts()).add(row)
        services.setdefault(row.service_id, _Counts()).add(row)
    if sum(group.outcomes for group in services.values()) < LEAST:
        return {}
    whole = {id_: group.hazards(None) for id_, group in services.items()}
    between = {zone: group.hazards(whole[zone[0]]) for zone, group in zones.items()}
    known = {lane: group.hazards(between[_zone(lane)]) for lane, group in lanes.items()}
    paces = _paces(waited, known)
    found = {}
    for lane, group in lanes.items():
        hazards = [min(1.0, hazard * paces[lane[0]]) for hazard in known[lane]]
        days, usual = _day_of(hazards, level), _day_of(hazards, USUAL)
        if group.outcomes and days is not None and usual is not None:
            found[lane] = Lived(days, usual, group.outcomes)
    return found


def _days_waited(row: Waited, half_life: float) -> Iterator[tuple[int, float]]:
    """Yield each day that parcels waited and what it counts; the last day of those on their way is not over."""
    for day in range(min(row.days + row.came, MOST_DAYS)):
        yield day, row.parcels * 0.5 ** (max(0.0, row.age - CALENDAR * day) / half_life)


def _paces(waited: Iterable[Waited], hazards: Mapping[Lane, Sequence[float]]) -> dict[int, float]:
    """Return, by service, how many parcels came in the last days for each that the hazards of its lanes foretold."""
    came: dict[int, float] = {}
    foretold: dict[int, float] = {}
    for row in waited:
        service = row.service_id
        chances = hazards[service, row.from_state, row.to_state]
        came.setdefault(service, PACE_LEAN)
        foretold.setdefault(service, PACE_LEAN)
        for day, weight in _days_waited(row, PACE_HALF_LIFE):
            foretold[service] += weight * chances[day]
            if row.came and day == row.days:
                came[service] += weight
    slowest, quickest = PACES
    return {service: min(max(came[service] / foretold[service], slowest), quickest) for service in came}


def _zone(lane: Lane) -> Lane:
    """Return a lane between regions: the first digits of the states' codes at IBGE."""
    service, origin, target = lane
    return service, CODE_OF_STATE[origin][0], CODE_OF_STATE[target][0]


def _day_of(hazards: list[float], share: float) -> int | None:
    """Return the day by whose end a share of what comes at all has come; None where nothing comes."""
    waiting = [1.0]
    for hazard in hazards:
        waiting.append(waiting[-1] * (1 - hazard))
    coming = 1 - waiting[-1]
    if coming <= 0:
        return None
    return next(day for day, left in enumerate(waiting[1:]) if 1 - left >= share * coming - 1e-9)
