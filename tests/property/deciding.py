"""Decides many orders of every kind and prints a hash of each stored decision, of its replay and of its explanation.

Run by `test_routing_compiled.py` in processes of their own, with what is compiled and without it.
"""

import hashlib
import random

import msgspec

from malha import routing
from malha.network.model import Rate
from malha.network.tariff import Tariff
from malha.platform.ids import UUID
from malha.routing.explaining import explain
from malha.routing.model import Door, Network, Place, Request, RequestLine, StockPrices
from malha.routing.records import read_record, replay
from malha.routing.rules import plan, record_json
from malha.routing.ruling.model import Bound
from malha.routing.terms import NO_TERMS, Goods, Taxes, TaxRate, Terms, runs

STATES = ("AM", "BA", "PE", "RJ", "RS", "SP")
SPOTS = {"AM": (-3.1, -60.0), "BA": (-13.0, -38.5), "PE": (-8.1, -34.9), "RJ": (-22.9, -43.2)}
CEPS = ("01310-100", "50030-230", "90010-150", None)
NCMS = ("64039900", "61091000", "")
SKUS = range(40)


def a_network(rng: random.Random, locations: int) -> Network:
    ids = range(1, locations + 1)
    places = [
        Place(
            id=n, status=rng.choice(("active",) * 9 + ("paused",)), state=rng.choice(STATES), can_ship=rng.random() < 0.95,
            can_pickup=True, handling=rng.choice((0, 100, 350)), line=rng.choice((0, 50)),
            daily_capacity=rng.choice((None, 8, 40)), entity_id=1, entity_kind="own", priority=rng.choice((10, 100)),
            site_id=rng.choice((None, None, None, 1)) if n > 1 else None,
        )
        for n in ids
    ]  # fmt: skip
    rates = [
        Rate(
            service_id=service, from_state=state, to_state=target, max_grams=grams, price=rng.randrange(0, 2_500, 10) + extra,
            per_extra_kg=200 if grams == 4_000 and service == 1 else 0, lead_days=1 + service,
        )
        for service in (1, 2)
        for state in STATES
        for target in STATES
        for grams, extra in ((500, 0), (1_500, 400), (4_000, 900))
    ]  # fmt: skip
    terms = NO_TERMS
    if rng.random() < 0.8:
        terms = Terms(
            split=rng.choice((0, 150, 900)),
            same_site=rng.choice((0, 80, 5_000)),
            cartons=rng.choice(((), ((300, 50), (900, 120), (2_000, 400)))),
            risks={n: (rng.randrange(0, 700, 10), rng.randrange(0, 90, 10)) for n in ids if rng.random() < 0.6},
            learned=3,
            taxes=Taxes(
                {(o, "*", ncm): TaxRate(rng.choice((0, 700, 1_800)), 9) for o in STATES for ncm in ("64", "6109")}
                if rng.random() < 0.8
                else {}
            ),
            busy=rng.choice(((), ((0, 30), (50, 200), (90, 650)))),
            credits={sku: {n: rng.randint(1, 900) for n in ids if rng.random() < 0.2} for sku in SKUS if sku % 4 == 0},
            unserved={"brand:acme": frozenset(n for n in ids if n % 3 == 0)},
            reach=dict.fromkeys(ids[::4], 1_500),
            spots={place.id: SPOTS[place.state] for place in places if place.state in SPOTS},
        )
    return Network(
        revision=1,
        places=sorted(places, key=lambda p: (p.priority, p.id)),
        channels={1: Door(id=1, location_ids=frozenset(), entity_id=None, entity_kind=None)},
        services=[1, 2],
        rates={s: [(500, 0), (1_500, 0), (4_000, 200 if s == 1 else 0)] for s in (1, 2)},
        tariff=Tariff(rates),
        terms=terms,
    )


def an_order(rng: random.Random, number: int, locations: int) -> Request:
    """Up to eleven lines; now and then of a kit, of a SKU twice, of what is too heavy, or with places left out."""
    skus = rng.sample(SKUS, 12)
    lines = []
    for n in range(1, rng.choice((1, 2, 2, 3, 4, 5, 6, 8, 11)) + 1):
        kit = rng.random() < 0.08
        sku = skus[0] if rng.random() < 0.05 else skus[n]
        parts = ((sku, 2), (skus[-n], 1)) if kit and skus[-n] != sku else None
        lines.append(
            RequestLine(
                n, 99 if parts else sku, rng.choice((1, 1, 2, 7)), rng.choice((0, 200, 700, 1_600, 9_000)), parts
            )
        )
    kinds = {
        line.line: Goods(rng.randrange(20_000), rng.choice(NCMS), ("brand:acme",) if rng.random() < 0.2 else ())
        for line in lines
    }
    return Request(
        order_id=UUID(int=number),
        channel_id=1,
        method=rng.choice(("ship",) * 6 + ("pickup",)),
        pickup_location_id=1,
        service_id=rng.choice((None, None, 2)),
        to_state=rng.choice(STATES),
        lines=lines,
        excluded=rng.choice((None, {1: {1, 2}})),
        goods=kinds,
        to_cep=rng.choice(CEPS),
    )


def a_rule(rng: random.Random) -> Bound | None:
    """What a rule asks, of location indexes."""
    if rng.random() < 0.5:
        return None
    return Bound(
        number=1, run="Run", rule="Rule", keep=rng.choice((0, 0, 1)), complete=rng.random() < 0.3,
        packages=rng.choice((None, None, 2, 5)),
        outside=rng.choice(([], [0], list(range(0, 400, 3)))),
        tiers=rng.choice(([], [[1, 2]], [list(range(1, 400, 9)), list(range(2, 400, 2))])),
    )  # fmt: skip


def main() -> None:
    rng = random.Random(2026)
    print(routing.IS_COMPILED)
    for locations in (3, 9, 9, 30, 70, 130):
        network = a_network(rng, locations)
        taken = [rng.randrange(9) for _ in range(locations)]
        for number in range(60):
            empty = rng.choice((0.2, 0.5, 0.9))
            free = {sku: [0 if rng.random() < empty else rng.randint(1, 9) for _ in range(locations)] for sku in SKUS}
            worth = {sku: {rng.randint(1, locations): rng.randint(0, 600) for _ in range(9)} for sku in SKUS}
            priced = rng.choice((None, StockPrices(3, worth)))
            asked = a_rule(rng)

            def bind(lane, asked=asked) -> Bound:
                def here(indexes) -> list:
                    return list(runs(lane.position[index] for index in indexes if index in lane.position))

                return msgspec.structs.replace(
                    asked, outside=here(asked.outside), tiers=[here(tier) for tier in asked.tiers]
                )

            decided = plan(
                an_order(rng, number, locations), network, free, taken, priced, bind=None if asked is None else bind
            )
            stored = record_json(decided)
            record = read_record(stored)
            told = (stored, record_json(replay(record)), repr(explain(record)).encode(), repr(decided).encode())
            print(*(hashlib.sha256(what).hexdigest()[:16] for what in told), len(stored))


if __name__ == "__main__":
    main()
