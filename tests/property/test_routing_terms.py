"""Plans under a retailer's terms, against every plan there is."""

import random
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from itertools import product

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from test_routing_plans import later_of

from malha.network.model import Rate
from malha.network.tariff import Tariff
from malha.platform.ids import UUID
from malha.routing.explaining import explain
from malha.routing.model import Door, Network, Place, Plan, Reason, Request, RequestLine, StockPrices
from malha.routing.records import costs_of, read_record, replay
from malha.routing.rules import plan, record_json
from malha.routing.terms import Goods, Taxes, TaxRate, Terms

ORDER = UUID(int=7)
STATES = ("SP", "PE", "RS")
SKUS = (11, 12, 13)
TAKEN = [4, 9, 0, 7]
SAO_PAULO = "01310-100"
TRAITS = ("brand:acme", "category:cold")
TERMS = (
    "freight", "handling", "picking", "worth", "carton", "rejection", "lateness", "tax", "busy", "credit", "split",
    "same_site",
)  # fmt: skip


def a_network(places: list[Place], rates: list[Rate], terms: Terms) -> Network:
    by_service: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for rate in rates:
        by_service[rate.service_id].append((rate.max_grams, rate.per_extra_kg))
    return Network(
        revision=1,
        places=sorted(places, key=lambda p: (p.priority, p.id)),
        channels={1: Door(id=1, location_ids=frozenset(), entity_id=None, entity_kind=None)},
        services=sorted(by_service),
        rates=dict(by_service),
        tariff=Tariff(rates),
        terms=terms,
    )


def a_place(
    id_: int, state: str, *, handling: int = 0, line: int = 0, capacity: int | None = None, site: int | None = None
) -> Place:
    return Place(
        id=id_, status="active", state=state, can_ship=True, can_pickup=True, handling=handling, line=line,
        daily_capacity=capacity, entity_id=1, entity_kind="own", priority=100, site_id=site,
    )  # fmt: skip


money = st.integers(0, 700)


@st.composite
def terms_(draw) -> Terms:
    """Some terms, each at times absent."""

    def at_times(strategy, nothing):
        return draw(st.one_of(st.just(nothing), strategy))

    rates = st.builds(TaxRate, st.integers(0, 2_500), st.integers(0, 90))
    keys = st.tuples(st.sampled_from((*STATES, "*")), st.sampled_from(("BA", "*")), st.sampled_from(("", "64", "6403")))
    ids = st.integers(1, 4)
    spots = {1: (-23.55, -46.63), 2: (-8.05, -34.9), 3: (-30.03, -51.22)}  # São Paulo, Recife, Porto Alegre
    cartons = at_times(st.dictionaries(st.sampled_from((300, 900, 2_000)), money, min_size=1), {})
    return Terms(
        split=draw(st.sampled_from((0, 0, 150, 900))),
        same_site=draw(st.sampled_from((0, 80, 300, 5_000))),
        splits=at_times(st.just({1: 400}), {}),
        cartons=tuple(sorted(cartons.items())),
        risks=at_times(st.dictionaries(ids, st.tuples(money, money)), {}),
        learned=5,
        taxes=Taxes(at_times(st.dictionaries(keys, rates, min_size=1, max_size=5), {})),
        busy=at_times(st.just(((0, 30), (50, 200), (90, 650))), ()),
        credits=at_times(st.dictionaries(st.sampled_from(SKUS), st.dictionaries(ids, st.integers(1, 1_500))), {}),
        unserved=at_times(st.dictionaries(st.sampled_from(TRAITS), st.frozensets(ids)), {}),
        reach=at_times(st.dictionaries(ids, st.sampled_from((10, 1_000))), {}),
        reaches=at_times(st.just({1: 2_000}), {}),
        spots=spots,
    )


