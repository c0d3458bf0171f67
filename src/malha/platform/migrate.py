"""Migrations: numbered plain SQL in `malha/migrations`, forward only, into one retailer's schema.

`NNNN_pre_name.sql` runs before new code is started and must leave old code working; `NNNN_post_name.sql` runs after the
last old process has gone. A pre file needs no post file of its own release. Each file is one transaction with a
`lock_timeout`, so a migration never queues the shop behind itself; it is tried again when a lock was not granted, or
when it had to give way in a deadlock. An advisory lock lets one runner work at a time. A file that was applied never
changes again: its checksum is kept and compared.

`schema.sql` beside the files is what they add up to, written by `python -m malha.platform.migrate --write-schema URL`
and compared by a test; a reviewer reads there what a migration does to the whole.
"""

import asyncio
import hashlib
import re
import sys
from importlib.resources import files
from pathlib import Path
from time import monotonic
from typing import Any, Literal

import msgspec
from psycopg import AsyncConnection, ConnectionInfo, sql
from psycopg.conninfo import make_conninfo
from psycopg.errors import DeadlockDetected, LockNotAvailable

from malha.platform.db import EXTENSIONS_SCHEMA, configure, session
from malha.platform.errors import MalhaError

Phase = Literal["pre", "post", "all"]

OLDEST_POSTGRES = 15
LOCK_TIMEOUT_MS = 3_000
LOCK_TRIES = 10
WAIT_FOR_RUNNER_MS = 600_000
ADVISORY_KEY = 0x6D616C6861  # "malha"
_NAME = re.compile(r"^(\d{4})_(pre|post)_([a-z0-9_]+)\.sql$")


class MigrationRefused(MalhaError):
    """Base of reasons not to touch a database."""

    status = 500
    code = "migration_refused"
    says = "The database cannot be migrated."


class PostgresTooOld(MigrationRefused):
    """The server is older than what Malha is tested on."""

    code = "postgres_too_old"
    says = "The server runs PostgreSQL {found}; Malha needs {needed} or newer."
    mend = "Upgrade the server, or unset DATABASE_URL to use the PostgreSQL that Malha brings along."


class EncodingNotUtf8(MigrationRefused):
    """Names would be cut or refused."""

    code = "encoding_not_utf8"
    says = "The database is encoded in {found}; Malha needs UTF8."
    mend = "Create the database again with ENCODING 'UTF8' TEMPLATE template0."


class PoolerBetween(MigrationRefused):
    """Every transaction would have another connection of the server."""

    code = "pooler_between"
    says = (
        "DATABASE_URL leads to a connection pooler that gives each transaction another connection of the server; Malha "
        "keeps locks, prepared statements and notifications in its connections."
    )
    mend = "Have DATABASE_URL lead to the server itself, or set the pooler to session mode."


class DatabaseNewer(MigrationRefused):
    """A newer Malha has migrated the database."""

    code = "database_newer"
    says = "The database has migrations this version of Malha does not know: {names}."
    mend = "Start the newer version of Malha; an older one would damage what it does not understand."


class MigrationChanged(MigrationRefused):
    """A file was edited after it had been applied."""

    code = "migration_changed"
    says = "{name} was changed after it was applied to this database."
    mend = "Put the file back as it was and write the change as a new migration."


class MigrationBlocked(MigrationRefused):
    """Other transactions keep a lock the migration needs."""

    code = "migration_blocked"
    says = "{name} did not get its locks in {tries} tries; other transactions hold the tables."
    mend = "Find the long transaction with `malha doctor`, end it, and migrate again. Nothing was changed by this file."


class ExtensionElsewhere(MigrationRefused):
    """pg_trgm sits in a schema Malha does not look in."""

    code = "extension_elsewhere"
    says = "The extension {extension} is installed in the schema {found}, not in {needed}."
    mend = "Run: ALTER EXTENSION {extension} SET SCHEMA {needed}"


class NotMigrated(MigrationRefused):
    """The database is older than the code."""

    code = "not_migrated"
    says = "The database lacks {count} migrations of this version of Malha, the first is {name}."
    mend = "Run: malha migrate"


class NothingMigrated(NotMigrated):
    """Nothing of the retailer is there."""

    code = "nothing_migrated"
    says = "There is no retailer in this database yet."
    mend = "Run: malha serve. The demo has a database of its own, which is examined by: malha demo --exit"


