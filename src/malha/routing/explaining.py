"""Why an order went where it went, from its record alone: the possible plans, ranked, and why others were not.

For every location that could serve a line, its cheapest plan is rebuilt from the record's inputs and split into what it
is made of. The alternatives are the distinct sets of locations among those plans and, where the chosen plan uses
several locations, the cheapest plan without each of them: so the second of the list is the cheapest plan that uses
other locations than the chosen one. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest

import msgspec

from malha.routing.charging import Charges
from malha.routing.hard import priced_line
from malha.routing.lane_facts import Onward
from malha.routing.lanes import Lane, reopen_lane
from malha.routing.model import Reason, RequestLine, parts_of
from malha.routing.parting import offers_of
from malha.routing.records import Record, costs_of
from malha.routing.rows import SCALE_BITS, Row
from malha.routing.rules import decide, servable
from malha.routing.ruling.bounded import left_free, shut
from malha.routing.siting import forced_at, improve, saved, saving_of, sites_of, spread
from malha.routing.subsets import NEVER, Part, cheapest_priced, combine, rows_of, tables, unroll
from malha.routing.terms import NOTHING, Amounts, OrderTerms, unfold


class Load(msgspec.Struct, frozen=True):
    """One parcel of a plan. Centavos. `worth` is the price of the stock it takes: compared, never paid.

    `carton` and what follows are the retailer's terms (`terms.Amounts`); `credit`, for aged stock, is below zero.
    """

    location_id: int
    lines: list[tuple[int, int]]  # (line, quantity)
    packages: int
    freight: int
    handling: int
    picking: int
    service_id: int | None = None  # known of the chosen plan only
    worth: int = 0
    carton: int = 0
    rejection: int = 0
    lateness: int = 0
    tax: int = 0
    busy: int = 0
    credit: int = 0


class Option(msgspec.Struct, frozen=True):
    """One plan. `loads` is None where only the cost was kept: lines split over locations, or too many of them.

    `cost` is what was compared: the price of stock is in it.
    """

    location_ids: tuple[int, ...]
    cost: int
    chosen: bool
    loads: list[Load] | None
    penalty: int = 0  # centavos of a parcel beyond the first
    onward: Onward | None = None  # how what comes together goes on
    saved: int = 0  # centavos: what parcels of several owners save by leaving from one site

    @property
    def packages(self) -> int | None:
        """Return how many packages reach the customer."""
        if self.loads is not None and self.onward is not None:
            return self.onward.packages
        return None if self.loads is None else sum(load.packages for load in self.loads)

    def term(self, name: str) -> int | None:
        """Return the sum of a term: one of `Load`'s, "onward", "split", or "same_site", which is not above zero."""
        if self.loads is None:
            return None
        if name == "onward":
            return 0 if self.onward is None else self.onward.cost
        if name == "split":
            return self.penalty * max(len(self.loads) - 1, 0)
        if name == "same_site":
            return -self.saved
        amounts: list[int] = [getattr(load, name) for load in self.loads]
        return sum(amounts)


class Obstacle(msgspec.Struct, frozen=True):
    """Why a location could not serve a line in full, or (line None) anything. Facts that do not apply are None."""

    location_id: int
    reason: Reason
    line: int | None = None
    free: int | None = None  # units of the line it had
    asked: int | None = None
    taken: int | None = None  # fulfillment orders of the day
    capacity: int | None = None


class Explained(msgspec.Struct, frozen=True):
    """The alternatives from the cheapest on, the chosen one among them, and the obstacles by location."""

    options: list[Option]
    obstacles: dict[int, list[Obstacle]]  # of every location that could not serve all lines in full
    possible: int  # locations that could serve something
    # (taken, capacity) of the chosen whose day was full: they had what others had not
    later: dict[int, tuple[int, int]] = {}


def explain(record: Record) -> Explained:
    """Return why a stored decision was what it was."""
    ids = record.location_ids()
    there = record.stock()
    bound = record.bound
    stock = there if bound is None else left_free(bound, there)
    full = record.full if bound is None else shut(bound, record.full)
    have, _ = servable(record.lines, stock, full, record.excluded, record.heavy, record.terms)
    chosen = _chosen(record, ids)
    found = {option.location_ids: option for option in _others(record, ids, stock, have)}
    found[chosen.location_ids] = chosen
    options = [option for option in found.values() if option.location_ids and _allowed(option, record)]
    preferred = bound is not None and bool(bound.tiers)  # before cost: what was chosen comes first whatever it costs
    options.sort(
        key=lambda o: (
            preferred and not o.chosen,
            o.cost,
            not o.chosen,
            o.packages or 0,
            [ids.index(id_) for id_ in o.location_ids],
        )
    )
    obstacles = {id_: [Obstacle(id_, reason)] for reason, closed in record.closed().items() for id_ in closed}
    ruled = {} if bound is None else dict.fromkeys(unfold(bound.outside), Reason.RULE)
    if bound is not None:
        ruled |= dict.fromkeys(unfold(bound.far), Reason.RULE_DISTANCE)
        had, _ = servable(record.lines, there, [], [], [])
    else:
        had = have
    for position, id_ in enumerate(ids):
        if position in ruled:
            obstacles[id_] = [Obstacle(id_, ruled[position])]
            continue
        found_here = list(_obstacles(record, have, had, position, id_))
        if found_here:
            obstacles[id_] = found_here
    used = {id_ for option in options for id_ in option.location_ids}
    possible = len(used | {ids[p] for p, cost in enumerate(costs_of(record)) if cost >= 0})
    later = {ids[p]: (taken, cap) for p, taken, cap in record.later if ids[p] in chosen.location_ids}
    return Explained(options, obstacles, possible, later)


