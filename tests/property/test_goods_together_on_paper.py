"""An order decided the other way on paper goes as the planner would have sent it, to the centavo, or it says why not."""

import random
from datetime import UTC, datetime

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from test_simulation_worlds import STATES, rules_over

from malha.network.model import Rate
from malha.network.tariff import Tariff
from malha.platform.ids import UUID
from malha.routing.model import Door, Network, Place, Plan, Request, RequestLine
from malha.routing.records import read_record
from malha.routing.records import replay as replay_of
from malha.routing.rules import plan, record_json
from malha.routing.ruling.model import Content, Facts, Rule, Run, Unfilled, Where
from malha.routing.terms import Goods, Taxes, TaxRate, Terms
from malha.simulation import rules as simulation_rules
from malha.simulation.model import At, Decided, Freight, Scenario, Site, Unknown
from malha.simulation.rules import Leads, OnPaper, Replay
from malha.simulation.together import Ways

APART = Content(runs=[Run(name="All", rules=[Rule(name="cheapest")])])
NOBODY = Content(runs=[])
AT = datetime(2026, 11, 2, tzinfo=UTC)


def together(hub: str, **more) -> Content:
    return Content(runs=[Run(name="All", rules=[Rule(name="in one", merge_at=hub, **more), Rule(name="cheapest")])])


class World:
    """A network with ways to its places, and what is in stock for one order at a time."""

    def __init__(
        self, seed: int, locations: int, *, all_ship: bool = True, taxed: bool = False, revision: int = 1
    ) -> None:
        self.pick = pick = random.Random(seed)
        rates = [
            Rate(service_id=1, from_state=a, to_state=b, max_grams=grams, price=pick.randrange(500, 3000) + grams // 10,
                 per_extra_kg=100, lead_days=pick.randrange(1, 9))
            for a in STATES for b in STATES for grams in (1_000, 5_000)
        ]  # fmt: skip
        self.tariff = Tariff(rates)
        self.places = [
            Place(id=10 + n, status="active", state=STATES[n % 3], can_ship=all_ship or n % 3 != 2, can_pickup=True,
                  handling=pick.randrange(300), line=pick.randrange(50), daily_capacity=None, entity_id=1,
                  entity_kind="own", priority=100)
            for n in range(locations)
        ]  # fmt: skip
        terms = Terms(
            split=pick.choice((0, 200)),
            cartons=pick.choice(((), ((1_000, 80), (5_000, 150)))),
            risks={10 + n: (pick.randrange(90), pick.randrange(90)) for n in range(0, locations, 2)},
            taxes=Taxes({(a, "*", ""): TaxRate(pick.randrange(1_500)) for a in STATES} if taxed else {}),
        )
        brought = {
            hub.id: {
                place.id: (pick.randrange(400), pick.randrange(1, 4))
                for place in self.places
                if place.id != hub.id and pick.random() < 0.7
            }
            for hub in self.places
        }
        self.network = Network(
            revision=revision, places=self.places, services=[1], tariff=self.tariff, terms=terms, brought=brought,
            channels={1: Door(id=1, location_ids=frozenset(), entity_id=None, entity_kind=None)},
            rates={1: [(rate.max_grams, rate.per_extra_kg) for rate in rates]},
        )  # fmt: skip
        self.stock = {sku: [pick.choice((0, 0, 2, 5)) for _ in self.places] for sku in range(1, 4)}
        self.sites = {p.id: Site(p.id, f"L{p.id}", p.state, None, p.home) for p in self.places}

    def rules(self, content: Content):
        return rules_over(content, self.places)

    def planned(self, lines: list[RequestLine], to: str, content: Content) -> Plan:
        """Return what the planner does with an order in this moment, by some rules."""
        return plan(self.request(lines, to, content), self.network, self.stock)

    def request(self, lines: list[RequestLine], to: str, content: Content) -> Request:
        """Return an order that is decided by some rules."""
        facts = Facts(
            channel="web", method="ship", to_state=to, postal_code=None, customer_group=None, value=0, units=0, grams=0,
            skus=[line.sku_id for line in lines], at=AT,
        )  # fmt: skip
        goods = {line.line: Goods(1_000 + 300 * line.line, "1234", ()) for line in lines}
        return Request(
            order_id=UUID(int=1), channel_id=1, to_state=to, lines=lines, goods=goods,
            under=self.rules(content).under(facts, {}),
        )  # fmt: skip

    def an_order(self) -> tuple[list[RequestLine], str]:
        wanted = self.pick.sample((1, 2, 3), self.pick.randrange(1, 4))
        lines = [RequestLine(n, sku, self.pick.randrange(1, 3), 450) for n, sku in enumerate(wanted, 1)]
        return lines, self.pick.choice(STATES)

    def replay(self, content: Content | None, scenario: Scenario | None = None) -> Replay:
        leads = Leads(self.tariff, [1])
        paper = None if content is None else OnPaper(self.rules(content), {1: "web"}, None)
        homes = {site.id: site.home for site in self.sites.values()}
        return Replay(scenario or Scenario(), self.sites, leads, paper, None, Ways(self.network, homes))


