"""Nothing that was acknowledged is lost, nothing is done twice, and no ledger drifts, whatever is killed whenever.

Buyers place orders over HTTP and write each acknowledgement down with fsync, as a channel would. Meanwhile a web
process, the worker, a database backend, the database itself or the whole server is killed with SIGKILL, at random,
again and again.
"""

import asyncio
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ports import free_port

from malha.bench.seed import seed
from malha.cli.runtime import migrated
from malha.doctor import examine
from malha.platform.db import Database
from malha.platform.embedded import EmbeddedPostgres
from malha.platform.processes import descendants, name_of
from malha.platform.settings import Settings

KILLS = 24
BUYERS = 8
SKUS = 50
LOCATIONS = 4
PATIENCE_S = 240.0
SEED = int(os.environ.get("MALHA_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
# Each at least twice; the rest at random.
VICTIMS = ("web", "web", "worker", "database", "backend", "server")

STORED = "SELECT external_id, id::text FROM sales_order"
UNDRAINED = """
SELECT (SELECT count(*) FROM outbox) + (SELECT coalesce(max(q.position - s.position), 0) FROM subscriber s, sequencer q)
"""
TIMELINES = "SELECT count(*) FROM order_timeline WHERE type = 'order.placed'"


@pytest.fixture
def home() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="malha-k-"))
    yield place
    shutil.rmtree(place, ignore_errors=True)


