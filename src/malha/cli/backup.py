"""`malha backup`: everything that is needed to go on elsewhere, into one directory or file, while orders are taken."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from malha.cli.proof import prove, prove_base
from malha.cli.runtime import announce, progress_bar, runtime
from malha.platform import i18n
from malha.platform.backup import Backup, make_backup, open_backup, remove_old
from malha.platform.i18n import _, n_, number
from malha.platform.point_in_time import NotEmbedded, make_base, read_base, remove_old_bases
from malha.platform.settings import load


def command(
    destination: Annotated[
        Path,
        typer.Argument(help="A directory, in which the backup gets a name of its own; or a new name; or NAME.tar."),
    ],
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Restore it into a database for the purpose and have the doctor look at it."),
    ] = False,
    keep: Annotated[
        int | None,
        typer.Option(min=1, help="Then remove all but the newest N backups in the directory, this one among them."),
    ] = None,
    base: Annotated[
        bool,
        typer.Option(
            "--base",
            help="A copy of the embedded database to go back to any later moment from, with the log that "
            "MALHA_WAL_ARCHIVE keeps.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Back up the database, the key and the configuration, as of one moment, while orders are being taken."""
    if base:
        _base(destination, verify=verify, keep=keep, as_json=as_json)
        return
    if keep is not None and (destination.suffix == ".tar" or destination.is_file()):
        raise typer.BadParameter("--keep needs a directory of backups, and this names one file", param_hint="--keep")
    with runtime(migrate=False) as settings, progress_bar(_("Backing up"), quiet=as_json) as progress:
        made = make_backup(settings, destination, among_others=keep is not None, progress=progress)
    if verify:
        with open_backup(made.place) as readable:
            prove(readable, quiet=as_json)
    removed = remove_old(destination, keep) if keep is not None else []
    tell(made, verified=verify, removed=removed, as_json=as_json)


def _base(destination: Path, *, verify: bool, keep: int | None, as_json: bool) -> None:
    if load().database_url:
        raise NotEmbedded
    with runtime(migrate=False) as settings:
        place = make_base(settings, destination)
    if verify:
        prove_base(place, quiet=as_json)
    removed = remove_old_bases(destination, keep) if keep is not None else []
    if as_json:
        facts = {"place": str(place), "verified": verify, "removed": [str(path) for path in removed]}
        print(msgspec.json.encode({**facts, **msgspec.to_builtins(read_base(place))}).decode())
        return
    print(place)
    ended = i18n.datetime(read_base(place).ended_at)
    announce(_("From here to any moment after {time}, as far as the archive goes.", time=ended))
    if verify:
        announce(_("Verified: it was restored, and the doctor found nothing."))
    for path in removed:
        announce(_("Removed: {place}", place=path))


def tell(made: Backup, *, verified: bool, removed: list[Path], as_json: bool) -> None:
    """Say where a backup is and what is in it, to a person or a program."""
    manifest = made.manifest
    size = sum(file.bytes for file in manifest.files.values())
    if as_json:
        facts = {
            "place": str(made.place),
            "bytes": size,
            "rows": manifest.total_rows,
            "tables": len(manifest.rows),
            "verified": verified,
            "removed": [str(path) for path in removed],
        }
        print(msgspec.json.encode(facts).decode())
        return
    print(made.place)
    announce(
        n_(
            "{n} row of {tables} tables in {size} MB",
            "{n} rows of {tables} tables in {size} MB",
            manifest.total_rows,
            tables=number(len(manifest.rows)),
            size=number(size / 1_000_000, decimals=1),
        )
    )
    if verified:
        announce(_("Verified: it was restored, every row was there, and the doctor found nothing."))
    for path in removed:
        announce(_("Removed: {place}", place=path))
