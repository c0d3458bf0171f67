"""Where only locations whose day is full have the goods, rules ask them too: each rule by the numbers of its own lane."""

import random
import sys
from pathlib import Path

import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from test_goods_together_on_paper import World, together

from malha.routing.model import Network, Plan
from malha.routing.records import read_record
from malha.routing.replaying import Replayer
from malha.routing.rules import plan, record_json


def crowded(world: World) -> tuple[Network, list[int]]:
    """Return the network with days that fill, and what each location has already."""
    places = [msgspec.structs.replace(x, daily_capacity=world.pick.choice((None, 3, 0))) for x in world.places]
    network = world.network
    made = Network(
        revision=network.revision, places=places, channels=network.channels, services=network.services,
        rates=network.rates, tariff=network.tariff, terms=network.terms, brought=network.brought,
    )  # fmt: skip
    return made, [world.pick.choice((0, 3, 5)) for _ in places]


def by_rules(world: World, network: Network, taken: list[int], hub: str) -> Plan:
    lines, to = world.an_order()
    request = world.request(lines, to, together(hub))
    return plan(request, network, world.stock, taken)


@pytest.mark.parametrize("seed", range(60))
def test_a_full_location_that_is_asked_all_the_same_is_one_that_is_full(seed: int) -> None:
    # Few places ship, so that the lane of a rule by which goods come together numbers its locations otherwise.
    world = World(seed, 7, all_ship=False)
    network, taken = crowded(world)
    for _ in range(12):
        found = by_rules(world, network, taken, f"L{10 + random.Random(seed).randrange(7)}")
        ids = read_record(record_json(found)).location_ids()
        asked = {}
        for position, had, cap in found.basis.later:
            index = network.index[ids[position]]
            assert (had, cap) == (taken[index], network.places[index].daily_capacity)
            assert had >= cap > 0
            asked[index] = cap
        for parcel in found.parcels:
            cap = network.places[parcel.index].daily_capacity
            assert cap is None or taken[parcel.index] < cap or parcel.index in asked
        assert Replayer().again(record_json(found)) == record_json(found)
