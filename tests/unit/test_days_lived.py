"""Days learned by a life table: the level is met, those on their way count, few lean on many, too few teach nothing."""

import random

import pytest

from malha.promising import lived
from malha.promising.lived import EARLIEST, LEAST, MOST_DAYS, Lane, Left, Waited, day_of, learn_ready

LANE = (1, "SP", "RJ")


def learn(waited: list[Waited], level: float = 0.9) -> dict[Lane, int]:
    """The day of each lane by whose end a share is there."""
    return {lane: of.day_of(level) for lane, of in lived.learn(waited).items()}


def came(days: int, parcels: int, *, lane: tuple[int, str, str] = LANE, age: int = 30) -> Waited:
    return Waited(*lane, age=age, days=days, came=True, parcels=parcels)


def waiting(days: int, parcels: int, *, lane: tuple[int, str, str] = LANE) -> Waited:
    return Waited(*lane, age=round(days * 1.4), days=days, came=False, parcels=parcels)


def test_the_day_is_the_first_by_whose_end_the_level_is_there() -> None:
    past = [came(2, 500), came(3, 300), came(5, 150), came(9, 50)]
    found = {level: learn(past, level)[LANE] for level in (0.5, 0.79, 0.81, 0.94, 0.96)}
    assert found == {0.5: 2, 0.79: 3, 0.81: 5, 0.94: 5, 0.96: 9}
    assert lived.learn(past)[LANE].outcomes == 1000
    assert sum(lived.learn(past)[LANE].chances) == pytest.approx(1)


def test_parcels_on_their_way_show_a_slowdown_before_any_late_one_came() -> None:
    past = [came(2, 600, age=40), came(3, 300, age=40), came(4, 100, age=40)]
    assert learn(past, 0.9)[LANE] == 3
    assert learn([*past, waiting(5, 100)], 0.9)[LANE] > 4


def test_parcels_that_left_today_say_nothing_yet() -> None:
    past = [came(2, 800), came(4, 200)]
    assert learn([*past, waiting(0, 5_000)], 0.9) == learn(past, 0.9)


def test_a_recent_week_counts_more_than_an_old_one() -> None:
    past = [came(6, 1000, age=70), came(2, 1000, age=4)]
    assert learn(past, 0.75)[LANE] == 2


def test_a_lane_with_few_parcels_leans_on_its_zone_and_service() -> None:
    few = (1, "SP", "MG")
    past = [came(3, 5_000, age=0), came(12, 2, lane=few, age=0)]
    assert learn(past, 0.75)[few] == 3
    many = [came(3, 5_000, age=0), came(12, 2_000, lane=few, age=0)]
    assert learn(many, 0.75)[few] == 12


@pytest.mark.parametrize(("parcels", "known"), [(LEAST - 1, False), (LEAST, True)])
def test_nothing_is_learned_before_two_hundred_deliveries(parcels: int, known: bool) -> None:
    assert bool(learn([came(2, parcels), waiting(1, 1_000)], 0.9)) is known


def test_a_carrier_that_never_says_that_it_delivered_makes_no_date_far() -> None:
    silent = [came(2, 250), came(3, 50), waiting(MOST_DAYS, 100_000)]
    assert learn(silent, 0.9)[LANE] == 3


def test_the_level_is_kept_by_parcels_of_the_same_kind() -> None:
    """Promise by half of a random past, count in the other half."""
    rng = random.Random(7)
    days = [min(MOST_DAYS - 1, 1 + int(rng.gammavariate(3, 1.5))) for _ in range(4_000)]
    found = learn([came(day, 1, age=20) for day in days[::2]], 0.9)[LANE]
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
    assert slowed[LANE] > usual[LANE]
    assert slowed[FAR] > usual[FAR]
    others = learn([*past, *[row._replace(service_id=2) for row in far], *late], 0.9)
    assert others[2, "SP", "AM"] == usual[FAR], "another service is as quick as it was"


