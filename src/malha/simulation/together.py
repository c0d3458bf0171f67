"""An order decided the other way: its goods come together though they left apart, or leave apart though together. Pure.

What that needs is taken from the stored decision. What a decision does not hold is not guessed: `Untold` says why the
order cannot be decided that way. Two things are those of today, as the rules on paper are: by which ways goods are
brought to a place, and which locations are one site.

Where an order came together, nobody looked at what other parcels would have cost: the network says that only while it
is still the one that the order was decided in. Stock that was not looked at is neither none nor some: a plan stands
where it is the same with none and with plenty (`Form.wide`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from malha.network.model import Method
from malha.routing.lane_facts import Onward, Rates
from malha.routing.lanes import NO_LIMIT, NO_RISK, Lane, open_lane
from malha.routing.model import REASONS, Network, Reason
from malha.routing.records import Record
from malha.routing.terms import OrderTerms, runs, unfold
from malha.simulation.model import Unknown

PLENTY = 1 << 40  # units
MOST_BRACKETS = 500
ELSEWHERE = REASONS.index(Reason.ELSEWHERE)
# What closes a location to parcels of its own, but not to bringing goods somewhere.
BRINGS = (Reason.METHOD, Reason.NO_SERVICE)


class Untold(Exception):
    """What the order would have become is not known, and why."""

    def __init__(self, why: Unknown) -> None:
        super().__init__(why.value)
        self.why = why


class Ways(NamedTuple):
    """The network of today."""

    network: Network
    homes: Mapping[int, int]  # first location of the site, by location

    def home(self, location: int) -> int:
        """Return the first location of a location's site."""
        return self.homes.get(location, location)


class Form(NamedTuple):
    """A decision's inputs as they would have been stored. `wide`: with locations whose stock nobody looked at."""

    record: Record
    wide: Record | None


def gathers(record: Record) -> bool:
    """Tell whether an order was decided where goods come together at a place and are shipped from there."""
    return record.method == Method.SHIP and record.pickup is not None


def gathered(record: Record, hub: int, ways: Ways, service: int, days: int) -> Form | None:
    """Return an order that left apart as one whose goods come together at a place; None: nothing could there.

    `service` and `days` are how it would go on from there.

    Where what all of it costs from there was not looked at, its `onward` is None.

    Raises:
        Untold: the place was not there then.
    """
    ids = record.location_ids()
    site = ways.home(hub)
    if site not in ids:
        if any(site in closed for closed in record.closed().values()):
            return None
        raise Untold(Unknown.PLACE)
    lanes = ways.network.brought.get(site, {})
    here: list[int | None] = [p for p, id_ in enumerate(ids) if ways.home(id_) == site]
    there: list[int | None] = [p for p, id_ in enumerate(ids) if ways.home(id_) != site and id_ in lanes]
    closed = record.closed()
    unsure = [id_ for why in BRINGS for id_ in closed.get(why, ()) if id_ in lanes and ways.home(id_) != site]
    brings = frozenset([*unsure, *(ids[p] for p in there if p is not None)])
    lanes = {id_: lane for id_, lane in lanes.items() if id_ in brings}
    made = _Gathering(record, ids, site, hub, lanes, _onward(record, ids, site, service, days))
    known = made.form([*here, *there], [ids[p] for p in (*here, *there) if p is not None])
    if not unsure:
        return Form(known, None)
    credits_ = ways.network.terms.credits
    if any(id_ in credits_.get(sku, {}) for sku in record.stock() for id_ in unsure):
        raise Untold(Unknown.STOCK)
    order = [*here, *[None for _ in unsure], *there]
    names = [*(ids[p] for p in here if p is not None), *unsure, *(ids[p] for p in there if p is not None)]
    return Form(known, made.form(order, names))


def _onward(record: Record, ids: Sequence[int], site: int, service: int, days: int) -> Onward | None:
    """Return how all of an order goes on from a place, at the price that its own decision looked at; None: at none."""
    grams = sum(line.quantity * line.grams for line in record.lines)
    # No parcel that was looked at weighs more than all of it: one that goes so far is priced as all of it is.
    rate = min((rate for rate in record.rates if rate.limit >= grams), key=lambda rate: rate.limit, default=None)
    if rate is None:
        return None
    zone = record.classes[record.klass()[ids.index(site)]][0]
    return Onward(
        location=site,
        service=service,
        grams=grams,
        packages=1 if rate.packages is None else rate.packages[zone],
        freight=rate.prices[zone],
        carton=0 if rate.cartons is None else rate.cartons[zone],
        days=days,
    )