@st.composite
def networks(draw) -> Network:
    places: list[Place] = []
    for n in range(draw(st.integers(1, 4))):
        place = a_place(
            n + 1,
            draw(st.sampled_from(STATES)),
            handling=draw(st.sampled_from((0, 100, 350))),
            line=draw(st.sampled_from((0, 50))),
            capacity=draw(st.sampled_from((None, 10, 8))),
        )
        first = draw(st.sampled_from((None, *(p for p in places if p.site_id is None))))
        if first is not None:  # another owner's goods there
            place = a_place(
                n + 1, first.state, handling=first.handling, line=first.line, capacity=first.daily_capacity,
                site=first.id,
            )  # fmt: skip
        places.append(place)
    rates = [
        Rate(
            service_id=1, from_state=state, to_state="*", max_grams=grams, price=draw(st.integers(0, 1_500)),
            per_extra_kg=draw(st.sampled_from((0, 200))) if grams == 4_000 else 0, lead_days=2,
        )
        for state in STATES
        for grams in (500, 1_500, 4_000)
    ]  # fmt: skip
    return a_network(places, rates, draw(terms_()))


@st.composite
def orders(draw, most: int = 3, *, alike: bool = True) -> Request:
    """Lines that may want the same SKU, some of them kits."""
    lines = []
    skus = draw(st.permutations(SKUS))
    for n in range(draw(st.integers(1, most))):
        sku = draw(st.sampled_from(SKUS)) if alike else skus[n]
        kit = alike and draw(st.integers(0, 5)) == 0
        lines.append(
            RequestLine(
                n + 1,
                99 if kit else sku,
                draw(st.integers(1, 3)),
                draw(st.sampled_from((0, 200, 700, 1_600))),
                ((sku, 2), (SKUS[0] if sku != SKUS[0] else SKUS[1], 1)) if kit else None,
            )
        )
    goods = {
        line.line: Goods(
            draw(st.integers(0, 20_000)),
            draw(st.sampled_from(("", "64039900", "61091000"))),
            tuple(draw(st.sets(st.sampled_from(TRAITS)))),
        )
        for line in lines
    }
    cep = draw(st.sampled_from((None, SAO_PAULO, "00000-001")))
    return Request(order_id=ORDER, channel_id=1, to_state="BA", lines=lines, goods=goods, to_cep=cep)


stocks = st.fixed_dictionaries({sku: st.lists(st.integers(0, 6), min_size=4, max_size=4) for sku in SKUS})
prices = st.fixed_dictionaries(
    {}, optional={sku: st.dictionaries(st.integers(1, 4), st.integers(1, 600), max_size=4) for sku in SKUS}
)


# --- the same, written down without any cleverness ---


def needs_of(line: RequestLine) -> list[tuple[int, int]]:
    return [(line.sku_id, 1)] if line.components is None else list(line.components)


def offer(network: Network, state: str, grams: int) -> int | None:
    quote = network.tariff.quote(1, state, "BA", grams)
    return None if quote is None else quote.price


def box(terms: Terms, grams: int) -> int:
    fitting = [price for limit, price in terms.cartons if grams <= limit]
    return fitting[0] if fitting else terms.cartons[-1][1] if terms.cartons else 0


def carriage(network: Network, state: str, grams: int) -> tuple[int, int, int]:
    """Centavos, packages and cartons of a parcel: whole parcels of the most a carrier takes, and the rest."""
    price = offer(network, state, grams)
    terms = network.terms
    if price is not None:
        return price, 1, box(terms, grams)
    whole, rest = divmod(grams, 4_000)
    cost, boxes = whole * (offer(network, state, 4_000) or 0), whole * box(terms, 4_000)
    if rest:
        cost, boxes = cost + (offer(network, state, rest) or 0), boxes + box(terms, rest)
    return cost, whole + bool(rest), boxes


def tax_of(terms: Terms, state: str, goods: Goods) -> int:
    for origin, target in ((state, "BA"), (state, "*"), ("*", "BA"), ("*", "*")):
        for ncm in (goods.ncm[:n] for n in range(8, -1, -1)):
            found = terms.taxes._rows.get((origin, target, ncm))
            if found is not None:
                return (found.basis_points * goods.value + 5_000) // 10_000 + found.centavos
    return 0


