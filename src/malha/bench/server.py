"""`malha serve` as a user starts it, in a directory that is gone afterwards."""

import asyncio
import contextlib
import fcntl
import http.client
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from malha.bench.machine import descendants, parent_of
from malha.doctor import examine
from malha.platform import jobs
from malha.platform.db import Database
from malha.platform.embedded import EmbeddedPostgres
from malha.platform.migrate import migrate
from malha.platform.processes import die_with_parent

PREFIX, LOCK = "malha-bench-", "bench.lock"
YOUNG_S = 60.0
LAST_WRITES_S = 10.0


class Server:
    """`malha serve` in a process of its own."""

    def __init__(
        self, home: Path, port: int, web_workers: int, database_url: str | None, more: Mapping[str, str] | None = None
    ) -> None:
        self.port = port
        self.base = f"http://127.0.0.1:{port}"
        environment = {
            **os.environ,
            "MALHA_DATA_DIR": str(home),
            "TMPDIR": str(home),  # a server that is killed leaves its temporary files: they go with the rest
            "MALHA_PORT": str(port),
            "MALHA_WEB_WORKERS": str(web_workers),
            "MALHA_LOG_LEVEL": "warning",
            "MALHA_LOG_FORMAT": "json",
            **(more or {}),
        }
        environment.pop("DATABASE_URL", None)
        if database_url is not None:
            environment["DATABASE_URL"] = database_url
        self.started = time.monotonic()
        self.log = (home / "bench-serve.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "malha.cli.main", "serve"],
            env=environment,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509 -- nothing of a benchmark outlives it
        )

    def wait(self, seconds: float = 60) -> float:
        """Wait for the first answered request; return the seconds since the start."""
        while time.monotonic() - self.started < seconds:
            # Ours must be alive: another one that has the port would be measured instead.
            ready = self._ready()
            if self.process.poll() is not None:
                break
            if ready:
                return time.monotonic() - self.started
            time.sleep(0.02)
        raise RuntimeError(f"malha serve did not answer; see {self.log.name}")

    def _ready(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """End it as a person would."""
        self.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(20)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()


@contextlib.contextmanager
def bench_home() -> Iterator[Path]:
    """Give a directory that every account may read, and remove it with everything in it.

    What a benchmark left that was killed before it could is removed first: nobody holds its lock any more.
    """
    _remove_left()
    home = Path(tempfile.mkdtemp(prefix=PREFIX))
    try:
        with (home / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            home.chmod(0o755)
            yield home
    finally:
        _remove(home)


def _remove(home: Path) -> None:
    """Remove a directory with everything in it; a server that was interrupted as it began may still write its last."""
    until = time.monotonic() + LAST_WRITES_S
    while home.exists():
        shutil.rmtree(home, ignore_errors=time.monotonic() < until)
        if home.exists():
            time.sleep(0.1)


def _remove_left() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{LOCK}"):
        with contextlib.suppress(OSError), path.open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if time.time() - path.stat().st_mtime > YOUNG_S:  # a younger one may be about to take its lock
                shutil.rmtree(path.parent, ignore_errors=True)


@contextlib.contextmanager
def bench_database() -> Iterator[str]:
    """Give the address of an empty embedded PostgreSQL, and remove it with everything in it."""
    with bench_home() as home:
        server = EmbeddedPostgres(home)
        url = server.start()
        try:
            yield url
        finally:
            server.stop()


class Ground(NamedTuple):
    """Where a retailer may be made: a directory for files, and the address of its migrated, empty database."""

    home: Path
    url: str


Grounds = Callable[[], contextlib.AbstractContextManager[Ground]]


async def prepare(url: str) -> None:
    """Make the empty retailer, and the schema of jobs."""
    await migrate(url, "malha")
    await jobs.install(url)


@contextlib.contextmanager
def own_ground() -> Iterator[Ground]:
    """Give an empty retailer on a server of its own, and remove it with everything in it."""
    with bench_home() as home:
        postgres = EmbeddedPostgres(home)
        url = postgres.start()
        try:
            asyncio.run(prepare(url))
            yield Ground(home, url)
        finally:
            postgres.stop()


class Served(NamedTuple):
    """A retailer that is served: its database, its port, a key for it, and the process that serves it."""

    url: str
    port: int
    key: str
    pid: int


@contextlib.contextmanager
def served(
    port: int,
    web_workers: int,
    seed: Callable[[str], Awaitable[str]],
    say: Callable[[str], None],
    grounds: Grounds = own_ground,
    more: Mapping[str, str] | None = None,
) -> Iterator[Served]:
    """Serve a retailer; `seed` fills the migrated database at a URL and returns an API key. `more` are settings."""
    with grounds() as (home, url):
        say("Making the catalogue")
        key = asyncio.run(_seeded(seed, url))
        say("Starting the server")
        server = Server(home, port, web_workers, url, more)
        try:
            server.wait()
            yield Served(url, port, key, server.process.pid)
        finally:
            server.stop()


async def _seeded(seed: Callable[[str], Awaitable[str]], url: str) -> str:
    return await seed(url)


BACKEND = "SELECT pg_backend_pid()"


async def processes(shop: Served) -> dict[str, list[int]]:
    """Return the processes of a retailer that is served: the database's, if it runs here, and the others."""
    async with Database(shop.url, "malha", min_size=1, max_size=1) as db, db.transaction() as tx:
        server = parent_of(await tx.value(BACKEND))
    return {"serve": descendants(shop.pid), "database": descendants(server) if server > 1 else []}


async def drift(url: str) -> int:
    """Return how many of the doctor's checks find drift."""
    async with Database(url, "malha") as db:
        return sum(finding.drifts for finding in (await examine(db)).findings)
