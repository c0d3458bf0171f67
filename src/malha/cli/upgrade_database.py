"""`malha upgrade-database`: the embedded database from an older major version of PostgreSQL to the one Malha brings."""

import asyncio
import shutil
from pathlib import Path
from typing import Annotated

import psycopg
import typer

from malha.cli.proof import Unsound, bring_up
from malha.cli.runtime import announce, database_of, speak
from malha.platform import logs
from malha.platform.backup import RETAILER_SCHEMAS
from malha.platform.i18n import _
from malha.platform.major_upgrade import upgrade
from malha.platform.settings import SettingsError, load


def command(
    binaries: Annotated[
        Path | None, typer.Option(help="Where the older PostgreSQL is installed, if not by the system's packages.")
    ] = None,
    remove_old: Annotated[
        bool, typer.Option("--remove-old", help="Remove the old data directory once the doctor found nothing.")
    ] = False,
) -> None:
    """Upgrade the embedded database to the PostgreSQL that Malha brings; Malha must be stopped."""
    settings = load()
    logs.configure(settings.log_level, settings.log_format, role="cli")
    speak(settings)
    if settings.database_url:
        raise SettingsError("DATABASE_URL names a PostgreSQL that Malha does not run. Upgrade it with its own tools.")
    done = upgrade(settings.data_dir, binaries=binaries, on_wait=announce)
    if done is None:
        announce(_("The database has the PostgreSQL that Malha brings already."))
        return
    with database_of(settings) as (ready, _server):
        with psycopg.connect(ready.database_url or "", autocommit=True) as connection:
            connection.execute("ANALYZE")
            retailers = [name for (name,) in connection.execute(RETAILER_SCHEMAS)]
        drift = asyncio.run(bring_up(ready, retailers))
    if drift:
        raise Unsound(drift=drift)
    announce(
        _("From PostgreSQL {before} to {after}, and the doctor found nothing.", before=done.before, after=done.after)
    )
    if remove_old:
        shutil.rmtree(done.kept)
    else:
        announce(_("The old data directory is {place}; remove it when you are content.", place=done.kept))