class Migration(msgspec.Struct, frozen=True):
    """One file."""

    number: int
    phase: str
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Return the SHA-256 of the text, blind to the line ends of the checkout."""
        return hashlib.sha256(self.text.replace("\r\n", "\n").encode()).hexdigest()


class Status(msgspec.Struct, frozen=True):
    """What a database has and what it lacks."""

    applied: list[str]
    pending: list[str]

    @property
    def needed(self) -> list[str]:
        """Return what this code cannot run without: pending files of the post phase wait for old processes to go."""
        return [name for name in self.pending if "_pre_" in name]


MIGRATION_TABLE = """
CREATE TABLE IF NOT EXISTS migration (
    number integer PRIMARY KEY,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    milliseconds integer NOT NULL
)
"""
APPLIED = "SELECT number, name, checksum FROM migration ORDER BY number"
# Written in the transaction of the file.
NOTE_MIGRATION = """
INSERT INTO migration (number, name, checksum, milliseconds)
VALUES (%(number)s::int, %(name)s::text, %(checksum)s::text, %(milliseconds)s::int)
"""
SERVER_PROCESS = "SELECT pg_backend_pid()"
HAS_MIGRATIONS = "SELECT to_regclass('migration') IS NOT NULL"
EXTENSION_SCHEMA = """
SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = %(name)s::text
"""


def migrations() -> list[Migration]:
    """Return the files by number.

    Raises:
        ValueError: a file is misnamed, or two have one number.
    """
    found: dict[int, Migration] = {}
    for path in (files("malha") / "migrations").iterdir():
        if not path.name.endswith(".sql") or path.name == "schema.sql":
            continue
        match = _NAME.match(path.name)
        if not match:
            raise ValueError(f"{path.name}: a migration is named like 0042_pre_add_colour.sql")
        number = int(match[1])
        if number in found:
            raise ValueError(f"{path.name} and {found[number].name} have one number")
        found[number] = Migration(number, match[2], path.name, path.read_text(encoding="utf-8"))
    return [found[number] for number in sorted(found)]


async def migrate(url: str, retailer: str, phase: Phase = "all") -> list[str]:
    """Apply what is missing to the retailer's schema, making it if need be; return the names applied.

    Raises:
        MigrationRefused: see its subclasses; files applied before the refusal stay applied.
    """
    known = migrations()
    applied = []
    async with await AsyncConnection.connect(session(url), autocommit=True) as connection:
        check_server(connection.info)
        await _refuse_pooler(connection, url)
        await configure(connection)
        await connection.execute("SELECT set_config('lock_timeout', %s, false)", (str(WAIT_FOR_RUNNER_MS),))
        await connection.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_KEY,))
        await _make_schemas(connection, retailer)
        await connection.execute("SELECT set_config('lock_timeout', %s, false)", (str(LOCK_TIMEOUT_MS),))
        done = await _applied(connection)
        _check_history(known, done)
        for migration in known:
            if migration.number not in done and phase in {"all", migration.phase}:
                await _apply(connection, migration)
                applied.append(migration.name)
    return applied


async def status(url: str, retailer: str, *, beside_newer: bool = False) -> Status:
    """Return what is applied and what is pending; changes nothing.

    `beside_newer` lets files of the pre phase pass that only a newer version knows: they leave this one working.

    Raises:
        MigrationRefused: as `migrate` would.
    """
    async with await AsyncConnection.connect(session(url), autocommit=True) as connection:
        await _search(connection, retailer)
        return await status_on(connection, beside_newer=beside_newer)


async def status_on(connection: AsyncConnection[Any], *, beside_newer: bool = False) -> Status:
    """Return the same on a connection whose search path begins with the retailer's schema."""
    known = migrations()
    check_server(connection.info)
    there = await (await connection.execute(HAS_MIGRATIONS)).fetchone()
    done = await _applied(connection) if there and there[0] else {}
    if beside_newer:
        numbers = {migration.number for migration in known}
        done = {number: entry for number, entry in done.items() if number in numbers or "_pre_" not in entry[0]}
    _check_history(known, done)
    return Status([name for name, _ in done.values()], [m.name for m in known if m.number not in done])


