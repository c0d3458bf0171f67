"""A role, a database or a pooler that was set up for other programs: Malha's sessions are its own."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.pooler import pooled

from malha.platform import jobs
from malha.platform.db import Database
from malha.platform.migrate import PoolerBetween, migrate, require

OTHERWISE = {
    "client_encoding": "LATIN1",
    "default_transaction_isolation": "serializable",
    "statement_timeout": "1min",
    "idle_session_timeout": "1min",
    "synchronous_commit": "off",
    "search_path": "pg_temp",
    "default_transaction_deferrable": "on",
    "timezone": "Asia/Tokyo",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-3",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
    "array_nulls": "off",
}
# What statements say and what comes of them as text, which is kept, compared and read again.
SAID = {
    "SELECT '2031-02-03 04:05:06+00'::timestamptz::text": "2031-02-03 04:05:06+00",
    "SELECT '2031-02-03'::date::text": "2031-02-03",
    "SELECT interval '26 hours'::text": "26:00:00",
    r"SELECT '\x41ff'::bytea::text": r"\x41ff",
    "SELECT to_jsonb(array[0.1::float8 + 0.2::float8])::text": "[0.30000000000000004]",
    r"SELECT regexp_replace('123.456.789-09', '\D', '', 'g')": "12345678909",
    "SELECT (x.a = NULL)::text FROM (VALUES (NULL::int)) AS x (a)": None,
    "SELECT array_to_string('{NULL,a}'::text[], ',', '-')": "-,a",
}


@pytest.fixture
async def set_otherwise(template_url: str) -> AsyncIterator[str]:
    """An empty database whose sessions begin with settings of somebody else."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    async with await psycopg.AsyncConnection.connect(template_url, autocommit=True) as admin:
        await admin.execute(f'CREATE DATABASE "{name}"')
        for setting, value in OTHERWISE.items():
            await admin.execute(f"ALTER DATABASE \"{name}\" SET {setting} = '{value}'")
        yield make_conninfo(template_url, dbname=name)
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def test_what_others_set_for_a_database_is_not_what_malha_works_with(set_otherwise: str) -> None:
    assert await migrate(set_otherwise, "malha")
    assert await jobs.install(set_otherwise)
    async with Database(set_otherwise) as database, database.transaction() as tx:
        for name, value in {
            "transaction_isolation": "read committed",
            "statement_timeout": "0",
            "idle_session_timeout": "0",
            "synchronous_commit": "on",
        }.items():
            assert await tx.value("SELECT current_setting(%(name)s::text)", {"name": name}) == value, name
        assert await tx.value("SELECT json_build_object('said', %(said)s::text)", {"said": "Avó é 3 € — ok"}) == {
            "said": "Avó é 3 € — ok"
        }


async def test_what_statements_say_means_the_same_whatever_others_set(set_otherwise: str) -> None:
    async with Database(set_otherwise) as database:
        for statement, told in SAID.items():
            async with database.transaction() as tx:
                assert await tx.value(statement) == told, statement


async def test_jobs_are_taken_as_they_were_given_whatever_others_set(set_otherwise: str) -> None:
    told: list[str] = []
    stop = asyncio.Event()

    async def tell(db: Database, *, said: str) -> None:
        told.append(said)
        stop.set()

    task = jobs.task(f"test.{uuid.uuid4().hex}", attempts=1)(tell)
    try:
        await migrate(set_otherwise, "malha")
        await jobs.install(set_otherwise)
        async with Database(set_otherwise) as database:
            async with database.transaction() as tx:
                await jobs.defer(tx, task, said="São João")
            async with asyncio.timeout(120):
                await jobs.run_jobs(database, stop)
    finally:
        del jobs.TASKS[task.name]
    assert told == ["São João"]


async def test_what_is_durable_in_another_way_stays_so(template_url: str) -> None:
    """A server whose commits wait for a replica, or for its own disk only, was set up that way for a reason."""
    for value in ("local", "remote_apply"):
        url = make_conninfo(template_url, options=f"-c synchronous_commit={value}")
        async with Database(url) as database, database.transaction() as tx:
            assert await tx.value("SHOW synchronous_commit") == value


async def test_a_pooler_that_parts_sessions_is_refused_and_one_that_keeps_them_is_not(database: Database) -> None:
    async with pooled(database.url, by="transaction") as url:
        with pytest.raises(PoolerBetween):
            await migrate(url, database.retailer)
        with pytest.raises(PoolerBetween):
            await require(url, database.retailer)
    async with pooled(database.url, by="session") as url:
        await require(url, database.retailer)
        assert await migrate(url, database.retailer) == []


def test_the_pooler_of_these_tests_is_one(template_url: str) -> None:
    """Two sessions by transaction share what one of them set; by session they do not."""

    async def seen(by: str) -> str:
        async with pooled(template_url, by=by) as url:
            one, other = [await psycopg.AsyncConnection.connect(url, autocommit=True) for _ in range(2)]
            async with one, other:
                await other.execute("SET application_name = 'somebody'")
                row = await (await one.execute("SHOW application_name")).fetchone()
                return row[0] if row else ""

    assert asyncio.run(seen("transaction")) == "somebody"
    assert asyncio.run(seen("session")) != "somebody"
