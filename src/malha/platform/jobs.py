"""Background jobs: timers, retries and network calls, by procrastinate in PostgreSQL, in a schema of its own.

A job is deferred over the caller's connection in the caller's transaction: rolled back, it never was; committed, it
runs at least once. So a job is written to be repeated: it looks at what is so, calls out, and writes the outcome under
a natural key.

    @jobs.task("payments.expire_pix", attempts=5)
    async def expire_pix(db: Database, *, tender_id: str) -> None: ...

    await jobs.defer(tx, expire_pix, at=expires_at, tender_id=str(tender.id))

A task that takes `settings` is given those of the worker that runs it: mail servers and keys are no arguments.

A retailer's jobs wait in the queue named after it and are run by that retailer's worker. What has succeeded is
deleted; what failed for good stays, is counted and shown.

procrastinate's functions and triggers name their tables without a schema. Installing pins their search_path to their
own schema, so that they work from inside a retailer's transaction, whose search_path is the retailer's.
"""

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from psycopg import AsyncConnection, sql
from psycopg_pool import AsyncConnectionPool

from malha.platform import measures
from malha.platform.db import Database, Tx, configure, session
from malha.platform.rounds import Rounds, is_away, tell
from malha.platform.sequencer import rest
from malha.platform.settings import Settings

if TYPE_CHECKING:
    from procrastinate import App

log = structlog.get_logger(__name__)

SCHEMA = "malha_jobs"
ADVISORY_KEY = 0x6D616C6A  # one installer at a time
STALLED_AFTER_S = 30.0  # without a heartbeat, which procrastinate gives every 10 s
RESCUE_EVERY_S = 10.0
CONNECTION_S = 10.0  # waited for one
SETTLED_S = 2.0  # a worker that lived so long is registered, and finds jobs
RUN_OUT_S = 20.0  # what running jobs get to end when the worker is told to stop
FIRST_RETRY_S = 2
POLL_S = 1.0  # new jobs are notified; this is how soon one that waited for its time or its lock is taken

_encode = msgspec.json.Encoder().encode

# Any number of jobs in one call; it notifies waiting workers when the caller commits.
DEFER_JOBS = """
SELECT malha_jobs.procrastinate_defer_jobs_v1(array_agg(
    ROW (%(queue)s::text, %(task)s::text, %(priority)s::int, j.lock, NULL, j.args, %(at)s::timestamptz
    )::malha_jobs.procrastinate_job_to_defer_v1
))
FROM unnest(%(args)s::jsonb[], %(locks)s::text[]) AS j (args, lock)
"""
# For the list of what needs attention; few, or somebody has been told.
FAILED_JOBS = """
SELECT id, task_name AS task, attempts, args AS arguments FROM malha_jobs.procrastinate_jobs
WHERE status = 'failed' AND queue_name = %(queue)s::text ORDER BY id LIMIT %(limit)s::int
"""
# What is still to be done, or being done, of one task: few where a task has one job a record.
OPEN_ARGUMENTS = """
SELECT args FROM malha_jobs.procrastinate_jobs
WHERE task_name = %(task)s::text AND queue_name = %(queue)s::text AND status IN ('todo', 'doing')
"""
# Its own function keeps its own book of what happened to a job. One more attempt: what fails again is here again.
RETRY_JOBS = """
SELECT id, malha_jobs.procrastinate_retry_job_v2(id, now(), NULL, NULL, NULL) FROM malha_jobs.procrastinate_jobs
WHERE id = ANY (%(ids)s::bigint[]) AND status = 'failed' AND queue_name = %(queue)s::text
"""
# What nobody wants done any more waits for nobody. Few jobs failed: no index of their own.
GIVE_UP_JOBS = """
UPDATE malha_jobs.procrastinate_jobs SET status = 'cancelled'
WHERE task_name = %(task)s::text AND queue_name = %(queue)s::text AND status = 'failed' AND args @> %(args)s::jsonb
"""
INSTALLED = "SELECT name FROM malha_jobs.installed"
HAS_SCHEMA = "SELECT to_regclass('malha_jobs.installed') IS NOT NULL"
JOB_FUNCTIONS = """
SELECT p.oid::regprocedure::text FROM pg_proc p
WHERE p.pronamespace = 'malha_jobs'::regnamespace AND p.proconfig IS NULL
"""


class Task(msgspec.Struct, frozen=True):
    """Something that can be deferred. Its name is in the database: it is not given to something else later."""

    name: str
    work: Callable[..., Awaitable[None]]
    attempts: int
    priority: int


