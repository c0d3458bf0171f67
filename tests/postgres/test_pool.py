"""Which connection of a pool is used next, and which is closed when fewer are wanted."""

from malha.platform.db import Database

MINE = "SELECT pg_backend_pid()"


async def test_the_connection_used_last_is_used_next(database: Database):
    async with Database(database.url, database.retailer, min_size=4, max_size=4) as db:
        used = set()
        for _ in range(8):
            async with db.transaction() as tx:
                used.add(await tx.value(MINE))
        assert len(used) == 1


async def test_what_is_wanted_at_once_still_has_connections_of_its_own(database: Database):
    async with Database(database.url, database.retailer, min_size=1, max_size=3) as db:
        async with db.transaction() as first, db.transaction() as second, db.transaction() as third:
            assert len({await tx.value(MINE) for tx in (first, second, third)}) == 3
            warm = await first.value(MINE)
        async with db.transaction() as tx:  # the first was the last to be given back
            assert await tx.value(MINE) == warm


async def test_the_connection_that_nobody_used_is_closed_first(database: Database):
    async with Database(database.url, database.retailer, min_size=1, max_size=3) as db:
        async with db.transaction() as first, db.transaction():
            warm = await first.value(MINE)
        await db.pool._shrink_pool()  # what its scheduler does: it notes how many are idle
        async with db.transaction():
            pass
        await db.pool._shrink_pool()  # and later closes one of those that stayed so
        async with db.transaction() as tx:
            assert await tx.value(MINE) == warm
        assert db.pool.get_stats()["pool_size"] == 1