def parcel_cost(
    network: Network, request: Request, worth: dict, index: int, content: list[tuple[RequestLine, int]]
) -> tuple[int, int]:
    """Centavos with the price of stock, and packages; the split penalty is the plan's."""
    terms, place = network.terms, network.places[index]
    price, packages, boxes = carriage(network, place.state, sum(line.grams * q for line, q in content))
    cost = price + packages * place.handling + len(content) * place.line + boxes + sum(terms.risks.get(place.id, ()))
    cost += sum(q * tax_of(terms, place.state, request.goods[line.line]) for line, q in content)
    if place.daily_capacity is not None:
        fullness = TAKEN[index] / place.daily_capacity * 100
        cost += max((price for percent, price in terms.busy if percent <= fullness), default=0)
    units = [(sku, per * q) for line, q in content for sku, per in needs_of(line)]
    shared = sum(other.home == place.home for other in network.places) > 1
    kept = max(0, min(terms.same_site, split_of(network) + place.handling) - split_of(network)) if shared else 0
    cost -= min(cost - kept, sum(terms.credits.get(sku, {}).get(place.id, 0) * n for sku, n in units))
    assert cost >= 0
    return cost + sum(worth.get(sku, {}).get(place.id, 0) * n for sku, n in units), packages


def may_serve(
    network: Network, request: Request, line: RequestLine, index: int, later: Collection[int] = frozenset()
) -> bool:
    terms, place = network.terms, network.places[index]
    if offer(network, place.state, 0) is None or offer(network, place.state, line.grams) is None:
        return False
    if place.daily_capacity is not None and TAKEN[index] >= place.daily_capacity and index not in later:
        return False
    if any(place.id in terms.unserved.get(trait, ()) for trait in request.goods[line.line].traits):
        return False
    far = {2: 2_128, 3: 852}.get(place.id, 0)  # kilometres from São Paulo
    limits = [terms.reach[place.id]] if place.id in terms.reach else []
    limits += terms.reaches.values()
    return request.to_cep != SAO_PAULO or place.id not in terms.spots or not limits or far <= min(limits)


def partitions(items: list[RequestLine]) -> Iterator[list[list[RequestLine]]]:
    if not items:
        yield []
        return
    head, *rest = items
    for smaller in partitions(rest):
        yield [[head], *smaller]
        for n in range(len(smaller)):
            yield [*smaller[:n], [head, *smaller[n]], *smaller[n + 1 :]]


def split_of(network: Network) -> int:
    return network.terms.splits.get(1, network.terms.split)


def together(network: Network, indexes: Iterable[int]) -> int:
    """Centavos that parcels save by leaving from one site: for each location of it beyond the first."""
    places = [network.places[index] for index in set(indexes)]
    homes = {place.home: place for place in places}
    most = {id_: min(network.terms.same_site, split_of(network) + home.handling) for id_, home in homes.items()}
    return sum(most[place.home] for place in places) - sum(most.values())


def every_plan(
    network: Network, request: Request, free: dict, worth: dict, later: Collection[int] = frozenset()
) -> Iterator[tuple[int, int, set[int]]]:
    """All ways to place every line in full: (cost with the price of stock, packages, locations)."""
    for parts in partitions(list(request.lines)):
        for indexes in product(range(len(network.places)), repeat=len(parts)):
            left = {sku: list(units) for sku, units in free.items()}
            fits = True
            for part, index in zip(parts, indexes, strict=True):
                for line in part:
                    fits = fits and may_serve(network, request, line, index, later)
                    for sku, per in needs_of(line):
                        left[sku][index] -= per * line.quantity
                        fits = fits and left[sku][index] >= 0
            if fits:
                costs = [
                    parcel_cost(network, request, worth, index, [(line, line.quantity) for line in part])
                    for part, index in zip(parts, indexes, strict=True)
                ]
                apart = split_of(network) * (len(parts) - 1) - together(network, indexes)
                yield sum(c for c, _ in costs) + apart, sum(p for _, p in costs), set(indexes)


