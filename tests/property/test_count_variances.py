"""What of a count's variance is still to be written, whatever else became known of the shelf."""

from hypothesis import assume, given
from hypothesis import strategies as st

from malha.inventory.counts import rules
from malha.inventory.counts.model import Meanwhile, Since, Step

UNITS = st.integers(-30, 30)
SHELF = 2


def meanwhile(variance: int, *rows: tuple[Since, int], superseded: bool = False) -> Meanwhile:
    return Meanwhile(1, variance, superseded, [Step(1, SHELF, what, units) for what, units in rows])


ROWS = st.lists(st.tuples(st.sampled_from(Since), UNITS), max_size=6)


@given(UNITS, ROWS, st.booleans())
def test_nothing_is_written_that_nobody_judged(variance, rows, superseded):
    """Beside what older statements wrote: never more than the variance that was believed, and never the other way."""
    left = rules.remaining(meanwhile(variance, *rows, superseded=superseded))
    if superseded:
        assert left == 0
        return
    older = [units for what, units in rows if what is Since.OLDER]
    written, taken = sum(units for units in older if units > 0), sum(units for units in older if units < 0)
    assert min(variance, 0) - written <= left <= max(variance, 0) - taken


@given(UNITS, UNITS, UNITS, st.integers(-30, 0))
def test_a_unit_is_corrected_once(variance, restated, noted, missed):
    """What others corrected the same way and what is written are together the variance, or more only by the others."""
    left = rules.remaining(
        meanwhile(variance, (Since.SYSTEM, restated), (Since.NOTE, noted), (Since.PICK, missed)),
    )
    same = min(restated, 0) + min(noted, 0) + missed if variance < 0 else max(restated, 0) + max(noted, 0)
    assert same + left == (min(variance, same) if variance < 0 else max(variance, same))


@given(UNITS, UNITS)
def test_a_sale_that_is_told_late_explains_what_is_missing(variance, late):
    assume(min(variance, 0) <= late <= max(variance, 0))
    assert rules.remaining(meanwhile(variance, (Since.LATE, late))) == variance - late


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.booleans())
def test_of_two_counts_the_later_one_stands_whichever_is_closed_first(there, early, late, late_first):
    if late_first:
        stock = there + rules.remaining(meanwhile(late - there))
        stock += rules.remaining(meanwhile(early - there, (Since.SYSTEM, late - there), superseded=True))
    else:
        stock = there + rules.remaining(meanwhile(early - there))
        stock += rules.remaining(meanwhile(late - there, (Since.OLDER, early - there)))
    assert stock == late


@given(st.integers(0, 30), st.integers(0, 30), st.lists(st.integers(0, 30), max_size=4))
def test_a_number_of_before_the_counting_loses_whatever_it_is(there, seen, told):
    rows, stock = [], there
    for number in told:
        rows.append((Since.OLDER, number - stock))
        stock = number
    assert stock + rules.remaining(meanwhile(seen - there, *rows)) == seen


@given(st.integers(-30, -1), st.integers(1, 30))
def test_goods_that_came_do_not_hide_what_a_person_took_off(variance, came):
    assert rules.remaining(meanwhile(variance, (Since.SYSTEM, came), (Since.NOTE, variance))) == 0
    more = came - variance  # beyond what the books had: no system says so that knows of nothing new
    assert rules.remaining(meanwhile(variance, (Since.NOTE, variance), (Since.SYSTEM, more))) == 0


@given(
    st.integers(-30, 30),
    st.lists(st.tuples(st.sampled_from([Since.NOTE, Since.PICK, Since.SYSTEM]), st.integers(1, 30)), max_size=4),
)
def test_a_system_that_says_what_the_books_had_leaves_the_whole_variance(variance, taken):
    """Whoever took off what of the lack before: the system brought it back, and the count takes it off again."""
    sign = -1 if variance < 0 else 1
    if sign > 0:  # a picker finds nothing that is too much
        taken = [(Since.NOTE if what is Since.PICK else what, units) for what, units in taken]
    rows = [(what, sign * units) for what, units in taken]
    back = -sum(units for _, units in rows)
    assert rules.remaining(meanwhile(variance, *rows, (Since.SYSTEM, back))) == variance


@given(st.integers(-30, -1), st.integers(1, 30))
def test_what_a_picker_missed_and_a_person_put_back_leaves_the_whole_variance(variance, missed):
    assert rules.remaining(meanwhile(variance, (Since.PICK, -missed), (Since.NOTE, missed))) == variance


@given(st.integers(-30, -1), st.integers(-30, -1), st.integers(1, 30))
def test_what_one_owners_system_says_brings_nothing_back_of_anothers_goods(variance, taken, stated):
    steps = [Step(1, SHELF, Since.NOTE, taken), Step(1, SHELF + 1, Since.SYSTEM, stated)]
    assert rules.remaining(Meanwhile(1, variance, superseded=False, steps=steps)) == variance - max(variance, taken)
