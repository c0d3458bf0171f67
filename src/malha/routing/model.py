"""Words of routing: what is asked, the compiled network it is asked of, and the plan with what it was decided from.

Positions and indexes: an *index* counts all locations of a network, a *position* only those a lane leaves open. Both
follow (priority, id), so that the first of equals is the one that ties go to.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from malha.platform.ids import UUID
from malha.routing.lane_facts import Onward
from malha.routing.ruling.model import Bound
from malha.routing.terms import NO_TERMS, Amounts, Goods, OrderTerms, Terms

if TYPE_CHECKING:
    from malha.network.tariff import Tariff
    from malha.routing.lanes import Lane
    from malha.routing.rows import Besides, Rows
    from malha.routing.ruling.planning import Under

# 2: prices; 3: terms; 4: rules of people; 5: ten lines exactly at few; 6: lines parted under a rule; 7: full days wait
RULES_VERSION = 7
MANY_LOCATIONS = 64  # open ones; with more, what each would cost is worked out when somebody asks
MAX_EXACT = 8  # lines planned exactly wherever; the work is 3 to the power of them
MAX_EXACT_AT_FEW = 10  # and at fewer than `MANY_LOCATIONS`; more are grouped first


def most_exact(locations: int) -> int:
    """Return how many lines are planned exactly where as many locations are open."""
    return MAX_EXACT_AT_FEW if locations < MANY_LOCATIONS else MAX_EXACT


class Reason(StrEnum):
    """Why a location cannot serve an order, or a line of it. The first that applies is given; OWNER before ISSUER."""

    PAUSED = "paused"
    CLOSED = "closed"
    CHANNEL = "channel"  # not among the locations that may serve the channel
    ISSUER = "issuer"  # stock of a company the channel's company cannot sell
    METHOD = "method"  # it does not ship, or hands nothing over
    ELSEWHERE = "elsewhere"  # the customer collects at another location
    NO_SERVICE = "no_service"  # no rate to the destination, or one unit is too heavy for every service
    CAPACITY = "capacity"  # its working day is full, and others have the goods
    EXCLUDED = "excluded"  # it rejected or short-picked this line before
    STOCK = "stock"  # has none, or too few
    OWNER = "owner"  # the goods belong to a company whose goods the channel does not sell
    PRODUCT = "product"  # it does not serve the line's class or brand
    DISTANCE = "distance"  # farther from the destination than it, or the channel, may ship
    RULE = "rule"  # the routing rule does not use it
    RULE_DISTANCE = "rule_distance"  # farther than the routing rule allows, or nobody knows how far
    KEPT = "kept"  # has enough, but the routing rule keeps units back


# Stored as small numbers: append only, never reorder.
REASONS = tuple(Reason)


class RequestLine(msgspec.Struct, frozen=True, array_like=True):
    """A line to place. `grams` is the billable weight of one unit; `components` are (sku_id, per kit), if a kit."""

    line: int
    sku_id: int
    quantity: int
    grams: int
    components: tuple[tuple[int, int], ...] | None = None


def skus_of(line: RequestLine) -> Sequence[int]:
    """Return the SKUs that a line takes: its own, or those of its kit."""
    return (line.sku_id,) if line.components is None else [sku for sku, _ in line.components]


def parts_of(line: RequestLine) -> Sequence[tuple[int, int]]:
    """Return what one unit of a line takes: (SKU, units of it)."""
    return line.components or ((line.sku_id, 1),)


def uncovered(unplaced: Iterable[tuple[int, int]], covered: Mapping[int, int]) -> list[tuple[int, int]]:
    """Return what is left of units that found no place, by line, where others are `covered` otherwise."""
    return [(line, units - covered.get(line, 0)) for line, units in unplaced if units > covered.get(line, 0)]


def stock_of(lines: Iterable[RequestLine], free: Iterable[list[int]]) -> dict[int, list[int]]:
    """Return by SKU what is kept in order of first mention: the free units of each, by position."""
    left = iter(free)
    found: dict[int, list[int]] = {}
    for line in lines:
        for sku in skus_of(line):
            if sku not in found:
                found[sku] = next(left)
    return found


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be placed. `excluded` maps a line to the location ids that are not to be asked for it again.

    `merge_location_id` is where the goods of an order that is shipped come together first; None: they do not.
    `under` is the run of routing rules that takes the order; None: any location, the cheapest.
    """

    order_id: UUID
    channel_id: int
    method: str = "ship"
    service_id: int | None = None  # None: the cheapest
    pickup_location_id: int | None = None
    merge_location_id: int | None = None
    to_state: str | None = None
    lines: list[RequestLine]
    excluded: Mapping[int, set[int]] | None = None
    goods: Mapping[int, Goods] | None = None  # by line, where the network's terms ask for it
    to_cep: str | None = None  # the same
    under: "Under | None" = None

    @property
    def lane(self) -> tuple[int, str, int | None, str | None, int | None]:
        """Return what its lane is known by."""
        at = self.merge_location_id if self.method == "ship" else self.pickup_location_id
        return self.channel_id, self.method, self.service_id, self.to_state, at


