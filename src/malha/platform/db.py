"""PostgreSQL access: a pool, and `Tx`, the one way statements are run.

A transaction opens with `SET LOCAL search_path` to its retailer's schema, so no statement names a schema. Statements
are `LiteralString` constants with `%(name)s::type` placeholders; rows become msgspec structs (or tuples where speed
asks for it). Services take a `Tx` and never commit; edges open one with `Database.transaction`.
"""

import math
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime
from enum import StrEnum
from types import UnionType
from typing import Any, LiteralString, Self, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
import structlog
from psycopg import AsyncConnection, AsyncCursor, OperationalError, errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from psycopg_pool.base import AttemptWithBackoff

from malha.platform.errors import Busy, DatabaseExhausted, DatabaseFull, DatabaseReadOnly, MalhaError
from malha.platform.ids import UUID

log = structlog.get_logger(__name__)

# The standard library's parser costs several times as much.
set_json_loads(msgspec.json.decode)

T = TypeVar("T")
_EITHER = (Union, UnionType)
_Words = dict[str, tuple[Mapping[Any, StrEnum], bool]]
_WORDS: dict[type[Any], _Words] = {}  # by the class of rows
Params = Mapping[str, Any] | Sequence[Any]
Statement = LiteralString | sql.Composed

EXTENSIONS_SCHEMA = "malha_ext"
LOCK_TIMEOUT_MS = 5_000
IDLE_TIMEOUT_MS = 30_000
AWAY_S = 3.0  # so long whoever waits for an answer is kept from hearing that the database is away: a restart takes less
CONNECT_S = 5  # of a server that does not even refuse; libpq's own limit is two minutes
PATIENT_CONNECT_S = 15  # the same where nobody waits for an answer
# A machine that vanishes, power, network and all, refuses nothing: without these what was asked of it waits for a
# quarter of an hour, what listens for two hours, though another machine took its place long ago.
VANISHED_S = 15
STALLED_S = 300  # so long a server may take nothing of a restore, its disk behind: the kernel tells that from no other
_UNHEARD: dict[str, int] = {
    "connect_timeout": PATIENT_CONNECT_S,
    "tcp_user_timeout": VANISHED_S * 1_000,
    "keepalives_idle": VANISHED_S * 2 // 3,
    "keepalives_interval": VANISHED_S // 3,
    "keepalives_count": 2,
}
# The same the other way round: of a client whose machine vanished the server keeps the session, its locks and what it
# is at for two hours. It gives it up after a minute. Whoever is only slow to read an answer is not gone: so much later
# than here. Looking after the client while a statement runs is not what every server's system knows.
_UNHEARD_THERE = {
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60000",
    "client_connection_check_interval": "15s",
}
_SCHEMA_NAME = re.compile(r"^[a-z_][a-z0-9_]{0,50}$")


class ReadOnlyDatabase(OperationalError):
    """The database takes no changes. psycopg counts it among defects; who waits for a database waits for this one."""

    sqlstate = errors.ReadOnlySqlTransaction.sqlstate


# A server that lets nobody in says why in words alone: libpq keeps its code to itself. They are those of PostgreSQL and
# of the C library in English, Portuguese, Spanish, German, French and Italian, without the letters that another
# encoding spoils; in another language, or in other words, it is told that the database is away.
_NO_SPACE = (
    "No space left on device",
    "vel no dispositivo",
    "queda espacio en el dispositivo",
    "kein Speicherplatz mehr",
    "Aucun espace disponible",
    "Spazio esaurito",
)
_NO_PLACE = (
    *("too many clients", "too many connections for", "remaining connection slots"),
    *("muitos clientes conectados", "muitas conex", "slots de conex"),
    *("demasiados clientes", "demasiadas conexiones", "conexiones restantes"),
    *("zu viele Verbindungen", "verbleibenden Verbindungen"),
    *("trop de clients", "trop de connexions", "emplacements de connexions restants"),
    *("troppi client", "troppe connessioni", "rimanenti slot di connessione"),
)


def refusal_of(error: BaseException) -> MalhaError | None:
    """Return what it is of the database as a whole that an error tells; None: it tells of something else."""
    return _refusal_in(_state_of(error))


