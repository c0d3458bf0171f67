"""A backup: everything a retailer needs to go on elsewhere, as of one moment, in one directory or one .tar file.

- `database.dump`: every retailer's schema and the jobs, by pg_dump, from one snapshot, while orders are being taken.
- `secret.key` and the configuration files: what lies outside the database.
- `manifest.json`: versions, the rows of each table in that very snapshot, and the SHA-256 of every file.

It is made beside its place and moved there when it is complete and on disk: what has the name of a backup is one. All
of it is readable by its owner only; it holds personal data and the key.
"""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, LiteralString

import msgspec
import psycopg
from psycopg import Connection, sql

import malha
from malha.platform.db import patient
from malha.platform.embedded import version_of
from malha.platform.errors import MalhaError
from malha.platform.i18n import N_, Phrase, Word
from malha.platform.pgtools import find_tool, needs_tls, run_tool
from malha.platform.settings import CONFIG_NAME, Settings

FORMAT = 1
DUMP = "database.dump"
MANIFEST = "manifest.json"
KEY = "secret.key"
CONFIGURATION = (CONFIG_NAME, "postgres.local.conf")
JOBS_SCHEMA = "malha_jobs"
_NAME = re.compile(r"^malha-\d{8}T\d{6}Z(\.tar)?$")
_CHUNK = 1 << 20

Progress = Callable[[str, int, int], None]  # what is being done, how much of it is done, of how much


class BackupRefused(MalhaError):
    """Base of reasons why a backup is not made or not read."""

    status = 500
    code = "backup_refused"
    says = "The backup cannot be made."


class BackupPlaceTaken(BackupRefused):
    """There is something at the place already."""

    code = "backup_place_taken"
    says = "{place} is there already."
    mend = "Name another file, or a directory: backups in it get a name of their own."


class BackupPlaceUnusable(BackupRefused):
    """The place cannot be written to."""

    code = "backup_place_unusable"
    says = "{place} cannot be written: {reason}."
    mend = "Name a directory that this user may write to, with enough room."


class NothingToBackUp(BackupRefused):
    """The database holds no retailer."""

    code = "nothing_to_back_up"
    says = "The database holds no retailer."
    mend = "Check DATABASE_URL and MALHA_DATA_DIR: this is a database that Malha has not used yet."


class NoBackup(BackupRefused):
    """The path does not name a backup."""

    code = "no_backup"
    says = "{place} is not a backup of Malha: {reason}."
    mend = "Name the directory or the .tar file that malha backup wrote."


class BackupDamaged(BackupRefused):
    """A file of the backup is not what was written."""

    code = "backup_damaged"
    says = "{name} in {place} is damaged: its checksum is not the one that was noted."
    mend = "Use another copy of this backup, or another backup."


class BackupNewer(BackupRefused):
    """The backup was made by a Malha whose backups this one cannot read."""

    code = "backup_newer"
    says = "{place} was made by Malha {version}, which this version cannot read."
    mend = "Restore it with that version of Malha or a newer one."


