"""Lanes: what a network means for orders of one channel, method, service and destination state.

A lane keeps what does not depend on the order: which locations are open to it and why the others are not, and what a
parcel costs from each. Prices are constant between the weights at which any rate changes, so they are worked out once
for each such bracket and kept (`rows`): planning an order then looks up, it does not compute. Pure.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import msgspec

from malha.network.model import EntityKind, LocationStatus, Method
from malha.network.snapshot import NetworkSnapshot
from malha.routing.lane_facts import LaneFacts, Onward, Rates
from malha.routing.model import REASONS, RULES_VERSION, Door, Network, Place, Reason, StockPrices
from malha.routing.rows import Besides, Bracket, Pricing, Row, Rows
from malha.routing.terms import NO_TERMS, Run, Terms, runs

if TYPE_CHECKING:  # what compiled code holds numbers in; it means nothing to the interpreter
    from mypy_extensions import i64

EXTRA_KG = 60  # started kilograms above a last bracket that get a bracket of their own
NO_LIMIT: Final = 1 << 60
NO_RISK = (0, 0)
NO_PRICES: dict[int, int] = {}
_encode = msgspec.json.Encoder().encode


class PricesAt:
    """What units are worth at certain locations, by position: looked up as orders ask for SKUs."""

    __slots__ = ("_kept", "_same")

    def __init__(self) -> None:
        # By SKU: centavos a unit by position, and both in order, as they are written down.
        self._kept: dict[int, tuple[dict[int, int], list[Any], list[Any]]] = {}
        self._same: dict[Any, Any] = {}  # one object for each number, as in `rows.Beside`

    def of(self, sku: int, priced: StockPrices, network: Network, lane: "Lane") -> dict[int, int]:
        """Return the centavos of a unit by position, of those with a price."""
        known = self._kept.get(sku)
        if known is None:
            found = []
            for id_, price in priced.by_sku.get(sku, NO_PRICES).items():
                position = lane.position.get(network.index.get(id_, -1))
                if position is not None and price:
                    found.append((position, price))
            found.sort()
            same = self._same
            positions: list[Any] = [same.setdefault(position, position) for position, _ in found]
            prices: list[Any] = [same.setdefault(price, price) for _, price in found]
            known = self._kept[sku] = dict(zip(positions, prices, strict=True)), positions, prices
        return known[0]

    def told(self, sku: int, prices: dict[int, int], units: Sequence[int]) -> list[tuple[int, int]]:
        """Return the pairs of position and price where there are units, in order."""
        known = self._kept.get(sku)
        if known is None or known[0] is not prices:  # a replay brings its own
            return [pair for pair in prices.items() if units[pair[0]]]
        column = units if isinstance(units, list) else list(units)
        positions, worth = known[1], known[2]
        found: list[Any] = []
        n: i64
        for n in range(len(positions)):
            at: i64 = positions[n]
            if column[at] != 0:
                found.append((positions[n], worth[n]))
        return found


def prices_at(priced: StockPrices, network: Network, lane: "Lane") -> PricesAt:
    """Return what a version of the prices of stock says where a lane is open: shared with lanes that are open alike."""
    version, known = lane.priced
    if version is not priced:
        version, by_open = network.priced
        if version is not priced:
            by_open = {}
            network.priced = priced, by_open
        known = by_open.setdefault(tuple(lane.open), PricesAt())
        lane.priced = priced, known
    return known


class Lane:
    """One lane of a network. Channels that may use the same locations share their `Rows`."""

    __slots__ = (
        "bounds",
        "busy",
        "capped",
        "classes",
        "counted",
        "facts",
        "fees",
        "floor_at",
        "full",
        "head",
        "kept",
        "klass",
        "light",
        "limits",
        "masks",
        "onward",
        "open",
        "pick",
        "position",
        "priced",
        "rows",
        "sites",
        "split",
        "states",
        "zone_at",
    )

    def __init__(
        self,
        facts: LaneFacts,
        open_: list[int],
        capped: list[tuple[int, int]],
        limits: list[int],
        rows: Rows,
        states: Sequence[str] = (),
        onward: Callable[[int], Onward] | None = None,
    ) -> None:
        self.facts = facts
        self.onward = onward  # how so many grams that come together go on; None: they do not come together
        self.open = open_  # position -> index
        self.position = {index: position for position, index in enumerate(open_)}
        self.capped = capped  # (position, daily capacity)
        self.limits = limits  # by zone: the heaviest unit any service takes
        self.light = min(limits, default=NO_LIMIT)  # no unit up to this weight is refused anywhere
        self.klass = facts.klass()
        self.classes = facts.classes
        self.head = _head(facts)
        self.pick = _picker(open_)
        self.priced: tuple[StockPrices | None, PricesAt] = None, PricesAt()  # the last prices of stock, and here
        self.rows = rows
        self.split = facts.split
        self.sites = facts.sites
        self.floor_at = [max(facts.split, 0)] * len(self.klass)  # what credits leave of a parcel's cost, in centavos
        for saving, members in facts.sites:
            for position in members:
                self.floor_at[position] = max(facts.split, saving)
        self.fees = facts.fees
        self.states = states  # by zone: the state its parcels leave from
        self.zone_at = rows.zone_at
        self.counted: list[int] = []  # the day's counts that `full` follows from: (position, taken, capacity)
        self.full: list[tuple[int, int, int]] = []
        self.busy: tuple[Sequence[tuple[int, int]], dict[int, int]] = (), {}  # what capacity costs: `charging`
        self.kept: dict[Any, Any] = {}  # what terms said of products and destinations before: `charging`
        self.masks: dict[int, tuple[list[int], Sequence[Run]]] = {}  # whom terms kept from serving before: `charging`
        self.bounds: dict[Any, Any] = {}  # what routing rules asked before: `ruling.bounded`

    def row(self, grams: int, lines: int) -> Row:
        """Return the costs of a parcel of this billable weight with this many lines."""
        return self.rows.row(grams, lines)

    def keys(self, lines: int) -> list[int]:
        """Return each position's class, shifted left to leave one bit for each of `lines`."""
        return self.rows.keys(lines)


