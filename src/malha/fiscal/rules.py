"""Pure decisions on documents: is one required, is a key its issuer's, does it cover exactly what was packed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone

from malha.fiscal.model import Covered, DocumentFacts, DocumentPolicy, Flow, Issuer
from malha.ordering.model import Line, Unit
from malha.ordering.rules import whole_units
from malha.platform.brazil import AccessKey, format_cnpj, parse_access_key
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

MODELS = ("55", "65")
_BRASILIA = timezone(timedelta(hours=-3))


def is_document_required(policy: DocumentPolicy, flow: Flow) -> bool:  # noqa: ARG001
    """Tell whether goods need an authorised document before they leave.

    Today every flow follows its establishment; issuer plans will tell flows apart.
    """
    return policy is DocumentPolicy.REQUIRED


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
    issued_at = facts.issued_at or now
    # The key carries year and month on the issuer's clock; UTC may be a month ahead for some hours.
    months = {(at.year, at.month) for at in (issued_at.astimezone(UTC), issued_at.astimezone(_BRASILIA))}
    if (key.year, key.month) not in months:
        says = N_("The key was made in {month}/{year}; give the date of issue in that month.")
        flaws.append(Flaw("issued_at", says, facts={"month": f"{key.month:02}", "year": key.year}))
    if facts.total is not None and facts.total < 0:
        flaws.append(Flaw("total", N_("The total must not be negative.")))
    return key, flaws


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
