"""Who waits for a lock, and whose sessions are over: for races that let one go on only once another stands still."""

import asyncio
import os
from typing import Any

import psycopg

from malha.platform.db import Database

WAITING = """
SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE NOT l.granted AND a.datname = current_database()
"""
DOOMED = "to be killed"
LEFT = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = %(name)s::text
"""


AT_WORK = """
SELECT format('%s (%s, %s) in a transaction since %s, blocked by %s: %s', pid, application_name, state,
              clock_timestamp() - xact_start, pg_blocking_pids(pid), left(query, 300))
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL ORDER BY xact_start
"""


def at_work(connection: psycopg.Connection[Any]) -> list[str]:
    """Return what every other open transaction in this database does, how long, and for whom it waits."""
    return [row[0] for row in connection.execute(AT_WORK)]


async def waiting(database: Database) -> int:
    """Return how many connections to this database wait for a lock.

    Asked in a transaction of its own: within one, PostgreSQL shows the connections that were there when it was first
    asked, and whoever connects later is never seen.
    """
    async with database.transaction() as tx:
        return int(await tx.value(WAITING))


def doomed() -> dict[str, str]:
    """Return the environment of a process that is to be killed: its sessions are known by their name."""
    return {**os.environ, "PGAPPNAME": DOOMED}


async def gone(database: Database) -> None:
    """Wait until the server is done with the sessions of killed processes that were given `doomed`.

    What such a process had sent before it died is still done, and committed where it had said so: until then nobody
    can say what it left behind.
    """
    async with asyncio.timeout(60):
        while True:
            async with database.transaction() as tx:
                if not await tx.value(LEFT, {"name": DOOMED}):
                    return
            await asyncio.sleep(0.01)