def _picker(indexes: list[int]) -> Callable[[Sequence[int]], list[int]]:
    """Return what copies the open locations' entries out of a list over all locations."""
    if indexes == list(range(len(indexes))):
        stop = len(indexes)
        return lambda whole: _listed(whole[:stop])
    if len(indexes) == 1:
        only = indexes[0]
        return lambda whole: [whole[only]]
    pick = itemgetter(*indexes)
    return lambda whole: list(pick(whole))


def _listed(units: Sequence[int]) -> list[int]:
    return units if isinstance(units, list) else list(units)


def _head(facts: LaneFacts) -> bytes:
    return _encode(facts)[:-1] + b',"rates":['


# --- from a network ---


def compile_network(snapshot: NetworkSnapshot, terms: Terms = NO_TERMS) -> Network:
    """Return the network as routing uses it, locations ordered by (priority, id), under a retailer's terms."""
    places = []
    for location in sorted(snapshot.locations.values(), key=lambda x: (x.priority, x.id)):
        establishment = snapshot.establishments[location.keeps]
        places.append(
            Place(
                id=location.id,
                status=location.status,
                state=location.state,
                can_ship=location.can_ship,
                can_pickup=location.can_pickup,
                handling=location.handling_cost,
                line=location.line_cost,
                daily_capacity=location.daily_capacity,
                entity_id=establishment.legal_entity_id,
                entity_kind=establishment.kind,
                priority=location.priority,
                site_id=location.site_id,
            )
        )
    channels = {}
    for channel in snapshot.channels.values():
        owner = None if channel.establishment_id is None else snapshot.establishments[channel.establishment_id]
        channels[channel.id] = Door(
            id=channel.id,
            location_ids=channel.location_ids,
            entity_id=None if owner is None else owner.legal_entity_id,
            entity_kind=None if owner is None else owner.kind,
            owner_ids=channel.owner_ids,
        )
    rates: dict[int, list[tuple[int, int]]] = {s.id: [] for s in snapshot.active_services()}
    for rate in snapshot.rates:
        if rate.service_id in rates:
            rates[rate.service_id].append((rate.max_grams, rate.per_extra_kg))
    return Network(
        revision=snapshot.revision,
        places=places,
        channels=channels,
        services=[s.id for s in snapshot.offered_services()],
        rates=rates,
        tariff=snapshot.tariff,
        terms=terms,
        brought=snapshot.brought_to(),
    )


