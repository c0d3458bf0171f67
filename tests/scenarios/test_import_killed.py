"""A table is sent to a web process that is killed in its midst, and sent again as a channel's program would: by its key.

Nothing tells these customers apart but that each has a row: written again, each would be there twice.
"""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from traffic import PATIENCE_S, Serving, eventually

from malha.exchange import undoing
from malha.exchange.model import Kind
from malha.identity import service as identity
from malha.platform import jobs
from malha.platform.db import Database
from malha.platform.ids import UUID
from malha.platform.processes import descendants, name_of

ROWS = 2_500
WRITTEN = 1_500  # when the process is killed
CPF = "11144477735"
LINES = [f"Freguesa {n};{CPF if n == WRITTEN else ''}\n" for n in range(ROWS)]
TABLE = "".join(["name;cpf\n", *LINES]).encode()
NAMED = "SELECT count(*), count(DISTINCT name) FROM customer WHERE name LIKE 'Freguesa %'"
TOLD = "SELECT count(*) FROM audit WHERE entity = 'customer' AND action = 'create'"
# Somebody else is about to add the customer of one row: the import stands still there, and is killed in its midst.
ANOTHER = f"INSERT INTO customer (id, name, document, folded) VALUES (gen_random_uuid(), 'Outra', '{CPF}', '')"
PROGRESS = "SELECT coalesce(sum(seen), 0) FROM import_run"


class Story:
    def __init__(self, serving: Serving, database: Database, secret: str) -> None:
        self.serving = serving
        self.database = database
        self.headers = {"authorization": f"Bearer {secret}", "idempotency-key": "night-7", "accept-language": "en"}

    def send(self) -> httpx.Response:
        address = f"http://127.0.0.1:{self.serving.port}/v1/customers:import?mode=valid&name=night.csv"
        return httpx.post(address, content=TABLE, headers=self.headers, timeout=PATIENCE_S)

    def ask(self, statement: Any) -> tuple[Any, ...]:
        with psycopg.connect(self.database.url, options="-c search_path=malha", autocommit=True) as connection:
            found = connection.execute(statement).fetchone()
        assert found is not None
        return found

    def web(self) -> list[int]:
        return [pid for pid in descendants(self.serving.process.pid) if name_of(pid).startswith("malha web")]


@pytest.fixture
def story(template_url: str, retailer_on: Any, tmp_path: Path) -> Iterator[Story]:
    with asyncio.Runner() as runner:
        retailer = retailer_on(template_url)
        database = runner.run(retailer.__aenter__())
        try:
            secret = runner.run(_key(database))
            options = {"DATABASE_URL": database.url, "MALHA_LOG_LEVEL": "warning"}
            with Serving(tmp_path, "--no-worker", "--web-workers", "1", **options) as serving:
                yield Story(serving, database, secret)
        finally:
            runner.run(retailer.__aexit__(None, None, None))


async def _key(database: Database) -> str:
    await jobs.install(database.url)
    async with database.transaction() as tx:
        key = await identity.create_key(tx, name="night", permissions=["customers:write"])
    return key.secret


def test_a_table_whose_web_process_is_killed_is_sent_again_and_every_row_is_written_once(story: Story) -> None:
    with psycopg.connect(story.database.url, options="-c search_path=malha") as beside:
        _killed_in_the_midst(story, beside)
    assert story.ask(NAMED) == (WRITTEN, WRITTEN)
    answer = _sent_again(story)
    assert story.ask(NAMED) == (ROWS, ROWS)
    report = answer.json()
    assert (report["rows"], report["created"], report["bad"], report["warned"]) == (ROWS, ROWS, 0, ROWS - 1)
    assert report["last_line"] == ROWS + 1
    assert [problem["line"] for problem in report["problems"]] == list(range(2, 1_002))
    assert report["more_problems"] == ROWS - 1 - 1_000
    assert story.ask(TOLD) == (ROWS,)
    assert story.ask("SELECT kind, state, seen, created FROM import_run") == (Kind.CUSTOMERS, "done", ROWS, ROWS)
    again = story.send()
    assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
    assert again.json() == {**report, "problems": [], "more_problems": ROWS - 1}
    asyncio.run(_undone(story.database, story.ask("SELECT id FROM import_run")[0]))
    assert story.ask(NAMED) == (0, 0)


def _killed_in_the_midst(story: Story, beside: psycopg.Connection[Any]) -> None:
    """Send the table, and kill the process that writes it where some of its rows are there and others are not."""
    loop = asyncio.new_event_loop()
    try:
        beside.execute(ANOTHER)
        sending = loop.run_in_executor(None, story.send)
        eventually(lambda: story.ask(PROGRESS)[0] == WRITTEN)
        [victim] = story.web()
        os.kill(victim, signal.SIGKILL)
        with pytest.raises(httpx.TransportError):
            loop.run_until_complete(sending)
        eventually(lambda: victim not in descendants(story.serving.process.pid))
        beside.rollback()
    finally:
        loop.close()


def _sent_again(story: Story) -> httpx.Response:
    """Send it until the process that takes the killed one's place answers."""

    def answered() -> httpx.Response | None:
        try:
            return story.send()
        except httpx.TransportError:
            return None

    answer: httpx.Response = eventually(answered)
    assert answer.status_code == 200, answer.text
    return answer


async def _undone(served: Database, run_id: UUID) -> None:
    async with Database(served.url, served.retailer, max_size=2) as database:
        async with database.transaction() as tx:
            await undoing.undo(tx, run_id)
        await undoing.take_back.work(database, run_id=str(run_id))