class _Gathering(NamedTuple):
    record: Record
    ids: Sequence[int]
    site: int
    hub: int
    lanes: Mapping[int, tuple[int, int]]  # (price, days) by location that brings its goods
    onward: Onward | None

    def form(self, order: Sequence[int | None], names: Sequence[int]) -> Record:
        """Return the decision where goods come together. `order` are positions, None: one that was not open."""
        record = self.record
        klass = record.klass()
        zone_at, handling, picking = record.classes[klass[self.ids.index(self.site)]]
        zones: dict[tuple[int, int], int] = {}
        classes = []
        for old, id_ in zip(order, names, strict=True):
            # What handling costs where nobody looked is not known: nothing is never too much.
            _zone, own, line = (0, 0, 0) if old is None else record.classes[klass[old]]
            if id_ in self.lanes:
                zone = zones.setdefault(self.lanes[id_], len(zones) + 1)
                classes.append((zone, own + handling, line + picking))
            else:
                classes.append((0, own, line))
        hub = self.ids.index(self.hub if self.hub in self.ids else self.site)
        heavy = [number for number, where in record.heavy if self.ids.index(self.site) in where]
        terms = record.terms or OrderTerms()
        said = _carried_over(record, order)
        mine = said.pop("terms")
        taxes = [(line, [by_zone[zone_at]] * (len(zones) + 1)) for line, by_zone in terms.taxes if by_zone[zone_at]]
        far = tuple(runs(range(len(order)))) if hub in unfold(terms.far) else ()
        mine = msgspec.structs.replace(mine, taxes=taxes, far=far)
        brought = [0, *(days for _, days in zones)] if zones else []
        here = [own for zone, own, _ in classes if not zone]
        taken = set(order)
        others = [id_ for p, id_ in enumerate(self.ids) if p not in taken]
        return msgspec.structs.replace(
            record,
            pickup=self.hub,
            locations=runs(names),
            refused=[*record.refused, (ELSEWHERE, runs(others))] if others else record.refused,
            classes=classes,
            members=[],
            split=-min(here) if zones else 0,
            fees=[],
            learned=None,
            sites=[],
            brought=brought,
            rates=[Rates(NO_LIMIT, [0, *(price for price, _ in zones)])],
            heavy=[(number, list(range(len(order)))) for number in heavy],
            terms=None if mine == OrderTerms() else mine,
            onward=self.onward,
            **said,
            **NOTHING_CAME_OF_IT,
        )


NOTHING_CAME_OF_IT: dict[str, Any] = {
    "bound": None, "parcels": [], "cost": 0, "costs": [], "amounts": [], "unplaced": [], "lead_days": None,
    "exact": True, "worth": 0,
}  # fmt: skip


def _carried_over(record: Record, order: Sequence[int | None]) -> dict[str, Any]:
    """Return what a decision says of positions, said of others: `order` are its own positions, None for new ones."""
    to = {old: new for new, old in enumerate(order) if old is not None}
    terms = record.terms or OrderTerms()

    def there(positions: Sequence[Any]) -> list[int]:
        return [to[p] for p in unfold(positions) if p in to]

    return {
        "free": [[PLENTY if old is None else units[old] for old in order] for units in record.free],
        "full": sorted((to[p], taken, cap) for p, taken, cap in record.full if p in to),
        "later": sorted((to[p], taken, cap) for p, taken, cap in record.later if p in to),
        "excluded": [(line, sorted(where)) for line, old in record.excluded if (where := there(old))],
        "prices": [
            (sku, here) for sku, priced in record.prices if (here := sorted((to[p], c) for p, c in priced if p in to))
        ],
        "terms": OrderTerms(
            busy=sorted((to[p], price) for p, price in terms.busy if p in to),
            credits=[
                (sku, here)
                for sku, given in terms.credits
                if (here := sorted((to[p], c) for p, c in given if p in to))
            ],
            unserved=[
                (line, tuple(runs(sorted(where)))) for line, old in terms.unserved if (where := there(old))
            ],
        ),
    }  # fmt: skip