def may_issue(place: Place, door: Door) -> bool:
    """Return whether the channel's company may sell the location's stock.

    A channel without an account's establishment sells anybody's: the owner of the stock issues. Otherwise the company
    must be the same, or a logistics operator that keeps the goods for others. A channel of an own company may also use
    other own companies, which issue for themselves, but never a franchise's or vendor's stock; theirs may use nobody
    else's.
    """
    if door.entity_id is None or door.entity_id == place.entity_id or place.entity_kind == EntityKind.OPERATOR:
        return True
    return door.entity_kind == EntityKind.OWN and place.entity_kind == EntityKind.OWN


def barred(place: Place, door: Door) -> Reason | None:
    """Return why the owner of a location's goods closes it to a channel."""
    if door.owner_ids and place.entity_id not in door.owner_ids:
        return Reason.OWNER
    return None if may_issue(place, door) else Reason.ISSUER


def _refusal(place: Place, door: Door, method: str, pickup: int | None) -> Reason | None:
    """Return why a location is closed to a lane, tariff apart; `pickup` is the site where the customer collects."""
    if place.status != LocationStatus.ACTIVE:
        return Reason.PAUSED if place.status == LocationStatus.PAUSED else Reason.CLOSED
    if door.location_ids and place.id not in door.location_ids:
        return Reason.CHANNEL
    reason = barred(place, door)
    if reason is not None:
        return reason
    if method == Method.PICKUP:
        if not place.can_pickup:
            return Reason.METHOD
        return None if place.home == pickup else Reason.ELSEWHERE
    return None if place.can_ship else Reason.METHOD


def open_lane(
    network: Network, channel_id: int, method: str, service_id: int | None, to_state: str | None, pickup: int | None
) -> Lane:
    """Work out a lane of a network.

    `pickup` is where an order is fetched, or where the goods of one that is shipped come together first.

    Raises:
        KeyError: the network has no such channel.
    """
    door = network.channels[channel_id]
    ships = method == Method.SHIP
    if ships and pickup is not None:
        return _lane_by_way_of(network, door, service_id, to_state, pickup)
    if not ships:
        service_id = to_state = None
    carriage = _Carriage(network, service_id, to_state) if ships else None
    refused: dict[int, list[int]] = {}
    open_: list[int] = []
    zones: dict[str, int] = {}
    terms = network.terms
    risks = terms.risks if ships else {}
    split = terms.split_of(channel_id) if ships else 0
    classes: dict[tuple[int, int, int, tuple[int, int]], int] = {}
    klass: list[int] = []
    counter = network.places[network.index[pickup]].home if pickup in network.index else pickup
    brought = {} if ships else _brought_to(network, door, counter)
    if brought and counter is not None:
        facts, fetched, carried = _together(network, door, Method.PICKUP, counter, brought)
        facts = msgspec.structs.replace(facts, pickup=pickup)
        return Lane(facts, fetched, _capped(network, fetched), [NO_LIMIT] * len(facts.brought or (0,)), carried)
    for index, place in enumerate(network.places):
        reason = _refusal(place, door, method, counter)
        if reason is None and carriage is not None and not carriage.limit(place.state):
            reason = Reason.NO_SERVICE
        if reason is not None:
            refused.setdefault(REASONS.index(reason), []).append(place.id)
            continue
        zone = zones.setdefault(place.state, len(zones)) if ships else 0
        fee = risks.get(place.id, NO_RISK)
        klass.append(classes.setdefault((zone, place.handling, place.line, fee), len(classes)))
        open_.append(index)
    facts = LaneFacts(
        rules=RULES_VERSION,
        network=network.revision,
        channel=channel_id,
        method=method,
        service=service_id,
        to=to_state,
        pickup=pickup,
        locations=runs(network.location_ids[index] for index in open_),
        refused=[(code, runs(ids)) for code, ids in sorted(refused.items())],
        classes=[(zone, handling, line) for zone, handling, line, _ in classes],
        members=[] if klass == list(range(len(classes))) else klass,
        split=split,
        fees=[fee for *_, fee in classes] if any(fee != NO_RISK for *_, fee in classes) else [],
        learned=terms.learned if risks else None,
        sites=sites_of(
            [network.places[index].home for index in open_],
            [network.places[index].handling for index in open_],
            terms.same_site,
            split,
        )
        if ships and terms.same_site
        else [],
    )
    tolls = tolls_of(facts)
    capped = _capped(network, open_)
    if carriage is None:
        return Lane(facts, open_, capped, [NO_LIMIT], Rows(facts.classes, klass, [NO_LIMIT], _carry_nothing))
    states = list(zones)
    cartons = terms.cartons
    limits = [carriage.limit(state) for state in states]
    shared = (tuple(open_), service_id, to_state, split)
    rows = network.rows.get(shared)
    if rows is None:
        light = min(limits, default=NO_LIMIT)
        # Beyond a zone's limit the price depends on the whole weight: brackets end there.
        # Where no zone has a limit, cartons may change above the last weight at which rates do: it stays the last.
        breaks = sorted({grams for grams in carriage.breaks if grams <= light} | inner(cartons, carriage.breaks, light))
        rows = Rows(
            facts.classes,
            klass,
            breaks,
            lambda grams: carriage.bracket(grams, states, limits, cartons),
            tolls,
            _besides(network, facts, klass, tolls),
        )
        network.rows[shared] = rows
    return Lane(facts, open_, capped, limits, rows, states)