class File(msgspec.Struct, frozen=True):
    """A file of the backup."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    """What a backup says about itself."""

    format: int
    made_at: datetime
    malha: str
    postgres: int  # the server's version number, like 180006
    pg_dump: str
    retailers: list[str]
    schemas: list[str]
    extension_schema: str  # where pg_trgm sits, which indexes name
    migrations: dict[str, list[str]]  # by retailer
    rows: dict[str, int]  # by schema and table
    files: dict[str, File]

    @property
    def total_rows(self) -> int:
        """Return the number of rows of all tables."""
        return sum(self.rows.values())


class Backup(msgspec.Struct, frozen=True):
    """A backup that can be read: its files are in `directory`."""

    place: Path
    directory: Path
    manifest: Manifest


# Schemas with the table every migration is noted in.
RETAILER_SCHEMAS = """
SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = 'migration' AND c.relkind = 'r' AND n.nspname !~ '^pg_' ORDER BY n.nspname
"""
TRIGRAM_SCHEMA = """
SELECT n.nspname::text FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_trgm'
"""
# Partitions count for themselves: each is restored by itself.
DUMPED_TABLES = """
SELECT n.nspname::text, c.relname::text, pg_table_size(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = ANY (%(schemas)s::text[]) ORDER BY n.nspname, c.relname
"""
JOBS_ARE_THERE = "SELECT to_regnamespace('malha_jobs') IS NOT NULL"
EXPORT_SNAPSHOT = "SELECT pg_export_snapshot()"


def make_backup(
    settings: Settings, destination: Path, *, among_others: bool = False, progress: Progress = lambda *_: None
) -> Backup:
    """Write a backup of the database of `settings` and of what lies outside it.

    `destination` is a directory, in which it gets the name malha-<time>Z; a new name, which becomes the backup's
    directory; or a name that ends with .tar, which becomes one file. `among_others`, a new name becomes a directory
    of backups instead, and this one the first in it.

    Raises:
        BackupRefused: see its subclasses. Nothing is left behind.
        ToolsMissing, ToolFailed: pg_dump is missing or failed.
    """
    made_at = datetime.now(UTC).replace(microsecond=0)
    place = destination.absolute()
    directory = place if among_others or place.is_dir() else None
    if directory is not None:
        place /= f"malha-{made_at:%Y%m%dT%H%M%SZ}"
    if place.exists():
        raise BackupPlaceTaken(place=place)
    fresh = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh.mkdir(parents=True, mode=0o700)
        manifest = _fill(fresh, settings, made_at, progress)
        if place.suffix == ".tar":
            packed = fresh.with_suffix(".tar.new")
            _pack(fresh, packed)
            packed.rename(place)
        else:
            fresh.rename(place)
        _sync(place.parent)
    except OSError as error:
        raise BackupPlaceUnusable(place=place, reason=error.strerror or str(error)) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.with_suffix(".tar.new").unlink(missing_ok=True)
    return Backup(place, place, manifest)


def _fill(directory: Path, settings: Settings, made_at: datetime, progress: Progress) -> Manifest:
    url = settings.database_url or ""
    with psycopg.connect(patient(url)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        # Both end a transaction that waits for pg_dump, which is this one's work.
        connection.execute("SET idle_in_transaction_session_timeout = 0")
        connection.execute("SET statement_timeout = 0")
        version = connection.info.server_version
        tool = find_tool("pg_dump", version // 10_000, tls=needs_tls(url))
        retailers = [name for (name,) in connection.execute(RETAILER_SCHEMAS)]
        if not retailers:
            raise NothingToBackUp
        schemas = [*retailers, *([JOBS_SCHEMA] if _value(connection, JOBS_ARE_THERE) else [])]
        tables = connection.execute(DUMPED_TABLES, {"schemas": schemas}).fetchall()
        snapshot = _value(connection, EXPORT_SNAPSHOT)
        rows: dict[str, int] = {}

        def count() -> None:
            for schema, table, _size in tables:
                rows[f"{schema}.{table}"] = count_rows(connection, schema, table)

        run_tool(
            tool,
            [
                "--format=custom",
                "--compress=1",
                "--verbose",
                "--no-owner",
                "--no-privileges",
                "--no-comments",
                "--lock-wait-timeout=60s",
                f"--snapshot={snapshot}",
                f"--file={directory / DUMP}",
                *(f"--schema={schema}" for schema in schemas),
            ],
            url,
            on_line=_Dumping({f"{schema}.{table}": size for schema, table, size in tables}, progress),
            during=count,
        )
        applied = {name: _migrations(connection, name) for name in retailers}
        extension_schema = str(_value(connection, TRIGRAM_SCHEMA))
    write_private(directory / KEY, settings.secret() + "\n")
    for name in CONFIGURATION:
        with contextlib.suppress(FileNotFoundError):
            write_private(directory / name, (settings.data_dir / name).read_text("utf-8"))
    manifest = Manifest(
        format=FORMAT,
        made_at=made_at,
        malha=malha.__version__,
        postgres=version,
        pg_dump=version_of(tool),
        retailers=retailers,
        schemas=schemas,
        extension_schema=extension_schema,
        migrations=applied,
        rows=rows,
        files={path.name: _measure(path) for path in sorted(directory.iterdir())},
    )
    write_private(directory / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)).decode() + "\n")
    for path in directory.iterdir():
        _sync(path)
    _sync(directory)
    return manifest


class _Dumping:
    """Turns what pg_dump says into progress, by the size of the tables it has finished."""

    _SAYS = re.compile(r'dumping contents of table "?([^".]+)"?\."?([^"]+?)"?$')

    def __init__(self, sizes: dict[str, int], progress: Progress) -> None:
        self._sizes = sizes
        self._progress = progress
        self._total = sum(sizes.values())
        self._done = 0
        self._current = 0

    def __call__(self, line: str) -> None:
        found = self._SAYS.search(line)
        if found:
            self._done += self._current
            self._current = self._sizes.get(f"{found[1]}.{found[2]}", 0)
            self._progress(found[2], self._done, self._total)


def count_rows(connection: Connection, schema: str, table: str) -> int:
    """Return how many rows a table has in the connection's snapshot."""
    statement = sql.SQL("SELECT count(*) FROM {}.{}").format(sql.Identifier(schema), sql.Identifier(table))
    return int(_value(connection, statement))


def _migrations(connection: Connection, retailer: str) -> list[str]:
    statement = sql.SQL("SELECT name FROM {}.migration ORDER BY number").format(sql.Identifier(retailer))
    return [name for (name,) in connection.execute(statement)]


def _value(connection: Connection, statement: sql.Composed | LiteralString) -> Any:
    row = connection.execute(statement).fetchone()
    return None if row is None else row[0]


@contextlib.contextmanager
def open_backup(place: Path) -> Iterator[Backup]:
    """Give a backup whose files are all there and undamaged; a .tar is unpacked for as long as the block lasts.

    Raises:
        NoBackup, BackupDamaged, BackupNewer: it cannot be used.
    """
    if not place.exists():
        raise NoBackup(place=place, reason=Word(N_("nothing is there")))
    if place.is_dir():
        yield _read(place, place)
        return
    unpacked = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        unpacked.mkdir(mode=0o700)
        try:
            _unpack(place, unpacked)
        except tarfile.TarError:
            raise NoBackup(place=place, reason=Word(N_("it is no .tar file, or was cut off"))) from None
        yield _read(place, unpacked)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)


