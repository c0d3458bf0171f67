"""`malha restore`: a backup into an empty database, or in place of what is there when told to."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
import typer

from malha.cli.proof import Unsound, bring_up, prove, prove_base, retailers_in
from malha.cli.runtime import announce, database_of, embedded, progress_bar, speak
from malha.platform import i18n, logs
from malha.platform.backup import open_backup
from malha.platform.embedded import EmbeddedError
from malha.platform.i18n import _, n_
from malha.platform.point_in_time import NotEmbedded, is_base, restore_base
from malha.platform.restoring import refuse_other_key, restore_backup, restore_files
from malha.platform.settings import Settings, SettingsError, load


def command(
    backup: Annotated[Path, typer.Argument(help="The directory or the .tar file that malha backup wrote.")],
    into: Annotated[
        str | None,
        typer.Option(help="A data directory, or postgresql://... By default the database that the settings name."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Put it in place of what the database holds.")] = False,
    keep_key: Annotated[
        bool, typer.Option("--keep-key", help="Leave the key of the data directory, though the backup's is another.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Only prove that it can be restored, in a database made for the purpose."),
    ] = False,
    at: Annotated[
        str | None,
        typer.Option(
            help="Of a base backup: go to this moment, like 2026-11-27T14:05:00-03:00; without it, to the end of the "
            "archive. A time without a zone is MALHA_TIMEZONE's."
        ),
    ] = None,
    archive: Annotated[
        Path | None,
        typer.Option(help="Of a base backup: where the log is now, if not where it was when the backup was made."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Restore a backup, count every table's rows, bring it to this version's schema and have the doctor look at it."""
    settings = _target(into)
    logs.configure(settings.log_level, settings.log_format, role="cli")
    speak(settings)
    if is_base(backup):
        if check:
            _check_base(backup.absolute(), as_json=as_json)
        else:
            _to_a_moment(backup.absolute(), settings, at, archive, keep_key=keep_key, as_json=as_json)
        return
    if at is not None or archive is not None:
        raise typer.BadParameter("--at and --archive are for what malha backup --base wrote", param_hint="--at")
    _restore_dump(backup, settings, replace=replace, keep_key=keep_key, check=check, as_json=as_json)


def _restore_dump(
    backup: Path, settings: Settings, *, replace: bool, keep_key: bool, check: bool, as_json: bool
) -> None:
    with open_backup(backup.absolute()) as found:
        if check:
            prove(found, quiet=as_json)
        else:
            if not keep_key:
                refuse_other_key(found, settings.data_dir)
            with database_of(settings) as (ready, server):
                if server is not None and not server.owned:
                    raise EmbeddedError(f"Malha runs on {settings.data_dir}. Stop it, then restore again.")
                with progress_bar(_("Restoring"), quiet=as_json) as progress:
                    restore_backup(found, ready.database_url or "", replace=replace, progress=progress)
                written = restore_files(found, settings.data_dir)
                drift = asyncio.run(bring_up(ready, found.manifest.retailers))
            for name in written:
                announce(_("Restored: {place}", place=settings.data_dir / name))
            if drift:
                raise Unsound(drift=drift)
        rows = found.manifest.total_rows
    if as_json:
        print(msgspec.json.encode({"rows": rows, "healthy": True, "checked_only": check}).decode())
    elif check:
        announce(checked(rows))
    else:
        announce(restored(rows))


def checked(rows: int) -> str:
    """Return what is said of a backup with so many rows that was only tried."""
    return n_(
        "This backup can be restored: {n} row, and the doctor found nothing.",
        "This backup can be restored: {n} rows, and the doctor found nothing.",
        rows,
    )


def restored(rows: int) -> str:
    """Return what is said once so many rows are back."""
    return n_(
        "Restored {n} row, and the doctor found nothing. Start Malha again.",
        "Restored {n} rows, and the doctor found nothing. Start Malha again.",
        rows,
    )


def _check_base(base: Path, *, as_json: bool) -> None:
    prove_base(base, quiet=as_json)
    if as_json:
        print(msgspec.json.encode({"healthy": True, "checked_only": True}).decode())
    else:
        announce(_("This base backup can be restored, and the doctor found nothing."))


def _to_a_moment(
    base: Path, settings: Settings, at: str | None, archive: Path | None, *, keep_key: bool, as_json: bool
) -> None:
    if settings.database_url:
        raise NotEmbedded
    quiet = msgspec.structs.replace(settings, wal_archive=None)  # only a Malha that serves adds to an archive
    moment = _moment(at, settings.timezone) if at else None
    with progress_bar(_("Restoring"), quiet=as_json):
        reached = restore_base(
            base,
            settings.data_dir,
            lambda more: embedded(quiet, more),
            at=moment,
            archive=archive,
            keep_key=keep_key,
        )
        with database_of(quiet) as (ready, _server):
            drift = asyncio.run(bring_up(ready, retailers_in(ready.database_url or "")))
    if drift:
        raise Unsound(drift=drift)
    if as_json:
        print(msgspec.json.encode({"reached": reached, "healthy": True, "checked_only": False}).decode())
        return
    told = _("Restored: the last change is of {time}, and the doctor found nothing.", time=i18n.datetime(reached))
    announce(told)
    announce(_("Start Malha again, and make a new base backup at once."))


def _moment(said: str, zone: str) -> datetime:
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        raise typer.BadParameter("write it like 2026-11-27T14:05:00-03:00", param_hint="--at") from None
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))


def _target(into: str | None) -> Settings:
    """Return the settings with the target in them; a directory is one even when DATABASE_URL is set."""
    if into is None:
        return load()
    if into.startswith(("postgresql://", "postgres://")):
        return load(database_url=into)
    if "://" in into:
        raise SettingsError(f"--into is {into!r}. Name a directory, or an address like postgresql://user@host/name.")
    return msgspec.structs.replace(load(data_dir=into), database_url=None)