def _besides(network: Network, facts: LaneFacts, klass: list[int], tolls: list[int]) -> Besides:
    """Return what parcels cost beside their carriage: one and the same for lanes that leave from the same locations."""
    key = tuple(facts.classes), tuple(klass), tuple(tolls)
    found = network.besides.get(key)
    if found is None:
        found = network.besides[key] = Besides(facts.classes, klass, tolls)
    return found


def _brought_to(network: Network, door: Door, counter: int | None) -> Mapping[int, tuple[int, int]]:
    """Return from where goods are brought to the site where an order is fetched, each with (price, days).

    Nothing is, where nothing is handed over: the site is paused, closed, or does not serve the channel.
    """
    found = network.brought.get(counter) if counter is not None else None
    if not found or counter not in network.index:
        return {}
    place = network.places[network.index[counter]]
    return found if _refusal(place, door, Method.PICKUP, counter) is None else {}


def _capped(network: Network, open_: Sequence[int]) -> list[tuple[int, int]]:
    """Return the open positions with a limit, and it: fulfillment orders of a working day."""
    return [
        (position, cap)
        for position, index in enumerate(open_)
        if (cap := network.places[index].daily_capacity) is not None
    ]


def _lane_by_way_of(network: Network, door: Door, service_id: int | None, to_state: str | None, hub: int) -> Lane:
    """Work out the lane of orders whose goods come together at a site and are shipped from there.

    Nothing is open where the site does not ship to the state. What one unit may weigh is what is carried from there.
    """
    site = network.places[network.index[hub]].home if hub in network.index else hub
    carriage = _Carriage(network, service_id, to_state)
    place = network.places[network.index[site]] if site in network.index else None
    limit = 0
    if place is not None and _refusal(place, door, Method.SHIP, None) is None:
        limit = carriage.limit(place.state)
    brought = network.brought.get(site, {}) if limit else {}
    facts, open_, rows = _together(network, door, Method.SHIP, site, brought, reachable=bool(limit))
    facts = msgspec.structs.replace(facts, service=service_id, to=to_state, pickup=hub)
    zones = len(facts.brought or (0,))
    if place is None or not limit:
        return Lane(facts, open_, [], [NO_LIMIT] * zones, rows)
    state, cartons = place.state, network.terms.cartons

    def onward(grams: int) -> Onward:
        bracket = carriage.bracket(grams, [state], [limit], cartons)
        return Onward(
            location=site,
            service=bracket.services[0] or 0,
            grams=grams,
            packages=bracket.packages[0],
            freight=bracket.prices[0],
            carton=0 if bracket.cartons is None else bracket.cartons[0],
            days=bracket.leads[0] or 0,
        )

    return Lane(facts, open_, _capped(network, open_), [limit] * zones, rows, [state] * zones, onward)