def _read(place: Path, directory: Path) -> Backup:
    try:
        text = (directory / MANIFEST).read_bytes()
        found = msgspec.json.decode(text)
        if isinstance(found, dict) and found.get("format", FORMAT) > FORMAT:
            raise BackupNewer(place=place, version=found.get("malha"))
        manifest = msgspec.convert(found, Manifest)
    except FileNotFoundError:
        raise NoBackup(place=place, reason=Phrase(N_("{name} is missing"), {"name": MANIFEST})) from None
    except msgspec.MsgspecError as error:
        raise NoBackup(place=place, reason=f"{MANIFEST}: {error}") from None
    for name, noted in manifest.files.items():
        path = directory / name
        if Path(name).name != name or not path.is_file():
            raise NoBackup(place=place, reason=Phrase(N_("{name} is missing"), {"name": name}))
        if _measure(path) != noted:
            raise BackupDamaged(place=place, name=name)
    return Backup(place, directory, manifest)


def remove_old(directory: Path, keep: int) -> list[Path]:
    """Remove all but the newest `keep` backups of a directory; return what was removed.

    Only what has the name this module gives and a manifest that can be read is a backup; nothing else is touched.
    """
    kept = sorted((path for path in directory.iterdir() if _NAME.match(path.name) and _is_backup(path)), reverse=True)
    for old in kept[keep:]:
        shutil.rmtree(old)
    return kept[keep:]


def _is_backup(path: Path) -> bool:
    try:
        msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError):
        return False
    return True


def _measure(path: Path) -> File:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return File(path.stat().st_size, digest.hexdigest())


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner may read."""
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 -- mode at creation
        file.write(text)


def _pack(directory: Path, target: Path) -> None:
    with (
        open(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file,  # noqa: PTH123 -- mode at creation
        tarfile.open(fileobj=file, mode="w") as packed,
    ):
        for path in sorted(directory.iterdir()):
            packed.add(path, path.name)
    _sync(target)


def _unpack(packed: Path, directory: Path) -> None:
    """Take the plain files out, by their bare names: no links, no paths, nothing that could land elsewhere."""
    with tarfile.open(packed) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            if content is None or member.name != Path(member.name).name:
                raise tarfile.TarError(f"it holds {member.name!r}")
            place = directory / member.name
            with open(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:  # noqa: PTH123 -- mode at creation
                shutil.copyfileobj(content, file, _CHUNK)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
