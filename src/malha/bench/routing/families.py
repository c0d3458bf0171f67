"""Families of instances, made from seeds: networks, stock and orders that a router sees one after the other.

`js-small` and `js-big` are those of Jasin and Sinha (2015) with the parameters of Ma (2023): order types and their
rates are known, parcels cost something fixed and something for each item by distance, and what is not shipped comes
from one more location that never runs out, at twice the worst cost. The `oms-*` families have baskets at random, none
like another; a router knows orders of the past only. Costs are integers, millionths of the money they are stated in, so
that the product's own planner counts them exactly; weights are whole multiples of ten grams.

Places are the metropolitan areas of the United States and fulfilment centres of the published benchmark, read from
`cities*.csv` (name, state, latitude, longitude, inhabitants) and `fulfillment_centers*.csv` (code, state, latitude,
longitude) in a directory; they come without a licence and so not with Malha.
"""

import csv
from pathlib import Path

import msgspec
import numpy as np

from malha.routing.pricing.baskets import Floats, Ints

MONEY = 1_000_000  # millionths of the families' money
WEIGHT_STEP = 10  # grams
EARTH_KM = 6371.0
KM_PER_MILE = 1.61

Order = tuple[int, tuple[int, ...]]  # destination, SKUs, one unit of each


class PlacesMissing(Exception):
    """The lists of places are not there; says which."""


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """One network with its stock and the orders to come. Costs are millionths; locations are rows of every array."""

    seed: tuple[int, int]
    distance: Floats  # (locations, destinations)
    package: Ints  # (locations, destinations): a parcel
    line: Ints  # (locations, destinations): a line in it
    per_step: Ints  # (locations, destinations): ten grams in it
    steps: Ints  # (SKUs,): ten grams each
    lost_order: Ints  # (destinations,): when anything of an order is not shipped
    lost_line: Ints  # (destinations,): for each line that is not
    stock: Ints  # (locations, SKUs)
    orders: list[Order | None]  # None: nobody came
    past: list[Order]  # baskets a router may know
    weights: Floats  # (past,): how many of each are expected for every arrival
    outside: bool  # whether what nobody ships comes from elsewhere, without end, as one more location
    sampled: bool  # whether `past` happened (else: rates are known)


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """How its instances are made."""

    name: str
    says: str
    jasin_sinha: bool
    centres: int = 10
    stores: int = 0
    skus: int
    arrivals: int
    history: int = 3000
    sizes: int = 5
    types: int = 5  # of each size
    carried: float = 0.6  # chance that a centre keeps a SKU
    in_stores: float = 0.0
    cover: float = 1.0
    misplaced: float = 0.0


FAMILIES = {
    family.name: family
    for family in (
        Family(
            name="js-small", says="5 centres, 10 cities, 20 SKUs, 25 order types", jasin_sinha=True,
            centres=5, skus=20, arrivals=10_000, carried=0.75,
        ),
        Family(
            name="js-big", says="10 centres, 99 cities, 100 SKUs, 100 order types", jasin_sinha=True,
            skus=100, arrivals=100_000, sizes=10, types=10, carried=0.5,
        ),
        Family(name="oms-fast", says="10 centres, 40 SKUs, stock 1.1 of demand", jasin_sinha=False,
               skus=40, arrivals=3000, cover=1.1),
        Family(name="oms-misplaced", says="as oms-fast with stock where it is not wanted", jasin_sinha=False,
               skus=60, arrivals=3000, cover=1.3, misplaced=0.7),
        Family(name="oms-stores", says="10 centres and 90 stores, 60 SKUs", jasin_sinha=False,
               stores=90, skus=60, arrivals=2000, cover=1.2, in_stores=0.3),
        Family(name="oms-slow", says="10 centres, 200 SKUs with about two units each", jasin_sinha=False,
               skus=200, arrivals=1500, cover=1.3),
    )
}  # fmt: skip


class Places(msgspec.Struct, frozen=True):
    """Cities with their inhabitants, and fulfilment centres, by latitude and longitude."""

    cities: Floats  # (cities, 2)
    inhabitants: Floats
    centres: Floats  # (centres, 2)


def read_places(directory: Path, *, small: bool) -> Places:
    """Read the lists of places.

    Raises:
        PlacesMissing: they are not in the directory, or do not read.
    """
    suffix = "_warmup" if small else ""
    try:
        cities = _rows(directory / f"cities{suffix}.csv")
        centres = _rows(directory / f"fulfillment_centers{suffix}.csv")
        return Places(
            np.array([[float(row[2]), float(row[3])] for row in cities]),
            np.array([float(row[4]) for row in cities]),
            np.array([[float(row[2]), float(row[3])] for row in centres]),
        )
    except (OSError, ValueError, IndexError) as error:
        raise PlacesMissing(
            f"The lists of places do not read: {error}. Give --data a directory with cities.csv and cities_warmup.csv "
            "(name, state, latitude, longitude, inhabitants), fulfillment_centers.csv and "
            "fulfillment_centers_warmup.csv (code, state, latitude, longitude)."
        ) from error


def _rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def _kilometres(a: Floats, b: Floats) -> Floats:
    latitude, longitude = np.radians(a[:, 0])[:, None], np.radians(a[:, 1])[:, None]
    to_latitude, to_longitude = np.radians(b[:, 0])[None], np.radians(b[:, 1])[None]
    h: Floats = (
        np.sin((latitude - to_latitude) / 2) ** 2
        + np.cos(latitude) * np.cos(to_latitude) * np.sin((longitude - to_longitude) / 2) ** 2
    )
    km: Floats = 2 * EARTH_KM * np.arcsin(np.sqrt(h))
    return km


