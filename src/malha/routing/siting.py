"""Parcels of several owners from one site, which cost less together. Pure.

A further location of a site that an order takes from saves what its retailer says (`terms.same_site`), at most what it
adds: the split penalty and the handling of one package. So the cost of a plan is no longer a sum over its parcels, but
over its sites. All that leaves one site is a *group*, and a group has a cost: its parcels, less the savings. With f(S)
the cheaper of the cheapest parcel and the cheapest group for the lines S, the programme over subsets goes on as before
and stays exact: two groups of one site in a plan only cost more than they should, and the same plan is there with one.

Nothing of this is looked at where no site has two open locations, and a site only where it can lower a cost.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache

from malha.routing.lanes import Lane
from malha.routing.rows import SCALE_BITS
from malha.routing.subsets import Part, tables

Parts = tuple[Part, ...]
Best = dict[int, dict[int, tuple[int, Parts]]]  # lines -> packages (0 where nobody counts) -> (scaled cost, parcels)
Offer = Callable[[int, int], tuple[int, int] | None]  # (position, lines) -> (packages, cost) of a parcel, if it may be
Serves = Callable[[int], int]  # position -> the lines it can serve


def saved(sites_: Sequence[tuple[int, Sequence[int]]], positions: Iterable[int]) -> list[int]:
    """Return centavos that each of some parcels saves: the first from each further location of a site does.

    `sites_` are a lane's: (centavos, positions).
    """
    sites = {p: n for n, (_, members) in enumerate(sites_) for p in members}
    used: dict[int, set[int]] = {}
    found = []
    for position in positions:
        n = sites.get(position)
        if n is None:
            found.append(0)
            continue
        there = used.setdefault(n, set())
        found.append(sites_[n][0] if there and position not in there else 0)
        there.add(position)
    return found


def saving_of(lane: Lane, positions: Sequence[int]) -> int:
    """Return centavos that some parcels save together."""
    return sum(saved(lane.sites, positions)) if lane.sites else 0


def groups_of(owns: Sequence[Best], lines: int, saving: int) -> Best:
    """Return the cheapest groups of some locations of a site, single ones among them. `saving` is scaled."""
    subsets = tables(lines).subsets
    every = (1 << lines) - 1
    found: Best = {}
    for own in owns:
        before = [(t, dict(others)) for t, others in found.items()]  # without this location's own
        for s, mine in own.items():
            _better(found, s, mine.items())
        for t, others in before:
            for s in subsets[every ^ t]:
                _join(found, s, own.get(s, {}), t, others, saving)
    return found


def _join(
    found: Best,
    s: int,
    mine: Mapping[int, tuple[int, Parts]],
    t: int,
    others: Mapping[int, tuple[int, Parts]],
    saving: int,
) -> None:
    """Put in what one location sends of the lines s, and others at its site of the lines t, as one group."""
    for packages, (cost, parts) in mine.items():
        joined = [(packages + more, (cost + rest - saving, with_ + parts)) for more, (rest, with_) in others.items()]
        _better(found, s | t, joined)


def _better(found: Best, s: int, offers: Iterable[tuple[int, tuple[int, Parts]]]) -> None:
    known = found.setdefault(s, {})
    for packages, offer in offers:
        if packages not in known or offer[0] < known[packages][0]:
            known[packages] = offer


class Site:
    """One site with several locations that can serve lines of an order."""

    __slots__ = ("lines", "owns", "positions", "saving")

    def __init__(self, saving: int, positions: Sequence[int], owns: Sequence[Best], lines: int) -> None:
        self.saving = saving
        self.positions = positions
        self.owns = owns  # by location: what it can send by itself, in one parcel or several
        self.lines = lines

    def groups(self) -> Best:
        """Return the cheapest groups by lines."""
        return groups_of(self.owns, self.lines, self.saving)

    def with_(self, position: int) -> Best:
        """Return the cheapest groups that a location takes part in."""
        n = self.positions.index(position)
        others = groups_of([own for k, own in enumerate(self.owns) if k != n], self.lines, self.saving)
        found = {s: dict(mine) for s, mine in self.owns[n].items()}
        for s, mine in self.owns[n].items():
            for t, rest in others.items():
                if not s & t:
                    _join(found, s, mine, t, rest, self.saving)
        return found


def own_of(position: int, mask: int, lines: int, offer: Offer, most: int | None = None) -> Best:
    """Return what a location can send by itself: for all sets of the lines in a mask, in as many parcels as is best."""
    found: Best = {}
    for s in tables(lines).subsets[mask]:
        alone = offer(position, s)
        if alone is not None:
            packages, cost = alone
            _better(found, s, [(packages, (cost, ((s, position),)))])
        low = s & -s
        for t in tables(lines).subsets[s ^ low]:
            first = offer(position, s ^ t)
            if first is not None:
                packages, cost = first
                joined = [
                    (packages + more, (cost + rest, ((s ^ t, position), *parts)))
                    for more, (rest, parts) in found.get(t, {}).items()
                    if most is None or packages + more <= most
                ]
                _better(found, s, joined)
    return found


def sites_of(
    lane: Lane, lines: int, serves: Serves, offer: Offer, bound: int | None = None, most: int | None = None
) -> list[Site]:
    """Return the sites of a lane where several locations can serve different lines of an order.

    Args:
        lane: where it goes.
        lines: how many there are.
        serves: what each position can serve.
        offer: what a parcel costs, scaled.
        bound: a site whose groups cannot cost less than this is passed over; None: none is.
        most: packages, if that is limited.
    """
    found = []
    for saving, members in lane.sites:
        able = [(position, mask) for position in members if (mask := serves(position))]
        union = 0
        for _, mask in able:
            union |= mask
        if len(able) == 1 or not union & (union - 1):
            continue  # nobody can share the lines, or there is one line only
        scaled = saving << SCALE_BITS
        kept = cache(offer)
        if bound is not None:
            least = sorted(
                min((o[1] for s in tables(lines).subsets[mask] if (o := kept(position, s)) is not None), default=bound)
                for position, mask in able
            )
            if least[0] + least[1] - scaled >= bound:
                continue
        owns = [own_of(position, mask, lines, kept, most) for position, mask in able]
        found.append(Site(scaled, [position for position, _ in able], owns, lines))
    return found


def improve(sites: Sequence[Site], f: list[int], at: list[int], g: Sequence[int]) -> list[Parts]:
    """Put the groups that cost less than any plan without them into f; `at` is then -2 less their place in the answer.

    Nothing else in f changes, so that ties go where they go without sites.
    """
    placed: list[Parts] = []
    for site in sites:
        for s, by_packages in sorted(site.groups().items()):
            for cost, parts in by_packages.values():
                if len({position for _, position in parts}) > 1 and cost < g[s] and cost < f[s]:
                    f[s] = cost
                    at[s] = -2 - len(placed)
                    placed.append(parts)
    return placed


def spread(parts: Iterable[Part], placed: Sequence[Parts]) -> list[Part]:
    """Return parts with every group written out as its parcels."""
    found: list[Part] = []
    for subset, position in parts:
        found += placed[-2 - position] if position <= -2 else [(subset, position)]
    return found


def forced_at(sites: Sequence[Site], g: Sequence[int], whole: int) -> Mapping[int, tuple[int, Parts, int]]:
    """Return, by position, (scaled cost, the group's parcels, lines that are left) of the cheapest plan with its group.

    `g` is of the plans with groups. Positions that no group has are absent.
    """
    found: dict[int, tuple[int, Parts, int]] = {}
    for site in sites:
        for position in site.positions:
            for s, by_packages in sorted(site.with_(position).items()):
                if s & whole != s:
                    continue
                for cost, parts in by_packages.values():
                    total = cost + g[whole ^ s]
                    if position not in found or total < found[position][0]:
                        found[position] = total, parts, whole ^ s
    return found
