"""Routing's filters, prices and fallbacks, one by one."""

import msgspec
import pytest

from malha.network.model import Rate
from malha.network.tariff import Tariff
from malha.platform.ids import UUID
from malha.routing.explaining import explain
from malha.routing.lanes import may_issue
from malha.routing.model import Door, Network, Place, Plan, Reason, Request, RequestLine
from malha.routing.records import read_record, replay
from malha.routing.rules import plan, record_json

ORDER = UUID(int=1)
ANYBODY = Door(id=1, location_ids=frozenset(), entity_id=None, entity_kind=None)
A_PLACE = Place(
    id=1, status="active", state="SP", can_ship=True, can_pickup=True, handling=100, line=10, daily_capacity=None,
    entity_id=1, entity_kind="own", priority=100,
)  # fmt: skip


def a_place(id_: int, state: str = "SP", **more) -> Place:
    return msgspec.structs.replace(A_PLACE, id=id_, state=state, **more)


def a_rate(price: int, *, service: int = 1, origin: str = "*", to: str = "*", grams: int = 30_000, **more) -> Rate:
    more = {"per_extra_kg": 0, "lead_days": 3, **more}
    return Rate(service_id=service, from_state=origin, to_state=to, max_grams=grams, price=price, **more)


def a_network(*places: Place, rates: list[Rate] | None = None, door: Door = ANYBODY) -> Network:
    rates = rates or [a_rate(1_000), a_rate(500, origin="SP", to="SP")]
    found: dict[int, list[tuple[int, int]]] = {}
    for rate in rates:
        found.setdefault(rate.service_id, []).append((rate.max_grams, rate.per_extra_kg))
    return Network(
        revision=1, places=sorted(places, key=lambda p: (p.priority, p.id)), channels={1: door},
        services=sorted(found), rates=found, tariff=Tariff(rates),
    )  # fmt: skip


def an_order(*lines: tuple[int, int], grams: int = 500, **more) -> Request:
    """Lines are (sku, quantity)."""
    wanted = [RequestLine(n, sku, quantity, grams) for n, (sku, quantity) in enumerate(lines, 1)]
    return Request(**{"order_id": ORDER, "channel_id": 1, "to_state": "SP", "lines": wanted, **more})


def reasons(found: Plan) -> dict[int, list[Reason]]:
    return {id_: [x.reason for x in told] for id_, told in explain(read_record(record_json(found))).obstacles.items()}


@pytest.mark.parametrize(
    ("place", "request_", "door", "reason"),
    [
        (a_place(2, status="paused"), {}, ANYBODY, Reason.PAUSED),
        (a_place(2, status="closed"), {}, ANYBODY, Reason.CLOSED),
        (a_place(2), {}, msgspec.structs.replace(ANYBODY, location_ids=frozenset({1})), Reason.CHANNEL),
        (
            a_place(2, entity_id=9, entity_kind="franchise"),
            {},
            msgspec.structs.replace(ANYBODY, entity_id=1, entity_kind="own"),
            Reason.ISSUER,
        ),
        (
            a_place(2, entity_id=9, entity_kind="franchise"),
            {},
            msgspec.structs.replace(ANYBODY, owner_ids=frozenset({1})),
            Reason.OWNER,
        ),
        (a_place(2, can_ship=False), {}, ANYBODY, Reason.METHOD),
        (a_place(2, can_pickup=False), {"method": "pickup", "pickup_location_id": 1}, ANYBODY, Reason.METHOD),
        (a_place(2), {"method": "pickup", "pickup_location_id": 1}, ANYBODY, Reason.ELSEWHERE),
        (a_place(2, state="AC"), {"service_id": 2}, ANYBODY, Reason.NO_SERVICE),
        (a_place(2, daily_capacity=7), {}, ANYBODY, Reason.CAPACITY),
        (a_place(2), {"excluded": {1: {2}}}, ANYBODY, Reason.EXCLUDED),
        (a_place(2, priority=1), {}, ANYBODY, None),
    ],
)
def test_a_location_that_may_not_serve_is_refused_for_its_reason_and_never_used(
    place: Place, request_: dict, door: Door, reason: Reason | None
):
    rates = [a_rate(1_000), a_rate(700, service=2, origin="SP")]
    network = a_network(a_place(1), place, rates=rates, door=door)
    free = {11: [5, 5]}
    found = plan(an_order((11, 1), **request_), network, free, [7, 7])
    assert reasons(found).get(2) == (None if reason is None else [reason])
    assert network.location_ids[found.assignments[0][1]] == (2 if reason is None else 1)


def test_too_few_units_are_told_with_how_many_there_were():
    network = a_network(a_place(1), a_place(2))
    found = plan(an_order((11, 3), (12, 1)), network, {11: [3, 2], 12: [1, 0]})
    told = explain(read_record(record_json(found))).obstacles[2]
    assert [(x.reason, x.line, x.free, x.asked) for x in told] == [(Reason.STOCK, 1, 2, 3), (Reason.STOCK, 2, 0, 1)]
    assert not found.unplaced