def _chosen(record: Record, ids: Sequence[int]) -> Option:
    loads = [
        _load(record, ids[position], position, freight, packages, lines, amounts, service)
        for (position, service, freight, packages, lines), amounts in zip_longest(record.parcels, record.amounts)
    ]
    together = sum(saved(record.sites, [position for position, *_ in record.parcels]))
    return Option(_places(loads), record.cost + record.worth, True, loads, record.split, record.onward, together)


def _load(
    record: Record,
    id_: int,
    position: int,
    freight: int,
    packages: int,
    lines: list[tuple[int, int]],
    amounts: Amounts | None,
    service: int | None = None,
) -> Load:
    _, handling, picking = record.classes[record.klass()[position]]
    prices = record.stock_prices()
    by_number = {line.line: line for line in record.lines}
    worth = sum(priced_line(by_number[line], quantity, prices).get(position, 0) for line, quantity in lines)
    paid = Load(id_, lines, packages, freight, packages * handling, len(lines) * picking, service, worth)
    return _with(paid, amounts)


def _with(load: Load, amounts: Amounts | None) -> Load:
    """Return a load with what terms make of it."""
    if amounts is None or amounts == NOTHING:
        return load
    return msgspec.structs.replace(load, **{**msgspec.structs.asdict(amounts), "credit": -amounts.credit})


def _places(loads: Iterable[Load]) -> tuple[int, ...]:
    return tuple(sorted({load.location_id for load in loads}))


def _allowed(option: Option, record: Record) -> bool:
    """Return whether a plan keeps to the packages that its rule allows."""
    most = None if record.bound is None else record.bound.packages
    return option.chosen or most is None or (option.packages or 0) <= most


def _obstacles(
    record: Record, have: Sequence[Sequence[int]], had: Sequence[Sequence[int]], position: int, id_: int
) -> Iterable[Obstacle]:
    for at, taken, capacity in record.full:
        if at == position:
            yield Obstacle(id_, Reason.CAPACITY, taken=taken, capacity=capacity)
            return
    terms = record.terms or OrderTerms()
    if position in unfold(terms.far):
        yield Obstacle(id_, Reason.DISTANCE)
        return
    unserved = {line for line, runs in terms.unserved if position in unfold(runs)}
    heavy = {line for line, positions in record.heavy if position in positions}
    excluded = {line for line, positions in record.excluded if position in positions}
    for line, units, there in zip(record.lines, have, had, strict=True):
        if line.line in heavy:
            yield Obstacle(id_, Reason.NO_SERVICE, line.line)
        elif line.line in excluded:
            yield Obstacle(id_, Reason.EXCLUDED, line.line)
        elif line.line in unserved:
            yield Obstacle(id_, Reason.PRODUCT, line.line)
        elif units[position] < line.quantity:
            reason = Reason.KEPT if there[position] >= line.quantity else Reason.STOCK
            yield Obstacle(id_, reason, line.line, free=units[position], asked=line.quantity)