async def require(url: str, retailer: str) -> None:
    """Refuse a database that this code cannot work with.

    One that a newer version has prepared for itself (its pre phase) is none: old and new run side by side on it.

    Raises:
        NotMigrated: it lacks files of the pre phase, or all of them.
        MigrationRefused: as `migrate` would.
    """
    async with await AsyncConnection.connect(session(url), autocommit=True) as connection:
        await _refuse_pooler(connection, url)
    found = await status(url, retailer, beside_newer=True)
    if found.needed:
        what = NotMigrated if found.applied else NothingMigrated
        raise what(count=len(found.needed), name=found.needed[0])


def check_server(info: ConnectionInfo) -> None:
    """Refuse a server that Malha cannot work with.

    Raises:
        PostgresTooOld, EncodingNotUtf8: see there.
    """
    version = info.server_version
    if version < OLDEST_POSTGRES * 10_000:
        raise PostgresTooOld(found=version // 10_000, needed=OLDEST_POSTGRES)
    encoding = info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise EncodingNotUtf8(found=encoding)


async def _refuse_pooler(connection: AsyncConnection[Any], url: str) -> None:
    """Refuse a pooler that gives a connection's server process to somebody else between two transactions.

    A pooler in session mode is none of these: what a connection is given first stays its own.

    Raises:
        PoolerBetween: see there.
    """
    mine = await _server_process(connection)
    if mine == connection.info.backend_pid:
        return  # nobody is between us and the server
    async with await AsyncConnection.connect(session(url), autocommit=True) as other, other.transaction():
        if mine == await _server_process(other) or mine != await _server_process(connection):
            raise PoolerBetween


async def _server_process(connection: AsyncConnection[Any]) -> int:
    row = await (await connection.execute(SERVER_PROCESS)).fetchone()
    return int(row[0]) if row else 0


async def _search(connection: AsyncConnection[Any], retailer: str) -> None:
    path = sql.SQL("SET search_path TO {}, {}, public")
    await connection.execute(path.format(sql.Identifier(retailer), sql.Identifier(EXTENSIONS_SCHEMA)))


async def _make_schemas(connection: AsyncConnection[Any], retailer: str) -> None:
    for schema in (EXTENSIONS_SCHEMA, retailer):
        await connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
    await connection.execute(
        sql.SQL("CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA {}").format(sql.Identifier(EXTENSIONS_SCHEMA))
    )
    row = await (await connection.execute(EXTENSION_SCHEMA, {"name": "pg_trgm"})).fetchone()
    if row and row[0] not in {EXTENSIONS_SCHEMA, "public"}:
        raise ExtensionElsewhere(extension="pg_trgm", found=row[0], needed=EXTENSIONS_SCHEMA)
    await _search(connection, retailer)
    await connection.execute(MIGRATION_TABLE)


async def _applied(connection: AsyncConnection[Any]) -> dict[int, tuple[str, str]]:
    rows = await (await connection.execute(APPLIED)).fetchall()
    return {number: (name, checksum) for number, name, checksum in rows}


def _check_history(known: list[Migration], done: dict[int, tuple[str, str]]) -> None:
    by_number = {migration.number: migration for migration in known}
    strangers = [name for number, (name, _) in done.items() if number not in by_number]
    if strangers:
        raise DatabaseNewer(names=", ".join(strangers))
    for number, (_, checksum) in done.items():
        if by_number[number].checksum != checksum:
            raise MigrationChanged(name=by_number[number].name)


async def _apply(connection: AsyncConnection[Any], migration: Migration) -> None:
    for attempt in range(1, LOCK_TRIES + 1):
        begun = monotonic()
        try:
            async with connection.transaction():
                await connection.execute(migration.text.encode())
                await connection.execute(
                    NOTE_MIGRATION,
                    {
                        "number": migration.number,
                        "name": migration.name,
                        "checksum": migration.checksum,
                        "milliseconds": int((monotonic() - begun) * 1000),
                    },
                )
        except (LockNotAvailable, DeadlockDetected) as error:
            if attempt == LOCK_TRIES:
                raise MigrationBlocked(name=migration.name, tries=LOCK_TRIES) from error
            await asyncio.sleep(0.2 * attempt)
        else:
            return


# Tables of the schema; partitions are told by their parent, made as they are needed.
SNAPSHOT_TABLES = """
SELECT c.oid, c.relname::text, pg_get_partkeydef(c.oid), coalesce(array_to_string(c.reloptions, ', '), '')
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.relname
"""
SNAPSHOT_COLUMNS = """
SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity::text, a.attgenerated::text,
       pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %(table)s::oid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
"""
# NOT NULL is told with the column; PostgreSQL 18 has a constraint for it, 15 has none.
SNAPSHOT_CONSTRAINTS = """
SELECT conname::text, contype::text, pg_get_constraintdef(oid)
FROM pg_constraint
WHERE conrelid = %(table)s::oid AND contype IN ('p', 'u', 'c', 'f', 'x')
ORDER BY array_position(ARRAY['p', 'u', 'c', 'x', 'f'], contype::text), conname
"""
SNAPSHOT_INDEXES = """
SELECT pg_get_indexdef(i.indexrelid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = %(table)s::oid AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid)
ORDER BY c.relname
"""


async def snapshot(url: str, retailer: str) -> str:
    """Return the schema as SQL, in an order and a spelling that depend on nothing but the schema.

    The text can be run: into an empty schema it makes the same tables, without rows and without partitions.
    """
    tables, links, indexes = [], [], []
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await _search(connection, retailer)

        async def rows(statement: Any, table: int | None = None) -> list[tuple[Any, ...]]:
            return await (await connection.execute(statement, {"table": table})).fetchall()

        for oid, name, partitioned, options in await rows(SNAPSHOT_TABLES):
            if name == "migration":
                continue
            body = [f"    {_column(column)}" for column in await rows(SNAPSHOT_COLUMNS, oid)]
            for constraint, kind, definition in await rows(SNAPSHOT_CONSTRAINTS, oid):
                if kind == "f":
                    links.append(f"ALTER TABLE {name} ADD CONSTRAINT {constraint} {definition};")
                else:
                    body.append(f"    CONSTRAINT {constraint} {definition}")
            end = f" PARTITION BY {partitioned}" if partitioned else ""
            end += f" WITH ({options.replace('=', ' = ')})" if options else ""
            tables.append(f"CREATE TABLE {name} (\n" + ",\n".join(body) + f"\n){end};\n")
            indexes += [f"{line.replace(f'{retailer}.', '')};" for (line,) in await rows(SNAPSHOT_INDEXES, oid)]
    head = "-- What the migrations add up to. Do not edit: python -m malha.platform.migrate --write-schema URL\n"
    return "\n".join([head, *tables, *indexes, "", *links]) + "\n"


def _column(row: tuple[Any, ...]) -> str:
    name, kind, required, identity, generated, default = row
    text = f"{name} {kind}"
    if identity:
        text += f" GENERATED {'ALWAYS' if identity == 'a' else 'BY DEFAULT'} AS IDENTITY"
    elif generated:
        text += f" GENERATED ALWAYS AS ({default}) STORED"
    elif default is not None:
        text += f" DEFAULT {default}"
    return text + (" NOT NULL" if required else "")


async def write_schema(url: str) -> Path:
    """Migrate a scratch database on the server of `url` and write down what came out; return the file."""
    name = "malha_schema_snapshot"
    target = Path(str(files("malha") / "migrations")) / "schema.sql"
    scratch = make_conninfo(url, dbname=name)
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    async with await AsyncConnection.connect(url, autocommit=True) as admin:
        await admin.execute(drop)
        await admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            await migrate(scratch, "malha")
            text = await snapshot(scratch, "malha")
        finally:
            await admin.execute(drop)
    target.write_text(text, encoding="utf-8")
    return target


def main(arguments: list[str] | None = None) -> None:
    """Write `schema.sql` anew: `python -m malha.platform.migrate --write-schema postgresql://...`."""
    import argparse  # noqa: PLC0415 -- every server imports this module, and none runs it as a program

    parser = argparse.ArgumentParser(prog="python -m malha.platform.migrate", description=main.__doc__)
    parser.add_argument("--write-schema", metavar="URL", required=True, help="a server on which databases may be made")
    written = asyncio.run(write_schema(parser.parse_args(arguments).write_schema))
    sys.stdout.write(f"{written}\n")


if __name__ == "__main__":
    main()
