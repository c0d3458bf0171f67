"""Pure decisions on documents: is one required, is a key its issuer's, does it cover exactly what was packed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone

import msgspec

from malha.fiscal.model import Covered, DocumentFacts, DocumentPolicy, Flow, Issuer, Worth
from malha.ordering.model import Line, Order, Unit
from malha.ordering.rules import per_unit, whole_units
from malha.platform.brazil import AccessKey, format_cnpj, parse_access_key
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.money import Money
from malha.platform.shapes import NO_ZONE

MODELS = ("55", "65")
# An authority takes documents of up to five minutes ahead of its clock, and ours may go after it by as much.
AHEAD = timedelta(minutes=10)
# An order that is told without its date is placed when it is told: a day later, if its file comes at night. A till
# sells off line and has until the working day after to have its NFC-e authorised, and only then tells of the sale.
BEFORE_ORDER = {"55": timedelta(days=1), "65": timedelta(days=7)}
ROUNDED_PERCENT = 1
_BRASILIA = timezone(timedelta(hours=-3))


def is_document_required(policy: DocumentPolicy, flow: Flow) -> bool:  # noqa: ARG001
    """Tell whether goods need an authorised document before they leave.

    Today every flow follows its establishment; issuer plans will tell flows apart.
    """
    return policy is DocumentPolicy.REQUIRED


def dated(facts: DocumentFacts, key: AccessKey | None, now: datetime) -> DocumentFacts:
    """Return the facts of a document; where no date is stated and its key is of the month before, that month's end.

    Whoever records by hand, early in a month, what was issued on the evening before knows no more than its key does.
    """
    if facts.issued_at is not None or key is None or (key.year, key.month) in _months_of(now):
        return facts
    begun = now.astimezone(_BRASILIA).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    ended = begun - timedelta(seconds=1)
    if (key.year, key.month) != (ended.year, ended.month):
        return facts
    return msgspec.structs.replace(facts, issued_at=ended)


def check_key(facts: DocumentFacts, issuer: Issuer, now: datetime) -> tuple[AccessKey | None, list[Flaw]]:
    """Take a document's key apart and return what contradicts its issuer, its stated parts or its date."""
    key = parse_access_key(facts.access_key)
    if key is None:
        says = N_("This is not an access key: it has 44 characters, and its check digit must agree.")
        return None, [Flaw("access_key", says)]
    flaws = []
    if key.issuer != issuer.cnpj:
        says = N_("The key was issued by {found}, but the goods belong to {code}, {expected}.")
        told = {"found": format_cnpj(key.issuer), "code": issuer.code, "expected": format_cnpj(issuer.cnpj)}
        flaws.append(Flaw("access_key", says, facts=told))
    elif key.state != issuer.state:
        says = N_("The key is of {found}, but its issuer is in {expected}.")
        flaws.append(Flaw("access_key", says, facts={"found": key.state, "expected": issuer.state}))
    if key.model not in MODELS:
        says = N_("Model {model} is neither an NF-e (55) nor an NFC-e (65).")
        flaws.append(Flaw("access_key", says, facts={"model": key.model}))
    for name in ("model", "series", "number"):
        stated = getattr(facts, name)
        if stated is not None and stated != getattr(key, name):
            says = N_("The key says {found}, not {stated}.")
            flaws.append(Flaw(name, says, facts={"found": getattr(key, name), "stated": stated}))
    if facts.issued_at is not None and facts.issued_at.tzinfo is None:
        return key, [*flaws, Flaw("issued_at", NO_ZONE)]
    issued_at = facts.issued_at or now
    # The key carries year and month on the issuer's clock; UTC may be a month ahead for some hours.
    if (key.year, key.month) not in _months_of(issued_at):
        says = N_("The key was made in {month}/{year}; give the date of issue in that month.")
        flaws.append(Flaw("issued_at", says, facts={"month": f"{key.month:02}", "year": key.year}))
    if facts.total is not None and facts.total < 0:
        flaws.append(Flaw("total", N_("The total must not be negative.")))
    return key, flaws


def _months_of(at: datetime) -> set[tuple[int, int]]:
    """Return the months that an instant is in; none at an end of the calendar, of which no key is."""
    try:
        return {(there.year, there.month) for there in (at.astimezone(UTC), at.astimezone(_BRASILIA))}
    except OverflowError:
        return set()