def _state_of(error: BaseException) -> str:
    state: str | None = getattr(error, "sqlstate", None)
    if state is None and isinstance(error, OperationalError):
        said = str(error)
        if any(words in said for words in _NO_SPACE):
            state = errors.DiskFull.sqlstate
        elif any(words in said for words in _NO_PLACE):
            state = errors.TooManyConnections.sqlstate
    return state or ""


def _refusal_in(state: str) -> MalhaError | None:
    if state == errors.DiskFull.sqlstate:
        return DatabaseFull()
    if state == ReadOnlyDatabase.sqlstate:
        return DatabaseReadOnly()
    return DatabaseExhausted() if state.startswith("53") else None


def is_moved_apart(error: BaseException) -> bool:
    """Tell whether a row was on its way to a partition that its month has left meanwhile: it finds its place next time.

    No constraint that anybody wrote is violated then, so none is named.
    """
    return isinstance(error, errors.CheckViolation) and error.diag.constraint_name is None


def takes_nothing(error: BaseException) -> bool:
    """Tell whether the database stores nothing at all now, whatever it is: its disk is full, or it is read-only."""
    return isinstance(refusal_of(error), DatabaseFull | DatabaseReadOnly)


class Actor(msgspec.Struct, frozen=True):
    """Who acts, for the audit trail and the ledger: a person, an API key, or the system itself."""

    kind: str = "system"
    id: str | None = None
    name: str = "system"
    source: str | None = None  # IP address of the caller
    request_id: str | None = None
    permissions: frozenset[str] | None = None  # None: everything, which is the system's own right
    locations: frozenset[int] | None = None  # None: all of them
    by: tuple[str, str] | None = None  # what the actor does it by, and which one: ("import", "12 prices.csv")

    @property
    def label(self) -> str:
        """Return the short text stored on ledger rows, like `person:0190...` or `system`."""
        return f"{self.kind}:{self.id}" if self.id else self.kind

    @classmethod
    def of_label(cls, label: str, name: str, **more: Any) -> Self:
        """Return the actor whose `label` was kept: work that goes on in somebody's name. `more` are further fields."""
        kind, _colon, id_ = label.partition(":")
        return cls(kind=kind, id=id_ or None, name=name, **more)

    @property
    def scope(self) -> list[int] | None:
        """Return the locations this actor is limited to as statements take them, sorted; None is all."""
        return None if self.locations is None else sorted(self.locations)

    @property
    def fixed_scope(self) -> tuple[int, ...] | None:
        """Return `scope` as frozen questions of lists keep it; None is all."""
        return None if self.scope is None else tuple(self.scope)

    def may(self, permission: str) -> bool:
        """Return whether this actor holds a permission, like `orders:cancel`."""
        return self.permissions is None or permission in self.permissions

    def sees(self, location_id: int | None) -> bool:
        """Return whether a location is in this actor's scope. What has no location yet is seen by all."""
        return self.locations is None or location_id is None or location_id in self.locations


SYSTEM = Actor()


