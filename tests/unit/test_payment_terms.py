"""How long stock waits for money."""

from datetime import UTC, date, datetime, timedelta

import pytest

from malha.network.calendar import TABLE_YEARS, holidays_of
from malha.payments.terms import ANY, Awaited, Term, check_term, clearing_day, due_of, term_for

SAME_EACH_YEAR = {(1, 1), (4, 21), (5, 1), (9, 7), (10, 12), (11, 2), (11, 15), (11, 20), (12, 25)}
ZONE = "America/Sao_Paulo"
NOON = datetime(2026, 11, 26, 15, tzinfo=UTC)  # a Thursday
TERMS = [
    Term(tender="pix", minutes=30, grace_minutes=10, keep_days=3),
    Term(tender="boleto", minutes=4320, clearing_days=2, keep_days=5),
    Term(tender=ANY, minutes=4320),
    Term(tender="pix", minutes=5, channel_id=7),
    Term(tender=ANY, minutes=60, channel_id=7),
]


@pytest.mark.parametrize(
    ("tender", "channel", "minutes"),
    [("pix", 1, 30), ("pix", 7, 5), ("boleto", 7, 4320), ("voucher", 7, 60), ("voucher", 1, 4320)],
)
def test_the_most_specific_term_holds_and_the_kind_of_tender_counts_more_than_the_channel(tender, channel, minutes):
    assert term_for(TERMS, tender, channel).minutes == minutes


def test_a_pix_lives_for_minutes_or_as_long_as_its_code_says_and_a_little_longer():
    said = NOON + timedelta(hours=1)
    own, named = (Awaited(kind="pix", created_at=NOON, expires_at=x) for x in (None, said))
    assert due_of(TERMS, [own], 1, NOON, ZONE).at == NOON + timedelta(minutes=40)
    assert due_of(TERMS, [named], 1, NOON, ZONE).at == said + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("due", "arrived"),
    [
        (date(2026, 11, 26), date(2026, 11, 30)),  # Thursday: Friday, Monday
        (date(2026, 11, 28), date(2026, 12, 2)),  # Saturday: paid on Monday
        (date(2026, 12, 24), date(2026, 12, 29)),  # over Christmas, a Friday
        (date(2026, 12, 30), date(2027, 1, 5)),  # over New Year: the day before it serves nobody
        (date(2026, 12, 31), date(2027, 1, 6)),  # the last working day of the year: paid on Monday, 4 January
        (date(2027, 12, 30), date(2028, 1, 4)),  # a Friday
        (date(2028, 12, 29), date(2029, 1, 4)),  # the last working day is a Friday, the 29th
        (date(2027, 2, 5), date(2027, 2, 11)),  # Friday before Carnival: Ash Wednesday, Thursday
        (date(2027, 2, 8), date(2027, 2, 12)),  # Carnival's Monday: paid on Ash Wednesday
        (date(2027, 5, 26), date(2027, 5, 31)),  # over Corpus Christi, a Thursday
        (date(2028, 2, 25), date(2028, 3, 2)),  # Carnival's Tuesday is the leap day
    ],
)
def test_money_of_a_boleto_arrives_two_business_days_after_it_could_be_paid(due, arrived):
    assert clearing_day(due, 2) == arrived


@pytest.mark.parametrize("year", TABLE_YEARS)
def test_banks_keep_carnival_and_corpus_christi_by_the_easter_that_good_friday_has(year):
    (good_friday,) = [day for day in holidays_of("BR", year) if (day.month, day.day) not in SAME_EACH_YEAR]
    easter = good_friday + timedelta(days=2)
    for after in (-48, -47, 60):
        day = easter + timedelta(days=after)
        assert clearing_day(day, 0) > day, day
    ash_wednesday = easter - timedelta(days=46)
    assert clearing_day(ash_wednesday, 0) == ash_wednesday


def test_a_boleto_is_waited_for_until_the_end_of_the_day_its_money_may_arrive():
    ticket = Awaited(kind="boleto", created_at=NOON, expires_at=datetime(2026, 11, 27, 2, 59, tzinfo=UTC))
    # 23:59 on the 26th where the retailer is; two business days later that day ends.
    assert due_of(TERMS, [ticket], 1, NOON, ZONE).at == datetime(2026, 12, 1, 3, tzinfo=UTC)


def test_an_order_waits_for_the_last_of_its_tenders_and_without_any_as_long_as_all_others():
    pix, boleto = (Awaited(kind=kind, created_at=NOON) for kind in ("pix", "boleto"))
    both = due_of(TERMS, [pix, boleto], 1, NOON, ZONE)
    assert (both.tender, both.keep_days) == ("boleto", 5)
    assert due_of(TERMS, [], 7, NOON, ZONE).at == NOON + timedelta(hours=1)


def test_a_term_out_of_range_is_refused_by_its_field():
    odd = Term(tender="barter", minutes=0, clearing_days=31, grace_minutes=-1, keep_days=61)
    assert [flaw.at for flaw in check_term(odd)] == ["tender", "minutes", "clearing_days", "grace_minutes", "keep_days"]
