"""Whatever sequence of facts is offered, a tender never gives more than it took, nor takes more than it may."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from malha.network.model import PaymentPolicy
from malha.payments import rules
from malha.payments.model import FactKind, PaymentState, Sums, Tender, TenderKind
from malha.platform.errors import MalhaError
from malha.platform.ids import new_id

FACTS = st.lists(st.tuples(st.sampled_from(list(FactKind)), st.integers(1, 120)), max_size=25)


def a_tender(amount, sums, declined=False):
    return Tender(new_id(), 1, TenderKind.PIX, amount, sums, declined)


@given(st.integers(1, 100), FACTS)
def test_any_sequence_of_facts_keeps_the_caps_and_the_sums(amount, facts):
    sums = Sums()
    recorded = dict.fromkeys(FactKind, 0)
    for kind, value in facts:
        room = rules.room_for(kind, amount, sums)
        if room is not None and value > room:
            with pytest.raises(MalhaError) as refused:
                rules.check_fact(kind, value, amount, sums)
            assert refused.value.facts["most"].minor == room
            continue
        rules.check_fact(kind, value, amount, sums)
        sums = sums.plus(kind, value)
        recorded[kind] += value
        assert sums == Sums(**{kind.value: of for kind, of in recorded.items() if kind is not FactKind.DECLINED})
        assert 0 <= sums.refunded <= sums.captured <= amount
        assert 0 <= sums.charged_back <= sums.captured
        assert 0 <= rules.lost(sums) <= min(sums.refunded, sums.charged_back)
        assert 0 <= sums.authorised - sums.voided <= amount
        assert not sums.authorised or sums.captured <= sums.authorised - sums.voided
        assert 0 <= sums.covered <= amount


@given(st.integers(0, 200), st.integers(0, 200), st.lists(st.tuples(st.integers(1, 100), FACTS), max_size=3))
def test_the_derived_state_agrees_with_the_money(total, cancelled, tenders):
    payable = total - min(cancelled, total)
    own = []
    for amount, facts in tenders:
        sums, declined = Sums(), False
        for kind, value in facts:
            room = rules.room_for(kind, amount, sums)
            if room is None or value <= room:
                sums, declined = sums.plus(kind, value), kind is FactKind.DECLINED
        own.append(a_tender(amount, sums, declined))
    state, sums = rules.state_of(total, payable, own), rules.sum_up(own)
    if state is PaymentState.PAID:
        assert sums.captured >= payable
        assert not sums.refunded
        assert not sums.charged_back
    if state is PaymentState.REFUNDED:
        assert sums.refunded + sums.charged_back >= sums.captured > 0
    if state in {PaymentState.UNPAID, PaymentState.PENDING, PaymentState.DECLINED, PaymentState.AUTHORISED}:
        assert sums.captured == 0
    if state is PaymentState.AUTHORISED:
        assert rules.standing_of(own).authorised - rules.standing_of(own).voided >= payable > 0
        assert sum(t.standing.covered for t in own) >= payable
    ours = sums.captured - sums.refunded - sums.charged_back
    assert ours <= sum(t.standing.covered for t in own) <= sum(t.sums.covered for t in own)
    due = rules.refund_due(payable, sums)
    assert due == max(0, ours - payable)
    assert not (due and rules.lost(sums))


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100), st.integers(0, 100))
def test_a_favour_changes_nothing_of_what_is_due_but_that_no_more_goes_back_than_there_is(total, off, back, given_, by):
    """Whatever was cancelled and given back for it: with a favour beside it as much is due, as far as it is ours."""
    payable, back = max(total - off, 0), min(back, total)
    without = Sums(captured=total, refunded=back)
    favour = min(given_, total - back)
    with_it = without.plus(FactKind.REFUNDED, favour, favour=True)
    due = rules.refund_due(payable, with_it)
    assert rules.kept(with_it) >= due >= min(rules.refund_due(payable, without), rules.kept(with_it))
    if favour <= payable <= total - back:
        assert due == rules.refund_due(payable, without)
    charged = with_it.plus(FactKind.CHARGED_BACK, min(by, total))
    assert 0 <= rules.refund_due(payable, charged) <= rules.kept(charged)
    for kind in set(FactKind) - {FactKind.REFUNDED}:
        assert with_it.plus(kind, 1, favour=True).favour == favour


def test_only_before_release_waits_for_the_money():
    assert rules.is_payable_enough(100, 100, PaymentPolicy.BEFORE_RELEASE)
    assert not rules.is_payable_enough(100, 99, PaymentPolicy.BEFORE_RELEASE)
    assert rules.is_payable_enough(100, 0, PaymentPolicy.ON_DELIVERY)
    assert rules.is_payable_enough(100, 0, PaymentPolicy.SETTLED_BY_CHANNEL)


def test_an_authorisation_and_a_direct_capture_on_two_tenders_add_up():
    card = a_tender(100, Sums(authorised=100))
    pix = a_tender(50, Sums(captured=50))
    assert card.sums.covered + pix.sums.covered == 150


@given(st.lists(st.tuples(*[st.integers(0, 50)] * 3), min_size=1, max_size=5), st.data())
def test_a_refund_is_shared_among_tenders_that_took_so_much_and_adds_up(taken, data):
    tenders = [
        Tender(
            new_id(), n, TenderKind.PIX, 100, Sums(captured=took, refunded=min(back, took), charged_back=min(by, took))
        )
        for n, (took, back, by) in enumerate(taken, 1)
    ]
    left = {t.position: max(t.sums.captured - t.sums.refunded - t.sums.charged_back, 0) for t in tenders}
    due = data.draw(st.integers(0, sum(left.values())))
    shares = rules.shares_of_refund(due, tenders)
    assert sum(amount for _, amount in shares) == due
    assert all(0 < amount <= left[position] for position, amount in shares)
    assert len({position for position, _ in shares}) == len(shares)
    if any(most >= due for most in left.values()):
        assert len(shares) <= 1
