"""`malha import olist`: runs the import with progress, prints its report."""

import asyncio
from pathlib import Path

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from malha.cli.runtime import runtime
from malha.history import olist, olist_import
from malha.history.olist_import import OlistReport
from malha.platform.db import Database

SHOWN = 20


def import_olist(folder: Path, *, limit: int | None, as_json: bool) -> int:
    """Import the dataset in `folder`; return the exit code: 1 when something does not add up, 2 on a bad folder."""
    console = Console(stderr=True)
    try:
        with console.status("Reading the dataset"):
            data = olist.read(folder)
    except olist.OlistError as missing:
        console.print(str(missing), style="red")
        return 2
    with runtime() as settings:
        report = asyncio.run(_run(settings.database_url or "", settings.retailer, data, limit, console))
    if as_json:
        print(msgspec.json.encode(report).decode())
    else:
        tell(report, Console())
    return 0 if not report.drift and (limit is not None or report.reconciled) else 1


async def _run(url: str, retailer: str, data: olist.Dataset, limit: int | None, console: Console) -> OlistReport:
    columns = TextColumn("{task.description:<12}"), BarColumn(), TextColumn("{task.completed}/{task.total}")
    with Progress(*columns, TimeElapsedColumn(), console=console) as bar:
        tasks: dict[str, TaskID] = {}

        def tell_progress(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=of)
            bar.update(tasks[what], completed=done, total=of)

        async with Database(url, retailer) as db:
            return await olist_import.run(db, data, progress=tell_progress, limit=limit)


def tell(report: OlistReport, console: Console) -> None:
    """Print a report for a person."""
    facts = Table(title="Olist", show_header=False)
    facts.add_row("orders in the dataset", str(report.orders_in_dataset))
    for why, count in sorted(report.left_out.items()):
        facts.add_row(f"not submitted: {why}", str(count))
    facts.add_row("submitted", str(report.submitted))
    facts.add_row("accepted", str(report.accepted))
    facts.add_row("here before", str(report.duplicates))
    for code, count in sorted(report.refused.items()):
        facts.add_row(f"refused: {code}", str(count))
    facts.add_row("intake", f"{report.intake_orders_per_s:.0f} orders/s")
    facts.add_row("life cycle", f"{report.life_orders_per_s:.0f} orders/s")
    for kind, count in sorted(report.holds.items()):
        facts.add_row(f"on hold: {kind}", str(count))
    facts.add_row("cancelled after leaving", str(len(report.cancelled_after_leaving)))
    facts.add_row("sellers in another state than stated", str(len(report.moved_sellers)))
    facts.add_row("paid in the dataset", _reais(report.paid_in_dataset))
    facts.add_row("captured here", _reais(report.captured_here))
    facts.add_row("pending here", _reais(report.pending_here))
    facts.add_row("money", "adds up to the cent" if report.reconciled else "DOES NOT ADD UP")
    facts.add_row("drift", str(report.drift))
    facts.add_row("seconds", f"{report.seconds:.0f}")
    console.print(facts)
    ends = Table("dataset", "here", "orders", title="Where orders ended")
    for theirs, ours in sorted(report.ends.items()):
        for status, count in sorted(ours.items()):
            ends.add_row(theirs, status, str(count))
    console.print(ends)
    different = Table(
        "order",
        "items and freight",
        "paid",
        "difference",
        title=f"Paid otherwise than items and freight: {len(report.differences)}",
    )
    largest = sorted(report.differences, key=lambda d: -abs(d.paid - d.total))
    for d in largest[:SHOWN]:
        different.add_row(d.order, _reais(d.total), _reais(d.paid), _reais(d.paid - d.total))
    if len(largest) > SHOWN:
        different.add_row("...", "", "", f"{len(largest) - SHOWN} more; --json lists all")
    console.print(different)


def _reais(cents: int) -> str:
    return f"R$ {cents / 100:,.2f}"
