"""How much promises are doubted: those that came due of late, broken beside foretold, by service and zone. Pure.

This is the rolling offset of conformal prediction, on the chance instead of the day: where twice as many promises were
broken as was foretold, a chance to be late counts twice, and the day that is promised moves with it. What is foretold
is always the chance of the life tables before any doubt, so a correction never feeds on itself.

A zone is a service between two regions. Its doubt is taken beside that of its service, by halves (`OF_ZONE`), and leans
on it where few promises came due. What all zones of a service have in common is the speed of weeks ago, which the pace
of the service knows sooner; of it only `OF_SERVICE` is taken.
"""

from collections.abc import Iterable
from typing import NamedTuple

from malha.promising.lived import Lane, zone_of

LOOK_BACK = 60  # days
HALF_LIFE = 21.0  # days after which a promise that came due counts half
LEAN = 5.0  # broken promises that "as foretold" is worth
OF_ZONE = 0.5  # the power of a zone beside its service
OF_SERVICE = 0.25  # the power of a service
BOUNDS = (0.5, 2.0)
ANYWHERE = ""

Zone = tuple[int, str, str]  # service, and the two regions; empty: of the whole service


class Due(NamedTuple):
    """Promises of one lane whose day is over: foretold with one chance, all kept or all broken."""

    service_id: int
    from_state: str
    to_state: str
    age: int  # days since the promised day
    foretold: float  # the chance to be kept, before doubt
    kept: bool
    promises: int


class Doubt(NamedTuple):
    """A factor on the chance to be late, and what it is made of."""

    factor: float
    promises: int
    kept: int
    foretold: float  # mean


class _Sum:
    __slots__ = ("broken", "expected", "foretold", "kept", "promises")

    def __init__(self) -> None:
        self.broken = self.expected = self.foretold = 0.0
        self.promises = self.kept = 0

    def add(self, due: Due) -> None:
        weight = due.promises * 0.5 ** (due.age / HALF_LIFE)
        self.broken += 0.0 if due.kept else weight
        self.expected += weight * (1 - due.foretold)
        self.foretold += due.promises * due.foretold
        self.promises += due.promises
        self.kept += due.promises * due.kept

    def ratio(self, usual: float = 1.0) -> float:
        return (self.broken + LEAN * usual) / (self.expected + LEAN)

    def doubt(self, factor: float) -> Doubt:
        least, most = BOUNDS
        return Doubt(min(max(factor, least), most), self.promises, self.kept, self.foretold / self.promises)


def doubts(due: Iterable[Due]) -> dict[Zone, Doubt]:
    """Return the doubt of each zone in which promises came due, and of each service as a whole."""
    zones: dict[Zone, _Sum] = {}
    services: dict[int, _Sum] = {}
    for row in due:
        if row.age <= LOOK_BACK and row.promises:
            lane: Lane = row.service_id, row.from_state, row.to_state
            zones.setdefault(zone_of(lane), _Sum()).add(row)
            services.setdefault(row.service_id, _Sum()).add(row)
    whole = {service: of.ratio() for service, of in services.items()}
    found = {(service, ANYWHERE, ANYWHERE): of.doubt(whole[service] ** OF_SERVICE) for service, of in services.items()}
    for zone, of in zones.items():
        service = whole[zone[0]]
        found[zone] = of.doubt((of.ratio(service) / service) ** OF_ZONE * service**OF_SERVICE)
    return found