def _together(
    network: Network,
    door: Door,
    method: Method,
    site: int,
    brought: Mapping[int, tuple[int, int]],
    *,
    reachable: bool = True,
) -> tuple[LaneFacts, list[int], Rows]:
    """Work out who may bring goods to a site where an order is fetched, or from which it is shipped in one.

    What is brought is handled at both ends: the costs of the site are added to those of the location it comes from, and
    what the way costs is its carriage. So the site's own goods are never dearer than others, and come first of equals.
    The site handles an order once, whatever comes to it: each parcel beyond the first saves that (`split`, below zero).
    Not `reachable`: nothing that the site has or gets reaches the customer.
    """
    refused: dict[int, list[int]] = {}
    here: list[int] = []
    there: list[int] = []
    for index, place in enumerate(network.places):
        reason = _refusal(place, door, method, site)
        if method == Method.SHIP and reason is None and place.home != site:
            reason = Reason.ELSEWHERE
        if reason is None and not reachable:
            reason = Reason.NO_SERVICE
        if reason in {Reason.METHOD, Reason.ELSEWHERE} and place.id in brought:
            there.append(index)
        elif reason is None:
            here.append(index)
        else:
            refused.setdefault(REASONS.index(reason), []).append(place.id)
    at = network.places[network.index[site]] if site in network.index else None
    zones: dict[tuple[int, int], int] = {}
    classes: dict[tuple[int, int, int], int] = {}
    klass = []
    for index in (*here, *there):
        place = network.places[index]
        cost = 0, place.handling, place.line
        if place.home != site and at is not None:
            zone = zones.setdefault(brought[place.id], len(zones) + 1)
            cost = zone, place.handling + at.handling, place.line + at.line
        klass.append(classes.setdefault(cost, len(classes)))
    open_ = [*here, *there]
    prices = [0, *(price for price, _ in zones)]
    leads = [None, *(days for _, days in zones)]
    facts = LaneFacts(
        rules=RULES_VERSION,
        network=network.revision,
        channel=door.id,
        method=method,
        locations=runs(network.location_ids[index] for index in open_),
        refused=[(code, runs(ids)) for code, ids in sorted(refused.items())],
        classes=list(classes),
        members=[] if klass == list(range(len(classes))) else klass,
        split=-min(network.places[index].handling for index in here) if zones and here else 0,  # a site's is one
        brought=[0, *(days for _, days in zones)] if zones else [],
    )

    def carry(grams: int) -> Bracket:
        n = len(prices)
        return Bracket(grams, prices, [1] * n, leads, [None] * n)

    return facts, open_, Rows(facts.classes, klass, [NO_LIMIT], carry, tolls_of(facts))


def sites_of(homes: Sequence[int], handling: Sequence[int], saving: int, split: int) -> list[tuple[int, list[int]]]:
    """Return the sites with several positions, and what a further one of each saves.

    It is at most what it adds for certain: the penalty, and the handling of a package. `homes` are sites, by position.
    """
    members: dict[int, list[int]] = {}
    for position, home in enumerate(homes):
        members.setdefault(home, []).append(position)
    found = []
    for those in members.values():
        most = min(saving, split + min(handling[position] for position in those))
        if len(those) > 1 and most:
            found.append((most, those))
    return found


def tolls_of(facts: LaneFacts) -> list[int]:
    """Return what every parcel of a class costs beside its rates, in centavos; nothing: no class has any."""
    if not facts.split and not facts.fees:
        return []
    return [facts.split + sum(fee) for fee in facts.fees or [NO_RISK] * len(facts.classes)]


def inner(cartons: Sequence[tuple[int, int]], breaks: Sequence[int], light: int) -> set[int]:
    """Return the weights below the last break at which cartons change."""
    last = min(light, max(breaks, default=0))
    return {grams for grams, _ in cartons if grams <= last}


