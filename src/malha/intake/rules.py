"""Pure decisions at the gate: what tells bodies apart, amounts that cannot be, whether the tenders cover the total."""

import hashlib
from collections.abc import Iterable

import msgspec

from malha.intake.errors import DiscountTooLarge
from malha.intake.model import NewOrder, NewPayment
from malha.payments.rules import identity_of, named
from malha.platform.address import Address
from malha.platform.brazil import normalise_cep
from malha.platform.days import is_far
from malha.platform.errors import MalhaError
from malha.platform.flaws import Flaw, Invalid
from malha.platform.i18n import N_
from malha.platform.shapes import NO_YEAR, NO_YEAR_MEND

_encode = msgspec.json.Encoder().encode

MOST = 10**12
_FARTHER = ("pending", "authorised", "captured")
_NO_GROUP = b',"customer_group":null}'
_NO_SLOT = b',"slot":null}'
_NO_DETAILS = b',"details":null}'


def hash_of(order: NewOrder) -> str:
    """Return 128 bits in hex that tell bodies apart whatever their white space or key order (BLAKE2b, decoded).

    A body without details, a slot, or a customer group, has the hash it had before there were any: it may be sent again
    after an upgrade.
    """
    body = _encode(order)
    if order.details is not None:
        return hashlib.blake2b(body, digest_size=16).hexdigest()
    body = body.removesuffix(_NO_DETAILS) + b"}"
    if order.slot is not None:
        return hashlib.blake2b(body, digest_size=16).hexdigest()
    body = body.removesuffix(_NO_SLOT) + b"}"
    if order.customer_group is None:
        body = body.removesuffix(_NO_GROUP) + b"}"
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def refuse_amounts(order: NewOrder) -> MalhaError | None:
    """Return why the amounts cannot be: a discount above what it is on, a total beyond any. None when they can.

    Sums over all orders must stay in 64 bits: one mistyped order would keep everybody from the pages that show them.
    """
    items = 0
    for n, line in enumerate(order.lines):
        gross = line.quantity * line.unit_price
        if line.discount > gross:
            return _too_large(f"/lines/{n}/discount")
        items += gross - line.discount
    if order.discount > items:
        return _too_large("/discount")
    if items - order.discount + order.shipping > MOST:
        says = N_("The order comes to more than 10 billion.")
        return Invalid([Flaw("lines", says, N_("Check quantities and prices: these are centavos."))])
    return None


def refuse_days(order: NewOrder) -> MalhaError | None:
    """Return why the instants of an order cannot be, whoever read them; None when they can.

    One of them that cannot be read again would keep everybody from the list it stands in.
    """
    instants = [("placed_at", order.placed_at), ("promised_at", order.promised_at)]
    for n, payment in enumerate(order.payments):
        instants += [(f"payments/{n}/expires_at", payment.expires_at), (f"payments/{n}/paid_at", payment.paid_at)]
    flaws = [Flaw(at, NO_YEAR, NO_YEAR_MEND) for at, instant in instants if instant is not None and is_far(instant)]
    return Invalid(flaws) if flaws else None


def _too_large(at: str) -> DiscountTooLarge:
    return DiscountTooLarge(at=at, count=1, problems=[{"at": at, "says": DiscountTooLarge.says, "facts": {"at": at}}])


def lacking(to: Address) -> list[str]:
    """Return the parts that are missing or no such thing, without which a parcel goes nowhere.

    Its street is needed, and a CEP that is one. Who knows street and city finds a CEP that nobody stated.
    """
    missing = [] if to.street.strip() else ["street"]
    stated = to.postal_code.strip()
    if normalise_cep(stated) is None and (stated or not to.city.strip()):
        missing.append("postal_code")
    return missing


def paid_enough(order: NewOrder, total: int) -> bool:
    """Return whether authorised and captured tenders cover the total."""
    covered = 0
    for payment in order.payments:
        if payment.state != "pending":
            covered += payment.amount
    return covered >= total


def told_once(order: NewOrder) -> NewOrder:
    """Return an order without payments that it says twice: the one that got farther stays, of equal ones the first.

    One payment is known by its kind, reference and amount, or by what tells it from those of all orders. Parts of one
    that differ in their amount are payments of their own.
    """
    if len(order.payments) < 2:  # nearly always
        return order
    kept: dict[tuple[object, ...], NewPayment] = {}
    for n, paid in enumerate(order.payments):
        said = identity_of(paid.kind, paid.reference)
        reference = named(paid.reference)  # of nothing but spaces it is none, and tells no payment from another
        known_by = said or (paid.kind, reference)
        key = (known_by, paid.amount) if reference else (n,)
        if key not in kept or _FARTHER.index(paid.state) > _FARTHER.index(kept[key].state):
            kept[key] = paid
    return order if len(kept) == len(order.payments) else msgspec.structs.replace(order, payments=list(kept.values()))


def beyond(lines: Iterable[tuple[str, int]], most: int | None) -> dict[str, int]:
    """Return the SKUs of which lines want more than `most` units together, and how many; None: any quantity."""
    if most is None:
        return {}
    wanted: dict[str, int] = {}
    for sku, quantity in lines:
        wanted[sku] = wanted.get(sku, 0) + quantity
    return {sku: quantity for sku, quantity in wanted.items() if quantity > most}


LINES_ON_THE_LOOP = 30


def leaves_the_loop(lines: int) -> bool:
    """Return whether an order of so many lines is planned in a thread.

    The hop to a thread and back costs more than planning a usual order; a very large one takes tens of milliseconds, in
    which the process would answer nobody else.
    """
    return lines > LINES_ON_THE_LOOP
