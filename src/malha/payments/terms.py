"""How long an order keeps its stock while it waits for money: pure rules over terms and tenders.

A PIX code lives for minutes. A boleto is paid until the end of its due date and reaches the bank business days later
(neither Brazil's national holidays are, nor what banks alone keep, as Carnival and the last working day of a year).
What says nothing itself lives as long as the retailer's term for it.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from malha.network.calendar import is_holiday
from malha.payments.model import TenderKind
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

ANY = "*"
BANKS = "BR"  # the holidays that banks share with everybody
SATURDAY = 5
_DAY = timedelta(days=1)
KINDS = (
    TenderKind.PIX,
    TenderKind.BOLETO,
    TenderKind.CREDIT_CARD,
    TenderKind.DEBIT_CARD,
    TenderKind.CARD_TERMINAL,
    TenderKind.PREPAID,
    TenderKind.VOUCHER,
)
MOST = {"minutes": 525_600, "clearing_days": 30, "grace_minutes": 10_080, "keep_days": 60}


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """How long stock waits for one kind of tender. Without a channel it holds for all of them."""

    tender: str
    minutes: int
    clearing_days: int = 0
    grace_minutes: int = 0
    keep_days: int = 3
    channel_id: int | None = None
    id: int = 0
    version: int = 0


class Awaited(msgspec.Struct, frozen=True, kw_only=True):
    """A tender on which nothing was secured yet."""

    kind: str
    created_at: datetime
    expires_at: datetime | None = None


class Due(msgspec.Struct, frozen=True):
    """Until when an order keeps its stock, because of which tender, and for how many days late money still finds it."""

    at: datetime
    tender: str
    keep_days: int


def term_for(terms: Iterable[Term], tender: str, channel_id: int) -> Term:
    """Return the most specific term: channel and kind, then kind, then the channel's for any, then any.

    Raises:
        LookupError: there is no term for any tender; the migration makes one and none can be removed.
    """
    fitting = [t for t in terms if t.tender in {tender, ANY} and t.channel_id in {channel_id, None}]
    if not fitting:
        raise LookupError("no payment term for any tender")
    return max(fitting, key=lambda t: (t.tender == tender, t.channel_id == channel_id))


def due_of(terms: Collection[Term], awaited: Sequence[Awaited], channel_id: int, since: datetime, zone: str) -> Due:
    """Return when an order lets its stock go: when the last of the tenders it waits for can no longer come.

    Args:
        terms: The retailer's terms.
        awaited: Tenders nothing was secured on; empty when the order names none, or all were declined.
        channel_id: Where it was sold.
        since: From when an order without tenders waits.
        zone: By whose clock days end.
    """
    tenders = awaited or [Awaited(kind=ANY, created_at=since)]
    return max((_due(term_for(terms, t.kind, channel_id), t, zone) for t in tenders), key=lambda due: due.at)


def _due(term: Term, tender: Awaited, zone: str) -> Due:
    at = tender.expires_at or tender.created_at + timedelta(minutes=term.minutes)
    if term.clearing_days:
        local = at.astimezone(ZoneInfo(zone))
        day = clearing_day(local.date(), term.clearing_days)
        at = datetime.combine(day + timedelta(days=1), time(), tzinfo=ZoneInfo(zone))
    return Due(at + timedelta(minutes=term.grace_minutes), tender.kind, term.keep_days)


def clearing_day(due: date, days: int) -> date:
    """Return the day on which money paid on `due` has arrived, `days` business days of the banks later.

    A due date on a weekend or holiday is paid on the next business day, by the banks' rule for boletos.
    """
    day = _bank_day(due)
    for _ in range(days):
        day = _bank_day(day + _DAY)
    return day


def _bank_day(day: date) -> date:
    """Return the first day from this one on on which banks work."""
    while day.weekday() >= SATURDAY or is_holiday(BANKS, day) or day in _closed_in(day.year):
        day += _DAY
    return day


@lru_cache(maxsize=16)
def _closed_in(year: int) -> frozenset[date]:
    """Return the days on which banks alone are shut: Carnival's two, Corpus Christi, the last working day of the year.

    On that last one they serve nobody, and what is due then is paid in the new year.
    """
    easter, last = _easter(year), date(year, 12, 31)
    while last.weekday() >= SATURDAY:
        last -= _DAY
    return frozenset({easter - 48 * _DAY, easter - 47 * _DAY, easter + 60 * _DAY, last})


def _easter(year: int) -> date:
    """Return Easter Sunday of a year, by Gauss and Butcher."""
    golden, (century, rest) = year % 19, divmod(year, 100)
    leaps, odd = divmod(century, 4)
    moon = (19 * golden + century - leaps - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    week = (32 + 2 * odd + 2 * (rest // 4) - moon - rest % 4) % 7
    month, day = divmod(moon + week - 7 * ((golden + 11 * moon + 22 * week) // 451) + 114, 31)
    return date(year, month, day + 1)


def check_term(term: Term) -> Iterable[Flaw]:
    """Say what is wrong with a term a person wrote."""
    if term.tender != ANY and term.tender not in {kind.value for kind in TenderKind}:
        yield Flaw("tender", N_("There is no tender “{tender}”."), facts={"tender": term.tender})
    for name, most in MOST.items():
        least = 1 if name == "minutes" else 0
        if not least <= getattr(term, name) <= most:
            yield Flaw(name, N_("This must be between {least} and {most}."), facts={"least": least, "most": most})
