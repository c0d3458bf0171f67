"""What a count of one shelf differs by is divided between its owners: units conserved, nobody below zero, all in proportion."""

from hypothesis import given
from hypothesis import strategies as st

from malha.inventory.counts.rules import divide

balances = st.dictionaries(st.integers(1, 9), st.integers(-50, 10_000), min_size=1, max_size=6)


@given(balances, st.integers(-20_000, 20_000))
def test_every_unit_of_a_variance_goes_to_somebody_who_is_there(on_hand: dict[int, int], variance: int) -> None:
    parts = divide(variance, on_hand, 99)
    assert sum(parts.values()) == variance
    assert set(parts) <= set(on_hand) | {99}
    assert all(units and (units > 0) == (variance > 0) for units in parts.values())


@given(balances, st.integers(0, 20_000))
def test_nobody_is_taken_below_zero_while_all_together_have_as_much_as_is_missing(
    on_hand: dict[int, int], missing: int
) -> None:
    total = sum(units for units in on_hand.values() if units > 0)
    parts = divide(-min(missing, total), on_hand, 99)
    assert all(on_hand.get(place, 0) + units >= 0 for place, units in parts.items())


@given(balances, st.integers(-20_000, 20_000))
def test_shares_are_in_proportion_within_one_unit_and_more_never_bears_less(
    on_hand: dict[int, int], variance: int
) -> None:
    having = {place: units for place, units in on_hand.items() if units > 0}
    total = sum(having.values())
    if len(having) < 2 or variance < -total:
        return
    parts = divide(variance, on_hand, 99)
    for place, units in having.items():
        assert abs(abs(parts.get(place, 0)) * total - abs(variance) * units) <= total
    order = sorted(having, key=lambda place: (having[place], -place))
    shares = [abs(parts.get(place, 0)) for place in order]
    assert shares == sorted(shares)


def test_one_owner_alone_bears_all_and_what_nobody_has_is_the_sites() -> None:
    assert divide(-3, {1: 0, 2: 5}, 1) == {2: -3}
    assert divide(4, {1: 0, 2: 5}, 1) == {2: 4}
    assert divide(4, {1: 0, 2: 0}, 1) == {1: 4}
    assert divide(-1, {1: 5, 2: 5}, 1) == {1: -1}
    assert divide(-7, {1: 3, 2: 2}, 1) == {1: -5, 2: -2}
    assert divide(0, {1: 3, 2: 2}, 1) == {}
