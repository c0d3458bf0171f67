"""When goods leave by what waits before them: learned by band, in order, and promised by it."""

import random
from collections import deque
from datetime import date, timedelta
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_promises_chosen import LANE, a_calendar, learned

from malha.promising.foretelling import NO_BAND
from malha.promising.lived import EARLIEST, LATEST, Left, day_of, learn_ready
from malha.promising.queues import BANDS, EDGES, Queue, band_of, learn_queues

PLACE = (1, "ship")


def behind(band: int, days: int, works: int, *, age: int = 30, location: int = 1) -> Left:
    return Left(location, "ship", band, age, days, left=True, works=works)


def day_behind(queue: Queue, band: int, level: float = 0.9) -> int:
    return day_of(queue.chances[band], level) + EARLIEST


def test_bands_are_counted_in_usual_days_of_the_location() -> None:
    assert [band_of(n, 100.0) for n in (0, 24, 25, 99, 100, 399, 400, 10_000)] == [0, 0, 1, 2, 3, 6, 7, 7]
    assert band_of(5, 0.0) == 0, "where nothing ever left"
    assert len(EDGES) + 1 == BANDS


def test_what_is_behind_a_long_queue_leaves_later_than_what_is_behind_a_short_one() -> None:
    rows = [behind(0, 0, 300), behind(3, 1, 300), behind(6, 3, 300)]
    queue = learn_queues(rows, {1: 50.0})[PLACE]
    assert [day_behind(queue, band) for band in (0, 3, 6)] == [0, 1, 3]
    assert day_behind(queue, 7) == 3, "as the longest that is known"
    assert day_behind(queue, 1) == 0


def test_a_queue_that_is_always_alike_or_hardly_known_says_nothing() -> None:
    assert learn_queues([behind(2, 0, 500)], {1: 50.0}) == {}
    assert learn_queues([behind(0, 0, 500), behind(5, 4, 20)], {1: 50.0}) == {}
    assert learn_queues([behind(0, 0, 100), behind(5, 4, 40)], {1: 50.0}) == {}, "fewer than 200 in all"


@given(st.lists(st.tuples(st.integers(0, BANDS - 1), st.integers(EARLIEST, LATEST), st.integers(30, 400)), min_size=4))
def test_no_band_is_ready_before_a_shorter_one(rows: list[tuple[int, int, int]]) -> None:
    for queue in learn_queues([behind(*row) for row in rows], {1: 40.0}).values():
        there = [list(accumulate(of)) for of in queue.chances]
        assert all(of[-1] == pytest.approx(1.0) for of in there)
        assert all(min(of) >= -1e-9 for of in queue.chances)
        for shorter, longer in pairwise(there):
            assert all(one >= other - 1e-9 for one, other in zip(shorter, longer, strict=True))


@given(st.integers(0, 500), st.integers(0, 500))
def test_more_waiting_work_never_makes_a_date_sooner(one: int, other: int) -> None:
    rows = [behind(0, 0, 300), behind(2, 1, 200), behind(4, 2, 200), behind(7, 6, 100)]
    days = learned(queues=learn_queues(rows, {1: 50.0}))
    calendar, leaves = a_calendar(), date(2026, 9, 14)
    fewer, more = sorted((one, other))
    found = [days.parcel(1, calendar, leaves, leaves, LANE, n) for n in (fewer, more)]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].days <= found[1].days
    assert days.late_days(1, leaves, fewer) <= days.late_days(1, leaves, more)


def test_nobody_knows_what_waits_so_the_weekday_counts() -> None:
    rows = [behind(0, 0, 300), behind(7, 6, 300)]
    ready = {(1, "ship", None): (0.0,) * -EARLIEST + (0.0, 0.0, 1.0)}
    days = learned(queues=learn_queues(rows, {1: 50.0}), ready=ready)
    assert days.band(1, "ship", None) == NO_BAND
    assert days.band(2, "ship", 400) == NO_BAND
    calendar, leaves = a_calendar(), date(2026, 9, 14)
    by_weekday = days.parcel(1, calendar, leaves, leaves, LANE)
    short, long = (days.parcel(1, calendar, leaves, leaves, LANE, n) for n in (0, 400))
    assert by_weekday is not None
    assert short is not None
    assert long is not None
    assert short.days < by_weekday.days < long.days


def test_a_location_with_busy_weeks_keeps_its_promises_with_fewer_days() -> None:
    """First come first served, 60 a day, 50 come on usual days and 80 in every fifth week: half learns, half is kept."""
    rng = random.Random(2026)
    line: deque[int] = deque()
    seen: list[tuple[int, int, int]] = []  # day placed, waiting before it, days until it left
    for day in range(400):
        for _ in range(round(rng.gauss(80 if day // 7 % 5 == 0 else 50, 4))):
            line.append(len(seen))
            seen.append((day, len(line) - 1, -1))
        for _ in range(min(60, len(line))):
            n = line.popleft()
            seen[n] = (*seen[n][:2], day - seen[n][0])
    known = [row for row in seen if row[2] >= 0]
    past, later = [row for row in known if row[0] < 250], [row for row in known if row[0] >= 250]
    usual = 55.0
    queue = learn_queues([behind(band_of(w, usual), days, 1, age=250 - at) for at, w, days in past], {1: usual})[PLACE]
    ready = learn_ready(
        [
            Left(1, "ship", (date(2026, 1, 5) + timedelta(at)).weekday(), 250 - at, d, left=True, works=1)
            for at, _, d in past
        ]
    )
    by_queue = [day_behind(queue, queue.band(w)) for _, w, _ in later]
    by_weekday = [
        day_of(ready[1, "ship", (date(2026, 1, 5) + timedelta(at)).weekday()].chances, 0.9) + EARLIEST
        for at, _, _ in later
    ]
    kept = [
        sum(d <= p for (_, _, d), p in zip(later, promised, strict=True)) / len(later)
        for promised in (by_queue, by_weekday)
    ]
    assert kept[0] >= 0.9
    assert kept[0] >= kept[1] - 0.02
    assert sum(by_queue) < sum(by_weekday)
