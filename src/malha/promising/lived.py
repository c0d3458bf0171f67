"""How long goods take to leave a location and to travel, from life tables of what came and what still waits. Pure.

Two times are learned apart, so that a late location makes no lane longer: working days of a location from the day goods
are to leave until they do (fewer than none: before it), and business days of the destination from then until they are
there. The chance of a day is read from *hazards*: of those that had waited so long, how many came that day. Days of
waiting count less the longer they are ago; what still waits counts with what it has waited. Lanes with few parcels lean
on their service between the two regions and that on the service as a whole, weekdays of a location on the location
and that on all locations.

How lanes and locations differ changes slowly, how fast they are changes within days. So they are learned from months,
and the *pace* of a service or location from its last days: how many came for each that was foretold. Work that piles up
at a location is such a change.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from malha.platform.brazil import CODE_OF_STATE

MOST_DAYS = 40  # business days that are looked at: what has not come by then is lost, or nobody said that it came
EARLIEST = -8  # working days before its day that goods leave at most
LATEST = 15  # working days after it by which goods leave, or nobody said that they did
HALF_LIFE = 60.0  # calendar days after which a day of waiting counts half
PACE_HALF_LIFE = 5.0  # the same for the pace of a service or location
PACE_LEAN = 50.0  # parcels that "as foretold" is worth
PACES = (0.5, 2.0)  # the slowest and the quickest that is believed
CALENDAR = 1.4  # calendar days of a business day
LANE_LEAN = 60.0  # parcels that what is wider is worth
PLACE_LEAN = 20.0  # works that what is wider is worth
LOST = 60  # calendar days after which what nobody said to have left, or to be there, is lost, or was never told
LEAST = 200  # outcomes before anything is learned
USUAL = 0.5


class Waited(NamedTuple):
    """Parcels of one lane that left on one day and waited equally long. Not `came`: still on their way."""

    service_id: int
    from_state: str
    to_state: str
    age: int  # calendar days since they left
    days: int  # business days until they came, or until now
    came: bool
    parcels: int


class Left(NamedTuple):
    """Work of one location that was to leave on one day and left equally late. Not `left`: it has not yet.

    `kind` has a life table of its own at the location: the weekday it was to leave (0 is Monday), or how much work was
    before it (`queues`).
    """

    location_id: int
    method: str
    kind: int
    age: int  # calendar days since that day
    days: int  # working days of the location after it until it left, or until now; fewer than none: before
    left: bool
    works: int


class Lived(NamedTuple):
    """What a lane takes: the chance of each business day from the day goods leave, and its deliveries."""

    chances: tuple[float, ...]
    outcomes: int

    def day_of(self, share: float) -> int:
        """Return by the end of which business day a share of parcels is there."""
        return day_of(self.chances, share)


class Readiness(NamedTuple):
    """When goods leave a location: the chance of each working day, from `EARLIEST` on, and how often they left."""

    chances: tuple[float, ...]
    outcomes: int


Lane = tuple[int, str, str]
Place = tuple[int | None, str, int | None]  # location (None: any), method, kind (None: any)
_Key = Hashable


class _Row(NamedTuple):
    """What life tables are made of: how many that waited until a day, counted from the first, and whether it ended."""

    key: _Key
    age: float  # calendar days since the first day
    day: int
    ended: bool
    many: int


class _Counts:
    """What was lived of a group: what ended after so many days, and what had waited so long, both weighted."""

    __slots__ = ("ended", "outcomes", "waiting")

    def __init__(self, most: int) -> None:
        self.ended = [0.0] * most
        self.waiting = [0.0] * most
        self.outcomes = 0

    def add(self, row: _Row) -> None:
        for day, weight in _days_waited(row, HALF_LIFE, len(self.waiting)):
            self.waiting[day] += weight
            if row.ended and day == row.day:
                self.ended[day] += weight
        if row.ended:
            self.outcomes += row.many

    def hazards(self, wider: Sequence[float] | None, leaning: float) -> list[float]:
        """Return the chance of ending on each day for who has waited until then, leaning on what is wider.

        Where nobody has waited so long yet, what is late is taken to end as quickly as it ended at best.
        """
        lean = leaning if wider else 0.0
        known = [
            (ended + lean * hazard) / (waiting + lean) if waiting + lean > 0 else None
            for ended, waiting, hazard in zip(self.ended, self.waiting, wider or [0.0] * len(self.ended), strict=True)
        ]
        best = max((hazard for hazard in known if hazard is not None), default=0.0)
        return [best if hazard is None else hazard for hazard in known]


def learn(waited: Iterable[Waited]) -> dict[Lane, Lived]:
    """Return what each lane takes; empty while too few parcels came."""
    rows = [_Row((w.service_id, w.from_state, w.to_state), w.age, w.days, w.came, w.parcels) for w in waited]
    found = _life(rows, (_service, zone_of, _itself), 0, MOST_DAYS, LANE_LEAN)
    return {cast("Lane", lane): Lived(*of) for lane, of in found[-1].items()}


def learn_ready(left: Iterable[Left]) -> dict[Place, Readiness]:
    """Return when goods leave, by location and kind, with those of any kind and of any location.

    Empty while too little is known.
    """
    most = LATEST - EARLIEST + 1
    rows = [
        _Row(
            (row.location_id, row.method, row.kind),
            row.age - CALENDAR * EARLIEST,
            min(max(row.days, EARLIEST), LATEST + 1) - EARLIEST,
            row.left and row.days <= LATEST,
            row.works,
        )
        for row in left
    ]
    everywhere, places, kinds = _life(rows, (_anywhere, _any_kind, _itself), 1, most, PLACE_LEAN)
    together = {**everywhere, **places, **kinds}
    return {cast("Place", key): Readiness(*of) for key, of in together.items()}


def day_of(chances: Sequence[float], share: float) -> int:
    """Return by the end of which day a share has come; the last, where it never does."""
    there = 0.0
    for day, chance in enumerate(chances):
        there += chance
        if there >= share - 1e-9:
            return day
    return len(chances) - 1


def zone_of(lane: Lane) -> Lane:
    """Return a lane between regions: the first digits of the states' codes at IBGE."""
    service, origin, target = lane
    return service, CODE_OF_STATE[origin][0], CODE_OF_STATE[target][0]


