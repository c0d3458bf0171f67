"""Pure decisions on payments: caps of every fact, the derived state, whether enough is secured.

Invariants, whatever sequence of facts is offered: 0 <= refunded <= captured, and 0 <= charged back <= captured whatever
was refunded, for a bank does not ask; captured <= authorised - voided where there is an authorisation, else captured <=
the tender's amount; authorised - voided <= the tender's amount.
"""

import re
from collections.abc import Sequence
from typing import Final

from malha.network.model import PaymentPolicy
from malha.payments.errors import (
    AuthorisedTooMuch,
    CapturedTooMuch,
    ChargedBackTooMuch,
    RefundedTooMuch,
    VoidedTooMuch,
)
from malha.payments.model import FactKind, PaymentState, Sums, Tender, TenderKind, WentBack
from malha.platform.errors import MalhaError
from malha.platform.money import Money

_REFUSALS: dict[FactKind, type[MalhaError]] = {
    FactKind.AUTHORISED: AuthorisedTooMuch,
    FactKind.CAPTURED: CapturedTooMuch,
    FactKind.REFUNDED: RefundedTooMuch,
    FactKind.VOIDED: VoidedTooMuch,
    FactKind.CHARGED_BACK: ChargedBackTooMuch,
}


# The Central Bank's id of a PIX: E, the bank's ISPB, the minute, eleven signs. One transfer in all the country. What
# the receiver's charge is known by (`txid`) has 26 to 35 signs; providers name it by that, or by a UUID.
_END_TO_END: Final = re.compile(r"E\d{20}[A-Z0-9]{11}")
_CHARGE: Final = re.compile(r"(?=.*\d)(?:[A-Z0-9]{26,35}|[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12})")


def named(reference: str | None) -> str | None:
    """Return a reference as it is kept: without spaces around it, None where nothing is left."""
    return (reference or "").strip() or None


def identity_of(kind: str, reference: str | None) -> str | None:
    """Return what tells a payment from every other of all orders, by its tender's kind; None: its reference does not.

    A PIX has an end-to-end id, or its charge has one. What is shorter is a number that somebody counted, and another
    channel counts to it too; a terminal's NSU and a card's authorisation begin anew each day, a bank's own number of a
    boleto is of one account, and "cash" is anybody's.
    """
    said = (reference or "").strip().upper()
    if _END_TO_END.fullmatch(said) or (kind == TenderKind.PIX and _CHARGE.fullmatch(said)):
        return said
    return None


def room_for(kind: FactKind, tender_amount: int, sums: Sums) -> int | None:
    """Return how much of a kind may still be recorded on a tender; None: no limit (a decline moves nothing)."""
    match kind:
        case FactKind.AUTHORISED:
            # A tender that is captured directly has no use for an authorisation.
            directly = sums.captured and not sums.authorised
            return 0 if directly else tender_amount - (sums.authorised - sums.voided)
        case FactKind.CAPTURED:
            return (sums.authorised - sums.voided if sums.authorised else tender_amount) - sums.captured
        case FactKind.REFUNDED:
            return sums.captured - sums.refunded
        case FactKind.CHARGED_BACK:
            return sums.captured - sums.charged_back
        case FactKind.VOIDED:
            return sums.authorised - sums.voided - sums.captured if sums.authorised else 0
        case FactKind.DECLINED:
            return None


def check_fact(kind: FactKind, amount: int, tender_amount: int, sums: Sums, currency: str = "BRL") -> None:
    """Refuse a fact that the tender cannot have.

    Raises:
        AuthorisedTooMuch, CapturedTooMuch, RefundedTooMuch, ChargedBackTooMuch, VoidedTooMuch: by kind, with what is
            still possible.
    """
    room = room_for(kind, tender_amount, sums)
    if room is not None and amount > room:
        raise _REFUSALS[kind](most=Money(max(room, 0), currency), amount=Money(amount, currency))


