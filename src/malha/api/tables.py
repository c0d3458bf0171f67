"""Imports and exports as CSV: products, locations, customers. The body of an import is the file itself."""

import io
from typing import Any

import msgspec

from malha.api.work import Work, command, query
from malha.catalog.imports import ProductImport, export_products
from malha.customers.imports import CustomerImport, export_customers
from malha.network.imports import LocationImport, export_locations
from malha.platform import audit
from malha.platform.imports import Mode, Report, Target, run_import


class RowProblem(msgspec.Struct, frozen=True):
    """One thing wrong with a row; a warning does not keep it out."""

    line: int
    column: str
    value: str
    says: str
    warning: bool


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did; with `mode=preview`, or when `applied` is false, what it would do."""

    applied: bool
    rows: int
    bad: int
    created: int
    changed: int
    unchanged: int
    warned: int
    last_line: int
    encoding: str
    delimiter: str
    ignored_columns: list[str]
    problems: list[RowProblem]
    more_problems: int


def report_of(report: Report, language: str) -> ImportReport:
    """Return a report in a language."""
    fields: dict[str, Any] = {
        name: getattr(report, name) for name in ImportReport.__struct_fields__ if name != "problems"
    }
    problems = [RowProblem(p.line, p.column, p.value, p.text(language), p.warning) for p in report.problems]
    return ImportReport(**fields, problems=problems)


async def _import(work: Work, target: Target, data: bytes, mode: Mode, name: str) -> ImportReport:
    report = await run_import(work.database, target, io.BytesIO(data), mode=mode, actor=work.actor, name=name)
    return report_of(report, work.language)


@command("/products:import", permission="catalog:write", transaction=False, media_type="text/csv", tag="catalog")
async def import_products(work: Work, data: bytes, mode: Mode = Mode.PREVIEW, name: str = "") -> ImportReport:
    """Import products from a table, one row per SKU.

    `mode=preview` checks every row and writes nothing, `all` writes all rows or none, `valid` writes the good ones.
    Headers may be English or Portuguese, the delimiter `;`, `,`, tab or `|`, the encoding UTF-8, UTF-16 or
    Windows-1252. Empty cells leave what is there. `option:Cor` and `attribute:Tecido` name options and attributes; a
    category may be a path like `Moda > Camisetas`; `components` makes a kit: `SKU-1:2 | SKU-2:1`.
    """
    return await _import(work, ProductImport(), data, mode, name)


@query("/products:export", permission="catalog:read", transaction=False, media_type="text/csv", tag="catalog")
async def export_all_products(work: Work) -> bytes:
    """Export the catalogue as a table that imports back unchanged."""
    work.header("content-disposition", 'attachment; filename="products.csv"')
    return b"".join([piece async for piece in export_products(work.database)])


@command("/locations:import", permission="network:write", transaction=False, media_type="text/csv", tag="network")
async def import_locations(work: Work, data: bytes, mode: Mode = Mode.PREVIEW, name: str = "") -> ImportReport:
    """Import locations from a table; a row that gives a CNPJ makes its establishment too."""
    return await _import(work, LocationImport(), data, mode, name)


@query("/locations:export", permission="network:read", transaction=False, media_type="text/csv", tag="network")
async def export_all_locations(work: Work) -> bytes:
    """Export all locations as a table that imports back unchanged."""
    work.header("content-disposition", 'attachment; filename="locations.csv"')
    return b"".join([piece async for piece in export_locations(work.database)])


@command("/customers:import", permission="customers:write", transaction=False, media_type="text/csv", tag="customers")
async def import_customers(work: Work, data: bytes, mode: Mode = Mode.PREVIEW, name: str = "") -> ImportReport:
    """Import customers from a table; who is there already is changed, not doubled."""
    return await _import(work, CustomerImport(), data, mode, name)


@query("/customers:export", permission="customers:reveal", transaction=False, media_type="text/csv", tag="customers")
async def export_all_customers(work: Work) -> bytes:
    """Export all customers with their personal data; who took it is written down."""
    async with work.transaction() as tx:
        await audit.record(tx, action="export", entity="customer", entity_id="all")
    work.header("content-disposition", 'attachment; filename="customers.csv"')
    return b"".join([piece async for piece in export_customers(work.database)])


handlers = [
    import_products,
    export_all_products,
    import_locations,
    export_all_locations,
    import_customers,
    export_all_customers,
]