class Server:
    """`malha serve` with two web processes and the worker; started again by the test when it was killed as a whole."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.start()

    def start(self) -> None:
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("MALHA_") and name != "DATABASE_URL"
        }
        with (self.home / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "malha.cli.main", "serve", "--port", str(self.port), "--web-workers", "2"],
                env={**inherited, "MALHA_DATA_DIR": str(self.home), "MALHA_LOG_LEVEL": "warning"},
                stdout=log,
                stderr=log,
            )

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._ready():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def kill(self, victim: str, chance: random.Random) -> bool:
        """Kill one process of a kind; False when there is none at the moment."""
        family = [(pid, name_of(pid)) for pid in descendants(self.process.pid)]
        postmaster = [pid for pid, name in family if name == "postgres" and _parent_is(pid, self.process.pid)]
        found = {
            "web": [pid for pid, name in family if name.startswith("malha web")],
            "worker": [pid for pid, name in family if name == "malha worker"],
            "database": postmaster,
            "backend": [pid for pid, name in family if name == "postgres" and pid not in postmaster],
            "server": [self.process.pid],
        }[victim]
        if not found:
            return False
        try:
            os.kill(chance.choice(found), signal.SIGKILL)
        except ProcessLookupError:
            return False
        if victim == "server":
            self.process.wait()
            self.start()
        return True

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(90)

    def log(self) -> str:
        return (self.home / "serve.log").read_text(errors="replace")[-8_000:]


def _parent_is(pid: int, parent: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1] == str(parent)
    except OSError:
        return False


class Buyer(threading.Thread):
    """Places orders one after the other; repeats one until it is answered, like a channel that heard nothing."""

    def __init__(self, number: int, port: int, key: str, home: Path, stop: threading.Event) -> None:
        super().__init__(name=f"buyer-{number}")
        self.number, self.port, self.key, self.stop_asked = number, port, key, stop
        self.journal = os.open(home / f"acknowledged-{number}.jsonl", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.chance = random.Random(f"{SEED}-{number}")
        self.answers: Counter[int] = Counter()
        self.broken = 0

    def run(self) -> None:
        n = 0
        while not self.stop_asked.is_set():
            n += 1
            self._place(f"b{self.number}-{n}")
        os.close(self.journal)

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
                    {"sku": f"SKU{sku}", "quantity": self.chance.randint(1, 3), "unit_price": 1990}
                    for sku in self.chance.sample(range(1, SKUS + 1), 2)
                ],
            }
        ).encode()
        while not self.stop_asked.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
            try:
                headers = {"content-type": "application/json", "authorization": f"Bearer {self.key}"}
                connection.request("POST", "/v1/orders", body, headers)
                reply = connection.getresponse()
                said = reply.read()
            except (OSError, http.client.HTTPException):
                self.broken += 1
                time.sleep(0.02)
                continue
            finally:
                connection.close()
            self.answers[reply.status] += 1
            if reply.status in {200, 201}:
                placed = json.loads(said)
                os.write(self.journal, json.dumps([external_id, placed["id"]]).encode() + b"\n")
                os.fsync(self.journal)
                return
            assert reply.status in {409, 429, 500, 502, 503}, said  # "not now": nothing else may be the answer
            time.sleep(0.05)


async def prepare(url: str) -> str:
    settings = Settings(database_url=url)
    await migrated(settings)
    async with Database(url, settings.retailer) as db:
        return await seed(db, skus=SKUS, locations=LOCATIONS, units=1_000_000)


async def drained(url: str) -> None:
    """Wait until the worker has read everything."""
    async with Database(url, "malha") as db, asyncio.timeout(PATIENCE_S):
        while True:
            async with db.transaction() as tx:
                if not await tx.value(UNDRAINED):
                    return
            await asyncio.sleep(0.1)


async def verdict(url: str) -> tuple[dict[str, str], int, list]:
    async with Database(url, "malha") as db:
        report = await examine(db)
        async with db.snapshot() as tx:
            stored = await tx.tuples(STORED)
            timelines = await tx.value(TIMELINES)
    assert len({external_id for external_id, _ in stored}) == len(stored)
    return dict(stored), timelines, [finding for finding in report.findings if finding.drifts]


@pytest.mark.timeout(4 * PATIENCE_S)  # after most blows a server, and a database that recovers, start again
def test_kill_nine_at_random_loses_nothing_and_doubles_nothing(home: Path) -> None:
    print(f"MALHA_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    with EmbeddedPostgres(home) as database:
        key = asyncio.run(prepare(database.url))
    server = Server(home)
    stop = threading.Event()
    buyers: list[Buyer] = []
    killed: Counter[str] = Counter()
    try:
        server.wait_until_ready()
        buyers = [Buyer(n, server.port, key, home, stop) for n in range(BUYERS)]
        for buyer in buyers:
            buyer.start()
        plan = [*VICTIMS, *VICTIMS, *chance.choices(VICTIMS, k=KILLS - 2 * len(VICTIMS))]
        chance.shuffle(plan)
        for victim in plan:
            time.sleep(chance.uniform(0.05, 0.8))
            while not server.kill(victim, chance):
                assert server.process.poll() is None, server.log()
                time.sleep(0.05)
            killed[victim] += 1
            if chance.random() < 0.7:  # sometimes the next blow falls while it is still getting up
                server.wait_until_ready()
        server.wait_until_ready()
        time.sleep(0.5)
    finally:
        stop.set()
        for buyer in buyers:
            buyer.join()
        server_log = server.log()
        server.stop()
    assert sum(killed.values()) == KILLS
    assert server.process.returncode == 0, server_log

    acknowledged: dict[str, str] = {}
    for file in home.glob("acknowledged-*.jsonl"):
        for line in file.read_text().splitlines():
            external_id, order_id = json.loads(line)
            assert acknowledged.setdefault(external_id, order_id) == order_id
    assert len(acknowledged) > KILLS, (killed, [dict(buyer.answers) for buyer in buyers])

    server.start()
    try:
        server.wait_until_ready()
        url = json.loads((home / "postgres.owner").read_text())["url"]
        asyncio.run(drained(url))
        stored, timelines, drift = asyncio.run(verdict(url))
        lost = {external_id for external_id, order_id in acknowledged.items() if stored.get(external_id) != order_id}
        assert lost == set()
        assert drift == []
        assert timelines == len(stored)  # every order's first event was digested, once
        doctor = subprocess.run(
            [sys.executable, "-m", "malha.cli.main", "doctor", "--json"],
            env={**os.environ, "MALHA_DATA_DIR": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    finally:
        server.stop()
    print(
        f"killed {dict(killed)}; {len(acknowledged)} acknowledged, {len(stored)} stored, {sum(b.broken for b in buyers)} broken off"
    )
