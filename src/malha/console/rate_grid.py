"""A tariff from one state of origin as a grid: a row per destination, a column per weight, one price in each cell.

The grid is complete: what it shows is what there is, an empty cell is a bracket the service does not offer. Lead days
and the price of an extra kilogram are a row's own; where brackets of a row differ in them, the row says so and a blank
field leaves each as it is.
"""

from collections.abc import Sequence

import msgspec

from malha.console.filling import Filled
from malha.network.model import RateDraft
from malha.network.rules import check_rates
from malha.network.tariff import ANY
from malha.platform import i18n
from malha.platform.brazil import STATES
from malha.platform.i18n import N_
from malha.platform.tabular import BadCell, centavos, scaled

MOST_ROWS, MOST_COLUMNS = 40, 30


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """Prices to one destination, as text."""

    to: str
    prices: list[str]
    days: str
    days_hint: str  # when they differ by weight
    extra: str


class Grid(msgspec.Struct, frozen=True, kw_only=True):
    """All prices from one origin. `weights` are the brackets in kilograms."""

    weights: list[str]
    rows: list[Row]
    free: list[str]  # destinations without a row


def kilograms(grams: int) -> str:
    """Return grams in kilograms, as a person types them in the reader's language."""
    text = f"{grams / 1000:.3f}".rstrip("0").rstrip(".")
    return text.replace(".", ",") if i18n.current_language() == "pt-BR" else text


def grams_of(text: str) -> int | None:
    """Return a weight in kilograms as grams; None when it is none."""
    try:
        grams = scaled(text, 3) if text.strip() else 0
    except BadCell:
        return None
    return grams if grams > 0 else None


def _amount(minor: int) -> str:
    text = f"{minor / 100:.2f}"
    return text.replace(".", ",") if i18n.current_language() == "pt-BR" else text


def grid_of(rates: Sequence[RateDraft], origin: str) -> Grid:
    """Return the prices from an origin."""
    zone = {(r.to_state, r.max_grams): r for r in rates if r.from_state == origin}
    weights = sorted({grams for _to, grams in zone})
    targets = sorted({to for to, _grams in zone}, key=lambda state: (state != ANY, state))
    rows = []
    for to in targets:
        brackets = [zone[to, grams] for grams in weights if (to, grams) in zone]
        days = sorted({rate.lead_days for rate in brackets})
        last = brackets[-1].per_extra_kg
        rows.append(
            Row(
                to=to,
                prices=[_amount(zone[to, grams].price) if (to, grams) in zone else "" for grams in weights],
                days=str(days[0]) if len(days) == 1 else "",
                days_hint="" if len(days) == 1 else f"{days[0]}–{days[-1]}",  # noqa: RUF001 -- a range's own dash
                extra=_amount(last) if last else "",
            )
        )
    free = [state for state in (ANY, *sorted(STATES)) if state not in targets]
    return Grid(weights=[kilograms(grams) for grams in weights], rows=rows, free=free)


def read_grid(read: Filled, before: Sequence[RateDraft], origin: str) -> list[RateDraft]:
    """Return the whole tariff with the prices from `origin` as the form has them. Flaws point at cells."""
    if origin not in STATES and origin != ANY:
        read.wrong("origin", N_("No choice was made."), N_("Choose one of the list."))
    old = {(r.to_state, r.max_grams): r for r in before if r.from_state == origin}
    columns = _columns(read)
    rates: list[RateDraft] = []
    cells: list[str] = []
    for i in range(MOST_ROWS):
        to = read.text(f"to{i}", 2)
        if not to:
            continue
        days, extra = read.maybe_whole(f"days{i}"), _money(read, f"extra{i}")
        priced = [(j, grams, amount) for j, grams in columns if (amount := _money(read, f"p{i}-{j}")) is not None]
        for j, grams, amount in priced:
            known = old.get((to, grams))
            lead = days if days is not None else known.lead_days if known else None
            if lead is None:
                read.wrong(f"days{i}", N_("These prices have no lead time."), N_("Give the business days in transit."))
                break
            is_last = (j, grams, amount) == priced[-1]
            per_kg = (extra or 0) if is_last else known.per_extra_kg if known else 0
            rates.append(
                RateDraft(
                    from_state=origin, to_state=to, max_grams=grams, price=amount, lead_days=lead, per_extra_kg=per_kg
                )
            )
            cells.append(f"p{i}-{j}")
    for flaw in check_rates(rates):
        index = flaw.at.split("/")[1] if "/" in flaw.at else ""
        read.wrong(cells[int(index)] if index else "", flaw.says, flaw.mend, **flaw.facts)
    others = [r for r in before if r.from_state != origin]
    return sorted([*others, *rates], key=lambda r: (r.from_state, r.to_state, r.max_grams))


def _columns(read: Filled) -> list[tuple[int, int]]:
    """Return (column, grams) of the brackets, lightest first."""
    columns = []
    for j in range(MOST_COLUMNS):
        text = read.text(f"kg{j}", 20)
        grams = grams_of(text)
        if grams is not None:
            columns.append((j, grams))
        elif text:
            mend = N_("Write the kilograms up to which the price holds, like 0,5.")
            read.wrong(f"kg{j}", N_("{value} is no weight."), mend, value=text)
    return sorted(columns, key=lambda column: column[1])


def _money(read: Filled, name: str) -> int | None:
    text = read.text(name, 30)
    if not text:
        return None
    try:
        return centavos(text)
    except BadCell as error:
        read.wrong(name, error.says, error.mend, value=text, **error.facts)
        return None