class FailedJob(msgspec.Struct, frozen=True):
    """A job that failed as often as it may."""

    id: int
    task: str
    attempts: int
    arguments: dict[str, Any]


TASKS: dict[str, Task] = {}


def task(name: str, *, attempts: int = 8, priority: int = 0) -> Callable[[Callable[..., Awaitable[None]]], Task]:
    """Declare a task. It is tried `attempts` times, pausing 2, 4, 8 ... seconds; higher `priority` runs first.

    Raises:
        ValueError: another task has this name.
    """

    def declare(work: Callable[..., Awaitable[None]]) -> Task:
        if name in TASKS:
            raise ValueError(f"two tasks are named {name}")
        TASKS[name] = Task(name, work, attempts, priority)
        return TASKS[name]

    return declare


async def defer(
    tx: Tx, wanted: Task, /, *, at: datetime | None = None, lock: str | None = None, **arguments: Any
) -> None:
    """Have a task run after the caller commits, not before `at`. Jobs with one `lock` run one after the other."""
    await defer_many(tx, wanted, [arguments], at=at, locks=None if lock is None else [lock])


async def defer_many(
    tx: Tx,
    wanted: Task,
    jobs: Sequence[Mapping[str, Any]],
    *,
    at: datetime | None = None,
    locks: Sequence[str] | None = None,
) -> None:
    """Have a task run once for each mapping of arguments, with one statement."""
    if not jobs:
        return
    await tx.execute(
        DEFER_JOBS,
        {
            "queue": tx.retailer,
            "task": wanted.name,
            "priority": wanted.priority,
            "args": [_encode(arguments).decode() for arguments in jobs],
            "locks": list(locks) if locks is not None else [None] * len(jobs),
            "at": at,
        },
    )


async def failed(tx: Tx, limit: int = 200) -> list[FailedJob]:
    """Return the retailer's jobs that failed for good, oldest first."""
    return await tx.all(FailedJob, FAILED_JOBS, {"queue": tx.retailer, "limit": limit})


async def open_arguments(tx: Tx, wanted: Task) -> list[dict[str, Any]]:
    """Return the arguments of a task's jobs that wait or run: what is not there will not be done."""
    return await tx.values(OPEN_ARGUMENTS, {"task": wanted.name, "queue": tx.retailer})


async def retry(tx: Tx, ids: Sequence[int]) -> list[int]:
    """Have jobs that failed for good run once more; return those that had."""
    return [id_ for id_, _void in await tx.tuples(RETRY_JOBS, {"ids": list(ids), "queue": tx.retailer})]


async def give_up(tx: Tx, wanted: Task, **arguments: Any) -> None:
    """Let jobs of a task with these arguments that failed for good go: what they were to do is not wanted any more."""
    asked = {"task": wanted.name, "queue": tx.retailer, "args": _encode(arguments).decode()}
    await tx.execute(GIVE_UP_JOBS, asked)


async def install(url: str) -> list[str]:
    """Make the schema, or bring it up to the installed procrastinate; return what was applied. Safe to repeat."""
    async with await AsyncConnection.connect(session(url), autocommit=True) as connection, connection.transaction():
        await configure(connection)
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (ADVISORY_KEY,))
        row = await (await connection.execute(HAS_SCHEMA)).fetchone()
        fresh = not (row and row[0])
        schema = sql.Identifier(SCHEMA)
        await connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
        await connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(schema))
        package = files("procrastinate.sql")
        known = sorted(path.name for path in (package / "migrations").iterdir() if path.name.endswith(".sql"))
        if fresh:
            await connection.execute((package / "schema.sql").read_text(encoding="utf-8").encode())
            await connection.execute("CREATE TABLE installed (name text PRIMARY KEY)")
            applied, added = ["schema.sql"], known
        else:
            done = {name for (name,) in await (await connection.execute(INSTALLED)).fetchall()}
            applied = added = [name for name in known if name not in done]
            for name in added:
                await connection.execute((package / "migrations" / name).read_text(encoding="utf-8").encode())
        await connection.execute("INSERT INTO installed SELECT unnest(%s::text[])", (added,))
        for (function,) in await (await connection.execute(JOB_FUNCTIONS)).fetchall():
            await connection.execute(f"ALTER FUNCTION {function} SET search_path TO {SCHEMA}, pg_temp".encode())
    return applied


