"""The locations an actor is limited to, as statements take them and as frozen questions keep them."""

from malha.platform.db import Actor


def test_a_limited_actor_has_its_locations_sorted_in_both_shapes() -> None:
    actor = Actor(locations=frozenset({30, 4, 17}))
    assert actor.scope == [4, 17, 30]
    assert actor.fixed_scope == (4, 17, 30)


def test_an_actor_with_no_location_sees_none_and_one_without_limits_sees_all() -> None:
    assert Actor(locations=frozenset()).fixed_scope == ()
    assert Actor().fixed_scope is None
