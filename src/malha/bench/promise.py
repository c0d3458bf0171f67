"""Promised dates against those that were given: the engine over the orders of Olist, day after day.

Every order is promised from what was known when its day began: outcomes count from the day after they happened, models
are fitted on earlier outcomes, corrections come from promises that were due. The share of promises to keep is fixed by
rule before the test: as many as Olist kept, as known when a day begins (`parity`: its promises that are due, halved in
weight every 60 days), or a number (`level`). Olist's own estimate is what is compared with; it is never an input of a
date.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from malha.bench import promise_live
from malha.bench.promise_live import Live, Roads
from malha.promising.learning import expecting, features, levels, tracking
from malha.promising.learning.past import PARENTS, Floats, Ints, Past

DAWN = np.datetime64("2016-01-01T00:00:00", "s")
TEST_SHARE = 0.25  # of the delivered orders, the last by time, when no other test is given
LEARNING_SHARE = 0.3  # of training, before which nothing is promised
PARITY_HALF = 60.0  # days
PARITY_DAYS = 300
PARITY_BOUNDS = (0.80, 0.985)
FIXED = (0.85, 0.9, 0.95)  # levels that are tried beside it, each fixed
LEVEL_HALF = 3.0  # days
LONGEST = 365
TABLES = {
    "orders": ("olist_orders_dataset", "orders"),
    "items": ("olist_order_items_dataset", "order_items"),
    "payments": ("olist_order_payments_dataset", "order_payments_full", "order_payments"),
    "customers": ("olist_customers_dataset", "customers"),
    "sellers": ("olist_sellers_dataset", "sellers"),
    "products": ("olist_products_dataset", "products"),
    "places": ("olist_geolocation_dataset", "geolocation_by_prefix"),
}
OPTIONAL = frozenset({"places", "payments"})
GONE = frozenset({"canceled", "unavailable"})
Say = Callable[[str], None]


class DataMissing(Exception):
    """A folder does not hold what is needed; the message says what."""


class Month(msgspec.Struct, frozen=True):
    """One month of the test: how often promises were kept, and how often they were said to be."""

    month: str
    orders: int
    on_time: float
    said: float
    olist_on_time: float
    days: float
    olist_days: float


class Fixed(msgspec.Struct, frozen=True):
    """The test at a level that is one number."""

    level: float
    on_time: float
    days_shorter: float


class Before(msgspec.Struct, frozen=True):
    """Months before the test, promised day by day as the test was: what the test is one more draw of."""

    coverage_error: float
    months: list[Month]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. Shares are of one, except `coverage_error`, which is in points.

    `live` and `live_before` are of the table that runs live, over the test and the months before it.
    """

    orders: int  # of the test
    trained_on: int  # delivered orders before it
    test_from: str
    mae_days: float  # of the median, days and hours
    promise_days: float  # from the day of purchase
    olist_days: float
    days_shorter: float
    on_time: float
    olist_on_time: float
    coverage_error: float  # mean over months of |kept - said|, weighted by orders
    coverage_error_worst: float  # of the months with 200 orders
    level: str  # the rule or number that the figures above are for
    level_at_start: float  # what the rule said when the test began
    fixed: list[Fixed]  # the same test with levels that are one number for ever
    months: list[Month]
    before: Before
    live: Live | None  # None: it knew too little to promise any
    live_before: Live | None
    seconds: float


class _Orders(msgspec.Struct):
    """Orders as they are compared."""

    past: Past
    estimate: Floats  # days after the day of purchase by whose end Olist promised
    test: NDArray[np.bool_]  # comes from the test's folder
    delivered: NDArray[np.bool_]
    roads: Roads