def decided(made: Plan, to: str) -> Decided:
    return Decided(UUID(int=1), "1", AT, AT.date(), to, 1, record_json(made).decode(), asked="[0,null,null]")


def sent(world: World, made: Plan) -> list[str]:
    found = {f"L{world.network.location_ids[parcel.index]}" for parcel in made.parcels}
    if made.basis.onward is not None:
        found.add(f"L{made.basis.onward.location}")
    return sorted(found)


def same(world: World, replay: Replay, past: Decided, wanted: Plan, before: Plan) -> bool:
    """Tell whether it could be told; if so it is what the planner does."""
    told = replay.step(past)
    assert told is not None
    result = replay.finish()
    unknown = {} if result.together is None else result.together.unknown
    if unknown:
        assert (told.after.cost, told.after.locations) == (told.before.cost, told.before.locations)
        assert sum(unknown.values()) == len(result.together.kept) == 1
        assert result.moved == 0
        return False
    assert told.before.cost == before.cost
    assert told.after.cost == wanted.cost
    assert told.after.packages == (wanted.packages if wanted.parcels else 0)
    assert told.after.locations == sent(world, wanted)
    assert sum(x.cost for x in result.after.locations.values()) == told.after.cost
    for order in replay.moved():
        record = read_record(order.record)
        assert (record.cost, record.network) == (wanted.cost, world.network.revision)
        again = replay_of(record)
        assert (again.cost, again.packages) == (record.cost, wanted.packages)
    return True


WORLDS = st.tuples(st.integers(0, 100_000), st.integers(2, 6))
HUBS = st.integers(0, 5)
ENDINGS = st.sampled_from([Unfilled.NEXT, Unfilled.QUEUE, Unfilled.BACKORDER, Unfilled.DROP_SHIP])


def closed_place(shape: tuple[int, int], hub: int) -> World:
    """Return a world in which a location is closed."""
    other = World(*shape)
    other.places[hub] = msgspec.structs.replace(other.places[hub], status="closed")
    known = other.network
    other.network = Network(
        revision=1, places=other.places, services=[1], tariff=other.tariff, terms=known.terms, brought=known.brought,
        channels=known.channels, rates={1: [(1_000, 100), (5_000, 100)]},
    )  # fmt: skip
    return other


@settings(max_examples=150, deadline=None)
@given(WORLDS, HUBS, ENDINGS, st.booleans())
def test_where_the_place_is_closed_the_ending_of_the_rule_decides(shape, hub, unfilled, then):
    """Closed on paper (all known), or closed then: told as the planner would, or not told."""
    world = World(*shape)
    hub %= len(world.places)
    content = together(f"L{10 + hub}", unfilled=unfilled)
    lines, to = world.an_order()
    closed = closed_place(shape, hub)
    closed.an_order()
    closed.stock = world.stock
    wanted = closed.planned(lines, to, content)
    before = (closed if then else world).planned(lines, to, NOBODY)
    scenario = None if then else Scenario(locations=[At(location=f"L{10 + hub}", closed=True)])
    same(closed, (closed if then else world).replay(content, scenario), decided(before, to), wanted, before)


