"""Decision tables: which rows fit an order, at a cost that hardly grows with the rows; and rows that never count. Pure.

A set of rows is an integer, bit n for row n. For every condition there is, worked out once for a version of the table,
the set of rows that each value lets pass; for an order those sets are intersected. Only conditions on products are
looked at row by row, and only in rows that everything else lets pass. Whether earlier rows leave anything to a later
one is asked of the same sets.
"""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from malha.network.model import Method
from malha.routing.ruling.model import Facts, Hit, Row, Table, Then, Traits, When

MOST_STEPS = 20_000  # of looking whether one row is ever reached; beyond, it is taken to be
MOST_LOOKS = 300_000  # at sets of rows, for a whole table: about a second; rows beyond are taken to be reached

Fits = Callable[[When, Sequence[int], Mapping[int, Traits]], bool]


class Hits:
    """The rows of one version of a table."""

    __slots__ = ("_all", "_asks_time", "_choices", "_goods", "_ranges", "_times", "hit", "rows")

    def __init__(self, table: Table) -> None:
        whens = [row.when for row in table.rows]
        self.hit = table.hit
        self.rows = table.rows
        self._all = (1 << len(whens)) - 1
        self._choices = [
            _Choice([when.channels for when in whens]),
            _Choice([when.methods for when in whens], tuple(Method)),
            _Choice([when.states for when in whens]),
            _Choice([when.customer_groups for when in whens]),
        ]
        self._ranges = [
            _Range([(when.min_value, when.max_value) for when in whens]),
            _Range([(when.min_units, when.max_units) for when in whens]),
            _Range([(when.min_grams, when.max_grams) for when in whens]),
        ]
        self._times = [_Choice([when.weekdays for when in whens]), _Choice([_hours(when) for when in whens])]
        self._asks_time = any(when.asks_time for when in whens)
        self._goods = sum(1 << n for n, when in enumerate(whens) if when.asks_goods)

    def of(self, facts: Facts, local: datetime | None, traits: Mapping[int, Traits], fits: Fits) -> tuple[int, ...]:
        """Return the numbers of the rows that count for an order, from 0 on, in order.

        Args:
            facts: what is known of the order.
            local: when it was placed, by the retailer's clock.
            traits: its products.
            fits: whether products meet a condition.
        """
        left = self._all
        for choice, value in zip(
            self._choices, (facts.channel, facts.method, facts.to_state, facts.customer_group), strict=True
        ):
            left &= choice.passes(value)
        for limits, number in zip(self._ranges, (facts.value, facts.units, facts.grams), strict=True):
            left &= limits.passes(number)
        if self._asks_time:
            left &= self._times[0].passes(None if local is None else local.isoweekday())
            left &= self._times[1].passes(None if local is None else local.hour)
        found: list[int] = []
        for n in _bits(left):
            if self._goods >> n & 1 and not fits(self.rows[n].when, facts.skus, traits):
                continue
            found.append(n)
            if self.hit is Hit.FIRST:
                break
        return tuple(found)

    def never(self, most: int = MOST_LOOKS) -> list[tuple[int, list[int]]]:
        """Return rows that no order can reach, with earlier rows that take all of theirs.

        Only what is certain: conditions on products are compared as they are written, and a table in which so much
        overlaps that it would take minutes is looked at `most` times.
        """
        if self.hit is not Hit.FIRST:
            return []
        found = []
        looks = _Looks(most)
        goods = [_Products(row.when) for row in self.rows]
        for n, row in enumerate(self.rows):
            earlier = sum(1 << m for m in range(n) if goods[m].cover(goods[n]))
            taken = self._cover(row.when, earlier, looks)
            for m in _bits(taken):
                if self._cover(row.when, taken & ~(1 << m), looks):
                    taken &= ~(1 << m)  # the others take all of it without this one
            if taken:
                found.append((n, list(_bits(taken))))
        return found

    def _cover(self, when: When, earlier: int, looks: "_Looks") -> int:
        """Return the rows among earlier ones that take every order a condition lets pass; 0: they do not."""
        wanted: list[Sequence[Hashable]] = [
            when.channels, when.methods, when.states, when.customer_groups, when.weekdays, _hours(when),
        ]  # fmt: skip
        ranges = zip(
            self._ranges,
            ((when.min_value, when.max_value), (when.min_units, when.max_units), (when.min_grams, when.max_grams)),
            strict=True,
        )
        atoms = [choice.of(values) for choice, values in zip([*self._choices, *self._times], wanted, strict=True)]
        atoms += [limits.of(least, most) for limits, (least, most) in ranges]
        steps = 0
        known: dict[tuple[int, int], int] = {}

        def taken(depth: int, left: int) -> int:
            nonlocal steps
            if not left or depth == len(atoms):
                return left & -left
            if (depth, left) in known:
                return known[depth, left]
            steps += 1
            if steps > MOST_STEPS:
                return 0
            whole = 0
            for passes in atoms[depth]:
                looks.left -= 1
                if looks.left < 0:
                    return 0
                part = taken(depth + 1, left & passes)
                if not part:
                    whole = 0
                    break
                whole |= part
            known[depth, left] = whole
            return whole

        return taken(0, earlier)