def least_with_each(plans: Iterable[tuple[int, int, set[int]]]) -> dict[int, int]:
    """What the cheapest plan with each location costs."""
    least: dict[int, int] = {}
    for cost, _, indexes in plans:
        for index in indexes:
            least[index] = min(cost, least.get(index, cost))
    return least


def costs_told(network: Network, found: Plan) -> dict[int, int]:
    """What a decision says each location would cost, where it could serve."""
    open_ = network.lanes[1, "ship", None, "BA", None].open
    return {index: cost for index, cost in zip(open_, found.basis.costs, strict=True) if cost >= 0}


def check_cost(network: Network, request: Request, worth: dict, found: Plan) -> None:
    """What a plan says it costs is what it costs, however hard the order."""
    lines = {line.line: line for line in request.lines}
    costs = [
        parcel_cost(network, request, worth, p.index, [(lines[n], q) for n, q in p.units])[0] for p in found.parcels
    ]
    apart = split_of(network) * max(0, len(costs) - 1) - together(network, (p.index for p in found.parcels))
    assert found.cost + found.basis.worth == sum(costs) + apart
    assert found.cost >= 0
    for n, index, _ in found.assignments:
        assert may_serve(network, request, lines[n], index, later_of(network, found))


@settings(max_examples=250, deadline=None)
@given(networks(), orders(), stocks, prices)
def test_under_any_terms_a_plan_costs_what_the_best_of_all_plans_costs_and_so_does_each_location(
    network: Network, request: Request, rows: dict, worth: dict
):
    free = {sku: units[: len(network.places)] for sku, units in rows.items()}
    priced = StockPrices(3, worth) if worth else None
    found = plan(request, network, free, TAKEN, priced)
    check_cost(network, request, worth, found)
    plans = list(every_plan(network, request, free, worth, later_of(network, found)))
    if not plans:
        assert not found.basis.exact
        return
    assert found.basis.exact
    best = min((cost, packages) for cost, packages, _ in plans)
    assert (found.cost + found.basis.worth, found.packages) == best
    assert costs_told(network, found) == least_with_each(plans)


@settings(max_examples=200, deadline=None)
@given(networks(), orders(most=6), stocks, prices)
def test_a_decision_under_terms_is_recomputed_and_explained_from_its_record_alone(
    network: Network, request: Request, rows: dict, worth: dict
):
    free = {sku: units[: len(network.places)] for sku, units in rows.items()}
    priced = StockPrices(3, worth) if worth else None
    found = plan(request, network, free, TAKEN, priced, costs=True)
    quick = plan(request, network, free, TAKEN, priced, costs=False)
    assert (quick.parcels, quick.cost, quick.basis.worth) == (found.parcels, found.cost, found.basis.worth)
    stored = record_json(found)
    record = read_record(stored)
    again = replay(record)
    places = [(p, None, *rest) for p, _, *rest in found.basis.parcels]
    was = msgspec.structs.replace(found.basis, parcels=places, lead_days=None)
    assert msgspec.json.encode(again.basis) == msgspec.json.encode(was), "byte for byte"
    assert again.head + again.rates == found.head + found.rates
    assert costs_of(read_record(record_json(quick))) == found.basis.costs
    explained = explain(record)
    if found.parcels:
        (chosen,) = [option for option in explained.options if option.chosen]
        assert chosen.cost == found.cost + found.basis.worth
    for option in explained.options:
        if option.loads is not None:
            assert option.cost == sum(option.term(name) or 0 for name in TERMS)
    ids = network.location_ids
    for index, id_ in enumerate(ids):
        for line in request.lines:
            whole = all(free[sku][index] >= per * line.quantity for sku, per in needs_of(line))
            told = explained.obstacles.get(id_, [])
            stopped = any(x.line in {None, line.line} for x in told)
            assert stopped == (not (may_serve(network, request, line, index, later_of(network, found)) and whole))


