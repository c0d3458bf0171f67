"""Where an order goes: hard filters, cost in money, exact assignment. Pure, and called for every order at the gate.

The lines of an order are parted into parcels, each from one location. The cheapest such plan is found by dynamic
programming over subsets S of lines: f(S) is the cheapest single parcel with S, g(S) the cheapest plan for S,

    g(S) = min over T in S with S's lowest line of f(T) + g(S - T),

exact for any tariff, because a parcel's cost may be any function of its location and lines. The same tables give, for
every location l, the exact cost of the cheapest plan that uses it: min over T of F(T, l) + g(all - T). Ties go to fewer
packages, then to the location with the smaller (priority, id). Units are never given up while an eligible location has
stock: where only locations whose day is full have it, it waits for their next one (`with_later`).

Orders this does not fit (more lines than `most_exact`, lines that want the same SKU, lines no single location can serve
in full) are reduced to it in `malha.routing.hard`.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from malha.routing.charging import NOBODY, Barred, Charges, Prices, bar, barred_by, by_unit, order_terms
from malha.routing.hard import priced_line, solve_hard
from malha.routing.lane_facts import Onward
from malha.routing.lanes import Lane, compile_network, open_lane, prices_at
from malha.routing.model import (
    MANY_LOCATIONS,
    Basis,
    Network,
    Parcel,
    Plan,
    Request,
    RequestLine,
    StockPrices,
    most_exact,
    parts_of,
    skus_of,
    stock_of,
)
from malha.routing.parting import EVERYWHERE, Tier, assign, part_lines
from malha.routing.rows import Bracket, Row
from malha.routing.ruling.bounded import Binding, left_free, shut, solve_bounded, tiers_of
from malha.routing.ruling.model import Bound
from malha.routing.siting import saving_of
from malha.routing.subsets import extras_of
from malha.routing.terms import NO_TERMS, NOTHING, Amounts, OrderTerms

__all__ = ["Prices", "compile_network", "decide", "plan", "record_json", "with_later"]

_encode = msgspec.json.Encoder().encode

Blocks = list[tuple[int, list[int]]]  # (line number, positions that may not serve it)
Full = list[tuple[int, int, int]]  # (position, taken, daily capacity)
Shipment = tuple[int, Row, list[tuple[int, int]]]  # position, costs, [(line's place, quantity)]


def plan(
    request: Request,
    network: Network,
    free: Mapping[int, Sequence[int]],
    taken: Sequence[int] | None = None,
    priced: StockPrices | None = None,
    *,
    costs: bool | None = None,
    bind: Binding | None = None,
    later: Collection[int] = (),
) -> Plan:
    """Return where the lines of a request go, and what that was decided from.

    A location whose working day is full serves only what no other one could: then on its next day.

    Args:
        request: at least one line, all with known SKUs.
        network: the network's revision to decide with.
        free: per SKU the units free at each location, by network index. Not changed. A missing SKU has none.
        taken: what each location already has for its working day, by network index; None leaves capacity out.
        priced: what units are worth where they are, beyond this order; None: nothing.
        costs: whether to say what every location would cost; None: unless there are `MANY_LOCATIONS`.
        bind: what one routing rule asks of the lane; without it the request's run of rules is asked, if it has one.
        later: locations whose day may be full, by network index: they are asked again.

    Raises:
        KeyError: the network has no such channel.
    """
    if request.under is None or bind is not None:
        found = _plan(request, network, free, taken, priced, bind, later, costs=costs)
    else:
        found = request.under.plan(request, network, free, taken, priced, costs=costs, later=later)
    if bind is not None or later:
        return found

    def again(open_: Collection[int]) -> Plan:
        return plan(request, network, free, taken, priced, costs=costs, later=open_)

    return with_later(found, again, lambda made: _open_in(network, made))


def _open_in(network: Network, made: Plan) -> Sequence[int]:
    """Return the locations, by network index, of the positions that a plan speaks of."""
    lanes = list(network.lanes.values())  # another thread may open one meanwhile
    return next(lane.open for lane in lanes if lane.head == made.head)


def with_later(
    found: Plan, again: Callable[[Collection[int]], Plan], locations: Callable[[Plan], Sequence[int]]
) -> Plan:
    """Return a plan; where only locations with a full day have what it could not place, the one that they serve too.

    Of two that place as much the one that waits for nobody counts, unless it gives units up beside stock.

    Args:
        found: what was planned without the locations whose day is full.
        again: plans anew, with locations that are not to count as full.
        locations: tells the locations of a plan's positions. Rules plan in lanes of their own, which number them
            otherwise.
    """
    if not found.unplaced or not found.basis.full:
        return found
    best = found
    later: dict[int, tuple[int, int]] = {}  # (taken, daily capacity)
    while best.unplaced:
        basis = best.basis
        units = stock_of(basis.lines, basis.free)
        short = {line for line, _ in best.unplaced}
        wanted = {sku for line in basis.lines if line.line in short for sku in skus_of(line)}
        at = locations(best)
        # Without any capacity there is no next day.
        more = {
            at[position]: (taken, cap)
            for position, taken, cap in basis.full
            if cap > 0 and any(units[sku][position] for sku in wanted)
        }
        if not more:
            break
        later |= more
        best = again(later)
    if not later:
        return found
    more_of = sum(n for _, n in found.unplaced) - sum(n for _, n in best.unplaced)
    if more_of < 0 or (more_of == 0 and not _beside_stock(found, later, locations(found))):
        return found
    asked = [(position, *later[index]) for position, index in enumerate(locations(best)) if index in later]
    return msgspec.structs.replace(best, basis=msgspec.structs.replace(best.basis, later=asked))


def _beside_stock(found: Plan, later: Collection[int], at: Sequence[int]) -> bool:
    """Return whether a plan gives units up though one of these locations has what they need, after all that it takes.

    `at` are the locations of its positions. What a routing rule leaves out is not for others to serve.
    """
    basis = found.basis
    if basis.bound is not None:
        return False
    left = {sku: list(units) for sku, units in stock_of(basis.lines, basis.free).items()}
    lines = {line.line: line for line in basis.lines}
    positions = {index: position for position, index in enumerate(at)}
    for line, index, quantity in found.assignments:
        for sku, per in parts_of(lines[line]):
            left[sku][positions[index]] -= per * quantity
    have, _ = servable(basis.lines, left, [], basis.excluded, basis.heavy, basis.terms)
    short = {line for line, _ in found.unplaced}
    return any(
        units[position]
        for line, units in zip(basis.lines, have, strict=True)
        if line.line in short
        for position, index in enumerate(at)
        if index in later
    )


def _plan(
    request: Request,
    network: Network,
    free: Mapping[int, Sequence[int]],
    taken: Sequence[int] | None,
    priced: StockPrices | None,
    bind: Binding | None,
    later: Collection[int],
    *,
    costs: bool | None,
) -> Plan:
    key = request.lane
    lane = network.lanes.get(key)
    if lane is None:
        lane = network.lanes[key] = open_lane(network, *key)
    lines = request.lines
    full = _full_now(lane, taken) if lane.capped and taken is not None else []
    if later:
        full = [x for x in full if lane.open[x[0]] not in later]
    excluded: Blocks = []
    if request.excluded:
        excluded = _excluded(request.excluded, lines, network, lane)
    heavy: Blocks = []
    light = lane.light
    pick = lane.pick
    stock: dict[int, list[int]] = {}
    for line in lines:
        if line.grams > light:
            heavy.append((line.line, _too_heavy(lane, line.grams)))
        for sku in skus_of(line):
            if sku not in stock:
                column = free.get(sku)
                stock[sku] = [0] * len(lane.open) if column is None else pick(column)
    terms = None if network.terms is NO_TERMS else order_terms(request, network, lane, stock, taken)
    bound = None if bind is None else bind(lane)
    onward = None if lane.onward is None else lane.onward(sum(line.quantity * line.grams for line in lines))
    if priced is None:
        return decide(lane, lines, stock, full, excluded, heavy, costs=costs, terms=terms, bound=bound, onward=onward)
    prices = _prices_here(priced, lane, network, stock)
    return decide(
        lane, lines, stock, full, excluded, heavy, prices, priced.version,
        costs=costs, terms=terms, bound=bound, onward=onward,
    )  # fmt: skip


def _full_now(lane: Lane, taken: Sequence[int]) -> Full:
    """Return the positions whose day is full."""
    if lane.counted != taken:  # counts are read twice a second: most orders find what was worked out before
        found = [(p, taken[lane.open[p]], cap) for p, cap in lane.capped if taken[lane.open[p]] >= cap]
        lane.counted, lane.full = list(taken), found
    return lane.full


def _prices_here(priced: StockPrices, lane: Lane, network: Network, stock: dict[int, list[int]]) -> Prices:
    """Return the prices of what is asked for at the locations that are open, whether they have units or not."""
    known = prices_at(priced, network, lane)
    found: dict[int, dict[int, int]] = {}
    for sku in stock:
        here = known.of(sku, priced, network, lane)
        if here:
            found[sku] = here
    return found


def _told(prices: Prices, lane: Lane, stock: Mapping[int, Sequence[int]]) -> list[tuple[int, list[tuple[int, int]]]]:
    """Return the prices that could matter, as a record has them: where there are units."""
    _, known = lane.priced
    found = [(sku, known.told(sku, here, stock[sku])) for sku, here in prices.items()]
    return [(sku, here) for sku, here in found if here]


def _too_heavy(lane: Lane, grams: int) -> list[int]:
    limits = [lane.limits[zone] for zone, _, _ in lane.classes]
    return [position for position, k in enumerate(lane.klass) if grams > limits[k]]


def _excluded(excluded: Mapping[int, set[int]], lines: Sequence[RequestLine], network: Network, lane: Lane) -> Blocks:
    blocks: Blocks = []
    for line in lines:
        indexes = [network.index[id_] for id_ in excluded.get(line.line, ()) if id_ in network.index]
        positions = sorted(lane.position[index] for index in indexes if index in lane.position)
        if positions:
            blocks.append((line.line, positions))
    return blocks


def decide(
    lane: Lane,
    lines: list[RequestLine],
    stock: Mapping[int, Sequence[int]],
    full: Full,
    excluded: Blocks,
    heavy: Blocks,
    prices: Prices | None = None,
    version: int | None = None,
    *,
    costs: bool | None = None,
    terms: OrderTerms | None = None,
    bound: Bound | None = None,
    onward: Onward | None = None,
) -> Plan:
    """Return the plan for lines in a lane. `stock` gives the free units of every SKU the lines need, by position.

    `prices` are what units are worth where they are, of a `version`: a cost in every comparison, never a payment.
    `terms` are what the retailer's terms say of the order. `costs`: see `plan`. Plans of more lines than `most_exact`,
    or lines that nobody has in full, always say them. `bound` is what a routing rule asks of the plan. `onward` is how
    what comes together in the lane goes on: a cost of every plan that places anything.
    """
    if onward is not None:
        together = decide(
            lane, lines, stock, full, excluded, heavy, prices, version, costs=costs, terms=terms, bound=bound
        )
        return _going_on(together, onward)
    if bound is not None:
        return _within(bound, lane, lines, stock, full, excluded, heavy, prices, version, terms, costs=costs)
    n = len(lines)
    have, needs = servable(lines, stock, full, excluded, heavy)
    charges = None if terms is None or not terms.charges else Charges(lane, lines, prices, terms)
    fits = n <= most_exact(len(lane.open)) and needs == len(stock)
    wanted = len(lane.open) < MANY_LOCATIONS if costs is None else costs
    if fits and not wanted:
        quick = _parted(lane, lines, have, prices, charges, barred=barred_by(terms, lines, lane))
        if quick is not None:
            shipped, brackets = quick
            return _spell(
                lane, lines, stock, full, excluded, heavy, shipped, [], brackets,
                prices=prices, version=version, terms=terms, charges=charges,
            )  # fmt: skip
    spell = partial(_spell, lane, lines, stock, full, excluded, heavy, prices=prices, version=version, terms=terms)
    if terms is not None:
        have = bar(have, lines, terms)
    if fits and wanted:
        found = _with_costs(lane, lines, have, prices, charges)
        if found is not None:
            shipped, forced, brackets = found
            return spell(shipped, forced, brackets, charges=charges)
    if prices and charges is None:
        charges = Charges(lane, lines, prices, None)
    hard = solve_hard(lane, lines, stock, have, charges)
    return spell(hard.shipped, hard.costs, hard.brackets, hard.unplaced, exact=hard.exact, charges=charges)


def _parted(
    lane: Lane,
    lines: Sequence[RequestLine],
    have: list[list[int]],
    prices: Prices | None,
    charges: Charges | None,
    tiers: Sequence[Tier] = EVERYWHERE,
    keep: int = 0,
    barred: Barred = NOBODY,
) -> tuple[list[Shipment], dict[int, Bracket]] | None:
    """Return the parcels of the cheapest plan, and the brackets looked at; None: nobody has one of the lines in full.

    `keep` units of every line's SKU stay where they are.
    """
    quick = part_lines(
        lane,
        [line.quantity * line.grams for line in lines],
        have,
        [line.quantity + keep for line in lines],
        [_worth(line, prices) for line in lines] if prices and charges is None else None,
        charges,
        tiers,
        barred,
    )
    if quick is None:
        return None
    parts, rows = quick
    return _shipped(lines, parts, rows), {row.bracket.limit: row.bracket for row in rows}


def _with_costs(
    lane: Lane,
    lines: Sequence[RequestLine],
    have: list[list[int]],
    prices: Prices | None,
    charges: Charges | None,
) -> tuple[list[Shipment], list[int], dict[int, Bracket]] | None:
    """Return what `_parted` does, with what every position would cost; `have` is without what may not be served."""
    n = len(lines)
    keys = lane.keys(n)
    bit = 1
    for line, units in zip(lines, have, strict=True):
        asked = line.quantity
        served = [key + bit if u >= asked else key for key, u in zip(keys, units, strict=True)]
        if served == keys:
            return None  # nobody has the whole line
        keys = served
        bit += bit
    extras = None
    if prices and charges is None:
        extras = extras_of([priced_line(line, line.quantity, prices) for line in lines])
    weights = [line.quantity * line.grams for line in lines]
    parts, forced, rows = assign(lane, weights, [1] * n, keys, extras, charges)
    return _shipped(lines, parts, rows), forced, {row.bracket.limit: row.bracket for row in rows}


def _within(  # noqa: PLR0917 - as `decide`
    bound: Bound,
    lane: Lane,
    lines: list[RequestLine],
    stock: Mapping[int, Sequence[int]],
    full: Full,
    excluded: Blocks,
    heavy: Blocks,
    prices: Prices | None,
    version: int | None,
    terms: OrderTerms | None,
    *,
    costs: bool | None,
) -> Plan:
    """Return the plan a routing rule lets. The cheapest of what it leaves open is it, where nothing else is asked."""
    wanted = len(lane.open) < MANY_LOCATIONS if costs is None else costs
    if not wanted:
        found = _quickly(bound, lane, lines, stock, full, excluded, heavy, prices, version, terms)
        if found is not None:
            return found
    left = left_free(bound, stock)
    told = _told(prices, lane, stock) if prices else []
    closed = shut(bound, full)
    rates = b""
    if not bound.tiers:
        plan = decide(lane, lines, left, closed, excluded, heavy, prices, version, costs=costs, terms=terms)
        few = bound.packages is None or plan.packages <= bound.packages
        if few and not (plan.unplaced and (bound.complete or bound.packages is not None)):
            return _bound(plan, bound, stock, full, told)
        rates = plan.rates
    have, _ = servable(lines, left, closed, excluded, heavy, terms)
    charges = Charges(lane, lines, prices, terms) if prices or (terms is not None and terms.charges) else None
    if bound.plain:  # complete, and not all is there
        unplaced = [(line.line, line.quantity) for line in lines]
        nothing = [-1] * len(have[0])
        empty = _spell(lane, lines, left, full, excluded, heavy, [], nothing, {}, unplaced, exact=False, terms=terms)
        return _bound(empty, bound, stock, full, [], rates)
    hard = solve_bounded(lane, lines, left, have, charges, bound, costs=wanted)
    plan = _spell(
        lane,
        lines,
        left,
        full,
        excluded,
        heavy,
        hard.shipped,
        hard.costs,
        hard.brackets,
        hard.unplaced,
        exact=hard.exact,
        prices=prices,
        version=version,
        terms=terms,
        charges=charges,
    )
    return _bound(plan, bound, stock, full, told, rates)


def _quickly(  # noqa: PLR0917 - as `decide`
    bound: Bound,
    lane: Lane,
    lines: list[RequestLine],
    stock: Mapping[int, Sequence[int]],
    full: Full,
    excluded: Blocks,
    heavy: Blocks,
    prices: Prices | None,
    version: int | None,
    terms: OrderTerms | None,
) -> Plan | None:
    """Return the plan a rule lets where it is the cheapest, or the preferred, for whole lines; None: look further.

    It is the one that is found without haste. Packages are only counted, and where they are too many, it is not it.
    """
    kits = bound.keep and any(line.components is not None for line in lines)
    if kits or len(lines) > most_exact(len(lane.open)):
        return None
    have, needs = servable(lines, stock, full, excluded, heavy)
    if needs != len(stock):
        return None
    charges = None
    if terms is not None and terms.charges:
        charges = Charges(lane, lines, prices, terms, even=bool(bound.tiers))
    tiers = tiers_of(bound, lane, len(lines))
    barred = barred_by(terms, lines, lane)
    parted = _parted(lane, lines, have, prices, charges, tiers, bound.keep, barred)
    if parted is None:
        return None
    shipped, brackets = parted
    if bound.tiers:
        shipped.sort(key=lambda parcel: (parcel[0], parcel[2]))
    plan = _spell(
        lane, lines, stock, full, excluded, heavy, shipped, [], brackets,
        prices=prices, version=version, terms=terms, charges=charges, bound=bound,
    )  # fmt: skip
    return plan if bound.packages is None or plan.packages <= bound.packages else None


def _bound(
    plan: Plan, bound: Bound, stock: Mapping[int, Sequence[int]], full: Full, told: list[Any], rates: bytes = b""
) -> Plan:
    """Return a plan with what its rule asked, on the stock as it was and its prices; `rates` were looked at besides."""
    basis = msgspec.structs.replace(plan.basis, free=list(stock.values()), full=full, prices=told, bound=bound)
    if rates:
        known = {rate[0]: rate for rate in msgspec.json.decode(b"[" + rates + b"]")}
        known |= {rate[0]: rate for rate in msgspec.json.decode(b"[" + plan.rates + b"]")}
        rates = _encode([known[limit] for limit in sorted(known)])[1:-1]
    return msgspec.structs.replace(plan, basis=basis, rates=rates or plan.rates)


def _going_on(plan: Plan, onward: Onward) -> Plan:
    """Return a plan whose goods come together, with what it costs to send them on from there."""
    basis = plan.basis
    if not plan.parcels:
        return plan
    basis = msgspec.structs.replace(
        basis,
        cost=basis.cost + onward.cost,
        costs=[cost if cost < 0 else cost + onward.cost for cost in basis.costs],
        lead_days=onward.days,
        onward=onward,
    )
    return msgspec.structs.replace(plan, cost=basis.cost, packages=onward.packages, lead_days=onward.days, basis=basis)


def _shipped(
    lines: Sequence[RequestLine], parts: Iterable[tuple[int, int]], rows: Sequence[Row]
) -> list[tuple[int, Row, list[tuple[int, int]]]]:
    return [
        (position, rows[subset], [(n, line.quantity) for n, line in enumerate(lines) if subset >> n & 1])
        for subset, position in parts
    ]


def _worth(line: RequestLine, prices: Prices) -> tuple[dict[int, int], int]:
    """Return what a line's units are worth by position, and how many times that."""
    if line.components is None:
        return prices.get(line.sku_id, {}), line.quantity
    return priced_line(line, line.quantity, prices), 1


