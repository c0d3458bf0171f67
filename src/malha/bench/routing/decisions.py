"""How long a decision takes at many locations, without terms and rules and with them, in processor time.

The stored record is included. The same orders are decided again and again; the best round counts, because others use
the machine too.
"""

import random
import time
from collections.abc import Callable
from datetime import time as hour

import msgspec
import numpy as np

from malha.network.calendar import Calendar
from malha.network.model import Location, LocationKind, LocationStatus, Rate
from malha.network.places import STATE_ZONES
from malha.network.snapshot import NetworkSnapshot
from malha.network.tariff import Tariff
from malha.platform.address import Address
from malha.platform.ids import UUID
from malha.routing import IS_COMPILED
from malha.routing.model import Door, Network, Place, Request, RequestLine, StockPrices
from malha.routing.rules import plan, record_json
from malha.routing.ruling.model import Content, Facts, Rule, Run, Where
from malha.routing.ruling.planning import Rules
from malha.routing.terms import NO_TERMS, Goods, Taxes, TaxRate, Terms

LOCATIONS = 1_000
LINES = 5
ORDERS = 600
ROUNDS = 3
SKUS = 300
EMPTY = {"half": 0.5, "three_quarters": 0.75, "nine_in_ten": 0.9}
STATES = sorted(STATE_ZONES)
NCMS = ("64039900", "61091000", "85171300")
# Runs of one rule; groups of locations: every second one, and every tenth.
RULES = {
    "keep": Rule(name="keep", keep=1),
    "half": Rule(name="half", where=Where(groups=["half"])),
    "prefer": Rule(name="prefer", prefer=[Where(groups=["tenth"]), Where(groups=["half"])]),
    "all": Rule(
        name="all", where=Where(groups=["half"]), prefer=[Where(groups=["tenth"])], keep=1, complete=True,
        max_packages=5,
    ),
}  # fmt: skip
FACTS = Facts(
    channel="site", method="ship", to_state="SP", postal_code=None, customer_group=None, value=10_000, units=5,
    grams=1_000, skus=[1, 2, 3],
)  # fmt: skip


def _network(rng: random.Random, terms: Terms) -> Network:
    places = [
        Place(
            id=n + 1, status="active", state=rng.choice(STATES), can_ship=True, can_pickup=True,
            handling=rng.choice((100, 150, 220, 300, 350)), line=rng.choice((30, 50, 80)),
            daily_capacity=rng.choice((40, 60, 90)), entity_id=1, entity_kind="own", priority=rng.choice((10, 100)),
        )
        for n in range(LOCATIONS)
    ]  # fmt: skip
    rates = [
        Rate(
            service_id=service, from_state=origin, to_state=target, max_grams=grams, price=base + extra,
            per_extra_kg=250 if grams == 10_000 else 0, lead_days=2 + service,
        )
        for service in (1, 2)
        for origin in STATES
        for target in STATES
        for base in (rng.randrange(900, 4_000),)
        for grams, extra in ((300, 0), (1_000, 300), (3_000, 900), (10_000, 2_200))
    ]  # fmt: skip
    return Network(
        revision=1,
        places=sorted(places, key=lambda p: (p.priority, p.id)),
        channels={1: Door(id=1, location_ids=frozenset(), entity_id=None, entity_kind=None)},
        services=[1, 2],
        rates={s: [(300, 0), (1_000, 0), (3_000, 0), (10_000, 250)] for s in (1, 2)},
        tariff=Tariff(rates),
        terms=terms,
    )


def all_terms(rng: random.Random) -> Terms:
    """Return terms of a retailer that uses every one of them."""
    taxes = {
        (origin, target, ncm): TaxRate(rng.choice((700, 1_200, 1_800, 2_200)))
        for origin in STATES
        for target in STATES
        for ncm in ("64", "61", "85")
    }
    return Terms(
        split=500,
        cartons=((500, 120), (2_000, 240), (10_000, 520)),
        risks={n: (rng.randrange(0, 120, 10), rng.randrange(0, 80, 10)) for n in range(1, LOCATIONS + 1)},
        learned=1,
        taxes=Taxes(taxes),
        busy=((70, 60), (85, 180), (95, 500)),
        credits={
            sku: {rng.randint(1, LOCATIONS): rng.randint(50, 900) for _ in range(40)} for sku in range(0, SKUS, 10)
        },
        unserved={"category:cold": frozenset(range(1, LOCATIONS + 1, 3))},
        reach=dict.fromkeys(range(1, LOCATIONS + 1, 2), 1500),
        spots={n: (rng.uniform(-30, -3), rng.uniform(-52, -36)) for n in range(1, LOCATIONS + 1)},
    )