def check_date(facts: DocumentFacts, model: str, placed_at: datetime | None, now: datetime) -> list[Flaw]:
    """Return what is wrong with a date of issue: it is still to come, or from before the order was placed."""
    at = facts.issued_at
    if at is None:
        return []
    if at > now + AHEAD:
        says, mend = N_("The document is dated {at}, which is still to come."), N_("Check the date and its time zone.")
        return [Flaw("issued_at", says, mend, {"at": at})]
    if placed_at is not None and at < placed_at - BEFORE_ORDER[model]:
        says = N_("The document is dated {at}, but the order was placed on {placed_at}.")
        mend = N_("Check the date and its time zone, and whether the document is of this order.")
        return [Flaw("issued_at", says, mend, {"at": at, "placed_at": placed_at})]
    return []


def worth_of(order: Order, lines: Sequence[Line], units: Sequence[Unit]) -> Worth:
    """Return what units of an order may come to on their document.

    At least what was paid for them: their lines without what the order has off as a whole. At most what they cost
    before discounts, which the channel may pay, with all of the freight: it may be on one document of several, or on
    none. What is given away has a value on its document that the order does not know.
    """
    least, most, given = -order.discount_total, order.shipping_total, False
    for line in lines:
        mine = [u for u in units if u.line == line.line]
        if not mine:
            continue
        least += line.total * whole_units(line, mine) // line.quantity
        most += (line.total + line.discount) * _begun_units(line, mine) // line.quantity
        given = given or line.total == 0
    rounding = max(sum(u.quantity for u in units), most * ROUNDED_PERCENT // 100)
    return Worth(max(0, least), None if given else most, rounding)


def _begun_units(line: Line, units: Sequence[Unit]) -> int:
    """Return of how many sold units of a line there is anything: of a kit in several parcels, its parts count."""
    per = per_unit(line)
    counts = dict.fromkeys(per, 0)
    for unit in units:
        if unit.sku_id in counts:
            counts[unit.sku_id] += unit.quantity
    return max(-(-counts[sku] // each) for sku, each in per.items())


def check_total(facts: DocumentFacts, worth: Worth, currency: str) -> list[Flaw]:
    """Return what is wrong with a total: the goods are not worth that much, or more."""
    total = facts.total
    if total is None:
        return []
    least = worth.least - worth.rounding
    if least <= total and (worth.most is None or total <= worth.most + worth.rounding):
        return []
    told = {"stated": Money(total, currency), "least": Money(worth.least, currency)}
    mend = N_("Check the total, and whether the document is of these goods. If it is right, say why in total_reason.")
    if worth.most is None:
        says = N_("The total is {stated}, but what it covers is worth at least {least}.")
        return [Flaw("total", says, mend, told)]
    says = N_("The total is {stated}, but what it covers is worth from {least} to {most}, freight included.")
    return [Flaw("total", says, mend, told | {"most": Money(worth.most, currency)})]


def sum_units(units: Sequence[Unit]) -> list[Covered]:
    """Return what units amount to per line and SKU, in key order."""
    sums: dict[tuple[int, int], int] = {}
    for unit in units:
        if unit.sku_id is not None:
            sums[unit.line, unit.sku_id] = sums.get((unit.line, unit.sku_id), 0) + unit.quantity
    return [Covered(line, sku_id, quantity) for (line, sku_id), quantity in sorted(sums.items())]


def differences(packed: Sequence[Covered], stated: Sequence[Covered], skus: Mapping[int, str]) -> list[Flaw]:
    """Return one flaw for every (line, SKU) of which a document covers more or less than was packed."""
    have = {(c.line, c.sku_id): c.quantity for c in packed}
    say: dict[tuple[int, int], int] = {}
    for c in stated:
        say[c.line, c.sku_id] = say.get((c.line, c.sku_id), 0) + c.quantity
    says = N_("Line {line}, SKU {sku}: {packed} packed, {stated} on the document.")
    return [
        Flaw(
            "lines",
            says,
            facts={
                "line": line,
                "sku": skus.get(sku_id, sku_id),
                "packed": have.get((line, sku_id), 0),
                "stated": say.get((line, sku_id), 0),
            },
        )
        for line, sku_id in sorted(have.keys() | say.keys())
        if have.get((line, sku_id), 0) != say.get((line, sku_id), 0)
    ]


def share_worth(covered: Sequence[Covered], lines: Sequence[Line], units: Sequence[Unit]) -> list[int]:
    """Return the worth in centavos of each covered item: its share of its line's total.

    A kit's worth stands on its first component, so that the items of a document sum to what was sold.
    """
    worth = {x.line: x.total * whole_units(x, units) // x.quantity for x in lines}
    return [worth.pop(c.line, 0) for c in covered]