class Place(msgspec.Struct, frozen=True):
    """What routing needs to know of a location. Costs are centavos: `handling` per parcel, `line` per line picked."""

    id: int
    status: str
    state: str
    can_ship: bool
    can_pickup: bool
    handling: int
    line: int
    daily_capacity: int | None
    entity_id: int  # whose the goods are: the owner's company, else the establishment's
    entity_kind: str
    priority: int
    site_id: int | None = None  # location at whose site it is; None: a site of its own

    @property
    def home(self) -> int:
        """Return the id of the first location of its site."""
        return self.id if self.site_id is None else self.site_id


class Door(msgspec.Struct, frozen=True):
    """What routing needs to know of a channel. `location_ids` empty: all; `entity_id` None: any company may issue."""

    id: int
    location_ids: frozenset[int]
    entity_id: int | None
    entity_kind: str | None
    owner_ids: frozenset[int] = frozenset()  # companies whose goods it sells; empty: anybody's


class Network:
    """One revision of the network, compiled. Immutable in what it says; lanes are worked out at first use and kept."""

    __slots__ = (
        "besides",
        "brought",
        "channels",
        "index",
        "lanes",
        "location_ids",
        "places",
        "priced",
        "rates",
        "revision",
        "rows",
        "services",
        "tariff",
        "terms",
    )

    def __init__(
        self,
        *,
        revision: int,
        places: list[Place],
        channels: dict[int, Door],
        services: list[int],
        rates: dict[int, list[tuple[int, int]]],
        tariff: "Tariff",
        terms: Terms = NO_TERMS,
        brought: Mapping[int, Mapping[int, tuple[int, int]]] | None = None,
    ) -> None:
        self.revision = revision
        self.places = places
        self.location_ids = [place.id for place in places]
        self.index = {place.id: n for n, place in enumerate(places)}
        self.channels = channels
        self.services = services  # active ones that ship, for an order that names none
        self.rates = rates  # active service that ships -> (max_grams, per_extra_kg), all zones
        self.tariff = tariff
        self.terms = terms
        # By site where orders are fetched: the locations that goods are brought from, each with (price, days).
        self.brought = brought or {}
        self.lanes: dict[Any, Lane] = {}
        self.rows: dict[Any, Rows] = {}  # shared by lanes
        self.besides: dict[Any, Besides] = {}  # shared by rows
        # What prices of stock are where certain locations are open: of the last version that was asked for.
        self.priced: tuple[StockPrices | None, dict[tuple[int, ...], Any]] = None, {}


class Parcel(msgspec.Struct, frozen=True, array_like=True):
    """Lines that leave one location together. `index` is the location's, `freight` the carriage in centavos.

    `packages` is more than 1 where the weight is beyond what the carrier takes in one.
    """

    index: int
    service_id: int | None
    grams: int
    freight: int
    packages: int
    units: list[tuple[int, int]]  # (line, quantity)
    amounts: Amounts | None = None  # of the terms; None: there were none


class Basis(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a plan was decided from and came to, as far as its lane does not say it already. Lists follow positions."""

    lines: list[RequestLine]
    free: list[Any]  # per SKU, in order of first mention: free units by position
    parcels: list[Any]  # (position, service, freight, packages, [(line, quantity)])
    cost: int
    # Centavos of the cheapest plan that uses the position, -1 where no line can be served. Absent: not worked out yet.
    costs: list[int] = []
    full: list[tuple[int, int, int]] = []  # (position, taken, capacity)
    excluded: list[tuple[int, list[int]]] = []  # (line, positions)
    heavy: list[tuple[int, list[int]]] = []  # (line, positions)
    unplaced: list[tuple[int, int]] = []
    lead_days: int | None = None
    version: int | None = None  # of the prices of stock; None: there were none
    prices: list[Any] = []  # (sku, [(position, centavos a unit)]) of what was free; others are 0
    worth: int = 0  # centavos: the price of the stock the plan takes. In `costs`, not in `cost`
    terms: OrderTerms | None = None  # what the retailer's terms said of the order
    amounts: list[Amounts] = []  # what they made of each parcel; absent: nothing
    exact: bool = True  # False: too many lines, or units of a line split over locations; costs are the cheapest found
    bound: Bound | None = None  # what a routing rule asked; None: no rule took the order
    # (position, taken, capacity) of those whose day is full and that serve on their next one: nobody else had it all
    later: list[tuple[int, int, int]] = []
    onward: Onward | None = None  # how goods that come together go on; in `cost` and `costs`. None: they do not


class Plan(msgspec.Struct, frozen=True):
    """Where an order goes. `assignments` are (line, location index, quantity) by line; `unplaced` (line, quantity)."""

    assignments: list[tuple[int, int, int]]
    unplaced: list[tuple[int, int]]
    cost: int  # centavos
    packages: int
    lead_days: int | None  # business days in transit of the slowest parcel; None: nothing travels
    parcels: list[Parcel]  # what leaves each location, on its way to where goods come together where they do
    basis: Basis
    head: bytes  # of the record: what the lane says
    rates: bytes  # of the record: the tariff as far as it was looked at


class StockPrices(msgspec.Struct, frozen=True):
    """What a unit is worth where it is, for orders to come: centavos by SKU and location id. Absent ones are 0.

    After `until` they are of a stock that is gone; None: nobody asks.
    """

    version: int
    by_sku: Mapping[int, Mapping[int, int]]
    until: datetime | None = None


class Exclusion(msgspec.Struct, frozen=True):
    """A location that is not to be asked again for a line of an order, and why: "rejected", "short_pick"..."""

    order_id: UUID
    line: int
    location_id: int
    reason: str
