"""`malha doctor`: what the doctor found, for people or as JSON, and the exit code: 0 healthy, 1 drift."""

import asyncio
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from malha.cli.runtime import progress_bar, runtime
from malha.doctor import Report, examine
from malha.platform import migrate
from malha.platform.db import Database
from malha.platform.i18n import _, current_language
from malha.platform.settings import Settings


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Check every balance, order and payment against its ledger; exit 1 on any drift, naming the rows."""
    with runtime(migrate=False) as settings:
        code = asyncio.run(_examine(settings, as_json=as_json))
    raise typer.Exit(code)


async def _examine(settings: Settings, *, as_json: bool) -> int:
    await migrate.require(settings.database_url or "", settings.retailer)
    async with Database(settings.database_url or "", settings.retailer, max_size=1) as db:
        return await run(db, as_json=as_json)


async def run(db: Database, *, as_json: bool = False, console: Console | None = None) -> int:
    """Examine the retailer, tell what was found, and return the exit code."""
    # On a large database some checks read for minutes: which one it is, is told on standard error meanwhile.
    with progress_bar(_("Examining"), quiet=as_json) as progress:
        report = await examine(db, progress=progress)
    if as_json:
        print(msgspec.json.encode(to_json(report)).decode())
    else:
        tell(report, console or Console())
    return 0 if report.healthy else 1


def to_json(report: Report) -> dict[str, object]:
    """Return the report with sentences in the current language next to the bare rows."""
    language = current_language()
    return {
        "healthy": report.healthy,
        "drift": report.drift,
        "notices": report.notices,
        "milliseconds": report.milliseconds,
        "findings": [
            {
                "check": finding.check,
                "drifts": finding.drifts,
                "total": finding.total,
                "says": finding.headline(language),
                "rows": [
                    {"says": says, **row} for says, row in zip(finding.lines(language), finding.rows, strict=True)
                ],
            }
            for finding in report.findings
        ],
    }


def tell(report: Report, console: Console) -> None:
    """Print the report: drift in red, notices in yellow, a verdict last."""
    language = current_language()
    for finding in report.findings:
        color = "red" if finding.drifts else "yellow"
        console.print(finding.headline(language), style=f"bold {color}", highlight=False, soft_wrap=True)
        for line in finding.lines(language):
            console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
        if finding.total > len(finding.rows):
            console.print("  " + _("and {n} more", n=finding.total - len(finding.rows)), style="dim")
    if report.healthy:
        console.print(_("Healthy: nothing drifts."), style="bold green")
    else:
        console.print(_("Drift found, rows that disagree: {total}", total=report.drift), style="bold red")
