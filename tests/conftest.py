"""Fixtures every test may use. `database` is a migrated, empty retailer in a database of its own."""

import os
import uuid
from collections.abc import AsyncIterator

import psycopg
import pytest

from malha.platform.db import Database
from malha.platform.migrate import migrate

URL = os.environ.get("MALHA_TEST_DATABASE_URL", "postgresql://postgres@127.0.0.1:55432/postgres")


@pytest.fixture(scope="session")
def template_url() -> str:
    return URL


@pytest.fixture
async def database(template_url: str) -> AsyncIterator[Database]:
    name = f"t_{uuid.uuid4().hex[:12]}"
    async with await psycopg.AsyncConnection.connect(template_url, autocommit=True) as admin:
        await admin.execute(f'CREATE DATABASE "{name}"')
    url = template_url.rsplit("/", 1)[0] + "/" + name
    await migrate(url, "malha")
    async with Database(url, "malha") as db:
        yield db
    async with await psycopg.AsyncConnection.connect(template_url, autocommit=True) as admin:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
