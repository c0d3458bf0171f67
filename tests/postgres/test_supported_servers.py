"""The oldest supported PostgreSQL and the newest take the same migrations and statements."""

import psycopg
import pytest


@pytest.fixture(params=["15", "18"])
def server(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("debian15" if request.param == "15" else "template_url")


async def test_migrations_apply_and_a_retailer_works_on_every_supported_server(server: str, retailer_on) -> None:
    async with retailer_on(server) as database:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO legal_entity (name, cnpj_root) VALUES ('Loja', '12345678')")
        async with database.snapshot() as tx:
            assert await tx.value("SELECT count(*) FROM legal_entity") == 1


def test_the_old_server_is_the_old_one(debian15: str) -> None:
    with psycopg.connect(debian15) as connection:
        assert connection.info.server_version // 10_000 == 15