def derive_state(total: int, payable: int, sums: Sums, *, pending: bool, declined: bool) -> PaymentState:
    """Return how far an order is paid.

    Args:
        total: The order's total in centavos.
        payable: The total less what was cancelled.
        sums: Of all its tenders.
        pending: Some tender has neither been captured, authorised, voided nor declined.
        declined: Some tender's last word is a decline.
    """
    if back := sums.refunded + sums.charged_back:
        return PaymentState.REFUNDED if back >= sums.captured else PaymentState.PARTIALLY_REFUNDED
    if sums.captured:
        return PaymentState.PAID if sums.captured >= payable else PaymentState.PARTIALLY_PAID
    if total == 0:
        return PaymentState.PAID
    if payable > 0 and sums.authorised - sums.voided >= payable:
        return PaymentState.AUTHORISED
    if pending or sums.authorised > sums.voided:
        return PaymentState.PENDING
    return PaymentState.DECLINED if declined else PaymentState.UNPAID


def state_of(total: int, payable: int, tenders: Sequence[Tender]) -> PaymentState:
    """Return `derive_state` of an order's tenders."""
    nothing = Sums()
    return derive_state(
        total,
        payable,
        standing_of(tenders),
        pending=any(t.sums == nothing and not t.declined for t in tenders),
        declined=any(t.declined for t in tenders),
    )


def sum_up(tenders: Sequence[Tender]) -> Sums:
    """Return what was recorded of all tenders together."""
    return _added([tender.sums for tender in tenders])


def standing_of(tenders: Sequence[Tender]) -> Sums:
    """Return the sums of all tenders together as they count: without what was declined after it was authorised."""
    return _added([tender.standing for tender in tenders])


def _added(sums: Sequence[Sums]) -> Sums:
    return Sums(
        authorised=sum(s.authorised for s in sums),
        captured=sum(s.captured for s in sums),
        refunded=sum(s.refunded for s in sums),
        voided=sum(s.voided for s in sums),
        charged_back=sum(s.charged_back for s in sums),
        favour=sum(s.favour for s in sums),
    )


def is_payable_enough(payable: int, covered: int, policy: PaymentPolicy) -> bool:
    """Tell whether an order may be released: under `before_release` its tenders must secure what is payable."""
    return policy is not PaymentPolicy.BEFORE_RELEASE or covered >= payable


def is_favour(payable: int, covered: int, sums: Sums) -> bool:
    """Tell whether what lacks of an order's money was given back to a customer who had paid: its freight, an apology.

    That holds nothing up. Half of what is payable, or more, may be a chargeback or a cancel that is yet to be told: a
    person decides, unless it was recorded as the favour it is.
    """
    missing = payable - covered
    return 0 < missing <= sums.refunded and (missing <= sums.favour or 2 * missing < payable)


def is_taken_back(payable: int, covered: int, sums: Sums) -> bool:
    """Tell whether the money of an order that was secured is not there any more: given up by us, or fetched back.

    A part that was given back while the order goes on is a favour to the customer; all of it is none, and neither is
    what was charged back or what an authorisation that was voided leaves open.
    """
    if payable <= 0 or not (sums.voided or sums.refunded or sums.charged_back):
        return False
    return covered <= 0 or covered + sums.refunded < payable


def kept(of: WentBack) -> int:
    """Return what we have of it still, in centavos; it can be given back."""
    return max(of.captured - of.refunded - of.charged_back, 0)


def lost(of: WentBack) -> int:
    """Return what went back twice in centavos, refunded and charged back: the bank is to be told."""
    return max(of.refunded + of.charged_back - of.captured, 0)


def refund_due(payable: int, sums: Sums) -> int:
    """Return what is to be given back in centavos: what we have beyond what is payable.

    A favour is money that the customer need not have paid, as far as something is payable: it takes nothing off what
    is due for what is cancelled, before it or after.
    """
    return max(0, kept(sums) - max(payable - sums.favour, 0))


def shares_of_refund(due: int, tenders: Sequence[Tender]) -> list[tuple[int, int]]:
    """Return by which tenders an amount is given back, as (position, centavos): together `due`, none more than it took.

    The last that can give all of it alone; else those that can give the most first. `due` is at most what is captured
    and did not go back.
    """
    left = {t.position: kept(t.sums) for t in tenders}
    alone = [position for position, most in left.items() if most >= due > 0]
    if alone:
        return [(alone[-1], due)]
    shares = []
    for position in sorted(left, key=lambda p: (-left[p], p)):
        if part := min(left[position], due):
            shares.append((position, part))
            due -= part
    return shares
