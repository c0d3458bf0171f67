"""`malha import`: files into the database, checked first, with every bad row told by its line.

By default a file goes in whole or not at all. `--check` only looks, `--valid` takes the good rows. Repeating an
import changes nothing; one that was cut off goes on where it was when the same is asked with the same file.
"""

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from malha.cli.runtime import has_no_database, runtime
from malha.exchange.at_once import Asked, import_at_once
from malha.exchange.errors import NothingToImportInto
from malha.exchange.model import Kind
from malha.platform import idempotency
from malha.platform.db import Actor, Database
from malha.platform.i18n import N_, _, current_language, n_, number
from malha.platform.imports import Mode, Report
from malha.platform.settings import Settings, load

SHOWN_PROBLEMS = 50
app = typer.Typer(no_args_is_help=True)

File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="The file, CSV or XLSX.")]
Check = Annotated[bool, typer.Option("--check", help="Only check the file; write nothing.")]
Valid = Annotated[bool, typer.Option("--valid", help="Import the good rows and report the bad ones.")]
FromLine = Annotated[int, typer.Option("--from-line", min=0, help="Skip what stands before this line.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]


# What `malha import KIND` says of itself; the order of the help.
KINDS = {
    Kind.PRODUCTS: "Import products, one row per SKU.",
    Kind.PRICES: "Import prices, one row per SKU.",
    Kind.STOCK: "Import what is physically there, one row per SKU and location; the ledger gets the differences.",
    Kind.LOCATIONS: "Import locations, with their establishments where rows give a CNPJ.",
    Kind.CUSTOMERS: "Import customers; who is there already is changed, not doubled.",
    Kind.ALLOTMENTS: "Import how many units fences set apart, one row per fence, SKU and location.",
    Kind.SAFETY_RULES: "Import safety rules, one row each.",
    Kind.AHEAD_POLICIES: "Import policies of selling ahead, one row per product or SKU and channel.",
    Kind.LISTINGS: "Import what is said of listings, one row per connection, SKU and field.",
}

FIRST = {Kind.PRODUCTS, Kind.LOCATIONS, Kind.CUSTOMERS, Kind.SAFETY_RULES}  # name nothing that has to be there before


def _importing(kind: Kind) -> Callable[..., None]:
    def run(
        file: File, check: Check = False, valid: Valid = False, from_line: FromLine = 0, as_json: AsJson = False
    ) -> None:
        _import(file, kind, mode=_mode(check, valid), from_line=from_line, as_json=as_json)

    return run


for _kind, _says in KINDS.items():
    app.command(_kind.value, help=_says)(_importing(_kind))


@app.command("olist")
def olist(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of the dataset's files.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many orders by time.")] = None,
    as_json: AsJson = False,
) -> None:
    """Import the Brazilian E-Commerce Public Dataset by Olist: sellers, products, orders, payments, and their lives."""
    from malha.cli.olist import import_olist  # noqa: PLC0415 - brings the reader of parquet files

    raise typer.Exit(import_olist(folder, limit=limit, as_json=as_json))


def _mode(check: bool, valid: bool) -> Mode:
    if check and valid:
        raise typer.BadParameter("choose one of --check and --valid")
    return Mode.PREVIEW if check else Mode.VALID if valid else Mode.ALL


def _import(file: Path, kind: Kind, *, mode: Mode, from_line: int, as_json: bool) -> None:
    console = Console()
    here = load()
    if kind not in FIRST and has_no_database(here):
        raise NothingToImportInto(directory=str(here.data_dir))
    with runtime() as settings:
        report = asyncio.run(_run(settings, file, kind, mode, from_line, None if as_json else console))
    if as_json:
        print(msgspec.json.encode(report_view(report, current_language())).decode())
    else:
        tell(report, mode, console)
    if report.bad:
        raise typer.Exit(1)


async def _run(
    settings: Settings, path: Path, kind: Kind, mode: Mode, from_line: int, console: Console | None
) -> Report:
    actor = Actor(kind="system", name="malha import")
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}"), TimeElapsedColumn(),
        console=console, disable=console is None, transient=True,
    )  # fmt: skip
    async with Database(settings.database_url or "", settings.retailer, max_size=2) as database:
        with bar, path.open("rb") as file:
            task = bar.add_task(escape(path.name), total=None)
            return await import_at_once(
                database,
                kind,
                file,
                mode=mode,
                actor=actor,
                name=path.name,
                from_line=from_line,
                allowed=settings.outward_allow,
                progress=lambda rows: bar.update(task, completed=rows),
                asked=_asked(path, kind, mode, from_line),
            )


