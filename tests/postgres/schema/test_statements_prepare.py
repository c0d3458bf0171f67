"""Every SQL statement in the source is one PostgreSQL accepts against the migrated schema."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

import malha
from malha.platform import jobs
from malha.platform.db import Database

STATEMENT = re.compile(r"^\s*(WITH|SELECT|INSERT|UPDATE|DELETE|MERGE)\b", re.IGNORECASE)
PLACEHOLDER = re.compile(r"%\((\w+)\)s(::\w+(\([\d, ]*\))?(\[\])?)?")
# Modules that hold statements: two files per capability, and the platform. Constants with an underscore are parts of
# others.
HOLDS_SQL = re.compile(
    r"^malha\.(platform\.\w+|doctor|.*\.(reads|writes|\w+_reads|\w+_writes)|.*\.(reads|writes)\.\w+)$"
)


def statements() -> Iterator[tuple[str, str]]:
    for module in pkgutil.walk_packages(malha.__path__, "malha."):
        if not HOLDS_SQL.match(module.name):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if name[0] != "_" and name.isupper() and isinstance(value, str) and STATEMENT.match(value):
                yield f"{module.name}.{name}", value


def numbered(text: str) -> str:
    """`%(name)s::type` becomes `$n::type`; a placeholder without a cast has no business here."""
    names: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        assert match[2], f"%({match[1]})s has no cast"
        return f"${names.setdefault(match[1], len(names) + 1)}{match[2]}"

    return PLACEHOLDER.sub(number, text).replace("%%", "%")


def problem(connection: psycopg.Connection, text: str) -> str | None:
    try:
        with connection.transaction():
            connection.execute(sql.SQL("PREPARE probe AS " + numbered(text)))  # ty: ignore
            connection.execute("DEALLOCATE probe")
    except (psycopg.Error, AssertionError) as error:
        return str(error).splitlines()[0]
    return None


async def test_every_statement_prepares_against_the_migrated_schema(database: Database) -> None:
    await jobs.install(database.url)
    found = list(statements())
    assert len(found) > 30
    with psycopg.connect(database.url) as connection:
        connection.execute("SET search_path TO malha, malha_ext, public")
        problems = [f"{name}: {why}" for name, text in found if (why := problem(connection, text))]
    assert not problems, "\n".join(problems)


def test_a_statement_that_does_not_fit_the_schema_is_found(database: Database) -> None:
    with psycopg.connect(database.url) as connection:
        connection.execute("SET search_path TO malha, malha_ext, public")
        assert problem(connection, "SELECT colour FROM outbox") == 'column "colour" does not exist'
        assert problem(connection, "SELECT key FROM outbox WHERE seq = %(seq)s") == "%(seq)s has no cast"
        assert problem(connection, "SELECT key FROM outbox WHERE seq = %(seq)s::int") is None


@pytest.mark.parametrize("name", ["malha.platform.subscribers.READ_EVENTS", "malha.platform.sequencer.MOVE_EVENTS"])
def test_the_search_finds_known_statements(name: str) -> None:
    assert name in dict(statements())