def _money(amounts: Floats) -> Ints:
    return np.rint(amounts * MONEY).astype(np.int64)


def make(family: Family, places: Places, seed: int, number: int) -> Instance:
    """Return instance `number` of a family: the same seed and number give the same one."""
    rng = np.random.default_rng([seed, number])
    if family.jasin_sinha:
        return _jasin_sinha(family, places, rng, (seed, number))
    return _oms(family, places, rng, (seed, number))


def _jasin_sinha(family: Family, places: Places, rng: np.random.Generator, seed: tuple[int, int]) -> Instance:
    miles = _kilometres(places.centres, places.cities) / KM_PER_MILE
    centres, cities = miles.shape
    unit = 0.423 + 0.000541 * miles
    types = [
        tuple(sorted(int(x) for x in rng.permutation(family.skus)[:size]))
        for size in range(1, family.sizes + 1)
        for _ in range(family.types)
    ]
    nobody = rng.random()
    by_size = rng.random(family.sizes)
    total = nobody + by_size.sum()
    rates = np.empty(len(types))
    for size in range(family.sizes):
        within = rng.random(family.types)
        rates[size * family.types : (size + 1) * family.types] = by_size[size] / total * within / within.sum()
    where = places.inhabitants / places.inhabitants.sum()
    rate = np.outer(rates, where)
    demand = np.zeros((centres, family.skus))
    kept = rng.random((family.skus, centres)) < family.carried
    for sku in range(family.skus):
        if not kept[sku].any():
            continue
        nearest = np.where(kept[sku][:, None], miles, np.inf).argmin(axis=0)
        wanted = sum((rate[q] for q, skus in enumerate(types) if sku in skus), np.zeros(cities))
        np.add.at(demand[:, sku], nearest, wanted)
    arrivals = family.arrivals
    stock = np.rint(arrivals * demand + 0.5 * np.sqrt(arrivals * demand * (1 - demand))).astype(np.int64)
    flat = np.append(rate.ravel(), nobody / total)
    drawn = rng.choice(len(flat), size=arrivals, p=flat / flat.sum())
    orders: list[Order | None] = [None if k == rate.size else (int(k) % cities, types[int(k) // cities]) for k in drawn]
    zeros = np.zeros((centres, cities), dtype=np.int64)
    return Instance(
        seed=seed,
        distance=miles,
        package=np.full((centres, cities), _money(np.array(8.759))),
        line=_money(unit),
        per_step=zeros,
        steps=np.zeros(family.skus, dtype=np.int64),
        lost_order=np.full(cities, _money(np.array(2 * 8.759))),
        lost_line=_money(2 * unit.max(axis=0)),
        stock=stock,
        orders=orders,
        past=[(j, skus) for skus in types for j in range(cities)],
        weights=rate.ravel(),
        outside=True,
        sampled=False,
    )


def _oms(family: Family, places: Places, rng: np.random.Generator, seed: tuple[int, int]) -> Instance:
    cities = len(places.cities)
    where = places.inhabitants / places.inhabitants.sum()
    spots = places.centres[: family.centres]
    if family.stores:
        at = rng.choice(cities, size=family.stores, p=where)
        spots = np.vstack([spots, places.cities[at] + rng.normal(0, 0.15, (family.stores, 2))])
    locations = len(spots)
    km = _kilometres(spots, places.cities)
    is_centre = np.arange(locations) < family.centres
    grams = np.clip(rng.lognormal(-0.3, 0.8, family.skus), 0.1, 8.0) * 1000
    popular = 1 / np.arange(1, family.skus + 1) ** 0.8
    popular /= popular.sum()

    def baskets(number: int) -> list[Order]:
        sizes = rng.choice([1, 2, 3, 4, 5], size=number, p=[0.45, 0.25, 0.15, 0.10, 0.05])
        to = rng.choice(cities, size=number, p=where)
        return [
            (int(j), tuple(sorted(int(x) for x in rng.choice(family.skus, size=n, replace=False, p=popular))))
            for j, n in zip(to, sizes, strict=True)
        ]

    past = baskets(family.history)
    orders = baskets(family.arrivals)
    kept = np.zeros((locations, family.skus), dtype=np.bool_)
    kept[is_centre] = rng.random((family.centres, family.skus)) < family.carried
    kept[~is_centre] = rng.random((family.stores, family.skus)) < family.in_stores
    kept[rng.integers(0, family.centres, family.skus), np.arange(family.skus)] = True
    demand = np.zeros((locations, family.skus))
    for sku in range(family.skus):
        keepers = np.flatnonzero(kept[:, sku])
        nearest = keepers[km[keepers].argmin(axis=0)]
        np.add.at(demand[:, sku], nearest, family.arrivals * 2.05 * popular[sku] * where)
    if family.misplaced:
        demand *= rng.lognormal(-(family.misplaced**2) / 2, family.misplaced, demand.shape)
    stock = np.floor(family.cover * demand + rng.random(demand.shape)).astype(np.int64) * kept
    by_kind = np.where(is_centre, 5.0, 6.0)[:, None], np.where(is_centre, 0.3, 0.8)[:, None]
    ones = np.ones((locations, cities))
    return Instance(
        seed=seed,
        distance=km,
        package=_money(by_kind[0] * ones),
        line=_money(by_kind[1] * ones),
        per_step=_money((0.35 + 0.00055 * km) * WEIGHT_STEP / 1000),
        steps=np.rint(grams / WEIGHT_STEP).astype(np.int64),
        lost_order=np.zeros(cities, dtype=np.int64),
        lost_line=np.full(cities, _money(np.array(30.0))),
        stock=stock,
        orders=list(orders),
        past=past,
        weights=np.full(len(past), 1 / len(past)),
        outside=False,
        sampled=True,
    )
