"""The migration runner: what it applies, in which order, and when it refuses."""

import asyncio
import uuid
from collections.abc import AsyncIterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from malha.platform import migrate as runner
from malha.platform.db import Database
from malha.platform.migrate import (
    DatabaseNewer,
    Migration,
    MigrationBlocked,
    MigrationChanged,
    NothingMigrated,
    NotMigrated,
    PostgresTooOld,
    migrate,
    migrations,
    require,
    status,
)
from waiting import waiting


@pytest.fixture
async def empty(template_url: str) -> AsyncIterator[str]:
    name = f"t_{uuid.uuid4().hex[:12]}"
    async with await psycopg.AsyncConnection.connect(template_url, autocommit=True) as admin:
        await admin.execute(f'CREATE DATABASE "{name}"')
        yield make_conninfo(template_url, dbname=name)
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> list[Migration]:
    """Migrations of the test's own, in place of Malha's."""
    files: list[Migration] = []
    monkeypatch.setattr(runner, "migrations", lambda: sorted(files, key=lambda m: m.number))
    return files


def a_file(number: int, text: str, phase: str = "pre") -> Migration:
    return Migration(number, phase, f"{number:04}_{phase}_step.sql", text)


async def run(url: str, statement: str) -> list[tuple]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        return await (await connection.execute(statement)).fetchall()


async def test_everything_is_applied_once_however_many_start_together(empty: str) -> None:
    done = await asyncio.gather(*[migrate(empty, "malha") for _ in range(3)])
    assert sorted(done, key=len) == [[], [], [m.name for m in migrations()]]
    assert await migrate(empty, "malha") == []
    assert (await status(empty, "malha")).pending == []


async def test_a_second_retailer_gets_a_schema_of_its_own(empty: str, plan: list[Migration]) -> None:
    plan.append(a_file(1, "CREATE TABLE thing (id int)"))
    assert await migrate(empty, "malha") == ["0001_pre_step.sql"]
    assert (await status(empty, "other")).pending == ["0001_pre_step.sql"]
    assert await migrate(empty, "other") == ["0001_pre_step.sql"]
    assert await run(empty, "SELECT schemaname FROM pg_tables WHERE tablename = 'thing' ORDER BY 1") == [
        ("malha",),
        ("other",),
    ]


async def test_pre_files_run_before_the_new_code_and_post_files_after_the_old(
    empty: str, plan: list[Migration]
) -> None:
    plan += [
        a_file(1, "CREATE TABLE thing (old int, new int)"),
        a_file(2, "ALTER TABLE thing DROP COLUMN old", "post"),
        a_file(3, "ALTER TABLE thing ADD COLUMN newer int"),
    ]
    assert await migrate(empty, "malha", "pre") == ["0001_pre_step.sql", "0003_pre_step.sql"]
    between = await status(empty, "malha")
    assert (between.pending, between.needed) == (["0002_post_step.sql"], [])
    await require(empty, "malha")
    assert await migrate(empty, "malha", "post") == ["0002_post_step.sql"]


async def test_a_database_that_lacks_migrations_is_refused_with_the_command_that_mends_it(
    empty: str, plan: list[Migration]
) -> None:
    plan.append(a_file(1, "CREATE TABLE thing (id int)"))
    with pytest.raises(NothingMigrated, match=r"no retailer in this database yet"):
        await require(empty, "malha")
    await migrate(empty, "malha")
    await require(empty, "malha")
    plan.append(a_file(2, "CREATE TABLE other (id int)"))
    with pytest.raises(NotMigrated, match=r"lacks 1 migrations .* 0002_pre_step\.sql"):
        await require(empty, "malha")


async def test_a_file_that_fails_leaves_nothing_and_the_files_before_it_stay(empty: str, plan: list[Migration]) -> None:
    plan += [a_file(1, "CREATE TABLE first (id int)"), a_file(2, "CREATE TABLE second (id int); SELECT 1 / 0")]
    with pytest.raises(psycopg.errors.DivisionByZero):
        await migrate(empty, "malha")
    assert await run(empty, "SELECT tablename FROM pg_tables WHERE schemaname = 'malha' ORDER BY 1") == [
        ("first",),
        ("migration",),
    ]
    assert (await status(empty, "malha")).pending == ["0002_pre_step.sql"]