def test_a_sku_without_any_balance_is_unplaced():
    found = plan(an_order((11, 3), (99, 2)), a_network(a_place(1)), {11: [3]})
    assert found.assignments == [(1, 0, 3)]
    assert found.unplaced == [(2, 2)]


def test_without_any_open_location_everything_is_unplaced():
    found = plan(an_order((11, 3)), a_network(a_place(1, status="closed")), {11: [3]})
    assert (found.assignments, found.unplaced, found.cost, found.packages) == ([], [(1, 3)], 0, 0)


def test_a_cheaper_location_further_down_the_list_wins_and_equal_ones_go_by_priority_then_id():
    network = a_network(a_place(1, "RJ"), a_place(2, "SP"), a_place(3, "SP"), a_place(4, "SP", priority=5))
    assert network.location_ids == [4, 1, 2, 3]
    for stock, winner in (([1, 1, 1, 1], 4), ([0, 1, 1, 1], 2), ([0, 1, 0, 1], 3), ([0, 1, 0, 0], 1)):
        found = plan(an_order((11, 1)), network, {11: stock})
        assert network.location_ids[found.assignments[0][1]] == winner


def test_an_order_is_split_only_when_that_is_cheaper():
    network = a_network(a_place(1, "SP"), a_place(2, "SP"), a_place(3, "AM"), rates=[
        a_rate(500, origin="SP"), a_rate(5_000, origin="AM"),
    ])  # fmt: skip
    found = plan(an_order((11, 1), (12, 1)), network, {11: [1, 0, 1], 12: [0, 1, 1]})
    assert found.assignments == [(1, 0, 1), (2, 1, 1)]
    assert (found.cost, found.packages) == (2 * (500 + 100 + 10), 2)
    explained = explain(read_record(record_json(found)))
    assert [(o.location_ids, o.cost, o.packages) for o in explained.options] == [
        ((1, 2), 1_220, 2),
        ((3,), 5_120, 1),
    ]


def test_weight_decides_the_bracket_and_a_parcel_beyond_the_last_becomes_several():
    rates = [a_rate(100, grams=1_000), a_rate(300, grams=5_000)]
    network = a_network(a_place(1, handling=7, line=0), rates=rates)
    for units, cost, packages in ((2, 107, 1), (3, 307, 1), (10, 307, 1), (11, 414, 2), (25, 300 * 2 + 300 + 21, 3)):
        found = plan(an_order((11, units), grams=500), network, {11: [99]})
        assert (found.cost, found.packages) == (cost, packages), units


def test_a_unit_too_heavy_for_every_service_has_no_service_but_its_neighbour_travels():
    network = a_network(a_place(1), rates=[a_rate(100, grams=1_000)])
    lines = [RequestLine(1, 11, 1, 1_001), RequestLine(2, 12, 1, 1_000)]
    found = plan(an_order(lines=lines), network, {11: [5], 12: [5]})
    assert found.unplaced == [(1, 1)]
    assert found.assignments == [(2, 0, 1)]
    assert reasons(found) == {1: [Reason.NO_SERVICE]}


def test_every_started_kilogram_above_the_last_bracket_costs_extra_at_any_weight():
    network = a_network(a_place(1, handling=0, line=0), rates=[a_rate(100, grams=1_000, per_extra_kg=5)])
    for grams, cost in ((1_000, 100), (1_001, 105), (2_000, 105), (2_001, 110), (61_001, 405), (99_999, 595)):
        assert plan(an_order((11, 1), grams=grams), network, {11: [1]}).cost == cost, grams


def test_the_chosen_service_is_priced_else_the_cheapest_then_the_faster():
    rates = [
        a_rate(900, service=1, lead_days=9),
        a_rate(900, service=2, lead_days=4),
        a_rate(1_500, service=3, lead_days=1),
    ]
    network = a_network(a_place(1, handling=0, line=0), rates=rates)
    for service, cost, used, days in ((None, 900, 2, 4), (1, 900, 1, 9), (3, 1_500, 3, 1)):
        found = plan(an_order((11, 1), service_id=service), network, {11: [1]})
        assert (found.cost, found.parcels[0].service_id, found.lead_days) == (cost, used, days)


def test_a_pickup_costs_handling_and_lines_only_and_travels_nowhere():
    request = an_order((11, 1), (12, 1), method="pickup", pickup_location_id=2, to_state=None)
    found = plan(request, a_network(a_place(1), a_place(2)), {11: [9, 9], 12: [9, 9]})
    assert found.assignments == [(1, 1, 1), (2, 1, 1)]
    assert (found.cost, found.packages, found.lead_days) == (120, 1, None)


def test_a_quantity_no_location_has_is_split_over_as_few_as_possible():
    network = a_network(*(a_place(n) for n in range(1, 6)))
    found = plan(an_order((11, 10)), network, {11: [2, 3, 6, 1, 4]})
    assert found.assignments == [(1, 2, 6), (1, 4, 4)]
    found = plan(an_order((11, 20)), network, {11: [2, 3, 6, 1, 4]})
    assert sum(q for *_, q in found.assignments) == 16
    assert found.unplaced == [(1, 4)]