async def run_jobs(
    db: Database, stop: asyncio.Event, *, concurrency: int = 4, settings: Settings | None = None
) -> None:
    """Run the retailer's jobs until `stop` is set; running ones get 20 s to end. Outlives a lost database."""
    rounds = Rounds(log, waits="jobs_wait", failed="jobs_failed", also=(OSError,))
    while not stop.is_set():
        with rounds, _unwrapped():
            await _run(db, stop, concurrency, settings or Settings(), rounds)
        await rest(stop, 1.0)


@contextmanager
def _unwrapped() -> Iterator[None]:
    """Raise what procrastinate's own errors hide."""
    from procrastinate.exceptions import ConnectorException  # noqa: PLC0415 -- only a worker needs it

    try:
        yield
    except ConnectorException as error:
        raise error.__cause__ or error from None


def _tells(record: logging.LogRecord) -> bool:
    """Tell whether a line of procrastinate's is more than that the database is away, which `run_jobs` says once."""
    error = record.exc_info[1] if record.exc_info else None
    return error is None or not is_away(error.__cause__ or error)


async def _run(db: Database, stop: asyncio.Event, concurrency: int, settings: Settings, rounds: Rounds) -> None:
    from procrastinate.worker import Worker  # noqa: PLC0415 -- only a worker needs it

    app = _app(db, settings)
    logging.getLogger("procrastinate").setLevel(logging.ERROR)  # refusals are logged by `_runner`, with their job
    for name in ("procrastinate.worker", "procrastinate.utils"):
        logging.getLogger(name).addFilter(_tells)  # once: it is the same one
    async with app.open_async():
        worker = Worker(
            app=app,
            queues=[db.retailer],
            concurrency=concurrency,
            delete_jobs="successful",
            fetch_job_polling_interval=POLL_S,
            install_signal_handlers=False,
            shutdown_graceful_timeout=RUN_OUT_S,
        )
        running = asyncio.create_task(worker.run())  # type: ignore[no-untyped-call]
        stopping = asyncio.create_task(stop.wait())
        pause = SETTLED_S
        try:
            while not (running.done() or stopping.done()):
                await _rescue(app)
                await asyncio.wait({running, stopping}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                if not running.done():
                    rounds.done()
                pause = RESCUE_EVERY_S
        finally:
            stopping.cancel()
            # Not by cancelling it: while it registers itself, a cancellation is lost.
            worker.stop()  # type: ignore[no-untyped-call]
            await running


async def _rescue(app: "App") -> None:
    """Give the jobs of workers that were killed back to the queue."""
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_AFTER_S):
        log.warning("job_rescued", job=job.id, task=job.task_name)
        await app.job_manager.retry_job(job)


def _app(db: Database, settings: Settings) -> "App":
    from procrastinate import App, PsycopgConnector, RetryStrategy  # noqa: PLC0415 -- only a worker needs it

    async def prepare(connection: AsyncConnection[Any]) -> None:
        await configure(connection)
        await connection.execute(f"SET search_path TO {SCHEMA}".encode())
        await connection.commit()

    app = App(
        connector=PsycopgConnector(
            pool_factory=_Pool,
            conninfo=session(db.url),
            min_size=1,
            max_size=3,
            timeout=CONNECTION_S,
            configure=prepare,
        )
    )
    for declared in TASKS.values():
        again = declared.attempts - 1
        retry = RetryStrategy(max_attempts=again, exponential_wait=FIRST_RETRY_S) if again else False
        app.task(name=declared.name, retry=retry)(_runner(db, declared, settings))
    return app


class _Pool(AsyncConnectionPool):
    """Waits no longer for its first connection than for any other: an absence is noticed, and the next round begins."""

    async def open(self, wait: bool = False, timeout: float = 30.0) -> None:  # noqa: ASYNC109 -- psycopg's
        """Open it."""
        await super().open(wait, min(timeout, self.timeout))


def _runner(db: Database, declared: Task, settings: Settings) -> Callable[..., Awaitable[None]]:
    given = {"settings": settings} if "settings" in inspect.signature(declared.work).parameters else {}

    async def run(**arguments: Any) -> None:
        begun = time.perf_counter()
        outcome = "failed"
        try:
            await declared.work(db, **given, **arguments)
            outcome = "succeeded"
        except Exception as error:
            tell(log, "job_failed", error, task=declared.name)
            raise
        finally:
            measures.JOBS.labels(declared.name, outcome).inc()
            measures.JOB_SECONDS.labels(declared.name).observe(time.perf_counter() - begun)

    return run
