"""Days learned by a life table: the level is met, those on their way count, few lean on many, too few teach nothing."""

import random

import pytest

from malha.promising.lived import LEAST, MOST_DAYS, Lived, Waited, learn

LANE = (1, "SP", "RJ")


def came(days: int, parcels: int, *, lane: tuple[int, str, str] = LANE, age: int = 30) -> Waited:
    return Waited(*lane, age=age, days=days, came=True, parcels=parcels)


def waiting(days: int, parcels: int, *, lane: tuple[int, str, str] = LANE) -> Waited:
    return Waited(*lane, age=round(days * 1.4), days=days, came=False, parcels=parcels)


def test_the_day_is_the_first_by_whose_end_the_level_is_there() -> None:
    past = [came(2, 500), came(3, 300), came(5, 150), came(9, 50)]
    found = {level: learn(past, level)[LANE].days for level in (0.5, 0.79, 0.81, 0.94, 0.96)}
    assert found == {0.5: 2, 0.79: 3, 0.81: 5, 0.94: 5, 0.96: 9}
    assert learn(past, 0.9)[LANE] == Lived(days=5, usual=2, outcomes=1000)


def test_parcels_on_their_way_show_a_slowdown_before_any_late_one_came() -> None:
    past = [came(2, 600, age=40), came(3, 300, age=40), came(4, 100, age=40)]
    assert learn(past, 0.9)[LANE].days == 3
    assert learn([*past, waiting(5, 100)], 0.9)[LANE].days > 4


def test_parcels_that_left_today_say_nothing_yet() -> None:
    past = [came(2, 800), came(4, 200)]
    assert learn([*past, waiting(0, 5_000)], 0.9) == learn(past, 0.9)


def test_a_recent_week_counts_more_than_an_old_one() -> None:
    past = [came(6, 1000, age=70), came(2, 1000, age=4)]
    assert learn(past, 0.75)[LANE].days == 2


def test_a_lane_with_few_parcels_leans_on_its_zone_and_service() -> None:
    few = (1, "SP", "MG")
    past = [came(3, 5_000, age=0), came(12, 2, lane=few, age=0)]
    assert learn(past, 0.75)[few].days == 3
    many = [came(3, 5_000, age=0), came(12, 2_000, lane=few, age=0)]
    assert learn(many, 0.75)[few].days == 12


@pytest.mark.parametrize(("parcels", "known"), [(LEAST - 1, False), (LEAST, True)])
def test_nothing_is_learned_before_two_hundred_deliveries(parcels: int, known: bool) -> None:
    assert bool(learn([came(2, parcels), waiting(1, 1_000)], 0.9)) is known


def test_a_carrier_that_never_says_that_it_delivered_makes_no_date_far() -> None:
    silent = [came(2, 250), came(3, 50), waiting(MOST_DAYS, 100_000)]
    assert learn(silent, 0.9)[LANE].days == 3


def test_the_level_is_kept_by_parcels_of_the_same_kind() -> None:
    """Promise by half of a random past, count in the other half."""
    rng = random.Random(7)
    days = [min(MOST_DAYS - 1, 1 + int(rng.gammavariate(3, 1.5))) for _ in range(4_000)]
    found = learn([came(day, 1, age=20) for day in days[::2]], 0.9)[LANE].days
    kept = sum(day <= found for day in days[1::2]) / 2_000
    before = sum(day <= found - 1 for day in days[1::2]) / 2_000
    assert kept >= 0.88
    assert before < 0.92


FAR = (1, "SP", "AM")


def test_a_service_that_slows_down_makes_all_its_lanes_longer_within_days() -> None:
    """The far lane had no parcel in the last days: it is the same service."""
    past = [came(day, 200, age=age) for age in range(10, 60) for day in (2, 3, 4)]
    far = [came(day, 40, lane=FAR, age=age) for age in range(20, 60) for day in (5, 6, 7)]
    usual = learn([*past, *far], 0.9)
    late = [waiting(5, 600), waiting(4, 600), waiting(3, 600), came(4, 100, age=6)]
    slowed = learn([*past, *far, *late], 0.9)
    assert slowed[LANE].days > usual[LANE].days
    assert slowed[FAR].days > usual[FAR].days
    others = learn([*past, *[row._replace(service_id=2) for row in far], *late], 0.9)
    assert others[2, "SP", "AM"].days == usual[FAR].days, "another service is as quick as it was"


def test_a_service_that_gets_quicker_is_promised_sooner_before_months_have_passed() -> None:
    slow = [came(day, 100, age=age) for age in range(30, 60) for day in (6, 8, 10)]
    quick = [came(day, 100, age=age) for age in range(6, 16) for day in (2, 3, 4)]
    assert learn([*slow, *quick], 0.9)[LANE].days < learn(slow, 0.9)[LANE].days


def test_no_pace_beyond_twice_or_half_is_believed() -> None:
    """Nobody said of any parcel of the last days that it came: a feed that stopped, rather than a carrier."""
    past = [came(day, 500, age=age) for age in range(12, 70) for day in (2, 3, 4, 5)]
    silent = [waiting(days, 5_000) for days in range(1, 9)]
    assert learn([*past, *silent], 0.9)[LANE].days <= 12
