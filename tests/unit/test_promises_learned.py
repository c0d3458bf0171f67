"""What is learned from outcomes: nothing of the future, orders on their way count, cost decides."""

import numpy as np
import pytest

from malha.promising.learning import expecting, features, levels, tracking
from malha.promising.learning.past import PARENTS, Past


def past_of(days: int, a_day: int = 8, *, usual: float = 8.0, slow_from: int = 10_000, seed: int = 3) -> Past:
    """Orders of two lanes, one twice as long; from `slow_from` on everything takes twice as long."""
    rng = np.random.default_rng(seed)
    bought = np.sort(rng.uniform(0, days, days * a_day))
    far = rng.integers(0, 2, len(bought))
    taken = usual * (1 + far) * rng.lognormal(0, 0.35, len(bought))
    # Whoever is on the road when things slow down is slowed for the rest of the way.
    left = np.maximum(0, bought + taken - np.maximum(bought, slow_from))
    delivered = bought + taken + left
    keys = {group: np.zeros(len(bought), np.int64) if parent is None else far for group, parent in PARENTS.items()}
    facts = {"weekday": np.floor(bought) % 7, "same_state": 1.0 - far}
    return Past(bought, bought + 1.0, delivered, keys, facts)


def known_at(past: Past, now: float) -> Past:
    """The same orders as they were known then: what had not happened yet has not happened."""
    return Past(
        past.bought,
        np.where(past.handed < now, past.handed, np.inf),
        np.where(past.delivered < now, past.delivered, np.inf),
        past.keys,
        past.facts,
    )


def test_nothing_that_happens_after_a_purchase_changes_what_was_known_of_it():
    past = past_of(120)
    now = 90
    whole, then = features.build(past)[1], features.build(known_at(past, now))[1]
    earlier = past.bought < now
    np.testing.assert_array_equal(whole[earlier], then[earlier])
    assert np.isfinite(whole[earlier]).mean() > 0.8


def test_an_expectation_uses_only_outcomes_known_when_it_was_fitted():
    past = past_of(150)
    names, table = features.build(past)
    rows = np.flatnonzero((past.bought >= 120) & (past.bought < 134))
    np.testing.assert_array_equal(
        expecting.fit(past, names, table, 120.0, rows), expecting.fit(known_at(past, 120), names, table, 120.0, rows)
    )


def test_a_slowdown_shows_before_late_orders_have_arrived():
    past = past_of(130, usual=10.0, slow_from=100)
    expected = np.where(past.keys["lane"] == 1, 20.0, 10.0)
    level = tracking.level(past, expected, 5.0)
    before = level[past.day == 99].mean()
    after = level[past.day == 110].mean()
    assert before == pytest.approx(1.0, abs=0.12)
    assert after > 1.25
    # The average of what arrived lately says nothing of it yet.
    lately = (past.delivered > 103) & (past.delivered < 110)
    assert (past.taken[lately] / expected[lately]).mean() < after


def test_the_level_of_a_day_is_known_when_the_day_begins():
    past = past_of(100)
    expected = np.full(len(past), 12.0)
    now = 80
    whole, then = tracking.level(past, expected, 5.0), tracking.level(known_at(past, now), expected, 5.0)
    np.testing.assert_allclose(whole[past.day <= now], then[past.day <= now])


def test_a_higher_level_makes_longer_promises_that_are_kept_as_often_as_was_said():
    past = past_of(240)
    usual = np.where(past.keys["lane"] == 1, 16.0, 8.0)
    rows = np.flatnonzero(past.bought >= 120)
    found, medians = levels.chances(past, usual, rows)
    zones = past.keys["lane"][rows]
    low, high = (levels.give(past, found, zones, lambda _day, share=share: share) for share in (0.85, 0.95))
    kept = [(np.floor(past.delivered[rows]) - past.day[rows] <= g.days).mean() for g in (low, high)]
    assert high.days.mean() > low.days.mean() + 2
    assert low.said.mean() == pytest.approx(0.85, abs=0.015)
    assert kept[0] == pytest.approx(low.said.mean(), abs=0.03)
    assert kept[1] == pytest.approx(high.said.mean(), abs=0.03)
    assert np.median(medians[zones == 1]) > 1.5 * np.median(medians[zones == 0])


def test_by_cost_an_uncertain_lane_is_promised_less_and_all_together_sooner():
    past = past_of(240)
    usual = np.where(past.keys["lane"] == 1, 16.0, 8.0)
    rows = np.flatnonzero(past.bought >= 120)
    found, _ = levels.chances(past, usual, rows)
    zones = past.keys["lane"][rows]
    given = levels.give(past, found, zones, lambda _day: 0.9)
    assert given.said[zones == 1].mean() < given.said[zones == 0].mean()
    assert given.said.min() >= levels.LEAST_CHANCE
    alike = levels.DAYS[(found.kept < given.said.mean()).sum(1)]  # everybody the same chance
    assert given.days.mean() < alike.mean()


def test_promises_that_are_broken_more_often_than_said_in_one_zone_lower_the_chances_of_that_zone():
    past = past_of(240)
    usual = np.where(past.keys["lane"] == 1, 8.0, 8.0)  # the far lane takes twice that: nobody noticed
    rows = np.flatnonzero(past.bought >= 120)
    found, _ = levels.chances(past, usual, rows)
    zones = past.keys["lane"][rows]
    given = levels.give(past, found, zones, lambda _day: 0.9)
    late = past.day[rows] > 200
    assert given.days[late & (zones == 1)].mean() > given.days[late & (zones == 0)].mean() + 2
