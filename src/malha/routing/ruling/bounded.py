"""Plans within what a rule asks: preferred locations before cost, at most so many packages. Pure.

The programme over subsets (`malha.routing.subsets`) with one more index, the packages: f(S, k) is the cheapest parcel
with the lines S in k packages, g(S, k) the cheapest plan. A cost is the pair (preference, centavos and packages) as one
integer, so preference is lexicographic before cost and adds up: a line from tier t of T weighs B^T - B^(T - t) with B
above the number of lines, hence one more line from an earlier tier outweighs all that later tiers can do. What can be
served is served first: among sets of lines that fit the packages, the largest, then preference, then cost.

Orders this does not fit (more lines than `most_exact`, lines that want the same SKU, lines nobody has in full) are
filled location by location, those that complete most lines first, tier by tier; `exact` says so.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from malha.routing.charging import Charges
from malha.routing.hard import Content, Hard
from malha.routing.lanes import Lane
from malha.routing.model import MAX_EXACT, RequestLine, most_exact, parts_of
from malha.routing.parting import EVERYWHERE, Tier
from malha.routing.rows import SCALE_BITS, Bracket, Row
from malha.routing.ruling.model import Bound
from malha.routing.siting import Parts, Site, saving_of, sites_of, spread
from malha.routing.subsets import rows_of, tables
from malha.routing.terms import unfold

KEPT_BOUNDS = 256  # what rules ask that a lane remembers
PREFERENCE_BITS = 100  # above any scaled cost
_COST = (1 << PREFERENCE_BITS) - 1
Stock = Mapping[int, Sequence[int]]
Full = list[tuple[int, int, int]]
Best = dict[int, tuple[int, int]]  # packages -> (cost, position)
Ways = dict[int, tuple[int, int, int]]  # packages -> (cost, the part with the lowest line, its packages)


def left_free(bound: Bound, stock: Stock) -> Stock:
    """Return what a rule lets be taken: by SKU and position, without the units it keeps back."""
    if not bound.keep:
        return stock
    return {sku: [max(0, n - bound.keep) for n in units] for sku, units in stock.items()}


def shut(bound: Bound, full: Full) -> Full:
    """Return the positions that are closed, those that a rule closes among them."""
    closed = [(position, 0, 0) for position in unfold([*bound.outside, *bound.far])]
    return [*full, *closed] if closed else full


def tiers_of(bound: Bound, lane: Lane, lines: int) -> Sequence[Tier]:
    """Return where a rule lets parcels of so many lines leave from, the preferred first. A lane keeps what it found."""
    if not (bound.tiers or bound.outside or bound.far):
        return EVERYWHERE
    # A rule's lists are the same ones for every order of the lane: holding them, no other list gets their identity.
    kept = lane.bounds
    key = lines, id(bound.outside), id(bound.far), id(bound.tiers)
    found = kept.get(key)
    if found is None:
        if len(kept) >= KEPT_BOUNDS:
            kept.clear()
        found = kept[key] = _work_out(bound, len(lane.klass), lines), (bound.outside, bound.far, bound.tiers)
    return found[0]


def _work_out(bound: Bound, positions: int, lines: int) -> list[Tier]:
    closed = unfold([*bound.outside, *bound.far])
    masks = [bytearray(positions) for _ in bound.tiers]
    for mask, members in zip(masks, bound.tiers, strict=True):
        for position in unfold(members):
            mask[position] = 1
    masks.append(bytearray(b"\1" * positions))  # whoever is in no tier comes last
    for mask in masks:
        for position in closed:
            mask[position] = 0
    weights = _weights(len(bound.tiers), lines)
    return [Tier(list(mask), weight) for mask, weight in zip(masks, weights, strict=True)]


def solve_bounded(
    lane: Lane,
    lines: Sequence[RequestLine],
    stock: Stock,
    have: Sequence[Sequence[int]],
    charges: Charges | None,
    bound: Bound,
    *,
    costs: bool,
) -> Hard:
    """Place as much as the rule lets. `stock` and `have` are without what the rule closes or keeps back."""
    wanted = [sku for line in lines for sku, _ in parts_of(line)]
    fit = len(lines) <= most_exact(len(lane.klass)) and len(set(wanted)) == len(wanted)
    if fit and all(any(u >= line.quantity for u in units) for line, units in zip(lines, have, strict=True)):
        found = _Programme(lane, lines, have, charges, bound).solve(costs=costs)
    else:
        found = _fill(lane, lines, stock, have, charges, bound)
    if bound.complete and found.unplaced:
        everything = [(line.line, line.quantity) for line in lines]
        return Hard([], everything, [-1] * len(lane.klass), found.brackets, found.exact)
    return found


def _tier_of(bound: Bound, positions: int) -> list[int]:
    last = len(bound.tiers)
    tier = [last] * positions
    for number, members in reversed(list(enumerate(bound.tiers))):
        for position in unfold(members):
            tier[position] = number
    return tier


def _weights(tiers: int, lines: int) -> list[int]:
    """Return what a line from each tier weighs in a plan's preference."""
    base = lines + 1
    return [(base**tiers - base ** (tiers - tier)) << PREFERENCE_BITS for tier in range(tiers + 1)]


