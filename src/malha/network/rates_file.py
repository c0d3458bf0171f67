"""A service's tariff as a table that people edit in a spreadsheet: one row per zone and weight bracket."""

from malha.network.model import RateDraft
from malha.network.rules import check_rates
from malha.network.tariff import ANY
from malha.platform import workbook
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.imports import Problem
from malha.platform.tabular import (
    BadCell,
    Column,
    centavos,
    parse_state,
    scaled,
    whole,
)

HEADER = ("from", "to", "up_to_kg", "price", "lead_days", "per_extra_kg")
MOST_RATES = 20_000


def _zone(text: str) -> str:
    """Read a state, or any of the ways to say "any"."""
    return ANY if text.strip().lower() in {ANY, "todos", "any", "brasil"} else parse_state(text)


def _grams(text: str) -> int:
    grams = scaled(text, 3)
    if grams <= 0:
        raise BadCell(N_("{value} is no weight."), N_("Write the kilograms up to which the price holds, like 0,5."))
    return grams


COLUMNS = (
    Column("from", ("origem", "uf origem", "uf de origem", "from_state"), _zone, required=True),
    Column("to", ("destino", "uf destino", "uf de destino", "to_state"), _zone, required=True),
    Column("up_to_kg", ("ate kg", "até kg", "peso", "peso até (kg)", "kg"), _grams, required=True),
    Column("price", ("preço", "preco", "valor", "frete"), centavos, required=True),
    Column("lead_days", ("prazo", "prazo (dias úteis)", "dias"), whole, required=True),
    Column("per_extra_kg", ("kg adicional", "por kg extra", "adicional por kg"), centavos),
)
_FIELDS = {"from_state": "from", "to_state": "to", "max_grams": "up_to_kg"}


def read_rates(raw: bytes) -> tuple[list[RateDraft], list[Problem]]:
    """Return the rates of a file, CSV or XLSX, and what is wrong with it: with any problem none should be used.

    Raises:
        UnreadableTable, EmptyTable, MissingColumns: it is no such table at all.
    """
    rates: list[RateDraft] = []
    lines: list[int] = []
    problems: list[Problem] = []
    seen = 0
    with workbook.opened(raw, COLUMNS) as table:
        for row in table:
            problems += [_problem(row.line, flaw.at, flaw) for flaw in row.flaws]
            seen += 1
            if seen > MOST_RATES:  # the rest is not read: it may be any length
                break
            if row.flaws:
                continue
            said = row.values
            rate = RateDraft(
                from_state=said["from"],
                to_state=said["to"],
                max_grams=said["up_to_kg"],
                price=said["price"],
                lead_days=said["lead_days"],
                per_extra_kg=said.get("per_extra_kg", 0),
            )
            rates.append(rate)
            lines.append(row.line)
    if seen > MOST_RATES:
        says, mend = N_("More than {most} rows."), N_("Use at most {most}.")
        return [], [_problem(0, "", Flaw("", says, mend, {"most": MOST_RATES}))]
    for flaw in check_rates(rates):
        _rates, _slash, rest = flaw.at.partition("/")
        index, _slash, field = rest.partition("/")
        problems.append(_problem(lines[int(index)] if index else 0, _FIELDS.get(field, field), flaw))
    return rates, problems


def _problem(line: int, column: str, flaw: Flaw) -> Problem:
    return Problem(line, column, str(flaw.facts.get("value", "")), flaw.says, flaw.mend, dict(flaw.facts))
