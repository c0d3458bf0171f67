"""`malha demo`: from nothing to a retailer at work. See `malha.demo`."""

import asyncio
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import structlog
import typer
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from malha.cli.runtime import migrated, runtime
from malha.platform import logs, metrics
from malha.platform.db import Database
from malha.platform.settings import Settings, load
from malha.platform.supervision import Child

if TYPE_CHECKING:
    from malha.demo.access import Access

ORDERS = 800
EMAIL = "ana@aroeira.example"

log = structlog.get_logger(__name__)


def command(
    ctx: typer.Context,
    orders: Annotated[int, typer.Option(min=0, max=200_000, help="Orders of the last thirty days.")] = ORDERS,
    seed: Annotated[int, typer.Option(help="The same seed makes the same retailer.")] = 7,
    traffic: Annotated[bool, typer.Option("--traffic/--no-traffic", help="Live orders and staff at work.")] = True,
    leave: Annotated[bool, typer.Option("--exit", help="Build, examine with the doctor, and end.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Build anew even if the demo is there.")] = False,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    password: Annotated[
        str | None, typer.Option(help="Password of the demo's owner; default: as it was, at first a random one.")
    ] = None,
) -> None:
    """Run a synthetic Brazilian retailer in a data directory of its own (`demo` below the ordinary one)."""
    settings = load(port=port)
    if settings.database_url is None:
        settings = msgspec.structs.replace(settings, data_dir=Path(settings.data_dir) / "demo")
    console = Console(stderr=True)
    if settings.log_format == "auto" and settings.log_level == "info":
        settings = msgspec.structs.replace(settings, log_level="warning")  # the terminal is for the person
    shared = metrics.share()  # what builds the retailer imports measures
    try:
        with runtime(
            migrate=False,
            serves=True,
            data_dir=settings.data_dir,
            retailer="demo",
            port=settings.port,
            database_url=settings.database_url,
            log_level=settings.log_level,
        ) as ready:
            _refuse(ready, password, leave=leave)
            built, access = asyncio.run(_prepare(ready, orders, seed, fresh=fresh, password=password, console=console))
            if not built:
                _tell_unused(ctx, console)
            if leave:
                raise typer.Exit(_examine(ready))
            _serve(ready, access, seed, traffic=traffic, console=console)
    finally:
        if shared is not None:
            shutil.rmtree(shared, ignore_errors=True)


def _refuse(settings: Settings, password: str | None, *, leave: bool) -> None:
    """Refuse what would only be refused once the retailer is built, or its log-in is changed."""
    from malha.identity import passwords, rules  # noqa: PLC0415 - everything heavy, after help
    from malha.platform.flaws import refuse  # noqa: PLC0415

    if password is not None:
        refuse(rules.password_flaws(password, EMAIL, passwords.MIN_LENGTH, passwords.MAX_LENGTH))
    if not leave:
        from malha.cli.listening import refuse_taken  # noqa: PLC0415 - brings the web server

        refuse_taken(settings)


def _examine(settings: Settings) -> int:
    """Run the doctor; return the exit code."""
    from malha.doctor import examine  # noqa: PLC0415 - only with --exit

    async def look() -> int:
        async with Database(settings.database_url or "", settings.retailer) as db:
            report = await examine(db)
        for finding in report.findings:
            print(finding.headline("en"))
        print(f"drift: {report.drift}")
        return 1 if report.drift else 0

    return asyncio.run(look())


async def _prepare(
    settings: Settings, orders: int, seed: int, *, fresh: bool, password: str | None, console: Console
) -> "tuple[bool, Access]":
    """Return whether the retailer was built now, and who may enter."""
    from malha.demo.access import admit, is_built, remember, remembered, wipe  # noqa: PLC0415 - everything heavy, after help
    from malha.demo.build import build  # noqa: PLC0415

    url = settings.database_url or ""
    if fresh:
        await wipe(url, settings.retailer)
    await migrated(settings)
    async with Database(url, settings.retailer) as db:
        missing = not await is_built(db)
        if missing:
            with _bar(console) as progress:
                await build(db, orders=orders, seed=seed, progress=progress)
        known = remembered(settings.data_dir)
        access = await admit(db, EMAIL, known, password=password)
    if access != known:
        remember(settings.data_dir, access)
    return missing, access


def _tell_unused(ctx: typer.Context, console: Console) -> None:
    """Say which options were given for a retailer that is there already: it would be taken for the one asked for."""
    given = [
        f"--{name}"
        for name in ("orders", "seed")
        if (source := ctx.get_parameter_source(name)) is not None and source.name == "COMMANDLINE"
    ]
    if given:
        console.print(
            f"The demo is there already and goes on as it was, without {' and '.join(given)}; "
            "add --fresh to build it anew.",
            style="yellow",
        )


class _bar:  # noqa: N801 - used like a function
    """A progress bar per stage; on a terminal it moves, elsewhere each stage is one line."""

    def __init__(self, console: Console) -> None:
        columns = (TextColumn("{task.description:<22}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        self._progress = Progress(*columns, TimeElapsedColumn(), console=console, transient=False)
        self._tasks: dict[str, int] = {}
        self._last: str | None = None

    def __enter__(self) -> Callable[[str, int, int], None]:
        self._progress.start()
        return self._tell

    def __exit__(self, *_: object) -> None:
        self._finish()
        self._progress.stop()

    def _finish(self) -> None:
        if self._last is not None:
            task = self._progress.tasks[self._tasks[self._last]]
            self._progress.update(task.id, completed=task.total)

    def _tell(self, what: str, done: int, of: int) -> None:
        if what not in self._tasks:
            self._finish()
            self._tasks[what] = self._progress.add_task(what, total=max(of, 1))
            self._last = what
        self._progress.update(self._progress.tasks[self._tasks[what]].id, completed=done, total=max(of, 1))


def _serve(settings: Settings, access: "Access", seed: int, *, traffic: bool, console: Console) -> None:
    from malha.cli.serve import serve  # noqa: PLC0415 - brings the web server

    def welcome() -> None:
        console.print(
            Panel.fit(
                f"[bold]{settings.address}[/bold]\n\nE-mail    {EMAIL}\nPassword  {access.password}\n\n"
                f"API key   {access.key}\n\nCtrl-C ends it; `malha demo` goes on where it was, "
                "`malha demo --fresh` begins anew.",
                title="Aroeira",
            )
        )

    beside = (_shoppers(settings, access.key, seed),) if traffic else ()
    raise typer.Exit(serve(settings, migrate=False, beside=beside, on_ready=welcome))


def _shoppers(settings: Settings, key: str, seed: int) -> Child:
    def run() -> None:
        from malha.demo.traffic import run as go  # noqa: PLC0415 - in the child

        logs.configure(settings.log_level, settings.log_format, role="demo")
        try:
            asyncio.run(go(settings.database_url or "", settings.retailer, key, settings.port, seed))
        except KeyboardInterrupt:
            sys.exit(0)

    return Child("demo", run, patience_s=3.0)