@settings(max_examples=150, deadline=None)
@given(WORLDS, HUBS, st.booleans(), ENDINGS)
def test_an_order_that_left_apart_comes_together_on_paper_as_it_would_have(shape, hub, taxed, unfilled):
    world = World(*shape, taxed=taxed)
    content = together(f"L{10 + hub % len(world.places)}", unfilled=unfilled)
    lines, to = world.an_order()
    before, wanted = world.planned(lines, to, NOBODY), world.planned(lines, to, content)
    told = same(world, world.replay(content), decided(before, to), wanted, before)
    assert told or before.unplaced or not before.basis.exact  # all it needs was looked at


@settings(max_examples=150, deadline=None)
@given(WORLDS, HUBS, st.booleans())
def test_where_stock_was_not_looked_at_it_is_told_or_said_that_it_is_not_known_and_never_guessed(shape, hub, taxed):
    world = World(*shape, all_ship=False, taxed=taxed)
    content = together(f"L{10 + hub % len(world.places)}")
    lines, to = world.an_order()
    before, wanted = world.planned(lines, to, NOBODY), world.planned(lines, to, content)
    same(world, world.replay(content), decided(before, to), wanted, before)


@settings(max_examples=150, deadline=None)
@given(WORLDS, HUBS, st.booleans(), st.booleans())
def test_an_order_that_came_together_leaves_apart_on_paper_as_it_would_have(shape, hub, all_ship, ruled):
    world = World(*shape, all_ship=all_ship)
    content = together(f"L{10 + hub % len(world.places)}")
    without = APART if ruled else NOBODY
    lines, to = world.an_order()
    before, wanted = world.planned(lines, to, content), world.planned(lines, to, without)
    same(world, world.replay(without), decided(before, to), wanted, before)


@settings(max_examples=80, deadline=None)
@given(WORLDS, HUBS)
def test_by_the_same_rules_it_goes_as_it_went_whatever_was_changed_since(shape, hub):
    world = World(*shape)
    content = together(f"L{10 + hub % len(world.places)}")
    lines, to = world.an_order()
    before = world.planned(lines, to, content)
    world.network.revision += 1
    assert same(world, world.replay(content), decided(before, to), before, before)
    nothing = world.replay(None)
    assert same(world, nothing, decided(before, to), before, before)


def test_what_left_together_is_not_told_apart_once_the_network_changed():
    world = World(1, 4)
    world.stock = {sku: [5, 5, 5, 5] for sku in world.stock}
    lines, to = [RequestLine(1, 1, 1, 450), RequestLine(2, 2, 1, 450)], "SP"
    before = world.planned(lines, to, together("L10"))
    assert before.basis.onward is not None
    world.network.revision += 1
    replay = world.replay(APART)
    replay.step(decided(before, to))
    found = replay.finish().together
    assert (found.before, found.after, found.unknown) == (1, 1, {Unknown.NETWORK: 1})
    assert [(kept.number, kept.why) for kept in found.kept] == [("1", Unknown.NETWORK)]


def test_ways_of_today_are_said_to_be_todays():
    world = World(1, 4)
    world.stock = {sku: [5, 5, 5, 5] for sku in world.stock}
    lines, to = [RequestLine(1, 1, 1, 450)], "SP"
    before = world.planned(lines, to, NOBODY)
    for revision, said in ((1, 0), (2, 1)):
        world.network.revision = revision
        replay = world.replay(together("L10"))
        replay.step(decided(before, to))
        found = replay.finish().together
        assert (found.before, found.after, found.today, found.unknown) == (0, 1, said, {})


