"""What a location states of slots, and what a day makes of it."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from malha.capacity import rules
from malha.capacity.model import DatedOverride, Key, Kind, Measure, Override, Plan, Room, Slot, Template, Window

MONDAY = date(2026, 11, 30)
NINE, TEN, NOON = time(9), time(10), time(12)
SAO_PAULO = ZoneInfo("America/Sao_Paulo")


def a_plan(*overrides: Override, day: date = MONDAY, kind: Kind = Kind.PICKUP) -> Plan:
    templates = [Template(1, NINE, TEN, 5), Template(1, TEN, NOON, 8), Template(2, NINE, TEN, 3)]
    return Plan(1, {kind: templates}, [DatedOverride(kind, day, o) for o in overrides])


def on(plan: Plan, day: date = MONDAY, *, holiday: bool = False, closed: bool = False) -> list[Window]:
    return rules.windows_on(plan, Kind.PICKUP, day, holiday=holiday, closed=closed)


def test_a_day_has_the_slots_of_its_weekday_and_no_others() -> None:
    assert on(a_plan()) == [Window(NINE, TEN, 5), Window(TEN, NOON, 8)]
    assert on(a_plan(), date(2026, 12, 1)) == [Window(NINE, TEN, 3)]
    assert on(a_plan(), date(2026, 12, 2)) == []
    assert rules.windows_on(a_plan(), Kind.DELIVERY, MONDAY, holiday=False, closed=False) == []


def test_an_override_changes_the_quota_of_its_slot_or_adds_one_that_is_not_usual() -> None:
    plan = a_plan(Override(starts=NINE, ends=TEN, quota=1), Override(starts=time(18), ends=time(20), quota=2))
    assert on(plan) == [Window(NINE, TEN, 1), Window(TEN, NOON, 8), Window(time(18), time(20), 2)]


def test_an_override_without_times_leaves_no_slot_that_day() -> None:
    assert on(a_plan(Override(reason="Balanço"))) == []
    assert on(a_plan(Override()), date(2026, 12, 7)) == [Window(NINE, TEN, 5), Window(TEN, NOON, 8)]


def test_a_holiday_ends_the_usual_slots_and_leaves_what_is_stated_for_the_date() -> None:
    assert on(a_plan(), holiday=True) == []
    assert on(a_plan(Override(starts=NINE, ends=TEN, quota=2)), holiday=True) == [Window(NINE, TEN, 2)]


def test_a_closure_ends_all_slots_of_its_day() -> None:
    assert on(a_plan(Override(starts=NINE, ends=TEN, quota=2)), closed=True) == []


@pytest.mark.parametrize(
    ("templates", "at"),
    [
        ([Template(1, TEN, NINE, 1)], "templates/0"),
        ([Template(1, NINE, NINE, 1)], "templates/0"),
        ([Template(1, time(9, 0, 30), TEN, 1)], "templates/0"),
        ([Template(1, NINE, NOON, 1), Template(1, TEN, NOON, 1)], "templates/1"),
        ([Template(1, NINE, TEN, 1), Template(1, NINE, TEN, 1)], "templates/1"),
    ],
)
def test_slots_that_cannot_be_are_pointed_at(templates: list[Template], at: str) -> None:
    assert at in [flaw.at for flaw in rules.check_templates(templates)]


def test_slots_that_touch_or_lie_on_other_weekdays_do_not_overlap() -> None:
    assert not list(rules.check_templates([Template(1, NINE, TEN, 1), Template(1, TEN, NOON, 1)]))
    assert not list(rules.check_templates([Template(1, NINE, NOON, 1), Template(2, TEN, NOON, 1)]))


def test_an_extra_slot_may_not_lie_across_a_usual_one() -> None:
    plan = a_plan(Override(starts=time(9, 30), ends=time(10, 30), quota=1))
    assert len(list(rules.check_day(on(plan)))) == 2


def test_a_day_without_slots_stands_alone() -> None:
    assert list(rules.check_overrides([Override(), Override(starts=NINE, ends=TEN, quota=1)]))
    assert list(rules.check_overrides([Override(quota=3)]))
    assert list(rules.check_overrides([Override(starts=NINE, quota=3)]))


def test_times_are_the_locations_own_and_a_slot_is_over_at_its_end() -> None:
    assert rules.instant(MONDAY, NINE, SAO_PAULO) == datetime(2026, 11, 30, 12, tzinfo=UTC)
    assert rules.instant(MONDAY, NINE, ZoneInfo("America/Manaus")) == datetime(2026, 11, 30, 13, tzinfo=UTC)
    assert not rules.is_over(MONDAY, TEN, SAO_PAULO, datetime(2026, 11, 30, 12, 59, tzinfo=UTC))
    assert rules.is_over(MONDAY, TEN, SAO_PAULO, datetime(2026, 11, 30, 13, tzinfo=UTC))


def test_only_slots_with_a_place_that_begin_once_goods_are_ready_are_offered() -> None:
    def slot(hour: int, taken: int) -> Slot:
        return Slot(key=Key(1, "pickup", MONDAY, time(hour)), ends=time(hour + 1), quota=2, confirmed=taken)

    slots = [slot(15, 0), slot(9, 0), slot(10, 2), slot(11, 1), slot(13, 0)]
    ready = datetime(2026, 11, 30, 12, 30, tzinfo=UTC)  # 9:30 there
    assert [s.key.starts.hour for s in rules.next_free(slots, SAO_PAULO, ready, 2)] == [11, 13]


def test_orders_of_a_day_fill_its_picking_slots_from_the_first_on() -> None:
    def slots(kind: str) -> list[Slot]:
        return [
            Slot(key=Key(1, kind, MONDAY, time(hour)), ends=time(hour + 1), quota=quota)
            for hour, quota in ((9, 2), (10, 3))
        ]

    for taken, expected in ((0, [0, 0]), (1, [1, 0]), (4, [2, 2]), (7, [2, 5])):
        assert [s.confirmed for s in rules.fill_picking(slots("pick"), {(1, MONDAY): taken}, {})] == expected
    assert [s.confirmed for s in rules.fill_picking(slots("pickup"), {(1, MONDAY): 4}, {})] == [0, 0]


def test_units_of_a_day_fill_the_slots_that_count_them() -> None:
    slots = [
        Slot(key=Key(1, "pick", MONDAY, time(hour)), ends=time(hour + 1), quota=5, measure=Measure.UNITS, units=units)
        for hour, units in ((9, 4), (10, 0))
    ]
    filled = rules.fill_picking(slots, {(1, MONDAY): 2}, {(1, MONDAY): 3})
    assert [(s.units, s.left, s.confirmed) for s in filled] == [(5, 0, 0), (2, 3, 0)]


@pytest.mark.parametrize(
    ("taken", "sizes", "seats"),
    [
        ((0, 0), (3, 2, 4, 1, 1), [0, 0, 1, 1, None]),
        ((0, 0), (6, 1, 9), [0, 1, None]),  # what is larger than a slot takes an empty one whole
        ((1, 0), (6, 4), [1, 0]),
        ((5, 9), (1,), [None]),
        ((4, 0), (2, 1, 3), [1, 0, 1]),  # what is small goes where it fits, also behind what did not
    ],
)
def test_work_sits_in_the_first_slot_with_room_for_its_units(
    taken: tuple[int, int], sizes: tuple[int, ...], seats: list[int | None]
) -> None:
    rooms = [Room(5, n) for n in taken]
    assert rules.seat(rooms, Measure.UNITS, sizes) == seats


def test_an_order_is_one_place_however_many_units_it_has_where_orders_count() -> None:
    rooms = [Room(2, 1), Room(0, 0), Room(1, 0)]
    assert rules.seat(rooms, Measure.ORDERS, [9, 1, 4]) == [0, 2, None]
    assert rules.seat([Room(0, 0)], Measure.UNITS, [4]) == [None]


def test_picking_has_the_sum_of_its_slots_a_day_and_none_where_none_are_stated() -> None:
    assert rules.day_quota(a_plan(kind=Kind.PICK), MONDAY, holiday=False, closed=False) == 13
    assert rules.day_quota(a_plan(Override(), kind=Kind.PICK), MONDAY, holiday=False, closed=False) == 0
    assert rules.day_quota(a_plan(), MONDAY, holiday=False, closed=False) is None