def apart(record: Record, ways: Ways) -> Form:
    """Return an order that came together as one whose goods leave apart.

    Raises:
        Untold: the network is another one now, or tax and distances count that were not looked at.
    """
    network = ways.network
    if network.revision != record.network:
        raise Untold(Unknown.NETWORK)
    if network.terms.taxes or network.terms.asks_cep:
        raise Untold(Unknown.TERMS)
    key = record.channel, record.method, record.service, record.to, None
    lane = network.lanes.get(key)
    if lane is None:
        lane = network.lanes[key] = open_lane(network, *key)
    ids = record.location_ids()
    at = {id_: p for p, id_ in enumerate(ids)}
    every = [network.location_ids[index] for index in lane.open]
    rates = _all_rates(lane, sum(line.quantity * line.grams for line in record.lines))
    known = [p for p, id_ in enumerate(every) if id_ in at]
    found = _apart(record, lane, every, known, at, rates, network)
    if len(known) == len(every):
        return Form(found, None)
    return Form(found, _apart(record, lane, every, range(len(every)), at, rates, network))


def _apart(
    record: Record,
    lane: Lane,
    every: Sequence[int],
    chosen: Sequence[int],
    at: Mapping[int, int],
    rates: list[Rates],
    network: Network,
) -> Record:
    """Return the decision at some positions of the lane in which the order would have left apart."""
    facts = lane.facts
    names = [every[p] for p in chosen]
    new = {old: n for n, old in enumerate(chosen)}
    klass = [lane.klass[p] for p in chosen]
    zones = 1 + max((facts.classes[k][0] for k in klass), default=-1)
    fees = [facts.fees[k] if facts.fees else NO_RISK for k in klass]
    sites = [(saving, [new[p] for p in members if p in new]) for saving, members in facts.sites]
    heavy = []
    for line in record.lines:
        too = [n for n, k in enumerate(klass) if line.grams > lane.limits[facts.classes[k][0]]]
        if too:
            heavy.append((line.line, too))
    said = _carried_over(record, [at.get(id_) for id_ in names])
    terms = said.pop("terms")
    given = {sku: dict(here) for sku, here in terms.credits}
    for sku in record.stock():
        for n, id_ in enumerate(names):
            if id_ not in at and (credit := network.terms.credits.get(sku, {}).get(id_)):
                given.setdefault(sku, {})[n] = credit
    terms = msgspec.structs.replace(terms, credits=[(sku, sorted(here.items())) for sku, here in given.items()])
    return msgspec.structs.replace(
        record,
        pickup=None,
        locations=runs(names),
        refused=facts.refused,
        classes=[facts.classes[k] for k in klass],
        members=[],
        split=facts.split,
        fees=fees if any(fee != NO_RISK for fee in fees) else [],
        learned=facts.learned,
        sites=[(saving, members) for saving, members in sites if len(members) > 1],
        brought=[],
        rates=[_of_zones(rate, zones) for rate in rates],
        heavy=heavy,
        terms=None if terms == OrderTerms() else terms,
        onward=None,
        **said,
        **NOTHING_CAME_OF_IT,
    )


def _of_zones(rate: Rates, zones: int) -> Rates:
    """Return what parcels cost from the first zones."""
    packages = None if rate.packages is None else rate.packages[:zones]
    cartons = None if rate.cartons is None else rate.cartons[:zones]
    return Rates(rate.limit, rate.prices[:zones], packages, cartons)


def _all_rates(lane: Lane, grams: int) -> list[Rates]:
    """Return what parcels of any weight cost in a lane, up to one."""
    found: list[Rates] = []
    weight = 1
    while not found or found[-1].limit < grams:
        bracket = lane.row(weight, 1).bracket
        beyond = bracket.limit == weight and bool(found) and found[-1].limit == weight - 1
        if len(found) >= MOST_BRACKETS or (beyond and weight < grams and weight > 1):
            raise Untold(Unknown.CARRIAGE)  # above the last bracket each weight has a price of its own
        found.append(Rates(bracket.limit, bracket.prices, bracket.packages, bracket.cartons))
        weight = bracket.limit + 1
    return found
