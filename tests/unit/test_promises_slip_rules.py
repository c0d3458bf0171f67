"""When a promise cannot be kept any more, for any parcel: later is later, in time is no slip, telling has its bounds."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from malha.network.calendar import add_business_days
from malha.platform.ids import UUID
from malha.promising import rules
from malha.promising.slipping import (
    LEAST_LEARNED,
    MOST_BY_ITSELF,
    Now,
    Part,
    Slip,
    Slipping,
    judge,
    may_tell,
    new_day,
    together,
)

DAY = date(2026, 11, 24)
AT = datetime(2026, 11, 24, 15, tzinfo=UTC)
days = st.integers(0, 15)
leaving = st.integers(0, 12).map(lambda n: DAY + timedelta(days=n))


def part(leaves: date, takes: int, *, learned: bool = False, moved: bool = False, released: bool = False) -> Part:
    """A parcel, promised for the day it was to arrive."""
    arrives = add_business_days(leaves, takes, "BR-SP")
    return Part(
        order_id=UUID(int=1), promised_at=rules.end_of(arrives, "SP"), release_after=AT, to_state="SP", lines=[1], location=1,
        released=released, due_at=None, service=1, grams=100, leaves=leaves, days=takes, learned=learned, moved=moved,
        told=0, told_at=None,
    )  # fmt: skip


def slip(arrives: date | None, *, told: int = 0, told_at: datetime | None = None, promised: date = DAY) -> Slipping:
    return Slipping(
        order_id=UUID(int=1), promised_at=rules.end_of(promised, "SP"), arrives=arrives, lines=[1], reason=Slip.CARRIER,
        location=1, told=told, told_at=told_at, to_state="SP",
    )  # fmt: skip


@given(leaving, days)
def test_a_plan_that_stands_as_it_was_promised_never_slips(leaves: date, takes: int) -> None:
    assert judge(part(leaves, takes), Now(leaves, takes)) is None


@given(leaving, days, st.integers(0, 9), days)
def test_what_slips_arrives_after_its_promised_day_and_what_does_not_is_there_by_then(
    leaves: date, takes: int, later: int, slower: int
) -> None:
    promised = part(leaves, takes)
    now = Now(leaves + timedelta(days=later), slower)
    arrives = rules.arrival([rules.Leg(now.leaves or leaves, now.days)], "SP")
    assert arrives is not None
    found = judge(promised, now)
    assert (found is not None) == (arrives > rules.day_promised(promised.promised_at, "SP"))
    assert found is None or found.arrives == arrives


@given(leaving, days, st.integers(1, 9))
def test_learned_days_that_grew_a_little_are_no_news_and_a_late_start_is(leaves: date, takes: int, more: int) -> None:
    promised = part(leaves, takes, learned=True)
    found = judge(promised, Now(leaves, takes + more))
    late = (add_business_days(leaves, takes + more, "BR-SP") - add_business_days(leaves, takes, "BR-SP")).days
    assert (found is None) == (late < LEAST_LEARNED)
    monday = DAY + timedelta(days=6)
    assert judge(part(DAY, 0, learned=True), Now(monday, 0)) is not None


def test_the_reason_is_the_one_that_a_person_would_name() -> None:
    later, wednesday = DAY + timedelta(days=3), DAY
    assert judge(part(wednesday, 2), Now(wednesday, 4)).reason is Slip.CARRIER  # type: ignore[union-attr]
    assert judge(part(wednesday, 2), Now(later, 2)).reason is Slip.CUT_OFF  # type: ignore[union-attr]
    assert judge(part(wednesday, 2), Now(later, 2, shut=True)).reason is Slip.CLOSED  # type: ignore[union-attr]
    assert judge(part(wednesday, 2, released=True), Now(later, 2)).reason is Slip.CAPACITY  # type: ignore[union-attr]
    assert judge(part(wednesday, 2), Now(later, 2, overdue=True)).reason is Slip.OVERDUE  # type: ignore[union-attr]
    assert judge(part(wednesday, 2, moved=True), Now(later, 2)).reason is Slip.MOVED  # type: ignore[union-attr]
    assert judge(part(wednesday, 2), Now(None, 0)).reason is Slip.CLOSED  # type: ignore[union-attr]


@given(st.lists(st.none() | leaving, min_size=1, max_size=5))
def test_parts_of_an_order_are_one_slip_with_the_last_day_or_none_where_a_part_has_none(
    found: list[date | None],
) -> None:
    whole = slip(found[0])
    for arrives in found[1:]:
        whole = together(whole, slip(arrives))
    assert whole.arrives == (None if None in found else max(day for day in found if day is not None))


@given(st.integers(0, 5), st.integers(0, 72), st.integers(0, 6))
def test_nobody_is_told_without_a_day_nor_too_often_nor_twice_within_a_day_of_nothing_new(
    told: int, ago: int, later: int
) -> None:
    quiet = timedelta(hours=24)
    assert not may_tell(slip(None), AT, quiet)
    found = slip(DAY + timedelta(days=later), told=told, told_at=AT - timedelta(hours=ago))
    may = may_tell(found, AT, quiet)
    assert may == (told < MOST_BY_ITSELF and (ago >= 24 or later >= 1))


@given(leaving, st.integers(0, 4))
def test_each_promise_made_anew_before_gives_a_working_day_to_spare(arrives: date, told: int) -> None:
    day = new_day(slip(arrives, told=told))
    assert day is not None
    assert rules.day_promised(day, "SP") == add_business_days(arrives, told, "BR-SP")
