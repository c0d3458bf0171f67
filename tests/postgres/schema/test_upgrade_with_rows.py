"""A retailer with a past comes to today's schema: what an early program left is there, adds up, and goes on."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from malha.doctor import examine
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder
from malha.platform import jobs
from malha.platform import migrate as runner
from malha.platform.address import Address
from malha.platform.db import Database
from malha.platform.migrate import migrate, migrations, snapshot
from malha.platform.subscribers import drain

HERE = Path(__file__).parent
LEFT = HERE / "at_0021.sql"
NEWEST_OF_THEN = 21
SCHEMA = Path(runner.__file__).parents[1] / "migrations" / "schema.sql"
SAO_PAULO = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1000")

EMPTY_ALL = """
SELECT 'TRUNCATE ' || string_agg(quote_ident(relname), ', ') || ' CASCADE' FROM pg_class
WHERE relnamespace = 'malha'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> 'migration'
"""
TOLD = """
SELECT (SELECT array_agg((external_id, status, total)::text ORDER BY number) FROM sales_order),
       (SELECT array_agg((sku_id, location_id, on_hand, allocated, held)::text ORDER BY sku_id, location_id) FROM balance),
       (SELECT array_agg((order_id, line, part, state, quantity)::text ORDER BY order_id, line, part) FROM order_unit),
       (SELECT array_agg((sku_id, location_id, d_on_hand, d_allocated, reason)::text ORDER BY id) FROM movement),
       (SELECT array_agg((key, seq, type, payload)::text ORDER BY key, seq) FROM outbox)
"""


@pytest.fixture
async def left(template_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A database as that program left it."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    url = make_conninfo(template_url, dbname=name)
    async with await psycopg.AsyncConnection.connect(template_url, autocommit=True) as admin:
        await admin.execute(f'CREATE DATABASE "{name}"')
        with monkeypatch.context() as then:
            known = [migration for migration in migrations() if migration.number <= NEWEST_OF_THEN]
            then.setattr(runner, "migrations", lambda: known)
            await migrate(url, "malha")
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute("SET search_path TO malha, malha_ext, public")
            row = await (await connection.execute(EMPTY_ALL)).fetchone()
            await connection.execute(row[0].encode() if row else b"")
            await connection.execute(LEFT.read_bytes())
        yield url
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


async def told(url: str) -> tuple:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("SET search_path TO malha, malha_ext, public")
        row = await (await connection.execute(TOLD)).fetchone()
        assert row is not None
        assert all(row)
        return row


async def test_everything_an_early_program_left_is_there_adds_up_and_goes_on(left: str) -> None:
    before = await told(left)
    await migrate(left, "malha", "pre")
    await migrate(left, "malha", "post")
    assert await told(left) == before
    assert await snapshot(left, "malha") == SCHEMA.read_text("utf-8")

    await jobs.install(left)
    async with Database(left) as database:
        waiting = {row.split(",")[0].strip("(") for row in before[4]}
        await drain(database, SUBSCRIPTIONS)
        async with database.snapshot() as tx:
            assert await tx.value("SELECT count(*) FROM outbox") == 0
            digested = await tx.values("SELECT DISTINCT 'order:' || order_id FROM order_timeline")
            assert waiting <= set(digested), "what waited was digested"
        gate = Gate(database)
        await gate.open()
        placed = await gate.submit(
            NewOrder(channel="web", external_id="N-1", lines=[NewLine("SKU2", 1, 1990)], ship_to=SAO_PAULO)
        )
        again = await gate.submit(
            NewOrder(channel="web", external_id="P-0", lines=[NewLine("SKU1", 1, 1990)], ship_to=SAO_PAULO)
        )
        await gate.close()
        assert (placed.status, placed.result) == ("allocated", "accepted")
        assert again.result == "duplicate", "an order of before is known by its code, and by what it said"
        await drain(database, SUBSCRIPTIONS)
        report = await examine(database)
    assert report.drift == 0, report.findings