def _itself(key: _Key) -> _Key:
    return key


def _service(lane: Lane) -> int:
    return lane[0]


def _anywhere(place: Place) -> Place:
    return None, place[1], None


def _any_kind(place: Place) -> Place:
    return place[0], place[1], None


_Found = dict[_Key, tuple[tuple[float, ...], int]]


def _life(
    rows: Sequence[_Row], levels: Sequence[Callable[[Any], _Key]], paced: int, most: int, lean: float
) -> list[_Found]:
    """Return the chances and outcomes of groups, by level from the widest to the keys themselves.

    Each level leans on the one before. Groups of the level `paced`, and those within them, go at its pace. All are
    empty while too little is known.
    """
    names = {row.key: [level(row.key) for level in levels] for row in rows}
    groups: list[dict[_Key, _Counts]] = [{} for _ in levels]
    for row in rows:
        for found, key in zip(groups, names[row.key], strict=True):
            found.setdefault(key, _Counts(most)).add(row)
    if sum(counts.outcomes for counts in groups[0].values()) < LEAST:
        return [{} for _ in levels]
    hazards: list[dict[_Key, list[float]]] = []
    for n, found in enumerate(groups):
        above = {own[n]: own[n - 1] for own in names.values()} if n else {}
        hazards.append({key: of.hazards(hazards[-1][above[key]] if n else None, lean) for key, of in found.items()})
    paces = _paces(rows, hazards[-1], {key: own[paced] for key, own in names.items()}, most)
    known: list[_Found] = []
    for n, found in enumerate(groups):
        pace_of = {own[n]: paces[own[paced]] for own in names.values()} if n >= paced else {}
        of_level: _Found = {}
        for key, counts in found.items():
            pace = pace_of.get(key, 1.0)
            chances = _chances([min(1.0, hazard * pace) for hazard in hazards[n][key]])
            if counts.outcomes and chances is not None:
                of_level[key] = chances, counts.outcomes
        known.append(of_level)
    return known


def _days_waited(row: _Row, half_life: float, most: int) -> Iterator[tuple[int, float]]:
    """Yield each day that was waited and what it counts; the last day of what still waits is not over."""
    for day in range(min(row.day + row.ended, most)):
        yield day, row.many * 0.5 ** (max(0.0, row.age - CALENDAR * day) / half_life)


def _paces(
    rows: Iterable[_Row], hazards: Mapping[_Key, Sequence[float]], group_of: Mapping[_Key, _Key], most: int
) -> dict[_Key, float]:
    """Return, by group, how many ended in the last days for each that the hazards of its keys foretold."""
    ended: dict[_Key, float] = {}
    foretold: dict[_Key, float] = {}
    for row in rows:
        group, chances = group_of[row.key], hazards[row.key]
        ended.setdefault(group, PACE_LEAN)
        foretold.setdefault(group, PACE_LEAN)
        for day, weight in _days_waited(row, PACE_HALF_LIFE, most):
            foretold[group] += weight * chances[day]
            if row.ended and day == row.day:
                ended[group] += weight
    slowest, quickest = PACES
    return {group: min(max(ended[group] / foretold[group], slowest), quickest) for group in ended}


def _chances(hazards: Sequence[float]) -> tuple[float, ...] | None:
    """Return the chance of each day, of what comes at all; None where nothing comes."""
    waiting, found = 1.0, []
    for hazard in hazards:
        found.append(waiting * hazard)
        waiting *= 1 - hazard
    coming = 1 - waiting
    return None if coming <= 0 else tuple(chance / coming for chance in found)