def test_the_reasons_of_before_keep_their_numbers():
    assert [reason.value for reason in Reason][:11] == [
        "paused", "closed", "channel", "issuer", "method", "elsewhere", "no_service", "capacity", "excluded", "stock",
        "owner",
    ]  # fmt: skip


def test_a_decision_of_rules_before_terms_is_still_recomputed():
    stored = (
        b'{"rules":2,"network":9,"channel":1,"method":"ship","to":"BA","locations":[[4,6]],"classes":[[0,100,50],'
        b'[1,0,0]],"members":[0,1,0],"rates":[[500,[700,900]],[1500,[1100,1200]]],"lines":[[1,11,1,400,null],'
        b'[2,12,1,500,null]],"free":[[1,1,0],[1,1,1]],"parcels":[[1,3,1200,1,[[1,1],[2,1]]]],"cost":1200,'
        b'"costs":[1300,1200,1700],"lead_days":2}'
    )
    record = read_record(stored)
    again = replay(record)
    assert (again.cost, again.basis.costs) == (1_200, [1_300, 1_200, 1_700])
    assert [(p.index, p.units) for p in again.parcels] == [(1, [(1, 1), (2, 1)])]


def test_a_thousand_locations_are_planned_alike_with_and_without_the_cost_of_each():
    rng = random.Random(5)
    places = [
        a_place(n + 1, rng.choice(STATES), handling=rng.choice((0, 100)), capacity=rng.choice((None, 10)))
        for n in range(1_000)
    ]
    rates = [
        Rate(service_id=1, from_state=state, to_state="*", max_grams=grams, price=price, per_extra_kg=0, lead_days=2)
        for state, base in (("SP", 500), ("PE", 900), ("RS", 700))
        for grams, price in ((500, base), (1_500, base + 300), (90_000, base + 900))
    ]
    risks = {n + 1: (rng.randrange(0, 200, 10), rng.randrange(0, 90, 10)) for n in range(1_000)}
    taxes = Taxes({(state, "*", ""): TaxRate(points) for state, points in (("SP", 700), ("PE", 1_200))})
    for turn in range(24):
        terms = Terms(
            split=rng.choice((0, 500)),
            cartons=((400, 80), (90_000, 250)),
            risks=risks if turn % 2 else {},
            taxes=taxes if turn % 3 else Taxes({}),
            busy=((50, 100), (80, 400)) if turn % 4 else (),
            credits={n: {rng.randint(1, 1_000): rng.randint(1, 900) for _ in range(300)} for n in range(3)}
            if turn % 5
            else {},
            reach=dict.fromkeys(range(1, 400), 10) if turn % 7 == 0 else {},
            spots=dict.fromkeys(range(1, 1001), (-30.03, -51.22)),
        )
        network = a_network(places, rates, terms)
        empty = rng.choice((0.2, 0.6, 0.9, 0.99))
        free = {sku: [0 if rng.random() < empty else rng.randint(1, 4) for _ in places] for sku in range(6)}
        lines = [RequestLine(n + 1, n, rng.choice((1, 2)), rng.choice((200, 700))) for n in range(rng.randint(1, 6))]
        goods = {line.line: Goods(rng.randrange(20_000), "64039900") for line in lines}
        request = Request(order_id=ORDER, channel_id=1, to_state="BA", lines=lines, goods=goods, to_cep=SAO_PAULO)
        taken = [rng.choice((0, 6, 9)) for _ in places]
        worth = {n: {rng.randint(1, 1_000): rng.randint(1, 800) for _ in range(300)} for n in range(6)}
        for priced in (None, StockPrices(1, worth)):
            full = plan(request, network, free, taken, priced, costs=True)
            quick = plan(request, network, free, taken, priced)
            assert quick.basis.costs == [] or not quick.basis.exact
            assert (quick.parcels, quick.cost, quick.basis.worth) == (full.parcels, full.cost, full.basis.worth)
            assert costs_of(read_record(record_json(quick))) == full.basis.costs


