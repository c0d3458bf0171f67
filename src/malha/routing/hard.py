"""Orders that the programme over subsets does not fit as they are, reduced to it. Pure.

* Lines that want the same SKU (twice the same, or a kit and its component): a location may have enough for each but not
  for all. Only locations where that happens (*tight* ones) need care; they are added to the programme one by one, each
  with the sets of lines that it can serve together. Exact.
* More lines than `most_exact`: lines with the same possible locations travel as one item; if too many items are left,
  the location that completes most lines takes them, cheapest first, until few enough are left.
* Lines that no location has in full: split over as few locations as possible, largest stock first, the last part where
  it costs least.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from malha.routing.charging import Charges, Prices
from malha.routing.lanes import Lane
from malha.routing.model import RequestLine, most_exact
from malha.routing.parting import offers_of
from malha.routing.rows import SCALE_BITS, Bracket, Row
from malha.routing.siting import Best, Site, forced_at, improve, own_of, saving_of, spread
from malha.routing.subsets import NEVER, Extras, Part, cheapest, cheapest_priced, combine, forced, rows_of, unroll

MAX_SHARED_WORK = 30_000  # sets of lines times tight locations; beyond, locations are taken one by one
MAX_RECOUNTED = 10_000  # pairs of a line and a location that has it

Content = list[tuple[int, int]]  # (place of the line in the request, quantity)


def priced_line(line: RequestLine, quantity: int, prices: Prices) -> dict[int, int]:
    """Return what units of a line are worth, centavos by position; absent positions 0."""
    if line.components is None:
        here = prices.get(line.sku_id, {})
        return here if quantity == 1 else {position: price * quantity for position, price in here.items()}
    found: dict[int, int] = {}
    for sku, per in line.components:
        for position, price in prices.get(sku, {}).items():
            found[position] = found.get(position, 0) + price * per * quantity
    return found


class Hard(msgspec.Struct, frozen=True):
    """What came out, in the shapes of `rules`."""

    shipped: list[tuple[int, Row, Content]]
    unplaced: list[tuple[int, int]]
    costs: list[int]
    brackets: dict[int, Bracket]
    exact: bool


class _Parcel:
    """A parcel that grows."""

    __slots__ = ("content", "grams")

    def __init__(self, content: Content, grams: int) -> None:
        self.content = content
        self.grams = grams


class _Case:
    """One order while it is being solved: what is left of the stock, and the parcels so far."""

    __slots__ = ("brackets", "charges", "have", "lane", "left", "lines", "needs", "parcels", "sent")

    def __init__(
        self,
        lane: Lane,
        lines: Sequence[RequestLine],
        stock: Mapping[int, Sequence[int]],
        have: Sequence[Sequence[int]],
        charges: Charges | None,
    ) -> None:
        self.lane = lane
        self.lines = lines
        self.charges = charges
        self.have = have
        self.left = {sku: list(units) for sku, units in stock.items()}
        self.needs = [((line.sku_id, 1),) if line.components is None else line.components for line in lines]
        self.parcels: dict[int, list[_Parcel]] = {}
        self.sent: set[int] = set()  # lines that left whole
        self.brackets: dict[int, Bracket] = {}

    def units(self, n: int, position: int) -> int:
        """Return how many units of a line a position could serve now."""
        if not self.have[n][position]:  # none at all, or it may not
            return 0
        return min(self.left[sku][position] // per for sku, per in self.needs[n])

    def take(self, n: int, position: int, quantity: int) -> None:
        """Lower the stock by units of a line."""
        for sku, per in self.needs[n]:
            self.left[sku][position] -= per * quantity

    def where(self, n: int) -> list[int]:
        """Return the positions that can serve a line in full, as long as nothing is sent."""
        asked = self.lines[n].quantity
        return [p for p, units in enumerate(self.have[n]) if units >= asked]

    def still(self, n: int, positions: Sequence[int]) -> list[int]:
        """Return those of some positions that can serve a line in full after what was sent."""
        asked = self.lines[n].quantity
        return [p for p in positions if self.units(n, p) >= asked]

    def row(self, grams: int, lines: int) -> Row:
        """Return the costs of a parcel, and remember that they were looked at."""
        row = self.lane.row(grams, lines)
        self.brackets[row.bracket.limit] = row.bracket
        return row

    def rows(self, items: Sequence[Sequence[int]]) -> list[Row]:
        """Return the costs of a parcel for every subset of items, each one or several lines."""
        weights = [sum(self.lines[n].quantity * self.lines[n].grams for n in item) for item in items]
        rows = rows_of(self.lane, weights, [len(item) for item in items])
        for row in rows:
            self.brackets[row.bracket.limit] = row.bracket
        return rows

    def grams(self, content: Content) -> int:
        """Return the weight of a parcel."""
        return sum(self.lines[n].grams * quantity for n, quantity in content)

    def cost(self, position: int, content: Content) -> int:
        """Return the scaled cost of a parcel, with all that it is charged beside its rates."""
        row = self.row(self.grams(content), len(content))
        if self.charges is None:
            return row.by_class[self.lane.klass[position]]
        return self.charges.parcel(position, row, content)

    def extras(self, rows: list[Row], items: Sequence[Sequence[int]]) -> Extras | None:
        """Return what every subset of items, each one or several lines, is charged beside its rates; None: nothing."""
        if self.charges is None:
            return None
        return self.charges.extras(rows, [[(n, self.lines[n].quantity) for n in item] for item in items])

    def together(self, position: int, pending: Sequence[int]) -> Content:
        """Return the whole lines a position can serve together, taking them in order."""
        content: Content = []
        taken: dict[int, int] = {}
        for n in pending:
            quantity = self.lines[n].quantity
            if all(taken.get(sku, 0) + per * quantity <= self.left[sku][position] for sku, per in self.needs[n]):
                for sku, per in self.needs[n]:
                    taken[sku] = taken.get(sku, 0) + per * quantity
                content.append((n, quantity))
        return content

    def send(self, position: int, content: Content) -> None:
        """Make a parcel of whole lines, and lower the stock."""
        for n, quantity in content:
            self.take(n, position, quantity)
            self.sent.add(n)
        self.parcels.setdefault(position, []).append(_Parcel(content, self.grams(content)))

    def shares(self, pending: Sequence[int]) -> bool:
        """Return whether any two of these lines want the same SKU."""
        wanted = [sku for n in pending for sku, _ in self.needs[n]]
        return len(set(wanted)) < len(wanted)


def solve_hard(
    lane: Lane,
    lines: Sequence[RequestLine],
    stock: Mapping[int, Sequence[int]],
    have: Sequence[Sequence[int]],
    charges: Charges | None,
) -> Hard:
    """Place all that can be placed. `have` gives, per line and position, the units of it that could be served alone."""
    case = _Case(lane, lines, stock, have, charges)
    costs, planned, exact, unplaced = _solve(case)
    parts = [n for n in range(len(lines)) if not case.where(n)] if unplaced else []
    if parts and case.shares(range(len(lines))):
        # Whole lines may have taken what a line in parts needs there, and could come from elsewhere.
        other = _Case(lane, lines, stock, have, charges)
        other.brackets = case.brackets  # who replays it looks at both, too
        found = _solve(other, parts)
        if sum(missing for _, missing in found[-1]) < sum(missing for _, missing in unplaced):
            case, (costs, planned, exact, unplaced) = other, found
    shipped = [
        (position, case.row(parcel.grams, len(parcel.content)), sorted(parcel.content))
        for position in sorted(case.parcels)
        for parcel in case.parcels[position]
    ]
    total = sum(case.cost(position, content) for position, _, content in shipped)
    total -= saving_of(lane, [position for position, _, _ in shipped]) << SCALE_BITS
    beside = (
        total - planned
    ) >> SCALE_BITS  # what was decided apart from the programme costs the same in every alternative
    costs = [cost + beside if cost >= 0 else -1 for cost in costs]
    for position, _, _ in shipped:
        if costs[position] < 0 or not exact:
            costs[position] = total >> SCALE_BITS
    return Hard(shipped, unplaced, costs, case.brackets, exact)


Solved = tuple[list[int], int, bool, list[tuple[int, int]]]


def _solve(case: _Case, first: Sequence[int] = ()) -> Solved:
    """Place an order, some lines in parts before any goes whole; return as `_place_whole`, and what has no place."""
    missing = {n: _split(case, n) for n in first}
    costs, planned, exact = _place_whole(case, missing)
    for n in range(len(case.lines)):
        if n not in case.sent and n not in missing:
            missing[n] = _split(case, n)
    unplaced = [(case.lines[n].line, units) for n, units in sorted(missing.items()) if units]
    return costs, planned, exact and not missing, unplaced


def _place_whole(case: _Case, parted: Collection[int] = ()) -> tuple[list[int], int, bool]:
    """Place every line that some location has in full; return costs by position, the programme's share, exactness.

    `parted` are lines that went in parts, and took of the stock.
    """
    where = {n: found for n in range(len(case.lines)) if n not in parted and (found := case.where(n))}
    if parted:
        where = {n: found for n, positions in where.items() if (found := case.still(n, positions))}
    most = most_exact(len(case.lane.klass))
    exact = len(where) <= most
    while where:
        pending = list(where)
        shared = case.shares(pending)
        if len(pending) <= most:
            tight = _tight(case, pending, where) if shared else {}
            if len(tight) * 3 ** len(pending) <= MAX_SHARED_WORK:
                costs, cost = _programme(case, [[n] for n in pending], where, tight)
                return costs, cost, exact
            exact = False
        elif not shared:
            groups: dict[tuple[int, ...], list[int]] = {}
            for n in pending:
                groups.setdefault(tuple(where[n]), []).append(n)
            if len(groups) <= most:
                costs, cost = _programme(case, list(groups.values()), where, {})
                return costs, cost, False
        _complete_most(case, where)
        where = {n: found for n in pending if n not in case.sent and (found := case.still(n, where[n]))}
    return [-1] * len(case.lane.klass), 0, exact


def _complete_most(case: _Case, where: Mapping[int, Sequence[int]]) -> None:
    """Send as many whole lines as one location can serve together; the cheapest, then first, among equals.

    Very large orders go on with the other locations in that order, instead of counting anew after each.
    """
    by_position: dict[int, list[int]] = {}
    for n, positions in where.items():
        for position in positions:
            by_position.setdefault(position, []).append(n)
    contents = {p: case.together(p, lines) for p, lines in by_position.items()}
    costs = {p: case.cost(p, content) for p, content in contents.items()}
    if sum(map(len, where.values())) <= MAX_RECOUNTED:
        most = max(len(content) for content in contents.values())
        _, best = min((costs[p], p) for p, content in contents.items() if len(content) == most)
        case.send(best, contents[best])
        return
    for position in sorted(contents, key=lambda p: (-len(contents[p]), costs[p], p)):
        content = case.together(position, [n for n in by_position[position] if n not in case.sent])
        if content:
            case.send(position, content)


def _split(case: _Case, n: int) -> int:
    """Send a line in parts; return how many units have no location."""
    wanted = case.lines[n].quantity
    offers = {p: units for p in range(len(case.have[n])) if (units := case.units(n, p))}
    while wanted and offers:
        most = min(max(offers.values()), wanted)
        _, position, parcel = min(_join(case, n, most, p) for p, units in offers.items() if units >= most)
        del offers[position]
        case.take(n, position, most)
        parcels = case.parcels.setdefault(position, [])
        grams = most * case.lines[n].grams
        if parcel < 0:
            parcels.append(_Parcel([(n, most)], grams))
        else:
            parcels[parcel].content.append((n, most))
            parcels[parcel].grams += grams
        wanted -= most
    return wanted


def _join(case: _Case, n: int, quantity: int, position: int) -> tuple[int, int, int]:
    """Return the least that a part adds at a position: (scaled cost, position, parcel it joins or -1 for its own)."""
    part = (n, quantity)
    options = [(case.cost(position, [part]), position, -1)]
    for k, parcel in enumerate(case.parcels.get(position, ())):
        added = case.cost(position, [*parcel.content, part]) - case.cost(position, parcel.content)
        options.append((added, position, k))
    return min(options)


# --- lines that want the same SKU ---

Feasible = Callable[[int], bool]  # of a set of items


def _tight(case: _Case, pending: Sequence[int], where: Mapping[int, Sequence[int]]) -> dict[int, Feasible]:
    """Return the positions that can serve some lines each but not together, with the test of what they can."""
    demand: dict[int, list[int]] = {}  # sku -> units by line
    for k, n in enumerate(pending):
        for sku, per in case.needs[n]:
            demand.setdefault(sku, [0] * len(pending))[k] += per * case.lines[n].quantity
    shared = [(sku, units) for sku, units in demand.items() if sum(u > 0 for u in units) > 1]
    tight: dict[int, Feasible] = {}
    for position in range(len(case.lane.klass)):
        here = [k for k, n in enumerate(pending) if position in where[n]]
        limits = [(units, case.left[sku][position]) for sku, units in shared]
        if any(sum(units[k] for k in here) > limit for units, limit in limits):
            tight[position] = _fits(limits)
    return tight


def _fits(limits: Sequence[tuple[Sequence[int], int]]) -> Feasible:
    return lambda s: all(sum(u for k, u in enumerate(units) if s >> k & 1) <= limit for units, limit in limits)


# Sets of items one tight position, or the site of one, can serve together: (set, scaled cost, its parcels).
Loads = list[tuple[int, int, Sequence[Part]]]


def _loads(case: _Case, rows: Sequence[Row], mask: int, position: int, fits: Feasible, n: int, extras: Extras) -> Loads:
    k = case.lane.klass[position]
    worth = extras.get(position) or [0] * (1 << n)
    f = [0] + [rows[s].by_class[k] + worth[s] if s & mask == s and fits(s) else NEVER for s in range(1, 1 << n)]
    g, first = combine(f, n)
    at = [position] * len(f)
    # A set that does not fit must not be served in two parcels either: fits() is about the set, not its parcels.
    return [(s, g[s], unroll(first, at, s)) for s in range(1, 1 << n) if f[s] < NEVER]


def _extend(g: Sequence[int], loads: Loads) -> tuple[list[int], list[int]]:
    """Add one tight position to a plan for every set; return the costs and which of its loads is used (-1 none)."""
    best = list(g)
    used = [-1] * len(g)
    for s in range(1, len(g)):
        for number, (load, cost, _) in enumerate(loads):
            if load & s == load and cost + g[s ^ load] < best[s]:
                best[s] = cost + g[s ^ load]
                used[s] = number
    return best, used


def _leave_one_out(g: Sequence[int], loads: Sequence[Loads]) -> list[list[int]]:
    """Return, for every tight position, the costs with all the others."""
    if len(loads) == 1:
        return [list(g)]
    half = len(loads) // 2
    early = late = list(g)
    for load in loads[:half]:
        early, _ = _extend(early, load)
    for load in loads[half:]:
        late, _ = _extend(late, load)
    return _leave_one_out(late, loads[:half]) + _leave_one_out(early, loads[half:])


def _programme(
    case: _Case,
    items: Sequence[Sequence[int]],
    where: Mapping[int, Sequence[int]],
    tight: Mapping[int, Feasible],
) -> tuple[list[int], int]:
    """Send the most items that can go together, at the least cost; return costs by position and of the plan, scaled."""
    n = len(items)
    keys = list(case.lane.keys(n))
    masks = [0] * len(keys)
    for k, item in enumerate(items):
        for position in where[item[0]]:
            masks[position] |= 1 << k
    loose = [key if p in tight else key | mask for p, (key, mask) in enumerate(zip(keys, masks, strict=True))]
    rows = case.rows(items)
    extras = case.extras(rows, items)
    lowest = case.charges.lowest(extras) if extras and case.charges is not None else None
    f, at = cheapest_priced(rows, loose, extras, lowest) if extras else cheapest(rows, loose)
    base, first = combine(f, n)
    by_position = {p: _loads(case, rows, masks[p], p, tight[p], n, extras or {}) for p in sorted(tight)}
    loose_sites, tight_sites = _sites(case, n, masks, by_position, offers_of(rows, extras))
    placed = improve(loose_sites, f, at, base)
    if placed:
        base, first = combine(f, n)
    together = {p for site in tight_sites for p in site.positions}
    units: list[Site | int] = [*tight_sites, *(p for p in by_position if p not in together)]
    loads = [by_position[unit] if isinstance(unit, int) else _of_groups(unit.groups()) for unit in units]
    g = base
    levels = []
    for load in loads:
        g, used = _extend(g, load)
        levels.append(used)
    _, whole = min(((-s.bit_count(), g[s]), s) for s in range(1, 1 << n) if g[s] < NEVER)
    costs = forced(rows, loose, g, whole, n, extras)
    for position, (cost, _, _) in forced_at(loose_sites, g, whole).items():
        costs[position] = min(costs[position], cost >> SCALE_BITS)
    if units:
        _force_units(costs, units, loads, base, whole)
    parts, left = _used(loads, levels, whole)
    for part, position in [*parts, *spread(unroll(first, at, left), placed)]:
        members = [n for k, item in enumerate(items) if part >> k & 1 for n in item]
        case.send(position, [(n, case.lines[n].quantity) for n in members])
    return costs, g[whole]


def _used(loads: Sequence[Loads], levels: Sequence[Sequence[int]], whole: int) -> tuple[list[Part], int]:
    """Return the parcels of the loads that the cheapest plan uses, and what it leaves to loose positions."""
    parts: list[Part] = []
    for load, used in zip(reversed(loads), reversed(levels), strict=True):
        if used[whole] >= 0:
            taken, _, parcels = load[used[whole]]
            parts += parcels
            whole ^= taken
    return parts, whole


def _force_units(
    costs: list[int], units: Sequence[Site | int], loads: Sequence[Loads], base: Sequence[int], whole: int
) -> None:
    """Say what tight positions, and those at their sites, cost."""
    for unit, load, others in zip(units, loads, _leave_one_out(base, loads), strict=True):
        if isinstance(unit, int):
            _force(costs, unit, load, others, whole)
        else:
            for position in unit.positions:
                _force(costs, position, _of_groups(unit.with_(position)), others, whole)


def _force(costs: list[int], position: int, load: Loads, others: Sequence[int], whole: int) -> None:
    """Lower what a position costs to the cheapest plan with one of its loads."""
    least = min((cost + others[whole ^ s] for s, cost, _ in load if s & whole == s), default=NEVER)
    if least < NEVER and not 0 <= costs[position] < least >> SCALE_BITS:
        costs[position] = least >> SCALE_BITS


def _of_groups(groups: Best) -> Loads:
    return [(s, *by_packages[0]) for s, by_packages in sorted(groups.items()) if 0 in by_packages]


def _sites(
    case: _Case,
    n: int,
    masks: Sequence[int],
    tight: Mapping[int, Loads],
    offer: Callable[[int, int], tuple[int, int]],
) -> tuple[list[Site], list[Site]]:
    """Return the sites where several locations can serve items: without a tight one, and with one.

    What leaves the second kind is decided at once for all its locations, as it is for a tight location.
    """
    found: tuple[list[Site], list[Site]] = [], []
    for saving, members in case.lane.sites if n > 1 else ():
        able = [position for position in members if masks[position]]
        if len(able) > 1:
            owns = [
                {s: {0: (cost, tuple(parts))} for s, cost, parts in tight[position]}
                if position in tight
                else own_of(position, masks[position], n, offer)
                for position in able
            ]
            kind = found[any(position in tight for position in able)]
            kind.append(Site(saving << SCALE_BITS, able, owns, n))
    return found