def run(train: Path, test: Path | None, level: float | None, say: Say) -> Report:
    """Promise every order of a test period; see the module's docstring. `level` is None for parity.

    Raises:
        DataMissing: a folder does not hold the tables, or too few orders.
    """
    began = datetime.now().astimezone()
    say("Reading the orders")
    orders = _read(train, test)
    past = orders.past
    training, rows = _split(orders, whole=test is None)
    say("Working out what was known at each purchase")
    names, table = features.build(past)
    bought = past.bought[training]
    until = float(past.bought[rows].max())
    say("Fitting, every two weeks")
    expected = expecting.rolling(past, names, table, bought[int(LEARNING_SHARE * len(training)) // 2], until)
    say("Following the level, in-flight orders included")
    usual = expected * tracking.level(past, expected, LEVEL_HALF) ** tracking.STAYS
    # Promises begin long before the test, so that there are some that are due when it begins.
    begun = bought[int(LEARNING_SHARE * len(training))]
    promised = np.flatnonzero((past.bought >= begun) & (past.bought <= until) & np.isfinite(usual))
    found, medians = levels.chances(past, usual, promised)
    can = np.isfinite(medians)
    found, medians = levels.Chances(promised[can], found.kept[can]), medians[can]
    tested = np.isin(found.rows, rows)
    if tested.sum() != len(rows):
        raise DataMissing("Some orders of the test could not be promised: it begins before anything is learned.")
    zones = (past.facts["same_state"][found.rows] == 0).astype(np.int64)
    say("Promising")
    parity = _parity(orders)
    given = levels.give(past, found, zones, parity if level is None else lambda _day: level)
    at = found.rows[tested]
    arrived: Floats = np.floor(past.delivered) - past.day
    olist = arrived <= orders.estimate
    kept = arrived[at] <= given.days[tested]
    months = _months(past, orders, at, kept, given, tested, olist)
    start = int(past.day[rows].min())
    earlier = orders.delivered[found.rows] & (past.day[found.rows] < start)
    was = found.rows[earlier]
    before = [
        month
        for month in _months(past, orders, was, arrived[was] <= given.days[earlier], given, earlier, olist)
        if month.orders >= promise_live.LEAST
    ]
    say("Promising by what runs live, week after week")
    first = int(past.day[found.rows].min())
    return Report(
        orders=len(at),
        trained_on=len(training),
        test_from=str(_date(start)),
        mae_days=_round(np.abs(past.taken[at] - medians[tested]).mean()),
        promise_days=_round(given.days[tested].mean()),
        olist_days=_round(orders.estimate[at].mean()),
        days_shorter=_round((orders.estimate[at] - given.days[tested]).mean()),
        on_time=_round(kept.mean()),
        olist_on_time=_round(olist[at].mean()),
        coverage_error=_error(months),
        coverage_error_worst=_round(max((_off(m) for m in months if m.orders >= 200), default=0.0)),
        level="parity" if level is None else str(level),
        level_at_start=_round(parity(start) if level is None else level),
        fixed=[_fixed(orders, found, zones, tested, at, arrived, one) for one in FIXED],
        months=months,
        before=Before(_error(before), before),
        live=promise_live.run(orders.roads, start, int(past.day[rows].max())),
        live_before=promise_live.run(orders.roads, first, start - 1),
        seconds=_round((datetime.now().astimezone() - began).total_seconds()),
    )


def _split(orders: _Orders, *, whole: bool) -> tuple[Ints, Ints]:
    """Return the delivered orders of training and of the test."""
    there = np.flatnonzero(orders.delivered)
    if whole:
        cut = int((1 - TEST_SHARE) * len(there))
        training, rows = there[:cut], there[cut:]
    else:
        rows = there[orders.test[there]]
        training = there[~orders.test[there]]
        if len(rows):
            training = training[orders.past.bought[training] < orders.past.bought[rows[0]]]
    if len(training) < 2_000 or len(rows) < 100:
        raise DataMissing(
            f"{len(training)} delivered orders to learn from and {len(rows)} to test are too few: "
            "2,000 and 100 are needed."
        )
    return training, rows


def _parity(orders: _Orders) -> Callable[[int], float]:
    """Return what share of its promises Olist kept, as known when a day begins: of those that are due by then."""
    end = orders.past.day + orders.estimate + 1
    late = orders.past.delivered > end
    low, high = PARITY_BOUNDS

    def rate(day: int) -> float:
        due = np.flatnonzero((end < day) & (orders.past.bought > day - PARITY_DAYS) & orders.delivered)
        if not len(due):
            return FIXED[1]
        weights = 0.5 ** ((day - end[due]) / PARITY_HALF)
        return float(np.clip(1 - (weights * late[due]).sum() / weights.sum(), low, high))

    return rate


def _fixed(
    orders: _Orders,
    found: levels.Chances,
    zones: Ints,
    tested: NDArray[np.bool_],
    at: Ints,
    arrived: Floats,
    level: float,
) -> Fixed:
    days = levels.give(orders.past, found, zones, lambda _day: level).days[tested]
    return Fixed(level, _round((arrived[at] <= days).mean()), _round((orders.estimate[at] - days).mean()))


def _months(
    past: Past,
    orders: _Orders,
    at: Ints,
    kept: NDArray[np.bool_],
    given: levels.Given,
    tested: NDArray[np.bool_],
    olist: NDArray[np.bool_],
) -> list[Month]:
    labels = np.array([f"{_date(t):%Y-%m}" for t in past.bought[at]])
    days, said = given.days[tested], given.said[tested]
    return [
        Month(
            str(label),
            int(of.sum()),
            _round(kept[of].mean()),
            _round(said[of].mean()),
            _round(olist[at][of].mean()),
            _round(days[of].mean()),
            _round(orders.estimate[at][of].mean()),
        )
        for label in np.unique(labels)
        for of in [labels == label]
    ]


def _off(month: Month) -> float:
    return abs(month.on_time - month.said) * 100


def _error(months: Sequence[Month]) -> float:
    """Return the mean over months of |kept - said|, weighted by orders, in points."""
    return _round(sum(_off(m) * m.orders for m in months) / max(1, sum(m.orders for m in months)))


def _round(value: Any) -> float:
    return round(float(value), 4)


def _date(days: float) -> date:
    return date(2016, 1, 1) + timedelta(days=int(days))


# --- reading ---


def _read(train: Path, test: Path | None) -> _Orders:
    folders = [train] if test is None else [train, test]
    tables = {name: _table(folders, name) for name in TABLES}
    from_test = set() if test is None else {row["order_id"] for row in _rows(test, "orders", needed=True)}
    from_train = {row["order_id"] for row in _rows(train, "orders", needed=True)}
    people = {row["customer_id"]: row for row in tables["customers"]}
    sellers = {row["seller_id"]: row for row in tables["sellers"]}
    products = {row["product_id"]: row for row in tables["products"]}
    items = _grouped(tables["items"])
    payments = _grouped(tables["payments"])
    chosen = [
        row
        for row in tables["orders"]
        if row["order_id"] in items and row["customer_id"] in people and str(row["order_status"]) not in GONE
    ]
    chosen.sort(key=lambda row: (row["order_purchase_timestamp"], row["order_id"]))
    if not chosen:
        raise DataMissing("There are no orders with items and customers. Mend: take the files of the dataset anew.")
    bought = _days(row["order_purchase_timestamp"] for row in chosen)
    arrived = _days(row["order_delivered_customer_date"] for row in chosen)
    there = np.array([str(row["order_status"]) == "delivered" for row in chosen]) & np.isfinite(arrived)
    described = [
        _described(row, items[row["order_id"]], payments.get(row["order_id"], ()), people, sellers, products)
        for row in chosen
    ]
    where = _places(tables["places"])
    past = Past(
        bought,
        _days(row["order_delivered_carrier_date"] for row in chosen),
        np.where(there, arrived, np.inf),
        {group: _codes(_key(group, d) for d in described) for group in PARENTS},
        _facts(bought, described, where),
    )
    estimate = np.floor(_days(row["order_estimated_delivery_date"] for row in chosen)) - np.floor(bought)
    tested = np.array([row["order_id"] in from_test and row["order_id"] not in from_train for row in chosen])
    firsts = [min(items[row["order_id"]], key=lambda item: item["order_item_id"]) for row in chosen]
    due = np.floor(_days(item.get("shipping_limit_date") for item in firsts))
    due = np.where(np.isfinite(due), due, past.day)  # nobody said by when: then leaving is part of what a lane takes
    roads = Roads(
        bought=past.day, due=due.astype(np.int64), left=past.handed, delivered=past.delivered,
        sellers=past.keys["seller"], states=[(d.from_state, d.to_state) for d in described], estimate=estimate,
    )  # fmt: skip
    return _Orders(past, estimate, tested, there, roads)


def _table(folders: Sequence[Path], name: str) -> list[Mapping[str, Any]]:
    """Return a table of all folders, each row once; orders as the last folder knows them."""
    rows: list[Mapping[str, Any]] = []
    seen: set[tuple[Any, ...]] = set()
    for folder in reversed(folders):
        needed = name not in OPTIONAL and (folder == folders[0] or name == "orders")
        for row in _rows(folder, name, needed=needed):
            key = (row["order_id"],) if name == "orders" else tuple(row.values())
            if len(folders) == 1 or key not in seen:
                seen.add(key)
                rows.append(row)
    return rows


def _rows(folder: Path, name: str, *, needed: bool) -> list[Mapping[str, Any]]:
    import pyarrow.csv as pa_csv  # noqa: PLC0415 - a hundred megabytes
    import pyarrow.parquet as pa_parquet  # noqa: PLC0415

    for stem in TABLES[name]:
        if (folder / f"{stem}.parquet").is_file():
            return cast("list[Mapping[str, Any]]", pa_parquet.read_table(folder / f"{stem}.parquet").to_pylist())
        if (folder / f"{stem}.csv").is_file():
            prefixes = (
                "customer_zip_code_prefix",
                "seller_zip_code_prefix",
                "geolocation_zip_code_prefix",
                "cep_prefix",
            )
            options = pa_csv.ConvertOptions(column_types=dict.fromkeys(prefixes, "string"), strings_can_be_null=True)
            return cast(
                "list[Mapping[str, Any]]", pa_csv.read_csv(folder / f"{stem}.csv", convert_options=options).to_pylist()
            )
    if needed:
        wanted = ", ".join(f"{stem}.parquet or {stem}.csv" for stem in TABLES[name])
        raise DataMissing(f"{folder} has no table of {name}: expected {wanted}. Mend: name the folder of the dataset.")
    return []


def _grouped(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["order_id"], []).append(row)
    return groups


def _days(times: Iterable[datetime | None]) -> Floats:
    """Return local times as days; infinity where there is none."""
    stamps = np.array(["NaT" if t is None else t.isoformat() for t in times], "datetime64[s]")
    days = (stamps - DAWN) / np.timedelta64(1, "D")
    return np.where(np.isnat(stamps), np.inf, days)


class _Described(msgspec.Struct, frozen=True):
    """What an order says of itself when it is bought."""

    seller: str
    from_state: str
    from_prefix: str
    to_state: str
    to_prefix: str
    product: str
    category: str
    units: int
    price: float
    freight: float
    grams: float
    volume: float
    sellers: int
    instalments: float
    boleto: bool


def _described(
    row: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
    payments: Sequence[Mapping[str, Any]],
    people: Mapping[str, Mapping[str, Any]],
    sellers: Mapping[str, Mapping[str, Any]],
    products: Mapping[str, Mapping[str, Any]],
) -> _Described:
    person = people[row["customer_id"]]
    first = min(items, key=lambda item: item["order_item_id"])
    seller = sellers.get(first["seller_id"], {})
    goods = [products.get(item["product_id"], {}) for item in items]
    sizes = [[one.get(f"product_{side}_cm") for side in ("length", "height", "width")] for one in goods]
    return _Described(
        seller=first["seller_id"],
        from_state=str(seller.get("seller_state", "?")),
        from_prefix=str(seller.get("seller_zip_code_prefix", "")).zfill(5),
        to_state=str(person["customer_state"]),
        to_prefix=str(person["customer_zip_code_prefix"]).zfill(5),
        product=first["product_id"],
        category=str(products.get(first["product_id"], {}).get("product_category_name") or "?"),
        units=len(items),
        price=sum(float(item["price"]) for item in items),
        freight=sum(float(item["freight_value"]) for item in items),
        grams=sum(float(one.get("product_weight_g") or 0) for one in goods),
        volume=sum(float(np.prod([side or 0 for side in sides])) for sides in sizes),
        sellers=len({item["seller_id"] for item in items}),
        instalments=max((float(p["payment_installments"] or 0) for p in payments), default=np.nan),
        boleto=any(str(p["payment_type"]) == "boleto" for p in payments),
    )


def _key(group: str, of: _Described) -> str:
    made = {
        "all": "",
        "lane": f"{of.from_state}>{of.to_state}",
        "to_area": of.to_prefix[:3],
        "lane_area": f"{of.from_state}>{of.to_state}{of.to_prefix[:2]}",
        "to_place": of.to_prefix,
        "from_area": of.from_prefix[:3],
    }
    return made[group] if group in made else str(getattr(of, group))


def _codes(values: Iterable[str]) -> Ints:
    codes: dict[str, int] = {}
    return np.array([codes.setdefault(value, len(codes)) for value in values], np.int64)


def _places(rows: Iterable[Mapping[str, Any]]) -> dict[str, tuple[float, float]]:
    """Return where a prefix of postal codes is; of the published table, which has many points of each, the middle."""
    points: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        prefix = row.get("cep_prefix", row.get("geolocation_zip_code_prefix"))
        point = row.get("lat", row.get("geolocation_lat")), row.get("lng", row.get("geolocation_lng"))
        points.setdefault(str(prefix).zfill(5), []).append((float(point[0] or 0), float(point[1] or 0)))
    return {
        prefix: (float(np.median([p[0] for p in of])), float(np.median([p[1] for p in of])))
        for prefix, of in points.items()
    }


def _facts(
    bought: Floats, described: Sequence[_Described], places: Mapping[str, tuple[float, float]]
) -> dict[str, Floats]:
    import holidays  # noqa: PLC0415

    day = np.floor(bought).astype(np.int64)
    dates = [_date(d) for d in bought]
    last = int(day.max()) + LONGEST
    free = holidays.country_holidays("BR", years=range(2016, _date(last).year + 1))
    working = np.cumsum([_date(n).weekday() < 5 and _date(n) not in free for n in range(last + 1)])
    nowhere = (np.nan, np.nan)
    start = np.array([places.get(d.from_prefix, nowhere) for d in described])
    goal = np.array([places.get(d.to_prefix, nowhere) for d in described])
    grams = np.array([d.grams for d in described])
    freight = np.array([d.freight for d in described])

    def column(name: str) -> Floats:
        return np.array([getattr(d, name) for d in described], np.float64)

    return {
        "weekday": np.array([d.weekday() for d in dates], np.float64),
        "hour": (bought - day) * 24,
        "day_of_year": np.array([d.timetuple().tm_yday for d in dates], np.float64),
        "working_days_7": (working[day + 7] - working[day]).astype(np.float64),
        "working_days_15": (working[day + 15] - working[day]).astype(np.float64),
        "units": column("units"),
        "price": column("price"),
        "freight": freight,
        "grams": grams,
        "volume": column("volume"),
        "sellers": column("sellers"),
        "instalments": column("instalments"),
        "boleto": column("boleto"),
        "kilometres": _kilometres(start, goal),
        "from_lat": start[:, 0],
        "from_lng": start[:, 1],
        "to_lat": goal[:, 0],
        "to_lng": goal[:, 1],
        "same_state": np.array([d.from_state == d.to_state for d in described], np.float64),
        "freight_by_weight": freight / np.maximum(0.3, grams / 1000),
        "to_state": _codes(d.to_state for d in described).astype(np.float64),
    }


def _kilometres(start: Floats, goal: Floats) -> Floats:
    a, b = np.radians(start), np.radians(goal)
    half = (
        np.sin((b[:, 0] - a[:, 0]) / 2) ** 2 + np.cos(a[:, 0]) * np.cos(b[:, 0]) * np.sin((b[:, 1] - a[:, 1]) / 2) ** 2
    )
    found: Floats = 2 * 6371 * np.arcsin(np.sqrt(half))
    return found
