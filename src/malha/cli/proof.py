"""The proof of a backup: restore it into a database made for the purpose, count its rows, have the doctor look."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import msgspec
import psycopg

from malha.cli.runtime import migrated, progress_bar
from malha.doctor import examine
from malha.platform.backup import RETAILER_SCHEMAS, Backup
from malha.platform.db import Database, patient
from malha.platform.embedded import VOLATILE, EmbeddedPostgres
from malha.platform.errors import MalhaError
from malha.platform.i18n import _
from malha.platform.point_in_time import restore_base
from malha.platform.restoring import restore_backup
from malha.platform.settings import Settings


class Unsound(MalhaError):
    """The restored database does not agree with itself."""

    status = 500
    code = "backup_unsound"
    says = "The backup was restored, and the doctor found rows in it that disagree: {drift}."
    mend = "Run malha doctor on the database it was made from: what drifts there drifts in its backups."


def prove(found: Backup, *, quiet: bool = False) -> None:
    """Restore a backup into an embedded server of its own in the temporary directory, which is removed again.

    Raises:
        Unsound: the doctor found something.
        RestoreRefused, ToolFailed: it cannot be restored.
    """
    home = Path(tempfile.mkdtemp(prefix="malha-proof-"))
    try:
        with EmbeddedPostgres(home, settings=VOLATILE) as server:
            with progress_bar(_("Verifying"), quiet=quiet) as progress:
                restore_backup(found, server.url, progress=progress)
            drift = asyncio.run(bring_up(Settings(data_dir=home, database_url=server.url), found.manifest.retailers))
        if drift:
            raise Unsound(drift=drift)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def prove_base(place: Path, *, quiet: bool = False) -> None:
    """Restore a base backup, to the end of what is archived, in the temporary directory, which is removed again.

    Raises:
        Unsound: the doctor found something.
        RestoreRefused: it cannot be restored.
    """
    home = Path(tempfile.mkdtemp(prefix="malha-proof-"))
    try:
        with progress_bar(_("Verifying"), quiet=quiet):
            restore_base(place, home, lambda more: EmbeddedPostgres(home, settings={**VOLATILE, **more}))
            with EmbeddedPostgres(home, settings=VOLATILE) as server:
                settings = Settings(data_dir=home, database_url=server.url)
                drift = asyncio.run(bring_up(settings, retailers_in(server.url)))
        if drift:
            raise Unsound(drift=drift)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def retailers_in(url: str) -> list[str]:
    """Return the schemas of the retailers in a database."""
    with psycopg.connect(patient(url)) as connection:
        return [name for (name,) in connection.execute(RETAILER_SCHEMAS)]


async def bring_up(settings: Settings, retailers: list[str]) -> int:
    """Bring every retailer to this version's schema; return how many rows the doctor finds to disagree."""
    drift = 0
    for retailer in retailers:
        await migrated(msgspec.structs.replace(settings, retailer=retailer))
        async with Database(settings.database_url or "", retailer, max_size=1) as db:
            drift += (await examine(db)).drift
    return drift
