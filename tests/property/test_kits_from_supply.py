"""Kits promised from what is there and what comes: against counting by hand, and never more than there is."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from malha.intake.covering import Covering, Wanted, by_line
from malha.inventory.ahead.model import Mode, NewClaim, Policy
from malha.network.model import Rate
from malha.network.tariff import Tariff
from malha.platform.ids import UUID
from malha.routing.model import Door, Network, Place, Request, RequestLine

TODAY = date(2026, 11, 27)
SKUS = (11, 12, 13)
PLACES = (1, 2, 3)
ROOMY = 1_000_000


class Kit:
    """A kit, as `Covering` looks at it: of some of its components more may come."""

    def __init__(self, id_: int, components: dict[int, int], policies: dict[int, Policy]) -> None:
        self.id = id_
        self.components = tuple(sorted(components.items()))
        self.ahead: tuple[Policy, ...] = ()
        self.parts_ahead = {sku: (policies[sku],) for sku in components if sku in policies}


def a_network() -> Network:
    places = [
        Place(
            id=id_, status="active", state="SP", can_ship=True, can_pickup=True, handling=100, line=10,
            daily_capacity=None, entity_id=1, entity_kind="own", priority=100,
        )
        for id_ in PLACES
    ]  # fmt: skip
    rates = [Rate(service_id=1, from_state="*", to_state="*", max_grams=10**9, price=900, per_extra_kg=0, lead_days=3)]
    return Network(
        revision=1,
        places=places,
        channels={1: Door(id=1, location_ids=frozenset(), entity_id=None, entity_kind=None)},
        services=[1],
        rates={1: [(10**9, 0)]},
        tariff=Tariff(rates),
    )


NETWORK = a_network()


@st.composite
def worlds(draw, capped=False):
    """What is there, what comes (some of it too late, or overdue), policies, and one to three lines of kits or SKUs."""
    policies = {
        sku: Policy(sku, None, Mode.BACKORDER, horizon_days=draw(st.sampled_from([None, 6])), handling_days=sku % 3)
        for sku in SKUS
        if draw(st.integers(0, 3))
    }
    there = {sku: {place: draw(st.integers(0, 6)) for place in PLACES} for sku in SKUS}
    lines = [
        (n, sku, place, TODAY + timedelta(days=days), units, draw(st.integers(0, units)))
        for n, (sku, place, days, units) in enumerate(
            draw(
                st.lists(
                    st.tuples(st.sampled_from(SKUS), st.sampled_from(PLACES), st.integers(-1, 9), st.integers(1, 8)),
                    max_size=9,
                )
            ),
            1,
        )
    ]
    room = {sku: draw(st.integers(0, 9)) if capped else ROOMY for sku in policies}
    kits = draw(
        st.lists(
            st.tuples(
                st.dictionaries(st.sampled_from(SKUS), st.integers(1, 3), min_size=1, max_size=3), st.integers(1, 9)
            ),
            min_size=1,
            max_size=3,
        )
    )
    return policies, there, lines, room, kits


def planned(policies, there, lines, room, kits) -> list[NewClaim]:
    covering = Covering(NETWORK, TODAY)
    covering.stand(lines, room.items())
    wanted: dict[int, Wanted] = {}
    rows = []
    for n, (components, quantity) in enumerate(kits, 1):
        want = covering.wanted(Kit(90 + n, components, policies), quantity, 1)
        if want is not None:
            wanted[n] = want
            rows.append(RequestLine(n, 90 + n, quantity, 100, tuple(sorted(components.items()))))
    request = Request(order_id=UUID(int=1), channel_id=1, to_state="SP", lines=rows)
    return covering.plan(request, wanted, None, there) if wanted else []


def comes(policies, lines, sku, place, day) -> int:
    """Return what of a SKU may come to a place by a day."""
    if sku not in policies:
        return 0
    horizon = policies[sku].horizon_days
    last = day if horizon is None else min(day, TODAY + timedelta(days=horizon))
    return sum(
        units - promised for _, s, p, eta, units, promised in lines if (s, p) == (sku, place) and TODAY <= eta <= last
    )


@given(worlds(capped=True))
def test_kits_are_claimed_whole_and_never_from_more_than_there_is(world):
    policies, there, lines, room, kits = world
    claims = planned(*world)
    sold = by_line(claims)
    by_place: dict[tuple[int, int, int], int] = {}
    supply: dict[int, int] = {}
    drawn: dict[tuple[int, int], int] = {}
    waiting: dict[int, int] = {}
    for c in claims:
        assert c.quantity > 0
        by_place[c.line, c.location_id, c.sku_id] = by_place.get((c.line, c.location_id, c.sku_id), 0) + c.quantity
        if c.supply_id is None:
            drawn[c.sku_id, c.location_id] = drawn.get((c.sku_id, c.location_id), 0) + c.quantity
        else:
            supply[c.supply_id] = supply.get(c.supply_id, 0) + c.quantity
            waiting[c.policy_id or 0] = waiting.get(c.policy_id or 0, 0) + c.quantity
    for n, (components, quantity) in enumerate(kits, 1):
        assert sold.get(n, 0) <= quantity
        for place in PLACES:
            made = {by_place.get((n, place, sku), 0) / per for sku, per in components.items()}
            assert len(made) == 1
            assert made.pop().is_integer()
    rows = {id_: (sku, place, eta, units - promised) for id_, sku, place, eta, units, promised in lines}
    assert all(units <= rows[id_][3] for id_, units in supply.items())
    assert all(units <= there[sku][place] for (sku, place), units in drawn.items())
    assert all(units <= room[policy] for policy, units in waiting.items())
    for c in claims:
        if c.supply_id is not None:
            sku, place, eta, _ = rows[c.supply_id]
            assert (c.sku_id, c.location_id, c.eta) == (sku, place, eta)
            assert comes(policies, lines, sku, place, eta) > 0  # neither overdue nor beyond the horizon


@given(worlds())
def test_one_kit_is_promised_for_the_earliest_days_there_are(world):
    policies, there, lines, _, kits = world
    components, quantity = kits[0]
    claims = planned(policies, there, lines, dict.fromkeys(policies, ROOMY), kits[:1])
    days = sorted({TODAY + timedelta(days=n) for n in range(-1, 10)})

    def most(day) -> int:
        """Return by counting how many kits all places can make by a day."""
        return sum(
            min((there[sku][place] + comes(policies, lines, sku, place, day)) // per for sku, per in components.items())
            for place in PLACES
        )

    assert by_line(claims).get(1, 0) <= quantity
    for day in days:
        # Kits of which everything is there by that day: those of whose components no unit comes later.
        by_day: dict[int, int] = {}
        for sku, per in components.items():
            units = sum(c.quantity for c in claims if c.sku_id == sku and (c.supply_id is None or c.eta <= day))
            by_day[sku] = units // per
        opened = any(comes(policies, lines, sku, place, day) for sku in components for place in PLACES)
        if opened:
            assert min(by_day.values()) >= min(quantity, most(day)), day


@given(worlds())
def test_what_is_offered_of_a_kit_is_what_an_order_for_all_of_it_gets(world):
    policies, there, lines, room, kits = world
    components, _ = kits[0]
    kit = Kit(91, components, policies)
    covering = Covering(NETWORK, TODAY)
    covering.stand(lines, room.items())
    # What is there makes kits already: they are available, and what they leave is offered with what comes.
    left = {sku: dict(row) for sku, row in there.items()}
    for place in PLACES:
        whole = min(left[sku][place] // per for sku, per in components.items())
        for sku, per in components.items():
            left[sku][place] -= whole * per
    offered = covering.offers(kit, 1, PLACES, left, {})
    assert offered == sorted(offered)
    promised = sum(units for _, units in offered)
    claims = planned(policies, left, lines, room, [(components, promised or 1)])
    assert by_line(claims).get(1, 0) == promised
    if promised:
        last = max(c.eta for c in claims if c.supply_id is not None)
        assert max(day for day, _ in offered) == last
