"""Prices of stock: the programmes behind them against every plan there is, and the certificate of their bound."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from malha.routing.pricing.baskets import Baskets, apart_if_cheaper, cheapest_plans, costs_of, separable, stack
from malha.routing.pricing.closed_form import chance_of_at_least, closed_form
from malha.routing.pricing.columns import Configurations, counts_of
from malha.routing.pricing.waves import plan_wave, priced

LOCATIONS, SKUS = 2, 3
LOST = 1_000.0


@st.composite
def groups(draw, most: int = 3) -> dict[int, Baskets]:
    """Baskets of one and two lines; parcels may cost anything, as tariffs with weight brackets do, or go apart."""
    found = {}
    for n in draw(st.sets(st.integers(1, 2), min_size=1)):
        m = draw(st.integers(1, most))
        money = st.integers(1, 30)
        parcels = np.zeros((1 << n, m, LOCATIONS + 1))
        for s in range(1, 1 << n):
            for basket in range(m):
                parcels[s, basket, :LOCATIONS] = [draw(money) for _ in range(LOCATIONS)]
                parcels[s, basket, LOCATIONS] = LOST * s.bit_count()
        skus = np.array([draw(st.permutations(range(SKUS)))[:n] for _ in range(m)], dtype=np.int64)
        units = np.array([[draw(st.integers(1, 2)) for _ in range(n)] for _ in range(m)], dtype=np.int64)
        found[n] = apart_if_cheaper(Baskets(parcels, skus, units))
    return found


stocks = st.lists(st.lists(st.integers(0, 3), min_size=SKUS, max_size=SKUS), min_size=LOCATIONS, max_size=LOCATIONS)
prices = st.lists(st.lists(st.integers(0, 9), min_size=SKUS, max_size=SKUS), min_size=LOCATIONS, max_size=LOCATIONS)


def cost_of(group: Baskets, basket: int, at: tuple[int, ...]) -> float:
    """One parcel for each location: what the programme may find, written down."""
    total = 0.0
    for location in set(at):
        subset = sum(1 << k for k, other in enumerate(at) if other == location)
        total += group.parcels[subset, basket, location]
    return total


def cheapest_by_hand(group: Baskets, basket: int, worth: np.ndarray, closed: np.ndarray) -> float:
    """Every way to part the lines into parcels, two from one location included."""
    n = group.lines
    best = np.inf
    for at in product(range(LOCATIONS + 1), repeat=n):
        if any(closed[location, group.skus[basket, k]] for k, location in enumerate(at)):
            continue
        extra = sum(worth[location, group.skus[basket, k]] * group.units[basket, k] for k, location in enumerate(at))
        apart = sum(group.parcels[1 << k, basket, location] for k, location in enumerate(at))
        best = min(best, extra + min(cost_of(group, basket, at), apart))
    return best


def closed_by(stock: np.ndarray) -> np.ndarray:
    return np.vstack([stock <= 0, np.zeros((1, SKUS), dtype=bool)])


@given(groups(), stocks, prices)
def test_the_cheapest_plans_of_many_baskets_are_those_of_every_plan_there_is(found, stock, price):
    worth = np.vstack([np.array(price, dtype=float), np.zeros((1, SKUS))])
    closed = closed_by(np.array(stock))
    for group in found.values():
        plans = cheapest_plans(group, worth, closed)
        for basket in range(len(group)):
            assert plans.costs[basket] == cheapest_by_hand(group, basket, worth, closed)


@given(groups())
def test_a_plan_costs_one_parcel_for_each_location_it_uses(found):
    for group in found.values():
        for at in product(range(LOCATIONS + 1), repeat=group.lines):
            which = np.arange(len(group))
            costs = costs_of(group, which, np.tile(np.array(at), (len(group), 1)))
            assert costs.tolist() == [cost_of(group, basket, at) for basket in which]


def every_whole_solution(found: dict[int, Baskets], stock: np.ndarray):
    """Return (cost, lost lines) of every choice of plans that the stock covers."""
    baskets = [(n, basket) for n, group in found.items() for basket in range(len(group))]
    ways = [list(product(range(LOCATIONS + 1), repeat=n)) for n, _ in baskets]
    for chosen in product(*ways):
        left = stock.copy()
        cost, lost = 0.0, 0
        for (n, basket), at in zip(baskets, chosen, strict=True):
            group = found[n]
            cost += cost_of(group, basket, at)
            for k, location in enumerate(at):
                if location == LOCATIONS:
                    lost += 1
                else:
                    left[location, group.skus[basket, k]] -= group.units[basket, k]
        if (left >= 0).all():
            yield cost, lost


@settings(max_examples=40, deadline=None)
@given(groups(most=2), stocks)
def test_no_whole_plans_cost_less_than_the_bound_and_a_wave_finds_some_that_hardly_cost_more(found, stock):
    units = np.array(stock, dtype=float)
    solved = Configurations(found, (LOCATIONS, SKUS)).solve(counts_of(found), units, tolerance=1e-6, rounds=60)
    assert solved.bound <= solved.objective + 1e-6
    assert solved.gap <= 1e-5
    every = list(every_whole_solution(found, units))
    cheapest = min(cost for cost, _ in every)
    assert solved.bound <= cheapest + 1e-6 * cheapest
    wave = plan_wave(found, units, None, seconds=20, gap=1e-6)
    assert wave.bound <= cheapest + 1e-6 * cheapest
    assert wave.cost >= cheapest - 1e-6 * cheapest
    left = units.copy()
    for (n, basket), at in wave.plans.items():
        for k, location in enumerate(at):
            if location < LOCATIONS:
                left[location, found[n].skus[basket, k]] -= found[n].units[basket, k]
    assert (left >= 0).all()
    assert len(wave.plans) == sum(map(len, found.values()))


@settings(max_examples=40, deadline=None)
@given(groups(), stocks, prices)
def test_any_prices_bound_the_optimum_from_below(found, stock, price):
    """Weak duality, whatever the prices: the certificate does not rest on the solver."""
    units, worth = np.array(stock, dtype=float), np.array(price, dtype=float)
    solved = Configurations(found, (LOCATIONS, SKUS)).solve(counts_of(found), units, tolerance=1e-6, rounds=60)
    at_any = Configurations(found, (LOCATIONS, SKUS)).solve(counts_of(found), units, rounds=1, start=worth)
    assert at_any.bound <= solved.objective + 1e-6 * abs(solved.objective)


@settings(max_examples=20, deadline=None)
@given(groups(), stocks)
def test_the_same_question_has_the_same_answer_and_another_stock_needs_no_new_programme(found, stock):
    units = np.array(stock, dtype=float)
    lp = Configurations(found, (LOCATIONS, SKUS))
    lp.solve(counts_of(found), units + 1, tolerance=1e-6, rounds=60)
    again = lp.solve(counts_of(found, 2.0), units, tolerance=1e-6, rounds=60)
    first = Configurations(found, (LOCATIONS, SKUS)).solve(counts_of(found, 2.0), units, tolerance=1e-6, rounds=60)
    other = Configurations(found, (LOCATIONS, SKUS)).solve(counts_of(found, 2.0), units, tolerance=1e-6, rounds=60)
    assert (first.prices == other.prices).all()
    assert (first.bound, first.objective) == (other.bound, other.objective)
    assert again.objective == pytest.approx(first.objective, rel=1e-4)


def test_a_scarce_unit_is_worth_what_its_absence_would_cost():
    """One unit near, plenty far; two orders want it: the second pays the difference."""
    fixed = np.array([[1.0, 5.0, 0.0]] * 2)
    lines = np.array([[[0.0, 0.0, LOST]] * 2])
    group = {1: separable(fixed, lines, np.array([[0], [0]]), np.array([[1], [1]]))}
    stock = np.array([[1.0, 0.0, 0.0], [9.0, 0.0, 0.0]])
    found = Configurations(group, (LOCATIONS, SKUS)).solve(counts_of(group), stock, tolerance=1e-6)
    assert (found.objective, found.bound) == (pytest.approx(6.0), pytest.approx(6.0))
    assert 0 < found.prices[0, 0] <= 4.0
    assert found.prices[1, 0] == 0
    with_price = priced(group[1], np.array([[4.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    assert with_price.parcels[1, 0].tolist() == [5.0, 5.0, LOST]
    assert len(stack([group[1], group[1]])[1]) == 4


def test_without_a_solver_a_unit_is_worth_its_loss_times_the_chance_of_it():
    costs = np.array([[[1.0], [6.0]], [[3.0], [2.0]]])  # each location is near to one of two destinations
    demand = np.array([[4.0], [1.0]])
    prices = [closed_form(costs, demand, np.array([[stock], [50.0]]), lost=30.0)[:, 0] for stock in (1.0, 4.0, 20.0)]
    assert [round(float(p[0]), 4) for p in prices] == [
        round(2.0 * chance_of_at_least(stock, 4.0), 4) for stock in (1, 4, 20)
    ]
    assert prices[0][0] > prices[1][0] > prices[2][0] >= 0
    assert prices[0][1] == pytest.approx(0.0, abs=1e-9)
    assert chance_of_at_least(0, 1.0) == 1.0
    assert chance_of_at_least(1, 0.0) == 0.0
    assert chance_of_at_least(2, 1.0) == pytest.approx(1 - 2 / np.e)
