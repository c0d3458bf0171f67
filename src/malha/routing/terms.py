"""What parcels cost beyond their rates, and what locations may not serve, as a retailer set it. Pure.

A retailer that sets nothing has `NO_TERMS`, and planning looks no further. What does not depend on the order is part of
its lane (`lanes`): the split penalty, sites, cartons by weight, risks by location. What does is worked out for each
order (`OrderTerms`), as far as it can matter, and stored with its decision:

* tax, by line and the state a parcel leaves from,
* the price of a busy location's capacity, by parcel,
* the credit for aged stock, by unit; a parcel's credits are at most what the parcel costs otherwise (less what it may
  save of its handling by `same_site`),
* locations that do not serve a line's product, or are too far from the destination.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from malha.network.tariff import ANY

MAX_KEPT = 4096  # destinations, or products, that a lane remembers

Run = int | tuple[int, int]  # a number, or the first and last of numbers in a row


class Goods(msgspec.Struct, frozen=True):
    """What terms look at of a line: centavos of one unit, after discounts, and what its product is.

    `traits` are `brand:...`, `category:...` (and each above it), `ncm:...`, `attribute:name=value`, in folded text.
    """

    value: int = 0
    ncm: str = ""
    traits: tuple[str, ...] = ()


class TaxRate(msgspec.Struct, frozen=True, array_like=True):
    """What selling a unit between two states costs in tax: a share of its value in basis points, and centavos."""

    basis_points: int
    centavos: int = 0


class Taxes:
    """Tax costs by states and product class. The most specific row counts: states first, then the longest NCM."""

    __slots__ = ("_kept", "_rows")

    def __init__(self, rows: Mapping[tuple[str, str, str], TaxRate]) -> None:
        """Take rows by (from state, to state, beginning of the NCM); `*` is any state, an empty NCM any product."""
        self._rows = rows
        self._kept: dict[tuple[str, str, str], TaxRate | None] = {}

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._rows)

    def rate(self, origin: str, target: str, ncm: str) -> TaxRate | None:
        """Return the row that counts; None: there is no tax cost."""
        key = origin, target, ncm
        if key not in self._kept:
            if len(self._kept) > MAX_KEPT * 16:
                self._kept.clear()
            self._kept[key] = self._find(origin, target, ncm)
        return self._kept[key]

    def _find(self, origin: str, target: str, ncm: str) -> TaxRate | None:
        for states in ((origin, target), (origin, ANY), (ANY, target), (ANY, ANY)):
            for length in range(len(ncm), -1, -1):
                found = self._rows.get((*states, ncm[:length]))
                if found is not None:
                    return found
        return None


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """All that a retailer set, by ids. Costs are centavos."""

    split: int = 0  # a parcel beyond an order's first
    same_site: int = 0  # what a further location of a site that sends a parcel already saves
    splits: Mapping[int, int] = {}  # the same by channel, where it has its own
    cartons: tuple[tuple[int, int], ...] = ()  # (up to grams, centavos a package), rising; the last one goes on
    risks: Mapping[int, tuple[int, int]] = {}  # by location: of rejection and of lateness, a parcel
    learned: int | None = None  # version of the risks
    taxes: Taxes = Taxes({})
    busy: tuple[tuple[int, int], ...] = ()  # (percent of today's capacity, centavos a parcel from there on), rising
    credits: Mapping[int, Mapping[int, int]] = {}  # by SKU and location: centavos a unit
    unserved: Mapping[str, frozenset[int]] = {}  # by trait: locations that do not serve it
    reach: Mapping[int, int] = {}  # kilometres by location
    reaches: Mapping[int, int] = {}  # the same by channel
    homes: Mapping[int, int] = {}  # first location of the site, by location, where `same_site` asks
    spots: Mapping[int, tuple[float, float]] = {}  # coordinates of locations that have any

    def split_of(self, channel_id: int) -> int:
        """Return the centavos of a parcel beyond the first."""
        return self.splits.get(channel_id, self.split)

    @property
    def asks_goods(self) -> bool:
        """Tell whether lines must say what they are."""
        return bool(self.taxes) or bool(self.unserved)

    @property
    def asks_cep(self) -> bool:
        """Tell whether requests must say where exactly they go."""
        return bool(self.reach) or bool(self.reaches)


NO_TERMS = Terms()


class Amounts(msgspec.Struct, frozen=True, array_like=True):
    """What the terms make of one parcel, in centavos. `credit` is what aged stock takes off."""

    carton: int = 0
    rejection: int = 0
    lateness: int = 0
    tax: int = 0
    busy: int = 0
    credit: int = 0

    @property
    def total(self) -> int:
        """Return what they add to the parcel's cost."""
        return self.carton + self.rejection + self.lateness + self.tax + self.busy - self.credit


NOTHING = Amounts()


class OrderTerms(msgspec.Struct, frozen=True, omit_defaults=True):
    """What terms say of one order, as its decision keeps it. Lists follow positions."""

    taxes: Sequence[tuple[int, Sequence[int]]] = ()  # (line, centavos a unit by zone)
    busy: Sequence[tuple[int, int]] = ()  # (position, centavos a parcel)
    credits: Sequence[tuple[int, Sequence[tuple[int, int]]]] = ()  # (SKU, [(position, centavos a unit)])
    unserved: Sequence[tuple[int, tuple[Run, ...]]] = ()  # (line, positions that do not serve its product)
    far: tuple[Run, ...] = ()  # positions that are too far away

    @property
    def charges(self) -> bool:
        """Tell whether anything costs."""
        return bool(self.taxes or self.busy or self.credits)


def runs(ids: Iterable[int]) -> list[Run]:
    """Write numbers with consecutive ones as (first, last)."""
    found: list[tuple[int, int]] = []
    for id_ in ids:
        if found and found[-1][1] == id_ - 1:
            found[-1] = found[-1][0], id_
        else:
            found.append((id_, id_))
    return [first if first == last else (first, last) for first, last in found]


def unfold(runs_: Iterable[Any]) -> list[int]:
    """Read what `runs` wrote."""
    ids: list[int] = []
    for run in runs_:
        if isinstance(run, int):
            ids.append(run)
        else:
            ids.extend(range(run[0], run[1] + 1))
    return ids
