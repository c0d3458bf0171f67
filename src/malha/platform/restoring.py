"""Bringing a backup back: into an empty database, or in place of what is there when told to.

What is there is set aside under another name first and dropped only when every table has the rows the manifest says; if
anything fails before, it is put back. Nobody else may be connected meanwhile.
"""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import Connection, sql

from malha.platform import migrate
from malha.platform.backup import (
    CONFIGURATION,
    DUMP,
    DUMPED_TABLES,
    KEY,
    TRIGRAM_SCHEMA,
    Backup,
    Progress,
    count_rows,
    write_private,
)
from malha.platform.db import patient
from malha.platform.errors import MalhaError
from malha.platform.pgtools import find_tool, needs_tls, run_tool

_ASIDE = "_replaced"


class RestoreRefused(MalhaError):
    """Base of reasons why a backup is not restored."""

    status = 500
    code = "restore_refused"
    says = "The backup cannot be restored."


class DatabaseHasData(RestoreRefused):
    """Restoring would overwrite something."""

    code = "database_has_data"
    says = "The database holds {rows} rows in the schema {schema} already."
    mend = "Name an empty database with --into, or replace what is there with --replace."


class DatabaseInUse(RestoreRefused):
    """Others are connected, Malha itself most likely."""

    code = "database_in_use"
    says = "Other sessions that use this database: {count}; the first is {name}."
    mend = "Stop Malha, on every machine, then restore again."


class RowsMissing(RestoreRefused):
    """A table does not have what the manifest says."""

    code = "rows_missing"
    says = "After the restore {table} has {found} rows, and the backup noted {noted}."
    mend = "Use another copy of this backup. What was in the database before is there again."


class KeyDiffers(RestoreRefused):
    """The data directory has a key already, another one."""

    code = "key_differs"
    says = "{place} is not the key of the backup."
    mend = "Move it away, or keep it and log in again: restore with --keep-key."


OTHER_SESSIONS = """
SELECT coalesce(nullif(application_name, ''), 'process ' || pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend' ORDER BY pid
"""
SCHEMA_IS_THERE = "SELECT to_regnamespace(%(schema)s::text) IS NOT NULL"


def restore_backup(found: Backup, url: str, *, replace: bool = False, progress: Progress = lambda *_: None) -> None:
    """Restore the database of a backup into the one of `url` and count every table's rows.

    Raises:
        DatabaseHasData: it is not empty, and `replace` was not said.
        DatabaseInUse: others are connected.
        DatabaseNewer: the backup has migrations this version does not know.
        RowsMissing, ToolFailed: it did not come out as it went in. The database is as it was before.
        ToolsMissing: no pg_restore fits.
    """
    manifest = found.manifest
    known = {migration.name for migration in migrate.migrations()}
    strangers = sorted({name for names in manifest.migrations.values() for name in names} - known)
    if strangers:
        raise migrate.DatabaseNewer(names=", ".join(strangers))
    with psycopg.connect(patient(url), autocommit=True) as connection:
        migrate.check_server(connection.info)
        major = max(connection.info.server_version, manifest.postgres) // 10_000
        tool = find_tool("pg_restore", major, tls=needs_tls(url))
        _refuse_company(connection)
        with _room(connection, manifest.schemas, replace=replace):
            _make_extension(connection, manifest.extension_schema)
            items = _items(tool, found.directory / DUMP)
            run_tool(
                tool,
                ["--verbose", "--no-owner", "--no-privileges", "--jobs=2", str(found.directory / DUMP)],
                url,
                on_line=_Restoring(items, progress),
            )
            for name, noted in manifest.rows.items():
                schema, _, table = name.partition(".")
                rows = count_rows(connection, schema, table)
                if rows != noted:
                    raise RowsMissing(table=name, found=rows, noted=noted)
        connection.execute("ANALYZE")


def refuse_other_key(found: Backup, data_dir: Path) -> None:
    """Refuse a data directory whose key is not the backup's: what one has signed the other does not believe.

    Raises:
        KeyDiffers: it is another one.
    """
    there = data_dir / KEY
    if there.exists() and there.read_bytes().strip() != (found.directory / KEY).read_bytes().strip():
        raise KeyDiffers(place=there)


def restore_files(found: Backup, data_dir: Path) -> list[str]:
    """Put the key and the configuration into the data directory; return the names written.

    What is there already stays: ports and addresses belong to the machine.
    """
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    written = []
    for name in (KEY, *CONFIGURATION):
        if name in found.manifest.files and not (data_dir / name).exists():
            write_private(data_dir / name, (found.directory / name).read_text("utf-8"))
            written.append(name)
    return written


def _make_extension(connection: Connection, schema: str) -> None:
    """Have pg_trgm where the backup's indexes name it."""
    connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    connection.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA {}").format(sql.Identifier(schema)))
    row = connection.execute(TRIGRAM_SCHEMA).fetchone()
    if row and row[0] != schema:
        raise migrate.ExtensionElsewhere(extension="pg_trgm", found=row[0], needed=schema)


def _refuse_company(connection: Connection) -> None:
    others = [name for (name,) in connection.execute(OTHER_SESSIONS)]
    if others:
        raise DatabaseInUse(count=len(others), name=others[0])


@contextlib.contextmanager
def _room(connection: Connection, schemas: list[str], *, replace: bool) -> Iterator[None]:
    """Set what is there aside while the block runs; drop it afterwards, or put it back when the block fails."""
    there = [schema for schema in schemas if _is_there(connection, schema)]
    for schema in there:
        rows = sum(
            count_rows(connection, schema, table)
            for _, table, _size in connection.execute(DUMPED_TABLES, {"schemas": [schema]}).fetchall()
        )
        if rows and not replace:
            raise DatabaseHasData(schema=schema, rows=rows)
    for schema in there:
        _drop(connection, schema + _ASIDE)  # of a restore that was killed
        _rename(connection, schema, schema + _ASIDE)
    try:
        yield
    except BaseException:
        for schema in schemas:
            _drop(connection, schema)
        for schema in there:
            _rename(connection, schema + _ASIDE, schema)
        raise
    for schema in there:
        _drop(connection, schema + _ASIDE)


def _is_there(connection: Connection, schema: str) -> bool:
    row = connection.execute(SCHEMA_IS_THERE, {"schema": schema}).fetchone()
    return bool(row and row[0])


def _rename(connection: Connection, old: str, new: str) -> None:
    connection.execute(sql.SQL("ALTER SCHEMA {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))


def _drop(connection: Connection, schema: str) -> None:
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))


def _items(tool: Path, dump: Path) -> int:
    """Return how many things the dump holds: schemas, tables, data, indexes."""
    listed = subprocess.run([str(tool), "--list", str(dump)], capture_output=True, text=True, check=True).stdout  # noqa: S603
    return sum(not line.startswith(";") for line in listed.splitlines())


class _Restoring:
    """Turns what pg_restore says into progress, by the things it has finished."""

    _SAYS = re.compile(r"(?:finished item \d+|processing item \d+|creating) ([A-Z ]+) \"?(.+?)\"?$")

    def __init__(self, total: int, progress: Progress) -> None:
        self._total = total
        self._progress = progress
        self._done = 0

    def __call__(self, line: str) -> None:
        found = self._SAYS.search(line)
        if found:
            self._done = min(self._done + 1, self._total)
            self._progress(found[2], self._done, self._total)