class Tx:
    """One open transaction in one retailer's schema."""

    __slots__ = ("actor", "connection", "locked", "retailer")

    def __init__(self, connection: AsyncConnection[Any], retailer: str, actor: Actor) -> None:
        self.connection = connection
        self.retailer = retailer
        self.actor = actor
        self.locked: dict[str, Any] = {}  # what locks it holds, for who must not take others of a kind later

    async def cursor_of(self, statement: Statement, params: Params = ()) -> AsyncCursor[tuple[Any, ...]]:
        """Run a statement and return its cursor, binary results."""
        cursor = self.connection.cursor(binary=True)
        try:
            await cursor.execute(statement, params)
        except errors.LockNotAvailable as error:
            raise Busy from error
        except errors.CheckViolation as error:
            if is_moved_apart(error):
                raise Busy from error
            raise
        return cursor

    async def execute(self, statement: Statement, params: Params = ()) -> int:
        """Run a statement that returns no rows; return how many rows it touched."""
        cursor = await self.cursor_of(statement, params)
        return cursor.rowcount

    async def tuples(self, statement: Statement, params: Params = ()) -> list[tuple[Any, ...]]:
        """Return all rows as plain tuples."""
        return await (await self.cursor_of(statement, params)).fetchall()

    async def all(self, into: type[T], statement: Statement, params: Params = ()) -> list[T]:
        """Return all rows as `into`, built by column name."""
        cursor = await self.cursor_of(statement, params)
        build = _builder(into, cursor)
        return [build(row) for row in await cursor.fetchall()]

    async def maybe(self, into: type[T], statement: Statement, params: Params = ()) -> T | None:
        """Return the first row as `into`, or None."""
        cursor = await self.cursor_of(statement, params)
        row = await cursor.fetchone()
        return None if row is None else _builder(into, cursor)(row)

    async def one(self, into: type[T], statement: Statement, params: Params = ()) -> T:
        """Return the one row as `into`.

        Raises:
            LookupError: the statement returned no row.
        """
        found = await self.maybe(into, statement, params)
        if found is None:
            raise LookupError("no row")
        return found

    async def value(self, statement: Statement, params: Params = ()) -> Any:
        """Return the first column of the first row, or None."""
        row = await (await self.cursor_of(statement, params)).fetchone()
        return None if row is None else row[0]

    async def values(self, statement: Statement, params: Params = ()) -> list[Any]:
        """Return the first column of every row."""
        return [row[0] for row in await self.tuples(statement, params)]

    async def copy(self, statement: LiteralString, rows: Iterable[Sequence[Any]]) -> None:
        """Stream rows into `COPY ... FROM STDIN`, in constant memory."""
        async with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                await copy.write_row(row)

    async def now(self) -> datetime:
        """Return the start of this transaction by the database's clock."""
        instant: datetime = await self.value("SELECT now()")
        return instant

    def pipeline(self) -> AbstractAsyncContextManager[Any]:
        """Send the statements inside without waiting for each one's answer."""
        return self.connection.pipeline()

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Open a nested transaction: an exception inside undoes only what was done inside."""
        try:
            async with self.connection.transaction():
                yield
        except BaseException:
            self.locked.clear()  # what was locked inside is not any more
            raise


def _builder(into: type[T], cursor: AsyncCursor[Any]) -> Callable[[Sequence[Any]], T]:
    names = [column.name for column in cursor.description or ()]
    told = _words_of(into)
    words = [(name, *told[name]) for name in names if name in told]
    if not words:
        return lambda row: into(**dict(zip(names, row, strict=True)))

    def build(row: Sequence[Any]) -> T:
        facts = dict(zip(names, row, strict=True))
        for name, members, several in words:
            said = facts[name]
            if several:
                facts[name] = said and [members.get(one, one) for one in said]
            else:
                facts[name] = members.get(said, said)
        return into(**facts)

    return build


def _words_of(into: type[Any]) -> _Words:
    """Return what the database calls the members of each field that is one of few words, and whether it is a list.

    A word that a newer version wrote, and this one does not know, stays the text it is.
    """
    if into in _WORDS:
        return _WORDS[into]
    found: _Words = {}
    for name, hint in get_type_hints(into).items():
        for kind in get_args(hint) if get_origin(hint) in _EITHER else (hint,):
            several = get_origin(kind) is list
            word = get_args(kind)[0] if several else kind
            if isinstance(word, type) and issubclass(word, StrEnum):
                found[name] = {member.value: member for member in word}, several
    _WORDS[into] = found
    return found


async def in_turn(work: Callable[[], Awaitable[T]], tries: int) -> T:
    """Return what a piece of work returns, begun anew where somebody held its records for too long.

    It is whole transactions: nothing of one that is given up is written.

    Raises:
        Busy, DeadlockDetected: they are held at the last try as well.
    """
    for _ in range(tries - 1):
        with suppress(Busy, errors.DeadlockDetected):
            return await work()
    return await work()


def where(conditions: Mapping[LiteralString, Any]) -> tuple[sql.Composable, dict[str, Any]]:
    """Build ` WHERE a AND b` from conditions whose value is not None, and their parameters.

    A key is a condition with one `{}` where its placeholder goes, like `"placed_at >= {}::timestamptz"`.
    """
    parts: list[sql.Composable] = []
    params: dict[str, Any] = {}
    for i, (condition, value) in enumerate(conditions.items()):
        if value is None:
            continue
        name = f"w{i}"
        parts.append(sql.SQL(condition).format(sql.Placeholder(name)))
        params[name] = value
    if not parts:
        return sql.SQL(""), params
    return sql.SQL(" WHERE ") + sql.SQL(" AND ").join(parts), params


class Database:
    """A pool of connections to one PostgreSQL database, and the transactions of one retailer in it.

    Where all connections are busy a transaction waits up to 30 seconds for one. Where the database is away, those of a
    pool with `away_s` wait so long at most, and not at all once it has been away for longer: somebody is at the other
    end. Workers have nobody to tell, and wait.
    """

    def __init__(
        self, url: str, retailer: str = "malha", *, min_size: int = 1, max_size: int = 10, away_s: float | None = None
    ) -> None:
        if not _SCHEMA_NAME.match(retailer):
            raise ValueError(f"{retailer!r} cannot name a schema: use lower-case letters, digits and underscores")
        self.url = url
        self.retailer = retailer
        # Spelled once: psycopg would put a composed statement together for every transaction.
        self._begin = (
            sql.SQL("BEGIN; SET LOCAL search_path TO {}, {}, public; SET LOCAL lock_timeout = {}")
            .format(sql.Identifier(retailer), sql.Identifier(EXTENSIONS_SCHEMA), sql.Literal(LOCK_TIMEOUT_MS))
            .as_bytes()
        )
        options: dict[str, Any] = {"autocommit": True}
        if away_s is not None and "connect_timeout" not in _said(url):
            options["connect_timeout"] = CONNECT_S
        self.pool = _Pool(
            session(url), min_size=min_size, max_size=max_size, open=False, kwargs=options, configure=configure
        )
        self.pool.away_s = away_s

    async def open(self) -> None:
        """Open the pool; waits until `min_size` connections stand."""
        await self.pool.open(wait=True, timeout=30)

    async def close(self) -> None:
        """Close the pool and its connections."""
        await self.pool.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @asynccontextmanager
    async def transaction(self, actor: Actor = SYSTEM) -> AsyncIterator[Tx]:
        """Open a READ COMMITTED transaction: commits at the end of the block, rolls back on an exception."""
        connection = await self._begun()
        try:
            try:
                yield Tx(connection, self.retailer, actor)
            except BaseException as error:
                if not connection.closed:
                    await connection.rollback()
                elif isinstance(error, OperationalError):
                    self.pool.hear(error)
                if isinstance(error, errors.ReadOnlySqlTransaction):
                    raise ReadOnlyDatabase(str(error)) from error
                raise
            try:
                await connection.execute("COMMIT")
            except OperationalError as error:
                if connection.closed:
                    self.pool.hear(error)
                raise
        finally:
            await self.pool.putconn(connection)

    @property
    def refusal(self) -> MalhaError | None:
        """Return why nobody new gets in, as far as the server said; None: somebody did, or it did not say."""
        return _refusal_in(self.pool.said)

    @property
    def is_away(self) -> bool:
        """Tell whether nothing has reached the database for long enough that nobody is kept waiting any more."""
        return self.pool.away

    def answered_since(self, began: float) -> bool:
        """Tell whether the database answered anybody here since a moment of the monotonic clock."""
        return self.pool.answered_at >= began

    async def _begun(self) -> AsyncConnection[Any]:
        """Return a connection with an open transaction.

        After the server restarted, the pool still holds dead connections. Nothing was done on one that fails here, so
        the next is tried; asking each whether it lives would cost every transaction a round trip.
        """
        for attempt in range(self.pool.max_size + 1):
            connection = await self.pool.getconn()
            try:
                await connection.execute(self._begin)
            except BaseException as error:
                dead = isinstance(error, OperationalError) and connection.closed
                if not connection.closed:
                    await connection.rollback()
                await self.pool.putconn(connection)
                if not dead or attempt == self.pool.max_size:
                    raise
            else:
                return connection
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def snapshot(self, actor: Actor = SYSTEM) -> AsyncIterator[Tx]:
        """Open a read-only REPEATABLE READ transaction: every statement sees the same instant."""
        async with self.transaction(actor) as tx:
            await tx.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield tx
            except errors.ReadOnlySqlTransaction as error:  # a defect, and nothing of the database
                raise RuntimeError("a snapshot is only read") from error


class _Pool(AsyncConnectionPool):
    """A pool that gives the connection used last, and knows when the database is away.

    psycopg's gives the connection that has rested longest. A server process keeps what it knows of tables, and the
    plans of up to a hundred statements: five megabytes where every connection meets every statement. So few of them
    learn it all, and the others stay small, or are closed.

    psycopg's also waits twice as long before each further attempt to connect, up to minutes: after a restart everybody
    waited for the next one.

    That the database cannot be reached is logged once, and once that it is again, not with each attempt to connect.
    """

    away_s: float | None = None
    _failing_since: float | None = None  # the first of the attempts to connect that failed in a row, monotonic clock
    _told_since: float | None = None  # the log says that the database is not reached, monotonic clock
    _lent = 0  # connections in somebody's hands
    # The code of the server's last refusal of a connection; or of its last words, where it ended for want of room.
    said = ""
    answered_at = -math.inf  # when a connection was last given back that lives, monotonic clock

    @property
    def away(self) -> bool:
        """Return whether nothing has reached the database for `away_s`."""
        since = self._failing_since
        return self.away_s is not None and since is not None and time.monotonic() - since >= self.away_s

    async def getconn(self, timeout: float | None = None) -> AsyncConnection[Any]:  # noqa: ASYNC109 -- psycopg's
        """Obtain a connection.

        Raises:
            PoolTimeout: the database is away, or none became free in time.
        """
        if self.away and not self._pool:
            async with self._lock:
                self._maybe_grow_pool()  # where all attempts have been given up, somebody has to begin again
            raise _away(self.said)
        try:
            found = await super().getconn(timeout)
        except PoolTimeout as error:
            if self.away:  # it was found out before the time that the error names was over
                raise _away(self.said) from None
            error.sqlstate = self.said or None
            raise
        self._lent += 1
        return found

    def hear(self, error: Exception) -> None:
        """Keep why the server refused somebody. Where it ended for want of room, it cannot say so any more."""
        full = errors.DiskFull.sqlstate
        state = _state_of(error)
        self.said = state if _refusal_in(state) else full if self.said == full else ""

    async def putconn(self, conn: AsyncConnection[Any]) -> None:
        """Take a connection back. One that lives is a sign that the database does, whatever becomes of new ones."""
        self._lent -= 1
        if conn.pgconn.transaction_status != TransactionStatus.UNKNOWN:
            self._failing_since = None
            self.answered_at = time.monotonic()
        await super().putconn(conn)

    async def _get_ready_connection(self, timeout: float | None) -> AsyncConnection[Any] | None:  # noqa: ASYNC109 -- psycopg's
        # It takes the leftmost and gives back to the right; unused ones are closed from the left, the coldest first.
        self._pool.rotate(1)
        return await super()._get_ready_connection(timeout)

    async def _add_connection(self, attempt: AttemptWithBackoff | None, growing: bool = False) -> None:
        await super()._add_connection(attempt or _Steadily(timeout=self.reconnect_timeout), growing)

    async def _connect(self, timeout: float | None = None) -> AsyncConnection[Any]:  # noqa: ASYNC109 -- psycopg's
        began = time.monotonic()
        try:
            found = await super()._connect(timeout)
        except Exception as error:
            self.hear(error)
            if self._told_since is None:
                self._told_since = began
                log.warning("database_not_reached", error=str(error))
            # A server that takes no further ones, as there are too many, is there for those who have one.
            if self._failing_since is None and not self._lent:
                self._failing_since = began
            while self.away and self._waiting:
                await self._waiting.popleft().fail(_away(self.said))
            raise
        self._failing_since, self.said = None, ""
        if self._told_since is not None:
            log.info("database_reached", waited_s=round(time.monotonic() - self._told_since, 1))
            self._told_since = None
        return found


class _Steadily(AttemptWithBackoff):
    """Attempts to connect that go on once a second, after two quicker ones."""

    INITIAL_DELAY = 0.25

    def update_delay(self, now: float) -> None:
        """Work out how long to wait for the next attempt, in seconds."""
        super().update_delay(now)
        self.delay = min(self.delay, 1.0)


def _away(said: str) -> PoolTimeout:
    error = PoolTimeout("the database is away")
    error.sqlstate = said or None
    return error


# A role, a database or a server may have these otherwise, for other programs. A statement that reads much is not cut
# off where the doctor, a migration or the closing of a month needs it; a lock that is taken first is taken before
# anything is seen; what is acknowledged is stored; days, numbers and bytes that become texts there, and backslashes and
# NULL in statements, are what they are everywhere else. What a server does not know is left out.
_OWN_SETTINGS = """
SELECT CASE WHEN current_setting(name, true) IS NOT NULL THEN set_config(name, value, false) END
FROM (VALUES ('timezone', 'UTC'), ('default_transaction_isolation', 'read committed'),
             ('idle_in_transaction_session_timeout', %(idle)s::text), ('statement_timeout', '0'),
             ('transaction_timeout', '0'), ('idle_session_timeout', '0'), ('datestyle', 'ISO, MDY'),
             ('intervalstyle', 'postgres'), ('bytea_output', 'hex'), ('extra_float_digits', '1'),
             ('standard_conforming_strings', 'on'), ('transform_null_equals', 'off'), ('array_nulls', 'on'),
             ('synchronous_commit', coalesce(nullif(current_setting('synchronous_commit'), 'off'), 'on'))
     ) AS own (name, value)