def servable(
    lines: Sequence[RequestLine],
    stock: Mapping[int, Sequence[int]],
    full: Full,
    excluded: Blocks,
    heavy: Blocks,
    terms: OrderTerms | None = None,
) -> tuple[list[list[int]], int]:
    """Return, per line, the units of it that each position could serve by itself, and how many SKUs all lines name."""
    have: list[list[int]] = []
    needs = 0
    for line in lines:
        components = line.components
        if components is None:
            needs += 1
            units = stock[line.sku_id]
            have.append(units if isinstance(units, list) else list(units))
        else:
            needs += len(components)
            columns = [[count // per for count in stock[sku]] for sku, per in components]
            have.append(columns[0] if len(columns) == 1 else list(map(min, *columns)))
    if full or excluded or heavy:
        have = _without(have, lines, full, (excluded, heavy))
    if terms is not None:
        have = bar(have, lines, terms)
    return have, needs


def _without(
    have: Sequence[list[int]], lines: Sequence[RequestLine], full: Full, blocks: Iterable[Blocks]
) -> list[list[int]]:
    """Return `have` with nothing where a location may not serve."""
    left = [list(units) for units in have]
    for position, _, _ in full:
        for units in left:
            units[position] = 0
    by_line = {line.line: units for line, units in zip(lines, left, strict=True)}
    for block in blocks:
        for line, positions in block:
            for position in positions:
                by_line[line][position] = 0
    return left


def _spell(  # noqa: PLR0917 - called once per order: keywords cost
    lane: Lane,
    lines: list[RequestLine],
    stock: Mapping[int, Sequence[int]],
    full: Full,
    excluded: Blocks,
    heavy: Blocks,
    shipped: Sequence[tuple[int, Row, list[tuple[int, int]]]],
    costs: list[int],
    brackets: Mapping[int, Bracket],
    unplaced: list[tuple[int, int]] | None = None,
    *,
    exact: bool = True,
    prices: Prices | None = None,
    version: int | None = None,
    terms: OrderTerms | None = None,
    charges: Charges | None = None,
    bound: Bound | None = None,
) -> Plan:
    """Write out a plan. `shipped` are (position, row, [(line's place in `lines`, quantity)])."""
    cost = packages = worth = 0
    lead: int | None = None
    assignments: list[tuple[int, int, int]] = []
    parcels: list[Parcel] = []
    stored: list[tuple[int, int | None, int, int, list[tuple[int, int]]]] = []
    amounts: list[Amounts] = []
    if charges is None and (lane.fees or any(bracket.cartons for bracket in brackets.values())):
        charges = Charges(lane, lines, None, None)
    for position, row, content in shipped:
        k = lane.klass[position]
        zone, handling, per_line = lane.classes[k]
        bracket = row.bracket
        freight = bracket.prices[zone]
        several = bracket.packages[zone]
        days = bracket.leads[zone]
        if days is not None and (lead is None or days > lead):
            lead = days
        cost += freight + several * handling + per_line * len(content)
        packages += several
        index = lane.open[position]
        units = []
        grams = 0
        for n, quantity in content:
            line = lines[n]
            units.append((line.line, quantity))
            assignments.append((line.line, index, quantity))
            grams += quantity * line.grams
            if prices:
                worth += by_unit(line, prices).get(position, 0) * quantity
        service = bracket.services[zone]
        added: Amounts | None = None
        if charges is not None:
            added = charges.amounts(position, row, content)
            amounts.append(added)
            cost += added.total
            if added == NOTHING:
                added = None
        parcels.append(Parcel(index, service, grams, freight, several, units, added))
        stored.append((position, service, freight, several, units))
    if len(stored) > 1:
        assignments.sort()
        cost += lane.split * (len(stored) - 1) - saving_of(lane, [position for position, _, _ in shipped])
    if lane.split and stored:
        costs = [found - lane.split if found >= 0 else found for found in costs]
    left = unplaced or []
    basis = Basis(
        lines=lines,
        free=list(stock.values()),
        costs=costs,
        parcels=stored,
        cost=cost,
        full=full,
        excluded=excluded,
        heavy=heavy,
        unplaced=left,
        lead_days=lead,
        exact=exact,
        version=version,
        prices=_told(prices, lane, stock) if prices else [],
        worth=worth,
        terms=terms,
        amounts=amounts if any(parcel.amounts for parcel in parcels) else [],
        bound=bound,
    )
    rates = b",".join([brackets[limit].fragment for limit in sorted(brackets)])
    return Plan(assignments, left, cost, packages, lead, parcels, basis, lane.head, rates)


def record_json(decided: Plan) -> bytes:
    """Return the decision as it is stored: JSON of `records.Record`, from which it can be explained and recomputed."""
    return b"".join((decided.head, decided.rates, b"],", _encode(decided.basis)[1:]))