class _Programme:
    """The exact programme: every line has a position that serves it in full, and no two want the same SKU."""

    def __init__(
        self,
        lane: Lane,
        lines: Sequence[RequestLine],
        have: Sequence[Sequence[int]],
        charges: Charges | None,
        bound: Bound,
    ) -> None:
        n = len(lines)
        self.lane = lane
        self.lines = lines
        self.n = n
        self.most = bound.packages
        self.rows = rows_of(lane, [line.quantity * line.grams for line in lines], [1] * n)
        self.extras = {} if charges is None else charges.extras(self.rows, charges.whole())
        tier = _tier_of(bound, len(lane.klass))
        weights = _weights(len(bound.tiers), n)
        self.kinds: dict[tuple[int, int, int], int] = {}  # (class, preference of a line, lines) -> first position
        self.by_position: dict[int, tuple[int, int, int]] = {}
        self.sites: list[Site] = []
        self.placed: list[Parts] = []  # what leaves sites with several locations
        self.singled: list[tuple[tuple[int, int, int], int]] = []
        for position, k in enumerate(lane.klass):
            mask = sum(1 << j for j, line in enumerate(lines) if have[j][position] >= line.quantity)
            if mask:
                kind = k, weights[tier[position]], mask
                self.by_position[position] = kind
                if position in self.extras:
                    self.singled.append((kind, position))
                else:
                    self.kinds.setdefault(kind, position)

    def packages(self, s: int, k: int) -> int:
        """Return the packages of a parcel; one kind of all where nobody counts them."""
        return 0 if self.most is None else self.rows[s].bracket.packages[self.lane.classes[k][0]]

    def cost(self, s: int, kind: tuple[int, int, int], position: int) -> int:
        """Return preference and scaled cost of a parcel."""
        k, weight, _ = kind
        extra = self.extras.get(position)
        return weight * s.bit_count() + self.rows[s].by_class[k] + (extra[s] if extra else 0)

    def solve(self, *, costs: bool) -> Hard:
        """Return the plan."""
        n = self.n
        f: list[Best] = [{} for _ in range(1 << n)]
        subsets = tables(n).subsets
        for kind, position in [*self.kinds.items(), *self.singled]:
            for s in subsets[kind[2]]:
                packages = self.packages(s, kind[0])
                if self.most is None or packages <= self.most:
                    offer = self.cost(s, kind, position), position
                    if packages not in f[s] or offer < f[s][packages]:
                        f[s][packages] = offer
        g = self._combine(f)
        if self.lane.sites and n > 1:
            self.sites = sites_of(self.lane, n, self._serves, self._offer, most=self.most)
            self._group(f, g)
            g = self._combine(f)
        served = [s for s in range(1, 1 << n) if g[s]]
        whole = min(served, key=lambda s: (-s.bit_count(), min(g[s].values())), default=0)
        shipped = sorted(self._unroll(f, g, whole), key=lambda part: (part[0], part[2]))
        return Hard(
            shipped=shipped,
            unplaced=[(line.line, line.quantity) for j, line in enumerate(self.lines) if not whole >> j & 1],
            costs=self._forced(g, whole) if costs else [],
            brackets={row.bracket.limit: row.bracket for row in self.rows},
            exact=True,
        )

    def _serves(self, position: int) -> int:
        return self.by_position[position][2] if position in self.by_position else 0

    def _offer(self, position: int, s: int) -> tuple[int, int] | None:
        kind = self.by_position[position]
        packages = self.packages(s, kind[0])
        return None if self.most is not None and packages > self.most else (packages, self.cost(s, kind, position))

    def _group(self, f: Sequence[Best], g: Sequence[Ways]) -> None:
        """Put the groups of sites into f that cost less than any plan without them, as `siting.improve` does."""
        for site in self.sites:
            for s, by_packages in sorted(site.groups().items()):
                for packages, (cost, parts) in sorted(by_packages.items()):
                    if len({position for _, position in parts}) == 1 or (self.most or packages) < packages:
                        continue
                    if all(packages not in known or cost < known[packages][0] for known in (f[s], g[s])):
                        f[s][packages] = cost, -2 - len(self.placed)
                        self.placed.append(parts)

    def _combine(self, f: Sequence[Best]) -> list[Ways]:
        g: list[Ways] = [{0: (0, 0, 0)}]
        for s, ways in tables(self.n).splits:
            best: Ways = {packages: (cost, s, packages) for packages, (cost, _) in f[s].items()}
            for t, rest in ways:
                for mine, (cost, _) in f[t].items():
                    for others, (more, _, _) in g[rest].items():
                        packages = mine + others
                        total = cost + more
                        if self.most is not None and packages > self.most:
                            continue
                        if packages not in best or total < best[packages][0]:
                            best[packages] = total, t, mine
            g.append(best)
        return g

    def _unroll(self, f: Sequence[Best], g: Sequence[Ways], s: int) -> list[tuple[int, Row, Content]]:
        parts: list[tuple[int, Row, Content]] = []
        packages = min(g[s], key=lambda k: (g[s][k][0], k))
        while s:
            _, part, mine = g[s][packages]
            for subset, position in spread([(part, f[part][mine][1])], self.placed):
                content = [(j, line.quantity) for j, line in enumerate(self.lines) if subset >> j & 1]
                parts.append((position, self.rows[subset], content))
            s ^= part
            packages -= mine
        return parts

    def _forced(self, g: Sequence[Ways], whole: int) -> list[int]:
        """Return, by position, centavos of the plan that would be chosen if it had to be used; -1: none."""
        found = [-1] * len(self.lane.klass)
        known: dict[tuple[int, int, int], int] = {}
        grouped = {position: site for site in self.sites for position in site.positions}
        for position, kind in self.by_position.items():
            own = position in self.extras or position in grouped
            if own or kind not in known:
                best = self._forced_at(g, whole, kind, position, grouped.get(position))
                if own:
                    found[position] = best
                    continue
                known[kind] = best
            found[position] = known[kind]
        return found

    def _forced_at(
        self, g: Sequence[Ways], whole: int, kind: tuple[int, int, int], position: int, site: Site | None
    ) -> int:
        best: int | None = None
        for s, by_packages in {} if site is None else site.with_(position).items():
            for mine, (cost, _) in by_packages.items() if s & whole == s else ():
                for others, (more, _, _) in g[whole ^ s].items():
                    if (self.most is None or mine + others <= self.most) and (best is None or cost + more < best):
                        best = cost + more
        for s in tables(self.n).subsets[kind[2] & whole]:
            mine = self.packages(s, kind[0])
            for others, (cost, _, _) in g[whole ^ s].items():
                if self.most is None or mine + others <= self.most:
                    total = self.cost(s, kind, position) + cost
                    if best is None or total < best:
                        best = total
        return -1 if best is None else (best & _COST) >> SCALE_BITS


