"""What parcels of one lane cost: by bracket of weight, number of lines and location. Pure.

A parcel's cost has two parts. Its carriage depends on its weight and the zone it leaves from; what is beside that, the
handling of packages and lines and what every parcel of its location costs, depends on neither. So a row of costs is two
lists of numbers, one of them short and its own, the other shared by all rows with as many lines, and by lanes that
leave from the same locations. What an order looks at is little, and was looked at by the order before: how long a
decision takes is a question of memory more than of sums.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:  # what compiled code holds numbers in; it means nothing to the interpreter
    from mypy_extensions import i64

# A scaled cost is centavos << 20 | packages: one comparison prefers cheaper, then fewer packages.
SCALE_BITS: Final = 20
MAX_HEAVY = 256  # weights beyond all brackets whose costs are kept
NOWHERE: Final = 1 << 80  # what the cheapest of no positions costs
_encode = msgspec.json.Encoder().encode

Pricing = Callable[[int], "Bracket"]  # the bracket of a weight


class Bracket:
    """What one parcel costs from each zone, for all weights up to `limit` that are above the bracket before."""

    __slots__ = ("carriage", "cartons", "fragment", "leads", "limit", "packages", "prices", "services")

    def __init__(
        self,
        limit: int,
        prices: list[int],
        packages: list[int],
        leads: list[int | None],
        services: list[int | None],
        cartons: list[int] | None = None,
    ) -> None:
        self.limit = limit
        self.prices = prices
        self.packages = packages
        self.leads = leads
        self.services = services
        self.cartons = cartons if cartons and any(cartons) else None
        boxes = self.cartons or [0] * len(prices)
        # Scaled, by zone.
        self.carriage = [
            (price + box << SCALE_BITS) + several for price, box, several in zip(prices, boxes, packages, strict=True)
        ]
        several = packages if any(n != 1 for n in packages) else None
        said: tuple[Any, ...] = (limit, prices) if several is None else (limit, prices, several)
        self.fragment = _encode(said if self.cartons is None else (limit, prices, several, self.cartons))


class Beside:
    """What parcels with some lines cost beside their carriage, in centavos; packages are those of a bracket."""

    __slots__ = ("at", "by_class", "firsts", "klass", "own", "zone_at", "zone_of")

    def __init__(
        self,
        lines: int,
        packages: Sequence[int],
        classes: Sequence[tuple[int, int, int]],
        klass: Sequence[int],
        zone_at: list[int],
        tolls: Sequence[int],
        numbers: list[Any],
    ) -> None:
        self.klass = klass
        self.zone_of = [zone for zone, _, _ in classes]  # by class
        self.zone_at = zone_at  # by position
        costs = [packages[zone] * handling + lines * line for zone, handling, line in classes]
        if tolls:
            costs = [cost + toll for cost, toll in zip(costs, tolls, strict=True)]
        # One object for each number: few, and close to each other. Compiled, what is typed as a number is made anew.
        same: dict[Any, Any] = {}
        by_class: list[Any] = [same.setdefault(cost, cost) for cost in costs]
        self.by_class: list[int] = by_class
        at: list[Any] = [by_class[k] for k in klass]
        self.at: list[int] = at  # by position
        own: list[Any] = [[] for _ in packages]
        for position in sorted(numbers, key=at.__getitem__):
            own[zone_at[position]].append(position)
        self.own: list[list[int]] = own  # by zone: its positions from the cheapest on
        self.firsts = [self.at[those[0]] if those else NOWHERE for those in own]  # by zone


class Row:
    """What a parcel of one bracket with some lines costs, scaled."""

    __slots__ = ("_by_class", "_ranked", "beside", "bracket", "carriage", "first", "firsts", "least")

    def __init__(self, bracket: Bracket, beside: Beside) -> None:
        self.bracket = bracket
        self.beside = beside
        self.carriage = bracket.carriage  # by zone
        # What the cheapest position of each zone costs, and the zone where it costs least.
        self.firsts = [
            cost + (more << SCALE_BITS) if more < NOWHERE else NOWHERE
            for cost, more in zip(bracket.carriage, beside.firsts, strict=True)
        ]
        self.least = min(self.firsts, default=NOWHERE)
        self.first = self.firsts.index(self.least) if self.firsts else 0
        self._by_class: list[int] | None = None
        self._ranked: list[int] | None = None

    def cost(self, position: int) -> int:
        """Return what a parcel costs from a position."""
        at: i64 = position
        zone: i64 = self.beside.zone_at[at]
        return self.carriage[zone] + (self.beside.at[at] << SCALE_BITS)

    @property
    def by_class(self) -> list[int]:
        """Return the costs by class: of a large network only who wants to know the cost of each location asks."""
        if self._by_class is None:
            carriage, beside = self.carriage, self.beside
            self._by_class = [
                carriage[zone] + (more << SCALE_BITS)
                for zone, more in zip(beside.zone_of, beside.by_class, strict=True)
            ]
        return self._by_class

    @property
    def ranked(self) -> list[int]:
        """Return the positions from the cheapest on, of equals the first."""
        if self._ranked is None:
            by_class, klass = self.by_class, self.beside.klass
            self._ranked = sorted(range(len(klass)), key=[by_class[k] for k in klass].__getitem__)
        return self._ranked


class Besides:
    """What parcels cost beside their carriage, by number of lines: of lanes that leave from the same locations."""

    __slots__ = ("_classes", "_kept", "_klass", "_numbers", "_tolls", "zone_at")

    def __init__(self, classes: list[tuple[int, int, int]], klass: list[int], tolls: Sequence[int]) -> None:
        self._classes = classes
        self._klass = klass
        self._tolls = tolls  # by class: centavos of every parcel beside its rates
        self.zone_at = [classes[k][0] for k in klass]
        self._numbers: list[Any] = list(range(len(klass)))  # of positions: the same objects in all
        self._kept: dict[int, Beside] = {}  # by lines, where each parcel is one package

    def of(self, lines: int, packages: list[int]) -> Beside:
        """Return what parcels with so many lines cost beside their carriage, in so many packages by zone."""
        if any(n != 1 for n in packages):
            return self._make(lines, packages)
        found = self._kept.get(lines)
        if found is None:
            found = self._kept[lines] = self._make(lines, packages)
        return found

    def _make(self, lines: int, packages: list[int]) -> Beside:
        return Beside(lines, packages, self._classes, self._klass, self.zone_at, self._tolls, self._numbers)


class Rows:
    """The costs of all parcels from some locations by some services to one state, worked out as they are asked for."""

    __slots__ = ("_besides", "_brackets", "_breaks", "_heavy", "_keys", "_klass", "_price", "_rows", "zone_at")

    def __init__(
        self,
        classes: list[tuple[int, int, int]],
        klass: list[int],
        breaks: list[int],
        price: Pricing,
        tolls: Sequence[int] = (),
        besides: Besides | None = None,
    ) -> None:
        """Take the costs of locations by class, and what prices a weight; `besides` are known of the same ones."""
        self._besides = besides or Besides(classes, klass, tolls)
        self.zone_at = self._besides.zone_at  # by position
        self._klass = klass
        self._breaks = breaks
        self._price = price
        self._brackets: dict[int, Bracket] = {}
        self._rows: dict[int, list[Row | None]] = {}
        self._heavy: dict[tuple[int, int], Row] = {}
        self._keys: dict[int, list[int]] = {}

    def row(self, grams: int, lines: int) -> Row:
        """Return the costs of a parcel of this billable weight with this many lines."""
        breaks = self._breaks
        n: i64 = 0
        beyond: i64 = len(breaks)
        while n < beyond:  # `bisect_left`, which compiled code would have to call
            middle = (n + beyond) >> 1
            if breaks[middle] < grams:
                n = middle + 1
            else:
                beyond = middle
        if n == len(breaks):
            return self._heavy_row(grams, lines)
        rows = self._rows.get(lines)
        if rows is None:
            rows = self._rows[lines] = [None] * len(breaks)
        row = rows[n]
        if row is None:
            bracket = self._brackets.get(n)
            if bracket is None:
                bracket = self._brackets[n] = self._price(breaks[n])
            row = rows[n] = Row(bracket, self._besides.of(lines, bracket.packages))
        return row

    def _heavy_row(self, grams: int, lines: int) -> Row:
        row = self._heavy.get((grams, lines))
        if row is None:
            if len(self._heavy) >= MAX_HEAVY:
                self._heavy.clear()
            bracket = self._price(grams)
            row = self._heavy[grams, lines] = Row(bracket, self._besides.of(lines, bracket.packages))
        return row

    def keys(self, lines: int) -> list[int]:
        """Return each position's class, shifted left to leave one bit for each of `lines`."""
        keys = self._keys.get(lines)
        if keys is None:
            keys = self._keys[lines] = [k << lines for k in self._klass]
        return keys
