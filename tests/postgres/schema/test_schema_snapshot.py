"""`migrations/schema.sql` is what the migrations add up to."""

from importlib.resources import files

import psycopg

from malha.platform.db import Database
from malha.platform.migrate import snapshot


async def test_schema_sql_is_what_the_migrations_add_up_to(database: Database) -> None:
    """When this fails: `python -m malha.platform.migrate --write-schema URL`, read the difference, commit it."""
    written = (files("malha") / "migrations" / "schema.sql").read_text(encoding="utf-8")
    assert await snapshot(database.url, "malha") == written


async def test_the_snapshot_can_be_run_and_makes_the_same_schema(database: Database) -> None:
    text = await snapshot(database.url, "malha")
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as connection:
        await connection.execute("CREATE SCHEMA again")
        await connection.execute("SET search_path TO again, malha_ext")
        await connection.execute(text.encode())
    assert await snapshot(database.url, "again") == text