# --- orders the programme does not fit ---


class _Draft:
    """Parcels while locations are taken one after the other: one a location, and what is left of the stock."""

    def __init__(
        self,
        lane: Lane,
        lines: Sequence[RequestLine],
        stock: Stock,
        have: Sequence[Sequence[int]],
        charges: Charges | None,
        most: int | None,
        brackets: dict[int, Bracket],
    ) -> None:
        self.lane = lane
        self.lines = lines
        self.have = have
        self.left = {sku: list(units) for sku, units in stock.items()}
        self.charges = charges
        self.most = most
        self.brackets = brackets
        self.parcels: dict[int, Content] = {}
        self.missing = [line.quantity for line in lines]

    def row(self, content: Content) -> Row:
        """Return the costs of a parcel, and remember that they were looked at."""
        row = self.lane.row(sum(self.lines[n].grams * q for n, q in content), len(content))
        self.brackets[row.bracket.limit] = row.bracket
        return row

    def measure(self, position: int, content: Content) -> tuple[int, int]:
        """Return the packages and the scaled cost of a parcel."""
        if not content:
            return 0, 0
        row = self.row(content)
        k = self.lane.klass[position]
        cost = row.by_class[k] if self.charges is None else self.charges.parcel(position, row, content)
        return row.bracket.packages[self.lane.classes[k][0]], cost

    def packages(self) -> int:
        """Return how many packages there are so far."""
        return sum(self.measure(position, content)[0] for position, content in self.parcels.items())

    def cost(self) -> int:
        """Return the scaled cost of all parcels so far."""
        together = saving_of(self.lane, list(self.parcels)) << SCALE_BITS
        return sum(self.measure(position, content)[1] for position, content in self.parcels.items()) - together

    def joined(self, position: int, more: Content) -> Content:
        """Return a location's parcel with more in it."""
        sums = dict(self.parcels.get(position, ()))
        for n, quantity in more:
            sums[n] = sums.get(n, 0) + quantity
        return sorted(sums.items())

    def added(self, position: int, more: Content) -> int | None:
        """Return what more adds to the scaled cost; None where that would be too many packages."""
        before = self.measure(position, self.parcels.get(position, []))
        after = self.measure(position, self.joined(position, more))
        if self.most is not None and self.packages() - before[0] + after[0] > self.most:
            return None
        return after[1] - before[1]

    def units(self, n: int, position: int) -> int:
        """Return how many units of a line a location could still give."""
        if not self.have[n][position]:
            return 0
        return min(self.left[sku][position] // per for sku, per in parts_of(self.lines[n]))

    def together(self, position: int) -> Content:
        """Return the whole lines that a location can serve together, taking them in order."""
        taken: dict[int, int] = {}
        content: Content = []
        for n, line in enumerate(self.lines):
            if self.missing[n] != line.quantity or not self.have[n][position]:
                continue
            needs = [(sku, per * line.quantity) for sku, per in parts_of(line)]
            if all(taken.get(sku, 0) + units <= self.left[sku][position] for sku, units in needs):
                for sku, units in needs:
                    taken[sku] = taken.get(sku, 0) + units
                content.append((n, line.quantity))
        return content

    def send(self, position: int, more: Content) -> None:
        """Put more in a location's parcel."""
        self.parcels[position] = self.joined(position, more)
        for n, quantity in more:
            self.missing[n] -= quantity
            for sku, per in parts_of(self.lines[n]):
                self.left[sku][position] -= per * quantity


def _fill(
    lane: Lane,
    lines: Sequence[RequestLine],
    stock: Stock,
    have: Sequence[Sequence[int]],
    charges: Charges | None,
    bound: Bound,
) -> Hard:
    tier = _tier_of(bound, len(lane.klass))
    brackets: dict[int, Bracket] = {}
    useful = [p for p in range(len(lane.klass)) if any(units[p] for units in have)]
    by_tier = [[p for p in useful if tier[p] == t] for t in range(len(bound.tiers) + 1)]
    attempts = [by_tier]
    if bound.packages is not None and bound.tiers:
        attempts.append([useful])  # preference may cost packages that others need
    drafts = []
    for groups in attempts:
        draft = _Draft(lane, lines, stock, have, charges, bound.packages, brackets)
        for positions in groups:
            _complete(draft, positions)
        for n in range(len(lines)):
            _part(draft, n, groups)
        drafts.append(draft)
    weights = _weights(len(bound.tiers), sum(line.quantity for line in lines))

    def merit(draft: _Draft) -> tuple[int, int]:
        away = sum(weights[tier[p]] * q for p, content in draft.parcels.items() for _, q in content)
        return sum(draft.missing), away + draft.cost()

    best = min(drafts, key=merit)
    shipped = [(position, best.row(content), content) for position, content in sorted(best.parcels.items())]
    total = best.cost() >> SCALE_BITS
    return Hard(
        shipped=shipped,
        unplaced=[(line.line, left) for line, left in zip(lines, best.missing, strict=True) if left],
        costs=[total if position in best.parcels else -1 for position in range(len(lane.klass))],
        brackets=brackets,
        exact=False,
    )


def _complete(draft: _Draft, positions: Sequence[int]) -> None:
    """Send whole lines, from the location that completes most of them on; the cheapest, then first, among equals."""
    recount = len(draft.lines) <= MAX_EXACT
    left = list(positions)
    while left:
        offers = []
        for position in left:
            content = draft.together(position)
            cost = draft.added(position, content) if content else None
            if cost is not None:
                offers.append((-len(content), cost, position))
        if not offers:
            return
        for _, _, position in [min(offers)] if recount else sorted(offers):
            content = draft.together(position)
            if content and draft.added(position, content) is not None:
                draft.send(position, content)
        if not recount:
            return
        left = [position for _, _, position in offers]


def _part(draft: _Draft, n: int, groups: Sequence[Sequence[int]]) -> None:
    """Send what is missing of a line in parts: over as few locations as possible, tier by tier."""
    for positions in groups:
        closed: set[int] = set()
        while draft.missing[n]:
            offers = []
            for position in positions:
                units = min(draft.units(n, position), draft.missing[n])
                cost = draft.added(position, [(n, units)]) if units and position not in closed else None
                if cost is not None:
                    offers.append((-units, cost, position))
            if not offers:
                break
            units, _, position = min(offers)
            draft.send(position, [(n, -units)])
            closed.add(position)


Binding = Callable[[Any], Bound]  # what a rule asks of a lane