def carton_of(cartons: Sequence[tuple[int, int]], grams: int) -> int:
    """Return the centavos of a package's carton: the first that holds the weight, else the last."""
    if not cartons:
        return 0
    return cartons[min(bisect_left(cartons, (grams, -1)), len(cartons) - 1)][1]


def _carry_nothing(grams: int) -> Bracket:
    return Bracket(grams, [0], [1], [None], [None])


class _Carriage:
    """Parcels of a service (None: any that is offered) to one state: the cheapest decides, then the faster one."""

    def __init__(self, network: Network, service_id: int | None, to_state: str | None) -> None:
        services = network.services if service_id is None else [service_id] if service_id in network.rates else []
        self._quote = network.tariff.quote
        self._services = services
        self._to = to_state or ""
        self._limits: dict[str, int] = {}
        breaks: set[int] = set()
        for service in services:
            for grams, per_extra_kg in network.rates.get(service, ()):
                breaks.add(grams)
                if per_extra_kg:
                    breaks.update(range(grams + 1_000, grams + EXTRA_KG * 1_000 + 1, 1_000))
        self.breaks = sorted(breaks)

    def limit(self, state: str) -> int:
        """Return the heaviest parcel that travels from a state, in grams; 0 when none does."""
        found = self._limits.get(state)
        if found is None:
            if not self.breaks:
                found = 0
            elif self._cheapest(state, self.breaks[-1] + 1) is not None:
                found = NO_LIMIT
            else:
                found = next((g for g in reversed(self.breaks) if self._cheapest(state, g) is not None), 0)
            self._limits[state] = found
        return found

    def _cheapest(self, state: str, grams: int) -> tuple[int, int, int] | None:
        best: tuple[int, int, int] | None = None
        for service in self._services:
            quote = self._quote(service, state, self._to, grams)
            if quote is not None:
                offer = (quote.price, quote.lead_days, service)
                if best is None or offer < best:
                    best = offer
        return best

    def bracket(
        self, grams: int, states: list[str], limits: list[int], cartons: Sequence[tuple[int, int]] = ()
    ) -> Bracket:
        """Price a weight from each state; above a state's limit as full parcels and the rest."""
        prices: list[int] = []
        boxes: list[int] = []
        packages: list[int] = []
        leads: list[int | None] = []
        services: list[int | None] = []
        for state, limit in zip(states, limits, strict=True):
            whole, rest = divmod(grams, limit) if grams > limit else (0, grams)
            offers = []
            if whole and (full := self._cheapest(state, limit)) is not None:
                offers.append((whole, full))
            if (rest or not whole) and (last := self._cheapest(state, rest)) is not None:
                offers.append((1, last))
            prices.append(sum(n * offer[0] for n, offer in offers))
            packages.append(sum(n for n, _ in offers))
            leads.append(max(offer[1] for _, offer in offers))
            services.append(offers[0][1][2])
            full_boxes = whole * carton_of(cartons, limit) if whole else 0
            boxes.append(full_boxes + (carton_of(cartons, rest) if rest or not whole else 0))
        return Bracket(grams, prices, packages, leads, services, boxes)


# --- from a record ---


def reopen_lane(facts: LaneFacts, rates: Sequence[Rates], beyond: Pricing | None = None) -> Lane:
    """Return the lane a decision was taken in, knowing only the weights that were looked at then; index is position.

    `beyond` prices a parcel that is heavier than all of them; without it that has no price (KeyError).
    """
    by_limit: dict[int, Bracket] = {}
    for rate in rates:
        n = len(rate.prices)
        by_limit[rate.limit] = Bracket(
            rate.limit, rate.prices, rate.packages or [1] * n, [None] * n, [None] * n, rate.cartons
        )
    klass = facts.klass()
    zones = 1 + max((zone for zone, _, _ in facts.classes), default=-1)

    def price(limit: int) -> Bracket:
        return by_limit[limit] if beyond is None or limit in by_limit else beyond(limit)

    rows = Rows(facts.classes, klass, sorted(by_limit), price, tolls_of(facts))
    return Lane(facts, list(range(len(klass))), [], [NO_LIMIT] * zones, rows)
