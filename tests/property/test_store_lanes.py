"""Goods brought to where orders are fetched: off changes no byte, on finds the cheapest plan, stored ones decide again."""

import random
import sys
from itertools import product
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from deciding import SKUS, a_network, an_order

from malha.routing.explaining import explain
from malha.routing.model import Network, Request
from malha.routing.records import read_record, replay
from malha.routing.replaying import Replayer
from malha.routing.rules import plan, record_json
from malha.routing.terms import NO_TERMS

PLACES = 9


def with_lanes(network: Network, brought: dict[int, dict[int, tuple[int, int]]], *, terms: bool = True) -> Network:
    return Network(
        revision=network.revision,
        places=network.places,
        channels=network.channels,
        services=network.services,
        rates=network.rates,
        tariff=network.tariff,
        terms=network.terms if terms else NO_TERMS,
        brought=brought,
    )


def stock_of(rng: random.Random) -> dict[int, list[int]]:
    return {sku: [rng.choice((0, 0, 1, 3, 9)) for _ in range(PLACES)] for sku in SKUS}


def lanes_to(rng: random.Random, network: Network, place: int) -> dict[int, dict[int, tuple[int, int]]]:
    home = network.places[network.index[place]].home
    origins = [x.id for x in network.places if x.home != home and rng.random() < 0.7]
    return {home: {id_: (rng.choice((0, 250, 900)), rng.choice((0, 1, 3))) for id_ in origins}}


@pytest.mark.parametrize("seed", range(12))
def test_lanes_to_other_places_change_no_byte_of_a_decision(seed: int) -> None:
    rng = random.Random(seed)
    network = a_network(rng, PLACES)
    others = [x.id for x in network.places if x.home != network.places[network.index[1]].home]
    lanes = with_lanes(network, {place: {1: (100, 1)} for place in others} | {999: {1: (0, 0)}})
    for number in range(30):
        request, free = an_order(rng, number, PLACES), stock_of(rng)
        assert record_json(plan(request, lanes, free)) == record_json(plan(request, network, free))


@pytest.mark.parametrize("seed", range(12))
def test_a_delivery_knows_nothing_of_lanes(seed: int) -> None:
    rng = random.Random(seed)
    network = a_network(rng, PLACES)
    lanes = with_lanes(network, lanes_to(rng, network, 1))
    for number in range(20):
        request = msgspec.structs.replace(an_order(rng, number, PLACES), method="ship")
        free = stock_of(rng)
        assert record_json(plan(request, lanes, free)) == record_json(plan(request, network, free))


@pytest.mark.parametrize("seed", range(20))
def test_what_was_decided_with_lanes_is_decided_again_byte_for_byte_and_explained(seed: int) -> None:
    rng = random.Random(seed)
    network = a_network(rng, PLACES)
    lanes = with_lanes(network, lanes_to(rng, network, 1))
    for number in range(20):
        request = msgspec.structs.replace(an_order(rng, number, PLACES), method="pickup")
        stored = record_json(plan(request, lanes, stock_of(rng)))
        record = read_record(stored)
        assert Replayer().again(stored) == stored
        again = replay(record)
        assert (again.cost, again.unplaced) == (record.cost, record.unplaced)
        told = explain(record)
        assert all(option.cost >= 0 for option in told.options)
        chosen = [option for option in told.options if option.chosen]
        assert [option.cost for option in chosen] == ([record.cost + record.worth] if record.parcels else [])
        for option in chosen:
            terms = [option.term(name) or 0 for name in ("freight", "handling", "picking", "split")]
            if record.terms is None:
                assert sum(terms) == record.cost


def cheapest(request: Request, network: Network, free: dict[int, list[int]]) -> int | None:
    """Return the least that whole lines cost by all ways to part them: both ends work, the place hands over once."""
    at = network.places[network.index[1]]
    lanes = network.brought.get(at.home, {})
    least: int | None = None
    here = [x.handling for x in network.places if x.home == at.home and x.status == "active"]
    for choice in product(range(len(network.places)), repeat=len(request.lines)):
        used = set(choice)
        if any(free[line.sku_id][i] < line.quantity for line, i in zip(request.lines, choice, strict=True)):
            continue
        if any(
            network.places[i].status != "active"
            or (network.places[i].home != at.home and network.places[i].id not in lanes)
            for i in used
        ):
            continue
        own = [i for i in used if network.places[i].home == at.home]
        sent = used - set(own)
        cost = sum(network.places[i].handling for i in own) - min(here) * (len(used) - 1)
        cost += sum(network.places[i].handling + at.handling + lanes[network.places[i].id][0] for i in sent)
        cost += sum(network.places[i].line + (at.line if i in sent else 0) for i in choice)
        least = cost if least is None else min(least, cost)
    return least


