"""What every command that needs a database opens: settings, a database (given or embedded), migrated, logs set up.

with runtime() as settings:
    asyncio.run(something(settings.database_url, settings.retailer))
"""

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import Any

import msgspec

from malha.platform import i18n, logs
from malha.platform.embedded import EmbeddedPostgres, make_own, server_at
from malha.platform.settings import BY_DATA, PREFIX, Settings, load

RECOVERY_PATIENCE_S = 300.0
_RECOVERS = re.compile("starting up|shutting down|recovery mode|not yet accepting")  # the server's own words


def announce(what: str) -> None:
    """Tell the person at the terminal what is waited for."""
    sys.stderr.write(f"malha: {what}\n")
    sys.stderr.flush()


def embedded(settings: Settings, more: Mapping[str, str] = MappingProxyType({})) -> EmbeddedPostgres:
    """Return the embedded server of these settings' data directory, not started; `more` are settings of PostgreSQL."""
    base = load().data_dir
    if base in settings.data_dir.parents:  # a directory within Malha's own, like the demo's
        make_own(base)
    kept = settings.postgres_shared_buffers
    return EmbeddedPostgres(
        settings.data_dir,
        settings={
            **({} if kept == BY_DATA else {"shared_buffers": kept}),
            "max_connections": str(settings.postgres_max_connections),
            **more,
        },
        archive=settings.wal_archive,
        on_wait=announce,
    )


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar on standard error; give the function that moves it: what is at hand, how much is done, of how much."""
    from rich.console import Console  # noqa: PLC0415 -- not needed by most commands
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn()
    with Progress(
        *columns, TextColumn("{task.fields[at]}"), console=Console(stderr=True), disable=quiet, transient=True
    ) as bar:
        task = bar.add_task(title, total=None, at="")

        def move(at: str, done: int, of: int) -> None:
            bar.update(task, completed=done, total=max(of, 1), at=at)

        yield move
        bar.update(task, completed=1, total=1, at="")


@contextmanager
def database_of(settings: Settings) -> Iterator[tuple[Settings, EmbeddedPostgres | None]]:
    """Give settings whose `database_url` is set, and the embedded server if there is one; stop it at the end.

    A server this process already started or came to is given too, for whoever watches over it, and takes it over once
    its owner has ended; it is stopped by who started it.
    """
    if settings.database_url:
        yield settings, server_at(settings.database_url)
        return
    with embedded(settings) as server:
        yield msgspec.structs.replace(settings, database_url=server.url), server


def migrate_surely(settings: Settings, server: EmbeddedPostgres | None) -> list[str]:
    """As `migrated`, at a start: wait for a database that recovers, start an embedded one that ends meanwhile again."""
    from psycopg import OperationalError  # noqa: PLC0415 -- not needed by commands that do not migrate

    begun = time.monotonic()
    while True:
        try:
            return asyncio.run(migrated(settings))
        except OperationalError as error:
            owned = server is not None and server.take_over()
            if not (owned or _RECOVERS.search(str(error))) or time.monotonic() - begun > RECOVERY_PATIENCE_S:
                raise
            announce(f"waiting for the database: {str(error).strip().rpartition(': ')[2]}")
        time.sleep(0.5)
        if server is not None and server.owned and not server.running:
            server.restart()


async def migrated(settings: Settings) -> list[str]:
    """Bring the database to this version's schema; return what was applied, usually nothing."""
    from malha.platform import jobs, migrate  # noqa: PLC0415 -- not needed by commands that do not migrate

    url = settings.database_url or ""
    applied = await migrate.migrate(url, settings.retailer)
    jobs_applied = await jobs.install(url)
    await _make_months(settings)
    return [*applied, *(f"jobs: {name}" for name in jobs_applied)]


async def _make_months(settings: Settings) -> None:
    """Make the partitions of the ledger's present months before anybody writes to it; usually they are all there.

    What is written while one is made may have to be sent again. Of a ledger that is in use the worker makes them.
    """
    from malha.inventory import closing  # noqa: PLC0415 -- as above
    from malha.platform.db import Database  # noqa: PLC0415
    from malha.platform.errors import Busy  # noqa: PLC0415

    async with Database(settings.database_url or "", settings.retailer, max_size=1) as db:
        with suppress(Busy):
            async with db.transaction() as tx:
                await closing.make_months(tx, await tx.now())


def export(settings: Settings) -> None:
    """Put settings into the environment, for code of this process and its children that reads them anew."""
    os.environ[f"{PREFIX}DATABASE_URL"] = settings.database_url or ""
    os.environ[f"{PREFIX}DATA_DIR"] = str(settings.data_dir)
    os.environ[f"{PREFIX}RETAILER"] = settings.retailer


def speak(settings: Settings, *, serves: bool = False) -> None:
    """Speak the language of the terminal, else of the settings; `serves`: what others hear, who sit at none."""
    said = i18n.of_terminal({**os.environ, "MALHA_LANGUAGE": settings.language})
    i18n.use(settings.language if serves else said, settings.timezone)


def has_no_database(settings: Settings) -> bool:
    """Say whether nothing is kept yet where the embedded database would be made; makes nothing."""
    return not settings.database_url and not (settings.data_dir / "postgres").exists()


@contextmanager
def runtime(*, migrate: bool = True, role: str = "cli", serves: bool = False, **overrides: Any) -> Iterator[Settings]:
    """Give settings with a database that answers and is migrated; an embedded server lives as long as the block.

    A server that already runs on the data directory (`malha serve` in another terminal) is used and left running.

    Raises:
        SettingsError, EmbeddedError, MalhaError: with a sentence for the person who started the command.
    """
    settings = load(**overrides)
    logs.configure(settings.log_level, settings.log_format, role=role)
    speak(settings, serves=serves)
    i18n.settle(settings.timezone)
    with database_of(settings) as (ready, server):
        if migrate:
            applied = migrate_surely(ready, server)
            if applied:
                announce(f"migrated: {len(applied)} step(s)")
        export(ready)
        yield ready