class _Looks:
    """How many looks at sets of rows are left."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


class _Choice:
    """The rows that each value of one condition lets pass; a row that states none lets all pass.

    `every` are all values there are, where they are known.
    """

    __slots__ = ("_by_value", "_every", "_other")

    def __init__(self, wanted: Sequence[Sequence[Hashable]], every: Sequence[Hashable] = ()) -> None:
        self._every = every
        self._other = sum(1 << n for n, values in enumerate(wanted) if not values)
        self._by_value: dict[Hashable, int] = {}
        for n, values in enumerate(wanted):
            for value in values:
                self._by_value[value] = self._by_value.get(value, self._other) | 1 << n

    def passes(self, value: Hashable) -> int:
        return self._by_value.get(value, self._other)

    def of(self, values: Sequence[Hashable]) -> set[int]:
        """Return the different sets that orders with one of some values (none: any) find."""
        if values:
            return {self.passes(value) for value in values}
        return {self.passes(value) for value in self._every} or {*self._by_value.values(), self._other}


class _Range:
    """The rows whose least and most let a number pass, by the stretches between their ends."""

    __slots__ = ("_ends", "_passes", "_unknown")

    def __init__(self, wanted: Sequence[tuple[int | None, int | None]]) -> None:
        self._unknown = sum(1 << n for n, limits in enumerate(wanted) if limits == (None, None))
        # Walking up the numbers, each row begins at its least and ends after its most.
        begins: dict[int, int] = {}
        ends: dict[int, int] = {}
        passes = 0
        for n, (least, most) in enumerate(wanted):
            if least is not None and most is not None and least > most:
                continue  # nothing lies between them
            if least is None:
                passes |= 1 << n
            else:
                begins[least] = begins.get(least, 0) | 1 << n
            if most is not None:
                ends[most + 1] = ends.get(most + 1, 0) | 1 << n
        self._ends = sorted(begins.keys() | ends.keys())
        self._passes = [passes]
        for end in self._ends:
            passes = passes & ~ends.get(end, 0) | begins.get(end, 0)
            self._passes.append(passes)

    def passes(self, number: int | None) -> int:
        return self._unknown if number is None else self._passes[bisect_right(self._ends, number)]

    def of(self, least: int | None, most: int | None) -> set[int]:
        """Return the different sets that numbers between two find; without either, an unknown number as well."""
        first = 0 if least is None else bisect_right(self._ends, least)
        last = len(self._ends) if most is None else bisect_right(self._ends, most)
        found = set(self._passes[first : last + 1])
        return found | {self._unknown} if least is None and most is None else found


def _hours(when: When) -> list[int]:
    first, end = when.from_hour, when.to_hour
    if first is None and end is None:
        return []
    begin, until = first or 0, 24 if end is None else end
    return [hour for hour in range(24) if is_hour(hour, begin, until)]


def is_hour(hour: int, begin: int, until: int) -> bool:
    """Tell whether an hour lies from one on and before another, over midnight where the second is the smaller."""
    return begin <= hour < until if begin < until else hour >= begin or hour < until


class _Products:
    """What a condition asks of products, as sets."""

    __slots__ = ("asks", "parts", "whole")

    def __init__(self, when: When) -> None:
        self.asks = when.asks_goods
        self.whole = when.goods == "all"
        self.parts: dict[str, frozenset[str]] = {
            name: frozenset(values)
            for name, values in (("brands/", when.brands), ("categories/", when.categories))
            if values
        } | {f"is/{name}": frozenset(values) for name, values in when.attributes.items()}

    def cover(self, other: "_Products") -> bool:
        """Tell whether products that meet the other condition surely meet this one."""
        if not self.asks:
            return True
        if not other.asks or (self.whole and not other.whole):
            return False
        return all(
            not wide or ((narrow := other.parts.get(name)) is not None and bool(narrow) and narrow <= wide)
            for name, wide in self.parts.items()
        )


def _bits(rows: int) -> Iterator[int]:
    while rows:
        low = rows & -rows
        yield low.bit_length() - 1
        rows ^= low


ENDING = ("unfilled", "vendors", "cancel_after_days")  # one thing: how an order ends that its rule cannot fill


def together(rows: Sequence[Row], counted: Sequence[int]) -> Then:
    """Return what rows say together: of each thing, what the earliest says that says anything.

    What becomes of an order that cannot be filled is one thing: who is asked to send it, and when it is cancelled, are
    of the row that says that it waits.
    """
    if len(counted) == 1:
        return rows[counted[0]].then
    stated: dict[str, Any] = {}
    nothing = Then()
    for n in counted:
        if "unfilled" not in stated and rows[n].then.unfilled is not None:
            stated |= {name: getattr(rows[n].then, name) for name in ENDING}
        for name in Then.__struct_fields__:
            if name in ENDING:
                continue
            said = getattr(rows[n].then, name)
            if name not in stated and said != getattr(nothing, name):
                stated[name] = said
    return Then(**stated)