@pytest.mark.parametrize("seed", range(30))
def test_the_plan_is_the_cheapest_and_the_place_itself_is_never_passed_over(seed: int) -> None:
    rng = random.Random(seed)
    base = a_network(rng, PLACES)
    network = with_lanes(base, lanes_to(rng, base, 1), terms=False)
    if network.places[network.index[1]].status != "active":
        return
    for number in range(15):
        free = stock_of(rng)
        request = msgspec.structs.replace(an_order(rng, number, PLACES), method="pickup", goods=None, excluded=None)
        lines = [line for line in request.lines if line.components is None][:3]
        if not lines or len({line.sku_id for line in lines}) < len(lines):
            continue
        request = msgspec.structs.replace(request, lines=lines)
        found, least = plan(request, network, free), cheapest(request, network, free)
        if least is not None:
            assert (found.cost, found.unplaced) == (least, [])
        here = network.index[1]
        if all(free[line.sku_id][here] >= line.quantity for line in lines):
            home = network.places[here].home
            assert {network.places[parcel.index].home for parcel in found.parcels} == {home}


# --- goods that come together and are shipped in one ---


def together(request: Request) -> Request:
    return msgspec.structs.replace(request, method="ship", merge_location_id=1)


@pytest.mark.parametrize("seed", range(20))
def test_what_comes_together_is_decided_again_byte_for_byte_and_explained_to_the_centavo(seed: int) -> None:
    rng = random.Random(seed)
    network = a_network(rng, PLACES)
    lanes = with_lanes(network, lanes_to(rng, network, 1))
    for number in range(20):
        request = together(an_order(rng, number, PLACES))
        found = plan(request, lanes, stock_of(rng))
        stored = record_json(found)
        record = read_record(stored)
        assert Replayer().again(stored) == stored
        again = replay(record)
        assert (again.cost, again.packages, again.unplaced) == (record.cost, found.packages, record.unplaced)
        assert (record.onward is None) == (not record.parcels)
        options = explain(record).options
        chosen = [option for option in options if option.chosen]
        assert [option.cost for option in chosen] == ([record.cost + record.worth] if record.parcels else [])
        for option in options if record.onward is not None else ():
            if option.loads is not None:
                assert option.packages == record.onward.packages
                assert sum(option.term(name) or 0 for name in TERMS) == option.cost


TERMS = (
    "freight", "handling", "picking", "worth", "split", "same_site", "onward", "carton", "rejection", "lateness", "tax",
    "busy", "credit",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_what_comes_together_is_brought_the_cheapest_way_and_sent_on_as_one_parcel(seed: int) -> None:
    rng = random.Random(seed)
    base = a_network(rng, PLACES)
    network = with_lanes(base, lanes_to(rng, base, 1), terms=False)
    hub = network.places[network.index[1]]
    if any(not x.can_ship for x in network.places if x.home == hub.home) or hub.status != "active":
        return
    for number in range(15):
        free = stock_of(rng)
        order = msgspec.structs.replace(an_order(rng, number, PLACES), goods=None, excluded=None)
        lines = [line for line in order.lines if line.components is None and line.grams <= 1_600][:3]
        if not lines or len({line.sku_id for line in lines}) < len(lines):
            continue
        request = together(msgspec.structs.replace(order, lines=lines))
        found, least = plan(request, network, free), cheapest(request, network, free)
        if least is None:
            continue
        grams = sum(line.quantity * line.grams for line in lines)
        services = (1, 2) if request.service_id is None else (request.service_id,)
        offers = [network.tariff.quote(s, hub.state, request.to_state, grams) for s in services]
        prices = [offer.price for offer in offers if offer is not None]
        if prices:  # otherwise it is beyond what a carrier takes in one
            assert (found.cost, found.unplaced, found.packages) == (least + min(prices), [], 1)


@pytest.mark.parametrize("seed", range(12))
def test_nothing_comes_together_where_nothing_can_leave(seed: int) -> None:
    rng = random.Random(seed)
    base = a_network(rng, PLACES)
    lanes = with_lanes(base, lanes_to(rng, base, 1))
    closed = [msgspec.structs.replace(x, can_ship=False) if x.id == 1 else x for x in lanes.places]
    shut = Network(
        revision=1, places=closed, channels=lanes.channels, services=lanes.services, rates=lanes.rates,
        tariff=lanes.tariff, terms=lanes.terms, brought=lanes.brought,
    )  # fmt: skip
    for number in range(10):
        request = together(an_order(rng, number, PLACES))
        found = plan(request, shut, stock_of(rng))
        assert not found.assignments
        assert Replayer().again(record_json(found)) == record_json(found)