def test_the_rest_of_a_split_line_joins_a_parcel_that_leaves_anyway():
    network = a_network(a_place(1), a_place(2), a_place(3))
    found = plan(an_order((11, 1), (12, 7)), network, {11: [0, 0, 1], 12: [5, 5, 5]})
    assert found.assignments[0] == (1, 2, 1)
    assert {index for line, index, _ in found.assignments if line == 2} == {0, 2}
    assert found.packages == 2


def test_lines_of_the_same_sku_are_checked_on_their_sum():
    network = a_network(a_place(1), a_place(2))
    assert plan(an_order((11, 2), (11, 2)), network, {11: [4, 3]}).assignments == [(1, 0, 2), (2, 0, 2)]
    found = plan(an_order((11, 2), (11, 2)), network, {11: [3, 3]})
    assert sorted(index for _, index, _ in found.assignments) == [0, 1]
    found = plan(an_order((11, 2), (11, 2)), network, {11: [3, 0]})
    assert found.unplaced == [(2, 1)]


def test_the_components_of_a_kit_leave_one_location_together():
    network = a_network(a_place(1), a_place(2), a_place(3))
    lines = [RequestLine(1, 50, 2, 500, ((11, 2), (12, 1)))]
    free = {11: [9, 3, 4], 12: [1, 9, 2]}
    assert plan(an_order(lines=lines), network, free).assignments == [(1, 2, 2)]
    lines.append(RequestLine(2, 12, 1, 500))
    found = plan(an_order(lines=lines), network, free)
    assert found.assignments[0] == (1, 2, 2)
    assert found.assignments[1][1] != 2, "the kit took the last ones there"


def test_thirty_lines_over_scattered_stock_are_all_placed():
    network = a_network(*(a_place(n, handling=n) for n in range(1, 13)))
    lines = [(100 + n, 1) for n in range(30)]
    free = {100 + n: [1 if (n * 7 + p * 5) % 4 == 0 else 0 for p in range(12)] for n in range(30)}
    found = plan(an_order(*lines), network, free)
    assert [line for line, *_ in found.assignments] == list(range(1, 31))
    assert not found.unplaced
    assert found.packages <= 4
    assert not found.basis.exact


@pytest.mark.parametrize("skus", [400, 1])
def test_a_very_large_order_takes_what_there_is_and_not_more(skus: int):
    network = a_network(*(a_place(n, ("SP", "RJ", "PE")[n % 3]) for n in range(1, 41)))
    lines = [(100 + n % skus, 2) for n in range(400)]
    free = {100 + n: [(n * 3 + p * 5) % 7 for p in range(40)] for n in range(skus)}
    found = plan(an_order(*lines), network, free)
    left = {sku: list(units) for sku, units in free.items()}
    for line, index, quantity in found.assignments:
        left[lines[line - 1][0]][index] -= quantity
    assert all(units >= 0 for row in left.values() for units in row)
    placed = sum(quantity for *_, quantity in found.assignments)
    missing = sum(quantity for _, quantity in found.unplaced)
    assert placed + missing == 800
    assert missing == (0 if skus == 400 else 800 - sum(free[100]))
    replayed = replay(read_record(record_json(found)))
    assert (replayed.assignments, replayed.cost) == (found.assignments, found.cost)


@pytest.mark.parametrize(
    ("channel", "owner", "may"),
    [
        ((None, None), (2, "franchise"), True),
        ((1, "own"), (1, "own"), True),
        ((1, "own"), (2, "own"), True),
        ((1, "own"), (2, "operator"), True),
        ((1, "own"), (2, "franchise"), False),
        ((1, "own"), (2, "vendor"), False),
        ((1, "franchise"), (1, "franchise"), True),
        ((1, "franchise"), (2, "franchise"), False),
        ((1, "franchise"), (2, "own"), False),
    ],
)
def test_a_channel_sells_the_stock_of_its_own_company_or_group_only(channel, owner, may: bool):
    door = Door(id=1, location_ids=frozenset(), entity_id=channel[0], entity_kind=channel[1])
    assert may_issue(a_place(1, entity_id=owner[0], entity_kind=owner[1]), door) is may


def test_a_record_of_ten_locations_is_small():
    network = a_network(*(a_place(n) for n in range(1, 11)))
    found = plan(an_order((11, 1), (12, 1)), network, {11: [10] * 10, 12: [10] * 10})
    assert len(record_json(found)) < 600


def test_channels_that_may_use_the_same_locations_share_what_parcels_cost():
    network = a_network(a_place(1), a_place(2))
    network.channels[2] = msgspec.structs.replace(ANYBODY, id=2)
    network.channels[3] = msgspec.structs.replace(ANYBODY, id=3, location_ids=frozenset({2}))
    for channel in (1, 2, 3):
        plan(an_order((11, 1), channel_id=channel), network, {11: [1, 1]})
    assert len(network.lanes) == 3
    assert len(network.rows) == 2
