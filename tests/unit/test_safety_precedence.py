"""Which safety rule comes first, and why: the order is total and each step of it has its word."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from malha.inventory.safety.model import Measure, Precedence, Purpose, SafetyRule
from malha.inventory.safety.rules import in_order, is_in_force, told, why_before

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def a_rule(name: str = "N", **more) -> SafetyRule:
    facts = {"id": 1, "code": name, "name": name, "purpose": Purpose.ROUTING, "measure": Measure.UNITS, "amount": 1}
    return SafetyRule(**(facts | {"changed_at": NOW} | more))


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        (a_rule(state="SP", brand="B"), a_rule(sku_id=1), Precedence.MORE_CONDITIONS),
        (a_rule(state="SP", ends_at=NOW), a_rule(sku_id=1, ends_at=NOW + timedelta(1)), Precedence.ENDS_EARLIER),
        (a_rule(state="SP", ends_at=NOW), a_rule(sku_id=1), Precedence.ENDS_EARLIER),
        (a_rule(location_id=1), a_rule(sku_id=1), Precedence.DIMENSION),
        (a_rule(group_id=1), a_rule(sku_id=1), Precedence.DIMENSION),
        (a_rule(sku_id=1), a_rule(product_id=1), Precedence.DIMENSION),
        (a_rule(brand="B"), a_rule(category_path="a"), Precedence.DIMENSION),
        (a_rule(category_path="a/b"), a_rule(category_path="a"), Precedence.DEEPER_CATEGORY),
        (a_rule("A", sku_id=1), a_rule("B", sku_id=1), Precedence.NAME),
        (a_rule(changed_at=NOW + timedelta(1)), a_rule(), Precedence.CHANGED_LATER),
        (a_rule(id=2), a_rule(id=1), Precedence.CHANGED_LATER),
    ],
)
def test_the_first_difference_decides(first: SafetyRule, second: SafetyRule, why: Precedence):
    assert in_order([second, first]) == [first, second]
    assert why_before(first, second) is why


def test_the_order_does_not_depend_on_the_order_in_which_rules_come():
    rules = [a_rule(sku_id=1), a_rule("Z"), a_rule("A"), a_rule(category_path="a/b", state="SP")]
    assert len({tuple(r.name for r in in_order(p)) for p in permutations(rules)}) == 1


def test_each_match_says_why_it_comes_before_the_next_and_the_last_does_not():
    found = told([(a_rule(sku_id=1, state="SP"), 4), (a_rule(sku_id=1), 2), (a_rule(), 1)])
    assert [(m.units, m.before_next) for m in found] == [
        (4, Precedence.MORE_CONDITIONS),
        (2, Precedence.MORE_CONDITIONS),
        (1, None),
    ]


def test_a_rule_counts_from_its_start_until_before_its_end_and_only_while_it_is_active():
    rule = a_rule(starts_at=NOW, ends_at=NOW + timedelta(hours=1))
    assert is_in_force(rule, NOW)
    assert not is_in_force(rule, NOW - timedelta(seconds=1))
    assert not is_in_force(rule, NOW + timedelta(hours=1))
    assert not is_in_force(a_rule(active=False), NOW)
