"""Which documents an ERP gets of what happens to an order: always as much as the order is worth."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malha.channels.connecting import rules
from malha.channels.connecting.model import Posting, Trail
from malha.channels.contract import DocumentRules

AT = datetime(2026, 11, 27, 12, tzinfo=UTC)
PLACED = ("order.placed", {"total": 10_000, "holds": []})


def cancel(amount: int, lines: dict[str, int], *, whole: bool = False) -> tuple[str, dict[str, Any]]:
    return "order.cancelled", {"amount": amount, "lines": lines, "whole": whole, "reason": "damaged"}


def refund(amount: int) -> tuple[str, dict[str, Any]]:
    return "payment.refunded", {"amount": amount}


SHIPPED = ("fulfillment.shipped", {})


def followed(*events: tuple[str, dict[str, Any]], **says: Any) -> tuple[Trail | None, list[Posting]]:
    trail, found = None, []
    for seq, (type_, facts) in enumerate(events, 1):
        trail, came = rules.follow(trail, DocumentRules(**says), seq=seq, type_=type_, facts=facts, at=AT)
        found += came
    return trail, found


def brief(postings: list[Posting]) -> list[tuple[str, int]]:
    return [(each.kind.value, each.total) for each in postings]


def test_a_sale_when_placed_and_a_credit_for_what_is_cancelled_later():
    _, found = followed(PLACED, cancel(2_500, {"1": 1}))
    assert brief(found) == [("sale", 10_000), ("credit", -2_500)]
    assert (found[0].freight, found[1].lines, found[1].freight) == (1, {1: -1}, 0)


def test_what_is_cancelled_before_the_sale_is_due_is_not_in_it():
    trail, found = followed(PLACED, cancel(2_500, {"1": 1}), SHIPPED, SHIPPED, document_when="shipped")
    assert brief(found) == [("sale", 7_500)]
    assert rules.in_sale(found[0], {1: (3, False), 2: (1, False), 3: (1, True)}) == {1: 2, 2: 1}
    assert trail is not None
    assert trail.posted == trail.worth == 7_500


def test_an_order_that_is_cancelled_whole_before_its_sale_is_due_has_no_documents():
    assert followed(PLACED, cancel(10_000, {"1": 3}, whole=True), document_when="shipped")[1] == []


def test_an_order_with_an_unknown_sku_waits_until_the_last_of_them_is_known():
    placed = ("order.placed", {"total": 500, "holds": ["unknown_sku"]})
    mapped = [("order.line_mapped", {"complete": done}) for done in (False, True)]
    assert followed(placed, mapped[0])[1] == []
    assert brief(followed(placed, *mapped)[1]) == [("sale", 500)]


def test_an_order_that_is_cancelled_whole_with_an_unknown_sku_has_no_documents():
    placed = ("order.placed", {"total": 500, "holds": ["unknown_sku"]})
    assert followed(placed, cancel(500, {"1": 1}, whole=True), ("order.line_mapped", {"complete": True}))[1] == []


def test_money_for_what_was_cancelled_is_not_credited_twice():
    assert brief(followed(PLACED, cancel(2_500, {"1": 1}), refund(2_500))[1]) == [("sale", 10_000), ("credit", -2_500)]
    assert brief(followed(PLACED, refund(2_500), cancel(2_500, {"1": 1}))[1]) == [
        ("sale", 10_000),
        ("refund", -2_500),
        ("credit", 0),
    ]


def test_money_beyond_what_was_cancelled_is_a_document_of_its_own():
    found = followed(PLACED, cancel(2_500, {"1": 1}), refund(3_000))[1]
    assert brief(found) == [("sale", 10_000), ("credit", -2_500), ("refund", -500)]


def test_a_replacement_changes_the_sale_and_is_in_it_when_it_came_before():
    replaced = ("order.line_replaced", {"line": 1, "by_line": 3, "quantity": 2, "amount": 300})
    _, after = followed(PLACED, replaced)
    assert brief(after) == [("sale", 10_000), ("change", -300)]
    assert after[1].lines == {1: -2, 3: 2}
    _, before = followed(PLACED, replaced, SHIPPED, document_when="shipped")
    assert brief(before) == [("sale", 9_700)]
    assert rules.in_sale(before[0], {1: (2, False), 3: (2, True)}) == {3: 2}


def test_what_a_connection_does_not_want_is_not_posted():
    events = (PLACED, cancel(2_500, {"1": 1}), refund(5_000))
    assert brief(followed(*events, document_cancels="none", document_refunds="none")[1]) == [("sale", 10_000)]


def test_an_event_that_comes_again_and_an_order_that_was_placed_before_change_nothing():
    trail, _ = followed(PLACED, cancel(2_500, {"1": 1}))
    type_, facts = cancel(2_500, {"1": 1})
    assert rules.follow(trail, DocumentRules(), seq=2, type_=type_, facts=facts, at=AT) == (trail, [])
    assert rules.follow(None, DocumentRules(), seq=9, type_=type_, facts=facts, at=AT) == (None, [])


EVENTS = st.lists(
    st.one_of(
        st.integers(0, 2_000).map(lambda n: cancel(n, {"1": 1})),
        st.integers(1, 3_000).map(refund),
        st.just(SHIPPED),
        st.integers(0, 500).map(
            lambda n: ("order.line_replaced", {"line": 1, "by_line": 9, "quantity": 1, "amount": n})
        ),
    ),
    max_size=4,
)


@given(events=EVENTS, when=st.sampled_from(["placed", "shipped"]))
def test_all_documents_together_are_what_the_order_is_worth_less_money_without_goods(
    events: list[tuple[str, dict[str, Any]]], when: str
):
    trail, found = followed(PLACED, *events, document_when=when)
    assert trail is not None
    if trail.sale:
        assert sum(each.total for each in found) == trail.posted == trail.worth - trail.extra
        assert trail.extra >= max(0, trail.refunded - (trail.placed - trail.worth))
    else:
        assert found == []
    assert [each.n for each in found] == list(range(1, len(found) + 1))


@pytest.mark.parametrize("type_", ["fulfillment.shipped", "fulfillment.collected"])
def test_whatever_leaves_makes_the_sale_due(type_: str):
    assert brief(followed(PLACED, (type_, {}), document_when="shipped")[1]) == [("sale", 10_000)]
