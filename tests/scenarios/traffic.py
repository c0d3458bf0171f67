"""A running `malha serve` and buyers who place orders with it over HTTP, each on connections of its own."""

import asyncio
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from tests.ports import free_port

from malha.bench.seed import seed
from malha.cli.runtime import migrated
from malha.platform.db import Database
from malha.platform.embedded import EmbeddedPostgres
from malha.platform.settings import Settings

SKUS = 30
PATIENCE_S = 240.0  # beside others a server may take a minute to start; what is wrong is that it never does
UNDRAINED = """
SELECT (SELECT count(*) FROM outbox) + (SELECT coalesce(max(q.position - s.position), 0) FROM subscriber s, sequencer q)
"""


def environment(home: Path, **variables: str) -> dict[str, str]:
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("MALHA_") and name != "DATABASE_URL"
    }
    return {**inherited, "MALHA_DATA_DIR": str(home), "MALHA_LANGUAGE": "en", **variables}


def malha(home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "malha.cli.main", *arguments],
        env=environment(home, **variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def eventually(condition, seconds: float = PATIENCE_S):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)
    return found


def a_retailer(url: str) -> str:
    """Migrate the database and fill it with goods; return an API key that may place orders."""

    async def prepare() -> str:
        settings = Settings(database_url=url)
        await migrated(settings)
        async with Database(url, settings.retailer) as db:
            return await seed(db, skus=SKUS, locations=4, units=1_000_000)

    return asyncio.run(prepare())


def a_retailer_in(home: Path) -> str:
    """As `a_retailer`, on an embedded database that is stopped again."""
    with EmbeddedPostgres(home) as server:
        return a_retailer(server.url)


def url_of(home: Path) -> str:
    return json.loads((home / "postgres.owner").read_text())["url"]


def drained(url: str) -> None:
    """Wait until everybody has read every event."""

    async def wait() -> None:
        async with Database(url, "malha") as db, asyncio.timeout(PATIENCE_S):
            while True:
                async with db.transaction() as tx:
                    if not await tx.value(UNDRAINED):
                        return
                await asyncio.sleep(0.1)

    asyncio.run(wait())


@contextmanager
def ended_unless_ready(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """End a process that did not become what the block waits for: nobody else would, and the next test would suffer."""
    try:
        yield
    except BaseException:
        process.kill()
        process.wait()
        raise


class Serving:
    """`malha serve`, ready when the block begins, ended with it."""

    def __init__(self, home: Path, *options: str, port: int | None = None, **variables: str) -> None:
        self.home = home
        self.port = port or free_port()
        self.log = home / f"serve-{free_port()}.log"
        self._options, self._variables = options, variables

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "malha.cli.main", "serve", "--port", str(self.port), *self._options],
                env=environment(self.home, **self._variables),
                stdout=log,
                stderr=log,
            )
        with ended_unless_ready(self.process):
            eventually(lambda: self.process.poll() is not None or "Malha answers" in self.said())
            assert self.process.poll() is None, self.said()
        return self

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.stop()


class Buyer(threading.Thread):
    """Places one order after the other. What is not answered with success is written down as failed, nothing is retried."""

    def __init__(self, name: str, port: int, key: str, *, keep_alive: bool = False) -> None:
        super().__init__(name=name)
        self.port, self.key, self.keep_alive = port, key, keep_alive
        self._connection: http.client.HTTPConnection | None = None
        self.acknowledged: list[str] = []
        self.failures: list[str] = []
        self.stop_asked = threading.Event()
        self._chance = random.Random(name)

    def run(self) -> None:
        n = 0
        while not self.stop_asked.is_set():
            n += 1
            self._place(f"{self.name}-{n}")
        if self._connection is not None:
            self._connection.close()

    def _place(self, external_id: str) -> None:
        body = json.dumps(
            {
                "channel": "web",
                "external_id": external_id,
                "customer": {"name": "Maria da Silva"},
                "ship_to": {
                    "postal_code": "01310100",
                    "city": "São Paulo",
                    "state": "SP",
                    "street": "Av. Paulista",
                    "number": "1",
                },
                "lines": [
                    {"sku": f"SKU{sku}", "quantity": 1, "unit_price": 1990}
                    for sku in self._chance.sample(range(1, SKUS + 1), 2)
                ],
            }
        ).encode()
        connection = self._connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.key}"}
        try:
            connection.request(
                "POST", "/v1/orders", body, headers | ({} if self.keep_alive else {"connection": "close"})
            )
            reply = connection.getresponse()
            said = reply.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._connection = None
            self.failures.append(f"{external_id}: {error!r}")
            return
        self._connection = connection if self.keep_alive and not reply.will_close else None
        if self._connection is None:
            connection.close()
        if reply.status == 201:
            self.acknowledged.append(external_id)
        else:
            self.failures.append(f"{external_id}: {reply.status} {said[:200]!r}")


@contextmanager
def buyers(count: int, port: int, key: str, *, keep_alive: bool = False, named: str = "buyer") -> Iterator[list[Buyer]]:
    """Buyers at work for as long as the block lasts; each order on a connection of its own unless told otherwise."""
    at_work = [Buyer(f"{named}{n}", port, key, keep_alive=keep_alive) for n in range(count)]
    for buyer in at_work:
        buyer.start()
    try:
        yield at_work
    finally:
        for buyer in at_work:
            buyer.stop_asked.set()
        for buyer in at_work:
            buyer.join()
