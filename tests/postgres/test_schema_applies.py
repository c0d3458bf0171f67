from malha.platform.db import Database


async def test_a_fresh_schema_is_empty(database: Database) -> None:
    async with database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM sales_order") == 0
    async with database.snapshot() as tx:
        assert await tx.value("SHOW transaction_isolation") == "repeatable read"