"""
# What role, database or server say themselves of clients that vanish holds.
_CLIENT_SETTINGS = """
SELECT set_config(s.name, own.value, false)
FROM unnest(%(names)s::text[], %(values)s::text[]) AS own (name, value) JOIN pg_catalog.pg_settings s USING (name)
WHERE s.source = 'default'
"""


async def configure(connection: AsyncConnection[Any]) -> None:
    """Give a connection the settings that Malha's statements rely on, whatever others said for its role."""
    await connection.execute(_OWN_SETTINGS, {"idle": str(IDLE_TIMEOUT_MS)})
    if connection.info.host.startswith("/") or not connection.info.host:
        return  # a socket of this machine: it ends with its process
    own = {"names": list(_UNHEARD_THERE), "values": list(_UNHEARD_THERE.values())}
    with suppress(errors.InvalidParameterValue):  # the server's system does not know one of them
        await connection.execute(_CLIENT_SETTINGS, own)


def session(url: str) -> str:
    """Return how to connect by a URL.

    Texts travel as UTF-8, whatever role, database or environment say. A server that vanished is given up after
    `VANISHED_S`, unless the URL says otherwise.
    """
    return make_conninfo(url, client_encoding="UTF8", **_unsaid(url, _UNHEARD))


def patient(url: str) -> str:
    """Return how a program that moves all data connects by a URL: to back up, to restore, to compare.

    As `session`, but a server that takes nothing more for a while is not given up: it may be writing what it was sent.
    """
    return make_conninfo(url, **_unsaid(url, {**_UNHEARD, "tcp_user_timeout": STALLED_S * 1_000}))


def _unsaid(url: str, values: Mapping[str, int]) -> dict[str, int]:
    said = _said(url)
    return {name: value for name, value in values.items() if name not in said}


def _said(url: str) -> set[str]:
    """Return the names of what a URL, or the environment, says of a connection."""
    return {*conninfo_to_dict(url), *(("connect_timeout",) if "PGCONNECT_TIMEOUT" in os.environ else ())}


__all__ = [
    "AWAY_S",
    "SYSTEM",
    "UUID",
    "Actor",
    "Database",
    "Params",
    "Statement",
    "Tx",
    "configure",
    "is_moved_apart",
    "patient",
    "session",
    "where",
]
