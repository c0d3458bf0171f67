"""A line that goes in parts is not left without what other lines can have elsewhere."""

from malha.network.model import Rate
from malha.network.tariff import Tariff
from malha.platform.ids import UUID
from malha.routing.model import Door, Network, Place, Request, RequestLine
from malha.routing.records import read_record, replay
from malha.routing.rules import plan, record_json

ORDER = UUID("00000000-0000-0000-0000-000000000007")


def a_network(*capacities: int | None) -> Network:
    places = [
        Place(
            id=n, status="active", state="SP", can_ship=True, can_pickup=True, handling=0, line=0,
            daily_capacity=capacity, entity_id=1, entity_kind="own", priority=10,
        )
        for n, capacity in enumerate(capacities, 1)
    ]  # fmt: skip
    rates = [Rate(service_id=1, from_state="*", to_state="*", max_grams=500, price=0, per_extra_kg=0, lead_days=0)]
    return Network(
        revision=1,
        places=places,
        channels={1: Door(id=1, location_ids=frozenset(), entity_id=None, entity_kind=None)},
        services=[1],
        rates={1: [(500, 0)]},
        tariff=Tariff(rates),
    )


KITS = RequestLine(4, 99, 2, 0, ((11, 1), (12, 2)))
SINGLE = [
    RequestLine(1, 98, 1, 0, ((11, 1),)), RequestLine(2, 11, 1, 0), RequestLine(3, 97, 1, 0, ((12, 1),)),
    RequestLine(5, 11, 1, 0),
]  # fmt: skip


def test_a_kit_has_what_single_units_can_have_elsewhere() -> None:
    """Only the third place can make a kit, and one of the two; the others come from where nothing else is."""
    network = a_network(None, None, None)
    free = {11: [0, 3, 3], 12: [3, 0, 3]}
    request = Request(order_id=ORDER, channel_id=1, to_state="BA", lines=[*SINGLE[:3], KITS, SINGLE[3]])
    found = plan(request, network, free)
    assert found.unplaced == [(4, 1)]
    assert (4, 2, 1) in found.assignments
    assert not found.basis.exact
    again = replay(read_record(record_json(found)))
    assert (again.unplaced, again.cost) == (found.unplaced, found.cost)


def test_it_waits_for_the_next_day_of_who_alone_can_make_it() -> None:
    network = a_network(None, None, 3)
    free = {11: [0, 3, 3], 12: [3, 0, 3]}
    request = Request(order_id=ORDER, channel_id=1, to_state="BA", lines=[*SINGLE[:3], KITS, SINGLE[3]])
    found = plan(request, network, free, [0, 0, 3])
    assert found.unplaced == [(4, 1)]
    assert (4, 2, 1) in found.assignments
