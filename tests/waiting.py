"""Who waits for a lock: for races that let one go on only once another stands still."""

from malha.platform.db import Database

WAITING = """
SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE NOT l.granted AND a.datname = current_database()
"""


async def waiting(database: Database) -> int:
    """Return how many connections to this database wait for a lock.

    Asked in a transaction of its own: within one, PostgreSQL shows the connections that were there when it was first
    asked, and whoever connects later is never seen.
    """
    async with database.transaction() as tx:
        return int(await tx.value(WAITING))