def _asked(path: Path, kind: Kind, mode: Mode, from_line: int) -> Asked:
    """Return what tells this command from others: what is asked, and what is in the file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Asked(idempotency.command("malha import", f"{kind} {mode} {from_line} {digest}", "import", b""))


def report_view(report: Report, language: str) -> dict[str, object]:
    """Return a report with its problems in a language, for programs."""
    view: dict[str, object] = {name: getattr(report, name) for name in report.__struct_fields__ if name != "problems"}
    view["oddities"] = [odd.text(language) for odd in report.oddities]
    view["problems"] = [
        {"line": p.line, "column": p.column, "value": p.value, "says": p.text(language), "warning": p.warning}
        for p in report.problems
    ]
    return view


def _tell_of_book(report: Report, language: str, console: Console) -> None:
    """Print what of a workbook was not read, or is read otherwise than it is seen."""
    if report.other_sheets:
        names = ", ".join(report.other_sheets)
        console.print(escape(_("Only the first sheet is read; these are not: {names}.", names=names)), style="yellow")
    for odd in report.oddities:
        console.print(escape(odd.text(language)), style="yellow")


def tell(report: Report, mode: Mode, console: Console) -> None:
    """Print a report for people: the bad rows, then what was done."""
    language = current_language()
    if report.problems:
        table = Table(show_edge=False, pad_edge=False)
        for heading in (N_("Line"), N_("Column"), N_("Value"), N_("What is wrong")):
            table.add_column(_(heading), justify="right" if heading == "Line" else "left", overflow="fold")
        for p in report.problems[:SHOWN_PROBLEMS]:
            style = "yellow" if p.warning else "red"
            table.add_row(str(p.line), escape(p.column), escape(p.value), escape(p.text(language)), style=style)
        console.print(table)
        hidden = len(report.problems) - SHOWN_PROBLEMS + report.more_problems
        if hidden > 0:
            console.print(_("... and {count} more; --json lists them.", count=number(hidden)))
    if report.ignored_columns:
        console.print(_("Columns that were not understood: {columns}.", columns=", ".join(report.ignored_columns)))
    _tell_of_book(report, language, console)
    if report.went_on_after:
        line = number(report.went_on_after)
        console.print(_("It had been cut off after line {line}, and went on there.", line=line), highlight=False)
    if report.applied or mode is Mode.PREVIEW:
        text = _counts(report)
    else:
        text = n_(
            "Nothing was written: {n} row of {rows} is bad. --valid imports the others.",
            "Nothing was written: {n} rows of {rows} are bad. --valid imports the others.",
            report.bad,
            rows=number(report.rows),
        )
    console.print(text, style="bold red" if report.bad else "bold green", highlight=False)


def _counts(report: Report) -> str:
    """Return what was done to how many rows, or would be, in one sentence."""
    if report.applied:
        rows = n_("{n} row", "{n} rows", report.rows)
        created = n_("{n} created", "{n} created", report.created)
    else:
        rows = n_("{n} row checked", "{n} rows checked", report.rows)
        created = n_("{n} would be created", "{n} would be created", report.created)
    parts = (
        created,
        n_("{n} changed", "{n} changed", report.changed),
        n_("{n} unchanged", "{n} unchanged", report.unchanged),
        n_("{n} row refused", "{n} rows refused", report.bad),
    )
    return f"{rows}: {', '.join(parts)}."
