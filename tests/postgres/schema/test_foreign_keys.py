"""Foreign keys point down the layers, as imports do, so that a capability never has to know who builds on it."""

import re

from malha.platform.db import Database
from malha.platform.migrate import migrations

# Lowest first; siblings share a line and may not point at one another.
LAYERS = [
    {"platform", "http"},
    {"network"},
    {"identity"},
    {"catalog", "customers"},
    {"inventory", "capacity"},
    {"ordering"},
    {"payments", "fiscal", "notifications"},
    {"routing"},
    {"promising"},
    {"intake", "simulation"},
    {"fulfillment"},
    {"channels", "exchange"},
    {"webhooks"},
]
CREATE_TABLE = re.compile(r"^CREATE TABLE (?:IF NOT EXISTS )?(\w+)", re.MULTILINE)


def packages() -> dict[str, str]:
    """Table -> package: migrations are named for the capability whose tables they make."""
    return {table: m.name[:-4].split("_", 2)[2] for m in migrations() for table in CREATE_TABLE.findall(m.text)}


def height(package: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if package in layer)


async def foreign_keys(database: Database) -> list[tuple[str, str, str]]:
    async with database.transaction() as tx:
        return await tx.tuples(
            "SELECT conname::text, a.relname::text, b.relname::text FROM pg_constraint"
            " JOIN pg_class a ON a.oid = conrelid JOIN pg_class b ON b.oid = confrelid"
            " WHERE contype = 'f' AND connamespace = current_schema()::regnamespace AND conparentid = 0"
        )


async def test_foreign_keys_point_down_the_layers(database: Database) -> None:
    package_of = packages()
    wrong = []
    keys = await foreign_keys(database)
    assert len(keys) > 30
    for name, table, target in keys:
        above, below = package_of[table], package_of[target]
        if above != below and height(above) <= height(below):
            wrong.append(f"{name}: {above}.{table} -> {below}.{target}")
    assert not wrong, "\n".join(wrong)


async def test_foreign_keys_stay_in_their_schema_and_no_table_has_a_trigger_of_its_own(database: Database) -> None:
    async with database.transaction() as tx:
        assert (
            await tx.tuples(
                "SELECT conname FROM pg_constraint JOIN pg_class b ON b.oid = confrelid"
                " WHERE contype = 'f' AND connamespace = current_schema()::regnamespace AND b.relnamespace <> connamespace"
            )
            == []
        )
        assert (
            await tx.tuples(
                "SELECT tgname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid"
                " WHERE NOT tgisinternal AND c.relnamespace = current_schema()::regnamespace"
            )
            == []
        )


async def test_every_foreign_key_has_an_index_where_rows_of_its_target_are_deleted_or_searched_by_it(
    database: Database,
) -> None:
    """A key without an index makes each delete of the target read the whole table. Reference data is never deleted."""
    never_deleted = {
        "variant",
        "location",
        "channel",
        "service",
        "establishment",
        "legal_entity",
        "category",
        "customer",
    }
    async with database.transaction() as tx:
        bare = await tx.tuples(
            """
            SELECT a.relname::text, b.relname::text, conname::text FROM pg_constraint k
            JOIN pg_class a ON a.oid = conrelid JOIN pg_class b ON b.oid = confrelid
            WHERE contype = 'f' AND connamespace = current_schema()::regnamespace AND conparentid = 0
              AND NOT EXISTS (
                  SELECT FROM pg_index i
                  WHERE i.indrelid = conrelid AND (i.indkey::int2[])[0:cardinality(conkey) - 1] @> conkey)
            """
        )
    assert [row for row in bare if row[1] not in never_deleted] == []
