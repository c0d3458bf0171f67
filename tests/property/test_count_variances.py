"""What of a count's variance is still to be written, whatever else became known of the shelf."""

from hypothesis import assume, given
from hypothesis import strategies as st

from malha.inventory.counts import rules
from malha.inventory.counts.model import Meanwhile

UNITS = st.integers(-30, 30)
FOUND = st.builds(
    Meanwhile,
    sku_id=st.just(1),
    variance=UNITS,
    settled=UNITS,
    older=UNITS,
    restated=UNITS,
    noted=UNITS,
    missed=st.integers(-30, 0),
    superseded=st.booleans(),
)


@given(FOUND)
def test_nothing_is_written_that_nobody_judged(found):
    left = rules.remaining(found)
    judged = 0 if found.superseded else found.variance - found.older
    assert min(judged, 0) <= left <= max(judged, 0)


@given(UNITS, UNITS, UNITS, st.integers(-30, 0))
def test_a_unit_is_corrected_once(variance, restated, noted, missed):
    """What others corrected the same way and what is written are together the variance, or more only by the others."""
    left = rules.remaining(Meanwhile(1, variance, 0, 0, restated, noted, missed, False))
    same = min(restated, 0) + min(noted, 0) + missed if variance < 0 else max(restated, 0) + max(noted, 0)
    assert same + left == (min(variance, same) if variance < 0 else max(variance, same))


@given(UNITS, UNITS)
def test_a_sale_that_is_told_late_explains_what_is_missing(variance, late):
    assume(min(variance, 0) <= late <= max(variance, 0))
    assert rules.remaining(Meanwhile(1, variance, late, 0, 0, 0, 0, False)) == variance - late


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30), st.booleans())
def test_of_two_counts_the_later_one_stands_whichever_is_closed_first(there, early, late, late_first):
    if late_first:
        stock = there + rules.remaining(Meanwhile(1, late - there, 0, 0, 0, 0, 0, False))
        stock += rules.remaining(Meanwhile(1, early - there, 0, 0, late - there, 0, 0, True))
    else:
        stock = there + rules.remaining(Meanwhile(1, early - there, 0, 0, 0, 0, 0, False))
        stock += rules.remaining(Meanwhile(1, late - there, 0, early - there, 0, 0, 0, False))
    assert stock == late


@given(st.integers(-30, -1), st.integers(1, 30))
def test_goods_that_came_do_not_hide_what_a_person_took_off(variance, came):
    assert rules.remaining(Meanwhile(1, variance, 0, 0, came, variance, 0, False)) == 0