def test_products_and_places_that_are_not_served_and_sites_are_planned_alike_in_haste():
    """From many states, by other taxes each: the parcels that are not looked for are in no cheapest plan."""
    rng = random.Random(8)
    states = [f"{a}{b}" for a in "ABC" for b in "ABCDE"]
    ids = range(1, 151)
    places = []
    for n in ids:
        before = places[-1] if places and n % 3 == 0 else None
        place = a_place(n, before.state if before else rng.choice(states), handling=rng.choice((0, 100, 250)))
        places.append(msgspec.structs.replace(place, site_id=before.id) if before else place)
    rates = [
        Rate(service_id=1, from_state=state, to_state="*", max_grams=grams, price=base + more, per_extra_kg=0, lead_days=2)
        for state in states
        for base in (rng.randrange(100, 1_500, 50),)
        for grams, more in ((500, 0), (1_500, rng.randrange(0, 300, 50)), (90_000, 900))
    ]  # fmt: skip
    taxes = Taxes({(state, "*", ncm): TaxRate(rng.choice((0, 700, 1_200))) for state in states for ncm in ("64", "61")})
    for turn in range(40):
        terms = Terms(
            split=rng.choice((0, 200)),
            same_site=rng.choice((0, 0, 150)),
            taxes=taxes if turn % 4 else Taxes({}),
            credits={n: {rng.choice(ids): rng.randint(1, 900) for _ in range(20)} for n in range(0, 6, 3)},
            unserved={"category:cold": frozenset(n for n in ids if rng.random() < rng.choice((0.3, 0.95)))},
            reach=dict.fromkeys(ids[:: rng.choice((1, 2, 5))], 1_000) if turn % 3 else {},
            spots={n: (rng.uniform(-30, -3), rng.uniform(-52, -36)) for n in ids},
        )
        network = a_network(places, rates, terms)
        empty = rng.choice((0.2, 0.6, 0.9))
        free = {sku: [0 if rng.random() < empty else rng.randint(1, 4) for _ in places] for sku in range(6)}
        lines = [RequestLine(n + 1, n, rng.choice((1, 2)), rng.choice((200, 700))) for n in range(rng.randint(1, 6))]
        goods = {
            line.line: Goods(rng.randrange(9_000), rng.choice(("64", "61")), ("category:cold",) * (rng.random() < 0.3))
            for line in lines
        }
        request = Request(order_id=ORDER, channel_id=1, to_state="BA", lines=lines, goods=goods, to_cep=SAO_PAULO)
        full = plan(request, network, free, None, costs=True)
        quick = plan(request, network, free, None)
        assert (quick.parcels, quick.unplaced, quick.cost) == (full.parcels, full.unplaced, full.cost)
        assert costs_of(read_record(record_json(quick))) == full.basis.costs


@settings(max_examples=150, deadline=None)
@given(networks(), st.lists(st.tuples(orders(), stocks, prices, st.integers(0, 1)), min_size=2, max_size=5))
def test_what_a_lane_remembers_of_counts_and_prices_changes_no_record(network: Network, turns: list):
    """Orders one after another, the day's counts and the prices of stock changing between them, and each alone."""
    counts = TAKEN, TAKEN[::-1]
    known: list[StockPrices] = []
    decided = []
    for request, rows, worth, turn in turns:
        free = {sku: units[: len(network.places)] for sku, units in rows.items()}
        if not known or turn:
            known.append(StockPrices(3, worth))
        asked = request, free, counts[turn], known[-1]
        decided += [(asked, costs, record_json(_planned(network, asked, costs=costs))) for costs in (False, True)]
    for asked, costs, record in decided:
        network.lanes.clear()
        network.rows.clear()
        assert record_json(_planned(network, asked, costs=costs)) == record


def _planned(network: Network, asked: tuple, *, costs: bool) -> Plan:
    request, free, taken, priced = asked
    return plan(request, network, free, taken, priced, costs=costs)