@settings(max_examples=80, deadline=None)
@given(WORLDS, HUBS, st.integers(1, 300), st.integers(0, 500))
def test_other_costs_of_places_and_carriage_count_at_both_ends(shape, hub, percent, handling):
    """Carriage and work on paper are those of a network in which they are so."""
    world = World(*shape)
    code = f"L{10 + hub % len(world.places)}"
    content = together(code)
    lines, to = world.an_order()
    before = world.planned(lines, to, content)
    scenario = Scenario(locations=[At(location=code, handling=handling)], freight=[Freight(percent=percent)])
    told = world.replay(None, scenario).step(decided(before, to))
    other = World(*shape)
    other.an_order()
    place = next(n for n, p in enumerate(other.places) if f"L{p.id}" == code)
    other.places[place] = msgspec.structs.replace(other.places[place], handling=handling)
    ways = {
        to_id: {from_id: ((price * percent + 50) // 100, days) for from_id, (price, days) in lanes.items()}
        for to_id, lanes in world.network.brought.items()
    }
    other.network = Network(
        revision=1, places=other.places, services=[1], tariff=other.tariff, terms=other.network.terms, brought=ways,
        channels=other.network.channels, rates=other.network.rates,
    )  # fmt: skip
    wanted = other.planned(lines, to, content)
    if before.basis.onward is None or wanted.basis.onward is None:
        return
    onward = wanted.basis.onward
    assert told.after.cost == wanted.cost - onward.freight + (onward.freight * percent + 50) // 100
    assert told.after.locations == sent(other, wanted)


def test_a_closed_place_has_nothing_come_together():
    world = World(1, 4)
    world.stock = {sku: [5, 5, 5, 5] for sku in world.stock}
    lines, to = [RequestLine(1, 1, 1, 450), RequestLine(2, 2, 1, 450)], "SP"
    past = decided(world.planned(lines, to, NOBODY), to)
    replay = world.replay(together("L10"), Scenario(locations=[At(location="L10", closed=True)]))
    told = replay.step(past)
    assert "L10" not in told.after.locations
    assert told.after.together is None
    stopping = Rule(name="only there", merge_at="L10", unfilled=Unfilled.QUEUE, where=Where())
    rules = Content(runs=[Run(name="All", rules=[stopping])])
    assert world.replay(rules).step(past).after.together == "L10"
    told = world.replay(rules, Scenario(locations=[At(location="L10", closed=True)])).step(past)
    assert (told.after.locations, told.after.units) == ([], 0)


def test_an_order_that_nobody_would_carry_from_the_place_today_stays_as_it_was():
    world = World(1, 4)
    world.stock = {sku: [5, 5, 5, 5] for sku in world.stock}
    before = world.planned([RequestLine(1, 1, 1, 450), RequestLine(2, 2, 1, 450)], "SP", NOBODY)
    world.tariff = Tariff([])
    replay = world.replay(together("L10"))
    told = replay.step(decided(before, "SP"))
    assert told.after == told.before
    assert replay.finish().together.unknown == {Unknown.CARRIAGE: 1}


def test_lanes_that_are_forgotten_between_orders_change_nothing(monkeypatch):
    def all_told() -> list:
        found = []
        world = World(3, 5)
        replay = world.replay(together("L11"))
        for seed in range(30):
            world.stock = {
                sku: [random.Random(seed * 7 + sku + n).choice((2, 5)) for n in range(5)] for sku in (1, 2, 3)
            }
            lines, to = world.an_order()
            found.append(replay.step(decided(world.planned(lines, to, NOBODY), to))[1:])
        assert len(replay._lanes) <= max(most + 2, 2)
        return found

    most = simulation_rules.MOST_LANES
    kept = all_told()
    most = 1
    monkeypatch.setattr(simulation_rules, "MOST_LANES", most)
    assert all_told() == kept


def test_what_a_closed_place_brought_together_stays_as_it_was_for_nobody_knows_the_next_rule():
    world = World(1, 4)
    world.stock = {sku: [5, 5, 5, 5] for sku in world.stock}
    before = world.planned([RequestLine(1, 1, 1, 450), RequestLine(2, 2, 1, 450)], "SP", together("L10"))
    replay = world.replay(None, Scenario(locations=[At(location="L10", closed=True)]))
    told = replay.step(decided(before, "SP"))
    assert (told.after, told.after.together) == (told.before, "L10")
    assert replay.finish().together.unknown == {Unknown.NEXT: 1}