def test_a_service_that_gets_quicker_is_promised_sooner_before_months_have_passed() -> None:
    slow = [came(day, 100, age=age) for age in range(30, 60) for day in (6, 8, 10)]
    quick = [came(day, 100, age=age) for age in range(6, 16) for day in (2, 3, 4)]
    assert learn([*slow, *quick], 0.9)[LANE] < learn(slow, 0.9)[LANE]


def test_no_pace_beyond_twice_or_half_is_believed() -> None:
    """Nobody said of any parcel of the last days that it came: a feed that stopped, rather than a carrier."""
    past = [came(day, 500, age=age) for age in range(12, 70) for day in (2, 3, 4, 5)]
    silent = [waiting(days, 5_000) for days in range(1, 9)]
    assert learn([*past, *silent], 0.9)[LANE] <= 12


def left(days: int, works: int, *, location: int = 1, weekday: int = 0, age: int = 30, method: str = "ship") -> Left:
    return Left(location, method, weekday, age, days, left=True, works=works)


def day_at(place: tuple[int | None, str, int | None], rows: list[Left], level: float = 0.9) -> int:
    """The working day after its day by which a share has left."""
    return day_of(learn_ready(rows)[place].chances, level) + EARLIEST


def test_a_late_location_is_known_apart_from_one_that_is_in_time() -> None:
    rows = [left(0, 300), left(1, 20), left(1, 150, location=2), left(2, 150, location=2)]
    assert day_at((1, "ship", None), rows) == 0
    assert day_at((2, "ship", None), rows) == 2
    assert (3, "ship", None) not in learn_ready(rows)
    assert 0 <= day_at((None, "ship", None), rows) <= 2


def test_what_leaves_before_its_day_is_told_from_what_leaves_on_it() -> None:
    rows = [left(-3, 300), left(0, 100)]
    assert day_at((1, "ship", None), rows, 0.7) == -3
    assert day_at((1, "ship", None), rows, 0.9) == 0


def test_a_weekday_of_a_location_is_known_apart_once_it_has_enough_work() -> None:
    usual = [left(0, 200, weekday=day) for day in range(1, 5)]
    assert day_at((1, "ship", 0), [*usual, left(2, 4)], 0.6) == 0, "few lean on the location"
    assert day_at((1, "ship", 0), [*usual, left(2, 400)], 0.6) == 2
    assert day_at((1, "ship", 3), [*usual, left(2, 400)]) == 0


def test_work_to_be_fetched_and_to_be_sent_are_learned_apart() -> None:
    rows = [left(0, 300), left(2, 300, method="pickup")]
    assert day_at((1, "pickup", None), rows) == 2
    assert day_at((1, "ship", None), rows) == 0


def test_work_that_piles_up_shows_before_it_leaves() -> None:
    past = [left(0, 270, age=age) for age in range(20, 60, 5)] + [left(1, 40, age=age) for age in range(20, 60, 5)]
    waits = [Left(1, "ship", 0, age, age, left=False, works=200) for age in (1, 2, 3)]
    assert day_at((1, "ship", None), past) == 1
    assert day_at((1, "ship", None), [*past, *waits]) > 1


def test_a_location_where_nobody_says_that_goods_leave_makes_no_date_far() -> None:
    rows = [left(0, 300), Left(2, "ship", 0, 50, 16, left=False, works=900)]
    assert (2, "ship", None) not in learn_ready(rows)
    assert day_at((None, "ship", None), rows) <= 1


def test_too_little_work_teaches_nothing_of_locations() -> None:
    assert learn_ready([left(0, LEAST - 1)]) == {}
    assert learn_ready([left(0, LEAST)])


def test_a_late_location_makes_its_lanes_no_longer() -> None:
    """The same parcels: they leave two days late, and take three days from then."""
    late = [left(2, 500)]
    assert learn([came(3, 500)])[LANE] == 3
    assert day_at((1, "ship", None), late) == 2
