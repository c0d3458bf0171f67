"""Which vendor is asked for what a rule leaves: the named first, else the cheapest with its carriage; lines go whole."""

import pytest

from malha.inventory.vendors.model import Offer
from malha.network.model import Method, Rate, Service
from malha.network.snapshot import build_snapshot
from malha.routing.model import RequestLine
from malha.routing.ruling.dropping import Destination, Vendors

SP = Destination("ship", "SP", None)


def vendors(*offers: Offer) -> Vendors:
    service = Service(id=1, code="std", name="Standard", method=Method.SHIP, carrier="C", active=True, version=1)
    rates = [
        Rate(service_id=1, from_state="MG", to_state="*", max_grams=1000, price=1500, lead_days=4, per_extra_kg=0),
        Rate(service_id=1, from_state="PR", to_state="*", max_grams=1000, price=900, lead_days=2, per_extra_kg=0),
    ]
    known = build_snapshot(
        revision=1, establishments=[], locations=[], channels=[], services=[service], rates=rates, closures={}
    )
    found = Vendors(known)
    for offer in offers:
        found.offers[offer.sku_id] = (*found.offers.get(offer.sku_id, ()), offer)
    return found


def offer(sku: int, location: int, cost: int, *, lead: int = 1) -> Offer:
    state = "MG" if location == 1 else "PR"
    return Offer(sku, location, f"V{location}", state, cost, lead, "")


def line(number: int, sku: int, components: tuple[tuple[int, int], ...] | None = None, grams: int = 100) -> RequestLine:
    return RequestLine(number, sku, 5, grams, components)


def test_the_cheapest_with_its_carriage_is_asked_and_a_rule_may_name_another_first() -> None:
    known = vendors(offer(7, 1, 1000), offer(7, 2, 1100))
    (one,) = known.take([], [line(1, 7)], [(1, 3)], SP)  # 3 x 1000 + 1500 against 3 x 1100 + 900
    assert (one.location, one.units, one.cost, one.days, one.freight) == (2, 3, 1100, 2, 900)
    (one,) = known.take([], [line(1, 7)], [(1, 9)], SP)
    assert one.location == 1
    (one,) = known.take(["V1", "V2"], [line(1, 7)], [(1, 3)], SP)
    assert one.location == 1
    assert known.take(["V9"], [line(1, 7)], [(1, 3)], SP) == []


def test_a_kit_is_sent_by_who_has_all_of_it_and_costs_what_its_parts_do() -> None:
    known = vendors(offer(7, 1, 1000, lead=5), offer(8, 1, 200), offer(7, 2, 10))
    (one,) = known.take([], [line(1, 9, ((7, 1), (8, 3)))], [(1, 2)], SP)
    assert (one.location, one.cost, one.lead_days, one.units) == (1, 1600, 5, 2)


@pytest.mark.parametrize(
    "to",
    [
        Destination("pickup", None, None),
        Destination("ship", None, None),
        Destination("ship", "SP", 99),
        Destination("ship", "SP", None, {1: {2}}),
    ],
    ids=["fetched", "nowhere", "a service that does not go", "who refused before"],
)
def test_nobody_is_asked_where_nobody_can_send_it(to: Destination) -> None:
    assert vendors(offer(7, 2, 10)).take([], [line(1, 7)], [(1, 1)], to) == []


def test_what_is_too_heavy_for_one_parcel_goes_unit_by_unit_and_a_unit_too_heavy_not_at_all() -> None:
    known = vendors(offer(7, 2, 10))
    (one,) = known.take([], [line(1, 7, grams=600)], [(1, 3)], SP)
    assert one.freight == 2700
    assert known.take([], [line(1, 7, grams=1200)], [(1, 3)], SP) == []