class _Rebuilt:
    """The tables of the programme, as they were when the decision was taken."""

    __slots__ = ("charges", "extras", "ids", "keys", "lane", "lines", "rows", "stock", "whole")

    def __init__(
        self,
        record: Record,
        ids: Sequence[int],
        stock: Mapping[int, Sequence[int]],
        have: Sequence[Sequence[int]],
    ) -> None:
        n = len(record.lines)
        self.lane: Lane = reopen_lane(record.facts(), record.rates)
        self.lines: Sequence[RequestLine] = record.lines
        self.ids = ids
        self.stock = stock
        self.rows: list[Row] = rows_of(self.lane, [line.quantity * line.grams for line in record.lines], [1] * n)
        self.keys = [
            key | sum(1 << k for k, line in enumerate(record.lines) if have[k][position] >= line.quantity)
            for position, key in enumerate(self.lane.keys(n))
        ]
        self.whole = (1 << n) - 1
        self.charges = Charges(self.lane, record.lines, record.stock_prices(), record.terms)
        self.extras = self.charges.extras(self.rows, self.charges.whole())

    def loads(self, parts: Sequence[Part]) -> list[Load] | None:
        """Return what parts of the lines cost, or None when they want more of a SKU than their locations have."""
        left: dict[tuple[int, int], int] = {}
        loads = []
        for part, position in parts:
            places = [(k, line.quantity) for k, line in enumerate(self.lines) if part >> k & 1]
            content = [self.lines[k] for k, _ in places]
            for line in content:
                for sku, per in parts_of(line):
                    key = (sku, position)
                    left[key] = left.get(key, self.stock[sku][position]) - per * line.quantity
                    if left[key] < 0:
                        return None
            zone, handling, picking = self.lane.classes[self.lane.klass[position]]
            bracket = self.rows[part].bracket
            packages = bracket.packages[zone]
            lines = [(line.line, line.quantity) for line in content]
            paid = Load(
                self.ids[position],
                lines,
                packages,
                bracket.prices[zone],
                packages * handling,
                len(lines) * picking,
                worth=self.charges.worth(position, places),
            )
            loads.append(_with(paid, self.charges.amounts(position, self.rows[part], places)))
        return loads


def _others(
    record: Record, ids: Sequence[int], stock: Mapping[int, Sequence[int]], have: Sequence[Sequence[int]]
) -> list[Option]:
    """Return the cheapest plan of every location that was not chosen, and those with fewer of the chosen ones."""
    chosen = {position for position, *_ in record.parcels}
    costs = {position: cost for position, cost in enumerate(costs_of(record)) if cost >= 0 and position not in chosen}
    if not record.exact or (record.bound is not None and record.bound.tiers):
        return [Option((ids[position],), cost, False, None) for position, cost in costs.items()]
    n = len(record.lines)
    rebuilt = _Rebuilt(record, ids, stock, have)
    whole = rebuilt.whole
    f, at = cheapest_priced(rebuilt.rows, rebuilt.keys, rebuilt.extras, rebuilt.charges.lowest(rebuilt.extras))
    g, first = combine(f, n)
    offer = offers_of(rebuilt.rows, rebuilt.extras)
    sites = sites_of(rebuilt.lane, n, lambda position: rebuilt.keys[position] & whole, offer)
    placed = improve(sites, f, at, g)
    g, first = combine(f, n)
    grouped = forced_at(sites, g, whole)
    nothing = [0] * (whole + 1)
    onward = 0 if record.onward is None else record.onward.cost
    found: dict[tuple[int, ...], Option] = {}

    def keep(option: Option) -> None:
        known = found.get(option.location_ids)
        if known is None or option.cost < known.cost:
            found[option.location_ids] = option

    for position, cost in costs.items():
        k = rebuilt.keys[position] >> n
        mask = rebuilt.keys[position] & whole
        worth = rebuilt.extras.get(position, nothing)
        total, s = min((rebuilt.rows[s].by_class[k] + worth[s] + g[whole ^ s], s) for s in tables(n).subsets[mask])
        parts: Sequence[Part] = [(s, position)]
        left = whole ^ s
        if position in grouped and grouped[position][0] < total:
            total, parts, left = grouped[position]
        parts = [*parts, *spread(unroll(first, at, left), placed)] if total < NEVER else []
        loads = rebuilt.loads(parts) if parts else None
        if loads is None or (total >> SCALE_BITS) - record.split + onward != cost:
            keep(Option((ids[position],), cost, False, None))
        else:
            together = saving_of(rebuilt.lane, [p for _, p in parts])
            keep(Option(_places(loads), cost, False, loads, record.split, record.onward, together))
    if len(chosen) > 1:
        for position in chosen:
            option = _without(record, ids, position, rebuilt.lane)
            if option is not None:
                keep(option)
    return list(found.values())


def _without(record: Record, ids: Sequence[int], position: int, lane: Lane) -> Option | None:
    """Return the plan that would have been chosen without a location, or None when it would not have been complete."""
    full = [*record.full, (position, 0, 0)]
    try:
        prices = record.stock_prices()
        plan = decide(
            lane,
            record.lines,
            record.stock(),
            full,
            record.excluded,
            record.heavy,
            prices,
            record.version,
            terms=record.terms,
            bound=record.bound,
            onward=record.onward,
        )
    except KeyError:  # lines would have had to be split, into parcels of weights that were not looked at
        return None
    if not plan.basis.exact:
        return None
    loads = [
        _load(record, ids[p], p, freight, packages, units, amounts)
        for (p, _, freight, packages, units), amounts in zip_longest(plan.basis.parcels, plan.basis.amounts)
    ]
    together = saving_of(lane, [position for position, *_ in plan.basis.parcels])
    cost = plan.cost + plan.basis.worth
    return Option(_places(loads), cost, False, loads, record.split, record.onward, together)