def _orders(rng: random.Random, *, with_goods: bool) -> list[Request]:
    ceps = ("01310-100", "50030-230", "90010-150", "40020-000", "30130-010", "80010-010", "69005-010", "74003-010")
    found = []
    for n in range(ORDERS):
        lines = [
            RequestLine(k + 1, sku, rng.choice((1, 1, 1, 2)), rng.choice((150, 350, 800, 1_600)))
            for k, sku in enumerate(rng.sample(range(SKUS), LINES))
        ]
        goods = {
            line.line: Goods(
                rng.randrange(2_000, 40_000), rng.choice(NCMS), ("category:cold",) if rng.random() < 0.1 else ()
            )
            for line in lines
        }
        found.append(
            Request(
                order_id=UUID(int=n),
                channel_id=1,
                to_state=rng.choice(STATES[:12]),
                lines=lines,
                goods=goods if with_goods else None,
                to_cep=rng.choice(ceps) if with_goods else None,
            )
        )
    return found


def _rules(network: Network, rule: Rule) -> Rules:
    """Return a rule set of one run and rule over the network's locations."""
    locations = {
        place.id: Location(
            id=place.id, code=f"L{place.id}", name=f"L{place.id}", kind=LocationKind.STORE, establishment_id=1,
            status=LocationStatus.ACTIVE, address=Address(), state=place.state, postal_code=None, latitude=None,
            longitude=None, timezone="America/Sao_Paulo", opening_hours={}, holiday_calendar=f"BR-{place.state}",
            can_ship=True, can_pickup=True, can_curbside=False, can_return=True, cut_off=hour(14),
            daily_capacity=place.daily_capacity, handling_cost=place.handling, line_cost=place.line,
            priority=place.priority, pickup_days=5, version=1,
        )
        for place in network.places
    }  # fmt: skip
    calendars: dict[int, Calendar] = {}
    known = NetworkSnapshot(
        revision=1, establishments={}, locations=locations, channels={}, services={}, rates=(), closures={},
        location_ids={location.code: id_ for id_, location in locations.items()}, channel_ids={}, service_ids={},
        tariff=network.tariff, calendars=calendars,
    )  # fmt: skip
    groups = {name: [f"L{n}" for n in range(1, LOCATIONS + 1, step)] for name, step in (("half", 2), ("tenth", 10))}
    return Rules(1, Content(runs=[Run(name="run", rules=[rule])]), known, groups)


def time_decisions(
    say: Callable[[str], None], *, seed: int = 2026, rounds: int = ROUNDS
) -> dict[str, dict[str, float]]:
    """Return milliseconds of a decision: p50 and p99 by how much stock there is and by what is in force."""
    found: dict[str, dict[str, float]] = {}
    say(f"the planner {'is compiled' if IS_COMPILED else 'runs from source'}")
    for name, empty in EMPTY.items():
        for what in ("plain", "prices", "terms", "terms_and_prices"):
            rng = random.Random(seed)  # noqa: S311 - made-up goods
            with_terms = what.startswith("terms")
            terms = all_terms(random.Random(seed + 1)) if with_terms else NO_TERMS  # noqa: S311
            network = _network(rng, terms)
            free = {
                sku: [0 if rng.random() < empty else rng.randint(1, 6) for _ in range(LOCATIONS)] for sku in range(SKUS)
            }
            taken = [rng.randrange(40) for _ in range(LOCATIONS)]
            priced = None
            if what.endswith("prices"):
                priced = StockPrices(
                    1,
                    {
                        sku: {rng.randint(1, LOCATIONS): rng.randint(20, 600) for _ in range(LOCATIONS // 3)}
                        for sku in range(SKUS)
                    },
                )
            orders = _orders(rng, with_goods=with_terms)
            ruled = {rule: _rules(network, RULES[rule]) for rule in RULES if what in {"plain", "terms_and_prices"}}
            best = {rule: (float("inf"), float("inf")) for rule in ("", *ruled)}
            for _ in range(rounds):
                for rule, before in best.items():  # in turns, so that what else runs meets all of them
                    times = [_time(order, network, free, taken, priced, ruled.get(rule)) for order in orders]
                    seen = float(np.percentile(times, 50)), float(np.percentile(times, 99))
                    best[rule] = min(before[0], seen[0]), min(before[1], seen[1])
            for rule, (p50, p99) in best.items():
                found[f"{name}_{what}" + (f"_rule_{rule}" if rule else "")] = {
                    "p50": round(p50, 3),
                    "p99": round(p99, 3),
                }
                said = f"{what}, rule {rule}" if rule else what
                say(f"locations without a SKU: {name}, {said}: p50 {p50:.3f} ms, p99 {p99:.3f} ms")
    return found


def _time(
    order: Request,
    network: Network,
    free: dict[int, list[int]],
    taken: list[int],
    priced: StockPrices | None,
    rules: Rules | None,
) -> float:
    """Return the milliseconds of one decision, finding its run of rules and writing its record included."""
    began = time.process_time()
    if rules is not None:
        order = msgspec.structs.replace(order, under=rules.under(FACTS, {}))
    record_json(plan(order, network, free, taken, priced))
    return (time.process_time() - began) * 1_000
