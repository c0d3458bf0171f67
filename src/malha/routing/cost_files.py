"""Tax costs and credits for aged stock as tables that people edit in a spreadsheet, CSV or XLSX: they replace all."""

from typing import Any

from malha.fiscal.tax_cost_reads import TaxCost
from malha.network.tariff import ANY
from malha.platform import workbook
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.imports import Problem
from malha.platform.tabular import BadCell, Column, centavos, parse_state, scaled
from malha.routing.cost_model import Markdown

TAX_HEADER = ("from", "to", "ncm", "percent", "per_unit")
MARKDOWN_HEADER = ("sku", "location", "credit")


def _state(text: str) -> str:
    """Read a state, or any of the ways to say "any"."""
    return ANY if text.strip().lower() in {ANY, "todos", "any", "brasil"} else parse_state(text)


def _points(text: str) -> int:
    points = scaled(text.strip().removesuffix("%"), 2)
    if not 0 <= points <= 10_000:
        raise BadCell(N_("{value} is no share."), N_("Write the percent of the value, like 18 or 12,5."))
    return points


def _digits(text: str) -> str:
    return text.strip().replace(".", "")


TAX_COLUMNS = (
    Column("from", ("origem", "uf origem", "uf de origem", "from_state"), _state, required=True),
    Column("to", ("destino", "uf destino", "uf de destino", "to_state"), _state, required=True),
    Column("ncm", ("código ncm", "ncm code", "classe"), _digits),
    Column("percent", ("percentual", "alíquota", "aliquota", "%"), _points),
    Column("per_unit", ("por unidade", "valor por unidade"), centavos),
)
MARKDOWN_COLUMNS = (
    Column("sku", ("código", "codigo"), str.strip, required=True),
    Column("location", ("local", "loja", "location_code"), str.strip, required=True),
    Column("credit", ("crédito", "credito", "crédito por unidade"), centavos, required=True),
)


def read_tax(raw: bytes) -> tuple[list[TaxCost], list[int], list[Problem]]:
    """Return the rows of a file of tax costs, the line of each, and what is wrong: with any problem, use none.

    Raises:
        UnreadableTable, EmptyTable, MissingColumns: it is no such table at all.
    """
    rows, problems = _rows(raw, TAX_COLUMNS)
    found = [
        TaxCost(
            from_state=said["from"],
            to_state=said["to"],
            ncm=said.get("ncm") or "",
            basis_points=said.get("percent") or 0,
            centavos=said.get("per_unit") or 0,
        )
        for _, said in rows
    ]
    return found, [line for line, _ in rows], problems


def read_markdowns(raw: bytes) -> tuple[list[Markdown], list[int], list[Problem]]:
    """Return the rows of a file of credits, the line of each, and what is wrong: with any problem, use none.

    Raises:
        UnreadableTable, EmptyTable, MissingColumns: it is no such table at all.
    """
    rows, problems = _rows(raw, MARKDOWN_COLUMNS)
    found = [Markdown(sku=said["sku"], location=said["location"], centavos=said["credit"]) for _, said in rows]
    return found, [line for line, _ in rows], problems


def _rows(raw: bytes, columns: tuple[Column, ...]) -> tuple[list[tuple[int, dict[str, Any]]], list[Problem]]:
    rows: list[tuple[int, dict[str, Any]]] = []
    problems: list[Problem] = []
    with workbook.opened(raw, columns) as table:
        for row in table:
            problems += [_problem(row.line, flaw) for flaw in row.flaws]
            if not row.flaws:
                rows.append((row.line, dict(row.values)))
    return rows, problems


def _problem(line: int, flaw: Flaw) -> Problem:
    return Problem(line, flaw.at, str(flaw.facts.get("value", "")), flaw.says, flaw.mend, dict(flaw.facts))
