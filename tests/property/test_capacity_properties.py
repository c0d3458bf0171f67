"""Whatever a location states, its slots of a day do not overlap once they are accepted, and no order is lost or made."""

from datetime import date, time

from hypothesis import given
from hypothesis import strategies as st

from malha.capacity import rules
from malha.capacity.model import DatedOverride, Key, Kind, Override, Plan, Slot, Template

MONDAY = date(2026, 11, 30)
hours = st.integers(0, 23)


@st.composite
def spans(draw: st.DrawFn) -> tuple[time, time]:
    start = draw(st.integers(0, 22))
    return time(start), time(draw(st.integers(start + 1, 23)))


templates = st.lists(st.builds(lambda s, n: Template(1, s[0], s[1], n), spans(), st.integers(0, 9)), max_size=6)
overrides = st.lists(
    st.builds(lambda s, n: Override(starts=s[0], ends=s[1], quota=n), spans(), st.integers(0, 9)),
    max_size=4,
    unique_by=lambda o: o.starts,
)


def a_plan(week: list[Template], dated: list[Override], kind: Kind = Kind.PICKUP) -> Plan:
    return Plan(1, {kind: week}, [DatedOverride(kind, MONDAY, o) for o in dated])


@given(templates, overrides)
def test_slots_of_a_day_that_are_accepted_do_not_overlap(week: list[Template], dated: list[Override]) -> None:
    windows = rules.windows_on(a_plan(week, dated), Kind.PICKUP, MONDAY, holiday=False, closed=False)
    overlaps = any(a.starts < b.ends and b.starts < a.ends for n, a in enumerate(windows) for b in windows[n + 1 :])
    assert bool(list(rules.check_day(windows))) == overlaps


@given(templates, overrides)
def test_a_date_says_what_its_overrides_say_and_the_rest_of_the_weekday(
    week: list[Template], dated: list[Override]
) -> None:
    plan = a_plan(week, dated)
    windows = {w.starts: w for w in rules.windows_on(plan, Kind.PICKUP, MONDAY, holiday=False, closed=False)}
    for o in dated:
        assert o.starts is not None
        assert (windows[o.starts].ends, windows[o.starts].quota) == (o.ends, o.quota)
    assert windows.keys() == {t.starts for t in week} | {o.starts for o in dated}
    on_a_holiday = rules.windows_on(plan, Kind.PICKUP, MONDAY, holiday=True, closed=False)
    assert {w.starts for w in on_a_holiday} == {o.starts for o in dated}
    assert rules.windows_on(plan, Kind.PICKUP, MONDAY, holiday=False, closed=True) == []


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.integers(0, 40))
def test_orders_that_fill_picking_slots_are_all_there_and_none_is_above_its_quota_but_in_the_last(
    quotas: list[int], taken: int
) -> None:
    slots = [Slot(key=Key(1, "pick", MONDAY, time(n)), ends=time(n + 1), quota=q) for n, q in enumerate(quotas)]
    filled = rules.fill_picking(slots, {(1, MONDAY): taken}, {})
    assert sum(s.confirmed for s in filled) == taken
    assert all(s.confirmed <= s.quota for s in filled[:-1])


@given(templates, overrides)
def test_the_quota_of_a_day_is_the_sum_of_its_slots(week: list[Template], dated: list[Override]) -> None:
    plan = a_plan(week, dated, Kind.PICK)
    quota = rules.day_quota(plan, MONDAY, holiday=False, closed=False)
    windows = rules.windows_on(plan, Kind.PICK, MONDAY, holiday=False, closed=False)
    assert quota == (sum(w.quota for w in windows) if week or dated else None)