async def test_a_file_changed_after_it_was_applied_is_refused(empty: str, plan: list[Migration]) -> None:
    plan.append(a_file(1, "CREATE TABLE thing (id int)"))
    await migrate(empty, "malha")
    plan[0] = a_file(1, "CREATE TABLE thing (id bigint)")
    plan.append(a_file(2, "CREATE TABLE other (id int)"))
    with pytest.raises(MigrationChanged, match=r"0001_pre_step\.sql was changed after it was applied"):
        await migrate(empty, "malha")
    assert await run(empty, "SELECT to_regclass('malha.other')") == [(None,)]


async def test_a_database_newer_than_the_code_is_refused(empty: str, plan: list[Migration]) -> None:
    plan += [a_file(1, "SELECT 1"), a_file(2, "SELECT 1")]
    await migrate(empty, "malha")
    del plan[1]
    with pytest.raises(DatabaseNewer, match=r"0002_pre_step\.sql"):
        await migrate(empty, "malha")
    with pytest.raises(DatabaseNewer):
        await status(empty, "malha")


async def test_between_the_phases_of_a_newer_version_old_code_starts_and_after_them_it_does_not(
    empty: str, plan: list[Migration]
) -> None:
    old = [a_file(1, "SELECT 1")]
    newer = [*old, a_file(2, "SELECT 1"), a_file(3, "SELECT 1", "post")]
    plan[:] = newer
    await migrate(empty, "malha", "pre")
    plan[:] = old
    await require(empty, "malha")
    plan[:] = newer
    await migrate(empty, "malha", "post")
    plan[:] = old
    with pytest.raises(DatabaseNewer, match=r"0003_post_step\.sql\."):
        await require(empty, "malha")


async def test_an_old_server_is_refused_with_a_sentence(empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "OLDEST_POSTGRES", 99)
    with pytest.raises(PostgresTooOld, match=r"runs PostgreSQL \d+; Malha needs 99 or newer"):
        await migrate(empty, "malha")


async def test_a_lock_that_is_not_granted_stops_the_migration_and_not_the_shop(
    empty: str, plan: list[Migration], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOCK_TIMEOUT_MS", 20)
    monkeypatch.setattr(runner, "LOCK_TRIES", 2)
    plan.append(a_file(1, "CREATE TABLE thing (id int)"))
    await migrate(empty, "malha")
    plan.append(a_file(2, "ALTER TABLE thing ADD COLUMN name text"))
    async with await psycopg.AsyncConnection.connect(empty) as reader:
        await reader.execute("SELECT * FROM malha.thing")
        with pytest.raises(MigrationBlocked, match="did not get its locks in 2 tries"):
            await migrate(empty, "malha")
    assert await migrate(empty, "malha") == ["0002_pre_step.sql"]


async def test_a_migration_that_gives_way_in_a_deadlock_is_tried_again(empty: str, plan: list[Migration]) -> None:
    plan.append(a_file(1, "CREATE TABLE a AS SELECT 1 AS n; CREATE TABLE b AS SELECT 1 AS n"))
    await migrate(empty, "malha")
    plan.append(a_file(2, "UPDATE a SET n = n + 1; UPDATE b SET n = n + 1", "post"))
    async with (
        await psycopg.AsyncConnection.connect(empty) as shop,
        Database(empty, "malha", min_size=1, max_size=1) as looking,
    ):
        await shop.execute(
            "SET deadlock_timeout = '1h'"
        )  # so that the migration is the one that finds it, and gives way
        await shop.execute("UPDATE malha.b SET n = 10")
        running = asyncio.create_task(migrate(empty, "malha"))
        while not await waiting(looking):
            await asyncio.sleep(0.01)
        await shop.execute("UPDATE malha.a SET n = 10")
        await shop.commit()
        assert await running == ["0002_post_step.sql"]
    assert await run(empty, "SELECT a.n, b.n FROM malha.a, malha.b") == [(11, 11)]


def test_migrations_are_named_numbered_and_none_repeats_a_number() -> None:
    found = migrations()
    assert [m.number for m in found] == sorted({m.number for m in found})
    assert {m.phase for m in found} <= {"pre", "post"}
